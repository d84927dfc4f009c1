//! What positions and their holders would look like after the lines that were decided so far.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::desk::Desk;
use crate::{
    Code, Place, Quantity, Refusal, Tables,
    event::Freed,
    limits::HOLDERS_SHOWN_MAX,
    outcome,
    row::{Holder, Position},
};

/// Reads through to the tables, and remembers what this command changes.
pub(super) struct Draft<'d, 'a, T> {
    desk: &'d Desk<'a, T>,
    positions: HashMap<Place, Position>,
    /// What each holder lost or gained at a place.
    holders: HashMap<Place, BTreeMap<Holder, i64>>,
}

impl<'d, 'a, T: Tables> Draft<'d, 'a, T> {
    pub(super) fn new(desk: &'d Desk<'a, T>) -> Self {
        Self { desk, positions: HashMap::new(), holders: HashMap::new() }
    }

    pub(super) fn position(&mut self, place: Place) -> &mut Position {
        self.positions.entry(place).or_insert_with(|| self.desk.position(place))
    }

    /// Who holds how much at a place, in order of the holder's text.
    pub(super) fn holders(&self, place: Place) -> Vec<(Holder, Quantity)> {
        let mut holders: BTreeMap<Holder, Quantity> = self.desk.tables.holders(place).into_iter().collect();
        for (holder, change) in self.holders.get(&place).into_iter().flatten() {
            let holds = holders.entry(holder.clone()).or_default();
            let quantity = u64::try_from(holds.signed() + change).expect("nobody loses more than they hold");
            *holds = Quantity::stored(quantity);
        }
        holders.retain(|_, quantity| !quantity.is_zero());
        holders.into_iter().collect()
    }

    /// Chooses holders that give up `quantity` at a place, in order of their text.
    pub(super) fn free(&mut self, place: Place, quantity: Quantity) -> Vec<Freed> {
        let mut rest = quantity;
        let mut freed = Vec::new();
        for (holder, holds) in self.holders(place) {
            if rest.is_zero() {
                break;
            }
            let quantity = rest.min(holds);
            rest -= quantity;
            self.change_holder(place, &holder, -quantity.signed());
            freed.push(Freed { holder, quantity });
        }
        assert!(rest.is_zero(), "what is held at {place:?} is the sum of its holders");
        freed
    }

    pub(super) fn change_holder(&mut self, place: Place, holder: &Holder, change: i64) {
        *self.holders.entry(place).or_default().entry(holder.clone()).or_default() += change;
    }

    /// The refusal for stock whose holders would be left with `remaining`.
    pub(super) fn stock_held(&self, place: Place, held: Quantity, remaining: Quantity) -> Refusal {
        let tables = self.desk.tables;
        let location = tables.location(place.location);
        Refusal::StockHeld {
            site: tables.site(location.site).code.clone(),
            location: location.code.clone(),
            sku: tables.sku(place.sku).code.clone(),
            held,
            remaining,
            holders: self
                .holders(place)
                .iter()
                .take(HOLDERS_SHOWN_MAX)
                .map(|(holder, quantity)| outcome::holding(tables, holder, *quantity))
                .collect(),
        }
    }

    /// The refusal for a line that wants more than lies at a place.
    pub(super) fn insufficient(
        &self,
        line: Code,
        place: Place,
        requested: Quantity,
        available: Quantity,
    ) -> Refusal {
        let tables = self.desk.tables;
        Refusal::InsufficientStock {
            shortages: vec![crate::Shortage {
                line,
                site: tables.site(tables.location(place.location).site).code.clone(),
                sku: tables.sku(place.sku).code.clone(),
                requested,
                available,
            }],
        }
    }
}
