//! Holders, each a process of its own, that are killed or stopped at every step of holding a lock.

use std::net::SocketAddr;
use std::time::Duration;

use jaego_lock::{BootTime, Error, Guard, Locks, Redis, RedisOptions, Request, Settings};
use jaego_testkit::{Direction, Fault, FaultProxy, Twin, tell};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, cmd};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Observer, ms, rounds, server};

/// Tells this test that it is a holder, and where the server and its proxy are, the key, and whether it is fair.
const HOLDER: &str = "JAEGO_LOCK_HOLDER";
const TEST: &str = "holders::a_holder_killed_or_stopped_at_any_step_never_makes_two";

/// How often each holder is struck at its step.
const ROUNDS: u64 = 6;
/// How long the next holder holds, which is long enough to find out.
const LONG: Duration = Duration::from_secs(20);

/// A bound on what only a bug makes late, on a machine with ten times more to do than it can.
const PATIENCE: Duration = Duration::from_secs(30);

/// The guarded thing: it keeps the greatest fence that it has seen, notes what it accepts, and counts what it refuses.
const WRITE: &str = "
    if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then
        redis.call('INCR', KEYS[2])
        return 0
    end
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('RPUSH', KEYS[3], ARGV[1])
    return 1";

/// Where a holder is when it is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Somebody else has the lock.
    Waiting,
    /// It was granted, and the answer is on its way.
    Acquiring,
    /// It has just heard so.
    Acquired,
    /// It writes.
    Working,
    /// Its lease was renewed, and the answer is on its way.
    Renewing,
    /// It lets go, and the server has not heard it.
    Releasing,
    /// The server has, and the answer is on its way.
    Released,
}

use Step::{Acquired, Acquiring, Released, Releasing, Renewing, Waiting, Working};

const STEPS: [Step; 7] = [Waiting, Acquiring, Acquired, Working, Renewing, Releasing, Released];

/// Of a holder: its lease is short, so that a stop outlasts it.
fn holders_locks(addr: SocketAddr) -> Locks {
    locks(addr, Settings { keeper_lease: ms(800), ..jaego_lock::conformance::settings() })
}

/// Of those who watch it, to whom an answer may come late when the machine is busy.
fn watchers_locks(addr: SocketAddr) -> Locks {
    let response_timeout = Duration::from_secs(2);
    let settings = Settings {
        response_timeout,
        waiter_ttl: response_timeout * 4,
        keeper_lease: response_timeout * 4,
        ..jaego_lock::conformance::settings()
    };
    locks(addr, settings)
}

fn locks(addr: SocketAddr, settings: Settings) -> Locks {
    let settings = Settings {
        // So that nothing else than a notice or the end of a lease helps in time.
        recheck: Duration::from_secs(5),
        ..settings
    };
    let options = RedisOptions::new(&format!("redis://{addr}/")).unwrap().quarantine(Duration::ZERO);
    Locks::with_settings(Redis::start(options.response_timeout(settings.response_timeout)), settings).unwrap()
}

async fn connect(addr: SocketAddr) -> MultiplexedConnection {
    let client = Client::open(format!("redis://{addr}/")).unwrap();
    // However long somebody is stopped for, the answer is wanted.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

async fn write(connection: &mut MultiplexedConnection, key: &str, fence: u64) -> bool {
    let names = ["fence", "refused", "accepted"].map(|name| format!("{name}:{key}"));
    cmd("EVAL").arg(WRITE).arg(3).arg(&names).arg(fence).query_async(connection).await.unwrap()
}

/// Takes the lock when it is told to, and writes until it is told to let go or refused. It never asks whether it still
/// may.
async fn hold(what: &str) {
    let [server, proxy, key, fair] = what.split(' ').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let locks = holders_locks(proxy.parse().unwrap());
    let mut connection = connect(server.parse().unwrap()).await;
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    drop(locks.lock(format!("warm:{key}")).acquire().await.unwrap());
    tell("ready");
    while let Some(order) = orders.recv().await {
        assert_eq!(order, "ask");
        let long = Duration::from_secs(600);
        let request = locks.lock(key).wait(long).max_hold(long);
        let guard = if fair == "true" { request.fair() } else { request }.acquire().await.unwrap();
        tell(&format!("got {} {}", guard.fence(), BootTime::now().as_micros()));
        while orders.try_recv().is_err() {
            if !write(&mut connection, key, guard.fence()).await {
                // Somebody else has written meanwhile. By now the guard knows, or learns it at once.
                assert!(!guard.is_valid(), "{guard:?} was refused while it was valid");
                tell("refused");
                break;
            }
            sleep(ms(1)).await;
        }
        tell("releasing");
        let outcome = guard.release().await;
        tell(&format!("released {outcome:?}"));
    }
}

/// A holder, and the proxy between it and the locks. What it writes goes past the proxy.
struct Holder {
    twin: Twin,
    proxy: FaultProxy,
}

impl Holder {
    fn start(server: SocketAddr, key: &str, fair: bool) -> Self {
        let proxy = FaultProxy::start(server).unwrap();
        let what = format!("{server} {} {key} {fair}", proxy.addr());
        let mut holder = Self { twin: Twin::start(TEST, &[(HOLDER, what)]).unwrap(), proxy };
        holder.hear("ready");
        holder
    }

    fn say(&mut self, order: &str) {
        self.twin.say(order).unwrap();
    }

    fn hear(&mut self, beginning: &str) -> String {
        self.twin.hear_of(beginning, PATIENCE).unwrap()
    }
}

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let so = timeout(PATIENCE, async {
        while !is_so().await {
            sleep(ms(1)).await;
        }
    });
    assert!(so.await.is_ok(), "{what} did not happen");
}

/// One key, and what happens to its holder again and again.
struct Lane {
    server: SocketAddr,
    step: Step,
    kill: bool,
    fair: bool,
    key: String,
    locks: Locks,
    connection: MultiplexedConnection,
}

impl Lane {
    async fn run(mut self) {
        let mut holder = None;
        for round in 0..rounds(ROUNDS) {
            let mut struck =
                holder.take().unwrap_or_else(|| Holder::start(self.server, &self.key, self.fair));
            self.strike(&mut struck, round).await;
            holder = (!self.kill).then_some(struck);
        }
        let accepted = cmd("LRANGE").arg(format!("accepted:{}", self.key)).arg(0).arg(-1).to_owned();
        let accepted: Vec<u64> = accepted.query_async(&mut self.connection).await.unwrap();
        assert!(accepted.is_sorted(), "{}: a stale write was accepted", self.key);
        assert!(!accepted.is_empty());
        let refused = cmd("GET").arg(format!("refused:{}", self.key)).to_owned();
        let refused: Option<u64> = refused.query_async(&mut self.connection).await.unwrap();
        let stale = !self.kill && matches!(self.step, Acquired | Working | Renewing);
        assert_eq!(refused.unwrap_or_default(), if stale { rounds(ROUNDS) } else { 0 }, "{}", self.key);
    }

    /// When the hold ends by the server's clock, if there is one.
    async fn ends_at(&self) -> Option<u64> {
        let state = self.locks.look(&self.key).await.expect("the server answers");
        state.holders.first().map(|holder| holder.until_us)
    }

    async fn wait_for_holder(&self) {
        until("the grant", async || self.ends_at().await.is_some()).await;
    }

    /// Brings the holder to the step. Returns what it waits for, if it does.
    async fn bring(&mut self, holder: &mut Holder) -> Option<Guard> {
        let mine = if self.step == Waiting { Some(self.ask().acquire().await.unwrap()) } else { None };
        if self.step == Acquiring {
            holder.proxy.set(Direction::ToClient, Fault::Blackhole);
        }
        holder.say("ask");
        match self.step {
            Waiting => {
                until("the wait", async || {
                    let state = self.locks.look(&self.key).await.unwrap();
                    state.wanted || state.waiters_count > 0
                })
                .await;
                return mine;
            }
            Acquiring => {
                self.wait_for_holder().await;
                return None;
            }
            _ => drop(holder.hear("got")),
        }
        match self.step {
            Working => {
                let accepted = format!("accepted:{}", self.key);
                let mut connection = self.connection.clone();
                let mut len = async || -> u64 {
                    cmd("LLEN").arg(&accepted).query_async(&mut connection).await.unwrap()
                };
                let before = len().await;
                until("a write", async || len().await > before + 1).await;
            }
            Renewing => {
                holder.proxy.set(Direction::ToClient, Fault::Blackhole);
                let before = self.ends_at().await;
                // Or it was too late, which is as well.
                until("a renewal", async || self.ends_at().await.is_none_or(|now| Some(now) > before)).await;
            }
            Releasing => {
                holder.proxy.set(Direction::ToServer, Fault::Blackhole);
                holder.say("let go");
                holder.hear("releasing");
            }
            Released => {
                holder.proxy.set(Direction::ToClient, Fault::Blackhole);
                holder.say("let go");
                until("the release", async || self.ends_at().await.is_none()).await;
            }
            _ => {}
        }
        None
    }

    fn ask(&self) -> Request {
        self.locks.lock(&self.key).lease(LONG).wait(PATIENCE)
    }

    /// Takes the lock as soon as the server gives it. Who waits does not ask before the end that it was told of.
    async fn nag(&self) -> Guard {
        let mut got = None;
        until("a grant", async || {
            match self.ask().try_acquire().await {
                Ok(guard) => got = Some(guard),
                Err(Error::Busy { .. } | Error::Unavailable { .. }) => {}
                Err(error) => panic!("{}: {error}", self.key),
            }
            got.is_some()
        })
        .await;
        got.expect("it was waited for")
    }

    /// Strikes the holder at its step, has somebody else take the lock and write, and lets the holder go on.
    async fn strike(&mut self, holder: &mut Holder, round: u64) {
        let before = self.bring(holder).await;
        if self.kill { holder.twin.kill_9() } else { holder.twin.stop() }.unwrap();
        let ends_at = if before.is_some() { None } else { self.ends_at().await };
        let guard = if let Some(before) = before {
            let request = if self.fair { self.ask().fair() } else { self.ask() };
            let next = tokio::spawn(request.acquire());
            assert!(before.release().await.was_held());
            next.await.unwrap().unwrap_or_else(|error| panic!("{}: {error}", self.key))
        } else if round.is_multiple_of(2) {
            self.ask().acquire().await.unwrap_or_else(|error| panic!("{}: {error}", self.key))
        } else {
            self.nag().await
        };
        // A fence is the server's time of the grant.
        assert!(Some(guard.fence()) >= ends_at, "{}: granted before the lease was over", self.key);
        assert!(write(&mut self.connection, &self.key, guard.fence()).await, "{}: it may write", self.key);
        if self.kill {
            assert!(guard.release().await.was_held());
            return;
        }

        // What was on its way arrives now.
        holder.proxy.heal();
        holder.twin.cont().unwrap();
        match self.step {
            Acquired | Working | Renewing => {
                holder.hear("refused");
                holder.hear("released");
            }
            Releasing => {
                let outcome = holder.hear("released");
                assert!(
                    !outcome.starts_with("Released"),
                    "{}: it ended another one's hold: {outcome}",
                    self.key
                );
            }
            Released => drop(holder.hear("released")),
            Waiting | Acquiring => {}
        }
        let held_until = BootTime::now().as_micros();
        assert!(write(&mut self.connection, &self.key, guard.fence()).await, "{}: it still may", self.key);
        let fence = guard.fence();
        assert!(guard.release().await.was_held(), "{}: nobody else has ended it", self.key);
        if matches!(self.step, Waiting | Acquiring) {
            let got = holder.hear("got ");
            let (its_fence, got_at) = got.split_once(' ').unwrap();
            assert!(got_at.parse::<u64>().unwrap() >= held_until, "{}: two held it", self.key);
            assert!(its_fence.parse::<u64>().unwrap() > fence, "{}: {its_fence} after {fence}", self.key);
            holder.say("let go");
            holder.hear("released");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_killed_or_stopped_at_any_step_never_makes_two() {
    if let Ok(what) = std::env::var(HOLDER) {
        return hold(&what).await;
    }
    let server = server();
    let mut lanes = JoinSet::new();
    for step in STEPS {
        for (kill, fair) in [(true, false), (false, false), (true, true), (false, true)] {
            // The queue makes a difference only to those who are in it.
            if fair && step != Waiting {
                continue;
            }
            let key = format!(
                "{step:?}-{}{}",
                if kill { "killed" } else { "stopped" },
                if fair { "-fair" } else { "" }
            );
            let (locks, connection) = (watchers_locks(server.addr()), connect(server.addr()).await);
            let lane = Lane { server: server.addr(), step, kill, fair, key, locks, connection };
            // Each on a thread of its own, because a twin is waited for by blocking.
            lanes.spawn_blocking(move || Handle::current().block_on(lane.run()));
        }
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    Observer::of(&server).await.until_clean(PATIENCE).await;
}
