//! The payloads of frames, checkpoints and archives. What is around them is read by `jaego_engine::fuzz`.

use jaego_domain::{Event, Row, Sequence};
use jaego_store::codec;

/// A number that is nearly the last one, so that a count that reaches beyond it is met.
const LATE: Sequence = Sequence(u64::MAX - 3);

/// Events that can be read can be written, and come back as they are, from wherever they are numbered.
pub(crate) fn events(payload: &[u8]) {
    for first in [Sequence(1), LATE] {
        let Ok(events) = codec::decode(payload, first) else { continue };
        let read: Result<Vec<Event>, _> = events.collect();
        skip(payload, first, read.as_ref().map_or(0, Vec::len));
        let events = match read {
            Ok(events) => events,
            Err(error) => {
                assert!(error.at() <= payload.len(), "{error} is behind the end");
                continue;
            }
        };
        let written = codec::encode(&events);
        let again: Result<Vec<Event>, _> =
            codec::decode(&written, first).expect("what was written has a header").collect();
        assert_eq!(again.as_ref(), Ok(&events));
        // Only what a later version may have added is longer than what we write.
        assert!(written.len() <= payload.len(), "{} bytes became {}", payload.len(), written.len());
        for event in &events {
            event.fact.movements(|movement| assert!(!movement.quantity.is_zero()));
            let _ = (event.fact.money(), event.fact.document());
        }
    }
}

/// Skipping comes to the same places as reading.
fn skip(payload: &[u8], first: Sequence, count: usize) {
    let middle = Sequence(first.0.saturating_add(count as u64 / 2));
    let mut skipped = codec::decode(payload, first).expect("it was read before");
    if skipped.skip_to(middle).is_ok() {
        skipped.for_each(drop);
    }
    let mut moving = codec::decode(payload, first).expect("it was read before");
    while let Some(Ok(_)) = moving.next_moving() {}
}

/// Rows that can be read can be written, and come back as they are.
pub(crate) fn rows(payload: &[u8]) {
    let Ok(rows) = codec::row::decode(payload) else { return };
    let rows: Vec<Row> = match rows.collect() {
        Ok(rows) => rows,
        Err(error) => {
            assert!(error.at() <= payload.len(), "{error} is behind the end");
            return;
        }
    };
    let written = codec::row::encode(&rows);
    let again: Result<Vec<Row>, _> =
        codec::row::decode(&written).expect("what was written has a header").collect();
    assert_eq!(again.as_ref(), Ok(&rows));
    assert!(written.len() <= payload.len(), "{} bytes became {}", payload.len(), written.len());
}
