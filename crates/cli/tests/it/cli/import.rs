//! Files that are loaded, and what is told of those that are not.

use serde_json::Value;

use super::{House, Ran};

#[test]
fn a_file_is_loaded_whole_or_not_at_all() {
    let house = House::furnished();
    let head = "site,location,sku,quantity\n";
    let bad = house.file("bad.csv", &format!("{head}ICN,A-01,mug,four\nICN,A-01,cup,2\nICN,,cup,2\n"));
    let ran = house.run(&format!("import stock {bad}"));
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        format!(
            "{bad}:2: quantity: \"four\" is not a whole number\n{bad}:4: location is empty\n\
             jaego: nothing was loaded; with --skip-bad the lines that are right are\n"
        )
    );
    let refused =
        house.file("refused.csv", &format!("{head}ICN,A-02,mug,4\nICN,Z-99,cup,2\nICN,A-01,pot,2\n"));
    let ran = house.run(&format!("import stock {refused}"));
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            3,
            "stock: 0 loaded, 2 refused; nothing was changed, and with --skip-bad the other lines are loaded\n"
        )
    );
    let lines: Vec<_> = ran.err.lines().collect();
    let told = [
        format!("{refused}:3: site ICN has no location Z-99 (location_not_found)"),
        format!("{refused}:4: there is no SKU pot (sku_not_found)"),
    ];
    assert_eq!(lines, told);
    assert!(!house.done("stock list --location A-02 --sku mug --site ICN").contains("mug"));

    let ran = house.run(&format!("import stock {refused} --skip-bad"));
    assert_eq!((ran.code, ran.out.as_str()), (3, "stock: 1 loaded, 2 refused\n"));
    let right = house.file("right.csv", &format!("{head}ICN,A-02,mug,4\n"));
    assert_eq!(house.done(&format!("import stock {right}")), "stock: 0 loaded, 1 were there before\n");
    let changed = house.file("changed.csv", &format!("{head}ICN,A-02,mug,5\n"));
    let told = format!(
        "{changed}:2: ICN A-02 mug was loaded before with another quantity: correct it with `jaego stock count`, \
         or name another load with --load (id_taken)\n"
    );
    assert_eq!(house.run(&format!("import stock {changed}")).err, told);
    assert_eq!(house.done(&format!("import stock {changed} --load second")), "stock: 1 loaded\n");
    assert!(house.done("stock list --sku mug --location A-02 --site ICN").contains("       9 "));
}

#[test]
fn what_the_service_would_refuse_of_a_wrong_file_is_told_with_all_else() {
    let mut house = House::furnished();
    let text = "id,site,sku,quantity\nO1,ICN,mug,1\nO1,ICN,pot,1\nO2,ICN,mug,0\nO3,ICN,mug,1\nO4,NOW,mug,1\n";
    let file = house.file("wrong.csv", text);
    let ran = house.run(&format!("import orders {file}"));
    let expected = format!(
        "{file}:4: quantity is zero\n{file}:3: there is no SKU pot (sku_not_found)\n\
         {file}:6: there is no site NOW (site_not_found)\n\
         jaego: nothing was loaded; with --skip-bad the lines that are right are\n"
    );
    assert_eq!((ran.code, &*ran.err, &*ran.out), (1, &*expected, ""));
    assert_eq!(house.run("order show O3").code, 3, "it was not placed");
    let ran = house.run(&format!("import orders {file} --json"));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &told["refused"][0]["line"], &told["refused"][1]["line"]),
        (1, &3.into(), &6.into())
    );
    assert_eq!((&told["loaded"], &told["bad"][0]["line"]), (&0.into(), &4.into()));

    house.server.take();
    let ran = house.run(&format!("import orders {file}"));
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(
        (ran.code, lines.len(), lines[0]),
        (1, 3, &*format!("{file}:4: quantity is zero")),
        "{}",
        ran.err
    );
    assert!(lines[1].starts_with("jaego: what the service would refuse is not known: "), "{}", ran.err);
}

#[test]
fn every_line_of_a_document_that_the_service_would_refuse_is_told_in_one_run() {
    let house = House::furnished();
    let text = "id,site,sku,lot,quantity\nO1,ICN,mug,,1\nO1,ICN,pot,,1\nO1,ICN,mug,L1,1\nO1,ICN,jug,,1\nO1,ICN,cup,,4\n\
                O2,ICN,mug,,1\nO3,ICN,mug,,99\nO3,ICN,cup,,1\nO3,ICN,cup,,99\nO4,NOW,mug,,1\nO4,NOW,pot,,1\n";
    let file = house.file("orders.csv", text);
    let told = format!(
        "{file}:3: there is no SKU pot (sku_not_found)\n\
         {file}:4: SKU mug is not tracked by lot (lot_not_tracked)\n\
         {file}:5: there is no SKU jug (sku_not_found)\n\
         {file}:6: line 5 asks for 4 of cup at ICN, and 3 are available (insufficient_stock)\n\
         {file}:8: line 1 asks for 99 of mug at ICN, and 7 are available (insufficient_stock)\n\
         {file}:10: line 3 asks for 99 of cup at ICN, and 2 are available (insufficient_stock)\n\
         {file}:11: there is no site NOW (site_not_found)\n"
    );
    let ran = house.run(&format!("import orders {file}"));
    let counted =
        "orders: 0 loaded, 3 refused; nothing was changed, and with --skip-bad the other lines are loaded\n";
    assert_eq!((ran.code, &*ran.err, &*ran.out), (3, &*told, counted));
    assert_eq!(house.run("order show O2").code, 3, "it was not placed");
    let ran = house.run(&format!("import orders {file} --skip-bad --json"));
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let refused = answer["refused"].as_array().unwrap().iter();
    let refused: Vec<_> =
        refused.map(|one| (one["line"].as_u64().unwrap(), one["problem"]["field"].as_str())).collect();
    let fields = ["lines[1].sku", "lines[2].lot", "lines[3].sku"].map(Some);
    assert_eq!(refused[..3], [(3, fields[0]), (4, fields[1]), (5, fields[2])]);
    assert_eq!((refused.len(), ran.code, &answer["loaded"]), (7, 3, &1.into()), "{answer}");

    // A document that is one line of its file names its own.
    let text = r#"{"id":"T1","from":"ICN","to":"GMP","lines":[{"line":"a","sku":"mug","quantity":1},{"line":"b","sku":"pot","quantity":1},{"line":"c","sku":"jug","quantity":1}]}"#;
    let file = house.file("transfers.jsonl", text);
    let ran = house.run(&format!("import transfers {file}"));
    let told = format!(
        "{file}:1: lines[1].sku: there is no SKU pot (sku_not_found)\n\
         {file}:1: lines[2].sku: there is no SKU jug (sku_not_found)\n"
    );
    assert_eq!((ran.code, &*ran.err), (3, &*told), "{}", ran.out);
}

#[test]
fn what_no_line_of_a_file_can_help_is_not_advised() {
    let house = House::furnished();
    for (noun, text, code, expected) in [
        ("tiers", "from\n0\n5\n5\n", 1, ":4: from: 5 is not above 5, which is in line 3\n"),
        ("stock", "site,place\nICN,A-01\n", 1, ":1: the column quantity is missing\n"),
    ] {
        let file = house.file("wrong.csv", text);
        let ran = house.run(&format!("import {noun} {file}"));
        assert_eq!((ran.code, &*ran.out), (code, ""), "{noun}");
        assert!(ran.err.contains(&format!("{file}{expected}")), "{}", ran.err);
        assert!(ran.err.ends_with("jaego: nothing was loaded\n"), "{}", ran.err);
    }
}

#[test]
fn files_as_spreadsheets_write_them_are_read_or_told_in_one_line() {
    let house = House::furnished();
    let upper = house.file("upper.csv", "Site,LOCATION,Sku,Quantity\nICN,A-02,mug,4\n");
    assert_eq!(house.done(&format!("import stock {upper}")), "stock: 1 loaded\n");
    let path = house.file("excel.csv", "");
    for (bytes, told) in [
        (
            &b"site;location;sku;quantity\nICN;A-01;mug;1\n"[..],
            "the columns are separated by `;`; commas are wanted",
        ),
        (b"\xff\xfes\0i\0t\0e\0\n\0", "it is not UTF-8: save it as CSV UTF-8"),
        (b"\xb0\xa1,sku\n", "it is not UTF-8: save it as CSV UTF-8"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let ran = house.run(&format!("import stock {path}"));
        assert_eq!((ran.code, ran.err), (1, format!("{path}:1: {told}\njaego: nothing was loaded\n")));
    }
}

#[test]
fn a_document_with_a_wrong_row_is_left_out_whole() {
    let house = House::furnished();
    let head = "id,from,to,line,sku,quantity\n";
    house.done("transfer request OLD --from ICN --to GMP mug=1");
    let rows = "T1,ICN,GMP,1,mug,1\nT1,ICN,GMP,2,mug,x\nT1,ICN,GMP,3,cup,1\n\
                T2,ICN,GMP,1,mug,1\nT2,ICN,GMP,2\nT3,ICN,GMP,1,mug,1\n\
                OLD,ICN,GMP,1,mug,2\nT4,ICN,GMP,1,mug,2\n";
    let file = house.file("transfers.csv", &format!("{head}{rows}"));
    let ran = house.run(&format!("import transfers {file} --skip-bad --allocate"));
    assert_eq!(ran.code, 1, "rows were wrong: {} {}", ran.out, ran.err);
    // A row that says no id may belong to the one before it or behind it.
    let lines: Vec<_> = ran.err.lines().collect();
    assert!(lines[0].starts_with(&format!("{file}:3: quantity: ")), "{}", ran.err);
    assert!(lines[1].starts_with(&format!("{file}:6: it has 4 fields")), "{}", ran.err);
    for (line, id) in [(2, "T2"), (3, "T3")] {
        assert!(lines[line].starts_with(&format!("{file}:6: {id} is left out: ")), "{}", ran.err);
    }
    assert!(lines[4].starts_with(&format!("{file}:8: ")) && lines[4].ends_with("(id_taken)"), "{}", ran.err);
    assert!(
        ran.out.starts_with("transfers: 1 loaded, 1 refused\nallocated: 2 units for 1 transfer,"),
        "{}",
        ran.out
    );
    for id in ["T1", "T2", "T3"] {
        assert_eq!(house.run(&format!("transfer show {id}")).code, 3, "{id}");
    }
    assert!(house.done("transfer show OLD").contains("requested"), "it is somebody else's");
    assert!(house.done("transfer show T4").contains("allocated"));
    let right =
        house.file("right.csv", &format!("{head}{}", rows.replace(",x", ",1").replace("T2,ICN,GMP,2\n", "")));
    let ran = house.run(&format!("import transfers {right} --skip-bad"));
    assert_eq!(
        (ran.code, &*ran.out),
        (3, "transfers: 3 loaded, 1 were there before, 1 refused\n"),
        "{}",
        ran.err
    );
}

#[test]
fn an_import_says_as_json_what_came_of_it_whatever_that_was() {
    let house = House::furnished();
    let head = "site,location,sku,quantity\n";
    let bad = house.file("bad.csv", &format!("{head}ICN,A-01,mug,four\nICN,A-02,mug,2\n"));
    let json = |ran: &Ran| serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|_| panic!("{}", ran.out));
    let ran = house.run(&format!("import stock {bad} --json"));
    assert_eq!((ran.code, &json(&ran)["loaded"], &json(&ran)["bad_lines"]), (1, &0.into(), &1.into()));
    let reason = "quantity: \"four\" is not a whole number";
    let told = serde_json::json!([{ "line": 2, "reason": reason }]);
    assert_eq!(json(&ran)["bad"], told);
    let ran = house.run(&format!("import stock {bad} --json --skip-bad"));
    assert_eq!((ran.code, &json(&ran)["loaded"], &json(&ran)["bad_lines"]), (1, &1.into(), &1.into()));
    assert_eq!(json(&ran)["bad"], told);
    let empty = house.file("empty.csv", head);
    let ran = house.run(&format!("import stock {empty} --json"));
    assert_eq!((ran.code, &json(&ran)["loaded"]), (0, &0.into()));
    let refused = house.file("refused.csv", &format!("{head}ICN,Z-99,mug,2\n"));
    let ran = house.run(&format!("import stock {refused} --json"));
    assert_eq!((ran.code, &json(&ran)["refused"][0]["line"]), (3, &2.into()));
}

#[test]
fn many_refusals_across_batches_change_nothing() {
    let house = House::furnished();
    let mut text = "site,location,kind\n".to_owned();
    for number in 0..10_500 {
        let site = if number % 50 == 49 { "NOWHERE" } else { "ICN" };
        text += &format!("{site},B-{number},storage\n");
    }
    let file = house.file("locations.csv", &text);
    let ran = house.run(&format!("import locations {file}"));
    assert_eq!(ran.code, 3);
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 210);
    for (index, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{file}:{}: ", 50 * index + 51)), "{line}");
    }
    assert!(ran.out.starts_with("locations: 0 loaded, 210 refused; nothing was changed"), "{}", ran.out);
    assert!(!house.done("location list ICN --limit 1000").contains("B-"));
    let file = house.file("good.csv", &text.replace("NOWHERE", "ICN"));
    assert_eq!(house.done(&format!("import locations {file}")), "locations: 10500 loaded\n");
}

#[test]
fn what_rows_of_two_batches_say_together_is_refused_before_anything_is_loaded() {
    let house = House::furnished();
    house.done("sku set phone --tracking serial");
    let skus: String = (0..12_000).map(|number| format!("P-{number}\n")).collect();
    let file = house.file("skus.csv", &format!("sku\n{skus}"));
    house.done(&format!("import skus {file}"));
    house.done("lot set phone X0");
    house.done("sku set vase");
    let head = "site,location,sku,lot,quantity\n";
    let many: String = (0..12_000).map(|number| format!("ICN,A-01,P-{number},,1\n")).collect();
    let twice = format!("{head}ICN,A-01,phone,X0,1\n{many}GMP,IN,phone,X0,1\n");
    let file = house.file("twice.csv", &twice);
    let ran = house.run(&format!("import stock {file}"));
    assert_eq!((ran.code, ran.err.lines().count()), (3, 1), "{}{}", ran.out, ran.err);
    assert!(
        ran.err.starts_with(&format!("{file}:12003: ")) && ran.err.contains("(serial_taken)"),
        "{}",
        ran.err
    );
    assert!(ran.out.starts_with("stock: 0 loaded, 1 refused; nothing was changed"), "{}", ran.out);

    let (most, sum) = ((1_u64 << 53) - 1, 1_u64 << 53);
    let file = house.file("sum.csv", &format!("{head}ICN,A-01,vase,,{most}\n{many}GMP,IN,vase,,1\n"));
    let ran = house.run(&format!("import stock {file}"));
    let told = format!(
        "{file}:12003: quantity: with the rows before it, vase comes to {sum}, which is above {most}\n\
         jaego: nothing was loaded; with --skip-bad the lines that are right are\n"
    );
    assert_eq!((ran.code, &*ran.err, &*ran.out), (1, &*told, ""));
    assert_eq!(house.done("stock list --sku P-0").lines().count(), 1, "nothing was loaded");
    // What is wrong is left out, wherever it stands.
    let ran = house.run(&format!("import stock {} --skip-bad", house.file("twice.csv", &twice)));
    assert_eq!((ran.code, &*ran.out), (3, "stock: 12001 loaded, 1 refused\n"), "{}", ran.err);
    let charges = format!("owner,currency,balance\nkim,KRW,{most}\nkim,USD,{most}\nlee,KRW,1\n");
    let ran = house.run(&format!("import wallets {}", house.file("wallets.csv", &charges)));
    assert!(
        ran.code == 1 && ran.err.contains(":4: balance: with the rows before it, KRW comes to "),
        "{}",
        ran.err
    );
}

#[test]
fn a_load_that_is_refused_in_the_middle_says_from_which_line_on() {
    let house = House::furnished();
    let mut files = Vec::new();
    for sku in ["vase", "bowl"] {
        house.done(&format!("sku set {sku}"));
        house.done(&format!("stock adjust {sku} --site ICN --account opening {sku}@A-01=10100"));
        let orders: String = (0..10_200).map(|number| format!("{sku}-{number},ICN,{sku},1\n")).collect();
        files.push(house.file(&format!("{sku}.csv"), &format!("id,site,sku,quantity\n{orders}")));
    }
    let ran = house.run(&format!("import orders {}", files[0]));
    let told = "orders: 9999 loaded, 100 refused; what is before line 10001 is loaded, \
                and loading the file again goes on there\n";
    assert_eq!((ran.code, &*ran.out, ran.err.lines().count()), (3, told, 100), "{}", ran.err);
    assert!(ran.err.starts_with(&format!("{}:10102: ", files[0])), "{}", ran.err);
    let ran = house.run(&format!("import orders {} --json", files[1]));
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let refused = answer["refused"].as_array().unwrap().len();
    assert_eq!((ran.code, &answer["broken_off"], refused), (3, &10_001.into(), 100));
    assert_eq!((&answer["loaded"], &*ran.err), (&9_999.into(), ""));
    house.done("stock adjust more --site ICN --account opening vase@A-01=+100");
    let told = "orders: 201 loaded, 9999 were there before\n";
    assert_eq!(house.done(&format!("import orders {}", files[0])), told);
}

#[test]
fn what_was_being_done_is_told_before_why_it_was_refused() {
    let house = House::furnished();
    let token = house.file("token", "nobody");
    let file = house.file("stock.csv", "");
    let orders: String = (0..10_000).map(|number| format!("O-{number},ICN,mug,1\n")).collect();
    let orders = house.file("orders.csv", &format!("id,site,sku,quantity\n{orders}"));
    for (arguments, context) in [
        (format!("export stock {file}"), format!("cannot export to {file}")),
        (format!("import orders {orders}"), "cannot check the file against the store".to_owned()),
    ] {
        let ran = house.run(&format!("{arguments} --token-file {token}"));
        let told = format!("jaego: {context}\njaego: refused: ");
        assert!(ran.code == 3 && ran.err.starts_with(&told), "{arguments}: {}", ran.err);
        let ran = house.run(&format!("{arguments} --token-file {token} --json"));
        assert_eq!(ran.err, format!("jaego: {context}\n"), "{arguments}");
        let problem: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(problem["code"], "unauthorized");
    }
}
