//! The orders and transfers of a period against the obvious way: all of them, of which those are left that are in it.

use jaego_domain::{
    Code, Query, Refusal, Timestamp, View,
    query::{Page, Period},
};

/// Times at which a period begins or ends that are tried.
const TIMES_MAX: usize = 2;

/// Something that answers queries.
pub(crate) type Ask<'a> = dyn FnMut(&Query) -> Result<View, Refusal> + 'a;

/// Holds the lists of periods against the lists of everything, page by page.
pub(crate) fn periods_are_listed(ask: &mut Ask<'_>) -> Result<(), String> {
    for query in [orders as fn(Period, Page) -> Query, transfers] {
        let all = all_pages(ask, query, Period::default(), 1_000)?;
        let mut times: Vec<Timestamp> = all.iter().map(|(at, _)| *at).collect();
        times.dedup();
        let step = times.len().div_ceil(TIMES_MAX).max(1);
        let around = times.iter().step_by(step).take(TIMES_MAX).flat_map(|at| [*at, at.after_ms(1)]);
        let ends: Vec<_> = std::iter::once(None).chain(around.map(Some)).collect();
        for (since, until) in ends.iter().flat_map(|since| ends.iter().map(move |until| (*since, *until))) {
            let period = Period { since, until };
            let is_in = |at: Timestamp| since.is_none_or(|s| s <= at) && until.is_none_or(|u| at < u);
            let expected: Vec<_> = all.iter().filter(|(at, _)| is_in(*at)).cloned().collect();
            let found = all_pages(ask, query, period, 3)?;
            if found != expected {
                return Err(format!("{period:?} gives {found:?}, and there are {expected:?}"));
            }
        }
    }
    Ok(())
}

fn orders(placed: Period, page: Page) -> Query {
    Query::Orders { site: None, status: None, customer: None, worker: None, allocated: None, placed, page }
}

fn transfers(requested: Period, page: Page) -> Query {
    Query::Transfers { status: None, from: None, to: None, worker: None, requested, page }
}

/// All documents of a list by when they were made.
fn all_pages(
    ask: &mut Ask<'_>,
    query: fn(Period, Page) -> Query,
    period: Period,
    limit: usize,
) -> Result<Vec<(Timestamp, Code)>, String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        after = match ask(&query(period, Page { after, limit })) {
            Ok(View::Orders(page)) => {
                found.extend(page.items.into_iter().map(|order| (order.placed_at, order.id)));
                page.next
            }
            Ok(View::Transfers(page)) => {
                found.extend(page.items.into_iter().map(|transfer| (transfer.requested_at, transfer.id)));
                page.next
            }
            other => return Err(format!("a list of documents: {other:?}")),
        };
        if after.is_none() {
            return Ok(found);
        }
    }
}
