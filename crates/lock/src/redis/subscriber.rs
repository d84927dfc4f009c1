//! The connection that hears what has fallen free.

use std::pin::pin;
use std::sync::Arc;

use ::redis::aio::{PubSubSink, PubSubStream};
use ::redis::{Client, RedisError};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::limits;
use super::link::{Failure, Link, Live, State};
use super::reply;
use crate::acquisition::jitter;
use crate::backend::Notice;

/// Subscribes to all shards wherever the link is connected to, until that is closed. Says so whenever
/// something may have been missed.
pub(super) async fn listen(link: Arc<Link>) {
    let mut states = link.states();
    let mut pause = limits::CONNECT_PAUSE_MIN;
    let mut warned = false;
    loop {
        let live = {
            let found = |state: &State| matches!(state, State::Live(_) | State::Closed);
            match states.wait_for(found).await.as_deref() {
                Ok(State::Live(live)) => Arc::clone(live),
                _ => return,
            }
        };
        let started = Instant::now();
        let failure = match subscribe(&link, &live).await {
            Ok(channels) => {
                warned = false;
                let Err(failure) = hear(&link, &live, channels, &mut states).await else { return };
                // Nothing is missed by who has heard nothing before.
                let _ = link.notices.send(Notice::Gap);
                failure
            }
            Err(failure) => failure,
        };
        let server = live.server.addr();
        if failure.is_final() && !warned {
            warned = true;
            let what = "cannot hear the notices of the lock server: who waits is told of nothing, and looks now and then";
            tracing::warn!(%server, error = %failure, "{what}");
        } else {
            tracing::debug!(%server, error = %failure, "no notices of the lock server");
        }
        if started.elapsed() > limits::CONNECT_PAUSE_MAX {
            pause = limits::CONNECT_PAUSE_MIN;
        }
        sleep(pause - jitter(pause / 2)).await;
        pause = limits::CONNECT_PAUSE_MAX.min(pause * 2);
    }
}

/// A connection that is subscribed to all shards.
async fn subscribe(link: &Link, live: &Live) -> Result<(PubSubSink, PubSubStream), Failure> {
    let limit = link.options.response_timeout * limits::CONNECT_RESPONSE_TIMEOUTS;
    let subscribed = timeout(limit, async {
        let (mut sink, stream) = Client::open(live.server.clone())?.get_async_pubsub().await?.split();
        let channel = |shard| format!("{}:{{{shard}}}:freed", link.options.prefix);
        let channels: Vec<String> = (0..link.options.shards).map(channel).collect();
        sink.subscribe(&channels).await?;
        Ok::<_, RedisError>((sink, stream))
    });
    Ok(subscribed.await.map_err(|_| Failure::NoAnswer)??)
}

/// Hears from one server until the connection is of no more use. Comes back without an error when closed.
///
/// `states` has seen the state that `live` is from, and nothing later: a link that goes over to another master while that
/// server has not confirmed the subscription yet is noticed right after.
async fn hear(
    link: &Link,
    live: &Live,
    (mut sink, stream): (PubSubSink, PubSubStream),
    states: &mut watch::Receiver<State>,
) -> Result<(), Failure> {
    let limit = link.options.response_timeout;
    let mut stream = pin!(stream);
    // Whatever fell free before is not told again.
    let _ = link.notices.send(Notice::Gap);
    let mut look_at = Instant::now() + limits::LOOK_PAUSE;
    loop {
        tokio::select! {
            message = stream.next() => {
                let message = message.ok_or(Failure::NoAnswer)?;
                let Some(notice) = reply::notice(message.get_payload_bytes()) else {
                    tracing::debug!(channel = message.get_channel_name(), "a notice that is none of ours");
                    continue;
                };
                let _ = link.notices.send(notice);
            }
            () = sleep_until(look_at) => {
                let pong = timeout(limit, sink.ping::<::redis::Value>()).await;
                pong.map_err(|_| Failure::NoAnswer)??;
                look_at = Instant::now() + limits::LOOK_PAUSE;
            }
            changed = states.changed() => match &*states.borrow_and_update() {
                _ if changed.is_err() => return Ok(()),
                State::Closed => return Ok(()),
                State::Live(now) if now.run_id != live.run_id => return Err(Failure::NoAnswer),
                _ => {}
            },
        }
    }
}
