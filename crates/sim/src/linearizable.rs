//! Whether some order explains what clients saw of one SKU, whatever the store says about the order.
//!
//! This check trusts no sequence: it searches for an order that agrees with real time and in which a plain model gives
//! every answer (Wing and Gong's search with Lowe's memory of what was tried). The search is exponential at worst, so it
//! looks at samples: the calls about one SKU, which are a history of their own, because linearizability is a property
//! of each object by itself.
//!
//! Two things keep it small. A call that changes nothing is placed as soon as its answer fits: waiting could only make
//! it harder. And what accepted calls did is the same in any order of them, so that the set of the placed calls says
//! the state, and a set that led nowhere is not tried again.

use std::collections::HashSet;

use crate::{
    history::{Ask, Call, History, Told},
    model::Model,
};

/// The calls of a history, one sample for each SKU.
///
/// # Panics
/// If the history names a document under two SKUs: its number has to tell the SKU, as [`sku_of`] says.
pub fn samples(history: &History) -> Vec<Vec<Call>> {
    let mut samples = vec![Vec::new(); history.skus];
    for call in &history.calls {
        let sku = match call.asked {
            Ask::Hold { id, sku, .. } | Ask::Receive { id, sku, .. } => {
                assert_eq!(sku, sku_of(id, history.skus), "a document's number tells its SKU");
                sku
            }
            Ask::Read { sku } => sku,
            Ask::Release { id, .. } | Ask::Confirm { id, .. } | Ask::ReadHold { id } => {
                sku_of(id, history.skus)
            }
        };
        samples[sku].push(*call);
    }
    samples
}

/// The SKU of a document in a history that can be taken apart.
pub fn sku_of(id: u64, skus: usize) -> usize {
    usize::try_from(id % skus as u64).expect("it is less than the number of SKUs")
}

/// Why there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexplained {
    /// Calls of the sample.
    pub calls: usize,
    /// As many of them as any order could explain.
    pub explained: usize,
}

/// Searches for an order that explains a sample, of a SKU that had `on_hand` units before.
///
/// # Errors
/// If there is none.
pub fn explain(sample: &[Call], skus: usize, on_hand: u64) -> Result<(), Unexplained> {
    let mut calls = sample.to_vec();
    calls.sort_by_key(|call| call.invoked);
    let mut tried: HashSet<Vec<u64>> = HashSet::new();
    let start = Placed { set: vec![0; calls.len().div_ceil(64)], count: 0, model: Model::new(skus, on_hand) };
    let mut open = vec![start];
    let mut explained = 0;
    while let Some(mut placed) = open.pop() {
        placed.all_that_change_nothing(&calls);
        explained = explained.max(placed.count);
        if placed.count == calls.len() {
            return Ok(());
        }
        if !tried.insert(placed.set.clone()) {
            continue;
        }
        for at in placed.next(&calls) {
            if calls[at].is_new() && placed.fits(&calls[at]) {
                let mut further = placed.clone();
                further.model.apply(&calls[at].asked, 0);
                further.place(at);
                open.push(further);
            }
        }
    }
    Err(Unexplained { calls: calls.len(), explained })
}

/// The beginning of an order.
#[derive(Clone)]
struct Placed {
    /// A bit for each call.
    set: Vec<u64>,
    count: usize,
    model: Model,
}

impl Placed {
    fn has(&self, at: usize) -> bool {
        self.set[at / 64] >> (at % 64) & 1 == 1
    }

    fn place(&mut self, at: usize) {
        self.set[at / 64] |= 1 << (at % 64);
        self.count += 1;
    }

    /// Calls that may come next: those that began before any that is left had ended.
    fn next(&self, calls: &[Call]) -> Vec<usize> {
        let left = || (0..calls.len()).filter(|at| !self.has(*at));
        let horizon = left().map(|at| calls[at].responded).min().unwrap_or_default();
        left().take_while(|at| calls[*at].invoked < horizon).collect()
    }

    fn all_that_change_nothing(&mut self, calls: &[Call]) {
        loop {
            let before = self.count;
            for at in self.next(calls) {
                if !calls[at].is_new() && self.fits(&calls[at]) {
                    self.place(at);
                }
            }
            if self.count == before {
                return;
            }
        }
    }

    /// Whether the model answers as the store did, but for the events' numbers.
    fn fits(&self, call: &Call) -> bool {
        match (self.model.expects(&call.asked, 0), call.seen.told) {
            (Told::Done { repeat: a, units: ours, .. }, Told::Done { repeat: b, units: theirs, .. }) => {
                (a, ours) == (b, theirs)
            }
            (ours, theirs) => ours == theirs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Seen;

    fn call(asked: Ask, invoked: u64, responded: u64, told: Told) -> Call {
        Call { asked, invoked, responded, seen: Seen { head: 0, told } }
    }

    const NEW: Told = Told::Done { event: 7, repeat: false, units: 3 };

    fn hold(id: u64) -> Ask {
        Ask::Hold { id, sku: 0, units: 3 }
    }

    fn stock(held: u64) -> Told {
        Told::Stock { on_hand: 4, held, available: 4 - held }
    }

    #[test]
    fn an_order_is_found_where_there_is_one() {
        let short = Told::Refused { code: "insufficient_stock", available: Some(1) };
        // The refusal ended before the hold did, and can only come after it.
        let sample = [
            call(hold(0), 0, 9, NEW),
            call(hold(1), 1, 3, short),
            call(Ask::Read { sku: 0 }, 4, 5, stock(3)),
        ];
        assert_eq!(explain(&sample, 1, 4), Ok(()));
    }

    #[test]
    fn what_comes_too_late_is_no_order() {
        // It was told of the hold, and somebody who asked afterwards was not.
        let sample = [
            call(hold(0), 0, 9, NEW),
            call(Ask::Read { sku: 0 }, 1, 2, stock(3)),
            call(Ask::Read { sku: 0 }, 3, 4, stock(0)),
        ];
        assert_eq!(explain(&sample, 1, 4), Err(Unexplained { calls: 3, explained: 2 }));
    }

    #[test]
    fn nothing_is_sold_twice() {
        let sample = [call(hold(0), 0, 9, NEW), call(hold(1), 1, 8, NEW)];
        assert_eq!(explain(&sample, 1, 4), Err(Unexplained { calls: 2, explained: 1 }));
        assert_eq!(explain(&sample, 1, 6), Ok(()));
    }
}
