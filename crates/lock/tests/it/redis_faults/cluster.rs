//! A server in cluster mode, which refuses what reaches over more than one slot. It is the only node and has all slots, so
//! nobody is sent elsewhere.

use std::collections::BTreeSet;

use jaego_lock::backend::Backend as _;
use jaego_lock::{Error, LockKey, Locks, Mode, Redis, RedisOptions};
use jaego_testkit as testkit;

use crate::redis_faults::{Observer, PATIENCE, ms};

async fn node() -> (testkit::Redis, Observer) {
    let bus = testkit::free_port().unwrap().to_string();
    let settings = [("cluster-enabled", "yes"), ("cluster-port", &bus)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let server = testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap();
    let mut observer = Observer::of(&server).await;
    let () = observer.command("CLUSTER ADDSLOTSRANGE 0 16383").await;
    let ready = async {
        while !observer.command::<String>("CLUSTER INFO").await.contains("cluster_state:ok") {
            tokio::time::sleep(ms(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 10, ready).await.expect("the one node is the cluster");
    (server, observer)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_has_all_slots_of_a_cluster_does_all_that_locks_ask() {
    let (server, mut observer) = node().await;
    let crossing = redis::cmd("MGET").arg("jaego:{1}:boot").arg("jaego:{2}:boot").to_owned();
    let refused = crossing.query_async::<Vec<Option<String>>>(&mut observer.0).await.unwrap_err();
    assert_eq!(refused.code(), Some("CROSSSLOT"), "it is a cluster: {refused}");

    let options = |name| RedisOptions::new(&server.url()).unwrap().quarantine(ms(0)).process_name(name);
    let [here, there] = ["here", "there"].map(|name| Locks::new(Redis::start(options(name))));
    for fair in [false, true] {
        let guard = here.lock("a").acquire().await.unwrap();
        let request = if fair { there.lock("a").fair() } else { there.lock("a") };
        let waiter = tokio::spawn(async { request.acquire().await.unwrap() });
        until_wanted(&here).await;
        assert!(guard.release().await.was_held());
        // By a notice: it would look again after five seconds.
        let next = tokio::time::timeout(PATIENCE, waiter).await.expect("it is told").unwrap();
        assert!(next.release().await.was_held());
    }

    let allocating = [here.mode("b", "allocate"), there.mode("b", "allocate")];
    let [one, other] = allocating.map(|request| tokio::spawn(async { request.acquire().await.unwrap() }));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let busy = here.mode("b", "cancel").try_acquire().await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    let holders = here.list("", 10).await.unwrap().locks.remove(0).holders;
    let names: BTreeSet<_> = holders.iter().filter_map(|holder| holder.process.as_deref()).collect();
    assert_eq!(names, ["here", "there"].into());
    one.extend(ms(20_000)).await.unwrap();
    let broken = holders.iter().find(|holder| holder.fence == other.fence()).unwrap().owner;
    assert_eq!(there.break_holds("b", &[broken]).await.unwrap().ended, [(broken, other.fence())]);
    assert!(one.release().await.was_held());
    let writer = here.lock("b").acquire().await.unwrap();
    writer.downgrade(Mode::shared()).await.unwrap();
    assert!(writer.release().await.was_held());

    // Several at once: of one shard, in one step, and of many.
    let backend = Redis::start(options("third"));
    let keys = (0..).map(|number| LockKey::new(format!("product:{number}")).unwrap());
    let of_one_shard: Vec<LockKey> = keys.filter(|key| backend.group(key) == 7).take(3).collect();
    let held = here.multi(of_one_shard.clone()).acquire().await.unwrap();
    let busy = there.multi(of_one_shard).try_acquire().await.unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    assert!(held.release().await.was_held());
    let many = here.multi((0..40).map(|number| format!("product:{number}"))).acquire().await.unwrap();
    assert!(many.release().await.was_held());
    observer.until_clean(PATIENCE).await;
}

async fn until_wanted(locks: &Locks) {
    let wanted = async {
        loop {
            let state = locks.look("a").await.unwrap();
            if state.wanted || state.waiters_count > 0 {
                return;
            }
            tokio::time::sleep(ms(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.expect("it waits");
}
