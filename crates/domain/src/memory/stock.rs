//! What lies where: gates with their places, and positions.

use super::{
    Memory, NOWHERE,
    places::{self, Entry, GateRow, Marks, PositionRow},
};
use crate::{
    LocationId, Place, SiteId, SkuId,
    row::{Gate, Position},
};

impl Memory {
    /// What lies somewhere, from this place on, in the order of places.
    pub fn positions_from(&self, from: Place) -> impl Iterator<Item = (Place, Position)> + '_ {
        let skus = self.by_location.range((from.location, from.sku)..);
        skus.flat_map(|(location, sku)| self.lots_at(*location, *sku))
            .skip_while(move |(place, _)| *place < from)
    }

    /// What lies of a SKU at a location, in the order of its lots.
    pub(super) fn lots_at(
        &self,
        location: LocationId,
        sku: SkuId,
    ) -> impl Iterator<Item = (Place, Position)> + '_ {
        let site = self.locations[location.index()].site;
        let places = self.gate_slot(site, sku).map_or(&[][..], |slot| self.places(self.gates.get(slot)));
        let first = places.partition_point(|entry| entry.location < location);
        let here = places[first..].iter().take_while(move |entry| entry.location == location);
        here.filter(|entry| entry.position != NOWHERE)
            .map(|entry| self.unpack_position(self.positions.get(entry.position)))
    }

    pub(super) fn places<'a>(&'a self, gate: &'a GateRow) -> &'a [Entry] {
        gate.places.get(&self.crowds)
    }

    pub(super) fn gate_slot(&self, site: SiteId, sku: SkuId) -> Option<u32> {
        self.skus[sku.index()].gates.iter().find(|(other, _)| *other == site).map(|(_, slot)| *slot)
    }

    /// The gate's slot; a new row where there is none.
    pub(super) fn make_gate(&mut self, site: SiteId, sku: SkuId) -> u32 {
        if let Some(slot) = self.gate_slot(site, sku) {
            return slot;
        }
        let slot = self.gates.insert(GateRow::new(site, sku));
        self.skus[sku.index()].gates.push((site, slot));
        slot
    }

    pub(super) fn drop_gate_if_empty(&mut self, slot: u32) {
        let row = self.gates.get(slot);
        if row.marks.is_some() || !row.places.is_empty() {
            return;
        }
        self.skus[row.sku.index()].gates.retain(|(_, other)| *other != slot);
        self.gates.remove(slot);
    }

    pub(super) fn site_of(&self, place: Place) -> SiteId {
        self.locations[place.location.index()].site
    }

    pub(super) fn entry(&self, place: Place) -> Option<&Entry> {
        let gate = self.gates.get(self.gate_slot(self.site_of(place), place.sku)?);
        let places = self.places(gate);
        places::find(places, place).ok().map(|at| &places[at])
    }

    /// Changes the entry of a place, which begins and ends with what it names.
    pub(super) fn change_entry(&mut self, place: Place, change: impl FnOnce(&mut Entry)) {
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

    pub(super) fn put_gate(&mut self, site: SiteId, sku: SkuId, gate: Option<Gate>) -> Option<Gate> {
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

    pub(super) fn unpack_gate(&self, row: &GateRow) -> Option<Gate> {
        let Marks { stocked, low } = row.marks?;
        let level = (!self.safety_levels.is_empty()).then(|| self.safety_levels.get(&(row.site, row.sku)));
        let safety_level = level.flatten().copied().unwrap_or_default();
        Some(Gate { stocked, safety_level, low })
    }

    pub(super) fn position_slot(&self, place: Place) -> Option<u32> {
        self.entry(place).map(|entry| entry.position).filter(|slot| *slot != NOWHERE)
    }

    pub(super) fn put_position(&mut self, place: Place, position: Option<Position>) -> Option<Position> {
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

    pub(super) fn pack_position(&mut self, place: Place, position: Position) -> PositionRow {
        if !position.missing.is_zero() {
            self.missing.insert(place, position.missing);
        }
        PositionRow::pack(place, position)
    }

    pub(super) fn unpack_position(&self, row: &PositionRow) -> (Place, Position) {
        row.unpack(|place| self.missing.get(&place).copied().unwrap_or_default())
    }
}
