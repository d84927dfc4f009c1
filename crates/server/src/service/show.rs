//! What a store reads, as the wire shows it.

use jaego_api::{
    event::{Event, Watched},
    list::List,
    movement::{Account, Document, Movement},
    outcome::{Outcome, Pick},
    read,
    status::{Recovery, Status},
    stock::{Holding, Shortage},
};
use jaego_store::{AccountView, EventView, MovementFilter, MovementPage, MovementView};

pub(super) fn movement_filter(filter: read::MovementFilter) -> MovementFilter {
    let read::MovementFilter { sku, lot, site, document, since, until, after, limit } = filter;
    MovementFilter { sku, lot, site, document, since, until, after, limit }
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
        reason: view.reason.as_ref().map(|reason| reason.as_str().into()),
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
    }
}

pub(super) fn status(status: &jaego_store::Status) -> Vec<u8> {
    let (replayed, total) = status.recovery;
    let status = Status {
        version: env!("CARGO_PKG_VERSION").into(),
        ready: status.ready,
        full: status.full,
        failed: status.failed.clone(),
        sequence: status.sequence.0,
        durable: status.durable.0,
        queue_len: status.queue_len,
        queue_len_max: status.queue_len_max,
        open_holds: status.open_holds,
        positions: status.positions,
        expiry_lag_ms: status.expiry_lag_ms,
        keys: status.keys,
        key_window_ms: status.key_window_ms,
        recovery: (replayed < total).then_some(Recovery { replayed, total }),
    };
    serde_json::to_vec(&status).expect("a status has text for keys")
}
