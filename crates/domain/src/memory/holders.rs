//! Who holds what where: a list for each place.

use super::{Memory, NOWHERE, hold_row::Links};
use crate::{LocationId, LotId, Place, Quantity, row::HolderKind};

/// A holder in the list of a place. A hold of one line and one pick has its links in its own row, and no node.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) kind: HolderKind,
    pub(super) slot: u32,
    pub(super) line: u32,
    pub(super) links: Links,
}

/// Set in the number of a holder that is a hold's slot; otherwise it is a node's. [`NOWHERE`] is neither.
pub(super) const PLAIN: u32 = 1 << 31;

/// The hold's slot, if a holder is a plain hold.
pub(super) fn plain(holder: u32) -> Option<u32> {
    (holder & PLAIN != 0).then_some(holder & !PLAIN)
}

impl Memory {
    pub(super) fn links(&self, holder: u32) -> Links {
        match plain(holder) {
            Some(slot) => self.holds.get(slot).links(),
            None => self.nodes.get(holder).links,
        }
    }

    pub(super) fn links_mut(&mut self, holder: u32) -> &mut Links {
        match plain(holder) {
            Some(slot) => self.holds.get_mut(slot).links_mut(),
            None => &mut self.nodes.get_mut(holder).links,
        }
    }

    /// A holder by what it is known by in the list of a place.
    pub(super) fn holder(&self, holder: u32) -> Node {
        match plain(holder) {
            Some(slot) => Node { kind: HolderKind::Hold, slot, line: 0, links: self.holds.get(slot).links() },
            None => *self.nodes.get(holder),
        }
    }

    /// Enters a holder at a place, and gives the node that it is known by.
    pub(super) fn enter_holder(&mut self, place: Place, kind: HolderKind, slot: u32, line: u32) -> u32 {
        let node = self.nodes.insert(Node { kind, slot, line, links: Links::NONE });
        assert!(node < PLAIN, "there are fewer than 2^31 holders");
        self.link_holder(place, node);
        node
    }

    /// Puts a holder, whose row or node is there, first in the list of a place.
    pub(super) fn link_holder(&mut self, place: Place, holder: u32) {
        let mut next = NOWHERE;
        self.change_entry(place, |entry| next = std::mem::replace(&mut entry.holder, holder));
        *self.links_mut(holder) = Links { next, previous: NOWHERE };
        if next != NOWHERE {
            self.links_mut(next).previous = holder;
        }
    }

    /// Strikes a holder out at a place.
    pub(super) fn strike_holder(&mut self, place: Place, holder: u32) {
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
    pub(super) fn quantity_at(&self, node: &Node, place: Place) -> Quantity {
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
}
