//! What bad input gets: rows of bodies, and the problem that each of them is.

use jaego_api::{
    Marks, Problem, READS, read::Form, read_batch, read_ndjson, read_query, read_request, table,
};
use jaego_domain::Code;

fn by() -> Code {
    Code::new("by", "tester").unwrap()
}

/// The code of the problem and the field that it names, or `ok`.
fn told(result: Result<(), Box<Problem>>) -> String {
    let Err(problem) = result else { return "ok".into() };
    assert!((400..500).contains(&problem.status), "{problem:?}");
    assert!(!problem.detail.is_empty(), "{problem:?}");
    match problem.facts.get("field").and_then(|field| field.as_str()) {
        Some(field) => format!("{} {field}", problem.code),
        None => problem.code.to_string(),
    }
}

fn hold(body: &str) -> String {
    told(
        read_request(table::command("hold").unwrap(), &[], Marks::default(), &by(), body.as_bytes())
            .map(drop),
    )
}

/// A hold of one line whose quantity is `quantity`.
fn of_quantity(quantity: &str) -> String {
    hold(&format!(r#"{{"id":"H1","lines":[{{"site":"ICN","sku":"mug","quantity":{quantity}}}]}}"#))
}

/// A hold whose id is `id`, as JSON has it.
fn of_id(id: &str) -> String {
    hold(&format!(r#"{{"id":{id},"lines":[{{"site":"ICN","sku":"mug","quantity":1}}]}}"#))
}

#[test]
fn quantities() {
    for (quantity, expected) in [
        ("1", "ok"),
        ("9007199254740991", "ok"),
        ("9007199254740992", "invalid_value lines[0].quantity"),
        ("18446744073709551615", "invalid_value lines[0].quantity"),
        ("18446744073709551616", "invalid_value lines[0].quantity"),
        ("1e3", "invalid_value lines[0].quantity"),
        ("1.0", "invalid_value lines[0].quantity"),
        ("0.5", "invalid_value lines[0].quantity"),
        ("-1", "invalid_value lines[0].quantity"),
        ("-9223372036854775809", "invalid_value lines[0].quantity"),
        ("0", "invalid_value lines[0].quantity"),
        ("-0", "invalid_value lines[0].quantity"),
        ("1e400", "malformed lines[0].quantity"),
        ("\"1\"", "malformed lines[0].quantity"),
        ("null", "malformed lines[0].quantity"),
        ("true", "malformed lines[0].quantity"),
        ("[1]", "malformed lines[0].quantity"),
        ("NaN", "malformed lines[0].quantity"),
        ("01", "malformed lines[0].quantity"),
    ] {
        let told = of_quantity(quantity);
        // The reader may notice a number that goes on wrongly only after it.
        let told =
            if quantity == "01" && told.starts_with("malformed lines[0]") { expected.into() } else { told };
        assert_eq!(told, expected, "{quantity}");
    }
}

#[test]
fn identifiers() {
    let long = |bytes| format!("{:?}", "x".repeat(bytes));
    for (id, expected) in [
        (r#""A-1_b.c:9""#, "ok"),
        (&long(64), "ok"),
        (r#""\u0041""#, "ok"),
        (&long(65), "invalid_value id"),
        (r#""""#, "invalid_value id"),
        (r#"".""#, "invalid_value id"),
        (r#""..""#, "invalid_value id"),
        (r#""...""#, "ok"),
        (r#"" H1""#, "invalid_value id"),
        (r#""a/b""#, "invalid_value id"),
        (r#""재고""#, "invalid_value id"),
        (r#""H\u0000""#, "invalid_value id"),
        (r#""H\n""#, "invalid_value id"),
        ("\"H\n\"", "malformed id"),
        (r#""\ud800""#, "malformed id"),
        ("1", "malformed id"),
        ("null", "malformed id"),
        (r#"{"id":"H1"}"#, "malformed id"),
    ] {
        assert_eq!(of_id(id), expected, "{id}");
    }
}

#[test]
fn shapes() {
    let line = r#"{"site":"ICN","sku":"mug","quantity":1}"#;
    for (body, expected) in [
        (format!(r#"{{"id":"H1","lines":[{line}]}}"#), "ok"),
        (format!(r#" {{"id":"H1","lines":[{line}],"owner":null}} "#), "ok"),
        (format!(r#"{{"id":"H1","lines":[{line}],"strategy":"fefo","partial":"allow"}}"#), "ok"),
        (format!(r#"{{"id":"H1","lines":[{line}],"strategy":"best"}}"#), "invalid_value strategy"),
        (format!(r#"{{"id":"H1","lines":[{line}],"strategy":"Fefo"}}"#), "invalid_value strategy"),
        (format!(r#"{{"id":"H1","lines":[{line}],"partial":true}}"#), "malformed partial"),
        (format!(r#"{{"id":"H1","lines":[{line}],"expires_in_s":0}}"#), "invalid_value expires_in_s"),
        (format!(r#"{{"id":"H1","lines":[{line}],"expires_in_s":31622401}}"#), "invalid_value expires_in_s"),
        (
            format!(r#"{{"id":"H1","lines":[{line}],"expires_in_s":9007199254740993}}"#),
            "invalid_value expires_in_s",
        ),
        (format!(r#"{{"id":"H1","lines":[{line}],"expires_in_s":-1}}"#), "invalid_value expires_in_s"),
        (format!(r#"{{"id":"H1","lines":[{line}],"site":"ICN"}}"#), "malformed site"),
        (format!(r#"{{"id":"H1","lines":[{line}],"key":"K1"}}"#), "malformed key"),
        (format!(r#"{{"id":"H1","lines":[{line}],"op":"hold"}}"#), "malformed op"),
        (format!(r#"{{"id":"H1","id":"H1","lines":[{line}]}}"#), "malformed id"),
        (format!(r#"{{"id":"H1","\u0069d":"H1","lines":[{line}]}}"#), "malformed id"),
        (format!(r#"{{"id":"H1","lines":[{line}],"lines":[{line}]}}"#), "malformed lines"),
        (format!(r#"{{"lines":[{line}]}}"#), "malformed id"),
        (r#"{"id":"H1"}"#.into(), "malformed lines"),
        (r#"{"id":"H1","lines":[]}"#.into(), "invalid_value lines"),
        (r#"{"id":"H1","lines":{}}"#.into(), "malformed lines"),
        (r#"{"id":"H1","lines":null}"#.into(), "malformed lines"),
        (r#"{"id":"H1","lines":[["ICN","mug",1]]}"#.into(), "malformed lines[0]"),
        (
            r#"{"id":"H1","lines":[{"site":"ICN","sku":"mug","quantity":1,"qty":1}]}"#.into(),
            "malformed lines[0].qty",
        ),
        (
            format!(r#"{{"id":"H1","lines":[{line},{{"site":"ICN","sku":"m g","quantity":1}}]}}"#),
            "invalid_value lines[1].sku",
        ),
        (r#"["H1"]"#.into(), "malformed"),
        ("null".into(), "malformed"),
        ("{".into(), "malformed"),
        ("{}{}".into(), "malformed id"),
        (String::new(), "malformed id"),
        (format!(r#"{{"id":{}"#, "[".repeat(100_000)), "malformed id"),
        (format!(r#"{{"id":"H1","lines":[{}]}}"#, [line; 50_000].join(",")), "ok"),
        (format!(r#"{{"id":"H1","lines":[{}]}}"#, [line; 50_001].join(",")), "too_many_lines"),
    ] {
        assert_eq!(hold(&body), expected, "{}", &body[..body.len().min(300)]);
    }
    let not_utf8 =
        read_request(table::command("hold").unwrap(), &[], Marks::default(), &by(), b"{\"id\":\"\xff\"}");
    assert_eq!(told(not_utf8.map(drop)), "malformed");
}

#[test]
fn fences() {
    let row = table::command("extend_hold").unwrap();
    let alone = |fenced: &str| {
        let marks = Marks { key: None, fenced: Some(fenced) };
        told(read_request(row, &[("hold", "H1")], marks, &by(), br#"{"expires_in_s":1}"#).map(drop))
    };
    let in_batch = |fenced: &str| {
        let command = format!(r#"{{"op":"extend_hold","hold":"H1","expires_in_s":1,"fenced":{fenced}}}"#);
        match read_batch(format!(r#"{{"commands":[{command}]}}"#).as_bytes(), &by()) {
            Err(problem) => told(Err(problem)),
            Ok(batch) => match batch.refused.into_iter().next() {
                Some((_, refusal)) => told(Err(Box::new(Problem::from(&refusal)))),
                None => "ok".to_owned(),
            },
        }
    };
    for (fenced, expected) in [
        ("product:42=7", "ok"),
        ("product:42=9007199254740991", "ok"),
        ("product:42=9007199254740992", "invalid_value fence"),
        ("product:42=0", "invalid_value fence"),
        ("product:42=-1", "invalid_value fenced"),
        ("product:42", "invalid_value fenced"),
        ("=7", "invalid_value fenced"),
        (".=7", "invalid_value fenced"),
        ("..=7", "invalid_value fenced"),
        ("...=7", "ok"),
        ("a b=7", "invalid_value fenced"),
        ("", "invalid_value fenced"),
    ] {
        assert_eq!(alone(fenced), expected, "{fenced}");
        assert_eq!(in_batch(&format!("{fenced:?}")), expected, "{fenced}");
    }
    assert_eq!(in_batch("7"), "malformed commands[0].fenced");
    assert_eq!(in_batch("null"), "ok");
    assert_eq!(in_batch(r#""a=1","fenced":"a=1""#), "malformed commands[0].fenced");
}

#[test]
fn malformed_json_names_the_place() {
    let row = table::command("hold").unwrap();
    let problem =
        read_request(row, &[], Marks::default(), &by(), b"{\n  \"id\": \"H1\",\n  \"lines\": [1]\n}")
            .unwrap_err();
    assert_eq!((&problem.facts["line"], &problem.facts["column"]), (&3.into(), &13.into()), "{problem:?}");
    assert_eq!(
        problem.detail,
        "lines[0]: invalid type: integer `1`, expected an object, at line 3 column 13"
    );
    let unknown =
        read_request(row, &[], Marks::default(), &by(), br#"{"id":"H1","colour":"red"}"#).unwrap_err();
    assert!(unknown.detail.contains("unknown field `colour`"), "{}", unknown.detail);
}

#[test]
fn other_commands() {
    let told = |op: &str, path: &[(&str, &str)], key: Option<&str>, body: &str| {
        told(
            read_request(
                table::command(op).unwrap(),
                path,
                Marks { key, ..Marks::default() },
                &by(),
                body.as_bytes(),
            )
            .map(drop),
        )
    };
    let hold: &[_] = &[("hold", "H1")];
    let transfer: &[_] = &[("transfer", "T1")];
    let location: &[_] = &[("site", "ICN"), ("location", "A-01")];
    let cart: &[_] = &[("cart", "C1")];
    let item: &[_] = &[("cart", "C1"), ("sku", "mug")];
    let adjusted = |line: &str| {
        format!(r#"{{"id":"A1","lines":[{{"site":"ICN","location":"A-01","sku":"mug",{line}}}]}}"#)
    };
    for (op, path, key, body, expected) in [
        ("confirm_hold", hold, Some("K1"), "", "ok"),
        ("confirm_hold", hold, None, r#"{"to":"customer"}"#, "ok"),
        ("confirm_hold", hold, None, r#"{"to":{"location":"customer"}}"#, "ok"),
        ("confirm_hold", hold, None, r#"{"to":"A-01"}"#, "invalid_value to"),
        ("confirm_hold", hold, None, r#"{"to":{"location":"A 01"}}"#, "invalid_value to.location"),
        ("confirm_hold", hold, None, r#"{"to":{"location":"A","zone":"B"}}"#, "malformed to.zone"),
        ("confirm_hold", hold, None, r#"{"to":1}"#, "malformed to"),
        ("confirm_hold", hold, None, r#"{"hold":"H2"}"#, "malformed hold"),
        ("confirm_hold", hold, Some("not a key"), "{}", "invalid_value idempotency-key"),
        ("confirm_hold", hold, None, r#"{"lines":[{"line":0}]}"#, "invalid_value lines[0].line"),
        ("confirm_hold", hold, None, r#"{"lines":[{"line":1},{"line":1}]}"#, "duplicate_line lines[1].line"),
        ("confirm_hold", hold, None, r#"{"lines":[{"line":4294967296}]}"#, "invalid_value lines[0].line"),
        ("confirm_hold", hold, None, r#"{"release_rest":null}"#, "malformed release_rest"),
        ("confirm_hold", &[("hold", "H/1")], None, "", "invalid_value hold"),
        ("extend_hold", hold, None, "", "malformed expires_in_s"),
        ("cancel_transfer", transfer, None, r#"{"release":1}"#, "malformed release"),
        ("allocate_transfer", transfer, None, r#"{"strategy":"explicit"}"#, "invalid_value lines"),
        (
            "allocate_transfer",
            transfer,
            None,
            r#"{"strategy":"explicit","lines":[{"line":"1"}]}"#,
            "location_required lines[0].location",
        ),
        (
            "pick_transfer",
            transfer,
            None,
            r#"{"lines":[{"line":"1","quantity":0}]}"#,
            "invalid_value lines[0].quantity",
        ),
        (
            "pick_transfer",
            transfer,
            None,
            r#"{"lines":[{"line":"1","quantity":0,"short":{"quantity":1,"reason":"lost"}}]}"#,
            "invalid_value lines[0].short.reason",
        ),
        ("ship_transfer", transfer, None, r#"{"shipment":"S1"}"#, "ok"),
        ("ship_transfer", transfer, None, "{}", "malformed shipment"),
        ("set_location", location, None, r#"{"kind":"storage"}"#, "ok"),
        ("set_location", location, None, r#"{"kind":"shelf"}"#, "invalid_value kind"),
        ("set_location", location, None, r#"{"kind":"storage","pick_order":-1}"#, "invalid_value pick_order"),
        ("set_site", &[("site", "ICN")], None, r#"{"time_zone":"Mars/Olympus"}"#, "invalid_value time_zone"),
        ("set_site", &[("site", "ICN")], None, r#"{"name":"a\u0007"}"#, "invalid_value name"),
        ("set_sku", &[("sku", "mug")], None, r#"{"safety_stock":{"ICN":20}}"#, "ok"),
        ("set_sku", &[("sku", "mug")], None, r#"{"safety_stock":{"ICN":20,"ICN":30}}"#, "duplicate_line"),
        ("set_sku", &[("sku", "mug")], None, r#"{"safety_stock":{"ICN":-1}}"#, "invalid_value safety_stock"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":{"KRW":0,"USD":4}}"#, "ok"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":{"KRW":1,"KRW":1}}"#, "duplicate_line"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":{"won":1}}"#, "invalid_value prices"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":{"KRW":1.5}}"#, "invalid_value prices"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":{"KRW":-1}}"#, "invalid_value prices"),
        ("set_sku", &[("sku", "mug")], None, r#"{"prices":[1]}"#, "malformed prices"),
        ("set_cart", cart, None, r#"{"site":"ICN","owner":"kim"}"#, "ok"),
        ("set_cart", cart, None, r#"{"site":"ICN"}"#, "malformed owner"),
        ("set_cart", cart, None, r#"{"site":"ICN","owner":"kim","hold_s":0}"#, "invalid_value hold_s"),
        ("set_cart", cart, None, r#"{"site":"ICN","owner":"kim","hold_s":31622401}"#, "invalid_value hold_s"),
        ("set_cart_item", item, None, r#"{"quantity":0}"#, "ok"),
        ("set_cart_item", item, None, r#"{"quantity":-1}"#, "invalid_value quantity"),
        ("set_cart_item", item, None, "{}", "malformed quantity"),
        ("discard_cart", cart, Some("K1"), "", "ok"),
        ("checkout", cart, None, r#"{"currency":"KRW"}"#, "ok"),
        ("checkout", cart, None, r#"{"currency":"won"}"#, "invalid_value currency"),
        ("checkout", cart, None, r#"{"currency":"KRW","expected_total":-1}"#, "invalid_value expected_total"),
        ("checkout", cart, None, "{}", "malformed currency"),
        (
            "set_lot",
            &[("sku", "milk"), ("lot", "L1")],
            None,
            r#"{"expires_on":"2026-02-29"}"#,
            "invalid_value expires_on",
        ),
        ("reverse", &[("movement", "1042.0")], None, "", "ok"),
        ("reverse", &[("movement", "1042")], None, "", "invalid_value movement"),
        ("adjust", &[], None, &adjusted(r#""change":-3"#), "ok"),
        ("adjust", &[], None, &adjusted(r#""counted":0"#), "ok"),
        ("adjust", &[], None, &adjusted(r#""change":0"#), "invalid_value lines[0].change"),
        ("adjust", &[], None, &adjusted(r#""change":1,"counted":1"#), "invalid_value lines[0].counted"),
        (
            "adjust",
            &[],
            None,
            &adjusted(r#""counted":1,"account":"found""#),
            "invalid_value lines[0].account",
        ),
        ("adjust", &[], None, &adjusted(r#""change":1,"account":"bank""#), "invalid_value lines[0].account"),
        ("adjust", &[], None, &adjusted(r#""lot":"L1""#), "invalid_value lines[0].change"),
        ("adjust", &[], None, &adjusted(r#""change":-9223372036854775808"#), "invalid_value lines[0].change"),
    ] {
        assert_eq!(told(op, path, key, body), expected, "{op} {body}");
    }
}

#[test]
fn batches() {
    let hold = r#"{"op":"hold","id":"H1","lines":[{"site":"ICN","sku":"mug","quantity":1}]}"#;
    let late = r#"{"id":"H1","lines":[{"site":"ICN","sku":"mug","quantity":1}],"op":"hold"}"#;
    let keyed = r#"{"op":"cancel_transfer","transfer":"T1","key":"K1"}"#;
    let of = |commands: &str| format!(r#"{{"commands":[{commands}]}}"#);
    for (body, expected) in [
        (of(""), "ok"),
        (of(hold), "ok"),
        (of(&format!("{hold},{late},{keyed}")), "ok"),
        (of(&format!("{hold},{}", hold.replace("hold", "hodl"))), "malformed commands[1]"),
        (of(&format!("{late},{}", late.replace("\"hold\"", "\"hodl\""))), "malformed commands[1]"),
        (of(&hold.replace("quantity", "qty")), "malformed commands[0].lines[0].qty"),
        (of(&late.replace("quantity", "qty")), "malformed commands[0].lines[0].qty"),
        (of(&late.replace(r#","op":"hold""#, "")), "malformed commands[0].op"),
        (of(r#"{"op":"hold","op":"hold"}"#), "malformed commands[0].op"),
        (of(r#"{"id":"H1","op":"hold","op":"hold"}"#), "malformed commands[0].op"),
        (of(&keyed.replace("}", r#","key":"K2"}"#)), "malformed commands[0].key"),
        (of("1"), "malformed commands[0]"),
        (of("{}"), "malformed commands[0].op"),
        (r#"{"commands":[],"commands":[]}"#.into(), "malformed commands"),
        (r#"{"commands":[],"atomic":1}"#.into(), "malformed atomic"),
        (r#"{"commands":[],"dry":true}"#.into(), "malformed dry"),
        ("{}".into(), "malformed commands"),
        ("[]".into(), "malformed"),
        (of(&[hold; 10_000].join(",")), "ok"),
        (of(&[hold; 10_001].join(",")), "too_large"),
        (of(&[late; 10_001].join(",")), "too_large"),
    ] {
        assert_eq!(
            told(read_batch(body.as_bytes(), &by()).map(drop)),
            expected,
            "{}",
            &body[..body.len().min(300)]
        );
    }
    let lines = [r#"{"site":"ICN","sku":"mug","quantity":1}"#; 32_769].join(",");
    let long = format!(r#"{{"op":"hold","id":"H1","lines":[{lines}]}}"#);
    assert_eq!(told(read_batch(of(&format!("{long},{long}")).as_bytes(), &by()).map(drop)), "too_large");

    let ndjson = |body: &str| read_ndjson(body.as_bytes(), false, &by());
    assert_eq!(ndjson(&format!("{hold}\n\r\n{late}\n")).unwrap().requests.len(), 2);
    let problem = ndjson(&format!("{hold}\n\n{{\"op\":\"hold\",\"id\":7}}")).unwrap_err();
    assert_eq!((&problem.facts["line"], &problem.facts["field"]), (&3.into(), &"commands[1].id".into()));
    assert_eq!(told(ndjson(&vec![hold; 10_001].join("\n")).map(drop)), "too_large");
}

#[test]
fn a_command_of_a_batch_is_refused_alone() {
    let body = r#"{"atomic":true,"commands":[
        {"op":"hold","id":"H 1","lines":[{"site":"ICN","sku":"mug","quantity":1}]},
        {"op":"ship_transfer","transfer":"T1","shipment":"S1"},
        {"op":"hold","id":"H2","lines":[{"site":"ICN","sku":"mug","quantity":0}]},
        {"op":"cancel_transfer","transfer":"T1","key":"K1"}]}"#;
    let batch = read_batch(body.as_bytes(), &by()).unwrap();
    assert!(batch.atomic);
    assert_eq!(
        batch.requests.iter().map(|one| one.command().name()).collect::<Vec<_>>(),
        ["ship_transfer", "cancel_transfer"]
    );
    assert_eq!(batch.requests[1].key().map(Code::as_str), Some("K1"));
    assert_eq!(
        batch.refused.iter().map(|(index, refusal)| (*index, refusal.code())).collect::<Vec<_>>(),
        [(0, "invalid_value"), (2, "invalid_value")]
    );
    assert_eq!(batch.ids, ["", "T1", "H2", "T1"]);
    assert_eq!(batch.role, Some((jaego_api::Role::Operator, "hold")));
    let problem = batch.refused_by_value().unwrap();
    assert_eq!((&problem.facts["index"], &problem.facts["also_refused"][0]["index"]), (&0.into(), &2.into()));
}

#[test]
fn an_atomic_batch_tells_all_that_it_was_refused_for() {
    let body = r#"{"atomic":true,"commands":[
        {"op":"ship_transfer","transfer":"T1","shipment":"S1"},
        {"op":"cancel_transfer","transfer":"T2"},
        {"op":"cancel_transfer","transfer":"T3"}]}"#;
    let batch = read_batch(body.as_bytes(), &by()).unwrap();
    assert_eq!(batch.refused_by_value(), None);
    let late = || jaego_domain::Refusal::invalid("shipment", "is late");
    let problem = batch.refused_by_store(&[(0, late()), (2, late())]);
    assert_eq!((&*problem.code, &problem.facts["index"]), ("invalid_value", &0.into()));
    let [other] = problem.facts["also_refused"].as_array().unwrap().as_slice() else { panic!("{problem:?}") };
    assert_eq!((&other["index"], &other["id"]), (&2.into(), &"T3".into()));
    assert_eq!((&other["status"], &other["problem"]["code"]), (&"refused".into(), &"invalid_value".into()));
    let problem = batch.refused_by_store(&[(1, late())]);
    assert_eq!((&problem.facts["index"], problem.facts.get("also_refused")), (&1.into(), None));
}

#[test]
fn queries() {
    let told = |name: &str, path: &[(&str, &str)], query: &str| {
        let row = READS.iter().find(|row| row.name == name).unwrap();
        told(read_query(row, path, Some(query)).map(drop))
    };
    for (name, query, expected) in [
        ("stock", "", "ok"),
        ("stock", "sku=mug&site=ICN&limit=1000&after=1-2-3", "ok"),
        ("stock", "after=p0", "invalid_value after"),
        ("transfers", "after=p0", "ok"),
        ("stock", "sku=m%20g", "invalid_value sku"),
        ("stock", "sku=", "invalid_value sku"),
        ("stock", "sku=a&sku=b", "malformed sku"),
        ("stock", "colour=red", "malformed colour"),
        ("stock", "limit=0", "invalid_value limit"),
        ("stock", "limit=1001", "invalid_value limit"),
        ("stock", "limit=%2B1", "invalid_value limit"),
        ("stock", "limit=99999999999999999999999", "invalid_value limit"),
        ("stock", "after=1", "invalid_value after"),
        ("movements", "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00%2B09:00&after=1042.0", "ok"),
        ("movements", "since=yesterday", "invalid_value since"),
        ("movements", "after=1042", "invalid_value after"),
        ("events", "after=1042&kind=held,hold_confirmed", "ok"),
        ("events", "after=-1", "invalid_value after"),
        ("events", "kind=", "ok"),
        ("events", "kind=hold", "invalid_value kind"),
        ("events", "kind=held,Held", "invalid_value kind"),
        ("transfers", "status=allocated", "ok"),
        ("transfers", "status=done", "invalid_value status"),
        ("transfers", "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00%2B09:00", "ok"),
        ("transfers", "until=2026-03-01", "invalid_value until"),
        ("orders", "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00%2B09:00&status=waiting", "ok"),
        ("orders", "since=yesterday", "invalid_value since"),
        ("orders", "since=2026-03-01T00:00:00Z&since=2026-03-01T00:00:00Z", "malformed since"),
    ] {
        assert_eq!(told(name, &[], query), expected, "{name} {query}");
    }
    assert_eq!(told("hold", &[("hold", "H 1")], ""), "invalid_value hold");
    let long = format!("sku={}", "x".repeat(5_000));
    assert_eq!(told("stock", &[], &long), "too_large");
}

/// Values that nothing of this form has.
fn bad_values(form: Form) -> Vec<String> {
    let texts: &[&str] = match form {
        Form::Code => &["", "a b", "a/b", "재고", "a\n"],
        // A cursor may be an id.
        Form::Cursor => &["", "a b", "p 1", "1-2-3-4/5"],
        Form::Time => &["", "yesterday", "2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T00:00:00", "1"],
        Form::Limit => &["", "0", "-1", "1001", "1e3", "+1", "0x1", "99999999999999999999"],
        Form::Status | Form::OrderStatus | Form::ProposalStatus => &["", "lost", "WAITING", "waiting,open"],
        // None at all is every kind.
        Form::Kinds => &["hold", "held,Held", "*"],
        Form::Currency => &["", "krw", "KR", "KRWW", "K1W", "₩₩₩"],
        Form::Flag => &["", "1", "yes", "True", "true,false"],
    };
    let long = (form == Form::Code).then(|| "x".repeat(65));
    texts.iter().map(|text| (*text).to_owned()).chain(long).collect()
}

/// As it stands in a URL.
fn in_url(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_parameter_of_every_read_has_its_form() {
    let mut rows = 0;
    for row in READS {
        let path: Vec<_> = row.path_parameters().map(|name| (name, "x")).collect();
        let ask = |path: &[(&str, &str)], query: &str| told(read_query(row, path, Some(query)).map(drop));
        assert_eq!(ask(&path, ""), "ok", "{}", row.name);
        assert_eq!(ask(&path, "nobody=1"), "malformed nobody", "{}", row.name);
        for (index, (name, _)) in path.iter().enumerate() {
            for bad in bad_values(Form::Code) {
                let mut path = path.clone();
                path[index].1 = &bad;
                assert_eq!(ask(&path, ""), format!("invalid_value {name}"), "{} {name}={bad:?}", row.name);
                rows += 1;
            }
        }
        for parameter in row.parameters {
            let name = parameter.name;
            for bad in bad_values(parameter.form) {
                let told = ask(&path, &format!("{name}={}", in_url(&bad)));
                assert_eq!(told, format!("invalid_value {name}"), "{} {name}={bad:?}", row.name);
                rows += 1;
            }
            let twice = ask(&path, &format!("{name}=x&{name}=x"));
            assert_eq!(twice, format!("malformed {name}"), "{} {name} twice", row.name);
        }
    }
    println!("{rows} bad values");
    assert!(rows > 500, "{rows}");
}
