//! The API as its callers see it.

mod answers;
mod command;
mod malformed;
mod table;
