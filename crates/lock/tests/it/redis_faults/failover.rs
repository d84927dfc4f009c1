use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jaego_lock::conformance::{Size, connected, refused};
use jaego_lock::{BootTime, Error, Locks, Settings};
use jaego_testkit::{FaultProxy, Redis, RedisOptions, RedisSentinel, wait_until};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_faults::{Observer, PATIENCE, backend, ms, process, settings, unconnected};

const QUARANTINE: Duration = Duration::from_millis(2_500);
/// How long after the end of the quarantine it may take until locks are granted again: less than another one. A connection
/// that fails costs up to half a second before it and another one after it.
const LATE: Duration = Duration::from_secs(2);
const PROMOTIONS: Size = Size { everyday: 6, soak: 500 };

/// One that does not wait for more replicas before it sends its data.
fn master() -> Redis {
    with_settings(&[])
}

pub(crate) fn with_settings(settings: &[(&str, &str)]) -> Redis {
    let mut options = RedisOptions::default();
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    options.settings = settings.iter().chain(&[("repl-diskless-sync-delay", "0")]).map(own).collect();
    Redis::start(&options).unwrap()
}

fn replica(of: &Redis) -> Redis {
    with_settings(&[("replicaof", &format!("127.0.0.1 {}", of.addr().port()))])
}

pub(crate) async fn until_in_step(replica: &Redis) {
    let mut observer = Observer::of(replica).await;
    let started = Instant::now();
    loop {
        let info: String = observer.command("INFO replication").await;
        if info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0") {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 10, "the replica does not follow: {info}");
        sleep(ms(10)).await;
    }
}

/// The replica that lags is promoted; perhaps there is another one, which knew everything and follows it now.
/// Sometimes right after the master has died, while all leases go on, and sometimes when the pauses between two tries to
/// connect are at their longest.
async fn a_promotion(round: u64, with_witness: bool, pause: Duration) {
    let mut master = master();
    let witness = with_witness.then(|| replica(&master));
    let mut replica = replica(&master);
    let proxy = FaultProxy::start(master.addr()).unwrap();
    let (here, there) = (process(proxy.addr(), QUARANTINE).await, process(proxy.addr(), QUARANTINE).await);
    drop(here.lock("known").lease(ms(1_000)).wait(QUARANTINE * 2).acquire().await.unwrap());
    for replica in witness.iter().chain([&replica]) {
        until_in_step(replica).await;
    }
    let known = here.lock("known").lease(ms(1_400)).acquire().await.unwrap();
    // By now the replica may have it; of the next one it hears nothing.
    sleep(ms(20)).await;
    replica.stop().unwrap();
    let unknown = here.lock("unknown").lease(ms(1_400)).acquire().await.unwrap();
    let kept = here.lock("kept").lease(ms(500)).acquire().await.unwrap();
    master.kill_9().unwrap();
    let killed = Instant::now();
    while killed.elapsed() < pause {
        // Whoever asks for nothing has not noticed yet.
        drop(there.lock("asked").lease(ms(500)).try_acquire().await);
        sleep(ms(20)).await;
    }
    replica.cont().unwrap();
    let () = Observer::of(&replica).await.command("REPLICAOF NO ONE").await;
    let promoted = Instant::now();
    if let Some(witness) = &witness {
        let of_new = format!("REPLICAOF 127.0.0.1 {}", replica.addr().port());
        let () = Observer::of(witness).await.command(&of_new).await;
    }
    proxy.set_upstream(replica.addr());

    let mut waiters = Vec::new();
    for (key, old) in [("known", known), ("unknown", unknown), ("kept", kept)] {
        let request = there.lock(key).lease(ms(500)).wait(QUARANTINE * 4);
        waiters.push(tokio::spawn(async move {
            let new = request.acquire().await.unwrap();
            let took = promoted.elapsed();
            assert!(BootTime::now() >= old.valid_until(), "round {round}: two held {key}");
            assert!(new.fence() > old.fence(), "{key}");
            took
        }));
    }
    let mut took = Duration::ZERO;
    for waiter in waiters {
        took = took.max(timeout(QUARANTINE * 3, waiter).await.expect("granted again").unwrap());
    }
    println!("round {round}: granted again after {took:?}");
    assert!(took >= QUARANTINE && took <= QUARANTINE + LATE, "round {round}: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_grants_nothing_twice_when_it_is_promoted() {
    // As many at once as every day.
    for part in 0..PROMOTIONS.parts() {
        let mut promotions = JoinSet::new();
        for number in 0..PROMOTIONS.everyday {
            promotions.spawn_blocking(move || {
                let round = PROMOTIONS.everyday * part + number;
                let pause = if number < PROMOTIONS.everyday / 2 { 0 } else { fastrand::u64(500..1_500) };
                Handle::current().block_on(a_promotion(round, number.is_multiple_of(2), ms(pause)));
            });
        }
        promotions.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_reaches_what_the_new_master_knows() {
    let mut master = master();
    let replica = replica(&master);
    let proxy = FaultProxy::start(master.addr()).unwrap();
    // Longer than it takes to find the new master on a busy machine, and shorter than the quarantine.
    let settings = Settings { keeper_lease: ms(4_000), ..settings() };
    let quarantine = ms(6_000);
    let here = Locks::with_settings(connected(backend(proxy.addr(), quarantine)).await, settings).unwrap();
    let guard = here.lock("a").wait(quarantine * 2).acquire().await.unwrap();
    until_in_step(&replica).await;
    // Known, because a renewal has come through as well.
    let mut observer = Observer::of(&replica).await;
    wait_until("the lock is known to the replica", PATIENCE, || {
        tokio::task::block_in_place(|| Handle::current().block_on(observer.leftovers()).pop())
    })
    .unwrap();
    master.kill_9().unwrap();
    let () = observer.command("REPLICAOF NO ONE").await;
    proxy.set_upstream(replica.addr());
    sleep(quarantine + ms(200)).await;
    assert!(guard.is_valid(), "renewals go on in the quarantine: {:?}", here.stats());
    assert!(guard.release().await.was_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_cut_off_stops_granting() {
    let cut_off =
        [("min-replicas-to-write", "1"), ("min-replicas-max-lag", "1"), ("repl-ping-replica-period", "1")];
    let master = with_settings(&cut_off);
    let mut replica = replica(&master);
    until_in_step(&replica).await;
    let here = process(master.addr(), Duration::ZERO).await;
    drop(here.lock("a").wait(ms(5_000)).acquire().await.expect("with its replica it grants"));
    replica.stop().unwrap();
    // A second of lag is allowed; Redis counts it in whole seconds and looks once a second.
    let stopped = Instant::now();
    let error = loop {
        match here.lock("a").wait(ms(100)).acquire().await {
            Ok(guard) => drop(guard),
            Err(error) => break error,
        }
        assert!(stopped.elapsed() < ms(3_000) + PATIENCE, "it goes on granting");
        sleep(ms(50)).await;
    };
    assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
    replica.cont().unwrap();
    drop(here.lock("a").wait(ms(5_000)).acquire().await.expect("with its replica it grants again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_not_taken_for_a_master() {
    let master = master();
    let replica = replica(&master);
    until_in_step(&replica).await;
    let here = unconnected(replica.addr(), Duration::ZERO);
    let error = here.lock("a").wait(ms(300)).acquire().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
}

/// Waits until the sentinel knows of a replica. It looks for them every ten seconds.
async fn until_met(sentinel: SocketAddr, replica: SocketAddr) {
    let client = redis::Client::open(format!("redis://{sentinel}/")).unwrap();
    let mut asked = client.get_multiplexed_async_connection().await.unwrap();
    let started = Instant::now();
    loop {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("replicas").arg("stock");
        let replicas: Vec<BTreeMap<String, String>> = ask.query_async(&mut asked).await.unwrap();
        let follows = |told: &BTreeMap<String, String>| {
            told["name"] == replica.to_string() && told["master-link-status"] == "ok"
        };
        if replicas.iter().any(follows) {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 30, "the sentinel does not see the replica: {replicas:?}");
        sleep(ms(20)).await;
    }
}

/// When the sentinel names this master.
async fn until_named(sentinel: SocketAddr, master: SocketAddr) -> Instant {
    let client = redis::Client::open(format!("redis://{sentinel}/")).unwrap();
    let mut asked = client.get_multiplexed_async_connection().await.unwrap();
    loop {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg("stock");
        let (_, port): (String, u16) = ask.query_async(&mut asked).await.unwrap();
        if port == master.port() {
            return Instant::now();
        }
        sleep(ms(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_lead_to_the_new_master() {
    let mut master = master();
    let replica = replica(&master);
    until_in_step(&replica).await;
    let sentinel = RedisSentinel::start(master.addr(), "stock").unwrap();
    let settings = jaego_lock::conformance::settings();
    let locks = || {
        let nobody = "redis://127.0.0.1:1/";
        let asked = format!("redis://{}/", sentinel.addr());
        let options = jaego_lock::RedisOptions::sentinel(&[nobody, &asked], "stock", nobody).unwrap();
        let options = options
            .quarantine(QUARANTINE)
            .replica_lag(Duration::ZERO)
            .response_timeout(settings.response_timeout);
        Locks::with_settings(jaego_lock::Redis::start(options), settings).unwrap()
    };
    let (here, there) = (locks(), locks());
    let old = here.lock("a").lease(ms(1_400)).wait(QUARANTINE * 3).acquire().await.unwrap();
    // Sentinel has to have met the replica before it can promote it.
    until_met(sentinel.addr(), replica.addr()).await;
    drop(old);
    let old = here.lock("a").lease(ms(1_400)).acquire().await.unwrap();
    master.kill_9().unwrap();
    let killed = Instant::now();
    let named = tokio::spawn(until_named(sentinel.addr(), replica.addr()));
    let new = loop {
        match there.lock("a").lease(ms(500)).wait(ms(500)).acquire().await {
            Ok(guard) => break guard,
            Err(Error::Unavailable { .. } | Error::Quarantined { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(killed.elapsed() < Duration::from_secs(30), "no new master was found");
        sleep(ms(20)).await;
    };
    assert!(BootTime::now() >= old.valid_until(), "two held it");
    assert!(new.fence() > old.fence());
    // How long Sentinel takes to find out is its own affair.
    let (granted, named) = (Instant::now(), named.await.unwrap());
    println!("a new master after {:?}, granted again after {:?}", named - killed, granted - killed);
    assert!(granted <= named + QUARANTINE + LATE, "{:?} after a new master was named", granted - named);
}

/// Nobody has deleted anything on it, and it has not followed the other one: its boot record names itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_comes_back_as_it_was_grants_nothing_that_another_one_granted() {
    let [old, new] = [(); 2].map(|()| master());
    let proxy = FaultProxy::start(old.addr()).unwrap();
    let (moving, stays) = (process(proxy.addr(), QUARANTINE).await, process(old.addr(), QUARANTINE).await);
    for locks in [&moving, &stays] {
        drop(locks.lock("b").lease(ms(1_000)).wait(QUARANTINE * 2).acquire().await.unwrap());
    }
    proxy.set_upstream(new.addr());
    proxy.reset_connections();
    let held = moving.lock("b").lease(ms(1_400)).wait(QUARANTINE * 2).acquire().await.unwrap();

    proxy.set_upstream(old.addr());
    proxy.reset_connections();
    let error = refused(|| moving.lock("b").lease(ms(500)).try_acquire()).await;
    assert!(matches!(error, Error::Quarantined { .. }), "{error}");
    let error = refused(|| stays.lock("b").lease(ms(500)).try_acquire()).await;
    assert!(matches!(error, Error::Quarantined { .. }), "who has noticed nothing: {error}");
    let again = stays.lock("b").lease(ms(500)).wait(QUARANTINE * 4).acquire().await.unwrap();
    assert!(BootTime::now() >= held.valid_until(), "two held it");
    assert!(again.fence() > held.fence());

    // Another connection to the same one is no return.
    proxy.reset_connections();
    drop(moving.lock("c").lease(ms(500)).wait(LATE).acquire().await.expect("no other quarantine begins"));
}
