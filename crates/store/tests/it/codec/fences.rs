//! Fences: samples at their borders, which the fixtures were written from, and facts and rows of any kind.

use jaego_domain::{Event, Fact, Keyed, Row, Sequence, Timestamp, limits::FENCE_MAX, row::Fence};
use jaego_store::codec;
use proptest::{
    option,
    prelude::any,
    strategy::{BoxedStrategy, Strategy},
};

use crate::codec::{
    arbitrary::{code, sequence},
    fixtures::{events_stay, fixture, rows_stay},
    samples::{self, code as text},
};

/// Every fact about fences. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    [1, FENCE_MAX, u64::MAX].map(|fence| Fact::FenceRaised { resource: text("product:42"), fence }).into()
}

/// The facts as events.
pub(crate) fn events() -> Vec<Event> {
    let event = |(index, fact): (u64, Fact)| Event {
        sequence: Sequence(samples::FIRST.0 + index),
        at: Timestamp(1_772_000_000_000 + index),
        by: text("desk"),
        keyed: (index == 1).then(|| Keyed { key: text("K-1"), body: index }),
        fact,
    };
    (0..).zip(facts()).map(event).collect()
}

/// Every row of fences, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::Fence(text("product:42"), None),
        Row::Fence(text("product:42"), Some(Fence { fence: 1, raised: Sequence(1) })),
        Row::Fence(text("a"), Some(Fence { fence: u64::MAX, raised: Sequence(u64::MAX) })),
    ]
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/fence_events.bin", || codec::encode(&events()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/fence_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn events_of_fences_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

#[test]
fn rows_of_fences_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

/// Any fact about fences.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    (code(), any::<u64>()).prop_map(|(resource, fence)| Fact::FenceRaised { resource, fence }).boxed()
}

/// Any row of fences.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let row = (any::<u64>(), sequence()).prop_map(|(fence, raised)| Fence { fence, raised });
    (code(), option::of(row)).prop_map(|(resource, row)| Row::Fence(resource, row)).boxed()
}
