//! Locks on every backend: the law of all of them, what servers and networks do to them, and what they guard.

mod away;
mod full;
mod late_way;
mod mariadb;
mod memory;
mod model;
mod postgres;
mod postgres_faults;
mod postgres_pool;
mod redis;
mod redis_faults;
mod shop;
mod shops;
mod struck;
mod tls;
mod tls_sentinels;
mod unreliable;

use std::time::Duration;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many rounds, or more of them in a soak.
fn rounds(count: u64) -> u64 {
    count * jaego_testkit::soak()
}
