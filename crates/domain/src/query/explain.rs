//! Why lines are not allocated: the positions that there are for them, and what stands in the way at each.

use std::cmp::Ordering;

use super::{Candidate, Verdict, available, candidate};
use crate::{
    Code, LotId, Place, Quantity, SiteId, SkuId, Strategy, Tables, Timestamp,
    limits::{EXPLAINED_LINES_MAX, EXPLAINED_POSITIONS_MAX},
    refusal::Refusal,
    row::Position,
    strategy,
};

/// Why a line is not allocated.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields say it")]
pub struct ExplainedLine {
    pub line: Code,
    pub sku: Code,
    pub requested: Quantity,
    /// What it still lacks.
    pub open: Quantity,
    /// What there is for it now, in all.
    pub available: Quantity,
    /// Positions of the SKU at the site, in the order of their locations and lots: all of them, or as many as one answer
    /// shows. Those that the line can take from go first, and then those that the site's strategy would take sooner.
    pub candidates: Vec<Candidate>,
    /// How many positions there are.
    pub candidate_count: usize,
}

/// Why lines of a transfer are not allocated, at `now`: the one that is named, or the first that lack something, at
/// most [`EXPLAINED_LINES_MAX`], and [`EXPLAINED_POSITIONS_MAX`] positions in all of them. Refuses with
/// `transfer_not_found` or `line_not_found`.
pub fn explain(
    tables: &impl Tables,
    id: &Code,
    line: Option<&Code>,
    now: Timestamp,
) -> Result<Vec<ExplainedLine>, Refusal> {
    let Some(transfer) = tables.transfer(id) else {
        return Err(Refusal::TransferNotFound { transfer: id.clone() });
    };
    let indexes = match line {
        None => 0..transfer.lines,
        Some(name) => {
            let Some(index) = tables.line_named(id, name) else {
                return Err(Refusal::LineNotFound { document: id.clone(), line: name.clone() });
            };
            index..index + 1
        }
    };
    let mut explained = Explained::new(tables, transfer.from, now);
    for index in indexes {
        let row = tables.line(id, index);
        if line.is_none() && row.totals.open().is_zero() {
            continue;
        }
        if explained.is_full() {
            break;
        }
        let wanted = Wanted { line: row.name, sku: row.sku, lot: row.lot, requested: row.totals.requested };
        explained.push(wanted, row.totals.open());
    }
    Ok(explained.lines)
}

/// What a line asks for.
pub(super) struct Wanted {
    pub(super) line: Code,
    pub(super) sku: SkuId,
    pub(super) lot: Option<LotId>,
    pub(super) requested: Quantity,
}

/// Explained lines of one document, and how much more of them one answer shows.
pub(super) struct Explained<'a, T> {
    tables: &'a T,
    site: SiteId,
    now: Timestamp,
    pub(super) lines: Vec<ExplainedLine>,
    /// How many more positions.
    room: usize,
}

impl<'a, T: Tables> Explained<'a, T> {
    pub(super) fn new(tables: &'a T, site: SiteId, now: Timestamp) -> Self {
        Self { tables, site, now, lines: Vec::new(), room: EXPLAINED_POSITIONS_MAX }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() == EXPLAINED_LINES_MAX || self.room == 0
    }

    /// Explains a line, which lacks `open`.
    pub(super) fn push(&mut self, wanted: Wanted, open: Quantity) {
        let Wanted { line, sku, lot, requested } = wanted;
        let mut chosen = Chosen::new(self.tables.site(self.site).strategy, self.room);
        let mut obtainable = Quantity::ZERO;
        for (place, row) in self.tables.positions(self.site, sku) {
            let is_other = lot.is_some_and(|lot| lot != place.lot);
            let available = available(self.tables, place, &row, self.now);
            if !is_other {
                obtainable += available;
            }
            let rank = strategy::Candidate::at(self.tables, place, available, row.since);
            chosen.push(Choice { place, row, is_other, rank });
        }
        let candidate_count = chosen.count;
        let mut candidates: Vec<_> = chosen.into_first().iter().map(|choice| self.show(choice)).collect();
        candidates.sort_by(|a, b| {
            (&a.position.location, &a.position.lot).cmp(&(&b.position.location, &b.position.lot))
        });
        self.room -= candidates.len();
        self.lines.push(ExplainedLine {
            line,
            sku: self.tables.sku(sku).code.clone(),
            requested,
            open,
            available: obtainable,
            candidates,
            candidate_count,
        });
    }

    fn show(&self, choice: &Choice<'_>) -> Candidate {
        let shown = candidate(self.tables, choice.place, &choice.row, self.now);
        if choice.is_other { Candidate { verdict: Verdict::OtherLot, ..shown } } else { shown }
    }
}

/// Choices that are gathered at the least until those that come too late are left out.
const GATHERED_MIN: usize = 1_024;

/// A position that may be shown.
struct Choice<'a> {
    place: Place,
    row: Position,
    /// Whether the line asks for another lot.
    is_other: bool,
    rank: strategy::Candidate<'a>,
}

/// The positions to be shown, of those that were looked at so far.
struct Chosen<'a> {
    strategy: Strategy,
    room: usize,
    /// These, and some that come too late.
    choices: Vec<Choice<'a>>,
    /// All that were looked at.
    count: usize,
}

impl<'a> Chosen<'a> {
    fn new(strategy: Strategy, room: usize) -> Self {
        Self { strategy, room, choices: Vec::new(), count: 0 }
    }

    fn push(&mut self, choice: Choice<'a>) {
        self.count += 1;
        self.choices.push(choice);
        if self.choices.len() >= self.room.saturating_mul(2).max(GATHERED_MIN) {
            self.cut();
        }
    }

    /// Leaves out those for which there is no room.
    fn cut(&mut self) {
        if self.choices.len() > self.room {
            let strategy = self.strategy;
            self.choices.select_nth_unstable_by(self.room, |a, b| a.compare(b, strategy));
            self.choices.truncate(self.room);
        }
    }

    /// Those for which there is room, in any order.
    fn into_first(mut self) -> Vec<Choice<'a>> {
        self.cut();
        self.choices
    }
}

impl Choice<'_> {
    /// Which of two is shown, where there is room for one.
    fn compare(&self, other: &Self, strategy: Strategy) -> Ordering {
        let in_vain = |choice: &Self| (choice.is_other, choice.rank.available.is_zero());
        in_vain(self).cmp(&in_vain(other)).then_with(|| strategy.compare(&self.rank, &other.rank))
    }
}
