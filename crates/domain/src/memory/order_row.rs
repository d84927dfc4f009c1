//! An order as it is kept: one of a single line takes no second allocation for it, others one for their lines and
//! one for what these hold.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    NOWHERE,
    awaiting::Awaited,
    packed_buyer::PackedBuyer,
    packed_lines::{PackedLines, Wanted},
};
use crate::{
    Code, LocationId, LotId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{Claim, Order, OrderLine, OrderStatus, OrderWork, Pick, Sale},
};

pub(super) struct OrderRow {
    pub(super) id: Code,
    buyer: PackedBuyer,
    pub(super) claim: Option<Box<Claim>>,
    body: u64,
    pub(super) placed: Sequence,
    placed_at: Timestamp,
    answer: Sequence,
    lines: Lines,
    pub(super) site: SiteId,
    pub(super) priority: u32,
    pub(super) status: OrderStatus,
    backorder: bool,
    awaits_stock: bool,
    /// How many lines hold less than they ask for.
    lines_lacking: u32,
    /// Whether any of its picks is of a lot.
    holds_lots: bool,
}

enum Lines {
    /// One line of any lot that holds all it asked for at one place, or, where its node is [`NOWHERE`], nothing.
    One { sku: SkuId, location: LocationId, lot: LotId, node: u32, quantity: Quantity },
    /// Everything else. Picks stand in the order of their lines.
    Many { lines: PackedLines, picks: Box<[HeldPick]> },
}

/// Lines up to which each makes room for its picks among the others; those of more are merged with all others at once.
const SPLICED_LINES_MAX: usize = 8;

/// What is held for a line, by the line's index, and the node that it is entered under.
#[derive(Clone, Copy)]
pub(super) struct HeldPick {
    pub(super) pick: Pick,
    pub(super) line: u32,
    pub(super) node: u32,
}

impl Lines {
    fn empty(sku: SkuId, quantity: Quantity) -> Self {
        Self::One { sku, location: LocationId(NOWHERE), lot: LotId::NONE, node: NOWHERE, quantity }
    }
}

/// Whether any of these is of a lot.
fn any_lot(held: &[HeldPick]) -> bool {
    held.iter().any(|held| held.pick.lot != LotId::NONE)
}

/// Where the picks of a line stand.
fn range_of(picks: &[HeldPick], line: u32) -> Range<usize> {
    let from = picks.partition_point(|held| held.line < line);
    let count = picks[from..].iter().take_while(|held| held.line == line).count();
    from..from + count
}

/// The picks of a line.
fn picks_of(picks: &[HeldPick], line: u32) -> &[HeldPick] {
    &picks[range_of(picks, line)]
}

/// Puts these picks in the place of those of a line. It moves those behind them where they are more or fewer.
fn splice(all: &mut Vec<HeldPick>, line: u32, held: &[HeldPick]) {
    let range = range_of(all, line);
    all.reserve_exact(held.len().saturating_sub(range.len()));
    all.splice(range, held.iter().copied());
}

/// Puts these picks in the place of those of the lines that changed.
fn merged(before: Vec<HeldPick>, changed: &[u32], held: Vec<HeldPick>) -> Vec<HeldPick> {
    let mut kept = before.into_iter().filter(|held| changed.binary_search(&held.line).is_err()).peekable();
    let mut merged = Vec::with_capacity(kept.size_hint().1.unwrap_or_default() + held.len());
    for new in held {
        while let Some(before) = kept.next_if(|kept| kept.line < new.line) {
            merged.push(before);
        }
        merged.push(new);
    }
    merged.extend(kept);
    merged
}

impl OrderRow {
    /// Packs an order; `node` enters it as a holder of a place and gives the node.
    pub(super) fn pack(id: Code, order: Order, node: &mut impl FnMut(Place, u32) -> u32) -> Self {
        let lacking = order.lines.iter().filter(|line| !line.lacks().is_zero()).count();
        let lines_lacking = u32::try_from(lacking).expect("a document has few lines");
        let lines = match order.lines.as_slice() {
            [OrderLine { sku, lot: None, quantity, picks }]
                if picks.len() == 1 && picks[0].quantity == *quantity =>
            {
                let Pick { location, lot, .. } = picks[0];
                let node = node(Place { location, sku: *sku, lot }, 0);
                Lines::One { sku: *sku, location, lot, node, quantity: *quantity }
            }
            [OrderLine { sku, lot: None, quantity, picks }] if picks.is_empty() => {
                Lines::empty(*sku, *quantity)
            }
            lines => {
                let packed = PackedLines::pack(lines.iter().map(|line| Wanted {
                    sku: line.sku,
                    lot: line.lot,
                    quantity: line.quantity,
                }));
                let picks = lines
                    .iter()
                    .zip(0..)
                    .flat_map(|(line, number)| line.picks.iter().map(move |pick| (*pick, line.sku, number)));
                let picks = picks.map(|(pick, sku, line)| {
                    let node = node(Place { location: pick.location, sku, lot: pick.lot }, line);
                    HeldPick { pick, line, node }
                });
                Lines::Many { lines: packed, picks: picks.collect() }
            }
        };
        let holds_lots = match &lines {
            Lines::One { lot, .. } => *lot != LotId::NONE,
            Lines::Many { picks, .. } => any_lot(picks),
        };
        Self { lines, lines_lacking, holds_lots, ..Self::header(id, order) }
    }

    /// The order without its lines.
    fn header(id: Code, order: Order) -> Self {
        Self {
            id,
            buyer: PackedBuyer::unpaid(order.customer.as_ref()),
            claim: order.claim.map(Box::new),
            body: order.body,
            placed: order.placed,
            placed_at: order.placed_at,
            answer: order.answer,
            lines: Lines::empty(SkuId(0), Quantity::ZERO),
            site: order.site,
            priority: order.priority,
            status: order.status,
            backorder: order.backorder,
            awaits_stock: order.awaits_stock,
            lines_lacking: 0,
            holds_lots: false,
        }
    }

    /// Takes all of the order but its customer and its lines, which are these already.
    pub(super) fn replace_header(&mut self, order: Order) {
        let lines = std::mem::replace(&mut self.lines, Lines::empty(SkuId(0), Quantity::ZERO));
        let buyer = std::mem::take(&mut self.buyer);
        let (lines_lacking, holds_lots) = (self.lines_lacking, self.holds_lots);
        let order = Order { customer: None, ..order };
        *self = Self { lines, buyer, lines_lacking, holds_lots, ..Self::header(self.id.clone(), order) };
    }

    /// What it was sold for, where its row tells that.
    pub(super) fn sale(&self) -> Option<Sale> {
        self.buyer.sale(self.quantities())
    }

    /// Takes out what it was sold for, where its row tells that.
    pub(super) fn take_sale(&mut self) -> Option<Sale> {
        let sale = self.sale()?;
        self.buyer = PackedBuyer::unpaid(Some(&sale.owner));
        Some(sale)
    }

    /// Keeps what it was sold for, if its customer paid what its lines cost; and says whether it does.
    pub(super) fn keep_sale(&mut self, sale: &Sale) -> bool {
        let costs = self.quantities().zip(&sale.prices);
        let total: u128 =
            costs.map(|(quantity, price)| u128::from(quantity.get()) * u128::from(price.get())).sum();
        let fits = self.buyer.is_customer(&sale.owner)
            && self.line_count() == sale.prices.len()
            && total == u128::from(sale.total.get());
        if fits {
            self.buyer = PackedBuyer::paid(sale);
        }
        fits
    }

    /// How much each line asks for.
    fn quantities(&self) -> impl Iterator<Item = Quantity> {
        let (one, many) = match &self.lines {
            Lines::One { quantity, .. } => (Some(*quantity), None),
            Lines::Many { lines, .. } => (None, Some(lines.iter().map(|line| line.quantity))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The order again.
    pub(super) fn unpack(&self) -> Order {
        let lines = match &self.lines {
            Lines::One { sku, location, lot, node, quantity } => {
                let pick = Pick { location: *location, lot: *lot, quantity: *quantity };
                let picks = if *node == NOWHERE { SmallVec::new() } else { SmallVec::from_buf([pick]) };
                SmallVec::from_buf([OrderLine { sku: *sku, lot: None, quantity: *quantity, picks }])
            }
            Lines::Many { lines, picks } => {
                let mut order: SmallVec<[OrderLine; 1]> = SmallVec::with_capacity(lines.len());
                order.extend(lines.iter().map(|line| OrderLine {
                    sku: line.sku,
                    lot: line.lot,
                    quantity: line.quantity,
                    picks: SmallVec::new(),
                }));
                for held in picks {
                    order[held.line as usize].picks.push(held.pick);
                }
                order
            }
        };
        Order { lines, ..self.unpack_header() }
    }

    /// The order without its lines.
    pub(super) fn unpack_header(&self) -> Order {
        Order {
            site: self.site,
            customer: self.buyer.customer(),
            priority: self.priority,
            body: self.body,
            placed: self.placed,
            placed_at: self.placed_at,
            answer: self.answer,
            backorder: self.backorder,
            awaits_stock: self.awaits_stock,
            status: self.status,
            claim: self.claim.as_deref().cloned(),
            lines: Default::default(),
        }
    }

    /// One line.
    pub(super) fn line(&self, line: u32) -> OrderLine {
        match &self.lines {
            Lines::One { .. } => {
                assert_eq!(line, 0, "it has one line");
                self.unpack().lines.swap_remove(0)
            }
            Lines::Many { lines, picks } => {
                let Wanted { sku, lot, quantity } = lines.get(line as usize);
                let picks = picks_of(picks, line).iter().map(|held| held.pick).collect();
                OrderLine { sku, lot, quantity, picks }
            }
        }
    }

    /// Takes other picks in the place of those of some lines, which are in order, as the picks are. It has several lines. Few
    /// lines take the time of their own picks, and a move of those behind where they are more or fewer than before.
    pub(super) fn put_picks(&mut self, changed: &[u32], held: Vec<HeldPick>) {
        let lacking_before = self.lacking_of(changed);
        let Lines::Many { picks, .. } = &mut self.lines else { panic!("several lines are kept as many") };
        let gives_up_lots = changed.iter().any(|line| any_lot(picks_of(picks, *line)));
        let takes_lots = any_lot(&held);
        let mut all = std::mem::take(picks).into_vec();
        if changed.len() <= SPLICED_LINES_MAX {
            changed.iter().for_each(|line| splice(&mut all, *line, picks_of(&held, *line)));
        } else {
            all = merged(all, changed, held);
        }
        *picks = all.into_boxed_slice();
        self.holds_lots = takes_lots || if gives_up_lots { any_lot(picks) } else { self.holds_lots };
        self.lines_lacking = self.lines_lacking - lacking_before + self.lacking_of(changed);
    }

    /// How many of some lines hold less than they ask for.
    fn lacking_of(&self, lines: &[u32]) -> u32 {
        lines.iter().map(|line| u32::from(!self.lacks(*line).is_zero())).sum()
    }

    /// Whether as many lines lack something as it says, and it holds goods of lots where it says so.
    pub(super) fn counts_right(&self) -> bool {
        let lines: Vec<u32> = (0..).take(self.line_count()).collect();
        let picks = lines.iter().flat_map(|line| self.line(*line).picks);
        let holds_lots = picks.into_iter().any(|pick| pick.lot != LotId::NONE);
        self.lacking_of(&lines) == self.lines_lacking && holds_lots == self.holds_lots
    }

    /// Whether all that was ordered is held.
    pub(super) fn is_allocated(&self) -> bool {
        self.lines_lacking == 0
    }

    /// Whether lines that lack something wait for it.
    fn awaits(&self) -> bool {
        self.awaits_stock && !self.status.may_rest()
    }

    /// What a line waits for, if it waits for stock: its SKU, and the lot that it wants.
    pub(super) fn awaited_by(&self, line: u32) -> Option<(SkuId, Option<LotId>)> {
        if !self.awaits() || self.lacks(line).is_zero() {
            return None;
        }
        match &self.lines {
            Lines::One { sku, .. } => Some((*sku, None)),
            Lines::Many { lines, .. } => {
                let Wanted { sku, lot, .. } = lines.get(line as usize);
                Some((sku, lot))
            }
        }
    }

    /// Every place where a line of several is entered as a holder, and by which node.
    pub(super) fn each_node_of(&self, line: u32, mut visit: impl FnMut(Place, u32)) {
        let Lines::Many { lines, picks } = &self.lines else { panic!("several lines are kept as many") };
        let sku = lines.get(line as usize).sku;
        for HeldPick { pick, node, .. } in picks_of(picks, line) {
            visit(Place { location: pick.location, sku, lot: pick.lot }, *node);
        }
    }

    /// Whether it holds goods of any lot.
    pub(super) fn holds_lots(&self) -> bool {
        self.holds_lots
    }

    /// Where it holds goods, and of which lot or of none, line by line; nothing where it holds none of any lot.
    pub(super) fn lots(&self) -> impl Iterator<Item = (LocationId, LotId)> {
        let (one, many) = match &self.lines {
            Lines::One { location, lot, .. } => {
                (self.holds_lots().then_some((*location, *lot)), [].as_slice())
            }
            Lines::Many { picks, .. } => (None, if self.holds_lots() { &**picks } else { &[] }),
        };
        one.into_iter().chain(many.iter().map(|held| (held.pick.location, held.pick.lot)))
    }

    /// How the work on it stands.
    pub(super) fn work(&self) -> OrderWork {
        let claim = self.claim.as_deref().cloned();
        OrderWork { site: self.site, status: self.status, is_allocated: self.is_allocated(), claim }
    }

    /// Every place where it is entered as a holder, and by which node.
    pub(super) fn each_node(&self, mut visit: impl FnMut(Place, u32)) {
        match &self.lines {
            Lines::One { node, .. } if *node == NOWHERE => {}
            Lines::One { sku, location, lot, node, .. } => {
                visit(Place { location: *location, sku: *sku, lot: *lot }, *node);
            }
            Lines::Many { lines, picks } => {
                // Picks stand in the order of their lines.
                let mut lines = lines.iter().zip(0..);
                let Some(mut current) = lines.next() else { return };
                for HeldPick { pick, line, node } in picks {
                    while current.1 < *line {
                        current = lines.next().expect("a pick has a line");
                    }
                    let sku = current.0.sku;
                    visit(Place { location: pick.location, sku, lot: pick.lot }, *node);
                }
            }
        }
    }

    /// What a line that asks for this waits for.
    pub(super) fn awaited(&self, sku: SkuId, lot: Option<LotId>) -> Awaited {
        Awaited { site: self.site, sku, lot: lot.unwrap_or(LotId::NONE) }
    }

    /// Every line that waits for stock: its index, its SKU, the lot that it wants, and how much it lacks.
    pub(super) fn each_awaiting(&self, visit: impl FnMut(u32, SkuId, Option<LotId>, Quantity)) {
        if self.awaits() {
            self.each_lacking(visit);
        }
    }

    /// Every line that holds less than it asks for, in the same words.
    pub(super) fn each_lacking(&self, mut visit: impl FnMut(u32, SkuId, Option<LotId>, Quantity)) {
        if self.is_allocated() {
            return;
        }
        match &self.lines {
            Lines::One { sku, quantity, .. } => visit(0, *sku, None, *quantity),
            Lines::Many { lines, picks } => {
                let mut picks = picks.iter().peekable();
                for (line, number) in lines.iter().zip(0..) {
                    let mut lacks = line.quantity;
                    while let Some(held) = picks.next_if(|held| held.line == number) {
                        lacks -= held.pick.quantity;
                    }
                    if !lacks.is_zero() {
                        visit(number, line.sku, line.lot, lacks);
                    }
                }
            }
        }
    }

    /// How much a line lacks.
    pub(super) fn lacks(&self, line: u32) -> Quantity {
        match &self.lines {
            Lines::One { node, quantity, .. } if *node == NOWHERE => *quantity,
            Lines::One { .. } => Quantity::ZERO,
            Lines::Many { lines, picks } => {
                let held: Quantity = picks_of(picks, line).iter().map(|held| held.pick.quantity).sum();
                lines.get(line as usize).quantity - held
            }
        }
    }

    /// How many lines it has.
    pub(super) fn line_count(&self) -> usize {
        match &self.lines {
            Lines::One { .. } => 1,
            Lines::Many { lines, .. } => lines.len(),
        }
    }

    /// How many picks it has.
    pub(super) fn pick_count(&self) -> usize {
        match &self.lines {
            Lines::One { node, .. } => usize::from(*node != NOWHERE),
            Lines::Many { picks, .. } => picks.len(),
        }
    }

    /// Everything that it holds.
    pub(super) fn each_pick(&self, mut visit: impl FnMut(&Pick)) {
        match &self.lines {
            Lines::One { node, .. } if *node == NOWHERE => {}
            Lines::One { location, lot, quantity, .. } => {
                visit(&Pick { location: *location, lot: *lot, quantity: *quantity });
            }
            Lines::Many { picks, .. } => picks.iter().for_each(|held| visit(&held.pick)),
        }
    }

    /// How much a line holds at a place of its SKU.
    pub(super) fn held_at(&self, line: u32, location: LocationId, lot: LotId) -> Quantity {
        match &self.lines {
            Lines::One { node, .. } if *node == NOWHERE => Quantity::ZERO,
            Lines::One { quantity, .. } => *quantity,
            Lines::Many { picks, .. } => {
                let picks = picks_of(picks, line).iter().map(|held| held.pick);
                let here = picks.filter(|pick| (pick.location, pick.lot) == (location, lot));
                here.map(|pick| pick.quantity).sum()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_order_stays_small() {
        assert!(size_of::<OrderRow>() <= 128, "{} bytes", size_of::<OrderRow>());
        assert_eq!(size_of::<OrderRow>(), size_of::<Option<OrderRow>>(), "a free slot takes no more");
        assert_eq!(size_of::<HeldPick>(), 24, "of each further pick");
    }
}
