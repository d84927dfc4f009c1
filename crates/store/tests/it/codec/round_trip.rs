//! What is written comes back, and has one way to be written.

use jaego_domain::{Code, Event, Fact, Sequence, Timestamp, event::Take};
use jaego_store::codec::{self, AUTHORS_MAX, HEADER_LEN, Problem};
use proptest::{prelude::ProptestConfig, prop_assert_eq, proptest};
use smallvec::smallvec;

use crate::codec::{
    arbitrary, decode, decode_rows,
    samples::{self, code, quantity, take},
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back(events in arbitrary::events()) {
        let first = events.first().map_or(Sequence(1), |event| event.sequence);
        let payload = codec::encode(&events);
        let read = decode(&payload, first).unwrap();
        prop_assert_eq!(codec::encode(&read), payload);
        prop_assert_eq!(read, events);
    }

    #[test]
    fn events_that_move_something_are_never_passed_over(events in arbitrary::events()) {
        let first = events.first().map_or(Sequence(1), |event| event.sequence);
        let payload = codec::encode(&events);
        let mut read = codec::decode(&payload, first).unwrap();
        if let Some(event) = events.first() {
            prop_assert_eq!(read.at(), event.at);
        }
        let moves = |event: &Event| {
            let mut moves = false;
            event.fact.movements(|_| moves = true);
            moves
        };
        let mut found = Vec::new();
        while let Some(event) = read.next_moving() {
            found.extend(Some(event.unwrap()).filter(moves));
        }
        let expected: Vec<_> = events.into_iter().filter(moves).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn an_event_is_found_without_reading_those_before_it(events in arbitrary::events()) {
        let first = events.first().map_or(Sequence(1), |event| event.sequence);
        let payload = codec::encode(&events);
        for (index, event) in events.iter().enumerate() {
            let mut found = codec::decode(&payload, first).unwrap();
            found.skip_to(event.sequence).unwrap();
            let rest: Vec<_> = found.map(Result::unwrap).collect();
            prop_assert_eq!(&rest[..], &events[index..]);
        }
        let mut behind = codec::decode(&payload, first).unwrap();
        behind.skip_to(Sequence(u64::MAX)).unwrap();
        prop_assert_eq!(behind.next(), None);
    }

    #[test]
    fn rows_come_back(rows in arbitrary::rows()) {
        let payload = codec::row::encode(&rows);
        let read = decode_rows(&payload).unwrap();
        prop_assert_eq!(codec::row::encode(&read), payload);
        prop_assert_eq!(read, rows);
    }
}

fn event(sequence: u64, at: u64, by: Code, fact: Fact) -> Event {
    Event { sequence: Sequence(sequence), at: Timestamp(at), by, keyed: None, fact }
}

fn released(sequence: u64, by: Code, takes: &[Take]) -> Event {
    event(sequence, 1_000, by, Fact::HoldReleased { id: code("H-1"), takes: takes.iter().copied().collect() })
}

#[test]
fn an_encoder_is_used_again_and_remembers_nothing() {
    let events = samples::events();
    let mut encoder = codec::Encoder::new();
    assert!(encoder.is_empty());
    for _ in 0..2 {
        for event in &events {
            encoder.push(event);
        }
        assert_eq!(encoder.count() as usize, events.len());
        assert_eq!(encoder.payload(), codec::encode(&events));
        encoder.clear();
        assert_eq!(encoder.payload().len(), HEADER_LEN);
    }
}

#[test]
fn every_prefix_of_a_batch_is_a_whole_payload() {
    let events = samples::events();
    let mut encoder = codec::Encoder::new();
    for (index, event) in events.iter().enumerate() {
        encoder.push(event);
        assert_eq!(decode(encoder.payload(), samples::FIRST).unwrap(), events[..=index]);
    }
}

#[test]
fn any_number_of_authors_come_back() {
    let authors = u64::try_from(AUTHORS_MAX).unwrap() * 2 + 3;
    let events: Vec<_> = (0..3 * authors)
        .map(|index| released(index + 1, code(&format!("desk-{}", index % authors)), &[]))
        .collect();
    assert_eq!(decode(&codec::encode(&events), Sequence(1)).unwrap(), events);
}

#[test]
fn a_large_event_comes_back() {
    let takes: Vec<_> = (0..50_000).map(|line| take(line, line, line, line, u64::from(line) + 1)).collect();
    let events = [released(1, code("desk"), &takes), released(2, code("desk"), &takes[..1])];
    assert_eq!(decode(&codec::encode(&events), Sequence(1)).unwrap(), events);
}

#[test]
fn the_last_sequences_and_times_come_back() {
    let fact = || Fact::HoldsLapsed { ids: Vec::new() };
    let events =
        [event(u64::MAX - 2, 0, code("a"), fact()), event(u64::MAX - 1, u64::MAX, code("a"), fact())];
    let payload = codec::encode(&events);
    assert_eq!(decode(&payload, Sequence(u64::MAX - 2)).unwrap(), events);
    let error = decode(&payload, Sequence(u64::MAX - 1)).unwrap_err();
    assert_eq!(error.problem(), &Problem::TooLarge);
}

/// A later version adds a field to the end of a fact or of a row; here it is three bytes that we do not know.
#[test]
fn unknown_fields_at_the_end_are_skipped() {
    let events = [released(7, code("a"), &[take(0, 1, 2, 3, 4)]), released(8, code("a"), &[])];
    let mut grown = codec::encode(&events);
    // The body of the second event: the id's length, the id, and no takes.
    let len_at = grown.len() - "H-1".len() - 3;
    assert_eq!(grown[len_at], 5);
    grown[len_at] += 3;
    grown.extend([1, 2, 3]);
    assert_eq!(decode(&grown, Sequence(7)).unwrap(), events);

    let rows = [jaego_domain::Row::Hold(code("H-1"), None)];
    let mut grown = codec::row::encode(&rows);
    grown[codec::row::HEADER_LEN + 1] += 3;
    grown.extend([1, 2, 3]);
    assert_eq!(decode_rows(&grown).unwrap(), rows);
}

#[test]
fn what_a_later_version_wrote_is_refused_by_name() {
    let payload = codec::encode([&released(7, code("a"), &[])]);
    let error = |at: usize, byte: u8| {
        let mut changed = payload.clone();
        changed[at] = byte;
        decode(&changed, Sequence(7)).unwrap_err().to_string()
    };
    let rows = [
        (
            0,
            2,
            "cannot read the version at byte 0: version 2 is unknown, this program reads version 1: was it written by a later one?",
        ),
        (
            HEADER_LEN,
            255,
            "cannot read a fact at byte 13: tag 255 is unknown: was it written by a later version?",
        ),
        (
            HEADER_LEN,
            0,
            "cannot read a fact at byte 13: tag 0 is unknown: was it written by a later version?",
        ),
    ];
    for (at, byte, expected) in rows {
        assert_eq!(error(at, byte), expected);
    }
}

#[test]
fn what_cannot_be_read_is_never_written() {
    let a = || code("a");
    let lapsed = || Fact::HoldsLapsed { ids: Vec::new() };
    let held = |takes| Fact::Held {
        id: code("H-1"),
        body: 0,
        owner: None,
        expires_at: None,
        lines: smallvec![],
        takes,
        short: Vec::new(),
    };
    let nothing = Take { quantity: quantity(0), ..take(0, 1, 2, 3, 4) };
    let rows = [
        ("a gap", vec![event(1, 5, a(), lapsed()), event(3, 5, a(), lapsed())]),
        ("a step back in time", vec![event(1, 5, a(), lapsed()), event(2, 4, a(), lapsed())]),
        ("a take of nothing", vec![released(1, a(), &[nothing])]),
        ("a take for no line", vec![event(1, 5, a(), held(smallvec![take(0, 1, 2, 3, 4)]))]),
    ];
    for (what, events) in rows {
        let written = std::panic::catch_unwind(|| codec::encode(&events));
        assert!(written.is_err(), "{what} was written");
    }
}
