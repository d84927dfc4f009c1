use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jaego_lock::conformance::{answered, granted, refused};
use jaego_lock::{Error, Locks};
use tokio::time::sleep;

use crate::redis_faults::{Observer, PATIENCE, ms, process, server};

/// Longer than what a quarantine has to spare, a hold would outlive the memory of a server that has lost it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_for_longer_than_the_quarantine() {
    let (quarantine, longest) = (ms(2_500), ms(1_500));
    let server = server();
    let here = process(server.addr(), quarantine).await;
    let error = here.lock("a").lease(longest + ms(1)).acquire().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let guard = here.lock("a").lease(ms(1_000)).wait(quarantine * 2).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    let error = guard.extend(longest + ms(1)).await.unwrap_err();
    let Error::Refused { source, .. } = &error else { panic!("{error}") };
    let why = std::error::Error::source(source).unwrap().to_string();
    let told = "a lease of 1.501s is longer than 1.5s, which is the quarantine of 2.5s without the replicas' lag of 0ns \
                and 1s to spare";
    assert_eq!(why, told);
    assert_eq!(guard.valid_until(), valid_until, "it is held as before");
    let remaining = answered(|| here.look("a")).await.unwrap().holders[0].remaining;
    assert!(remaining <= ms(1_001), "and no longer: {remaining:?}");
    assert!(guard.extend(longest).await.unwrap() > valid_until);
    assert!(guard.release().await.was_held());
}

const SECOND: Duration = Duration::from_secs(1);
const USUAL: Duration = Duration::from_secs(41);
const STRICT: Duration = Duration::from_secs(120);

/// For how long a quarantine goes on, as it is told.
async fn remaining(locks: &Locks) -> Duration {
    match refused(|| locks.lock("a").lease(ms(500)).try_acquire()).await {
        Error::Quarantined { remaining, .. } => remaining,
        other => panic!("{other}"),
    }
}

async fn takes(locks: &Locks) {
    let guard = granted(|| locks.lock("a").lease(ms(500)).try_acquire()).await;
    assert!(guard.release().await.was_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ends_the_quarantine_of_those_who_asked_for_a_longer_one() {
    let server = server();
    let client = async |quarantine| process(server.addr(), quarantine).await;
    let none = client(Duration::ZERO).await;
    takes(&none).await;
    let usual = client(USUAL).await;
    let told = remaining(&usual).await;
    assert!(told <= USUAL && told > USUAL - 20 * SECOND, "{told:?}");
    let strict = client(STRICT).await;
    // Each of them, as soon as it has been asked for.
    for locks in [&strict, &none, &usual, &none] {
        let told = remaining(locks).await;
        assert!(told <= STRICT && told > STRICT - 20 * SECOND, "{told:?}");
    }
    // It is kept where all others are gone, and from server to server.
    let mut observer = Observer::of(&server).await;
    let boots: Vec<String> = observer.command("KEYS jaego:*:boot").await;
    for boot in &boots {
        let record: String = observer.command(&format!("GET {boot}")).await;
        let (_, rest) = record.split_once(':').unwrap();
        let (run_id, longest) = rest.split_once(':').unwrap();
        assert!(longest.starts_with("120000000:"), "{record}");
        let other = format!("calm:{}:{longest}", "7".repeat(run_id.len()));
        let () = observer.command(&format!("SET {boot} {other}")).await;
    }
    let told = remaining(&usual).await;
    assert!(told > STRICT - SECOND, "it begins anew: {told:?}");
}

/// Takes turns until one of them gets the lock, and returns how long it took.
async fn first_grant(addr: SocketAddr, quarantines: [Duration; 2]) -> Duration {
    let [one, other] = quarantines;
    let clients = [process(addr, one).await, process(addr, other).await];
    let started = Instant::now();
    loop {
        for locks in &clients {
            let Ok(guard) = locks.lock("a").lease(ms(400)).try_acquire().await else { continue };
            let took = started.elapsed();
            assert!(guard.release().await.was_held());
            for locks in &clients {
                takes(locks).await;
            }
            return took;
        }
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_wait_for_the_longest_quarantine_and_no_longer() {
    let (short, long) = (ms(1_500), ms(2_500));
    for quarantines in [[short, long], [long, short], [long, Duration::ZERO]] {
        let server = server();
        // The server is known from the first look at it on.
        let known = Instant::now();
        if quarantines[1].is_zero() {
            // What was calm for it is not for the other one.
            takes(&process(server.addr(), Duration::ZERO).await).await;
        }
        let took = first_grant(server.addr(), quarantines).await;
        assert!(
            known.elapsed() > long - ms(500) && took < long + PATIENCE * 2,
            "{took:?} of {quarantines:?}"
        );
    }
}

/// One asks for all of the line when the quarantine is to be over, and is told of another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_through_a_quarantine_and_meets_another_one_is_told_so() {
    const QUARANTINE: Duration = Duration::from_secs(3);
    let server = server();
    let here = process(server.addr(), QUARANTINE).await;
    let mut observer = Observer::of(&server).await;
    remaining(&here).await;
    let [patient, other] =
        [QUARANTINE * 5, QUARANTINE * 3 / 2].map(|wait| here.lock("a").lease(ms(500)).wait(wait));
    let patient = tokio::spawn(patient.acquire());
    while here.stats().waiting == 0 {
        sleep(ms(1)).await;
    }
    sleep(ms(50)).await;
    let other = tokio::spawn(other.acquire());
    sleep(ms(500)).await;
    let boots: Vec<String> = observer.command("KEYS jaego:*:boot").await;
    for boot in boots {
        let () = observer.command(&format!("SET {boot} {}", "7".repeat(40))).await;
    }
    let error = other.await.unwrap().unwrap_err();
    let Error::Quarantined { remaining, .. } = error else { panic!("{error}") };
    assert!(!remaining.is_zero() && remaining < QUARANTINE, "{remaining:?}");
    assert!(patient.await.unwrap().expect("granted at last").release().await.was_held());
}
