use std::fmt;
use std::sync::{Arc, Mutex};

use jaego_lock::{Locks, Memory, conformance};
use tokio::time::{sleep, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Instrument, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::{PATIENCE, ms};

/// Writes down what is told, one line each: `spans from the outermost: message`, and `span closed`.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Vec<String>>>);

/// The fields of a span or an event that matter here.
#[derive(Default)]
struct Fields {
    message: String,
    key: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "key" => self.key = format!("{value:?}"),
            _ => {}
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notebook {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields.key);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans: Vec<String> = spans
            .map(|span| {
                let key = span.extensions().get::<String>().cloned().unwrap_or_default();
                if key.is_empty() { span.name().to_owned() } else { format!("{} {key}", span.name()) }
            })
            .collect();
        self.0.lock().unwrap().push(format!("{}: {}", spans.join(" > "), fields.message));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let name = context.span(&id).unwrap().name();
        self.0.lock().unwrap().push(format!("{name} closed"));
    }
}

/// What happens to a hold is told in its span, whoever comes upon it, and that is in the span of whoever asked for the lock.
#[tokio::test]
async fn a_hold_has_a_span_with_its_keeper_its_loss_and_its_end() {
    let notebook = Notebook::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(notebook.clone()));
    let locks = Locks::with_settings(Memory::new(), conformance::settings()).unwrap();
    let said = |line: &str| notebook.0.lock().unwrap().iter().position(|said| said == line);
    let until_said = async |line: &str| {
        let all = async {
            while said(line).is_none() {
                sleep(ms(5)).await;
            }
        };
        let waited = timeout(PATIENCE, all).await;
        waited.unwrap_or_else(|_| panic!("{line} was not said: {:#?}", notebook.0.lock().unwrap()));
    };

    let holder = locks.lock("a").acquire().instrument(tracing::info_span!("checkout")).await.unwrap();
    until_said("checkout > acquire a: acquired").await;
    until_said("checkout > hold a: renewed").await;
    let waiter = locks.lock("a").lease(ms(400)).acquire().instrument(tracing::info_span!("refund"));
    let waiter = tokio::spawn(waiter);
    sleep(ms(20)).await;
    drop(holder);
    until_said("checkout > hold a: let go").await;
    let acquired = said("acquire closed").expect("the acquisition is over");
    assert!(acquired < said("checkout > hold a: renewed").unwrap(), "long before the hold");

    let next = timeout(PATIENCE, waiter).await.unwrap().unwrap().unwrap();
    until_said("refund > acquire a: acquired").await;
    until_said("refund > hold a: lock lost: its lease ran out").await;
    drop(next.release().await);
    until_said("refund > hold a: let go").await;
    until_said("hold closed").await;
    until_said("refund closed").await;
    // Nothing that is told of a lock is told outside of such a span.
    let all = notebook.0.lock().unwrap().clone();
    assert!(all.iter().all(|said| !said.starts_with(':')), "{all:#?}");
}
