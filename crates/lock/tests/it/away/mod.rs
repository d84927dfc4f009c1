//! A server that is away for a while, and what is let go of or prolonged meanwhile, whatever the server is.

use std::time::{Duration, Instant};

use jaego_lock::{Error, Locks, Lost, Mode, Outcome, Settings, attribute};
use jaego_testkit::FaultProxy;
use tokio::time::sleep;

use crate::ms;
use crate::struck::Ground;

/// How long it stays away when it is known to be. Connecting is tried again within half a second.
const AWAY: Duration = Duration::from_millis(150);
/// How late an expectation may come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longer than it takes a busy machine to find out that the server is away.
const LEASE: Duration = Duration::from_secs(5);

/// Makes one test of each, on a ground of its own.
macro_rules! scenarios {
    ($ground:expr) => {
        $crate::away::scenarios! { $ground;
            a_guard_that_is_dropped_while_the_server_is_away_is_released_when_it_is_back,
            a_release_and_an_extension_wait_for_a_server_that_is_away,
            a_result_stands_though_the_server_is_away_for_longer_than_the_lease,
            a_release_of_a_lost_lock_does_not_wait_for_a_server_that_is_away,
        }
    };
    ($ground:expr; $($scenario:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                $crate::away::$scenario(&$ground).await;
            }
        )*
    };
}
pub(crate) use scenarios;

/// A process, and its way to the server, which can be closed.
async fn process<G: Ground>(ground: &G) -> (FaultProxy, Locks) {
    let way = FaultProxy::start(ground.addr()).unwrap();
    let locks = G::locks(way.addr(), Settings::default(), Duration::ZERO).await;
    (way, locks)
}

/// Closes the way, and waits until steps fail at once because nobody can connect.
async fn close(way: &FaultProxy, locks: &Locks) {
    way.set_accepting(false);
    way.close_connections();
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = locks.look("b").await;
        if matches!(answer, Err(Error::Unavailable { .. })) && asked.elapsed() < ms(20) {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 5, "{answer:?}");
        sleep(ms(5)).await;
    }
}

pub(crate) async fn a_guard_that_is_dropped_while_the_server_is_away_is_released_when_it_is_back(
    ground: &impl Ground,
) {
    let (way, locks) = process(ground).await;
    let dropped = locks.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    close(&way, &locks).await;
    drop(dropped);
    sleep(AWAY).await;
    way.set_accepting(true);
    ground.until_clean(PATIENCE).await;
}

pub(crate) async fn a_release_and_an_extension_wait_for_a_server_that_is_away(ground: &impl Ground) {
    let (way, locks) = process(ground).await;
    let [released, extended, downgraded] = ["a", "b", "c"].map(|key| locks.lock(key).lease(ms(5_000)));
    let released = released.acquire().await.unwrap();
    let (extended, downgraded) = (extended.acquire().await.unwrap(), downgraded.acquire().await.unwrap());
    close(&way, &locks).await;
    let back = async {
        sleep(AWAY).await;
        way.set_accepting(true);
    };
    let (outcome, valid_until, read, ()) = tokio::join!(
        released.release(),
        extended.extend(ms(20_000)),
        downgraded.downgrade(Mode::shared()),
        back
    );
    assert!(outcome.was_held(), "{outcome:?}");
    assert!(valid_until.expect("asked again").remaining() > ms(15_000));
    read.expect("asked again");
}

/// The work is done before the server goes, and nobody can say so until the lease is over.
pub(crate) async fn a_result_stands_though_the_server_is_away_for_longer_than_the_lease(
    ground: &impl Ground,
) {
    let (way, locks) = process(ground).await;
    let guard = locks.lock("a").lease(LEASE).acquire().await.unwrap();
    close(&way, &locks).await;
    // So little is left that all tries would come to its end.
    sleep(guard.valid_until().remaining() - ms(500)).await;
    let valid_until = guard.valid_until();
    let back = async {
        sleep(valid_until.remaining() + ms(300)).await;
        way.set_accepting(true);
    };
    let (result, ()) = tokio::join!(attribute::settle(guard, Ok::<_, Error>(17)), back);
    assert_eq!(result.expect("it was held until the work was done"), 17);
    assert_eq!(locks.stats().losses, 0);
}

/// Nobody waits for the release of what is over: two seconds, else.
pub(crate) async fn a_release_of_a_lost_lock_does_not_wait_for_a_server_that_is_away(ground: &impl Ground) {
    let (way, locks) = process(ground).await;
    let [lost, held] = ["a", "b"].map(|key| locks.lock(key).lease(LEASE).acquire());
    let (lost, held) = (lost.await.unwrap(), held.await.unwrap());
    close(&way, &locks).await;
    // Its tries end with its lease.
    sleep(held.valid_until().remaining() - ms(300)).await;
    let started = Instant::now();
    let outcome = held.release().await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert!(started.elapsed() < ms(1_200), "{:?}", started.elapsed());

    assert_eq!(lost.lost().await, Lost::Expired);
    let started = Instant::now();
    let outcome = lost.release().await;
    assert!(matches!(outcome, Outcome::Expired), "{outcome:?}");
    assert!(started.elapsed() < ms(1_000), "{:?}", started.elapsed());
}
