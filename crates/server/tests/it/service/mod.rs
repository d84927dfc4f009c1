//! The routes of stock: the law of every store through HTTP, who may do what, what bad input gets, and the feed.

mod bad_input;
mod batches;
mod feed;
mod roles;
mod scenarios;
mod support;
mod wire;
