//! Checkouts of filled carts on one hot item, one by one and in batches.

use std::sync::Arc;

use memchr::memmem::Finder;
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Client, HttpCaller, Judge, Target, problem_kind, request};
use crate::jaego::bulk::Bulk;
use crate::jaego::warehouse::{Warehouse, pages, sku};
use crate::limits::{OWNERS, PAGE_LEN};
use crate::load::{Bound, Load, Round, drive};
use crate::progress::Progress;
use crate::report::count;
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// Digits of a cart's number.
const ID_DIGITS: usize = 12;
/// Digits of an owner's number.
const OWNER_DIGITS: usize = 6;
/// Stock of the item: more than any load takes.
const STOCK: u64 = 1_000_000_000;
/// What the item costs, in the currency's minor unit.
const PRICE: u64 = 100;
const CURRENCY: &str = "KRW";
/// What every owner has: more than any load takes.
const CHARGED: u64 = 1_000_000_000_000;

/// Checking carts out: each a decision that prices, allocates, pays and places the order. A unit is a checkout.
#[derive(Debug)]
pub(crate) struct Checkouts {
    name: String,
    warehouse: Warehouse,
    /// Checkouts in one request: one goes to its own path, more to `/v1/batch`.
    batch: usize,
    /// Requests in a round.
    requests: u64,
    size: Size,
    filled: u64,
    ordered: u64,
    progress: Progress,
}

impl Checkouts {
    pub(crate) fn new(
        name: String,
        target: &Target,
        site: &str,
        (carts, batch): (u64, usize),
        size: Size,
        mut progress: Progress,
    ) -> Result<Self, Error> {
        let warehouse = Warehouse::build(target, site, 1, STOCK, &mut progress)?;
        let prices = json!({ "prices": { CURRENCY: PRICE } });
        let body = serde_json::to_vec(&prices).expect("a JSON value can be written");
        Client::connect(target)?.call("PUT", &format!("/v1/skus/{}", sku(0)), &body)?;
        let prefix = warehouse.id_prefix();
        let charge = Bulk {
            one: Template::new()
                .text(format!(r#"{{"op":"charge","owner":"{prefix}-"#))
                .number(OWNER_DIGITS)
                .text(format!(r#"","currency":"{CURRENCY}","amount":{CHARGED}}}"#)),
            commands: 1,
            numbers: Arc::new(|number| vec![number]),
        };
        charge.make(target, 0, OWNERS)?;
        let requests = (carts / batch as u64).max(1);
        Ok(Self { name, warehouse, batch, requests, size, filled: 0, ordered: 0, progress })
    }

    /// Opens the carts of a round and puts the item into each.
    fn fill(&mut self) -> Result<(), Error> {
        let (site, carts) = (&self.warehouse.site, self.requests * self.batch as u64);
        let prefix = self.warehouse.id_prefix();
        let cart = Bulk {
            one: Template::new()
                .text(format!(r#"{{"op":"set_cart","cart":"{prefix}-"#))
                .number(ID_DIGITS)
                .text(format!(r#"","site":"{site}","owner":"{prefix}-"#))
                .number(OWNER_DIGITS)
                .text(format!(r#""}},{{"op":"set_cart_item","cart":"{prefix}-"#))
                .number(ID_DIGITS)
                .text(format!(r#"","sku":"{}","quantity":1}}"#, sku(0))),
            commands: 2,
            numbers: Arc::new(|number| vec![number, number % OWNERS, number]),
        };
        cart.make(&self.warehouse.target, self.filled, carts)?;
        self.filled += carts;
        self.progress.say(&format!("{site}: {} carts filled", count(carts)));
        Ok(())
    }

    /// One connection's carts: those from number `first` on.
    fn judge(&self, first: u64, requests: u64) -> CheckingOut {
        let prefix = self.warehouse.id_prefix();
        let paying = format!(r#""currency":"{CURRENCY}","expected_total":{PRICE}}}"#);
        let (path, body) = if self.batch == 1 {
            let path =
                Template::new().text(format!("/v1/carts/{prefix}-")).number(ID_DIGITS).text("/checkout");
            (path, Template::new().text(format!("{{{paying}")))
        } else {
            let one = Template::new()
                .text(format!(r#"{{"op":"checkout","cart":"{prefix}-"#))
                .number(ID_DIGITS)
                .text(format!(r#"",{paying}"#));
            let start = Template::new().text(r#"{"commands":["#).then(&one);
            let body = (1..self.batch).fold(start, |body, _| body.text(",").then(&one));
            (Template::new().text("/v1/batch"), body.text("]}"))
        };
        CheckingOut {
            request: request(&self.warehouse.target, "POST", &path, &body),
            batch: self.batch,
            next: first,
            left: requests,
            pick: Finder::new(r#""line":"#),
            balance: Finder::new(r#""balance":"#),
            repeat: Finder::new(r#""repeat":true"#),
        }
    }

    /// What the owners have paid, and what is left of their money.
    fn money(&self) -> Result<(u64, u64), Error> {
        let mut client = Client::connect(&self.warehouse.target)?;
        let (mut paid, mut left) = (0, 0);
        for owner in 0..OWNERS {
            let wallet =
                client.get(&format!("/v1/wallets/{}-{owner:0OWNER_DIGITS$}", self.warehouse.id_prefix()))?;
            let number = |name: &str| wallet.pointer(&format!("/balances/0/{name}")).and_then(Value::as_u64);
            let (Some(its_paid), Some(its_left)) = (number("paid"), number("balance")) else {
                return Err(self.warehouse.wrong(format!("this is no wallet of ours: {wallet}")));
            };
            paid += its_paid;
            left += its_left;
        }
        Ok((paid, left))
    }
}

impl Subject for Checkouts {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let mut first = self.filled;
        self.fill()?;
        let callers = (0..self.size.connections).map(|index| {
            let requests = share(self.requests, index, self.size.connections);
            let judge = self.judge(first, requests);
            first += requests * self.batch as u64;
            HttpCaller::new(judge)
        });
        let callers = callers.collect();
        let load = Load { addr: self.warehouse.target.addr, threads: self.size.threads, bound: Bound::Count };
        let (round, _) = drive(&load, callers)?;
        self.ordered += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let books = self.warehouse.books(|_, _| {})?;
        let mut orders = 0;
        let path = format!("/v1/orders?site={}&status=waiting&limit={PAGE_LEN}", self.warehouse.site);
        pages(&mut Client::connect(&self.warehouse.target)?, &path, |_| {
            orders += 1;
            Ok(())
        })?;
        let (paid, left) = self.money()?;
        let (asked, charged) = (self.ordered * PRICE, CHARGED * OWNERS);
        if (books.held, orders) != (self.ordered, self.ordered) || (paid, left) != (asked, charged - asked) {
            let detail = format!(
                "{} checkouts were answered; {orders} orders are there, {paid} of {asked} paid, {left} of {charged} \
                 left, and the books say {books:?}",
                self.ordered
            );
            return Err(self.warehouse.wrong(detail));
        }
        Ok(format!(
            "{} checkouts answered, {} orders there, a piece held and {PRICE} {CURRENCY} paid for each",
            count(self.ordered),
            count(orders)
        ))
    }
}

/// One connection's carts, one after the other.
struct CheckingOut {
    request: Template,
    batch: usize,
    next: u64,
    left: u64,
    pick: Finder<'static>,
    balance: Finder<'static>,
    repeat: Finder<'static>,
}

impl Judge for CheckingOut {
    fn next(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        for cart in 0..self.batch {
            self.request.set(cart, self.next);
            self.next += 1;
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
        // A repeat would be an answer without any work.
        if self.repeat.find(body).is_some() {
            return Err("a repeat".to_owned());
        }
        // Each checkout has one pick, and says what is left in the wallet.
        let picks = self.pick.find_iter(body).count();
        let balances = self.balance.find_iter(body).count();
        if (picks, balances) == (self.batch, self.batch) {
            return Ok(self.batch as u64);
        }
        Err(format!("{picks} picks and {balances} balances of {} checkouts", self.batch))
    }
}
