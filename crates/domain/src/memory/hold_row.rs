//! A hold as it is kept: most have one line at one position, and take no second allocation.

use smallvec::SmallVec;

use crate::{
    Code, LocationId, LotId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{Hold, HoldLine, HoldStatus, Pick},
};

pub(super) struct HoldRow {
    pub(super) id: Code,
    owner: Option<Box<Code>>,
    body: u64,
    placed: Sequence,
    /// [`NEVER`] where the hold has no end.
    expires_at: Timestamp,
    lines: Lines,
    pub(super) status: HoldStatus,
    confirmed: bool,
}

/// Later than every hold's end.
const NEVER: Timestamp = Timestamp(u64::MAX);

enum Lines {
    /// One line that holds all it asked for at one place; its site is the location's.
    One { sku: SkuId, location: LocationId, lot: LotId, node: u32, quantity: Quantity },
    /// One line that holds nothing, any more.
    Empty { site: SiteId, sku: SkuId, quantity: Quantity },
    /// Everything else, and a node for each pick.
    Many(Box<(SmallVec<[HoldLine; 1]>, Vec<u32>)>),
}

impl HoldRow {
    /// Packs a hold; `node` enters it as a holder of a place and gives the node.
    pub(super) fn pack(id: Code, hold: Hold, node: &mut impl FnMut(Place, u32) -> u32) -> Self {
        let Hold { owner, body, placed, expires_at, status, confirmed, lines } = hold;
        let lines = match lines.as_slice() {
            [HoldLine { sku, quantity, picks, .. }] if picks.len() == 1 && picks[0].quantity == *quantity => {
                let Pick { location, lot, .. } = picks[0];
                let node = node(Place { location, sku: *sku, lot }, 0);
                Lines::One { sku: *sku, location, lot, node, quantity: *quantity }
            }
            [HoldLine { site, sku, quantity, picks }] if picks.is_empty() => {
                Lines::Empty { site: *site, sku: *sku, quantity: *quantity }
            }
            _ => {
                let nodes = places(&lines).map(|(place, line)| node(place, line)).collect();
                Lines::Many(Box::new((lines, nodes)))
            }
        };
        let owner = owner.map(Box::new);
        Self { id, owner, body, placed, expires_at: expires_at.unwrap_or(NEVER), lines, status, confirmed }
    }

    /// The hold again; `site_of` tells the site of a location.
    pub(super) fn unpack(&self, site_of: impl Fn(LocationId) -> SiteId) -> Hold {
        let one = |line| SmallVec::from_buf([line]);
        let lines = match &self.lines {
            Lines::One { sku, location, lot, quantity, .. } => {
                let pick = Pick { location: *location, lot: *lot, quantity: *quantity };
                let picks = SmallVec::from_buf([pick]);
                one(HoldLine { site: site_of(*location), sku: *sku, quantity: *quantity, picks })
            }
            Lines::Empty { site, sku, quantity } => {
                one(HoldLine { site: *site, sku: *sku, quantity: *quantity, picks: SmallVec::new() })
            }
            Lines::Many(many) => many.0.clone(),
        };
        Hold {
            owner: self.owner.as_deref().cloned(),
            body: self.body,
            placed: self.placed,
            expires_at: self.expires_at(),
            status: self.status,
            confirmed: self.confirmed,
            lines,
        }
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    /// Every place where it is entered as a holder, and by which node.
    pub(super) fn each_node(&self, mut visit: impl FnMut(Place, u32)) {
        match &self.lines {
            Lines::One { sku, location, lot, node, .. } => {
                visit(Place { location: *location, sku: *sku, lot: *lot }, *node);
            }
            Lines::Empty { .. } => {}
            Lines::Many(many) => {
                for ((place, _), node) in places(&many.0).zip(&many.1) {
                    visit(place, *node);
                }
            }
        }
    }

    /// How many lines it has.
    pub(super) fn line_count(&self) -> usize {
        match &self.lines {
            Lines::One { .. } | Lines::Empty { .. } => 1,
            Lines::Many(many) => many.0.len(),
        }
    }

    /// How many picks it has.
    pub(super) fn pick_count(&self) -> usize {
        match &self.lines {
            Lines::One { .. } => 1,
            Lines::Empty { .. } => 0,
            Lines::Many(many) => many.1.len(),
        }
    }

    /// How much a line holds at a place of its SKU.
    pub(super) fn held_at(&self, line: u32, location: LocationId, lot: LotId) -> Quantity {
        match &self.lines {
            Lines::One { quantity, .. } => *quantity,
            Lines::Empty { .. } => Quantity::ZERO,
            Lines::Many(many) => {
                let picks = many.0[line as usize].picks.iter();
                let here = picks.filter(|pick| (pick.location, pick.lot) == (location, lot));
                here.map(|pick| pick.quantity).sum()
            }
        }
    }
}

/// The places of all picks, each with its line.
fn places(lines: &[HoldLine]) -> impl Iterator<Item = (Place, u32)> {
    lines.iter().zip(0..).flat_map(|(line, number)| {
        let place = |pick: &Pick| Place { location: pick.location, sku: line.sku, lot: pick.lot };
        line.picks.iter().map(move |pick| (place(pick), number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_hold_stays_small() {
        assert!(size_of::<HoldRow>() <= 96, "{} bytes", size_of::<HoldRow>());
        assert_eq!(size_of::<HoldRow>(), size_of::<Option<HoldRow>>(), "a free slot takes no more");
    }
}
