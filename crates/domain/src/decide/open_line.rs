//! What a line of a transfer has, while a request takes it part by part: by the lots and places that it names, in the time of
//! what it takes. A line of 100,000 serial numbers is picked and received by as many names.

use hashbrown::{HashMap, HashSet};

use crate::{LocationId, LotId, Quantity, SkuId, row::Pick};

/// Where a part comes from: from one location or all of them, of one lot or any.
pub(super) type Filter = (Option<LocationId>, Option<LotId>);

/// What of a line's picks a request may take and has not taken yet.
pub(super) struct OpenPicks {
    pub(super) sku: SkuId,
    /// In the order in which they are taken.
    picks: Vec<Pick>,
    lanes: HashMap<Filter, Lane>,
    /// Which filters have lanes: whether they name a location, and whether a lot.
    kinds: HashSet<(bool, bool)>,
}

/// The picks that pass a filter, by their index; those before `next` are empty.
#[derive(Default)]
struct Lane {
    at: Vec<usize>,
    next: usize,
}

impl OpenPicks {
    pub(super) fn new(sku: SkuId, picks: Vec<Pick>) -> Self {
        Self { sku, picks, lanes: HashMap::new(), kinds: HashSet::new() }
    }

    /// All that is left.
    pub(super) fn left(&self, filter: Filter) -> Quantity {
        let (location, lot) = filter;
        let passes = |pick: &&Pick| {
            location.is_none_or(|location| location == pick.location) && lot.is_none_or(|lot| lot == pick.lot)
        };
        self.picks.iter().filter(passes).map(|pick| pick.quantity).sum()
    }

    /// Whether so much is left that passes a filter.
    pub(super) fn has(&mut self, filter: Filter, quantity: Quantity) -> bool {
        let (picks, lane) = self.lane(filter);
        let mut left = quantity;
        for at in &lane.at[lane.next..] {
            if left.is_zero() {
                break;
            }
            left = left.saturating_sub(picks[*at].quantity);
        }
        left.is_zero()
    }

    /// Takes from the first pick that passes a filter, and gives it as it was.
    pub(super) fn take(&mut self, filter: Filter, quantity: impl FnOnce(&Pick) -> Quantity) -> Option<Pick> {
        let (picks, lane) = self.lane(filter);
        let pick = &mut picks[*lane.at.get(lane.next)?];
        let before = *pick;
        pick.quantity -= quantity(&before);
        Some(before)
    }

    /// The lane of a filter, without the empty picks before its first. The lanes of a kind are made together.
    fn lane(&mut self, filter: Filter) -> (&mut [Pick], &mut Lane) {
        let kind = (filter.0.is_some(), filter.1.is_some());
        if self.kinds.insert(kind) {
            for (at, pick) in self.picks.iter().enumerate() {
                let filter = (kind.0.then_some(pick.location), kind.1.then_some(pick.lot));
                self.lanes.entry(filter).or_default().at.push(at);
            }
        }
        let lane = self.lanes.entry(filter).or_default();
        let is_empty = |at: &&usize| self.picks[**at].quantity.is_zero();
        lane.next += lane.at[lane.next..].iter().take_while(is_empty).count();
        (&mut self.picks, lane)
    }
}

/// What of a line is on the way and has not been received by this request yet.
pub(super) struct OpenTransit {
    pub(super) sku: SkuId,
    /// First shipped first.
    left: Vec<(LotId, Quantity)>,
    by_lot: HashMap<LotId, usize>,
    /// Those before it are empty.
    next: usize,
}

impl OpenTransit {
    pub(super) fn new(sku: SkuId, left: Vec<(LotId, Quantity)>) -> Self {
        let by_lot = left.iter().enumerate().map(|(at, (lot, _))| (*lot, at)).collect();
        Self { sku, left, by_lot, next: 0 }
    }

    /// Takes at most so much of a lot, or of the first that is on the way: of which lot, and how much.
    pub(super) fn take(&mut self, lot: Option<LotId>, quantity: Quantity) -> Option<(LotId, Quantity)> {
        let is_empty = |(_, left): &&(LotId, Quantity)| left.is_zero();
        self.next += self.left[self.next..].iter().take_while(is_empty).count();
        let at = match lot {
            Some(lot) => *self.by_lot.get(&lot)?,
            None => self.next,
        };
        let (lot, left) = self.left.get_mut(at)?;
        let taken = quantity.min(*left);
        *left -= taken;
        (!taken.is_zero()).then_some((*lot, taken))
    }
}
