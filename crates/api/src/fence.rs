//! Fences of locks, on the wire.

use jaego_domain::{
    Command, Refusal,
    command::{self, Fenced},
    query::FenceView,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Text, Whole, Word};

/// Raises a resource's fence: from now on, commands that come with a lower one are refused with `stale_fence`.
///
/// Every command that carries a fence does so as well; this is for whoever wants to read before writing, and to be
/// sure that nobody who had the lock before still writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct RaiseFence<'a> {
    /// What the lock guards: a name of the callers' own.
    pub resource: Text<'a>,
    /// The number that came with the lock.
    #[schemars(range(min = 1))]
    pub fence: Whole,
}

impl RaiseFence<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let resource = self.resource.code("resource")?;
        let Ok(fence) = u64::try_from(self.fence.signed("fence")?) else {
            return Err(Refusal::invalid("fence", "is negative"));
        };
        Ok(Command::RaiseFence(command::RaiseFence { fenced: Fenced::new(resource, fence)? }))
    }
}

/// The highest fence that was seen for a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fence {
    /// What the lock guards.
    pub resource: Word,
    /// Lower ones are stale.
    pub fence: u64,
    /// The event that raised it.
    pub sequence: u64,
}

impl From<&FenceView> for Fence {
    fn from(view: &FenceView) -> Self {
        Self { resource: (&view.resource).into(), fence: view.row.fence, sequence: view.row.raised.0 }
    }
}
