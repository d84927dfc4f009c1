//! The backend in memory, under the law of all backends.

use jaego_lock::Memory;
use jaego_lock::conformance::Stage;

struct InMemory(Memory);

impl Stage for InMemory {
    type Backend = Memory;

    async fn backend(&self) -> Memory {
        self.0.clone()
    }

    fn grants(&self) -> usize {
        80_000
    }
}

jaego_lock::conformance!(InMemory(Memory::new()));
