//! Waiting in order, and giving up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::answers::{acquire, release};
use super::{PATIENCE, Stage, answered, busy, connected, process, process_with, settings, soak};
use crate::backend::{Acquire, Acquired, Backend, Owner, Release, Waiting};
use crate::limits::QUEUE_MAX;
use crate::{BootTime, Crowd, Error, LockKey, Locks, Mode, Settings};

/// How long a step that is sent without [`Locks`](crate::Locks) may take on a busy machine. It is about what it does.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);

/// A request as [`Locks`](crate::Locks) would send it.
pub(super) fn wish(key: &str, mode: Mode, fair: bool) -> Acquire {
    let settings = settings();
    Acquire {
        keys: Arc::new([LockKey::new(key).unwrap()]),
        owner: Owner::random(),
        mode,
        lease: Duration::from_secs(10),
        fence_min: 0,
        fair,
        waiting: Some(Waiting { place: 0, ttl: settings.waiter_ttl, queue: true }),
        claim: settings.waiter_ttl,
        timeout: STEP_TIMEOUT,
    }
}

/// A queue has room for so many, whoever they are; whoever has a place keeps it, and whoever needs none is not refused.
pub async fn a_queue_has_an_end(stage: &impl Stage) {
    /// Steps on their way at a time.
    const LANES: usize = 16;
    let backend = Arc::new(connected(stage.backend().await).await);
    let holder = wish("a", Mode::exclusive(), false);
    let lasting = |wish: Acquire| {
        let ttl = Duration::from_secs(600);
        let waiting = Some(Waiting { place: 0, ttl, queue: true });
        // Long enough for all of them to come.
        Acquire { lease: ttl, waiting, timeout: ttl, ..wish }
    };
    let holder = lasting(holder);
    assert!(matches!(acquire(&*backend, &holder).await, Acquired::Granted { .. }));
    let place = |acquired| match acquired {
        Acquired::Conflict(conflict) => conflict.place,
        other => panic!("{other:?}"),
    };
    let queued = |_| lasting(wish("a", Mode::exclusive(), true));
    let waiters: Vec<Acquire> = (0..QUEUE_MAX).map(queued).collect();
    let mut lanes = Vec::new();
    for lane in waiters.chunks(QUEUE_MAX.div_ceil(LANES)) {
        let (lane, backend) = (lane.to_vec(), Arc::clone(&backend));
        lanes.push(tokio::spawn(async move {
            for waiter in &lane {
                assert!(place(acquire(&*backend, waiter).await) > 0);
            }
        }));
    }
    for lane in lanes {
        lane.await.unwrap();
    }
    let (late, reader) = (queued(0), lasting(wish("a", Mode::shared(), false)));
    for refused in [&late, &reader] {
        assert_eq!(acquire(&*backend, refused).await, Acquired::TooManyWaiters);
    }
    // Who is in it may say that it is alive, who does not wait is told that it is held, and other locks have their own.
    let known = place(acquire(&*backend, &waiters[7]).await);
    let again = Waiting { place: known, ttl: Duration::from_secs(600), queue: true };
    let alive = Acquire { waiting: Some(again), ..waiters[7].clone() };
    assert_eq!(place(acquire(&*backend, &alive).await), known);
    assert_eq!(place(acquire(&*backend, &Acquire { waiting: None, ..late.clone() }).await), 0);
    assert!(matches!(
        acquire(&*backend, &wish("b", Mode::exclusive(), true)).await,
        Acquired::Granted { .. }
    ));
    let locks = process_with(stage, settings()).await;
    let error = locks.lock("a").fair().acquire().await.unwrap_err();
    assert!(matches!(&error, Error::TooManyWaiters { crowd: Crowd::Queue, .. }), "{error}");
    assert_eq!(locks.stats().too_many_waiters, 1);
    // One leaves, and there is room for one.
    let (keys, owner) = (alive.keys.clone(), alive.owner);
    let (remember, claim) = (settings().response_timeout * 8, settings().waiter_ttl);
    release(&*backend, &Release { keys, owner, remember, claim, wanted: false }).await;
    assert!(place(acquire(&*backend, &late).await) > known);
    assert_eq!(acquire(&*backend, &reader).await, Acquired::TooManyWaiters);
}

/// Fair waiters are served in the order in which they came, over all processes: many of each of many keys.
pub async fn the_fair_are_served_in_order(stage: &impl Stage) {
    const WAITERS: usize = 40;
    const ROUNDS: usize = 5;
    const LEASE: Duration = Duration::from_secs(20);
    // They say that they are alive seldom enough for a crowd to be counted before anybody has to, and wait for longer.
    let settings = Settings {
        waiter_ttl: Duration::from_secs(30),
        wait: Duration::from_secs(90),
        keeper_lease: LEASE,
        ..settings()
    };
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(process_with(stage, settings).await);
    }
    let grants = usize::try_from(stage.grants().everyday.min(10_000)).expect("no more than that");
    let keys = grants / (WAITERS * ROUNDS);
    // Who waited already, all processes together.
    let contended = || -> u64 {
        let patterns = processes.iter().flat_map(|locks| locks.stats().patterns);
        patterns.map(|(_, pattern)| pattern.contended).sum()
    };
    for round in 0..ROUNDS * soak() {
        let name = |key| format!("order:{round}:{key}");
        let mut guards = Vec::new();
        for key in 0..keys {
            // Kept for as long as it takes the crowd to come.
            guards.push(processes[0].lock(name(key)).acquire().await.unwrap());
        }
        let served: Arc<Vec<Mutex<Vec<_>>>> = Arc::new((0..keys).map(|_| Mutex::default()).collect());
        let mut waiters = Vec::new();
        let before = contended();
        for turn in 0..WAITERS {
            for key in 0..keys {
                let served = Arc::clone(&served);
                let request = processes[(turn + key) % 3].lock(name(key)).lease(LEASE).fair();
                waiters.push(tokio::spawn(async move {
                    let guard = request.acquire().await.unwrap();
                    served[key].lock().unwrap().push((turn, guard.fence()));
                    assert!(guard.release().await.was_held());
                }));
            }
            // The order is that of the arrival at the backend, so each arrives before the next one sets out.
            let arrived = timeout(settings.wait, async {
                while contended() < before + waiters.len() as u64 {
                    sleep(Duration::from_millis(1)).await;
                }
            });
            arrived.await.expect("everybody arrives");
        }
        drop(guards);
        for waiter in waiters {
            timeout(settings.wait, waiter).await.expect("everybody is served").unwrap();
        }
        for served in &*served {
            let served = served.lock().unwrap();
            assert_eq!(served.len(), WAITERS);
            assert!(served.is_sorted(), "{served:?}");
            assert!(served.is_sorted_by_key(|(_, fence)| fence), "{served:?}");
        }
    }
}

/// After the dead before it are over and the lock is free, a waiter has it within [`PATIENCE`], and half of them within this:
/// far less than one time to live more.
const HALF_SERVED_WITHIN: Duration = Duration::from_millis(250);

/// Each dead waiter at the head of the queue delays the others until the end of its own time to live at the most, and many in
/// a row no longer than the last of them.
pub async fn a_dead_head_delays_for_its_time_to_live(stage: &impl Stage) {
    const KEYS: usize = 20;
    let locks = process(stage).await;
    let backend = Arc::new(connected(stage.backend().await).await);
    let mut late = Vec::new();
    for round in 0..soak() {
        let served = (0..KEYS).map(|key| {
            let queue = serve_behind_the_dead(
                locks.clone(),
                Arc::clone(&backend),
                format!("a{round}:{key}"),
                key % 10 + 1,
            );
            tokio::spawn(queue)
        });
        for served in served.collect::<Vec<_>>() {
            late.extend(served.await.unwrap());
        }
    }
    late.sort_unstable();
    let (half, last) = (late[late.len() / 2], late[late.len() - 1]);
    println!("{} waiters behind the dead, half of them served within {half:?}, all {last:?}", late.len());
    assert!(half < HALF_SERVED_WITHIN && last < PATIENCE, "{late:?}");
}

/// A queue of so many dead, one alive, as many dead again, and another one alive. Returns how long after the time to live of
/// the last dead before it each was served, or after the lock was free where that was later.
async fn serve_behind_the_dead(
    locks: Locks,
    backend: Arc<impl Backend>,
    key: String,
    dead: usize,
) -> Vec<Duration> {
    const LIVING: usize = 2;
    let holder = locks.lock(&key).lease(Duration::from_secs(15)).acquire().await.unwrap();
    let (mut gone, mut living) = (Vec::new(), Vec::new());
    for place in 1..=LIVING {
        let mut dead_until = BootTime::now();
        for _ in 0..dead {
            // They take a place and are never heard of again.
            let wish = wish(&key, Mode::exclusive(), true);
            let answer = acquire(&*backend, &wish).await;
            assert!(matches!(answer, Acquired::Conflict(conflict) if conflict.place > 0));
            dead_until = BootTime::now() + settings().waiter_ttl;
            gone.push(wish.owner);
        }
        let request = locks.lock(&key).fair();
        let waiter = tokio::spawn(async move {
            let guard = request.acquire().await.unwrap();
            let got_at = BootTime::now();
            assert!(guard.release().await.was_held());
            (got_at, BootTime::now())
        });
        living.push((dead_until, waiter));
        // It has its place before the next ones come.
        let placed = timeout(PATIENCE * 5, async {
            loop {
                let waiters = answered(|| locks.look(&key)).await.unwrap().waiters;
                if waiters.iter().filter(|waiter| !gone.contains(&waiter.owner)).count() == place {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        placed.await.expect("it takes a place");
    }
    let mut free_at = BootTime::now();
    assert!(holder.release().await.was_held());
    let mut late = Vec::new();
    for (dead_until, waiter) in living {
        let (got_at, released_at) = timeout(PATIENCE * 10, waiter).await.expect("it is served").unwrap();
        late.push(got_at.since(dead_until.max(free_at)));
        free_at = released_at;
    }
    late
}

/// A wait that is dropped, at whatever point, leaves neither a hold nor a place.
pub async fn a_cancelled_wait_leaves_nothing(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    for polls in 0..24 {
        for held in [false, true] {
            let key = format!("a{polls}{held}");
            let guard = if held { Some(there.lock(&key).acquire().await.unwrap()) } else { None };
            let request = here.lock(&key).lease(Duration::from_secs(15));
            let mut acquire = Box::pin(if polls % 2 == 0 { request.fair() } else { request }.acquire());
            let mut left = polls;
            let finished = std::future::poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(false);
                }
                left -= 1;
                if acquire.as_mut().poll(context).is_ready() {
                    return std::task::Poll::Ready(true);
                }
                if left == 0 || held {
                    context.waker().wake_by_ref();
                }
                std::task::Poll::Pending
            });
            let _ = timeout(Duration::from_millis(20), finished).await;
            drop(acquire);
            drop(guard);
            let started = BootTime::now();
            let next = there.lock(&key).wait(PATIENCE * 5).acquire().await;
            let took = BootTime::now().since(started);
            assert!(next.is_ok(), "after {polls} polls, held: {held}: {next:?}");
            assert!(took < settings().waiter_ttl / 2, "after {polls} polls: something was left for {took:?}");
        }
    }
}

/// A place that is given up makes way at once for those behind it.
pub async fn a_waiter_who_gives_up_makes_way(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let reader = here.shared("a").lease(Duration::from_secs(15)).acquire().await.unwrap();
    let writer = there.lock("a").wait(Duration::from_secs(3));
    let writer = tokio::spawn(async move { writer.acquire().await });
    until_queued(&here, "a").await;
    // A reader does not pass a writer.
    busy(|| here.shared("a").try_acquire()).await;
    let late = here.shared("a");
    let late = tokio::spawn(async move { (late.acquire().await, BootTime::now()) });
    let error = writer.await.unwrap().unwrap_err();
    let gave_up_at = BootTime::now();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let (late, got_at) = timeout(PATIENCE, late).await.expect("it is let in").unwrap();
    assert!(got_at.since(gave_up_at) < settings().waiter_ttl / 2, "{:?}", got_at.since(gave_up_at));
    assert!(late.unwrap().is_valid() && reader.is_valid());
}

/// Somebody waits in the queue of the lock.
pub(super) async fn until_queued(locks: &Locks, key: &str) {
    let queued = async {
        while answered(|| locks.look(key)).await.unwrap().waiters_count == 0 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE * 4, queued).await.expect("it queues");
}

/// A lease that runs out tells nobody. When the one who watches the clock for its process gives up, the next
/// one does.
pub async fn the_next_in_line_watches_the_clock(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let lease = settings().lease_min();
    let guard = there.lock("a").lease(lease).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    // As a crash: nothing is released.
    std::mem::forget(guard);
    let front = here.lock("a").wait(lease / 4);
    let front = tokio::spawn(async move { front.acquire().await });
    sleep(lease / 10).await;
    let next = here.lock("a");
    let next = tokio::spawn(async move { (next.acquire().await, BootTime::now()) });
    assert!(front.await.unwrap().is_err());
    let (got, got_at) = timeout(lease + PATIENCE, next).await.expect("it does not sleep on").unwrap();
    assert!(got.is_ok());
    assert!(got_at >= valid_until && got_at.since(valid_until) < PATIENCE / 2);
}

/// A request that was begun and is left alone uses up no notice that others need.
pub async fn a_request_that_nobody_polls_keeps_nobody_asleep(stage: &impl Stage) {
    // So that nothing else than a notice helps in time.
    let recheck = Duration::from_secs(15);
    let settings = Settings { recheck, waiter_ttl: recheck, ..settings() };
    let locks = process_with(stage, settings).await;
    let there = process(stage).await;
    let holder = there.lock("a").lease(recheck).acquire().await.unwrap();
    // Its ears are open by then, and whoever waits would have looked because of that.
    assert!(locks.lock("warm").acquire().await.unwrap().release().await.was_held());
    sleep(Duration::from_millis(500)).await;
    // Where the answer is there at once it waits by itself, and may get the lock for as long.
    let mut begun = Box::pin(locks.lock("a").lease(settings.lease_min()).acquire());
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(begun.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    let next = locks.lock("a");
    let next = tokio::spawn(async move { (next.acquire().await.unwrap(), BootTime::now()) });
    while locks.stats().patterns.get("a").is_none_or(|pattern| pattern.contended == 0) {
        sleep(Duration::from_millis(2)).await;
    }
    let released_at = BootTime::now();
    assert!(holder.release().await.was_held());
    let (guard, got_at) = timeout(recheck * 2, next).await.expect("it is served").unwrap();
    let took = got_at.since(released_at);
    assert!(took < recheck / 3, "it was served after {took:?}");
    assert!(guard.release().await.was_held());
    assert!(begun.await.is_ok(), "and so is the other one");
}
