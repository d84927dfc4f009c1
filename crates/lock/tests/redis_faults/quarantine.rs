use jaego_lock::Error;

use crate::{ms, process, server};

/// Longer than it lasts, a hold would outlive the memory of a server that has lost it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_for_longer_than_the_quarantine() {
    let quarantine = ms(1_500);
    let server = server();
    let here = process(server.addr(), quarantine);
    let error = here.lock("a").lease(quarantine + ms(1)).acquire().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let guard = here.lock("a").lease(ms(1_000)).wait(quarantine * 2).acquire().await.unwrap();
    let valid_until = guard.valid_until();
    let error = guard.extend(quarantine + ms(1)).await.unwrap_err();
    let Error::Refused { source, .. } = &error else { panic!("{error}") };
    let why = std::error::Error::source(source).unwrap().to_string();
    assert_eq!(why, "a lease of 1.501s is longer than the quarantine of 1.5s");
    assert_eq!(guard.valid_until(), valid_until, "it is held as before");
    let remaining = here.look("a").await.unwrap().holders[0].remaining;
    assert!(remaining <= ms(1_001), "and no longer: {remaining:?}");
    assert!(guard.extend(quarantine).await.unwrap() > valid_until);
    assert!(guard.release().await.was_held());
}
