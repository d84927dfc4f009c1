//! The backend in memory, under the law of all backends.

use jaego_lock::Memory;
use jaego_lock::conformance::{Size, Stage};

struct InMemory(Memory);

impl Stage for InMemory {
    type Backend = Memory;

    async fn backend(&self) -> Memory {
        self.0.clone()
    }

    fn grants(&self) -> Size {
        Size { everyday: 80_000, soak: 4_000_000 }
    }
}

jaego_lock::conformance!(InMemory(Memory::new()));
