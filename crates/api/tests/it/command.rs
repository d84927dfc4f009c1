//! One command that comes by itself: what is read, which key it gets, and what bad input is told.

use jaego_api::read_command;
use jaego_domain::Code;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

/// The key of the command, `refused …` or the problem with its field.
fn told(command: &str) -> String {
    match read_command(command.as_bytes(), &code("lent"), &code("tester")) {
        Err(problem) => {
            let field = problem.facts.get("field").and_then(|field| field.as_str()).unwrap_or_default();
            format!("{} {field}", problem.code).trim_end().to_owned()
        }
        Ok(batch) => match (&batch.requests[..], &batch.refused[..]) {
            ([request], []) => {
                assert_eq!(batch.role.unwrap().1, request.command().name());
                request.key().map_or("no key".to_owned(), |key| format!("key {key}"))
            }
            ([], [(0, refusal)]) => format!("refused {}", refusal.code()),
            other => panic!("one command makes one request or one refusal: {other:?}"),
        },
    }
}

#[test]
fn a_command_by_itself_is_read_as_in_a_batch() {
    for (command, expected) in [
        // Actions and settings need the key that is lent to them.
        (r#"{"op":"cancel_transfer","transfer":"T1"}"#, "key lent"),
        (r#"{"op":"cancel_transfer","transfer":"T1","key":"own"}"#, "key own"),
        (r#"{"op":"set_site","site":"ICN"}"#, "key lent"),
        // A document's id is its key already.
        (r#"{"op":"hold","id":"H1","lines":[{"site":"ICN","sku":"mug","quantity":1}]}"#, "no key"),
        (
            r#"{"op":"hold","id":"H1","key":"own","lines":[{"site":"ICN","sku":"mug","quantity":1}]}"#,
            "key own",
        ),
        // Wherever the operation stands, and over several lines.
        ("{\"transfer\":\"T1\",\n \"op\":\"cancel_transfer\"}\n", "key lent"),
        // Values that are wrong are refused …
        (
            r#"{"op":"hold","id":"H 1","lines":[{"site":"ICN","sku":"mug","quantity":1}]}"#,
            "refused invalid_value",
        ),
        (r#"{"op":"cancel_transfer","transfer":"T1","key":"a key"}"#, "refused invalid_value"),
        // … and what is no command cannot be read.
        ("", "malformed"),
        ("[]", "malformed"),
        ("{}", "malformed op"),
        (r#"{"op":"sell"}"#, "malformed"),
        (r#"{"op":"hold","id":7}"#, "malformed id"),
        (r#"{"op":"hold","id":"H1"}"#, "malformed lines"),
        (r#"{"op":"cancel_transfer","transfer":"T1","why":"so"}"#, "malformed why"),
        (r#"{"op":"cancel_transfer","transfer":"T1"} {}"#, "malformed"),
        (r#"{"op":"cancel_transfer","transfer":"T1""#, "malformed"),
    ] {
        assert_eq!(told(command), expected, "{command}");
    }
    let not_text = read_command(b"{\"op\":\"\xff\"}", &code("lent"), &code("tester")).unwrap_err();
    assert_eq!(not_text.code, "malformed");
}
