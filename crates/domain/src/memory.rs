//! The tables in memory: what the embedded store decides on, and the plain model that others are held against.
//!
//! Positions, documents and wallets live in slabs that never move and are found through sharded indexes, so that these
//! tables never stop the writer to grow. Every order that a reader could see comes from codes or from the order of
//! creation, never from a hash.

mod carts;
mod hold_row;
mod list;
mod order_row;
mod orders;
mod picking;
mod places;
mod queue;
mod rest;
mod slab;
mod trades;
mod wallets;
mod warm;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, Hash},
};

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::{
    Amount, Awaiting, Code, Currency, LocationId, LotId, MoneyOutside, Name, Outside, PickWork, PickWorkId,
    Place, Quantity, Row, Sequence, SiteId, SkuId, Tables, Timestamp, Waiting, WaitingBy,
    row::{
        Answered, Authorization, Card, Cart, Fence, Filed, Filing, Gate, Head, Hold, HoldStatus, Holder,
        HolderKind, Line, Location, LocationKind, Lot, Order, OrderSetting, Position, PriceTiers, Proposal,
        Sale, Site, Sku, Transfer, Wallet,
    },
};
use carts::Carts;
use hold_row::{HoldRow, Links};
use orders::Orders;
use picking::{Picking, Works};
use places::{Balances, Entry, GateRow, Marks, PositionRow};
use slab::{Index, Slab};
use trades::Trades;
use wallets::Wallets;
pub use warm::WARM_MAX;

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
    skus: Vec<SkuRow>,
    sku_codes: Index,
    lots: Vec<Lot>,
    /// By SKU, in the order of creation.
    sku_lots: HashMap<SkuId, SkuLots>,
    gates: Slab<GateRow>,
    /// The places of gates that have more than one.
    crowds: Slab<Vec<Entry>>,
    /// Safety levels that are not zero: few SKUs are watched.
    safety_levels: HashMap<(SiteId, SkuId), Quantity>,
    positions: Slab<PositionRow>,
    /// What is missing somewhere: little ever is.
    missing: HashMap<Place, Quantity>,
    /// Which SKUs lie where.
    by_location: BTreeSet<(LocationId, SkuId)>,
    holds: Slab<HoldRow>,
    hold_index: Index,
    open_holds: u64,
    due: BTreeSet<(Timestamp, Code)>,
    transfers: Slab<TransferRow>,
    transfer_index: Index,
    /// In the order in which they were requested: how they are listed.
    by_request: BTreeMap<Sequence, u32>,
    /// Who holds what where: a list for each place, whose first node stands in its gate.
    nodes: Slab<Node>,
    filed: HashMap<Filing, Filed>,
    answered: HashMap<Code, Answered>,
    answered_order: BTreeMap<Sequence, Code>,
    wallets: Wallets,
    orders: Orders,
    fences: BTreeMap<Code, Fence>,
    trades: Trades,
    picking: Picking,
    carts: Carts,
}

#[derive(Default)]
struct SkuLots {
    codes: HashMap<Code, LotId>,
    order: Vec<LotId>,
}

/// A SKU, and where its gates are: whoever found the SKU needs no second look-up.
struct SkuRow {
    row: Sku,
    gates: SmallVec<[(SiteId, u32); 2]>,
    /// What its outside accounts hold.
    outside: Balances,
}

/// No slot.
const NOWHERE: u32 = u32::MAX;

struct TransferRow {
    id: Code,
    transfer: Transfer,
    lines: Vec<LineRow>,
    /// The lines' indexes in the order of their names.
    by_name: Vec<u32>,
    works: Works,
}

struct LineRow {
    line: Line,
    /// The nodes of what it holds: picks first, then what is staged.
    nodes: Vec<u32>,
}

impl LineRow {
    /// Whether a node is the first of those that the line has at a place.
    fn is_first_at(&self, place: Place, node: u32) -> bool {
        let mut places = held_places(&self.line).into_iter().zip(&self.nodes);
        places.find(|(at, _)| *at == place).is_some_and(|(_, first)| *first == node)
    }
}

/// A holder in the list of a place. A hold of one line and one pick has its links in its own row, and no node.
#[derive(Clone, Copy)]
struct Node {
    kind: HolderKind,
    slot: u32,
    line: u32,
    links: Links,
}

/// Set in the number of a holder that is a hold's slot; otherwise it is a node's. [`NOWHERE`] is neither.
const PLAIN: u32 = 1 << 31;

/// The hold's slot, if a holder is a plain hold.
fn plain(holder: u32) -> Option<u32> {
    (holder & PLAIN != 0).then_some(holder & !PLAIN)
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

    /// How many wallets there are.
    pub fn wallet_count(&self) -> u64 {
        self.wallets.len() as u64
    }

    /// How many cards there are.
    pub fn card_count(&self) -> u64 {
        self.trades.card_count() as u64
    }

    /// How many proposals are open, on all cards.
    pub fn open_proposal_total(&self) -> u64 {
        self.trades.open_count()
    }

    /// How many positions have a row.
    pub fn position_count(&self) -> u64 {
        self.positions.len() as u64
    }

    /// What lies somewhere, from this place on, in the order of places.
    pub fn positions_from(&self, from: Place) -> impl Iterator<Item = (Place, Position)> + '_ {
        let skus = self.by_location.range((from.location, from.sku)..);
        skus.flat_map(|(location, sku)| self.lots_at(*location, *sku))
            .skip_while(move |(place, _)| *place < from)
    }

    /// What lies of a SKU at a location, in the order of its lots.
    fn lots_at(&self, location: LocationId, sku: SkuId) -> impl Iterator<Item = (Place, Position)> + '_ {
        let site = self.locations[location.index()].site;
        let places = self.gate_slot(site, sku).map_or(&[][..], |slot| self.places(self.gates.get(slot)));
        let first = places.partition_point(|entry| entry.location < location);
        let here = places[first..].iter().take_while(move |entry| entry.location == location);
        here.filter(|entry| entry.position != NOWHERE)
            .map(|entry| self.unpack_position(self.positions.get(entry.position)))
    }

    fn places<'a>(&'a self, gate: &'a GateRow) -> &'a [Entry] {
        gate.places.get(&self.crowds)
    }

    fn unpack_position(&self, row: &PositionRow) -> (Place, Position) {
        row.unpack(|place| self.missing.get(&place).copied().unwrap_or_default())
    }

    /// When the first open hold, claim or cart lapses.
    pub fn next_due(&self) -> Option<Timestamp> {
        let hold = self.due.first().map(|(at, _)| *at);
        hold.into_iter()
            .chain(self.orders.next_due())
            .chain(self.picking.next_due())
            .chain(self.carts.next_due())
            .min()
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn sku_slot(&self, code: &Code) -> Option<u32> {
        self.sku_codes.find(self.hash(code), |slot| self.skus[slot as usize].row.code == *code)
    }

    fn gate_slot(&self, site: SiteId, sku: SkuId) -> Option<u32> {
        self.skus[sku.index()].gates.iter().find(|(other, _)| *other == site).map(|(_, slot)| *slot)
    }

    /// The gate's slot; a new row where there is none.
    fn make_gate(&mut self, site: SiteId, sku: SkuId) -> u32 {
        if let Some(slot) = self.gate_slot(site, sku) {
            return slot;
        }
        let slot = self.gates.insert(GateRow::new(site, sku));
        self.skus[sku.index()].gates.push((site, slot));
        slot
    }

    fn drop_gate_if_empty(&mut self, slot: u32) {
        let row = self.gates.get(slot);
        if row.marks.is_some() || !row.places.is_empty() {
            return;
        }
        self.skus[row.sku.index()].gates.retain(|(_, other)| *other != slot);
        self.gates.remove(slot);
    }

    fn site_of(&self, place: Place) -> SiteId {
        self.locations[place.location.index()].site
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        let gate = self.gates.get(self.gate_slot(self.site_of(place), place.sku)?);
        let places = self.places(gate);
        places::find(places, place).ok().map(|at| &places[at])
    }

    /// Changes the entry of a place, which begins and ends with what it names.
    fn change_entry(&mut self, place: Place, change: impl FnOnce(&mut Entry)) {
        let slot = self.make_gate(self.site_of(place), place.sku);
        let (places, crowds) = (&mut self.gates.get_mut(slot).places, &mut self.crowds);
        let at = match places::find(places.get(crowds), place) {
            Ok(at) => at,
            Err(at) => {
                let Place { location, lot, .. } = place;
                places.insert(at, Entry { location, lot, position: NOWHERE, holder: NOWHERE }, crowds);
                at
            }
        };
        let entry = places.get_mut(at, crowds);
        change(entry);
        if (entry.position, entry.holder) == (NOWHERE, NOWHERE) {
            places.remove(at, crowds);
            self.drop_gate_if_empty(slot);
        }
    }

    fn position_slot(&self, place: Place) -> Option<u32> {
        self.entry(place).map(|entry| entry.position).filter(|slot| *slot != NOWHERE)
    }

    fn links(&self, holder: u32) -> Links {
        match plain(holder) {
            Some(slot) => self.holds.get(slot).links(),
            None => self.nodes.get(holder).links,
        }
    }

    fn links_mut(&mut self, holder: u32) -> &mut Links {
        match plain(holder) {
            Some(slot) => self.holds.get_mut(slot).links_mut(),
            None => &mut self.nodes.get_mut(holder).links,
        }
    }

    /// A holder by what it is known by in the list of a place.
    fn holder(&self, holder: u32) -> Node {
        match plain(holder) {
            Some(slot) => Node { kind: HolderKind::Hold, slot, line: 0, links: self.holds.get(slot).links() },
            None => *self.nodes.get(holder),
        }
    }

    /// Enters a holder at a place, and gives the node that it is known by.
    fn enter_holder(&mut self, place: Place, kind: HolderKind, slot: u32, line: u32) -> u32 {
        let node = self.nodes.insert(Node { kind, slot, line, links: Links::NONE });
        assert!(node < PLAIN, "there are fewer than 2^31 holders");
        self.link_holder(place, node);
        node
    }

    /// Puts a holder, whose row or node is there, first in the list of a place.
    fn link_holder(&mut self, place: Place, holder: u32) {
        let mut next = NOWHERE;
        self.change_entry(place, |entry| next = std::mem::replace(&mut entry.holder, holder));
        *self.links_mut(holder) = Links { next, previous: NOWHERE };
        if next != NOWHERE {
            self.links_mut(next).previous = holder;
        }
    }

    /// Strikes a holder out at a place.
    fn strike_holder(&mut self, place: Place, holder: u32) {
        let Links { next, previous } = self.links(holder);
        if plain(holder).is_none() {
            self.nodes.remove(holder);
        }
        if next != NOWHERE {
            self.links_mut(next).previous = previous;
        }
        if previous == NOWHERE {
            self.change_entry(place, |entry| entry.holder = next);
        } else {
            self.links_mut(previous).next = next;
        }
    }

    /// How much the line of a node holds at a place.
    fn quantity_at(&self, node: &Node, place: Place) -> Quantity {
        match node.kind {
            HolderKind::Hold => self.holds.get(node.slot).held_at(node.line, place.location, place.lot),
            HolderKind::Order => {
                self.orders.rows.get(node.slot).held_at(node.line, place.location, place.lot)
            }
            HolderKind::Cart => self.carts.rows.get(node.slot).held_at(place.sku, place.location, place.lot),
            HolderKind::Transfer => {
                let here = |location: LocationId, lot: LotId| (location, lot) == (place.location, place.lot);
                let line = &self.transfers.get(node.slot).lines[node.line as usize].line;
                let picks = line.picks.iter().filter(|pick| here(pick.location, pick.lot));
                let staged = line.staged.iter().filter(|staged| here(staged.staging, staged.lot));
                let quantities = picks.map(|pick| pick.quantity);
                quantities.chain(staged.map(|staged| staged.quantity)).sum()
            }
        }
    }

    fn hold_slot(&self, id: &Code) -> Option<u32> {
        self.hold_index.find(self.hash(id), |slot| self.holds.get(slot).id == *id)
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
            self.strike_bin();
            return Some(Box::new(row));
        };
        if id.index() < self.locations.len() {
            let before = std::mem::replace(&mut self.locations[id.index()], *row);
            self.enter_bin(id);
            return Some(Box::new(before));
        }
        assert_eq!(id.index(), self.locations.len(), "numbers are handed out in order");
        self.site_locations[row.site.index()].push(id);
        self.location_codes[row.site.index()].insert(row.code.clone(), id);
        self.locations.push(*row);
        self.enter_bin(id);
        None
    }

    fn put_sku(&mut self, id: SkuId, row: Option<Box<Sku>>) -> Option<Box<Sku>> {
        let Some(row) = row else {
            let row = self.skus.pop().expect("there was a SKU").row;
            let hash = self.hash(&row.code);
            self.sku_codes.remove(hash, id.0);
            return Some(Box::new(row));
        };
        if id.index() < self.skus.len() {
            return Some(Box::new(std::mem::replace(&mut self.skus[id.index()].row, *row)));
        }
        assert_eq!(id.index(), self.skus.len(), "numbers are handed out in order");
        self.skus.push(SkuRow { row: *row, gates: SmallVec::new(), outside: Balances::default() });
        let (skus, hasher) = (&self.skus, &self.hasher);
        self.sku_codes.insert(hasher.hash_one(&skus[id.index()].row.code), id.0, |slot| {
            hasher.hash_one(&skus[slot as usize].row.code)
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
        let before = self.unpack_gate(self.gates.get(slot));
        self.gates.get_mut(slot).marks = gate.map(|gate| Marks { stocked: gate.stocked, low: gate.low });
        match gate.map(|gate| gate.safety_level).filter(|level| !level.is_zero()) {
            Some(level) => drop(self.safety_levels.insert((site, sku), level)),
            None if before.is_some_and(|gate| !gate.safety_level.is_zero()) => {
                self.safety_levels.remove(&(site, sku));
            }
            None => {}
        }
        self.drop_gate_if_empty(slot);
        before
    }

    fn unpack_gate(&self, row: &GateRow) -> Option<Gate> {
        let Marks { stocked, low } = row.marks?;
        let level = (!self.safety_levels.is_empty()).then(|| self.safety_levels.get(&(row.site, row.sku)));
        let safety_level = level.flatten().copied().unwrap_or_default();
        Some(Gate { stocked, safety_level, low })
    }

    fn put_position(&mut self, place: Place, position: Option<Position>) -> Option<Position> {
        match (self.position_slot(place), position) {
            (Some(slot), Some(position)) => {
                // What is missing there is read before it is written: it stands under the place, not in the row.
                let before = self.unpack_position(self.positions.get(slot)).1;
                if !before.missing.is_zero() {
                    self.missing.remove(&place);
                }
                *self.positions.get_mut(slot) = self.pack_position(place, position);
                Some(before)
            }
            (None, None) => None,
            (None, Some(position)) => {
                let row = self.pack_position(place, position);
                let slot = self.positions.insert(row);
                self.change_entry(place, |entry| entry.position = slot);
                self.by_location.insert((place.location, place.sku));
                None
            }
            (Some(slot), None) => {
                let before = self.positions.remove(slot);
                let before = self.unpack_position(&before).1;
                self.missing.remove(&place);
                self.change_entry(place, |entry| entry.position = NOWHERE);
                if self.lots_at(place.location, place.sku).next().is_none() {
                    self.by_location.remove(&(place.location, place.sku));
                }
                Some(before)
            }
        }
    }

    fn pack_position(&mut self, place: Place, position: Position) -> PositionRow {
        if !position.missing.is_zero() {
            self.missing.insert(place, position.missing);
        }
        PositionRow::pack(place, position)
    }

    fn put_hold(&mut self, id: Code, hold: Option<Hold>) -> Option<HoldRow> {
        let hash = self.hash(&id);
        let found = self.hold_index.find(hash, |slot| self.holds.get(slot).id == id);
        if let Some(slot) = found {
            self.strike_hold(slot);
        }
        match (found, hold) {
            (None, None) => None,
            (Some(slot), Some(hold)) => {
                let new = self.pack_hold(id, hold, slot);
                let before = std::mem::replace(self.holds.get_mut(slot), new);
                self.enter_hold(slot);
                Some(before)
            }
            (None, Some(hold)) => {
                let slot = self.holds.next_slot();
                assert!(slot < PLAIN - 1, "there are fewer than 2^31 - 1 holds: the last number is nowhere");
                let new = self.pack_hold(id, hold, slot);
                assert_eq!(self.holds.insert(new), slot, "a row goes where it was said to go");
                let (holds, hasher) = (&self.holds, &self.hasher);
                self.hold_index.insert(hash, slot, |slot| hasher.hash_one(&holds.get(slot).id));
                self.enter_hold(slot);
                None
            }
            (Some(slot), None) => {
                self.hold_index.remove(hash, slot);
                Some(self.holds.remove(slot))
            }
        }
    }

    /// Packs a hold, whose holders are entered under the slot that it will have.
    fn pack_hold(&mut self, id: Code, hold: Hold, slot: u32) -> HoldRow {
        let mut node = |place, line| self.enter_holder(place, HolderKind::Hold, slot, line);
        HoldRow::pack(id, hold, &mut node)
    }

    fn unpack_hold(&self, row: &HoldRow) -> Hold {
        row.unpack(|location| self.locations[location.index()].site)
    }

    /// Enters a plain hold as a holder, counts an open one, and notes when it lapses.
    fn enter_hold(&mut self, slot: u32) {
        if let Some(place) = self.holds.get(slot).plain_place() {
            self.link_holder(place, slot | PLAIN);
        }
        let row = self.holds.get(slot);
        if row.status() != HoldStatus::Held {
            return;
        }
        self.open_holds += 1;
        if let Some(at) = row.expires_at() {
            self.due.insert((at, row.id.clone()));
        }
    }

    /// Takes an open hold out of all indexes but that of its id.
    fn strike_hold(&mut self, slot: u32) {
        let row = self.holds.get(slot);
        if row.status() == HoldStatus::Held {
            self.open_holds -= 1;
            if let Some(at) = row.expires_at() {
                let id = row.id.clone();
                self.due.remove(&(at, id));
            }
        }
        let mut nodes: SmallVec<[(Place, u32); 4]> = SmallVec::new();
        let row = self.holds.get(slot);
        nodes.extend(row.plain_place().map(|place| (place, slot | PLAIN)));
        row.each_node(|place, node| nodes.push((place, node)));
        for (place, node) in nodes {
            self.strike_holder(place, node);
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
                    works: Works::default(),
                };
                let requested = row.transfer.requested;
                let slot = self.transfers.insert(row);
                self.by_request.insert(requested, slot);
                let (transfers, hasher) = (&self.transfers, &self.hasher);
                self.transfer_index
                    .insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&transfers.get(slot).id));
                None
            }
            (Some(slot), None) => {
                let hash = self.hash(id);
                self.transfer_index.remove(hash, slot);
                let before = self.transfers.remove(slot).transfer;
                self.by_request.remove(&before.requested);
                Some(Box::new(before))
            }
        }
    }

    fn put_lines(&mut self, id: &Code, lines: Option<Vec<Line>>) -> Option<Vec<Line>> {
        let slot = self.transfer_slot(id).expect("a transfer comes before its lines");
        for line in 0..self.transfers.get(slot).lines.len() {
            self.strike_line(slot, line);
        }
        let row = self.transfers.get_mut(slot);
        let lines = lines.unwrap_or_default().into_iter().map(|line| LineRow { line, nodes: Vec::new() });
        let before = std::mem::replace(&mut row.lines, lines.collect());
        let count = u32::try_from(row.lines.len()).expect("LINES_MAX fits a u32");
        row.by_name = (0..count).collect();
        let TransferRow { lines, by_name, .. } = row;
        by_name.sort_unstable_by(|a, b| lines[*a as usize].line.name.cmp(&lines[*b as usize].line.name));
        for (row, line) in before.iter().zip(0..) {
            self.uncount(slot, line, &row.line.picks, &[]);
        }
        for line in 0..count {
            self.enter_line(slot, line);
            self.recount(slot, line, &[]);
        }
        (!before.is_empty()).then(|| before.into_iter().map(|row| row.line).collect())
    }

    fn put_line(&mut self, id: &Code, line: u32, row: Line) -> Line {
        let slot = self.transfer_slot(id).expect("a line's transfer is there");
        self.strike_line(slot, line as usize);
        let before = std::mem::replace(&mut self.transfers.get_mut(slot).lines[line as usize].line, row);
        self.enter_line(slot, line);
        self.recount(slot, line, &before.picks);
        before
    }

    fn strike_line(&mut self, slot: u32, line: usize) {
        let row = &mut self.transfers.get_mut(slot).lines[line];
        let nodes = std::mem::take(&mut row.nodes);
        if nodes.is_empty() {
            return;
        }
        let places = held_places(&row.line);
        for (place, node) in places.into_iter().zip(nodes) {
            self.strike_holder(place, node);
        }
    }

    fn enter_line(&mut self, slot: u32, line: u32) {
        let places = held_places(&self.transfers.get(slot).lines[line as usize].line);
        let nodes =
            places.into_iter().map(|place| self.enter_holder(place, HolderKind::Transfer, slot, line));
        let nodes = nodes.collect();
        self.transfers.get_mut(slot).lines[line as usize].nodes = nodes;
    }

    fn put_answered(&mut self, key: &Code, answered: Option<Answered>) -> Option<Answered> {
        let before = match answered {
            Some(answered) => {
                self.answered_order.insert(answered.noted, key.clone());
                self.answered.insert(key.clone(), answered)
            }
            None => self.answered.remove(key),
        };
        if let Some(before) = before {
            self.answered_order.remove(&before.noted);
        }
        before
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
            self.skus.iter().zip(0..).map(|(sku, id)| Row::Sku(SkuId(id), Some(Box::new(sku.row.clone()))));
        let lots =
            self.lots.iter().zip(1..).map(|(row, id)| Row::Lot(LotId(id), Some(Box::new(row.clone()))));
        let gates = self.gates.iter().map(|(_, row)| Row::Gate(row.site, row.sku, self.unpack_gate(row)));
        let positions = self.positions.iter().map(|(_, row)| {
            let (place, position) = self.unpack_position(row);
            Row::Position(place, Some(position))
        });
        let outside = self.skus.iter().zip(0..).flat_map(|(sku, id)| {
            sku.outside.iter().map(move |(outside, balance)| Row::Outside(SkuId(id), outside, balance))
        });
        let holds = self.holds.iter().map(|(_, row)| Row::Hold(row.id.clone(), Some(self.unpack_hold(row))));
        let transfers = self.transfers.iter().flat_map(|(_, row)| {
            [
                Row::Transfer(row.id.clone(), Some(Box::new(row.transfer.clone()))),
                Row::Lines(row.id.clone(), Some(row.lines.iter().map(|row| row.line.clone()).collect())),
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
            .chain(self.wallets.rows())
            .chain(self.order_rows())
            .chain(self.fences.iter().map(|(resource, row)| Row::Fence(resource.clone(), Some(*row))))
            .chain(self.trades.rows())
            .chain(self.pick_claim_rows())
            .chain(self.cart_rows())
    }
}

/// Where a line holds something, once for each pick and each staged quantity.
fn held_places(line: &Line) -> SmallVec<[Place; 2]> {
    let picks = line.picks.iter().map(|pick| (pick.location, pick.lot));
    let staged = line.staged.iter().map(|staged| (staged.staging, staged.lot));
    picks.chain(staged).map(|(location, lot)| Place { location, sku: line.sku, lot }).collect()
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
        self.by_location.range((location, SkuId(0))..).next().is_some_and(|(other, _)| *other == location)
    }

    fn sku_id(&self, code: &Code) -> Option<SkuId> {
        self.sku_slot(code).map(SkuId)
    }

    fn sku(&self, sku: SkuId) -> &Sku {
        &self.skus[sku.index()].row
    }

    fn lot_id(&self, sku: SkuId, code: &Code) -> Option<LotId> {
        self.sku_lots.get(&sku)?.codes.get(code).copied()
    }

    fn lot(&self, lot: LotId) -> &Lot {
        &self.lots[lot.index() - 1]
    }

    fn gate(&self, site: SiteId, sku: SkuId) -> Option<Gate> {
        self.unpack_gate(self.gates.get(self.gate_slot(site, sku)?))
    }

    fn position(&self, place: Place) -> Option<Position> {
        self.position_slot(place).map(|slot| self.unpack_position(self.positions.get(slot)).1)
    }

    fn positions(&self, site: SiteId, sku: SkuId) -> impl Iterator<Item = (Place, Position)> {
        let places = self.gate_slot(site, sku).map_or(&[][..], |slot| self.places(self.gates.get(slot)));
        let places = places.iter().filter(|entry| entry.position != NOWHERE);
        places.map(|entry| self.unpack_position(self.positions.get(entry.position)))
    }

    fn holders(&self, place: Place) -> Vec<(Holder, Quantity)> {
        let mut found: BTreeMap<Holder, Quantity> = BTreeMap::new();
        let mut next = self.entry(place).map_or(NOWHERE, |entry| entry.holder);
        while next != NOWHERE {
            let node = self.holder(next);
            next = node.links.next;
            let id = match node.kind {
                HolderKind::Hold => &self.holds.get(node.slot).id,
                HolderKind::Transfer => &self.transfers.get(node.slot).id,
                HolderKind::Order => &self.orders.rows.get(node.slot).id,
                HolderKind::Cart => &self.carts.rows.get(node.slot).id,
            };
            // A line with two entries at a place has two nodes, and is one holder.
            let holder = Holder { kind: node.kind, id: id.clone(), line: node.line };
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
        self.due.iter().take_while(|(at, _)| *at <= now).take(limit).cloned().collect()
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

    fn wallet(&self, owner: &Code) -> Option<Wallet> {
        self.wallets.wallet(owner).cloned()
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

    fn order(&self, id: &Code) -> Option<Order> {
        self.order_slot(id).map(|slot| self.orders.rows.get(slot).unpack())
    }

    fn due_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.orders.due(now, limit)
    }

    fn waiting(&self, site: SiteId, allocated: bool, by: WaitingBy) -> impl Iterator<Item = Waiting> {
        self.orders.waiting(site, allocated, by)
    }

    fn is_awaited(&self, site: SiteId, sku: SkuId) -> bool {
        self.orders.is_awaited(site, sku)
    }

    fn awaiting(&self, site: SiteId, sku: SkuId, lot: Option<LotId>) -> impl Iterator<Item = Awaiting> {
        self.orders.awaiting(site, sku, lot)
    }

    fn sale(&self, order: &Code) -> Option<Sale> {
        self.carts.sales.get(order).map(|sale| Sale::clone(sale))
    }

    fn cart(&self, id: &Code) -> Option<Cart> {
        self.cart_slot(id).map(|slot| self.carts.rows.get(slot).unpack())
    }

    fn cart_part_count(&self, cart: &Code) -> usize {
        self.cart_slot(cart).map_or(0, |slot| self.carts.rows.get(slot).part_count())
    }

    fn due_carts(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)> {
        self.carts.due(now, limit)
    }

    fn prices(&self, sku: SkuId) -> &[(Currency, Amount)] {
        self.carts.prices.get(&sku).map_or(&[], Vec::as_slice)
    }

    fn is_unfilled(&self, site: SiteId, sku: SkuId) -> bool {
        self.orders.is_unfilled(site, sku)
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
                let before = self.put_hold(id.clone(), hold).map(|row| self.unpack_hold(&row));
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
                let before = self.put_cart(&id, cart);
                Row::Cart(id, before)
            }
            Row::Sale(order, sale) => {
                let before = self.carts.put_sale(&order, sale);
                Row::Sale(order, before)
            }
        }
    }

    fn set(&mut self, row: Row) {
        match row {
            Row::Hold(id, hold) => drop(self.put_hold(id, hold)),
            row => drop(self.put(row)),
        }
    }
}
