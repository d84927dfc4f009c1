//! The routes of stock: the law of every store through HTTP, who may do what, what bad input gets, the feed, the past,
//! and what the audit log has of it.

mod audit;
mod bad_input;
mod bad_paths;
mod bad_reads;
mod batches;
mod feed;
mod past;
mod rates;
mod refusals;
mod roles;
mod scenarios;
mod support;
mod wire;
