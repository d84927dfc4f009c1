//! Distributed locks that tell their holder the truth.
//!
//! ```
//! # use jaego_lock::{Locks, Memory};
//! # use std::time::Duration;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let locks = Locks::new(Memory::new());
//!
//! let guard = locks.lock("product:17").wait(Duration::from_secs(5)).lease(Duration::from_secs(3)).acquire().await?;
//! // … change what `product:17` guards, and let it check `guard.fence()` …
//! assert!(guard.release().await.was_held());
//! # Ok(())
//! # }
//! ```
//!
//! # What no lock can promise
//!
//! A lock with a lifetime does not give mutual exclusion by itself. A holder can be stopped, by its garbage,
//! its scheduler or its hypervisor, between looking at the lock and writing, for longer than the lock lasts;
//! then two write. Only what is guarded can prevent that: it keeps the greatest [fence](Guard::fence) that
//! it has seen and refuses smaller ones. So use a lock to keep people out of each other's way, and a fence,
//! a condition or a unique key to be right. [`fence`] shows how, for PostgreSQL and MySQL.
//!
//! # What this one does promise
//!
//! - A lock that was not got is an [`Error`] with a name, never a `false` to be overlooked.
//! - A loss is told ([`Guard::lost`]) at [`Guard::valid_until`] at the latest, by the holder's own clock, which
//!   goes on while the machine sleeps; no network is needed to learn it.
//! - Without a [lease](Request::lease) a keeper renews until the guard goes, for [`max_hold`](Request::max_hold)
//!   at the most. With one, nobody renews unless [asked](Guard::extend).
//! - Dropping any future at any time leaves nothing behind.
//! - Waiting is by notice. While a lock is held, its waiters cost nothing but a look every
//!   [five seconds](Settings::recheck), one for each process; those in a queue also say as often that they are alive. A release
//!   wakes one of each process, not all.
//!   After a quarantine one of each process asks for a plain lock; who shares it, wants several, or has or wants a place in
//!   the queue asks for itself. While the backend does not answer, or cannot grant (its memory is full),
//!   each asks once, and then one for each key and process, after pauses that grow [to a second](limits::ATTEMPT_PAUSE_MAX);
//!   once one is answered, the others follow.
//! - Fences grow, even if the lock server loses all that it knew: they begin again at its clock (microseconds since 1970). Only
//!   where a [`min_fence`](Request::min_fence) beyond that clock was asked for, they begin below it then.
//!
//! # Kinds
//!
//! | | holders | beside it |
//! |---|---|---|
//! | [`lock`](Locks::lock) | one | nobody |
//! | [`shared`](Locks::shared) | many | other `shared` ones of the key |
//! | [`mode`](Locks::mode) | many | others in the same mode, and no other mode |
//! | [`semaphore`](Locks::semaphore) | n | up to n |
//! | [`multi`](Locks::multi) | one | nobody; all keys or none |
//!
//! They all are the same thing: a lock has holders of one [`Mode`] at a time, and a queue. Each is to be had
//! [fair](Request::fair) (except `multi`), with or without a lease. [`LockKey::unordered`] names a pair.
//!
//! # Backends
//!
//! `Memory` is for one process (the feature `memory`, which is on by default). With the feature `redis` there is `Redis`, for a Redis or Valkey server from
//! 7.0 on, alone or behind sentinels; with the feature `postgres` there is `Postgres`, and `SessionLock` for what
//! lasts as long as a session. The feature `tls` encrypts the way to both. Others implement [`backend::Backend`]; what they must do is told there and held by the
//! `conformance` module (feature `conformance`).
#![cfg_attr(
    feature = "redis",
    doc = r#"
```no_run
# use jaego_lock::{Locks, Redis, RedisOptions};
# fn main() -> Result<(), Box<dyn std::error::Error>> {
let locks = Locks::new(Redis::start(RedisOptions::new("redis://127.0.0.1/")?));
# Ok(())
# }
```

A Redis server that the locks see for the first time, or for the first time since it was restarted or
promoted, may have forgotten locks that are still held. It grants nothing new for the length of a
[quarantine](RedisOptions::quarantine), 41 s unless set otherwise; requests are told so at once
([`Error::Quarantined`]) if they would not wait for so long."#
)]
//!
//! # To look at
//!
//! [`Locks::look`] and [`Locks::list`] tell who holds what and who waits; [`Locks::break_holds`] ends a hold whose
//! holder does not. The command `jaego lock` does the same from a terminal.
//!
//! [`Locks::stats`] counts waits, holds, renewals, losses, and where the contention is; [`Stats::prometheus`] is a text of
//! them to be scraped. Grants, refusals and
//! releases are `tracing` events at the level of debugging, inside a span for each acquisition (`acquire`) and each hold
//! (`hold`), both of them in the span of the caller; losses and jumps of the server's clock are warnings. Limits stand
//! in [`limits`], and what can be set in [`Settings`].

// What the README shows, compiled.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod acquisition;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod attribute;
pub mod backend;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counters;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod drift;
mod error;
pub mod fence;
mod guard;
mod held;
mod inner;
mod key;
pub mod limits;
mod line;
mod locks;
mod look;
#[cfg(feature = "memory")]
mod memory;
mod mode;
mod multi;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod process;
mod prometheus;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod rt;
mod settings;
pub mod table;
mod tenure;
#[cfg(feature = "tls")]
mod tls;

pub use clock::BootTime;
pub use counters::{Pattern, Stats};
pub use error::{Crowd, Error, Lost};
pub use guard::{Guard, Outcome};
pub use held::Held;
/// Holds a lock while an async function runs, with the feature `macros`.
///
/// ```
/// use jaego_lock::{Locks, distributed_lock};
///
/// struct Shop {
///     locks: Locks,
/// }
///
/// impl Shop {
///     #[distributed_lock(key = "product:{product_id}", wait = "5s", lease = "3s", guard = lock)]
///     async fn buy(&self, product_id: u64, quantity: u32) -> Result<u64, jaego_lock::Error> {
///         // … change the stock of the product, checked with the fence …
///         Ok(lock.fence())
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), jaego_lock::Error> {
/// # let shop = Shop { locks: Locks::new(jaego_lock::Memory::new()) };
/// # assert!(shop.buy(17, 1).await? > 0);
/// # Ok(())
/// # }
/// ```
///
/// The function is `async` and returns a `Result<_, E>` with `E: From<jaego_lock::Error>` (not `impl Trait`). A
/// lock that was not got is that error, and the body has not run. Under `#[async_trait]` no function is `async` any more when
/// the attribute sees it: put it on a method outside of the trait, which the trait's method calls.
///
/// # Arguments
///
/// | | | without it |
/// |---|---|---|
/// | `key = "order:{order.id}"` | The name of the lock. Between braces stands an argument, a field of one, or a field of `self`, with `Display`; `{{` is a brace. | `key` or `multi` is needed |
/// | `key = unordered("card:{a}", "card:{b}")` | [The same name](LockKey::unordered) whichever comes first. | |
/// | `key = order.key()` | Any expression that [is a key](IntoKey). | |
/// | `multi = ["a:{x}", "b:{y}"]` | [All of these](Locks::multi), or none. Each is one of the above. | |
/// | `wait = "5s"` | How long to wait; `"0s"` is not at all. Whole `ms`, `s`, `m`, `h`, or an expression that is a `Duration`. | [`Settings::wait`] |
/// | `lease = "3s"` | [Hold for this long and no longer](Request::lease). | A keeper renews. |
/// | `max_hold = "1m"` | How long [the keeper renews at the most](Request::max_hold). | ten leases |
/// | `fair` | [First come, first served](Request::fair). | |
/// | `shared` | [Beside others](Locks::shared) that are `shared`. | exclusive |
/// | `mode = "allocate"` | [Beside others](Locks::mode) in this mode. | exclusive |
/// | `locks = self.shop.locks()` | Where the [`Locks`] are. | an argument named `locks`, else `self.locks` |
/// | `guard = lock` | What the body calls its [`&Guard`](Guard) (with `multi`, [`&MultiGuard`](MultiGuard)), for the [fence](Guard::fence) and [`lost`](Guard::lost). | The body cannot see it. |
///
/// # What becomes of it
///
/// ```text
/// async fn buy(&self, product_id: u64, quantity: u32) -> Result<u64, jaego_lock::Error> {
///     let key = LockKey::new(format!("product:{}", product_id)).and_then(|key| key.with_pattern("product:*"));
///     let guard = self.locks.lock(key).wait(…).lease(…).acquire().await?;
///     let result = {
///         let lock = &guard;
///         (async move || -> Result<u64, jaego_lock::Error> { …the body… })().await
///     };
///     attribute::settle(guard, result).await    // lets go, and looks whether the lock was held until then
/// }
/// ```
///
/// So `return` and `?` of the body end the body, and the lock is let go after them.
///
/// **When the lease is lost while the body runs,** the body runs on: to stop it anywhere would be worse, and only
/// the fence protects what it writes from then on. But its `Ok` is not passed on. If the lock was not held until
/// the body's end, the function returns [`Error::Lost`] instead; whatever the body changed may have been done
/// beside somebody else, or after. An error of the body is returned as it is. After a commit by
/// `fence::with_transaction` that the database has confirmed, the `Ok` stays, even if the lease ran out meanwhile: that
/// was checked by the fence and is done, so put what matters into the transaction, and nothing behind it. For a body that shall stop at once,
/// there is [`lock.while_held(…)`](Guard::while_held).
///
/// It is [counted](Stats::patterns) under its template, with `*` for what stands between braces: `product:*`.
///
/// When the release is not answered, but the lock was held by our own clock when the body ended, the result stands.
///
/// Dropping the function's future lets the lock go, at whatever point.
#[cfg(feature = "macros")]
pub use jaego_lock_macros::distributed_lock;
pub use key::{IntoKey, KeyError, LockKey};
pub use locks::Locks;
pub use look::{Broken, HolderState, LockList, LockState, WaiterState};
#[cfg(feature = "memory")]
pub use memory::Memory;
pub use mode::{Mode, ModeError};
pub use multi::{MultiGuard, MultiRequest};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresOptions, PostgresOptionsError, SessionLock};
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisOptions, RedisOptionsError};
pub use request::Request;
pub use settings::{Settings, SettingsError};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
