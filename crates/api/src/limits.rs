//! Every limit of the wire, side by side. Past a limit a request is refused at once and changes nothing.

pub use jaego_domain::limits::{
    CODE_BYTES_MAX, LINES_MAX, NAME_BYTES_MAX, PAGE_MAX, QUANTITY_MAX, RELEASED_HOLDERS_MAX,
};

/// Commands in one batch.
pub const BATCH_COMMANDS_MAX: usize = 10_000;
/// Lines in one batch, over all its commands.
pub const BATCH_LINES_MAX: usize = 65_536;
/// Bytes in the body of a request that brings documents with lines.
pub const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes in the body of every other request.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Items in a page whose request names no `limit`.
pub const PAGE_DEFAULT: usize = 100;
/// Bytes in the query of a request's URL.
pub const QUERY_BYTES_MAX: usize = 4 * 1024;
