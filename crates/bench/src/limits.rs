//! Every limit of the benchmarks, side by side.

use std::time::Duration;

/// How long one connection may take to open and to be greeted.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a load waits without any answer at all before it gives up.
pub const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long the answers to the last requests of a timed load are waited for.
pub const DRAIN_WAIT_MAX: Duration = Duration::from_secs(60);
/// How often the loop looks at the clock when nothing is answered.
pub const TICK: Duration = Duration::from_millis(50);
/// How long one request of the set-up or the check may take.
pub const SETUP_WAIT_MAX: Duration = Duration::from_secs(60);
/// Kinds of unexpected answers that are told apart; the rest are counted together.
pub const ERROR_KINDS_MAX: usize = 16;
/// Characters that are quoted of an unexpected answer.
pub const QUOTE_CHARS_MAX: usize = 160;
/// Connections of one load.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Threads that drive one load.
pub const THREADS_MAX: usize = 64;
/// The first size of a connection's read buffer, in bytes. It doubles while an answer is larger.
pub const READ_BUFFER_BYTES: usize = 16 * 1024;
/// The largest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The head of an HTTP answer, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The longest latency that is told apart, in nanoseconds: ten minutes.
pub const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// SKUs that a workload may make.
pub const SKUS_MAX: u32 = 10_000_000;
/// Holds in one batch.
pub const BATCH_HOLDS_MAX: usize = 10_000;
/// Lines in one transfer.
pub const TRANSFER_LINES_MAX: u32 = 50_000;
/// Commands in one batch of the set-up.
pub const SETUP_COMMANDS: usize = 5_000;
/// Lines in one adjustment of the set-up.
pub const SETUP_LINES: usize = 10_000;
/// Positions in one page of the check: the most that the API gives.
pub const PAGE_LEN: usize = 1_000;
/// The numbers of SKUs that are drawn ahead of a load.
pub const DRAWN_AHEAD: usize = 1 << 20;
/// Lines of the largest order.
pub const ORDER_LINES_MAX: usize = 20;
/// Orders in one batch, so that its lines are no more than a batch may have.
pub const BATCH_ORDERS_MAX: usize = 3_000;
/// Requests that a connection of `batch-orders` writes ahead, each with orders of other lengths.
pub const ORDER_SHAPES: usize = 8;
/// Orders that wait before claims are measured.
pub const WAITING_MAX: usize = 10_000_000;
/// Claims of one command: the most that the API gives.
pub const CLAIMS_MAX: usize = 1_000;
/// Claims of one request.
pub const BATCH_CLAIMS_MAX: usize = 65_536;
/// Connections over which the set-up places orders and fills carts.
pub const SETUP_CONNECTIONS: usize = 4;
/// Carts that are filled before a repetition of the checkouts.
pub const CARTS_MAX: usize = 5_000_000;
/// Owners whose wallets pay for them.
pub const OWNERS: u64 = 1_000;
