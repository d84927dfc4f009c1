//! Orders: samples at their borders, which the fixtures were written from, and facts and rows of any kind.

use jaego_domain::{
    Event, Fact, Keyed, LocationId, LotId, Row, Sequence, SiteId, SkuId, Timestamp,
    event::{FilledOrder, OrderShort, OrderedLine},
    limits::QUANTITY_MAX,
    row::{Claim, Order, OrderAllocation, OrderLine, OrderSetting, OrderStatus, Pick},
};
use jaego_store::codec;
use proptest::{
    option,
    prelude::any,
    prop_oneof,
    sample::select,
    strategy::{BoxedStrategy, Strategy},
};
use smallvec::smallvec;

use crate::codec::{
    arbitrary::{
        code, list, location, lot, number, quantity, sequence, site, sku, some_quantity, take, time,
    },
    fixtures::{events_stay, fixture, rows_stay},
    samples::{self, code as text, quantity as units, take as taken},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const LAST: u32 = u32::MAX;

/// Every fact about orders. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let takes = || smallvec![taken(0, 1, 2, 3, 4), taken(LAST, LAST, LAST, LAST, QUANTITY_MAX)];
    let short =
        || OrderShort { line: LAST, sku: SkuId(LAST), requested: units(QUANTITY_MAX), available: units(0) };
    let line = |lot| OrderedLine { sku: SkuId(5), lot, quantity: units(12) };
    let mut facts: Vec<_> = OrderAllocation::ALL
        .into_iter()
        .map(|allocation| Fact::OrderAllocationSet { site: SiteId(LAST), code: text("ICN"), allocation })
        .collect();
    facts.extend([
        Fact::OrderPlaced {
            id: text("O-1"),
            body: 0,
            site: SiteId(0),
            customer: None,
            priority: 0,
            backorder: false,
            awaits_stock: false,
            lines: vec![line(None)],
            takes: smallvec![],
            short: Vec::new(),
        },
        Fact::OrderPlaced {
            id: text(UUID),
            body: u64::MAX,
            site: SiteId(LAST),
            customer: Some(text("kim")),
            priority: LAST,
            backorder: true,
            awaits_stock: true,
            lines: vec![line(None), line(Some(LotId(LAST)))],
            takes: takes(),
            short: vec![short()],
        },
        Fact::OrderAllocated { id: text("O-1"), site: SiteId(1), takes: smallvec![], short: Vec::new() },
        Fact::OrderAllocated { id: text("O-1"), site: SiteId(LAST), takes: takes(), short: vec![short()] },
        Fact::OrdersFilled { orders: Vec::new(), left: Vec::new(), done: vec![(SiteId(0), SkuId(LAST))] },
        Fact::OrdersFilled {
            orders: vec![
                FilledOrder { order: text("O-1"), takes: takes() },
                FilledOrder { order: text(UUID), takes: smallvec![taken(0, 1, 2, 3, 4)] },
            ],
            left: vec![(SiteId(0), SkuId(1)), (SiteId(LAST), SkuId(0))],
            done: Vec::new(),
        },
        Fact::OrderCompleted { id: text("O-1"), worker: None, takes: takes(), allocated: smallvec![] },
        Fact::OrderCompleted {
            id: text(UUID),
            worker: Some(text("ann")),
            takes: smallvec![],
            allocated: takes(),
        },
        Fact::OrderCancelled { id: text("O-1"), released: smallvec![] },
        Fact::OrderCancelled { id: text("O-1"), released: takes() },
        Fact::OrderClaimed { id: text("O-1"), worker: text("ann"), expires_at: Timestamp(u64::MAX) },
        Fact::OrdersClaimed {
            worker: text("ann"),
            expires_at: Timestamp(0),
            ids: vec![text("O-1"), text(UUID)],
        },
        Fact::ClaimExtended { id: text("O-1"), fence: Sequence(u64::MAX), expires_at: Timestamp(1) },
        Fact::OrderUnclaimed { id: text("O-1"), worker: text(UUID) },
        Fact::ClaimsLapsed { ids: vec![text("O-1"), text(UUID)] },
    ]);
    facts
}

/// The facts as events, with and without request keys.
pub(crate) fn events() -> Vec<Event> {
    let event = |(index, fact): (u64, Fact)| Event {
        sequence: Sequence(samples::FIRST.0 + index),
        at: Timestamp(1_772_000_000_000 + index * 300),
        by: text(["system", "desk"][usize::from(index % 2 == 0)]),
        keyed: (index % 3 == 0).then(|| Keyed { key: text(UUID), body: index }),
        fact,
    };
    (0..).zip(facts()).map(event).collect()
}

/// Every row of orders, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let pick =
        |units: u64| Pick { location: LocationId(3), lot: LotId(7), quantity: samples::quantity(units) };
    let order = |status, customer, claim, lines| {
        Row::Order(
            text("O-1"),
            Some(Box::new(Order {
                site: SiteId(1),
                customer,
                priority: LAST,
                body: u64::MAX,
                placed: Sequence(7),
                placed_at: Timestamp(1_772_000_000_000),
                answer: Sequence(u64::MAX),
                backorder: true,
                awaits_stock: status == OrderStatus::Waiting,
                status,
                claim,
                lines,
            })),
        )
    };
    let line = |lot, picks| OrderLine { sku: SkuId(LAST), lot, quantity: units(QUANTITY_MAX), picks };
    let claim = Claim { worker: text("ann"), fence: Sequence(9), expires_at: Timestamp(u64::MAX) };
    let mut rows = vec![
        Row::Order(text(UUID), None),
        order(OrderStatus::Waiting, None, None, smallvec![line(None, smallvec![])]),
        order(
            OrderStatus::Processing,
            Some(text("kim")),
            Some(claim.clone()),
            smallvec![
                line(Some(LotId(1)), smallvec![pick(1), pick(QUANTITY_MAX)]),
                line(None, smallvec![pick(2)])
            ],
        ),
        order(OrderStatus::Completed, None, Some(claim), smallvec![line(None, smallvec![])]),
        order(OrderStatus::Cancelled, Some(text(UUID)), None, smallvec![]),
        Row::OrderSetting(SiteId(0), None),
        Row::Unfilled(SiteId(0), SkuId(LAST), true),
        Row::Unfilled(SiteId(LAST), SkuId(0), false),
    ];
    for (site, allocation) in (0..).zip(OrderAllocation::ALL) {
        let setting = OrderSetting { allocation, set: Sequence(u64::MAX) };
        rows.push(Row::OrderSetting(SiteId(site), Some(setting)));
    }
    rows
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/order_events.bin", || codec::encode(&events()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/order_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn events_of_orders_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

#[test]
fn rows_of_orders_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

fn allocation() -> BoxedStrategy<OrderAllocation> {
    select(OrderAllocation::ALL.to_vec()).boxed()
}

pub(crate) fn short() -> BoxedStrategy<OrderShort> {
    (number(), sku(), quantity(), quantity())
        .prop_map(|(line, sku, requested, available)| OrderShort { line, sku, requested, available })
        .boxed()
}

/// Any fact about orders.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    let line = (sku(), option::of(lot()), quantity()).prop_map(|(sku, lot, quantity)| OrderedLine {
        sku,
        lot,
        quantity,
    });
    let takes = || list(take()).prop_map(Into::into);
    let filled = (code(), takes()).prop_map(|(order, takes)| FilledOrder { order, takes });
    let pairs = || list((site(), sku()));
    let placed = (
        (code(), any::<u64>(), site(), option::of(code()), number()),
        (any::<bool>(), any::<bool>(), list(line), takes(), list(short())),
    );
    prop_oneof![
        (site(), code(), allocation()).prop_map(|(site, code, allocation)| Fact::OrderAllocationSet {
            site,
            code,
            allocation
        }),
        placed.prop_map(
            |((id, body, site, customer, priority), (backorder, awaits_stock, lines, takes, short))| {
                Fact::OrderPlaced {
                    id,
                    body,
                    site,
                    customer,
                    priority,
                    backorder,
                    awaits_stock,
                    lines,
                    takes,
                    short,
                }
            }
        ),
        (code(), site(), takes(), list(short())).prop_map(|(id, site, takes, short)| Fact::OrderAllocated {
            id,
            site,
            takes,
            short
        }),
        (list(filled), pairs(), pairs()).prop_map(|(orders, left, done)| Fact::OrdersFilled {
            orders,
            left,
            done
        }),
        (code(), option::of(code()), takes(), takes()).prop_map(|(id, worker, takes, allocated)| {
            Fact::OrderCompleted { id, worker, takes, allocated }
        }),
        (code(), takes()).prop_map(|(id, released)| Fact::OrderCancelled { id, released }),
        (code(), code(), time()).prop_map(|(id, worker, expires_at)| Fact::OrderClaimed {
            id,
            worker,
            expires_at
        }),
        (code(), time(), list(code())).prop_map(|(worker, expires_at, ids)| Fact::OrdersClaimed {
            worker,
            expires_at,
            ids
        }),
        (code(), sequence(), time()).prop_map(|(id, fence, expires_at)| Fact::ClaimExtended {
            id,
            fence,
            expires_at
        }),
        (code(), code()).prop_map(|(id, worker)| Fact::OrderUnclaimed { id, worker }),
        list(code()).prop_map(|ids| Fact::ClaimsLapsed { ids }),
    ]
    .boxed()
}

/// Any row of orders.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let pick = (location(), lot(), some_quantity()).prop_map(|(location, lot, quantity)| Pick {
        location,
        lot,
        quantity,
    });
    let line = (sku(), option::of(lot()), quantity(), list(pick))
        .prop_map(|(sku, lot, quantity, picks)| OrderLine { sku, lot, quantity, picks: picks.into() });
    let claim = (code(), sequence(), time()).prop_map(|(worker, fence, expires_at)| Claim {
        worker,
        fence,
        expires_at,
    });
    let order = (
        (site(), option::of(code()), number(), any::<u64>(), sequence(), time(), sequence()),
        (any::<bool>(), any::<bool>(), select(OrderStatus::ALL.to_vec()), option::of(claim), list(line)),
    )
        .prop_map(|((site, customer, priority, body, placed, placed_at, answer), rest)| {
            let (backorder, awaits_stock, status, claim, lines) = rest;
            Box::new(Order {
                site,
                customer,
                priority,
                body,
                placed,
                placed_at,
                answer,
                backorder,
                awaits_stock,
                status,
                claim,
                lines: lines.into(),
            })
        });
    let setting = (allocation(), sequence()).prop_map(|(allocation, set)| OrderSetting { allocation, set });
    prop_oneof![
        (code(), option::of(order)).prop_map(|(id, row)| Row::Order(id, row)),
        (site(), option::of(setting)).prop_map(|(site, row)| Row::OrderSetting(site, row)),
        (site(), sku(), any::<bool>()).prop_map(|(site, sku, unfilled)| Row::Unfilled(site, sku, unfilled)),
    ]
    .boxed()
}
