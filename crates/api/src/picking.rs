//! Claims on what transfers have to pick.

use jaego_domain::{Command, PickClaimView, PickWork, PickWorkId, Refusal, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    order::{ClaimedOrder, WorkClaim, claimant, lease_if_any},
    time::Time,
    value::{Label, Named, Text, Whole, Word, name_if_any},
};

/// What a worker asks for who names neither an order nor a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Orders.
    Orders,
    /// What transfers have to pick, each zone for itself.
    Picks,
}

impl Named for Work {
    const ALL: &'static [Self] = &[Self::Orders, Self::Picks];

    fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Picks => "picks",
        }
    }
}

/// Claims for a worker what a transfer has to pick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ClaimTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// For whom.
    pub worker: Text<'a>,
    /// In which zone; in all that nobody has claimed if not said. An empty text is the zone of locations in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label<'a>>,
    /// How long the claim stands if nobody extends it, in seconds; 15 minutes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_s: Option<Whole>,
}

impl ClaimTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ClaimTransfer(command::ClaimTransfer {
            id: self.transfer.code("transfer")?,
            zone: name_if_any(self.zone.as_ref(), "zone")?,
            worker: self.worker.code("worker")?,
            lease_ms: lease_if_any(self.lease_s)?,
        }))
    }
}

/// Gives claims on the picks of a transfer a new life, counted from now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct ExtendTransferClaim<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// Whose claims they are.
    pub worker: Text<'a>,
    /// The fence that came with them.
    #[schemars(range(min = 0))]
    pub fence: Whole,
    /// In which zone; in all that were claimed under this fence if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label<'a>>,
    /// Their life from now, in seconds; 15 minutes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub lease_s: Option<Whole>,
}

impl ExtendTransferClaim<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::ExtendTransferClaim(command::ExtendTransferClaim {
            id: self.transfer.code("transfer")?,
            zone: name_if_any(self.zone.as_ref(), "zone")?,
            claimant: claimant(&self.worker, self.fence)?,
            lease_ms: lease_if_any(self.lease_s)?,
        }))
    }
}

/// Gives claims on the picks of a transfer up: the work waits for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct UnclaimTransfer<'a> {
    /// The transfer.
    pub transfer: Text<'a>,
    /// Whose claims they are.
    pub worker: Text<'a>,
    /// The fence that came with them.
    #[schemars(range(min = 0))]
    pub fence: Whole,
    /// In which zone; in all that were claimed under this fence if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label<'a>>,
}

impl UnclaimTransfer<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::UnclaimTransfer(command::UnclaimTransfer {
            id: self.transfer.code("transfer")?,
            zone: name_if_any(self.zone.as_ref(), "zone")?,
            claimant: claimant(&self.worker, self.fence)?,
        }))
    }
}

/// A claim that a worker got or extended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Claimed {
    /// On an order.
    Order(ClaimedOrder),
    /// On what a transfer has to pick.
    Picks(ClaimedPicks),
}

impl Claimed {
    /// The order, if it is on one.
    pub fn order(&self) -> Option<&Word> {
        match self {
            Self::Order(claim) => Some(&claim.order),
            Self::Picks(_) => None,
        }
    }

    /// What it is on, for people: an order, or a transfer and its zone.
    pub fn work(&self) -> String {
        match self {
            Self::Order(claim) => claim.order.to_string(),
            Self::Picks(claim) => format!("{}/{}", claim.transfer, claim.zone),
        }
    }

    /// What the worker names to go on.
    pub fn fence(&self) -> u64 {
        match self {
            Self::Order(claim) => claim.fence,
            Self::Picks(claim) => claim.fence,
        }
    }

    /// From when on it no longer counts.
    pub fn expires_at(&self) -> Time {
        match self {
            Self::Order(claim) => claim.expires_at,
            Self::Picks(claim) => claim.expires_at,
        }
    }
}

/// A claim that a worker got or extended, on what a transfer has to pick in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimedPicks {
    /// The transfer.
    pub transfer: Word,
    /// The zone; empty for locations that are in none.
    pub zone: Word,
    /// What the worker names to pick, extend or give up: larger than that of every claim before it.
    pub fence: u64,
    /// From when on it no longer counts.
    pub expires_at: Time,
}

impl From<&PickClaimView> for ClaimedPicks {
    fn from(view: &PickClaimView) -> Self {
        Self {
            transfer: (&view.work.transfer).into(),
            zone: (&view.work.zone).into(),
            fence: view.fence.0,
            expires_at: view.expires_at.into(),
        }
    }
}

/// What a transfer has to pick in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picks {
    /// The transfer.
    pub transfer: Word,
    /// The zone; empty for locations that are in none.
    pub zone: Word,
}

impl From<&PickWorkId> for Picks {
    fn from(work: &PickWorkId) -> Self {
        Self { transfer: (&work.transfer).into(), zone: (&work.zone).into() }
    }
}

/// What is to be picked of a transfer in one zone, and who does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picking {
    /// The zone; empty for locations that are in none.
    pub zone: Word,
    /// How many lines have something to pick there.
    pub line_count: u32,
    /// Who works on it, while somebody does.
    pub claim: Option<WorkClaim>,
}

impl From<&PickWork> for Picking {
    fn from(work: &PickWork) -> Self {
        let claim = work.claim.as_ref().map(|claim| WorkClaim {
            worker: (&claim.worker).into(),
            fence: claim.fence.0,
            expires_at: claim.expires_at.into(),
        });
        Self { zone: (&work.zone).into(), line_count: work.lines, claim }
    }
}
