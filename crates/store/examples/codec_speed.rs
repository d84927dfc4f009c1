//! What a hold costs in the journal: bytes, and nanoseconds to encode, to decode and to skip, by batch.
//!
//! `cargo run --release -p jaego-store --example codec_speed`

use std::{hint::black_box, time::Instant};

use jaego_domain::{
    Code, Event, Fact, LocationId, LotId, Quantity, Sequence, SiteId, SkuId, Timestamp,
    event::{HeldLine, Take},
};
use jaego_store::codec;
use smallvec::smallvec;

const EVENTS: u64 = 1_000;
const ROUNDS: u32 = 2_000;
const RUNS: usize = 5;

fn main() {
    println!(
        "{:<28} {:>7} {:>22} {:>22} {:>22}",
        "hold", "bytes", "encode ns (min..max)", "decode ns (min..max)", "skip ns (min..max)"
    );
    measure("id of 10 bytes", |n| format!("H-{n:08}"));
    measure("id is a UUID", |n| format!("0190163d-8694-739b-aea5-{n:012x}"));
    measure("id of 32 bytes", |n| format!("{n:032}"));
}

/// The hold of a busy shop: one line, one position, ten minutes.
fn hold(n: u64, id: &str) -> Event {
    let number = |n: u64| u32::try_from(n).expect("a small number");
    let (site, sku) = (SiteId(number(n % 20)), SkuId(number(n * 7_919 % 1_000_000)));
    let (location, lot) =
        (LocationId(number(n * 104_729 % 500_000)), LotId(number(n * 15_485_863 % 300_000)));
    let quantity = Quantity::stored(1 + n % 5);
    let at = Timestamp(1_772_000_000_000 + n / 50);
    Event {
        sequence: Sequence(n + 1),
        at,
        by: Code::new("by", if n.is_multiple_of(3) { "shop" } else { "app" }).expect("a code"),
        keyed: None,
        fact: Fact::Held {
            id: Code::new("id", id).expect("a code"),
            body: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            owner: None,
            expires_at: Some(at.after_ms(600_000)),
            lines: smallvec![HeldLine { site, sku, quantity }],
            takes: smallvec![Take { line: 0, sku, location, lot, quantity }],
            short: Vec::new(),
        },
    }
}

fn measure(name: &str, id: impl Fn(u64) -> String) {
    let events: Vec<_> = (0..EVENTS).map(|n| hold(n, &id(n))).collect();
    let mut encoder = codec::Encoder::new();
    let encode = spread(|| {
        encoder.clear();
        for event in &events {
            encoder.push(black_box(event));
        }
    });
    let payload = encoder.into_payload();
    let decode = spread(|| {
        for event in codec::decode(black_box(&payload), Sequence(1)).expect("the payload has a header") {
            black_box(&event.expect("the payload holds events"));
        }
    });
    let skip = spread(|| {
        let mut events = codec::decode(black_box(&payload), Sequence(1)).expect("the payload has a header");
        assert!(events.next_moving().is_none(), "a hold moves nothing");
    });
    let bytes = payload.len() as f64 / EVENTS as f64;
    println!("{name:<28} {bytes:>7.1} {encode:>22} {decode:>22} {skip:>22}");
}

/// Nanoseconds an event, over some runs.
fn spread(mut round: impl FnMut()) -> String {
    let mut runs: Vec<_> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..ROUNDS {
                round();
            }
            started.elapsed().as_nanos() as f64 / f64::from(ROUNDS) / EVENTS as f64
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    format!("{:.1}..{:.1}", runs[0], runs[RUNS - 1])
}
