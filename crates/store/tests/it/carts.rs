//! Carts in numbers: many picks in one item, and more than one decision could give up again.

use std::time::Duration;

use jaego_domain::{
    Amount, Code, Command, Currency, Memory, Name, Outside, Quantity, Query, Refusal, Request, Strategy,
    Tables, TimeZone, View,
    command::{
        Adjust, AdjustLine, CancelOrder, Change, Checkout, Payment, SetCart, SetCartItem, SetLocation,
        SetLot, SetSite, SetSku,
    },
    limits::{LINES_MAX, PARTS_MAX},
    query::Page,
    row::{LocationKind, Tracking},
    turn,
};
use jaego_store::conformance::START;
use jaego_testkit::thread_time;

/// Serial numbers of each of two SKUs: one fits into a decision, both do not.
const SERIALS: usize = PARTS_MAX / 2 + 1_000;
/// Where every pick looked at all others it would take a minute.
const SOON: Duration = Duration::from_secs(10);

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn give(memory: &mut Memory, command: Command) -> Result<(), Refusal> {
    let request = Request::new(command, None, code("tester")).unwrap();
    turn::submit_for_good(memory, &request, START, &mut Vec::new()).map(|_| ())
}

fn item(sku: &str, quantity: usize) -> Command {
    let quantity = Quantity::new("quantity", quantity as u64).unwrap();
    Command::SetCartItem(SetCartItem { id: code("C1"), sku: code(sku), quantity })
}

/// Carts of 500 items are listed in a few times as long as those of one at the most: it would take hundreds of times as long if
/// their items were unpacked.
#[test]
fn carts_are_listed_without_their_items() {
    const CARTS: usize = 50;
    const TIMES: usize = 50;
    const FACTOR_MAX: u32 = 8;
    let [few, many] = [1, 500].map(|items| {
        let mut memory = Memory::new();
        let (site, name) = (code("ICN"), Name::default());
        let (time_zone, strategy) = (TimeZone::new("UTC").unwrap(), Strategy::Fifo);
        let set = SetSite { site: site.clone(), name: name.clone(), time_zone, strategy };
        give(&mut memory, Command::SetSite(set)).unwrap();
        for item in 0..items {
            let (sku, tracking) = (code(&format!("sku-{item}")), Tracking::None);
            let set = SetSku { sku, name: name.clone(), tracking, safety_stock: vec![], prices: vec![] };
            give(&mut memory, Command::SetSku(set)).unwrap();
        }
        for cart in 0..CARTS {
            let (id, owner) = (code(&format!("C{cart}")), code("kim"));
            let set = SetCart { id: id.clone(), site: site.clone(), owner, hold_s: None };
            give(&mut memory, Command::SetCart(set)).unwrap();
            for item in 0..items {
                let (sku, quantity) = (code(&format!("sku-{item}")), Quantity::ONE);
                give(&mut memory, Command::SetCartItem(SetCartItem { id: id.clone(), sku, quantity }))
                    .unwrap();
            }
        }
        let list = || {
            let begun = thread_time();
            let page = Page { after: None, limit: CARTS };
            let query = Query::Carts { site: None, owner: Some(code("kim")), page };
            let Ok(View::Carts(list)) = memory.query(&query, START) else { panic!("carts were asked for") };
            assert_eq!(list.items.len(), CARTS);
            assert!(list.items.iter().all(|cart| cart.item_count == items));
            thread_time() - begun
        };
        (0..TIMES).map(|_| list()).min().unwrap()
    });
    println!("{few:?} with one item, {many:?} with 500");
    assert!(many < few * FACTOR_MAX, "{few:?}, then {many:?}");
}

#[test]
fn a_cart_holds_as_many_serial_numbers_as_one_decision_can_give_up() {
    let mut memory = Memory::new();
    let (site, location, name) = (code("ICN"), code("A-01"), Name::default());
    let (time_zone, krw) = (TimeZone::new("UTC").unwrap(), Currency::new("currency", "KRW").unwrap());
    let set = SetSite { site: site.clone(), name: name.clone(), time_zone, strategy: Strategy::Fifo };
    give(&mut memory, Command::SetSite(set)).unwrap();
    let (zone, kind) = (Name::default(), LocationKind::Storage);
    let set = SetLocation { site: site.clone(), location: location.clone(), zone, pick_order: 1, kind };
    give(&mut memory, Command::SetLocation(set)).unwrap();
    for sku in ["phone", "watch"] {
        let set = SetSku {
            sku: code(sku),
            name: name.clone(),
            tracking: Tracking::Serial,
            safety_stock: Vec::new(),
            prices: vec![(krw, Amount::new("price", 1).unwrap())],
        };
        give(&mut memory, Command::SetSku(set)).unwrap();
        let lots: Vec<Code> = (0..SERIALS).map(|number| code(&format!("N{number}"))).collect();
        for lot in &lots {
            let (sku, lot) = (code(sku), lot.clone());
            let set = SetLot { sku, lot, received_on: None, expires_on: None, blocked: false };
            give(&mut memory, Command::SetLot(set)).unwrap();
        }
        for (number, lots) in lots.chunks(LINES_MAX).enumerate() {
            let line = |lot: &Code| AdjustLine {
                site: site.clone(),
                location: location.clone(),
                sku: code(sku),
                lot: Some(lot.clone()),
                change: Change::Add(Quantity::ONE, Outside::Supplier),
            };
            let (id, reason) = (code(&format!("{sku}-{number}")), Name::default());
            let lines = lots.iter().map(line).collect();
            give(&mut memory, Command::Adjust(Adjust { id, reason, lines, release: None })).unwrap();
        }
    }
    let set = SetCart { id: code("C1"), site, owner: code("kim"), hold_s: Some(600) };
    give(&mut memory, Command::SetCart(set)).unwrap();

    let begun = thread_time();
    give(&mut memory, item("phone", SERIALS)).unwrap();
    let took = thread_time() - begun;
    assert!(took < SOON, "{SERIALS} serial numbers were held in {took:?}");
    // Its two items and what they hold have to fit: they are parts of the order that it becomes.
    let watches = PARTS_MAX - 2 - SERIALS;
    let refused = Refusal::TooManyParts { parts: PARTS_MAX + 1, max: PARTS_MAX };
    assert_eq!(give(&mut memory, item("watch", watches + 1)), Err(refused));
    give(&mut memory, item("watch", watches)).unwrap();
    assert_eq!(memory.cart_part_count(&code("C1")), PARTS_MAX);
    let amount = Amount::new("amount", PARTS_MAX as u64).unwrap();
    let charge =
        Payment { owner: code("kim"), currency: krw, amount, reason: Name::default(), reference: None };
    give(&mut memory, Command::Charge(charge)).unwrap();
    let (id, order, expected_total) = (code("C1"), None, None);
    give(&mut memory, Command::Checkout(Checkout { id, order, currency: krw, expected_total })).unwrap();
    assert_eq!(memory.cart_part_count(&code("C1")), 2, "the order holds it all");
    assert_eq!(memory.order_pick_count(&code("C1")), PARTS_MAX - 2);
    give(&mut memory, Command::CancelOrder(CancelOrder { id: code("C1") })).unwrap();
}
