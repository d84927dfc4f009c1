//! Orders as they are shown.

use super::{
    ExplainedLine, HeldAt,
    explain::{Explained, Wanted},
    held_at,
};
use crate::{
    ClaimView, Code, Quantity, Tables, Timestamp,
    command::numbered,
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
    summary_of(tables, id, row, row.lines.len(), row.is_allocated())
}

/// The same of a row without its lines, of which there are so many.
pub(crate) fn summary_of(
    tables: &impl Tables,
    id: &Code,
    row: &row::Order,
    line_count: usize,
    is_allocated: bool,
) -> OrderSummary {
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
        allocated: !row.status.may_rest() && is_allocated,
        line_count: u32::try_from(line_count).expect("LINES_MAX fits a u32"),
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

/// Why lines of an order are not allocated, at `now`: the one of the number that is named, or the first that lack
/// something, within the limits of [`explain`](super::explain). An order that has ended lacks nothing. Refuses with
/// `order_not_found` or `line_not_found`.
pub fn explain_order(
    tables: &impl Tables,
    id: &Code,
    line: Option<&Code>,
    now: Timestamp,
) -> Result<Vec<ExplainedLine>, Refusal> {
    let Some(order) = tables.order(id) else {
        return Err(Refusal::OrderNotFound { order: id.clone() });
    };
    let mut explained = Explained::new(tables, order.site, now);
    let mut is_known = false;
    for (row, index) in order.lines.iter().zip(0..) {
        let name = numbered(index);
        if line.is_some_and(|line| *line != name) {
            continue;
        }
        is_known = true;
        let open = if order.status.may_rest() { Quantity::ZERO } else { row.lacks() };
        if line.is_none() && open.is_zero() {
            continue;
        }
        if explained.is_full() {
            break;
        }
        explained.push(Wanted { line: name, sku: row.sku, lot: row.lot, requested: row.quantity }, open);
    }
    match line {
        Some(line) if !is_known => Err(Refusal::LineNotFound { document: id.clone(), line: line.clone() }),
        _ => Ok(explained.lines),
    }
}
