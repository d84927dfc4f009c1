//! The codec, from outside: fixtures of every version, whatever comes back, and bytes that nobody wrote.

mod arbitrary;
mod carts;
mod claims;
mod fences;
mod fixtures;
mod hostile;
mod money;
mod orders;
mod picking;
mod reallocations;
mod refunds;
mod round_trip;
mod samples;
mod sizes;
mod trades;

use jaego_domain::{Event, Row, Sequence};
use jaego_store::codec::{self, Error};

fn decode(payload: &[u8], first: Sequence) -> Result<Vec<Event>, Error> {
    codec::decode(payload, first)?.collect()
}

fn decode_rows(payload: &[u8]) -> Result<Vec<Row>, Error> {
    codec::row::decode(payload)?.collect()
}
