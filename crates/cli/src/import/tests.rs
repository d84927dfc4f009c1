use jaego_api::{Problem, batch::BatchItem, limits::BATCH_COMMANDS_MAX};
use serde_json::json;

use super::{refused::Refused, *};

fn told(noun: Noun, format: Format, text: &str) -> (Vec<String>, String) {
    let mut errors = Errors::default();
    let commands = prepare(noun, format, text.as_bytes(), LOAD_DEFAULT, &mut errors);
    (commands.into_iter().map(|command| command.json).collect(), errors.text("f"))
}

#[test]
fn a_position_is_opened_once_whatever_else_the_file_says() {
    let (first, _) = told(Noun::Stock, Format::Csv, "site,location,sku,quantity\nICN,A-01,mug,8\n");
    let (second, _) =
        told(Noun::Stock, Format::Csv, "sku,lot,quantity,site,location\ncup,,1,ICN,A-02\nmug,,9,ICN,A-01\n");
    let id = |json: &str| json.split("\"id\":\"").nth(1).map(|rest| rest[..39].to_owned());
    assert_eq!(id(&first[0]), id(&second[1]));
    assert_ne!(id(&second[0]), id(&second[1]));
}

#[test]
fn values_are_checked_before_anything_is_sent() {
    let (commands, errors) = told(
        Noun::Stock,
        Format::Csv,
        "site,location,sku,quantity\nICN,A-01,mug,0\nICN,A 1,mug,1\nICN,A-01,mug,4\nICN,A-01,cup,2\n",
    );
    assert_eq!(commands.len(), 1);
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines[0], "f:2: quantity: 0 is nothing to load");
    assert!(lines[1].starts_with("f:3: location "), "{errors}");
    assert_eq!(lines[2], "f:4: site, location, sku, lot ICN A-01 mug  is in line 2 already");
}

#[test]
fn a_field_that_there_is_not_overwrites_nothing() {
    for (noun, row, field) in [
        (Noun::Stock, r#""site":"ICN","location":"A-01","sku":"mug","quantity":8,"change":-3"#, "change"),
        (
            Noun::Stock,
            r#""site":"ICN","location":"A-01","sku":"mug","quantity":8,"account":"supplier""#,
            "account",
        ),
        (Noun::Stock, r#""site":"ICN","location":"A-01","sku":"mug","quantity":8,"counted":8"#, "counted"),
        (Noun::Wallets, r#""owner":"kim","currency":"KRW","balance":10,"amount":7"#, "amount"),
        (Noun::Wallets, r#""owner":"kim","currency":"KRW","balance":10,"reason":"card""#, "reason"),
        (Noun::Cards, r#""card":"sword","owner":"kim","price":1,"key":"k""#, "key"),
        (Noun::Sites, r#""site":"ICN","op":"set_sku""#, "op"),
        (Noun::Orders, r#""id":"O1","site":"ICN","lines":[{"sku":"mug","quantity":2}],"sku":"mug""#, "sku"),
    ] {
        let (commands, errors) = told(noun, Format::Jsonl, &format!("{{{row}}}\n"));
        assert_eq!(commands, [""; 0], "{row}");
        assert!(errors.starts_with(&format!("f:1: there is no field {field:?} here, only ")), "{errors}");
    }
    let transfer =
        r#"{"id":"T1","from":"A","to":"B","priority":3,"lines":[{"line":"1","sku":"mug","quantity":2}]}"#;
    let (commands, errors) = told(Noun::Transfers, Format::Jsonl, transfer);
    assert_eq!((commands.len(), errors.as_str()), (1, ""));
}

#[test]
fn what_is_wrong_is_told_by_the_names_of_the_file() {
    for (noun, row, expected) in [
        (Noun::Stock, r#""site":"ICN","sku":"mug","quantity":8"#, "location: missing field"),
        (Noun::Stock, r#""site":"ICN","location":"A 1","sku":"mug","quantity":8"#, "location "),
        (
            Noun::Stock,
            r#""site":"ICN","location":"A-01","sku":"mug","quantity":9007199254740992"#,
            "quantity ",
        ),
        (Noun::Wallets, r#""owner":"kim","currency":"KRW","balance":9007199254740992"#, "balance "),
    ] {
        let (commands, errors) = told(noun, Format::Jsonl, &format!("{{{row}}}\n"));
        assert_eq!(commands, [""; 0], "{row}");
        assert!(errors.starts_with(&format!("f:1: {expected}")), "{row}: {errors}");
        for word in ["commands", "lines[", "change", "amount", "column"] {
            assert!(!errors.contains(word), "{row}: {errors}");
        }
    }
}

#[test]
fn what_else_a_row_says_is_a_second_command() {
    let text = "site,order_allocation\nICN,at_completion\nGMP,\nPUS,later\n";
    let (sites, errors) = told(Noun::Sites, Format::Csv, text);
    let allocation = r#"{"allocation":"at_completion","op":"set_order_allocation","site":"ICN"}"#;
    assert_eq!((sites.len(), &*sites[1]), (3, allocation));
    assert!(errors.starts_with("f:4: order_allocation "), "{errors}");
    let text = "owner,currency,balance,limit\nkim,KRW,10,-500\nlee,KRW,10,\n";
    let (wallets, errors) = told(Noun::Wallets, Format::Csv, text);
    assert_eq!((wallets.len(), errors.as_str()), (3, ""));
    assert!(wallets[1].contains(r#""limit":-500,"op":"set_wallet_limit","owner":"kim""#), "{wallets:?}");
    let key = |json: &str| json.split("\"key\":\"import-").nth(1).map(|rest| rest[..32].to_owned());
    assert_ne!(key(&wallets[0]), key(&wallets[1]));
}

#[test]
fn the_commands_of_a_row_are_in_one_batch() {
    let command = |line| Command {
        line,
        id: String::new(),
        lines: 0,
        rows: 1,
        line_rows: Vec::new(),
        lot: None,
        json: String::new(),
    };
    // Every third row has two commands, so that the border of a batch falls into one.
    let commands: Vec<_> = (0..BATCH_COMMANDS_MAX as u64)
        .flat_map(|line| std::iter::repeat_n(line, if line.is_multiple_of(3) { 2 } else { 1 }))
        .map(command)
        .collect();
    let chunks = chunks(&commands);
    assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), commands.len());
    for two in chunks.windows(2) {
        assert_ne!(two[0].last().unwrap().line, two[1][0].line);
        assert!((BATCH_COMMANDS_MAX - 3..BATCH_COMMANDS_MAX).contains(&two[0].len()), "{}", two[0].len());
    }
}

#[test]
fn a_row_of_two_commands_is_counted_once() {
    let command = |line| Command {
        line,
        id: String::new(),
        lines: 0,
        rows: 1,
        line_rows: Vec::new(),
        lot: None,
        json: String::new(),
    };
    let item = |repeat: bool, bad: bool| -> BatchItem {
        let outcome = json!({
            "id": "x", "sequence": 1, "at": "2026-03-01T00:00:00Z", "repeat": repeat, "picks": [],
        });
        let item = match bad {
            true => json!({
                "index": 0, "id": "x", "status": "refused",
                "problem": Problem::new("site_not_found", "there is no site x"),
            }),
            false => json!({ "index": 0, "id": "x", "status": "done", "outcome": outcome }),
        };
        serde_json::from_value(item).unwrap()
    };
    let commands = [2, 2, 3, 3, 4, 4, 5].map(command);
    let mut loaded = Loaded::default();
    // New and new, repeated and new, refused and done, and repeated.
    let items = [(false, false), (false, false), (true, false), (false, false), (false, true)];
    let items = items.into_iter().chain([(false, false), (true, false)]);
    let items = items.map(|(repeat, bad)| item(repeat, bad)).collect();
    loaded.count(&commands.iter().collect::<Vec<_>>(), items);
    assert_eq!((loaded.done, loaded.repeats, loaded.refused.len()), (3, 1, 1));
}

#[test]
fn a_card_is_set_under_a_key_of_its_load() {
    let load = || told(Noun::Cards, Format::Csv, "card,owner,price\nsword,kim,9000\naxe,kim,-1\n");
    let (cards, errors) = load();
    assert!(errors.starts_with("f:3: price is negative"), "{errors}");
    let parts: Vec<_> = cards[0].split("\"key\":\"import-").collect();
    assert_eq!(parts[0], r#"{"card":"sword","#);
    assert!(parts[1].ends_with(r#"-2","op":"set_card","owner":"kim","price":9000}"#), "{cards:?}");
    assert_ne!(load().0, cards, "another load sets it again");
}

#[test]
fn all_tiers_are_set_as_one_or_none_of_them_is() {
    let (set, errors) = told(Noun::Tiers, Format::Csv, "from\n0\n10000\n50000\n");
    let command = r#"{"from":[0,10000,50000],"op":"set_price_tiers"}"#;
    assert_eq!((&*set, errors.as_str()), (&[command.to_owned()][..], ""));
    let lines = "{\"from\":0}\n{\"from\":10000}\n{\"from\":50000}\n";
    assert_eq!(told(Noun::Tiers, Format::Jsonl, lines), (set, String::new()));
    for (text, format, wrong) in [
        ("from\n0\n-5\n", Format::Csv, "f:3: from: -5 is not a whole number of 0 or more\n"),
        (
            "{\"from\":0}\n{\"from\":5,\"op\":1}\n",
            Format::Jsonl,
            "f:2: there is no field \"op\" here, only from\n",
        ),
        ("from\n0\n5\n5\n", Format::Csv, "f:4: from: 5 is not above 5, which is in line 3\n"),
        (
            "from\n0\n10\n5\n7\n",
            Format::Csv,
            "f:4: from: 5 is not above 10, which is in line 3\nf:5: from: 7 is not above 10, which is in line 3\n",
        ),
    ] {
        assert_eq!(told(Noun::Tiers, format, text), (Vec::new(), wrong.to_owned()), "{text}");
    }
    // What the service would say of all of them is told behind the first line.
    for text in ["from\n5\n10\n", "from\n0\nmuch\n"] {
        let (set, errors) = told(Noun::Tiers, Format::Csv, text);
        assert!(set.is_empty() && errors.starts_with("f:"), "{text}: {set:?} {errors}");
    }
    assert_eq!(told(Noun::Tiers, Format::Csv, "from\n"), (Vec::new(), String::new()));
}

#[test]
fn lines_become_orders() {
    let (commands, errors) = told(
        Noun::Orders,
        Format::Csv,
        "id,site,customer,backorder,sku,quantity\nO1,ICN,kim,true,mug,2\nO1,ICN,kim,true,cup,1\nO2,ICN,,,mug,1\nO2,ICN,lee,,cup,1\n",
    );
    let order = r#"{"backorder":true,"customer":"kim","id":"O1","lines":[{"quantity":2,"sku":"mug"},{"quantity":1,"sku":"cup"}],"op":"place_order","site":"ICN"}"#;
    assert_eq!((commands.len(), &*commands[0]), (1, order));
    assert_eq!(errors, "f:5: customer is another than in line 4\n");
}

#[test]
fn a_row_without_an_id_keeps_out_those_around_it_and_says_so() {
    let (commands, errors) = told(
        Noun::Orders,
        Format::Csv,
        "id,site,sku,quantity\nO0,ICN,mug,1\nO1,ICN,mug,x\nO1,ICN\nO2,ICN,mug,1\nO3,ICN,mug,1\n",
    );
    let ids: Vec<_> = commands.iter().map(|json| &json[json.find("\"id\"").unwrap()..][..9]).collect();
    assert_eq!(ids, ["\"id\":\"O0\"", "\"id\":\"O3\""]);
    let told: Vec<_> = errors.lines().collect();
    assert!(
        told[0].starts_with("f:3: quantity: ") && told[1].starts_with("f:4: it has 2 fields"),
        "{errors}"
    );
    assert_eq!(told[2..], ["f:4: O2 is left out: this row, which says no id, may be part of it"]);
}

#[test]
fn lines_become_transfers() {
    let (commands, errors) = told(
        Noun::Transfers,
        Format::Csv,
        "id,from,to,line,sku,quantity\nT1,A,B,1,mug,2\nT1,A,B,2,cup,1\nT2,A,B,1,mug,1\nT1,A,B,3,mug,1\nT1,A,C,4,mug,1\n",
    );
    // What is wrong with a document keeps all of it out.
    assert_eq!(commands.len(), 1);
    assert!(
        commands[0].contains(r#""id":"T2","lines":[{"line":"1","quantity":1,"sku":"mug"}]"#),
        "{commands:?}"
    );
    assert_eq!(errors, "f:5: id T1 is in line 2 already\nf:6: to is another than in line 5\n");
}

#[test]
fn every_wrong_row_of_a_document_is_told_by_its_own_line() {
    let (commands, errors) = told(
        Noun::Transfers,
        Format::Csv,
        "id,from,to,line,sku,quantity\nT1,A,B,1,mug,2\nT1,A,B,2,m g,1\nT1,A,B,3,mug,0\nT1,A,B,4,mug,-1\n\
         T2,A,B 2,1,mug,1\nT2,A,B 2,2,mug,0\nT3,A,B,1,mug,1\nT3,A,B,2,cup,1\nT3,A,B,1,cup,1\nT4,A,A,1,mug,1\n",
    );
    assert_eq!(commands, [""; 0]);
    let told: Vec<_> = errors.lines().collect();
    assert!(told[0].starts_with("f:3: sku is \"m g\", "), "{errors}");
    assert_eq!(told[1], "f:4: quantity is zero");
    assert!(told[2].starts_with("f:5: quantity is "), "{errors}");
    // What all rows of a document say is told once.
    assert!(told[3].starts_with("f:6: to is \"B 2\", "), "{errors}");
    assert_eq!(
        told[4..6],
        ["f:10: line 1 is there twice", "f:11: a transfer from A to itself is a bin move"],
        "{errors}"
    );
    assert_eq!(told.len(), 6, "{errors}");
}

#[test]
fn rows_that_are_left_out_are_looked_at_all_the_same() {
    let text = "sku,tracking\nmug,lot\nmug,lots\n";
    let (_, errors) = told(Noun::Skus, Format::Csv, text);
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines[0], "f:3: sku mug is in line 2 already");
    assert!(lines[1].starts_with("f:3: tracking "), "{errors}");
    let text = "id,site,customer,sku,quantity\nO1,ICN,kim,mug,x\nO1,ICN,kim,mug,0\nO2,ICN,kim,mug,1\nO2,ICN,lee,mug,0\n";
    let (commands, errors) = told(Noun::Orders, Format::Csv, text);
    assert_eq!(commands, [""; 0]);
    assert_eq!(
        errors,
        "f:2: quantity: \"x\" is not a whole number\nf:3: quantity is zero\n\
         f:5: customer is another than in line 4\nf:5: quantity is zero\n"
    );
}

#[test]
fn a_refusal_is_told_by_the_row_that_it_is_about() {
    let mut errors = Errors::default();
    let text = "id,site,sku,lot,quantity\nO1,ICN,mug,,1\nO1,ICN,milk,L1,1\nO1,ICN,milk,L2,1\n";
    let commands = prepare(Noun::Orders, Format::Csv, text.as_bytes(), LOAD_DEFAULT, &mut errors);
    let lines = |problem: Problem| {
        let (mut told, refused) = (Errors::default(), Refused::new(&commands[0], problem));
        refused.tell(&mut told);
        told.text("f")
    };
    let of = |code, field: &str, detail: &str| Problem::new(code, detail).with("field", field);
    for (problem, expected) in [
        (
            of("invalid_value", "lines[2].quantity", "lines[2].quantity is zero"),
            "f:4: quantity is zero (invalid_value)\n",
        ),
        (
            of("lot_not_found", "lines[1].lot", "lines[1].lot: SKU milk has no lot L1"),
            "f:3: SKU milk has no lot L1 (lot_not_found)\n",
        ),
        (
            of("invalid_value", "lines[7].quantity", "lines[7].quantity is zero"),
            "f:2: quantity is zero (invalid_value)\n",
        ),
        (
            Problem::new("site_not_found", "there is no site ICN"),
            "f:2: there is no site ICN (site_not_found)\n",
        ),
    ] {
        assert_eq!(lines(problem), expected);
    }
    // Each line that is short stands for itself.
    let short =
        |line: &str| json!({"line": line, "sku": "mug", "site": "ICN", "requested": 7, "available": 6});
    let mut problem = Problem::new("insufficient_stock", "2 lines ask for more than is available");
    problem.shortages = serde_json::from_value(json!([short("1"), short("3")])).unwrap();
    assert_eq!(
        lines(problem),
        "f:2: line 1 asks for 7 of mug at ICN, and 6 are available (insufficient_stock)\n\
         f:4: line 3 asks for 7 of mug at ICN, and 6 are available (insufficient_stock)\n"
    );
}

#[test]
fn a_load_that_breaks_off_is_one_answer() {
    let problem = Problem::new("store_full", "there is no room");
    let mut loaded = Loaded::new(false);
    (loaded.done, loaded.broken_off) = (3, Some(5));
    let answer = loaded.json(4, &Errors::default(), Some(&problem));
    assert_eq!((&answer["loaded"], &answer["broken_off"]), (&json!(3), &json!(5)));
    assert_eq!(answer["problem"]["code"], "store_full");
    assert_eq!(Loaded::new(false).json(4, &Errors::default(), None).get("broken_off"), None);
}
