//! Gives stock to the lines of orders that wait for it: what nobody asked for, but what arriving stock brings about.

use std::{cmp::Reverse, collections::BTreeSet, iter::Peekable};

use hashbrown::HashMap;

use super::{allocate::Want, desk::Desk};
use crate::{
    Awaiting, Code, Fact, LotId, Quantity, SiteId, SkuId, Tables, Timestamp,
    event::{FilledOrder, Take, Takes},
    limits::{FILL_LINES_MAX, FILL_PICKS_MAX, FILL_POSITIONS_MAX},
    query::available,
};

/// Fills what waits for these SKUs at these sites at `now`: by priority, then by age. It takes what there is, and stops
/// at [`FILL_LINES_MAX`] lines; what is left then is noted for another event. `None` where nothing changes.
pub(crate) fn fill(tables: &impl Tables, now: Timestamp, pairs: &BTreeSet<(SiteId, SkuId)>) -> Option<Fact> {
    let mut filler = Filler {
        desk: Desk::new(tables, now),
        orders: Vec::new(),
        by_order: HashMap::new(),
        lines: 0,
        picks: 0,
        looked: 0,
    };
    let (mut left, mut done) = (Vec::new(), Vec::new());
    for pair in pairs {
        let has_left = filler.fill(pair.0, pair.1);
        match (tables.is_unfilled(pair.0, pair.1), has_left) {
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
    by_order: HashMap<Code, usize>,
    lines: usize,
    picks: usize,
    /// Positions and queues that were looked at.
    looked: usize,
}

impl<T: Tables> Filler<'_, T> {
    /// Fills what waits for a SKU, and says whether it stopped while there was more to give.
    fn fill(&mut self, site: SiteId, sku: SkuId) -> bool {
        let tables = self.desk.tables;
        let mut lots: BTreeSet<LotId> = BTreeSet::new();
        let mut positions = 0;
        for (place, position) in tables.positions(site, sku) {
            positions += 1;
            if !available(tables, place, &position, self.desk.now).is_zero() {
                lots.insert(place.lot);
            }
        }
        if lots.is_empty() {
            return false;
        }
        // Lines that want any lot, and for each lot that is here those that want only this one.
        lots.remove(&LotId::NONE);
        let queue = |lot| tables.awaiting(site, sku, lot).peekable();
        let mut queues: Vec<_> =
            std::iter::once(None).chain(lots.into_iter().map(Some)).map(|lot| (lot, queue(lot))).collect();
        while let Some((lot, at, awaiting)) = first(&mut queues) {
            let is_enough = self.lines >= FILL_LINES_MAX
                || self.picks >= FILL_PICKS_MAX
                || self.looked >= FILL_POSITIONS_MAX;
            if is_enough {
                return true;
            }
            // Each line looks at all positions of the SKU, and at the head of each queue.
            self.looked += positions + queues.len();
            if !self.fill_line(site, sku, lot, &awaiting) {
                if lot.is_none() {
                    // Nothing of any lot is left.
                    return false;
                }
                drop(queues.remove(at));
            }
        }
        false
    }

    /// Gives a line what there is, and says whether that was anything.
    fn fill_line(&mut self, site: SiteId, sku: SkuId, lot: Option<LotId>, line: &Awaiting) -> bool {
        let want = Want { line: line.line, site, sku, quantity: line.lacks, location: None, lot };
        let mut takes = Takes::new();
        let got = self.desk.allocate_line(&want, None, true, &mut |take: Take| takes.push(take));
        if got == Quantity::ZERO {
            return false;
        }
        self.lines += 1;
        self.picks += takes.len();
        let at = *self.by_order.entry_ref(&line.order).or_insert_with(|| {
            self.orders.push(FilledOrder { order: line.order.clone(), takes: Takes::new() });
            self.orders.len() - 1
        });
        self.orders[at].takes.extend(takes);
        true
    }
}

/// Takes the next line of several queues: the highest priority, and of these the one that was placed first.
fn first<I: Iterator<Item = Awaiting>>(
    queues: &mut [(Option<LotId>, Peekable<I>)],
) -> Option<(Option<LotId>, usize, Awaiting)> {
    let rank = |line: &Awaiting| (Reverse(line.priority), line.placed, line.line);
    let heads = queues.iter_mut().enumerate().filter_map(|(at, (_, queue))| {
        let head = queue.peek()?;
        Some((rank(head), at))
    });
    let (_, at) = heads.min()?;
    let (lot, queue) = &mut queues[at];
    let line = queue.next().expect("it was just looked at");
    Some((*lot, at, line))
}
