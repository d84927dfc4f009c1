//! Callers who act at the same moment, round by round.

use std::{sync::Barrier, thread};

use serde_json::Value;

use crate::{http::Connection, jaego::Jaego};

/// A status and a body.
pub(crate) type Answer = (u16, Value);

/// What a caller does in a round.
pub(crate) type Hand<'a> = &'a (dyn Fn(&mut Connection, usize) -> Answer + Sync);

/// Lets all hands act in every round at the same time, each over a connection of its own, and returns what each was told.
pub(crate) fn race<const HANDS: usize>(
    jaego: &Jaego,
    rounds: usize,
    hands: [Hand<'_>; HANDS],
) -> Vec<[Answer; HANDS]> {
    let start = Barrier::new(HANDS);
    let act = |hand: Hand<'_>| -> Vec<Answer> {
        let mut connection = jaego.connect();
        let round = |round| {
            start.wait();
            hand(&mut connection, round)
        };
        (0..rounds).map(round).collect()
    };
    let mut told = thread::scope(|scope| {
        let hands = hands.map(|hand| scope.spawn(move || act(hand)));
        hands.map(|hand| hand.join().unwrap().into_iter())
    });
    let of_round = |_| told.each_mut().map(|hand| hand.next().expect("each round has an answer"));
    (0..rounds).map(of_round).collect()
}
