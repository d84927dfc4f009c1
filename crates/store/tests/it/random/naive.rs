//! The obvious version of the books: sums over what the events say, and no index anywhere.
//!
//! It reads events only; what it says about stock, holders and shortages has to be what the tables say.

mod first;
mod orders;
mod released;
mod trades;
mod transfers;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use jaego_domain::{
    Account, Code, Currency, Date, Event, Fact, LocationId, LotId, Memory, Name, Outside, PickWorkId, Place,
    Sequence, SiteId, SkuId, Tables, TimeZone, Timestamp, WaitingBy, chance,
    command::{AllocateTransfer, HoldLine, PlaceHold},
    event::Take,
    row::{Holder, HolderKind, LocationKind},
};

#[derive(Default)]
pub(crate) struct Naive {
    on_hand: BTreeMap<Place, u64>,
    missing: BTreeMap<Place, u64>,
    held: BTreeMap<(Holder, Place), u64>,
    zones: BTreeMap<SiteId, TimeZone>,
    bins: BTreeMap<LocationId, Name>,
    /// Who picks what of which transfer in which zone: the worker, the fence, and until when.
    claims: BTreeMap<(Code, Name), (Code, Sequence, Timestamp)>,
    locations: BTreeMap<LocationId, (SiteId, LocationKind)>,
    lots: BTreeMap<LotId, (Option<Date>, bool)>,
    stocked: BTreeSet<(SiteId, SkuId)>,
    transfers: transfers::Transfers,
    purses: BTreeMap<(Code, Currency), Purse>,
    /// Orders that were paid for and not cancelled: by whom, and how much of it was not given back.
    sold: BTreeMap<Code, (Code, Currency, i128)>,
    authorized: BTreeMap<Code, Authorized>,
    fences: BTreeMap<Code, u64>,
    orders: orders::Orders,
    trades: trades::Trades,
    watch: watch::Watch,
    /// When what a cart holds lapses.
    cart_ends: BTreeMap<Code, Timestamp>,
}

/// What somebody has in a currency: sums of what the events say.
#[derive(Default)]
struct Purse {
    charged: i128,
    paid: i128,
    refunded: i128,
    limit: i128,
}

struct Authorized {
    owner: Code,
    currency: Currency,
    left: i128,
}

/// What a request for stock should come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// It gets so much for each of its lines.
    Gets(Vec<(u32, u64)>),
    /// It gets nothing: these lines lack something, and this is what there was.
    Lacks(Vec<(u32, u64)>),
    /// The site never had any of the SKUs that it lacks.
    NotStocked,
    /// A checkout pays so much, and gets all.
    Buys(i128),
    /// A checkout gets nothing: of these SKUs there was only so much, and only so much money if that is too little.
    Blocked { lacks: Vec<(Code, u64)>, funds: Option<i128> },
    /// A claim gives out the first of these.
    Gives(first::Line),
}

fn hold(id: &Code, line: u32) -> Holder {
    Holder { kind: HolderKind::Hold, id: id.clone(), line }
}

fn transfer(id: &Code, line: u32) -> Holder {
    Holder { kind: HolderKind::Transfer, id: id.clone(), line }
}

fn order(id: &Code, line: u32) -> Holder {
    Holder { kind: HolderKind::Order, id: id.clone(), line }
}

fn cart(id: &Code, line: u32) -> Holder {
    Holder { kind: HolderKind::Cart, id: id.clone(), line }
}

impl Naive {
    pub(crate) fn apply(&mut self, event: &Event) {
        self.orders.apply(event);
        self.transfers.apply(&event.fact);
        // An adjustment's lines may come to the same place one after the other: it goes its own way below.
        if !matches!(event.fact, Fact::Adjusted { .. }) {
            let mut movements = Vec::new();
            event.fact.movements(|movement| movements.push(movement));
            for movement in movements {
                if let Account::Position(place) = movement.from {
                    self.lay(place, -i128::from(movement.quantity.get()));
                }
                if let Account::Position(place) = movement.to {
                    self.lay(place, i128::from(movement.quantity.get()));
                }
            }
        }
        match &event.fact {
            Fact::SiteSet { id, time_zone, .. } => {
                self.zones.insert(*id, time_zone.clone());
            }
            Fact::LocationSet { id, site, kind, zone, .. } => {
                self.bins.insert(*id, zone.clone());
                self.locations.insert(*id, (*site, *kind));
            }
            Fact::LotSet { id, expires_on, blocked, .. } => {
                self.lots.insert(*id, (*expires_on, *blocked));
            }
            Fact::Adjusted { lines, .. } => {
                for line in lines {
                    for freed in &line.freed {
                        self.hold(&freed.holder, line.place, -i128::from(freed.quantity.get()));
                    }
                    let sign = if line.increase { 1 } else { -1 };
                    self.lay(line.place, sign * i128::from(line.quantity.get()));
                    let unheld = self.on_hand(line.place) - self.held(line.place);
                    let missing = self.missing.entry(line.place).or_default();
                    if !line.increase && line.outside == Outside::Loss {
                        *missing = missing.saturating_sub(line.quantity.get());
                    }
                    *missing = if line.counted { 0 } else { (*missing).min(unheld) };
                }
            }
            Fact::Moved { lines, .. } => {
                for line in lines {
                    let place = |location| Place { location, sku: line.sku, lot: line.lot };
                    for freed in &line.follow {
                        let quantity = i128::from(freed.quantity.get());
                        self.hold(&freed.holder, place(line.from), -quantity);
                        self.hold(&freed.holder, place(line.to), quantity);
                    }
                }
            }
            Fact::Held { id, takes, .. } => {
                for take in takes {
                    self.hold(&hold(id, take.line), take.place(), i128::from(take.quantity.get()));
                }
            }
            Fact::HoldChanged { id, takes, .. } => {
                self.drop_hold(id);
                for take in takes {
                    self.hold(&hold(id, take.line), take.place(), i128::from(take.quantity.get()));
                }
            }
            Fact::HoldConfirmed { id, takes, released, .. } => {
                for take in takes.iter().chain(released) {
                    self.hold(&hold(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::HoldReleased { id, takes } => {
                for take in takes {
                    self.hold(&hold(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::HoldsLapsed { ids } => ids.iter().for_each(|id| self.drop_hold(id)),
            Fact::TransferAllocated { id, takes, .. } => {
                for take in takes {
                    self.hold(&transfer(id, take.line), take.place(), i128::from(take.quantity.get()));
                }
            }
            Fact::TransferReleased { id, takes } => {
                for take in takes {
                    self.hold(&transfer(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::TransferCancelled { id, released, staged } => {
                for take in released.iter().chain(staged.iter().map(|line| &line.take)) {
                    self.hold(&transfer(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::TransferPicked { id, picked, missed, takes, .. } => {
                for line in picked {
                    let quantity = i128::from(line.take.quantity.get());
                    let staging = Place { location: line.staging, ..line.take.place() };
                    self.hold(&transfer(id, line.take.line), line.take.place(), -quantity);
                    self.hold(&transfer(id, line.take.line), staging, quantity);
                }
                for line in missed {
                    let quantity = line.take.quantity.get();
                    self.hold(&transfer(id, line.take.line), line.take.place(), -i128::from(quantity));
                    if line.quarantine.is_none() {
                        *self.missing.entry(line.take.place()).or_default() += quantity;
                    }
                }
                for take in takes {
                    self.hold(&transfer(id, take.line), take.place(), i128::from(take.quantity.get()));
                }
            }
            Fact::TransferUnpicked { id, lines } => {
                for line in lines {
                    let quantity = i128::from(line.take.quantity.get());
                    let to = Place { location: line.to, ..line.take.place() };
                    self.hold(&transfer(id, line.take.line), line.take.place(), -quantity);
                    self.hold(&transfer(id, line.take.line), to, quantity);
                }
            }
            Fact::TransferShipped { id, lines, .. } => {
                for line in lines {
                    let quantity = i128::from(line.take.quantity.get());
                    self.hold(&transfer(id, line.take.line), line.take.place(), -quantity);
                }
            }
            Fact::TransferClosed { id, released, .. } => {
                for take in released {
                    self.hold(&transfer(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::WalletCharged { owner, currency, amount, .. } => {
                self.purse(owner, *currency).charged += i128::from(amount.get());
            }
            Fact::WalletPaid { owner, currency, amount, .. } => {
                self.purse(owner, *currency).paid += i128::from(amount.get());
            }
            Fact::WalletRefunded { owner, currency, amount, .. } => {
                self.purse(owner, *currency).refunded += i128::from(amount.get());
            }
            Fact::WalletLimitSet { owner, currency, limit } => {
                self.purse(owner, *currency).limit = i128::from(*limit);
            }
            Fact::PaymentAuthorized { id, owner, currency, amount, .. } => {
                self.purse(owner, *currency);
                let (owner, currency, left) = (owner.clone(), *currency, i128::from(amount.get()));
                self.authorized.insert(id.clone(), Authorized { owner, currency, left });
            }
            Fact::PaymentCaptured { id, owner, currency, amount, released, .. } => {
                self.purse(owner, *currency).paid += i128::from(amount.get());
                self.draw(id, i128::from(amount.get()) + i128::from(released.get()));
            }
            Fact::PaymentVoided { id, released, .. } => self.draw(id, i128::from(released.get())),
            Fact::OrderPlaced { id, takes, .. } | Fact::OrderAllocated { id, takes, .. } => {
                self.order_takes(id, takes);
            }
            Fact::OrderReallocated { id, released, takes, .. } => {
                for take in released {
                    self.hold(&order(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
                self.order_takes(id, takes);
            }
            Fact::OrdersFilled { orders, .. } => {
                orders.iter().for_each(|filled| self.order_takes(&filled.order, &filled.takes));
                self.orders.nobody_is_passed_over(orders, &self.held_lines());
            }
            Fact::OrderCompleted { id, takes, .. } | Fact::OrderCancelled { id, released: takes } => {
                if matches!(event.fact, Fact::OrderCancelled { .. })
                    && let Some((_, _, left)) = self.sold.remove(id)
                {
                    assert_eq!(left, 0, "what was paid for {id} is given back when it is cancelled");
                }
                for take in takes {
                    self.hold(&order(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
            }
            Fact::FenceRaised { resource, fence } => {
                let before = self.fences.insert(resource.clone(), *fence);
                assert!(before < Some(*fence), "the fence of {resource} went from {before:?} to {fence}");
            }
            Fact::PriceTiersSet { .. }
            | Fact::CardSet { .. }
            | Fact::Proposed { .. }
            | Fact::ProposalAccepted { .. }
            | Fact::ProposalRejected { .. }
            | Fact::ProposalWithdrawn { .. } => self.trades.apply(&event.fact),
            Fact::TransferClaimed { id, worker, expires_at, zones } => {
                for zone in zones {
                    self.claim(id, zone, worker, event.sequence, *expires_at);
                }
            }
            Fact::PicksClaimed { worker, expires_at, works } => {
                for work in works {
                    self.claim(&work.transfer, &work.zone, worker, event.sequence, *expires_at);
                }
            }
            Fact::TransferClaimExtended { id, fence, expires_at, zones } => {
                for zone in zones {
                    let claim = self.claims.get_mut(&(id.clone(), zone.clone())).expect("it was claimed");
                    assert_eq!(claim.1, *fence, "nobody extends the claim of another");
                    claim.2 = *expires_at;
                }
            }
            Fact::TransferUnclaimed { id, zones, .. } => {
                zones.iter().for_each(|zone| self.unclaim(id, zone));
            }
            Fact::PickClaimsLapsed { works } => {
                works.iter().for_each(|work| self.unclaim(&work.transfer, &work.zone));
            }
            Fact::CartSet { id, expires_at, takes, .. } => {
                self.drop_cart(id);
                self.cart_takes(id, *expires_at, takes);
            }
            Fact::CartItemSet { id, sku, expires_at, takes, .. } => {
                let line = cart(id, sku.0);
                self.held.retain(|(holder, _), _| *holder != line);
                self.cart_takes(id, *expires_at, takes);
            }
            Fact::CartsLapsed { ids } => ids.iter().for_each(|id| self.drop_cart(id)),
            Fact::CartDiscarded { id } => self.drop_cart(id),
            Fact::CartOrdered { cart, order, owner, currency, total, takes, .. } => {
                self.drop_cart(cart);
                self.order_takes(order, takes);
                if !total.is_zero() {
                    self.purse(owner, *currency).paid += i128::from(total.get());
                    self.sold.insert(order.clone(), (owner.clone(), *currency, i128::from(total.get())));
                }
            }
            Fact::SaleCancelled { id, released, owner, currency, amount, .. } => {
                for take in released {
                    self.hold(&order(id, take.line), take.place(), -i128::from(take.quantity.get()));
                }
                self.purse(owner, *currency).refunded += i128::from(amount.get());
                let (_, _, left) = self.sold.remove(id).expect("it was sold");
                assert_eq!(left, i128::from(amount.get()), "cancelling {id} gives back what is left of it");
            }
            Fact::SaleRefunded { id, owner, currency, amount, .. } => {
                self.purse(owner, *currency).refunded += i128::from(amount.get());
                self.sold.get_mut(id).expect("it was sold").2 -= i128::from(amount.get());
            }
            Fact::SkuSet { id, safety_stock, .. } | Fact::SkuPriced { id, safety_stock, .. } => {
                self.watch.set_levels(*id, safety_stock);
            }
            Fact::StockWatched { items } => self.crossed(items, event.at),
            Fact::OrderAllocationSet { .. }
            | Fact::OrderClaimed { .. }
            | Fact::OrdersClaimed { .. }
            | Fact::ClaimExtended { .. }
            | Fact::OrderUnclaimed { .. }
            | Fact::ClaimsLapsed { .. }
            | Fact::Reversed { .. }
            | Fact::HoldExtended { .. }
            | Fact::TransferRequested { .. }
            | Fact::TransferReceived { .. }
            | Fact::RequestNoted { .. } => {}
        }
        self.on_hand.retain(|_, quantity| *quantity > 0);
        self.missing.retain(|_, quantity| *quantity > 0);
        self.held.retain(|_, quantity| *quantity > 0);
        if !self.claims.is_empty() {
            let works = self.pick_works();
            self.claims.retain(|work, _| works.contains_key(work));
        }
        self.watch.last = event.at;
    }

    fn claim(&mut self, id: &Code, zone: &Name, worker: &Code, fence: Sequence, expires_at: Timestamp) {
        let key = (id.clone(), zone.clone());
        assert!(self.pick_works().contains_key(&key), "only what is there is claimed");
        let before = self.claims.insert(key, (worker.clone(), fence, expires_at));
        assert_eq!(before, None, "no two workers ever hold the same work");
    }

    fn unclaim(&mut self, id: &Code, zone: &Name) {
        self.claims.remove(&(id.clone(), zone.clone())).expect("it was claimed");
    }

    /// The lines with something to pick: what transfers hold in storage, by transfer and zone.
    fn pick_works(&self) -> BTreeMap<(Code, Name), BTreeSet<u32>> {
        let mut works: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        for (holder, place) in self.held.keys() {
            let is_stored = self.locations[&place.location].1 == LocationKind::Storage;
            if holder.kind == HolderKind::Transfer && is_stored {
                let key = (holder.id.clone(), self.bins[&place.location].clone());
                works.entry(key).or_default().insert(holder.line);
            }
        }
        works
    }

    /// Compares what the tables find of the claims on a transfer with a look at all of its zones.
    fn agrees_on_claims(&self, memory: &Memory, id: &Code) -> Result<(), String> {
        let works = memory.pick_works(id);
        let waiting = works.iter().filter(|work| work.claim.is_none()).map(|work| work.zone.clone());
        let mut claims: BTreeMap<Sequence, Vec<_>> = BTreeMap::new();
        for work in &works {
            if let Some(claim) = work.claim.clone() {
                claims.entry(claim.fence).or_default().push((work.zone.clone(), claim));
            }
        }
        let agrees = waiting.eq(memory.unclaimed_zones(id))
            && claims.values().map(|zones| zones[0].clone()).eq(memory.pick_claims(id))
            && claims
                .iter()
                .all(|(fence, zones)| zones.iter().cloned().eq(memory.zones_of_claim(id, *fence)));
        agrees.then_some(()).ok_or_else(|| format!("other claims on {id} are found than {works:?}"))
    }

    /// Compares all pick work with the tables: what there is, who claimed it, and what waits in which order.
    fn agrees_on_picks(&self, memory: &Memory) -> Result<(), String> {
        let ours = self.pick_works();
        for id in self.transfers.sites.keys() {
            let theirs = memory.pick_works(id).into_iter().map(|work| {
                let lines = memory.pick_lines(id, &work.zone).into_iter().collect::<BTreeSet<_>>();
                let claim = work.claim.map(|claim| (claim.worker, claim.fence, claim.expires_at));
                ((id.clone(), work.zone), (lines, claim))
            });
            let theirs: BTreeMap<_, _> = theirs.collect();
            let of_this = ours.iter().filter(|((other, _), _)| other == id);
            let ours: BTreeMap<_, _> = of_this
                .map(|(key, lines)| (key.clone(), (lines.clone(), self.claims.get(key).cloned())))
                .collect();
            if ours != theirs {
                return Err(format!("the events say {ours:?} is to be picked, the tables {theirs:?}"));
            }
            self.agrees_on_claims(memory, id)?;
        }
        let waiting = ours.into_keys().filter(|key| !self.claims.contains_key(key));
        let mut waiting: Vec<_> = waiting
            .map(|(id, zone)| {
                let transfer = memory.transfer(&id).expect("what is to be picked is of a transfer");
                (transfer.from, transfer.priority, transfer.requested, PickWorkId { transfer: id, zone })
            })
            .collect();
        let from = self.claims.len() as u64 * 0x1234_5678_9abc_def1;
        for by in [WaitingBy::Age, WaitingBy::Priority, WaitingBy::Chance(from)] {
            waiting.sort_by_key(|(_, priority, requested, work)| {
                let rank = match by {
                    WaitingBy::Age => 0,
                    WaitingBy::Priority => u64::from(u32::MAX - priority),
                    WaitingBy::Chance(from) | WaitingBy::Neighbour(from) => {
                        chance(*requested).wrapping_sub(from)
                    }
                };
                (rank, *requested, work.zone.clone())
            });
            for site in self.zones.keys() {
                let here = || waiting.iter().filter(|(at, ..)| at == site).map(|(.., work)| work.clone());
                let theirs: Vec<_> = memory.waiting_picks(*site, None, by).collect();
                if !here().eq(theirs.iter().cloned()) {
                    return Err(format!(
                        "{:?} waits {by:?}, the tables say {theirs:?}",
                        here().collect::<Vec<_>>()
                    ));
                }
                for zone in self.bins.values().collect::<BTreeSet<_>>() {
                    let in_zone = here().filter(|work| work.zone == *zone);
                    if !in_zone.eq(memory.waiting_picks(*site, Some(zone), by)) {
                        return Err(format!(
                            "zone {zone:?} of {site:?} has other work than its site, {by:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn lay(&mut self, place: Place, change: i128) {
        let quantity = self.on_hand.entry(place).or_default();
        *quantity = u64::try_from(i128::from(*quantity) + change).expect("nobody takes what is not there");
        if change > 0 {
            self.stocked.insert((self.locations[&place.location].0, place.sku));
        }
    }

    fn hold(&mut self, holder: &Holder, place: Place, change: i128) {
        let quantity = self.held.entry((holder.clone(), place)).or_default();
        *quantity =
            u64::try_from(i128::from(*quantity) + change).expect("nobody gives back what is not held");
    }

    fn purse(&mut self, owner: &Code, currency: Currency) -> &mut Purse {
        self.purses.entry((owner.clone(), currency)).or_default()
    }

    fn draw(&mut self, id: &Code, units: i128) {
        let left = &mut self.authorized.get_mut(id).expect("it was authorized").left;
        *left -= units;
        assert!(*left >= 0, "nobody captures more than was authorized");
    }

    /// Compares the claims on orders, and who waits for work and for stock.
    fn agrees_on_orders(&self, memory: &Memory) -> Result<(), String> {
        self.orders.agrees(memory, &self.held_lines())
    }

    /// Whoever waits for stock has got what there is, unless it is given out in further turns.
    fn nobody_waits_for_what_is_there(&self, memory: &Memory, now: Timestamp) -> Result<(), String> {
        if memory.owes_stock() {
            return Ok(());
        }
        for place in self.on_hand.keys() {
            let site = self.locations[&place.location].0;
            if memory.is_awaited(site, place.sku, place.lot) && self.available(*place, now) > 0 {
                return Err(format!("somebody waits for what is available at {place:?}"));
            }
        }
        Ok(())
    }

    /// Compares every wallet with the tables.
    fn agrees_on_money(&self, memory: &Memory) -> Result<(), String> {
        for ((owner, currency), purse) in &self.purses {
            let open =
                self.authorized.values().filter(|one| (&one.owner, one.currency) == (owner, *currency));
            let held: i128 = open.map(|one| one.left).sum();
            let balance = purse.charged + purse.refunded - purse.paid;
            if balance - held < purse.limit || purse.refunded > purse.paid {
                return Err(format!(
                    "{owner} has {balance} {currency} and holds {held} above {}",
                    purse.limit
                ));
            }
            let orders = self.sold.values().filter(|one| (&one.0, one.1) == (owner, *currency));
            let sold: i128 = orders.map(|(_, _, left)| left).sum();
            let paid = purse.paid - purse.refunded;
            if sold > paid {
                return Err(format!("{owner} paid {paid} {currency}, and {sold} of it for orders"));
            }
            let row =
                memory.wallet(owner).ok_or_else(|| format!("{owner} has no wallet"))?.balance(*currency);
            let amounts = [row.held.get(), row.paid.get(), row.sold].map(i128::from);
            let theirs = (i128::from(row.balance), i128::from(row.limit), amounts);
            let ours = (balance, purse.limit, [held, paid, sold]);
            if ours != theirs {
                return Err(format!("{owner} {currency}: the events say {ours:?}, the tables {theirs:?}"));
            }
        }
        Ok(())
    }

    fn order_takes(&mut self, id: &Code, takes: &[Take]) {
        for take in takes {
            self.hold(&order(id, take.line), take.place(), i128::from(take.quantity.get()));
        }
    }

    fn cart_takes(&mut self, id: &Code, expires_at: Option<Timestamp>, takes: &[Take]) {
        for take in takes {
            self.hold(&cart(id, take.sku.0), take.place(), i128::from(take.quantity.get()));
        }
        match expires_at {
            Some(at) => drop(self.cart_ends.insert(id.clone(), at)),
            None => drop(self.cart_ends.remove(id)),
        }
    }

    fn drop_cart(&mut self, id: &Code) {
        self.held.retain(|(holder, _), _| holder.kind != HolderKind::Cart || holder.id != *id);
        self.cart_ends.remove(id);
    }

    fn drop_hold(&mut self, id: &Code) {
        self.held.retain(|(holder, _), _| holder.kind != HolderKind::Hold || holder.id != *id);
    }

    fn on_hand(&self, place: Place) -> u64 {
        self.on_hand.get(&place).copied().unwrap_or_default()
    }

    fn held(&self, place: Place) -> u64 {
        self.held.iter().filter(|((_, at), _)| *at == place).map(|(_, quantity)| quantity).sum()
    }

    /// What the tables call missing, as far as events tell.
    fn missing(&self, place: Place) -> u64 {
        self.missing.get(&place).copied().unwrap_or_default()
    }

    fn available(&self, place: Place, now: Timestamp) -> u64 {
        self.available_beside(place, 0, now)
    }

    /// What is available to somebody who holds so much of it.
    fn available_beside(&self, place: Place, own: u64, now: Timestamp) -> u64 {
        let (site, kind) = self.locations[&place.location];
        if kind != LocationKind::Storage {
            return 0;
        }
        if let Some((expires_on, blocked)) = self.lots.get(&place.lot)
            && (*blocked || expires_on.is_some_and(|day| day < self.zones[&site].day(now)))
        {
            return 0;
        }
        self.on_hand(place) - (self.held(place) - own) - self.missing(place)
    }

    /// What an owner can pay in a currency: the balance down to the limit, less what is held.
    fn spendable(&self, owner: &Code, currency: Currency) -> i128 {
        let open = self.authorized.values().filter(|one| (&one.owner, one.currency) == (owner, currency));
        let held: i128 = open.map(|one| one.left).sum();
        let purse = self.purses.get(&(owner.clone(), currency));
        purse.map_or(0, |purse| purse.charged + purse.refunded - purse.paid - purse.limit) - held
    }

    /// Compares every place with the tables.
    pub(crate) fn agrees(&mut self, memory: &Memory, now: Timestamp) -> Result<(), String> {
        self.watch_again();
        for (resource, fence) in &self.fences {
            let theirs = memory.fence(resource).map(|row| row.fence);
            if theirs != Some(*fence) {
                return Err(format!("{resource}: the events say fence {fence}, the tables {theirs:?}"));
            }
        }
        if memory.fence_count() != self.fences.len() {
            return Err(format!("{} resources have a fence", memory.fence_count()));
        }
        let mut places = 0;
        for site in self.zones.keys() {
            let skus: BTreeSet<_> = self.stocked.iter().filter(|(at, _)| at == site).collect();
            for (_, sku) in skus {
                for (place, row) in memory.positions(*site, *sku) {
                    places += 1;
                    let ours = (self.on_hand(place), self.held(place), self.missing(place));
                    let theirs = (row.on_hand.get(), row.held.get(), row.missing.get());
                    if ours != theirs {
                        return Err(format!("{place:?}: the events say {ours:?}, the tables {theirs:?}"));
                    }
                    let theirs = jaego_domain::query::available(memory, place, &row, now).get();
                    let ours = self.available(place, now);
                    if ours != theirs {
                        return Err(format!("{place:?}: available is {ours}, the tables say {theirs}"));
                    }
                    let at = self.held.iter().filter(|((_, at), _)| *at == place);
                    let ours: Vec<_> =
                        at.map(|((holder, _), quantity)| (holder.clone(), *quantity)).collect();
                    let theirs = memory.holders(place);
                    for limit in [0, 1, 2, 20] {
                        let first: Vec<_> = theirs.iter().take(limit).cloned().collect();
                        let (shown, count) = memory.first_holders(place, limit);
                        if (&shown, count) != (&first, theirs.len()) {
                            return Err(format!(
                                "{place:?}: {count} holders, the first {shown:?}, and not {theirs:?}"
                            ));
                        }
                    }
                    let theirs: Vec<_> =
                        theirs.into_iter().map(|(holder, held)| (holder, held.get())).collect();
                    if ours != theirs {
                        return Err(format!("{place:?}: held by {ours:?}, the tables say {theirs:?}"));
                    }
                }
            }
        }
        if places != self.on_hand.len() {
            return Err(format!("{} places have stock, the tables have {places}", self.on_hand.len()));
        }
        self.agrees_on_picks(memory)?;
        self.agrees_on_transfers(memory)?;
        self.agrees_on_orders(memory)?;
        self.nobody_waits_for_what_is_there(memory, now)?;
        self.crossings_are_told(now)?;
        for (holder, _) in self.held.keys().filter(|(holder, _)| holder.kind == HolderKind::Cart) {
            if self.cart_ends.get(&holder.id).is_none_or(|end| *end <= now) {
                return Err(format!("{holder:?} holds what has lapsed"));
            }
        }
        self.agrees_on_money(memory)?;
        self.trades.agrees(memory)
    }

    /// What a new hold gets. `None` where a line narrows what another one leaves: there the strategy decides.
    pub(crate) fn hold_gets(
        &self,
        command: &PlaceHold,
        memory: &Memory,
        now: Timestamp,
    ) -> Option<Prediction> {
        let mut wants = Vec::new();
        for (line, number) in command.lines.iter().zip(0..) {
            let HoldLine { site, sku, quantity, location, lot } = line;
            let site = memory.site_id(site)?;
            let sku = memory.sku_id(sku)?;
            let location = match location {
                Some(location) => Some(memory.location_id(site, location)?),
                None => None,
            };
            let lot = match lot {
                Some(_) if memory.sku(sku).tracking == jaego_domain::row::Tracking::None => return None,
                Some(lot) => Some(memory.lot_id(sku, lot)?),
                None => None,
            };
            wants.push(Want { line: number, site, sku, quantity: quantity.get(), location, lot });
        }
        self.gets(&wants, command.partial, now)
    }

    /// What a transfer gets for all that it lacks. `None` where it is not to be allocated as a whole.
    pub(crate) fn transfer_gets(&self, command: &AllocateTransfer, now: Timestamp) -> Option<Prediction> {
        let (from, _) = *self.transfers.sites.get(&command.id)?;
        if command.lines.is_some() || self.transfers.ends.contains_key(&command.id) {
            return None;
        }
        let mut wants = Vec::new();
        for ((id, number), line) in &self.transfers.lines {
            if *id != command.id {
                continue;
            }
            let holder = transfer(id, *number);
            let held = self.held.iter().filter(|((other, _), _)| *other == holder);
            let has: u64 = held.map(|(_, quantity)| quantity).sum::<u64>() + line.shipped;
            if has < line.requested {
                let (sku, lot, quantity) = (line.sku, line.lot, line.requested - has);
                wants.push(Want { line: *number, site: from, sku, quantity, location: None, lot });
            }
        }
        if wants.is_empty() { None } else { self.gets(&wants, command.partial, now) }
    }

    /// How much of what each line wants is there for it.
    fn shares(&self, wants: &[Want], now: Timestamp) -> Option<Vec<(u32, u64)>> {
        let mut gets: Vec<(u32, u64)> = Vec::new();
        for (at, want) in wants.iter().enumerate() {
            let same = |other: &&Want| (other.site, other.sku) == (want.site, want.sku);
            let narrow = |other: &Want| other.location.is_some() || other.lot.is_some();
            let rivals: Vec<_> = wants.iter().filter(same).collect();
            if rivals.len() > 1 && rivals.iter().any(|other| narrow(other)) {
                return None;
            }
            let places = self.on_hand.keys().filter(|place| {
                self.locations[&place.location].0 == want.site
                    && place.sku == want.sku
                    && want.location.is_none_or(|location| location == place.location)
                    && want.lot.is_none_or(|lot| lot == place.lot)
            });
            let there: u64 = places.map(|place| self.available(*place, now)).sum();
            let earlier = wants[..at].iter().zip(&gets).filter(|(other, _)| same(other));
            let before: u64 = earlier.map(|(_, (_, got))| *got).sum();
            gets.push((want.line, (there - before).min(want.quantity)));
        }
        Some(gets)
    }

    fn gets(&self, wants: &[Want], partial: bool, now: Timestamp) -> Option<Prediction> {
        let gets = self.shares(wants, now)?;
        let lacking = || wants.iter().zip(&gets).filter(|(want, (_, got))| *got < want.quantity);
        let lacks: Vec<_> = lacking().map(|(_, got)| *got).collect();
        let never_here = lacking().all(|(want, _)| !self.stocked.contains(&(want.site, want.sku)));
        if !partial && !lacks.is_empty() && never_here {
            return Some(Prediction::NotStocked);
        }
        let nothing = gets.iter().all(|(_, got)| *got == 0);
        if nothing || (!partial && !lacks.is_empty()) {
            return Some(Prediction::Lacks(lacks));
        }
        Some(Prediction::Gets(gets))
    }
}

struct Want {
    line: u32,
    site: SiteId,
    sku: SkuId,
    quantity: u64,
    location: Option<LocationId>,
    lot: Option<LotId>,
}
