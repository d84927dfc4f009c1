//! Holds: one by one, all on one SKU, and in batches.

use memchr::memmem::Finder;

use crate::Error;
use crate::draw::{Draw, Skew};
use crate::http::{HttpCaller, Judge, Target, problem_kind, request};
use crate::jaego::warehouse::{SKU_DIGITS, SKU_PREFIX, Warehouse};
use crate::load::{Load, Round, drive};
use crate::progress::Progress;
use crate::subject::{Size, Subject};
use crate::template::Template;

/// Digits of a hold's number, of which each connection and round has its own.
const ID_DIGITS: usize = 12;
/// Stock of every SKU: more than any load takes.
const STOCK: u64 = 1_000_000_000;

/// Placing holds of one piece each.
#[derive(Debug)]
pub(crate) struct Holds {
    name: String,
    warehouse: Warehouse,
    /// Holds in one request: one goes to `/v1/holds`, more to `/v1/batch`.
    batch: usize,
    draw: Draw,
    size: Size,
    rounds: u64,
    held: u64,
}

impl Holds {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one setting of the same subject, named at its only callers"
    )]
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        skus: u32,
        batch: usize,
        size: Size,
        (skew, seed): (Skew, u64),
        progress: &mut Progress,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::build(target, site, skus, STOCK, progress)?;
        let draw = Draw::new(skus, skew, seed);
        Ok(Self { name, warehouse, batch, draw, size, rounds: 0, held: 0 })
    }

    fn judge(&self, index: usize) -> Placing {
        let site = &self.warehouse.site;
        let fields = Template::new()
            .text(format!(r#""id":"{site}-{}-{index}-"#, self.rounds))
            .number(ID_DIGITS)
            .text(format!(r#"","lines":[{{"site":"{site}","sku":"{SKU_PREFIX}"#))
            .number(SKU_DIGITS)
            .text(r#"","quantity":1}]}"#);
        let (path, body) = if self.batch == 1 {
            ("/v1/holds", Template::new().text("{").then(&fields))
        } else {
            let one = Template::new().text(r#"{"op":"hold","#).then(&fields);
            let start = Template::new().text(r#"{"commands":["#).then(&one);
            let body = (1..self.batch).fold(start, |body, _| body.text(",").then(&one));
            ("/v1/batch", body.text("]}"))
        };
        let mut draw = self.draw.share(index, self.size.connections);
        draw.skip(self.rounds);
        Placing {
            request: request(&self.warehouse.target, "POST", &Template::new().text(path), &body),
            batch: self.batch,
            draw,
            next_id: 0,
            done: Finder::new(r#""status":"done""#),
            repeat: Finder::new(r#""repeat":true"#),
        }
    }
}

impl Subject for Holds {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let callers = (0..self.size.connections).map(|index| HttpCaller::new(self.judge(index))).collect();
        let load =
            Load { addr: self.warehouse.target.addr, threads: self.size.threads, bound: self.size.bound };
        let (round, _) = drive(&load, callers)?;
        self.rounds += 1;
        self.held += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let books = self.warehouse.books(|_, _| {})?;
        let stock = STOCK * books.positions as u64;
        if books.held != self.held || books.on_hand != stock || books.held + books.available != stock {
            let detail =
                format!("{} pieces were put on hold of {stock}, and the books say {books:?}", self.held);
            return Err(self.warehouse.wrong(detail));
        }
        Ok(format!("{} holds answered, {} pieces held, none available twice", self.held, books.held))
    }
}

/// One connection's requests: the same bytes with other numbers.
struct Placing {
    request: Template,
    batch: usize,
    draw: Draw,
    next_id: u64,
    done: Finder<'static>,
    repeat: Finder<'static>,
}

impl Judge for Placing {
    fn next(&mut self) -> bool {
        for hold in 0..self.batch {
            self.request.set(2 * hold, self.next_id);
            self.request.set(2 * hold + 1, self.draw.next().into());
            self.next_id += 1;
        }
        true
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if !(200..300).contains(&status) {
            return Err(problem_kind(status, body));
        }
        if self.batch == 1 {
            // A repeat would be an answer without any work.
            return if self.repeat.find(body).is_none() { Ok(1) } else { Err("a repeat".to_owned()) };
        }
        let done = self.done.find_iter(body).count();
        if done == self.batch {
            return Ok(done as u64);
        }
        Err(format!("{done} of {} holds placed", self.batch))
    }
}
