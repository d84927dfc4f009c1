//! What pick work costs: bytes each, and the time to claim a piece with few and with many waiting.
//!
//! ```text
//! cargo run --release -p jaego-store --example picks_speed -- 1000000
//! ```
//!
//! The decisions alone, in one thread, without a journal. Bytes are those of the process: what its memory grew by from
//! the same transfers without anything allocated to the same transfers with all of it allocated, its holders included.

use std::{env, fs, time::Instant};

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, AllocateTransfer, Change, ClaimPicks, ClaimPolicy, RequestTransfer, SetLocation,
        SetSite, SetSku, TransferLine,
    },
    limits::QUANTITY_MAX,
    row::{LocationKind, Tracking},
    turn,
};

/// Claims whose time is taken together.
const CLAIMS: usize = 100_000;
/// Pieces of work that wait where few do.
const FEW: usize = 10;
/// Zones of a site; a transfer takes one line from one of them. The few are spread over them evenly.
const ZONES: usize = 5;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

fn zone(number: usize) -> Name {
    Name::new("zone", &format!("zone-{}", number % ZONES)).expect("it is a name")
}

struct Books {
    tables: Memory,
    now: Timestamp,
    transfers: usize,
}

impl Books {
    fn open() -> Self {
        let mut books = Self { tables: Memory::new(), now: Timestamp(1_772_323_200_000), transfers: 0 };
        let (name, strategy) = (Name::default(), Strategy::Fefo);
        for site in ["ICN", "PUS"] {
            let time_zone = TimeZone::new("UTC").expect("it is a zone");
            books.give(Command::SetSite(SetSite {
                site: code(site),
                name: name.clone(),
                time_zone,
                strategy,
            }));
        }
        for number in 0..ZONES {
            let (site, location, sku) =
                (code("ICN"), code(&format!("A-{number}")), code(&format!("sku-{number}")));
            let (zone, kind) = (zone(number), LocationKind::Storage);
            let at =
                SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
            books.give(Command::SetLocation(at));
            let (tracking, safety_stock) = (Tracking::None, Vec::new());
            books.give(Command::SetSku(SetSku {
                sku: sku.clone(),
                name: name.clone(),
                tracking,
                safety_stock,
                prices: Vec::new(),
            }));
            let change = Change::Add(Quantity::stored(QUANTITY_MAX), Outside::Opening);
            let lines = vec![AdjustLine { site, location, sku, lot: None, change }];
            let (id, reason) = (code(&format!("J{number}")), name.clone());
            books.give(Command::Adjust(Adjust { id, reason, lines, release: None }));
        }
        books
    }

    fn give(&mut self, command: Command) {
        let request = Request::new(command, None, code("bench")).expect("it is well formed");
        let mut events = Vec::with_capacity(2);
        turn::submit(&mut self.tables, &request, self.now, &mut events).expect("it is accepted");
    }

    fn id(number: usize) -> Code {
        code(&format!("transfer-{number:08}"))
    }

    fn request(&mut self, count: usize) {
        for _ in 0..count {
            self.transfers += 1;
            let sku = code(&format!("sku-{}", self.transfers % ZONES));
            self.give(Command::RequestTransfer(RequestTransfer {
                id: Self::id(self.transfers),
                from: code("ICN"),
                to: code("PUS"),
                priority: u32::try_from(self.transfers % 5).expect("it is small"),
                lines: vec![TransferLine { line: code("1"), sku, quantity: Quantity::ONE, lot: None }],
            }));
        }
    }

    /// Allocates the last so many transfers.
    fn allocate(&mut self, count: usize) {
        for number in self.transfers - count + 1..=self.transfers {
            let id = Self::id(number);
            let (strategy, partial, lines, dry_run) = (None, true, None, false);
            self.give(Command::AllocateTransfer(AllocateTransfer { id, strategy, partial, lines, dry_run }));
        }
    }

    fn claim(&mut self, policy: ClaimPolicy, zone: Option<Name>, count: usize) {
        let (site, worker) = (code("ICN"), code("ann"));
        self.give(Command::ClaimPicks(ClaimPicks { site, zone, worker, policy, count, lease_ms: None }));
    }

    /// Nanoseconds for each of so many claims, one by one, each made up for by new work that is not counted.
    fn claims_ns(&mut self, policy: ClaimPolicy, in_zones: bool) -> f64 {
        let mut spent = 0.0;
        for _ in 0..CLAIMS / FEW {
            let first = self.transfers + 1;
            let start = Instant::now();
            for number in 0..FEW {
                self.claim(policy, in_zones.then(|| zone(first + number)), 1);
            }
            spent += start.elapsed().as_secs_f64();
            self.request(FEW);
            self.allocate(FEW);
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
    let mut few = Books::open();
    few.request(FEW);
    few.allocate(FEW);
    // Both at once, so that the many are not measured on a warmer or a cooler machine.
    let mut books = Books::open();
    let before = resident();
    books.request(many);
    println!("{many} transfers of one line: {} bytes each", (resident() - before) / many);
    let before = resident();
    let start = Instant::now();
    books.allocate(many);
    let per_transfer = start.elapsed().as_secs_f64() * 1e9 / many as f64;
    println!("allocated: {per_transfer:.0} ns and {} bytes more each", (resident() - before) / many);
    for in_zones in [true, false] {
        let place = if in_zones { "in a zone" } else { "at a site" };
        for policy in ClaimPolicy::ALL {
            let (of_few, of_many) = (few.claims_ns(policy, in_zones), books.claims_ns(policy, in_zones));
            println!(
                "{:<8} {place}: {of_few:.0} ns a claim with {FEW} waiting, {of_many:.0} ns with {many}",
                policy.name()
            );
        }
    }
    let start = Instant::now();
    for _ in 0..CLAIMS / 1_000 {
        books.claim(ClaimPolicy::Oldest, None, 1_000);
    }
    let per_claim = start.elapsed().as_secs_f64() * 1e9 / CLAIMS as f64;
    println!("oldest, 1000 at once: {per_claim:.0} ns a claim");
}
