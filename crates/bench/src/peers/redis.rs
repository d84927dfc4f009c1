//! Redis: Lua scripts, which run one after the other and are the usual way to sell from it without overselling.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use crate::Error;
use crate::draw::{Draw, Skew};
use crate::load::{Bound, Caller, Heard, Load, Round, drive};
use crate::peers::{ID_DIGITS, IDS_PER_CONNECTION, SKU_DIGITS, STOCK};
use crate::resp::{Client, Reply, command, plain, reply};
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Takes from a counter what is there, and never more.
const DECREMENT: &str = "\
local have = tonumber(redis.call('GET', KEYS[1]) or '0') \
local want = tonumber(ARGV[1]) \
if have < want then return -1 end \
return redis.call('DECRBY', KEYS[1], want)";

/// The same, and writes down who took it, so that it can be confirmed or released later. A repeat of an
/// id takes nothing, as in Jaego.
const HOLD: &str = "\
if redis.call('EXISTS', KEYS[2]) == 1 then return -2 end \
local have = tonumber(redis.call('GET', KEYS[1]) or '0') \
local want = tonumber(ARGV[1]) \
if have < want then return -1 end \
redis.call('HSET', KEYS[2], 'sku', KEYS[1], 'quantity', ARGV[1]) \
return redis.call('DECRBY', KEYS[1], want)";

/// Takes what every line asks for, or as much as there is, and writes down what each got. The first key is the
/// transfer, the others are counters.
const TRANSFER: &str = "\
if redis.call('EXISTS', KEYS[1]) == 1 then return -2 end \
local lines = 0 \
for line = 2, #KEYS do \
  local have = tonumber(redis.call('GET', KEYS[line]) or '0') \
  local take = math.min(have, tonumber(ARGV[line - 1])) \
  if take > 0 then redis.call('DECRBY', KEYS[line], take) end \
  redis.call('HSET', KEYS[1], KEYS[line], take) \
  lines = lines + 1 \
end \
return lines";

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RedisWork {
    /// A conditional decrement and nothing else.
    Decrement,
    /// A conditional decrement and the hold that it is for.
    Hold,
    /// So many holds, sent together and answered together.
    Pipeline(usize),
    /// One transfer of so many lines, in one script.
    Transfer(usize),
}

/// Redis at one kind of work.
#[derive(Debug)]
pub(crate) struct RedisSubject {
    name: String,
    addr: SocketAddr,
    /// The logical database that this subject has for itself.
    database: usize,
    work: RedisWork,
    skus: u32,
    draw: Draw,
    size: Size,
    /// Pieces of work in a round that is not bounded by time.
    pieces: u64,
    rounds: u64,
    units: u64,
}

impl RedisSubject {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one setting of the same subject, named at its only callers"
    )]
    pub(crate) fn new(
        name: String,
        addr: SocketAddr,
        database: usize,
        work: RedisWork,
        skus: u32,
        size: Size,
        pieces: u64,
        (skew, seed): (Skew, u64),
    ) -> Result<Self, Error> {
        let mut client = Client::connect(addr)?;
        client.call(&["SELECT", &database.to_string()])?;
        client.call(&["FLUSHDB"])?;
        let stock = STOCK.to_string();
        let keys: Vec<String> = (0..skus).map(|sku| format!("sku:{sku:0SKU_DIGITS$}")).collect();
        for keys in keys.chunks(1_000) {
            let mut words = vec!["MSET"];
            words.extend(keys.iter().flat_map(|key| [key.as_str(), stock.as_str()]));
            client.call(&words)?;
        }
        let draw = Draw::new(skus, skew, seed);
        Ok(Self { name, addr, database, work, skus, draw, size, pieces, rounds: 0, units: 0 })
    }

    fn caller(&self, index: usize, sha: &str) -> RedisCaller {
        let word = |text: &str| Template::new().text(text);
        let sku = || Template::new().text("sku:").number(SKU_DIGITS);
        let id = |kind: &str| Template::new().text(kind).number(ID_DIGITS);
        let hold = || command(&[word("EVALSHA"), word(sha), word("2"), sku(), id("hold:"), word("1")]);
        let (request, replies) = match self.work {
            RedisWork::Decrement => (command(&[word("EVALSHA"), word(sha), word("1"), sku(), word("1")]), 1),
            RedisWork::Hold => (hold(), 1),
            RedisWork::Pipeline(holds) => {
                let one = hold();
                ((0..holds).fold(Template::new(), |all, _| all.then(&one)), holds)
            }
            RedisWork::Transfer(lines) => {
                let mut words = vec![word("EVALSHA"), word(sha), word(&(lines + 1).to_string())];
                words.push(id("transfer:"));
                words.extend((0..lines).map(|_| sku()));
                words.extend((0..lines).map(|_| word("1")));
                (command(&words), 1)
            }
        };
        // Every round and every connection has ids of its own.
        let callers = self.size.connections;
        let next_id = (self.rounds * callers as u64 + index as u64) * IDS_PER_CONNECTION;
        let mut draw = self.draw.share(index, callers);
        draw.skip(self.rounds);
        RedisCaller {
            greeting: plain(&["SELECT", &self.database.to_string()]),
            work: self.work,
            request,
            draw,
            next_id,
            left: match self.size.bound {
                Bound::Time { .. } => u64::MAX,
                Bound::Count => share(self.pieces, index, callers),
            },
            replies,
            heard: 0,
            at: 0,
            units: 0,
            wrong: None,
        }
    }
}

impl Subject for RedisSubject {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let script = match self.work {
            RedisWork::Decrement => DECREMENT,
            RedisWork::Hold | RedisWork::Pipeline(_) => HOLD,
            RedisWork::Transfer(_) => TRANSFER,
        };
        let sha = match Client::connect(self.addr)?.call(&["SCRIPT", "LOAD", script])? {
            Reply::Text(sha) => String::from_utf8_lossy(&sha).into_owned(),
            other => {
                return Err(Error::Setup { doing: "SCRIPT LOAD".to_owned(), answer: format!("{other:?}") });
            }
        };
        let callers = (0..self.size.connections).map(|index| self.caller(index, &sha)).collect();
        let load = Load { addr: self.addr, threads: self.size.threads, bound: self.size.bound };
        let (round, _) = drive(&load, callers)?;
        self.rounds += 1;
        self.units += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let mut client = Client::connect(self.addr)?;
        client.call(&["SELECT", &self.database.to_string()])?;
        let wrong = |detail: String| Error::Books { subject: self.name.clone(), detail };
        let keys: Vec<String> = (0..self.skus).map(|sku| format!("sku:{sku:0SKU_DIGITS$}")).collect();
        let mut left = 0_u64;
        for keys in keys.chunks(1_000) {
            let mut words = vec!["MGET"];
            words.extend(keys.iter().map(String::as_str));
            let Reply::Array(values) = client.call(&words)? else {
                return Err(wrong("MGET gave no array".to_owned()));
            };
            for (key, value) in keys.iter().zip(values) {
                let count = match &value {
                    Reply::Text(text) => String::from_utf8_lossy(text).parse::<u64>().ok(),
                    _ => None,
                };
                left += count.ok_or_else(|| wrong(format!("{key} is {value:?}")))?;
            }
        }
        let taken = STOCK * u64::from(self.skus) - left;
        if taken != self.units {
            return Err(wrong(format!("{} units were answered and {taken} are gone", self.units)));
        }
        if matches!(self.work, RedisWork::Hold | RedisWork::Pipeline(_)) {
            let keys = match client.call(&["DBSIZE"])? {
                Reply::Integer(keys) => u64::try_from(keys).unwrap_or_default(),
                other => return Err(wrong(format!("DBSIZE gave {other:?}"))),
            };
            let holds = keys.saturating_sub(u64::from(self.skus));
            if holds != self.units {
                return Err(wrong(format!("{} holds were answered and {holds} are there", self.units)));
            }
        }
        // Its memory is of no use to those who come after it.
        client.call(&["FLUSHDB", "ASYNC"])?;
        Ok(format!("{taken} units answered, {taken} gone, no counter below zero"))
    }
}

struct RedisCaller {
    greeting: Template,
    work: RedisWork,
    request: Template,
    draw: Draw,
    next_id: u64,
    left: u64,
    /// How many replies make an answer, and how many of them have come.
    replies: usize,
    heard: usize,
    at: usize,
    units: u64,
    wrong: Option<String>,
}

impl Caller for RedisCaller {
    fn greet(&mut self, stream: &mut std::net::TcpStream) -> io::Result<()> {
        stream.write_all(self.greeting.bytes())?;
        let mut ok = [0; 5];
        stream.read_exact(&mut ok)?;
        if ok == *b"+OK\r\n" { Ok(()) } else { Err(io::Error::other("SELECT was refused")) }
    }

    fn ask(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        match self.work {
            RedisWork::Decrement => self.request.set(0, self.draw.next().into()),
            RedisWork::Hold | RedisWork::Pipeline(_) => {
                for hold in 0..self.replies {
                    self.request.set(2 * hold, self.draw.next().into());
                    self.request.set(2 * hold + 1, self.next_id);
                    self.next_id += 1;
                }
            }
            RedisWork::Transfer(lines) => {
                self.request.set(0, self.next_id);
                self.next_id += 1;
                for line in 1..=lines {
                    self.request.set(line, self.draw.next().into());
                }
            }
        }
        (self.heard, self.at, self.units, self.wrong) = (0, 0, 0, None);
        true
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        while self.heard < self.replies {
            match reply(&received[self.at..]) {
                Err(detail) => return Heard::Broken(detail),
                Ok(None) => return Heard::Partial,
                Ok(Some((reply, len))) => {
                    self.at += len;
                    self.heard += 1;
                    match (reply, self.work) {
                        (Reply::Integer(-2), _) => self.wrong = Some("id taken".to_owned()),
                        (Reply::Integer(-1), _) => self.wrong = Some("out of stock".to_owned()),
                        (Reply::Integer(lines), RedisWork::Transfer(_)) => {
                            self.units += u64::try_from(lines).unwrap_or_default();
                        }
                        (Reply::Integer(_), _) => self.units += 1,
                        (other, _) => self.wrong = Some(format!("{other:?}")),
                    }
                }
            }
        }
        if self.at != received.len() {
            return Heard::Broken("more bytes than the answer has".to_owned());
        }
        self.wrong.take().map_or(Heard::Done(self.units), Heard::Unexpected)
    }
}
