//! The user that the documents tell people to make.

use jaego_lock::{Locks, Mode, Redis, RedisOptions};

use super::{Observer, PATIENCE, ms, server};

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

async fn what_locks_do_is_allowed(database: &str, more: &str) {
    let server = server();
    let mut observer = Observer::of(&server).await;
    let user = DOCUMENT.lines().find_map(|line| line.strip_prefix("user locks ")).expect("it is documented");
    let user = format!("ACL SETUSER locks {user} {more}");
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
