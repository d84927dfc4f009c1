//! What positions and their holders would look like after the lines that were decided so far.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::desk::Desk;
use crate::{
    Code, Place, Quantity, Refusal, Tables,
    command::HolderName,
    event::Freed,
    limits::HOLDERS_SHOWN_MAX,
    outcome,
    refusal::Holding,
    row::{Holder, Position},
};

/// Reads through to the tables, and remembers what this command changes.
pub(super) struct Draft<'d, 'a, T> {
    desk: &'d Desk<'a, T>,
    positions: HashMap<Place, Position>,
    /// Who holds how much at the places whose holders were asked for. Where only some are named, these alone: no
    /// command asks for both.
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
        let (freed, rest) = take(self.holders(place), quantity);
        assert!(rest.is_zero(), "what is held at a place is the sum of its holders");
        freed
    }

    /// Chooses some of the named documents' holders that give up `quantity` at a place, in order of their text.
    /// Refuses with `held_by_others` where they have less.
    pub(super) fn free_of(
        &mut self,
        named: &BTreeSet<HolderName>,
        place: Place,
        quantity: Quantity,
    ) -> Result<Vec<Freed>, Refusal> {
        let tables = self.desk.tables;
        let is_named =
            |holder: &Holder| named.contains(&HolderName { kind: holder.kind, id: holder.id.clone() });
        let holders = self.holders.entry(place).or_insert_with(|| {
            tables.holders(place).into_iter().filter(|(holder, _)| is_named(holder)).collect()
        });
        let (freed, rest) = take(holders, quantity);
        if rest.is_zero() {
            return Ok(freed);
        }
        let location = tables.location(place.location);
        // This command has cut no other holders, so that the tables still tell what they have.
        let others: BTreeMap<Holder, Quantity> =
            tables.holders(place).into_iter().filter(|(holder, _)| !is_named(holder)).collect();
        Err(Refusal::HeldByOthers {
            site: tables.site(location.site).code.clone(),
            location: location.code.clone(),
            sku: tables.sku(place.sku).code.clone(),
            to_release: quantity,
            releasable: quantity - rest,
            holders: shown(tables, &others).into_boxed_slice(),
        })
    }

    /// Notes that a holder has so much more at a place: what it held elsewhere followed the goods.
    pub(super) fn follow(&mut self, place: Place, holder: &Holder, quantity: Quantity) {
        *self.holders(place).entry(holder.clone()).or_default() += quantity;
    }

    /// The refusal for stock whose holders would be left with `remaining`.
    pub(super) fn stock_held(&self, place: Place, held: Quantity, remaining: Quantity) -> Refusal {
        let tables = self.desk.tables;
        let holders = match self.holders.get(&place) {
            Some(holders) => shown(tables, holders),
            // Nothing was cut here: of a million holders only those are looked for that are shown.
            None => {
                let (first, _) = tables.first_holders(place, HOLDERS_SHOWN_MAX);
                first.iter().map(|(holder, quantity)| outcome::holding(tables, holder, *quantity)).collect()
            }
        };
        let location = tables.location(place.location);
        Refusal::StockHeld {
            site: tables.site(location.site).code.clone(),
            location: location.code.clone(),
            sku: tables.sku(place.sku).code.clone(),
            held,
            remaining,
            holders,
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

/// Takes up to `quantity` from the first of these holders, and tells what could not be had.
fn take(holders: &mut BTreeMap<Holder, Quantity>, quantity: Quantity) -> (Vec<Freed>, Quantity) {
    let mut rest = quantity;
    let mut freed = Vec::new();
    while !rest.is_zero() {
        let Some(mut first) = holders.first_entry() else { break };
        let quantity = rest.min(*first.get());
        rest -= quantity;
        freed.push(Freed { holder: first.key().clone(), quantity });
        *first.get_mut() -= quantity;
        if first.get().is_zero() {
            first.remove();
        }
    }
    (freed, rest)
}

/// The first of these holders, as a refusal shows them.
fn shown(tables: &impl Tables, holders: &BTreeMap<Holder, Quantity>) -> Vec<Holding> {
    let first = holders.iter().take(HOLDERS_SHOWN_MAX);
    first.map(|(holder, quantity)| outcome::holding(tables, holder, *quantity)).collect()
}
