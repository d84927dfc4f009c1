//! Carts: opened, filled, given up or checked out.

use super::digest_maybe;
use crate::{Amount, Code, Currency, Digest, Quantity, Refusal, limits::EXPIRY_MS_MAX};

/// Opens a cart, or changes for how long it holds its items.
#[derive(Clone, Debug, PartialEq)]
pub struct SetCart {
    /// The cart's id: taken for ever.
    pub id: Code,
    /// The site that its items come from; fixed.
    pub site: Code,
    /// Whose it is, and whose wallet pays; fixed.
    pub owner: Code,
    /// For how many seconds each change holds its items, up to 366 days; without it nothing is held.
    pub hold_s: Option<u32>,
}

/// Sets how much of a SKU is in a cart: nothing takes it out.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct SetCartItem {
    pub id: Code,
    pub sku: Code,
    pub quantity: Quantity,
}

/// Gives a cart up: what it holds is released.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the cart")]
pub struct DiscardCart {
    pub id: Code,
}

/// Makes an order of a cart: prices it, allocates it and pays for it, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkout {
    /// The cart.
    pub id: Code,
    /// In which currency it is priced and paid.
    pub currency: Currency,
    /// What the caller believes that it costs.
    pub expected_total: Option<Amount>,
    /// The order's id; the cart's if not said.
    pub order: Option<Code>,
}

impl SetCart {
    pub(super) fn validate(&self) -> Result<(), Refusal> {
        match self.hold_s {
            Some(0) => Err(Refusal::invalid("hold_s", "is zero")),
            Some(seconds) if u64::from(seconds) * 1_000 > EXPIRY_MS_MAX => {
                Err(Refusal::invalid("hold_s", "is more than 366 days"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(52).text(self.id.as_str()).text(self.site.as_str()).text(self.owner.as_str());
        d.maybe_number(self.hold_s.map(u64::from));
    }
}

impl SetCartItem {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(53).text(self.id.as_str()).text(self.sku.as_str()).number(self.quantity.get());
    }
}

impl DiscardCart {
    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(54).text(self.id.as_str());
    }
}

impl Checkout {
    /// The id of the order that it makes.
    pub fn order_id(&self) -> &Code {
        self.order.as_ref().unwrap_or(&self.id)
    }

    pub(super) fn digest(&self, d: &mut Digest) {
        d.number(55).text(self.id.as_str()).text(self.currency.as_str());
        d.maybe_number(self.expected_total.map(Amount::get));
        digest_maybe(d, self.order.as_ref());
    }
}
