//! Every limit of the crate, side by side. Those that are a matter of taste are [`Settings`](crate::Settings);
//! their defaults are here as well.

use std::time::Duration;

/// Bytes of a key, in UTF-8.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes of a mode's name.
pub const MODE_BYTES_MAX: usize = 64;
/// Holders of one lock at a time, whatever its mode allows.
pub const HOLDERS_MAX: u32 = 1_024;
/// Keys of one [`multi`](crate::Locks::multi) lock.
pub const MULTI_KEYS_MAX: usize = 1_024;
/// Requests of one process that wait at a time, each with a task of its own. One more is refused with
/// [`TooManyWaiters`](crate::Error::TooManyWaiters).
pub const WAITERS_MAX: usize = 16_384;
/// Requests of all processes that one lock's queue has room for. A step may have to look through all of them, and all other
/// locks of the server wait for it meanwhile. One more is refused with [`TooManyWaiters`](crate::Error::TooManyWaiters).
pub const QUEUE_MAX: usize = 4_096;
/// The greatest fence: the greatest whole number that JavaScript, Lua and a double hold exactly.
pub const FENCE_MAX: u64 = (1 << 53) - 1;
/// The greatest [`min_fence`](crate::Request::min_fence): it leaves as many fences above it, so that nobody can wear them
/// out. The clock in the fences comes there in the year 2112.
pub const MIN_FENCE_MAX: u64 = 1 << 52;

/// The shortest lease, however fast the backend answers.
pub const LEASE_MIN: Duration = Duration::from_millis(100);
/// A lease is at least this many response timeouts long, so that one lost answer does not lose the lock.
pub const LEASE_RESPONSE_TIMEOUTS_MIN: u32 = 4;
/// A holder counts its lease shorter than the backend does by this part of it (1 %), because clocks run
/// at different speeds …
pub const LEASE_MARGIN_DIVISOR: u32 = 100;
/// … and by this much, because they count in steps.
pub const LEASE_MARGIN: Duration = Duration::from_millis(2);
/// The backend counts a lease longer by this much, for the same reason.
pub const LEASE_EXTRA: Duration = Duration::from_millis(1);
/// A holder takes its lock for lost this long before the end of its validity, so that whoever has to be woken then, by a
/// timer that counts in milliseconds, mostly is told in time.
pub const LOSS_MARGIN: Duration = Duration::from_millis(2);
/// A keeper renews after this part of the lease (a third), give or take a tenth of that.
pub const RENEW_DIVISOR: u32 = 3;
/// One renewal may take this part of the lease (a sixth), if the response timeout is not shorter.
pub const RENEW_TIMEOUT_DIVISOR: u32 = 6;
/// After a failed renewal the next one waits for this part of the lease.
pub const RENEW_RETRY_DIVISOR: u32 = 24;

/// Default of [`Settings::wait`](crate::Settings::wait).
pub const WAIT: Duration = Duration::from_secs(5);
/// The longest wait that can be asked for: a day.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Default of [`Settings::keeper_lease`](crate::Settings::keeper_lease).
pub const KEEPER_LEASE: Duration = Duration::from_secs(10);
/// Default of [`Settings::lease_max`](crate::Settings::lease_max).
pub const LEASE_MAX: Duration = Duration::from_secs(30);
/// The longest that [`Settings::lease_max`](crate::Settings::lease_max) can be: a day.
pub const LEASE_MAX_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Without [`max_hold`](crate::Request::max_hold), a keeper renews for this many leases.
pub const MAX_HOLD_LEASES: u32 = 10;
/// The longest that a keeper can be asked to renew: thirty days.
pub const MAX_HOLD_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Default of [`Settings::response_timeout`](crate::Settings::response_timeout).
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The shortest that it can be …
pub const RESPONSE_TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// … and the longest.
pub const RESPONSE_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Default of [`Settings::recheck`](crate::Settings::recheck).
pub const RECHECK: Duration = Duration::from_secs(5);
/// Default of [`Settings::waiter_ttl`](crate::Settings::waiter_ttl).
pub const WAITER_TTL: Duration = Duration::from_secs(15);
/// A queued waiter says that it is alive after this part of its time to live (a third).
pub const WAITER_REFRESH_DIVISOR: u32 = 3;
/// It says so at least this often: what is left of it after an answer must outlast three signs of life, and a backend may
/// forget it after a minute.
pub const WAITER_REFRESH_MAX: Duration = Duration::from_secs(20);
/// When a lock falls free, the first of its queue has this long to take it, then the next one may.
pub const CLAIM: Duration = Duration::from_secs(1);

/// Whoever was told when a lock will fall free asks so much later …
pub const WAKE_LATE: Duration = Duration::from_millis(1);
/// … and by a random time of up to this much, so that the waiters of many processes come back one by one.
pub const WAKE_JITTER: Duration = Duration::from_millis(10);
/// The first attempt may take this long even if the wait is shorter, so that a short wait is not taken for a
/// backend that does not answer.
pub const ATTEMPT_MIN: Duration = Duration::from_millis(20);
/// When the last of several locks has been got, the leases of all of them may take this long to begin even if the wait is
/// over; without a wait, the [response timeout](crate::Settings::response_timeout).
pub const SETTLE_MIN: Duration = Duration::from_millis(50);
/// The pause after an attempt that the backend did not answer, or could not serve just then. Of those who wait for one key in
/// a process only one asks after it; the pause doubles from one to the next who asks in vain …
pub const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// … up to this, and a random half of it is left out.
pub const ATTEMPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A release, an extension or a downgrade that is not answered is sent again for so many response timeouts, so that a
/// backend that is back by then hears of it …
pub const TRIES_RESPONSE_TIMEOUTS: u32 = 4;
/// … and so often at the least, all in all …
pub const TRIES_MIN: u32 = 4;
/// … after a pause of so long the first time; it doubles from try to try …
pub const TRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// … up to this, and never longer than a response timeout.
pub const TRY_PAUSE_MAX: Duration = Duration::from_millis(100);
/// A backend remembers a release for this many response timeouts, for a release that is sent again and for
/// an acquire that arrives late.
pub const RELEASE_MEMORY_RESPONSE_TIMEOUTS: u32 = 8;
/// How long [`shutdown`](crate::Locks::shutdown) waits for the last answers, in response timeouts.
pub const SHUTDOWN_RESPONSE_TIMEOUTS: u32 = 8;

/// Notices that a slow process may fall behind before it is told that it has missed some.
pub const NOTICES_MAX: usize = 4_096;
/// How often a process looks whether its machine was asleep.
pub const SLEEP_LOOK_PAUSE: Duration = Duration::from_secs(1);
/// A gap between the clock that stops in sleep and the one that does not that counts as sleep.
pub const SLEEP_MIN: Duration = Duration::from_millis(50);
/// Key patterns that are counted by name; all further ones are counted as one.
pub const PATTERNS_MAX: usize = 256;

/// Locks that one [`list`](crate::Locks::list) tells at the most.
pub const LIST_MAX: usize = 10_000;
/// How long a list may take.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Waiters of a queue that a [`look`](crate::Locks::look) tells at the most.
pub const LOOK_WAITERS_MAX: usize = 100;
/// Bytes of a process' name; what is longer is cut.
pub const PROCESS_NAME_BYTES_MAX: usize = 128;
