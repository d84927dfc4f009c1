//! The feeds that are open. Each keeps a task, and reads the store at every event, for as long as somebody listens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jaego_api::Problem;

use crate::{
    Limits, Metrics,
    metrics::{Counter, Gauge},
    tokens::TokenId,
};

/// How long a caller with too many feeds should wait, in seconds. A feed ends by itself within a minute.
const RETRY_AFTER_S: u32 = 5;

/// Counts open feeds, in all and of each token that has one.
pub(super) struct Feeds {
    max: usize,
    per_token_max: usize,
    open: Mutex<Open>,
    shown: Gauge,
    refused_total: Counter,
    refused_per_token: Counter,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_token: HashMap<TokenId, usize>,
}

/// A place among the open feeds, until it is dropped.
pub(super) struct OpenFeed {
    feeds: Arc<Feeds>,
    token: TokenId,
}

impl Feeds {
    pub(super) fn new(limits: &Limits, metrics: &Metrics) -> Self {
        let refused = |limit| {
            let help = "Feeds of events refused, by the limit that they were over.";
            metrics.counter("jaego_feeds_refused_total", help, &[("limit", limit)])
        };
        Self {
            max: limits.feeds_max,
            per_token_max: limits.feeds_per_token_max,
            open: Mutex::default(),
            shown: metrics.gauge("jaego_open_feeds", "Feeds of events that are open.", &[]),
            refused_total: refused("total"),
            refused_per_token: refused("per_token"),
        }
    }

    /// Takes a place for a feed of this token.
    ///
    /// # Errors
    /// `too_many_feeds` (429) where the token has as many as it may, `busy` (503) where all tokens together have.
    pub(super) fn open(self: &Arc<Self>, token: TokenId) -> Result<OpenFeed, Box<Problem>> {
        let mut open = self.lock();
        let own = open.by_token.get(&token).copied().unwrap_or(0);
        if own >= self.per_token_max {
            self.refused_per_token.increment();
            return Err(Box::new(Problem::too_many_feeds(own, self.per_token_max, RETRY_AFTER_S)));
        }
        if open.all >= self.max {
            self.refused_total.increment();
            return Err(Box::new(Problem::feeds_busy(open.all, self.max, RETRY_AFTER_S)));
        }
        open.all += 1;
        open.by_token.insert(token, own + 1);
        self.shown.add(1);
        Ok(OpenFeed { feeds: Arc::clone(self), token })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().expect("nobody panics while holding the feeds")
    }
}

impl Drop for OpenFeed {
    fn drop(&mut self) {
        let mut open = self.feeds.lock();
        open.all -= 1;
        let own = open.by_token.get_mut(&self.token).expect("a token with a feed is counted");
        *own -= 1;
        if *own == 0 {
            open.by_token.remove(&self.token);
        }
        self.feeds.shown.add(-1);
    }
}
