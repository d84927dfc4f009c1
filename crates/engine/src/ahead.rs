//! Work in order, part of which a second thread does ahead.
//!
//! Opening a store reads bytes, decodes them and puts what they say into the tables. Only the last needs the tables, so
//! that a start has another thread decode. What is read, and when, does not depend on which of the two is faster: a
//! simulated disk sees the same calls in the same order every time.

use std::{panic::resume_unwind, sync::mpsc, thread};

/// Items that were read and are not finished with.
const ITEMS_MAX: usize = 3;
/// Results that wait to be taken.
const RESULTS_MAX: usize = 16;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hands {
    /// The thread that asks for it: beside a running service, which needs the other processors.
    One,
    /// It and another one.
    Two,
}

/// Has `work` make results of what `next` gives until there is no more, and hands them to `take` in the same order.
/// `next` and `take` run on the thread that asks.
///
/// # Errors
/// The first one in the order of the work: the items that `next` gave before it failed are worked on and taken first.
pub(crate) fn in_order<Item: Send, Output: Send, E>(
    hands: Hands,
    mut next: impl FnMut() -> Result<Option<Item>, E>,
    mut work: impl FnMut(Item, &mut dyn FnMut(Output)) + Send,
    mut take: impl FnMut(Output) -> Result<(), E>,
) -> Result<(), E> {
    if hands == Hands::One {
        while let Some(item) = next()? {
            let mut taken = Ok(());
            work(item, &mut |output| {
                if taken.is_ok() {
                    taken = take(output);
                }
            });
            taken?;
        }
        return Ok(());
    }
    thread::scope(|scope| {
        let (give, given) = mpsc::sync_channel(ITEMS_MAX);
        let (hand_back, results) = mpsc::sync_channel(RESULTS_MAX);
        let worker = scope.spawn(move || {
            for item in given {
                // Whoever asks may have met an error and gone: what is left of this item is for nobody.
                work(item, &mut |output| drop(hand_back.send(Some(output))));
                if hand_back.send(None).is_err() {
                    return;
                }
            }
        });
        let (mut under_way, mut read) = (0, None);
        loop {
            while read.is_none() && under_way < ITEMS_MAX {
                match next() {
                    Ok(Some(item)) => {
                        // Only a worker that panicked takes no more: its results end before those that are awaited.
                        drop(give.send(item));
                        under_way += 1;
                    }
                    Ok(None) => read = Some(Ok(())),
                    Err(error) => read = Some(Err(error)),
                }
            }
            if under_way == 0
                && let Some(read) = read
            {
                return read;
            }
            match results.recv() {
                Ok(Some(output)) => take(output)?,
                Ok(None) => under_way -= 1,
                Err(_) => {
                    let panic = worker.join().expect_err("a worker that is done was told so");
                    resume_unwind(panic);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles the numbers below `items`, each three times over. Reading fails at `bad_read` and taking at `bad_take`.
    fn run(hands: Hands, items: u32, bad_read: u32, bad_take: u32) -> (Vec<String>, Result<(), String>) {
        let log = std::cell::RefCell::new(Vec::new());
        let mut at = 0;
        let ended = in_order(
            hands,
            || {
                log.borrow_mut().push(format!("read {at}"));
                if at == bad_read {
                    return Err(format!("cannot read {at}"));
                }
                at += 1;
                Ok((at <= items).then_some(at - 1))
            },
            |item, result| (0..3).for_each(|_| result(2 * item)),
            |output| {
                log.borrow_mut().push(format!("take {output}"));
                if output == 2 * bad_take { Err(format!("cannot take {output}")) } else { Ok(()) }
            },
        );
        (log.into_inner(), ended)
    }

    fn taken(log: &[String]) -> Vec<&String> {
        log.iter().filter(|line| line.starts_with("take")).collect()
    }

    #[test]
    fn two_hands_come_to_the_same_as_one() {
        let never = u32::MAX / 2;
        for (items, bad_read, bad_take) in [
            (0, never, never),
            (1, never, never),
            (40, never, never),
            (40, 20, never),
            (40, never, 20),
            (40, 20, 18),
        ] {
            let (one, one_ended) = run(Hands::One, items, bad_read, bad_take);
            let (two, two_ended) = run(Hands::Two, items, bad_read, bad_take);
            assert_eq!(one_ended, two_ended, "{items} items");
            assert_eq!(one_ended.is_err(), bad_read.min(bad_take) < never);
            assert_eq!(taken(&one), taken(&two), "{items} items");
        }
    }

    #[test]
    fn what_is_read_does_not_depend_on_who_is_faster() {
        let (first, _) = run(Hands::Two, 200, u32::MAX / 2, u32::MAX / 2);
        for _ in 0..20 {
            assert_eq!(run(Hands::Two, 200, u32::MAX / 2, u32::MAX / 2).0, first);
        }
    }

    #[test]
    #[should_panic(expected = "the seventh")]
    fn a_panic_of_the_worker_is_that_of_whoever_asked() {
        let mut at = 0;
        let next = || {
            at += 1;
            Ok::<_, ()>(Some(at))
        };
        let work = |item, result: &mut dyn FnMut(u32)| {
            assert_ne!(item, 7, "the seventh");
            result(item);
        };
        let _ = in_order(Hands::Two, next, work, |_| Ok(()));
    }
}
