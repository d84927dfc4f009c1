//! Trades: samples at their borders, which the fixtures were written from, and facts and rows of any kind.

use jaego_domain::{
    Amount, Code, Event, Fact, Keyed, Row, Sequence, Timestamp,
    event::ClosedProposal,
    limits::AMOUNT_MAX,
    row::{Card, CloseReason, PriceTiers, Proposal, ProposalEnd, ProposalKind},
};
use jaego_store::codec;
use proptest::{
    option,
    prelude::any,
    prop_oneof,
    sample::select,
    strategy::{BoxedStrategy, Strategy},
};

use crate::codec::{
    arbitrary::{code, list, sequence, time},
    fixtures::{events_stay, fixture, rows_stay},
    samples::{self, code as text},
};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

fn units(units: u64) -> Amount {
    Amount::new("price", units).unwrap()
}

fn closed() -> Vec<ClosedProposal> {
    let closed = |(proposal, reason)| ClosedProposal { proposal: text(proposal), reason };
    ["P-1", UUID, "p"].into_iter().zip(CloseReason::ALL).map(closed).collect()
}

fn ends() -> Vec<ProposalEnd> {
    let mut ends = vec![ProposalEnd::Accepted, ProposalEnd::Rejected, ProposalEnd::Withdrawn];
    ends.extend(CloseReason::ALL.map(ProposalEnd::Closed));
    ends
}

fn proposed(id: &str, price: u64, kind: ProposalKind) -> Fact {
    Fact::Proposed {
        id: text(id),
        body: u64::MAX - price,
        from_card: text("c-1"),
        to_card: text(UUID),
        from_owner: text("kim"),
        to_owner: text("lee"),
        from_price: units(0),
        to_price: units(price),
        kind,
    }
}

/// Every fact about trades. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let card_set = |card, price, closed| {
        let (card, owner) = (text(card), text("kim"));
        Fact::CardSet { card, owner, price: units(price), closed }
    };
    let accepted = |id, closed| {
        let (id, from_card, to_card) = (text(id), text("c-1"), text(UUID));
        Fact::ProposalAccepted {
            id,
            from_card,
            to_card,
            from_owner: text("kim"),
            to_owner: text("lee"),
            closed,
        }
    };
    vec![
        Fact::PriceTiersSet { from: vec![units(0)] },
        Fact::PriceTiersSet { from: vec![units(0), units(10_000), units(AMOUNT_MAX)] },
        card_set("c-1", 0, Vec::new()),
        card_set(UUID, AMOUNT_MAX, closed()),
        proposed("P-1", 0, ProposalKind::Offer),
        proposed(UUID, AMOUNT_MAX, ProposalKind::Poke),
        accepted("P-1", Vec::new()),
        accepted(UUID, closed()),
        Fact::ProposalRejected { id: text("P-1") },
        Fact::ProposalWithdrawn { id: text(UUID) },
    ]
}

/// The facts as events, with and without request keys.
pub(crate) fn events() -> Vec<Event> {
    let event = |(index, fact): (u64, Fact)| Event {
        sequence: Sequence(samples::FIRST.0 + index),
        at: Timestamp(1_772_000_000_000 + index * 300),
        by: text("desk"),
        keyed: (index % 3 == 0).then(|| Keyed { key: text(UUID), body: index }),
        fact,
    };
    (0..).zip(facts()).map(event).collect()
}

/// Every row of trades, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let proposal = |kind, end: Option<ProposalEnd>| {
        let row = Proposal {
            from_card: text("c-1"),
            to_card: text(UUID),
            from_owner: text("kim"),
            to_owner: text("lee"),
            from_price: units(AMOUNT_MAX),
            to_price: units(0),
            kind,
            body: u64::MAX,
            proposed: Sequence(7),
            proposed_at: Timestamp(1_772_000_000_000),
            end: end.map(|end| (end, Sequence(u64::MAX))),
        };
        Row::Proposal(text("P-1"), Some(Box::new(row)))
    };
    let card = |owner, price| Card {
        owner: text(owner),
        price: units(price),
        made: Sequence(1),
        set: Sequence(u64::MAX),
        changed: Sequence(9),
    };
    let tiers = PriceTiers { from: vec![units(0), units(50_000)], set: Sequence(u64::MAX) };
    let mut rows = vec![
        Row::PriceTiers(None),
        Row::PriceTiers(Some(Box::new(tiers))),
        Row::Card(text("c-1"), None),
        Row::Card(text("c-1"), Some(card("kim", 0))),
        Row::Card(text(UUID), Some(card(UUID, AMOUNT_MAX))),
        Row::Proposal(text(UUID), None),
        proposal(ProposalKind::Offer, None),
    ];
    rows.extend(ends().into_iter().map(|end| proposal(ProposalKind::Poke, Some(end))));
    rows
}

pub(crate) fn events_file() -> Vec<u8> {
    fixture("v1/trade_events.bin", || codec::encode(&events()))
}

pub(crate) fn rows_file() -> Vec<u8> {
    fixture("v1/trade_rows.bin", || codec::row::encode(&rows()))
}

#[test]
fn events_of_trades_open_and_are_written_the_same_today() {
    events_stay(&events_file(), &events());
}

#[test]
fn rows_of_trades_open_and_are_written_the_same_today() {
    rows_stay(&rows_file(), &rows());
}

fn amount() -> BoxedStrategy<Amount> {
    prop_oneof![0..300_u64, 0..=AMOUNT_MAX].prop_map(units).boxed()
}

fn kind() -> BoxedStrategy<ProposalKind> {
    select(ProposalKind::ALL.to_vec()).boxed()
}

fn any_closed() -> BoxedStrategy<Vec<ClosedProposal>> {
    let reason = select(CloseReason::ALL.to_vec());
    list((code(), reason).prop_map(|(proposal, reason)| ClosedProposal { proposal, reason })).boxed()
}

/// Two cards and their owners.
fn pair() -> (BoxedStrategy<Code>, BoxedStrategy<Code>, BoxedStrategy<Code>, BoxedStrategy<Code>) {
    (code(), code(), code(), code())
}

/// Any fact about trades.
pub(crate) fn any_fact() -> BoxedStrategy<Fact> {
    prop_oneof![
        list(amount()).prop_map(|from| Fact::PriceTiersSet { from }),
        (code(), code(), amount(), any_closed()).prop_map(|(card, owner, price, closed)| Fact::CardSet {
            card,
            owner,
            price,
            closed
        }),
        (code(), any::<u64>(), pair(), amount(), amount(), kind()).prop_map(
            |(id, body, (from_card, to_card, from_owner, to_owner), from_price, to_price, kind)| {
                Fact::Proposed {
                    id,
                    body,
                    from_card,
                    to_card,
                    from_owner,
                    to_owner,
                    from_price,
                    to_price,
                    kind,
                }
            }
        ),
        (code(), pair(), any_closed()).prop_map(
            |(id, (from_card, to_card, from_owner, to_owner), closed)| Fact::ProposalAccepted {
                id,
                from_card,
                to_card,
                from_owner,
                to_owner,
                closed
            }
        ),
        code().prop_map(|id| Fact::ProposalRejected { id }),
        code().prop_map(|id| Fact::ProposalWithdrawn { id }),
    ]
    .boxed()
}

/// Any row of trades.
pub(crate) fn any_row() -> BoxedStrategy<Row> {
    let tiers = (list(amount()), sequence()).prop_map(|(from, set)| Box::new(PriceTiers { from, set }));
    let card = (code(), amount(), sequence(), sequence(), sequence())
        .prop_map(|(owner, price, made, set, changed)| Card { owner, price, made, set, changed });
    let end = option::of((select(ends()), sequence()));
    let proposal = ((pair(), amount(), amount(), kind()), (any::<u64>(), sequence(), time(), end)).prop_map(
        |((pair, from_price, to_price, kind), (body, proposed, proposed_at, end))| {
            let (from_card, to_card, from_owner, to_owner) = pair;
            Box::new(Proposal {
                from_card,
                to_card,
                from_owner,
                to_owner,
                from_price,
                to_price,
                kind,
                body,
                proposed,
                proposed_at,
                end,
            })
        },
    );
    prop_oneof![
        option::of(tiers).prop_map(Row::PriceTiers),
        (code(), option::of(card)).prop_map(|(code, row)| Row::Card(code, row)),
        (code(), option::of(proposal)).prop_map(|(id, row)| Row::Proposal(id, row)),
    ]
    .boxed()
}
