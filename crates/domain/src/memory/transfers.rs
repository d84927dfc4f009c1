//! Transfers in memory, with their lines.

use std::hash::BuildHasher;

use smallvec::SmallVec;

use super::{Memory, picking::Works};
use crate::{
    Code, Place,
    row::{HolderKind, Line, Transfer},
};

pub(super) struct TransferRow {
    pub(super) id: Code,
    pub(super) transfer: Transfer,
    pub(super) lines: Vec<LineRow>,
    /// The lines' indexes in the order of their names.
    pub(super) by_name: Vec<u32>,
    /// Parts of all lines.
    pub(super) parts: usize,
    pub(super) works: Works,
}

pub(super) struct LineRow {
    pub(super) line: Line,
    /// The nodes of what it holds: picks first, then what is staged.
    pub(super) nodes: Vec<u32>,
}

impl LineRow {
    /// Whether a node is the first of those that the line has at a place.
    pub(super) fn is_first_at(&self, place: Place, node: u32) -> bool {
        let mut places = held_places(&self.line).into_iter().zip(&self.nodes);
        places.find(|(at, _)| *at == place).is_some_and(|(_, first)| *first == node)
    }
}

/// How many parts a line has: picks, staged quantities, and lots on the way.
fn part_count(line: &Line) -> usize {
    line.picks.len() + line.staged.len() + line.transit.len()
}

/// Where a line holds something, once for each pick and each staged quantity.
pub(super) fn held_places(line: &Line) -> SmallVec<[Place; 2]> {
    let picks = line.picks.iter().map(|pick| (pick.location, pick.lot));
    let staged = line.staged.iter().map(|staged| (staged.staging, staged.lot));
    picks.chain(staged).map(|(location, lot)| Place { location, sku: line.sku, lot }).collect()
}

impl Memory {
    pub(super) fn transfer_slot(&self, id: &Code) -> Option<u32> {
        if self.transfers.find(self.last_transfer).is_some_and(|row| row.id == *id) {
            return Some(self.last_transfer);
        }
        self.transfer_index.find(self.hash(id), |slot| self.transfers.get(slot).id == *id)
    }

    pub(super) fn transfer_row(&self, id: &Code) -> &TransferRow {
        self.transfers.get(self.transfer_slot(id).expect("the transfer is there"))
    }

    pub(super) fn put_transfer(
        &mut self,
        id: &Code,
        transfer: Option<Box<Transfer>>,
    ) -> Option<Box<Transfer>> {
        match (self.transfer_slot(id), transfer) {
            (Some(slot), Some(transfer)) => {
                let before = std::mem::replace(&mut self.transfers.get_mut(slot).transfer, *transfer);
                self.note_transit(slot);
                Some(Box::new(before))
            }
            (None, None) => None,
            (None, Some(transfer)) => {
                let row = TransferRow {
                    id: id.clone(),
                    transfer: *transfer,
                    lines: Vec::new(),
                    by_name: Vec::new(),
                    parts: 0,
                    works: Works::default(),
                };
                let requested = row.transfer.requested;
                let slot = self.transfers.insert(row);
                self.by_request.insert(requested, slot);
                let (transfers, hasher) = (&self.transfers, &self.hasher);
                self.transfer_index
                    .insert(hasher.hash_one(id), slot, |slot| hasher.hash_one(&transfers.get(slot).id));
                self.note_transit(slot);
                self.last_transfer = slot;
                None
            }
            (Some(slot), None) => {
                let hash = self.hash(id);
                self.transfer_index.remove(hash, slot);
                let before = self.transfers.remove(slot).transfer;
                self.by_request.remove(&before.requested);
                self.by_transit.remove(&before.requested);
                Some(Box::new(before))
            }
        }
    }

    pub(super) fn put_lines(&mut self, id: &Code, lines: Option<Vec<Line>>) -> Option<Vec<Line>> {
        let slot = self.transfer_slot(id).expect("a transfer comes before its lines");
        for line in 0..self.transfers.get(slot).lines.len() {
            self.strike_line(slot, line);
        }
        let row = self.transfers.get_mut(slot);
        let lines = lines.unwrap_or_default().into_iter().map(|line| LineRow { line, nodes: Vec::new() });
        let before = std::mem::replace(&mut row.lines, lines.collect());
        let count = u32::try_from(row.lines.len()).expect("LINES_MAX fits a u32");
        row.by_name = (0..count).collect();
        row.parts = row.lines.iter().map(|row| part_count(&row.line)).sum();
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

    pub(super) fn put_line(&mut self, id: &Code, line: u32, row: Line) -> Line {
        let slot = self.transfer_slot(id).expect("a line's transfer is there");
        self.last_transfer = slot;
        self.strike_line(slot, line as usize);
        let transfer = self.transfers.get_mut(slot);
        transfer.parts += part_count(&row);
        let before = std::mem::replace(&mut transfer.lines[line as usize].line, row);
        transfer.parts -= part_count(&before);
        self.enter_line(slot, line);
        self.recount(slot, line, &before.picks);
        before
    }

    pub(super) fn strike_line(&mut self, slot: u32, line: usize) {
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

    pub(super) fn enter_line(&mut self, slot: u32, line: u32) {
        let places = held_places(&self.transfers.get(slot).lines[line as usize].line);
        let nodes =
            places.into_iter().map(|place| self.enter_holder(place, HolderKind::Transfer, slot, line));
        let nodes = nodes.collect();
        self.transfers.get_mut(slot).lines[line as usize].nodes = nodes;
    }
}
