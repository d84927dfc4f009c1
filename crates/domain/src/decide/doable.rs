//! Work that can be done, and the look for it past work that cannot: what is held for that are goods of blocked and of
//! expired lots, which may not leave.

use super::desk::Desk;
use crate::{
    Code, LotId, Name, Refusal, Tables, WaitingBy,
    limits::{PASSED_BY_MAX, PICKS_LOOKED_AT_MAX},
};

/// Whether work can be done, as far as one look sees.
pub(super) enum Sight {
    Doable,
    /// Why it cannot.
    Stuck(Refusal),
    /// The look ended before.
    Unseen,
}

/// One look along what waits, which has an end.
#[derive(Default)]
pub(super) struct Look {
    /// Work that cannot be done.
    passed_by: usize,
    /// Picks that were seen.
    picks: usize,
}

impl Look {
    fn is_over(&self) -> bool {
        self.passed_by >= PASSED_BY_MAX || self.picks >= PICKS_LOOKED_AT_MAX
    }

    /// How much it saw: picks, and work that cannot be done.
    fn seen(&self) -> usize {
        self.picks + self.passed_by
    }

    /// Sees one more pick, if it may.
    fn step(&mut self) -> bool {
        let may = self.picks < PICKS_LOOKED_AT_MAX;
        self.picks += usize::from(may);
        may
    }

    /// The first that can be done of what waits, at most `count`.
    fn along<W>(
        &mut self,
        mut waiting: impl Iterator<Item = W>,
        count: usize,
        sight: impl Fn(&W, &mut Self) -> Sight,
    ) -> Vec<W> {
        let mut found = Vec::new();
        while found.len() < count
            && !self.is_over()
            && let Some(work) = waiting.next()
        {
            match sight(&work, self) {
                Sight::Doable => found.push(work),
                Sight::Stuck(_) => self.passed_by += 1,
                Sight::Unseen => break,
            }
        }
        found
    }
}

impl<T: Tables> Desk<'_, T> {
    /// The next work that can be done, in the order of a policy; or, where there is none, how much was passed by. Where too
    /// much stands before all others that cannot be done, it looks among the others by chance, so that they are done.
    pub(super) fn next_doable<W, I: Iterator<Item = W>>(
        &self,
        (by, chance): (WaitingBy, WaitingBy),
        count: usize,
        in_line: impl Fn(WaitingBy) -> I,
        sight: impl Fn(&W, &mut Look) -> Sight,
    ) -> Result<Vec<W>, usize> {
        let mut look = Look::default();
        let mut found = look.along(in_line(by), count, &sight);
        self.note(&look);
        if found.is_empty() && look.is_over() && by != chance {
            let mut look = Look::default();
            found = look.along(in_line(chance), count, &sight);
            self.note(&look);
        }
        if found.is_empty() { Err(look.passed_by) } else { Ok(found) }
    }

    /// Notes what a look was that is over.
    pub(super) fn note(&self, look: &Look) {
        self.tables.note_seen(look.seen());
    }

    /// Whether an order can be completed as far as its goods may leave.
    pub(super) fn sight_of_order(&self, id: &Code, look: &mut Look) -> Sight {
        for place in self.tables.order_lots(id) {
            if !look.step() {
                return Sight::Unseen;
            }
            if let Some(Err(refusal)) = place.map(|place| self.may_leave(place)) {
                return Sight::Stuck(refusal);
            }
        }
        Sight::Doable
    }

    /// Whether anything can be picked of a transfer in a zone.
    pub(super) fn sight_of_picks(&self, transfer: &Code, zone: &Name, look: &mut Look) -> Sight {
        let mut stuck = None;
        for place in self.tables.picks_of_lines_in(transfer, zone) {
            // Where one pick of a line is of no lot, none is, and the line has one in this zone.
            if place.lot == LotId::NONE {
                return Sight::Doable;
            }
            if !look.step() {
                return Sight::Unseen;
            }
            if self.tables.location(place.location).zone != *zone {
                continue;
            }
            match self.may_leave(place) {
                Ok(()) => return Sight::Doable,
                Err(refusal) => drop(stuck.get_or_insert(refusal)),
            }
        }
        stuck.map_or(Sight::Doable, Sight::Stuck)
    }
}
