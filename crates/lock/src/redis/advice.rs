//! What in a server's settings breaks what the locks promise, as far as the documented user may know of it.

use std::fmt;

/// Something to be set otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// There are replicas, and a master that was cut off from all of them goes on granting.
    AloneIsEnough,
    /// When the memory is full, a lock goes.
    Evicts { policy: String },
}

impl fmt::Display for Advice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AloneIsEnough => out.write_str(
                "the lock server has replicas, and grants locks when it is cut off from all of them: \
                 set min-replicas-to-write and min-replicas-max-lag",
            ),
            Self::Evicts { policy } => write!(
                out,
                "the lock server evicts keys when its memory is full ({policy}), and an evicted lock is a lock for \
                 two: set maxmemory-policy noeviction"
            ),
        }
    }
}

/// Reads the server's answer to `INFO replication memory`.
pub(super) fn of(info: &str) -> Vec<Advice> {
    let value =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let mut advice = Vec::new();
    // How many of its replicas keep up is told only where that matters to the server.
    if value("connected_slaves").is_some_and(|count| count != "0")
        && value("min_slaves_good_slaves").is_none()
    {
        advice.push(Advice::AloneIsEnough);
    }
    // Without a limit nothing is ever evicted, whatever the policy.
    let is_limited = value("maxmemory").is_some_and(|bytes| bytes != "0");
    if let Some(policy) = value("maxmemory_policy").filter(|policy| is_limited && *policy != "noeviction") {
        advice.push(Advice::Evicts { policy: policy.to_owned() });
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_order_is_not_spoken_of() {
        let alone = "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n";
        assert_eq!(of(alone), []);
        assert_eq!(of(""), []);
        let replicas = alone.replace("slaves:0", "slaves:2");
        assert_eq!(of(&replicas), [Advice::AloneIsEnough]);
        assert_eq!(of(&replicas.replace("# Memory", "min_slaves_good_slaves:2\r\n# Memory")), []);
        let policy = "allkeys-lru".to_owned();
        let limited = format!("{alone}maxmemory:1000\r\n");
        assert_eq!(of(&limited), []);
        assert_eq!(of(&limited.replace("noeviction", "allkeys-lru")), [Advice::Evicts { policy }]);
        let unlimited = format!("{alone}maxmemory:0\r\n");
        assert_eq!(of(&unlimited.replace("noeviction", "allkeys-lru")), []);
    }
}
