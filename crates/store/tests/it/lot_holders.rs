//! Who holds something of a lot, where more lines hold of it than a page may look at.

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Query, Request, Strategy, TimeZone, View,
    command::{
        Adjust, AdjustLine, Change, HoldLine, OrderLine, PlaceHold, PlaceOrder, SetLocation, SetLot, SetSite,
        SetSku,
    },
    limits::{LINES_MAX, SCAN_MAX},
    query::{Elsewhere, LotHolder, Page, Shown},
    row::{HolderKind, LocationKind, Tracking},
    turn,
};
use jaego_store::conformance::START;

/// What a page may cost: the holders of the lot that it looks at in vain, and then lines of documents, the last of which may be
/// as large as any.
const COST_MAX: usize = 2 * SCAN_MAX + LINES_MAX + 2_000;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn units(units: usize) -> Quantity {
    Quantity::new("quantity", units as u64).unwrap()
}

fn give(memory: &mut Memory, command: Command) {
    let request = Request::new(command, None, code("tester")).unwrap();
    turn::submit_for_good(memory, &request, START, &mut Vec::new()).unwrap();
}

/// A bin with two lots of milk.
fn dairy() -> Memory {
    let mut memory = Memory::new();
    let (site, name, time_zone) = (code("ICN"), Name::default(), TimeZone::new("UTC").unwrap());
    give(&mut memory, Command::SetSite(SetSite { site, name, time_zone, strategy: Strategy::Fefo }));
    let (site, location, zone, kind) = (code("ICN"), code("A-01"), Name::default(), LocationKind::Storage);
    give(&mut memory, Command::SetLocation(SetLocation { site, location, zone, pick_order: 1, kind }));
    let (name, tracking) = (Name::default(), Tracking::Lot);
    let (safety_stock, prices) = (Vec::new(), Vec::new());
    give(&mut memory, Command::SetSku(SetSku { sku: code("milk"), name, tracking, safety_stock, prices }));
    for lot in ["L1", "L2"] {
        let set =
            SetLot { sku: code("milk"), lot: code(lot), received_on: None, expires_on: None, blocked: false };
        give(&mut memory, Command::SetLot(set));
        let line = AdjustLine {
            site: code("ICN"),
            location: code("A-01"),
            sku: code("milk"),
            lot: Some(code(lot)),
            change: Change::Add(units(10 * LINES_MAX), Outside::Opening),
        };
        let (id, reason, lines) = (code(&format!("opening-{lot}")), Name::default(), vec![line]);
        give(&mut memory, Command::Adjust(Adjust { id, reason, lines, release: None }));
    }
    memory
}

fn hold(memory: &mut Memory, id: &str, lot: &str, lines: usize) {
    let line = || HoldLine {
        site: code("ICN"),
        sku: code("milk"),
        lot: Some(code(lot)),
        location: None,
        quantity: units(1),
    };
    let lines = (0..lines).map(|_| line()).collect();
    let place =
        PlaceHold { id: code(id), owner: None, lines, expires_in_ms: None, partial: false, strategy: None };
    give(memory, Command::PlaceHold(place));
}

fn order(memory: &mut Memory, id: &str, lot: &str) {
    let lines = vec![OrderLine { sku: code("milk"), quantity: units(7), lot: Some(code(lot)) }];
    let (id, site) = (code(id), code("ICN"));
    let place = PlaceOrder { id, site, lines, customer: None, priority: 0, backorder: false };
    give(memory, Command::PlaceOrder(place));
}

/// The holders of the first lot, page by page, and what the dearest page cost.
fn pages(memory: &Memory, limit: usize) -> (Vec<Vec<LotHolder>>, usize) {
    let (mut pages, mut after, mut dearest) = (Vec::new(), None, 0);
    loop {
        let page = Page { after, limit };
        let query = Query::LotHolders { sku: code("milk"), lot: code("L1"), site: None, page };
        match memory.query_with(&query, START, &Elsewhere::default()).unwrap() {
            Shown { view: View::LotHolders(listed), cost } => {
                pages.push(listed.items);
                dearest = dearest.max(cost);
                after = listed.next;
            }
            other => panic!("{other:?}"),
        }
        if after.is_none() {
            return (pages, dearest);
        }
    }
}

fn told(pages: &[Vec<LotHolder>]) -> Vec<Vec<String>> {
    let told = |one: &LotHolder| format!("{} {}", one.id, one.held);
    pages.iter().map(|page| page.iter().map(told).collect()).collect()
}

#[test]
fn a_page_looks_at_so_many_lines_and_the_next_goes_on() {
    let mut memory = dairy();
    order(&mut memory, "O1", "L1");
    hold(&mut memory, "H1", "L1", LINES_MAX);
    order(&mut memory, "O2", "L2");
    hold(&mut memory, "H2", "L1", 1);
    // The holders of the lot are found at its position: one page, which is charged for all it looked at.
    let (found, cost) = pages(&memory, 100);
    assert_eq!(told(&found), [["O1 7", "H1 50000", "H2 1"]]);
    assert!((2 * LINES_MAX..COST_MAX).contains(&cost), "it cost {cost}");
    hold(&mut memory, "H3", "L1", LINES_MAX);
    order(&mut memory, "O3", "L1");
    // They are too many to look at: so are all documents, of which each page sees a part.
    let (found, cost) = pages(&memory, 100);
    assert_eq!(told(&found), [vec!["O1 7", "H1 50000", "H2 1", "H3 50000"], vec!["O3 7"]]);
    assert!((2 * SCAN_MAX..COST_MAX).contains(&cost), "it cost {cost}");
    let (found, _) = pages(&memory, 1);
    assert_eq!(told(&found).concat(), ["O1 7", "H1 50000", "H2 1", "H3 50000", "O3 7"]);
    assert_eq!(found[0][0].kind, HolderKind::Order);
}
