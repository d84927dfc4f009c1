//! Orders in memory, and who waits for what: work for workers, and stock for orders.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    hash::BuildHasher,
};

use smallvec::SmallVec;

use super::{
    Memory,
    awaiting::{Awaited, AwaitingLines, Rank, Waiter},
    order_row::{HeldPick, OrderRow},
    queue::Queue,
    slab::{Index, Slab},
    sorted::Sorted,
};
use crate::{
    Awaiting, Code, LotId, Place, Row, SiteId, SkuId, Timestamp, Waiting, WaitingBy,
    limits::PARTS_MAX,
    row::{Claim, HolderKind, LinePicks, Order, OrderSetting, OrderStatus},
};

#[derive(Default)]
pub(super) struct Orders {
    pub(super) rows: Slab<OrderRow>,
    index: Index,
    /// In the order in which they were placed: how they are listed.
    pub(super) by_placed: Sorted<()>,
    /// The slot of the order that was written last: what was paid for it is mostly written next.
    last: u32,
    pub(super) settings: BTreeMap<SiteId, OrderSetting>,
    /// By site: waiting orders that lack something, and those that do not.
    waiting: Vec<[Queue; 2]>,
    /// When claims lapse.
    due: BTreeSet<(Timestamp, Code)>,
    awaiting: AwaitingLines,
    unfilled: BTreeSet<(SiteId, SkuId)>,
    processing: u64,
}

impl Orders {
    /// A slot that an id of this hash may have: nearly always the right one.
    pub(super) fn slot_near(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |_| true)
    }

    /// Whether the order of a slot waits for a worker.
    pub(super) fn is_waiting(&self, slot: u32) -> bool {
        let row = self.rows.get(slot);
        let queues = self.waiting.get(row.site.index());
        queues
            .is_some_and(|queues| queues[usize::from(row.is_allocated())].contains(row.placed, row.priority))
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).cloned().collect()
    }

    pub(super) fn waiting(
        &self,
        site: SiteId,
        allocated: bool,
        by: WaitingBy,
    ) -> impl Iterator<Item = Waiting> + '_ {
        let queue = self.waiting.get(site.index()).map(|queues| &queues[usize::from(allocated)]);
        queue.into_iter().flat_map(move |queue| queue.slots(by)).map(|slot| {
            let row = self.rows.get(slot);
            Waiting {
                order: row.id.clone(),
                priority: row.priority,
                placed: row.placed,
                holds_lots: row.holds_lots(),
            }
        })
    }

    /// How many orders wait for a worker, at all sites.
    pub(super) fn waiting_count(&self) -> u64 {
        self.waiting.iter().flatten().map(|queue| queue.len() as u64).sum()
    }

    pub(super) fn claimed_count(&self) -> u64 {
        self.processing
    }

    /// How many lines wait for stock.
    pub(super) fn waiting_line_count(&self) -> u64 {
        self.awaiting.len() as u64
    }

    /// Whether any order waits for stock.
    pub(super) fn is_any_awaited(&self) -> bool {
        self.awaiting.len() > 0
    }

    pub(super) fn is_awaited(&self, site: SiteId, sku: SkuId, lot: LotId) -> bool {
        if !self.is_any_awaited() {
            return false;
        }
        [LotId::NONE, lot].into_iter().any(|lot| {
            let awaited = Awaited { site, sku, lot };
            self.awaiting.first_awaited(awaited) == Some(awaited)
        })
    }

    pub(super) fn awaited_skus(&self, site: SiteId) -> Vec<SkuId> {
        let mut skus = Vec::new();
        let mut from = Awaited { site, sku: SkuId(0), lot: LotId::NONE };
        while let Some(awaited) = self.awaiting.first_awaited(from).filter(|awaited| awaited.site == site) {
            skus.push(awaited.sku);
            from = Awaited { sku: SkuId(awaited.sku.0 + 1), ..from };
        }
        skus
    }

    pub(super) fn awaiting(
        &self,
        site: SiteId,
        sku: SkuId,
        lot: Option<LotId>,
    ) -> impl Iterator<Item = Awaiting> + '_ {
        let awaited = Awaited { site, sku, lot: lot.unwrap_or(LotId::NONE) };
        self.awaiting.waiters(awaited).map(|Waiter { slot, line }| {
            let row = self.rows.get(slot);
            Awaiting {
                order: row.id.clone(),
                line,
                priority: row.priority,
                placed: row.placed,
                lacks: row.lacks(line),
            }
        })
    }

    pub(super) fn is_unfilled(&self, site: SiteId, sku: SkuId) -> bool {
        self.unfilled.contains(&(site, sku))
    }

    pub(super) fn owes_stock(&self) -> bool {
        !self.unfilled.is_empty()
    }

    pub(super) fn unfilled(&self, limit: usize) -> Vec<(SiteId, SkuId)> {
        self.unfilled.iter().take(limit).copied().collect()
    }

    pub(super) fn put_unfilled(&mut self, site: SiteId, sku: SkuId, unfilled: bool) -> bool {
        if unfilled { !self.unfilled.insert((site, sku)) } else { self.unfilled.remove(&(site, sku)) }
    }

    pub(super) fn put_setting(
        &mut self,
        site: SiteId,
        setting: Option<OrderSetting>,
    ) -> Option<OrderSetting> {
        match setting {
            Some(setting) => self.settings.insert(site, setting),
            None => self.settings.remove(&site),
        }
    }

    /// The lines of an order that wait for stock, and for what: none where it has as many picks as one decision can end.
    fn awaiting_lines(&self, slot: u32) -> SmallVec<[(Awaited, Waiter); 1]> {
        let row = self.rows.get(slot);
        let mut lines = SmallVec::new();
        if row.pick_count() >= PARTS_MAX {
            return lines;
        }
        row.each_awaiting(|line, sku, lot, _| lines.push((row.awaited(sku, lot), Waiter { slot, line })));
        lines
    }

    /// The same of some lines of an order, as far as they wait.
    fn awaiting_lines_of(&self, slot: u32, lines: &[u32]) -> SmallVec<[(Awaited, Waiter); 1]> {
        let row = self.rows.get(slot);
        if row.pick_count() >= PARTS_MAX {
            return SmallVec::new();
        }
        let awaiting = |line: &u32| {
            let (sku, lot) = row.awaited_by(*line)?;
            Some((row.awaited(sku, lot), Waiter { slot, line: *line }))
        };
        lines.iter().filter_map(awaiting).collect()
    }

    fn enter_awaiting(&mut self, lines: SmallVec<[(Awaited, Waiter); 1]>) {
        for (awaited, waiter) in lines {
            self.awaiting.insert(awaited, waiter, rank_in(&self.rows));
        }
    }

    fn strike_awaiting(&mut self, lines: SmallVec<[(Awaited, Waiter); 1]>) {
        for (awaited, waiter) in lines {
            self.awaiting.remove(awaited, waiter, rank_in(&self.rows));
        }
    }

    /// Enters a row in all indexes but that of its id and those of holders.
    fn enter(&mut self, slot: u32) {
        self.enter_awaiting(self.awaiting_lines(slot));
        self.enter_work(slot);
    }

    /// Enters a row where workers look for it.
    fn enter_work(&mut self, slot: u32) {
        let row = self.rows.get(slot);
        match row.status {
            OrderStatus::Waiting => {
                let (site, allocated) = (row.site.index(), usize::from(row.is_allocated()));
                if self.waiting.len() <= site {
                    self.waiting.resize_with(site + 1, Default::default);
                }
                self.waiting[site][allocated].insert(row.placed, row.priority, slot);
            }
            OrderStatus::Processing => {
                self.processing += 1;
                let claim = row.claim.as_ref().expect("who works on an order has claimed it");
                self.due.insert((claim.expires_at, row.id.clone()));
            }
            OrderStatus::Completed | OrderStatus::Cancelled => {}
        }
    }

    fn strike(&mut self, slot: u32) {
        self.strike_awaiting(self.awaiting_lines(slot));
        self.strike_work(slot);
    }

    fn strike_work(&mut self, slot: u32) {
        let row = self.rows.get(slot);
        match row.status {
            OrderStatus::Waiting => {
                let queue = &mut self.waiting[row.site.index()][usize::from(row.is_allocated())];
                queue.remove(row.placed, row.priority);
            }
            OrderStatus::Processing => {
                self.processing -= 1;
                let claim = row.claim.as_ref().expect("who works on an order has claimed it");
                self.due.remove(&(claim.expires_at, row.id.clone()));
            }
            OrderStatus::Completed | OrderStatus::Cancelled => {}
        }
    }
}

/// What a line ranks by, as its order's row tells.
fn rank_in(rows: &Slab<OrderRow>) -> impl Fn(Waiter) -> Rank {
    |Waiter { slot, line }| {
        let row = rows.get(slot);
        Rank { priority: Reverse(row.priority), placed: row.placed, line }
    }
}

impl Memory {
    /// Orders that lack something in another number of lines than they say, or hold another number of picks of lots: there
    /// are none.
    pub(crate) fn wrong_orders(&self) -> impl Iterator<Item = &Code> {
        let rows = self.orders.by_placed.from(0).map(|(_, slot)| self.orders.rows.get(slot));
        rows.filter(|row| !row.counts_right()).map(|row| &row.id)
    }

    pub(super) fn order_slot(&self, id: &Code) -> Option<u32> {
        if self.orders.rows.find(self.orders.last).is_some_and(|row| row.id == *id) {
            return Some(self.orders.last);
        }
        self.orders.index.find(self.hash(id), |slot| self.orders.rows.get(slot).id == *id)
    }

    pub(super) fn put_order(&mut self, id: &Code, order: Option<Box<Order>>) -> Option<Box<Order>> {
        let hash = self.hash(id);
        let Some(slot) = self.orders.index.find(hash, |slot| self.orders.rows.get(slot).id == *id) else {
            if let Some(order) = order {
                self.insert_order(id, hash, *order);
                self.put_stray_sale(id);
            }
            return None;
        };
        self.orders.last = slot;
        self.orders.strike(slot);
        let before = self.orders.rows.get(slot).unpack();
        match order {
            // Claims come and go, and what is held stays.
            Some(order) if order.lines == before.lines && order.customer == before.customer => {
                self.orders.rows.get_mut(slot).replace_header(*order);
                self.orders.enter(slot);
            }
            Some(order) => {
                let sale = self.orders.rows.get(slot).sale();
                self.strike_order_holders(slot);
                let new = self.pack_order(id.clone(), *order, slot);
                *self.orders.rows.get_mut(slot) = new;
                self.orders.enter(slot);
                if let Some(sale) = sale {
                    self.put_sale(id, Some(Box::new(sale)));
                }
            }
            None => {
                self.strike_order_holders(slot);
                self.orders.index.remove(hash, slot);
                let sale = self.orders.rows.remove(slot).sale();
                self.orders.by_placed.remove(before.placed.0, slot, |_| &());
                if let Some(sale) = sale {
                    self.put_sale(id, Some(Box::new(sale)));
                }
            }
        }
        Some(Box::new(before))
    }

    /// Puts the claim on an order that is not at its end, and gives back the one that stood there.
    pub(super) fn put_order_claim(&mut self, id: &Code, claim: Option<Box<Claim>>) -> Option<Box<Claim>> {
        let slot = self.order_slot(id).expect("an order that is claimed is there");
        let orders = &mut self.orders;
        orders.last = slot;
        orders.strike_work(slot);
        let row = orders.rows.get_mut(slot);
        assert!(!row.status.may_rest(), "an order is claimed before its end: {id}");
        row.status = if claim.is_some() { OrderStatus::Processing } else { OrderStatus::Waiting };
        let before = std::mem::replace(&mut row.claim, claim);
        orders.enter_work(slot);
        before
    }

    /// Puts what some lines of an order hold, and gives back what they held. Of the other lines nothing is entered anew.
    pub(super) fn put_order_picks(&mut self, id: &Code, mut lines: Vec<LinePicks>) -> Vec<LinePicks> {
        lines.sort_unstable_by_key(|(line, _)| *line);
        let slot = self.order_slot(id).expect("an order that holds something else is there");
        self.orders.last = slot;
        let row = self.orders.rows.get(slot);
        let before: Vec<LinePicks> = lines.iter().map(|(line, _)| (*line, row.line(*line).picks)).collect();
        let count = |lines: &[LinePicks]| lines.iter().map(|(_, picks)| picks.len()).sum::<usize>();
        let (picks, picks_after) = (row.pick_count(), row.pick_count() - count(&before) + count(&lines));
        if row.line_count() == 1 || (picks >= PARTS_MAX) != (picks_after >= PARTS_MAX) {
            // Whether its other lines wait changes as well, or it has none.
            let mut order = row.unpack();
            for (line, picks) in lines {
                order.lines[line as usize].picks = picks;
            }
            self.put_order(id, Some(Box::new(order)));
            return before;
        }
        let changed: Vec<u32> = lines.iter().map(|(line, _)| *line).collect();
        self.orders.strike_awaiting(self.orders.awaiting_lines_of(slot, &changed));
        self.orders.strike_work(slot);
        self.hold_in_place_of(slot, &changed, lines);
        self.orders.enter_awaiting(self.orders.awaiting_lines_of(slot, &changed));
        self.orders.enter_work(slot);
        before
    }

    /// Enters what some lines of an order hold in the place of what they held.
    fn hold_in_place_of(&mut self, slot: u32, changed: &[u32], lines: Vec<LinePicks>) {
        let row = self.orders.rows.get(slot);
        let mut nodes: SmallVec<[(Place, u32); 4]> = SmallVec::new();
        changed.iter().for_each(|line| row.each_node_of(*line, |place, node| nodes.push((place, node))));
        let skus: SmallVec<[SkuId; 4]> = changed.iter().map(|line| row.line(*line).sku).collect();
        for (place, node) in nodes {
            self.strike_holder(place, node);
        }
        let mut held = Vec::new();
        for ((line, picks), sku) in lines.into_iter().zip(skus) {
            for pick in picks {
                let place = Place { location: pick.location, sku, lot: pick.lot };
                let node = self.enter_holder(place, HolderKind::Order, slot, line);
                held.push(HeldPick { pick, line, node });
            }
        }
        self.orders.rows.get_mut(slot).put_picks(changed, held);
    }

    fn insert_order(&mut self, id: &Code, hash: u64, order: Order) {
        let slot = self.orders.rows.next_slot();
        let placed = order.placed;
        let new = self.pack_order(id.clone(), order, slot);
        let orders = &mut self.orders;
        assert_eq!(orders.rows.insert(new), slot, "a row goes where it was said to go");
        orders.last = slot;
        orders.by_placed.insert(placed.0, slot, |_| &());
        let (rows, hasher) = (&orders.rows, &self.hasher);
        orders.index.insert(hash, slot, |slot| hasher.hash_one(&rows.get(slot).id));
        orders.enter(slot);
    }

    /// Packs an order, whose holders are entered under the slot that it will have.
    fn pack_order(&mut self, id: Code, order: Order, slot: u32) -> OrderRow {
        let mut node = |place, line| self.enter_holder(place, HolderKind::Order, slot, line);
        OrderRow::pack(id, order, &mut node)
    }

    fn strike_order_holders(&mut self, slot: u32) {
        let mut nodes: SmallVec<[(Place, u32); 4]> = SmallVec::new();
        self.orders.rows.get(slot).each_node(|place, node| nodes.push((place, node)));
        for (place, node) in nodes {
            self.strike_holder(place, node);
        }
    }

    /// The rows of orders, as [`Memory::rows`] tells them.
    pub(super) fn order_rows(&self) -> impl Iterator<Item = Row> + '_ {
        let orders = self.orders.rows.iter();
        let orders = orders.map(|(_, row)| Row::Order(row.id.clone(), Some(Box::new(row.unpack()))));
        let settings = self.orders.settings.iter();
        let settings = settings.map(|(site, setting)| Row::OrderSetting(*site, Some(*setting)));
        let unfilled = self.orders.unfilled.iter().map(|(site, sku)| Row::Unfilled(*site, *sku, true));
        settings.chain(orders).chain(unfilled)
    }
}
