//! Events and rows as bytes: what stands in the journal and in checkpoints.
//!
//! An [`Encoder`] gathers a batch of events into the payload of one frame, and [`decode`] reads them back.
//! [`row`] does the same for rows. Checksums, lengths and sequences are the frame's business.
//!
//! ```text
//!   payload   version u8   count u32   at u64                      little-endian; `at` is the first event's time
//!   event     tag u8   at   by   [name]   [key body]   len   fact
//!             at       milliseconds since the event before
//!             by       the author's index × 2, and 1 more if there is a request key; an index that is new is
//!                      followed by the name, and the first 63 names are remembered until the payload ends
//!             len      bytes of the fact, whose fields stand in `layout`
//! ```
//!
//! Sequences are not stored: they have no gaps, so that the first one, which the frame's header has, says them
//! all. Numbers are unsigned LEB128, signed ones folded to zigzag. A code is its length and its text, and a UUID
//! in lower case its 16 bytes. Every event has exactly one encoding, and equal batches give equal bytes.
//!
//! # How this may grow
//!
//! 1. What was written can be read for ever. `tests/fixtures` holds files of every version, and they must open.
//! 2. A tag or the order of fields is never changed, and the tag of a fact that is no longer written is not used
//!    again.
//! 3. A new kind of fact, row or name gets a new tag. A program that does not know it refuses to read on and
//!    names the tag: to skip a fact would be to make up another history.
//! 4. A fact or a row may get a new field at the end of its body, if one can do without it. Where the body ends
//!    before it, the newer program takes its default. An older program skips it by the body's length; therefore
//!    replay must come to the same rows without it. If it would not, that is a new fact with a new tag.
//! 5. The records inside of lists (takes, lines, picks) have no length of their own and never change. More about
//!    a line goes into a list of its own at the end, or into a new fact.
//! 6. If all of this is not enough, the payload's version goes up, and this code reads both.

mod bytes;
mod error;
mod field;
mod held;
mod layout;
pub mod row;

use jaego_domain::{Code, Event, Keyed, Sequence, Timestamp};

use bytes::{Reader, Writer};
use error::Result;
pub use error::{Error, Problem};
use field::Field;

/// The version of payloads that this code writes, and the only one that it reads.
pub const VERSION: u8 = 1;

/// Bytes of a payload without events.
pub const HEADER_LEN: usize = 13;

/// Names that one payload remembers: as many as fit into one byte with the flag.
pub const AUTHORS_MAX: usize = 63;

/// The fewest bytes of an event: tag, time, author, length, and a fact with one field.
const EVENT_LEN_MIN: usize = 5;

/// Gathers events into a payload. It can be emptied and used again, and then needs no new memory.
#[derive(Debug)]
pub struct Encoder {
    w: Writer,
    count: u32,
    last: Option<(Sequence, Timestamp)>,
    authors: Vec<Code>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// A payload without events.
    pub fn new() -> Self {
        let mut encoder = Self { w: Writer::default(), count: 0, last: None, authors: Vec::new() };
        encoder.clear();
        encoder
    }

    /// Puts the next event. Panics if it does not follow the one before in sequence and time, or if it says
    /// what no event may (a take of nothing, a hold's take for a line that it does not have): what cannot be
    /// read back is never written.
    pub fn push(&mut self, event: &Event) {
        let since = match self.last {
            None => {
                self.w.bytes[5..HEADER_LEN].copy_from_slice(&event.at.0.to_le_bytes());
                0
            }
            Some((sequence, at)) => {
                assert_eq!(event.sequence, sequence.next(), "events follow each other without gaps");
                event.at.0.checked_sub(at.0).expect("logical time never runs backwards")
            }
        };
        self.last = Some((event.sequence, event.at));
        self.count = self.count.checked_add(1).expect("a payload has fewer than 4,294,967,296 events");
        self.w.bytes[1..5].copy_from_slice(&self.count.to_le_bytes());

        self.w.byte(layout::fact_tag(&event.fact));
        self.w.varint(since);
        self.put_author(&event.by, event.keyed.is_some());
        if let Some(keyed) = &event.keyed {
            keyed.put(&mut self.w);
        }
        self.w.sized(|w| layout::put_fact(w, &event.fact, event.at));
    }

    fn put_author(&mut self, by: &Code, keyed: bool) {
        let known = self.authors.iter().position(|author| author == by);
        let index = known.unwrap_or(self.authors.len());
        self.w.varint(index as u64 * 2 + u64::from(keyed));
        if known.is_none() {
            by.put(&mut self.w);
            if self.authors.len() < AUTHORS_MAX {
                self.authors.push(by.clone());
            }
        }
    }

    /// How many events it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The payload so far. It is whole after every event.
    pub fn payload(&self) -> &[u8] {
        &self.w.bytes
    }

    /// The payload.
    pub fn into_payload(self) -> Vec<u8> {
        self.w.bytes
    }

    /// Forgets all events and keeps the memory.
    pub fn clear(&mut self) {
        self.w.bytes.clear();
        self.w.byte(VERSION);
        self.w.raw(&[0; HEADER_LEN - 1]);
        self.count = 0;
        self.last = None;
        self.authors.clear();
    }
}

/// The payload of these events.
pub fn encode<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for event in events {
        encoder.push(event);
    }
    encoder.into_payload()
}

/// Reads a payload whose first event has the number `first`. The header is checked at once, each event when
/// it is asked for; after an error nothing more comes.
pub fn decode(payload: &[u8], first: Sequence) -> std::result::Result<Events<'_>, Error> {
    let mut r = Reader::new(payload);
    let count = header(&mut r, EVENT_LEN_MIN)?;
    let at_at = r.at();
    let at = u64::get(&mut r, "the time")?;
    // The one after the last event has to have a number as well.
    if first.0.checked_add(u64::from(count)).is_none() {
        return Err(Error::new("the sequence", at_at, Problem::TooLarge));
    }
    Ok(Events { r, left: count, next: first, at: Timestamp(at), authors: Vec::new(), ended: false })
}

/// Reads the version and the number of things of which each takes `len_min` bytes at least.
fn header(r: &mut Reader<'_>, len_min: usize) -> Result<u32> {
    let version = r.byte("the version")?;
    if version != VERSION {
        return Err(Error::new("the version", 0, Problem::Version { version, known: VERSION }));
    }
    let at = r.at();
    let count = r.array("the count").map(u32::from_le_bytes)?;
    let room = r.remaining();
    if count as usize > room / len_min {
        return Err(Error::new("the count", at, Problem::Count { count: u64::from(count), room }));
    }
    Ok(count)
}

/// The events of a payload, in order.
#[derive(Debug)]
pub struct Events<'a> {
    r: Reader<'a>,
    left: u32,
    next: Sequence,
    at: Timestamp,
    authors: Vec<Code>,
    ended: bool,
}

impl Events<'_> {
    /// Goes to the event of this number, or to the end where there is none, without reading what the events before it
    /// say. Those who were passed over are not checked: the frame's checksum is what vouches for them.
    ///
    /// # Errors
    /// Where an event's frame of tag, time, author and length cannot be read.
    pub fn skip_to(&mut self, sequence: Sequence) -> Result<()> {
        while !self.ended && self.left > 0 && self.next < sequence {
            self.left -= 1;
            self.skip().inspect_err(|_| self.ended = true)?;
        }
        Ok(())
    }

    /// The next event of a kind that may move something; those before it are skipped as by [`Events::skip_to`]. A
    /// journal of holds is read over many times faster than it is read.
    pub fn next_moving(&mut self) -> Option<std::result::Result<Event, Error>> {
        while !self.ended && self.left > 0 {
            match self.r.peek() {
                Some(tag) if layout::moves_nothing(tag) => {
                    self.left -= 1;
                    if let Err(error) = self.skip() {
                        self.ended = true;
                        return Some(Err(error));
                    }
                }
                _ => break,
            }
        }
        self.next()
    }

    /// The time of the last event that was read or skipped; of the first one before that.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn skip(&mut self) -> Result<()> {
        self.r.byte("a fact")?;
        let since_at = self.r.at();
        let since = self.r.varint("the time")?;
        let Some(at) = self.at.0.checked_add(since).map(Timestamp) else {
            return Err(Error::new("the time", since_at, Problem::TooLarge));
        };
        // The author is remembered where it is new, as a reader of every event does.
        if self.read_author()?.1 {
            Keyed::get(&mut self.r, "the request key")?;
        }
        self.r.sized("a fact's length")?;
        (self.next, self.at) = (self.next.next(), at);
        Ok(())
    }

    #[inline]
    fn read(&mut self) -> Result<Event> {
        let tag_at = self.r.at();
        let tag = self.r.byte("a fact")?;
        let since_at = self.r.at();
        let since = self.r.varint("the time")?;
        let Some(at) = self.at.0.checked_add(since).map(Timestamp) else {
            return Err(Error::new("the time", since_at, Problem::TooLarge));
        };
        let (by, has_key) = self.read_author()?;
        let keyed = if has_key { Some(Keyed::get(&mut self.r, "the request key")?) } else { None };
        let mut body = self.r.sized("a fact's length")?;
        let sequence = self.next;
        (self.next, self.at) = (sequence.next(), at);
        Ok(Event { sequence, at, by, keyed, fact: layout::get_fact(&mut body, tag, tag_at, at)? })
    }

    fn read_author(&mut self) -> Result<(Code, bool)> {
        let at = self.r.at();
        let number = self.r.varint("the author")?;
        let (index, has_key, known) = (number / 2, number % 2 == 1, self.authors.len());
        if let Some(author) = usize::try_from(index).ok().and_then(|index| self.authors.get(index)) {
            return Ok((author.clone(), has_key));
        }
        if index != known as u64 {
            return Err(Error::new("the author", at, Problem::Author { index, known }));
        }
        let author = Code::get(&mut self.r, "the author")?;
        if self.authors.contains(&author) {
            return Err(Error::new("the author", at, Problem::NotShortest));
        }
        if known < AUTHORS_MAX {
            self.authors.push(author.clone());
        }
        Ok((author, has_key))
    }
}

impl Iterator for Events<'_> {
    type Item = std::result::Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.left == 0 {
            self.ended = true;
            let left_over = self.r.remaining();
            return (left_over > 0)
                .then(|| Err(Error::new("the payload", self.r.at(), Problem::LeftOver(left_over))));
        }
        self.left -= 1;
        Some(self.read().inspect_err(|_| self.ended = true))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error can end it early, or come after the last event.
        (0, Some(self.left as usize + 1))
    }
}
