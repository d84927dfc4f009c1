//! What the tables of stock and holds take, each for itself.

use super::Memory;

impl Memory {
    /// Bytes that the structures of stock and of holds have of the allocator, each with its name. What their rows have
    /// there on their own (long ids, lines of large holds, places of SKUs that lie in several) is not counted, nor are
    /// the trees of the standard library, which do not tell: whoever asks an allocator as well sees these as the rest.
    pub fn footprint(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("SKUs", self.skus.bytes()),
            ("SKUs by code", self.sku_codes.bytes()),
            ("gates with a place each", self.gates.bytes()),
            ("places of crowded gates", self.crowds.bytes()),
            ("holds", self.holds.bytes()),
            ("owners of holds", self.hold_owners.bytes()),
            ("holds by id", self.hold_index.bytes()),
            ("open holds in order", self.open_holds.bytes()),
            ("holds by expiry", self.due.bytes()),
            ("holders with a node", self.nodes.bytes()),
        ]
    }
}
