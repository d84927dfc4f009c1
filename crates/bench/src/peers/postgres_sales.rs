//! PostgreSQL as a shop: orders of many lines, and checkouts that take stock and money. The rules that nothing is sold
//! twice and no wallet is overdrawn are constraints of the tables, so that a transaction goes out in one flight.

use std::net::SocketAddr;

use crate::Error;
use crate::basket::Baskets;
use crate::limits::{ORDER_LINES_MAX, ORDER_SHAPES, OWNERS};
use crate::load::{Bound, Load, Round, drive};
use crate::peers::postgres_flight::{Fill, Flying, Shape};
use crate::peers::{ID_DIGITS, IDS_PER_CONNECTION, SKU_DIGITS, STOCK};
use crate::pgwire::{Client, execute, sync};
use crate::report::count;
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// What a checkout costs.
const PRICE: u64 = 100;
/// What every owner has: more than any load takes.
const CHARGED: u64 = 1_000_000_000_000;

/// What a transaction does.
#[derive(Clone, Debug)]
pub(crate) enum Sale {
    /// Places so many orders with the lines of these baskets. A unit is a line.
    Orders { batch: usize, baskets: Baskets, skus: u32 },
    /// Checks so many carts out, all of one item; so many carts are made for a round. A unit is a checkout.
    Checkouts { batch: usize, carts: u64 },
}

/// PostgreSQL at one kind of sale.
#[derive(Debug)]
pub(crate) struct PostgresSales {
    name: String,
    addr: SocketAddr,
    table: String,
    sale: Sale,
    size: Size,
    rounds: u64,
    units: u64,
    /// Carts made so far.
    carts: u64,
}

fn begin() -> Template {
    execute("begin", &[])
}

fn commit() -> Template {
    execute("commit", &[]).then(&sync())
}

fn id() -> Template {
    Template::new().number(ID_DIGITS)
}

/// An array of numbers that are filled in.
fn numbers(len: usize) -> Template {
    let start = Template::new().text("{").number(SKU_DIGITS);
    (1..len).fold(start, |array, _| array.text(",").number(SKU_DIGITS)).text("}")
}

impl PostgresSales {
    pub(crate) fn new(
        name: String,
        addr: SocketAddr,
        table: &str,
        sale: Sale,
        size: Size,
    ) -> Result<Self, Error> {
        let mut client = Client::connect(addr)?;
        let skus = match &sale {
            Sale::Orders { skus, .. } => *skus,
            Sale::Checkouts { .. } => 1,
        };
        for statement in [
            format!(
                "CREATE TABLE {table}_stock (id int PRIMARY KEY, quantity bigint NOT NULL CHECK (quantity >= 0)) \
                 WITH (fillfactor = 50)"
            ),
            format!(
                "CREATE TABLE {table}_wallet (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) \
                 WITH (fillfactor = 50)"
            ),
            format!(
                "CREATE TABLE {table}_cart (id bigint PRIMARY KEY, owner int NOT NULL, ordered boolean NOT NULL)"
            ),
            format!("CREATE TABLE {table}_order (id bigint PRIMARY KEY, total bigint NOT NULL)"),
            format!(
                "CREATE TABLE {table}_line (id bigint, sku int, quantity bigint NOT NULL, PRIMARY KEY (id, sku))"
            ),
            format!("INSERT INTO {table}_stock SELECT id, {STOCK} FROM generate_series(0, {}) id", skus - 1),
            format!(
                "INSERT INTO {table}_wallet SELECT id, {CHARGED} FROM generate_series(0, {}) id",
                OWNERS - 1
            ),
            format!("VACUUM ANALYZE {table}_stock, {table}_wallet"),
        ] {
            client.call(&statement)?;
        }
        let table = table.to_owned();
        Ok(Self { name, addr, table, sale, size, rounds: 0, units: 0, carts: 0 })
    }

    /// The statements, as a report would show them.
    fn statements(&self) -> Vec<(&'static str, String)> {
        let table = &self.table;
        let mut statements = vec![("begin", "BEGIN".to_owned()), ("commit", "COMMIT".to_owned())];
        statements.extend(match self.sale {
            Sale::Orders { .. } => vec![
                // The rows are locked in one order by everybody, so that nobody ends in a deadlock; the best-seller comes
                // last, and is locked for the shortest time.
                (
                    "lock",
                    format!(
                        "SELECT count(*) FROM \
                         (SELECT FROM {table}_stock WHERE id = ANY ($1::int[]) ORDER BY id DESC FOR UPDATE) locked"
                    ),
                ),
                (
                    "take",
                    format!(
                        "UPDATE {table}_stock stock SET quantity = stock.quantity - wanted.quantity \
                         FROM (SELECT id, count(*) AS quantity FROM unnest($1::int[]) id GROUP BY id) wanted \
                         WHERE stock.id = wanted.id"
                    ),
                ),
                (
                    "order",
                    format!(
                        "INSERT INTO {table}_order SELECT id, 0 FROM generate_series($1::bigint, $2::bigint) id"
                    ),
                ),
                (
                    "lines",
                    format!(
                        "INSERT INTO {table}_line SELECT $1::bigint + place, sku, 1 \
                         FROM unnest($2::int[], $3::int[]) wanted(place, sku)"
                    ),
                ),
            ],
            Sale::Checkouts { .. } => {
                let carts = "id BETWEEN $1::bigint AND $2::bigint";
                vec![
                    ("cart", format!("UPDATE {table}_cart SET ordered = true WHERE {carts} AND NOT ordered")),
                    (
                        "lock",
                        format!(
                            "SELECT count(*) FROM (SELECT FROM {table}_wallet \
                             WHERE id IN (SELECT owner FROM {table}_cart WHERE {carts}) ORDER BY id FOR UPDATE) locked"
                        ),
                    ),
                    (
                        "pay",
                        format!(
                            "UPDATE {table}_wallet wallet SET balance = wallet.balance - {PRICE} * paid.carts \
                             FROM (SELECT owner, count(*) AS carts FROM {table}_cart WHERE {carts} GROUP BY owner) paid \
                             WHERE wallet.id = paid.owner"
                        ),
                    ),
                    (
                        "order",
                        format!("INSERT INTO {table}_order SELECT id, {PRICE} FROM {table}_cart WHERE {carts}"),
                    ),
                    // The one row that all want comes last, and is locked for the shortest time.
                    (
                        "take",
                        format!(
                            "UPDATE {table}_stock SET quantity = quantity - ($2::bigint - $1::bigint + 1) WHERE id = 0"
                        ),
                    ),
                ]
            }
        });
        statements
    }

    fn caller(&self, index: usize) -> Flying {
        let callers = self.size.connections;
        match &self.sale {
            Sale::Orders { batch, baskets, .. } => {
                let mut baskets = baskets.share(index, callers, self.rounds);
                let lens: Vec<Vec<usize>> = match *batch {
                    1 => (1..=ORDER_LINES_MAX).map(|len| vec![len]).collect(),
                    orders => {
                        let shapes = 0..ORDER_SHAPES;
                        shapes.map(|_| (0..orders).map(|_| baskets.len()).collect()).collect()
                    }
                };
                let first = (self.rounds * callers as u64 + index as u64) * IDS_PER_CONNECTION;
                let shapes = lens.iter().map(|lens| orders_shape(lens)).collect();
                Flying::new(self.statements(), shapes, u64::MAX, ordering(baskets, lens, first))
            }
            Sale::Checkouts { batch, carts } => {
                let (batch, requests) = (*batch as u64, carts / *batch as u64);
                let before: u64 = (0..index).map(|index| share(requests, index, callers)).sum();
                let mut next = self.carts - requests * batch + before * batch;
                let fill: Fill = Box::new(move |shapes| {
                    // Every statement has the first and the last cart.
                    for slot in 0..shapes[0].flight.slot_count() / 2 {
                        shapes[0].flight.set(2 * slot, next);
                        shapes[0].flight.set(2 * slot + 1, next + batch - 1);
                    }
                    next += batch;
                    0
                });
                let left = share(requests, index, callers);
                Flying::new(self.statements(), vec![checkouts_shape(batch)], left, fill)
            }
        }
    }

    /// Makes the carts of a round.
    fn fill(&mut self) -> Result<(), Error> {
        let Sale::Checkouts { batch, carts } = self.sale else {
            return Ok(());
        };
        let (table, first) = (&self.table, self.carts);
        self.carts += carts / batch as u64 * batch as u64;
        let mut client = Client::connect(self.addr)?;
        client.call(&format!(
            "INSERT INTO {table}_cart SELECT id, id % {OWNERS}, false \
             FROM generate_series({first}::bigint, {}::bigint) id",
            self.carts - 1
        ))?;
        client.call(&format!("VACUUM ANALYZE {table}_cart, {table}_stock, {table}_wallet"))?;
        Ok(())
    }
}

/// Orders of so many lines each. Slots: the SKUs to lock, the SKUs to take, the first and the last id, the first id,
/// and the SKUs of the lines.
fn orders_shape(lens: &[usize]) -> Shape {
    let lines = lens.iter().sum();
    let places: Vec<String> =
        lens.iter().enumerate().flat_map(|(place, len)| vec![place.to_string(); *len]).collect();
    let places = Template::new().text(format!("{{{}}}", places.join(",")));
    let flight = begin()
        .then(&execute("lock", &[numbers(lines)]))
        .then(&execute("take", &[numbers(lines)]))
        .then(&execute("order", &[id(), id()]))
        .then(&execute("lines", &[id(), places, numbers(lines)]))
        .then(&commit());
    Shape { flight, rows: vec![0, 1, 0, lens.len() as u64, lines as u64, 0], units: lines as u64 }
}

/// So many carts one after the other. Slots: in each statement the first and the last cart.
fn checkouts_shape(batch: u64) -> Shape {
    let both = || [id(), id()];
    let flight = begin().then(&execute("cart", &both()));
    // Who locks one wallet only needs no order.
    let flight = if batch > 1 { flight.then(&execute("lock", &both())) } else { flight };
    let flight = flight
        .then(&execute("pay", &both()))
        .then(&execute("order", &both()))
        .then(&execute("take", &both()))
        .then(&commit());
    let mut rows = vec![0, batch];
    if batch > 1 {
        rows.push(1);
    }
    rows.extend([batch.min(OWNERS), batch, 1, 0]);
    Shape { flight, rows, units: batch }
}

/// Fills in orders with SKUs from the baskets.
fn ordering(mut baskets: Baskets, lens: Vec<Vec<usize>>, first: u64) -> Fill {
    let (mut next, mut skus, mut sorted) = (first, Vec::new(), Vec::new());
    Box::new(move |shapes| {
        let chosen = baskets.choose(shapes.len());
        let (shape, lens) = (&mut shapes[chosen], &lens[chosen]);
        skus.clear();
        for len in lens {
            skus.extend_from_slice(baskets.skus(*len));
        }
        sorted.clone_from(&skus);
        sorted.sort_unstable();
        sorted.dedup();
        // Each row of the stock is touched once, however many orders want it.
        shape.rows[2] = sorted.len() as u64;
        let lines = skus.len();
        for (line, sku) in skus.iter().enumerate() {
            for start in [0, lines, 2 * lines + 3] {
                shape.flight.set(start + line, (*sku).into());
            }
        }
        let orders = lens.len() as u64;
        for (slot, number) in [next, next + orders - 1, next].into_iter().enumerate() {
            shape.flight.set(2 * lines + slot, number);
        }
        next += orders;
        chosen
    })
}

impl Subject for PostgresSales {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        self.fill()?;
        let callers = (0..self.size.connections).map(|index| self.caller(index)).collect();
        let bound = match self.sale {
            Sale::Orders { .. } => self.size.bound,
            Sale::Checkouts { .. } => Bound::Count,
        };
        let load = Load { addr: self.addr, threads: self.size.threads, bound };
        let (mut round, _) = drive(&load, callers)?;
        if let Sale::Orders { batch, .. } = self.sale {
            round.orders = Some(round.answers * batch as u64);
        }
        self.rounds += 1;
        self.units += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let mut client = Client::connect(self.addr)?;
        let table = &self.table;
        let wrong = |detail: String| Error::Books { subject: self.name.clone(), detail };
        let mut sum = |what: &str, from: &str| {
            let text = client.call(&format!("SELECT coalesce(sum({what}), 0) FROM {table}_{from}"))?;
            text.parse::<u64>().map_err(|_| wrong(format!("no number: {text:?}")))
        };
        let gone = sum(&format!("{STOCK} - quantity"), "stock")?;
        let sold = match self.sale {
            Sale::Orders { .. } => sum("quantity", "line")?,
            Sale::Checkouts { .. } => sum("1", "order")?,
        };
        let paid = sum(&format!("{CHARGED} - balance"), "wallet")?;
        let price = if matches!(self.sale, Sale::Checkouts { .. }) { PRICE } else { 0 };
        if (gone, sold, paid) != (self.units, self.units, self.units * price) {
            let detail = format!(
                "{} units were answered, {sold} are sold, {gone} are gone, {paid} is paid",
                self.units
            );
            return Err(wrong(detail));
        }
        let tables = ["stock", "wallet", "cart", "order", "line"].map(|name| format!("{table}_{name}"));
        client.call(&format!("DROP TABLE {}", tables.join(", ")))?;
        Ok(format!("{0} units answered, {0} gone and in orders, {paid} paid", count(self.units)))
    }
}
