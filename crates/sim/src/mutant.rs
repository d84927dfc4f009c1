//! Stores with a bug, so that the check of histories can show that it would find it.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jaego_engine::sim_disk::Dice;

use crate::history::{Ask, HoldState, Seen, Subject, Told};

/// One in so many calls that could be answered wrongly is.
const ODDS: usize = 12;
/// Reads that a stale answer is older than.
const STALE: usize = 40;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what it is called")]
pub enum Bug {
    HoldDropped,
    ReleaseDropped,
    ConfirmDropped,
    HeldTwice,
    ReceivedTwice,
    RepeatApplied,
    RepeatOfAnother,
    RepeatToldAsNew,
    ConflictToldAsRepeat,
    StaleRead,
    ReadOfAnEarlierHead,
    ReadHeldOffByOne,
    ReadAvailableWithoutHolds,
    RefusedWithOtherNumber,
    RefusedWithoutReason,
    Oversold,
    ConfirmOnlyReleases,
    ReleaseConfirms,
    OneMoreHeld,
    OtherSkuHeld,
    AnswerOfAnother,
    EndedHoldToldOpen,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::HoldDropped,
        Self::ReleaseDropped,
        Self::ConfirmDropped,
        Self::HeldTwice,
        Self::ReceivedTwice,
        Self::RepeatApplied,
        Self::RepeatOfAnother,
        Self::RepeatToldAsNew,
        Self::ConflictToldAsRepeat,
        Self::StaleRead,
        Self::ReadOfAnEarlierHead,
        Self::ReadHeldOffByOne,
        Self::ReadAvailableWithoutHolds,
        Self::RefusedWithOtherNumber,
        Self::RefusedWithoutReason,
        Self::Oversold,
        Self::ConfirmOnlyReleases,
        Self::ReleaseConfirms,
        Self::OneMoreHeld,
        Self::OtherSkuHeld,
        Self::AnswerOfAnother,
        Self::EndedHoldToldOpen,
    ];
}

/// A subject with a bug that shows now and then.
pub struct Mutant<S> {
    subject: S,
    bug: Bug,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    reads: VecDeque<(usize, Seen)>,
    last_new: Option<Seen>,
    shown: usize,
    made_up: u64,
}

impl<S: Subject> Mutant<S> {
    /// The subject with the bug.
    pub fn new(subject: S, bug: Bug, seed: u64) -> Self {
        let state = State {
            dice: Dice::new(seed),
            reads: VecDeque::new(),
            last_new: None,
            shown: 0,
            made_up: 1 << 40,
        };
        Self { subject, bug, state: Mutex::new(state) }
    }

    /// How often the bug showed.
    pub fn shown(&self) -> usize {
        self.state().shown
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it shows this time.
    fn shows(&self) -> bool {
        self.state().dice.one_in(ODDS)
    }

    fn show(&self, seen: Seen) -> Seen {
        self.state().shown += 1;
        seen
    }

    /// The last event, asked for in an innocent way.
    fn head(&self) -> u64 {
        self.subject.call(&Ask::Read { sku: 0 }).head
    }

    /// An id that no client uses.
    fn made_up(&self) -> u64 {
        let mut state = self.state();
        state.made_up += 1;
        state.made_up
    }

    fn pretended(&self, units: u64) -> Seen {
        let event = self.head() + 1;
        self.show(Seen { head: event, told: Told::Done { event, repeat: false, units } })
    }
}

impl<S: Subject> Subject for Mutant<S> {
    fn call(&self, asked: &Ask) -> Seen {
        use Bug::*;
        let honest = |asked: &Ask| self.subject.call(asked);
        match (self.bug, *asked) {
            (HoldDropped, Ask::Hold { units, .. }) if self.shows() => return self.pretended(units),
            (ReleaseDropped, Ask::Release { .. }) | (ConfirmDropped, Ask::Confirm { .. }) if self.shows() => {
                return self.pretended(0);
            }
            (RefusedWithoutReason, Ask::Hold { units, .. }) if self.shows() => {
                let told = Told::Refused { code: "insufficient_stock", available: Some(units - 1) };
                return self.show(Seen { head: self.head(), told });
            }
            (ConfirmOnlyReleases, Ask::Confirm { id, key }) if self.shows() => {
                return self.show(honest(&Ask::Release { id, key }));
            }
            (ReleaseConfirms, Ask::Release { id, key }) if self.shows() => {
                return self.show(honest(&Ask::Confirm { id, key }));
            }
            (OtherSkuHeld, Ask::Hold { id, sku, units }) if self.shows() => {
                return self.show(honest(&Ask::Hold { id, sku: usize::from(sku == 0), units }));
            }
            (OneMoreHeld, Ask::Hold { id, sku, units }) if self.shows() => {
                let mut seen = honest(&Ask::Hold { id, sku, units: units + 1 });
                if let Told::Done { units, .. } = &mut seen.told {
                    *units -= 1;
                }
                return self.show(seen);
            }
            _ => {}
        }
        let seen = honest(asked);
        let wrong = self.wrong(asked, seen);
        match wrong {
            Some(wrong) if wrong != seen && self.shows() => {
                // Some bugs do something besides what they tell.
                match (self.bug, *asked) {
                    (HeldTwice | RepeatApplied, Ask::Hold { sku, units, .. }) => {
                        honest(&Ask::Hold { id: self.made_up(), sku, units });
                    }
                    (ReceivedTwice, Ask::Receive { sku, units, .. }) => {
                        honest(&Ask::Receive { id: self.made_up(), sku, units });
                    }
                    _ => {}
                }
                self.show(Seen { head: wrong.head & !DEED, ..wrong })
            }
            _ => seen,
        }
    }
}

/// Marks an answer that is told as it is, while something else is done besides.
const DEED: u64 = 1 << 63;

impl<S: Subject> Mutant<S> {
    /// The wrong answer, where the bug has one.
    fn wrong(&self, asked: &Ask, seen: Seen) -> Option<Seen> {
        use Bug::*;
        let told = |told| Some(Seen { head: seen.head, told });
        let deed = || Some(Seen { head: seen.head | DEED, ..seen });
        match (self.bug, asked, seen.told) {
            (HeldTwice, Ask::Hold { .. }, Told::Done { repeat: false, .. })
            | (ReceivedTwice, Ask::Receive { .. }, Told::Done { repeat: false, .. })
            | (RepeatApplied, Ask::Hold { .. }, Told::Done { repeat: true, .. }) => deed(),
            (RepeatOfAnother, _, Told::Done { event, repeat: true, units }) => {
                told(Told::Done { event: event - 1, repeat: true, units })
            }
            (RepeatToldAsNew, _, Told::Done { event, repeat: true, units }) => {
                told(Told::Done { event, repeat: false, units })
            }
            (ConflictToldAsRepeat, Ask::Hold { units, .. }, Told::Refused { code: "id_taken", .. }) => {
                told(Told::Done { event: seen.head, repeat: true, units: *units })
            }
            (StaleRead, Ask::Read { sku }, _) => {
                let mut state = self.state();
                state.reads.push_back((*sku, seen));
                if state.reads.len() < STALE {
                    return None;
                }
                let (of, stale) = state.reads.pop_front()?;
                (of == *sku).then_some(stale)
            }
            (ReadOfAnEarlierHead, Ask::Read { .. }, _) => Some(Seen { head: seen.head - 1, ..seen }),
            (ReadHeldOffByOne, _, Told::Stock { on_hand, held, available }) => {
                told(Told::Stock { on_hand, held: held + 1, available })
            }
            (ReadAvailableWithoutHolds, _, Told::Stock { on_hand, held, .. }) => {
                told(Told::Stock { on_hand, held, available: on_hand })
            }
            (RefusedWithOtherNumber, _, Told::Refused { code, available: Some(available) }) => {
                told(Told::Refused { code, available: Some(available + 1) })
            }
            (Oversold, Ask::Hold { units, .. }, Told::Refused { code: "insufficient_stock", .. }) => {
                let event = seen.head + 1;
                Some(Seen { head: event, told: Told::Done { event, repeat: false, units: *units } })
            }
            (AnswerOfAnother, Ask::Hold { .. }, Told::Done { repeat: false, .. }) => {
                self.state().last_new.replace(seen)
            }
            (EndedHoldToldOpen, _, Told::Hold(Some(HoldState::Released | HoldState::Confirmed))) => {
                told(Told::Hold(Some(HoldState::Open)))
            }
            _ => None,
        }
    }
}
