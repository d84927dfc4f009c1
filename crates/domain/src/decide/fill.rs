//! Gives stock to the lines of orders that wait for it: what nobody asked for, but what arriving stock brings about.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use hashbrown::HashMap;

use super::{allocate::Want, desk::Desk};
use crate::{
    Awaiting, Code, Fact, LotId, Quantity, Sequence, SiteId, SkuId, Tables, Timestamp,
    event::{FilledOrder, Take, Takes},
    limits::{FILL_LINES_MAX, FILL_PICKS_MAX, FILL_POSITIONS_MAX, PARTS_MAX},
    query::available,
};

/// The lots of a SKU that there may be for those who wait; stock without a lot is [`LotId::NONE`].
pub(crate) enum Lots {
    These(BTreeSet<LotId>),
    Any,
}

impl Default for Lots {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

impl Lots {
    pub(crate) fn add(&mut self, lot: LotId) {
        if let Self::These(lots) = self {
            lots.insert(lot);
        }
    }
}

/// Fills what waits for these SKUs at these sites at `now`: by priority, then by age. It takes what there is, and stops
/// at [`FILL_LINES_MAX`] lines; what is left then is noted for another event. `None` where nothing changes. Of other lots
/// than those that are named there has to be nothing for those who wait, unless the SKU is one that is noted.
pub(crate) fn fill(
    tables: &impl Tables,
    now: Timestamp,
    pairs: &BTreeMap<(SiteId, SkuId), Lots>,
) -> Option<Fact> {
    let mut filler = Filler {
        desk: Desk::new(tables, now),
        orders: Vec::new(),
        by_order: HashMap::new(),
        lines: 0,
        picks: 0,
        looked: 0,
    };
    let (mut left, mut done) = (Vec::new(), Vec::new());
    for (pair, lots) in pairs {
        let is_unfilled = tables.is_unfilled(pair.0, pair.1);
        let has_left = filler.fill(pair.0, pair.1, if is_unfilled { &Lots::Any } else { lots });
        match (is_unfilled, has_left) {
            (false, true) => left.push(*pair),
            (true, false) => done.push(*pair),
            _ => {}
        }
    }
    if filler.orders.is_empty() && left.is_empty() && done.is_empty() {
        return None;
    }
    Some(Fact::OrdersFilled { orders: filler.orders, left, done })
}

struct Filler<'a, T> {
    desk: Desk<'a, T>,
    orders: Vec<FilledOrder>,
    by_order: HashMap<Code, Filled>,
    /// Lines that were looked at.
    lines: usize,
    picks: usize,
    /// Positions that were looked at.
    looked: usize,
}

/// An order that gets something.
struct Filled {
    /// Which of the filler's orders.
    at: usize,
    /// How many more picks it can have: what it holds has to be given up in one decision.
    room: usize,
}

/// Where a waiting line stands: smaller is sooner. No two lines of a SKU have the same rank.
type Rank = (Reverse<u32>, Sequence, u32);

impl<T: Tables> Filler<'_, T> {
    /// Fills what waits for a SKU, and says whether it stopped while there may be more to give. The first SKU of an event
    /// gets something or is done.
    fn fill(&mut self, site: SiteId, sku: SkuId, arrived: &Lots) -> bool {
        if self.looked >= FILL_POSITIONS_MAX || self.is_full() {
            return true;
        }
        let tables = self.desk.tables;
        let is_asked_for = |lot: LotId| match arrived {
            Lots::These(lots) => lots.contains(&lot),
            Lots::Any => tables.awaiting(site, sku, Some(lot)).next().is_some(),
        };
        let (mut is_there, mut lots) = (false, BTreeSet::new());
        for (place, position) in tables.positions(site, sku) {
            self.looked += 1;
            if !available(tables, place, &position, self.desk.now).is_zero() {
                is_there = true;
                if place.lot != LotId::NONE && is_asked_for(place.lot) {
                    lots.insert(place.lot);
                }
            }
        }
        if !is_there {
            return false;
        }
        // Lines that want any lot, and for each lot that is here those that want only this one.
        let queue = |lot| (lot, tables.awaiting(site, sku, lot));
        let mut queues: Vec<_> = std::iter::once(None).chain(lots.into_iter().map(Some)).map(queue).collect();
        let mut heads: BinaryHeap<Reverse<(Rank, usize)>> = BinaryHeap::new();
        let mut next: Vec<Option<Awaiting>> = queues.iter_mut().map(|(_, queue)| queue.next()).collect();
        heads.extend(next.iter().zip(0..).filter_map(|(line, at)| Some(Reverse((rank(line.as_ref()?), at)))));
        while let Some(Reverse((_, at))) = heads.pop() {
            if self.is_full() {
                return true;
            }
            let (lot, queue) = &mut queues[at];
            let line = next[at].take().expect("a queue at the head has a line");
            if !self.fill_line(site, sku, *lot, &line) {
                if lot.is_none() {
                    // Nothing of any lot is left.
                    return false;
                }
                continue;
            }
            next[at] = queue.next();
            heads.extend(next[at].as_ref().map(|line| Reverse((rank(line), at))));
        }
        false
    }

    fn is_full(&self) -> bool {
        self.lines >= FILL_LINES_MAX || self.picks >= FILL_PICKS_MAX
    }

    /// Gives a line what there is and what its order can hold, and says whether there was anything.
    fn fill_line(&mut self, site: SiteId, sku: SkuId, lot: Option<LotId>, line: &Awaiting) -> bool {
        self.lines += 1;
        let room = match self.by_order.get(&line.order) {
            Some(filled) => filled.room,
            None => PARTS_MAX.saturating_sub(self.desk.tables.order_pick_count(&line.order)),
        };
        if room == 0 {
            return true;
        }
        let want = Want { line: line.line, site, sku, quantity: line.lacks, location: None, lot };
        let mut takes = Takes::new();
        self.desk.picks_max = room;
        let got = self.desk.allocate_line(&want, None, true, &mut |take: Take| takes.push(take));
        if got == Quantity::ZERO {
            return false;
        }
        self.picks += takes.len();
        let filled = self.by_order.entry_ref(&line.order).or_insert_with(|| {
            self.orders.push(FilledOrder { order: line.order.clone(), takes: Takes::new() });
            Filled { at: self.orders.len() - 1, room }
        });
        filled.room -= takes.len();
        self.orders[filled.at].takes.extend(takes);
        true
    }
}

fn rank(line: &Awaiting) -> Rank {
    (Reverse(line.priority), line.placed, line.line)
}
