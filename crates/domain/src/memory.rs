//! The tables in memory: what the embedded store decides on, and the plain model that others are held against.
//!
//! Rows live in slabs that never move and are found through sharded indexes, so that no table ever stops the
//! writer to grow. Orders that a reader could see come from codes or from the order of creation, never from a
//! hash.

mod list;
mod slab;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hash},
};

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::{
    Code, LocationId, LotId, Outside, Place, Quantity, Row, Sequence, SiteId, SkuId, Tables, Timestamp,
    row::{
        Answered, Filed, Filing, Gate, Head, Hold, HoldStatus, Holder, HolderKind, Line, Location,
        LocationKind, Lot, Position, Site, Sku, Transfer,
    },
};
use slab::{Index, Slab};

/// All rows, in memory.
#[derive(Default)]
pub struct Memory {
    head: Head,
    hasher: DefaultHashBuilder,
    sites: Vec<Site>,
    site_codes: HashMap<Code, SiteId>,
    locations: Vec<Location>,
    /// By site, in the order of creation.
    site_locations: Vec<Vec<LocationId>>,
    location_codes: Vec<HashMap<Code, LocationId>>,
    skus: Vec<Sku>,
    sku_codes: Index,
    lots: Vec<Lot>,
    /// By SKU, in the order of creation.
    sku_lots: HashMap<SkuId, SkuLots>,
    gates: Slab<GateRow>,
    gate_index: Index,
    positions: Slab<(Place, Position)>,
    position_index: Index,
    by_location: BTreeSet<Place>,
    outside: HashMap<(SkuId, Outside), i64>,
    holds: Slab<(Code, Hold)>,
    hold_index: Index,
    open_holds: u64,
    due: BTreeSet<(Timestamp, Code)>,
    transfers: Slab<TransferRow>,
    transfer_index: Index,
    holders: BTreeSet<(Place, HolderRef)>,
    filed: HashMap<Filing, Filed>,
    answered: HashMap<Code, Answered>,
    answered_order: BTreeMap<Sequence, Code>,
}

#[derive(Default)]
struct SkuLots {
    codes: HashMap<Code, LotId>,
    order: Vec<LotId>,
}

struct GateRow {
    site: SiteId,
    sku: SkuId,
    /// Missing where only positions are known: a state that lasts as long as one event.
    gate: Option<Gate>,
    /// Slots of this SKU's positions at this site.
    positions: SmallVec<[u32; 4]>,
}

struct TransferRow {
    id: Code,
    transfer: Transfer,
    lines: Vec<Line>,
    /// The lines' indexes in the order of their names.
    by_name: Vec<u32>,
}

/// A holder by its slot: kind, slot and line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct HolderRef {
    kind: HolderKind,
    slot: u32,
    line: u32,
}

impl Memory {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many holds are open.
    pub fn open_hold_count(&self) -> u64 {
        self.open_holds
    }

    /// How many positions have a row.
    pub fn position_count(&self) -> u64 {
        self.positions.len() as u64
    }

    /// When the first open hold lapses.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn sku_slot(&self, code: &Code) -> Option<u32> {
        self.sku_codes.find(self.hash(code), |slot| self.skus[slot as usize].code == *code)
    }

    fn gate_slot(&self, site: SiteId, sku: SkuId) -> Option<u32> {
        self.gate_index.find(self.hash(&(site, sku)), |slot| {
            let row = self.gates.get(slot);
            (row.site, row.sku) == (site, sku)
        })
    }

    /// The gate's slot; a new row where there is none.
    fn make_gate(&mut self, site: SiteId, sku: SkuId) -> u32 {
        if let Some(slot) = self.gate_slot(site, sku) {
            return slot;
        }
        let slot = self.gates.insert(GateRow { site, sku, gate: None, positions: SmallVec::new() });
        let (gates, hasher) = (&self.gates, &self.hasher);
        self.gate_index.insert(hasher.hash_one((site, sku)), slot, |slot| {
            let row = gates.get(slot);
            hasher.hash_one((row.site, row.sku))
        });
        slot
    }

    fn drop_gate_if_empty(&mut self, slot: u32) {
        let row = self.gates.get(slot);
        if row.gate.is_some() || !row.positions.is_empty() {
            return;
        }
        let hash = self.hash(&(row.site, row.sku));
        self.gate_index.remove(hash, slot);
        self.gates.remove(slot);
    }

    fn position_slot(&self, place: Place) -> Option<u32> {
        self.position_index.find(self.hash(&place), |slot| self.positions.get(slot).0 == place)
    }

    fn hold_slot(&self, id: &Code) -> Option<u32> {
        self.hold_index.find(self.hash(id), |slot| self.holds.get(slot).0 == *id)
    }

    fn transfer_slot(&self, id: &Code) -> Option<u32> {
        self.transfer_index.find(self.hash(id), |slot| self.transfers.get(slot).id == *id)
    }

    fn transfer_row(&self, id: &Code) -> &TransferRow {
        self.transfers.get(self.transfer_slot(id).expect("the transfer is there"))
    }

    fn put_site(&mut self, id: SiteId, row: Option<Box<Site>>) -> Option<Box<Site>> {
        let Some(row) = row else {
            // Only the last site can be taken back: numbers are handed out in order.
            let row = self.sites.pop().expect("there was a site");
            self.site_codes.remove(&row.code);
            self.site_locations.pop();
            self.location_codes.pop();
            return Some(Box::new(row));
        };
        if id.index() < self.sites.len() {
            return Some(Box::new(std::mem::replace(&mut self.sites[id.index()], *row)));
        }
        assert_eq!(id.index(), self.sites.len(), "numbers are handed out in order");
        self.site_codes.insert(row.code.clone(), id);
        self.sites.push(*row);
        self.site_locations.push(Vec::new());
        self.location_codes.push(HashMap::new());
        None
    }

    fn put_location(&mut self, id: LocationId, row: Option<Box<Location>>) -> Option<Box<Location>> {
        let Some(row) = row else {
            let row = self.locations.pop().expect("there was a location");
            self.site_locations[row.site.index()].pop();
            self.location_codes[row.site.index()].remove(&row.code);
            return Some(Box::new(row));
        };
        if id.index() < self.locations.len() {
            return Some(Box::new(std::mem::replace(&mut self.locations[id.index()], *row)));
        }
        assert_eq!(id.index(), self.locations.len(), "numbers are handed out in order");
        self.site_locations[row.site.index()].push(id);
        self.location_codes[row.site.index()].insert(row.code.clone(), id);
        self.locations.push(*row);
        None
    }

    fn put_sku(&mut self, id: SkuId, row: Option<Box<Sku>>) -> Option<Box<Sku>> {
        let Some(row) = row else {
            let row = self.skus.pop().expect("there was a SKU");
            let hash = self.hash(&row.code);
            self.sku_codes.remove(hash, id.0);
            return Some(Box::new(row));
        };
        if id.index() < self.skus.len() {
            return Some(Box::new(std::mem::replace(&mut self.skus[id.index()], *row)));
        }
        assert_eq!(id.index(), self.skus.len(), "numbers are handed out in order");
        self.skus.push(*row);
        let (skus, hasher) = (&self.skus, &self.hasher);
        self.sku_codes.insert(hasher.hash_one(&skus[id.index()].code), id.0, |slot| {
            hasher.hash_one(&skus[slot as usize].code)
        });
        None
    }

    fn put_lot(&mut self, id: LotId, row: Option<Box<Lot>>) -> Option<Box<Lot>> {
        let at = id.index() - 1;
        let Some(row) = row else {
            let row = self.lots.pop().expect("there was a lot");
            let lots = self.sku_lots.get_mut(&row.sku).expect("the lot's SKU has lots");
            lots.codes.remove(&row.code);
            lots.order.pop();
            if lots.order.is_empty() {
                self.sku_lots.remove(&row.sku);
            }
            return Some(Box::new(row));
        };
        if at < self.lots.len() {
            return Some(Box::new(std::mem::replace(&mut self.lots[at], *row)));
        }
        assert_eq!(at, self.lots.len(), "numbers are handed out in order");
        let lots = self.sku_lots.entry(row.sku).or_default();
        lots.codes.insert(row.code.clone(), id);
        lots.order.push(id);
        self.lots.push(*row);
        None
    }

    fn put_gate(&mut self, site: SiteId, sku: SkuId, gate: Option<Gate>) -> Option<Gate> {
        let slot = self.make_gate(site, sku);
        let before = std::mem::replace(&mut self.gates.get_mut(slot).gate, gate);
        self.drop_gate_if_empty(slot);
        before
    }

    fn put_position(&mut self, place: Place, position: Option<Position>) -> Option<Position> {
        let found = self.position_slot(place);
        match (found, position) {
            (Some(slot), Some(position)) => {
                Some(std::mem::replace(&mut self.positions.get_mut(slot).1, position))
            }
            (None, None) => None,
            (None, Some(position)) => {
                let slot = self.positions.insert((place, position));
                let (positions, hasher) = (&self.positions, &self.hasher);
                self.position_index
                    .insert(hasher.hash_one(place), slot, |slot| hasher.hash_one(positions.get(slot).0));
                let gate = self.make_gate(self.locations[place.location.index()].site, place.sku);
                self.gates.get_mut(gate).positions.push(slot);
                self.by_location.insert(place);
                None
            }
            (Some(slot), None) => {
                let hash = self.hash(&place);
                self.position_index.remove(hash, slot);
                let gate = self.make_gate(self.locations[place.location.index()].site, place.sku);
                self.gates.get_mut(gate).positions.retain(|other| *other != slot);
                self.drop_gate_if_empty(gate);
                self.by_location.remove(&place);
                Some(self.positions.remove(slot).1)
            }
        }
    }

    fn put_hold(&mut self, id: &Code, hold: Option<Hold>) -> Option<Hold> {
        let found = self.hold_slot(id);
        if let Some(slot) = found {
            self.index_hold(slot, false);
        }
        let (slot, before) = match (found, hold) {
            (Some(slot), Some(hold)) => {
                let before = std::mem::replace(&mut self.holds.get_mut(slot).1, hold);
                (slot, Some(before))
            }
            (None, None) => return None,
            (None, Some(hold)) => {
                let slot = self.holds.insert((id.clone(), hold));
                let (holds, hasher) = (&self.holds, &self.hasher);
                self.hold_index.insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&holds.get(slot).0));
                (slot, None)
            }
            (Some(slot), None) => {
                let hash = self.hash(id);
                self.hold_index.remove(hash, slot);
                return Some(self.holds.remove(slot).1);
            }
        };
        self.index_hold(slot, true);
        before
    }

    /// Enters a hold into the indexes of holders and of what is due, or strikes it out.
    fn index_hold(&mut self, slot: u32, enter: bool) {
        let (id, hold) = self.holds.get(slot);
        if hold.status != HoldStatus::Held {
            return;
        }
        self.open_holds = if enter { self.open_holds + 1 } else { self.open_holds - 1 };
        for (line, number) in hold.lines.iter().zip(0..) {
            for pick in &line.picks {
                let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                let holder = HolderRef { kind: HolderKind::Hold, slot, line: number };
                set(&mut self.holders, (place, holder), enter);
            }
        }
        if let Some(at) = hold.expires_at {
            set(&mut self.due, (at, id.clone()), enter);
        }
    }

    fn put_transfer(&mut self, id: &Code, transfer: Option<Box<Transfer>>) -> Option<Box<Transfer>> {
        match (self.transfer_slot(id), transfer) {
            (Some(slot), Some(transfer)) => {
                Some(Box::new(std::mem::replace(&mut self.transfers.get_mut(slot).transfer, *transfer)))
            }
            (None, None) => None,
            (None, Some(transfer)) => {
                let row = TransferRow {
                    id: id.clone(),
                    transfer: *transfer,
                    lines: Vec::new(),
                    by_name: Vec::new(),
                };
                let slot = self.transfers.insert(row);
                let (transfers, hasher) = (&self.transfers, &self.hasher);
                self.transfer_index
                    .insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&transfers.get(slot).id));
                None
            }
            (Some(slot), None) => {
                let hash = self.hash(id);
                self.transfer_index.remove(hash, slot);
                Some(Box::new(self.transfers.remove(slot).transfer))
            }
        }
    }

    fn put_lines(&mut self, id: &Code, lines: Option<Vec<Line>>) -> Option<Vec<Line>> {
        let slot = self.transfer_slot(id).expect("a transfer comes before its lines");
        let count = u32::try_from(self.transfers.get(slot).lines.len()).expect("LINES_MAX fits a u32");
        for line in 0..count {
            self.index_line(slot, line, false);
        }
        let row = self.transfers.get_mut(slot);
        let before = std::mem::replace(&mut row.lines, lines.unwrap_or_default());
        let count = u32::try_from(row.lines.len()).expect("LINES_MAX fits a u32");
        row.by_name = (0..count).collect();
        let TransferRow { lines, by_name, .. } = row;
        by_name.sort_unstable_by(|a, b| lines[*a as usize].name.cmp(&lines[*b as usize].name));
        for line in 0..count {
            self.index_line(slot, line, true);
        }
        (!before.is_empty()).then_some(before)
    }

    fn put_line(&mut self, id: &Code, line: u32, row: Line) -> Line {
        let slot = self.transfer_slot(id).expect("a line's transfer is there");
        self.index_line(slot, line, false);
        let before = std::mem::replace(&mut self.transfers.get_mut(slot).lines[line as usize], row);
        self.index_line(slot, line, true);
        before
    }

    fn index_line(&mut self, slot: u32, number: u32, enter: bool) {
        let line = &self.transfers.get(slot).lines[number as usize];
        let holder = HolderRef { kind: HolderKind::Transfer, slot, line: number };
        let picks = line.picks.iter().map(|pick| (pick.location, pick.lot));
        let staged = line.staged.iter().map(|staged| (staged.staging, staged.lot));
        for (location, lot) in picks.chain(staged) {
            set(&mut self.holders, (Place { location, sku: line.sku, lot }, holder), enter);
        }
    }

    fn put_answered(&mut self, key: &Code, answered: Option<Answered>) -> Option<Answered> {
        let before = match answered {
            Some(answered) => {
                self.answered_order.insert(answered.sequence, key.clone());
                self.answered.insert(key.clone(), answered)
            }
            None => self.answered.remove(key),
        };
        if let Some(before) = before {
            self.answered_order.remove(&before.sequence);
        }
        before
    }

    /// How much a holder has at a place.
    fn held_at(&self, place: Place, holder: HolderRef) -> (Code, Quantity) {
        let here = |location: LocationId, lot: LotId| (location, lot) == (place.location, place.lot);
        match holder.kind {
            HolderKind::Hold => {
                let (id, hold) = self.holds.get(holder.slot);
                let picks = hold.lines[holder.line as usize].picks.iter();
                let sum = picks.filter(|pick| here(pick.location, pick.lot)).map(|pick| pick.quantity).sum();
                (id.clone(), sum)
            }
            HolderKind::Transfer => {
                let row = self.transfers.get(holder.slot);
                let line = &row.lines[holder.line as usize];
                let picks = line.picks.iter().filter(|pick| here(pick.location, pick.lot));
                let staged = line.staged.iter().filter(|staged| here(staged.staging, staged.lot));
                let sum = picks.map(|pick| pick.quantity).chain(staged.map(|staged| staged.quantity)).sum();
                (row.id.clone(), sum)
            }
        }
    }

    /// Every row, so that putting them one after the other into empty tables rebuilds these. The order among
    /// rows of a kind is not said.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let sites =
            self.sites.iter().zip(0..).map(|(row, id)| Row::Site(SiteId(id), Some(Box::new(row.clone()))));
        let locations = self
            .locations
            .iter()
            .zip(0..)
            .map(|(row, id)| Row::Location(LocationId(id), Some(Box::new(row.clone()))));
        let skus =
            self.skus.iter().zip(0..).map(|(row, id)| Row::Sku(SkuId(id), Some(Box::new(row.clone()))));
        let lots =
            self.lots.iter().zip(1..).map(|(row, id)| Row::Lot(LotId(id), Some(Box::new(row.clone()))));
        let gates = self.gates.iter().map(|(_, row)| Row::Gate(row.site, row.sku, row.gate));
        let positions = self.positions.iter().map(|(_, (place, row))| Row::Position(*place, Some(*row)));
        let outside =
            self.outside.iter().map(|((sku, outside), balance)| Row::Outside(*sku, *outside, *balance));
        let holds = self.holds.iter().map(|(_, (id, row))| Row::Hold(id.clone(), Some(row.clone())));
        let transfers = self.transfers.iter().flat_map(|(_, row)| {
            [
                Row::Transfer(row.id.clone(), Some(Box::new(row.transfer.clone()))),
                Row::Lines(row.id.clone(), Some(row.lines.clone())),
            ]
        });
        let filed = self.filed.iter().map(|(filing, filed)| Row::Filed(filing.clone(), Some(*filed)));
        let answered =
            self.answered_order.values().map(|key| Row::Answered(key.clone(), Some(self.answered[key])));
        std::iter::once(Row::Head(self.head))
            .chain(sites)
            .chain(locations)
            .chain(skus)
            .chain(lots)
            .chain(gates)
            .chain(positions)
            .chain(outside)
            .chain(holds)
            .chain(transfers)
            .chain(filed)
            .chain(answered)
    }
}

fn set<T: Ord>(set: &mut BTreeSet<T>, item: T, enter: bool) {
    if enter {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

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
        let first = Place { location, sku: SkuId(0), lot: LotId::NONE };
        self.by_location.range(first..).next().is_some_and(|place| place.location == location)
    }

    fn sku_id(&self, code: &Code) -> Option<SkuId> {
        self.sku_slot(code).map(SkuId)
    }

    fn sku(&self, sku: SkuId) -> &Sku {
        &self.skus[sku.index()]
    }

    fn lot_id(&self, sku: SkuId, code: &Code) -> Option<LotId> {
        self.sku_lots.get(&sku)?.codes.get(code).copied()
    }

    fn lot(&self, lot: LotId) -> &Lot {
        &self.lots[lot.index() - 1]
    }

    fn gate(&self, site: SiteId, sku: SkuId) -> Option<Gate> {
        self.gates.get(self.gate_slot(site, sku)?).gate
    }

    fn position(&self, place: Place) -> Option<Position> {
        self.position_slot(place).map(|slot| self.positions.get(slot).1)
    }

    fn positions(&self, site: SiteId, sku: SkuId) -> impl Iterator<Item = (Place, Position)> {
        let slots = self.gate_slot(site, sku).map(|slot| &self.gates.get(slot).positions);
        slots.into_iter().flatten().map(|slot| *self.positions.get(*slot))
    }

    fn holders(&self, place: Place) -> Vec<(Holder, Quantity)> {
        let first = HolderRef { kind: HolderKind::Hold, slot: 0, line: 0 };
        let here = self.holders.range((place, first)..).take_while(|(other, _)| *other == place);
        let mut holders: Vec<_> = here
            .map(|(_, holder)| {
                let (id, quantity) = self.held_at(place, *holder);
                (Holder { kind: holder.kind, id, line: holder.line }, quantity)
            })
            .collect();
        holders.sort_unstable();
        holders
    }

    fn outside(&self, sku: SkuId, outside: Outside) -> i64 {
        self.outside.get(&(sku, outside)).copied().unwrap_or_default()
    }

    fn hold(&self, id: &Code) -> Option<Hold> {
        self.hold_slot(id).map(|slot| self.holds.get(slot).1.clone())
    }

    fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).cloned().collect()
    }

    fn transfer(&self, id: &Code) -> Option<Transfer> {
        self.transfer_slot(id).map(|slot| self.transfers.get(slot).transfer.clone())
    }

    fn line(&self, transfer: &Code, line: u32) -> Line {
        self.transfer_row(transfer).lines[line as usize].clone()
    }

    fn line_named(&self, transfer: &Code, name: &Code) -> Option<u32> {
        let row = self.transfer_row(transfer);
        let at = row.by_name.binary_search_by(|line| row.lines[*line as usize].name.cmp(name)).ok()?;
        Some(row.by_name[at])
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
                let before = if balance == 0 {
                    self.outside.remove(&(sku, outside))
                } else {
                    self.outside.insert((sku, outside), balance)
                };
                Row::Outside(sku, outside, before.unwrap_or_default())
            }
            Row::Hold(id, hold) => {
                let before = self.put_hold(&id, hold);
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
        }
    }
}
