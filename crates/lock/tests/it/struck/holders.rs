//! Holders, each a process of its own, that are killed or stopped at every step of holding a lock.

use std::net::SocketAddr;
use std::time::Duration;

use jaego_lock::conformance::Size;
use jaego_lock::{BootTime, Error, Guard, Locks, Request, Settings};
use jaego_testkit::{Direction, Fault, FaultProxy, Twin, tell};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Ground, Guarded};
use crate::ms;

/// Tells a test that it is a holder, and where the server and its proxy are, the key, and whether it is fair.
const HOLDER: &str = "JAEGO_LOCK_HOLDER";

/// How long the next holder holds, which is long enough to find out.
const LONG: Duration = Duration::from_secs(20);

/// A bound on what only a bug makes late, on a machine with ten times more to do than it can.
const PATIENCE: Duration = Duration::from_secs(30);

/// After the end of a lease, somebody else has the lock by then: half of those who want it …
const HALF_FREE_WITHIN: Duration = Duration::from_millis(500);
/// … and nine of ten, on a machine that is busy.
const MOST_FREE_WITHIN: Duration = Duration::from_secs(1);

/// Between two looks, writes or tries.
const PAUSE: Duration = Duration::from_millis(10);

/// A request that was not heard by then is not heard any more …
const GRANT_WITHIN: Duration = Duration::from_secs(3);
/// … and is made again so often.
const TRIES_MAX: u32 = 10;

/// How many holders are struck at each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strikes {
    /// So many side by side, each on a key of its own …
    pub(crate) lanes: u64,
    /// … so often, one after the other.
    pub(crate) rounds: Size,
}

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

impl Step {
    /// Whether who was stopped at it knows a fence, and writes late. The others are granted the lock only when they go on.
    fn writes_late(self) -> bool {
        !matches!(self, Waiting | Acquiring)
    }
}

/// What became of the holders of a lane.
struct Outcome {
    /// How long after the end of each lease the next one was granted, by the server's clock.
    delays: Vec<Duration>,
    /// Writes of those who were let go on, each after one of a later holder, that were refused.
    refused: u64,
}

/// Of a holder: its lease is short, so that a stop outlasts it.
async fn holders_locks<G: Ground>(addr: SocketAddr) -> Locks {
    locks::<G>(addr, Settings { keeper_lease: ms(800), ..jaego_lock::conformance::settings() }).await
}

/// Of those who watch it, to whom an answer may come late when the machine is busy.
async fn watchers_locks<G: Ground>(addr: SocketAddr) -> Locks {
    let response_timeout = Duration::from_secs(2);
    let settings = Settings {
        response_timeout,
        waiter_ttl: response_timeout * 4,
        keeper_lease: response_timeout * 4,
        ..jaego_lock::conformance::settings()
    };
    locks::<G>(addr, settings).await
}

async fn locks<G: Ground>(addr: SocketAddr, settings: Settings) -> Locks {
    // So that nothing else than a notice or the end of a lease helps in time.
    let settings = Settings { recheck: Duration::from_secs(5), ..settings };
    G::locks(addr, settings, Duration::ZERO).await
}

/// What this process is to do, if it is a holder.
pub(crate) fn wanted() -> Option<String> {
    std::env::var(HOLDER).ok()
}

/// Takes the lock when it is told to, and writes until it is told to let go or refused, or once more after that. It never
/// asks whether it still may.
pub(crate) async fn hold<G: Ground>(what: &str) {
    let [server, proxy, key, fair] = what.split(' ').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let locks = holders_locks::<G>(proxy.parse().unwrap()).await;
    let mut guarded = G::Guarded::connect(server.parse().unwrap()).await;
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    drop(locks.lock(format!("warm:{key}")).acquire().await.unwrap());
    tell("ready");
    let mut fence = 0;
    while let Some(order) = orders.recv().await {
        if order == "write late" {
            tell(if guarded.write(key, fence).await { "accepted" } else { "refused" });
            continue;
        }
        assert_eq!(order, "ask");
        let long = Duration::from_secs(600);
        let request = locks.lock(key).wait(long).max_hold(long);
        let guard = if fair == "true" { request.fair() } else { request }.acquire().await.unwrap();
        fence = guard.fence();
        tell(&format!("got {fence} {}", BootTime::now().as_micros()));
        while orders.try_recv().is_err() {
            if !guarded.write(key, fence).await {
                // Somebody else has written meanwhile. By now the guard knows, or learns it at once.
                assert!(!guard.is_valid(), "{guard:?} was refused while it was valid");
                tell("refused");
                break;
            }
            sleep(PAUSE).await;
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
    fn start(test: &str, server: SocketAddr, key: &str, fair: bool) -> Self {
        let proxy = FaultProxy::start(server).unwrap();
        let what = format!("{server} {} {key} {fair}", proxy.addr());
        let mut holder = Self { twin: Twin::start(test, &[(HOLDER, what)]).unwrap(), proxy };
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
            sleep(PAUSE).await;
        }
    });
    assert!(so.await.is_ok(), "{what} did not happen");
}

/// One key, and what happens to its holder again and again.
struct Lane<G: Ground> {
    /// The test that plays the holder.
    test: &'static str,
    server: SocketAddr,
    step: Step,
    kill: bool,
    fair: bool,
    rounds: u64,
    key: String,
    locks: Locks,
    guarded: G::Guarded,
}

impl<G: Ground> Lane<G> {
    async fn run(mut self) -> Outcome {
        let (mut holder, mut delays) = (None, Vec::new());
        for round in 0..self.rounds {
            let mut struck =
                holder.take().unwrap_or_else(|| Holder::start(self.test, self.server, &self.key, self.fair));
            delays.extend(self.strike(&mut struck, round).await);
            holder = (!self.kill).then_some(struck);
        }
        let accepted = self.guarded.accepted(&self.key).await;
        assert!(accepted.is_sorted(), "{}: a stale write was accepted", self.key);
        assert!(!accepted.is_empty());
        let late_writes = if !self.kill && self.step.writes_late() { self.rounds } else { 0 };
        let refused = self.guarded.refused(&self.key).await;
        assert_eq!(refused, late_writes, "{}", self.key);
        Outcome { delays, refused }
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
                for _ in 0..TRIES_MAX {
                    if timeout(GRANT_WITHIN, self.wait_for_holder()).await.is_ok() {
                        return None;
                    }
                    // The machine was so busy that the connection was given up before the request was heard, and nobody
                    // can connect again on this line. It takes the lock as usual, lets go, and asks again.
                    holder.proxy.heal();
                    holder.hear("got");
                    holder.say("let go");
                    holder.hear("released");
                    holder.proxy.set(Direction::ToClient, Fault::Blackhole);
                    holder.say("ask");
                }
                panic!("{}: the request is never heard", self.key);
            }
            _ => drop(holder.hear("got")),
        }
        match self.step {
            Working => {
                let (key, guarded) = (&self.key, &mut self.guarded);
                let before = guarded.accepted(key).await.len();
                until("a write", async || guarded.accepted(key).await.len() > before + 1).await;
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

    /// Strikes the holder at its step, has somebody else take the lock and write, and lets the holder go on. Returns how long
    /// after the end of the lease that one got it, if there was a lease to end.
    async fn strike(&mut self, holder: &mut Holder, round: u64) -> Option<Duration> {
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
        let granted = G::granted_us(&guard);
        assert!(Some(granted) >= ends_at, "{}: granted before the lease was over", self.key);
        let delay = ends_at.map(|ends_at| Duration::from_micros(granted - ends_at));
        assert!(self.guarded.write(&self.key, guard.fence()).await, "{}: it may write", self.key);
        if self.kill {
            assert!(guard.release().await.was_held());
            return delay;
        }

        if matches!(self.step, Releasing | Released) {
            // It has written its last, and does so again.
            holder.say("write late");
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
                holder.hear("refused");
            }
            Released => {
                holder.hear("released");
                holder.hear("refused");
            }
            Waiting | Acquiring => {}
        }
        let held_until = BootTime::now().as_micros();
        assert!(self.guarded.write(&self.key, guard.fence()).await, "{}: it still may", self.key);
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
        delay
    }
}

/// Strikes so many holders at each step, each played by the test of that name.
pub(crate) async fn strike_all<G: Ground>(ground: &G, test: &'static str, stops: Strikes, kills: Strikes) {
    let server = ground.addr();
    let locks = watchers_locks::<G>(server).await;
    let started = BootTime::now();
    let mut lanes = JoinSet::new();
    for step in STEPS {
        for (kill, fair) in [(true, false), (false, false), (true, true), (false, true)] {
            // The queue makes a difference only to those who are in it.
            if fair && step != Waiting {
                continue;
            }
            let Strikes { lanes: of_step, rounds } = if kill { kills } else { stops };
            for lane in 0..of_step {
                let key = format!(
                    "{step:?}-{}{}-{lane}",
                    if kill { "killed" } else { "stopped" },
                    if fair { "-fair" } else { "" }
                );
                let (locks, guarded) = (locks.clone(), G::Guarded::connect(server).await);
                let rounds = rounds.now();
                let lane = Lane::<G> { test, server, step, kill, fair, rounds, key, locks, guarded };
                // Each on a thread of its own, because a twin is waited for by blocking.
                lanes.spawn_blocking(move || Handle::current().block_on(lane.run()));
            }
        }
    }
    let ways = STEPS.len() as u64 + 1;
    let [stops, kills] = [stops, kills].map(|strikes| strikes.lanes * strikes.rounds.now() * ways);
    let outcomes = lanes.join_all().await;
    let refused: u64 = outcomes.iter().map(|outcome| outcome.refused).sum();
    let mut delays: Vec<_> = outcomes.into_iter().flat_map(|outcome| outcome.delays).collect();
    delays.sort_unstable();
    let [half, most, all] = [50, 90, 100].map(|percent| delays[(delays.len() - 1) * percent / 100]);
    println!(
        "{stops} stops, {refused} late writes refused, and {kills} kills in {:?}; of {} leases half were followed by a grant within {half:?}, 9 of 10 {most:?}, \
         all {all:?}",
        BootTime::now().since(started),
        delays.len()
    );
    assert!(half <= HALF_FREE_WITHIN && most <= MOST_FREE_WITHIN, "{half:?}, {most:?}");
    ground.until_clean(PATIENCE).await;
}
