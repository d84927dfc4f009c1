//! What a store reads, as the wire shows it.

use jaego_api::{
    event::{Event, MoneyMovement, Watched},
    list::{List, position_cursor},
    movement::{Account, Document, Movement},
    outcome::{Outcome, Pick},
    read,
    status::Status,
    stock::{BalancePoint, Holding, PastPosition, Shortage, StockList},
    wallet::StatementLine,
};
use jaego_store::{
    AccountView, BalanceFilter, BalancePage, EventView, MovementFilter, MovementPage, MovementView,
    PastStock, StatementFilter, StatementPage, StockAsOf,
};

pub(super) fn movement_filter(filter: read::MovementFilter) -> MovementFilter {
    let read::MovementFilter { sku, lot, site, document, since, until, after, limit } = filter;
    MovementFilter { sku, lot, site, document, since, until, after, limit }
}

pub(super) fn stock_as_of(filter: read::StockAsOf) -> StockAsOf {
    let read::StockAsOf { sku, site, location, lot, as_of, after, limit } = filter;
    StockAsOf { sku, site, location, lot, as_of, after, limit }
}

pub(super) fn past_stock(page: &PastStock) -> Vec<u8> {
    let position = |view: &jaego_store::PastPosition| PastPosition {
        site: (&view.site).into(),
        location: (&view.location).into(),
        sku: (&view.sku).into(),
        lot: view.lot.as_ref().map(Into::into),
        on_hand: view.on_hand.get(),
    };
    let items = page.positions.iter().map(position).collect();
    let list = StockList::Past(List { items, next: page.next.map(position_cursor) });
    serde_json::to_vec(&list).expect("a list has text for keys")
}

pub(super) fn balance_filter(filter: read::BalanceFilter) -> BalanceFilter {
    let read::BalanceFilter { sku, site, since, until, after, limit } = filter;
    BalanceFilter { sku, site, since, until, after, limit }
}

pub(super) fn balances(page: &BalancePage) -> Vec<u8> {
    let point = |point: &jaego_store::BalancePoint| BalancePoint {
        at: point.at.into(),
        sequence: point.sequence.0,
        change: point.change,
        on_hand: point.on_hand,
        by: (&point.by).into(),
        reason: point.reason.as_str().into(),
        document: point.document.as_ref().map(|(kind, id)| document(kind, id)),
    };
    let items: Vec<BalancePoint> = page.points.iter().map(point).collect();
    let next = page.next.map(|next| next.to_string());
    serde_json::to_vec(&List { items, next }).expect("a list has text for keys")
}

pub(super) fn statement_filter(filter: read::StatementFilter) -> StatementFilter {
    let read::StatementFilter { owner, currency, since, until, after, limit } = filter;
    StatementFilter { owner, currency, since, until, after, limit }
}

pub(super) fn statement(page: &StatementPage) -> Vec<u8> {
    let line = |line: &jaego_store::StatementLine| StatementLine {
        at: line.at.into(),
        sequence: line.sequence.0,
        kind: line.kind.into(),
        currency: line.currency.as_str().into(),
        change: line.change,
        balance: line.balance,
        outside: line.outside.name().into(),
        by: (&line.by).into(),
        reason: line.reason.as_str().into(),
        document: line.document.as_ref().map(|(kind, id)| document(kind, id)),
        reference: line.reference.as_ref().map(Into::into),
    };
    let items: Vec<StatementLine> = page.lines.iter().map(line).collect();
    let next = page.next.map(|next| next.to_string());
    serde_json::to_vec(&List { items, next }).expect("a list has text for keys")
}

pub(super) fn movements(page: &MovementPage) -> Vec<u8> {
    let items: Vec<Movement> = page.movements.iter().map(movement).collect();
    let next = page.next.map(|next| next.to_string());
    serde_json::to_vec(&List { items, next }).expect("a list has text for keys")
}

fn movement(view: &MovementView) -> Movement {
    Movement {
        id: view.id.to_string().as_str().into(),
        at: view.at.into(),
        by: (&view.by).into(),
        reason: view.reason.as_str().into(),
        document: view.document.as_ref().map(|(kind, id)| document(kind, id)),
        sku: (&view.sku).into(),
        lot: view.lot.as_ref().map(Into::into),
        quantity: view.quantity.get(),
        from: account(&view.from),
        to: account(&view.to),
    }
}

fn document(kind: &str, id: &jaego_domain::Code) -> Document {
    Document { kind: kind.into(), id: id.into() }
}

fn account(view: &AccountView) -> Account {
    match view {
        AccountView::Position { site, location } => {
            Account::Position { site: site.into(), location: location.into() }
        }
        AccountView::InTransit { transfer, line } => {
            Account::InTransit { transfer: transfer.into(), line: line.into() }
        }
        AccountView::Outside(outside) => Account::Outside { outside: (*outside).into() },
    }
}

/// An event as the feed shows it, as JSON.
pub fn event_json(view: &EventView) -> Vec<u8> {
    serde_json::to_vec(&event(view)).expect("an event has text for keys")
}

pub(super) fn event(view: &EventView) -> Event {
    let outcome = Outcome::new(&view.outcome, false);
    let watched = view.watched.iter().map(|(site, sku, available, level, low)| Watched {
        site: site.into(),
        sku: sku.into(),
        available: available.get(),
        level: level.get(),
        low: *low,
    });
    Event {
        sequence: outcome.sequence,
        at: outcome.at,
        kind: view.kind.into(),
        by: (&view.by).into(),
        document: view.document.as_ref().map(|(kind, id)| document(kind, id)),
        picks: view.outcome.picks.iter().map(Pick::from).collect(),
        shortages: view.outcome.shortages.iter().map(Shortage::from).collect(),
        expires_at: outcome.expires_at,
        holders: view.outcome.holders.iter().map(Holding::from).collect(),
        movements: view.movements.iter().map(movement).collect(),
        watched: watched.collect(),
        lapsed: view.lapsed.iter().map(Into::into).collect(),
        money: view.money.as_ref().map(|money| MoneyMovement {
            owner: (&money.owner).into(),
            currency: money.currency.as_str().into(),
            change: money.change,
            balance: money.balance,
            outside: money.outside.name().into(),
        }),
        claims: outcome.claims,
        proposal_kind: outcome.proposal_kind,
        closed: outcome.closed,
        filled: view.filled.iter().map(Into::into).collect(),
        returned: view.returned.iter().map(Into::into).collect(),
    }
}

pub(super) fn status(status: &jaego_store::Status) -> Vec<u8> {
    let counts = status.counts;
    let status = Status {
        version: env!("CARGO_PKG_VERSION").into(),
        ready: status.ready,
        full: status.full,
        failed: status.failed.clone(),
        sequence: status.sequence.0,
        durable: status.durable.0,
        queue_len: status.queue_len,
        queue_len_max: status.queue_len_max,
        open_holds: counts.open_holds,
        waiting_orders: counts.waiting_orders,
        claimed_orders: counts.claimed_orders,
        waiting_lines: counts.waiting_lines,
        waiting_picks: counts.waiting_picks,
        claimed_picks: counts.claimed_picks,
        open_carts: counts.open_carts,
        archived: status.archived,
        leaving: status.leaving,
        positions: counts.positions,
        wallets: counts.wallets,
        open_authorizations: counts.open_authorizations,
        cards: counts.cards,
        open_proposals: counts.open_proposals,
        expiry_lag_ms: status.expiry_lag_ms,
        keys: status.keys,
        key_window_ms: status.key_window_ms,
    };
    serde_json::to_vec(&status).expect("a status has text for keys")
}
