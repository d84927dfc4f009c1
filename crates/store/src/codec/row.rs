//! Rows as bytes, for checkpoints: whoever puts them all back has the tables as they were.
//!
//! ```text
//!   payload   version u8   count u32
//!   row       tag u8   len   key and row, whose fields stand in `layout`
//! ```

use jaego_domain::Row;

use super::{
    Error, Problem, VERSION,
    bytes::{Reader, Writer},
    error::Result,
    header,
    layout::Tagged,
};

/// Bytes of a payload without rows.
pub const HEADER_LEN: usize = 5;

/// The fewest bytes of a row: tag, length, and a mark that there is no row, where there can only be one of its kind.
const ROW_LEN_MIN: usize = 3;

/// Gathers rows into a payload. It can be emptied and used again, and then needs no new memory.
#[derive(Debug)]
pub struct Encoder {
    w: Writer,
    count: u32,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// A payload without rows.
    pub fn new() -> Self {
        let mut encoder = Self { w: Writer::default(), count: 0 };
        encoder.clear();
        encoder
    }

    /// Puts a row. Panics if it says what no row may (a pick of nothing).
    pub fn push(&mut self, row: &Row) {
        self.count = self.count.checked_add(1).expect("a payload has fewer than 4,294,967,296 rows");
        self.w.bytes[1..HEADER_LEN].copy_from_slice(&self.count.to_le_bytes());
        self.w.byte(row.tag());
        self.w.sized(|w| row.put_fields(w));
    }

    /// How many rows it has.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The payload so far. It is whole after every row.
    pub fn payload(&self) -> &[u8] {
        &self.w.bytes
    }

    /// The payload.
    pub fn into_payload(self) -> Vec<u8> {
        self.w.bytes
    }

    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.w.bytes.clear();
        self.w.byte(VERSION);
        self.w.raw(&[0; HEADER_LEN - 1]);
        self.count = 0;
    }
}

/// The payload of these rows.
pub fn encode<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for row in rows {
        encoder.push(row);
    }
    encoder.into_payload()
}

/// Reads a payload. The header is checked at once, each row when it is asked for; after an error nothing
/// more comes.
pub fn decode(payload: &[u8]) -> std::result::Result<Rows<'_>, Error> {
    let mut r = Reader::new(payload);
    let count = header(&mut r, ROW_LEN_MIN)?;
    Ok(Rows { r, left: count, ended: false })
}

/// The rows of a payload, in order.
#[derive(Debug)]
pub struct Rows<'a> {
    r: Reader<'a>,
    left: u32,
    ended: bool,
}

impl Rows<'_> {
    /// Where the next row begins, in bytes from the start of the payload: what was read is before it.
    pub fn at(&self) -> usize {
        self.r.at()
    }

    fn read(&mut self) -> Result<Row> {
        let tag_at = self.r.at();
        let tag = self.r.byte("a row")?;
        let mut body = self.r.sized("a row's length")?;
        Row::get_fields(&mut body, tag, tag_at)
    }
}

impl Iterator for Rows<'_> {
    type Item = std::result::Result<Row, Error>;

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
        let row = self.read();
        self.ended = row.is_err();
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error can end it early, or come after the last row.
        (0, Some(self.left as usize + 1))
    }
}
