//! Bytes that nobody wrote: an error or other events, never a panic, and never more memory than the bytes
//! could fill.
//!
//! `JAEGO_SEED` picks the bytes, `JAEGO_SOAK=n` tries n times as many payloads.

use jaego_domain::{Event, Row, Sequence};
use jaego_store::codec::{self, Error};

use crate::codec::{
    carts, claims, decode, decode_rows, fences, fixtures, money, orders, picking, reallocations, refunds,
    samples, trades,
};

/// What was read, or why not. Whatever is read can be written, and then comes back as it is.
fn try_events(payload: &[u8]) -> Result<Vec<Event>, Error> {
    let events = decode(payload, samples::FIRST)?;
    let written = codec::encode(&events);
    assert_eq!(decode(&written, samples::FIRST).as_ref(), Ok(&events), "of {payload:02x?}");
    // Only what a later version may have added is longer than what we write.
    assert!(written.len() <= payload.len(), "{payload:02x?} became longer");
    Ok(events)
}

fn try_rows(payload: &[u8]) -> Result<Vec<Row>, Error> {
    let rows = decode_rows(payload)?;
    let written = codec::row::encode(&rows);
    assert_eq!(decode_rows(&written).as_ref(), Ok(&rows), "of {payload:02x?}");
    assert!(written.len() <= payload.len(), "{payload:02x?} became longer");
    Ok(rows)
}

fn is_inside(error: &Error, payload: &[u8]) -> bool {
    error.at() <= payload.len()
}

#[test]
fn a_payload_that_was_cut_anywhere_is_refused() {
    for (events, rows) in [
        (fixtures::events_v1(), fixtures::rows_v1()),
        (orders::events_file(), orders::rows_file()),
        (trades::events_file(), trades::rows_file()),
        (fences::events_file(), fences::rows_file()),
        (picking::events_file(), picking::rows_file()),
        (carts::events_file(), carts::rows_file()),
    ] {
        for len in 0..events.len() {
            let error = try_events(&events[..len]).expect_err("events are missing");
            assert!(is_inside(&error, &events[..len]), "cut to {len}: {error}");
        }
        for len in 0..rows.len() {
            let error = try_rows(&rows[..len]).expect_err("rows are missing");
            assert!(is_inside(&error, &rows[..len]), "cut to {len}: {error}");
        }
    }
}

#[test]
fn what_follows_the_last_event_is_refused() {
    let (mut events, mut rows) = (fixtures::events_v1(), fixtures::rows_v1());
    events.push(0);
    rows.push(0);
    assert!(try_events(&events).unwrap_err().to_string().ends_with("1 bytes are left over"));
    assert!(try_rows(&rows).unwrap_err().to_string().ends_with("1 bytes are left over"));
}

#[test]
fn a_flipped_bit_is_an_error_or_another_event() {
    let mut refused = 0;
    let files = [
        (fixtures::events_v1(), Ok(samples::events())),
        (fixtures::rows_v1(), Err(samples::rows())),
        (orders::events_file(), Ok(orders::events())),
        (orders::rows_file(), Err(orders::rows())),
        (fences::events_file(), Ok(fences::events())),
        (fences::rows_file(), Err(fences::rows())),
        (trades::events_file(), Ok(trades::events())),
        (trades::rows_file(), Err(trades::rows())),
        (picking::events_file(), Ok(picking::events())),
        (picking::rows_file(), Err(picking::rows())),
        (claims::rows_file(), Err(claims::rows())),
        (claims::states_file(), Err(claims::states())),
        (claims::picks_file(), Err(claims::picks())),
        (carts::events_file(), Ok(carts::events())),
        (carts::rows_file(), Err(carts::rows())),
        (refunds::events_file(), Ok(refunds::events())),
        (reallocations::events_file(), Ok(reallocations::events())),
    ];
    for (file, written) in files {
        let mut payload = file.clone();
        for bit in 0..file.len() * 8 {
            payload[bit / 8] ^= 1 << (bit % 8);
            let (error, same) = match &written {
                Ok(events) => {
                    let read = try_events(&payload);
                    (read.as_ref().err().cloned(), read.is_ok_and(|read| read == *events))
                }
                Err(rows) => {
                    let read = try_rows(&payload);
                    (read.as_ref().err().cloned(), read.is_ok_and(|read| read == *rows))
                }
            };
            assert!(!same, "bit {bit} makes no difference");
            if let Some(error) = error {
                assert!(is_inside(&error, &payload), "bit {bit}: {error}");
                refused += 1;
            }
            payload[bit / 8] ^= 1 << (bit % 8);
        }
    }
    assert!(refused > 1_000, "only {refused} flips were noticed");
}

/// SplitMix64: the same bytes from the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).expect("it is below a usize")
    }

    /// Bytes that look a little like ours: mostly small, now and then any.
    fn byte(&mut self) -> u8 {
        let roll = self.roll().to_le_bytes();
        if roll[0] < 160 { roll[1] % 26 } else { roll[1] }
    }

    fn noise(&mut self, len_max: usize) -> Vec<u8> {
        (0..self.below(len_max)).map(|_| self.byte()).collect()
    }
}

#[test]
fn random_bytes_are_read_or_refused() {
    let seed = jaego_testkit::seed().unwrap_or(20_260_301);
    let payloads = 200_000 * jaego_testkit::soak();
    println!("JAEGO_SEED={seed}, {payloads} payloads");
    let mut dice = Dice(seed);
    let mut written = Vec::new();
    let events = [
        samples::events(),
        money::events(),
        orders::events(),
        carts::events(),
        refunds::events(),
        reallocations::events(),
        fences::events(),
        trades::events(),
        picking::events(),
    ]
    .concat();
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
    written.extend(events.iter().map(|event| codec::encode([event])));
    written.extend(rows.iter().map(|row| codec::row::encode([row])));
    let (mut read, mut bytes) = (0, Vec::new());
    for _ in 0..payloads {
        bytes.clear();
        match dice.below(4) {
            // Nothing but noise, which seldom gets past the header …
            0 => bytes = dice.noise(64),
            // … noise behind a header of one event or row …
            1 => {
                let header = if dice.below(2) == 0 { codec::HEADER_LEN } else { codec::row::HEADER_LEN };
                bytes.extend([codec::VERSION, 1, 0, 0, 0]);
                bytes.resize(header, 0);
                bytes.extend(dice.noise(96));
            }
            // … and what was written once, spoiled at a few places.
            _ => bytes.extend(&written[dice.below(written.len())]),
        }
        for _ in 0..dice.below(4).min(bytes.len()) {
            let at = dice.below(bytes.len());
            bytes[at] = dice.byte();
        }
        read += u64::from(try_events(&bytes).is_ok()) + u64::from(try_rows(&bytes).is_ok());
    }
    println!("{read} of them could be read");
    assert!(read >= payloads / 10, "the bytes are too wild to test much: {read} of {payloads} could be read");
}

#[test]
fn nothing_comes_after_an_error() {
    let mut payload = fixtures::events_v1();
    let cut = payload.len() / 2;
    payload.truncate(cut);
    // The count has to fit the shorter payload for the reading to begin.
    let mut events = codec::decode(&payload, Sequence(1)).unwrap();
    assert!(events.by_ref().any(|event| event.is_err()));
    assert!(events.next().is_none());
}
