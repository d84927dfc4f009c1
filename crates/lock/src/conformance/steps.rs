//! The steps of a backend, one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answers::{acquire, release, renew};
use super::waiting::wish;
use super::{PATIENCE, Stage, connected};
use crate::backend::{Acquire, Acquired, Backend, Break, Ended, Notice, Owner, Release, Renew, Renewed};
use crate::table::Table;
use crate::{BootTime, LockKey, Mode};

const CLAIM: Duration = Duration::from_secs(60);
/// Longer than it takes to send a step again.
const REMEMBER: Duration = Duration::from_secs(60);

fn renewal(of: &Acquire) -> Renew {
    Renew { keys: of.keys.clone(), owner: of.owner, lease: of.lease, mode: None, claim: CLAIM }
}

fn ending(of: &Acquire) -> Release {
    Release { keys: of.keys.clone(), owner: of.owner, remember: REMEMBER, claim: CLAIM, wanted: false }
}

/// A step that is sent again, because its answer was lost, is answered as before and does nothing twice.
pub async fn steps_can_be_sent_again(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    for mode in [Mode::exclusive(), Mode::new("allocate").unwrap()] {
        let (first, second) = (wish("a", mode.clone(), true), wish("a", Mode::exclusive(), true));
        let granted = acquire(&backend, &first).await;
        let Acquired::Granted { fence, turn } = granted else { panic!("{granted:?}") };
        for _ in 0..3 {
            assert_eq!(acquire(&backend, &first).await, Acquired::Granted { fence, turn });
            assert_eq!(renew(&backend, &renewal(&first)).await, Renewed::Held);
        }
        let place = |answer| match answer {
            Acquired::Conflict(conflict) => conflict.place,
            other => panic!("{other:?}"),
        };
        let queued = place(acquire(&backend, &second).await);
        assert!(queued > 0);
        assert_eq!(place(acquire(&backend, &second).await), queued);
        for _ in 0..3 {
            assert_eq!(release(&backend, &ending(&first)).await, Ended::Released);
        }
        let granted = acquire(&backend, &second).await;
        let Acquired::Granted { fence: next, .. } = granted else { panic!("{granted:?}") };
        assert!(next > fence);
        // The first one's release, once more, does not end the second one's hold.
        assert_eq!(release(&backend, &ending(&first)).await, Ended::Released);
        assert_eq!(renew(&backend, &renewal(&second)).await, Renewed::Held);
        let not_held = Renewed::NotHeld { holder: Some(next) };
        assert_eq!(renew(&backend, &renewal(&first)).await, not_held);
        assert_eq!(release(&backend, &ending(&second)).await, Ended::Released);
        assert_eq!(renew(&backend, &renewal(&second)).await, Renewed::NotHeld { holder: None });
    }
    let stranger = wish("a", Mode::exclusive(), false);
    for _ in 0..2 {
        let ended = release(&backend, &ending(&stranger)).await;
        assert_eq!(ended, Ended::NotHeld { holder: None });
    }
}

/// A hold lasts for its whole lease, counted from when it was asked for: from the last time that it was, if
/// that was sent again, and from the last renewal.
pub async fn a_hold_lasts_for_its_lease(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let lease = Duration::from_millis(600);
    let modes = [Mode::exclusive(), Mode::shared()];
    for (mode, later) in
        modes.iter().flat_map(|mode| [None, Some(false), Some(true)].map(|later| (mode, later)))
    {
        let holder = Acquire { lease, ..wish("a", mode.clone(), false) };
        let mut sent_at = BootTime::now();
        assert!(matches!(acquire(&backend, &holder).await, Acquired::Granted { .. }));
        if let Some(renewed) = later {
            tokio::time::sleep(lease / 2).await;
            sent_at = BootTime::now();
            if renewed {
                assert_eq!(renew(&backend, &renewal(&holder)).await, Renewed::Held);
            } else {
                assert!(matches!(acquire(&backend, &holder).await, Acquired::Granted { .. }));
            }
        }
        let next = Acquire { waiting: None, ..wish("a", Mode::exclusive(), false) };
        let mut tries = 0;
        while !matches!(acquire(&backend, &next).await, Acquired::Granted { .. }) {
            tries += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let lasted = BootTime::now().since(sent_at);
        assert!(lasted >= lease && tries > 0, "{mode:?} {later:?}: {lasted:?} after {tries} tries");
        assert_eq!(release(&backend, &ending(&next)).await, Ended::Released);
    }
}

/// A releaser in whose process others wait says so. If there is a queue it comes first, and the others are told when it
/// has gone, though nobody who releases then knows of them. Who hears of a gap looks again: the connection for notices may
/// have come later than the others.
pub async fn those_behind_a_queue_are_told(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let mut notices = backend.notices();
    let told = async {
        loop {
            leave_by_a_queue(&backend).await;
            loop {
                match notices.recv().await {
                    Ok(Notice::Freed { next: None, .. }) => return,
                    Ok(Notice::Gap) => break,
                    _ => {}
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE * 5, told).await.expect("those outside the queue are told");
}

/// A holder and one who waits in the queue have the lock and let it go; the holder says that others wait.
async fn leave_by_a_queue(backend: &impl Backend) {
    let (holder, queued) = (wish("a", Mode::exclusive(), false), wish("a", Mode::exclusive(), true));
    assert!(matches!(acquire(backend, &holder).await, Acquired::Granted { .. }));
    assert!(matches!(acquire(backend, &queued).await, Acquired::Conflict(_)));
    let others_wait = Release { wanted: true, ..ending(&holder) };
    assert_eq!(release(backend, &others_wait).await, Ended::Released);
    assert!(matches!(acquire(backend, &queued).await, Acquired::Granted { .. }));
    assert_eq!(release(backend, &ending(&queued)).await, Ended::Released);
}

/// When a lock falls free, the first of the queue has a while to take it, however long it may live. Then the
/// others may; but should it come after all, it has its place again.
pub async fn a_turn_that_is_not_taken_passes(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let claim = Duration::from_secs(2);
    let holder = wish("a", Mode::exclusive(), false);
    let [mut first, mut second] = [(); 2].map(|()| wish("a", Mode::exclusive(), true));
    for waiter in [&mut first, &mut second] {
        if let Some(waiting) = &mut waiter.waiting {
            waiting.ttl = Duration::from_secs(60);
        }
    }
    assert!(matches!(acquire(&backend, &holder).await, Acquired::Granted { .. }));
    for waiter in [&mut first, &mut second] {
        let answer = acquire(&backend, waiter).await;
        let Acquired::Conflict(conflict) = answer else { panic!("{answer:?}") };
        waiter.waiting.as_mut().expect("it waits").place = conflict.place;
    }
    let soon_passed_on = Release { claim, ..ending(&holder) };
    assert_eq!(release(&backend, &soon_passed_on).await, Ended::Released);
    let answer = acquire(&backend, &second).await;
    let Acquired::Conflict(conflict) = answer else { panic!("{answer:?}") };
    assert_eq!((conflict.head, conflict.holder_remaining), (Some(first.owner), Duration::ZERO));
    assert!(conflict.retry_after <= claim, "{conflict:?}");
    tokio::time::sleep(conflict.retry_after + Duration::from_millis(5)).await;
    assert!(matches!(acquire(&backend, &second).await, Acquired::Granted { .. }));

    // Somebody came later than the first, who is late.
    let third = wish("a", Mode::exclusive(), true);
    assert!(matches!(acquire(&backend, &third).await, Acquired::Conflict(_)));
    let answer = acquire(&backend, &first).await;
    let Acquired::Conflict(conflict) = answer else { panic!("{answer:?}") };
    assert_eq!((conflict.head, conflict.place), (None, first.waiting.unwrap().place));
    assert_eq!(release(&backend, &ending(&second)).await, Ended::Released);
    assert!(matches!(acquire(&backend, &third).await, Acquired::Conflict(_)));
    assert!(matches!(acquire(&backend, &first).await, Acquired::Granted { .. }));
}

/// An acquire that was overtaken by its own release takes nothing, and renewing brings nothing back.
pub async fn a_late_acquire_takes_nothing(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let late = wish("a", Mode::exclusive(), false);
    assert_eq!(release(&backend, &ending(&late)).await, Ended::NotHeld { holder: None });
    assert_eq!(acquire(&backend, &late).await, Acquired::Ended);
    assert_eq!(renew(&backend, &renewal(&late)).await, Renewed::NotHeld { holder: None });
    let next = wish("a", Mode::exclusive(), false);
    assert!(matches!(acquire(&backend, &next).await, Acquired::Granted { .. }));
}

/// Of keys that are held together one was broken, and perhaps somebody else has it: the release says that not all were
/// held to the end, once more when it is asked once more, and none of them is kept.
pub async fn a_release_tells_of_every_key(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let keys = together(&backend);
    for broken in &keys {
        for taken in [false, true] {
            let both = Acquire { keys: keys.to_vec().into(), ..wish("a", Mode::exclusive(), false) };
            assert!(matches!(acquire(&backend, &both).await, Acquired::Granted { .. }));
            let request = Break { key: broken.clone(), owners: vec![both.owner], claim: CLAIM };
            assert_eq!(backend.break_holds(&request).await.unwrap().ended.len(), 1);
            let rival = Acquire { waiting: None, ..wish(broken.as_str(), Mode::exclusive(), false) };
            let mut holder = None;
            if taken {
                let granted = acquire(&backend, &rival).await;
                let Acquired::Granted { fence, .. } = granted else { panic!("{granted:?}") };
                holder = Some(fence);
            }
            for _ in 0..2 {
                assert_eq!(release(&backend, &ending(&both)).await, Ended::NotHeld { holder });
            }
            if taken {
                assert_eq!(release(&backend, &ending(&rival)).await, Ended::Released);
            }
        }
    }
    let next = Acquire { keys: keys.to_vec().into(), ..wish("a", Mode::exclusive(), false) };
    assert!(matches!(acquire(&backend, &next).await, Acquired::Granted { .. }));
    assert_eq!(release(&backend, &ending(&next)).await, Ended::Released);
}

/// Two keys that the backend takes in one step.
fn together(backend: &impl Backend) -> [LockKey; 2] {
    let first = LockKey::new("a").unwrap();
    let others = (0..100_000).map(|number| LockKey::new(format!("b{number}")).unwrap());
    let mut together = others.filter(|other| backend.group(other) == backend.group(&first));
    let second = together.next().expect("a group has more than one key");
    [first, second]
}

/// A long random walk is answered as by the [`Table`], but for numbers that depend on the clock.
pub async fn answers_are_those_of_the_table(stage: &impl Stage) {
    let seed = std::env::var("JAEGO_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("JAEGO_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let backend = connected(stage.backend().await).await;
    let mut table = Table::default();
    // Nothing ends by itself within the walk.
    let long = Duration::from_secs(600);
    let limited = |mode: Mode, holders_max| mode.max_holders(holders_max).unwrap();
    let permit = || Mode::new("permit").unwrap();
    let few_readers = limited(Mode::shared(), 2);
    let modes =
        [Mode::exclusive(), Mode::shared(), few_readers.clone(), limited(permit(), 2), limited(permit(), 3)];
    let keys = together(&backend);
    let mut now = 1;
    let mut walkers: Vec<Acquire> = Vec::new();
    let mut fences: BTreeMap<Owner, (u64, u64)> = BTreeMap::new();
    let mut turns: BTreeMap<u64, u64> = BTreeMap::new();
    for step in 0..3_000 {
        now += 1;
        if walkers.len() < 8 && random.bool() {
            let mode = modes[random.usize(..modes.len())].clone();
            let mut walker = wish("a", mode, random.bool());
            walker.lease = long;
            walker.claim = CLAIM;
            let single = random.u8(..5) > 0;
            walker.keys =
                if single { [keys[random.usize(..2)].clone()].into() } else { keys.to_vec().into() };
            if !single {
                walker.mode = Mode::exclusive();
                walker.fair = false;
            }
            if let Some(waiting) = &mut walker.waiting {
                waiting.ttl = long;
                waiting.queue = single;
            }
            if random.u8(..4) == 0 {
                walker.waiting = None;
            }
            walkers.push(walker);
        }
        if walkers.is_empty() {
            continue;
        }
        let at = random.usize(..walkers.len());
        let walker = &mut walkers[at];
        match random.u8(..8) {
            0..=3 => {
                let expected = table.acquire(now, walker);
                let answer = acquire(&backend, walker).await;
                match (&expected, &answer) {
                    (
                        Acquired::Granted { fence: expected, turn: expected_turn },
                        Acquired::Granted { fence, turn },
                    ) => {
                        let known = turns.entry(*expected_turn).or_insert(*turn);
                        assert_eq!(known, turn, "step {step}: another turn");
                        let known = fences.entry(walker.owner).or_insert((*expected, *fence));
                        assert_eq!(*known, (*expected, *fence), "step {step}: another fence");
                    }
                    (Acquired::Conflict(expected), Acquired::Conflict(conflict)) => {
                        let facts = |conflict: &crate::backend::Conflict| {
                            let held = !conflict.holder_remaining.is_zero();
                            (conflict.key, held, conflict.place > 0, conflict.head)
                        };
                        assert_eq!(facts(expected), facts(conflict), "step {step}: {walker:?}");
                    }
                    (Acquired::Ended, Acquired::Ended) => {}
                    _ => panic!("step {step}: {answer:?}, expected {expected:?}, of {walker:?}"),
                }
            }
            4 => {
                let mut renewal = renewal(walker);
                if walker.mode.is_shared() || random.bool() {
                    renewal.mode = None;
                } else if walker.keys.len() == 1 {
                    let mode = if random.bool() { Mode::shared() } else { few_readers.clone() };
                    renewal.mode = Some(mode);
                }
                let expected = table.renew(now, &renewal).0;
                let answer = renew(&backend, &renewal).await;
                if let (Renewed::Held, Some(mode)) = (expected, renewal.mode) {
                    walker.mode = mode;
                }
                assert_eq!(facts(expected), facts(answer), "step {step}: {walker:?}");
            }
            _ => {
                // The table never forgets a release.
                let ending = Release { remember: long, ..ending(walker) };
                let expected = table.release(now, &ending).0;
                let answer = release(&backend, &ending).await;
                let facts = |ended| match ended {
                    Ended::Released => (true, false),
                    Ended::NotHeld { holder } => (false, holder.is_some()),
                };
                assert_eq!(facts(expected), facts(answer), "step {step}: {walker:?}");
                if random.bool() {
                    walkers.swap_remove(at);
                }
            }
        }
    }
    let mut fences: Vec<_> = fences.into_values().collect();
    fences.sort_unstable();
    assert!(fences.windows(2).all(|pair| pair[0].1 < pair[1].1), "fences grow with the grants");
    assert!(turns.values().is_sorted_by(|one, other| one < other), "turns grow with the periods");
    assert!(
        turns.len() > 50 && turns.len() < fences.len(),
        "{} turns of {} grants",
        turns.len(),
        fences.len()
    );
    assert!(fences.len() > 100, "the walk was granted {} locks", fences.len());
}

fn facts(renewed: Renewed) -> (bool, bool) {
    match renewed {
        Renewed::Held => (true, false),
        Renewed::NotHeld { holder } => (false, holder.is_some()),
    }
}
