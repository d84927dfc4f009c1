//! Schemas that an earlier version has made.

use super::{connect, process, server};

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
