use std::time::{Duration, Instant};

use jaego_lock::conformance::refused;
use jaego_lock::{BootTime, Error, Lost, Outcome};
use tokio::time::{sleep, timeout};

use crate::redis_faults::{Observer, PATIENCE, ms, process, rounds, server};

const QUARANTINE: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_an_error_in_time() {
    let mut server = server();
    let here = process(server.addr(), Duration::ZERO).await;
    drop(here.lock("a").acquire().await.unwrap());
    for _ in 0..rounds(3) {
        server.stop().unwrap();
        for wait in [ms(0), ms(50), ms(400)] {
            let started = Instant::now();
            let error = here.lock("a").wait(wait).acquire().await.unwrap_err();
            let took = started.elapsed();
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            // Without a wait, one answer is waited for.
            let limit = if wait.is_zero() { here.settings().response_timeout } else { wait };
            assert!(took < limit + ms(50) + PATIENCE / 4, "{took:?} for {wait:?}");
        }
        server.cont().unwrap();
        let guard = here.lock("a").acquire().await.expect("it goes on");
        assert!(guard.release().await.was_held());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_told_in_time_though_the_server_is_stopped() {
    let mut server = server();
    let (here, there) =
        (process(server.addr(), Duration::ZERO).await, process(server.addr(), Duration::ZERO).await);
    for round in 0..rounds(3) {
        // With a keeper as well as without one.
        let request = here.lock("a");
        let guard = if round % 2 == 0 { request } else { request.lease(ms(600)) }.acquire().await.unwrap();
        let request = there.lock("a");
        let waiter = tokio::spawn(async move { (request.acquire().await.unwrap(), BootTime::now()) });
        sleep(ms(50)).await;
        server.stop().unwrap();
        let how = timeout(ms(600) + PATIENCE, guard.lost()).await.expect("the clock tells");
        let late = BootTime::now().since(guard.valid_until());
        assert_eq!(how, Lost::Expired);
        assert!(late < ms(50) + PATIENCE / 4, "{late:?}");
        let outcome = guard.release().await;
        assert!(matches!(outcome, Outcome::Expired), "{outcome:?}");
        server.cont().unwrap();
        let (next, _) = timeout(PATIENCE * 5, waiter).await.expect("the waiter gets it").unwrap();
        assert!(next.is_valid());
        assert!(next.release().await.was_held());
    }
    Observer::of(&server).await.until_clean(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_a_stopped_server_and_given_up_is_not_done_later() {
    let mut server = server();
    let here = process(server.addr(), Duration::ZERO).await;
    drop(here.lock("warm").acquire().await.unwrap());
    let mut observer = Observer::of(&server).await;
    for round in 0..rounds(3) {
        server.stop().unwrap();
        for turn in 0..8 {
            let request = here.lock(format!("a{turn}")).wait(ms(10 + 10 * round));
            let error = if turn % 2 == 0 { request.fair() } else { request }.acquire().await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        }
        // The requests are in the server's socket, and some of the releases are not any more.
        sleep(ms(300 * round)).await;
        server.cont().unwrap();
        observer.until_clean(ms(3_000)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_everything_grants_nothing_for_a_while() {
    // A lease that is known to go on when the server is found again, however long a busy machine takes to find it.
    const QUARANTINE: Duration = Duration::from_secs(6);
    const LEASE: Duration = Duration::from_millis(4_500);
    let mut server = server();
    let (here, there) = (process(server.addr(), QUARANTINE).await, process(server.addr(), QUARANTINE).await);
    // The very first time as well: nobody can tell an empty server from one that lost all.
    let error = refused(|| here.lock("a").lease(ms(500)).try_acquire()).await;
    let Error::Quarantined { remaining, .. } = error else { panic!("{error}") };
    assert!(remaining <= QUARANTINE);
    sleep(remaining).await;

    for round in 0..rounds(2) {
        // One without a keeper, and one whose keeper finds out.
        let kept = here.lock("kept").acquire().await.unwrap();
        let leased = here.lock("leased").lease(LEASE).acquire().await.unwrap();
        if round % 2 == 0 {
            server.restart_empty().unwrap();
        } else {
            server.kill_9().unwrap();
            sleep(ms(200)).await;
            server.restart().unwrap();
        }
        let requests = ["kept", "leased"].map(|key| {
            let request = there.lock(key).lease(ms(500)).wait(QUARANTINE * 3);
            tokio::spawn(async move { (request.acquire().await.unwrap(), BootTime::now()) })
        });
        let error = refused(|| there.lock("leased").lease(ms(500)).try_acquire()).await;
        let found = Instant::now();
        assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        assert!(leased.is_valid(), "nobody else can have it");
        let error = refused(|| there.lock("b").lease(ms(500)).wait(ms(200)).acquire()).await;
        assert!(matches!(error, Error::Quarantined { .. }), "{error}");
        assert_eq!(kept.lost().await, Lost::Expired, "its keeper does not bring it back");
        leased.lost().await;
        let lost_at = BootTime::now();
        for (request, old) in requests.into_iter().zip([kept, leased]) {
            let (new, got_at) =
                timeout(QUARANTINE + PATIENCE, request).await.expect("granted again").unwrap();
            assert!(got_at > lost_at.min(old.valid_until()), "two held it");
            assert!(new.fence() > old.fence(), "fences grow though the counter was lost");
            assert!(!old.release().await.was_held());
        }
        assert!(found.elapsed() < QUARANTINE + PATIENCE * 2, "{:?}", found.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_changes_hands_under_an_open_connection_is_noticed() {
    let server = server();
    let here = process(server.addr(), QUARANTINE).await;
    let mut observer = Observer::of(&server).await;
    for flush in [false, true] {
        drop(here.lock("a").lease(ms(500)).wait(QUARANTINE * 2).acquire().await.unwrap());
        if flush {
            // Somebody has emptied it.
            let () = observer.command("FLUSHALL").await;
        } else {
            // It was a replica for a while, and nobody has cut our connection.
            let boots: Vec<String> = observer.command("KEYS jaego:*:boot").await;
            for boot in boots {
                let () = observer.command(&format!("SET {boot} {}", "7".repeat(40))).await;
            }
        }
        let error = refused(|| here.lock("a").lease(ms(500)).try_acquire()).await;
        let Error::Quarantined { remaining, .. } = error else { panic!("{error}") };
        assert!(remaining > QUARANTINE / 2, "{remaining:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_longer_than_the_quarantine_are_refused() {
    let server = server();
    let here = process(server.addr(), QUARANTINE).await;
    let error = here.lock("a").lease(QUARANTINE + ms(1)).acquire().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_another_layout_are_refused() {
    let server = server();
    let here = process(server.addr(), Duration::ZERO).await;
    drop(here.lock("a").acquire().await.unwrap());
    let options = jaego_lock::RedisOptions::new(&server.url()).unwrap().quarantine(Duration::ZERO);
    let other = jaego_lock::Redis::start(options.shards(7).unwrap());
    let other = jaego_lock::Locks::new(other);
    let started = Instant::now();
    let error = other.lock("a").acquire().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(started.elapsed() < PATIENCE, "it is not tried again and again");
    // An earlier version, which knows nothing of how many a holder lets in.
    let () = Observer::of(&server).await.command("SET jaego:layout 1:64").await;
    let late = process(server.addr(), Duration::ZERO).await;
    let error = late.lock("a").acquire().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_is_told_them_again() {
    let server = server();
    let here = process(server.addr(), Duration::ZERO).await;
    let mut observer = Observer::of(&server).await;
    for _ in 0..3 {
        let guard = here.lock("a").acquire().await.unwrap();
        let () = observer.command("SCRIPT FLUSH").await;
        assert!(guard.extend(ms(1_000)).await.is_ok());
        let () = observer.command("SCRIPT FLUSH").await;
        assert!(guard.release().await.was_held());
        let () = observer.command("SCRIPT FLUSH").await;
    }
}
