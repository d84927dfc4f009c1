use std::time::Duration;

use crate::limits;

/// What [`Locks`](crate::Locks) do unless a request says otherwise. All processes that share locks should
/// use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a request waits for its lock. Default 5 s, at most [`WAIT_MAX`](limits::WAIT_MAX).
    pub wait: Duration,
    /// The lease that a keeper takes and renews, where a request names none: how long a crashed process
    /// shuts the others out at the most. Default 10 s.
    pub keeper_lease: Duration,
    /// The longest lease that can be asked for. After a failover, new grants wait for this long, so shorter
    /// is better. Default 30 s, at most [`LEASE_MAX_MAX`](limits::LEASE_MAX_MAX).
    pub lease_max: Duration,
    /// How long the backend may take to answer one step. Default 500 ms.
    pub response_timeout: Duration,
    /// Waiters look at the lock this often even if nobody tells them anything. Default 5 s.
    pub recheck: Duration,
    /// How long the place of a queued waiter outlives it. It is kept alive three times as often, and
    /// [every 20 s](limits::WAITER_REFRESH_MAX) at the least. Default 15 s.
    pub waiter_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: limits::WAIT,
            keeper_lease: limits::KEEPER_LEASE,
            lease_max: limits::LEASE_MAX,
            response_timeout: limits::RESPONSE_TIMEOUT,
            recheck: limits::RECHECK,
            waiter_ttl: limits::WAITER_TTL,
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value:?}, but it must be between {min:?} and {max:?}")]
pub struct SettingsError {
    /// Its name.
    pub setting: &'static str,
    /// What it was set to.
    pub value: Duration,
    /// The least that it can be.
    pub min: Duration,
    /// The most that it can be.
    pub max: Duration,
}

impl Settings {
    /// The shortest lease under these settings.
    #[must_use]
    pub fn lease_min(&self) -> Duration {
        limits::LEASE_MIN.max(self.response_timeout * limits::LEASE_RESPONSE_TIMEOUTS_MIN)
    }

    /// How often a queued waiter says that it is alive.
    pub(crate) fn waiter_refresh(&self) -> Duration {
        limits::WAITER_REFRESH_MAX.min(self.waiter_ttl / limits::WAITER_REFRESH_DIVISOR)
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let ms = Duration::from_millis;
        check_response_timeout(self.response_timeout)?;
        within("wait", self.wait, Duration::ZERO, limits::WAIT_MAX)?;
        within("lease_max", self.lease_max, self.lease_min(), limits::LEASE_MAX_MAX)?;
        within("keeper_lease", self.keeper_lease, self.lease_min(), self.lease_max)?;
        within("recheck", self.recheck, ms(10), limits::WAIT_MAX)?;
        // Three signs of life must fit into it, and each may take a response timeout.
        within("waiter_ttl", self.waiter_ttl, ms(100).max(self.response_timeout * 4), limits::WAIT_MAX)
    }
}

/// Refuses a duration outside its limits.
pub(crate) fn within(
    setting: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
) -> Result<(), SettingsError> {
    if value < min || value > max {
        return Err(SettingsError { setting, value, min, max });
    }
    Ok(())
}

pub(crate) fn check_response_timeout(value: Duration) -> Result<(), SettingsError> {
    within("response_timeout", value, limits::RESPONSE_TIMEOUT_MIN, limits::RESPONSE_TIMEOUT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_against_each_other() {
        let ok = Settings::default();
        assert_eq!(ok.check(), Ok(()));
        let slow = Settings { response_timeout: Duration::from_secs(3), ..ok };
        let error = slow.check().unwrap_err();
        assert_eq!(error.setting, "keeper_lease");
        assert_eq!(error.to_string(), "keeper_lease is 10s, but it must be between 12s and 30s");
        assert!(Settings { lease_max: Duration::from_secs(9), ..ok }.check().is_err());
        assert!(Settings { waiter_ttl: Duration::from_secs(1), ..ok }.check().is_err());
    }
}
