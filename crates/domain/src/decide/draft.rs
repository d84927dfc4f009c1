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
    /// Who holds how much at the places whose holders were asked for.
    holders: HashMap<Place, BTreeMap<Holder, Quantity>>,
}

impl<'d, 'a, T: Tables> Draft<'d, 'a, T> {
    pub(super) fn new(desk: &'d Desk<'a, T>) -> Self {
        Self { desk, positions: HashMap::new(), holders: HashMap::new() }
    }

    pub(super) fn position(&mut self, place: Place) -> &mut Position {
        self.positions.entry(place).or_insert_with(|| self.desk.position(place))
    }

    /// Who holds how much at a place, in order of the holder's text. Looked up once, however many lines ask.
    fn holders(&mut self, place: Place) -> &mut BTreeMap<Holder, Quantity> {
        let tables = self.desk.tables;
        self.holders.entry(place).or_insert_with(|| tables.holders(place).into_iter().collect())
    }

    /// Chooses holders that give up `quantity` at a place, in order of their text.
    pub(super) fn free(&mut self, place: Place, quantity: Quantity) -> Vec<Freed> {
        let holders = self.holders(place);
        let mut rest = quantity;
        let mut freed = Vec::new();
        while !rest.is_zero() {
            let first = holders.first_entry();
            let mut first = first.expect("what is held at a place is the sum of its holders");
            let quantity = rest.min(*first.get());
            rest -= quantity;
            freed.push(Freed { holder: first.key().clone(), quantity });
            *first.get_mut() -= quantity;
            if first.get().is_zero() {
                first.remove();
            }
        }
        freed
    }

    /// Notes that a holder has so much more at a place: what it held elsewhere followed the goods.
    pub(super) fn follow(&mut self, place: Place, holder: &Holder, quantity: Quantity) {
        *self.holders(place).entry(holder.clone()).or_default() += quantity;
    }

    /// The refusal for stock whose holders would be left with `remaining`.
    pub(super) fn stock_held(&mut self, place: Place, held: Quantity, remaining: Quantity) -> Refusal {
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
