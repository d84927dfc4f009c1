//! The binary `jaego` as its users run it: a process of its own on a real disk, asked over sockets, killed, stopped and
//! starved. What it acknowledged has to be there afterwards, and its books have to balance.

mod archive;
mod browser;
mod crash;
mod documents;
mod failing;
mod full;
mod growth;
mod hostile;
mod http;
mod jaego;
mod metrics;
mod order;
mod order_races;
mod orders;
mod overload;
mod picks;
mod queue;
mod race;
mod races;
mod sales;
mod seeds;
mod starting;
mod storm;
mod tls;
mod tour;
mod trades;
mod workers;
