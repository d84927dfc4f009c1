//! The connection that hears what has fallen free.

use std::pin::pin;
use std::sync::Arc;

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
    loop {
        let live = {
            let found = |state: &State| matches!(state, State::Live(_) | State::Closed);
            match states.wait_for(found).await.as_deref() {
                Ok(State::Live(live)) => Arc::clone(live),
                _ => return,
            }
        };
        let started = Instant::now();
        let failure = match hear(&link, &live, &mut states).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        tracing::debug!(server = %live.server.addr(), error = %failure, "lost the notices of the lock server");
        let _ = link.notices.send(Notice::Gap);
        if started.elapsed() > limits::CONNECT_PAUSE_MAX {
            pause = limits::CONNECT_PAUSE_MIN;
        }
        sleep(pause - jitter(pause / 2)).await;
        pause = limits::CONNECT_PAUSE_MAX.min(pause * 2);
    }
}

/// Hears from one server until the connection is of no more use. Comes back without an error when closed.
///
/// `states` has seen the state that `live` is from, and nothing later: a link that goes over to another master while that
/// server has not confirmed the subscription yet is noticed right after.
async fn hear(link: &Link, live: &Live, states: &mut watch::Receiver<State>) -> Result<(), Failure> {
    let limit = link.options.response_timeout;
    let subscribed = timeout(limit * limits::CONNECT_RESPONSE_TIMEOUTS, async {
        let (mut sink, stream) = Client::open(live.server.clone())?.get_async_pubsub().await?.split();
        let channel = |shard| format!("{}:{{{shard}}}:freed", link.options.prefix);
        let channels: Vec<String> = (0..link.options.shards).map(channel).collect();
        sink.subscribe(&channels).await?;
        Ok::<_, RedisError>((sink, stream))
    });
    let (mut sink, stream) = subscribed.await.map_err(|_| Failure::NoAnswer)??;
    let mut stream = pin!(stream);
    // Whatever fell free before is not told again.
    let _ = link.notices.send(Notice::Gap);
    let mut look_at = Instant::now() + limits::LOOK_PAUSE;
    loop {
        tokio::select! {
            message = stream.next() => {
                let message = message.ok_or(Failure::Closed)?;
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
