//! Tables that grow do so piece by piece: no command pays for all that came before it.

use std::time::Duration;

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone,
    command::{
        Adjust, AdjustLine, Change, HoldLine, OrderLine, PlaceHold, PlaceOrder, SetLocation, SetLot, SetSite,
        SetSku,
    },
    row::{LocationKind, Tracking},
    turn,
};
use jaego_store::conformance::START;
use jaego_testkit::{size, thread_time};

/// How many of each kind come: holds with a key, an owner and an expiry, so that each table of holds grows, then others.
const COUNT: u64 = 300_000;
const COUNT_SOAK: u64 = 5_000_000;
/// Processor time that one of them may take. A table of 229,376 keys in one piece was seen to take 15 ms to grow.
const ONE_MAX: Duration = Duration::from_millis(5);
/// How often all of it is tried.
const TRIES: usize = 3;
const SKUS: u64 = 1_000;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn give(memory: &mut Memory, command: Command) {
    let request = Request::new(command, None, code("tester")).unwrap();
    turn::submit_for_good(memory, &request, START, &mut Vec::new()).unwrap();
}

fn stocked() -> Memory {
    let mut memory = Memory::new();
    let (site, location) = (code("ICN"), code("A-01"));
    let time_zone = TimeZone::new("UTC").unwrap();
    let name = Name::default();
    let set = SetSite { site: site.clone(), name: name.clone(), time_zone, strategy: Strategy::Fifo };
    give(&mut memory, Command::SetSite(set));
    let (zone, kind) = (Name::default(), LocationKind::Storage);
    let set = SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
    give(&mut memory, Command::SetLocation(set));
    let mut lines = Vec::new();
    for number in 0..SKUS {
        let sku = code(&format!("S{number}"));
        let (safety_stock, prices) = (Vec::new(), Vec::new());
        let set =
            SetSku { sku: sku.clone(), name: name.clone(), tracking: Tracking::None, safety_stock, prices };
        give(&mut memory, Command::SetSku(set));
        let change = Change::Add(Quantity::new("quantity", COUNT_SOAK * 2).unwrap(), Outside::Opening);
        lines.push(AdjustLine { site: site.clone(), location: location.clone(), sku, lot: None, change });
    }
    give(&mut memory, Command::Adjust(Adjust { id: code("opening"), reason: name, lines, release: None }));
    memory
}

fn place_hold(number: u64) -> Command {
    let line = HoldLine {
        site: code("ICN"),
        sku: code(&format!("S{}", number % SKUS)),
        quantity: Quantity::ONE,
        location: None,
        lot: None,
    };
    Command::PlaceHold(PlaceHold {
        id: code(&format!("hold-{number}")),
        owner: Some(code(&format!("owner-{number}"))),
        lines: [line].into_iter().collect(),
        expires_in_ms: Some(3_600_000 + number),
        partial: false,
        strategy: None,
    })
}

fn set_sku(number: u64, tracking: Tracking) -> Command {
    let safety_stock = vec![(code("ICN"), Quantity::ONE)];
    let sku = code(&format!("new-{number}"));
    Command::SetSku(SetSku { sku, name: Name::default(), tracking, safety_stock, prices: Vec::new() })
}

fn set_lot(number: u64) -> Command {
    let (sku, lot) = (code("new-0"), code(&format!("lot-{number}")));
    Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked: false })
}

fn place_order(number: u64) -> Command {
    let line = OrderLine { sku: code(&format!("S{}", number % SKUS)), quantity: Quantity::ONE, lot: None };
    Command::PlaceOrder(PlaceOrder {
        id: code(&format!("order-{number}")),
        site: code("ICN"),
        lines: vec![line],
        customer: None,
        priority: 0,
        backorder: false,
    })
}

/// Gives so many commands of a kind, and says which took longest of the processor's time, and how long.
fn longest(
    memory: &mut Memory,
    count: u64,
    keyed: bool,
    command: impl Fn(u64) -> Command,
) -> (Duration, u64) {
    let mut events = Vec::new();
    let mut longest = (Duration::ZERO, 0);
    for number in 0..count {
        let key = keyed.then(|| code(&format!("key-{number}")));
        let request = Request::new(command(number), key, code("tester")).unwrap();
        let begun = thread_time();
        turn::submit_for_good(memory, &request, START, &mut events).unwrap();
        longest = longest.max((thread_time() - begun, number));
        events.clear();
    }
    longest
}

/// Fills a table after the other. What one command took of the processor beyond [`ONE_MAX`] is told.
fn grow_all() -> Result<(), String> {
    let mut memory = stocked();
    let count = size(COUNT, COUNT_SOAK);
    give(&mut memory, set_sku(0, Tracking::Lot));
    let mut grow = |what: &str, keyed: bool, command: &dyn Fn(u64) -> Command| {
        let (took, number) = longest(&mut memory, count, keyed, command);
        println!("of {count} {what}, number {number} took longest: {took:?}");
        (took <= ONE_MAX)
            .then_some(())
            .ok_or_else(|| format!("of {count} {what}, number {number} took {took:?} of the processor"))
    };
    grow("holds", true, &place_hold)?;
    grow("orders", false, &place_order)?;
    grow("lots", false, &set_lot)?;
    grow("SKUs", false, &|number| set_sku(number + 1, Tracking::None))
}

/// A table that grows in one piece takes its time whenever it is filled. What the machine takes from one command, in
/// between and in the name of the thread, does not come three times in a row.
#[test]
fn no_command_pays_for_the_growth_of_a_whole_table() {
    let tries: Vec<_> = (0..TRIES).map_while(|_| grow_all().err()).collect();
    assert!(tries.len() < TRIES, "{tries:?}");
}
