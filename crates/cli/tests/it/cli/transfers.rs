//! Transfers from their request to their end, and the claims on their picks.

use serde_json::Value;

use super::House;

#[test]
fn a_transfer_goes_its_whole_way() {
    let house = House::furnished();
    assert_eq!(
        house.done("transfer request T1 --from ICN --to GMP mug=6 cup=5"),
        "transfer T1 with 2 lines is requested (event N)\n"
    );
    let dry = house.done("transfer allocate T1 --dry-run");
    assert!(dry.starts_with("transfer T1 would get this; nothing was changed\n"), "{dry}");
    assert_eq!(
        house.done("transfer allocate T1"),
        "transfer T1 is partially allocated (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             6\n\
         2     cup  ICN   A-02             3\n\
         short:\n\
         LINE  SKU  SITE  REQUESTED  AVAILABLE\n\
         2     cup  ICN           5          3\n"
    );
    let explained = house.done("transfer explain T1");
    assert!(explained.contains("2 still open, 0 available"), "{explained}");
    house.done("transfer pick T1 1=6 2=2,damaged=1");
    house.done("transfer unpick T1 1=1");
    house.done("transfer pick T1 1=1");
    house.done("transfer ship T1 S1");
    house.done("transfer receive T1 1=5,damaged=1 2=1");
    house.done("transfer close T1");
    let shown = house.done("transfer show T1");
    assert!(shown.contains("status     closed\n"), "{shown}");
    let list = house.done("transfer list --json");
    let list: Value = serde_json::from_str(&list).unwrap();
    let totals = &list["items"][0]["totals"];
    assert_eq!(
        ["requested", "shipped", "received", "damaged", "lost", "closed_short"]
            .map(|name| totals[name].as_u64().unwrap()),
        [11, 8, 6, 1, 1, 3]
    );
    house.done("transfer request T2 --from ICN --to GMP mug=1");
    house.done("transfer allocate T2");
    let refused = house.run("transfer cancel T2");
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("try: say --release"), "{}", refused.err);
    house.done("transfer cancel T2 --release");
}

#[test]
fn picks_are_claimed_zone_by_zone() {
    let house = House::furnished();
    house.done("location set ICN A-01 --pick-order 1 --zone A");
    house.done("location set ICN A-02 --pick-order 2 --zone B");
    house.done("transfer request T1 --from ICN --to GMP mug=6 cup=3");
    house.done("transfer allocate T1");
    assert!(house.done("status").contains("\npicks       2 waiting, 0 claimed\n"));
    let claimed = house.done("transfer claim T1 --worker ann --zone A");
    assert!(
        claimed.starts_with("ann has 1 zone to pick (event N)\nTRANSFER  ZONE  FENCE  UNTIL\nT1        A "),
        "{claimed}"
    );
    let next = house.run("claim next ICN --worker bob --work picks --zone B --json");
    let claims: Value = serde_json::from_str(&next.out).unwrap();
    assert_eq!((&claims["claims"][0]["transfer"], &claims["claims"][0]["zone"]), (&"T1".into(), &"B".into()));
    let none = house.run("claim next ICN --worker bob --work picks");
    assert!(none.err.contains("(nothing_to_claim)\n"), "{}", none.err);
    assert_eq!(house.run("claim next ICN --worker bob --zone B").code, 3, "orders are of no zone");
    let others = house.run("transfer pick T1");
    assert!(others.err.contains("is claimed by ann until "), "{}", others.err);
    let fence = fence_of(&house, "T1");
    house.done(&format!("transfer extend T1 --worker ann --fence {fence} --lease 1h"));
    assert_eq!(house.run("transfer pick T1 --worker ann").code, 2, "a worker comes with a fence");
    let lost = house.run(&format!("transfer pick T1 --worker bob --fence {fence}"));
    assert_eq!(lost.code, 3);
    assert!(lost.err.contains("(claim_lost)"), "{}", lost.err);
    let picked = house.done(&format!("transfer pick T1 --worker ann --fence {fence}"));
    assert!(picked.starts_with("transfer T1 is picked (event N)\n"), "{picked}");
    let shown = house.done("transfer show T1");
    assert!(shown.contains("to pick:\nZONE  LINES  WORKER  FENCE  UNTIL\nB         1  bob "), "{shown}");
    let fence = claims["claims"][0]["fence"].as_u64().unwrap();
    house.done(&format!("transfer unclaim T1 --worker bob --fence {fence}"));
    assert!(house.done("events --kind transfer_unclaimed").trim_end().ends_with("transfer T1  T1/B"));
}

#[test]
fn more_than_was_on_the_way_is_told() {
    let house = House::furnished();
    house.done("transfer request T1 --from ICN --to GMP mug=5");
    house.done("transfer allocate T1");
    house.done("transfer pick T1");
    house.done("transfer ship T1 SHIP-1");
    assert_eq!(house.done("transfer receive T1 1=2"), "transfer T1 is received (event N)\n");
    let received = "transfer T1 is received (event N)\n497 more than were on the way, booked as found\n";
    assert_eq!(house.done("transfer receive T1 1=500,damaged=0"), received);
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_command_line() {
    let house = House::furnished();
    for (arguments, code, told) in [
        ("stock count K1 --site ICN mug@A-01=-2", 2, "mug@A-01=-2: a count is not negative"),
        (
            "serve --listen localhost:7878",
            2,
            "it is not like 127.0.0.1:7878 (an address, no name, and a port)",
        ),
        ("transfer ship T1", 2, "Usage: jaego transfer ship <TRANSFER> <SHIPMENT>"),
        ("claim next ICN --worker bob --work picks", 3, "`jaego transfer list --status allocated`"),
    ] {
        let ran = house.run(arguments);
        assert!(ran.code == code && ran.err.contains(told), "{arguments}: {} {}", ran.code, ran.err);
    }
    house.done("transfer request T1 --from GMP --to ICN mug=1");
    house.done("stock adjust S9 --site GMP --account opening mug@BAD=1");
    let refused = house.run("stock move M1 --site GMP mug=1 --from BAD --to IN");
    assert_eq!(refused.code, 0, "{}", refused.err);
    house.done("cart set C1 --site ICN --owner kim");
    house.done("cart item C1 mug 1 --key k");
    house.done("cart item C1 mug 2");
    assert!(house.done("cart item C1 mug 1 --key k").contains("was before"));
}

/// The fence of the first claim on what a transfer has to pick.
fn fence_of(house: &House, transfer: &str) -> u64 {
    let shown = house.run(&format!("transfer show {transfer} --json"));
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    let claims = shown["picking"].as_array().unwrap().iter().map(|work| &work["claim"]);
    claims.filter_map(|claim| claim["fence"].as_u64()).next().unwrap()
}

#[test]
fn a_refusal_says_what_was_typed() {
    let house = House::furnished();
    let file = house.data().join("lines.csv");
    std::fs::write(&file, "sku,quantity\nmug,1\nmug,0\n").unwrap();
    let file = file.display();
    let from_file = format!("transfer request T1 --from ICN --to GMP --file {file}");
    let other = "which has a character other than letters, digits and -_.:";
    for (typed, told) in [
        (
            "transfer request T1 --from ICN --to GMP mug=1 pot=2",
            "line 2, pot=2: there is no SKU pot (sku_not_found)".to_owned(),
        ),
        (
            "transfer request T1 --from ICN --to GMP mug=1 mug=0",
            "line 2, mug=0: quantity is zero (invalid_value)".to_owned(),
        ),
        (
            "transfer request T1 --from I/N --to GMP mug=1",
            format!("--from is \"I/N\", {other} (invalid_value)"),
        ),
        ("transfer request T/1 --from ICN --to GMP mug=1", format!("ID is \"T/1\", {other} (invalid_value)")),
        (&*from_file, format!("row 2 of {file}: quantity is zero (invalid_value)")),
        (
            "hold place H1 --site ICN mug=1 m*g=2",
            format!("line 2, m*g=2: sku is \"m*g\", {other} (invalid_value)"),
        ),
        (
            "hold place H1 --site ICN mug@A-09=1",
            "line 1, mug@A-09=1: site ICN has no location A-09 (location_not_found)".to_owned(),
        ),
        ("hold place H1 --site ICN mug=1 --expires 0s", "--expires is zero (invalid_value)".to_owned()),
    ] {
        let refused = house.run(typed);
        let first = refused.err.lines().next().unwrap_or_default();
        assert_eq!((refused.code, first), (3, &*format!("jaego: refused: {told}")), "{typed}");
    }
    house.done("transfer request T2 --from ICN --to GMP mug=1");
    house.done("transfer allocate T2");
    let refused = house.run("transfer pick T2 1=1 7=1");
    assert!(refused.err.starts_with("jaego: refused: 7=1: "), "{}", refused.err);
    // A program reads what the service said.
    let refused = house.run("hold place H1 --site ICN pot=1 --json");
    assert!(refused.out.contains("\"field\":\"lines[0].sku\""), "{}", refused.out);
}

#[test]
fn lines_are_typed_or_come_from_a_file() {
    let house = House::furnished();
    let neither = house.run("transfer request T1 --from ICN --to GMP");
    assert_eq!(neither.code, 2);
    assert!(neither.err.contains("<SKU=QUANTITY|--file <FILE>>"), "{}", neither.err);
    let both = house.run("transfer request T1 --from ICN --to GMP mug=1 --file lines.csv");
    assert!(both.code == 2 && both.err.contains("cannot be used with"), "{}", both.err);
}
