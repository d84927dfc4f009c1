//! Claims on orders, what their lines hold, and how carts stand, as rows of their own: samples at their borders, which the fixture was written from, and any others.

use jaego_domain::{
    LocationId, LotId, Quantity, Row, Sequence, Timestamp,
    limits::QUANTITY_MAX,
    row::{CartState, CartStatus, Claim, Pick},
};
use jaego_store::codec;
use proptest::{
    option, prop_oneof, sample,
    strategy::{BoxedStrategy, Strategy},
};
use smallvec::{SmallVec, smallvec};

use crate::codec::{
    arbitrary::{code, list, number, pick, sequence, time},
    fixtures::{fixture, rows_stay},
    samples::code as text,
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// Every row of claims on orders. Never change a sample, add new ones.
pub(crate) fn rows() -> Vec<Row> {
    let claim = |worker, fence, expires_at| {
        let (fence, expires_at) = (Sequence(fence), Timestamp(expires_at));
        Some(Box::new(Claim { worker: text(worker), fence, expires_at }))
    };
    vec![
        Row::OrderClaim(text("O-1"), claim("ann", 9, u64::MAX)),
        Row::OrderClaim(text(UUID), claim(UUID, u64::MAX, 0)),
        Row::OrderClaim(text("O-1"), None),
    ]
}

/// How carts stand, at the borders.
pub(crate) fn states() -> Vec<Row> {
    let state = |id, status, order: Option<&str>, changed| {
        let changed = Sequence(changed);
        Row::CartState(text(id), CartState { status, order: order.map(text), changed })
    };
    vec![
        state("C-1", CartStatus::Open, None, 1),
        state("C-1", CartStatus::Ordered, Some(UUID), u64::MAX),
        state(UUID, CartStatus::Discarded, None, 9),
    ]
}

/// What lines of orders hold, at the borders.
pub(crate) fn picks() -> Vec<Row> {
    let pick = |location, lot, units| Pick {
        location: LocationId(location),
        lot: LotId(lot),
        quantity: Quantity::new("quantity", units).unwrap(),
    };
    vec![
        Row::OrderPicks(text("O-1"), Vec::new()),
        Row::OrderPicks(text("O-1"), vec![(0, SmallVec::new()), (u32::MAX, smallvec![pick(0, 0, 1)])]),
        Row::OrderPicks(
            text(UUID),
            vec![(7, smallvec![pick(9, u32::MAX, QUANTITY_MAX), pick(u32::MAX, 1, 3)])],
        ),
    ]
}

pub(crate) fn picks_file() -> Vec<u8> {
    fixture("v1/order_picks_rows.bin", || codec::row::encode(&picks()))
}

#[test]
fn rows_of_what_lines_of_orders_hold_open_and_are_written_the_same_today() {
    rows_stay(&picks_file(), &picks());
}

pub(crate) fn states_file() -> Vec<u8> {
    fixture("v1/cart_state_rows.bin", || codec::row::encode(&states()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/claim_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn rows_of_how_carts_stand_open_and_are_written_the_same_today() {
    rows_stay(&states_file(), &states());
}

#[test]
fn rows_of_claims_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

/// Any row of a claim, of what lines of an order hold, or of how a cart stands.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let claim = (code(), sequence(), time())
        .prop_map(|(worker, fence, expires_at)| Box::new(Claim { worker, fence, expires_at }));
    let state = (sample::select(&CartStatus::ALL[..]), option::of(code()), sequence())
        .prop_map(|(status, order, changed)| CartState { status, order, changed });
    let line = (number(), list(pick())).prop_map(|(line, picks)| (line, SmallVec::from_vec(picks)));
    prop_oneof![
        (code(), option::of(claim)).prop_map(|(id, claim)| Row::OrderClaim(id, claim)),
        (code(), state).prop_map(|(id, state)| Row::CartState(id, state)),
        (code(), list(line)).prop_map(|(id, lines)| Row::OrderPicks(id, lines)),
    ]
    .boxed()
}
