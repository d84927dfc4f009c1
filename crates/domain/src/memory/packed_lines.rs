//! What the lines of an order or a cart ask for, as few bytes: mostly three or four for the SKU and one for the quantity, where
//! a row of numbers takes 16.
//!
//! ```text
//! count  (offset of line 64, of line 128, …: four bytes each)  line 0  line 1  …
//! line:  SKU's number × 2 + whether a lot is named   lot's number, if so   quantity
//! ```
//!
//! The offsets count from line 0 on; they keep the look at a single line of a long order from a walk through all of it.

use super::packed_numbers::{Packing, put, take};
use crate::{LotId, Quantity, SkuId};

/// Lines from one offset to the next: a walk is never longer.
const STRIDE: usize = 64;
/// Bytes of an offset.
const OFFSET_BYTES: usize = size_of::<u32>();

/// What a line asks for. No lot stands for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) sku: SkuId,
    pub(super) lot: Option<LotId>,
    pub(super) quantity: Quantity,
}

/// The lines, in their order. They are made once and only read from then on.
#[derive(Default)]
pub(super) struct PackedLines(Box<[u8]>);

impl PackedLines {
    pub(super) fn pack(lines: impl ExactSizeIterator<Item = Wanted>) -> Self {
        let count = lines.len();
        let mut packed = Packing::new();
        let mut offsets = Vec::new();
        for (index, line) in lines.enumerate() {
            if index > 0 && index % STRIDE == 0 {
                offsets.push(u32::try_from(packed.len()).expect("a document has few lines"));
            }
            put(&mut packed, u64::from(line.sku.0) << 1 | u64::from(line.lot.is_some()));
            if let Some(lot) = line.lot {
                put(&mut packed, lot.0.into());
            }
            put(&mut packed, line.quantity.get());
        }
        let mut head = Packing::new();
        put(&mut head, count as u64);
        offsets.into_iter().for_each(|offset| head.extend_from_slice(&offset.to_le_bytes()));
        Self([&*head, &*packed].concat().into_boxed_slice())
    }

    pub(super) fn len(&self) -> usize {
        self.open().0
    }

    /// The lines from the first one on.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Wanted> + '_ {
        let (count, _, mut packed) = self.open();
        (0..count).map(move |_| line(&mut packed))
    }

    /// One line, which there has to be.
    pub(super) fn get(&self, index: usize) -> Wanted {
        let (count, offsets, mut packed) = self.open();
        assert!(index < count, "there is no line {index} of {count}");
        if let Some(stride) = (index / STRIDE).checked_sub(1) {
            let offset = offsets[stride * OFFSET_BYTES..].first_chunk().expect("an offset has four bytes");
            packed = &packed[u32::from_le_bytes(*offset) as usize..];
        }
        for _ in 0..index % STRIDE {
            line(&mut packed);
        }
        line(&mut packed)
    }

    /// How many lines there are, their offsets, and they themselves.
    fn open(&self) -> (usize, &[u8], &[u8]) {
        let mut bytes = &*self.0;
        let count = usize::try_from(take(&mut bytes)).expect("they were counted by a usize");
        let (offsets, packed) = bytes.split_at(count.saturating_sub(1) / STRIDE * OFFSET_BYTES);
        (count, offsets, packed)
    }
}

fn line(packed: &mut &[u8]) -> Wanted {
    let sku = take(packed);
    let lot = (sku & 1 == 1).then(|| LotId(small(take(packed))));
    Wanted { sku: SkuId(small(sku >> 1)), lot, quantity: Quantity::stored(take(packed)) }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("a code's number has 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QUANTITY_MAX;

    fn lines(count: usize) -> Vec<Wanted> {
        let numbers = [0, 1, 63, 64, 8_191, 8_192, 1_000_000, u32::MAX - 1];
        let quantities = [1, 2, 127, 128, 16_384, QUANTITY_MAX];
        let line = |index: usize| Wanted {
            sku: SkuId(numbers[index % numbers.len()]),
            lot: (index % 3 == 1).then(|| LotId(numbers[index % 5] + 1)),
            quantity: Quantity::stored(quantities[index % quantities.len()]),
        };
        (0..count).map(line).collect()
    }

    #[test]
    fn lines_are_read_as_they_were_packed() {
        for count in [0, 1, 2, 20, 63, 64, 65, 127, 128, 129, 1_000] {
            let lines = lines(count);
            let packed = PackedLines::pack(lines.iter().copied());
            assert_eq!(packed.len(), count);
            assert_eq!(packed.iter().collect::<Vec<_>>(), lines);
            for (index, line) in lines.iter().enumerate() {
                assert_eq!(packed.get(index), *line, "line {index} of {count}");
            }
        }
    }

    #[test]
    fn a_line_of_one_of_a_million_skus_takes_four_bytes() {
        let line =
            |index: u32| Wanted { sku: SkuId(1_000_000 + index), lot: None, quantity: Quantity::stored(9) };
        let packed = PackedLines::pack((0..10).map(line));
        assert_eq!(packed.0.len(), 1 + 10 * 4);
    }
}
