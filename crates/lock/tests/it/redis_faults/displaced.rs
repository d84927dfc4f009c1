use std::time::{Duration, Instant};

use jaego_lock::{Error, Locks, Redis, RedisOptions};
use jaego_testkit as testkit;
use jaego_testkit::RedisSentinel;
use tokio::time::sleep;

use crate::redis_faults::{Observer, ms, unconnected};

fn server(settings: &[(&str, &str)]) -> testkit::Redis {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let everybody = [("repl-diskless-sync-delay", "0"), ("repl-ping-replica-period", "1")];
    let settings = settings.iter().chain(&everybody).map(own).collect();
    testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap()
}

/// A promotion cuts off everybody who is connected: somebody whose question is lost has seen nothing yet.
async fn is_master(server: &testkit::Redis) -> bool {
    let client = redis::Client::open(server.url()).unwrap();
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
    let info = redis::cmd("INFO").arg("replication").query_async::<String>(&mut connection).await;
    info.is_ok_and(|info| info.contains("role:master"))
}

/// A master that does not hear of its demotion stays connected to us and refuses to write, since its replica has left it.
/// The sentinels know better: one of them tells it, and the other one is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_its_replicas_is_left_for_the_one_that_the_sentinels_name() {
    let old = server(&[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "1")]);
    let new = server(&[("replicaof", &format!("127.0.0.1 {}", old.addr().port()))]);
    let mut observer = Observer::of(&old).await;
    let started = Instant::now();
    while !observer.command::<String>("INFO replication").await.contains("min_slaves_good_slaves:1") {
        assert!(started.elapsed() < Duration::from_secs(20), "the replica does not follow");
        sleep(ms(20)).await;
    }
    let sentinel = RedisSentinel::start(old.addr(), "stock").unwrap();
    let mut stopped = RedisSentinel::start(old.addr(), "other").unwrap();
    stopped.stop().unwrap();
    let silent = format!("redis://{}/", stopped.addr());
    let settings = jaego_lock::conformance::settings();
    let nobody = "redis://127.0.0.1:1/";
    let asked = format!("redis://{}/", sentinel.addr());
    let options = RedisOptions::sentinel(&[&silent, &asked], "stock", nobody).unwrap();
    let options = options.quarantine(Duration::ZERO).response_timeout(settings.response_timeout);
    let locks = Locks::with_settings(Redis::start(options), settings).unwrap();
    let before = locks.lock("a").acquire().await.unwrap();
    let fence = before.fence();
    drop(before.release().await);

    // The sentinels cannot tell it, as if they were cut off from it and we were not.
    let () = observer.command("ACL SETUSER default -multi -exec -slaveof -replicaof -client").await;
    let client = redis::Client::open(asked).unwrap();
    let mut asked = client.get_multiplexed_async_connection().await.unwrap();
    let started = Instant::now();
    loop {
        // Sentinel has to have met the replica before it can promote it.
        let promoted =
            redis::cmd("SENTINEL").arg("FAILOVER").arg("stock").query_async::<()>(&mut asked).await;
        if promoted.is_ok() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{promoted:?}");
        sleep(ms(100)).await;
    }
    let started = Instant::now();
    let mut refused = 0;
    let mut on_new = None;
    let after = loop {
        let new_is_master = is_master(&new).await;
        match locks.lock("a").wait(ms(200)).acquire().await {
            // Before the replica was promoted it counted.
            Ok(guard) if !new_is_master => drop(guard),
            Ok(guard) => {
                let on_new = on_new.get_or_insert_with(|| unconnected(new.addr(), Duration::ZERO));
                let seen = on_new.look("a").await;
                if seen.is_ok_and(|seen| seen.holders.iter().any(|holder| holder.fence == guard.fence())) {
                    break guard;
                }
                drop(guard);
            }
            Err(Error::Unavailable { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it stays with the old master: {refused} refusals"
        );
        sleep(ms(50)).await;
    };
    // It still takes itself for the master.
    assert!(observer.command::<String>("INFO replication").await.contains("role:master"));
    assert!(after.fence() > fence);
    assert!(after.release().await.was_held());
}
