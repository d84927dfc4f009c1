//! The user that the documents tell people to make.

use jaego_lock::conformance::connected;
use jaego_lock::{Locks, Mode, Redis, RedisOptions};
use tracing_subscriber::layer::SubscriberExt;

use super::advice::Warnings;
use super::{Observer, PATIENCE, ms, process, server, settings};

const DOCUMENT: &str = include_str!("../../../../../docs/LOCKS.md");

/// What the documented user may do is enough for everything that locks do.
#[tokio::test]
async fn the_documented_user_may_do_what_locks_do() {
    what_locks_do_is_allowed("", "").await;
}

/// With what the document adds where the URL names another database than the first one.
#[tokio::test]
async fn the_documented_user_may_do_that_in_another_database() {
    assert!(DOCUMENT.contains("(`redis://…/3`) takes `+select` as well"));
    what_locks_do_is_allowed("3", "+select").await;
}

/// Somebody has made that user without its channels.
#[tokio::test]
async fn who_may_not_hear_notices_says_so_once_and_looks_now_and_then() {
    let server = server();
    let mut observer = Observer::of(&server).await;
    let user = documented_user();
    let deaf = user.replace("&jaego:* ", "");
    assert_ne!(deaf, user);
    let () = observer.command(&deaf).await;
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let here = process(server.addr(), ms(0)).await;
    let options = RedisOptions::new(&format!("redis://locks:secret@{}/", server.addr())).unwrap();
    let options = options.quarantine(ms(0)).response_timeout(settings().response_timeout);
    let there = Locks::with_settings(connected(Redis::start(options)).await, settings()).unwrap();

    let holder = here.lock("a").lease(ms(20_000)).acquire().await.unwrap();
    let before = observer.scripts().await;
    let waiter = tokio::spawn(there.lock("a").lease(ms(1_000)).wait(PATIENCE * 60).acquire());
    // Subscribing is tried again after half a second at the most.
    let recheck = settings().recheck;
    tokio::time::sleep(recheck + recheck / 2).await;
    let scripts = observer.scripts().await - before;
    // When it comes, after the pause between two looks, and one that was not answered in time.
    assert!((1..=3).contains(&scripts), "{scripts} scripts");
    assert_eq!(there.stats().gaps, 0);
    let said = warnings.said();
    assert!(said.len() == 1 && said[0].contains("cannot hear the notices"), "{said:?}");
    assert!(holder.release().await.was_held());
    let guard = tokio::time::timeout(recheck + PATIENCE, waiter).await.expect("it looks").unwrap().unwrap();
    assert!(guard.release().await.was_held());
}

fn documented_user() -> String {
    let user = DOCUMENT.lines().find_map(|line| line.strip_prefix("user locks ")).expect("it is documented");
    format!("ACL SETUSER locks {user}")
}

async fn what_locks_do_is_allowed(database: &str, more: &str) {
    let server = server();
    let mut observer = Observer::of(&server).await;
    let user = format!("{} {more}", documented_user());
    let _: String = observer.command(user.trim_end()).await;
    let url = format!("redis://locks:secret@{}/{database}", server.addr());
    let process = || Locks::new(Redis::start(RedisOptions::new(&url).unwrap().quarantine(ms(0))));
    let (here, there) = (process(), process());

    let guard = here.lock("a").acquire().await.unwrap();
    let waiters = [there.lock("a"), there.lock("a").fair()]
        .map(|request| tokio::spawn(async { request.acquire().await.unwrap().release().await }));
    let queued = async {
        while here.look("a").await.unwrap().waiters_count == 0 {
            tokio::time::sleep(ms(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, queued).await.expect("it queues");
    assert_eq!(here.list("", 10).await.unwrap().locks.len(), 1);
    guard.extend(ms(20_000)).await.unwrap();
    guard.downgrade(Mode::shared()).await.unwrap();
    let owner = here.look("a").await.unwrap().holders[0].owner;
    assert_eq!(there.break_holds("a", &[owner]).await.unwrap().ended.len(), 1);
    for waiter in waiters {
        let outcome = tokio::time::timeout(PATIENCE * 10, waiter).await.expect("it is served").unwrap();
        assert!(outcome.was_held(), "{outcome:?}");
    }
    let pair = here.multi(["b", "c"]).acquire().await.unwrap();
    assert!(pair.release().await.was_held());
    let denied: Vec<String> = observer.command("ACL LOG").await;
    assert_eq!(denied, Vec::<String>::new());
}
