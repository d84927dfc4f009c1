//! One turn of a store: what has lapsed first, then each request, then what the stock watch has to say.
//!
//! Every store strings [`decide`] and [`apply`] together through these functions, so that all of them come to
//! the same events.

use std::collections::BTreeSet;

use crate::{
    Changes, Code, Decision, Event, Fact, Quantity, Refusal, Request, Row, Sequence, SiteId, SkuId, Tables,
    Timestamp, apply, decide,
    event::Watched,
    limits::{SWEEP_MAX, SWEEP_PICKS_MAX},
    query::site_stock,
};

/// The author of what nobody asked for: lapses and the stock watch.
pub fn system() -> Code {
    Code::new("by", "system").expect("a word is a code")
}

/// Lapses what is due, at most [`SWEEP_MAX`] holds of about [`SWEEP_PICKS_MAX`] picks, and says what time it logically is afterwards.
///
/// While more is due than one sweep takes, logical time stays before the first hold that was not swept: a hold
/// whose time has passed is never counted. What lapsed is available again: the store asks [`watch`] about these
/// changes, as [`submit`] does about those of a request.
pub fn sweep(tables: &mut impl Tables, clock: Timestamp) -> (Option<(Event, Changes)>, Timestamp) {
    let head = tables.head();
    let clock = clock.max(head.at);
    let mut due = tables.due(clock, SWEEP_MAX + 1);
    if due.is_empty() {
        return (None, clock);
    }
    let mut now = clock;
    let mut picks = 0;
    let swept = due.iter().take(SWEEP_MAX).take_while(|(_, hold)| {
        let goes_on = picks < SWEEP_PICKS_MAX;
        picks += tables.pick_count(hold);
        goes_on
    });
    let swept = swept.count();
    if swept < due.len() {
        let (first_unswept, _) = due[swept];
        due.truncate(swept);
        // Nothing that is due was due at the last event's time, so this does not go back behind it.
        now = Timestamp(first_unswept.0 - 1);
        assert!(now >= head.at, "logical time stayed before the first hold that was not swept");
    }
    let event = Event {
        sequence: head.sequence.next(),
        at: now,
        by: system(),
        keyed: None,
        fact: Fact::HoldsLapsed { ids: due.into_iter().map(|(_, id)| id).collect() },
    };
    let changes = apply(tables, &event);
    (Some((event, changes)), now)
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// It became the event of this number.
    New(Sequence),
    /// It had become the event of this number before.
    Repeat(Sequence),
    /// It would become this event. Nothing was changed.
    DryRun(Box<Event>),
}

/// Decides one request and applies what comes of it; new events are pushed to `events`.
///
/// # Errors
/// The refusal. Nothing was changed.
pub fn submit(
    tables: &mut impl Tables,
    request: &Request,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<(Accepted, Changes), Refusal> {
    let event = match decide(tables, request, now)? {
        Decision::Repeat(sequence) => return Ok((Accepted::Repeat(sequence), Changes::default())),
        Decision::Event(event) if request.is_dry_run() => {
            return Ok((Accepted::DryRun(event), Changes::default()));
        }
        Decision::Event(event) => *event,
    };
    let mut changes = apply(tables, &event);
    let accepted = match event.fact {
        Fact::RequestNoted { of } => Accepted::Repeat(of),
        _ => Accepted::New(event.sequence),
    };
    events.push(event);
    if let Some(watched) = watch(tables, &changes) {
        changes.before.extend(apply(tables, &watched).before);
        events.push(watched);
    }
    Ok((accepted, changes))
}

/// Decides requests that stand or fall together: the first refusal takes everything back.
///
/// # Errors
/// The index of the request that was refused, and why. Nothing was changed.
pub fn submit_atomic(
    tables: &mut impl Tables,
    requests: &[Request],
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<(Vec<Accepted>, Changes), (usize, Refusal)> {
    let events_before = events.len();
    let mut undo = Changes::default();
    let mut accepted = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        match submit(tables, request, now, events) {
            Ok((one, changes)) => {
                accepted.push(one);
                undo.before.extend(changes.before);
            }
            Err(refusal) => {
                undo.undo(tables);
                events.truncate(events_before);
                return Err((index, refusal));
            }
        }
    }
    Ok((accepted, undo))
}

/// Tells which watched stock crossed its safety level by the event that made these changes.
pub fn watch(tables: &impl Tables, changes: &Changes) -> Option<Event> {
    let mut touched: BTreeSet<(SiteId, SkuId)> = BTreeSet::new();
    for row in &changes.before {
        match row {
            // Most SKUs have no safety level anywhere: for them this is one look at a row that is warm.
            Row::Position(place, _) if !tables.sku(place.sku).safety_stock.is_empty() => {
                touched.insert((tables.location(place.location).site, place.sku));
            }
            Row::Lot(lot, _) => {
                let sku = tables.lot(*lot).sku;
                touched.extend(tables.sku(sku).safety_stock.iter().map(|(site, _)| (*site, sku)));
            }
            Row::Sku(sku, before) => {
                touched.extend(tables.sku(*sku).safety_stock.iter().map(|(site, _)| (*site, *sku)));
                let before = before.iter().flat_map(|row| &row.safety_stock);
                touched.extend(before.map(|(site, _)| (*site, *sku)));
            }
            _ => {}
        }
    }
    if touched.is_empty() {
        return None;
    }
    let head = tables.head();
    let mut items = Vec::new();
    for (site, sku) in touched {
        let gate = tables.gate(site, sku).unwrap_or_default();
        let available = match gate.safety_level.is_zero() {
            true => Quantity::ZERO,
            false => site_stock(tables, site, sku, head.at).available,
        };
        let low = available < gate.safety_level;
        if low != gate.low {
            items.push(Watched { site, sku, available, level: gate.safety_level, low });
        }
    }
    if items.is_empty() {
        return None;
    }
    // Told in the order of the codes, which every store agrees on.
    items.sort_by(|a, b| {
        let text = |item: &Watched| (&tables.site(item.site).code, &tables.sku(item.sku).code);
        text(a).cmp(&text(b))
    });
    let fact = Fact::StockWatched { items };
    Some(Event { sequence: head.sequence.next(), at: head.at, by: system(), keyed: None, fact })
}
