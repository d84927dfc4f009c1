//! Files that version 1 wrote. They are never written again: what does not open any more is a broken promise.
//!
//! A new tag or field comes with new samples and a new file beside these. `JAEGO_WRITE_FIXTURES=1` writes a
//! file that is missing, and leaves those that are there.

use std::{collections::BTreeSet, fs, path::PathBuf};

use jaego_domain::{Event, Fact, Row};
use jaego_store::codec;

use crate::codec::{
    carts, claims, decode, decode_rows, fences, money, orders, picking, reallocations, refunds, samples,
    trades,
};

/// What a file held once.
pub(crate) fn fixture(name: &str, write: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if !path.exists() && std::env::var_os("JAEGO_WRITE_FIXTURES").is_some() {
        fs::write(&path, write()).expect("the folder of fixtures can be written to");
    }
    fs::read(&path).unwrap_or_else(|error| panic!("cannot read fixture {}: {error}", path.display()))
}

pub(crate) fn events_v1() -> Vec<u8> {
    fixture("v1/events.bin", || codec::encode(&samples::events()))
}

pub(crate) fn rows_v1() -> Vec<u8> {
    fixture("v1/rows.bin", || codec::row::encode(&samples::rows()))
}

/// A file of events opens, and they are written the same today.
pub(crate) fn events_stay(file: &[u8], expected: &[Event]) {
    let events = decode(file, samples::FIRST).unwrap();
    assert_eq!(events, expected);
    assert!(codec::encode(&events) == file, "the same events come to other bytes");
}

/// A file of rows opens, and they are written the same today.
pub(crate) fn rows_stay(file: &[u8], expected: &[Row]) {
    let rows = decode_rows(file).unwrap();
    assert_eq!(rows, expected);
    assert!(codec::row::encode(&rows) == file, "the same rows come to other bytes");
}

#[test]
fn events_of_version_1_open_and_are_written_the_same_today() {
    events_stay(&events_v1(), &samples::events());
}

#[test]
fn rows_of_version_1_open_and_are_written_the_same_today() {
    rows_stay(&rows_v1(), &samples::rows());
}

/// The match here has no other purpose than to stop compiling when a fact is added: it needs a sample as well.
#[test]
fn there_is_a_sample_of_every_fact() {
    let number = |fact: &Fact| match fact {
        Fact::SiteSet { .. } => 0,
        Fact::LocationSet { .. } => 1,
        Fact::SkuSet { .. } => 2,
        Fact::LotSet { .. } => 3,
        Fact::Adjusted { .. } => 4,
        Fact::Moved { .. } => 5,
        Fact::Reversed { .. } => 6,
        Fact::Held { .. } => 7,
        Fact::HoldConfirmed { .. } => 8,
        Fact::HoldReleased { .. } => 9,
        Fact::HoldExtended { .. } => 10,
        Fact::HoldChanged { .. } => 11,
        Fact::HoldsLapsed { .. } => 12,
        Fact::TransferRequested { .. } => 13,
        Fact::TransferAllocated { .. } => 14,
        Fact::TransferReleased { .. } => 15,
        Fact::TransferCancelled { .. } => 16,
        Fact::TransferPicked { .. } => 17,
        Fact::TransferUnpicked { .. } => 18,
        Fact::TransferShipped { .. } => 19,
        Fact::TransferReceived { .. } => 20,
        Fact::TransferClosed { .. } => 21,
        Fact::StockWatched { .. } => 22,
        Fact::RequestNoted { .. } => 23,
        Fact::WalletCharged { .. } => 24,
        Fact::WalletPaid { .. } => 25,
        Fact::WalletRefunded { .. } => 26,
        Fact::WalletLimitSet { .. } => 27,
        Fact::PaymentAuthorized { .. } => 28,
        Fact::PaymentCaptured { .. } => 29,
        Fact::PaymentVoided { .. } => 30,
        Fact::OrderAllocationSet { .. } => 31,
        Fact::OrderPlaced { .. } => 32,
        Fact::OrderAllocated { .. } => 33,
        Fact::OrdersFilled { .. } => 34,
        Fact::OrderCompleted { .. } => 35,
        Fact::OrderCancelled { .. } => 36,
        Fact::OrderClaimed { .. } => 37,
        Fact::OrdersClaimed { .. } => 38,
        Fact::ClaimExtended { .. } => 39,
        Fact::OrderUnclaimed { .. } => 40,
        Fact::ClaimsLapsed { .. } => 41,
        Fact::FenceRaised { .. } => 42,
        Fact::PriceTiersSet { .. } => 43,
        Fact::CardSet { .. } => 44,
        Fact::Proposed { .. } => 45,
        Fact::ProposalAccepted { .. } => 46,
        Fact::ProposalRejected { .. } => 47,
        Fact::ProposalWithdrawn { .. } => 48,
        Fact::TransferClaimed { .. } => 49,
        Fact::PicksClaimed { .. } => 50,
        Fact::TransferClaimExtended { .. } => 51,
        Fact::TransferUnclaimed { .. } => 52,
        Fact::PickClaimsLapsed { .. } => 53,
        Fact::SkuPriced { .. } => 54,
        Fact::CartSet { .. } => 55,
        Fact::CartItemSet { .. } => 56,
        Fact::CartsLapsed { .. } => 57,
        Fact::CartDiscarded { .. } => 58,
        Fact::CartOrdered { .. } => 59,
        Fact::SaleCancelled { .. } => 60,
        Fact::SaleRefunded { .. } => 61,
        Fact::OrderReallocated { .. } => 62,
    };
    let facts = [
        samples::facts(),
        money::facts(),
        orders::facts(),
        fences::facts(),
        trades::facts(),
        picking::facts(),
        carts::facts(),
        refunds::facts(),
        reallocations::facts(),
    ]
    .concat();
    let there: BTreeSet<_> = facts.iter().map(number).collect();
    assert_eq!(there, (0..63).collect());
    // Whoever filters by kinds finds each of them in the list, and nothing else there.
    let kinds: BTreeSet<_> = facts.iter().map(Fact::kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), jaego_domain::EVENT_KINDS);
}

/// As above, for rows.
#[test]
fn there_is_a_sample_of_every_row() {
    let number = |row: &Row| match row {
        Row::Head(..) => 0,
        Row::Site(..) => 1,
        Row::Location(..) => 2,
        Row::Sku(..) => 3,
        Row::Lot(..) => 4,
        Row::Gate(..) => 5,
        Row::Position(..) => 6,
        Row::Outside(..) => 7,
        Row::Hold(..) => 8,
        Row::Transfer(..) => 9,
        Row::Lines(..) => 10,
        Row::Line(..) => 11,
        Row::Filed(..) => 12,
        Row::Answered(..) => 13,
        Row::Wallet(..) => 14,
        Row::MoneyOutside(..) => 15,
        Row::Authorization(..) => 16,
        Row::Order(..) => 17,
        Row::OrderSetting(..) => 18,
        Row::Unfilled(..) => 19,
        Row::Fence(..) => 20,
        Row::PriceTiers(..) => 21,
        Row::Card(..) => 22,
        Row::Proposal(..) => 23,
        Row::PickClaim(..) => 24,
        Row::Prices(..) => 25,
        Row::Cart(..) => 26,
        Row::Sale(..) => 27,
        Row::OrderClaim(..) => 28,
        Row::CartState(..) => 29,
        Row::OrderPicks(..) => 30,
    };
    let rows = [
        samples::rows(),
        money::rows(),
        orders::rows(),
        fences::rows(),
        trades::rows(),
        picking::rows(),
        carts::rows(),
        claims::rows(),
        claims::states(),
        claims::picks(),
    ]
    .concat();
    let there: BTreeSet<_> = rows.iter().map(number).collect();
    assert_eq!(there, (0..31).collect());
}
