//! Two callers who act at the same moment, round by round.

use std::{sync::Barrier, thread};

use serde_json::Value;

use crate::{http::Connection, jaego::Jaego};

/// A status and a body.
pub(crate) type Answer = (u16, Value);

/// What a caller does in a round.
pub(crate) type Hand<'a> = &'a (dyn Fn(&mut Connection, usize) -> Answer + Sync);

/// Lets two hands act in every round at the same time, each over a connection of its own, and returns what each was told.
pub(crate) fn race(jaego: &Jaego, rounds: usize, hands: [Hand<'_>; 2]) -> Vec<[Answer; 2]> {
    let start = Barrier::new(2);
    let act = |hand: Hand<'_>| -> Vec<Answer> {
        let mut connection = jaego.connect();
        let round = |round| {
            start.wait();
            hand(&mut connection, round)
        };
        (0..rounds).map(round).collect()
    };
    let [one, other] = thread::scope(|scope| {
        let hands = hands.map(|hand| scope.spawn(move || act(hand)));
        hands.map(|hand| hand.join().unwrap())
    });
    one.into_iter().zip(other).map(|(one, other)| [one, other]).collect()
}
