//! The lists of open holds and of the holders of lots against the obvious ones: all rows, looked at one by one.

use jaego_domain::{
    Code, LotId, Memory, Quantity, Query, Row, Sequence, SiteId, SkuId, Tables, Timestamp, View,
    query::{HoldSummary, LotHolder, Page},
    row::{Hold, HoldStatus, HolderKind},
};

/// What a list is asked for.
struct Filter {
    sku: Option<SkuId>,
    lot: Option<LotId>,
    site: Option<SiteId>,
    owner: Option<Code>,
}

/// Holds every list of open holds against the rows, page by page.
pub(crate) fn holds_are_listed(memory: &Memory, now: Timestamp) -> Result<(), String> {
    let mut open: Vec<(Sequence, Code, Hold)> = memory
        .rows()
        .filter_map(|row| match row {
            Row::Hold(id, Some(hold)) if hold.status == HoldStatus::Held => Some((hold.placed, id, hold)),
            _ => None,
        })
        .collect();
    open.sort_by_key(|(placed, ..)| *placed);
    let held = open.iter().flat_map(|(.., hold)| hold.lines.iter());
    let places = held.flat_map(|line| line.picks.iter().map(|pick| (line.sku, pick.lot, line.site)));
    let mut filters = vec![Filter { sku: None, lot: None, site: None, owner: None }];
    for (sku, lot, site) in places.take(4) {
        filters.push(Filter { sku: Some(sku), lot: None, site: None, owner: None });
        filters.push(Filter { sku: Some(sku), lot: None, site: Some(site), owner: None });
        filters.push(Filter { sku: None, lot: None, site: Some(site), owner: None });
        if lot != LotId::NONE {
            filters.push(Filter { sku: Some(sku), lot: Some(lot), site: None, owner: None });
        }
    }
    let owner = open.iter().find_map(|(.., hold)| hold.owner.clone());
    filters.extend(owner.map(|owner| Filter { sku: None, lot: None, site: None, owner: Some(owner) }));
    for filter in &filters {
        let expected: Vec<_> = open.iter().filter_map(|(_, id, hold)| summary(id, hold, filter)).collect();
        for limit in [1, 2, 1_000] {
            let found = all_pages(memory, filter, limit, now)?;
            if found != expected {
                return Err(format!(
                    "pages of {limit} open holds give {found:?}, and there are {expected:?}"
                ));
            }
        }
    }
    Ok(())
}

fn summary(id: &Code, hold: &Hold, filter: &Filter) -> Option<HoldSummary> {
    if filter.owner.is_some() && hold.owner != filter.owner {
        return None;
    }
    let mut held = Quantity::ZERO;
    for line in &hold.lines {
        for pick in &line.picks {
            if filter.sku.is_none_or(|sku| sku == line.sku)
                && filter.lot.is_none_or(|lot| lot == pick.lot)
                && filter.site.is_none_or(|site| site == line.site)
            {
                held += pick.quantity;
            }
        }
    }
    (!held.is_zero()).then(|| HoldSummary {
        id: id.clone(),
        owner: hold.owner.clone(),
        expires_at: hold.expires_at,
        line_count: u32::try_from(hold.lines.len()).unwrap(),
        held: filter.sku.map(|_| held),
    })
}

fn all_pages(
    memory: &Memory,
    filter: &Filter,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<HoldSummary>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = Query::Holds {
            sku: filter.sku.map(|sku| memory.sku(sku).code.clone()),
            lot: filter.lot.map(|lot| memory.lot(lot).code.clone()),
            site: filter.site.map(|site| memory.site(site).code.clone()),
            owner: filter.owner.clone(),
            page: Page { after, limit },
        };
        match memory.query(&query, now) {
            Ok(View::Holds(page)) => {
                found.extend(page.items);
                after = page.next;
            }
            other => return Err(format!("a list of holds: {other:?}")),
        }
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// A document that holds something: the event that made it, what it is, and what it holds of which lots and at which sites.
struct Holder {
    made: Sequence,
    kind: HolderKind,
    id: Code,
    held: Vec<(SiteId, LotId, Quantity)>,
}

/// Holds the list of each lot's holders against the rows, page by page.
pub(crate) fn lot_holders_are_listed(memory: &Memory, now: Timestamp) -> Result<(), String> {
    let mut holders = holders(memory);
    holders.sort_by_key(|holder| holder.made);
    let lots = memory.rows().filter_map(|row| match row {
        Row::Lot(id, Some(lot)) => Some((id, lot)),
        _ => None,
    });
    for (id, lot) in lots.filter(|(id, _)| *id != LotId::NONE) {
        for site in [None, Some(SiteId(0))] {
            let held = |holder: &Holder| -> Quantity {
                let here =
                    holder.held.iter().filter(|(at, of, _)| *of == id && site.is_none_or(|site| site == *at));
                here.map(|(.., quantity)| *quantity).sum()
            };
            let expected: Vec<_> = holders
                .iter()
                .map(|holder| LotHolder { kind: holder.kind, id: holder.id.clone(), held: held(holder) })
                .filter(|holder| !holder.held.is_zero())
                .collect();
            for limit in [2, 1_000] {
                let (sku, site) =
                    (memory.sku(lot.sku).code.clone(), site.map(|site| memory.site(site).code.clone()));
                let found = all_holders(memory, &sku, &lot.code, site.as_ref(), limit, now)?;
                if found != expected {
                    return Err(format!(
                        "pages of {limit} holders give {found:?}, and there are {expected:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn holders(memory: &Memory) -> Vec<Holder> {
    let at = |location| memory.location(location).site;
    let of_row = |row| match row {
        Row::Hold(id, Some(hold)) => {
            let picks = hold.lines.iter().flat_map(|line| &line.picks);
            let held = picks.map(|pick| (at(pick.location), pick.lot, pick.quantity)).collect();
            Some(Holder { made: hold.placed, kind: HolderKind::Hold, id, held })
        }
        Row::Order(id, Some(order)) => {
            let picks = order.lines.iter().flat_map(|line| &line.picks);
            let held = picks.map(|pick| (at(pick.location), pick.lot, pick.quantity)).collect();
            Some(Holder { made: order.placed, kind: HolderKind::Order, id, held })
        }
        Row::Cart(id, Some(cart)) => {
            let picks = cart.lines.iter().flat_map(|line| &line.picks);
            let held = picks.map(|pick| (at(pick.location), pick.lot, pick.quantity)).collect();
            Some(Holder { made: cart.opened, kind: HolderKind::Cart, id, held })
        }
        Row::Transfer(id, Some(transfer)) => {
            let lines: Vec<_> = (0..transfer.lines).map(|line| memory.line(&id, line)).collect();
            let picks = lines.iter().flat_map(|line| &line.picks);
            let picks = picks.map(|pick| (at(pick.location), pick.lot, pick.quantity));
            let staged = lines.iter().flat_map(|line| &line.staged);
            let staged = staged.map(|one| (at(one.staging), one.lot, one.quantity));
            let held = picks.chain(staged).collect();
            Some(Holder { made: transfer.requested, kind: HolderKind::Transfer, id, held })
        }
        _ => None,
    };
    memory.rows().filter_map(of_row).collect()
}

fn all_holders(
    memory: &Memory,
    sku: &Code,
    lot: &Code,
    site: Option<&Code>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<LotHolder>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (sku, lot, site) = (sku.clone(), lot.clone(), site.cloned());
        match memory.query(&Query::LotHolders { sku, lot, site, page: Page { after, limit } }, now) {
            Ok(View::LotHolders(page)) => {
                found.extend(page.items);
                after = page.next;
            }
            other => return Err(format!("a list of a lot's holders: {other:?}")),
        }
        if after.is_none() {
            return Ok(found);
        }
    }
}
