//! Carts, and the one request that makes a paid order of one.

use std::collections::BTreeMap;

use jaego_domain::{Amount, Command, Currency, Refusal, command, query, row::CartStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    stock::HeldAt,
    time::Time,
    value::{Choice, Text, Whole, Word, code_if_any},
    wallet::currency,
};

/// Opens a cart, or changes for how long it holds its items. Its site and its owner are fixed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetCart<'a> {
    /// The cart's id: taken for ever.
    pub cart: Text<'a>,
    /// The site that its items come from.
    pub site: Text<'a>,
    /// Whose it is, and whose wallet pays.
    pub owner: Text<'a>,
    /// For how many seconds each change holds all items; without it nothing is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_622_400))]
    pub hold_s: Option<Whole>,
}

impl SetCart<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetCart(command::SetCart {
            id: self.cart.code("cart")?,
            site: self.site.code("site")?,
            owner: self.owner.code("owner")?,
            hold_s: self.hold_s.map(|seconds| seconds.small("hold_s")).transpose()?,
        }))
    }
}

/// Sets how much of a SKU is in a cart: 0 takes it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct SetCartItem<'a> {
    /// The cart.
    pub cart: Text<'a>,
    /// What.
    pub sku: Text<'a>,
    /// How much.
    #[schemars(range(min = 0))]
    pub quantity: Whole,
}

impl SetCartItem<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::SetCartItem(command::SetCartItem {
            id: self.cart.code("cart")?,
            sku: self.sku.code("sku")?,
            quantity: self.quantity.quantity("quantity")?,
        }))
    }
}

/// Gives a cart up: what it holds is released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct DiscardCart<'a> {
    /// The cart.
    pub cart: Text<'a>,
}

impl DiscardCart<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        Ok(Command::DiscardCart(command::DiscardCart { id: self.cart.code("cart")? }))
    }
}

/// Makes an order of a cart: prices it, allocates it and pays for it from the owner's wallet, all or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'a"))]
pub struct Checkout<'a> {
    /// The cart.
    pub cart: Text<'a>,
    /// The currency: three capital letters, as ISO 4217 has them.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: Text<'a>,
    /// What the caller believes that it costs: refused with `price_changed` where it costs something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub expected_total: Option<Whole>,
    /// The order's id; the cart's if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Text<'a>>,
}

impl Checkout<'_> {
    pub(crate) fn command(&self) -> Result<Command, Refusal> {
        let total = |total: Whole| Amount::new("expected_total", total.quantity("expected_total")?.get());
        Ok(Command::Checkout(command::Checkout {
            id: self.cart.code("cart")?,
            currency: currency(&self.currency)?,
            expected_total: self.expected_total.map(total).transpose()?,
            order: code_if_any(self.order.as_ref(), "order")?,
        }))
    }
}

/// A cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cart {
    /// All but its items.
    #[serde(flatten)]
    pub summary: CartSummary,
    /// Its items, in the order in which they were put in.
    pub items: Vec<CartItem>,
    /// What a checkout would cost now, in each currency in which all items have a price.
    pub totals: BTreeMap<Word, u64>,
}

/// A cart without its items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CartSummary {
    /// Its id.
    pub id: Word,
    /// The site that its items come from.
    pub site: Word,
    /// Whose it is, and whose wallet pays.
    pub owner: Word,
    /// How it stands.
    pub status: Choice<CartStatus>,
    /// For how many seconds each change holds all items; null where nothing is held.
    pub hold_s: Option<u32>,
    /// When it was opened.
    pub opened_at: Time,
    /// From when on what it holds no longer counts; null where it holds nothing.
    pub expires_at: Option<Time>,
    /// The order that it became.
    pub order: Option<Word>,
    /// How many SKUs are in it.
    pub item_count: u32,
}

/// An item of a cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CartItem {
    /// What.
    pub sku: Word,
    /// How much.
    pub quantity: u64,
    /// How much of it is held.
    pub held: u64,
    /// What one unit costs now, by currency.
    pub prices: BTreeMap<Word, u64>,
    /// What is held.
    pub picks: Vec<HeldAt>,
}

/// Amounts by currency, as JSON has them.
pub(crate) fn amounts(amounts: &[(Currency, Amount)]) -> BTreeMap<Word, u64> {
    amounts.iter().map(|(currency, amount)| (currency.as_str().into(), amount.get())).collect()
}

impl From<&query::CartSummary> for CartSummary {
    fn from(view: &query::CartSummary) -> Self {
        Self {
            id: (&view.id).into(),
            site: (&view.site).into(),
            owner: (&view.owner).into(),
            status: view.status.into(),
            hold_s: view.hold_s,
            opened_at: view.opened_at.into(),
            expires_at: view.expires_at.map(Time::from),
            order: view.order.as_ref().map(Word::from),
            item_count: view.item_count,
        }
    }
}

impl From<&query::CartView> for Cart {
    fn from(view: &query::CartView) -> Self {
        let items = view.items.iter().map(|item| CartItem {
            sku: (&item.sku).into(),
            quantity: item.quantity.get(),
            held: item.held.get(),
            prices: amounts(&item.prices),
            picks: item.picks.iter().map(HeldAt::from).collect(),
        });
        Self { items: items.collect(), totals: amounts(&view.totals), summary: (&view.summary).into() }
    }
}
