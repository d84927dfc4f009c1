//! What clients ask about what transfers have to pick, by two workers in one zone and none.

use jaego_domain::{
    Command, Name,
    command::{ClaimPicks, ClaimPolicy, ClaimTransfer, ExtendTransferClaim, UnclaimTransfer},
};
use jaego_engine::sim_disk::Dice;

use super::{
    Client, code,
    orders::{lease, worker},
};

/// The zone of a location: every second one is in one.
pub(super) fn zone(location: &str) -> Name {
    Name::new("zone", if location.ends_with('2') { "near" } else { "" }).expect("it is a name")
}

impl Client {
    pub(super) fn pick_claim_command(&mut self, dice: &mut Dice) -> Command {
        let named = dice.one_in(3).then(|| zone(if dice.one_in(2) { "A-1" } else { "A-2" }));
        match dice.below(8) {
            0..=2 => Command::ClaimTransfer(ClaimTransfer {
                id: self.transfer(dice),
                zone: named,
                worker: worker(dice),
                lease_ms: lease(dice),
            }),
            3..=5 => Command::ClaimPicks(ClaimPicks {
                site: code("ICN"),
                zone: named,
                worker: worker(dice),
                policy: ClaimPolicy::ALL[dice.below(3)],
                count: 1 + dice.below(3),
                lease_ms: lease(dice),
            }),
            6 => Command::ExtendTransferClaim(ExtendTransferClaim {
                id: self.transfer(dice),
                zone: named,
                claimant: self.claimant(dice),
                lease_ms: lease(dice),
            }),
            _ => Command::UnclaimTransfer(UnclaimTransfer {
                id: self.transfer(dice),
                zone: named,
                claimant: self.claimant(dice),
            }),
        }
    }
}
