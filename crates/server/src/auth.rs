//! Who sends this request: the bearer token, and patience with those who send wrong ones.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};
use jaego_api::problem::ProblemKind;

use crate::limiter::{Allowance, Limiter};
use crate::limits::Limits;
use crate::problem::Problem;
use crate::tokens::{Caller, Tokens};

/// A peer as limits count it: one IPv4 address, or the 64-bit network that one IPv6 customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey(IpAddr);

impl From<IpAddr> for PeerKey {
    fn from(address: IpAddr) -> PeerKey {
        match address.to_canonical() {
            IpAddr::V4(address) => PeerKey(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                PeerKey(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

/// Counts failed authentications per peer, in bounded memory.
///
/// Only failures are held back. A valid token passes even from an address that others abuse: behind one address there
/// may be a whole warehouse, and a secret of 256 bits is not found by trying.
#[derive(Debug)]
pub struct FailureLimiter {
    forgiven: Allowance,
    peers: Limiter<PeerKey>,
}

impl FailureLimiter {
    /// An empty one.
    pub fn new(limits: &Limits) -> FailureLimiter {
        let forgiven =
            Allowance { burst: limits.auth_failures_max, one_in: limits.auth_failure_forgiven_after };
        FailureLimiter { forgiven, peers: Limiter::new(limits.auth_peers_max) }
    }

    /// Counts one failure. `Err` says how long to wait, when there were too many of late.
    pub fn failed(&self, peer: PeerKey, now: Instant) -> Result<(), Duration> {
        self.peers.spend(peer, self.forgiven, 1, now)
    }

    /// Peers remembered now.
    pub fn peers(&self) -> usize {
        self.peers.keys()
    }
}

/// The caller behind these headers.
///
/// # Errors
/// 401 without a valid token, 429 when this peer failed too often.
pub(crate) fn authenticate(
    tokens: &Tokens,
    failures: &FailureLimiter,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<Caller, Problem> {
    let sent = headers.get(header::AUTHORIZATION);
    let caller = sent.and_then(|value| bearer(value.as_bytes())).and_then(|token| tokens.verify(token));
    if let Some(caller) = caller {
        return Ok(caller);
    }
    if let Err(wait) = failures.failed(peer.into(), Instant::now()) {
        let detail =
            "Too many requests from this address came without a valid token. Wait, and check the token.";
        return Err(Problem::new(const { ProblemKind::of("too_many_failures") }, detail).retry_after(wait));
    }
    let detail = match sent {
        None => "Send a token in the header: Authorization: Bearer jaego_<id>_<secret>.",
        Some(_) => "The Authorization header holds no valid token. It may be mistyped or revoked.",
    };
    Err(Problem::new(const { ProblemKind::of("unauthorized") }, detail))
}

/// What follows `Bearer` (in any case) and one or more spaces.
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, rest) = value.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    std::str::from_utf8(rest.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(failures_max: u32, peers_max: usize) -> FailureLimiter {
        FailureLimiter::new(&Limits {
            auth_failures_max: failures_max,
            auth_failure_forgiven_after: Duration::from_secs(2),
            auth_peers_max: peers_max,
            ..Limits::default()
        })
    }

    fn peer(text: &str) -> PeerKey {
        PeerKey::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn failures_are_counted_and_forgiven() {
        let limiter = limiter(3, 8);
        let start = Instant::now();
        let one = peer("10.0.0.1");
        for _ in 0..3 {
            assert_eq!(limiter.failed(one, start), Ok(()));
        }
        assert_eq!(limiter.failed(one, start), Err(Duration::from_secs(2)));
        assert_eq!(limiter.failed(peer("10.0.0.2"), start), Ok(()), "another peer is not to blame");
        assert_eq!(limiter.failed(one, start + Duration::from_secs(2)), Ok(()));
        assert!(limiter.failed(one, start + Duration::from_secs(2)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_the_worst_is_remembered_longest() {
        let limiter = limiter(2, 4);
        let now = Instant::now();
        let worst = peer("10.9.9.9");
        limiter.failed(worst, now).unwrap();
        limiter.failed(worst, now).unwrap();
        for last in 0..=255 {
            limiter.failed(peer(&format!("10.0.0.{last}")), now).unwrap();
            assert!(limiter.peers() <= 4);
        }
        assert!(limiter.failed(worst, now).is_err());
    }

    #[test]
    fn one_ipv6_network_is_one_peer() {
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
    }

    #[test]
    fn the_scheme_is_bearer() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer   abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("", None),
        ] {
            assert_eq!(bearer(value.as_bytes()), token, "{value:?}");
        }
    }
}
