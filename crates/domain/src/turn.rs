//! One turn of a store: what has lapsed first, then each request, and after each what follows from it by itself.
//!
//! Every store strings [`decide`] and [`apply`] together through these functions, so that all of them come to
//! the same events.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Changes, Code, Decision, Event, Fact, LotId, PickWorkId, Place, Quantity, Refusal, Repeat, Request, Row,
    Sequence, SiteId, SkuId, Tables, Timestamp, apply, apply_for_good,
    command::Fenced,
    decide,
    decide::{Lots, fill},
    event::{Freed, Watched},
    limits::{FILL_LINES_MAX, PARTS_MAX, SEEN_MAX, SEEN_PER_LINE, SWEEP_MAX, SWEEP_PICKS_MAX},
    query::available,
    row::{HolderKind, Lot, Position, Site, Tracking},
};

/// The author of what nobody asked for: lapses, what waiting orders get, and the stock watch.
pub fn system() -> Code {
    Code::new("by", "system").expect("a word is a code")
}

/// Lapses what is due, at most [`SWEEP_MAX`] holds, claims and carts of about [`SWEEP_PICKS_MAX`] picks, goes on with what
/// waiting orders have yet to get, and says what time it logically is afterwards. New events are pushed to `events`.
///
/// While more is due than one sweep takes, logical time stays before the first of them that was not swept: one whose
/// time has passed is never counted.
pub fn sweep(tables: &mut impl Tables, clock: Timestamp, events: &mut Vec<Event>) -> (Changes, Timestamp) {
    let head = tables.head();
    let clock = clock.max(head.at);
    let Due { holds, claims, picks, carts, first_left } = due(tables, clock);
    let mut now = clock;
    if let Some(first_left) = first_left {
        // Nothing that is due was due at the last event's time, so this does not go back behind it.
        now = Timestamp(first_left.0 - 1);
        assert!(now >= head.at, "logical time stayed before the first that was not swept");
    }
    let mut undo = Changes::default();
    for fact in [
        (!holds.is_empty()).then_some(Fact::HoldsLapsed { ids: holds }),
        (!claims.is_empty()).then_some(Fact::ClaimsLapsed { ids: claims }),
        (!picks.is_empty()).then_some(Fact::PickClaimsLapsed { works: picks }),
        (!carts.is_empty()).then_some(Fact::CartsLapsed { ids: carts }),
    ]
    .into_iter()
    .flatten()
    {
        undo.before.extend(happen(tables, of_itself(tables, now, fact), events, apply).before);
    }
    if let Some(event) = fill_on(tables, now) {
        undo.before.extend(happen(tables, event, events, apply).before);
    }
    (undo, now)
}

/// Gives waiting orders what is there for them, event by event. Work: one event for every [`FILL_LINES_MAX`] lines; a store
/// that others wait for does one event a turn instead, in [`sweep`].
pub fn fill_up(tables: &mut impl Tables, now: Timestamp, events: &mut Vec<Event>) -> Changes {
    let mut undo = Changes::default();
    while let Some(event) = fill_on(tables, now) {
        undo.before.extend(happen(tables, event, events, apply).before);
    }
    undo
}

/// Goes on at `now` with what one event did not fill.
pub fn fill_on(tables: &impl Tables, now: Timestamp) -> Option<Event> {
    let unfilled = tables.unfilled(FILL_LINES_MAX);
    if unfilled.is_empty() {
        return None;
    }
    let unfilled = unfilled.into_iter().map(|pair| (pair, Lots::Any)).collect();
    fill(tables, now, &unfilled).map(|fact| of_itself(tables, now, fact))
}

/// What lapses in one sweep, and when the first lapses that has to wait for another.
#[derive(Default)]
struct Due {
    holds: Vec<Code>,
    claims: Vec<Code>,
    picks: Vec<PickWorkId>,
    carts: Vec<Code>,
    first_left: Option<Timestamp>,
}

/// Something that lapses. At the same time holds go first, then claims on orders, then those on picks, then carts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Lapsing {
    Hold(Code),
    Claim(Code),
    PickClaim(PickWorkId),
    Cart(Code),
}

/// Takes what is due, whichever was due first, until it is enough for one sweep.
fn due(tables: &impl Tables, clock: Timestamp) -> Due {
    let holds = tables.due(clock, SWEEP_MAX + 1).into_iter().map(|(at, id)| (at, Lapsing::Hold(id)));
    let claims = tables.due_claims(clock, SWEEP_MAX + 1).into_iter().map(|(at, id)| (at, Lapsing::Claim(id)));
    let picks = tables.due_pick_claims(clock, SWEEP_MAX + 1).into_iter();
    let picks = picks.map(|(at, work)| (at, Lapsing::PickClaim(work)));
    let carts = tables.due_carts(clock, SWEEP_MAX + 1).into_iter().map(|(at, id)| (at, Lapsing::Cart(id)));
    let mut all: Vec<(Timestamp, Lapsing)> = holds.chain(claims).chain(picks).chain(carts).collect();
    all.sort();
    let mut due = Due::default();
    let mut held = 0;
    for (count, (at, lapsing)) in all.into_iter().enumerate() {
        if count == SWEEP_MAX || held >= SWEEP_PICKS_MAX {
            due.first_left = Some(at);
            return due;
        }
        match lapsing {
            Lapsing::Hold(id) => {
                held += tables.pick_count(&id);
                due.holds.push(id);
            }
            Lapsing::Claim(id) => due.claims.push(id),
            Lapsing::PickClaim(work) => due.picks.push(work),
            Lapsing::Cart(id) => {
                held += tables.cart_part_count(&id);
                due.carts.push(id);
            }
        }
    }
    due
}

/// The next event, which nobody asked for.
fn of_itself(tables: &impl Tables, at: Timestamp, fact: Fact) -> Event {
    Event { sequence: tables.head().sequence.next(), at, by: system(), keyed: None, fact }
}

/// Applies an event and all that follows from it by itself.
fn happen<T: Tables>(
    tables: &mut T,
    event: Event,
    events: &mut Vec<Event>,
    apply: impl Fn(&mut T, &Event) -> Changes,
) -> Changes {
    let mut changes = apply(tables, &event);
    let mut next = follow_up(tables, &event.fact, &changes);
    events.push(event);
    while let Some(event) = next {
        changes.before.extend(apply(tables, &event).before);
        next = follow_up(tables, &event.fact, &changes);
        events.push(event);
    }
    changes
}

/// What follows by itself from a fact that made these changes: orders get the stock that they waited for, and then
/// the stock watch has its say. For what followed itself, the changes are those of all the facts before it as well.
pub fn follow_up(tables: &impl Tables, fact: &Fact, changes: &Changes) -> Option<Event> {
    match fact {
        Fact::StockWatched { .. } => None,
        Fact::OrdersFilled { .. } => watch(tables, changes),
        _ => fill_after(tables, fact, changes).or_else(|| watch(tables, changes)),
    }
}

/// Fills orders that waited for what a fact with these changes made available, and those from which it took something.
/// That is enough because nobody waits for what is available. The exception is an order that had [`PARTS_MAX`] picks, waited
/// for nothing as long as it had, and has fewer again, as two of them were moved together or an adjustment took some: what
/// it lacks is looked for when stock of it next comes.
fn fill_after(tables: &impl Tables, fact: &Fact, changes: &Changes) -> Option<Event> {
    let mut arrived: BTreeMap<(SiteId, SkuId), Lots> = BTreeMap::new();
    let mut note = |site, sku, lot| arrived.entry((site, sku)).or_default().add(lot);
    for row in &changes.before {
        match row {
            Row::Position(place, before) => {
                // Mostly nobody waits for anything: then this is one look at an empty table.
                let site = tables.location(place.location).site;
                if tables.is_awaited(site, place.sku, place.lot) && has_grown(tables, *place, before.as_ref())
                {
                    note(site, place.sku, place.lot);
                }
            }
            Row::Lot(lot, Some(before)) => {
                let row = tables.lot(*lot);
                if may_be_given_again(before, row) {
                    let sites = (0..tables.head().sites).map(SiteId);
                    let waiting = sites.filter(|site| tables.is_awaited(*site, row.sku, *lot));
                    waiting.for_each(|site| note(site, row.sku, *lot));
                }
            }
            _ => {}
        }
    }
    // An order that lost what it held waits for it, and may have what lies elsewhere: of that lot, or of any.
    if let Fact::Adjusted { lines, .. } = fact {
        let of_orders = |freed: &Freed| freed.holder.kind == HolderKind::Order;
        let lost = lines.iter().filter(|line| line.freed.iter().any(of_orders)).map(|line| line.place);
        let lost = lost.map(|place| (tables.location(place.location).site, place));
        let waits = lost.filter(|(site, place)| tables.is_awaited(*site, place.sku, place.lot));
        waits.for_each(|(site, place)| note(site, place.sku, place.lot));
    }
    let mut any: BTreeSet<(SiteId, SkuId)> = BTreeSet::new();
    for row in &changes.before {
        // Where the day ends later, lots are good again.
        if let Row::Site(site, Some(before)) = row
            && is_earlier_now(tables, *site, before)
        {
            let awaited = tables.awaited_skus(*site).into_iter();
            let again = awaited.filter(|sku| may_expire(tables, *site, *sku));
            any.extend(again.map(|sku| (*site, sku)));
        }
    }
    arrived.extend(any.into_iter().map(|pair| (pair, Lots::Any)));
    if arrived.is_empty() {
        return None;
    }
    let at = tables.head().at;
    fill(tables, at, &arrived).map(|fact| of_itself(tables, at, fact))
}

/// Whether more is available at a place than lay there unheld before.
fn has_grown(tables: &impl Tables, place: Place, before: Option<&Position>) -> bool {
    let Some(row) = tables.position(place) else { return false };
    row.movable() > before.map_or(Quantity::ZERO, Position::movable)
        && !available(tables, place, &row, tables.head().at).is_zero()
}

/// Whether a lot is open that was blocked, or is good for longer than it was.
fn may_be_given_again(before: &Lot, row: &Lot) -> bool {
    let is_good_for_longer = match (before.expires_on, row.expires_on) {
        (Some(before), Some(day)) => day > before,
        (Some(_), None) => true,
        (None, _) => false,
    };
    !row.blocked && (before.blocked || is_good_for_longer)
}

/// Whether it is an earlier day at a site than it was before the site was set.
fn is_earlier_now(tables: &impl Tables, site: SiteId, before: &Site) -> bool {
    let now = tables.head().at;
    tables.site(site).time_zone.day(now) < before.time_zone.day(now)
}

/// Whether something of a SKU lies at a site that expires one day.
fn may_expire(tables: &impl Tables, site: SiteId, sku: SkuId) -> bool {
    tables.sku(sku).tracking != Tracking::None
        && tables
            .positions(site, sku)
            .any(|(place, _)| place.lot != LotId::NONE && tables.lot(place.lot).expires_on.is_some())
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    /// It became the event of this number.
    New(Sequence),
    /// It had become an event before.
    Repeat(Repeat),
    /// It would become this event. Nothing was changed.
    DryRun(Box<Event>),
}

/// Decides one request and applies what comes of it; new events are pushed to `events`.
///
/// # Errors
/// The refusal. Nothing was changed.
///
/// # Panics
/// If the store [owes stock](Tables::owes_stock).
pub fn submit(
    tables: &mut impl Tables,
    request: &Request,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<(Accepted, Changes), Refusal> {
    submit_with(tables, request, now, events, apply)
}

/// Does what [`submit`] does, where nobody will undo it.
///
/// # Errors
/// The refusal. Nothing was changed.
///
/// # Panics
/// If the store [owes stock](Tables::owes_stock).
pub fn submit_for_good(
    tables: &mut impl Tables,
    request: &Request,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Accepted, Refusal> {
    submit_with(tables, request, now, events, apply_for_good).map(|(accepted, _)| accepted)
}

fn submit_with<T: Tables>(
    tables: &mut T,
    request: &Request,
    now: Timestamp,
    events: &mut Vec<Event>,
    apply: impl Fn(&mut T, &Event) -> Changes,
) -> Result<(Accepted, Changes), Refusal> {
    assert!(!tables.owes_stock(), "stock goes to those who wait for it before anything else is decided");
    let repeat = |tables: &T, of| Accepted::Repeat(Repeat::new(tables, request.command(), of));
    let event = match decide(tables, request, now)? {
        Decision::Repeat(of) => return Ok((repeat(tables, of), Changes::default())),
        Decision::Event(event) if request.is_dry_run() => {
            return Ok((Accepted::DryRun(event), Changes::default()));
        }
        Decision::Event(event) => *event,
    };
    let accepted = match event.fact {
        Fact::RequestNoted { of } => repeat(tables, of),
        _ => Accepted::New(event.sequence),
    };
    let is_new = matches!(accepted, Accepted::New(_));
    let mut changes = happen(tables, event, events, &apply);
    if let Some(event) = request.fence().filter(|_| is_new).and_then(|fenced| raise(tables, request, fenced))
    {
        changes.before.extend(happen(tables, event, events, &apply).before);
    }
    Ok((accepted, changes))
}

/// The event that follows from a request that came with a higher fence than any before it. What is decided does not
/// depend on it, so that whoever decides a command again needs to know of no fence.
fn raise(tables: &impl Tables, request: &Request, fenced: &Fenced) -> Option<Event> {
    if tables.fence(fenced.resource()).is_some_and(|row| row.fence >= fenced.fence()) {
        return None;
    }
    let fact = Fact::FenceRaised { resource: fenced.resource().clone(), fence: fenced.fence() };
    Some(Event { by: request.by().clone(), ..of_itself(tables, tables.head().at, fact) })
}

/// The refused requests of a batch, by their indexes from 0, in order.
pub type Refusals = Vec<(usize, Refusal)>;

/// Decides requests that stand or fall together: a refusal takes everything back. Stock that one of them brings goes to
/// waiting orders before the next is decided; a request that brings it to more than [`PARTS_MAX`] picks, with those before
/// it, is refused with `too_many_parts`, unless it is the last.
///
/// # Errors
/// Each request that was refused, by its index, and why: those behind the first are decided as if the refused ones before
/// them were not there. Behind `too_many_parts` none is: what gives out so much and takes it back is done once. Nor is any
/// behind `too_many_lines_touched`: their looks for work saw as much as one batch may ([`SEEN_MAX`]). Nothing was changed.
///
/// # Panics
/// If the store [owes stock](Tables::owes_stock).
pub fn submit_atomic(
    tables: &mut impl Tables,
    requests: &[Request],
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<(Vec<Accepted>, Changes), Refusals> {
    let events_before = events.len();
    let mut undo = Changes::default();
    let mut accepted = Vec::with_capacity(requests.len());
    let mut refused = Refusals::new();
    let (mut parts, mut seen) = (0, 0);
    tables.take_seen();
    for (index, request) in requests.iter().enumerate() {
        let is_last = index + 1 == requests.len();
        let (events_so_far, rows_so_far, parts_so_far) = (events.len(), undo.before.len(), parts);
        let decided = submit(tables, request, now, events);
        seen += tables.take_seen();
        let decided = decided.and_then(|(one, changes)| {
            accepted.push(one);
            undo.before.extend(changes.before);
            if is_last { Ok(()) } else { fill_between(tables, now, events, &mut undo, &mut parts) }
        });
        if let Err(refusal) = decided {
            let is_too_much = matches!(refusal, Refusal::TooManyParts { .. });
            refused.push((index, refusal));
            Changes { before: undo.before.split_off(rows_so_far) }.undo(tables);
            events.truncate(events_so_far);
            parts = parts_so_far;
            if is_too_much {
                break;
            }
        }
        if seen > SEEN_MAX && !is_last {
            let (lines, max) = (seen.div_ceil(SEEN_PER_LINE), SEEN_MAX / SEEN_PER_LINE);
            refused.push((index + 1, Refusal::TooManyLinesTouched { lines, max }));
            break;
        }
    }
    if refused.is_empty() {
        return Ok((accepted, undo));
    }
    undo.undo(tables);
    events.truncate(events_before);
    Err(refused)
}

/// Gives waiting orders what a request of an atomic batch left for them, before the next one. Refuses with `too_many_parts`
/// where the batch comes to more `parts` by it than one decision may.
fn fill_between(
    tables: &mut impl Tables,
    now: Timestamp,
    events: &mut Vec<Event>,
    undo: &mut Changes,
    parts: &mut usize,
) -> Result<(), Refusal> {
    while let Some(event) = fill_on(tables, now) {
        if let Fact::OrdersFilled { orders, .. } = &event.fact {
            *parts += orders.iter().map(|order| order.takes.len()).sum::<usize>();
        }
        if *parts > PARTS_MAX {
            return Err(Refusal::TooManyParts { parts: *parts, max: PARTS_MAX });
        }
        undo.before.extend(happen(tables, event, events, apply).before);
    }
    Ok(())
}

/// Tells which watched stock crossed its safety level by the event that made these changes.
fn watch(tables: &impl Tables, changes: &Changes) -> Option<Event> {
    let mut touched: BTreeSet<(SiteId, SkuId)> = BTreeSet::new();
    for row in &changes.before {
        match row {
            // Most SKUs have no safety level anywhere: for them this is one look at a row that is warm.
            Row::Position(place, _) if !tables.sku(place.sku).safety_stock.is_empty() => {
                touched.insert((tables.location(place.location).site, place.sku));
            }
            Row::Lot(lot, Some(before)) => {
                let row = tables.lot(*lot);
                if (before.blocked, before.expires_on) != (row.blocked, row.expires_on) {
                    let levels = tables.sku(row.sku).safety_stock.iter();
                    touched.extend(levels.map(|(site, _)| (*site, row.sku)));
                }
            }
            // Where the day ends at another time, lots end at another time.
            Row::Site(site, Some(before)) if before.time_zone != tables.site(*site).time_zone => {
                touched.extend(tables.watched_with_last_days(*site).into_iter().map(|sku| (*site, sku)));
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
        let available = tables.watched_available(site, sku, head.at);
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
    Some(of_itself(tables, head.at, fact))
}
