//! Fences: who comes too late.

use super::{Verdict, desk::Desk};
use crate::{
    Fact, Refusal, Tables,
    command::{Fenced, RaiseFence},
    limits::FENCES_MAX,
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn raise_fence(&self, command: &RaiseFence) -> Result<Verdict, Refusal> {
        let fenced = &command.fenced;
        if let Some(row) = self.tables.fence(fenced.resource())
            && row.fence == fenced.fence()
        {
            return Ok(Verdict::Repeat(row.raised));
        }
        self.not_fenced_off(fenced)?;
        Ok(Verdict::New(Fact::FenceRaised { resource: fenced.resource().clone(), fence: fenced.fence() }))
    }

    /// Refuses with `stale_fence` who comes with a lower fence than one that was seen, and with `too_many_fences`
    /// where there is no room to remember another resource's.
    pub(super) fn not_fenced_off(&self, fenced: &Fenced) -> Result<(), Refusal> {
        match self.tables.fence(fenced.resource()) {
            Some(row) if fenced.fence() < row.fence => Err(Refusal::StaleFence {
                resource: fenced.resource().clone(),
                fence: fenced.fence(),
                current_fence: row.fence,
            }),
            Some(_) => Ok(()),
            None if self.tables.fence_count() >= FENCES_MAX => {
                Err(Refusal::TooManyFences { resource: fenced.resource().clone(), max: FENCES_MAX })
            }
            None => Ok(()),
        }
    }
}
