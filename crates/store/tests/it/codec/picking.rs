//! Claims on picks: samples at their borders, which the fixtures were written from, and facts and rows of any kind.

use jaego_domain::{Event, Fact, Keyed, Name, PickWorkId, Row, Sequence, Timestamp, row::Claim};
use jaego_store::codec;
use proptest::{
    option, prop_oneof,
    strategy::{BoxedStrategy, Strategy},
};

use crate::codec::{
    arbitrary::{code, list, name, sequence, time},
    fixtures::{events_stay, fixture, rows_stay},
    samples::{self, code as text},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn zone(text: &str) -> Name {
    Name::new("zone", text).expect("it is a name")
}

fn works() -> Vec<PickWorkId> {
    let work = |transfer, name| PickWorkId { transfer: text(transfer), zone: zone(name) };
    vec![work("T-1", "A"), work("T-1", ""), work(UUID, "상온 1층")]
}

/// Every fact about claims on picks. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let zones = || vec![zone(""), zone("A"), zone("상온 1층")];
    vec![
        Fact::TransferClaimed {
            id: text("T-1"),
            worker: text("ann"),
            expires_at: Timestamp(u64::MAX),
            zones: zones(),
        },
        Fact::TransferClaimed {
            id: text(UUID),
            worker: text(UUID),
            expires_at: Timestamp(0),
            zones: vec![zone("A")],
        },
        Fact::PicksClaimed { worker: text("ann"), expires_at: Timestamp(1), works: works() },
        Fact::TransferClaimExtended {
            id: text("T-1"),
            fence: Sequence(u64::MAX),
            expires_at: Timestamp(1),
            zones: zones(),
        },
        Fact::TransferUnclaimed { id: text("T-1"), worker: text("ann"), zones: vec![zone("")] },
        Fact::TransferUnclaimed { id: text(UUID), worker: text(UUID), zones: zones() },
        Fact::PickClaimsLapsed { works: works() },
    ]
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

/// Every row of claims on picks, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let claim = |worker, fence, expires_at| {
        let (fence, expires_at) = (Sequence(fence), Timestamp(expires_at));
        Some(Box::new(Claim { worker: text(worker), fence, expires_at }))
    };
    vec![
        Row::PickClaim(text("T-1"), zone(""), claim("ann", 9, u64::MAX)),
        Row::PickClaim(text(UUID), zone("상온 1층"), claim(UUID, u64::MAX, 0)),
        Row::PickClaim(text("T-1"), zone("A"), None),
    ]
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/picking_events.bin", || codec::encode(&events()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/picking_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn events_of_claims_on_picks_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

#[test]
fn rows_of_claims_on_picks_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

/// Any fact about claims on picks.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    let work = || (code(), name()).prop_map(|(transfer, zone)| PickWorkId { transfer, zone });
    prop_oneof![
        (code(), code(), time(), list(name())).prop_map(|(id, worker, expires_at, zones)| {
            Fact::TransferClaimed { id, worker, expires_at, zones }
        }),
        (code(), time(), list(work())).prop_map(|(worker, expires_at, works)| Fact::PicksClaimed {
            worker,
            expires_at,
            works
        }),
        (code(), sequence(), time(), list(name())).prop_map(|(id, fence, expires_at, zones)| {
            Fact::TransferClaimExtended { id, fence, expires_at, zones }
        }),
        (code(), code(), list(name())).prop_map(|(id, worker, zones)| Fact::TransferUnclaimed {
            id,
            worker,
            zones
        }),
        list(work()).prop_map(|works| Fact::PickClaimsLapsed { works }),
    ]
    .boxed()
}

/// Any row of claims on picks.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let claim = (code(), sequence(), time())
        .prop_map(|(worker, fence, expires_at)| Box::new(Claim { worker, fence, expires_at }));
    (code(), name(), option::of(claim)).prop_map(|(id, zone, claim)| Row::PickClaim(id, zone, claim)).boxed()
}
