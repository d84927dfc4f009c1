//! Plausible things to ask about what transfers have to pick, by three workers in two zones and none.

use jaego_domain::{
    Code, Command, Memory, Name, PickWork, Sequence, Tables,
    command::{ClaimPicks, ClaimPolicy, ClaimTransfer, Claimant, ExtendTransferClaim, UnclaimTransfer},
};

use super::{SITES, World, code};

const ZONES: [&str; 3] = ["", "near", "far"];

fn zone(text: &str) -> Name {
    Name::new("zone", text).expect("it is a name")
}

impl World {
    /// The zone of a location: mostly its own.
    pub(super) fn zone(&mut self, index: usize, odd: u64) -> Name {
        if self.dice.chance(odd) { zone(self.dice.word(&ZONES)) } else { zone(ZONES[index % ZONES.len()]) }
    }

    fn any_zone(&mut self) -> Option<Name> {
        if self.dice.chance(40) { Some(zone(self.dice.word(&ZONES))) } else { None }
    }

    /// Mostly a worker who has a claim on the transfer, and its fence.
    fn picker(&mut self, works: &[PickWork]) -> Claimant {
        let claims: Vec<_> = works.iter().filter_map(|work| work.claim.clone()).collect();
        if claims.is_empty() || self.dice.chance(10) {
            return Claimant { worker: self.worker(), fence: Sequence(self.dice.below(60)) };
        }
        let claim = self.dice.one_of(&claims).clone();
        Claimant { worker: claim.worker, fence: claim.fence }
    }

    /// Under whose claim something is picked.
    pub(super) fn claimant_for_picks(&mut self, memory: &Memory, id: &Code) -> Option<Claimant> {
        let works = memory.pick_works(id);
        let is_claimed = works.iter().any(|work| work.claim.is_some());
        let named = self.dice.chance(if is_claimed { 80 } else { 3 });
        named.then(|| self.picker(&works))
    }

    /// Something about claims on picks.
    pub(super) fn pick_claim_command(&mut self, memory: &Memory) -> Command {
        let is_picked = |id: &Code| !memory.pick_works(id).is_empty();
        let open = self.open_id('T', self.transfers, is_picked);
        let (site, policy) = (code(self.dice.one_of(&SITES).0), *self.dice.one_of(&ClaimPolicy::ALL));
        let (worker, lease_ms, zone) = (self.worker(), self.lease(), self.any_zone());
        let Some(id) = open.filter(|_| self.dice.chance(75)) else {
            let count = usize::try_from(1 + self.dice.below(3)).unwrap();
            return Command::ClaimPicks(ClaimPicks { site, zone, worker, policy, count, lease_ms });
        };
        let works = memory.pick_works(&id);
        let is_claimed = works.iter().any(|work| work.claim.is_some());
        match self.dice.below(6) {
            0 if is_claimed => {
                let claimant = self.picker(&works);
                Command::UnclaimTransfer(UnclaimTransfer { id, zone, claimant })
            }
            1..3 if is_claimed => {
                let claimant = self.picker(&works);
                Command::ExtendTransferClaim(ExtendTransferClaim { id, zone, claimant, lease_ms })
            }
            _ => Command::ClaimTransfer(ClaimTransfer { id, zone, worker, lease_ms }),
        }
    }
}
