//! The law of stores: what every one of them answers, on the tables in memory and on the reference store.

mod bins;
mod carts;
mod codec;
mod growth;
mod lot_holders;
mod orders;
mod pages;
mod picks;
mod random;
mod reference;
mod render;
mod scenarios;
