//! What events take, as numbers that a change has to argue with.

use jaego_domain::{
    Event, Fact, Keyed, LocationId, LotId, Sequence, SiteId, SkuId, Timestamp,
    event::{HeldLine, Take},
};
use jaego_store::codec::{self, HEADER_LEN};
use smallvec::smallvec;

use crate::codec::samples::{code, quantity};

/// What one hold says, apart from its id: as much as the law of 48 bytes allows.
#[derive(Clone, Copy)]
struct Most {
    site: u32,
    sku: u32,
    location: u32,
    lot: u32,
    units: u64,
    expires_in_ms: u64,
}

const LIGHT: Most = Most { site: 1, sku: 100, location: 100, lot: 0, units: 1, expires_in_ms: 600_000 };
const BUSY: Most =
    Most { site: 20, sku: 200_000, location: 100_000, lot: 50_000, units: 3, expires_in_ms: 600_000 };
const BORDER: Most = Most {
    site: 16_383,
    sku: 2_097_151,
    location: 2_097_151,
    lot: 2_097_151,
    units: 127,
    expires_in_ms: 366 * 24 * 60 * 60 * 1_000,
};

fn hold(sequence: u64, id: &str, most: Most) -> Event {
    let Most { site, sku, location, lot, units, expires_in_ms } = most;
    let at = Timestamp(1_772_000_000_000 + sequence * 100);
    let (sku, quantity) = (SkuId(sku), quantity(units));
    Event {
        sequence: Sequence(sequence),
        at,
        by: code("shop"),
        keyed: None,
        fact: Fact::Held {
            id: code(id),
            body: u64::MAX,
            owner: None,
            expires_at: Some(at.after_ms(expires_in_ms)),
            lines: smallvec![HeldLine { site: SiteId(site), sku, quantity }],
            takes: smallvec![Take {
                line: 0,
                sku,
                location: LocationId(location),
                lot: LotId(lot),
                quantity
            }],
            short: Vec::new(),
        },
    }
}

/// Bytes of the second of two events: the first has named the author.
fn second(first: &Event, second: &Event) -> usize {
    codec::encode([first, second]).len() - codec::encode([first]).len()
}

#[test]
fn a_single_hold_takes_48_bytes_at_the_most() {
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
    //   id, the rest, bytes
    let rows = [
        ("12345678", LIGHT, 30),
        ("123456789012", LIGHT, 34),
        ("12345678", BUSY, 36),
        ("123456789012", BUSY, 40),
        ("12345678", BORDER, 40),
        ("123456789012", BORDER, 44),
        (uuid, BUSY, 44),
        (uuid, BORDER, 48),
    ];
    for (id, most, expected) in rows {
        let len = second(&hold(1, id, most), &hold(2, id, most));
        assert_eq!(len, expected, "a hold {id}");
        assert!(len <= 48, "a hold {id} of {len} bytes");
    }
}

#[test]
fn a_hold_by_itself_takes_the_header_and_the_name_as_well() {
    let alone = hold(1, "12345678", BUSY);
    let followed = 36;
    assert_eq!(codec::encode([&alone]).len(), HEADER_LEN + followed + "shop".len() + 1);
}

#[test]
fn what_follows_a_hold_is_small_too() {
    let key = || Some(Keyed { key: code("0190163d-8694-739b-aea5-966c26f8ad91"), body: u64::MAX });
    let takes = || {
        smallvec![Take {
            line: 0,
            sku: SkuId(200_000),
            location: LocationId(100_000),
            lot: LotId(50_000),
            quantity: quantity(3)
        }]
    };
    let id = || code("12345678");
    let first = hold(1, "12345678", BUSY);
    let rows = [
        (Fact::HoldConfirmed { id: id(), to: None, takes: takes(), released: smallvec![] }, 52),
        (Fact::HoldReleased { id: id(), takes: takes() }, 50),
        (Fact::HoldExtended { id: id(), expires_at: first.at.after_ms(600_000) }, 44),
        (Fact::HoldsLapsed { ids: vec![id()] }, 39),
    ];
    for (fact, expected) in rows {
        let kind = fact.kind();
        let next = Event { sequence: Sequence(2), keyed: key(), fact, ..first.clone() };
        assert_eq!(second(&first, &next), expected, "{kind}");
    }
}
