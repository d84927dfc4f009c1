//! Schemas that an earlier version has made.

use tokio::time::{sleep, timeout};

use super::{PATIENCE, connect, ms, options, process, server};

/// As it was before there was a clock.
const WITHOUT_CLOCK: &str = "DROP TABLE jaego_lock.clock";
/// Takes the lock `a` for so many microseconds.
const ACQUIRE: &str = "SELECT o_outcome FROM jaego_lock.acquire(
    ARRAY['a'], '\\x17', 'exclusive', 1, $1, 0, false, 0, false, 0, 9223372036854775807, 0)";
const LONGEST: &str = "SELECT lease_us FROM jaego_lock.clock";

/// The tables and the function as they were before there were turns and a clock, and two who hold a lock since then.
const WITHOUT_TURNS: &str = "
    ALTER TABLE jaego_lock.entries DROP COLUMN turn;
    DROP TABLE jaego_lock.clock;
    DROP FUNCTION jaego_lock.acquire;
    CREATE FUNCTION jaego_lock.acquire(
        p_keys text[], p_owner bytea, p_mode text, p_holders_max integer, p_lease_us bigint, p_fence_min bigint,
        p_fair boolean, p_ttl_us bigint, p_queue boolean, p_place bigint, p_not_after bigint, p_claim_us bigint,
        OUT o_outcome integer, OUT o_now bigint, OUT o_number bigint, OUT o_key integer,
        OUT o_holder_remaining bigint, OUT o_retry_after bigint, OUT o_head bytea
    ) LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of an earlier version'; END $$;
    INSERT INTO jaego_lock.entries (key, owner, mode, until_us, fence, holders_max)
        SELECT 'a', decode(repeat(fence::text, 32), 'hex'), 'allocate', jaego_lock.now_us() + 600000000, fence, 1024
        FROM generate_series(7, 8) AS fence";

#[tokio::test]
async fn locks_that_are_held_since_before_there_were_turns_have_one() {
    let server = server();
    drop(process(&server).await);
    connect(&server).await.batch_execute(WITHOUT_TURNS).await.unwrap();
    let locks = process(&server).await;
    // And once more, which changes nothing.
    drop(process(&server).await);
    let joined = locks.mode("a", "allocate").try_acquire().await.unwrap();
    assert!(joined.fence() > 8);
    assert_eq!(joined.turn(), 8, "the greatest of those who hold it: nobody is refused who was not before");
    let again = locks.mode("a", "allocate").try_acquire().await.unwrap();
    assert_eq!(again.turn(), 8);
    let alone = locks.lock("b").try_acquire().await.unwrap();
    assert_eq!(alone.turn(), alone.fence());
    let longest = server.execute("postgres", "SELECT lease_us FROM jaego_lock.clock").unwrap();
    assert!(
        longest.parse::<u64>().unwrap() > 500_000_000,
        "a clock that is set may cut short what they hold: {longest}"
    );
    for guard in [joined, again, alone] {
        assert!(guard.release().await.was_held());
    }
}

/// Who was granted rights on the tables one by one has them on those that come later.
#[tokio::test]
async fn a_role_that_could_lock_before_can_lock_after() {
    let server = server();
    drop(process(&server).await);
    let client = connect(&server).await;
    let granted = "CREATE ROLE \"the clerk\"; GRANT USAGE ON SCHEMA jaego_lock TO \"the clerk\";
        GRANT SELECT, INSERT, UPDATE, DELETE ON jaego_lock.entries, jaego_lock.ends, jaego_lock.processes TO \"the clerk\";
        GRANT USAGE, SELECT, UPDATE ON jaego_lock.fence TO \"the clerk\"";
    for sql in [granted, WITHOUT_CLOCK] {
        client.batch_execute(sql).await.unwrap();
    }
    options(&server).migrate().await.unwrap();
    client.batch_execute("SET ROLE \"the clerk\"").await.unwrap();
    let outcome: i32 = client.query_one(ACQUIRE, &[&1_000_000_i64]).await.unwrap().get(0);
    assert_eq!(outcome, 1);
}

/// A grant that is on its way while the table of the clock is made.
#[tokio::test]
async fn the_longest_lease_is_that_of_those_as_well_who_are_about_to_be_told() {
    let server = server();
    drop(process(&server).await);
    let (mut holder, looker) = (connect(&server).await, connect(&server).await);
    holder.batch_execute(WITHOUT_CLOCK).await.unwrap();
    let transaction = holder.transaction().await.unwrap();
    let hold = "INSERT INTO jaego_lock.entries (key, owner, mode, until_us, fence, holders_max)
        VALUES ('a', '\\x17', 'exclusive', jaego_lock.now_us() + 600000000, 7, 1)";
    transaction.batch_execute(hold).await.unwrap();
    let options = options(&server);
    let migration = tokio::spawn(async move { options.migrate().await });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)";
    let stands = async {
        while !migration.is_finished() && !looker.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
            sleep(ms(5)).await;
        }
    };
    timeout(PATIENCE * 5, stands).await.expect("it is done or waits");
    transaction.commit().await.unwrap();
    migration.await.unwrap().unwrap();
    let longest: i64 = looker.query_one(LONGEST, &[]).await.unwrap().get(0);
    assert!(longest > 500_000_000, "{longest}");
    // A request that is sent again may ask for more than is left.
    for lease_us in [700_000_000_i64, 800_000_000] {
        let outcome: i32 = looker.query_one(ACQUIRE, &[&lease_us]).await.unwrap().get(0);
        assert_eq!(outcome, 1);
        let longest: i64 = looker.query_one(LONGEST, &[]).await.unwrap().get(0);
        assert_eq!(longest, lease_us);
    }
}
