//! The rows as decisions read them and events write them.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use super::{Memory, NOWHERE, crowd::Entries};
use crate::{
    Amount, Awaiting, Code, Currency, LocationId, LotId, MoneyOutside, Name, Outside, PickWork, PickWorkId,
    Place, Quantity, Row, Sequence, SiteId, SkuId, Tables, Timestamp, Waiting, WaitingBy,
    row::{
        Answered, Authorization, Card, Cart, Claim, Fence, Filed, Filing, Gate, Head, Hold, Holder,
        HolderKind, Line, Location, LocationKind, Lot, Order, OrderLine, OrderSetting, OrderWork, Position,
        PriceTiers, Proposal, Sale, Site, Sku, Transfer, Wallet,
    },
};

impl Tables for Memory {
    fn head(&self) -> Head {
        self.head
    }

    fn site_id(&self, code: &Code) -> Option<SiteId> {
        self.site_codes.get(code).copied()
    }

    fn site(&self, site: SiteId) -> &Site {
        &self.sites[site.index()]
    }

    fn location_id(&self, site: SiteId, code: &Code) -> Option<LocationId> {
        self.location_codes[site.index()].get(code).copied()
    }

    fn location(&self, location: LocationId) -> &Location {
        &self.locations[location.index()]
    }

    fn first_location(&self, site: SiteId, kind: LocationKind) -> Option<LocationId> {
        let of_kind =
            self.site_locations[site.index()].iter().copied().filter(|id| self.location(*id).kind == kind);
        of_kind.min_by_key(|id| {
            let row = self.location(*id);
            (row.pick_order, &row.code)
        })
    }

    fn is_occupied(&self, location: LocationId) -> bool {
        self.by_location.at(location, SkuId(0)).next().is_some()
    }

    fn sku_id(&self, code: &Code) -> Option<SkuId> {
        self.sku_slot(code).map(SkuId)
    }

    fn sku(&self, sku: SkuId) -> &Sku {
        &self.skus[sku.index()].row
    }

    fn lot_id(&self, sku: SkuId, code: &Code) -> Option<LotId> {
        self.find_lot(sku, code)
    }

    fn lot(&self, lot: LotId) -> &Lot {
        &self.lots[lot.index() - 1]
    }

    fn gate(&self, site: SiteId, sku: SkuId) -> Option<Gate> {
        self.unpack_gate(self.gates.get(self.gate_slot(site, sku)?))
    }

    fn watched_available(&self, site: SiteId, sku: SkuId, now: Timestamp) -> Quantity {
        self.watched_available(site, sku, now)
    }

    fn watched_with_last_days(&self, site: SiteId) -> Vec<SkuId> {
        self.watched_with_last_days(site)
    }

    fn position(&self, place: Place) -> Option<Position> {
        self.position_at(place)
    }

    fn positions(&self, site: SiteId, sku: SkuId) -> impl Iterator<Item = (Place, Position)> {
        let places =
            self.gate_slot(site, sku).map_or(Entries::NONE, |slot| self.places(self.gates.get(slot)));
        places.iter().filter_map(move |entry| self.unpack_position(sku, entry))
    }

    fn holders(&self, place: Place) -> Vec<(Holder, Quantity)> {
        let mut found: BTreeMap<Holder, Quantity> = BTreeMap::new();
        let mut next = self.entry(place).map_or(NOWHERE, |entry| entry.holder);
        while next != NOWHERE {
            let node = self.holder(next);
            next = node.links.next;
            let id = match node.kind {
                HolderKind::Hold => self.holds.get(node.slot).id.code(),
                HolderKind::Transfer => self.transfers.get(node.slot).id.clone(),
                HolderKind::Order => self.orders.rows.get(node.slot).id.clone(),
                HolderKind::Cart => self.carts.rows.get(node.slot).id.clone(),
            };
            // A line with two entries at a place has two nodes, and is one holder.
            let holder = Holder { kind: node.kind, id, line: node.line };
            found.insert(holder, self.quantity_at(&node, place));
        }
        found.into_iter().collect()
    }

    fn first_holders(&self, place: Place, limit: usize) -> (Vec<(Holder, Quantity)>, usize) {
        self.holders_shown(place, limit)
    }

    fn outside(&self, sku: SkuId, outside: Outside) -> i64 {
        self.skus[sku.index()].outside.get(outside)
    }

    fn hold(&self, id: &Code) -> Option<Hold> {
        self.hold_slot(id).map(|slot| self.unpack_hold(self.holds.get(slot)))
    }

    fn pick_count(&self, hold: &Code) -> usize {
        self.hold_slot(hold).map_or(0, |slot| self.holds.get(slot).pick_count())
    }

    fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        let due = self.due.from(0).take_while(|(at, _)| *at <= now.0).take(limit);
        due.map(|(at, slot)| (Timestamp(at), self.holds.get(slot).id.code())).collect()
    }

    fn transfer(&self, id: &Code) -> Option<Transfer> {
        self.transfer_slot(id).map(|slot| self.transfers.get(slot).transfer.clone())
    }

    fn line(&self, transfer: &Code, line: u32) -> Line {
        self.transfer_row(transfer).lines[line as usize].line.clone()
    }

    fn line_named(&self, transfer: &Code, name: &Code) -> Option<u32> {
        let row = self.transfer_row(transfer);
        let at = row.by_name.binary_search_by(|line| row.lines[*line as usize].line.name.cmp(name)).ok()?;
        Some(row.by_name[at])
    }

    fn wallet(&self, owner: &Code) -> Option<&Wallet> {
        self.wallets.wallet(owner)
    }

    fn money_outside(&self, currency: Currency, outside: MoneyOutside) -> i64 {
        self.wallets.outside(currency, outside)
    }

    fn authorization(&self, id: &Code) -> Option<Authorization> {
        self.wallets.authorization(id).cloned()
    }

    fn order_setting(&self, site: SiteId) -> Option<OrderSetting> {
        self.orders.settings.get(&site).copied()
    }

    fn warm_orders(&self, ids: &[Code]) {
        self.warm_orders(ids);
    }

    fn warm_places(&self, places: impl Iterator<Item = Place>) {
        self.warm_places(places);
    }

    fn warm_gates(&self, skus: impl Iterator<Item = (SiteId, SkuId)>) {
        self.warm_gates(skus);
    }

    fn order(&self, id: &Code) -> Option<Order> {
        self.order_slot(id).map(|slot| self.orders.rows.get(slot).unpack())
    }

    fn note_seen(&self, seen: usize) {
        self.seen.fetch_add(seen, Ordering::Relaxed);
    }

    fn take_seen(&self) -> usize {
        self.seen.swap(0, Ordering::Relaxed)
    }

    fn order_lots(&self, order: &Code) -> impl Iterator<Item = Option<Place>> {
        let row = self.order_slot(order).map(|slot| self.orders.rows.get(slot));
        let lots = row.into_iter().flat_map(|row| row.lots());
        lots.map(|(location, lot)| {
            (lot != LotId::NONE).then(|| Place { location, sku: self.lot(lot).sku, lot })
        })
    }

    fn due_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.orders.due(now, limit)
    }

    fn waiting(&self, site: SiteId, allocated: bool, by: WaitingBy) -> impl Iterator<Item = Waiting> {
        self.orders.waiting(site, allocated, by)
    }

    fn is_awaited(&self, site: SiteId, sku: SkuId, lot: LotId) -> bool {
        self.orders.is_awaited(site, sku, lot)
    }

    fn awaiting(&self, site: SiteId, sku: SkuId, lot: Option<LotId>) -> impl Iterator<Item = Awaiting> {
        self.orders.awaiting(site, sku, lot)
    }

    fn sale(&self, order: &Code) -> Option<Sale> {
        self.sale_of(order)
    }

    fn cart(&self, id: &Code) -> Option<Cart> {
        self.cart_slot(id).map(|slot| self.carts.rows.get(slot).unpack())
    }

    fn cart_part_count(&self, cart: &Code) -> usize {
        self.cart_slot(cart).map_or(0, |slot| self.carts.rows.get(slot).part_count())
    }

    fn cart_holds(&self, cart: &Code) -> bool {
        self.cart_slot(cart).is_some_and(|slot| self.carts.rows.get(slot).holds())
    }

    fn due_carts(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.carts.due(now, limit)
    }

    fn prices(&self, sku: SkuId) -> &[(Currency, Amount)] {
        self.carts.prices.get(&sku).map_or(&[], Vec::as_slice)
    }

    fn awaited_skus(&self, site: SiteId) -> Vec<SkuId> {
        self.orders.awaited_skus(site)
    }

    fn order_line(&self, order: &Code, line: u32) -> OrderLine {
        let slot = self.order_slot(order).expect("a line is of an order that is there");
        self.orders.rows.get(slot).line(line)
    }

    fn order_work(&self, id: &Code) -> Option<OrderWork> {
        self.order_slot(id).map(|slot| self.orders.rows.get(slot).work())
    }

    fn transfer_part_count(&self, transfer: &Code) -> usize {
        self.transfer_slot(transfer).map_or(0, |slot| self.transfers.get(slot).parts)
    }

    fn order_pick_count(&self, order: &Code) -> usize {
        self.order_slot(order).map_or(0, |slot| self.orders.rows.get(slot).pick_count())
    }

    fn is_unfilled(&self, site: SiteId, sku: SkuId) -> bool {
        self.orders.is_unfilled(site, sku)
    }

    fn owes_stock(&self) -> bool {
        self.orders.owes_stock()
    }

    fn unfilled(&self, limit: usize) -> Vec<(SiteId, SkuId)> {
        self.orders.unfilled(limit)
    }

    fn fence(&self, resource: &Code) -> Option<Fence> {
        self.fences.get(resource).copied()
    }

    fn fence_count(&self) -> usize {
        self.fences.len()
    }

    fn price_tiers(&self) -> Option<PriceTiers> {
        self.trades.tiers().cloned()
    }

    fn card(&self, card: &Code) -> Option<Card> {
        self.trades.card(card).cloned()
    }

    fn proposal(&self, id: &Code) -> Option<Proposal> {
        self.trades.proposal(id).cloned()
    }

    fn open_proposal_between(&self, a: &Code, b: &Code) -> Option<Code> {
        self.trades.open_between(a, b).cloned()
    }

    fn open_proposals(&self, card: &Code) -> Vec<(Sequence, Code)> {
        let open = self.trades.open_from(card, Sequence(0));
        open.map(|(id, row)| (row.proposed, id.clone())).collect()
    }

    fn open_proposal_count(&self, card: &Code) -> usize {
        self.trades.open_on(card)
    }

    fn pick_work(&self, transfer: &Code, zone: &Name) -> Option<PickWork> {
        self.transfer_pick_work(transfer, zone)
    }

    fn pick_works(&self, transfer: &Code) -> Vec<PickWork> {
        self.transfer_pick_works(transfer)
    }

    fn pick_lines(&self, transfer: &Code, zone: &Name) -> Vec<u32> {
        self.transfer_pick_lines(transfer, zone)
    }

    fn picks_of_lines_in(&self, transfer: &Code, zone: &Name) -> impl Iterator<Item = Place> {
        self.transfer_picks_of_lines_in(transfer, zone)
    }

    fn unclaimed_zones(&self, transfer: &Code) -> impl Iterator<Item = Name> {
        self.transfer_unclaimed_zones(transfer)
    }

    fn zones_of_claim(&self, transfer: &Code, fence: Sequence) -> impl Iterator<Item = (Name, Claim)> {
        self.transfer_zones_of_claim(transfer, fence)
    }

    fn pick_claims(&self, transfer: &Code) -> impl Iterator<Item = (Name, Claim)> {
        self.transfer_claims(transfer)
    }

    fn pick_claim_count(&self, transfer: &Code) -> usize {
        self.transfer_claim_count(transfer)
    }

    fn pickers_at(&self, location: LocationId, limit: usize) -> Option<Vec<Code>> {
        self.pickers(location, limit)
    }

    fn waiting_picks(
        &self,
        site: SiteId,
        zone: Option<&Name>,
        by: WaitingBy,
    ) -> impl Iterator<Item = PickWorkId> {
        self.picks_waiting(site, zone, by)
    }

    fn due_pick_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, PickWorkId)> {
        self.pick_claims_due(now, limit)
    }

    fn filed(&self, document: &Filing) -> Option<Filed> {
        self.filed.get(document).copied()
    }

    fn answered(&self, key: &Code) -> Option<Answered> {
        self.answered.get(key).copied()
    }

    fn oldest_answered(&self) -> Option<(Code, Answered)> {
        let (_, key) = self.answered_order.first_key_value()?;
        Some((key.clone(), self.answered[key]))
    }

    fn answered_count(&self) -> usize {
        self.answered.len()
    }

    fn put(&mut self, row: Row) -> Row {
        match row {
            Row::Head(head) => Row::Head(std::mem::replace(&mut self.head, head)),
            Row::Site(id, row) => Row::Site(id, self.put_site(id, row)),
            Row::Location(id, row) => Row::Location(id, self.put_location(id, row)),
            Row::Sku(id, row) => Row::Sku(id, self.put_sku(id, row)),
            Row::Lot(id, row) => Row::Lot(id, self.put_lot(id, row)),
            Row::Gate(site, sku, gate) => Row::Gate(site, sku, self.put_gate(site, sku, gate)),
            Row::Position(place, position) => Row::Position(place, self.put_position(place, position)),
            Row::Outside(sku, outside, balance) => {
                Row::Outside(sku, outside, self.skus[sku.index()].outside.put(outside, balance))
            }
            Row::Hold(id, hold) => {
                let before = self.put_hold(id.clone(), hold).map(|before| self.unpack_struck(&before));
                Row::Hold(id, before)
            }
            Row::Transfer(id, transfer) => {
                let before = self.put_transfer(&id, transfer);
                Row::Transfer(id, before)
            }
            Row::Lines(id, lines) => {
                let before = self.put_lines(&id, lines);
                Row::Lines(id, before)
            }
            Row::Line(id, line, mut row) => {
                *row = self.put_line(&id, line, *row);
                Row::Line(id, line, row)
            }
            Row::Filed(filing, filed) => {
                let before = match filed {
                    Some(filed) => self.filed.insert(filing.clone(), filed),
                    None => self.filed.remove(&filing),
                };
                Row::Filed(filing, before)
            }
            Row::Answered(key, answered) => {
                let before = self.put_answered(&key, answered);
                Row::Answered(key, before)
            }
            Row::Wallet(owner, wallet) => {
                let before = self.wallets.put_wallet(&owner, wallet);
                Row::Wallet(owner, before)
            }
            Row::MoneyOutside(currency, outside, balance) => {
                let before = self.wallets.put_outside(currency, outside, balance);
                Row::MoneyOutside(currency, outside, before)
            }
            Row::Authorization(id, authorization) => {
                let before = self.wallets.put_authorization(&id, authorization);
                Row::Authorization(id, before)
            }
            Row::Order(id, order) => {
                let before = self.put_order(&id, order);
                Row::Order(id, before)
            }
            Row::OrderClaim(id, claim) => {
                let before = self.put_order_claim(&id, claim);
                Row::OrderClaim(id, before)
            }
            Row::OrderPicks(id, lines) => {
                let before = self.put_order_picks(&id, lines);
                Row::OrderPicks(id, before)
            }
            Row::OrderSetting(site, setting) => {
                Row::OrderSetting(site, self.orders.put_setting(site, setting))
            }
            Row::Unfilled(site, sku, unfilled) => {
                Row::Unfilled(site, sku, self.orders.put_unfilled(site, sku, unfilled))
            }
            Row::Fence(resource, fence) => {
                let before = match fence {
                    Some(fence) => self.fences.insert(resource.clone(), fence),
                    None => self.fences.remove(&resource),
                };
                Row::Fence(resource, before)
            }
            Row::PriceTiers(tiers) => Row::PriceTiers(self.trades.put_tiers(tiers)),
            Row::Card(code, card) => {
                let before = self.trades.put_card(&code, card);
                Row::Card(code, before)
            }
            Row::Proposal(id, proposal) => {
                let before = self.trades.put_proposal(&id, proposal);
                Row::Proposal(id, before)
            }
            Row::PickClaim(transfer, zone, claim) => {
                let before = self.put_pick_claim(&transfer, &zone, claim);
                Row::PickClaim(transfer, zone, before)
            }
            Row::Prices(sku, prices) => Row::Prices(sku, self.carts.put_prices(sku, prices)),
            Row::Cart(id, cart) => {
                let before = self.cart(&id).map(Box::new);
                self.put_cart(&id, cart);
                Row::Cart(id, before)
            }
            Row::CartState(id, state) => {
                let before = self.put_cart_state(&id, state);
                Row::CartState(id, before)
            }
            Row::Sale(order, sale) => {
                let before = self.put_sale(&order, sale);
                Row::Sale(order, before)
            }
        }
    }

    fn set(&mut self, row: Row) {
        match row {
            Row::Hold(id, hold) => drop(self.put_hold(id, hold)),
            Row::Cart(id, cart) => self.put_cart(&id, cart),
            Row::CartState(id, state) => drop(self.put_cart_state(&id, state)),
            Row::Order(id, order) => drop(self.put_order(&id, order)),
            Row::OrderClaim(id, claim) => drop(self.put_order_claim(&id, claim)),
            Row::Sale(order, sale) => drop(self.put_sale(&order, sale)),
            Row::Wallet(owner, wallet) => drop(self.wallets.put_wallet(&owner, wallet)),
            row => drop(self.put(row)),
        }
    }
}
