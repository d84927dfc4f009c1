//! PostgreSQL: transactions that are sent in one flight, whatever they do.

use std::io;

use crate::load::{Caller, Heard};
use crate::pgwire::{AnswerReader, greet};
use crate::template::Template;

/// A flight that was written ahead, and what it must come to.
pub(crate) struct Shape {
    pub(crate) flight: Template,
    /// The rows that each of its statements touches.
    pub(crate) rows: Vec<u64>,
    /// What it counts for.
    pub(crate) units: u64,
}

/// Fills in the numbers of the next flight, and says which of the shapes it is.
pub(crate) type Fill = Box<dyn FnMut(&mut [Shape]) -> usize + Send>;

/// One connection's flights.
pub(crate) struct Flying {
    statements: Vec<(&'static str, String)>,
    shapes: Vec<Shape>,
    fill: Fill,
    shape: usize,
    left: u64,
    reader: AnswerReader,
}

impl Flying {
    /// So many flights with these statements, given by name and text.
    pub(crate) fn new(
        statements: Vec<(&'static str, String)>,
        shapes: Vec<Shape>,
        left: u64,
        fill: Fill,
    ) -> Self {
        Self { statements, shapes, fill, shape: 0, left, reader: AnswerReader::default() }
    }
}

impl Caller for Flying {
    fn greet(&mut self, stream: &mut std::net::TcpStream) -> io::Result<()> {
        let statements: Vec<(&str, &str)> =
            self.statements.iter().map(|(name, sql)| (*name, sql.as_str())).collect();
        greet(stream, &statements)
    }

    fn ask(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.shape = (self.fill)(&mut self.shapes);
        true
    }

    fn request(&self) -> &[u8] {
        self.shapes[self.shape].flight.bytes()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        let answer = match self.reader.read(received) {
            Err(detail) => return Heard::Broken(detail),
            Ok(None) => return Heard::Partial,
            Ok(Some(answer)) => answer,
        };
        let shape = &self.shapes[self.shape];
        match answer.error {
            // The transaction was not committed, and the connection would be of no use any more.
            Some(error) => Heard::Broken(error),
            None if answer.rows == shape.rows => Heard::Done(shape.units),
            None => Heard::Unexpected(format!("rows touched: {:?}", answer.rows)),
        }
    }
}
