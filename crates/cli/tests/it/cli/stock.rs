//! Stock as people adjust, count and move it, and the holds on it.

use serde_json::Value;

use super::House;

#[test]
fn stock_is_told_as_it_was_and_how_it_came_to_be_what_it_is() {
    let house = House::furnished();
    let movements = house.run("stock movements --sku mug").out;
    let at = movements.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).unwrap();
    house.done("stock adjust S2 --site ICN mug@A-01=-3 --reason broken");
    house.done("stock move M1 --site ICN mug@A-01=2 --to A-02");
    assert_eq!(
        house.done(&format!("stock list --sku mug --as-of {at}")),
        "SITE  LOCATION  SKU  ON HAND\nICN   A-01      mug        8\n"
    );
    let points = house.done("sku history mug --site ICN");
    let points: Vec<String> = points
        .lines()
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            if words[0] == "TIME" {
                words.remove(1);
            }
            words.join(" ")
        })
        .collect();
    assert_eq!(
        points,
        [
            "AT EVENT CHANGE ON HAND DOCUMENT BY REASON",
            "TIME +8 8 adjustment S1 admin adjusted",
            "TIME -3 5 adjustment S2 admin broken",
        ],
        "a bin move changes no balance"
    );
    assert_eq!(house.done("sku history mug --site GMP").lines().count(), 1, "GMP never had any");
    let refused = house.run("stock list --as-of 2999-01-01T00:00:00Z");
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("--as-of is in the future"), "{}", refused.err);
    assert!(house.run("stock list --as-of tomorrow").err.contains("as-of is not an instant"));
}

#[test]
fn stock_is_adjusted_counted_moved_and_taken_back() {
    let house = House::furnished();
    assert_eq!(
        house.done("stock list"),
        "SITE  LOCATION  SKU  ON HAND  HELD  UNAVAILABLE  AVAILABLE\n\
         ICN   A-01      mug        8     0            0          8\n\
         ICN   A-02      cup        3     0            0          3\n"
    );
    assert_eq!(house.done("stock count C1 --site ICN mug@A-01=7"), "stock is counted by C1 (event N)\n");
    assert_eq!(
        house.done("stock move M1 --site ICN mug@A-01=3 --to A-02"),
        "stock is moved by M1 (event N)\n"
    );
    let movements = house.done("stock movements --sku mug");
    let movements: Vec<Vec<&str>> =
        movements.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let told: Vec<_> = movements.iter().map(|words| words[1..].join(" ")).collect();
    assert_eq!(
        told,
        [
            "TIME mug 8 opening ICN A-01 adjustment S1 admin adjusted",
            "TIME mug 1 ICN A-01 loss adjustment C1 admin counted",
            "TIME mug 3 ICN A-01 ICN A-02 move M1 admin moved",
        ]
    );
    let last = movements[2][0];
    assert_eq!(
        house.done(&format!("stock reverse {last}")),
        format!("movement {last} is reversed (event N)\n")
    );
    assert_eq!(
        house.done("stock totals mug"),
        "SITE  ON HAND  HELD  UNAVAILABLE  AVAILABLE  SAFETY\nICN         7     0            0          7       5\n"
    );
    let refused = house.run("stock adjust S2 --site ICN mug@A-01=-9");
    assert_eq!(refused.code, 3, "{}", refused.err);
}

#[test]
fn an_adjustment_releases_the_holds_of_those_that_it_names() {
    let house = House::furnished();
    house.done("hold place H1 --site ICN mug=3");
    house.done("order place O2 --site ICN mug=4");
    let refused = house.run("stock count C1 --site ICN mug@A-01=5 --release hold:H9,transfer:T1");
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert_eq!(
        refused.err,
        "jaego: refused: line 1, mug@A-01=5: 2 of mug at ICN A-01 would have to be released, and those who were named have 0 (held_by_others)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         hold     H1  1            3\n\
         order    O2  1            4\n\
         try: name those as well with --release, adjust by less, or say --release-holds to cut anybody's\n"
    );
    assert_eq!(
        house.done("stock count C1 --site ICN mug@A-01=5 --release hold:H9,order:O2"),
        "stock is counted by C1 (event N)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         order    O2  1            2\n"
    );
    assert_eq!(
        house.done("stock adjust A1 --site ICN mug@A-01=-4 --release order:O2 --release hold:H1"),
        "stock is adjusted by A1 (event N)\n\
         holders:\n\
         HELD BY  ID  LINE  QUANTITY\n\
         hold     H1  1            3\n\
         order    O2  1            1\n"
    );
    for wrong in ["hold", "wallet:W1", ":H1"] {
        let ran = house.run(&format!("stock count C2 --site ICN mug@A-01=1 --release {wrong}"));
        assert_eq!(ran.code, 2, "{wrong}: {}{}", ran.out, ran.err);
    }
    let both = house.run("stock count C2 --site ICN mug@A-01=1 --release hold:H1 --release-holds");
    assert_eq!(both.code, 2, "{}{}", both.out, both.err);
}

#[test]
fn holds_are_placed_once_and_refused_with_their_numbers() {
    let house = House::furnished();
    let placed = house.done("hold place H1 --site ICN mug=4 cup=2 --expires 10m");
    assert_eq!(
        placed,
        "hold H1 stands until TIME (event N)\n\
         LINE  SKU  SITE  LOCATION  QUANTITY\n\
         1     mug  ICN   A-01             4\n\
         2     cup  ICN   A-02             2\n"
    );
    let again = house.done("hold place H1 --site ICN mug=4 cup=2 --expires 10m");
    assert!(
        again.starts_with("hold H1 stands until TIME (event N, and was before: nothing new happened)\n"),
        "{again}"
    );
    let refused = house.run("hold place H2 --site ICN mug=7");
    assert_eq!((refused.code, refused.out.as_str()), (3, ""));
    assert_eq!(
        refused.err,
        "jaego: refused: line 1 asks for 7 of mug at ICN, and 4 are available (insufficient_stock)\n\
         short:\n\
         LINE  SKU  SITE  REQUESTED  AVAILABLE\n\
         1     mug  ICN           7          4\n\
         try: ask for less, or say --partial allow to take what there is; `jaego stock list --sku SKU` shows where it lies\n"
    );
    let problem = house.run("hold place H2 --site ICN mug=7 --json");
    assert_eq!(problem.code, 3);
    let problem: Value = serde_json::from_str(&problem.out).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"insufficient_stock".into(), &409.into()));
    assert_eq!(house.done("hold extend H1 1h"), "hold H1 stands until TIME (event N)\n");
    assert_eq!(house.done("hold confirm H1 1=3"), "hold H1 is confirmed (event N)\n");
    assert_eq!(
        house.done("hold show H1"),
        "hold    H1\nstatus  held\nuntil   TIME\n\
         LINE  SITE  SKU  QUANTITY  HELD  LOCATION\n\
         1     ICN   mug         4     1  A-01\n\
         2     ICN   cup         2     2  A-02\n"
    );
    house.done("hold change H1 --site ICN mug=2");
    assert_eq!(house.done("hold release H1 --key K1"), "hold H1 is released (event N)\n");
    assert_eq!(
        house.done("hold release H1 --key K1"),
        "hold H1 is released (event N, and was before: nothing new happened)\n"
    );
}
