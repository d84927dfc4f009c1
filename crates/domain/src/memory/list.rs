//! Answers queries: one row by its key, or a page of a list.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{Memory, NOWHERE, Node, hold_list::HoldFilter, order_row::OrderRow};
use crate::{
    Code, Currency, LocationId, LotId, MoneyOutside, Place, Quantity, Refusal, Sequence, SiteId, SkuId,
    Tables, Timestamp,
    limits::{AUTHORIZATIONS_SHOWN_MAX, PAGE_MAX, SCAN_MAX},
    query::{
        self, AccountView, AuthorizationView, CardView, CartSummary, Elsewhere, Listed, LocationView,
        LotView, OrderSummary, Page, Period, PositionView, ProposalView, Query, Shown, SiteView, SkuView,
        TraceView, TransferSummary, View, WalletView,
    },
    row::{Holder, HolderKind, Order, Proposal, ProposalStatus, Transfer},
};

impl Memory {
    /// Answers a query at `now`.
    ///
    /// # Errors
    /// A `…_not_found` refusal for a key or a filter that names nothing.
    pub fn query(&self, query: &Query, now: Timestamp) -> Result<View, Refusal> {
        self.query_with(query, now, &Elsewhere::default()).map(|shown| shown.view)
    }

    /// Answers a query at `now`, of which a part lies elsewhere, and tells what that cost.
    ///
    /// # Errors
    /// As [`Memory::query`].
    pub fn query_with(&self, query: &Query, now: Timestamp, elsewhere: &Elsewhere) -> Result<Shown, Refusal> {
        let now = now.max(self.head.at);
        // Positions and holders that are looked at for it, shown or not.
        let mut looked = 0;
        let view = match query {
            Query::Site(site) => View::Site(query::site(self, self.site(self.known_site(site)?))),
            Query::Sites(page) => View::Sites(numbered(self.sites.len(), page, |number| -> SiteView {
                query::site(self, &self.sites[number])
            })),
            Query::Location { site, location } => {
                let site = self.known_site(site)?;
                let location = self.known_location(site, location)?;
                View::Location(query::location(self, self.location(location)))
            }
            Query::Locations { site, page } => {
                let ids = &self.site_locations[self.known_site(site)?.index()];
                View::Locations(numbered(ids.len(), page, |number| -> LocationView {
                    query::location(self, self.location(ids[number]))
                }))
            }
            Query::Sku(sku) => View::Sku(query::sku(self, self.sku(self.known_sku(sku)?))),
            Query::Skus(page) => View::Skus(numbered(self.skus.len(), page, |number| -> SkuView {
                query::sku(self, &self.skus[number].row)
            })),
            Query::Lot { sku, lot } => View::Lot(self.lot_view(sku, lot)?.1),
            Query::Lots { sku, page } => {
                let sku = self.known_sku(sku)?;
                let ids = self.sku_lots.get(&sku).map_or(&[][..], Vec::as_slice);
                View::Lots(numbered(ids.len(), page, |number| -> LotView {
                    query::lot(self, self.lot(ids[number]))
                }))
            }
            Query::Stock { sku, site, location, lot, page } => {
                let (sku, lot) = (sku.as_ref(), lot.as_ref());
                let (listed, past) = self.stock(sku, site.as_ref(), location.as_ref(), lot, page, now)?;
                looked = past;
                View::Stock(listed)
            }
            Query::SkuStock(sku) => {
                let sku = self.known_sku(sku)?;
                looked = self.position_count_of(sku);
                let sites = self.sites_of(sku).filter(|site| self.gate(*site, sku).is_some());
                View::SkuStock(sites.map(|site| query::site_stock(self, site, sku, now)).collect())
            }
            Query::Hold(id) => View::Hold(query::hold(self, id)?),
            Query::Transfer(id) => View::Transfer(Box::new(query::transfer(self, id)?)),
            Query::Transfers { status, from, to, worker, requested, page } => {
                let from = from.as_ref().map(|site| self.known_site(site)).transpose()?;
                let to = to.as_ref().map(|site| self.known_site(site)).transpose()?;
                let works =
                    |id: &Code, worker: &Code| self.pick_claims(id).any(|(_, claim)| claim.worker == *worker);
                let fits = |id: &Code, transfer: &Transfer| {
                    status.is_none_or(|status| status == transfer.status())
                        && from.is_none_or(|from| from == transfer.from)
                        && to.is_none_or(|to| to == transfer.to)
                        && worker.as_ref().is_none_or(|worker| works(id, worker))
                };
                View::Transfers(self.transfers_page(page, *requested, elsewhere, fits))
            }
            Query::Explain { transfer, line } => {
                View::Explain(query::explain(self, transfer, line.as_ref(), now)?)
            }
            Query::Trace { sku, lot } => {
                let (id, lot) = self.lot_view(sku, lot)?;
                let sku = self.known_sku(sku)?;
                let way = self.places_towards((sku, id), None, LocationId(0), LotId::NONE);
                let here = way.inspect(|_| looked += 1).filter(|place| place.lot == id);
                let position_at = |place| self.position_at(place).expect("the way leads along positions");
                let mut places: Vec<_> = here.map(|place| (place, position_at(place))).collect();
                places.sort_unstable_by(|(a, _), (b, _)| self.text(a).cmp(&self.text(b)));
                let positions = places.iter().map(|(place, row)| query::candidate(self, *place, row, now));
                let positions: Vec<_> = positions.collect();
                // What is inside and at no position is on the way.
                let lying = places.iter().map(|(_, row)| row.on_hand).sum();
                let in_transit_total = lot.inside - lying;
                let in_transit = self.transit_of(id, in_transit_total);
                View::Trace(TraceView { lot, positions, in_transit, in_transit_total })
            }
            Query::Wallet(owner) => {
                let Some(wallet) = self.wallets.wallet(owner) else {
                    return Err(Refusal::WalletNotFound { owner: owner.clone() });
                };
                let open = self.wallets.open_authorizations(owner, None).take(AUTHORIZATIONS_SHOWN_MAX);
                View::Wallet(query::wallet(owner, wallet, open.cloned().collect()))
            }
            Query::Wallets(page) => View::Wallets(self.wallets_page(page)),
            Query::Authorization(id) => View::Authorization(query::authorization(self, id)?),
            Query::Fence(resource) => View::Fence(query::fence(self, resource)?),
            Query::Order(id) => View::Order(Box::new(query::order(self, id)?)),
            Query::Cart(id) => View::Cart(Box::new(query::cart(self, id)?)),
            Query::Carts { site, owner, page } => {
                let site = site.as_ref().map(|site| self.known_site(site)).transpose()?;
                View::Carts(self.carts_page(page, site, owner.as_ref()))
            }
            Query::Orders { site, status, customer, worker, allocated, placed, page } => {
                let site = site.as_ref().map(|site| self.known_site(site)).transpose()?;
                let fits = |order: &Order, is_allocated: bool| {
                    let claimed_by = || order.claim.as_ref().map(|claim| &claim.worker);
                    site.is_none_or(|site| site == order.site)
                        && status.is_none_or(|status| status == order.status)
                        && (customer.is_none() || *customer == order.customer)
                        && (worker.is_none() || worker.as_ref() == claimed_by())
                        && allocated
                            .is_none_or(|allocated| allocated == (is_allocated && !order.status.may_rest()))
                };
                View::Orders(self.orders_page(page, *placed, elsewhere, fits))
            }
            Query::Authorizations { owner, page } => {
                View::Authorizations(self.authorizations_page(owner, page)?)
            }
            Query::Accounts(page) => View::Accounts(self.accounts_page(page)),
            Query::ExplainOrder { order, line } => {
                View::ExplainOrder(query::explain_order(self, order, line.as_ref(), now)?)
            }
            Query::Holds { sku, lot, site, owner, page } => {
                let sku = sku.as_ref().map(|sku| self.known_sku(sku)).transpose()?;
                let filter = HoldFilter {
                    sku,
                    lot: lot.as_ref().map(|lot| self.lot_named(sku, lot)).transpose()?,
                    site: site.as_ref().map(|site| self.known_site(site)).transpose()?,
                    owner: owner.as_ref(),
                };
                let (listed, past) = self.holds_page(&filter, page);
                looked = past;
                View::Holds(listed)
            }
            Query::LotHolders { sku, lot, site, page } => {
                let sku = self.known_sku(sku)?;
                let lot = self.lot_named(Some(sku), lot)?;
                let site = site.as_ref().map(|site| self.known_site(site)).transpose()?;
                let (listed, seen) = self.lot_holders_page(sku, lot, site, page);
                looked = seen;
                View::LotHolders(listed)
            }
            Query::PriceTiers => View::PriceTiers(query::price_tiers(self)),
            Query::Card(card) => View::Card(query::known_card(self, card)?),
            Query::Cards { owner, page } => View::Cards(self.cards_page(owner.as_ref(), page)),
            Query::Proposal(id) => View::Proposal(query::known_proposal(self, id)?),
            Query::Proposals { card, owner, status, page } => {
                if let Some(card) = card {
                    query::known_card(self, card)?;
                }
                let fits = |row: &Proposal| {
                    card.as_ref().is_none_or(|card| *card == row.from_card || *card == row.to_card)
                        && owner
                            .as_ref()
                            .is_none_or(|owner| *owner == row.from_owner || *owner == row.to_owner)
                        && status.is_none_or(|status| status == row.status())
                };
                View::Proposals(match (card, status) {
                    // What is open is all here, and found by its card.
                    (Some(card), Some(ProposalStatus::Open)) => {
                        let here = self.trades.open_from(card, start(page));
                        proposals_page(here, &Elsewhere::default(), page, fits)
                    }
                    _ => proposals_page(self.trades.proposals_from(start(page)), elsewhere, page, fits),
                })
            }
        };
        Ok(Shown { cost: view.cost() + looked, view })
    }

    /// A page of positions, and how many it looked at.
    fn stock(
        &self,
        sku: Option<&Code>,
        site: Option<&Code>,
        location: Option<&Code>,
        lot: Option<&Code>,
        page: &Page<Place>,
        now: Timestamp,
    ) -> Result<(Listed<PositionView, Place>, usize), Refusal> {
        let site = site.map(|site| self.known_site(site)).transpose()?;
        let sku = sku.map(|sku| self.known_sku(sku)).transpose()?;
        let location = match (location, site) {
            (None, _) => None,
            (Some(location), Some(site)) => Some(self.known_location(site, location)?),
            (Some(_), None) => return Err(Refusal::invalid("location", "needs a site")),
        };
        let lot = lot.map(|lot| self.lot_named(sku, lot)).transpose()?;
        let fits = |place: Place| {
            sku.is_none_or(|sku| sku == place.sku)
                && lot.is_none_or(|lot| lot == place.lot)
                && location.is_none_or(|location| location == place.location)
                && site.is_none_or(|site| site == self.location(place.location).site)
        };
        let show = |place: Place| {
            let row = self.position(place).expect("each place in the index has a row");
            query::position(self, place, &row, now)
        };
        let after = page.after;
        let first_at = |location| Place { location, sku: SkuId(0), lot: LotId::NONE };
        // The places behind the last page's end: of one location, or of all.
        let begin = move |first: Place| after.map_or(first, |after| after.max(first));
        let is_behind = move |place: &Place| after.is_none_or(|after| *place > after);
        let here = |location: LocationId| {
            let begin = begin(first_at(location));
            let here = (begin.location == location).then(|| self.positions_at(begin));
            here.into_iter().flatten().map(|(place, _)| place).filter(is_behind)
        };
        // The narrowest way in. All of them have the one order in which a page can go on where another ended, also
        // after a restart.
        Ok(match (sku, location, site) {
            (Some(sku), Some(location), _) => {
                let first = Place { location, sku, lot: lot.unwrap_or(LotId::NONE) };
                let begin = begin(first);
                let here = (begin.location == location && begin.sku == sku).then(|| self.lots_from(begin));
                let places = here.into_iter().flatten().map(|(place, _)| place);
                let places = places.take_while(|place| lot.is_none_or(|lot| lot == place.lot));
                scanned(places.filter(is_behind), page, fits, show)
            }
            (Some(sku), None, site) => {
                // Where the last page ended, as far as this SKU is concerned.
                let (location, from) =
                    after.map_or((LocationId(0), LotId::NONE), |after| match after.sku.cmp(&sku) {
                        Ordering::Less => (after.location, LotId::NONE),
                        Ordering::Equal => (after.location, after.lot),
                        Ordering::Greater => (LocationId(after.location.0.saturating_add(1)), LotId::NONE),
                    });
                let (listed, looked) = match lot {
                    None => {
                        let places = self.places_of(sku, site, location, from);
                        scanned(places.filter(is_behind), page, fits, show)
                    }
                    Some(lot) => {
                        let places = self.places_towards((sku, lot), site, location, from);
                        scanned(places.filter(is_behind), page, fits, show)
                    }
                };
                // The next place of each site was looked for as well.
                (listed, looked + self.entries_of(sku, site).count())
            }
            (None, Some(location), _) => scanned(here(location), page, fits, show),
            (None, None, Some(site)) => {
                let locations = &self.site_locations[site.index()];
                let start = after.map_or(0, |after| locations.partition_point(|id| *id < after.location));
                scanned(locations[start..].iter().flat_map(|id| here(*id)), page, fits, show)
            }
            (None, None, None) => {
                let all = self.positions_from(begin(first_at(LocationId(0)))).map(|(place, _)| place);
                scanned(all.filter(is_behind), page, fits, show)
            }
        })
    }

    /// The lot that a filter names, which needs a SKU to be one.
    fn lot_named(&self, sku: Option<SkuId>, lot: &Code) -> Result<LotId, Refusal> {
        let Some(sku) = sku else { return Err(Refusal::invalid("lot", "needs a sku")) };
        let not_found = || Refusal::LotNotFound { sku: self.sku(sku).code.clone(), lot: lot.clone() };
        self.lot_id(sku, lot).ok_or_else(not_found)
    }

    /// The first holders of a place by their text, and how many there are. It looks at all of them and keeps those that
    /// it shows.
    pub(super) fn holders_shown(&self, place: Place, limit: usize) -> (Vec<(Holder, Quantity)>, usize) {
        let mut first: BTreeMap<(HolderKind, &str, u32), Node> = BTreeMap::new();
        let mut count = 0;
        let mut next = self.entry(place).map_or(NOWHERE, |entry| entry.holder);
        while next != NOWHERE {
            let (number, node) = (next, self.holder(next));
            next = node.links.next;
            let id = match node.kind {
                HolderKind::Hold => self.holds.get(node.slot).id.as_str(),
                HolderKind::Order => self.orders.rows.get(node.slot).id.as_str(),
                HolderKind::Cart => self.carts.rows.get(node.slot).id.as_str(),
                HolderKind::Transfer => {
                    let row = self.transfers.get(node.slot);
                    // A line with two entries at a place has two nodes, and is one holder.
                    if !row.lines[node.line as usize].is_first_at(place, number) {
                        continue;
                    }
                    row.id.as_str()
                }
            };
            count += 1;
            let holder = (node.kind, id, node.line);
            if first.len() == limit {
                match first.last_key_value() {
                    Some((last, _)) if *last > holder => drop(first.pop_last()),
                    _ => continue,
                }
            }
            first.insert(holder, node);
        }
        let shown = first.into_iter().map(|((kind, id, line), node)| {
            (Holder { kind, id: Code::kept(id), line }, self.quantity_at(&node, place))
        });
        (shown.collect(), count)
    }

    /// A page of the transfers that fit, oldest request first, of which it looks at a bounded number.
    fn transfers_page(
        &self,
        page: &Page,
        period: Period,
        elsewhere: &Elsewhere,
        fits: impl Fn(&Code, &Transfer) -> bool,
    ) -> Listed<TransferSummary> {
        let requested_at = |slot: u32| self.transfers.get(slot).transfer.requested_at;
        let requested_from =
            |from| self.by_request.range(from..).map(|(requested, slot)| (*requested, *slot));
        let last = self.by_request.last_key_value().map(|(last, _)| *last);
        let here =
            within(requested_from, last, start(page), period, requested_at).map(|(requested, slot)| {
                let row = self.transfers.get(slot);
                (requested, (&row.id, &row.transfer))
            });
        let there = only_of(&elsewhere.transfers, period, |transfer| transfer.requested_at);
        let there = there.map(|(id, transfer)| (transfer.requested, (id, transfer)));
        merged(here, there, page, elsewhere.upto, |(id, transfer)| {
            fits(id, transfer).then(|| query::transfer_summary(self, id, transfer))
        })
    }

    /// A page of the orders that fit, in the order in which they were placed.
    fn orders_page(
        &self,
        page: &Page,
        period: Period,
        elsewhere: &Elsewhere,
        fits: impl Fn(&Order, bool) -> bool,
    ) -> Listed<OrderSummary> {
        /// Of an order that is here all but its lines has to be unpacked.
        enum Found<'a> {
            Here(&'a OrderRow),
            There(&'a Code, &'a Order),
        }
        let placed_at = |slot: u32| self.orders.rows.get(slot).unpack_header().placed_at;
        let by_placed = &self.orders.by_placed;
        let placed_from =
            |from: Sequence| by_placed.from(from.0).map(|(placed, slot)| (Sequence(placed), slot));
        let here = within(placed_from, by_placed.last().map(Sequence), start(page), period, placed_at);
        let here = here.map(|(placed, slot)| (placed, Found::Here(self.orders.rows.get(slot))));
        let there = only_of(&elsewhere.orders, period, |order| order.placed_at);
        let there = there.map(|(id, order)| (order.placed, Found::There(id, order)));
        merged(here, there, page, elsewhere.upto, |found| match found {
            Found::Here(row) => {
                let header = row.unpack_header();
                let (lines, is_allocated) = (row.line_count(), row.is_allocated());
                let summary = || query::summary_of(self, &row.id, &header, lines, is_allocated);
                fits(&header, is_allocated).then(summary)
            }
            Found::There(id, order) if fits(order, order.is_allocated()) => {
                Some(query::order_summary(self, id, order))
            }
            _ => None,
        })
    }

    /// A page of the open carts that fit, in the order in which they were opened.
    fn carts_page(&self, page: &Page, site: Option<SiteId>, owner: Option<&Code>) -> Listed<CartSummary> {
        let here = self.carts.open.range(start(page)..);
        let here = here.map(|(opened, slot)| (*opened, self.carts.rows.get(*slot)));
        merged(here, std::iter::empty(), page, None, |row| {
            let fits =
                site.is_none_or(|site| site == row.site) && owner.is_none_or(|owner| *owner == row.owner);
            fits.then(|| query::cart_summary(self, &row.id, &row.unpack_header(), row.line_count()))
        })
    }

    fn wallets_page(&self, page: &Page) -> Listed<WalletView> {
        let after = Sequence(page.after.unwrap_or_default());
        let mut rows = self.wallets.opened_after(after).peekable();
        let (mut items, mut last) = (Vec::new(), None);
        while let Some((owner, wallet)) = rows.next_if(|_| items.len() < limit(page)) {
            items.push(query::wallet(owner, wallet, Vec::new()));
            last = Some(wallet.opened.0);
        }
        let next = last.filter(|_| rows.peek().is_some());
        Listed { items, next }
    }

    /// A page of a wallet's open authorizations, in the order of their ids.
    fn authorizations_page(
        &self,
        owner: &Code,
        page: &Page<Code>,
    ) -> Result<Listed<AuthorizationView, Code>, Refusal> {
        if self.wallets.wallet(owner).is_none() {
            return Err(Refusal::WalletNotFound { owner: owner.clone() });
        }
        let mut ids = self.wallets.open_authorizations(owner, page.after.as_ref());
        let first = ids.by_ref().take(limit(page));
        let items: Vec<_> = first.map(|id| query::authorization(self, id)).collect::<Result<_, _>>()?;
        let next = items.last().filter(|_| ids.next().is_some()).map(|last| last.id.clone());
        Ok(Listed { items, next })
    }

    /// A page of the outside accounts, by currency.
    fn accounts_page(&self, page: &Page) -> Listed<AccountView> {
        let behind = |(currency, account, _): &(Currency, MoneyOutside, i64)| {
            page.after.is_none_or(|after| account_place(*currency, *account) > after)
        };
        let mut accounts = self.wallets.outside_accounts().filter(behind);
        let first = accounts.by_ref().take(limit(page));
        let items: Vec<_> =
            first.map(|(currency, account, sum)| query::account(currency, account, sum)).collect();
        let last = items.last().filter(|_| accounts.next().is_some());
        let next = last.map(|last| account_place(last.currency, last.account));
        Listed { items, next }
    }

    fn cards_page(&self, owner: Option<&Code>, page: &Page) -> Listed<CardView> {
        let here = self.trades.cards_from(owner, start(page));
        let here = here.map(|(card, row)| (row.made, (card, row)));
        merged(here, std::iter::empty(), page, None, |(card, row)| Some(query::card(self, card, row)))
    }

    fn lot_view(&self, sku: &Code, lot: &Code) -> Result<(LotId, LotView), Refusal> {
        let id = self.known_sku(sku)?;
        let Some(found) = self.lot_id(id, lot) else {
            return Err(Refusal::LotNotFound { sku: sku.clone(), lot: lot.clone() });
        };
        Ok((found, query::lot(self, self.lot(found))))
    }

    fn text(&self, place: &Place) -> (&Code, &Code) {
        let location = self.location(place.location);
        (&self.site(location.site).code, &location.code)
    }

    fn known_site(&self, site: &Code) -> Result<SiteId, Refusal> {
        self.site_id(site).ok_or_else(|| Refusal::SiteNotFound { site: site.clone() })
    }

    fn known_sku(&self, sku: &Code) -> Result<SkuId, Refusal> {
        self.sku_id(sku).ok_or_else(|| Refusal::SkuNotFound { sku: sku.clone() })
    }

    fn known_location(&self, site: SiteId, location: &Code) -> Result<LocationId, Refusal> {
        self.location_id(site, location).ok_or_else(|| Refusal::LocationNotFound {
            site: self.site(site).code.clone(),
            location: location.clone(),
        })
    }
}

/// A page of the proposals that fit, in the order in which they were made.
fn proposals_page<'a>(
    here: impl Iterator<Item = (&'a Code, &'a Proposal)>,
    elsewhere: &'a Elsewhere,
    page: &Page,
    fits: impl Fn(&Proposal) -> bool,
) -> Listed<ProposalView> {
    let here = here.map(|(id, row)| (row.proposed, (id, row)));
    let there = elsewhere.proposals.iter().map(|(id, row)| (row.proposed, (id, row)));
    merged(here, there, page, elsewhere.upto, |(id, row)| fits(row).then(|| query::proposal(id, row)))
}

/// The place of an account in their list, which no other account changes.
fn account_place(currency: Currency, account: MoneyOutside) -> u64 {
    let letters = currency.as_str().bytes();
    let number = letters.fold(0, |number, letter| number * 256 + u64::from(letter));
    number * 2 + u64::from(account == MoneyOutside::Sales)
}

/// Where a page of documents begins: after the one that the last page ended on.
pub(super) fn start(page: &Page) -> Sequence {
    Sequence(page.after.map_or(0, |after| after.saturating_add(1)))
}

/// The documents of a period, of those that were fetched in the order of their events.
fn only_of<D>(
    fetched: &[(Code, D)],
    period: Period,
    at: impl Fn(&D) -> Timestamp + Copy,
) -> impl Iterator<Item = &(Code, D)> {
    let begun = fetched.iter().skip_while(move |(_, document)| !period.has_begun(at(document)));
    begun.take_while(move |(_, document)| !period.is_over(at(document)))
}

/// The documents of a period, from `from` on, by the events that made them: time passes in the order of the events, so
/// that the first of them is found by halving, and behind the last nothing is looked at.
fn within<D: Iterator<Item = (Sequence, u32)>>(
    made_from: impl Fn(Sequence) -> D,
    last: Option<Sequence>,
    from: Sequence,
    period: Period,
    at: impl Fn(u32) -> Timestamp,
) -> impl Iterator<Item = (Sequence, u32)> {
    let mut first = from;
    if period.since.is_some() {
        let mut end = last.map_or(from, |last| Sequence(last.0.saturating_add(1)));
        while first < end {
            let middle = Sequence(first.0 + (end.0 - first.0) / 2);
            match made_from(middle).next() {
                Some((made, slot)) if made < end && !period.has_begun(at(slot)) => {
                    first = Sequence(made.0 + 1);
                }
                _ => end = middle,
            }
        }
    }
    made_from(first).take_while(move |(_, slot)| !period.is_over(at(*slot)))
}

/// A page of what is here and what lies elsewhere, in one order; `show` gives those that fit. It looks at a bounded
/// number of them.
fn merged<T, V>(
    here: impl Iterator<Item = (Sequence, T)>,
    there: impl Iterator<Item = (Sequence, T)>,
    page: &Page,
    upto: Option<Sequence>,
    show: impl Fn(T) -> Option<V>,
) -> Listed<V> {
    let start = start(page);
    let mut here = here.peekable();
    let mut there = there.filter(|(made, _)| *made >= start).peekable();
    let mut items = Vec::new();
    let mut last = None;
    let limit = limit(page);
    for looked in 0.. {
        let next = match (here.peek(), there.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => there.next(),
            (Some(a), Some(b)) if a.0 == b.0 => {
                // It came back and may have changed: what is here is what holds.
                there.next();
                here.next()
            }
            (Some(_), _) => here.next(),
            (None, _) => there.next(),
        };
        let Some((made, item)) = next else { break };
        if upto.is_some_and(|upto| made > upto) {
            break;
        }
        if items.len() == limit || looked == SCAN_MAX {
            return Listed { items, next: last };
        }
        items.extend(show(item));
        last = Some(made.0);
    }
    // What lies elsewhere goes on beyond what was handed in.
    Listed { items, next: upto.map(|upto| upto.0) }
}

/// Where a page begins: after the row that the last one ended on.
fn first(page: &Page) -> u32 {
    page.after.map_or(0, |after| u32::try_from(after.saturating_add(1)).unwrap_or(u32::MAX))
}

pub(super) fn limit<C>(page: &Page<C>) -> usize {
    page.limit.clamp(1, PAGE_MAX)
}

/// A page of a list that has no filter: rows are numbered from 0.
fn numbered<V>(count: usize, page: &Page, show: impl Fn(usize) -> V) -> Listed<V> {
    let start = (first(page) as usize).min(count);
    let end = count.min(start + limit(page));
    let next = (end < count).then(|| end as u64 - 1);
    Listed { items: (start..end).map(show).collect(), next }
}

/// A page of the places that fit, and how many it looked at: a bounded number.
fn scanned<V>(
    places: impl Iterator<Item = Place>,
    page: &Page<Place>,
    fits: impl Fn(Place) -> bool,
    show: impl Fn(Place) -> V,
) -> (Listed<V, Place>, usize) {
    let limit = limit(page);
    let mut items = Vec::new();
    let mut last = None;
    let mut looked = 0;
    for place in places {
        if items.len() == limit || looked == SCAN_MAX {
            return (Listed { items, next: last }, looked);
        }
        looked += 1;
        if fits(place) {
            items.push(show(place));
        }
        last = Some(place);
    }
    (Listed { items, next: None }, looked)
}
