//! Finds positions for a line: the one place where stock is promised.

use smallvec::SmallVec;

use super::desk::Desk;
use crate::{
    Code, LocationId, LotId, Place, Quantity, Refusal, SiteId, SkuId, Strategy, Tables, WARM_MAX,
    event::{Short, Take},
    outcome, query,
    refusal::Shortage,
    row,
    strategy::Candidate,
};

/// What a line wants.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) line: u32,
    pub(super) site: SiteId,
    pub(super) sku: SkuId,
    pub(super) quantity: Quantity,
    pub(super) location: Option<LocationId>,
    pub(super) lot: Option<LotId>,
}

/// How far a shortage is acceptable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Partial {
    Allow,
    Forbid,
    /// Nothing at all is acceptable as well: the rest is waited for.
    Await,
}

impl Partial {
    pub(super) fn of(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Forbid }
    }
}

impl<T: Tables> Desk<'_, T> {
    /// Takes what each line wants, in turn, and says what was short.
    ///
    /// Refuses with `not_stocked_here` or `insufficient_stock`, all shortages at once, where a part is not good
    /// enough or where there is nothing at all. `name` tells a line's name.
    pub(super) fn allocate(
        &mut self,
        wants: &[Want],
        strategy: Option<Strategy>,
        partial: Partial,
        name: impl Fn(u32) -> Code,
        mut take: impl FnMut(Take),
    ) -> Result<Vec<Short>, Refusal> {
        let mut short = Vec::new();
        let mut short_wants = Vec::new();
        let mut obtained = false;
        for (want, at) in wants.iter().zip(0..) {
            if wants.len() > 1 && at % WARM_MAX == 0 {
                self.tables.warm_gates(wants[at..].iter().map(|want| (want.site, want.sku)));
            }
            let got = self.allocate_line(want, strategy, wants.len() > 1, &mut take);
            obtained |= !got.is_zero();
            if got < want.quantity {
                short.push(Short { line: want.line, requested: want.quantity, available: got });
                short_wants.push(want);
            }
        }
        if partial == Partial::Await || obtained && (short.is_empty() || partial == Partial::Allow) {
            return Ok(short);
        }
        let stocked = short_wants.iter().any(|want| self.is_stocked(want.site, want.sku));
        let shortages: Vec<Shortage> = short
            .iter()
            .zip(short_wants)
            .map(|(short, want)| outcome::shortage(self.tables, name(short.line), want.site, want.sku, short))
            .collect();
        // A SKU that was never here is another matter than one that ran out, unless both stand in the way.
        if partial == Partial::Forbid
            && !stocked
            && let Some(first) = shortages.first()
        {
            let (site, sku) = (first.site.clone(), first.sku.clone());
            return Err(Refusal::NotStockedHere { site, sku, shortages });
        }
        Err(Refusal::InsufficientStock { shortages })
    }

    fn is_stocked(&self, site: SiteId, sku: SkuId) -> bool {
        self.tables.gate(site, sku).is_some_and(|gate| gate.stocked)
    }

    /// Takes at most what one line wants, and says how much that was.
    pub(super) fn allocate_line(
        &mut self,
        want: &Want,
        strategy: Option<Strategy>,
        remember: bool,
        take: &mut impl FnMut(Take),
    ) -> Quantity {
        let tables = self.tables;
        let mut candidates: SmallVec<[Candidate<'_>; 4]> = SmallVec::new();
        let mut consider = |place: Place, position: &row::Position| {
            if want.lot.is_some_and(|lot| lot != place.lot) {
                return;
            }
            if want.location.is_some_and(|location| location != place.location) {
                return;
            }
            let available = self.available(place, position);
            if available.is_zero() {
                return;
            }
            let location = tables.location(place.location);
            let lot = (place.lot != LotId::NONE).then(|| tables.lot(place.lot));
            candidates.push(Candidate {
                location: place.location,
                lot: place.lot,
                available,
                pick_order: location.pick_order,
                location_code: &location.code,
                lot_code: lot.map(|lot| &lot.code),
                received_on: lot.and_then(|lot| lot.received_on),
                expires_on: lot.and_then(|lot| lot.expires_on),
                since: position.since,
            });
        };
        for (place, position) in tables.positions(want.site, want.sku) {
            consider(place, &position);
        }
        let strategy = strategy.unwrap_or_else(|| tables.site(want.site).strategy);
        strategy.order(&mut candidates, want.quantity);

        let mut rest = want.quantity;
        for candidate in &candidates {
            if rest.is_zero() {
                break;
            }
            let quantity = rest.min(candidate.available);
            rest -= quantity;
            let found = Take {
                line: want.line,
                sku: want.sku,
                location: candidate.location,
                lot: candidate.lot,
                quantity,
            };
            if remember {
                *self.taken.entry(found.place()).or_default() += quantity;
            }
            take(found);
        }
        want.quantity - rest
    }

    /// What is available at a place to this command's next line.
    fn available(&self, place: Place, position: &row::Position) -> Quantity {
        let mut position = *position;
        // Most commands have one line and give nothing back: two looks at empty maps cost nothing.
        if let Some(credit) = self.credit.get(&place) {
            position.held -= *credit;
        }
        let available = query::available(self.tables, place, &position, self.now);
        let taken = self.taken.get(&place).copied().unwrap_or_default();
        available.saturating_sub(taken)
    }
}
