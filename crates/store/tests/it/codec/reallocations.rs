//! Facts of orders that gave back what could not leave any more: samples of them, files of version 1, and any fact of the
//! kind.

use jaego_domain::{
    Event, Fact, Sequence, SiteId, SkuId, Timestamp, event::OrderShort, limits::QUANTITY_MAX,
};
use jaego_store::codec;
use proptest::strategy::{BoxedStrategy, Strategy};
use smallvec::smallvec;

use crate::codec::{
    arbitrary::{code, list, site, take},
    fixtures::{events_stay, fixture},
    orders::short,
    samples::{self, code as text, quantity as units, take as taken},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const LAST: u32 = u32::MAX;

/// Every fact about such orders. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let most =
        OrderShort { line: LAST, sku: SkuId(LAST), requested: units(QUANTITY_MAX), available: units(0) };
    vec![
        Fact::OrderReallocated {
            id: text("O-1"),
            site: SiteId(0),
            released: smallvec![taken(0, 1, 2, 3, 4)],
            takes: smallvec![taken(0, 1, 3, 4, 4)],
            short: Vec::new(),
        },
        Fact::OrderReallocated {
            id: text(UUID),
            site: SiteId(LAST),
            released: smallvec![taken(0, 1, 2, 3, 4), taken(LAST, LAST, LAST, LAST, QUANTITY_MAX)],
            takes: smallvec![],
            short: vec![most],
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
    fixture("v1/reallocation_events.bin", || codec::encode(&events()))
}

#[test]
fn events_of_reallocated_orders_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

/// Any fact about such orders.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    let takes = || list(take()).prop_map(Into::into);
    (code(), site(), takes(), takes(), list(short()))
        .prop_map(|(id, site, released, takes, short)| Fact::OrderReallocated {
            id,
            site,
            released,
            takes,
            short,
        })
        .boxed()
}
