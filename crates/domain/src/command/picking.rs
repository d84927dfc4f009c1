//! Claims on what transfers have to pick.

use super::{
    ClaimPolicy, Claimant,
    order::{claim_count, lease},
};
use crate::{Code, Digest, Name, Refusal};

/// Claims for a worker what a transfer has to pick.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimTransfer {
    /// The transfer.
    pub id: Code,
    /// In which zone; in all that nobody has claimed if not said.
    pub zone: Option<Name>,
    /// For whom.
    pub worker: Code,
    /// How long the claim stands if nobody extends it; 15 minutes if not said.
    pub lease_ms: Option<u64>,
}

/// Claims the next pick work of a site for a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimPicks {
    /// The site.
    pub site: Code,
    /// In which zone; in any if not said.
    pub zone: Option<Name>,
    /// For whom.
    pub worker: Code,
    /// Which ones.
    pub policy: ClaimPolicy,
    /// At most so many, each a zone of a transfer: 1 to [`CLAIMS_MAX`](crate::limits::CLAIMS_MAX).
    pub count: usize,
    /// As in [`ClaimTransfer`].
    pub lease_ms: Option<u64>,
}

/// Gives claims on the picks of a transfer a new life, counted from now.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendTransferClaim {
    /// The transfer.
    pub id: Code,
    /// In which zone; in all that were claimed under this fence if not said.
    pub zone: Option<Name>,
    /// Whose claims they are.
    pub claimant: Claimant,
    /// As in [`ClaimTransfer`].
    pub lease_ms: Option<u64>,
}

/// Gives claims on the picks of a transfer up: the work waits for others.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in ExtendTransferClaim")]
pub struct UnclaimTransfer {
    pub id: Code,
    pub zone: Option<Name>,
    pub claimant: Claimant,
}

fn digest_zone(d: &mut Digest, zone: Option<&Name>) {
    d.maybe_text(zone.map(Name::as_str));
}

impl ClaimTransfer {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(70).text(self.id.as_str()).text(self.worker.as_str()).maybe_number(self.lease_ms);
        digest_zone(d, self.zone.as_ref());
    }
}

impl ClaimPicks {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        claim_count(self.count)?;
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(71).text(self.site.as_str()).text(self.worker.as_str()).text(self.policy.name());
        d.number(self.count as u64).maybe_number(self.lease_ms);
        digest_zone(d, self.zone.as_ref());
    }
}

impl ExtendTransferClaim {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        lease(self.lease_ms)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(72).text(self.id.as_str()).maybe_number(self.lease_ms);
        self.claimant.digest(d);
        digest_zone(d, self.zone.as_ref());
    }
}

impl UnclaimTransfer {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(73).text(self.id.as_str());
        self.claimant.digest(d);
        digest_zone(d, self.zone.as_ref());
    }
}
