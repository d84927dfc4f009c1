//! Proves the books: what must hold after every event.

#[cfg(test)]
mod tests;
mod trade;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Code, Currency, LotId, Memory, MoneyOutside, Name, Outside, PickWorkId, Place, Quantity, Row, SiteId,
    SkuId, Tables, WaitingBy,
    row::{Cart, CartStatus, HoldStatus, Line, OrderStatus, Sale, Tracking, Wallet},
};
use transfer::{check_transfer, held_by};

/// What was proven, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Positions looked at.
    pub positions: u64,
    /// Open holds.
    pub open_holds: u64,
    /// Transfers.
    pub transfers: u64,
    /// Orders.
    pub orders: u64,
    /// SKUs whose accounts were summed.
    pub skus: u64,
    /// Wallets.
    pub wallets: u64,
    /// Cards.
    pub cards: u64,
    /// Open proposals.
    pub open_proposals: u64,
    /// Carts.
    pub carts: u64,
}

/// Checks every law of the books from the rows alone.
///
/// # Errors
/// Each law that does not hold, with the thing that breaks it: at most 100 of them.
pub fn check(memory: &Memory) -> Result<Proof, Vec<String>> {
    let mut proof = Proof::default();
    let mut wrong = Vec::new();
    let mut held: BTreeMap<Place, i128> = BTreeMap::new();
    let mut accounts: BTreeMap<SkuId, i128> = BTreeMap::new();
    let mut lots: BTreeMap<LotId, i128> = BTreeMap::new();
    let mut positions: BTreeMap<Place, (Quantity, Quantity)> = BTreeMap::new();
    let mut money = Money::default();
    let mut trades = trade::Trades::default();
    let mut picking = Picking::default();
    let amount = |quantity: Quantity| i128::from(quantity.get());

    for row in memory.rows() {
        match row {
            Row::Position(place, Some(row)) => {
                proof.positions += 1;
                positions.insert(place, (row.on_hand, row.held));
                *accounts.entry(place.sku).or_default() += amount(row.on_hand);
                *lots.entry(place.lot).or_default() += amount(row.on_hand);
                let unheld = amount(row.on_hand) - amount(row.held);
                if unheld < 0 || amount(row.missing) > unheld {
                    wrong.push(format!("{place:?}: more is held or missing than there is: {row:?}"));
                }
                let tracked = memory.sku(place.sku).tracking != Tracking::None;
                if tracked != (place.lot != LotId::NONE) {
                    wrong.push(format!("{place:?}: tracked stock has a lot, other stock has none"));
                }
            }
            Row::Outside(sku, _, balance) => *accounts.entry(sku).or_default() += i128::from(balance),
            Row::Hold(id, Some(hold)) => {
                // Over several SKUs this may be more than any one quantity.
                let picks = hold.lines.iter().flat_map(|line| &line.picks);
                let sum: i128 = picks.map(|pick| amount(pick.quantity)).sum();
                if (hold.status == HoldStatus::Held) == (sum == 0) {
                    wrong.push(format!("hold {id} is {} and holds {sum}", hold.status.name()));
                }
                proof.open_holds += u64::from(hold.status == HoldStatus::Held);
                for line in &hold.lines {
                    for pick in &line.picks {
                        let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                        *held.entry(place).or_default() += amount(pick.quantity);
                        if memory.location(pick.location).site != line.site {
                            wrong.push(format!("hold {id} holds at another site than it says"));
                        }
                    }
                }
            }
            Row::Transfer(_, Some(_)) => proof.transfers += 1,
            Row::Lines(id, Some(lines)) => {
                picking.lines(memory, &id, &lines, &mut wrong);
                check_transfer(memory, &id, &lines, &mut wrong);
                for line in lines {
                    for (location, lot, quantity) in held_by(&line) {
                        *held.entry(Place { location, sku: line.sku, lot }).or_default() += amount(quantity);
                    }
                    for (lot, quantity) in &line.transit {
                        *accounts.entry(line.sku).or_default() += amount(*quantity);
                        *lots.entry(*lot).or_default() += amount(*quantity);
                    }
                }
            }
            Row::Wallet(owner, Some(wallet)) => {
                proof.wallets += 1;
                money.wallet(&owner, &wallet, &mut wrong);
            }
            Row::MoneyOutside(currency, outside, balance) => {
                *money.sums.entry(currency).or_default() += i128::from(balance);
                if outside == MoneyOutside::Sales {
                    *money.paid.entry(currency).or_default() -= i128::from(balance);
                }
            }
            Row::Authorization(id, Some(row)) => {
                if row.held.get() + row.captured.get() > row.amount.get() {
                    wrong.push(format!("authorization {id} has more than was authorized: {row:?}"));
                }
                *money.held.entry((row.owner, row.currency)).or_default() -= i128::from(row.held.get());
            }
            Row::Order(id, Some(order)) => {
                proof.orders += 1;
                let ended = order.status.may_rest();
                for (line, number) in order.lines.iter().zip(1..) {
                    let mut sum = 0;
                    for pick in &line.picks {
                        let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                        *held.entry(place).or_default() += amount(pick.quantity);
                        sum += amount(pick.quantity);
                        if memory.location(pick.location).site != order.site {
                            wrong.push(format!("line {number} of order {id} holds at another site"));
                        }
                    }
                    if sum > amount(line.quantity) {
                        wrong.push(format!("line {number} of order {id} holds more than it asked for"));
                    }
                    if ended && sum != 0 {
                        wrong.push(format!("order {id} is {} and holds stock", order.status.name()));
                    }
                }
                let claimed = order.claim.is_some() && order.status != OrderStatus::Completed;
                if claimed != (order.status == OrderStatus::Processing) {
                    wrong.push(format!(
                        "order {id} is {}, with the claim {:?}",
                        order.status.name(),
                        order.claim
                    ));
                }
            }
            Row::Card(card, Some(_)) => {
                proof.cards += 1;
                trades.card(card);
            }
            Row::Proposal(id, Some(proposal)) => {
                trades.proposal(memory, id, &proposal, &mut proof, &mut wrong);
            }
            Row::PickClaim(id, zone, Some(claim)) => {
                let work = memory.pick_work(&id, &zone);
                if work.is_none_or(|work| work.lines == 0 || work.claim.as_ref() != Some(&*claim)) {
                    wrong.push(format!(
                        "transfer {id} has nothing to pick in zone {zone:?}, and {claim:?} on it"
                    ));
                }
                picking.claims += 1;
            }
            Row::Cart(id, Some(cart)) => {
                proof.carts += 1;
                check_cart(memory, &id, &cart, &mut held, &mut wrong);
            }
            Row::Sale(order, Some(sale)) => check_sale(memory, &order, &sale, &mut wrong),
            _ => {}
        }
        if wrong.len() >= 100 {
            return Err(wrong);
        }
    }

    for (place, (_, on_position)) in &positions {
        let by_holders = held.remove(place).unwrap_or_default();
        if by_holders != amount(*on_position) {
            wrong.push(format!("{place:?}: {on_position} are held, and the holders hold {by_holders}"));
        }
    }
    for (place, quantity) in held {
        wrong.push(format!("{place:?}: {quantity} are held where nothing lies"));
    }
    proof.skus = accounts.len() as u64;
    for (sku, sum) in accounts {
        if sum != 0 {
            let accounts: Vec<_> =
                Outside::ALL.iter().map(|outside| (outside.name(), memory.outside(sku, *outside))).collect();
            let code = &memory.sku(sku).code;
            wrong.push(format!(
                "SKU {code}: the sum over all accounts is {sum}, not zero; outside: {accounts:?}"
            ));
        }
    }
    for (site, sku) in memory.wrong_sums() {
        let (site, sku) = (&memory.site(site).code, &memory.sku(sku).code);
        wrong.push(format!("SKU {sku}: what the watch takes for available at {site} is not what lies there"));
    }
    for order in memory.wrong_orders() {
        wrong.push(format!("order {order}: the lines that lack something are not as many as it says"));
    }
    lots.remove(&LotId::NONE);
    for (lot, sum) in lots {
        let row = memory.lot(lot);
        if sum != amount(row.inside) {
            wrong.push(format!("lot {}: {} are said to be inside, and {sum} are", row.code, row.inside));
        }
        if memory.sku(row.sku).tracking == Tracking::Serial && sum > 1 {
            wrong.push(format!("serial number {} is there {sum} times", row.code));
        }
    }
    money.sold(memory);
    money.close(&mut wrong);
    trades.close(memory, &mut wrong);
    picking.close(memory, &mut wrong);
    wrong.truncate(100);
    if wrong.is_empty() { Ok(proof) } else { Err(wrong) }
}

/// What the lines of transfers come to in pick work, beside what the indexes have.
#[derive(Default)]
struct Picking {
    claims: usize,
    indexed_claims: usize,
    waiting: BTreeMap<SiteId, BTreeSet<PickWorkId>>,
}

impl Picking {
    fn lines(&mut self, memory: &Memory, id: &Code, lines: &[Line], wrong: &mut Vec<String>) {
        let mut zones: BTreeMap<&Name, Vec<u32>> = BTreeMap::new();
        for (line, index) in lines.iter().zip(0..) {
            let of_line: BTreeSet<&Name> =
                line.picks.iter().map(|pick| &memory.location(pick.location).zone).collect();
            of_line.into_iter().for_each(|zone| zones.entry(zone).or_default().push(index));
        }
        let works = memory.pick_works(id);
        self.indexed_claims += works.iter().filter(|work| work.claim.is_some()).count();
        let indexed: BTreeMap<&Name, Vec<u32>> =
            works.iter().map(|work| (&work.zone, memory.pick_lines(id, &work.zone))).collect();
        if indexed != zones {
            wrong.push(format!("transfer {id} has {zones:?} to pick, and the index has {indexed:?}"));
        }
        let Some(transfer) = memory.transfer(id) else { return };
        let waiting = works.into_iter().filter(|work| work.claim.is_none());
        let waiting = waiting.map(|work| PickWorkId { transfer: id.clone(), zone: work.zone });
        self.waiting.entry(transfer.from).or_default().extend(waiting);
    }

    fn close(self, memory: &Memory, wrong: &mut Vec<String>) {
        if self.claims != self.indexed_claims {
            wrong.push(format!(
                "{} claims on picks stand, and {} in the index",
                self.claims, self.indexed_claims
            ));
        }
        for (site, waiting) in self.waiting {
            let zones: BTreeSet<&Name> = waiting.iter().map(|work| &work.zone).collect();
            for by in [WaitingBy::Age, WaitingBy::Priority, WaitingBy::Chance(0)] {
                let all: Vec<PickWorkId> = memory.waiting_picks(site, None, by).collect();
                let by_zone: Vec<PickWorkId> =
                    zones.iter().flat_map(|zone| memory.waiting_picks(site, Some(zone), by)).collect();
                for indexed in [all, by_zone] {
                    let set: BTreeSet<&PickWorkId> = indexed.iter().collect();
                    if indexed.len() != waiting.len() || !waiting.iter().all(|work| set.contains(work)) {
                        wrong.push(format!(
                            "{} pieces of pick work wait at site {}, and {} in the index, {by:?}",
                            waiting.len(),
                            memory.site(site).code,
                            indexed.len()
                        ));
                    }
                }
            }
        }
    }
}

/// What a cart holds is there for what is in it, at its own site, for as long as it was said.
fn check_cart(
    memory: &Memory,
    id: &Code,
    cart: &Cart,
    held: &mut BTreeMap<Place, i128>,
    wrong: &mut Vec<String>,
) {
    let mut holds = false;
    let mut skus = BTreeSet::new();
    for line in &cart.lines {
        let sku = &memory.sku(line.sku).code;
        if !skus.insert(line.sku) || line.quantity.is_zero() {
            wrong.push(format!("cart {id} has {sku} twice, or none of it"));
        }
        let mut sum = 0;
        for pick in &line.picks {
            let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
            let quantity = i128::from(pick.quantity.get());
            *held.entry(place).or_default() += quantity;
            sum += quantity;
            if memory.location(pick.location).site != cart.site {
                wrong.push(format!("cart {id} holds {sku} at another site"));
            }
        }
        holds |= sum != 0;
        if sum > i128::from(line.quantity.get()) {
            wrong.push(format!("cart {id} holds more {sku} than is in it"));
        }
    }
    let may_hold = cart.status == CartStatus::Open && cart.hold_s.is_some() && cart.expires_at.is_some();
    if holds && !may_hold {
        wrong.push(format!(
            "cart {id} is {} and holds stock, until {:?}",
            cart.status.name(),
            cart.expires_at
        ));
    }
    if cart.status.may_rest() && cart.expires_at.is_some() {
        wrong.push(format!("cart {id} is {} and lapses", cart.status.name()));
    }
    if (cart.status == CartStatus::Ordered) != cart.order.is_some() {
        wrong.push(format!("cart {id} is {}, with the order {:?}", cart.status.name(), cart.order));
    }
}

/// An order cost what its lines cost, and no more was given back, in parts or when it was cancelled.
fn check_sale(memory: &Memory, id: &Code, sale: &Sale, wrong: &mut Vec<String>) {
    let Some(order) = memory.order(id) else {
        wrong.push(format!("something was sold as order {id}, which is not there"));
        return;
    };
    let costs = order.lines.iter().zip(&sale.prices);
    let total: u128 =
        costs.map(|(line, price)| u128::from(line.quantity.get()) * u128::from(price.get())).sum();
    if sale.prices.len() != order.lines.len() || total != u128::from(sale.total.get()) {
        wrong.push(format!("order {id} was sold for {}, and its lines cost {total}", sale.total));
    }
    if sale.refunded > sale.total {
        wrong.push(format!(
            "of the {} that were paid for order {id}, {} were given back",
            sale.total, sale.refunded
        ));
    }
    if order.customer.as_ref() != Some(&sale.owner) {
        wrong.push(format!("order {id} was paid by {}, and is for {:?}", sale.owner, order.customer));
    }
}

/// The sums of money that have to be zero.
#[derive(Default)]
struct Money {
    /// Over all accounts.
    sums: BTreeMap<Currency, i128>,
    /// What the wallets paid, less what the sales took in.
    paid: BTreeMap<Currency, i128>,
    /// What the wallets hold, less what their authorizations hold.
    held: BTreeMap<(Code, Currency), i128>,
    /// What is left to be given back of the orders that are here, less what the wallets say: orders of the archive count
    /// in the wallets alone.
    sold: BTreeMap<(Code, Currency), i128>,
}

impl Money {
    fn sold(&mut self, memory: &Memory) {
        for (buyer, left) in memory.sold() {
            *self.sold.entry(buyer).or_default() += i128::from(left);
        }
    }

    fn wallet(&mut self, owner: &Code, wallet: &Wallet, wrong: &mut Vec<String>) {
        for balance in &wallet.balances {
            *self.sums.entry(balance.currency).or_default() += i128::from(balance.balance);
            *self.paid.entry(balance.currency).or_default() += i128::from(balance.paid.get());
            let held = self.held.entry((owner.clone(), balance.currency)).or_default();
            *held += i128::from(balance.held.get());
            if balance.sold > 0 {
                let sold = self.sold.entry((owner.clone(), balance.currency)).or_default();
                *sold -= i128::from(balance.sold);
            }
            if balance.available() < 0 {
                wrong.push(format!("the wallet of {owner} is below its limit: {balance:?}"));
            }
        }
        if !wallet.balances.is_sorted_by(|a, b| a.currency < b.currency) {
            wrong.push(format!("the wallet of {owner} has a currency twice, or out of order"));
        }
    }

    fn close(self, wrong: &mut Vec<String>) {
        for (currency, sum) in self.sums {
            if sum != 0 {
                wrong.push(format!("{currency}: the sum over all accounts is {sum}, not zero"));
            }
        }
        for (currency, sum) in self.paid {
            if sum != 0 {
                wrong.push(format!("{currency}: the wallets paid {sum} more than the sales took in"));
            }
        }
        for ((owner, currency), sum) in self.held {
            if sum != 0 {
                wrong.push(format!("the wallet of {owner} holds {sum} {currency} for no open authorization"));
            }
        }
        for ((owner, currency), sum) in self.sold {
            if sum > 0 {
                wrong.push(format!(
                    "the orders of {owner} can give back {sum} {currency} more than the wallet has for them"
                ));
            }
        }
    }
}
