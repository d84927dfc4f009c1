//! Where the pieces of a request's body come together.
//!
//! A long body lies in pages of its own, which go back to the system with it. The allocator would keep them for the next
//! one: over a dozen bodies of megabytes, refused ones too, it kept up to 20 MB. Short bodies are the many, and stay with it.

use bytes::{Bytes, BytesMut};
use memmap2::MmapMut;

/// Longest body that lies in memory of the allocator, in bytes: more than a thousand commands take. A new page costs a
/// fault, which is little beside what is done for the commands in it.
const SHORT_BYTES_MAX: usize = 256 * 1024;

/// Largest room that a body's announced length alone makes us allocate, in bytes; beyond it the bytes must come.
const TRUSTED_BYTES_MAX: usize = 64 * 1024;

/// A body as far as it has come.
pub(crate) enum Gathered {
    Short(BytesMut),
    Long { pages: MmapMut, len: usize },
}

impl Gathered {
    /// Begins with the first piece, where so many bytes are said to follow.
    pub(crate) fn begin(first: &[u8], announced: usize) -> Self {
        let mut whole = BytesMut::with_capacity(first.len() + announced.min(TRUSTED_BYTES_MAX));
        whole.extend_from_slice(first);
        Self::Short(whole)
    }

    /// Takes the next piece. No more than `rest` bytes follow it, where that is known: a long body has room for all of
    /// them at once, of which only what is written takes memory.
    pub(crate) fn take(&mut self, data: &[u8], rest: Option<usize>) {
        match self {
            Self::Short(whole) => {
                if whole.len() + data.len() > SHORT_BYTES_MAX
                    && let Some(mut pages) = room_for(whole, data.len(), rest)
                {
                    let len = whole.len() + data.len();
                    pages[whole.len()..len].copy_from_slice(data);
                    *self = Self::Long { pages, len };
                } else {
                    // Also where the system maps no more pages.
                    whole.extend_from_slice(data);
                }
            }
            Self::Long { pages, len } => {
                let end = *len + data.len();
                if end > pages.len() {
                    match room_for(&pages[..*len], data.len(), rest) {
                        Some(larger) => *pages = larger,
                        None => {
                            let mut whole = BytesMut::with_capacity(end);
                            whole.extend_from_slice(&pages[..*len]);
                            whole.extend_from_slice(data);
                            *self = Self::Short(whole);
                            return;
                        }
                    }
                }
                pages[*len..end].copy_from_slice(data);
                *len = end;
            }
        }
    }

    /// All that came. The pages go with the last of those who share it.
    pub(crate) fn end(self) -> Bytes {
        match self {
            Self::Short(whole) => whole.freeze(),
            Self::Long { pages, len } => Bytes::from_owner(pages).slice(..len),
        }
    }
}

/// Pages for what has come, the next piece and the rest, or for as much again where the rest is not known; what has come
/// is in them.
fn room_for(whole: &[u8], next: usize, rest: Option<usize>) -> Option<MmapMut> {
    let len = whole.len() + next;
    let mut pages = MmapMut::map_anon(len.checked_add(rest.unwrap_or(len))?).ok()?;
    pages[..whole.len()].copy_from_slice(whole);
    Some(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_pieces_is_whole_on_either_side_of_the_border() {
        for lens in [
            vec![1, 1],
            vec![SHORT_BYTES_MAX - 1, 1],
            vec![SHORT_BYTES_MAX - 1, 2],
            vec![SHORT_BYTES_MAX, 1, 1, 70_000],
            vec![1, SHORT_BYTES_MAX * 4],
            vec![65_536; 64],
        ] {
            let pieces: Vec<Vec<u8>> = lens.iter().zip(0..).map(|(len, piece)| vec![piece; *len]).collect();
            let all = pieces.concat();
            // The rest is known, said too short, and not known.
            for wrong_by in [Some(0), Some(70_000), None] {
                let mut body = Gathered::begin(&pieces[0], all.len() - lens[0]);
                let mut come = lens[0];
                for piece in &pieces[1..] {
                    come += piece.len();
                    body.take(piece, wrong_by.map(|less| (all.len() - come).saturating_sub(less)));
                }
                assert_eq!(body.end(), all, "{lens:?}");
            }
        }
    }

    #[test]
    fn a_long_body_lies_in_pages_of_its_own() {
        let mut body = Gathered::begin(&[1; 1_000], 10);
        body.take(&[2; SHORT_BYTES_MAX], Some(0));
        assert!(matches!(&body, Gathered::Long { len, .. } if *len == SHORT_BYTES_MAX + 1_000));
    }
}
