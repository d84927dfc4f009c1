//! Claims on what transfers have to pick: who picks what in which zone, and until when.

use std::collections::BTreeSet;

use super::{
    Verdict,
    desk::Desk,
    doable::{Look, Sight},
};
use crate::{
    Code, Fact, LocationId, Name, Refusal, Tables,
    command::{
        ClaimPicks, ClaimTransfer, Claimant, ExtendTransferClaim, PickTransfer, SetLocation, UnclaimTransfer,
    },
    event::Take,
    limits::{CLAIMS_MAX, PARTS_MAX},
    row::{Claim, Pick},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn claim_transfer(&self, command: &ClaimTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        if transfer.totals.allocated.is_zero() {
            return Err(Refusal::NothingAllocated { transfer: id.clone() });
        }
        let (mut look, mut stuck) = (Look::default(), None);
        let mut can_be_done = |zone: &Name| match self.sight_of_picks(id, zone, &mut look) {
            Sight::Stuck(refusal) => {
                stuck.get_or_insert(refusal);
                false
            }
            Sight::Doable | Sight::Unseen => true,
        };
        let zones: Vec<Name> = match &command.zone {
            None => self.tables.unclaimed_zones(id).filter(&mut can_be_done).take(CLAIMS_MAX).collect(),
            Some(zone) => {
                let waiting = self.tables.pick_work(id, zone).filter(|work| work.claim.is_none());
                waiting.into_iter().map(|work| work.zone).filter(&mut can_be_done).collect()
            }
        };
        self.note(&look);
        if !zones.is_empty() {
            let (worker, expires_at) = (command.worker.clone(), self.lease(command.lease_ms));
            return Ok(Verdict::New(Fact::TransferClaimed { id: id.clone(), worker, expires_at, zones }));
        }
        let claims: Vec<(Name, Claim)> = match &command.zone {
            None => self.tables.pick_claims(id).collect(),
            Some(zone) => self.claim_in(id, zone).map(|claim| (zone.clone(), claim)).into_iter().collect(),
        };
        // The worker who was not told is told again, of several claims the last one.
        if let Some((_, claim)) = claims.iter().rfind(|(_, claim)| claim.worker == command.worker) {
            return Ok(Verdict::Repeat(claim.fence));
        }
        if let Some(refusal) = stuck {
            return Err(refusal);
        }
        Err(match (claims.iter().min_by(|a, b| a.0.cmp(&b.0)), &command.zone) {
            (Some((zone, claim)), _) => Self::transfer_claimed(id, zone, claim),
            (None, Some(zone)) => Refusal::NothingAllocatedIn { transfer: id.clone(), zone: zone.clone() },
            (None, None) => Refusal::NothingAllocated { transfer: id.clone() },
        })
    }

    pub(super) fn claim_picks(&self, command: &ClaimPicks, body: u64) -> Result<Verdict, Refusal> {
        let site = self.site(&command.site)?;
        let found = self.next_doable(
            self.waiting_by(command.policy, body),
            command.count,
            |by| self.tables.waiting_picks(site, command.zone.as_ref(), by),
            |work, look| self.sight_of_picks(&work.transfer, &work.zone, look),
        );
        let works = found.map_err(|passed_by| {
            let (site, zone) = (command.site.clone(), command.zone.clone());
            Refusal::NoPicksToClaim { site, zone, passed_by }
        })?;
        let expires_at = self.lease(command.lease_ms);
        Ok(Verdict::New(Fact::PicksClaimed { worker: command.worker.clone(), expires_at, works }))
    }

    pub(super) fn extend_transfer_claim(&self, command: &ExtendTransferClaim) -> Result<Verdict, Refusal> {
        let id = &command.id;
        self.live_transfer(id)?;
        let zones = self.claimed_zones(id, command.zone.as_ref(), &command.claimant)?;
        let (fence, expires_at) = (command.claimant.fence, self.lease(command.lease_ms));
        Ok(Verdict::New(Fact::TransferClaimExtended { id: id.clone(), fence, expires_at, zones }))
    }

    pub(super) fn unclaim_transfer(&self, command: &UnclaimTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        self.live_transfer(id)?;
        let zones = self.claimed_zones(id, command.zone.as_ref(), &command.claimant)?;
        let worker = command.claimant.worker.clone();
        Ok(Verdict::New(Fact::TransferUnclaimed { id: id.clone(), worker, zones }))
    }

    /// The zones in which this claim stands, or the one that is named. Refuses with `claim_lost` if there is none.
    fn claimed_zones(
        &self,
        id: &Code,
        zone: Option<&Name>,
        claimant: &Claimant,
    ) -> Result<Vec<Name>, Refusal> {
        let Some(zone) = zone else {
            self.has_claim(id, claimant)?;
            let own = self.tables.zones_of_claim(id, claimant.fence);
            return Ok(own.map(|(zone, _)| zone).collect());
        };
        match self.claim_in(id, zone) {
            Some(claim) if is_of(claimant, &claim) => Ok(vec![zone.clone()]),
            stands => Err(Self::pick_claim_lost(id, Some(zone), claimant, stands)),
        }
    }

    /// Refuses with `claim_lost` if the claim does not stand in any zone. All of one fence are one worker's.
    fn has_claim(&self, id: &Code, claimant: &Claimant) -> Result<(), Refusal> {
        match self.tables.zones_of_claim(id, claimant.fence).next() {
            Some((_, claim)) if claim.worker == claimant.worker => Ok(()),
            others => Err(Self::pick_claim_lost(id, None, claimant, others.map(|(_, claim)| claim))),
        }
    }

    fn claim_in(&self, id: &Code, zone: &Name) -> Option<Claim> {
        self.tables.pick_work(id, zone).and_then(|work| work.claim)
    }

    /// The refusal for a claim where perhaps another one stands.
    fn pick_claim_lost(
        id: &Code,
        zone: Option<&Name>,
        claimant: &Claimant,
        stands: Option<Claim>,
    ) -> Refusal {
        Refusal::PickClaimLost {
            transfer: id.clone(),
            zone: zone.cloned(),
            worker: claimant.worker.clone(),
            fence: claimant.fence,
            current_fence: stands.map(|claim| claim.fence),
        }
    }

    fn transfer_claimed(id: &Code, zone: &Name, claim: &Claim) -> Refusal {
        let Claim { worker, expires_at, .. } = claim.clone();
        Refusal::TransferClaimed { transfer: id.clone(), zone: zone.clone(), worker, expires_at }
    }

    /// Whose picks a request to pick is about. Refuses with `claim_lost`.
    pub(super) fn reach(&self, command: &PickTransfer) -> Result<Reach, Refusal> {
        let id = &command.id;
        if let Some(claimant) = &command.claimant {
            self.has_claim(id, claimant)?;
            return Ok(Reach::Own(claimant.clone()));
        }
        match self.tables.pick_claim_count(id) {
            0 => Ok(Reach::All),
            _ => Ok(Reach::Unclaimed),
        }
    }

    /// Everything within reach that is allocated and not picked. Refuses with `transfer_claimed` where a part of it
    /// is a worker's.
    pub(super) fn picks_within(&self, command: &PickTransfer, reach: &Reach) -> Result<Vec<Take>, Refusal> {
        let id = &command.id;
        let lines: BTreeSet<u32> = match reach {
            Reach::All => return Ok(self.all_picks(id, &self.transfer(id)?)),
            Reach::Unclaimed => {
                let first = self.tables.pick_claims(id).min_by(|a, b| a.0.cmp(&b.0));
                let (zone, claim) = first.expect("somebody claimed something");
                return Err(Self::transfer_claimed(id, &zone, &claim));
            }
            Reach::Own(claimant) => {
                let zones = self.tables.zones_of_claim(id, claimant.fence);
                zones.flat_map(|(zone, _)| self.tables.pick_lines(id, &zone)).collect()
            }
        };
        let mut takes = Vec::new();
        for index in lines {
            let line = self.tables.line(id, index);
            let within = line.picks.iter().filter(|pick| self.is_within(id, reach, pick.location));
            takes.extend(within.map(|pick| Take {
                line: index,
                sku: line.sku,
                location: pick.location,
                lot: pick.lot,
                quantity: pick.quantity,
            }));
        }
        Ok(takes)
    }

    pub(super) fn is_within(&self, id: &Code, reach: &Reach, location: LocationId) -> bool {
        let claim = || self.claim_in(id, &self.tables.location(location).zone);
        match reach {
            Reach::All => true,
            Reach::Unclaimed => claim().is_none(),
            Reach::Own(claimant) => claim().is_some_and(|claim| is_of(claimant, &claim)),
        }
    }

    /// Refuses with `transfer_claimed` if some of these picks are claimed by a worker whom the request does not name.
    pub(super) fn nobody_elses<'p>(
        &self,
        id: &Code,
        reach: &Reach,
        mut picks: impl Iterator<Item = &'p Pick>,
    ) -> Result<(), Refusal> {
        let claimed = picks.find_map(|pick| {
            let zone = &self.tables.location(pick.location).zone;
            let claim = match reach {
                Reach::All => None,
                Reach::Unclaimed => self.claim_in(id, zone),
                Reach::Own(claimant) => self.claim_in(id, zone).filter(|claim| !is_of(claimant, claim)),
            };
            claim.map(|claim| Self::transfer_claimed(id, zone, &claim))
        });
        claimed.map_or(Ok(()), Err)
    }

    /// A location goes to another zone with all that is to be picked there, but not away from under a worker.
    /// Refuses with `location_claimed`, and with `location_occupied` where too much is held to look at.
    pub(super) fn may_change_zone(
        &self,
        command: &SetLocation,
        location: LocationId,
        zone: &Name,
    ) -> Result<(), Refusal> {
        let (site, code) = (command.site.clone(), command.location.clone());
        let Some(transfers) = self.tables.pickers_at(location, PARTS_MAX) else {
            return Err(Refusal::LocationOccupied { site, location: code });
        };
        let claimed = transfers.into_iter().find_map(|transfer| {
            let claim = self.tables.pick_work(&transfer, zone)?.claim?;
            Some((transfer, claim.worker))
        });
        match claimed {
            None => Ok(()),
            Some((transfer, worker)) => {
                Err(Refusal::LocationClaimed { site, location: code, transfer, worker })
            }
        }
    }
}

fn is_of(claimant: &Claimant, claim: &Claim) -> bool {
    claim.fence == claimant.fence && claim.worker == claimant.worker
}

/// What of a transfer's picks a request to pick may take.
pub(super) enum Reach {
    /// All: nobody has claimed any.
    All,
    /// Those in zones that nobody has claimed.
    Unclaimed,
    /// Those in the zones that the worker has claimed.
    Own(Claimant),
}
