//! What an index is made from: the events of one segment, gathered in the order in which they happened.

use std::collections::BTreeMap;

use jaego_domain::{Account, Code, Event, LocationId, Place, Sequence, SiteId};
use jaego_store::codec;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Error,
    format::{
        BLOCK_LEN, Entry, FrameEntry, Layout, Leg, Origin, Posting, Span, Table, Total, by_sku,
        entries_a_block,
    },
};
use crate::journal::{Frame, SECTOR_LEN};

/// Blocks that are written at a time.
const BLOCKS_AT_A_TIME: usize = 64;

/// The key of a document's id. Two ids may share one: whoever follows it looks at the event itself.
pub(crate) fn document_key(id: &Code) -> u32 {
    let [a, b, c, d, ..] = xxh3_64(id.as_str().as_bytes()).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The events of a segment so far.
pub(crate) struct Draft {
    /// The segment.
    pub(crate) segment: u64,
    /// The sequence of its first event.
    pub(crate) first_sequence: u64,
    /// The sequence after the last event that was gathered.
    pub(crate) next_sequence: u64,
    pub(super) frames: Vec<FrameEntry>,
    pub(super) documents: Vec<Posting>,
    pub(super) skus: Vec<Posting>,
    pub(super) sites: Vec<Posting>,
    pub(super) changes: Vec<Change>,
}

/// What one side of a movement did to a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    place: Place,
    sequence: u32,
    change: i64,
}

impl Draft {
    /// Nothing of this segment yet.
    pub(crate) fn new(segment: u64, first_sequence: u64) -> Self {
        Self {
            segment,
            first_sequence,
            next_sequence: first_sequence,
            frames: Vec::new(),
            documents: Vec::new(),
            skus: Vec::new(),
            sites: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Gathers the next frame. `sites` has the site of every location by its number.
    pub(crate) fn take(&mut self, frame: &Frame<'_>, sites: &[SiteId]) -> Result<(), Error> {
        let sector = frame.position.offset / SECTOR_LEN as u64;
        let sector = u32::try_from(sector).expect("a segment has fewer than 2^32 sectors");
        let sequence = self.number(frame.first_sequence);
        let mut events = codec::decode(frame.payload, Sequence(frame.first_sequence))?;
        let at = events.at().0;
        while let Some(event) = events.next_moving() {
            self.event(&event?, sites)?;
        }
        self.frames.push(FrameEntry { sequence, sector, at });
        self.next_sequence = frame.last_sequence() + 1;
        Ok(())
    }

    fn event(&mut self, event: &Event, sites: &[SiteId]) -> Result<(), Error> {
        let sequence = self.number(event.sequence.0);
        let (skus, at_sites) = (self.skus.len(), self.sites.len());
        let mut unknown = None;
        event.fact.movements(|movement| {
            self.skus.push(Posting::new(movement.sku.0, sequence));
            let quantity = movement.quantity.get().cast_signed();
            for (account, change) in [(&movement.from, -quantity), (&movement.to, quantity)] {
                let Account::Position(place) = account else { continue };
                match sites.get(place.location.index()) {
                    Some(site) => self.sites.push(Posting::new(site.0, sequence)),
                    None => unknown = Some(place.location),
                }
                self.changes.push(Change { place: *place, sequence, change });
            }
        });
        // A wallet's statement is found by its owner.
        if let Some(money) = event.fact.money() {
            self.documents.push(Posting::new(document_key(money.owner), sequence));
        }
        if let Some(LocationId(location)) = unknown {
            return Err(Error::Location { location, sequence: event.sequence });
        }
        if self.skus.len() == skus {
            return Ok(());
        }
        only_once(&mut self.skus, skus);
        only_once(&mut self.sites, at_sites);
        if let Some((_, id)) = event.fact.document() {
            self.documents.push(Posting::new(document_key(id), sequence));
        }
        Ok(())
    }

    /// An event's number, counted from the segment's first.
    fn number(&self, sequence: u64) -> u32 {
        let number = sequence - self.first_sequence;
        u32::try_from(number).expect("a segment has fewer than 2^32 events")
    }

    /// The events that a key leads to.
    pub(super) fn postings(&self, table: Table) -> &[Posting] {
        match table {
            Table::Documents => &self.documents,
            Table::Skus => &self.skus,
            Table::Sites => &self.sites,
            Table::Frames | Table::Places | Table::Legs | Table::Totals => {
                unreachable!("they have no postings")
            }
        }
    }

    /// What the events `after ..= upto` did to the places that are wanted.
    pub(super) fn sums(
        &self,
        after: u64,
        upto: u64,
        is_wanted: impl Fn(Place) -> bool,
    ) -> BTreeMap<Place, i64> {
        let mut sums = BTreeMap::new();
        for Change { place, sequence, change } in &self.changes {
            let sequence = self.first_sequence + u64::from(*sequence);
            if sequence > after && sequence <= upto && is_wanted(*place) {
                *sums.entry(*place).or_default() += change;
            }
        }
        sums
    }

    /// The same for the first `limit` places that are wanted, and whether there are more.
    pub(super) fn first_sums(
        &self,
        after: u64,
        upto: u64,
        limit: usize,
        is_wanted: impl Fn(Place) -> bool,
    ) -> (Vec<(Place, i64)>, bool) {
        let mut sums: BTreeMap<Place, i64> = BTreeMap::new();
        let mut last = None;
        for Change { place, sequence, change } in &self.changes {
            // Behind the last of enough places: it never comes among the first again.
            if last.is_some_and(|last| *place > last) {
                continue;
            }
            let sequence = self.first_sequence + u64::from(*sequence);
            if sequence <= after || sequence > upto || !is_wanted(*place) {
                continue;
            }
            *sums.entry(*place).or_default() += change;
            if sums.len() > limit + 1 {
                sums.pop_last();
            }
            if sums.len() > limit {
                last = sums.last_key_value().map(|(place, _)| *place);
            }
        }
        let more = sums.len() > limit;
        (sums.into_iter().take(limit).collect(), more)
    }

    /// Sorts everything, so that it can be written.
    pub(crate) fn sort(mut self) -> Sorted {
        self.documents.sort_unstable();
        self.skus.sort_unstable();
        self.sites.sort_unstable();
        self.changes.sort_unstable_by_key(|change| (by_sku(change.place), change.sequence));
        let mut legs: Vec<Leg> = Vec::with_capacity(self.changes.len());
        let (mut places, mut totals) = (Vec::new(), Vec::new());
        for changes in self.changes.chunk_by(|a, b| a.place == b.place) {
            let mut sum = 0;
            // An event may come to a place twice, from two lines.
            for changes in changes.chunk_by(|a, b| a.sequence == b.sequence) {
                sum += changes.iter().map(|change| change.change).sum::<i64>();
                legs.push(Leg { sequence: changes[0].sequence, sum });
            }
            let place = changes[0].place;
            let end = u32::try_from(legs.len()).expect("a segment has fewer than 2^32 movements");
            places.push(Span { place, end });
            totals.push(Total { place, sum });
        }
        totals.sort_unstable_by_key(|total| total.place);
        let Self { frames, documents, skus, sites, .. } = self;
        Sorted { frames, documents, skus, sites, places, legs, totals }
    }
}

/// Leaves each posting from `from` on once.
fn only_once(postings: &mut Vec<Posting>, from: usize) {
    let new = &mut postings[from..];
    if new.len() < 2 {
        return;
    }
    new.sort_unstable();
    let mut kept = from;
    for index in from + 1..postings.len() {
        if postings[index] != postings[kept] {
            kept += 1;
            postings[kept] = postings[index];
        }
    }
    postings.truncate(kept + 1);
}

/// The tables of an index.
pub(crate) struct Sorted {
    frames: Vec<FrameEntry>,
    documents: Vec<Posting>,
    skus: Vec<Posting>,
    sites: Vec<Posting>,
    places: Vec<Span>,
    legs: Vec<Leg>,
    totals: Vec<Total>,
}

impl Sorted {
    pub(crate) fn layout(&self) -> Layout {
        Layout::new([
            self.frames.len(),
            self.documents.len(),
            self.skus.len(),
            self.sites.len(),
            self.places.len(),
            self.legs.len(),
            self.totals.len(),
        ])
    }

    /// Gives the file's bytes to `write`, piece by piece.
    pub(crate) fn encode<E>(
        &self,
        origin: &Origin,
        write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut blocks = Blocks { origin, number: 0, bytes: Vec::new(), write };
        blocks.put(self.layout().encode(origin))?;
        blocks.table(&self.frames)?;
        blocks.table(&self.documents)?;
        blocks.table(&self.skus)?;
        blocks.table(&self.sites)?;
        blocks.table(&self.places)?;
        blocks.table(&self.legs)?;
        blocks.table(&self.totals)?;
        blocks.flush()
    }
}

struct Blocks<'a, W> {
    origin: &'a Origin,
    number: u64,
    bytes: Vec<u8>,
    write: W,
}

impl<E, W: FnMut(&[u8]) -> Result<(), E>> Blocks<'_, W> {
    fn table<T: Entry>(&mut self, entries: &[T]) -> Result<(), E> {
        let in_a_block = usize::try_from(entries_a_block(T::LEN)).expect("a block has few entries");
        for entries in entries.chunks(in_a_block) {
            let mut block = [0; BLOCK_LEN];
            for (entry, bytes) in entries.iter().zip(block.chunks_exact_mut(T::LEN)) {
                entry.put(bytes);
            }
            self.origin.close(self.number, &mut block);
            self.put(block)?;
        }
        Ok(())
    }

    fn put(&mut self, block: [u8; BLOCK_LEN]) -> Result<(), E> {
        self.bytes.extend_from_slice(&block);
        self.number += 1;
        if self.bytes.len() == BLOCKS_AT_A_TIME * BLOCK_LEN { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), E> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        (self.write)(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
