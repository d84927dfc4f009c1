//! Claims of workers on waiting orders: one by one, by count, and in batches.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::Error;
use crate::http::{Client, HttpCaller, Judge, Target, problem_kind, request};
use crate::jaego::bulk::Bulk;
use crate::jaego::warehouse::{SKU_DIGITS, SKU_PREFIX, Warehouse, pages};
use crate::limits::PAGE_LEN;
use crate::load::{Bound, Load, Round, drive};
use crate::progress::Progress;
use crate::report::count;
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Digits of an order's number.
const ID_DIGITS: usize = 12;
/// Stock of every SKU: more than any load takes.
const STOCK: u64 = 1_000_000_000;
/// Priorities of the waiting orders: 0 to one below this.
pub(crate) const PRIORITIES: u64 = 10;
/// Longer than any run, so that no claim lapses in it.
const LEASE_S: u32 = 86_400;

/// Which orders a worker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Oldest,
    Priority,
    Random,
}

impl Policy {
    pub(crate) const ALL: [Self; 3] = [Self::Oldest, Self::Priority, Self::Random];
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oldest => "oldest",
            Self::Priority => "priority",
            Self::Random => "random",
        })
    }
}

/// How many claims a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Commands in one request: one goes to `/v1/sites/{site}/claims`, more to `/v1/batch`.
    pub(crate) commands: usize,
    /// Orders that each command claims.
    pub(crate) count: usize,
}

impl Reach {
    pub(crate) const ONE: Self = Self { commands: 1, count: 1 };

    /// Claims in one request.
    pub(crate) fn claims(self) -> usize {
        self.commands * self.count
    }
}

/// How many orders wait when a round begins, and how many requests for them it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) waiting: u64,
    pub(crate) requests: u64,
}

impl Crowd {
    /// A round claims a part of what waits: so much that the time can be measured, and so little that those that
    /// are claimed last have about as many around them as the first.
    pub(crate) fn new(waiting: u64, claims: usize) -> Self {
        let part = if claims == 1 { waiting / 20 } else { waiting / 4 };
        Self { waiting, requests: (part / claims as u64).max(1) }
    }
}

/// Claiming orders of one line that wait and hold their stock. A unit is a claim; nobody completes anything.
#[derive(Debug)]
pub(crate) struct Claims {
    name: String,
    warehouse: Warehouse,
    skus: u32,
    policy: Policy,
    reach: Reach,
    crowd: Crowd,
    size: Size,
    placed: u64,
    claimed: u64,
    progress: Progress,
}

impl Claims {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one setting of the same subject, named at its only caller"
    )]
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        skus: u32,
        (policy, reach): (Policy, Reach),
        waiting: u64,
        size: Size,
        mut progress: Progress,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::build(target, site, skus, STOCK, &mut progress)?;
        let crowd = Crowd::new(waiting, reach.claims());
        let mut claims =
            Self { name, warehouse, skus, policy, reach, crowd, size, placed: 0, claimed: 0, progress };
        claims.fill()?;
        Ok(claims)
    }

    /// Places orders until as many wait as should.
    fn fill(&mut self) -> Result<(), Error> {
        let missing = self.crowd.waiting - (self.placed - self.claimed);
        if missing == 0 {
            return Ok(());
        }
        let (site, skus) = (&self.warehouse.site, u64::from(self.skus));
        let prefix = self.warehouse.id_prefix();
        let order = Bulk {
            one: Template::new()
                .text(format!(r#"{{"op":"place_order","id":"{prefix}-"#))
                .number(ID_DIGITS)
                .text(format!(r#"","site":"{site}","priority":"#))
                .number(1)
                .text(format!(r#","lines":[{{"sku":"{SKU_PREFIX}"#))
                .number(SKU_DIGITS)
                .text(r#"","quantity":1}]}"#),
            commands: 1,
            numbers: Arc::new(move |number| vec![number, number % PRIORITIES, number % skus]),
        };
        order.make(&self.warehouse.target, self.placed, missing)?;
        self.placed += missing;
        self.progress.say(&format!("{site}: {} orders wait", count(self.placed - self.claimed)));
        Ok(())
    }

    fn judge(&self, index: usize) -> Claiming {
        let site = &self.warehouse.site;
        let Reach { commands, count } = self.reach;
        let fields = format!(
            r#""worker":"worker-{index}","policy":"{}","count":{count},"lease_s":{LEASE_S}}}"#,
            self.policy
        );
        let (path, body) = if commands == 1 {
            (format!("/v1/sites/{site}/claims"), format!("{{{fields}"))
        } else {
            let one = format!(r#"{{"op":"claim_orders","site":"{site}",{fields}"#);
            let all: Vec<&str> = (0..commands).map(|_| one.as_str()).collect();
            ("/v1/batch".to_owned(), format!(r#"{{"commands":[{}]}}"#, all.join(",")))
        };
        let (path, body) = (Template::new().text(path), Template::new().text(body));
        Claiming {
            request: request(&self.warehouse.target, "POST", &path, &body),
            claims: self.reach.claims(),
            left: share(self.crowd.requests, index, self.size.connections),
            fence: Finder::new(r#""fence":"#),
            repeat: Finder::new(r#""repeat":true"#),
        }
    }
}

impl Subject for Claims {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        self.fill()?;
        let callers = (0..self.size.connections).map(|index| HttpCaller::new(self.judge(index))).collect();
        let load = Load { addr: self.warehouse.target.addr, threads: self.size.threads, bound: Bound::Count };
        let (round, _) = drive(&load, callers)?;
        self.claimed += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let books = self.warehouse.books(|_, _| {})?;
        if books.held != self.placed {
            let detail =
                format!("{} orders of one piece were placed, and the books say {books:?}", self.placed);
            return Err(self.warehouse.wrong(detail));
        }
        let (mut waiting, mut claimed) = (0, 0);
        let path = format!("/v1/orders?site={}&limit={PAGE_LEN}", self.warehouse.site);
        pages(&mut Client::connect(&self.warehouse.target)?, &path, |order| {
            let has_claim = order.get("claim").is_some_and(Value::is_object);
            match (order.get("status").and_then(Value::as_str), has_claim) {
                (Some("waiting"), false) => waiting += 1,
                (Some("processing"), true) => claimed += 1,
                _ => return Err(self.warehouse.wrong(format!("this is no order of ours: {order}"))),
            }
            Ok(())
        })?;
        if (waiting + claimed, claimed) != (self.placed, self.claimed) {
            let detail = format!(
                "{} of {} orders were claimed, and the books say {claimed} of {}",
                self.claimed,
                self.placed,
                waiting + claimed
            );
            return Err(self.warehouse.wrong(detail));
        }
        Ok(format!(
            "{} claims answered, {} of {} orders claimed, none twice",
            count(self.claimed),
            count(claimed),
            count(self.placed)
        ))
    }
}

/// One worker: the same request again and again, which brings other orders each time.
struct Claiming {
    request: Template,
    claims: usize,
    left: u64,
    fence: Finder<'static>,
    repeat: Finder<'static>,
}

impl Judge for Claiming {
    fn next(&mut self) -> bool {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if !(200..300).contains(&status) {
            return Err(problem_kind(status, body));
        }
        // A repeat would be an answer without any work.
        if self.repeat.find(body).is_some() {
            return Err("a repeat".to_owned());
        }
        // Each claim comes with its fence.
        match self.fence.find_iter(body).count() {
            claims if claims == self.claims => Ok(claims as u64),
            claims => Err(format!("{claims} of {} claims", self.claims)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Crowd;

    #[test]
    fn a_round_leaves_most_orders_waiting() {
        assert_eq!(Crowd::new(1_000_000, 1), Crowd { waiting: 1_000_000, requests: 50_000 });
        assert_eq!(Crowd::new(1_000_000, 1_000), Crowd { waiting: 1_000_000, requests: 250 });
        assert_eq!(Crowd::new(10, 8), Crowd { waiting: 10, requests: 1 });
    }
}
