//! Makes inputs out of others: the same ones from the same seed.

/// Numbers at which things change, as bytes.
const BORDERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];
/// Changes of one input at the most.
const CHANGES_MAX: usize = 8;
/// Bytes that one change moves, repeats or takes away at the most.
const PIECE_MAX: usize = 512;

/// A seeded source of changed inputs.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same seed makes the same changes.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// An input of the corpus, changed in a few places, with `words` among what is put in. At most `len_max` bytes.
    pub fn input(&mut self, corpus: &[Vec<u8>], words: &[&str], len_max: usize) -> Vec<u8> {
        let mut bytes = self.choose(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut bytes, corpus, words);
            bytes.truncate(len_max);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
        let at = self.below(bytes.len() + 1);
        let piece = self.below(PIECE_MAX).min(bytes.len() - at);
        match self.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.throw().to_le_bytes()[0],
            2 => drop(bytes.drain(at..at + piece)),
            3 => {
                let repeated = bytes[at..at + piece].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, repeated);
            }
            4 => {
                let number =
                    BORDERS[self.below(BORDERS.len())].wrapping_add(self.throw() % 3).wrapping_sub(1);
                let number = &number.to_le_bytes()[..1 << self.below(4)];
                let end = (at + number.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            // What another input has at the same place, or anywhere.
            5 => {
                let Some(other) = self.choose(corpus) else { return };
                let from = if self.below(2) == 0 { at } else { self.below(other.len() + 1) };
                let Some(taken) = other.get(from..(from + piece).min(other.len())) else { return };
                let end = (at + taken.len()).min(bytes.len());
                bytes.splice(at..end, taken.iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let Some(word) = self.choose(words) else { return };
                bytes.splice(at..at, word.bytes());
            }
        }
    }

    fn choose<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        (!among.is_empty()).then(|| &among[self.below(among.len())])
    }

    /// A number below `limit`, which is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.throw() % limit as u64).expect("it is below a usize")
    }

    /// SplitMix64.
    fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_within_their_length() {
        let corpus = [b"one".to_vec(), vec![0; 100], Vec::new()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..1_000).map(|_| mutator.input(&corpus, &["word"], 64)).collect::<Vec<_>>()
        };
        let made = inputs(7);
        assert_eq!(made, inputs(7));
        assert_ne!(made, inputs(8));
        assert!(made.iter().all(|input| input.len() <= 64));
        let different: std::collections::BTreeSet<_> = made.iter().collect();
        assert!(different.len() > 500, "only {} of 1,000 are different", different.len());
    }
}
