//! Wallets and trades as people type them, and whether they can type everything that there is.

use std::thread;

use jaego_api::{COMMANDS, READS};
use jaego_testkit::{Direction, FaultProxy};

use super::{House, WAIT};

#[test]
fn money_is_charged_paid_authorized_captured_and_refunded() {
    let house = House::start();
    assert_eq!(
        house.done("wallet charge kim KRW 5000 --reason card --reference R-1"),
        "kim is charged 5000 KRW, which leaves 5000 (event N)\n"
    );
    assert_eq!(house.done("wallet pay kim KRW 1200"), "kim paid 1200 KRW, which leaves 3800 (event N)\n");
    assert_eq!(
        house.done("wallet refund kim KRW 200"),
        "kim is refunded 200 KRW, which leaves 4000 (event N)\n"
    );
    let refused = house.run("wallet pay kim KRW 4001");
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("(insufficient_funds)"), "{}", refused.err);
    assert_eq!(house.done("wallet limit kim KRW -500"), "the KRW of kim never fall below -500 (event N)\n");
    assert_eq!(
        house.done("wallet authorize A1 kim KRW 3000 --reason hotel"),
        "3000 KRW of kim are held by A1 (event N)\n"
    );
    house.done("wallet authorize A2 kim KRW 700");
    assert_eq!(
        house.done("wallet capture kim A1 1000"),
        "authorization A1 is captured, which leaves 3000 (event N)\n"
    );
    assert_eq!(
        house.done("wallet authorizations kim"),
        "AUTHORIZATION  CURRENCY  AMOUNT  CAPTURED  HELD  REASON\n\
         A1             KRW         3000      1000  2000  hotel\n\
         A2             KRW          700         0   700\n"
    );
    assert_eq!(
        house.done("wallet authorization A1"),
        "authorization  A1\nstatus         open\nowner          kim\namount         3000 KRW\n\
         captured       1000\nheld           2000\nreason         hotel\n"
    );
    let page = house.run("wallet authorizations kim --limit 1");
    assert_eq!(page.err, "there may be more: --after A1\n");
    assert_eq!(house.done("wallet void kim A2"), "authorization A2 is voided (event N)\n");
    house.done("wallet capture kim A1 --release-rest");
    assert_eq!(
        house.done("wallet show kim"),
        "OWNER  CURRENCY  BALANCE  HELD  LIMIT  AVAILABLE  PAID  SOLD\n\
         kim    KRW          1000     0   -500       1500  4000     0\n"
    );
    assert_eq!(house.done("wallet list"), house.done("wallet show kim"));
    assert_eq!(
        house.done("wallet accounts"),
        "CURRENCY  ACCOUNT           BALANCE\n\
         KRW       payment_provider    -5000\n\
         KRW       sales                4000\n"
    );
    let statement = house.done("wallet statement kim --currency KRW");
    let changes: Vec<&str> = statement.lines().filter_map(|line| line.split_whitespace().nth(4)).collect();
    assert_eq!(
        changes,
        ["CHANGE", "+5000", "-1200", "+200", "-1000", "-2000"].map(|word| word),
        "{statement}"
    );
    assert_eq!(house.run("wallet statement lee").code, 3);
}

#[test]
fn a_row_of_wallets_is_loaded_whole_or_not_at_all() {
    let house = House::start();
    let full = house.file("full.csv", "owner,currency,balance\nkim,KRW,9007199254740991\n");
    assert_eq!(house.done(&format!("import wallets {full}")), "wallets: 1 loaded\n");
    let more = house.file(
        "more.csv",
        "owner,currency,balance,limit\npark,USD,10,-5\nkim,KRW,1,-500\nlee,USD,10,50\nchoi,USD,10,\njung,USD,10,7\n",
    );
    let import = format!("import wallets {more} --skip-bad --load second");
    let ran = house.run(&import);
    assert_eq!((ran.code, &*ran.out), (3, "wallets: 3 loaded, 2 refused\n"), "{}", ran.err);
    let told: Vec<&str> = ran.err.lines().collect();
    assert!(told[0].contains("more.csv:3: ") && told[0].ends_with("(amount_too_large)"), "{}", ran.err);
    assert!(told[1].contains("more.csv:4: ") && told[1].ends_with("(limit_above_balance)"), "{}", ran.err);
    // Neither has the refused charge left its limit, nor the refused limit its charge.
    assert_eq!(
        house.done("wallet list"),
        "OWNER  CURRENCY           BALANCE  HELD  LIMIT         AVAILABLE  PAID  SOLD\n\
         kim    KRW       9007199254740991     0      0  9007199254740991     0     0\n\
         park   USD                     10     0     -5                15     0     0\n\
         choi   USD                     10     0      0                10     0     0\n\
         jung   USD                     10     0      7                 3     0     0\n"
    );
    let ran = house.run(&import);
    assert_eq!((ran.code, &*ran.out), (3, "wallets: 0 loaded, 3 were there before, 2 refused\n"));
}

/// The service goes away between two batches: what came of the rows before is told all the same.
#[test]
fn a_load_that_breaks_off_says_what_was_loaded_and_where_to_go_on() {
    // Of two commands each: three batches.
    const ROWS: usize = 12_000;
    let house = House::start();
    let proxy = FaultProxy::start(house.addr).unwrap();
    let mut text = "owner,currency,balance,limit\nkim,KRW,5,-5\n".to_owned();
    // A limit above the balance: each of them is refused.
    (0..ROWS).for_each(|row| text += &format!("o{row},KRW,5,6\n"));
    let file = house.file("wallets.csv", &text);
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            // More than the refusals of one batch, less than those of two.
            let some = || (proxy.passed(Direction::ToClient) > 3_000_000).then_some(());
            jaego_testkit::wait_until("some answers", WAIT, some).unwrap();
            proxy.set_accepting(false);
            proxy.reset_connections();
        });
        house.run(&format!("import wallets {file} --skip-bad --url http://{}", proxy.addr()))
    });
    assert_eq!(ran.code, 4, "{}", ran.err);
    let refused =
        ran.out.strip_prefix("wallets: 1 loaded, ").and_then(|rest| rest.strip_suffix(" refused\n"));
    let refused: usize = refused.unwrap_or_else(|| panic!("{} {}", ran.out, ran.err)).parse().unwrap();
    assert!(refused > 0 && refused < ROWS, "{refused}");
    assert!(ran.err.starts_with(&format!("{file}:3: ")), "{}", ran.err);
    // Behind the heading, the row of kim and those that were refused.
    assert!(ran.err.contains(&format!("cannot load from line {} on", 3 + refused)), "{}", ran.err);
}

#[test]
fn cards_are_set_proposed_and_swapped() {
    let house = House::start();
    assert_eq!(house.done("card tiers 0"), "1 tier of prices is set (event N)\n");
    assert_eq!(house.done("card tiers 0 10000"), "2 tiers of prices are set (event N)\n");
    assert_eq!(house.done("card tiers"), "TIER   FROM\n   1      0\n   2  10000\n");
    assert_eq!(house.done("card set sword kim 9000"), "card sword is kim's at 9000 (event N)\n");
    house.done("card set shield lee 9500");
    house.done("card set crown lee 20000");
    assert_eq!(house.done("proposal make P1 kim sword shield"), "offer P1: sword for shield (event N)\n");
    assert_eq!(house.done("proposal make P2 kim sword crown"), "poke P2: sword for crown (event N)\n");
    let again = house.run("proposal make P3 lee shield sword");
    assert_eq!(again.code, 3);
    assert!(again.err.contains("(pair_proposed)"), "{}", again.err);
    assert_eq!(
        house.done("card show sword"),
        "card            sword\nowner           kim\nprice           9000\nopen proposals  2\n"
    );
    let shown = house.done("proposal show P1");
    assert!(
        shown.contains("\ngives     sword of kim, at 9000\nwants     shield of lee, at 9500\n"),
        "{shown}"
    );
    assert_eq!(house.run("proposal accept P1 kim").code, 3, "it is not his to accept");
    assert_eq!(
        house.done("proposal accept P1 lee"),
        "proposal P1 is accepted (event N)\nCLOSED  REASON\nP2      card_traded\n"
    );
    let cards = house.done("card list --owner kim");
    assert_eq!(cards, "CARD    OWNER  PRICE  OPEN PROPOSALS\nshield  kim     9500               0\n");
    house.done("proposal make P4 kim shield crown");
    assert_eq!(house.done("proposal withdraw P4 kim"), "proposal P4 is withdrawn (event N)\n");
    house.done("proposal make P5 lee crown shield");
    assert_eq!(house.done("proposal reject P5 kim"), "proposal P5 is rejected (event N)\n");
    let listed = house.done("proposal list --card crown --status rejected");
    assert!(listed.lines().count() == 2 && listed.contains("\nP5 "), "{listed}");
}

#[test]
fn an_order_and_its_worker_are_found() {
    let house = House::furnished();
    house.done("order place O1 --site ICN mug=8");
    house.done("order place O2 --site ICN mug=2 --backorder");
    let ids = |list: &str| -> Vec<String> {
        let told = house.done(list);
        told.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    assert_eq!(ids("order list --allocated true"), ["O1"]);
    assert_eq!(ids("order list --allocated false"), ["O2"]);
    assert_eq!(
        ids("order list --since 2026-01-01T00:00:00Z --until 2999-01-01T09:00:00+09:00"),
        ["O1", "O2"]
    );
    assert!(ids("order list --since 2999-01-01T00:00:00Z").is_empty());
    assert_eq!(house.run("order list --since yesterday").code, 3);
    let told = house.done("order explain O2");
    assert!(told.starts_with("line 1: 2 of mug asked for, 2 still open, 0 available\n"), "{told}");
    assert!(told.contains("order O1"), "who holds it: {told}");
    assert_eq!(house.done("order explain O1"), "every line is allocated\n");
    assert_eq!(house.run("order explain O2 --line 2").code, 3);
    house.done("transfer request T1 --from ICN --to GMP cup=1");
    house.done("transfer allocate T1");
    house.done("transfer claim T1 --worker ann");
    assert_eq!(ids("transfer list --worker ann"), ["T1"]);
    assert!(ids("transfer list --worker bob").is_empty());
    assert_eq!(ids("transfer list --until 2999-01-01T00:00:00Z"), ["T1"]);
    assert!(ids("transfer list --until 2026-01-01T00:00:00Z").is_empty());
}

/// A command or a read that is added has to be reachable from here as well.
#[test]
fn every_command_and_every_read_can_be_typed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut source = String::new();
    let files = ["", "/import"].map(|inner| std::fs::read_dir(format!("{folder}{inner}")).unwrap());
    for file in files.into_iter().flatten().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|end| end == "rs") {
            source += &std::fs::read_to_string(file).unwrap();
        }
    }
    let names = COMMANDS.iter().map(|row| row.op).chain(READS.iter().map(|row| row.name));
    let missing: Vec<&str> = names.filter(|name| !source.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "the command line has no {missing:?}");
}
