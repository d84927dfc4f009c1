//! The pen that writes rows and keeps what stood there.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use smallvec::SmallVec;

use super::{
    Filed, Filing, HoldStatus, LotId, cart, order,
    parts::{Finder, sweep},
    settle,
};
use crate::{
    Changes, Code, Event, LocationId, Outside, Place, Quantity, Row, SiteId, SkuId, Tables, WARM_MAX,
    event::{Freed, Take},
    row::{self, HolderKind, Line, Pick, Position, Staged},
};

/// Which rows a book keeps as they stood before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of them: the changes can be undone.
    All,
    /// Those that [`crate::turn::follow_up`] looks at.
    FollowedUp,
}

pub(super) struct Book<'a, T> {
    pub(super) tables: &'a mut T,
    pub(super) event: &'a Event,
    kept: Kept,
    before: Vec<Row>,
    /// Where lines of claimed transfers had something to pick before they were written on.
    pub(super) left: BTreeMap<Code, BTreeSet<LocationId>>,
}

impl<'a, T: Tables> Book<'a, T> {
    pub(super) fn open(tables: &'a mut T, event: &'a Event, kept: Kept) -> Self {
        Self { tables, event, kept, before: Vec::new(), left: BTreeMap::new() }
    }

    pub(super) fn changes(self) -> Changes {
        Changes { before: self.before }
    }

    pub(super) fn put(&mut self, row: Row) {
        if self.keeps(&row) {
            let before = self.tables.put(row);
            self.before.push(before);
        } else {
            self.tables.set(row);
        }
    }

    /// Puts a row, and gives back what stood there.
    pub(super) fn swap(&mut self, row: Row) -> Row {
        let keeps = self.keeps(&row);
        let before = self.tables.put(row);
        if keeps {
            self.before.push(before.clone());
        }
        before
    }

    fn keeps(&self, row: &Row) -> bool {
        self.kept == Kept::All
            || matches!(row, Row::Position(..) | Row::Lot(..) | Row::Sku(..) | Row::Site(..))
    }

    pub(super) fn file(&mut self, filing: Filing, body: u64) {
        let filed = Filed { body, sequence: self.event.sequence };
        self.put(Row::Filed(filing, Some(filed)));
    }

    /// Changes a gate, which begins with the first change.
    pub(super) fn gate(&mut self, site: SiteId, sku: SkuId, change: impl FnOnce(&mut row::Gate)) {
        let mut gate = self.tables.gate(site, sku).unwrap_or_default();
        change(&mut gate);
        self.put(Row::Gate(site, sku, Some(gate)));
    }

    /// Changes a position. A place where nothing lies any more loses its row.
    fn position(&mut self, place: Place, change: impl FnOnce(&mut Position)) {
        let found = self.tables.position(place);
        let mut position = found.unwrap_or(Position {
            on_hand: Quantity::ZERO,
            held: Quantity::ZERO,
            missing: Quantity::ZERO,
            since: self.event.at,
        });
        change(&mut position);
        assert!(
            position.held <= position.on_hand && position.missing <= position.unheld(),
            "more is held or missing than there is at {place:?}: {position:?}"
        );
        self.put(Row::Position(place, (!position.on_hand.is_zero()).then_some(position)));
        if found.is_none() {
            self.stocked(place);
        }
    }

    /// Remembers, once, that a SKU was stocked here.
    fn stocked(&mut self, place: Place) {
        let site = self.tables.location(place.location).site;
        if !self.tables.gate(site, place.sku).is_some_and(|gate| gate.stocked) {
            self.gate(site, place.sku, |gate| gate.stocked = true);
        }
        if !self.tables.sku(place.sku).stocked {
            let mut sku = self.tables.sku(place.sku).clone();
            sku.stocked = true;
            self.put(Row::Sku(place.sku, Some(Box::new(sku))));
        }
    }

    /// Holds more at a place.
    fn hold(&mut self, place: Place, quantity: Quantity) {
        self.position(place, |position| position.held += quantity);
    }

    pub(super) fn hold_all(&mut self, takes: &[Take]) {
        for takes in takes.chunks(WARM_MAX) {
            // One place is waited for as long as it would be when its turn comes.
            if takes.len() > 1 {
                self.tables.warm_places(takes.iter().map(Take::place));
            }
            for take in takes {
                self.hold(take.place(), take.quantity);
            }
        }
    }

    /// Holds less at a place.
    pub(super) fn unhold(&mut self, place: Place, quantity: Quantity) {
        self.position(place, |position| position.held -= quantity);
    }

    /// Lays unheld stock down.
    pub(super) fn lay(&mut self, place: Place, quantity: Quantity) {
        if quantity.is_zero() {
            return;
        }
        self.position(place, |position| position.on_hand += quantity);
    }

    /// Takes unheld stock away. What was missing there is the last to count.
    pub(super) fn take(&mut self, place: Place, quantity: Quantity) {
        if quantity.is_zero() {
            return;
        }
        self.position(place, |position| {
            position.on_hand -= quantity;
            position.missing = position.missing.min(position.unheld());
        });
    }

    /// Carries held stock from one place to another; the hold goes along.
    pub(super) fn carry(&mut self, from: Place, to: Place, quantity: Quantity) {
        if quantity.is_zero() {
            return;
        }
        self.position(from, |position| {
            position.held -= quantity;
            position.on_hand -= quantity;
        });
        self.position(to, |position| {
            position.on_hand += quantity;
            position.held += quantity;
        });
    }

    /// Marks unheld stock as missing until it is counted.
    pub(super) fn miss(&mut self, place: Place, quantity: Quantity) {
        self.position(place, |position| position.missing += quantity);
    }

    /// A place was counted: nothing is missing there any more.
    pub(super) fn counted(&mut self, place: Place) {
        if self.tables.position(place).is_some_and(|position| !position.missing.is_zero()) {
            self.position(place, |position| position.missing = Quantity::ZERO);
        }
    }

    /// Moves a quantity to an outside account (`goes_out`) or from it.
    pub(super) fn outside(
        &mut self,
        sku: SkuId,
        lot: LotId,
        outside: Outside,
        quantity: Quantity,
        goes_out: bool,
    ) {
        let change = if goes_out { quantity.signed() } else { -quantity.signed() };
        let balance = self.tables.outside(sku, outside) + change;
        self.put(Row::Outside(sku, outside, balance));
        if lot == LotId::NONE {
            return;
        }
        let mut row = self.tables.lot(lot).clone();
        if goes_out {
            row.inside -= quantity;
        } else {
            row.inside += quantity;
        }
        self.put(Row::Lot(lot, Some(Box::new(row))));
    }

    /// Writes off unheld stock: what was missing is what was lost.
    pub(super) fn write_off(&mut self, place: Place, quantity: Quantity) {
        self.position(place, |position| {
            position.on_hand -= quantity;
            position.missing = position.missing.saturating_sub(quantity).min(position.unheld());
        });
    }

    /// Takes parts of what some hold at a place away from them, all but orders: see [`Book::cut_orders`].
    pub(super) fn cut(&mut self, place: Place, freed: &[Freed]) {
        for (kind, id, parts) in by_document(freed) {
            match kind {
                HolderKind::Hold => self.change_hold(id, |hold| {
                    for Freed { holder, quantity } in parts {
                        let picks = &mut hold.lines[holder.line as usize].picks;
                        shrink_pick(picks, place.location, place.lot, *quantity);
                        picks.retain(|pick| !pick.quantity.is_zero());
                    }
                    settle(hold, HoldStatus::Released);
                }),
                HolderKind::Transfer => {
                    let mut papers = self.papers(id);
                    for Freed { holder, quantity } in parts {
                        papers
                            .line(holder.line, |line| line.rewrite(|line| cut_line(line, place, *quantity)));
                    }
                    papers.close();
                }
                HolderKind::Order => {}
                HolderKind::Cart => self.change_cart(id, |_, cart| {
                    for Freed { quantity, .. } in parts {
                        let picks = &mut cart::line_of(cart, place.sku).picks;
                        shrink_pick(picks, place.location, place.lot, *quantity);
                        picks.retain(|pick| !pick.quantity.is_zero());
                    }
                    if cart.lines.iter().all(|line| line.picks.is_empty()) {
                        cart.expires_at = None;
                    }
                }),
            }
        }
    }

    /// Moves parts of what some hold from one place to another.
    pub(super) fn relocate(&mut self, from: Place, to: Place, follow: &[Freed]) {
        for (kind, id, parts) in by_document(follow) {
            match kind {
                HolderKind::Hold => self.change_hold(id, |hold| {
                    for Freed { holder, quantity } in parts {
                        let picks = &mut hold.lines[holder.line as usize].picks;
                        shrink_pick(picks, from.location, from.lot, *quantity);
                        picks.retain(|pick| !pick.quantity.is_zero());
                        let same = |pick: &&mut Pick| (pick.location, pick.lot) == (to.location, to.lot);
                        match picks.iter_mut().find(same) {
                            Some(pick) => pick.quantity += *quantity,
                            None => {
                                picks.push(Pick { location: to.location, lot: to.lot, quantity: *quantity });
                            }
                        }
                    }
                }),
                HolderKind::Transfer => {
                    let mut papers = self.papers(id);
                    for Freed { holder, quantity } in parts {
                        papers.line(holder.line, |line| {
                            line.rewrite(|line| relocate_line(line, from, to, *quantity));
                        });
                    }
                    papers.close();
                }
                HolderKind::Order => {
                    let parts = parts.iter().map(|part| (part.holder.line, part.quantity));
                    self.change_lines(id, parts, |line, quantity| {
                        order::shrink_line(line, from.location, from.lot, quantity);
                        order::grow_line(line, to.location, to.lot, quantity);
                    });
                }
                HolderKind::Cart => self.change_cart(id, |_, cart| {
                    for Freed { quantity, .. } in parts {
                        let picks = &mut cart::line_of(cart, from.sku).picks;
                        shrink_pick(picks, from.location, from.lot, *quantity);
                        picks.retain(|pick| !pick.quantity.is_zero());
                        cart::grow_pick(picks, to.location, to.lot, *quantity);
                    }
                }),
            }
        }
    }

    fn change_hold(&mut self, id: &Code, change: impl FnOnce(&mut row::Hold)) {
        let mut hold = self.tables.hold(id).expect("a holder is there");
        change(&mut hold);
        self.put(Row::Hold(id.clone(), Some(hold)));
    }

    /// Opens a transfer's papers: its header, and one line at a time.
    pub(super) fn papers<'b>(&'b mut self, id: &'b Code) -> Papers<'b, 'a, T> {
        let transfer = self.tables.transfer(id).expect("the event's transfer is there");
        let is_claimed = self.tables.pick_claim_count(id) > 0;
        Papers { book: self, id, transfer, open: None, is_claimed }
    }
}

/// A transfer while it is written on. The line that is open is put back when another one is opened.
pub(super) struct Papers<'b, 'a, T> {
    book: &'b mut Book<'a, T>,
    id: &'b Code,
    pub(super) transfer: row::Transfer,
    open: Option<OpenLine>,
    /// Whether somebody claimed what is to be picked in some zone: mostly nobody did.
    is_claimed: bool,
}

impl<T: Tables> Papers<'_, '_, T> {
    /// Changes a line; the header's sums follow. Work: all that the line has, for each time that it is opened.
    pub(super) fn line(&mut self, index: u32, change: impl FnOnce(&mut OpenLine)) {
        if self.open.as_ref().is_none_or(|open| open.index != index) {
            self.put_line();
            let row = self.book.tables.line(self.id, index);
            if self.is_claimed {
                let left = self.book.left.entry(self.id.clone()).or_default();
                left.extend(row.picks.iter().map(|pick| pick.location));
            }
            self.open = Some(OpenLine::new(index, row));
        }
        change(self.open.as_mut().expect("it was just opened"));
    }

    /// Changes lines by parts of an event, each line opened once.
    pub(super) fn each_line<P: Clone>(
        &mut self,
        parts: &[P],
        line: impl Fn(&P) -> u32,
        change: impl Fn(&mut OpenLine, &P),
    ) {
        for part in line_by_line(parts, &line).iter() {
            self.line(line(part), |line| change(line, part));
        }
    }

    /// Holds for lines, and writes it down. Each place is still near when its holder is entered there.
    pub(super) fn allocate_all(&mut self, takes: &[Take]) {
        for takes in line_by_line(takes, |take| take.line).chunks(WARM_MAX) {
            self.book.hold_all(takes);
            for take in takes {
                self.line(take.line, |line| line.allocate(take));
            }
        }
    }

    pub(super) fn deallocate_all(&mut self, takes: &[Take]) {
        self.each_line(takes, |take| take.line, OpenLine::deallocate);
    }

    pub(super) fn every_line(&mut self, change: impl Fn(&mut row::Totals)) {
        for index in 0..self.transfer.lines {
            self.line(index, |line| change(&mut line.row.totals));
        }
    }

    /// Writes everything back.
    pub(super) fn close(mut self) {
        self.put_line();
        self.book.put(Row::Transfer(self.id.clone(), Some(Box::new(self.transfer))));
    }

    fn put_line(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (index, before, line) = open.close();
        let allocated: Quantity = line.picks.iter().map(|pick| pick.quantity).sum();
        let picked: Quantity = line.staged.iter().map(|staged| staged.quantity).sum();
        let in_transit: Quantity = line.transit.iter().map(|(_, quantity)| *quantity).sum();
        let after = line.totals;
        assert_eq!(
            (after.allocated, after.picked, after.in_transit),
            (allocated, picked, in_transit),
            "the sums of line {index} of {} are those of its parts",
            self.id
        );
        let sums = &mut self.transfer.totals;
        for (sum, before, after) in [
            (&mut sums.allocated, before.allocated, after.allocated),
            (&mut sums.picked, before.picked, after.picked),
            (&mut sums.shipped, before.shipped, after.shipped),
            (&mut sums.in_transit, before.in_transit, after.in_transit),
            (&mut sums.received, before.received, after.received),
            (&mut sums.damaged, before.damaged, after.damaged),
            (&mut sums.lost, before.lost, after.lost),
            (&mut sums.closed_short, before.closed_short, after.closed_short),
        ] {
            *sum = *sum - before + after;
        }
        self.book.put(Row::Line(self.id.clone(), index, Box::new(line)));
    }
}

/// Parts of the same document stand together: they are sorted by their holders.
fn by_document(freed: &[Freed]) -> impl Iterator<Item = (HolderKind, &Code, &[Freed])> {
    let same = |a: &Freed, b: &Freed| (a.holder.kind, &a.holder.id) == (b.holder.kind, &b.holder.id);
    freed.chunk_by(same).map(|parts| (parts[0].holder.kind, &parts[0].holder.id, parts))
}

/// A line loses a part of what it holds at a place.
fn cut_line(line: &mut Line, place: Place, quantity: Quantity) {
    let left = take_staged(line, place.location, place.lot, quantity, |_, _| {});
    line.totals.picked -= quantity - left;
    if !left.is_zero() {
        shrink_pick(&mut line.picks, place.location, place.lot, left);
        line.picks.retain(|pick| !pick.quantity.is_zero());
        line.totals.allocated -= left;
    }
}

/// A part of what a line holds is now at another place.
fn relocate_line(line: &mut Line, from: Place, to: Place, quantity: Quantity) {
    let mut moved: SmallVec<[(LocationId, Quantity); 2]> = SmallVec::new();
    let left = take_staged(line, from.location, from.lot, quantity, |origin, quantity| {
        moved.push((origin, quantity));
    });
    for (origin, quantity) in moved {
        let staged = Staged { staging: to.location, lot: to.lot, origin, quantity };
        Finder::default().grow(&mut line.staged, staged);
    }
    if !left.is_zero() {
        shrink_pick(&mut line.picks, from.location, from.lot, left);
        line.picks.retain(|pick| !pick.quantity.is_zero());
        let pick = Pick { location: to.location, lot: to.lot, quantity: left };
        Finder::default().grow(&mut line.picks, pick);
    }
}

/// Parts of an event so that those of each line stand together, in their order. Mostly they do.
fn line_by_line<P: Clone>(parts: &[P], line: impl Fn(&P) -> u32) -> Cow<'_, [P]> {
    if parts.is_sorted_by_key(&line) {
        return Cow::Borrowed(parts);
    }
    let mut parts = parts.to_vec();
    parts.sort_by_key(&line);
    Cow::Owned(parts)
}

/// A line of a transfer while it is written on. It is put back when it is closed.
pub(super) struct OpenLine {
    index: u32,
    before: row::Totals,
    pub(super) row: Line,
    picks: Finder<(LocationId, LotId)>,
    staged: Finder<(LocationId, LotId, LocationId)>,
    transit: Finder<LotId>,
}

impl OpenLine {
    fn new(index: u32, row: Line) -> Self {
        let before = row.totals;
        let (picks, staged, transit) = Default::default();
        Self { index, before, row, picks, staged, transit }
    }

    /// The line as it is now, its index, and its quantities as they were.
    fn close(mut self) -> (u32, row::Totals, Line) {
        self.sweep();
        (self.index, self.before, self.row)
    }

    fn sweep(&mut self) {
        sweep(&mut self.row.picks);
        sweep(&mut self.row.staged);
        sweep(&mut self.row.transit);
        (self.picks, self.staged, self.transit) = Default::default();
    }

    /// Changes the row itself, of which what was emptied is left out.
    fn rewrite(&mut self, change: impl FnOnce(&mut Line)) {
        self.sweep();
        change(&mut self.row);
    }

    /// It holds more at a place.
    pub(super) fn allocate(&mut self, take: &Take) {
        let Take { location, lot, quantity, .. } = *take;
        self.picks.grow(&mut self.row.picks, Pick { location, lot, quantity });
        self.row.totals.allocated += quantity;
    }

    /// It holds less at a place.
    pub(super) fn deallocate(&mut self, take: &Take) {
        self.picks.shrink(&mut self.row.picks, (take.location, take.lot), take.quantity);
        self.row.totals.allocated -= take.quantity;
    }

    /// Its goods came to staging.
    pub(super) fn stage(&mut self, take: &Take, staging: LocationId) {
        let Take { location, lot, quantity, .. } = *take;
        self.staged.grow(&mut self.row.staged, Staged { staging, lot, origin: location, quantity });
        self.row.totals.picked += quantity;
    }

    /// Its goods left staging.
    pub(super) fn unstage(&mut self, take: &Take, origin: LocationId) {
        self.staged.shrink(&mut self.row.staged, (take.location, take.lot, origin), take.quantity);
        self.row.totals.picked -= take.quantity;
    }

    /// Its goods set out.
    pub(super) fn send(&mut self, lot: LotId, quantity: Quantity) {
        self.transit.grow(&mut self.row.transit, (lot, quantity));
        self.row.totals.in_transit += quantity;
        self.row.totals.shipped += quantity;
    }

    /// Its goods are no longer on the way.
    pub(super) fn arrive(&mut self, lot: LotId, quantity: Quantity) {
        self.transit.shrink(&mut self.row.transit, lot, quantity);
        self.row.totals.in_transit -= quantity;
    }
}

pub(super) fn shrink_pick(picks: &mut [Pick], location: LocationId, lot: LotId, quantity: Quantity) {
    let mut rest = quantity;
    for pick in picks.iter_mut().filter(|pick| (pick.location, pick.lot) == (location, lot)) {
        let less = rest.min(pick.quantity);
        pick.quantity -= less;
        rest -= less;
    }
    assert!(rest.is_zero(), "what is given up was held");
}

/// Takes staged goods at a place, tells where they had come from, and gives back what was not staged there.
fn take_staged(
    line: &mut Line,
    staging: LocationId,
    lot: LotId,
    quantity: Quantity,
    mut from: impl FnMut(LocationId, Quantity),
) -> Quantity {
    let mut rest = quantity;
    for staged in line.staged.iter_mut().filter(|staged| (staged.staging, staged.lot) == (staging, lot)) {
        let less = rest.min(staged.quantity);
        if less.is_zero() {
            break;
        }
        staged.quantity -= less;
        rest -= less;
        from(staged.origin, less);
    }
    line.staged.retain(|staged| !staged.quantity.is_zero());
    rest
}
