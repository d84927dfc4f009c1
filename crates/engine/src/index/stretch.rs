//! A stretch of the history that can be asked: a sealed segment by its index, the last one by its draft.

use std::collections::BTreeMap;

use jaego_domain::{Code, LocationId, LotId, Place, SiteId, SkuId};

use super::{
    Draft, Error, Table, document_key,
    format::{FrameEntry, Leg, Posting, Span, Total, by_sku},
    read::{Damage, Index, Rows},
};
use crate::{
    disk::DiskFile,
    journal::{Position, SECTOR_LEN},
};

/// What leads to events.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    Document(Code),
    Sku(SkuId),
    Site(SiteId),
}

impl Key {
    fn table(&self) -> (Table, u32) {
        match self {
            Self::Document(id) => (Table::Documents, document_key(id)),
            Self::Sku(sku) => (Table::Skus, sku.0),
            Self::Site(site) => (Table::Sites, site.0),
        }
    }
}

/// A segment's part of the history.
pub(crate) enum Stretch<'a, F> {
    Sealed(Index<F>),
    Last(&'a Draft),
}

/// The two tables that say what happened to a place.
struct Books<'a, F> {
    places: Rows<'a, F, Span>,
    legs: Rows<'a, F, Leg>,
}

impl<'a, F: DiskFile> Books<'a, F> {
    fn of(index: &'a Index<F>) -> Self {
        Self { places: index.table(Table::Places), legs: index.table(Table::Legs) }
    }
}

/// The least place of a location.
pub(crate) fn begin_of(location: LocationId) -> Place {
    Place { location, sku: SkuId(0), lot: LotId::NONE }
}

impl<F: DiskFile> Stretch<'_, F> {
    /// The sequence of its first event, if it has any.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Self::Sealed(index) => index.origin.first_sequence,
            Self::Last(draft) => draft.first_sequence,
        }
    }

    /// The sequence after its last event.
    pub(crate) fn next(&self) -> u64 {
        match self {
            Self::Sealed(index) => index.origin.next_sequence,
            Self::Last(draft) => draft.next_sequence,
        }
    }

    fn segment(&self) -> u64 {
        match self {
            Self::Sealed(index) => index.origin.segment,
            Self::Last(draft) => draft.segment,
        }
    }

    fn damaged(&self) -> impl Fn(Damage) -> Error + use<F> {
        let segment = self.segment();
        move |source| Error::Index { segment, source }
    }

    /// An event's number, counted from the first; the largest number for one behind the last.
    fn number(&self, sequence: u64) -> u32 {
        u32::try_from(sequence.saturating_sub(self.first())).unwrap_or(u32::MAX)
    }

    /// The events from `from` on that a key leads to, at most `limit` of them.
    pub(crate) fn events(&self, key: &Key, from: u64, limit: usize) -> Result<Vec<u64>, Error> {
        let (table, key) = key.table();
        if from >= self.next() {
            return Ok(Vec::new());
        }
        let start = Posting::new(key, self.number(from));
        let mut found = Vec::new();
        match self {
            Self::Sealed(index) => {
                let mut rows: Rows<'_, F, Posting> = index.table(table);
                let damaged = self.damaged();
                let mut at = rows.find(0, |posting| *posting < start).map_err(&damaged)?;
                while found.len() < limit
                    && let Some(posting) = rows.get(at).map_err(&damaged)?
                    && posting.key() == key
                {
                    found.push(self.first() + u64::from(posting.sequence()));
                    at += 1;
                }
            }
            Self::Last(draft) => {
                let postings = draft.postings(table);
                let at = postings.partition_point(|posting| posting.sequence() < start.sequence());
                let here = postings[at..].iter().filter(|posting| posting.key() == key);
                found.extend(here.take(limit).map(|posting| self.first() + u64::from(posting.sequence())));
            }
        }
        Ok(found)
    }

    /// The last frame that is `not_after` what is looked for.
    fn frame(&self, is_not_after: impl Fn(&FrameEntry) -> bool) -> Result<Option<FrameEntry>, Error> {
        match self {
            Self::Sealed(index) => {
                let damaged = self.damaged();
                let mut rows: Rows<'_, F, FrameEntry> = index.table(Table::Frames);
                // Asked for by halves: any frame of the segment may be meant.
                let len = rows.len();
                let behind = rows.find_between(0, len, is_not_after).map_err(&damaged)?;
                match behind.checked_sub(1) {
                    Some(at) => rows.get(at).map_err(&damaged),
                    None => Ok(None),
                }
            }
            Self::Last(draft) => {
                let behind = draft.frames.partition_point(is_not_after);
                Ok(behind.checked_sub(1).map(|at| draft.frames[at]))
            }
        }
    }

    fn position(&self, frame: FrameEntry) -> Position {
        Position { segment: self.segment(), offset: u64::from(frame.sector) * SECTOR_LEN as u64 }
    }

    /// Where the frame lies that holds an event.
    pub(crate) fn frame_of(&self, sequence: u64) -> Result<Option<Position>, Error> {
        let number = self.number(sequence);
        Ok(self.frame(|frame| frame.sequence <= number)?.map(|frame| self.position(frame)))
    }

    /// The last frame whose first event is not after a time: its first event, and where it lies.
    pub(crate) fn frame_at(&self, time: u64) -> Result<Option<(u64, Position)>, Error> {
        let frame = self.frame(|frame| frame.at <= time)?;
        Ok(frame.map(|frame| (self.first() + u64::from(frame.sequence), self.position(frame))))
    }

    /// When its first event happened.
    pub(crate) fn first_at(&self) -> Result<Option<u64>, Error> {
        let number = 0;
        Ok(self.frame(|frame| frame.sequence <= number)?.map(|frame| frame.at))
    }

    /// Whether all of its events are among those after `after` and up to `upto`.
    fn is_inside(&self, after: u64, upto: u64) -> bool {
        after < self.first() && upto.saturating_add(1) >= self.next()
    }

    /// What the events after `after` and up to `upto` did to each place of a SKU that is wanted.
    pub(crate) fn sums_of_sku(
        &self,
        sku: SkuId,
        after: u64,
        upto: u64,
        is_wanted: impl Fn(Place) -> bool,
    ) -> Result<BTreeMap<Place, i64>, Error> {
        let index = match self {
            Self::Last(draft) => {
                return Ok(draft.sums(after, upto, |place| place.sku == sku && is_wanted(place)));
            }
            Self::Sealed(index) => index,
        };
        let damaged = self.damaged();
        let mut books = Books::of(index);
        let first = by_sku(Place { location: LocationId(0), sku, lot: LotId::NONE });
        let mut at = books.places.find(0, |span| by_sku(span.place) < first).map_err(&damaged)?;
        let mut sums = BTreeMap::new();
        while let Some(span) = books.places.get(at).map_err(&damaged)?.filter(|span| span.place.sku == sku) {
            if is_wanted(span.place) {
                let sum = self.sum(&mut books, at, span, after, upto).map_err(&damaged)?;
                sums.insert(span.place, sum);
            }
            at += 1;
        }
        Ok(sums)
    }

    /// The same for one place, entry `at` of the places.
    fn sum(
        &self,
        books: &mut Books<'_, F>,
        at: u64,
        span: Span,
        after: u64,
        upto: u64,
    ) -> Result<i64, Damage> {
        let begin = match at.checked_sub(1) {
            Some(before) => books.places.get(before)?.map_or(0, |span| span.end),
            None => 0,
        };
        let (begin, end) = (u64::from(begin), u64::from(span.end));
        let mut up_to = |sequence: u64| -> Result<i64, Damage> {
            let behind = if sequence < self.first() {
                begin
            } else if sequence.saturating_add(1) >= self.next() {
                end
            } else {
                let number = self.number(sequence);
                books.legs.find_between(begin, end, |leg| leg.sequence <= number)?
            };
            if behind == begin {
                return Ok(0);
            }
            let leg = books.legs.get(behind - 1)?;
            leg.map(|leg| leg.sum).ok_or(Damage::Bytes("a place has fewer legs than it says"))
        };
        Ok(up_to(upto)? - up_to(after)?)
    }

    /// What the events after `after` and up to `upto` did to the places from `from` on, in order of the places: those
    /// at `locations`, which are sorted, or all. At most `limit` places, and whether there may be more.
    pub(crate) fn sums_from(
        &self,
        from: Place,
        locations: Option<&[LocationId]>,
        after: u64,
        upto: u64,
        limit: usize,
    ) -> Result<(Vec<(Place, i64)>, bool), Error> {
        let index = match self {
            Self::Last(draft) => {
                let is_wanted = |place: Place| {
                    place >= from
                        && locations.is_none_or(|sorted| sorted.binary_search(&place.location).is_ok())
                };
                return Ok(draft.first_sums(after, upto, limit, is_wanted));
            }
            Self::Sealed(index) => index,
        };
        let damaged = self.damaged();
        let mut totals: Rows<'_, F, Total> = index.table(Table::Totals);
        let mut found: Vec<(Place, i64)> = Vec::new();
        let mut more = false;
        let mut at = 0;
        let mut gather = |from: Place, only: Option<LocationId>| -> Result<bool, Damage> {
            at = totals.find(at, |total| total.place < from)?;
            while let Some(total) = totals.get(at)? {
                if only.is_some_and(|location| location != total.place.location) {
                    break;
                }
                if found.len() == limit {
                    more = true;
                    return Ok(false);
                }
                found.push((total.place, total.sum));
                at += 1;
            }
            Ok(at < totals.len())
        };
        match locations {
            None => {
                gather(from, None).map_err(&damaged)?;
            }
            Some(sorted) => {
                let start = sorted.partition_point(|location| *location < from.location);
                for location in &sorted[start..] {
                    let begin = from.max(begin_of(*location));
                    if !gather(begin, Some(*location)).map_err(&damaged)? {
                        break;
                    }
                }
            }
        }
        if !self.is_inside(after, upto) {
            let mut books = Books::of(index);
            for (place, sum) in &mut found {
                let wanted = by_sku(*place);
                let len = books.places.len();
                let at = books.places.find_between(0, len, |span| by_sku(span.place) < wanted);
                let at = at.map_err(&damaged)?;
                let span = books.places.get(at).map_err(&damaged)?.filter(|span| span.place == *place);
                let span = span.ok_or_else(|| damaged(Damage::Bytes("a place has a total and no legs")))?;
                *sum = self.sum(&mut books, at, span, after, upto).map_err(&damaged)?;
            }
        }
        Ok((found, more))
    }
}
