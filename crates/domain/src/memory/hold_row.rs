//! A hold as it is kept: most have one line at one position, and take no second allocation.

use smallvec::SmallVec;

use super::{NOWHERE, kept_code::KeptCode};
use crate::{
    Code, LocationId, LotId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{Hold, HoldLine, HoldStatus, Pick},
};

pub(super) struct HoldRow {
    pub(super) id: KeptCode,
    body: u64,
    pub(super) placed: Sequence,
    /// [`NEVER`] where the hold has no end.
    expires_at: Timestamp,
    lines: Lines,
}

/// How a hold stands, and the slot of its owner or [`NOWHERE`]. Each is a part of each kind of lines, where they take no
/// room of their own.
#[derive(Clone, Copy)]
struct State {
    status: HoldStatus,
    confirmed: bool,
}

/// Where a holder stands in the list of a place: who comes after it and who before.
#[derive(Clone, Copy)]
pub(super) struct Links {
    pub(super) next: u32,
    pub(super) previous: u32,
}

impl Links {
    /// Nobody before and nobody after.
    pub(super) const NONE: Self = Self { next: NOWHERE, previous: NOWHERE };
}

/// Later than every hold's end.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// The largest quantity of a plain hold.
const PLAIN_QUANTITY_MAX: u64 = u32::MAX as u64;

enum Lines {
    /// A plain hold: one line that holds all it asked for at one place. Its site is the location's, and it is a
    /// holder by its own slot. No quantity of 2^32 and more is plain.
    One {
        state: State,
        owner: u32,
        links: Links,
        sku: SkuId,
        location: LocationId,
        lot: LotId,
        quantity: u32,
    },
    /// One line that holds nothing, any more.
    Empty { state: State, owner: u32, site: SiteId, sku: SkuId, quantity: Quantity },
    /// Everything else, and a node for each pick.
    Many(State, u32, Box<(SmallVec<[HoldLine; 1]>, Vec<u32>)>),
}

impl HoldRow {
    /// Packs a hold, whose owner has this slot or is [`NOWHERE`]; `node` enters it as a holder of a place and gives the
    /// node. A plain hold is entered by whoever keeps the row.
    pub(super) fn pack(id: &Code, hold: Hold, owner: u32, node: &mut impl FnMut(Place, u32) -> u32) -> Self {
        let Hold { owner: _, body, placed, expires_at, status, confirmed, lines } = hold;
        let state = State { status, confirmed };
        let lines = match lines.as_slice() {
            [HoldLine { sku, quantity, picks, .. }]
                if picks.len() == 1
                    && picks[0].quantity == *quantity
                    && quantity.get() <= PLAIN_QUANTITY_MAX =>
            {
                let Pick { location, lot, .. } = picks[0];
                let quantity = u32::try_from(quantity.get()).expect("it was looked at");
                Lines::One { state, owner, links: Links::NONE, sku: *sku, location, lot, quantity }
            }
            [HoldLine { site, sku, quantity, picks }] if picks.is_empty() => {
                Lines::Empty { state, owner, site: *site, sku: *sku, quantity: *quantity }
            }
            _ => {
                let nodes = places(&lines).map(|(place, line)| node(place, line)).collect();
                Lines::Many(state, owner, Box::new((lines, nodes)))
            }
        };
        Self { id: id.into(), body, placed, expires_at: expires_at.unwrap_or(NEVER), lines }
    }

    fn state(&self) -> State {
        match &self.lines {
            Lines::One { state, .. } | Lines::Empty { state, .. } | Lines::Many(state, ..) => *state,
        }
    }

    /// The slot of its owner.
    pub(super) fn owner(&self) -> Option<u32> {
        let owner = match &self.lines {
            Lines::One { owner, .. } | Lines::Empty { owner, .. } | Lines::Many(_, owner, _) => *owner,
        };
        (owner != NOWHERE).then_some(owner)
    }

    /// How it stands.
    pub(super) fn status(&self) -> HoldStatus {
        self.state().status
    }

    /// Where a plain hold holds.
    pub(super) fn plain_place(&self) -> Option<Place> {
        match self.lines {
            Lines::One { sku, location, lot, .. } => Some(Place { location, sku, lot }),
            Lines::Empty { .. } | Lines::Many(..) => None,
        }
    }

    /// The links of a plain hold.
    pub(super) fn links(&self) -> Links {
        match &self.lines {
            Lines::One { links, .. } => *links,
            Lines::Empty { .. } | Lines::Many(..) => panic!("only a plain hold is a holder by itself"),
        }
    }

    /// The links of a plain hold, to change them.
    pub(super) fn links_mut(&mut self) -> &mut Links {
        match &mut self.lines {
            Lines::One { links, .. } => links,
            Lines::Empty { .. } | Lines::Many(..) => panic!("only a plain hold is a holder by itself"),
        }
    }

    /// The hold again, with its owner; `site_of` tells the site of a location.
    pub(super) fn unpack(&self, owner: Option<Code>, site_of: impl Fn(LocationId) -> SiteId) -> Hold {
        let one = |line| SmallVec::from_buf([line]);
        let lines = match &self.lines {
            Lines::One { sku, location, lot, quantity, .. } => {
                let quantity = Quantity::stored(u64::from(*quantity));
                let picks = SmallVec::from_buf([Pick { location: *location, lot: *lot, quantity }]);
                one(HoldLine { site: site_of(*location), sku: *sku, quantity, picks })
            }
            Lines::Empty { site, sku, quantity, .. } => {
                one(HoldLine { site: *site, sku: *sku, quantity: *quantity, picks: SmallVec::new() })
            }
            Lines::Many(_, _, many) => many.0.clone(),
        };
        let State { status, confirmed } = self.state();
        Hold {
            owner,
            body: self.body,
            placed: self.placed,
            expires_at: self.expires_at(),
            status,
            confirmed,
            lines,
        }
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    /// Every place where it is entered as a holder by a node.
    pub(super) fn each_node(&self, mut visit: impl FnMut(Place, u32)) {
        match &self.lines {
            Lines::One { .. } | Lines::Empty { .. } => {}
            Lines::Many(_, _, many) => {
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
            Lines::Many(_, _, many) => many.0.len(),
        }
    }

    /// How many picks it has.
    pub(super) fn pick_count(&self) -> usize {
        match &self.lines {
            Lines::One { .. } => 1,
            Lines::Empty { .. } => 0,
            Lines::Many(_, _, many) => many.1.len(),
        }
    }

    /// How much a line holds at a place of its SKU.
    pub(super) fn held_at(&self, line: u32, location: LocationId, lot: LotId) -> Quantity {
        match &self.lines {
            Lines::One { quantity, .. } => Quantity::stored(u64::from(*quantity)),
            Lines::Empty { .. } => Quantity::ZERO,
            Lines::Many(_, _, many) => {
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
        assert!(size_of::<HoldRow>() <= 72, "{} bytes", size_of::<HoldRow>());
        assert_eq!(size_of::<HoldRow>(), size_of::<Option<HoldRow>>(), "a free slot takes no more");
    }
}
