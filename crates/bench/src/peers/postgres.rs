//! PostgreSQL: the ways in which applications sell from a table without overselling.

use std::io;
use std::net::SocketAddr;

use crate::Error;
use crate::draw::{Draw, Skew};
use crate::load::{Bound, Caller, Heard, Load, Round, drive};
use crate::peers::{ID_DIGITS, IDS_PER_CONNECTION, SKU_DIGITS, STOCK};
use crate::pgwire::{Answer, AnswerReader, Client, execute, greet, sync};
use crate::subject::{Size, Subject, share};
use crate::template::Template;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostgresWork {
    /// One conditional update, committed by itself: a round trip.
    Update,
    /// A conditional update and the insert of an order in one transaction: two round trips, as the application
    /// looks at the first answer before it goes on.
    UpdateInsert,
    /// `SELECT … FOR UPDATE`, the decision in the application, the update: two round trips.
    SelectForUpdate,
    /// So many orders at once, as two set-based statements in one transaction.
    Batch(usize),
    /// One transfer of so many lines: a conditional update for each line, a round trip each, in one transaction.
    TransferByLine(usize),
    /// One transfer of so many lines as two set-based statements (lock in order, then allocate what there is) in
    /// one transaction and one round trip.
    TransferAtOnce(usize),
}

/// PostgreSQL at one kind of work.
#[derive(Debug)]
pub(crate) struct PostgresSubject {
    name: String,
    addr: SocketAddr,
    /// What its tables are called after.
    table: String,
    work: PostgresWork,
    skus: u32,
    draw: Draw,
    size: Size,
    /// Pieces of work in a round that is not bounded by time.
    pieces: u64,
    rounds: u64,
    units: u64,
}

impl PostgresSubject {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one setting of the same subject, named at its only callers"
    )]
    pub(crate) fn new(
        name: String,
        addr: SocketAddr,
        table: &str,
        work: PostgresWork,
        skus: u32,
        size: Size,
        pieces: u64,
        (skew, seed): (Skew, u64),
    ) -> Result<Self, Error> {
        let mut client = Client::connect(addr)?;
        // Half-empty pages let an update stay on its page and leave the index alone.
        client.call(&format!(
            "CREATE TABLE {table}_stock (id int PRIMARY KEY, quantity bigint NOT NULL CHECK (quantity >= 0)) \
             WITH (fillfactor = 50)"
        ))?;
        client.call(&format!(
            "CREATE TABLE {table}_order (id bigint, sku int NOT NULL, quantity bigint NOT NULL, PRIMARY KEY (id, sku))"
        ))?;
        client.call(&format!(
            "INSERT INTO {table}_stock SELECT id, {STOCK} FROM generate_series(0, {}) id",
            skus - 1
        ))?;
        client.call(&format!("VACUUM ANALYZE {table}_stock"))?;
        let draw = Draw::new(skus, skew, seed);
        let table = table.to_owned();
        Ok(Self { name, addr, table, work, skus, draw, size, pieces, rounds: 0, units: 0 })
    }

    /// The statements, as the reports show them.
    pub(crate) fn statements(&self) -> Vec<(&'static str, String)> {
        let table = &self.table;
        let update =
            format!("UPDATE {table}_stock SET quantity = quantity - 1 WHERE id = $1 AND quantity >= 1");
        let begin = ("begin", "BEGIN".to_owned());
        let commit = ("commit", "COMMIT".to_owned());
        let lock = format!(
            "SELECT count(*) FROM (SELECT FROM {table}_stock WHERE id = ANY ($1::int[]) ORDER BY id FOR UPDATE) locked"
        );
        match self.work {
            PostgresWork::Update => vec![("update", update)],
            PostgresWork::UpdateInsert => vec![
                begin,
                ("update", update),
                ("insert", format!("INSERT INTO {table}_order VALUES ($1, $2, 1)")),
                commit,
            ],
            PostgresWork::SelectForUpdate => vec![
                begin,
                ("select", format!("SELECT quantity FROM {table}_stock WHERE id = $1 FOR UPDATE")),
                ("update", format!("UPDATE {table}_stock SET quantity = $2 WHERE id = $1")),
                commit,
            ],
            PostgresWork::Batch(_) => vec![
                begin,
                ("lock", lock),
                (
                    "update",
                    format!(
                        "UPDATE {table}_stock stock SET quantity = stock.quantity - wanted.quantity \
                         FROM (SELECT id, count(*) AS quantity FROM unnest($1::int[]) id GROUP BY id) wanted \
                         WHERE stock.id = wanted.id AND stock.quantity >= wanted.quantity"
                    ),
                ),
                (
                    "insert",
                    format!(
                        "INSERT INTO {table}_order \
                         SELECT $2::bigint + line, sku, 1 FROM unnest($1::int[]) WITH ORDINALITY wanted(sku, line)"
                    ),
                ),
                commit,
            ],
            PostgresWork::TransferByLine(_) => vec![
                begin,
                ("update", update),
                (
                    "insert",
                    format!("INSERT INTO {table}_order SELECT $2::bigint, sku, 1 FROM unnest($1::int[]) sku"),
                ),
                commit,
            ],
            PostgresWork::TransferAtOnce(_) => vec![
                begin,
                ("lock", lock),
                (
                    "allocate",
                    format!(
                        "WITH taken AS (SELECT id, least(quantity, 1) AS quantity FROM {table}_stock \
                         WHERE id = ANY ($1::int[])), \
                         booked AS (UPDATE {table}_stock stock SET quantity = stock.quantity - taken.quantity \
                         FROM taken WHERE stock.id = taken.id) \
                         INSERT INTO {table}_order SELECT $2::bigint, id, quantity FROM taken"
                    ),
                ),
                commit,
            ],
        }
    }

    fn caller(&self, index: usize) -> PostgresCaller {
        let callers = self.size.connections;
        let mut draw = self.draw.share(index, callers);
        draw.skip(self.rounds);
        PostgresCaller {
            statements: self.statements(),
            work: self.work,
            flights: flights(self.work),
            flight: 0,
            line: 0,
            draw,
            skus: Vec::new(),
            distinct: 0,
            next_id: (self.rounds * callers as u64 + index as u64) * IDS_PER_CONNECTION,
            left: match self.size.bound {
                Bound::Time { .. } => u64::MAX,
                Bound::Count => share(self.pieces, index, callers),
            },
            reader: AnswerReader::default(),
        }
    }
}

impl Subject for PostgresSubject {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn round(&mut self) -> Result<Round, Error> {
        let callers = (0..self.size.connections).map(|index| self.caller(index)).collect();
        let load = Load { addr: self.addr, threads: self.size.threads, bound: self.size.bound };
        let (round, _) = drive(&load, callers)?;
        self.rounds += 1;
        self.units += round.units_in_all;
        Ok(round)
    }

    fn check(&mut self) -> Result<String, Error> {
        let mut client = Client::connect(self.addr)?;
        let wrong = |detail: String| Error::Books { subject: self.name.clone(), detail };
        let table = &self.table;
        let number = |text: String| text.parse::<i64>().map_err(|_| wrong(format!("no number: {text:?}")));
        let taken = number(client.call(&format!("SELECT sum({STOCK} - quantity) FROM {table}_stock"))?)?;
        let least = number(client.call(&format!("SELECT min(quantity) FROM {table}_stock"))?)?;
        let answered = i64::try_from(self.units).unwrap_or(i64::MAX);
        if taken != answered || least < 0 {
            return Err(wrong(format!(
                "{answered} units were answered, {taken} are gone, the least stock is {least}"
            )));
        }
        if !matches!(self.work, PostgresWork::Update | PostgresWork::SelectForUpdate) {
            let sum = format!("SELECT coalesce(sum(quantity), 0) FROM {table}_order");
            let ordered = number(client.call(&sum)?)?;
            if ordered != answered {
                return Err(wrong(format!("{answered} units were answered and {ordered} are in orders")));
            }
        }
        client.call(&format!("DROP TABLE {table}_stock, {table}_order"))?;
        Ok(format!("{answered} units answered, {taken} gone from {} rows, none below zero", self.skus))
    }
}

/// What is sent together and answered together. The slots are numbers, in the order of their places.
fn flights(work: PostgresWork) -> Vec<Template> {
    let sku = || Template::new().number(SKU_DIGITS);
    let id = || Template::new().number(ID_DIGITS);
    let array = |len: usize| {
        let start = Template::new().text("{").number(SKU_DIGITS);
        (1..len).fold(start, |array, _| array.text(",").number(SKU_DIGITS)).text("}")
    };
    let flight = |messages: &[Template]| {
        messages.iter().fold(Template::new(), |flight, message| flight.then(message)).then(&sync())
    };
    let begin = || execute("begin", &[]);
    let commit = || execute("commit", &[]);
    match work {
        PostgresWork::Update => vec![flight(&[execute("update", &[sku()])])],
        PostgresWork::UpdateInsert => vec![
            flight(&[begin(), execute("update", &[sku()])]),
            flight(&[execute("insert", &[id(), sku()]), commit()]),
        ],
        PostgresWork::SelectForUpdate => vec![
            flight(&[begin(), execute("select", &[sku()])]),
            flight(&[execute("update", &[sku(), id()]), commit()]),
        ],
        PostgresWork::Batch(holds) => vec![
            flight(&[begin(), execute("lock", &[array(holds)]), execute("update", &[array(holds)])]),
            flight(&[execute("insert", &[array(holds), id()]), commit()]),
        ],
        PostgresWork::TransferByLine(lines) => vec![
            flight(&[begin(), execute("update", &[sku()])]),
            flight(&[execute("update", &[sku()])]),
            flight(&[execute("insert", &[array(lines), id()]), commit()]),
        ],
        PostgresWork::TransferAtOnce(lines) => vec![flight(&[
            begin(),
            execute("lock", &[array(lines)]),
            execute("allocate", &[array(lines), id()]),
            commit(),
        ])],
    }
}

struct PostgresCaller {
    statements: Vec<(&'static str, String)>,
    work: PostgresWork,
    flights: Vec<Template>,
    /// Which flight is under way, and of a transfer by line, which line.
    flight: usize,
    line: usize,
    draw: Draw,
    /// The SKUs of this piece of work.
    skus: Vec<u32>,
    distinct: u64,
    next_id: u64,
    left: u64,
    reader: AnswerReader,
}

impl PostgresCaller {
    fn len(&self) -> usize {
        match self.work {
            PostgresWork::Update | PostgresWork::UpdateInsert | PostgresWork::SelectForUpdate => 1,
            PostgresWork::Batch(len)
            | PostgresWork::TransferByLine(len)
            | PostgresWork::TransferAtOnce(len) => len,
        }
    }

    /// Fills the numbers of a flight: its SKUs from slot `from`.
    fn fill(&mut self, flight: usize, from: usize) {
        for (slot, sku) in self.skus.iter().enumerate() {
            self.flights[flight].set(from + slot, (*sku).into());
        }
    }

    /// Makes the second flight of a single piece of work ready, now that the first one was answered.
    fn go_on(&mut self, answer: &Answer) -> Heard {
        let sku = u64::from(self.skus[0]);
        match self.work {
            PostgresWork::UpdateInsert if answer.rows == [0, 1] => {
                self.flights[1].set(0, self.next_id);
                self.flights[1].set(1, sku);
            }
            PostgresWork::SelectForUpdate => {
                let quantity =
                    answer.value.as_deref().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                let Some(left) = quantity.and_then(|quantity: u64| quantity.checked_sub(1)) else {
                    return Heard::Unexpected("out of stock".to_owned());
                };
                self.flights[1].set(0, sku);
                self.flights[1].set(1, left);
            }
            PostgresWork::Batch(holds) if answer.rows == [0, 1, self.distinct] => {
                self.fill(1, 0);
                self.flights[1].set(holds, self.next_id);
            }
            PostgresWork::TransferByLine(lines) if answer.rows.last() == Some(&1) => {
                self.line += 1;
                if self.line < lines {
                    self.flights[1].set(0, self.skus[self.line].into());
                    self.flight = 1;
                } else {
                    self.fill(2, 0);
                    self.flights[2].set(lines, self.next_id);
                    self.flight = 2;
                }
                return Heard::More;
            }
            _ => return Heard::Broken(format!("rows touched: {:?}", answer.rows)),
        }
        self.flight = 1;
        Heard::More
    }
}

impl Caller for PostgresCaller {
    fn greet(&mut self, stream: &mut std::net::TcpStream) -> io::Result<()> {
        let statements: Vec<(&str, &str)> =
            self.statements.iter().map(|(name, sql)| (*name, sql.as_str())).collect();
        greet(stream, &statements)
    }

    fn ask(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let len = self.len();
        self.skus.clear();
        for _ in 0..len {
            self.skus.push(self.draw.next());
        }
        // Locks are taken in one order by everybody, so that nobody ends in a deadlock.
        self.skus.sort_unstable();
        self.distinct = 1 + self.skus.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
        self.next_id += len as u64;
        (self.flight, self.line) = (0, 0);
        match self.work {
            PostgresWork::TransferByLine(_) => self.flights[0].set(0, self.skus[0].into()),
            PostgresWork::Batch(_) => {
                self.fill(0, 0);
                self.fill(0, len);
            }
            PostgresWork::TransferAtOnce(_) => {
                self.fill(0, 0);
                self.fill(0, len);
                self.flights[0].set(2 * len, self.next_id);
            }
            _ => self.fill(0, 0),
        }
        true
    }

    fn request(&self) -> &[u8] {
        self.flights[self.flight].bytes()
    }

    fn hear(&mut self, received: &[u8]) -> Heard {
        let answer = match self.reader.read(received) {
            Err(detail) => return Heard::Broken(detail),
            Ok(None) => return Heard::Partial,
            Ok(Some(answer)) => answer,
        };
        if let Some(error) = answer.error {
            // Inside a transaction the connection would be of no use any more, and none is expected.
            return if self.flights.len() == 1 { Heard::Unexpected(error) } else { Heard::Broken(error) };
        }
        if self.flight + 1 < self.flights.len() {
            return self.go_on(&answer);
        }
        let len = self.len() as u64;
        let expected = match self.work {
            PostgresWork::Update => answer.rows == [1],
            PostgresWork::UpdateInsert | PostgresWork::SelectForUpdate => answer.rows == [1, 0],
            PostgresWork::Batch(_) | PostgresWork::TransferByLine(_) => answer.rows == [len, 0],
            PostgresWork::TransferAtOnce(_) => answer.rows == [0, 1, len, 0],
        };
        if expected {
            Heard::Done(len)
        } else {
            Heard::Unexpected(format!("rows touched: {:?}", answer.rows))
        }
    }
}
