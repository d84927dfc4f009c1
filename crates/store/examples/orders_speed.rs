//! What waiting orders cost: bytes each, by how many lines they have, and the time to claim one with few and with many
//! waiting.
//!
//! ```text
//! cargo run --release -p jaego-store --example orders_speed -- 1000000
//! ```
//!
//! The decisions alone, in one thread, without a journal. Bytes are those of the process: what its memory grew by.

use std::{env, fs, time::Instant};

use jaego_domain::{
    Amount, Code, Command, Currency, DocumentKey, Memory, Name, Outside, Quantity, Request, Strategy,
    TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, Change, Checkout, ClaimOrders, ClaimPolicy, OrderLine, Payment, PlaceOrder,
        SetCart, SetCartItem, SetLocation, SetOrderAllocation, SetSite, SetSku,
    },
    limits::{AMOUNT_MAX, QUANTITY_MAX},
    row::{LocationKind, OrderAllocation, Tracking},
    turn,
};

/// Claims whose time is taken together.
const CLAIMS: usize = 100_000;
/// Orders that wait where few do.
const FEW: usize = 10;
/// Lines of an order, where it is asked what they cost.
const LINES: [usize; 4] = [1, 2, 3, 10];
/// Of everything there is plenty, but for the last.
const SKUS: [&str; 11] = ["mug", "cup", "tea", "jar", "lid", "pot", "pan", "fork", "bowl", "plate", "kettle"];

/// Of one unit, in won.
const PRICE: u64 = 12_900;
/// Who pays for all.
const OWNER: &str = "owner-000000001";

fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

fn won() -> Currency {
    Currency::new("currency", "KRW").expect("it is a currency")
}

struct Books {
    tables: Memory,
    now: Timestamp,
    orders: usize,
}

impl Books {
    fn open(allocation: OrderAllocation) -> Self {
        let mut books = Self { tables: Memory::new(), now: Timestamp(1_772_323_200_000), orders: 0 };
        let (site, location) = (code("ICN"), code("A-01"));
        let (name, time_zone) = (Name::default(), TimeZone::new("UTC").expect("it is a zone"));
        let strategy = Strategy::Fefo;
        books.give(Command::SetSite(SetSite { site: site.clone(), name: name.clone(), time_zone, strategy }));
        let (zone, kind) = (name.clone(), LocationKind::Storage);
        let at = SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
        books.give(Command::SetLocation(at));
        for sku in SKUS.map(code) {
            let (tracking, safety_stock) = (Tracking::None, Vec::new());
            let prices = vec![(won(), Amount::new("price", PRICE).expect("it is an amount"))];
            let (id, name, reason) = (sku.clone(), name.clone(), name.clone());
            books.give(Command::SetSku(SetSku { sku: sku.clone(), name, tracking, safety_stock, prices }));
            let all = if id == code(SKUS[SKUS.len() - 1]) { 1 } else { QUANTITY_MAX };
            let change = Change::Add(Quantity::stored(all), Outside::Opening);
            let (site, location) = (site.clone(), location.clone());
            let lines = vec![AdjustLine { site, location, sku, lot: None, change }];
            books.give(Command::Adjust(Adjust { id, reason, lines, release: None }));
        }
        books.give(Command::SetOrderAllocation(SetOrderAllocation { site, allocation }));
        let amount = Amount::new("amount", AMOUNT_MAX).expect("it is an amount");
        let (owner, currency, reason, reference) = (code(OWNER), won(), name, None);
        books.give(Command::Charge(Payment { owner, currency, amount, reason, reference }));
        books
    }

    fn give(&mut self, command: Command) {
        let request = Request::new(command, None, code("bench")).expect("it is well formed");
        let mut events = Vec::with_capacity(2);
        turn::fill_up(&mut self.tables, self.now, &mut events);
        turn::submit(&mut self.tables, &request, self.now, &mut events).expect("it is accepted");
    }

    fn place(&mut self, count: usize) {
        self.place_orders(count, &SKUS[..1], false);
    }

    fn place_orders(&mut self, count: usize, skus: &[&str], backorder: bool) {
        for _ in 0..count {
            self.orders += 1;
            let line = |sku: &&str| OrderLine { sku: code(sku), quantity: Quantity::ONE, lot: None };
            let lines = skus.iter().map(line).collect();
            self.give(Command::PlaceOrder(PlaceOrder {
                id: code(&format!("order-{:09}", self.orders)),
                site: code("ICN"),
                lines,
                customer: None,
                priority: u32::try_from(self.orders % 5).expect("it is small"),
                backorder,
            }));
        }
    }

    /// Orders that a customer placed and did not pay for yet, or that were made by checkouts of carts, which leave memory.
    fn sell(&mut self, count: usize, skus: &[&str], paid: bool) {
        for _ in 0..count {
            self.orders += 1;
            let (id, site, owner) = (code(&format!("order-{:09}", self.orders)), code("ICN"), code(OWNER));
            let quantity = Quantity::ONE;
            if !paid {
                let line = |sku: &&str| OrderLine { sku: code(sku), quantity, lot: None };
                let (lines, customer) = (skus.iter().map(line).collect(), Some(owner));
                let (priority, backorder) = (0, false);
                let order = PlaceOrder { id, site, lines, customer, priority, backorder };
                self.give(Command::PlaceOrder(order));
                continue;
            }
            let cart = id;
            self.give(Command::SetCart(SetCart { id: cart.clone(), site, owner, hold_s: None }));
            for sku in skus.iter().map(|sku| code(sku)) {
                self.give(Command::SetCartItem(SetCartItem { id: cart.clone(), sku, quantity }));
            }
            let (currency, expected_total, order) = (won(), None, None);
            let checkout = Checkout { id: cart.clone(), currency, expected_total, order };
            self.give(Command::Checkout(checkout));
            self.tables.take_out(&DocumentKey::Cart(cart));
        }
    }

    fn claim(&mut self, policy: ClaimPolicy, count: usize) {
        let (site, worker) = (code("ICN"), code("ann"));
        self.give(Command::ClaimOrders(ClaimOrders { site, worker, policy, count, lease_ms: None }));
    }

    /// Nanoseconds for each of so many claims, one by one, each made up for by a new order that is not counted.
    fn claims_ns(&mut self, policy: ClaimPolicy) -> f64 {
        let mut spent = 0.0;
        for _ in 0..CLAIMS / FEW {
            let start = Instant::now();
            for _ in 0..FEW {
                self.claim(policy, 1);
            }
            spent += start.elapsed().as_secs_f64();
            self.place(FEW);
        }
        spent * 1e9 / CLAIMS as f64
    }
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("there is a /proc");
    let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it has numbers");
    pages * 4_096
}

fn main() {
    let many: usize = env::args().nth(1).map_or(1_000_000, |count| count.parse().expect("it is a number"));
    // Kept to the end, so that the memory of one is not taken for that of the next.
    let mut measured = Vec::new();
    for allocation in [OrderAllocation::AtCompletion, OrderAllocation::OnArrival] {
        let mut books = Books::open(allocation);
        let before = resident();
        let start = Instant::now();
        books.place(many);
        let per_order = start.elapsed().as_secs_f64() * 1e9 / many as f64;
        let bytes = (resident() - before) / many;
        println!(
            "{}: {many} orders of one line, {per_order:.0} ns and {bytes} bytes each",
            allocation.name()
        );
        for policy in ClaimPolicy::ALL {
            println!("  {:<8} with {many} waiting: {:.0} ns a claim", policy.name(), books.claims_ns(policy));
        }
        for policy in ClaimPolicy::ALL {
            let start = Instant::now();
            for _ in 0..CLAIMS / 1_000 {
                books.claim(policy, 1_000);
            }
            let per_claim = start.elapsed().as_secs_f64() * 1e9 / CLAIMS as f64;
            println!("  {:<8} 1000 at once: {per_claim:.0} ns a claim", policy.name());
        }
        measured.push(books);
    }
    for lines in LINES {
        let kinds = [
            ("that hold nothing", OrderAllocation::AtCompletion, false, &SKUS[..lines]),
            ("that hold all", OrderAllocation::OnArrival, false, &SKUS[..lines]),
            ("of which one waits for stock", OrderAllocation::OnArrival, true, &SKUS[SKUS.len() - lines..]),
        ];
        for (kind, allocation, backorder, skus) in kinds {
            let mut books = Books::open(allocation);
            let before = resident();
            books.place_orders(many, skus, backorder);
            println!("{many} orders of {lines} lines {kind}: {} bytes each", (resident() - before) / many);
            measured.push(books);
        }
    }
    for lines in LINES {
        for (kind, paid) in [("with a customer, that hold all", false), ("that a checkout paid for", true)] {
            let mut books = Books::open(OrderAllocation::OnArrival);
            let before = resident();
            books.sell(many, &SKUS[..lines], paid);
            println!("{many} orders of {lines} lines {kind}: {} bytes each", (resident() - before) / many);
            measured.push(books);
        }
    }
    let mut books = Books::open(OrderAllocation::OnArrival);
    books.place(FEW);
    for policy in ClaimPolicy::ALL {
        println!("{:<8} with {FEW} waiting: {:.0} ns a claim", policy.name(), books.claims_ns(policy));
    }
}
