//! Who is told that it is its turn.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::answers::{acquire, release, renew};
use super::waiting::wish;
use super::{PATIENCE, Stage, connected};
use crate::backend::{Acquire, Acquired, Backend, Ended, Notice, Owner, Release, Renew, Renewed};
use crate::{LockKey, Mode};

const CLAIM: Duration = Duration::from_secs(60);
/// Longer than it takes to send a step again.
const REMEMBER: Duration = Duration::from_secs(60);

/// So long that nobody has to say that it is alive, and no turn passes by itself.
fn patient(mode: &str, holders_max: u32, fair: bool) -> Acquire {
    let mode = Mode::new(mode).unwrap().max_holders(holders_max).unwrap();
    let mut wish = Acquire { claim: CLAIM, ..wish("a", mode, fair) };
    if let Some(waiting) = &mut wish.waiting {
        waiting.ttl = CLAIM;
    }
    wish
}

fn ending(of: &Acquire) -> Release {
    Release { keys: of.keys.clone(), owner: of.owner, remember: REMEMBER, claim: CLAIM, wanted: false }
}

/// Asks, and keeps the place that it is given. Whether it has got in.
async fn ask(backend: &impl Backend, request: &mut Acquire) -> bool {
    match acquire(backend, request).await {
        Acquired::Granted { .. } => true,
        Acquired::Conflict(conflict) => {
            if let Some(waiting) = &mut request.waiting {
                waiting.place = conflict.place;
            }
            false
        }
        other => panic!("{other:?}"),
    }
}

async fn let_go(backend: &impl Backend, holder: &Acquire) {
    assert_eq!(release(backend, &ending(holder)).await, Ended::Released);
}

/// A process that hears notices.
struct Ear {
    notices: Receiver<Notice>,
    /// Keys that nobody else uses, each for one marker.
    markers: Vec<LockKey>,
}

impl Ear {
    /// Listens from the first notice on that is known to have been heard.
    async fn open(backend: &impl Backend) -> Self {
        let notices = backend.notices();
        let group = backend.group(&LockKey::new("a").unwrap());
        let keys = (0..100_000).map(|number| LockKey::new(format!("b{number}")).unwrap());
        let markers = keys.filter(|key| backend.group(key) == group).take(50).collect();
        let mut ear = Self { notices, markers };
        let marked = async { while timeout(PATIENCE, ear.is_at_rest(backend)).await.is_err() {} };
        timeout(PATIENCE * 10, marked).await.expect("notices are heard");
        ear
    }

    /// Whose turn it is said to be next, and how many there is room for; no owner for those outside of the queue.
    async fn next(&mut self) -> (Option<Owner>, u32) {
        let told = async {
            loop {
                match self.notices.recv().await {
                    Ok(Notice::Freed { key, next }) if key.as_str() == "a" => {
                        return next.map_or((None, 0), |next| (Some(next.owner), next.room));
                    }
                    _ => {}
                }
            }
        };
        timeout(PATIENCE * 5, told).await.expect("somebody is told")
    }

    /// Nobody was told of anything until now: what another key is told comes first.
    async fn is_at_rest(&mut self, backend: &impl Backend) {
        let other = self.markers.pop().expect("there are enough");
        let marker = Acquire { keys: [other.clone()].into(), ..patient("exclusive", 1, false) };
        assert!(matches!(acquire(backend, &marker).await, Acquired::Granted { .. }));
        let others_wait = Release { wanted: true, ..ending(&marker) };
        assert_eq!(release(backend, &others_wait).await, Ended::Released);
        loop {
            match self.notices.recv().await {
                Ok(Notice::Freed { key, .. }) if key == other => return,
                Ok(Notice::Freed { key, next }) => {
                    assert_ne!(key.as_str(), "a", "one notice too many: {next:?}");
                }
                _ => {}
            }
        }
    }
}

/// Fair waiters who may stand side by side are woken together, and their requests overtake each other. Who was refused
/// because one before it had not asked yet is told when that one has got in, once, wherever it is.
pub async fn a_companion_that_asked_too_early_is_told(stage: &impl Stage) {
    let (here, there) = (connected(stage.backend().await).await, connected(stage.backend().await).await);
    let mut writer = patient("exclusive", 1, false);
    let mut ear = Ear::open(&there).await;
    assert!(ask(&there, &mut writer).await);
    let [mut first, mut second, mut third] = [(); 3].map(|()| patient("permit", 3, true));
    let mut reader = patient("permit", 3, false);
    for (backend, waiter) in [(&here, &mut first), (&there, &mut second), (&there, &mut third)] {
        assert!(!ask(backend, waiter).await);
    }
    assert!(!ask(&here, &mut reader).await);
    let_go(&there, &writer).await;
    assert_eq!(ear.next().await, (Some(first.owner), 3));
    // They all were woken, and the last come first.
    assert!(!ask(&here, &mut reader).await);
    assert!(!ask(&there, &mut third).await);
    assert!(!ask(&there, &mut second).await);
    assert!(ask(&here, &mut first).await);
    assert_eq!(ear.next().await, (Some(second.owner), 1));
    assert!(ask(&there, &mut second).await);
    assert_eq!(ear.next().await, (Some(third.owner), 1));
    // Sent once more, because its answer was lost, it tells nobody twice.
    assert!(ask(&there, &mut second).await);
    assert!(ask(&there, &mut third).await);
    // There is no room for the one who is left, until one of them has gone.
    ear.is_at_rest(&here).await;
    let_go(&here, &first).await;
    assert_eq!(ear.next().await, (Some(reader.owner), 1));
    assert!(ask(&here, &mut reader).await);
    ear.is_at_rest(&here).await;
}

/// The one behind the last fair one of a queue is told when that one has got in, and with it all others there is room for: they
/// may have asked too early as well, and nobody is told of them once they need not be fair.
pub async fn all_behind_the_fair_are_told(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let mut writer = patient("exclusive", 1, false);
    let mut ear = Ear::open(&backend).await;
    assert!(ask(&backend, &mut writer).await);
    let mut fair = patient("permit", 9, true);
    let mut readers = [(); 3].map(|()| patient("permit", 9, false));
    assert!(!ask(&backend, &mut fair).await);
    for reader in &mut readers {
        assert!(!ask(&backend, reader).await);
    }
    let_go(&backend, &writer).await;
    assert_eq!(ear.next().await, (Some(fair.owner), 9));
    for reader in &mut readers {
        assert!(!ask(&backend, reader).await);
    }
    assert!(ask(&backend, &mut fair).await);
    assert_eq!(ear.next().await, (Some(readers[0].owner), 8));
    for reader in &mut readers {
        assert!(ask(&backend, reader).await);
    }
    ear.is_at_rest(&backend).await;
}

/// Whoever has lost its place in the queue, because it was told that it is its turn and did not come in time, and comes after
/// all: nobody is before it who came later, however fair.
pub async fn who_comes_back_late_is_kept_out_by_nobody_who_came_later(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    for holders_max in [1, 9] {
        let mut writer = patient("exclusive", 1, false);
        assert!(ask(&backend, &mut writer).await);
        let mut early = patient("permit", holders_max, false);
        let [mut late, mut later] = [(); 2].map(|()| patient("permit", 9, true));
        for waiter in [&mut early, &mut late, &mut later] {
            assert!(!ask(&backend, waiter).await);
        }
        let claim = Duration::from_millis(50);
        assert_eq!(release(&backend, &Release { claim, ..ending(&writer) }).await, Ended::Released);
        tokio::time::sleep(claim * 2).await;
        assert!(!ask(&backend, &mut later).await, "the fair one before it is still there");
        assert!(ask(&backend, &mut early).await);
        assert_eq!(ask(&backend, &mut late).await, holders_max > 1);
        for holder in [&early, &late, &later] {
            let _ = release(&backend, &ending(holder)).await;
        }
    }
}

/// Whoever is kept out by a queue alone hears who of it can get in, be the lock free or held by others of that mode: the one
/// whose turn it is may have missed its notice. Whom the holders keep out hears of nobody.
pub async fn whom_a_queue_keeps_out_hears_whose_turn_it_is(stage: &impl Stage) {
    let backend = connected(stage.backend().await).await;
    let heard = async |request: &mut Acquire| {
        let Acquired::Conflict(conflict) = acquire(&backend, request).await else { panic!("{request:?}") };
        request.waiting.as_mut().expect("it waits").place = conflict.place;
        conflict.head
    };
    let mut holder = patient("exclusive", 1, false);
    assert!(ask(&backend, &mut holder).await);
    let (mut few, mut more) = (patient("permit", 1, false), patient("permit", 9, false));
    let mut fair_writer = patient("exclusive", 1, true);
    let mut last = patient("permit", 9, false);
    for waiter in [&mut few, &mut more, &mut fair_writer, &mut last] {
        assert_eq!(heard(waiter).await, None);
    }
    let shared = Mode::new("permit").unwrap().max_holders(9).unwrap();
    let (keys, owner, lease) = (holder.keys.clone(), holder.owner, holder.lease);
    let downgrade = Renew { keys, owner, lease, mode: Some(shared), claim: CLAIM };
    assert_eq!(renew(&backend, &downgrade).await, Renewed::Held);
    assert_eq!(heard(&mut last).await, Some(more.owner));
    assert_eq!(heard(&mut fair_writer).await, None);
    assert_eq!(heard(&mut few).await, None);
    assert!(ask(&backend, &mut more).await);
    assert_eq!(heard(&mut last).await, None, "one of the queue who cannot get in is told of nothing");
    for holder in [&holder, &more] {
        let_go(&backend, holder).await;
    }
    assert_eq!(heard(&mut fair_writer).await, Some(few.owner));
    assert!(ask(&backend, &mut few).await);
}

/// One in the queue who lets in too few to be served keeps nobody back who lets in more, if it is not fair: where there is
/// room for those behind it, in the queue or outside, they are told.
pub async fn who_lets_in_too_few_is_passed_over(stage: &impl Stage) {
    let (here, there) = (connected(stage.backend().await).await, connected(stage.backend().await).await);
    let mut writer = patient("exclusive", 1, false);
    let mut ear = Ear::open(&there).await;
    assert!(ask(&there, &mut writer).await);
    let (mut few, mut more) = (patient("permit", 2, false), patient("permit", 9, false));
    assert!(!ask(&here, &mut few).await);
    assert!(!ask(&there, &mut more).await);
    let_go(&there, &writer).await;
    assert_eq!(ear.next().await, (Some(few.owner), 2));
    // Others are quicker.
    let mut held = [3, 9, 9].map(|holders_max| patient("permit", holders_max, false));
    for holder in &mut held {
        assert!(ask(&here, holder).await);
    }
    // Beside two of them there was no room any more for the one who was told, and some for the one behind it.
    assert_eq!(ear.next().await, (Some(more.owner), 1));
    assert!(!ask(&here, &mut few).await);
    assert!(!ask(&there, &mut more).await);
    let_go(&here, &held[0]).await;
    assert_eq!(ear.next().await, (Some(more.owner), 7));
    assert!(ask(&there, &mut more).await);
    ear.is_at_rest(&here).await;

    // The same for one who came when it was full, and has no place.
    let mut narrow = patient("permit", 4, false);
    assert!(ask(&here, &mut narrow).await);
    let mut outside = patient("permit", 9, false);
    assert!(!ask(&there, &mut outside).await);
    assert_eq!(outside.waiting.unwrap().place, 0);
    let_go(&here, &narrow).await;
    assert_eq!(ear.next().await, (None, 0));
    assert!(ask(&there, &mut outside).await);
    ear.is_at_rest(&here).await;

    // A fair one with a small limit does keep back who comes later.
    let mut fair = patient("permit", 2, true);
    assert!(!ask(&here, &mut fair).await);
    let mut late = patient("permit", 9, false);
    assert!(!ask(&there, &mut late).await);
    let_go(&here, &held[1]).await;
    assert!(!ask(&there, &mut late).await);
    ear.is_at_rest(&here).await;
}
