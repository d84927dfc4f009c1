//! Settings of a server that break what the locks promise.

use std::fmt;
use std::sync::{Arc, Mutex};

use jaego_testkit as testkit;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{Observer, PATIENCE, ms, server, unconnected};

/// Writes the warnings down.
#[derive(Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Vec<String>>>);

struct Message<'a>(&'a mut Vec<String>);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.push(format!("{value:?}"));
        }
    }
}

impl Warnings {
    pub(super) fn said(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            event.record(&mut Message(&mut self.0.lock().unwrap()));
        }
    }
}

fn with_settings(settings: &[(&str, &str)]) -> testkit::Redis {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    testkit::Redis::start(&testkit::RedisOptions { settings, ..Default::default() }).unwrap()
}

/// What is said while the locks connect to the server for the first time, and again when the connection is broken.
async fn warnings(server: &testkit::Redis) -> Vec<String> {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let locks = unconnected(server.addr(), ms(0));
    assert!(locks.lock("a").acquire().await.unwrap().release().await.was_held());
    let () = Observer::of(server).await.command("CLIENT KILL TYPE normal").await;
    assert!(locks.lock("a").wait(PATIENCE * 5).acquire().await.unwrap().release().await.was_held());
    warnings.said()
}

#[tokio::test]
async fn a_server_that_keeps_no_promise_is_warned_of_once() {
    assert_eq!(warnings(&server()).await, Vec::<String>::new(), "as it comes it is in order");

    let evicts = with_settings(&[("maxmemory-policy", "allkeys-lru"), ("maxmemory", "256mb")]);
    let said = warnings(&evicts).await;
    assert!(
        said.len() == 1 && said[0].contains("evicts keys") && said[0].contains("allkeys-lru"),
        "{said:?}"
    );

    let master = server();
    let _replica = with_settings(&[("replicaof", &format!("127.0.0.1 {}", master.addr().port()))]);
    let mut observer = Observer::of(&master).await;
    let follows = async {
        loop {
            let info: String = observer.command("INFO replication").await;
            if info.contains("connected_slaves:1") {
                return;
            }
            tokio::time::sleep(ms(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE * 10, follows).await.expect("the replica follows");
    let said = warnings(&master).await;
    assert!(said.len() == 1 && said[0].contains("set min-replicas-to-write"), "{said:?}");
    // The other connection was broken with those of the locks.
    let () = Observer::of(&master).await.command("CONFIG SET min-replicas-to-write 1").await;
    assert_eq!(warnings(&master).await, Vec::<String>::new());
}
