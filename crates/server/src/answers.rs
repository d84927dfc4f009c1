//! Answers that wait to be read: how many bytes of them are here, from their making until the last byte was handed to the
//! socket; of all peers together, and of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The bytes of answers that wait to be read: of all peers, or of one, which count with all.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    bytes: AtomicUsize,
    all: Option<Arc<Answers>>,
}

impl Answers {
    /// Those of one peer.
    pub(crate) fn of_peer(all: &Arc<Answers>) -> Answers {
        Answers { bytes: AtomicUsize::new(0), all: Some(Arc::clone(all)) }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.add(bytes);
        }
    }

    fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.subtract(bytes);
        }
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    answers: Arc<Answers>,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(answers: &Arc<Answers>, bytes: usize) -> Held {
        answers.add(bytes);
        Held { answers: Arc::clone(answers), bytes }
    }

    /// Counts `data` for as long as any of it is there: out of what this holds, and what is more anew.
    pub(crate) fn part(&mut self, data: Bytes) -> Bytes {
        if data.is_empty() {
            return data;
        }
        let more = data.len().saturating_sub(self.bytes);
        self.answers.add(more);
        self.bytes -= data.len() - more;
        let held = Held { answers: Arc::clone(&self.answers), bytes: data.len() };
        Bytes::from_owner(HeldData { data, _held: held })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.subtract(self.bytes);
    }
}

struct HeldData {
    data: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for HeldData {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_part_of_them_is_gone() {
        let all = Arc::new(Answers::default());
        let answers = Arc::new(Answers::of_peer(&all));
        let mut held = Held::new(&answers, 10);
        assert_eq!(answers.bytes(), 10);
        let first = held.part(Bytes::from_static(b"seven__"));
        assert_eq!(answers.bytes(), 10, "these were counted");
        let second = held.part(Bytes::from_static(b"fourteen______"));
        assert_eq!(answers.bytes(), 21, "eleven more than were told before");
        drop(held);
        assert_eq!(answers.bytes(), 21);
        let rest = second.slice(13..);
        drop(second);
        assert_eq!(answers.bytes(), 21, "a part keeps the whole");
        assert_eq!(all.bytes(), 21);
        drop(rest);
        assert_eq!(answers.bytes(), 7);
        drop(first);
        assert_eq!(answers.bytes(), 0);
        drop(Held::new(&answers, 5));
        assert_eq!((answers.bytes(), all.bytes()), (0, 0));
    }
}
