//! The bytes of an index: blocks of 4 KiB, each with a checksum of its own, so that one can be looked into without
//! being read whole. `docs/JOURNAL.md` draws them.

use jaego_domain::{LocationId, LotId, Place, SkuId};

use crate::journal::StoreId;

/// The version that this code writes, and the only one that it reads.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"JAEGOIDX";
/// Bytes of a block, its checksum included.
pub(crate) const BLOCK_LEN: usize = 4096;
/// Bytes of a block before its checksum. Entries do not reach over the end of a block.
const ROOM: usize = BLOCK_LEN - 4;
/// How many tables there are.
const TABLES: usize = 7;
/// Entries that a table is believed to have: far more than any segment has bytes, and so few that the places of blocks
/// can be worked out.
const ENTRIES_MAX: u64 = 1 << 40;

/// A block with its checksum.
pub(crate) type Block = [u8; BLOCK_LEN];

/// The tables of an index, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// [`FrameEntry`]: every frame, in order.
    Frames,
    /// [`Posting`]: the events with movements, by the hash of their document's id.
    Documents,
    /// [`Posting`]: the events that moved a SKU.
    Skus,
    /// [`Posting`]: the events that moved something from or to a site.
    Sites,
    /// [`Span`]: every place, by SKU first, and where its legs end.
    Places,
    /// [`Leg`]: what came to a place and left it, place by place.
    Legs,
    /// [`Total`]: what all of the segment did to a place, by location first.
    Totals,
}

impl Table {
    fn index(self) -> usize {
        self as usize
    }
}

/// Something that stands in a table, in a fixed number of bytes.
pub(crate) trait Entry: Copy {
    /// How many.
    const LEN: usize;
    fn put(&self, bytes: &mut [u8]);
    fn get(bytes: &[u8]) -> Self;
}

/// How many entries a block has.
pub(crate) const fn entries_a_block(entry_len: usize) -> u64 {
    (ROOM / entry_len) as u64
}

/// A frame: where it is, and its first event's number and time. Numbers are counted from the segment's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub(crate) sequence: u32,
    pub(crate) sector: u32,
    pub(crate) at: u64,
}

/// An event that a key leads to, the key first: sorting the numbers sorts by key and then by event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Posting(pub(crate) u64);

impl Posting {
    pub(crate) fn new(key: u32, sequence: u32) -> Self {
        Self(u64::from(key) << 32 | u64::from(sequence))
    }

    pub(crate) fn key(self) -> u32 {
        high(self.0)
    }

    pub(crate) fn sequence(self) -> u32 {
        low(self.0)
    }
}

/// A place, and the leg after its last one; its first is where those of the place before end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) place: Place,
    pub(crate) end: u32,
}

/// What an event did to a place and what earlier events of the segment did, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) sequence: u32,
    pub(crate) sum: i64,
}

/// The order by SKU first.
pub(crate) fn by_sku(place: Place) -> (SkuId, LocationId, LotId) {
    (place.sku, place.location, place.lot)
}

/// What a whole segment did to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) place: Place,
    pub(crate) sum: i64,
}

impl Entry for FrameEntry {
    const LEN: usize = 16;

    fn put(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sector.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.at.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self { sequence: u32_at(bytes, 0), sector: u32_at(bytes, 4), at: u64_at(bytes, 8) }
    }
}

impl Entry for Posting {
    const LEN: usize = 8;

    fn put(&self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self(u64_at(bytes, 0))
    }
}

impl Entry for Span {
    const LEN: usize = 16;

    fn put(&self, bytes: &mut [u8]) {
        put_place(self.place, bytes);
        bytes[12..16].copy_from_slice(&self.end.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self { place: place_at(bytes), end: u32_at(bytes, 12) }
    }
}

impl Entry for Leg {
    const LEN: usize = 12;

    fn put(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.sum.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self { sequence: u32_at(bytes, 0), sum: u64_at(bytes, 4).cast_signed() }
    }
}

impl Entry for Total {
    const LEN: usize = 20;

    fn put(&self, bytes: &mut [u8]) {
        put_place(self.place, bytes);
        bytes[12..20].copy_from_slice(&self.sum.to_le_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self { place: place_at(bytes), sum: u64_at(bytes, 12).cast_signed() }
    }
}

fn put_place(place: Place, bytes: &mut [u8]) {
    bytes[..4].copy_from_slice(&place.location.0.to_le_bytes());
    bytes[4..8].copy_from_slice(&place.sku.0.to_le_bytes());
    bytes[8..12].copy_from_slice(&place.lot.0.to_le_bytes());
}

fn place_at(bytes: &[u8]) -> Place {
    Place {
        location: LocationId(u32_at(bytes, 0)),
        sku: SkuId(u32_at(bytes, 4)),
        lot: LotId(u32_at(bytes, 8)),
    }
}

/// Which segment an index was made from: the hash stands for all of its bytes, and for those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) store: StoreId,
    pub(crate) segment: u64,
    pub(crate) first_sequence: u64,
    pub(crate) next_sequence: u64,
    /// The hash of the segment's last frame before the seal.
    pub(crate) hash: u64,
}

impl Origin {
    /// The checksums of all blocks begin here, so that a block of another index is none of this one.
    fn seed(&self) -> u32 {
        let seed = crc32c::crc32c(&self.store.0.to_le_bytes());
        let seed = crc32c::crc32c_append(seed, &self.segment.to_le_bytes());
        crc32c::crc32c_append(seed, &self.hash.to_le_bytes())
    }

    fn checksum(&self, block: u64, bytes: &Block) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.seed(), &block.to_le_bytes()), &bytes[..ROOM])
    }

    /// Puts a block's checksum.
    pub(crate) fn close(&self, block: u64, bytes: &mut Block) {
        let checksum = self.checksum(block, bytes);
        bytes[ROOM..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Whether a block is the one that was written.
    pub(crate) fn is_whole(&self, block: u64, bytes: &Block) -> bool {
        self.checksum(block, bytes) == u32_at(bytes, ROOM)
    }
}

/// Where the tables stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    counts: [u64; TABLES],
}

impl Layout {
    const LENS: [usize; TABLES] =
        [FrameEntry::LEN, Posting::LEN, Posting::LEN, Posting::LEN, Span::LEN, Leg::LEN, Total::LEN];

    /// With so many entries.
    pub(crate) fn new(counts: [usize; TABLES]) -> Self {
        Self { counts: counts.map(|count| count as u64) }
    }

    /// How many entries a table has.
    pub(crate) fn count(&self, table: Table) -> u64 {
        self.counts[table.index()]
    }

    fn blocks(&self, table: usize) -> u64 {
        self.counts[table].div_ceil(entries_a_block(Self::LENS[table]))
    }

    /// The block that a table begins with.
    pub(crate) fn first_block(&self, table: Table) -> u64 {
        1 + (0..table.index()).map(|before| self.blocks(before)).sum::<u64>()
    }

    /// The length of the file.
    pub(crate) fn file_len(&self) -> u64 {
        (1 + (0..TABLES).map(|table| self.blocks(table)).sum::<u64>()) * BLOCK_LEN as u64
    }

    /// The first block.
    pub(crate) fn encode(&self, origin: &Origin) -> Block {
        let mut bytes = [0; BLOCK_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&origin.store.0.to_le_bytes());
        let numbers = [origin.segment, origin.first_sequence, origin.next_sequence, origin.hash];
        for (index, number) in numbers.into_iter().chain(self.counts).enumerate() {
            bytes[32 + index * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
        origin.close(0, &mut bytes);
        bytes
    }

    /// Reads the first block of an index of this origin.
    pub(crate) fn decode(bytes: &Block, origin: &Origin) -> Option<Self> {
        if !origin.is_whole(0, bytes) || bytes[..8] != MAGIC || u32_at(bytes, 8) != VERSION {
            return None;
        }
        let mut counts = [0; TABLES];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = u64_at(bytes, 64 + index * 8);
        }
        if counts.iter().any(|count| *count > ENTRIES_MAX) {
            return None;
        }
        let layout = Self { counts };
        (layout.encode(origin) == *bytes).then_some(layout)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("there are four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("there are eight bytes"))
}

#[expect(clippy::cast_possible_truncation, reason = "one half of a number")]
fn low(number: u64) -> u32 {
    number as u32
}

fn high(number: u64) -> u32 {
    low(number >> 32)
}
