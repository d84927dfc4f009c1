//! Lock servers and holders' processes that are stopped, killed and restarted at each step, whatever the server is.

pub(crate) mod holders;
pub(crate) mod servers;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use jaego_lock::{Guard, Locks, Settings};

/// What is different between one lock server and another.
pub(crate) trait Ground: Sized + Send + Sync + 'static {
    /// Something that is guarded by the locks, and lives on the same server.
    type Guarded: Guarded;

    fn addr(&self) -> SocketAddr;

    /// Locks of a process that reaches the server there.
    fn locks(
        addr: SocketAddr,
        settings: Settings,
        quarantine: Duration,
    ) -> impl Future<Output = Locks> + Send;

    /// When a lock was granted at the latest, by the server's clock in microseconds.
    fn granted_us(guard: &Guard) -> u64;

    fn stop(&mut self);

    fn cont(&mut self);

    fn end(&mut self, how: End);

    /// Starts it again after that.
    fn restart(&mut self, how: End);

    /// How many releases the server remembers.
    fn releases_remembered(&self) -> impl Future<Output = u64> + Send;

    /// Waits until nobody holds or waits for anything.
    fn until_clean(&self, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// How a server ends before it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is killed, and comes back with what it had.
    Killed,
    /// It is killed, and comes back with nothing.
    #[allow(dead_code, reason = "PostgreSQL forgets nothing")]
    Emptied,
    /// It is asked to end, and ends in good order.
    Asked,
}

/// The guarded thing: it keeps the greatest fence that it has seen, notes what it accepts, and counts what it refuses.
/// What is said to it takes effect at once or not at all: whoever is stopped keeps nobody else waiting.
pub(crate) trait Guarded: Sized + Send + 'static {
    /// However long somebody is stopped for, the answers are waited for.
    fn connect(server: SocketAddr) -> impl Future<Output = Self> + Send;

    /// Whether it was accepted.
    fn write(&mut self, key: &str, fence: u64) -> impl Future<Output = bool> + Send;

    /// The fences, in the order in which they were accepted.
    fn accepted(&mut self, key: &str) -> impl Future<Output = Vec<u64>> + Send;

    /// How many writes were refused.
    fn refused(&mut self, key: &str) -> impl Future<Output = u64> + Send;
}
