//! Orders as they are shown.

use super::{HeldAt, held_at};
use crate::{
    ClaimView, Code, Quantity, Tables, Timestamp,
    outcome::lot_code,
    refusal::Refusal,
    row::{self, OrderStatus},
};

/// An order without its lines.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct OrderSummary {
    pub id: Code,
    pub site: Code,
    pub status: OrderStatus,
    pub customer: Option<Code>,
    pub priority: u32,
    pub backorder: bool,
    pub placed_at: Timestamp,
    /// Whether all that was ordered is held; never once it ended.
    pub allocated: bool,
    pub line_count: u32,
    /// The worker and the claim, while somebody works on it.
    pub claim: Option<(Code, ClaimView)>,
    /// The worker who completed it, if one had claimed it.
    pub completed_by: Option<Code>,
}

/// An order.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct OrderView {
    pub summary: OrderSummary,
    pub lines: Vec<OrderLineView>,
    /// What it was sold for, if it came of a cart.
    pub sale: Option<row::Sale>,
}

/// A line of an order, by its number from 1.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct OrderLineView {
    pub line: u32,
    pub sku: Code,
    pub lot: Option<Code>,
    pub quantity: Quantity,
    /// How much of it is held.
    pub allocated: Quantity,
    pub picks: Vec<HeldAt>,
}

/// An order without its lines, as it is shown.
pub fn order_summary(tables: &impl Tables, id: &Code, row: &row::Order) -> OrderSummary {
    let claim = row.claim.as_ref().filter(|_| row.status == OrderStatus::Processing);
    let view = |claim: &row::Claim| {
        let row::Claim { worker, fence, expires_at } = claim.clone();
        (worker, ClaimView { order: id.clone(), fence, expires_at })
    };
    OrderSummary {
        id: id.clone(),
        site: tables.site(row.site).code.clone(),
        status: row.status,
        customer: row.customer.clone(),
        priority: row.priority,
        backorder: row.backorder,
        placed_at: row.placed_at,
        allocated: !row.status.may_rest() && row.is_allocated(),
        line_count: u32::try_from(row.lines.len()).expect("LINES_MAX fits a u32"),
        claim: claim.map(view),
        completed_by: row.completed_by().cloned(),
    }
}

/// An order as it is shown. Refuses with `order_not_found`.
pub fn order(tables: &impl Tables, id: &Code) -> Result<OrderView, Refusal> {
    let Some(row) = tables.order(id) else {
        return Err(Refusal::OrderNotFound { order: id.clone() });
    };
    let lines = row.lines.iter().zip(1..).map(|(line, number)| OrderLineView {
        line: number,
        sku: tables.sku(line.sku).code.clone(),
        lot: line.lot.and_then(|lot| lot_code(tables, lot)),
        quantity: line.quantity,
        allocated: line.held(),
        picks: line
            .picks
            .iter()
            .map(|pick| held_at(tables, pick.location, pick.lot, pick.quantity))
            .collect(),
    });
    let lines = lines.collect();
    Ok(OrderView { summary: order_summary(tables, id, &row), lines, sale: tables.sale(id) })
}
