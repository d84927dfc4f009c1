//! An order as it is kept: one of a single line takes no second allocation for it.

use smallvec::SmallVec;

use crate::{
    Code, LocationId, LotId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{Claim, Order, OrderLine, OrderStatus, Pick},
};

pub(super) struct OrderRow {
    pub(super) id: Code,
    customer: Option<Box<Code>>,
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
    pub(super) is_allocated: bool,
}

enum Lines {
    /// One line of any lot that holds all it asked for at one place.
    One { sku: SkuId, location: LocationId, lot: LotId, node: u32, quantity: Quantity },
    /// One line of any lot that holds nothing.
    Empty { sku: SkuId, quantity: Quantity },
    /// Everything else, and a node for each pick.
    Many(Box<(SmallVec<[OrderLine; 1]>, Vec<u32>)>),
}

impl OrderRow {
    /// Packs an order; `node` enters it as a holder of a place and gives the node.
    pub(super) fn pack(id: Code, order: Order, node: &mut impl FnMut(Place, u32) -> u32) -> Self {
        let is_allocated = order.is_allocated();
        let lines = match order.lines.as_slice() {
            [OrderLine { sku, lot: None, quantity, picks }]
                if picks.len() == 1 && picks[0].quantity == *quantity =>
            {
                let Pick { location, lot, .. } = picks[0];
                let node = node(Place { location, sku: *sku, lot }, 0);
                Lines::One { sku: *sku, location, lot, node, quantity: *quantity }
            }
            [OrderLine { sku, lot: None, quantity, picks }] if picks.is_empty() => {
                Lines::Empty { sku: *sku, quantity: *quantity }
            }
            _ => {
                let nodes = places(&order.lines).map(|(place, line)| node(place, line)).collect();
                Lines::Many(Box::new((order.lines.clone(), nodes)))
            }
        };
        Self { lines, is_allocated, ..Self::header(id, order) }
    }

    /// The order without its lines.
    fn header(id: Code, order: Order) -> Self {
        Self {
            id,
            customer: order.customer.map(Box::new),
            claim: order.claim.map(Box::new),
            body: order.body,
            placed: order.placed,
            placed_at: order.placed_at,
            answer: order.answer,
            lines: Lines::Empty { sku: SkuId(0), quantity: Quantity::ZERO },
            site: order.site,
            priority: order.priority,
            status: order.status,
            backorder: order.backorder,
            awaits_stock: order.awaits_stock,
            is_allocated: false,
        }
    }

    /// Takes all of the order but its lines, which are these already.
    pub(super) fn replace_header(&mut self, order: Order) {
        let lines =
            std::mem::replace(&mut self.lines, Lines::Empty { sku: SkuId(0), quantity: Quantity::ZERO });
        let is_allocated = self.is_allocated;
        *self = Self { lines, is_allocated, ..Self::header(self.id.clone(), order) };
    }

    /// The order again.
    pub(super) fn unpack(&self) -> Order {
        let lines = match &self.lines {
            Lines::One { sku, location, lot, quantity, .. } => {
                let pick = Pick { location: *location, lot: *lot, quantity: *quantity };
                let picks = SmallVec::from_buf([pick]);
                SmallVec::from_buf([OrderLine { sku: *sku, lot: None, quantity: *quantity, picks }])
            }
            Lines::Empty { sku, quantity } => SmallVec::from_buf([OrderLine {
                sku: *sku,
                lot: None,
                quantity: *quantity,
                picks: SmallVec::new(),
            }]),
            Lines::Many(many) => many.0.clone(),
        };
        Order { lines, ..self.unpack_header() }
    }

    /// The order without its lines.
    pub(super) fn unpack_header(&self) -> Order {
        Order {
            site: self.site,
            customer: self.customer.as_deref().cloned(),
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

    /// Every line that waits for stock: its index, its SKU, the lot that it wants, and how much it lacks.
    pub(super) fn each_awaiting(&self, mut visit: impl FnMut(u32, SkuId, Option<LotId>, Quantity)) {
        if !self.awaits_stock || self.status.may_rest() || self.is_allocated {
            return;
        }
        match &self.lines {
            Lines::One { .. } => {}
            Lines::Empty { sku, quantity } => visit(0, *sku, None, *quantity),
            Lines::Many(many) => {
                for (line, number) in many.0.iter().zip(0..) {
                    let lacks = line.lacks();
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
            Lines::One { .. } => Quantity::ZERO,
            Lines::Empty { quantity, .. } => *quantity,
            Lines::Many(many) => many.0[line as usize].lacks(),
        }
    }

    /// How many lines it has.
    pub(super) fn line_count(&self) -> usize {
        match &self.lines {
            Lines::One { .. } | Lines::Empty { .. } => 1,
            Lines::Many(many) => many.0.len(),
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
fn places(lines: &[OrderLine]) -> impl Iterator<Item = (Place, u32)> {
    lines.iter().zip(0..).flat_map(|(line, number)| {
        let place = |pick: &Pick| Place { location: pick.location, sku: line.sku, lot: pick.lot };
        line.picks.iter().map(move |pick| (place(pick), number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_order_stays_small() {
        assert!(size_of::<OrderRow>() <= 128, "{} bytes", size_of::<OrderRow>());
        assert_eq!(size_of::<OrderRow>(), size_of::<Option<OrderRow>>(), "a free slot takes no more");
    }
}
