//! The routes of stock: the law of every store through HTTP, who may do what, what bad input gets, the feed, and the past.

mod bad_input;
mod batches;
mod feed;
mod past;
mod roles;
mod scenarios;
mod support;
mod wire;
