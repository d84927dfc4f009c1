//! Fences: commands that count only for whoever had a lock last.

use crate::{Code, Digest, Refusal, limits::FENCE_MAX};

/// A resource that a lock guards, and the fence that the lock came with (Kleppmann, 2016, "How to do distributed
/// locking", calls it a fencing token).
///
/// A command that carries one is refused with `stale_fence` once a higher one was seen for the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fenced {
    resource: Code,
    fence: u64,
}

impl Fenced {
    /// Refuses with `invalid_value` a fence that is 0 or above [`FENCE_MAX`].
    pub fn new(resource: Code, fence: u64) -> Result<Self, Refusal> {
        if fence == 0 {
            return Err(Refusal::invalid("fence", "is zero"));
        }
        if fence > FENCE_MAX {
            return Err(Refusal::invalid("fence", "is more than 9007199254740991"));
        }
        Ok(Self { resource, fence })
    }

    /// Reads `RESOURCE=FENCE`, as it stands in a header. Refuses with `invalid_value`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // No code has an equals sign in it.
        let Some((resource, fence)) = text.split_once('=') else {
            return Err(Refusal::invalid("fenced", "is not of the form RESOURCE=FENCE"));
        };
        if fence.is_empty() || !fence.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refusal::invalid("fenced", "has no whole number after the equals sign"));
        }
        let resource = Code::new("fenced", resource)?;
        // So many digits that they fit into no number are past every limit.
        Self::new(resource, fence.parse().unwrap_or(u64::MAX))
    }

    /// What the lock guards.
    pub fn resource(&self) -> &Code {
        &self.resource
    }

    /// The number that came with the lock: from 1 to [`FENCE_MAX`].
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

/// Raises a resource's fence: shuts out, from now on, whoever had the lock before.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct RaiseFence {
    pub fenced: Fenced,
}

impl RaiseFence {
    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.number(75).text(self.fenced.resource.as_str()).number(self.fenced.fence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_read_from_a_header() {
        let read = |text: &str| Fenced::parse(text).map(|read| (read.resource.to_string(), read.fence));
        assert_eq!(read("product:42=17").unwrap(), ("product:42".to_owned(), 17));
        assert_eq!(read("a=9007199254740991").unwrap().1, FENCE_MAX);
        for bad in ["", "=", "a", "a=", "=1", "a=0", "a=-1", "a=+1", "a= 1", "a=1.0", "a=1=2", "ä=1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for large in ["a=9007199254740992", "a=18446744073709551616", "a=99999999999999999999999"] {
            assert!(read(large).unwrap_err().to_string().contains("more than 9007199254740991"), "{large}");
        }
    }
}
