//! Proves the books: what must hold after every event.

use std::collections::BTreeMap;

use crate::{
    LotId, Memory, Outside, Place, Quantity, Row, SkuId, Tables,
    row::{HoldStatus, Tracking},
};

/// What was proven, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Positions looked at.
    pub positions: u64,
    /// Open holds.
    pub open_holds: u64,
    /// Transfers.
    pub transfers: u64,
    /// SKUs whose accounts were summed.
    pub skus: u64,
}

/// Checks every law of the books from the rows alone.
///
/// # Errors
/// Each law that does not hold, with the thing that breaks it: at most 100 of them.
pub fn check(memory: &Memory) -> Result<Proof, Vec<String>> {
    let mut proof = Proof::default();
    let mut wrong = Vec::new();
    let mut held: BTreeMap<Place, i128> = BTreeMap::new();
    let mut accounts: BTreeMap<SkuId, i128> = BTreeMap::new();
    let mut lots: BTreeMap<LotId, i128> = BTreeMap::new();
    let mut positions: BTreeMap<Place, (Quantity, Quantity)> = BTreeMap::new();
    let amount = |quantity: Quantity| i128::from(quantity.get());

    for row in memory.rows() {
        match row {
            Row::Position(place, Some(row)) => {
                proof.positions += 1;
                positions.insert(place, (row.on_hand, row.held));
                *accounts.entry(place.sku).or_default() += amount(row.on_hand);
                *lots.entry(place.lot).or_default() += amount(row.on_hand);
                let unheld = amount(row.on_hand) - amount(row.held);
                if unheld < 0 || amount(row.missing) > unheld {
                    wrong.push(format!("{place:?}: more is held or missing than there is: {row:?}"));
                }
                let tracked = memory.sku(place.sku).tracking != Tracking::None;
                if tracked != (place.lot != LotId::NONE) {
                    wrong.push(format!("{place:?}: tracked stock has a lot, other stock has none"));
                }
            }
            Row::Outside(sku, _, balance) => *accounts.entry(sku).or_default() += i128::from(balance),
            Row::Hold(id, Some(hold)) => {
                // Over several SKUs this may be more than any one quantity.
                let picks = hold.lines.iter().flat_map(|line| &line.picks);
                let sum: i128 = picks.map(|pick| amount(pick.quantity)).sum();
                if (hold.status == HoldStatus::Held) == (sum == 0) {
                    wrong.push(format!("hold {id} is {} and holds {sum}", hold.status.name()));
                }
                proof.open_holds += u64::from(hold.status == HoldStatus::Held);
                for line in &hold.lines {
                    for pick in &line.picks {
                        let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                        *held.entry(place).or_default() += amount(pick.quantity);
                    }
                }
            }
            Row::Transfer(id, Some(transfer)) => {
                proof.transfers += 1;
                let totals = transfer.totals;
                let holds = amount(totals.allocated) + amount(totals.picked);
                if transfer.end.is_some() && holds + amount(totals.in_transit) != 0 {
                    wrong.push(format!("transfer {id} is {} and holds stock", transfer.status().name()));
                }
                let lines = (0..transfer.lines).map(|line| memory.line(&id, line));
                let mut sums = [0_i128; 9];
                for line in lines {
                    let parts = [
                        line.totals.requested,
                        line.totals.allocated,
                        line.totals.picked,
                        line.totals.shipped,
                        line.totals.in_transit,
                        line.totals.received,
                        line.totals.damaged,
                        line.totals.lost,
                        line.totals.closed_short,
                    ];
                    for (sum, part) in sums.iter_mut().zip(parts) {
                        *sum += amount(part);
                    }
                    let parts = [
                        line.totals.allocated,
                        line.totals.picked,
                        line.totals.shipped,
                        line.totals.closed_short,
                    ];
                    if parts.into_iter().map(amount).sum::<i128>() > amount(line.totals.requested) {
                        wrong.push(format!("line {} of transfer {id} has more than it asked for", line.name));
                    }
                }
                let header = [
                    totals.requested,
                    totals.allocated,
                    totals.picked,
                    totals.shipped,
                    totals.in_transit,
                    totals.received,
                    totals.damaged,
                    totals.lost,
                    totals.closed_short,
                ];
                if header.map(amount) != sums {
                    wrong.push(format!("the sums of transfer {id} are not those of its lines"));
                }
            }
            Row::Lines(_, Some(lines)) => {
                for line in lines {
                    let picks = line.picks.iter().map(|pick| (pick.location, pick.lot, pick.quantity));
                    let staged =
                        line.staged.iter().map(|staged| (staged.staging, staged.lot, staged.quantity));
                    for (location, lot, quantity) in picks.chain(staged) {
                        *held.entry(Place { location, sku: line.sku, lot }).or_default() += amount(quantity);
                    }
                    for (lot, quantity) in &line.transit {
                        *accounts.entry(line.sku).or_default() += amount(*quantity);
                        *lots.entry(*lot).or_default() += amount(*quantity);
                    }
                }
            }
            _ => {}
        }
        if wrong.len() >= 100 {
            return Err(wrong);
        }
    }

    for (place, (_, on_position)) in &positions {
        let by_holders = held.remove(place).unwrap_or_default();
        if by_holders != amount(*on_position) {
            wrong.push(format!("{place:?}: {on_position} are held, and the holders hold {by_holders}"));
        }
    }
    for (place, quantity) in held {
        wrong.push(format!("{place:?}: {quantity} are held where nothing lies"));
    }
    proof.skus = accounts.len() as u64;
    for (sku, sum) in accounts {
        if sum != 0 {
            let accounts: Vec<_> =
                Outside::ALL.iter().map(|outside| (outside.name(), memory.outside(sku, *outside))).collect();
            let code = &memory.sku(sku).code;
            wrong.push(format!(
                "SKU {code}: the sum over all accounts is {sum}, not zero; outside: {accounts:?}"
            ));
        }
    }
    lots.remove(&LotId::NONE);
    for (lot, sum) in lots {
        let row = memory.lot(lot);
        if sum != amount(row.inside) {
            wrong.push(format!("lot {}: {} are said to be inside, and {sum} are", row.code, row.inside));
        }
        if memory.sku(row.sku).tracking == Tracking::Serial && sum > 1 {
            wrong.push(format!("serial number {} is there {sum} times", row.code));
        }
    }
    wrong.truncate(100);
    if wrong.is_empty() { Ok(proof) } else { Err(wrong) }
}
