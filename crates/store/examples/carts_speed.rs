//! What open carts cost: bytes each, with and without what they hold, and the time to fill and to check one out.
//!
//! ```text
//! cargo run --release -p jaego-store --example carts_speed -- 1000000
//! ```
//!
//! The decisions alone, in one thread, without a journal. Bytes are those of the process: what its memory grew by. Carts
//! have three items of one unit, or as many as a second number says (1 to 10). What their
//! holds cost is told by holds of the same lines beside them.

use std::{env, fs, time::Instant};

use jaego_domain::{
    Amount, Code, Command, Currency, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, Change, Checkout, HoldLine, Payment, PlaceHold, SetCart, SetCartItem,
        SetLocation, SetSite, SetSku,
    },
    limits::{AMOUNT_MAX, QUANTITY_MAX},
    row::{LocationKind, Tracking},
    turn,
};

const SKUS: [&str; 10] = ["mug", "cup", "tea", "jar", "lid", "pot", "pan", "fork", "bowl", "plate"];
/// Checkouts whose time is taken together.
const CHECKOUTS: usize = 100_000;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

fn won() -> Currency {
    Currency::new("currency", "KRW").expect("it is a currency")
}

struct Books {
    tables: Memory,
    now: Timestamp,
}

impl Books {
    fn open() -> Self {
        let mut books = Self { tables: Memory::new(), now: Timestamp(1_772_323_200_000) };
        let (site, location, name) = (code("ICN"), code("A-01"), Name::default());
        let (time_zone, strategy) = (TimeZone::new("UTC").expect("it is a zone"), Strategy::Fefo);
        books.give(Command::SetSite(SetSite { site: site.clone(), name: name.clone(), time_zone, strategy }));
        let (zone, kind) = (name.clone(), LocationKind::Storage);
        let at = SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
        books.give(Command::SetLocation(at));
        for sku in SKUS {
            let (tracking, safety_stock) = (Tracking::None, Vec::new());
            let prices = vec![(won(), Amount::new("price", 1).expect("it is an amount"))];
            let sku = code(sku);
            let set = SetSku { sku: sku.clone(), name: name.clone(), tracking, safety_stock, prices };
            books.give(Command::SetSku(set));
            let all = Change::Add(Quantity::stored(QUANTITY_MAX), Outside::Opening);
            let (site, location) = (site.clone(), location.clone());
            let lines = vec![AdjustLine { site, location, sku: sku.clone(), lot: None, change: all }];
            let reason = name.clone();
            books.give(Command::Adjust(Adjust { id: sku, reason, lines, release: None }));
        }
        let amount = Amount::new("amount", AMOUNT_MAX).expect("it is an amount");
        let (owner, reference) = (code("owner-000000001"), None);
        books.give(Command::Charge(Payment { owner, currency: won(), amount, reason: name, reference }));
        books
    }

    fn give(&mut self, command: Command) {
        let request = Request::new(command, None, code("bench")).expect("it is well formed");
        let mut events = Vec::with_capacity(2);
        turn::submit_for_good(&mut self.tables, &request, self.now, &mut events).expect("it is accepted");
    }

    fn fill_carts(&mut self, count: usize, items: usize, hold_s: Option<u32>) {
        for cart in 1..=count {
            let id = code(&format!("cart-{cart:010}"));
            let owner = code(&format!("owner-{:09}", if cart <= CHECKOUTS { 1 } else { cart }));
            self.give(Command::SetCart(SetCart { id: id.clone(), site: code("ICN"), owner, hold_s }));
            for sku in &SKUS[..items] {
                let (id, sku, quantity) = (id.clone(), code(sku), Quantity::ONE);
                self.give(Command::SetCartItem(SetCartItem { id, sku, quantity }));
            }
        }
    }

    /// On its own, so that a profiler can be told to look at nothing else.
    #[inline(never)]
    fn check_out(&mut self, count: usize) {
        for cart in 1..=count {
            let id = code(&format!("cart-{cart:010}"));
            let (currency, expected_total, order) = (won(), None, None);
            self.give(Command::Checkout(Checkout { id, currency, expected_total, order }));
        }
    }

    #[inline(never)]
    fn place_holds(&mut self, count: usize, items: usize) {
        for hold in 1..=count {
            let line = |sku: &str| {
                let (site, sku, quantity) = (code("ICN"), code(sku), Quantity::ONE);
                HoldLine { site, sku, quantity, location: None, lot: None }
            };
            let (id, lines) =
                (code(&format!("cart-{hold:010}")), SKUS[..items].iter().map(|sku| line(sku)).collect());
            let (owner, expires_in_ms, partial, strategy) = (None, Some(600_000), false, None);
            self.give(Command::PlaceHold(PlaceHold { id, owner, lines, expires_in_ms, partial, strategy }));
        }
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
    let items: usize = env::args().nth(2).map_or(3, |items| items.parse().expect("it is a number"));
    // Kept to the end, so that the memory of one is not taken for that of the next.
    let mut measured = Vec::new();
    for hold_s in [None, Some(600)] {
        let mut books = Books::open();
        let before = resident();
        let start = Instant::now();
        books.fill_carts(many, items, hold_s);
        let per_cart = start.elapsed().as_secs_f64() * 1e9 / many as f64;
        let bytes = (resident() - before) / many;
        let held = if hold_s.is_some() { "held" } else { "not held" };
        println!("{many} carts of {items} items, {held}: {per_cart:.0} ns and {bytes} bytes each");
        let checkouts = CHECKOUTS.min(many);
        let start = Instant::now();
        books.check_out(checkouts);
        let per_checkout = start.elapsed().as_secs_f64() * 1e9 / checkouts as f64;
        println!("  {per_checkout:.0} ns a checkout");
        measured.push(books);
    }
    let mut books = Books::open();
    let before = resident();
    books.place_holds(many, items);
    println!("{many} holds of the same lines: {} bytes each", (resident() - before) / many);
    measured.push(books);
}
