//! How fast the holder of a token may go, where its grant says so.

use std::time::{Duration, Instant};

use jaego_api::Problem;

use crate::limiter::{Allowance, Limiter};
use crate::limits::TOKENS_MAX;
use crate::metrics::{Counter, Metrics};
use crate::problem::whole_seconds;
use crate::tokens::{Caller, Rate, TokenId};

/// What the code of a refusal for a used-up rate is.
pub(crate) const RATE_LIMITED: &str = "rate_limited";

/// What each token that has a rate has used of it.
pub(crate) struct Rates {
    limiter: Limiter<TokenId>,
    refused: Counter,
}

impl Rates {
    pub(crate) fn new(metrics: &Metrics) -> Rates {
        let help = "Requests refused because their token had used up its rate.";
        let refused = metrics.counter("jaego_rate_limited_total", help, &[]);
        Rates { limiter: Limiter::new(TOKENS_MAX), refused }
    }

    /// Counts a request as one, before anything else of it is looked at.
    ///
    /// # Errors
    /// `rate_limited` (429).
    pub(crate) fn request(&self, caller: &Caller) -> Result<(), Box<Problem>> {
        self.spend(caller, 0, 1)
    }

    /// Counts what is more than one command of a batch that was counted as one request.
    ///
    /// # Errors
    /// `rate_limited` (429).
    pub(crate) fn rest_of_batch(&self, caller: &Caller, commands: usize) -> Result<(), Box<Problem>> {
        match u32::try_from(commands).unwrap_or(u32::MAX) {
            0 | 1 => Ok(()),
            commands => self.spend(caller, 1, commands - 1),
        }
    }

    fn spend(&self, caller: &Caller, paid: u32, rest: u32) -> Result<(), Box<Problem>> {
        let Some(rate) = caller.rate() else { return Ok(()) };
        let Rate { per_s, burst } = rate;
        let allowance = Allowance { burst, one_in: Duration::from_secs(1) / per_s };
        self.limiter.spend_rest(caller.token(), allowance, paid, rest, Instant::now()).map_err(|wait| {
            self.refused.increment();
            let wait_s = u32::try_from(whole_seconds(wait)).unwrap_or(u32::MAX);
            let cost = paid.saturating_add(rest) as usize;
            Box::new(Problem::rate_limited(cost, per_s, burst, wait_s))
        })
    }
}
