//! What is told to a request that had become an event before.

use crate::{
    ClaimView, Code, Command, Event, Name, Outcome, PickClaimView, PickWorkId, Sequence, Tables,
    command::{ClaimOrder, ClaimTransfer},
    outcome,
    row::Claim,
};

/// A request that had become an event before. It is told that event's outcome, with one exception: who claims by its id
/// what he has is told of that alone, whatever came with it, and until when it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// The event.
    pub of: Sequence,
    reclaim: Option<Box<Reclaim>>,
}

/// What was claimed by its id once more.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reclaim {
    /// An order, and the claim that the event gave, if it still stands.
    Order { id: Code, stands: Option<ClaimView> },
    /// What a transfer has to pick, in one zone or in all of them, and those claims that the event gave and that still stand.
    Picks { transfer: Code, zone: Option<Name>, stand: Vec<PickClaimView> },
}

impl Repeat {
    /// The repeat of the event `of` by a command that was just decided on these tables.
    pub fn new(tables: &impl Tables, command: &Command, of: Sequence) -> Self {
        let reclaim = match command {
            Command::ClaimOrder(command) => Some(Box::new(reclaimed(tables, command, of))),
            Command::ClaimTransfer(command) => Some(Box::new(reclaimed_picks(tables, command, of))),
            _ => None,
        };
        Self { of, reclaim }
    }

    /// What is told of that event.
    pub fn outcome(&self, tables: &impl Tables, event: &Event) -> Outcome {
        self.narrow(outcome(tables, event))
    }

    /// What is told of that event, of which this is the outcome.
    pub fn narrow(&self, mut outcome: Outcome) -> Outcome {
        match self.reclaim.as_deref() {
            None => {}
            Some(Reclaim::Order { id, stands }) => {
                outcome.id = Some(id.clone());
                match stands {
                    Some(claim) => outcome.claims = vec![claim.clone()],
                    None => outcome.claims.retain(|claim| claim.order == *id),
                }
            }
            Some(Reclaim::Picks { transfer, zone, stand }) => {
                outcome.id = Some(transfer.clone());
                if stand.is_empty() {
                    let asked = |work: &PickWorkId| {
                        work.transfer == *transfer && zone.as_ref().is_none_or(|zone| *zone == work.zone)
                    };
                    let given = std::mem::take(&mut outcome.pick_claims).into_iter();
                    outcome.pick_claims = given.filter(|claim| asked(&claim.work)).collect();
                } else {
                    outcome.pick_claims = stand.as_slice().into();
                }
            }
        }
        outcome
    }
}

fn reclaimed(tables: &impl Tables, command: &ClaimOrder, fence: Sequence) -> Reclaim {
    let id = &command.id;
    let claim = tables.order_work(id).and_then(|work| work.claim).filter(|claim| claim.fence == fence);
    let stands = claim.map(|claim| ClaimView { order: id.clone(), fence, expires_at: claim.expires_at });
    Reclaim::Order { id: id.clone(), stands }
}

fn reclaimed_picks(tables: &impl Tables, command: &ClaimTransfer, fence: Sequence) -> Reclaim {
    let (transfer, zone) = (&command.id, &command.zone);
    let view = |zone: Name, claim: Claim| {
        let work = PickWorkId { transfer: transfer.clone(), zone };
        PickClaimView { work, fence, expires_at: claim.expires_at }
    };
    let stand = match zone {
        None => tables.zones_of_claim(transfer, fence).map(|(zone, claim)| view(zone, claim)).collect(),
        Some(zone) => {
            let claim = tables.pick_work(transfer, zone).and_then(|work| work.claim);
            let claim = claim.filter(|claim| claim.fence == fence);
            claim.map(|claim| view(zone.clone(), claim)).into_iter().collect()
        }
    };
    Reclaim::Picks { transfer: transfer.clone(), zone: zone.clone(), stand }
}
