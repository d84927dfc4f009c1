//! The obvious version of orders: which have not ended, who works on them, and who waits in which order.

use std::collections::{BTreeMap, BTreeSet};

use jaego_domain::{
    Code, Event, Fact, LotId, Memory, Sequence, SiteId, SkuId, Tables, Timestamp, WaitingBy, chance,
    event::{FilledOrder, OrderedLine},
    row::OrderAllocation,
};

/// By order and index of its line: what it holds.
pub(super) type HeldLines = BTreeMap<(Code, u32), u64>;

#[derive(Default)]
pub(super) struct Orders {
    live: BTreeMap<Code, Live>,
    allocations: BTreeMap<SiteId, OrderAllocation>,
}

struct Live {
    site: SiteId,
    priority: u32,
    placed: Sequence,
    backorder: bool,
    awaits_stock: bool,
    lines: Vec<Line>,
    /// The worker, the fence, and until when.
    claim: Option<(Code, Sequence, Timestamp)>,
}

struct Line {
    sku: SkuId,
    lot: Option<LotId>,
    quantity: u64,
}

impl Orders {
    pub(super) fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::OrderAllocationSet { site, allocation, .. } => {
                self.allocations.insert(*site, *allocation);
            }
            Fact::OrderPlaced { id, site, priority, backorder, awaits_stock, lines, .. } => {
                let order = Live::new(*site, *priority, event.sequence, lines);
                let order = Live { backorder: *backorder, awaits_stock: *awaits_stock, ..order };
                assert!(self.live.insert(id.clone(), order).is_none(), "{id} is new");
            }
            Fact::CartOrdered { order: id, site, lines, .. } => {
                let order = Live::new(*site, 0, event.sequence, lines);
                assert!(self.live.insert(id.clone(), order).is_none(), "{id} is new");
            }
            Fact::OrderAllocated { id, .. } | Fact::OrderReallocated { id, .. } => {
                let order = self.order(id);
                order.awaits_stock = order.backorder;
            }
            Fact::OrderClaimed { id, worker, expires_at } => {
                self.claim(id, worker, event.sequence, *expires_at);
            }
            Fact::OrdersClaimed { worker, expires_at, ids } => {
                ids.iter().for_each(|id| self.claim(id, worker, event.sequence, *expires_at));
            }
            Fact::ClaimExtended { id, fence, expires_at } => {
                let claim = self.order(id).claim.as_mut().expect("what is extended was claimed");
                assert_eq!(claim.1, *fence, "an extension keeps the fence");
                claim.2 = *expires_at;
            }
            Fact::OrderUnclaimed { id, worker } => {
                let claim = self.order(id).claim.take().expect("it was claimed");
                assert_eq!(claim.0, *worker, "only its worker gives it back");
            }
            Fact::ClaimsLapsed { ids } => {
                for id in ids {
                    let claim = self.order(id).claim.take().expect("what lapses was claimed");
                    assert!(claim.2 <= event.at, "a claim stands until its time");
                }
            }
            Fact::OrderCompleted { id, .. }
            | Fact::OrderCancelled { id, .. }
            | Fact::SaleCancelled { id, .. } => {
                self.live.remove(id).expect("an order ends once");
            }
            _ => {}
        }
    }

    fn order(&mut self, id: &Code) -> &mut Live {
        self.live.get_mut(id).expect("only orders that have not ended are changed")
    }

    fn claim(&mut self, id: &Code, worker: &Code, fence: Sequence, expires_at: Timestamp) {
        let before = self.order(id).claim.replace((worker.clone(), fence, expires_at));
        assert_eq!(before, None, "no two workers ever hold the same order");
    }

    pub(super) fn allocation(&self, site: SiteId) -> OrderAllocation {
        self.allocations.get(&site).copied().unwrap_or_default()
    }

    /// Orders that a claim of the next ones can give out, by priority or else by age.
    pub(super) fn in_line(&self, site: SiteId, by_priority: bool, held: &HeldLines) -> Vec<Code> {
        let takes_all = self.allocation(site) == OrderAllocation::AtCompletion;
        let here = self.live.iter().filter(|(id, order)| {
            let waits = order.site == site && order.claim.is_none();
            waits && (takes_all || order.lacking(id, held).next().is_none())
        });
        let mut here: Vec<_> = here.collect();
        here.sort_by_key(|(_, order)| {
            (u32::MAX - if by_priority { order.priority } else { 0 }, order.placed)
        });
        here.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// No line gets of a lot while one that comes before it and may take it lacks something. No order here has as many picks
    /// as it may have.
    pub(super) fn nobody_is_passed_over(&self, filled: &[FilledOrder], held: &HeldLines) {
        for (id, take) in filled.iter().flat_map(|one| one.takes.iter().map(|take| (&one.order, take))) {
            let order = &self.live[id];
            for (other, before) in self.live.iter().filter(|(_, other)| other.site == order.site) {
                let may_take =
                    |line: &Line| line.sku == take.sku && line.lot.is_none_or(|lot| lot == take.lot);
                let mut waits = before.lacking(other, held).filter(|_| before.awaits_stock);
                let passed_over = waits
                    .find(|(number, line, _)| may_take(line) && before.rank(*number) < order.rank(take.line));
                if let Some((number, _, lacks)) = passed_over {
                    panic!("{id} gets {take:?}, and line {number} of {other} before it still lacks {lacks}");
                }
            }
        }
    }

    /// Compares the claims, and everything that waits: for workers, in each of the three orders, and for stock.
    pub(super) fn agrees(&self, memory: &Memory, held: &HeldLines) -> Result<(), String> {
        for (id, order) in &self.live {
            let row = memory.order(id).ok_or_else(|| format!("{id} has not ended, and is gone"))?;
            let theirs = row.claim.map(|claim| (claim.worker, claim.fence, claim.expires_at));
            if theirs != order.claim {
                return Err(format!(
                    "{id}: the events say {:?} works on it, the tables {theirs:?}",
                    order.claim
                ));
            }
        }
        let claimed = self.live.values().filter(|order| order.claim.is_some()).count() as u64;
        let waiting = self.live.len() as u64 - claimed;
        let theirs = (memory.counts().waiting_orders, memory.counts().claimed_orders);
        if theirs != (waiting, claimed) {
            return Err(format!(
                "{waiting} orders wait and {claimed} are claimed, the tables say {theirs:?}"
            ));
        }
        let awaiting = self.live.iter().filter(|(_, order)| order.awaits_stock);
        let lines: usize = awaiting.map(|(id, order)| order.lacking(id, held).count()).sum();
        if memory.counts().waiting_lines != lines as u64 {
            return Err(format!("{lines} lines wait for stock, the tables say {:?}", memory.counts()));
        }
        let sites: BTreeSet<SiteId> = self.live.values().map(|order| order.site).collect();
        for site in sites {
            for allocated in [false, true] {
                self.agrees_on_work(memory, held, site, allocated)?;
            }
            self.agrees_on_wants(memory, held, site)?;
        }
        Ok(())
    }

    fn agrees_on_work(
        &self,
        memory: &Memory,
        held: &HeldLines,
        site: SiteId,
        allocated: bool,
    ) -> Result<(), String> {
        let here = self.live.iter().filter(|(id, order)| {
            let waits = order.site == site && order.claim.is_none();
            waits && order.lacking(id, held).next().is_none() == allocated
        });
        let here: Vec<_> = here.collect();
        for by in [WaitingBy::Age, WaitingBy::Priority, WaitingBy::Chance(0x1234_5678_9abc_def1)] {
            let mut ours = here.clone();
            ours.sort_by_key(|(_, order)| {
                let rank = match by {
                    WaitingBy::Age => 0,
                    WaitingBy::Priority => u64::from(u32::MAX - order.priority),
                    WaitingBy::Chance(from) | WaitingBy::Neighbour(from) => {
                        chance(order.placed).wrapping_sub(from)
                    }
                };
                (rank, order.placed)
            });
            let ours: Vec<&Code> = ours.into_iter().map(|(id, _)| id).collect();
            let theirs: Vec<Code> = memory.waiting(site, allocated, by).map(|one| one.order).collect();
            if !ours.iter().copied().eq(&theirs) {
                return Err(format!(
                    "{ours:?} wait (allocated: {allocated}) {by:?}, the tables say {theirs:?}"
                ));
            }
        }
        Ok(())
    }

    /// Who gets what arrives: by priority, then by age, those who want any lot and those who want one apart.
    fn agrees_on_wants(&self, memory: &Memory, held: &HeldLines, site: SiteId) -> Result<(), String> {
        let mut wants: BTreeMap<(SkuId, Option<LotId>), Vec<_>> = BTreeMap::new();
        for (id, order) in self.live.iter().filter(|(_, order)| order.site == site) {
            // Those that wait for nothing any more stand in no queue, and are looked for all the same.
            for line in &order.lines {
                wants.entry((line.sku, line.lot)).or_default();
            }
            for (number, line, lacks) in order.lacking(id, held).filter(|_| order.awaits_stock) {
                let rank = order.rank(number);
                wants.entry((line.sku, line.lot)).or_default().push((rank, id.clone(), lacks));
            }
        }
        for ((sku, lot), mut ours) in wants {
            ours.sort_by_key(|(rank, ..)| *rank);
            let ours: Vec<_> = ours.into_iter().map(|((_, _, line), id, lacks)| (id, line, lacks)).collect();
            let theirs = memory.awaiting(site, sku, lot).map(|one| (one.order, one.line, one.lacks.get()));
            let theirs: Vec<_> = theirs.collect();
            if ours != theirs {
                return Err(format!("{ours:?} wait for {sku:?} {lot:?}, the tables say {theirs:?}"));
            }
        }
        Ok(())
    }
}

impl Live {
    fn new(site: SiteId, priority: u32, placed: Sequence, lines: &[OrderedLine]) -> Self {
        let line = |line: &OrderedLine| Line { sku: line.sku, lot: line.lot, quantity: line.quantity.get() };
        Self {
            site,
            priority,
            placed,
            backorder: false,
            awaits_stock: false,
            lines: lines.iter().map(line).collect(),
            claim: None,
        }
    }

    /// Where a line of it stands among those that wait for stock: smaller is sooner.
    fn rank(&self, line: u32) -> (u32, Sequence, u32) {
        (u32::MAX - self.priority, self.placed, line)
    }

    /// The lines that hold less than they ask for: their index, themselves, and how much less.
    fn lacking(&self, id: &Code, held: &HeldLines) -> impl Iterator<Item = (u32, &Line, u64)> {
        self.lines.iter().zip(0..).filter_map(move |(line, number)| {
            let lacks = line.quantity - held.get(&(id.clone(), number)).copied().unwrap_or(0);
            (lacks > 0).then_some((number, line, lacks))
        })
    }
}
