//! Holds in memory.

use smallvec::SmallVec;

use std::hash::BuildHasher;

use super::{Memory, NOWHERE, hold_row::HoldRow, holders::PLAIN, kept_code::KeptCode};
use crate::{
    Code, Place,
    row::{Hold, HoldStatus, HolderKind},
};

/// A hold that is in no table any more: its row, and its owner.
pub(super) struct Struck(HoldRow, Option<KeptCode>);

impl Memory {
    pub(super) fn hold_slot(&self, id: &Code) -> Option<u32> {
        self.hold_index.find(self.hash(id), |slot| self.holds.get(slot).id == *id)
    }

    pub(super) fn put_hold(&mut self, id: Code, hold: Option<Hold>) -> Option<Struck> {
        let hash = self.hash(&id);
        let found = self.hold_index.find(hash, |slot| self.holds.get(slot).id == id);
        if let Some(slot) = found {
            self.strike_hold(slot);
        }
        match (found, hold) {
            (None, None) => None,
            (Some(slot), Some(hold)) => {
                let new = self.pack_hold(&id, hold, slot);
                let before = std::mem::replace(self.holds.get_mut(slot), new);
                self.enter_hold(slot);
                Some(self.strike_owner(before))
            }
            (None, Some(hold)) => {
                let slot = self.holds.next_slot();
                assert!(slot < PLAIN - 1, "there are fewer than 2^31 - 1 holds: the last number is nowhere");
                let new = self.pack_hold(&id, hold, slot);
                assert_eq!(self.holds.insert(new), slot, "a row goes where it was said to go");
                let (holds, hasher) = (&self.holds, &self.hasher);
                self.hold_index.insert(hash, slot, |slot| hasher.hash_one(&holds.get(slot).id));
                self.enter_hold(slot);
                None
            }
            (Some(slot), None) => {
                self.hold_index.remove(hash, slot);
                let before = self.holds.remove(slot);
                Some(self.strike_owner(before))
            }
        }
    }

    /// Packs a hold, whose holders are entered under the slot that it will have.
    pub(super) fn pack_hold(&mut self, id: &Code, hold: Hold, slot: u32) -> HoldRow {
        let owner = hold.owner.as_ref().map_or(NOWHERE, |owner| self.hold_owners.insert(owner.into()));
        let mut node = |place, line| self.enter_holder(place, HolderKind::Hold, slot, line);
        HoldRow::pack(id, hold, owner, &mut node)
    }

    pub(super) fn unpack_hold(&self, row: &HoldRow) -> Hold {
        self.unpack_with(row, self.owner_of(row))
    }

    pub(super) fn unpack_struck(&self, Struck(row, owner): &Struck) -> Hold {
        self.unpack_with(row, owner.as_ref())
    }

    fn unpack_with(&self, row: &HoldRow, owner: Option<&KeptCode>) -> Hold {
        row.unpack(owner.map(KeptCode::code), |location| self.locations[location.index()].site)
    }

    /// The owner of a hold in the table.
    pub(super) fn owner_of(&self, row: &HoldRow) -> Option<&KeptCode> {
        row.owner().map(|slot| self.hold_owners.get(slot))
    }

    /// Takes out the owner of a hold that left the table.
    fn strike_owner(&mut self, row: HoldRow) -> Struck {
        let owner = row.owner().map(|slot| self.hold_owners.remove(slot));
        Struck(row, owner)
    }

    /// Enters a plain hold as a holder, lists an open one, and notes when it lapses.
    pub(super) fn enter_hold(&mut self, slot: u32) {
        if let Some(place) = self.holds.get(slot).plain_place() {
            self.link_holder(place, slot | PLAIN);
        }
        let row = self.holds.get(slot);
        if row.status() != HoldStatus::Held {
            return;
        }
        self.open_holds.insert(row.placed.0, slot, |_| &());
        if let Some(at) = row.expires_at() {
            let holds = &self.holds;
            self.due.insert(at.0, slot, |slot| &holds.get(slot).id);
        }
    }

    /// Takes an open hold out of all indexes but that of its id.
    pub(super) fn strike_hold(&mut self, slot: u32) {
        let row = self.holds.get(slot);
        if row.status() == HoldStatus::Held {
            self.open_holds.remove(row.placed.0, slot, |_| &());
            if let Some(at) = row.expires_at() {
                let holds = &self.holds;
                self.due.remove(at.0, slot, |slot| &holds.get(slot).id);
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
}
