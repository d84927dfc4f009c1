//! Names that nobody has used before, by many sessions at once.

use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::fence::{MYSQL_RAISE, MYSQL_REGISTER, MYSQL_TABLE};
use jaego_testkit::MariaDb;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, TxOpts};
use tokio::time::sleep;

use crate::mariadb::stopped::connect;

const SESSIONS: u64 = 8;
/// Names that each session raises.
const NAMES: Size = Size { everyday: 100, soak: 3_300 };
const FENCE: u64 = 7;

/// Raises the fence of a name as the documentation of the statements has it.
async fn raise(database: &mut Conn, name: &str) {
    for is_registered in [false, true] {
        let mut transaction = database.start_transaction(TxOpts::default()).await.unwrap();
        transaction.exec_drop(MYSQL_RAISE, (FENCE, name, FENCE)).await.unwrap();
        if transaction.affected_rows() == 1 {
            return transaction.commit().await.unwrap();
        }
        // Somebody else may be as far as this, with the same name or with the one beside it.
        sleep(Duration::from_millis(1)).await;
        transaction.rollback().await.unwrap();
        assert!(!is_registered, "the row of {name} was made");
        database.exec_drop(MYSQL_REGISTER, (name,)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_new_are_registered_without_a_deadlock() {
    let database = MariaDb::start().unwrap();
    let url = format!("mysql://root@{}/test", database.addr());
    let mut client = connect(&url).await;
    client.query_drop(MYSQL_TABLE).await.unwrap();
    let session = |number| {
        let url = url.clone();
        tokio::spawn(async move {
            let mut client = connect(&url).await;
            for turn in 0..NAMES.now() {
                // Two sessions come with the same one.
                raise(&mut client, &format!("product:{}", turn * SESSIONS / 2 + number / 2)).await;
            }
        })
    };
    let sessions: Vec<_> = (0..SESSIONS).map(session).collect();
    for session in sessions {
        session.await.unwrap();
    }
    let count = "SELECT COUNT(*), CAST(SUM(writes) AS UNSIGNED) FROM fences";
    let (names, writes): (u64, u64) = client.query_first(count).await.unwrap().unwrap();
    assert_eq!((names, writes), (NAMES.now() * SESSIONS / 2, NAMES.now() * SESSIONS));
}
