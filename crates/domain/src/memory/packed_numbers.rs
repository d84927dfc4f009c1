//! Numbers in groups of seven bits, the lowest first (unsigned LEB128): below 128 they take one byte.

use smallvec::SmallVec;

/// What is packed before it is kept: mostly so short that it needs no allocation until then.
pub(super) type Packing = SmallVec<[u8; 128]>;

pub(super) fn put(bytes: &mut Packing, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes a number off the front, which has to be there.
pub(super) fn take(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    let mut shift = 0;
    loop {
        let (byte, rest) = bytes.split_first().expect("what is packed ends with a whole number");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
        shift += 7;
    }
}
