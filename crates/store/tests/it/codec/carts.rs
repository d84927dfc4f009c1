//! Carts, prices and sales: samples at their borders, which the fixtures were written from, and facts and rows of any
//! kind.

use jaego_domain::{
    Amount, Event, Fact, LocationId, LotId, Row, Sequence, SiteId, SkuId, Timestamp,
    event::{AdjustedLine, Freed, OrderedLine},
    limits::{AMOUNT_MAX, QUANTITY_MAX},
    row::{Cart, CartLine, CartStatus, Holder, HolderKind, Pick, Sale, Tracking},
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
        code, list, location, lot, name, number, quantity, sequence, site, sku, some_quantity, take, time,
    },
    fixtures::{events_stay, fixture, rows_stay},
    money::{amount, currency, some_amount, some_currency},
    samples::{self, code as text, quantity as units, take as taken},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const LAST: u32 = u32::MAX;

/// Every fact about carts, prices and sales. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let takes = || smallvec![taken(0, 1, 2, 3, 4), taken(LAST, LAST, LAST, LAST, QUANTITY_MAX)];
    let line = |lot| OrderedLine { sku: SkuId(5), lot, quantity: units(12) };
    let priced = |prices, safety_stock| Fact::SkuPriced {
        id: SkuId(LAST),
        code: text(UUID),
        name: samples::name("머그"),
        tracking: Tracking::Lot,
        safety_stock,
        prices,
    };
    let cart_set = |id: &str, hold_s, expires_at, takes| Fact::CartSet {
        id: text(id),
        site: SiteId(LAST),
        owner: text("kim"),
        hold_s,
        expires_at,
        takes,
    };
    let item_set = |units: u64, expires_at, takes| Fact::CartItemSet {
        id: text("C-1"),
        sku: SkuId(LAST),
        quantity: samples::quantity(units),
        expires_at,
        takes,
    };
    let freed = Freed {
        holder: Holder { kind: HolderKind::Cart, id: text(UUID), line: LAST },
        quantity: units(QUANTITY_MAX),
    };
    vec![
        priced(Vec::new(), Vec::new()),
        priced(
            vec![(currency("AAA"), amount(0)), (currency("ZZZ"), amount(AMOUNT_MAX))],
            vec![(SiteId(0), units(1)), (SiteId(LAST), units(QUANTITY_MAX))],
        ),
        cart_set("C-1", None, None, smallvec![]),
        cart_set(UUID, Some(LAST), Some(Timestamp(u64::MAX)), takes()),
        item_set(0, None, smallvec![]),
        item_set(QUANTITY_MAX, Some(Timestamp(1)), takes()),
        Fact::CartsLapsed { ids: vec![text("C-1"), text(UUID)] },
        Fact::CartDiscarded { id: text(UUID) },
        Fact::CartOrdered {
            cart: text("C-1"),
            order: text("C-1"),
            body: 0,
            site: SiteId(0),
            owner: text("kim"),
            currency: currency("KRW"),
            total: Amount::ZERO,
            balance: 0,
            prices: vec![Amount::ZERO],
            lines: vec![line(None)],
            takes: smallvec![taken(0, 5, 2, 3, 12)],
        },
        Fact::CartOrdered {
            cart: text("C-1"),
            order: text(UUID),
            body: u64::MAX,
            site: SiteId(LAST),
            owner: text(UUID),
            currency: currency("USD"),
            total: amount(AMOUNT_MAX),
            balance: i64::MIN,
            prices: vec![amount(AMOUNT_MAX), amount(1)],
            lines: vec![line(None), line(Some(LotId(LAST)))],
            takes: takes(),
        },
        Fact::SaleCancelled {
            id: text("C-1"),
            released: smallvec![],
            owner: text("kim"),
            currency: currency("KRW"),
            amount: amount(1),
            balance: -1,
        },
        Fact::SaleCancelled {
            id: text(UUID),
            released: takes(),
            owner: text("kim"),
            currency: currency("KRW"),
            amount: amount(AMOUNT_MAX),
            balance: i64::MAX,
        },
        Fact::Adjusted {
            id: text("J-1"),
            body: 1,
            reason: samples::name(""),
            lines: vec![AdjustedLine {
                place: jaego_domain::Place { location: LocationId(1), sku: SkuId(2), lot: LotId::NONE },
                outside: jaego_domain::Outside::Loss,
                increase: false,
                quantity: units(1),
                counted: false,
                freed: vec![freed],
            }],
        },
    ]
}

pub(crate) fn events() -> Vec<Event> {
    samples::events_of(facts())
}

/// Every row of carts, prices and sales, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let pick =
        |units: u64| Pick { location: LocationId(3), lot: LotId(7), quantity: samples::quantity(units) };
    let cart = |status, hold_s: Option<u32>, order, lines| {
        Row::Cart(
            text("C-1"),
            Some(Box::new(Cart {
                site: SiteId(1),
                owner: text("kim"),
                hold_s,
                opened: Sequence(7),
                opened_at: Timestamp(1_772_000_000_000),
                set: Sequence(8),
                changed: Sequence(u64::MAX),
                expires_at: hold_s.map(|_| Timestamp(u64::MAX)),
                status,
                order,
                lines,
            })),
        )
    };
    let line = |picks| CartLine { sku: SkuId(LAST), quantity: units(QUANTITY_MAX), picks };
    let sale = |owner: &str, total: u64, refunded: u64, prices: &[u64]| Sale {
        owner: text(owner),
        currency: currency("KRW"),
        prices: prices.iter().map(|price| amount(*price)).collect(),
        total: amount(total),
        refunded: amount(refunded),
    };
    vec![
        Row::Prices(SkuId(0), Vec::new()),
        Row::Prices(SkuId(LAST), vec![(currency("AAA"), amount(0)), (currency("ZZZ"), amount(AMOUNT_MAX))]),
        Row::Cart(text(UUID), None),
        cart(CartStatus::Open, None, None, smallvec![]),
        cart(
            CartStatus::Open,
            Some(LAST),
            None,
            smallvec![line(smallvec![pick(1), pick(QUANTITY_MAX)]), line(smallvec![])],
        ),
        cart(CartStatus::Ordered, None, Some(text(UUID)), smallvec![line(smallvec![])]),
        cart(CartStatus::Discarded, None, None, smallvec![line(smallvec![])]),
        Row::Sale(text("O-0"), None),
        Row::Sale(text(UUID), Some(Box::new(sale("kim", 0, 0, &[])))),
        Row::Sale(text("O-1"), Some(Box::new(sale(UUID, AMOUNT_MAX, AMOUNT_MAX, &[0, AMOUNT_MAX])))),
    ]
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/cart_events.bin", || codec::encode(&events()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/cart_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn events_of_carts_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

#[test]
fn rows_of_carts_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

/// Any fact about carts, prices and sales.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    let prices = || list((some_currency(), some_amount()));
    let takes = || list(take()).prop_map(Into::into);
    let line = (sku(), option::of(lot()), quantity()).prop_map(|(sku, lot, quantity)| OrderedLine {
        sku,
        lot,
        quantity,
    });
    let ordered = (
        (code(), code(), any::<u64>(), site(), code(), some_currency()),
        (some_amount(), any::<i64>(), list(some_amount()), list(line), takes()),
    );
    prop_oneof![
        (sku(), code(), name(), select(Tracking::ALL.to_vec()), list((site(), quantity())), prices())
            .prop_map(|(id, code, name, tracking, safety_stock, prices)| Fact::SkuPriced {
                id,
                code,
                name,
                tracking,
                safety_stock,
                prices
            }),
        (code(), site(), code(), option::of(number()), option::of(time()), takes()).prop_map(
            |(id, site, owner, hold_s, expires_at, takes)| Fact::CartSet {
                id,
                site,
                owner,
                hold_s,
                expires_at,
                takes
            }
        ),
        (code(), sku(), quantity(), option::of(time()), takes()).prop_map(
            |(id, sku, quantity, expires_at, takes)| Fact::CartItemSet {
                id,
                sku,
                quantity,
                expires_at,
                takes
            }
        ),
        list(code()).prop_map(|ids| Fact::CartsLapsed { ids }),
        code().prop_map(|id| Fact::CartDiscarded { id }),
        ordered.prop_map(|((cart, order, body, site, owner, currency), rest)| {
            let (total, balance, prices, lines, takes) = rest;
            Fact::CartOrdered {
                cart,
                order,
                body,
                site,
                owner,
                currency,
                total,
                balance,
                prices,
                lines,
                takes,
            }
        }),
        (code(), takes(), code(), some_currency(), some_amount(), any::<i64>()).prop_map(
            |(id, released, owner, currency, amount, balance)| Fact::SaleCancelled {
                id,
                released,
                owner,
                currency,
                amount,
                balance
            }
        ),
    ]
    .boxed()
}

/// Any row of carts, prices and sales.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let pick = (location(), lot(), some_quantity()).prop_map(|(location, lot, quantity)| Pick {
        location,
        lot,
        quantity,
    });
    let line = (sku(), some_quantity(), list(pick)).prop_map(|(sku, quantity, picks)| CartLine {
        sku,
        quantity,
        picks: picks.into(),
    });
    let cart = (
        (site(), code(), option::of(number()), sequence(), time(), sequence(), sequence()),
        (option::of(time()), select(CartStatus::ALL.to_vec()), option::of(code()), list(line)),
    )
        .prop_map(|((site, owner, hold_s, opened, opened_at, set, changed), rest)| {
            let (expires_at, status, order, lines) = rest;
            Box::new(Cart {
                site,
                owner,
                hold_s,
                opened,
                opened_at,
                set,
                changed,
                expires_at,
                status,
                order,
                lines: lines.into(),
            })
        });
    let sale = (code(), some_currency(), list(some_amount()), some_amount(), some_amount()).prop_map(
        |(owner, currency, prices, total, refunded)| {
            Box::new(Sale { owner, currency, prices, total, refunded })
        },
    );
    prop_oneof![
        (sku(), list((some_currency(), some_amount()))).prop_map(|(sku, prices)| Row::Prices(sku, prices)),
        (code(), option::of(cart)).prop_map(|(id, row)| Row::Cart(id, row)),
        (code(), option::of(sale)).prop_map(|(order, row)| Row::Sale(order, row)),
    ]
    .boxed()
}
