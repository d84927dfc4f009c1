//! The statements that check a fence in MariaDB, on a real one.
//!
//! `JAEGO_SOAK=n` stops processes n times as often.

mod registered;
mod stopped;

use std::time::{Duration, Instant};

use jaego_lock::fence::{MYSQL_RAISE, MYSQL_REGISTER, MYSQL_TABLE};
use jaego_testkit::MariaDb;

/// A statement with its parameters put in.
fn bound(statement: &str, parameters: &[&str]) -> String {
    let mut parts = statement.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, parameter) in parts.zip(parameters) {
        text += parameter;
        text += part;
    }
    assert_eq!(statement.matches('?').count(), parameters.len());
    text
}

/// How many rows the raise changed, as a program would do it: with a row for the name made by itself when there is none.
fn raise(database: &MariaDb, name: &str, fence: u64) -> u32 {
    let (name, fence) = (format!("'{name}'"), fence.to_string());
    let raise = bound(MYSQL_RAISE, &[&fence, &name, &fence]);
    let tried = || {
        let rows = database.execute(&format!("START TRANSACTION; {raise}; SELECT ROW_COUNT(); COMMIT"));
        rows.unwrap().parse::<u32>().unwrap()
    };
    match tried() {
        0 => {
            database.execute(&bound(MYSQL_REGISTER, &[&name])).unwrap();
            tried()
        }
        rows => rows,
    }
}

#[test]
fn fences_are_checked_and_raised_in_mariadb() {
    let database = MariaDb::start().unwrap();
    for _ in 0..2 {
        database.execute(MYSQL_TABLE).unwrap();
    }
    assert_eq!(raise(&database, "product:17", 7), 1, "the first makes the row");
    assert_eq!(raise(&database, "product:17", 7), 1, "the same holder once more");
    assert_eq!(raise(&database, "product:17", 6), 0, "a stale one");
    assert_eq!(raise(&database, "product:17", 9), 1);
    assert_eq!(raise(&database, "product:17", 8), 0);
    assert_eq!(raise(&database, "product:18", 1), 1, "another lock");
    assert_eq!(raise(&database, "PRODUCT:17", 1), 1, "names are compared byte by byte");
    assert_eq!(raise(&database, "상품:17", 1), 1);
    let greatest = u64::from(u32::MAX) << 21;
    assert_eq!(raise(&database, "product:17", greatest), 1);
    let fences = database
        .execute("SELECT CONVERT(name USING utf8mb4), fence, writes FROM fences ORDER BY name")
        .unwrap();
    assert_eq!(
        fences,
        format!("PRODUCT:17\t1\t1\nproduct:17\t{greatest}\t4\nproduct:18\t1\t1\n상품:17\t1\t1")
    );

    // A transaction that has raised a fence keeps the next one out until it ends, and is then seen by it.
    let begin = bound(MYSQL_RAISE, &["9007199254740990", "'product:18'", "9007199254740990"]);
    let sale = format!("START TRANSACTION; {begin}; SELECT GET_LOCK('raised', 0), SLEEP(2); COMMIT");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| database.execute(&sale));
        let raised = || database.execute("SELECT IS_USED_LOCK('raised') IS NOT NULL").unwrap() == "1";
        let started = Instant::now();
        while !raised() {
            assert!(started.elapsed() < Duration::from_secs(10), "the first was not seen");
        }
        assert_eq!(raise(&database, "product:18", 5), 0, "it waits, and then it is stale");
        first.join().unwrap().unwrap();
    });
}
