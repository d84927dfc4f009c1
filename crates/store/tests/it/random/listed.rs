//! The list of open holds against the obvious one: all rows of holds, looked at one by one.

use jaego_domain::{
    Code, LotId, Memory, Quantity, Query, Row, Sequence, SiteId, SkuId, Tables, Timestamp, View,
    query::{HoldSummary, Page},
    row::{Hold, HoldStatus},
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
