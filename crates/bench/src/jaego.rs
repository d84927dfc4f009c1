//! The workloads on Jaego itself, through its HTTP interface and nothing else.

pub(crate) mod bulk;
pub(crate) mod checkouts;
pub(crate) mod claims;
pub(crate) mod holds;
pub(crate) mod orders;
pub(crate) mod transfers;
pub(crate) mod warehouse;
