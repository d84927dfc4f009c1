//! Row E10: the order of the requests decides everything, and how they were grouped decides nothing.

use std::collections::VecDeque;

use jaego_domain::{Event, Memory, Request, Timestamp};
use jaego_engine::{Core, Flight, Job, Limits, Submission, sim_disk::Dice, state_hash};
use jaego_sim::{Client, setup};
use jaego_store::{Batch, codec};

use crate::seeds::each_seed;

const OPERATIONS: usize = 4_000;
/// After so many the rows are compared, and time goes on.
const ROUND: usize = 1_000;

/// The rows' hash after each round, and all events as they are read back.
fn run(
    requests: &[Request],
    dice: &mut Dice,
    batch_len_max: usize,
    limits: Limits,
) -> (Vec<u128>, Vec<Event>) {
    let mut core = Core::new(Memory::new(), limits);
    let mut hashes = Vec::new();
    let mut written = Vec::new();
    for (round, requests) in (0..).zip(requests.chunks(ROUND)) {
        let now = Timestamp(1_772_323_200_000 + round * 3_000);
        let mut left = requests.iter().cloned().peekable();
        let mut jobs = VecDeque::new();
        while left.peek().is_some() {
            for _ in 0..1 + dice.below(3) {
                let batch: Vec<_> = left.by_ref().take(1 + dice.below(batch_len_max)).collect();
                let batch = Batch { requests: batch, atomic: false };
                jobs.push_back(Job::Submit(Submission::new(batch, Box::new(|_| ()))));
            }
            while !jobs.is_empty() {
                core.turn(&mut jobs, now, Ok(()));
                if core.is_full() || dice.one_in(2) {
                    written.extend(decode(&core.take_flight()));
                }
            }
        }
        written.extend(decode(&core.take_flight()));
        hashes.push(state_hash(core.memory()));
    }
    (hashes, written)
}

fn decode(flight: &Flight) -> Vec<Event> {
    let events = codec::decode(&flight.payload, flight.first).expect("it was encoded just now");
    events.map(|event| event.expect("it was encoded just now")).collect()
}

#[test]
fn the_same_order_gives_the_same_rows_however_it_is_grouped() {
    each_seed("the_same_order_gives_the_same_rows_however_it_is_grouped", 12, |seed| {
        let mut dice = Dice::new(seed);
        let mut client = Client::default();
        let mut requests = setup();
        while requests.len() < OPERATIONS {
            let request = client.request(&mut dice);
            // A reversal wants a movement looked up, which only a whole store does.
            if request.wanted_movement().is_none() {
                requests.push(request);
            }
        }
        let wide = Limits { lines_before_yield: usize::MAX, ..Limits::default() };
        let one_by_one = run(&requests, &mut dice, 1, wide);
        assert_eq!(one_by_one.0.len(), OPERATIONS / ROUND);
        for batch_len_max in [2, 50, 1_000] {
            let grouped = run(&requests, &mut dice, batch_len_max, wide);
            assert_eq!(one_by_one.0, grouped.0, "batches of up to {batch_len_max}");
            assert!(one_by_one.1 == grouped.1, "other events for batches of up to {batch_len_max}");
        }
        assert_eq!(one_by_one.0, run(&requests, &mut dice, 1, wide).0, "the same run again");
    });
}
