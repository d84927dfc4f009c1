//! Writes what was decided about claims on picks.

use std::collections::BTreeSet;

use super::book::Book;
use crate::{Code, Fact, LocationId, Name, Row, Sequence, Tables, Timestamp, row::Claim};

impl<T: Tables> Book<'_, T> {
    /// Applies a fact about claims on picks; others are none of its business.
    pub(super) fn apply_picking(&mut self, fact: &Fact, sequence: Sequence) {
        match fact {
            Fact::TransferClaimed { id, worker, expires_at, zones } => {
                zones.iter().for_each(|zone| self.claim_picks(id, zone, worker, sequence, *expires_at));
            }
            Fact::PicksClaimed { worker, expires_at, works } => {
                for work in works {
                    self.claim_picks(&work.transfer, &work.zone, worker, sequence, *expires_at);
                }
            }
            Fact::TransferClaimExtended { id, expires_at, zones, .. } => {
                for zone in zones {
                    let claim = self.pick_claim(id, zone).expect("an extended claim is there");
                    let claim = Claim { expires_at: *expires_at, ..claim };
                    self.put(Row::PickClaim(id.clone(), zone.clone(), Some(Box::new(claim))));
                }
            }
            Fact::TransferUnclaimed { id, zones, .. } => {
                zones.iter().for_each(|zone| self.unclaim_picks(id, zone));
            }
            Fact::PickClaimsLapsed { works } => {
                works.iter().for_each(|work| self.unclaim_picks(&work.transfer, &work.zone));
            }
            _ => {}
        }
    }

    fn pick_claim(&self, transfer: &Code, zone: &Name) -> Option<Claim> {
        self.tables.pick_work(transfer, zone).and_then(|work| work.claim)
    }

    fn claim_picks(
        &mut self,
        transfer: &Code,
        zone: &Name,
        worker: &Code,
        fence: Sequence,
        expires_at: Timestamp,
    ) {
        let work = self.tables.pick_work(transfer, zone).expect("what is claimed is there");
        assert!(work.claim.is_none(), "no two workers ever hold the same work: {transfer} in {zone:?}");
        let claim = Claim { worker: worker.clone(), fence, expires_at };
        self.put(Row::PickClaim(transfer.clone(), zone.clone(), Some(Box::new(claim))));
    }

    fn unclaim_picks(&mut self, transfer: &Code, zone: &Name) {
        let claim = self.pick_claim(transfer, zone);
        assert!(claim.is_some(), "a claim that ends was there: {transfer} in {zone:?}");
        self.put(Row::PickClaim(transfer.clone(), zone.clone(), None));
    }

    /// Ends the claims on picks where this event left nothing to pick: the work is done, or was taken away.
    pub(super) fn end_pick_claims(&mut self) {
        for (transfer, locations) in std::mem::take(&mut self.left) {
            let zone = |location: &LocationId| self.tables.location(*location).zone.clone();
            let zones: BTreeSet<Name> = locations.iter().map(zone).collect();
            for zone in zones {
                if self.tables.pick_work(&transfer, &zone).is_some_and(|work| work.lines == 0) {
                    self.put(Row::PickClaim(transfer.clone(), zone, None));
                }
            }
        }
    }
}
