//! Refunds of orders: samples at their borders, which the fixture was written from, and facts of any kind. The sale that
//! they change is with the carts.

use jaego_domain::{Event, Fact, Sequence, Timestamp, limits::AMOUNT_MAX};
use jaego_store::codec;
use proptest::{
    prelude::any,
    strategy::{BoxedStrategy, Strategy},
};

use crate::codec::{
    arbitrary::{code, name},
    fixtures::{events_stay, fixture},
    money::{amount, currency, some_amount, some_currency},
    samples::{self, code as text},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

/// Every fact about refunds of orders. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    vec![
        Fact::SaleRefunded {
            id: text("C-1"),
            owner: text("kim"),
            currency: currency("KRW"),
            amount: amount(1),
            balance: -1,
            reason: samples::name(""),
        },
        Fact::SaleRefunded {
            id: text(UUID),
            owner: text("kim"),
            currency: currency("KRW"),
            amount: amount(AMOUNT_MAX),
            balance: i64::MAX,
            reason: samples::name("the handle was broken"),
        },
    ]
}

/// The facts as events.
pub(crate) fn events() -> Vec<Event> {
    let event = |(index, fact): (u64, Fact)| Event {
        sequence: Sequence(samples::FIRST.0 + index),
        at: Timestamp(1_772_000_000_000 + index),
        by: text("desk"),
        keyed: None,
        fact,
    };
    (0..).zip(facts()).map(event).collect()
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/refund_events.bin", || codec::encode(&events()))
}

#[test]
fn events_of_refunds_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

/// Any fact about refunds of orders.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    (code(), code(), some_currency(), some_amount(), any::<i64>(), name())
        .prop_map(|(id, owner, currency, amount, balance, reason)| Fact::SaleRefunded {
            id,
            owner,
            currency,
            amount,
            balance,
            reason,
        })
        .boxed()
}
