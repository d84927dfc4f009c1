//! The wire of Jaego: what callers send, what they get, and what they read when something is refused.
//!
//! JSON is a promise to people who write clients, so it has its own types here, apart from the decisions' and the
//! journal's. [`table`] is the one place that says which commands there are; [`body`] reads them.

pub mod adjustment;
pub mod batch;
pub mod bin_move;
pub mod body;
pub mod cart;
pub mod event;
pub mod fence;
pub mod hold;
pub mod limits;
pub mod line_number;
pub mod list;
pub mod location;
pub mod lot;
pub mod movement;
pub mod openapi;
pub mod order;
pub mod outcome;
pub mod picking;
mod plain;
pub mod problem;
pub mod read;
pub mod site;
pub mod sku;
pub mod status;
pub mod stock;
pub mod table;
pub mod time;
pub mod trade;
pub mod transfer;
pub mod value;
pub mod wallet;
mod write;

pub use body::{
    BatchFormat, BatchRequest, Marks, Subjects, read_batch, read_command, read_ndjson, read_request,
};
pub use line_number::LineNumber;
pub use problem::Problem;
pub use read::{READS, Read, ReadRow, read_query};
pub use table::{COMMANDS, CommandRow, Method, Repeat, Role};
pub use time::Time;
pub use value::{Choice, Lines, Text, Whole, Word};
