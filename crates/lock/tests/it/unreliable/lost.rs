use jaego_lock::backend::Backend;
use jaego_lock::conformance::granted;
use jaego_lock::limits::TRIES_MIN;
use jaego_lock::{Error, Lost, Mode, Outcome};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, ms, on_each_backend, patient, process, there};

on_each_backend! {
    an_extension_without_an_answer_is_sent_again,
    a_writer_who_may_be_a_reader_takes_itself_for_one,
    an_extension_that_is_never_answered_ends,
    an_extension_of_a_lock_that_is_broken_meanwhile_is_none,
    a_lost_lock_does_not_become_one_for_readers,
}

async fn an_extension_without_an_answer_is_sent_again(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    let guard = here.lock("a").lease(ms(2_000)).acquire().await.unwrap();
    for lost in 1..TRIES_MIN {
        let sent = faults.renewals();
        faults.lose_renewals(lost);
        let valid_until = guard.extend(ms(5_000)).await.expect("sent again");
        assert_eq!(faults.renewals(), sent + lost + 1);
        assert!(valid_until.remaining() > ms(4_000));
    }
    let reader = tokio::spawn({
        let request = there.shared("a").lease(ms(5_000));
        async move { request.acquire().await.unwrap() }
    });
    faults.lose_renewals(1);
    guard.downgrade(Mode::shared()).await.expect("sent again");
    let reader = timeout(PATIENCE, reader).await.expect("let in").unwrap();
    assert!(guard.is_valid() && reader.is_valid());
    assert!(guard.release().await.was_held());
}

/// If the server has made it a reader and nobody could tell, others read beside it: it must not go on writing.
async fn a_writer_who_may_be_a_reader_takes_itself_for_one(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    let guard = here.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    faults.lose_renewals(TRIES_MIN);
    let error = guard.downgrade(Mode::shared()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    // The server has made it a reader.
    let reader = granted(|| there.shared("a").try_acquire()).await;
    assert_eq!(guard.mode(), Mode::shared());
    // To be sure, it asks again. To be anything else is no question any more.
    let error = guard.downgrade(Mode::new("allocate").unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { .. }), "{error}");
    guard.downgrade(Mode::shared()).await.unwrap();
    let error = guard.downgrade(Mode::shared()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { .. }), "once it is known, there is nothing to do: {error}");
    assert!(guard.is_valid() && reader.is_valid());
    assert!(guard.release().await.was_held());
    assert!(reader.release().await.was_held());
}

async fn an_extension_that_is_never_answered_ends(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    // With the time for all tries, and without it.
    let guard = here.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    let sent = faults.renewals();
    faults.lose_renewals(u32::MAX);
    let error = timeout(PATIENCE, guard.extend(ms(10_000))).await.expect("it ends").unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert_eq!(error.to_string(), "a: the lock server is not available", "it was no wish for the lock");
    assert_eq!(faults.renewals(), sent + TRIES_MIN);
    assert!(guard.is_valid(), "as before");
    faults.lose_renewals(0);
    assert!(guard.release().await.was_held());

    let guard = here.lock("a").lease(here.settings().lease_min()).wait(PATIENCE).acquire().await.unwrap();
    sleep(here.settings().lease_min() - ms(150)).await;
    faults.lose_renewals(u32::MAX);
    let error = guard.extend(ms(10_000)).await.unwrap_err();
    assert!(matches!(error, Error::Lost { how: Lost::Expired, .. }), "{error}");
    let late = jaego_lock::BootTime::now().since(guard.valid_until());
    assert!(late < PATIENCE, "not after the lock: {late:?}");
    faults.lose_renewals(0);
    drop(guard);
    drop(timeout(PATIENCE, there.lock("a").acquire()).await.expect("let go").unwrap());
}

/// The server makes it longer, then somebody breaks it, then the answer arrives.
async fn an_extension_of_a_lock_that_is_broken_meanwhile_is_none(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), patient(other));
    let guard = here.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    let renewed = faults.renewed();
    faults.delay_renewals(1);
    let breaking = async {
        while faults.renewed() == renewed {
            sleep(ms(1)).await;
        }
        let owner = there.look("a").await.unwrap().holders[0].owner;
        assert_eq!(there.break_holds("a", &[owner]).await.unwrap().ended.len(), 1);
        assert_eq!(timeout(PATIENCE, guard.lost()).await.expect("it is told"), Lost::Broken);
        faults.let_through();
    };
    let (extended, ()) = tokio::join!(guard.extend(ms(15_000)), breaking);
    let error = extended.unwrap_err();
    assert!(matches!(error, Error::Lost { how: Lost::Broken, .. }), "{error}");
    assert!(matches!(guard.release().await, Outcome::Broken));
}

/// Whoever has taken it is not one of its readers: it was stolen, and that is said.
async fn a_lost_lock_does_not_become_one_for_readers(here: impl Backend, other: impl Backend) {
    let ((here, faults), there) = (process(here), there(other));
    // It knows that it has lost it.
    let guard = here.lock("a").lease(here.settings().lease_min()).acquire().await.unwrap();
    assert_eq!(guard.lost().await, Lost::Expired);
    let thief = there.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    let sent = faults.renewals();
    let error = guard.downgrade(Mode::shared()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { how: Lost::Expired, .. }), "{error}");
    assert_eq!((guard.mode(), faults.renewals()), (Mode::exclusive(), sent), "nothing was asked");
    let outcome = guard.release().await;
    assert!(matches!(outcome, Outcome::Stolen { fence } if fence == thief.fence()), "{outcome:?}");
    assert!(thief.release().await.was_held());

    // It learns so from the answer.
    let guard = here.lock("a").lease(ms(10_000)).acquire().await.unwrap();
    faults.take_away(guard.key()).await;
    // The server has forgotten.
    let thief = granted(|| there.lock("a").lease(ms(10_000)).try_acquire()).await;
    let error = guard.downgrade(Mode::shared()).await.unwrap_err();
    let stolen = Lost::Stolen { fence: thief.fence() };
    assert!(matches!(error, Error::Lost { how, .. } if how == stolen), "{error}");
    let outcome = guard.release().await;
    assert!(matches!(outcome, Outcome::Stolen { fence } if fence == thief.fence()), "{outcome:?}");
    assert!(thief.release().await.was_held());
}
