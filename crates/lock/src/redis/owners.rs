//! The owners of a process, no two of them alike.

use std::sync::atomic::{AtomicU64, Ordering};

use super::limits::OWNER_TIME;
use super::micros;
use crate::backend::Owner;
use crate::clock::BootTime;

/// Makes owners out of the process, the time, and a number.
///
/// ```text
/// 5a1b7724a5e043e2  7a68  38e616868711
/// process           time  number: what a tombstone is found by among those of its process and time
/// ```
///
/// The number only grows, from a random one on, so that two owners of a process differ by more than luck: dice of 48 bits
/// would fall alike after a day at tens of thousands of owners a second, and one of the two would pass for released.
#[derive(Debug)]
pub(super) struct Owners {
    process: [u8; 8],
    number: AtomicU64,
}

impl Owners {
    pub(super) fn of_process(process: [u8; 8]) -> Self {
        let [_, _, _, _, _, _, _, _, start @ ..] = *Owner::of_process(process).as_bytes();
        Self { process, number: AtomicU64::new(u64::from_be_bytes(start)) }
    }

    pub(super) fn next(&self) -> Owner {
        let mut owner = [0; 16];
        owner[..8].copy_from_slice(&self.process);
        // Its last two bytes come round after days, and the tombstones of the last time are gone within minutes.
        let time = BootTime::now().as_micros() / micros(OWNER_TIME);
        owner[8..10].copy_from_slice(&time.to_be_bytes()[6..]);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        owner[10..].copy_from_slice(&number.to_be_bytes()[2..]);
        Owner::from_bytes(owner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_million_owners_of_a_process_differ_in_what_their_tombstones_are_found_by() {
        const THREADS: usize = 4;
        const EACH: usize = 250_000;
        let owners = Owners { process: [7; 8], number: AtomicU64::new(u64::MAX - 1_000) };
        let made: Vec<Vec<Owner>> = std::thread::scope(|scope| {
            let made = [(); THREADS].map(|()| scope.spawn(|| (0..EACH).map(|_| owners.next()).collect()));
            made.map(|made| made.join().unwrap()).into()
        });
        let made: Vec<Owner> = made.into_iter().flatten().collect();
        assert!(made.iter().all(|owner| owner.process() == [7; 8]));
        let tails: HashSet<&[u8]> = made.iter().map(|owner| &owner.as_bytes()[10..]).collect();
        assert_eq!(tails.len(), THREADS * EACH);
    }

    #[test]
    fn processes_begin_with_different_numbers() {
        let [one, other] = [(); 2].map(|()| Owners::of_process([7; 8]).next());
        assert_ne!(one.as_bytes()[10..], other.as_bytes()[10..]);
    }
}
