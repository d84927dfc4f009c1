//! What the writer does for one command: deciding, applying, telling the outcome and encoding the event, and nothing else.
//! Meant to be counted:
//!
//! ```text
//! cargo build --release -p jaego-store --example writer_cost
//! valgrind --tool=callgrind --toggle-collect='*counted*' target/release/examples/writer_cost checkouts 1 1000
//! ```
//!
//! What is counted (`holds`, `checkouts`, or `claims` of 100 orders each), the lines of each document, and how many. `fills` is
//! timed instead: so many orders of so many lines wait for stock, one receipt brings it, and everybody else waits for the steps
//! in which it is given out.

use std::env;

use jaego_domain::{
    Amount, Code, Command, Currency, Memory, Name, Outside, Quantity, Request, Strategy, Tables, TimeZone,
    Timestamp,
    command::{
        Adjust, AdjustLine, Change, Checkout, ClaimOrders, ClaimPolicy, HoldLine, OrderLine, Payment,
        PlaceHold, PlaceOrder, SetCart, SetCartItem, SetLocation, SetSite, SetSku,
    },
    limits::{AMOUNT_MAX, QUANTITY_MAX},
    outcome,
    row::{LocationKind, Tracking},
    turn::{self, Accepted},
};
use jaego_store::codec;
use jaego_testkit::thread_time;

/// Owners of carts, whose wallets pay.
const OWNERS: usize = 1_000;
/// Orders that are claimed at once.
const CLAIMS: usize = 100;
/// Commands between two encodings, as in a turn of the writer.
const FRAME: usize = 32;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

fn won() -> Currency {
    Currency::new("currency", "KRW").expect("it is a currency")
}

fn request(command: Command) -> Request {
    Request::new(command, None, code("bench")).expect("it is well formed")
}

struct Books {
    tables: Memory,
    now: Timestamp,
}

impl Books {
    fn give(&mut self, command: Command) {
        let mut events = Vec::with_capacity(2);
        turn::submit(&mut self.tables, &request(command), self.now, &mut events).expect("it is accepted");
    }

    fn open(skus: usize) -> Self {
        let mut books = Self { tables: Memory::new(), now: Timestamp(1_772_323_200_000) };
        let (site, location, name) = (code("ICN"), code("A-01"), Name::default());
        let time_zone = TimeZone::new("UTC").expect("it is a zone");
        let strategy = Strategy::Fefo;
        books.give(Command::SetSite(SetSite { site: site.clone(), name: name.clone(), time_zone, strategy }));
        let (zone, kind) = (name.clone(), LocationKind::Storage);
        let at = SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
        books.give(Command::SetLocation(at));
        for number in 0..skus {
            let sku = sku(number);
            let (tracking, safety_stock) = (Tracking::None, Vec::new());
            let prices = vec![(won(), Amount::new("price", 12_900).expect("it is an amount"))];
            let (id, name, reason) = (sku.clone(), name.clone(), name.clone());
            books.give(Command::SetSku(SetSku { sku: sku.clone(), name, tracking, safety_stock, prices }));
            let change = Change::Add(Quantity::stored(QUANTITY_MAX), Outside::Opening);
            let (site, location) = (site.clone(), location.clone());
            let lines = vec![AdjustLine { site, location, sku, lot: None, change }];
            books.give(Command::Adjust(Adjust { id, reason, lines, release: None }));
        }
        for number in 0..OWNERS {
            let amount = Amount::new("amount", AMOUNT_MAX / OWNERS as u64).expect("it is an amount");
            let (owner, currency, reason, reference) = (owner(number), won(), name.clone(), None);
            books.give(Command::Charge(Payment { owner, currency, amount, reason, reference }));
        }
        books
    }

    /// The writer's part of these requests.
    #[inline(never)]
    fn counted(&mut self, requests: &[Request], encoder: &mut codec::Encoder) -> usize {
        let mut events = Vec::new();
        let mut told = 0;
        for frame in requests.chunks(FRAME) {
            for request in frame {
                let accepted = turn::submit_for_good(&mut self.tables, request, self.now, &mut events);
                let Ok(Accepted::New(_)) = accepted else { panic!("it is news: {accepted:?}") };
                told += outcome(&self.tables, &events[0]).picks.len();
                events.drain(..).for_each(|event| encoder.push(&event));
            }
        }
        told
    }
}

fn sku(number: usize) -> Code {
    code(&format!("sku-{number:05}"))
}

fn owner(number: usize) -> Code {
    code(&format!("owner-{:09}", number % OWNERS))
}

fn place(id: Code, lines: usize) -> Command {
    let line = |number| OrderLine { sku: sku(number), quantity: Quantity::ONE, lot: None };
    let (site, lines) = (code("ICN"), (0..lines).map(line).collect());
    Command::PlaceOrder(PlaceOrder { id, site, lines, customer: None, priority: 0, backorder: false })
}

/// What giving out a receipt that `count` orders wait for takes, of all of which others wait for the end.
fn fills(lines: usize, count: usize) {
    let mut books = Books::open(0);
    let (name, tracking, safety_stock, prices) = (Name::default(), Tracking::None, Vec::new(), Vec::new());
    for number in 0..lines {
        let (sku, name, safety_stock, prices) =
            (sku(number), name.clone(), safety_stock.clone(), prices.clone());
        books.give(Command::SetSku(SetSku { sku, name, tracking, safety_stock, prices }));
    }
    for number in 0..count {
        let Command::PlaceOrder(order) = place(code(&format!("doc-{number:09}")), lines) else {
            unreachable!()
        };
        books.give(Command::PlaceOrder(PlaceOrder { backorder: true, ..order }));
    }
    let received = |number| AdjustLine {
        site: code("ICN"),
        location: code("A-01"),
        sku: sku(number),
        lot: None,
        change: Change::Add(Quantity::stored(count as u64), Outside::Supplier),
    };
    let (id, lines) = (code("receipt"), (0..lines).map(received).collect());
    let mut steps =
        vec![timed(|| books.give(Command::Adjust(Adjust { id, reason: name, lines, release: None })))];
    while books.tables.owes_stock() {
        steps.push(timed(|| drop(turn::sweep(&mut books.tables, books.now, &mut Vec::new()))));
    }
    let (all, longest) = (steps.iter().sum::<f64>(), steps.iter().copied().fold(0.0, f64::max));
    println!(
        "{count} orders filled in {} steps: {all:.1} ms in all, the longest {longest:.2} ms",
        steps.len()
    );
}

/// Milliseconds of the processor that it took.
fn timed(work: impl FnOnce()) -> f64 {
    let begun = thread_time();
    work();
    (thread_time() - begun).as_secs_f64() * 1e3
}

fn main() {
    let usage = "usage: writer_cost holds|checkouts|claims|fills LINES COUNT";
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, lines, count] = arguments.as_slice() else { panic!("{usage}") };
    let (lines, count): (usize, usize) = (lines.parse().expect(usage), count.parse().expect(usage));
    if what == "fills" {
        return fills(lines, count);
    }
    let mut books = Books::open(lines);
    let id = |number: usize| code(&format!("doc-{number:09}"));
    let requests: Vec<Request> = match what.as_str() {
        "holds" => (0..count)
            .map(|number| {
                let line = |number| HoldLine {
                    site: code("ICN"),
                    sku: sku(number),
                    quantity: Quantity::ONE,
                    location: None,
                    lot: None,
                };
                request(Command::PlaceHold(PlaceHold {
                    id: id(number),
                    owner: None,
                    lines: (0..lines).map(line).collect(),
                    expires_in_ms: None,
                    partial: false,
                    strategy: None,
                }))
            })
            .collect(),
        "checkouts" => (0..count)
            .map(|number| {
                let (id, site, owner) = (id(number), code("ICN"), owner(number));
                books.give(Command::SetCart(SetCart { id: id.clone(), site, owner, hold_s: None }));
                for number in 0..lines {
                    let (id, sku, quantity) = (id.clone(), sku(number), Quantity::ONE);
                    books.give(Command::SetCartItem(SetCartItem { id, sku, quantity }));
                }
                let (currency, expected_total, order) = (won(), None, None);
                request(Command::Checkout(Checkout { id, currency, expected_total, order }))
            })
            .collect(),
        "claims" => {
            (0..count * CLAIMS).for_each(|number| books.give(place(id(number), lines)));
            let claim = || ClaimOrders {
                site: code("ICN"),
                worker: code("ann"),
                policy: ClaimPolicy::Oldest,
                count: CLAIMS,
                lease_ms: None,
            };
            (0..count).map(|_| request(Command::ClaimOrders(claim()))).collect()
        }
        _ => panic!("{usage}"),
    };
    let told = books.counted(&requests, &mut codec::Encoder::new());
    println!("{count} {what} of {lines} lines, {told} picks told");
}
