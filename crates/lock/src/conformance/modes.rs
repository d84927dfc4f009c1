//! Holders side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::waiting::until_queued;
use super::{PATIENCE, Stage, busy, granted, patient, process, process_with, refused, settings, soak};
use crate::{BootTime, Error, Locks, Lost, Mode, ModeError, Outcome, Request, Settings};

const LEASE: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(15);

/// A process that hardly looks by itself: who is served in time there was told.
pub(super) async fn attentive(stage: &impl Stage) -> Locks {
    process_with(stage, Settings { recheck: LONG, ..settings() }).await
}

/// A plain lock is for one holder, whatever others call what they want.
pub async fn nobody_stands_beside_a_plain_lock(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = granted(|| here.lock("a").lease(LONG).try_acquire()).await;
    let beside: [&dyn Fn() -> Request; 4] = [
        &|| there.mode("a", "exclusive"),
        &|| there.mode("a", "exclusive").max_holders(1),
        &|| there.mode("a", "exclusive").max_holders(2),
        &|| there.lock("a").max_holders(2),
    ];
    for beside in beside {
        let error = refused(|| beside().try_acquire()).await;
        assert!(matches!(error, Error::Mode(ModeError::Exclusive)), "{error}");
    }
    busy(|| there.lock("a").max_holders(1).try_acquire()).await;
    let error = guard.downgrade(Mode::new("exclusive").unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { .. }), "{error}");
    assert!(guard.release().await.was_held());
}

/// Holders of one mode are side by side, in all processes, and shut out every other mode.
pub async fn one_mode_shuts_out_the_others(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let mut allocating = Vec::new();
    for turn in 0..20 {
        let locks = if turn % 2 == 0 { &here } else { &there };
        allocating.push(granted(|| locks.mode("a", "allocate").lease(LONG).try_acquire()).await);
    }
    busy(|| there.mode("a", "cancel").try_acquire()).await;
    busy(|| there.lock("a").try_acquire()).await;
    busy(|| there.shared("a").try_acquire()).await;
    let request = there.mode("a", "cancel").lease(LONG);
    let cancel = tokio::spawn(async move { request.acquire().await });
    while let Some(guard) = allocating.pop() {
        assert!(!cancel.is_finished());
        assert!(matches!(guard.release().await, Outcome::Released));
    }
    let cancel =
        timeout(PATIENCE, cancel).await.expect("the last one's release lets it in").unwrap().unwrap();
    busy(|| here.mode("a", "allocate").try_acquire()).await;
    assert!(cancel.release().await.was_held());
}

/// Whoever waits for another mode gets in under a never-ending stream of it, some of which crash: within the longest
/// lease and a second.
pub async fn a_stream_of_one_mode_starves_nobody(stage: &impl Stage) {
    const ALLOCATORS: u64 = 6;
    const CANCELS: usize = 12;
    const CRASH_EVERY: usize = 40;
    let (here, there) = (process(stage).await, process(stage).await);
    let stop = Arc::new(AtomicBool::new(false));
    let [allocated, crashed] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let keys: Vec<String> =
        (0..(stage.grants().everyday / 1_000).clamp(2, 10)).map(|key| format!("a{key}")).collect();
    let mut stream = Vec::new();
    for (turn, key) in (0..ALLOCATORS).flat_map(|turn| keys.iter().map(move |key| (turn, key.clone()))) {
        let locks = if turn % 2 == 0 { here.clone() } else { there.clone() };
        let (stop, allocated, crashed) = (Arc::clone(&stop), Arc::clone(&allocated), Arc::clone(&crashed));
        stream.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let guard = locks.mode(&key, "allocate").lease(LEASE).acquire().await.unwrap();
                let number = allocated.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(5 + 7 * turn)).await;
                if number.is_multiple_of(CRASH_EVERY) {
                    crashed.fetch_add(1, Ordering::Relaxed);
                    std::mem::forget(guard);
                }
            }
        }));
    }
    sleep(Duration::from_millis(100)).await;
    let mut cancels = Vec::new();
    for key in &keys {
        let (there, key) = (there.clone(), key.clone());
        cancels.push(tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..CANCELS * soak() {
                let started = BootTime::now();
                let cancel = there.mode(&key, "cancel").lease(LEASE).acquire().await.unwrap();
                let took = BootTime::now().since(started);
                longest = longest.max(took);
                assert!(took < LEASE + PATIENCE, "{took:?}");
                drop(cancel);
                sleep(Duration::from_millis(20)).await;
            }
            longest
        }));
    }
    let mut longest = Duration::ZERO;
    for cancels in cancels {
        longest = longest.max(cancels.await.unwrap());
    }
    let before = allocated.load(Ordering::Relaxed);
    sleep(Duration::from_millis(300)).await;
    let allocated = allocated.load(Ordering::Relaxed);
    assert!(allocated > before, "the stream goes on");
    let crashed = crashed.load(Ordering::Relaxed);
    println!(
        "{} cancels waited for {longest:?} at the most, under {allocated} of the stream, of which {crashed} crashed",
        keys.len() * CANCELS * soak()
    );
    assert!(crashed > 0, "nobody crashed");
    stop.store(true, Ordering::Relaxed);
    for task in stream {
        timeout(PATIENCE * 5, task).await.expect("the stream ends").unwrap();
    }
}

/// Each holder has its own end: a companion's short lease neither cuts nor prolongs another's.
pub async fn a_dead_companion_changes_nothing(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let short = here.mode("a", "allocate").lease(LEASE).acquire().await.unwrap();
    let long = there.mode("a", "allocate").lease(LEASE * 5).acquire().await.unwrap();
    // One who comes last and goes first, as a crash.
    std::mem::forget(here.mode("a", "allocate").lease(LEASE).acquire().await.unwrap());
    assert_eq!(short.lost().await, Lost::Expired);
    // A backend that sweeps up what has ended leaves what has not.
    sleep(LEASE * 2 + Duration::from_millis(200)).await;
    assert!(long.is_valid());
    // The long one holds.
    busy(|| here.lock("a").try_acquire()).await;
    let valid_until = long.valid_until();
    let next = here.lock("a").acquire().await.unwrap();
    assert!(BootTime::now() >= valid_until, "two modes at once");
    assert!(next.is_valid());
    assert!(BootTime::now().since(valid_until) < PATIENCE);
    assert!(matches!(long.release().await, Outcome::Expired | Outcome::Stolen { .. }));
}

/// Readers share, writers do not, and neither starves the other.
pub async fn writers_and_readers_take_turns(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let readers = [here.shared("a").acquire().await.unwrap(), there.shared("a").acquire().await.unwrap()];
    let request = here.lock("a");
    let writer = tokio::spawn(async move { request.acquire().await.unwrap() });
    until_queued(&there, "a").await;
    busy(|| there.shared("a").try_acquire()).await;
    let mut late = Vec::new();
    for locks in [&here, &there, &there] {
        let request = locks.shared("a");
        late.push(tokio::spawn(async move { request.acquire().await.unwrap() }));
    }
    sleep(Duration::from_millis(50)).await;
    drop(readers);
    let writer = timeout(PATIENCE, writer).await.expect("the writer is let in").unwrap();
    assert!(late.iter().all(|reader| !reader.is_finished()));
    drop(writer);
    let mut readers = Vec::new();
    for reader in late {
        readers.push(timeout(PATIENCE, reader).await.expect("all readers are let in together").unwrap());
    }
    assert!(readers.iter().all(crate::Guard::is_valid));
}

/// From writing to reading without a gap; never the other way.
pub async fn a_writer_becomes_a_reader(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.lock("a").acquire().await.unwrap();
    let request = there.shared("a");
    let reader = tokio::spawn(async move { request.acquire().await.unwrap() });
    sleep(Duration::from_millis(50)).await;
    let fence = guard.fence();
    guard.downgrade(Mode::shared()).await.unwrap();
    assert_eq!((guard.mode(), guard.fence()), (Mode::shared(), fence));
    let reader = timeout(PATIENCE, reader).await.expect("the reader is let in").unwrap();
    busy(|| there.lock("a").try_acquire()).await;
    let error = guard.downgrade(Mode::exclusive()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { .. }), "{error}");
    assert!(guard.is_valid() && reader.is_valid());
    assert!(guard.release().await.was_held());
    assert!(reader.release().await.was_held());
    drop(granted(|| there.lock("a").try_acquire()).await);
}

/// The mode stays, so nobody would be let in.
pub async fn a_mode_for_one_does_not_become_the_same_for_more(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let guard = here.mode("a", "allocate").max_holders(1).acquire().await.unwrap();
    let error = guard.downgrade(Mode::new("allocate").unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { .. }), "{error}");
    let told = "a is held as allocate (holders: 1) and cannot be turned into allocate (holders: 1024); ";
    assert!(error.to_string().starts_with(told), "{error}");
    assert_eq!(guard.mode().holders_max(), 1);
    busy(|| there.mode("a", "allocate").try_acquire()).await;
    guard.downgrade(Mode::new("count").unwrap()).await.unwrap();
    drop(granted(|| there.mode("a", "count").try_acquire()).await);
    assert!(guard.release().await.was_held());
}

/// As many as there are permits, never more, fair or not.
pub async fn a_semaphore_has_n_permits(stage: &impl Stage) {
    const PERMITS: u32 = 3;
    let (here, there) = (process(stage).await, process(stage).await);
    for fair in [false, true] {
        let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut users = Vec::new();
        for turn in 0..16 {
            let locks = if turn % 2 == 0 { here.clone() } else { there.clone() };
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            users.push(tokio::spawn(async move {
                for _ in 0..4 {
                    let request = locks.semaphore("a", PERMITS).lease(LONG);
                    let guard = if fair { request.fair() } else { request }.acquire().await.unwrap();
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    sleep(Duration::from_millis(3)).await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(guard.release().await.was_held());
                }
            }));
        }
        for user in users {
            timeout(settings().wait, user).await.expect("everybody gets a permit").unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), PERMITS, "fair: {fair}");
    }
}

/// Of different limits for one mode the smallest counts, of who holds it and of who asks: nobody has more company than it
/// asked for, whoever comes first, in whatever process.
pub async fn the_smallest_limit_counts(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let many = |locks: &Locks| locks.mode("a", "allocate").lease(LONG);
    let few = |locks: &Locks| many(locks).max_holders(2);

    // Who asks for few does not join many …
    let mut held =
        [granted(|| many(&here).try_acquire()).await, granted(|| many(&there).try_acquire()).await];
    busy(|| few(&here).try_acquire()).await;
    let [first, _] = &mut held;
    let first = std::mem::replace(first, granted(|| many(&there).max_holders(9).try_acquire()).await);
    assert!(first.release().await.was_held());
    let [second, third] = held;
    assert!(second.release().await.was_held());
    // One beside it is what it asks for.
    let second = granted(|| few(&there).try_acquire()).await;

    // … and many do not join who has asked for few.
    for locks in [&here, &there] {
        busy(|| many(locks).try_acquire()).await;
        busy(|| few(locks).try_acquire()).await;
    }
    busy(|| many(&here).max_holders(3).try_acquire()).await;
    // A limit of others is not passed on: when the one with the smallest goes, the next smallest counts.
    assert!(third.release().await.was_held());
    let third = granted(|| many(&here).max_holders(3).try_acquire()).await;
    assert!(second.release().await.was_held());
    let second = granted(|| many(&there).try_acquire()).await;
    let fourth = granted(|| many(&here).try_acquire()).await;
    busy(|| many(&there).try_acquire()).await;
    for guard in [second, third, fourth] {
        assert!(guard.release().await.was_held());
    }

    // For one holder only, under a name that others share.
    let alone = granted(|| many(&here).max_holders(1).try_acquire()).await;
    busy(|| many(&there).try_acquire()).await;
    assert!(alone.release().await.was_held());

    // The limit of one who has let others in later.
    let writer = granted(|| here.lock("a").lease(LONG).try_acquire()).await;
    let allocate = Mode::new("allocate").unwrap().max_holders(2).unwrap();
    writer.downgrade(allocate).await.unwrap();
    let second = granted(|| many(&there).try_acquire()).await;
    busy(|| many(&here).try_acquire()).await;
    assert!(writer.release().await.was_held());
    let third = granted(|| many(&here).try_acquire()).await;
    let fourth = granted(|| many(&here).try_acquire()).await;
    for guard in [second, third, fourth] {
        assert!(guard.release().await.was_held());
    }
}

/// When the holder with the smallest limit goes, by its release or its end, there is room for many at once, and all who
/// wait for it are served, queued or not.
pub async fn many_get_in_when_the_smallest_limit_goes(stage: &impl Stage) {
    let (here, there) = (attentive(stage).await, attentive(stage).await);
    for fair in [false, true] {
        for crashed in [false, true] {
            // A look at the end of its lease must not help where its release has to.
            let lease = if crashed { LEASE } else { LONG };
            let few = here.mode("a", "allocate").max_holders(1).lease(lease).acquire().await.unwrap();
            let mut waiters = Vec::new();
            for locks in [&here, &there, &here, &there] {
                let request = locks.mode("a", "allocate").max_holders(4).lease(LONG);
                let request = if fair { request.fair() } else { request };
                waiters.push(tokio::spawn(async move { request.acquire().await.unwrap() }));
            }
            sleep(Duration::from_millis(50)).await;
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "fair: {fair}, crashed: {crashed}");
            if crashed {
                assert_eq!(few.lost().await, Lost::Expired);
            } else {
                assert!(few.release().await.was_held());
            }
            let mut together = Vec::new();
            for waiter in waiters {
                let got = timeout(PATIENCE * 5, waiter).await;
                together.push(got.expect("all of them are let in").unwrap());
            }
            assert!(together.iter().all(crate::Guard::is_valid));
            for guard in together {
                assert!(guard.release().await.was_held());
            }
        }
    }
}

/// Who lets in too few to be served keeps nobody waiting who lets in more, however room was made, and is served when the
/// others have gone.
pub async fn a_small_limit_blocks_nobody_behind_it(stage: &impl Stage) {
    let (here, there) = (attentive(stage).await, attentive(stage).await);
    let allocate =
        |locks: &Locks, holders_max| locks.mode("a", "allocate").max_holders(holders_max).lease(LONG);
    for crashed in [false, true] {
        let first = allocate(&here, 3).lease(if crashed { LEASE } else { LONG }).acquire().await.unwrap();
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(allocate(&here, 9).acquire().await.unwrap());
        }
        let request = allocate(&there, 2);
        let few = tokio::spawn(async move { request.acquire().await.unwrap() });
        sleep(Duration::from_millis(50)).await;
        let mut many = Vec::new();
        for _ in 0..3 {
            let request = allocate(&there, 9);
            many.push(tokio::spawn(async move { request.acquire().await.unwrap() }));
        }
        sleep(Duration::from_millis(50)).await;
        assert!(many.iter().all(|waiter| !waiter.is_finished()), "crashed: {crashed}");
        if crashed {
            assert_eq!(first.lost().await, Lost::Expired);
        } else {
            assert!(first.release().await.was_held());
        }
        for waiter in many {
            let got = timeout(PATIENCE * 5, waiter).await;
            held.push(got.expect("those behind are let in, all of them").unwrap());
        }
        assert!(!few.is_finished(), "crashed: {crashed}");
        for guard in held {
            assert!(guard.release().await.was_held());
        }
        let few = timeout(PATIENCE * 5, few).await.expect("it is let in when the others have gone").unwrap();
        assert!(few.release().await.was_held());
    }
}

/// What is guarded by a lock: it keeps the greatest number that it has seen, and refuses smaller ones.
#[derive(Default)]
struct Guarded {
    seen: u64,
}

impl Guarded {
    fn write(&mut self, number: u64) -> bool {
        let good = number >= self.seen;
        self.seen = self.seen.max(number);
        good
    }
}

/// Holders side by side share a turn, however many of them come and go, and write in any order. Whoever is left over from
/// their period is refused when somebody of a later one has written.
pub async fn companions_write_in_any_order(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    /// Long enough for two more to come.
    const BEGINNING: Duration = Duration::from_secs(3);
    let mut guarded = Guarded::default();
    let allocate = |locks: &Locks| locks.mode("a", "allocate").lease(LONG);
    // Who begins the period is gone soon, as a crash.
    let beginner = granted(|| here.mode("a", "allocate").lease(BEGINNING).try_acquire()).await;
    let first = granted(|| allocate(&there).try_acquire()).await;
    let second = granted(|| allocate(&here).max_holders(5).try_acquire()).await;
    assert_eq!(beginner.turn(), beginner.fence(), "its own begins the period");
    assert!(beginner.fence() < first.fence() && first.fence() < second.fence());
    beginner.lost().await;
    sleep(Duration::from_millis(50)).await;
    let third = granted(|| allocate(&there).try_acquire()).await;
    for companion in [&third, &first, &second, &first] {
        assert_eq!(companion.turn(), beginner.turn());
        assert!(guarded.write(companion.turn()));
    }
    assert_eq!(second.reenter().unwrap().turn(), second.turn());
    let late = first.turn();
    for guard in [first, second, third] {
        assert!(guard.release().await.was_held());
    }
    drop(beginner);

    // Another mode comes, and with it another turn.
    let cancel = there.mode("a", "cancel").lease(LONG).acquire().await.unwrap();
    assert_eq!(cancel.turn(), cancel.fence());
    assert!(guarded.write(cancel.turn()));
    assert!(!guarded.write(late), "of the period before");
    assert!(cancel.release().await.was_held());
    let next = granted(|| allocate(&here).try_acquire()).await;
    assert!(guarded.write(next.turn()), "the same mode again is a later period");
    assert!(next.release().await.was_held());

    // A writer who lets readers in was there before them, and is one of them.
    let writer = granted(|| here.lock("a").lease(LONG).try_acquire()).await;
    assert_eq!(writer.turn(), writer.fence());
    writer.downgrade(Mode::shared()).await.unwrap();
    let reader = granted(|| there.shared("a").lease(LONG).try_acquire()).await;
    assert_eq!(reader.turn(), writer.turn());
    assert!(guarded.write(reader.turn()) && guarded.write(writer.turn()));
    assert!(writer.release().await.was_held() && reader.release().await.was_held());

    let one = granted(|| here.semaphore("a", 2).try_acquire()).await;
    let other = granted(|| there.semaphore("a", 2).try_acquire()).await;
    assert!(guarded.write(other.turn()) && guarded.write(one.turn()));
    assert!(one.release().await.was_held() && other.release().await.was_held());
}

/// Whoever comes to a period after a hold of it was broken, or wants a greater number, comes after those who were there.
pub async fn a_turn_grows_within_a_period_when_it_must(stage: &impl Stage) {
    let (here, there) = (process(stage).await, process(stage).await);
    let allocate = |locks: &Locks| locks.mode("a", "allocate").lease(LONG);
    let first = granted(|| allocate(&here).try_acquire()).await;
    let outdated = first.turn() + 1_000_000_000;
    let second = granted(|| allocate(&there).min_fence(outdated).try_acquire()).await;
    assert!(second.turn() > outdated && second.turn() == second.fence());
    let third = granted(|| allocate(&here).min_fence(second.turn() - 1).try_acquire()).await;
    assert_eq!(third.turn(), second.turn(), "great enough as it is");
    let turn = third.turn();
    assert!(second.release().await.was_held() && third.release().await.was_held());
    let third = granted(|| allocate(&here).try_acquire()).await;
    assert_eq!(third.turn(), turn, "it outlasts those who wanted it");

    let breaker = patient(stage).await;
    let holders = breaker.look("a").await.unwrap().holders;
    let broken = breaker.break_holds("a", &[holders[0].owner]).await.unwrap();
    assert_eq!(broken.ended, [(holders[0].owner, first.fence())]);
    let fourth = granted(|| allocate(&there).try_acquire()).await;
    assert!(
        fourth.turn() >= broken.fence && fourth.turn() > third.turn(),
        "what is guarded may be raised to it"
    );
    assert!(third.release().await.was_held() && fourth.release().await.was_held());
    assert_eq!(first.lost().await, Lost::Broken);
}
