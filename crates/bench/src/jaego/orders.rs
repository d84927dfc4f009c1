//! Orders of one to twenty lines, one by one and in batches.

use memchr::memmem::Finder;
use serde_json::Value;

use crate::Error;
use crate::basket::Baskets;
use crate::http::{Client, HttpCaller, Judge, Target, problem_kind, request};
use crate::jaego::warehouse::{SKU_DIGITS, SKU_PREFIX, Warehouse, pages};
use crate::limits::{ORDER_LINES_MAX, ORDER_SHAPES, PAGE_LEN};
use crate::load::{Load, Round, drive};
use crate::progress::Progress;
use crate::report::count;
use crate::subject::{Size, Subject};
use crate::template::Template;

/// Digits of an order's number.
const ID_DIGITS: usize = 12;
/// Stock of every SKU: more than any load takes.
const STOCK: u64 = 1_000_000_000;

/// Placing orders that hold their stock from then on. A unit is a line.
#[derive(Debug)]
pub(crate) struct Orders {
    name: String,
    warehouse: Warehouse,
    /// Orders in one request: one goes to `/v1/orders`, more to `/v1/batch`.
    batch: usize,
    baskets: Baskets,
    size: Size,
    rounds: u64,
    /// Above every number of the rounds so far.
    next_id: u64,
    lines: u64,
    orders: u64,
}

impl Orders {
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        (skus, seed): (u32, u64),
        batch: usize,
        size: Size,
        progress: &mut Progress,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::build(target, site, skus, STOCK, progress)?;
        let baskets = Baskets::new(skus, seed);
        Ok(Self { name, warehouse, batch, baskets, size, rounds: 0, next_id: 0, lines: 0, orders: 0 })
    }

    /// A request for orders of so many lines each. Slots: of each order its number, then its SKUs.
    fn shape(&self, lens: Vec<usize>) -> Shape {
        let (site, prefix) = (&self.warehouse.site, self.warehouse.id_prefix());
        let order = |body: Template, len: usize| {
            let start = body
                .text(format!(r#""id":"{prefix}-"#))
                .number(ID_DIGITS)
                .text(format!(r#"","site":"{site}","lines":["#));
            let lines = (0..len).fold(start, |body, line| {
                body.text(if line == 0 { "" } else { "," })
                    .text(format!(r#"{{"sku":"{SKU_PREFIX}"#))
                    .number(SKU_DIGITS)
                    .text(r#"","quantity":1}"#)
            });
            lines.text("]}")
        };
        let (path, body) = if self.batch == 1 {
            ("/v1/orders", order(Template::new().text("{"), lens[0]))
        } else {
            let start = Template::new().text(r#"{"commands":["#);
            let body = lens.iter().enumerate().fold(start, |body, (index, len)| {
                order(body.text(if index == 0 { "" } else { "," }).text(r#"{"op":"place_order","#), *len)
            });
            ("/v1/batch", body.text("]}"))
        };
        let request = request(&self.warehouse.target, "POST", &Template::new().text(path), &body);
        Shape { request, lens }
    }

    fn judge(&self, index: usize) -> Placing {
        let mut baskets = self.baskets.share(index, self.size.connections, self.rounds);
        let lens: Vec<Vec<usize>> = match self.batch {
            1 => (1..=ORDER_LINES_MAX).map(|len| vec![len]).collect(),
            orders => {
                let shapes = 0..ORDER_SHAPES;
                shapes.map(|_| (0..orders).map(|_| baskets.len()).collect()).collect()
            }
        };
        Placing {
            shapes: lens.into_iter().map(|lens| self.shape(lens)).collect(),
            shape: 0,
            batch: self.batch,
            baskets,
            next_id: self.next_id + index as u64,
            id_step: self.size.connections as u64,
            orders: 0,
            done: Finder::new(r#""status":"done""#),
            repeat: Finder::new(r#""repeat":true"#),
            pick: Finder::new(r#""line":"#),
        }
    }
}

impl Subject for Orders {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let callers = (0..self.size.connections).map(|index| HttpCaller::new(self.judge(index))).collect();
        let load =
            Load { addr: self.warehouse.target.addr, threads: self.size.threads, bound: self.size.bound };
        let (mut round, callers) = drive(&load, callers)?;
        round.orders = Some(round.answers * self.batch as u64);
        self.next_id = callers.iter().map(|caller| caller.judge.next_id).max().unwrap_or_default();
        self.rounds += 1;
        self.lines += round.units_in_all;
        self.orders += callers.iter().map(|caller| caller.judge.orders).sum::<u64>();
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let books = self.warehouse.books(|_, _| {})?;
        if books.held != self.lines {
            let detail =
                format!("{} lines of one piece were ordered, and the books say {books:?}", self.lines);
            return Err(self.warehouse.wrong(detail));
        }
        let (mut orders, mut lines) = (0, 0);
        let path = format!("/v1/orders?site={}&status=waiting&limit={PAGE_LEN}", self.warehouse.site);
        pages(&mut Client::connect(&self.warehouse.target)?, &path, |order| {
            if order.get("allocated") != Some(&Value::Bool(true)) {
                return Err(self.warehouse.wrong(format!("this order is short: {order}")));
            }
            orders += 1;
            lines += order.get("line_count").and_then(Value::as_u64).unwrap_or_default();
            Ok(())
        })?;
        if (orders, lines) != (self.orders, self.lines) {
            let detail = format!(
                "{} orders of {} lines were answered, and {orders} of {lines} lines are there",
                self.orders, self.lines
            );
            return Err(self.warehouse.wrong(detail));
        }
        Ok(format!(
            "{} orders of {} lines answered, as many there and a piece held for each line",
            count(orders),
            count(lines)
        ))
    }
}

/// A request for orders of certain lengths.
struct Shape {
    request: Template,
    lens: Vec<usize>,
}

/// One connection's orders: of a few shapes that were drawn before, with other SKUs each time.
struct Placing {
    shapes: Vec<Shape>,
    shape: usize,
    batch: usize,
    baskets: Baskets,
    /// Connections take turns with the numbers.
    next_id: u64,
    id_step: u64,
    /// Orders that were answered as placed.
    orders: u64,
    done: Finder<'static>,
    repeat: Finder<'static>,
    pick: Finder<'static>,
}

impl Judge for Placing {
    fn next(&mut self) -> bool {
        self.shape = self.baskets.choose(self.shapes.len());
        let Shape { request, lens } = &mut self.shapes[self.shape];
        let mut slot = 0;
        for len in lens {
            request.set(slot, self.next_id);
            self.next_id += self.id_step;
            for sku in self.baskets.skus(*len) {
                slot += 1;
                request.set(slot, (*sku).into());
            }
            slot += 1;
        }
        true
    }

    fn request(&self) -> &[u8] {
        self.shapes[self.shape].request.bytes()
    }

    fn judge(&mut self, status: u16, body: &[u8]) -> Result<u64, String> {
        if !(200..300).contains(&status) {
            return Err(problem_kind(status, body));
        }
        if self.batch > 1 {
            let done = self.done.find_iter(body).count();
            if done != self.batch {
                return Err(format!("{done} of {} orders placed", self.batch));
            }
        }
        // A repeat would be an answer without any work.
        if self.repeat.find(body).is_some() {
            return Err("a repeat".to_owned());
        }
        // All stock of a SKU lies in one bin, so that each line has one pick.
        let lines: usize = self.shapes[self.shape].lens.iter().sum();
        let picks = self.pick.find_iter(body).count();
        if picks != lines {
            return Err(format!("{picks} picks for {lines} lines"));
        }
        self.orders += self.batch as u64;
        Ok(lines as u64)
    }
}
