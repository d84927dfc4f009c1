//! Schemas that an earlier version has made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jaego_lock::{Error, Locks, Postgres, PostgresOptions, backend};
use tokio::time::{sleep, timeout};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{PATIENCE, connect, ms, options, process, server, settings};

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
    DROP FUNCTION jaego_lock.sweep_some;
    DROP FUNCTION jaego_lock.sweep;
    CREATE FUNCTION jaego_lock.sweep(p_process bytea, p_name text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'of an earlier version'; END $$;
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

/// The sweep as it was before it told whether there is more.
const EARLIER_SWEEP: &str = "
    DROP FUNCTION jaego_lock.sweep_some; DROP FUNCTION jaego_lock.sweep;
    CREATE FUNCTION jaego_lock.sweep(p_process bytea, p_name text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'of an earlier version'; END $$";

/// How an earlier program makes its own, and calls it.
const EARLIER_MIGRATION: &str = "
    CREATE OR REPLACE FUNCTION jaego_lock.sweep(p_process bytea, p_name text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN DELETE FROM jaego_lock.ends; END $$";
const EARLIER_CALL: &str = "SELECT jaego_lock.now_us() AS o_now FROM jaego_lock.sweep('\\x17', 'earlier')";

#[tokio::test]
async fn an_earlier_program_sweeps_beside_a_later_one() {
    let server = server();
    options(&server).migrate().await.unwrap();
    let client = connect(&server).await;
    client.batch_execute(EARLIER_SWEEP).await.unwrap();
    options(&server).migrate().await.unwrap();
    client.batch_execute("INSERT INTO jaego_lock.ends VALUES ('\\x17', true, 0)").await.unwrap();
    client.batch_execute(EARLIER_CALL).await.unwrap();
    let left: i64 = client.query_one("SELECT count(*) FROM jaego_lock.ends", &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "it is swept up");
    client.batch_execute(EARLIER_MIGRATION).await.unwrap();
    let locks = process(&server).await;
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());
}

/// What a later version may have changed, in a function whose signature stays.
const LATER_SCHEMA: &str = "
    CREATE OR REPLACE FUNCTION jaego_lock.version() RETURNS integer LANGUAGE sql AS $$ SELECT 1000 $$;
    CREATE OR REPLACE FUNCTION jaego_lock.rival(p_keys text[], p_owner bytea) RETURNS bigint LANGUAGE sql AS
        $$ SELECT 17::bigint $$";
const RIVAL: &str = "SELECT prosrc FROM pg_proc WHERE proname = 'rival'";

#[tokio::test]
async fn an_earlier_program_leaves_a_later_schema_as_it_is_and_goes_on() {
    let server = server();
    let before = process(&server).await;
    let guard = before.lock("a").lease(settings().lease_max).acquire().await.unwrap();
    let client = connect(&server).await;
    client.batch_execute(LATER_SCHEMA).await.unwrap();
    // It is started again, and migrates.
    let locks = process(&server).await;
    assert_eq!(server.execute("postgres", RIVAL).unwrap().trim(), "SELECT 17::bigint");
    assert!(matches!(locks.lock("a").try_acquire().await, Err(Error::Busy { .. })));
    assert!(guard.release().await.was_held());
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());

    let migration = options(&server).migration();
    let refused = client.batch_execute(&migration).await.unwrap_err();
    let told = refused.as_db_error().unwrap();
    assert_eq!(told.code().code(), "JL001");
    let message =
        "the schema jaego_lock is of version 1000, later than the 1 of this program, and was left as it is";
    assert_eq!(told.message(), message);
    assert_eq!(server.execute("postgres", RIVAL).unwrap().trim(), "SELECT 17::bigint");
}

/// An earlier program knows a later schema by its version alone: whoever changes the SQL raises that, and notes both here.
#[test]
fn a_schema_that_was_changed_has_another_version() {
    let migration = PostgresOptions::new("postgres://localhost/").unwrap().migration();
    let version = migration.lines().last().unwrap();
    assert!(version.ends_with("$$ SELECT 1 $$;"), "{version}");
    let hash = migration.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(hash, 0x0a4c_56c9_20cb_35df, "{hash:#018x}");
}

/// Counts how often a program is warned of its connections.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicU64>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() == Level::WARN && metadata.target().ends_with("postgres::link") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Callers are told so, and whoever reads the log is, once, though it is tried again and again.
#[tokio::test]
async fn a_schema_that_was_not_migrated_is_told_of() {
    let warnings = Warnings::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(warnings.clone()));
    let server = server();
    options(&server).migrate().await.unwrap();
    connect(&server).await.batch_execute(EARLIER_SWEEP).await.unwrap();
    let locks = Locks::with_settings(Postgres::start(options(&server)), settings()).unwrap();
    let error = locks.lock("a").acquire().await.unwrap_err();
    let Error::Refused { source: backend::Error::Refused { source, .. }, .. } = error else {
        panic!("{error:?}");
    };
    assert!(source.to_string().ends_with("run PostgresOptions::migrate"), "{source}");
    // Long enough for some more tries.
    sleep(PATIENCE).await;
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    options(&server).migrate().await.unwrap();
    let taken = timeout(PATIENCE * 5, async {
        loop {
            match locks.lock("a").acquire().await {
                Ok(guard) => return guard,
                Err(Error::Refused { .. }) => sleep(ms(20)).await,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    assert!(taken.await.expect("it goes on").release().await.was_held());
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
