//! The past, for every store alike: which positions a question is about, what an event did to them, and how it is told.

use std::collections::BTreeMap;

use jaego_domain::{
    Account, Code, Event, Fact, LocationId, LotId, Place, Quantity, Refusal, SiteId, SkuId, Tables, Timestamp,
};

use crate::{
    BalanceFilter, BalancePage, BalancePoint, PastPosition, PastStock, StatementFilter, StatementLine,
    StatementPage, StockAsOf, render,
};

/// The positions that a question is about. Every condition that is named must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Of this SKU.
    pub sku: Option<SkuId>,
    /// At this site.
    pub site: Option<SiteId>,
    /// At this location.
    pub location: Option<LocationId>,
    /// Of this lot.
    pub lot: Option<LotId>,
}

impl Scope {
    /// Looks up what the stock as of a time is asked for.
    ///
    /// # Errors
    /// A `…_not_found` refusal for a code that names nothing, and `invalid_value` for a location without its site, a lot
    /// without its SKU, and a time that is after `now`.
    pub fn of_stock(tables: &impl Tables, filter: &StockAsOf, now: Timestamp) -> Result<Self, Refusal> {
        let site = filter.site.as_ref().map(|site| known_site(tables, site)).transpose()?;
        let sku = filter.sku.as_ref().map(|sku| known_sku(tables, sku)).transpose()?;
        let location = match (&filter.location, site) {
            (None, _) => None,
            (Some(_), None) => return Err(Refusal::invalid("location", "needs a site")),
            (Some(location), Some(site)) => {
                let found = tables.location_id(site, location);
                Some(found.ok_or_else(|| Refusal::LocationNotFound {
                    site: tables.site(site).code.clone(),
                    location: location.clone(),
                })?)
            }
        };
        let lot = match (&filter.lot, sku) {
            (None, _) => None,
            (Some(_), None) => return Err(Refusal::invalid("lot", "needs a sku")),
            (Some(lot), Some(sku)) => Some(tables.lot_id(sku, lot).ok_or_else(|| Refusal::LotNotFound {
                sku: tables.sku(sku).code.clone(),
                lot: lot.clone(),
            })?),
        };
        if filter.as_of > now {
            return Err(Refusal::invalid("as_of", format!("is in the future: it is {now} now")));
        }
        Ok(Self { sku, site, location, lot })
    }

    /// Looks up whose balance is asked for.
    ///
    /// # Errors
    /// `sku_not_found` and `site_not_found`.
    pub fn of_balance(tables: &impl Tables, filter: &BalanceFilter) -> Result<Self, Refusal> {
        let sku = Some(known_sku(tables, &filter.sku)?);
        let site = filter.site.as_ref().map(|site| known_site(tables, site)).transpose()?;
        Ok(Self { sku, site, ..Self::default() })
    }

    /// Whether a place is one of them. `site_of` tells the site of a location.
    pub fn has(&self, place: Place, site_of: impl Fn(LocationId) -> SiteId) -> bool {
        self.sku.is_none_or(|sku| sku == place.sku)
            && self.lot.is_none_or(|lot| lot == place.lot)
            && self.location.is_none_or(|location| location == place.location)
            && self.site.is_none_or(|site| site == site_of(place.location))
    }

    /// By how much an event changed what lies at all of them together.
    pub fn change(&self, event: &Event, site_of: impl Fn(LocationId) -> SiteId) -> i64 {
        let mut sum = 0;
        each_change(event, |place, change| {
            if self.has(place, &site_of) {
                sum += change;
            }
        });
        sum
    }
}

/// Tells by how much an event changed what lies where, once for each side of each movement that is a position.
pub fn each_change(event: &Event, mut visit: impl FnMut(Place, i64)) {
    event.fact.movements(|movement| {
        let quantity = movement.quantity.get().cast_signed();
        for (account, change) in [(&movement.from, -quantity), (&movement.to, quantity)] {
            if let Account::Position(place) = account {
                visit(*place, change);
            }
        }
    });
}

/// The stock as of a time by the plainest of ways: all that moved until then, added up.
///
/// # Errors
/// Those of [`Scope::of_stock`].
pub fn stock_as_of(
    tables: &impl Tables,
    events: &[Event],
    filter: &StockAsOf,
    now: Timestamp,
) -> Result<PastStock, Refusal> {
    let scope = Scope::of_stock(tables, filter, now)?;
    let mut sums: BTreeMap<Place, i64> = BTreeMap::new();
    for event in events.iter().take_while(|event| event.at <= filter.as_of) {
        each_change(event, |place, change| *sums.entry(place).or_default() += change);
    }
    let site_of = |location| tables.location(location).site;
    let mut there = sums.into_iter().filter(|(place, sum)| {
        *sum != 0 && filter.after.is_none_or(|after| *place > after) && scope.has(*place, site_of)
    });
    let found: Vec<_> = there.by_ref().take(filter.limit).collect();
    let next = found.last().map(|(place, _)| *place).filter(|_| there.next().is_some());
    let view = |(place, sum): &(Place, i64)| {
        let on_hand = u64::try_from(*sum).expect("nothing lies anywhere that is less than nothing");
        position_view(tables, *place, Quantity::stored(on_hand))
    };
    Ok(PastStock { positions: found.iter().map(view).collect(), next })
}

/// A balance over time in the same way.
///
/// # Errors
/// Those of [`Scope::of_balance`].
pub fn balances(
    tables: &impl Tables,
    events: &[Event],
    filter: &BalanceFilter,
) -> Result<BalancePage, Refusal> {
    let scope = Scope::of_balance(tables, filter)?;
    let site_of = |location| tables.location(location).site;
    let mut on_hand = 0;
    let mut points: Vec<BalancePoint> = Vec::new();
    for event in events {
        if filter.until.is_some_and(|until| event.at >= until) {
            break;
        }
        let change = scope.change(event, site_of);
        on_hand += change;
        let is_wanted = filter.since.is_none_or(|since| event.at >= since)
            && filter.after.is_none_or(|after| event.sequence > after);
        if change != 0 && is_wanted {
            if points.len() == filter.limit {
                let next = points.last().map(|point| point.sequence);
                return Ok(BalancePage { points, next });
            }
            let on_hand = u64::try_from(on_hand).expect("no balance is less than nothing");
            points.push(point_view(event, change, on_hand));
        }
    }
    Ok(BalancePage { points, next: None })
}

/// A wallet's statement in the same way.
///
/// # Errors
/// `wallet_not_found`.
pub fn statement(
    tables: &impl Tables,
    events: &[Event],
    filter: &StatementFilter,
) -> Result<StatementPage, Refusal> {
    known_wallet(tables, &filter.owner)?;
    let mut lines: Vec<StatementLine> = Vec::new();
    for line in events.iter().filter_map(|event| statement_line(event, filter)) {
        if lines.len() == filter.limit {
            let next = lines.last().map(|line| line.sequence);
            return Ok(StatementPage { lines, next });
        }
        lines.push(line);
    }
    Ok(StatementPage { lines, next: None })
}

/// Refuses with `wallet_not_found` where there is none.
///
/// # Errors
/// That refusal.
pub fn known_wallet(tables: &impl Tables, owner: &Code) -> Result<(), Refusal> {
    match tables.wallet(owner) {
        Some(_) => Ok(()),
        None => Err(Refusal::WalletNotFound { owner: owner.clone() }),
    }
}

/// The line that an event is in a statement, if it is one that is wanted there.
pub fn statement_line(event: &Event, filter: &StatementFilter) -> Option<StatementLine> {
    let money = event.fact.money().filter(|money| *money.owner == filter.owner)?;
    let is_wanted = filter.currency.is_none_or(|currency| currency == money.currency)
        && filter.since.is_none_or(|since| event.at >= since)
        && filter.until.is_none_or(|until| event.at < until)
        && filter.after.is_none_or(|after| event.sequence > after);
    let reference = match &event.fact {
        Fact::WalletCharged { reference, .. }
        | Fact::WalletPaid { reference, .. }
        | Fact::WalletRefunded { reference, .. } => reference.clone(),
        _ => None,
    };
    is_wanted.then(|| StatementLine {
        at: event.at,
        sequence: event.sequence,
        kind: event.fact.kind(),
        currency: money.currency,
        change: money.change(),
        balance: money.balance,
        outside: money.outside,
        by: event.by.clone(),
        reason: event.fact.reason(),
        document: render::document(&event.fact).filter(|(kind, _)| *kind != "wallet"),
        reference,
    })
}

/// A position as it was.
pub fn position_view(tables: &impl Tables, place: Place, on_hand: Quantity) -> PastPosition {
    let location = tables.location(place.location);
    PastPosition {
        site: tables.site(location.site).code.clone(),
        location: location.code.clone(),
        sku: tables.sku(place.sku).code.clone(),
        lot: (place.lot != LotId::NONE).then(|| tables.lot(place.lot).code.clone()),
        on_hand,
    }
}

/// An event that changed a balance, and the balance from then on.
pub fn point_view(event: &Event, change: i64, on_hand: u64) -> BalancePoint {
    BalancePoint {
        at: event.at,
        sequence: event.sequence,
        change,
        on_hand,
        by: event.by.clone(),
        reason: event.fact.reason(),
        document: render::document(&event.fact),
    }
}

fn known_site(tables: &impl Tables, site: &Code) -> Result<SiteId, Refusal> {
    tables.site_id(site).ok_or_else(|| Refusal::SiteNotFound { site: site.clone() })
}

fn known_sku(tables: &impl Tables, sku: &Code) -> Result<SkuId, Refusal> {
    tables.sku_id(sku).ok_or_else(|| Refusal::SkuNotFound { sku: sku.clone() })
}
