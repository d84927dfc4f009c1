//! Carts: what they hold while they are open, and the one decision that makes an order of one.

use smallvec::SmallVec;

use super::{
    Verdict,
    allocate::{Partial, Want},
    desk::Desk,
};
use crate::{
    Amount, Code, Currency, Fact, Place, Quantity, Refusal, Shortage, SiteId, SkuId, Tables, Timestamp,
    command::{Checkout, DiscardCart, SetCart, SetCartItem},
    event::{OrderShort, OrderedLine, Takes},
    limits::{AMOUNT_MAX, CART_LINES_MAX, PARTS_MAX},
    refusal::MissingFunds,
    row::{Balance, Cart, CartLine, CartStatus, Pick},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn set_cart(&mut self, command: &SetCart) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let found = self.tables.cart(id);
        if let Some(cart) = &found {
            let site = &self.tables.site(cart.site).code;
            if (site, &cart.owner) != (&command.site, &command.owner) {
                return Err(Refusal::IdTaken { id: id.clone() });
            }
            if cart.hold_s == command.hold_s {
                return Ok(Verdict::Repeat(cart.set));
            }
            Self::can_change(id, cart)?;
        }
        let site = self.site(&command.site)?;
        let lines = found.map(|cart| cart.lines).unwrap_or_default();
        let mut takes = Takes::new();
        if command.hold_s.is_some() {
            for line in &lines {
                self.credit_picks(line.sku, &line.picks);
                self.hold_what_there_is(site, line.sku, line.quantity, &mut takes);
            }
        }
        Self::can_end(lines.len(), takes.len())?;
        let expires_at = self.cart_expiry(command.hold_s, !takes.is_empty());
        let (id, owner, hold_s) = (id.clone(), command.owner.clone(), command.hold_s);
        Ok(Verdict::New(Fact::CartSet { id, site, owner, hold_s, expires_at, takes }))
    }

    pub(super) fn set_cart_item(&mut self, command: &SetCartItem) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let cart = self.open_cart(id)?;
        let sku = self.sku(&command.sku)?;
        let quantity = command.quantity;
        let line = cart.lines.iter().find(|line| line.sku == sku);
        let before = line.map_or(Quantity::ZERO, |line| line.quantity);
        if line.is_none() && !quantity.is_zero() && cart.lines.len() == CART_LINES_MAX {
            return Err(Refusal::TooManyLines { lines: CART_LINES_MAX + 1, max: CART_LINES_MAX });
        }
        if cart.hold_s.is_none() && before == quantity {
            return Ok(Verdict::Repeat(cart.changed));
        }
        let mut takes = Takes::new();
        let mut expires_at = None;
        if cart.hold_s.is_some() {
            let picks = line.map_or(&[][..], |line| &line.picks);
            self.credit_picks(sku, picks);
            if !quantity.is_zero() {
                let want = Want { line: sku.0, site: cart.site, sku, quantity, location: None, lot: None };
                let name = |_| command.sku.clone();
                self.allocate(&[want], None, Partial::Forbid, name, |take| takes.push(take))?;
            }
            // What lapsed before, or could not be held, is held again as far as there is something.
            let mut holds = !takes.is_empty();
            for other in cart.lines.iter().filter(|other| other.sku != sku) {
                holds |= !other.picks.is_empty();
                self.hold_what_there_is(cart.site, other.sku, other.quantity - other.held(), &mut takes);
            }
            let kept = cart.lines.iter().filter(|other| other.sku != sku).map(|other| other.picks.len());
            let lines = kept.clone().count() + usize::from(!quantity.is_zero());
            Self::can_end(lines, kept.sum::<usize>() + takes.len())?;
            // Never a repeat, not even within a millisecond: the last change may have been that of another item, and
            // its outcome says what that one got.
            expires_at = self.cart_expiry(cart.hold_s, holds || !takes.is_empty());
        }
        Ok(Verdict::New(Fact::CartItemSet { id: id.clone(), sku, quantity, expires_at, takes }))
    }

    pub(super) fn discard_cart(&self, command: &DiscardCart) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let cart = self.cart(id)?;
        if cart.status == CartStatus::Discarded {
            return Ok(Verdict::Repeat(cart.changed));
        }
        Self::can_change(id, &cart)?;
        Ok(Verdict::New(Fact::CartDiscarded { id: id.clone() }))
    }

    pub(super) fn checkout(&mut self, command: &Checkout, body: u64) -> Result<Verdict, Refusal> {
        let (id, currency) = (&command.id, command.currency);
        let cart = self.open_cart(id)?;
        if cart.lines.is_empty() {
            return Err(Refusal::CartEmpty { cart: id.clone() });
        }
        let order = command.order_id();
        if self.tables.order(order).is_some() {
            return Err(Refusal::IdTaken { id: order.clone() });
        }
        let prices = self.prices_of(&cart.lines, currency)?;
        let total = total_of(&cart.lines, &prices, currency)?;
        if let Some(expected_total) = command.expected_total.filter(|expected| *expected != total) {
            return Err(Refusal::PriceChanged { currency, expected_total, total });
        }
        for line in &cart.lines {
            self.credit_picks(line.sku, &line.picks);
        }
        let want = |(line, number): (&CartLine, u32)| {
            let (site, sku, quantity) = (cart.site, line.sku, line.quantity);
            Want { line: number, site, sku, quantity, location: None, lot: None }
        };
        let wants: SmallVec<[Want; 1]> = cart.lines.iter().zip(0..).map(want).collect();
        let mut takes = Takes::new();
        let short = self.allocate_for_order(&wants, Partial::Await, &mut takes)?;
        let wallet = self.tables.wallet(&cart.owner);
        let purse = wallet.map_or_else(|| Balance::empty(currency), |wallet| wallet.balance(currency));
        let available = purse.available();
        let funds = (available < total.signed()).then(|| MissingFunds {
            owner: cart.owner.clone(),
            currency,
            requested: total,
            available,
        });
        if !short.is_empty() || funds.is_some() {
            let shortages = short.iter().map(|short| self.cart_shortage(cart.site, short)).collect();
            return Err(Refusal::CheckoutBlocked { cart: id.clone(), shortages, funds });
        }
        let balance = self.paid_out(purse, total)?;
        let line = |want: &Want| OrderedLine { sku: want.sku, lot: None, quantity: want.quantity };
        Ok(Verdict::New(Fact::CartOrdered {
            cart: id.clone(),
            order: order.clone(),
            body,
            site: cart.site,
            owner: cart.owner,
            currency,
            total,
            balance,
            prices,
            lines: wants.iter().map(line).collect(),
            takes,
        }))
    }

    /// Refuses with `too_many_parts` a cart whose lines and picks one decision could not make an order of.
    fn can_end(lines: usize, picks: usize) -> Result<(), Refusal> {
        let parts = lines + picks;
        if parts > PARTS_MAX {
            return Err(Refusal::TooManyParts { parts, max: PARTS_MAX });
        }
        Ok(())
    }

    fn cart(&self, id: &Code) -> Result<Cart, Refusal> {
        self.tables.cart(id).ok_or_else(|| Refusal::CartNotFound { cart: id.clone() })
    }

    fn open_cart(&self, id: &Code) -> Result<Cart, Refusal> {
        let cart = self.cart(id)?;
        Self::can_change(id, &cart)?;
        Ok(cart)
    }

    /// Refuses with `cart_ordered` or `cart_discarded` where the cart has ended.
    fn can_change(id: &Code, cart: &Cart) -> Result<(), Refusal> {
        let cart_id = id.clone();
        match (cart.status, &cart.order) {
            (CartStatus::Open, _) => Ok(()),
            (CartStatus::Ordered, order) => {
                let order = order.clone().expect("a cart that was ordered names its order");
                Err(Refusal::CartOrdered { cart: cart_id, order })
            }
            (CartStatus::Discarded, _) => Err(Refusal::CartDiscarded { cart: cart_id }),
        }
    }

    /// A cart's own holds do not count against it.
    fn credit_picks(&mut self, sku: SkuId, picks: &[Pick]) {
        for pick in picks {
            let place = Place { location: pick.location, sku, lot: pick.lot };
            *self.credit.entry(place).or_default() += pick.quantity;
        }
    }

    /// Takes what there is of an item, which may be nothing. A cart's lines are told apart by their SKUs, so that no
    /// other line wants the same.
    fn hold_what_there_is(&mut self, site: SiteId, sku: SkuId, quantity: Quantity, takes: &mut Takes) {
        if quantity.is_zero() {
            return;
        }
        let want = Want { line: sku.0, site, sku, quantity, location: None, lot: None };
        self.allocate_line(&want, None, false, &mut |take| takes.push(take));
    }

    /// Until when a cart holds what it holds after a change.
    fn cart_expiry(&self, hold_s: Option<u32>, holds: bool) -> Option<Timestamp> {
        hold_s.filter(|_| holds).map(|seconds| self.now.after_ms(u64::from(seconds) * 1_000))
    }

    /// The price of one unit for each item. Refuses with `price_not_set`, naming all SKUs that have none.
    fn prices_of(&self, lines: &[CartLine], currency: Currency) -> Result<Vec<Amount>, Refusal> {
        let price = |line: &CartLine| {
            let prices = self.tables.prices(line.sku);
            prices.iter().find(|(other, _)| *other == currency).map(|(_, price)| *price)
        };
        if let Some(prices) = lines.iter().map(price).collect() {
            return Ok(prices);
        }
        let unpriced = lines.iter().filter(|line| price(line).is_none());
        let skus = unpriced.map(|line| self.tables.sku(line.sku).code.clone()).collect();
        Err(Refusal::PriceNotSet { currency, skus })
    }

    fn cart_shortage(&self, site: SiteId, short: &OrderShort) -> Shortage {
        let sku = &self.tables.sku(short.sku).code;
        Shortage {
            line: sku.clone(),
            site: self.tables.site(site).code.clone(),
            sku: sku.clone(),
            requested: short.requested,
            available: short.available,
        }
    }
}

/// What items come to at these prices. Refuses with `amount_too_large`, which names what the item costs that brought it past
/// [`AMOUNT_MAX`], or the limit itself where that alone is past it.
fn total_of(lines: &[CartLine], prices: &[Amount], currency: Currency) -> Result<Amount, Refusal> {
    let mut total = 0_u64;
    for (line, price) in lines.iter().zip(prices) {
        let cost = line.quantity.get().checked_mul(price.get()).filter(|cost| *cost <= AMOUNT_MAX);
        let sum = cost.and_then(|cost| total.checked_add(cost)).filter(|sum| *sum <= AMOUNT_MAX);
        let Some(sum) = sum else {
            let amount = Amount::new("total", cost.unwrap_or(AMOUNT_MAX)).expect("it is AMOUNT_MAX at most");
            return Err(Refusal::AmountTooLarge { currency, amount, max: AMOUNT_MAX });
        };
        total = sum;
    }
    Ok(Amount::new("total", total).expect("it was just held against AMOUNT_MAX"))
}
