//! Requests that are written once and whose numbers are changed in place.

/// Bytes with slots for decimal numbers of a fixed width, so that the length never changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where each slot begins, and its width.
    slots: Vec<(usize, usize)>,
}

impl Template {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(text.as_ref());
        self
    }

    /// A slot of `width` digits, all zero for now.
    pub(crate) fn number(mut self, width: usize) -> Self {
        self.slots.push((self.bytes.len(), width));
        self.bytes.resize(self.bytes.len() + width, b'0');
        self
    }

    /// The other template's text and slots after ours.
    pub(crate) fn then(mut self, other: &Self) -> Self {
        let offset = self.bytes.len();
        self.slots.extend(other.slots.iter().map(|(at, width)| (at + offset, *width)));
        self.bytes.extend_from_slice(&other.bytes);
        self
    }

    /// Writes a number into a slot, with zeros before it.
    ///
    /// # Panics
    /// If it has more digits than the slot.
    pub(crate) fn set(&mut self, slot: usize, number: u64) {
        let (at, width) = self.slots[slot];
        let mut rest = number;
        for digit in self.bytes[at..at + width].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).expect("a digit fits");
            rest /= 10;
        }
        assert!(rest == 0, "{number} has more than {width} digits");
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many slots there are.
    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn numbers_change_in_place() {
        let part = Template::new().text("sku ").number(3);
        let mut template = Template::new().text("id ").number(2).text(", ").then(&part).text(".");
        template.set(0, 7);
        template.set(1, 120);
        assert_eq!(template.bytes(), b"id 07, sku 120.");
        template.set(1, 9);
        assert_eq!(template.bytes(), b"id 07, sku 009.");
    }

    #[test]
    #[should_panic(expected = "more than 2 digits")]
    fn a_number_that_does_not_fit_is_a_bug() {
        Template::new().number(2).set(0, 100);
    }
}
