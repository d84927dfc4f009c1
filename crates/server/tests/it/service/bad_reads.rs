//! What bad input gets in reads: every part of every path, and every parameter of every query.

use std::collections::BTreeSet;

use http::Method;
use jaego_api::{COMMANDS, READS, ReadRow, read::Form, table::BATCH_PATH};
use jaego_server::Role;

use super::{
    bad_input::{Before, TOO_LONG, told, world},
    bad_paths::empty_part,
};

/// What a problem says: the status, the code and the field.
type Told<'a> = (u16, &'a str, Option<&'a str>);

fn invalid(name: &str) -> Told<'_> {
    (422, "invalid_value", Some(name))
}

fn malformed(name: &str) -> Told<'_> {
    (400, "malformed", Some(name))
}

/// The path of a read with `x` for each of its parameters.
fn path(row: &ReadRow) -> String {
    row.path_parameters().fold(row.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

/// Wrong paths of a read: each of its parameters in every wrong way.
fn wrong_paths(row: &ReadRow) -> Vec<(String, Told<'static>)> {
    let mut rows = Vec::new();
    for name in row.path_parameters() {
        let place = row.path.split('/').position(|part| part == format!("{{{name}}}")).unwrap();
        for (wrong, expected) in [
            ("a%20b", invalid(name)),
            ("a%2Fb", invalid(name)),
            ("a%00", invalid(name)),
            ("%0A", invalid(name)),
            ("%E2%80%AE", invalid(name)),
            ("%EC%9E%AC", invalid(name)),
            (TOO_LONG, invalid(name)),
            ("%FF", (400, "malformed", None)),
            ("", empty_part(row.path, place, name)),
        ] {
            let mut parts: Vec<_> =
                row.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            parts[place] = wrong;
            rows.push((parts.join("/"), expected));
        }
    }
    rows
}

/// Values that a parameter of this form may not have.
fn wrong_values(form: Form) -> &'static [&'static str] {
    match form {
        Form::Code => &["", "a%20b", "a%2Fb", "%0A", "%EC%9E%AC", TOO_LONG],
        Form::Limit => &["", "0", "-1", "%2B1", "1.0", "1e3", "0x10", "1001", "18446744073709551616"],
        Form::Time => &["", "now", "2026-02-30T00:00:00Z", "2026-01-01", "1767225600", "2026-01-01T00:00:00"],
        Form::Currency => &["", "krw", "KR", "KRWW", "%EC%9B%90"],
        Form::Flag => &["", "1", "yes", "TRUE"],
        Form::Status | Form::OrderStatus | Form::ProposalStatus => &["", "nonsense", "OPEN"],
        // None at all is no wrong one.
        Form::Kinds => &["nonsense", "OPEN"],
        // Each list has cursors of its own form. None of them is empty, or this.
        Form::Cursor => &["", "%EC%9E%AC", "a%20b"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_get_a_read_wrong_has_its_own_problem() {
    let (store, service) = world().await;
    let caller = service.caller(Role::Admin);
    let before = Before::of(&store);
    let mut rows = Vec::new();
    for row in READS {
        rows.extend(wrong_paths(row));
        let path = path(row);
        rows.push((format!("{path}?nobody=1"), malformed("nobody")));
        // A parameter of the path is none of the query.
        rows.extend(row.path_parameters().map(|name| (format!("{path}?{name}=x"), malformed(name))));
        for parameter in row.parameters {
            let name = parameter.name;
            rows.push((format!("{path}?{name}=1&{name}=1"), malformed(name)));
            rows.push((format!("{path}?{name}=1&{name}=2"), malformed(name)));
            // Nothing of any form has a zero byte, and none is of no UTF-8.
            for value in wrong_values(parameter.form).iter().chain(&["%00", "%FF"]) {
                rows.push((format!("{path}?{name}={value}"), invalid(name)));
            }
        }
    }
    let mut wrong = Vec::new();
    let mut client = service.connect().await;
    for (url, expected) in &rows {
        let headers = [("Authorization", caller.token.as_str())];
        let answer = client.request("GET", url, &headers, b"").await;
        if answer.status < 400 {
            wrong.push(format!("{url}: {} and not {expected:?}", answer.status));
            continue;
        }
        let (status, code, field) = told(&answer);
        let got = (status, code.as_str(), field.as_deref());
        if got != *expected {
            wrong.push(format!("{url}: {got:?} and not {expected:?}"));
        }
    }
    println!("{} reads", rows.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() > 1_000, "{}", rows.len());
    before.is_unchanged(&store);
}

/// The tables beside this one go through all commands and all reads. Here it is told that there is nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_one_whose_bad_input_is_tried() {
    let (_, service) = world().await;
    let tried: BTreeSet<(&str, &str)> = COMMANDS
        .iter()
        .map(|row| (row.method.as_str(), row.path))
        .chain(READS.iter().map(|row| ("GET", row.path)))
        .chain([("POST", BATCH_PATH)])
        .collect();
    let untried: Vec<_> = service
        .rows
        .iter()
        .map(|row| (row.method.as_str(), row.path.as_str()))
        .filter(|route| !tried.contains(route))
        .collect();
    // These take nothing.
    let nothing = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"];
    let get = Method::GET;
    let mut expected = nothing.map(|path| (get.as_str(), path));
    let mut untried = untried;
    untried.sort_unstable();
    expected.sort_unstable();
    assert_eq!(untried, expected);
}
