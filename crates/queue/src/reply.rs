//! Answers to messages: the reply, the dead letter and the acknowledgement, in one step of the server.

use jaego_api::Problem;
use jaego_store::Done;
use redis::{Cmd, cmd};

use crate::{dead, message::Message, options::IntakeOptions};

/// Answers messages that are still pending in the group, and only those: whoever comes second, because a connection
/// broke or another consumer took the message over, adds no second reply. A message is acknowledged after its reply was
/// added, so that a server without room for the reply keeps the message.
pub(crate) const SCRIPT: &str = r"
local function writable(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'stream' or kind == 'none'
end
-- Nothing of a script is taken back when a later step of it fails.
if not writable(KEYS[2]) or not writable(KEYS[3]) then
  return redis.error_reply('WRONGTYPE the replies and the dead letters have to be streams')
end
local answered = 0
local at = 5
while at <= #ARGV do
  local id = ARGV[at]
  local reply_len = tonumber(ARGV[at + 1])
  local reply_at = at + 2
  local dead_len = tonumber(ARGV[reply_at + reply_len])
  local dead_at = reply_at + reply_len + 1
  at = dead_at + dead_len
  if #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) > 0 then
    if dead_len > 0 then
      redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, dead_at, dead_at + dead_len - 1))
    end
    if reply_len > 0 then
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, reply_at, reply_at + reply_len - 1))
    end
    redis.call('XACK', KEYS[1], ARGV[1], id)
    if ARGV[4] == '1' then
      redis.call('XDEL', KEYS[1], id)
    end
    answered = answered + 1
  end
end
return answered
";

/// What a message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Repeat,
    Refused,
    Dead,
    /// It was deleted from the stream before it was read: there is nobody to answer.
    Vanished,
}

/// The answer to one message.
pub(crate) struct Answer {
    pub(crate) fate: Fate,
    id: String,
    reply: Vec<Vec<u8>>,
    letter: Vec<Vec<u8>>,
}

impl Answer {
    pub(crate) fn done(message: &Message, done: &Done) -> Self {
        let outcome = jaego_api::outcome::Outcome::new(&done.outcome, done.repeat);
        let outcome = serde_json::to_vec(&outcome).expect("an outcome has text for keys");
        let fate = if done.repeat { Fate::Repeat } else { Fate::Done };
        Self::new(fate, message, Some((200, "outcome", outcome)), Vec::new())
    }

    /// A refusal, or a dead letter where the problem says that the message cannot be decided.
    pub(crate) fn problem(message: &Message, problem: &Problem) -> Self {
        let is_dead = dead::is_dead(problem);
        let fate = if is_dead { Fate::Dead } else { Fate::Refused };
        let letter = if is_dead { dead::letter(message, problem) } else { Vec::new() };
        Self::new(fate, message, Some((problem.status, "problem", problem.to_json())), letter)
    }

    pub(crate) fn vanished(message: &Message) -> Self {
        Self::new(Fate::Vanished, message, None, Vec::new())
    }

    fn new(fate: Fate, message: &Message, reply: Option<(u16, &str, Vec<u8>)>, letter: Vec<Vec<u8>>) -> Self {
        let id = message.id.to_string();
        let mut fields = Vec::new();
        if let Some((status, what, json)) = reply {
            fields.extend([b"message".to_vec(), id.clone().into_bytes()]);
            fields.extend([b"status".to_vec(), status.to_string().into_bytes()]);
            fields.extend([what.as_bytes().to_vec(), json]);
        }
        Self { fate, id, reply: fields, letter }
    }

    /// Bytes that it takes.
    pub(crate) fn len(&self) -> usize {
        self.reply.iter().chain(&self.letter).map(Vec::len).sum()
    }
}

/// The command that hands over answers.
pub(crate) fn answer(script: &str, options: &IntakeOptions, answers: &[Answer]) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script).arg(3);
    command.arg(options.stream.as_str()).arg(options.replies.as_str()).arg(options.dead_letters.as_str());
    command.arg(options.group.as_str()).arg(options.replies_max).arg(options.dead_letters_max);
    command.arg(u8::from(!options.keep));
    for answer in answers {
        command.arg(&answer.id);
        for fields in [&answer.reply, &answer.letter] {
            command.arg(fields.len());
            for field in fields {
                command.arg(field.as_slice());
            }
        }
    }
    command
}
