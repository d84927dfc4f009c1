//! Many documents at once: the set-up of loads that begin with a crowd of something.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;

use crate::Error;
use crate::http::{HttpCaller, Judge, Target, problem_kind, request};
use crate::limits::{SETUP_COMMANDS, SETUP_CONNECTIONS};
use crate::load::{Bound, Load, drive};
use crate::subject::share;
use crate::template::Template;

/// A document and how it is made.
#[derive(Clone)]
pub(crate) struct Bulk {
    /// The commands that make one, with commas between them.
    pub(crate) one: Template,
    /// How many commands these are.
    pub(crate) commands: usize,
    /// What goes into the slots for the document of this number, as many for each.
    pub(crate) numbers: Arc<dyn Fn(u64) -> Vec<u64> + Send + Sync>,
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("one", &self.one).finish_non_exhaustive()
    }
}

impl Bulk {
    /// Makes those from number `first` on.
    pub(crate) fn make(&self, target: &Target, first: u64, count: u64) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let mut next = first;
        let callers = (0..SETUP_CONNECTIONS).map(|index| {
            let left = share(count, index, SETUP_CONNECTIONS);
            next += left;
            HttpCaller::new(Making {
                bulk: self.clone(),
                target: target.clone(),
                request: Template::new(),
                len: 0,
                next: next - left,
                left,
                done: Finder::new(r#""status":"done""#),
            })
        });
        let load = Load { addr: target.addr, threads: 1, bound: Bound::Count };
        let (round, _) = drive(&load, callers.collect())?;
        if !round.is_valid() || round.units_in_all != count {
            let answer = format!("{} of {count} made, {:?}", round.units_in_all, round.unexpected);
            return Err(Error::Setup { doing: "POST /v1/batch".to_owned(), answer });
        }
        Ok(())
    }
}

/// One connection's share of them.
struct Making {
    bulk: Bulk,
    target: Target,
    request: Template,
    /// Documents in the request.
    len: usize,
    next: u64,
    left: u64,
    done: Finder<'static>,
}

impl Judge for Making {
    fn next(&mut self) -> bool {
        let most = SETUP_COMMANDS / self.bulk.commands;
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        if len == 0 {
            return false;
        }
        if len != self.len {
            let start = Template::new().text(r#"{"commands":["#).then(&self.bulk.one);
            let body = (1..len).fold(start, |body, _| body.text(",").then(&self.bulk.one));
            let path = Template::new().text("/v1/batch");
            self.request = request(&self.target, "POST", &path, &body.text("]}"));
            self.len = len;
        }
        let mut slot = 0;
        for _ in 0..len {
            for number in (self.bulk.numbers)(self.next) {
                self.request.set(slot, number);
                slot += 1;
            }
            self.next += 1;
        }
        self.left -= len as u64;
        true
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if !(200..300).contains(&status) {
            return Err(problem_kind(status, body));
        }
        let commands = self.len * self.bulk.commands;
        match self.done.find_iter(body).count() {
            done if done == commands => Ok(self.len as u64),
            done => Err(format!("{done} of {commands} commands done")),
        }
    }
}
