//! Every limit of the queues, side by side.

use std::time::Duration;

/// Bytes of the name of a stream, a group or a consumer.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of a command in a message: as many as the body of a batch may have.
pub const COMMAND_BYTES_MAX: usize = jaego_api::limits::DOCUMENT_BYTES_MAX;
/// Messages that are read, decided and answered together, by default.
pub const READ_MESSAGES: usize = 512;
/// Messages that a connection's first read asks for. Each read may ask for twice as many as the one before.
pub const READ_MESSAGES_FIRST: usize = 8;
/// Messages that may be read together.
pub const READ_MESSAGES_MAX: usize = jaego_api::limits::BATCH_COMMANDS_MAX;
/// Bytes that one read should bring. How many messages that is, is learned from the reads before.
pub const READ_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that an answer with messages may have: twice the largest command. A connection that brings more is given up. Several
/// messages are read one by one over the next one, until they are short again; one alone is too large, and is not read.
pub const READ_BYTES_MAX: usize = 2 * COMMAND_BYTES_MAX;
/// Deliveries after which a message that was never answered is tried with no other beside it.
pub const DELIVERIES_TOGETHER_MAX: u64 = 2;
/// Deliveries after which a message that was never answered goes to the dead letters. Those beyond
/// [`DELIVERIES_TOGETHER_MAX`] count only if the process ended while the message was decided alone.
pub const DELIVERIES_MAX: u64 = 5;
/// Bytes of answers that are handed over in one step.
pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Replies that are kept in their stream, about, by default.
pub const REPLIES: u64 = 100_000;
/// Dead letters that are kept in their stream, about, by default.
pub const DEAD_LETTERS: u64 = 10_000;
/// Entries that a stream may be said to keep: Redis counts no further.
pub const KEPT_MAX: u64 = i64::MAX as u64;
/// Fields of a message that a dead letter keeps.
pub const DEAD_FIELDS_MAX: usize = 64;
/// Bytes of a field's name and of its value that a dead letter keeps.
pub const DEAD_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Events that are kept in their stream, about, by default.
pub const EVENTS: u64 = 1_000_000;
/// Events that are published in one step.
pub const PUBLISH_EVENTS: usize = 256;
/// Sentinels that are asked for one master.
pub const SENTINELS_MAX: usize = 16;
/// The port of a sentinel whose address names none.
pub const SENTINEL_PORT: u16 = 26_379;

/// How long a read waits for a message; at the end of the process it is waited for, so that nothing is delivered to
/// nobody.
pub const READ_WAIT: Duration = Duration::from_millis(500);
/// How long connecting may take, and every answer beyond what it waits for.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long an answer may take in all while its bytes come, so that a message of [`COMMAND_BYTES_MAX`] gets through at
/// 60 KB a second.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a sentinel may take to let somebody in, and to answer.
pub const SENTINEL_WAIT: Duration = Duration::from_secs(1);
/// Sentinels that have not answered so long after the first one are not waited for.
pub const SENTINELS_LATE_MAX: Duration = Duration::from_millis(500);
/// How often the group is looked at: what is pending, and how much waits; and how often sentinels are asked whether the
/// master is still the one.
pub const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// How often an outbox that finds nothing that is wanted notes how far it has looked.
pub const POSITION_PAUSE: Duration = Duration::from_secs(1);
/// How often the entries of other consumers are looked through for those that nobody works on.
pub const CLAIM_PAUSE: Duration = Duration::from_secs(10);
/// How long an entry of another consumer has to be idle before it is taken over, by default.
pub const CLAIM_IDLE: Duration = Duration::from_secs(60);
/// The longest that this may be said to be: as long as request keys are kept, after which a repeat can be told from no new
/// command.
pub const CLAIM_IDLE_MAX: Duration = Duration::from_millis(jaego_domain::limits::KEY_WINDOW_MS);
/// The pause before connecting again; it doubles from try to try …
pub const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(20);
/// … up to this, and a random half of it is left out.
pub const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The pause before commands are handed again to a store that had too much to do; it doubles …
pub const BUSY_PAUSE_MIN: Duration = Duration::from_millis(5);
/// … up to this, and a random half of it is left out.
pub const BUSY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The pause before an outbox that has halted looks whether its reason is still there.
pub const HALT_PAUSE: Duration = Duration::from_secs(10);
/// The pause before a token that is gone is looked for again.
pub const TOKEN_PAUSE: Duration = Duration::from_secs(1);
/// How often an outbox with nothing to publish looks whether its stream still ends as it was left.
pub const TRY_PAUSE: Duration = Duration::from_secs(5);
/// How far the clocks of Redis and of this machine may stand apart before it is said.
pub const CLOCK_APART: Duration = Duration::from_secs(60);
