use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use jaego_lock::conformance::Size;
use tokio::time::{sleep, timeout};

use crate::{Observer, PATIENCE, ms, process, rounds, server};

const FUTURES: Size = Size { everyday: 20_000, soak: 1_000_000 };
const TASKS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn futures_that_are_dropped_leave_no_key() {
    let server = server();
    let locks = process(server.addr(), Duration::ZERO);
    let mut observer = Observer::of(&server).await;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let locks = locks.clone();
        tasks.push(tokio::spawn(async move {
            let mut got = 0;
            for round in 0..FUTURES.now().div_ceil(TASKS) {
                let key = format!("a{}", (task + round) % 5);
                let request = match fastrand::u8(..4) {
                    0 => locks.lock(&key).fair(),
                    1 => locks.mode(&key, "allocate"),
                    2 => locks.lock(&key).lease(ms(2_000)),
                    _ => locks.lock(&key),
                };
                // From before the first step to long after the last one.
                let patience = Duration::from_micros(fastrand::u64(..1_500));
                let Ok(guard) = timeout(patience, request.acquire()).await else { continue };
                let guard = guard.unwrap();
                got += 1;
                match fastrand::u8(..4) {
                    0 => drop(guard),
                    1 => drop(timeout(Duration::from_micros(fastrand::u64(..200)), guard.release()).await),
                    2 => drop(
                        timeout(Duration::from_micros(fastrand::u64(..200)), guard.extend(ms(900))).await,
                    ),
                    _ => assert!(guard.release().await.was_held()),
                }
            }
            got
        }));
    }
    let mut got = 0;
    for task in tasks {
        got += task.await.unwrap();
    }
    let stats = locks.stats();
    assert!(got > 100 && stats.cancelled > 100, "{got} got, {stats:?}");
    // Two round trips, and the machine may be busy; far less than the shortest lease.
    observer.until_clean(ms(200)).await;
    let (renewals, scripts) = (locks.stats().renewals, observer.scripts().await);
    sleep(locks.settings().keeper_lease).await;
    assert_eq!(locks.stats().renewals, renewals, "a keeper outlived its lock");
    assert_eq!(observer.scripts().await, scripts, "something is still going on");
    assert_eq!(locks.stats().held, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_number_of_polls_can_be_the_last() {
    let server = server();
    let (here, there) = (process(server.addr(), Duration::ZERO), process(server.addr(), Duration::ZERO));
    let mut observer = Observer::of(&server).await;
    drop(here.lock("warm").acquire().await.unwrap());
    for polls in 0..rounds(40) {
        let holder = if polls % 2 == 0 { None } else { Some(there.lock("a").acquire().await.unwrap()) };
        let mut acquire = Box::pin(here.lock("a").fair().acquire());
        for _ in 0..polls {
            let ready = poll_fn(|context| Poll::Ready(acquire.as_mut().poll(context).is_ready())).await;
            if ready {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(acquire);
        drop(holder);
        observer.until_clean(PATIENCE).await;
    }
}
