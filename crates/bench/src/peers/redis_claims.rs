//! Redis as a queue of orders: a sorted set of those that wait, and a script that gives out the first.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use crate::Error;
use crate::jaego::claims::{Crowd, PRIORITIES, Policy, Reach};
use crate::load::{Caller, Heard, Load, Round, drive};
use crate::report::count;
use crate::resp::{Client, Reply, command, plain, reply};
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Gives out the first orders, each with a worker, a fence and the time until which the claim stands: all that is
/// needed to complete it, and to find the claims that lapse.
const CLAIM: &str = "\
local orders = redis.call('ZPOPMIN', KEYS[1], ARGV[1]) \
if #orders == 0 then return 0 end \
local fence = redis.call('INCR', KEYS[3]) \
for at = 1, #orders, 2 do \
  redis.call('HSET', 'order:' .. orders[at], 'worker', ARGV[2], 'fence', fence) \
  redis.call('ZADD', KEYS[2], ARGV[3], orders[at]) \
end \
return #orders / 2";

/// When claims lapse, in seconds: nobody looks at the clock in the script.
const EXPIRES_AT: &str = "4102444800";
/// Orders that are placed in one request of the set-up.
const PLACED_AT_ONCE: u64 = 1_000;

/// Claiming waiting orders.
#[derive(Debug)]
pub(crate) struct RedisClaims {
    name: String,
    addr: SocketAddr,
    /// The logical database that this subject has for itself.
    database: usize,
    policy: Policy,
    reach: Reach,
    crowd: Crowd,
    size: Size,
    placed: u64,
    claimed: u64,
}

impl RedisClaims {
    pub(crate) fn new(
        name: String,
        addr: SocketAddr,
        database: usize,
        (policy, reach): (Policy, Reach),
        waiting: u64,
        size: Size,
    ) -> Result<Self, Error> {
        let crowd = Crowd::new(waiting, reach.claims());
        let claims = Self { name, addr, database, policy, reach, crowd, size, placed: 0, claimed: 0 };
        claims.client()?.call(&["FLUSHDB"])?;
        Ok(claims)
    }

    fn client(&self) -> Result<Client, Error> {
        let mut client = Client::connect(self.addr)?;
        client.call(&["SELECT", &self.database.to_string()])?;
        Ok(client)
    }

    /// Where an order stands in the queue: smaller is sooner.
    fn score(&self, order: u64) -> u64 {
        match self.policy {
            Policy::Oldest => order,
            Policy::Priority => (PRIORITIES - order % PRIORITIES) * 1_000_000_000_000 + order,
            Policy::Random => order.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12,
        }
    }

    /// Places orders until as many wait as should.
    fn fill(&mut self) -> Result<(), Error> {
        let mut client = self.client()?;
        let until = self.claimed + self.crowd.waiting;
        while self.placed < until {
            let end = until.min(self.placed + PLACED_AT_ONCE);
            let members: Vec<[String; 2]> =
                (self.placed..end).map(|order| [self.score(order).to_string(), order.to_string()]).collect();
            let mut words = vec!["ZADD", "waiting"];
            words.extend(members.iter().flatten().map(String::as_str));
            client.call(&words)?;
            self.placed = end;
        }
        Ok(())
    }

    fn caller(&self, index: usize, sha: &str) -> Claiming {
        let (count, worker) = (self.reach.count.to_string(), format!("worker-{index}"));
        let words = ["EVALSHA", sha, "3", "waiting", "claims", "fence", &count, &worker, EXPIRES_AT]
            .map(|word| Template::new().text(word));
        let one = command(&words);
        Claiming {
            greeting: plain(&["SELECT", &self.database.to_string()]),
            request: (0..self.reach.commands).fold(Template::new(), |all, _| all.then(&one)),
            reach: self.reach,
            left: share(self.crowd.requests, index, self.size.connections),
            heard: 0,
            at: 0,
            wrong: None,
        }
    }
}

impl Subject for RedisClaims {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        self.fill()?;
        let sha = match self.client()?.call(&["SCRIPT", "LOAD", CLAIM])? {
            Reply::Text(sha) => String::from_utf8_lossy(&sha).into_owned(),
            other => {
                return Err(Error::Setup { doing: "SCRIPT LOAD".to_owned(), answer: format!("{other:?}") });
            }
        };
        let callers = (0..self.size.connections).map(|index| self.caller(index, &sha)).collect();
        let load = Load { addr: self.addr, threads: self.size.threads, bound: self.size.bound };
        let (round, _) = drive(&load, callers)?;
        self.claimed += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let mut client = self.client()?;
        let found = [client.call(&["ZCARD", "waiting"])?, client.call(&["ZCARD", "claims"])?];
        let number = |number: u64| Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        if found != [number(self.placed - self.claimed), number(self.claimed)] {
            let detail = format!(
                "{} of {} orders were claimed, and the sets of those that wait and those that are claimed have {found:?}",
                self.claimed, self.placed
            );
            return Err(Error::Books { subject: self.name.clone(), detail });
        }
        // Its memory is of no use to those who come after it.
        client.call(&["FLUSHDB", "ASYNC"])?;
        let claims = count(self.claimed);
        Ok(format!("{claims} claims answered, {claims} of {} orders claimed", count(self.placed)))
    }
}

/// One worker: the same request again and again, which brings other orders each time.
struct Claiming {
    greeting: Template,
    request: Template,
    reach: Reach,
    left: u64,
    /// How many replies have come, and how long they were.
    heard: usize,
    at: usize,
    wrong: Option<String>,
}

impl Caller for Claiming {
    fn greet(&mut self, stream: &mut std::net::TcpStream) -> io::Result<()> {
        stream.write_all(self.greeting.bytes())?;
        let mut ok = [0; 5];
        stream.read_exact(&mut ok)?;
        if ok == *b"+OK\r\n" { Ok(()) } else { Err(io::Error::other("SELECT was refused")) }
    }

    fn ask(&mut self) -> bool {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        (self.heard, self.at, self.wrong) = (0, 0, None);
        more
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        let count = i64::try_from(self.reach.count).unwrap_or(i64::MAX);
        while self.heard < self.reach.commands {
            match reply(&received[self.at..]) {
                Err(detail) => return Heard::Broken(detail),
                Ok(None) => return Heard::Partial,
                Ok(Some((reply, len))) => {
                    self.at += len;
                    self.heard += 1;
                    if reply != Reply::Integer(count) {
                        self.wrong = Some(format!("{reply:?} for {count} claims"));
                    }
                }
            }
        }
        if self.at != received.len() {
            return Heard::Broken("more bytes than the answer has".to_owned());
        }
        self.wrong.take().map_or(Heard::Done(self.reach.claims() as u64), Heard::Unexpected)
    }
}
