//! Transfers: one large one, and a thousand at once over the same products.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use serde_json::Value;

use crate::Error;
use crate::draw::{Draw, Skew};
use crate::http::{Answer, AnswerReader, Client, HttpCaller, Judge, Target, problem_kind, request};
use crate::jaego::warehouse::{SKU_DIGITS, SKU_PREFIX, Warehouse, pages};
use crate::limits::PAGE_LEN;
use crate::load::{Bound, Caller, Heard, Load, Part, Round, drive, histogram};
use crate::progress::Progress;
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Digits of a transfer's number.
const ID_DIGITS: usize = 6;
/// Digits of a line's number.
const LINE_DIGITS: usize = 5;
/// Stock of every SKU where nothing shall run short.
const STOCK: u64 = 1_000_000_000;

/// The request for a transfer of so many lines. Slots: the id; then for each line its SKU and its quantity.
fn requesting(target: &Target, site: &str, round: u64, lines: u32) -> Template {
    let start = Template::new()
        .text(format!(r#"{{"id":"{site}-{round}-"#))
        .number(ID_DIGITS)
        .text(format!(r#"","from":"{site}","to":"{site}-to","lines":["#));
    let body = (0..lines).fold(start, |body, line| {
        let comma = if line == 0 { "" } else { "," };
        body.text(format!(r#"{comma}{{"line":"{:0LINE_DIGITS$}","sku":"{SKU_PREFIX}"#, line + 1))
            .number(SKU_DIGITS)
            .text(r#"","quantity":"#)
            .number(1)
            .text("}")
    });
    request(target, "POST", &Template::new().text("/v1/transfers"), &body.text("]}"))
}

/// The request that allocates a transfer. Slot: the id.
fn allocating(target: &Target, site: &str, round: u64) -> Template {
    let path =
        Template::new().text(format!("/v1/transfers/{site}-{round}-")).number(ID_DIGITS).text("/allocate");
    request(target, "POST", &path, &Template::new().text("{}"))
}

/// One transfer after the other, each requested and then allocated.
#[derive(Debug)]
pub(crate) struct OneByOne {
    name: String,
    warehouse: Warehouse,
    lines: u32,
    draw: Draw,
    transfers: u64,
    rounds: u64,
    allocated: u64,
}

impl OneByOne {
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        (lines, transfers): (u32, u64),
        seed: u64,
        progress: &mut Progress,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::build(target, site, lines.max(1), STOCK, progress)?;
        Warehouse::build_empty(target, &format!("{site}-to"))?;
        let draw = Draw::new(lines, Skew::Uniform, seed);
        Ok(Self { name, warehouse, lines, draw, transfers, rounds: 0, allocated: 0 })
    }
}

impl Subject for OneByOne {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let (target, site) = (&self.warehouse.target, &self.warehouse.site);
        let caller = RequestAndAllocate {
            requests: [
                requesting(target, site, self.rounds, self.lines),
                allocating(target, site, self.rounds),
            ],
            step: 0,
            lines: self.lines,
            draw: self.draw.share(0, 1),
            next_id: 0,
            left: self.transfers,
            reader: AnswerReader::default(),
            shortages: Finder::new(r#""shortages""#),
            since: Instant::now(),
            waited: [histogram(), histogram()],
        };
        let load = Load { addr: target.addr, threads: 1, bound: Bound::Count };
        let (mut round, callers) = drive(&load, vec![caller])?;
        for caller in callers {
            let names = ["request", "allocate"].into_iter();
            let parts = names.zip(caller.waited).map(|(name, latency)| Part { name, elapsed: None, latency });
            round.parts.extend(parts);
        }
        self.rounds += 1;
        self.allocated += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let books = self.warehouse.books(|_, _| {})?;
        if books.held != self.allocated {
            let detail = format!("{} pieces were allocated, and the books say {books:?}", self.allocated);
            return Err(self.warehouse.wrong(detail));
        }
        Ok(format!("{} lines answered as allocated, {} pieces held", self.allocated, books.held))
    }
}

struct RequestAndAllocate {
    requests: [Template; 2],
    step: usize,
    lines: u32,
    draw: Draw,
    next_id: u64,
    left: u64,
    reader: AnswerReader,
    shortages: Finder<'static>,
    since: Instant,
    waited: [Histogram<u64>; 2],
}

impl Caller for RequestAndAllocate {
    fn ask(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.step = 0;
        self.requests[0].set(0, self.next_id);
        self.requests[1].set(0, self.next_id);
        self.next_id += 1;
        for line in 0..self.lines as usize {
            self.requests[0].set(1 + 2 * line, self.draw.next().into());
            self.requests[0].set(2 + 2 * line, 1);
        }
        self.since = Instant::now();
        true
    }

    fn request(&self) -> &[u8] {
        self.requests[self.step].bytes()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        let now = Instant::now();
        let (status, body) = match self.reader.read(received) {
            Answer::Partial => return Heard::Partial,
            Answer::Broken(detail) => return Heard::Broken(detail),
            Answer::Whole(status, body) => (status, body),
        };
        let waited = u64::try_from((now - self.since).as_nanos()).unwrap_or(u64::MAX);
        self.waited[self.step].saturating_record(waited);
        if !(200..300).contains(&status) {
            return Heard::Unexpected(problem_kind(status, body));
        }
        if self.step == 0 {
            self.step = 1;
            self.since = Instant::now();
            return Heard::More;
        }
        match self.shortages.find(body) {
            None => Heard::Done(self.lines.into()),
            Some(_) => Heard::Unexpected("shortages".to_owned()),
        }
    }
}

/// How many transfers of how many lines go over how many products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) transfers: u64,
    pub(crate) lines: u32,
    pub(crate) products: u32,
}

impl Crowd {
    /// What a line asks for. Each transfer takes a run of all the products, so that any two share many.
    fn line(&self, transfer: u64, line: u32) -> (u32, u64) {
        let start = transfer.wrapping_mul(2_654_435_761) % u64::from(self.products);
        let product = (start + u64::from(line)) % u64::from(self.products);
        let quantity = 1 + (transfer * 31 + u64::from(line) * 7) % 9;
        (u32::try_from(product).expect("it is below the number of products"), quantity)
    }

    /// What is asked for of every product, in all.
    fn demand(&self) -> Vec<u64> {
        let mut demand = vec![0; self.products as usize];
        for transfer in 0..self.transfers {
            for line in 0..self.lines {
                let (product, quantity) = self.line(transfer, line);
                demand[product as usize] += quantity;
            }
        }
        demand
    }

    /// Of every product four fifths of what is asked for on average: many run short, some do not.
    fn stock(&self) -> u64 {
        let all: u64 = self.demand().iter().sum();
        (all * 4 / 5 / u64::from(self.products)).max(1)
    }
}

/// Many transfers at once: all requested, then all allocated by many connections.
#[derive(Debug)]
pub(crate) struct AtOnce {
    name: String,
    target: Target,
    site: String,
    crowd: Crowd,
    size: Size,
    rounds: u64,
    /// One warehouse for each round: what was allocated once is gone.
    warehouses: Vec<Warehouse>,
    progress: Progress,
}

impl AtOnce {
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        crowd: Crowd,
        size: Size,
        quiet: bool,
    ) -> Self {
        let (target, site) = (target.clone(), site.to_owned());
        let progress = Progress::new(quiet);
        Self { name, target, site, crowd, size, rounds: 0, warehouses: Vec::new(), progress }
    }

    fn phase(&self, name: &'static str, site: &str, allocate: bool) -> Result<(Round, Part), Error> {
        let connections =
            self.size.connections.min(usize::try_from(self.crowd.transfers).unwrap_or(usize::MAX));
        let callers = (0..connections).map(|index| {
            let template = match allocate {
                true => allocating(&self.target, site, 0),
                false => requesting(&self.target, site, 0, self.crowd.lines),
            };
            HttpCaller::new(Taking {
                request: template,
                crowd: self.crowd,
                fill: !allocate,
                next: index as u64,
                step: connections as u64,
                left: share(self.crowd.transfers, index, connections),
            })
        });
        let load = Load { addr: self.target.addr, threads: self.size.threads, bound: Bound::Count };
        let (round, _) = drive(&load, callers.collect())?;
        let part = Part { name, elapsed: Some(round.elapsed), latency: round.latency.clone() };
        Ok((round, part))
    }

    /// Every product is allocated as far as it is asked for and there, and not a piece further.
    fn check_one(&self, warehouse: &Warehouse) -> Result<(u64, u64), Error> {
        let (demand, stock) = (self.crowd.demand(), self.crowd.stock());
        let mut wrong = None;
        let books = warehouse.books(|product, held| {
            let expected = demand[product as usize].min(stock);
            if held != expected {
                wrong.get_or_insert((product, held, expected));
            }
        })?;
        if let Some((product, held, expected)) = wrong {
            let detail =
                format!("of product {product} {held} pieces are held, and should be {expected} of {stock}");
            return Err(warehouse.wrong(detail));
        }
        let (mut requested, mut allocated) = (0, 0);
        let path = format!("/v1/transfers?from={}&limit={PAGE_LEN}", warehouse.site);
        pages(&mut Client::connect(&self.target)?, &path, |transfer| {
            let total = |name: &str| {
                transfer.get("totals").and_then(|totals| totals.get(name)).and_then(Value::as_u64)
            };
            requested += total("requested").unwrap_or_default();
            allocated += total("allocated").unwrap_or_default();
            Ok(())
        })?;
        if allocated != books.held || requested != demand.iter().sum::<u64>() {
            let detail =
                format!("transfers asked for {requested} and have {allocated}, and the books say {books:?}");
            return Err(warehouse.wrong(detail));
        }
        Ok((requested, allocated))
    }
}

impl Subject for AtOnce {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let site = format!("{}-{}", self.site, self.rounds);
        self.rounds += 1;
        let (products, stock) = (self.crowd.products, self.crowd.stock());
        let warehouse = Warehouse::build(&self.target, &site, products, stock, &mut self.progress)?;
        Warehouse::build_empty(&self.target, &format!("{site}-to"))?;

        let (requests, requested) = self.phase("request", &site, false)?;
        let (mut round, allocated) = self.phase("allocate", &site, true)?;
        round.elapsed = [&requested, &allocated].iter().filter_map(|part| part.elapsed).sum::<Duration>();
        round.unexpected.extend(requests.unexpected);
        round.parts = vec![requested, allocated];
        self.warehouses.push(warehouse);
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let (mut requested, mut allocated) = (0, 0);
        for warehouse in &self.warehouses {
            let sums = self.check_one(warehouse)?;
            requested += sums.0;
            allocated += sums.1;
        }
        Ok(format!(
            "{requested} pieces requested, {allocated} allocated: of every product as much as was asked for and there"
        ))
    }
}

/// One connection's share of many transfers: requests them, or allocates them.
struct Taking {
    request: Template,
    crowd: Crowd,
    /// Whether the request has lines to fill in.
    fill: bool,
    next: u64,
    step: u64,
    left: u64,
}

impl Judge for Taking {
    fn next(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.request.set(0, self.next);
        if self.fill {
            for line in 0..self.crowd.lines {
                let (product, quantity) = self.crowd.line(self.next, line);
                self.request.set(1 + 2 * line as usize, product.into());
                self.request.set(2 + 2 * line as usize, quantity);
            }
        }
        self.next += self.step;
        true
    }

    fn request(&self) -> &[u8] {
        self.request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if (200..300).contains(&status) {
            return Ok(self.crowd.lines.into());
        }
        // There is stock for four fifths: the last ones find nothing at all, and all their lines are answered for.
        match problem_kind(status, body) {
            kind if !self.fill && kind == "409 insufficient_stock" => Ok(self.crowd.lines.into()),
            kind => Err(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Crowd;

    #[test]
    fn a_crowd_asks_for_more_than_there_is() {
        let crowd = Crowd { transfers: 20, lines: 30, products: 100 };
        let demand = crowd.demand();
        assert_eq!(
            demand.iter().sum::<u64>(),
            (0..20).flat_map(|t| (0..30).map(move |l| crowd.line(t, l).1)).sum::<u64>()
        );
        assert!(demand.iter().any(|demand| *demand > crowd.stock()));
        assert!(demand.iter().any(|demand| *demand < crowd.stock()));
        // No product comes twice in a transfer.
        let mut products: Vec<u32> = (0..30).map(|line| crowd.line(7, line).0).collect();
        products.sort_unstable();
        products.dedup();
        assert_eq!(products.len(), 30);
    }
}
