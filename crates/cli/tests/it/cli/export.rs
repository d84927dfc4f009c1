//! Files that are written, and loaded elsewhere.

use std::fs;

use serde_json::Value;

use super::{House, serve};

#[test]
fn what_is_exported_can_be_imported_elsewhere() {
    let house = House::furnished();
    house.done("sku set milk --tracking lot");
    house.done("lot set milk L1 --expires-on 2030-01-31");
    house.done("stock adjust S2 --site ICN milk/L1@A-01=5");
    house.done("transfer request T1 --from ICN --to GMP mug=6 cup=5 --priority 3");
    house.done("order place O1 --site ICN mug=1 milk/L1=2 --customer kim --priority 3");
    house.done("order place O2 --site ICN mug=1 --backorder");
    house.done("order place O3 --site ICN mug=1");
    house.done("order cancel O3");
    // Its stock is taken at completion: such an order is placed whatever there is.
    house.done("order allocation GMP at_completion");
    house.done("order place O4 --site GMP mug=99");
    for line in [
        "wallet charge kim KRW 5000",
        "wallet charge kim USD 7",
        "wallet limit kim KRW -20000",
        "wallet charge lee KRW 300",
        "wallet authorize A1 lee KRW 100",
        "wallet charge park KRW 10",
        "wallet pay park KRW 10",
        "card tiers 0 9200 20000",
        "card set sword kim 9000",
        "card set axe lee 9500",
    ] {
        house.done(line);
    }
    let told = house.run("export wallets").err;
    assert_eq!(
        told,
        "wallets: 3 written\n\
         wallets: 1 balances of zero or less are left out, with their limits\n\
         wallets: of 1 balances a part is held for open authorizations, which are left out\n"
    );
    let told = house.run("export orders").err;
    assert_eq!(
        told,
        "orders: 3 written, in 4 rows\norders: 1 that are completed or cancelled are left out\n"
    );
    let other = House::start();
    for (noun, end) in [
        ("sites", "csv"),
        ("locations", "csv"),
        ("skus", "csv"),
        ("lots", "csv"),
        ("stock", "jsonl"),
        ("transfers", "jsonl"),
        ("orders", "jsonl"),
        ("wallets", "csv"),
        ("tiers", "csv"),
        ("cards", "jsonl"),
    ] {
        let file = house.folder.path().join(format!("{noun}.{end}")).display().to_string();
        house.done(&format!("export {noun} {file}"));
        other.done(&format!("import {noun} {file}"));
        let csv = house.done(&format!("export {noun}"));
        assert_eq!(csv, other.done(&format!("export {noun}")), "{noun}");
        // And the other form says the same: everything is there already.
        let file = house.file(&format!("{noun}-again.csv"), &csv);
        let again = other.done(&format!("import {noun} {file}"));
        assert!(again.contains(": 0 loaded, "), "{noun}: {again}");
    }
    assert_eq!(house.done("stock list"), other.done("stock list"));
    assert!(other.done("wallet show kim").contains("-20000"), "the credit came along");
    // Within the one tier of a new store it would be an offer.
    let poke = "poke P1: sword for axe (event N)\n";
    assert_eq!(house.done("proposal make P1 kim sword axe"), poke);
    assert_eq!(other.done("proposal make P1 kim sword axe"), poke);
    let file = house.file("tiers.csv", "from\n0\n500\n");
    assert_eq!(other.done(&format!("import tiers {file}")), "tiers: 2 loaded\n");
    let file = other.folder.path().join("t.jsonl").display().to_string();
    other.done(&format!("export transfers {file}"));
    let allocated = other.done(&format!("import transfers {file} --allocate"));
    assert!(
        allocated.contains("allocated: 9 units for 1 transfer, nothing for 0; 2 units of 1 SKU are short\n"),
        "{allocated}"
    );
    // What is whole already is not counted again, and what was called off does not come back to life.
    other.done("stock adjust S2 --site ICN cup@A-02=+2");
    other.done(&format!("import transfers {file} --allocate"));
    let allocated = other.done(&format!("import transfers {file} --allocate"));
    assert!(
        allocated.contains("allocated: 0 units for 0 transfers, nothing for 0; 0 units of 0 SKUs are short\n1 transfer was allocated before\n"),
        "{allocated}"
    );
    other.done("transfer cancel T1 --release");
    let exported = other.run(&format!("export transfers {file}"));
    assert_eq!(
        exported.err,
        "transfers: 0 written\ntransfers: 1 that are shipped whole or have ended are left out\n"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn names_keep_their_spaces_from_export_to_import() {
    let (house, other) = (House::start(), House::start());
    for words in [
        &["site", "set", "ICN", "--name", " 인천 "][..],
        &["location", "set", "ICN", "A-01", "--zone", "\u{3000}cold\u{a0}"],
        &["location", "set", "ICN", "A-02", "--zone", "  "],
        &["location", "set", "ICN", "A-03"],
        &["sku", "set", "mug", "--name", "mug, \"big\" "],
    ] {
        let ran = house.run_words(words);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.err);
    }
    for noun in ["sites", "locations", "skus"] {
        let said = house.run(&format!("export {noun} --format jsonl")).out;
        for end in ["csv", "jsonl"] {
            let file = house.folder.path().join(format!("{noun}.{end}")).display().to_string();
            house.done(&format!("export {noun} {file}"));
            other.done(&format!("import {noun} {file}"));
            assert_eq!(other.run(&format!("export {noun} --format jsonl")).out, said, "{end}");
        }
    }
    let location = other.run("location show ICN A-02 --json").out;
    assert!(location.contains(r#""zone":"  ""#), "{location}");
}

#[test]
fn what_is_missing_is_not_exported_and_what_cannot_be_taken_otherwise_is() {
    let house = House::furnished();
    for line in [
        "sku set milk --tracking lot",
        "lot set milk L1",
        "lot set milk L2",
        "lot set milk OLD --expires-on 2020-01-31",
        "stock adjust S2 --site ICN milk/L1@A-01=5 milk/L2@A-01=4 milk/OLD@A-01=3 mug@BAD=2",
        "transfer request T1 --from ICN --to GMP mug=6 cup=3 milk/L1=4",
        "transfer allocate T1",
        "transfer pick T1 1=3,not_found=2 2=0,not_found=3 3=1,not_found=2",
        "transfer release T1",
        "lot block milk L2",
    ] {
        house.done(line);
    }
    let file = house.folder.path().join("stock.csv").display().to_string();
    let told = house.run(&format!("export stock {file}"));
    assert_eq!(
        told.err,
        "stock: 7 written\nstock: 7 units in 3 positions are missing until they are counted, and left out\n"
    );
    // What was picked stands at OUT; of the mugs 3 of 8 are left, of the milk of L1 2 of 5, of the cups none.
    let mut rows: Vec<_> = fs::read_to_string(&file).unwrap().lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "ICN,A-01,milk,L1,2",
            "ICN,A-01,milk,L2,4",
            "ICN,A-01,milk,OLD,3",
            "ICN,A-01,mug,,3",
            "ICN,BAD,mug,,2",
            "ICN,OUT,milk,L1,1",
            "ICN,OUT,mug,,3",
        ]
    );
    let other = House::furnished();
    for line in ["sku set milk --tracking lot", "stock count C1 --site ICN mug@A-01=0 cup@A-02=0"] {
        other.done(line);
    }
    let lots = house.folder.path().join("lots.csv").display().to_string();
    house.done(&format!("export lots {lots}"));
    other.done(&format!("import lots {lots}"));
    other.done(&format!("import stock {file} --load moved"));
    // Nothing can be promised there that could not be here.
    for sku in ["mug", "cup", "milk"] {
        let available = |house: &House| {
            let list = house.run(&format!("stock list --sku {sku} --json")).out;
            let list: Value = serde_json::from_str(&list).unwrap();
            let positions = list["items"].as_array().unwrap().iter();
            positions.map(|position| position["available"].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(available(&house), available(&other), "{sku}");
    }
}

#[test]
fn an_export_that_breaks_off_leaves_the_last_one_as_it_was() {
    let mut house = House::furnished();
    let file = house.folder.path().join("stock.csv");
    house.done(&format!("export stock {}", file.display()));
    let before = fs::read_to_string(&file).unwrap();
    assert!(before.contains("ICN,A-01,mug,,8\n"), "{before}");
    drop(house.server.take());
    let failed = house.run(&format!("export stock {}", file.display()));
    assert_eq!((failed.out.as_str(), failed.code), ("", 4), "{}", failed.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let names = fs::read_dir(house.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let parts: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
    // What is no file is written to as it is.
    let (server, addr) = serve(&house.data());
    (house.server, house.addr) = (Some(server), addr);
    house.done("export stock /dev/null --format csv");
}

#[test]
fn goods_that_are_picked_are_told_and_can_be_moved_back_elsewhere() {
    let (house, other) = (House::furnished(), House::start());
    house.done("transfer request T1 --from ICN --to GMP cup=3");
    house.done("transfer allocate T1");
    let folder = house.folder.path().display().to_string();
    assert_eq!(house.run(&format!("export transfers {folder}/t.csv")).err, "transfers: 1 written\n");
    house.done("transfer pick T1");
    assert_eq!(
        house.run(&format!("export transfers {folder}/t.csv")).err,
        "transfers: 1 written\ntransfers: of 1 goods are picked, which is not written: in the file of stock they lie in \
         staging, to be moved back where it is loaded\n"
    );
    for noun in ["sites", "locations", "skus", "stock", "transfers"] {
        house.done(&format!("export {noun} {folder}/{noun}.csv"));
        other.done(&format!("import {noun} {folder}/{noun}.csv"));
    }
    assert_eq!(other.run("transfer allocate T1").code, 3, "in staging it is not available");
    other.done("stock move M1 --site ICN cup=3 --from OUT --to A-02");
    other.done("transfer allocate T1");
}
