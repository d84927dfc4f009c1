//! The laws of transfers.

use crate::{
    Code, LocationId, LotId, Memory, Quantity, Tables,
    row::{Line, Totals},
};

/// What a line holds, picks first and then what is staged: where, of which lot, and how much.
pub(super) fn held_by(line: &Line) -> impl Iterator<Item = (LocationId, LotId, Quantity)> {
    let picks = line.picks.iter().map(|pick| (pick.location, pick.lot, pick.quantity));
    picks.chain(line.staged.iter().map(|staged| (staged.staging, staged.lot, staged.quantity)))
}

/// A transfer comes to what its lines come to, and a line to what its lists do. What it holds lies at the site that
/// gives; one that ended holds nothing.
pub(super) fn check_transfer(memory: &Memory, id: &Code, lines: &[Line], wrong: &mut Vec<String>) {
    let transfer = memory.transfer(id).expect("lines stand beside their transfer");
    let mut sums = [0; 9];
    for line in lines {
        let name = &line.name;
        let totals = parts(&line.totals);
        for (total, part) in sums.iter_mut().zip(totals) {
            *total += part;
        }
        let [requested, allocated, picked, shipped, in_transit, _, _, _, closed_short] = totals;
        if allocated + picked + shipped + closed_short > requested {
            wrong.push(format!("line {name} of transfer {id} has more than it asked for"));
        }
        let told = [allocated, picked, in_transit];
        let lists = [
            sum(line.picks.iter().map(|pick| pick.quantity)),
            sum(line.staged.iter().map(|staged| staged.quantity)),
            sum(line.transit.iter().map(|(_, quantity)| *quantity)),
        ];
        if lists != told {
            let what = "allocated, picked and in transit";
            wrong.push(format!(
                "line {name} of transfer {id} has {told:?} {what}, and its lists have {lists:?}"
            ));
        }
        if held_by(line).any(|(location, ..)| memory.location(location).site != transfer.from) {
            wrong.push(format!("line {name} of transfer {id} holds at another site"));
        }
    }
    if lines.len() != transfer.lines as usize || parts(&transfer.totals) != sums {
        wrong.push(format!("the sums of transfer {id} are not those of its lines"));
    }
    let [_, allocated, picked, _, in_transit, ..] = sums;
    if transfer.end.is_some() && allocated + picked + in_transit != 0 {
        wrong.push(format!("transfer {id} is {} and holds stock", transfer.status().name()));
    }
}

/// All quantities, in the order in which [`Totals`] has them.
fn parts(totals: &Totals) -> [i128; 9] {
    let Totals { requested, allocated, picked, shipped, in_transit, received, damaged, lost, closed_short } =
        *totals;
    [requested, allocated, picked, shipped, in_transit, received, damaged, lost, closed_short]
        .map(|quantity| i128::from(quantity.get()))
}

/// The sum, which may be more than any one quantity.
fn sum(quantities: impl Iterator<Item = Quantity>) -> i128 {
    quantities.map(|quantity| i128::from(quantity.get())).sum()
}
