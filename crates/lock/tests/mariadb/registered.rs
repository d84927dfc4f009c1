//! Names that nobody has used before, by many sessions at once.

use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::fence::{MYSQL_RAISE, MYSQL_REGISTER, MYSQL_TABLE};
use jaego_testkit::MariaDb;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, TxOpts};
use tokio::time::sleep;

use crate::stopped::connect;

const SESSIONS: u64 = 8;
/// Names of each session.
const NAMES: Size = Size { everyday: 100, soak: 3_300 };
const FENCE: u64 = 7;

/// Raises the fence of a name as the documentation of the statements has it. Returns whether the row had to be made.
async fn raise(database: &mut Conn, name: &str) -> bool {
    for registered in [false, true] {
        let mut transaction = database.start_transaction(TxOpts::default()).await.unwrap();
        transaction.exec_drop(MYSQL_RAISE, (FENCE, name, FENCE)).await.unwrap();
        if transaction.affected_rows() == 1 {
            // Whatever it guards.
            sleep(Duration::from_millis(1)).await;
            transaction.commit().await.unwrap();
            return registered;
        }
        // Somebody else may be as far as this, with a name beside ours.
        sleep(Duration::from_millis(1)).await;
        transaction.rollback().await.unwrap();
        assert!(!registered, "the row of {name} was made");
        database.exec_drop(MYSQL_REGISTER, (name,)).await.unwrap();
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_new_are_registered_without_a_deadlock() {
    let database = MariaDb::start().unwrap();
    let url = format!("mysql://root@{}/test", database.addr());
    connect(&url).await.query_drop(MYSQL_TABLE).await.unwrap();
    let session = |number| {
        let url = url.clone();
        tokio::spawn(async move {
            let mut client = connect(&url).await;
            let mut registered = 0;
            for name in 0..NAMES.now() {
                registered +=
                    u64::from(raise(&mut client, &format!("product:{}", name * SESSIONS + number)).await);
            }
            registered
        })
    };
    let sessions: Vec<_> = (0..SESSIONS).map(session).collect();
    let mut registered = 0;
    for session in sessions {
        registered += session.await.unwrap();
    }
    assert_eq!(registered, NAMES.now() * SESSIONS);
}
