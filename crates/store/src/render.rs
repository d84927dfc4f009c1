//! Events and movements in the caller's words.
//!
//! The tables only give numbers their names, which never change, so that an old event reads today as it did
//! then. What an event is about has to be in the tables, though: for the lines of a transfer that is the
//! transfer. The functions here panic without it, as [`outcome`] does.

use jaego_domain::{
    Account, Code, Event, Fact, LotId, Movement, MovementId, Name, PickWorkId, Place, Tables, outcome,
};

use crate::{AccountView, EventView, MoneyView, MovementFilter, MovementView};

/// An event that the tables have seen.
pub fn event_view(tables: &impl Tables, event: &Event) -> EventView {
    let (mut watched, mut lapsed, mut filled) = (Vec::new(), Vec::new(), Vec::new());
    let mut returned = Vec::new();
    match &event.fact {
        Fact::StockWatched { items } => {
            for item in items {
                let (site, sku) = (tables.site(item.site), tables.sku(item.sku));
                watched.push((site.code.clone(), sku.code.clone(), item.available, item.level, item.low));
            }
        }
        Fact::HoldsLapsed { ids } | Fact::ClaimsLapsed { ids } | Fact::CartsLapsed { ids } => {
            lapsed.clone_from(ids);
        }
        Fact::PickClaimsLapsed { works } => returned.clone_from(works),
        Fact::TransferUnclaimed { id, zones, .. } => {
            let work = |zone: &Name| PickWorkId { transfer: id.clone(), zone: zone.clone() };
            returned = zones.iter().map(work).collect();
        }
        Fact::OrdersFilled { orders, .. } => {
            filled = orders.iter().map(|filled| filled.order.clone()).collect();
        }
        _ => {}
    }
    EventView {
        kind: event.fact.kind(),
        by: event.by.clone(),
        document: document(&event.fact),
        outcome: outcome(tables, event),
        movements: movement_views(tables, event, &MovementFilter::default()),
        watched,
        lapsed,
        money: event.fact.money().map(|money| MoneyView {
            owner: money.owner.clone(),
            currency: money.currency,
            change: money.change(),
            balance: money.balance,
            outside: money.outside,
        }),
        filled,
        returned,
    }
}

/// Those of an event's movements that match, in order. How many there may be is for the caller to count.
pub fn movement_views(tables: &impl Tables, event: &Event, filter: &MovementFilter) -> Vec<MovementView> {
    let mut views = Vec::new();
    if !filter.matches_event(event) {
        return views;
    }
    let mut index = 0;
    event.fact.movements_with_reasons(|movement, reason| {
        let id = MovementId { sequence: event.sequence, index };
        index += 1;
        if filter.matches(tables, event, id, &movement) {
            views.push(movement_view(tables, event, id, movement, reason));
        }
    });
    views
}

impl MovementFilter {
    /// Whether a movement of this event could match, for all that can be said without looking at it.
    pub fn matches_event(&self, event: &Event) -> bool {
        if self.since.is_some_and(|since| event.at < since) {
            return false;
        }
        if self.until.is_some_and(|until| event.at >= until) {
            return false;
        }
        if self.after.is_some_and(|after| event.sequence < after.sequence) {
            return false;
        }
        match &self.document {
            None => true,
            Some(wanted) => event.fact.document().is_some_and(|(_, id)| id == wanted),
        }
    }

    /// Whether this movement of the event matches. `limit` plays no part.
    pub fn matches(&self, tables: &impl Tables, event: &Event, id: MovementId, movement: &Movement) -> bool {
        if !self.matches_event(event) || self.after.is_some_and(|after| id <= after) {
            return false;
        }
        if self.sku.as_ref().is_some_and(|sku| tables.sku(movement.sku).code != *sku) {
            return false;
        }
        if let Some(lot) = &self.lot
            && (movement.lot == LotId::NONE || tables.lot(movement.lot).code != *lot)
        {
            return false;
        }
        let Some(site) = &self.site else {
            return true;
        };
        let is_there = |account: &Account| match account {
            Account::Position(Place { location, .. }) => {
                tables.site(tables.location(*location).site).code == *site
            }
            Account::Outside(_) | Account::InTransit { .. } => false,
        };
        is_there(&movement.from) || is_there(&movement.to)
    }
}

fn movement_view(
    tables: &impl Tables,
    event: &Event,
    id: MovementId,
    movement: Movement,
    reason: Name,
) -> MovementView {
    let lot = (movement.lot != LotId::NONE).then(|| tables.lot(movement.lot).code.clone());
    MovementView {
        id,
        at: event.at,
        by: event.by.clone(),
        reason,
        document: document(&event.fact),
        sku: tables.sku(movement.sku).code.clone(),
        lot,
        quantity: movement.quantity,
        from: account(tables, &movement.from),
        to: account(tables, &movement.to),
        raw: movement,
    }
}

fn account(tables: &impl Tables, account: &Account) -> AccountView {
    match account {
        Account::Position(Place { location, .. }) => {
            let location = tables.location(*location);
            AccountView::Position {
                site: tables.site(location.site).code.clone(),
                location: location.code.clone(),
            }
        }
        Account::Outside(outside) => AccountView::Outside(outside.name()),
        Account::InTransit { transfer, line } => {
            AccountView::InTransit { transfer: transfer.clone(), line: tables.line(transfer, *line).name }
        }
    }
}

pub(crate) fn document(fact: &Fact) -> Option<(&'static str, Code)> {
    fact.document().map(|(kind, id)| (kind, id.clone()))
}
