//! The list of the documents that hold something of a lot, of all kinds.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    Memory, NOWHERE,
    list::{limit, start},
    places::Entry,
};
use crate::{
    Code, LocationId, LotId, Quantity, Sequence, SiteId, SkuId,
    limits::SCAN_MAX,
    query::{Listed, LotHolder, Page},
    row::HolderKind,
};

/// A document that may hold stock, in the order in which documents were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Document {
    /// The event that made it, which made no other.
    pub(super) made: Sequence,
    pub(super) kind: HolderKind,
    pub(super) slot: u32,
}

impl Memory {
    /// A page of the documents that hold something of a lot, at a site or at all of them, in the order in which they were
    /// made, and how many lines, picks and holders it looked at.
    ///
    /// The holders at its positions are the narrowest way in, as long as they are not more than a page may look at.
    /// Otherwise it looks at all open documents from where the page begins. Both ways have the one order in which a page
    /// can go on where another ended.
    pub(super) fn lot_holders_page(
        &self,
        sku: SkuId,
        lot: LotId,
        site: Option<SiteId>,
        page: &Page,
    ) -> (Listed<LotHolder>, usize) {
        let start = start(page);
        let mut looked = 0;
        let (listed, more) = match self.holders_of(sku, Some(lot), site, &mut looked) {
            Some(near) => {
                let behind = near.into_iter().filter(|document| document.made >= start);
                self.lot_holders(behind, lot, site, page)
            }
            None => self.lot_holders(self.documents_from(start), lot, site, page),
        };
        (listed, looked + more)
    }

    /// The documents that hold something of a SKU, or of one of its lots, in the order in which they were made; `None` where
    /// there are more places and holders to look at than a page may. All looks are counted.
    pub(super) fn holders_of(
        &self,
        sku: SkuId,
        lot: Option<LotId>,
        site: Option<SiteId>,
        looked: &mut usize,
    ) -> Option<Vec<Document>> {
        let mut found = Vec::new();
        let mut look_at = |entry: &Entry| {
            step(looked)?;
            if lot.is_some_and(|lot| lot != entry.lot) {
                return Some(());
            }
            let mut next = entry.holder;
            while next != NOWHERE {
                step(looked)?;
                let node = self.holder(next);
                next = node.links.next;
                let made = self.made(node.kind, node.slot);
                found.push(Document { made, kind: node.kind, slot: node.slot });
            }
            Some(())
        };
        for entries in self.entries_of(sku, site) {
            match lot {
                None => entries.iter().try_for_each(&mut look_at)?,
                Some(lot) => {
                    entries.on_the_way(lot, LocationId(0), LotId::NONE).try_for_each(&mut look_at)?;
                }
            }
        }
        found.sort_unstable();
        // A document with two lines, or two lots, is one.
        found.dedup();
        Some(found)
    }

    /// Which event made a document.
    fn made(&self, kind: HolderKind, slot: u32) -> Sequence {
        match kind {
            HolderKind::Hold => self.holds.get(slot).placed,
            HolderKind::Order => self.orders.rows.get(slot).placed,
            HolderKind::Cart => self.carts.rows.get(slot).opened,
            HolderKind::Transfer => self.transfers.get(slot).transfer.requested,
        }
    }

    /// All documents that may hold something, from an event on, in the order in which they were made.
    fn documents_from(&self, from: Sequence) -> impl Iterator<Item = Document> + '_ {
        let document = |kind| move |(made, slot)| Document { made: Sequence(made), kind, slot };
        let holds = self.open_holds.from(from.0).map(document(HolderKind::Hold));
        let orders = self.orders.by_placed.from(from.0).map(document(HolderKind::Order));
        let carts = self.carts.open.range(from..).map(|(made, slot)| (made.0, *slot));
        let transfers = self.by_request.range(from..).map(|(made, slot)| (made.0, *slot));
        let mut rests: [Box<dyn Iterator<Item = Document> + '_>; 4] = [
            Box::new(holds),
            Box::new(orders),
            Box::new(carts.map(document(HolderKind::Cart))),
            Box::new(transfers.map(document(HolderKind::Transfer))),
        ];
        // The next one of each kind.
        let nexts = rests.iter_mut().zip(0..);
        let mut nexts: BinaryHeap<_> =
            nexts.filter_map(|(rest, at)| Some(Reverse((rest.next()?, at)))).collect();
        std::iter::from_fn(move || {
            let Reverse((document, at)) = nexts.pop()?;
            nexts.extend(rests[at].next().map(|next| Reverse((next, at))));
            Some(document)
        })
    }

    /// Those that hold something of a lot, and how many lines and picks it looked at: a bounded number.
    fn lot_holders(
        &self,
        documents: impl Iterator<Item = Document>,
        lot: LotId,
        site: Option<SiteId>,
        page: &Page,
    ) -> (Listed<LotHolder>, usize) {
        let (limit, mut looked) = (limit(page), 0);
        let (mut items, mut last) = (Vec::new(), None);
        for document in documents {
            if items.len() == limit || looked >= SCAN_MAX {
                return (Listed { items, next: last }, looked);
            }
            looked += 1;
            last = Some(document.made.0);
            let mut held = Quantity::ZERO;
            self.each_held(document, |location, of, quantity| {
                looked += 1;
                let is_here = || site.is_none_or(|site| self.locations[location.index()].site == site);
                if of == lot && is_here() {
                    held += quantity;
                }
            });
            if !held.is_zero() {
                let id = self.id_of(document);
                items.push(LotHolder { kind: document.kind, id, held });
            }
        }
        (Listed { items, next: None }, looked)
    }

    /// What a document holds: where, of which lot, and how much.
    fn each_held(&self, document: Document, mut visit: impl FnMut(LocationId, LotId, Quantity)) {
        let Document { kind, slot, .. } = document;
        match kind {
            HolderKind::Hold => {
                let hold = self.unpack_hold(self.holds.get(slot));
                let picks = hold.lines.iter().flat_map(|line| &line.picks);
                picks.for_each(|pick| visit(pick.location, pick.lot, pick.quantity));
            }
            HolderKind::Order => {
                self.orders.rows.get(slot).each_pick(|pick| visit(pick.location, pick.lot, pick.quantity));
            }
            HolderKind::Cart => {
                self.carts.rows.get(slot).each_pick(|pick| visit(pick.location, pick.lot, pick.quantity));
            }
            HolderKind::Transfer => {
                for line in self.transfers.get(slot).lines.iter().map(|row| &row.line) {
                    line.picks.iter().for_each(|pick| visit(pick.location, pick.lot, pick.quantity));
                    line.staged.iter().for_each(|one| visit(one.staging, one.lot, one.quantity));
                }
            }
        }
    }

    fn id_of(&self, document: Document) -> Code {
        let Document { kind, slot, .. } = document;
        match kind {
            HolderKind::Hold => self.holds.get(slot).id.code(),
            HolderKind::Order => self.orders.rows.get(slot).id.clone(),
            HolderKind::Cart => self.carts.rows.get(slot).id.clone(),
            HolderKind::Transfer => self.transfers.get(slot).id.clone(),
        }
    }
}

/// Counts one more look, if a page may have it.
fn step(looked: &mut usize) -> Option<()> {
    (*looked < SCAN_MAX).then(|| *looked += 1)
}
