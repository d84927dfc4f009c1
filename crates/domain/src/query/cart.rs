//! Carts as they are shown.

use super::{HeldAt, held_at};
use crate::{
    Amount, Code, Currency, Quantity, Tables, Timestamp,
    refusal::Refusal,
    row::{self, CartStatus},
};

/// A cart without its items.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct CartSummary {
    pub id: Code,
    pub site: Code,
    pub owner: Code,
    pub status: CartStatus,
    pub hold_s: Option<u32>,
    pub opened_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub order: Option<Code>,
    pub item_count: u32,
}

/// A cart.
#[derive(Clone, Debug, PartialEq)]
pub struct CartView {
    /// All but its items.
    pub summary: CartSummary,
    /// Its items, in the order in which they were put in.
    pub items: Vec<CartItemView>,
    /// What a checkout would cost now, in each currency in which all items have a price.
    pub totals: Vec<(Currency, Amount)>,
}

/// An item of a cart.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct CartItemView {
    pub sku: Code,
    pub quantity: Quantity,
    /// How much of it is held.
    pub held: Quantity,
    /// What one unit costs now, by currency.
    pub prices: Vec<(Currency, Amount)>,
    pub picks: Vec<HeldAt>,
}

/// A cart of so many items, without them, as it is shown. What is in the row is not looked at.
pub fn cart_summary(tables: &impl Tables, id: &Code, row: &row::Cart, items: usize) -> CartSummary {
    CartSummary {
        id: id.clone(),
        site: tables.site(row.site).code.clone(),
        owner: row.owner.clone(),
        status: row.status,
        hold_s: row.hold_s,
        opened_at: row.opened_at,
        expires_at: row.expires_at,
        order: row.order.clone(),
        item_count: u32::try_from(items).expect("CART_LINES_MAX fits a u32"),
    }
}

/// A cart as it is shown. Refuses with `cart_not_found`.
pub fn cart(tables: &impl Tables, id: &Code) -> Result<CartView, Refusal> {
    let Some(row) = tables.cart(id) else { return Err(Refusal::CartNotFound { cart: id.clone() }) };
    let item = |line: &row::CartLine| CartItemView {
        sku: tables.sku(line.sku).code.clone(),
        quantity: line.quantity,
        held: line.held(),
        prices: tables.prices(line.sku).to_vec(),
        picks: line
            .picks
            .iter()
            .map(|pick| held_at(tables, pick.location, pick.lot, pick.quantity))
            .collect(),
    };
    let items: Vec<_> = row.lines.iter().map(item).collect();
    let first = items.first().map_or(&[][..], |item| &item.prices);
    let totals = first.iter().filter_map(|(currency, _)| Some((*currency, total(&items, *currency)?)));
    let totals = totals.collect();
    let summary = cart_summary(tables, id, &row, items.len());
    Ok(CartView { summary, items, totals })
}

/// What items cost in a currency; `None` where one of them has no price, or where it is more than an amount can be.
fn total(items: &[CartItemView], currency: Currency) -> Option<Amount> {
    let mut total = 0_u64;
    for item in items {
        let (_, price) = item.prices.iter().find(|(other, _)| *other == currency)?;
        total = total.checked_add(item.quantity.get().checked_mul(price.get())?)?;
    }
    Amount::new("total", total).ok()
}
