//! Pages of positions of a SKU that has very many: each in its turn, none for more than it shows, and all that was looked at
//! is charged.

use std::time::Duration;

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Place, Quantity, Query, Request, Strategy, Tables, TimeZone, View,
    command::{Adjust, AdjustLine, Change, SetLocation, SetLot, SetSite, SetSku},
    limits::PAGE_MAX,
    query::{Elsewhere, Listed, Page, PositionView, Shown},
    row::{LocationKind, Tracking},
    turn,
};
use jaego_store::conformance::START;
use jaego_testkit::thread_time;

const SITES: [&str; 2] = ["ICN", "PUS"];
const LOCATIONS: usize = 10;
/// Serial numbers at each site.
const SERIALS: usize = 50_000;
const ALL: usize = SITES.len() * SERIALS;
/// Pages of one position, and the processor time for all of them: far less than to look at all positions for each page.
const PAGES: usize = 1_000;
const PAGES_TIME_MAX: Duration = Duration::from_millis(500);
/// What a page is charged that looks at few positions.
const FEW: usize = 2_000;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn give(memory: &mut Memory, command: Command) {
    let request = Request::new(command, None, code("tester")).unwrap();
    turn::submit_for_good(memory, &request, START, &mut Vec::new()).unwrap();
}

/// A bike of each serial number: in turn at the locations of a site, which were made known in turn with those of the other.
fn bikes() -> Memory {
    let mut memory = Memory::new();
    for site in SITES {
        let (site, name, time_zone) = (code(site), Name::default(), TimeZone::new("UTC").unwrap());
        give(&mut memory, Command::SetSite(SetSite { site, name, time_zone, strategy: Strategy::Fifo }));
    }
    for number in 0..LOCATIONS {
        for site in SITES {
            let (site, location, zone) = (code(site), code(&format!("A-{number}")), Name::default());
            let kind = LocationKind::Storage;
            give(
                &mut memory,
                Command::SetLocation(SetLocation { site, location, zone, pick_order: 1, kind }),
            );
        }
    }
    let (name, tracking) = (Name::default(), Tracking::Serial);
    let (safety_stock, prices) = (Vec::new(), Vec::new());
    give(&mut memory, Command::SetSku(SetSku { sku: code("bike"), name, tracking, safety_stock, prices }));
    for site in SITES {
        for serial in 0..SERIALS {
            let (sku, lot) = (code("bike"), code(&format!("{site}-{serial}")));
            let set = SetLot { sku, lot, received_on: None, expires_on: None, blocked: false };
            give(&mut memory, Command::SetLot(set));
        }
        let lines = (0..SERIALS).map(|serial| AdjustLine {
            site: code(site),
            location: code(&format!("A-{}", serial % LOCATIONS)),
            sku: code("bike"),
            lot: Some(code(&format!("{site}-{serial}"))),
            change: Change::Add(Quantity::ONE, Outside::Opening),
        });
        let (id, reason, lines) = (code(&format!("opening-{site}")), Name::default(), lines.collect());
        give(&mut memory, Command::Adjust(Adjust { id, reason, lines, release: None }));
    }
    memory
}

/// Bikes, at a site and a location of it or everywhere, of one serial number or of any.
#[derive(Clone, Copy, Default)]
struct Filter {
    site: Option<&'static str>,
    location: Option<&'static str>,
    lot: Option<&'static str>,
}

fn ask(memory: &Memory, query: &Query) -> Shown {
    memory.query_with(query, START, &Elsewhere::default()).unwrap()
}

fn page(
    memory: &Memory,
    filter: Filter,
    after: Option<Place>,
    limit: usize,
) -> (Listed<PositionView, Place>, usize) {
    let query = Query::Stock {
        sku: Some(code("bike")),
        site: filter.site.map(code),
        location: filter.location.map(code),
        lot: filter.lot.map(code),
        page: Page { after, limit },
    };
    match ask(memory, &query) {
        Shown { view: View::Stock(listed), cost } => (listed, cost),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_of_a_sku_costs_what_it_shows_however_much_there_is() {
    let memory = bikes();
    for filter in [
        Filter::default(),
        Filter { site: Some("PUS"), ..Filter::default() },
        Filter { site: Some("ICN"), location: Some("A-3"), ..Filter::default() },
    ] {
        // Page after page gives every position once, in the order of places.
        let (mut found, mut after, mut ends) = (Vec::new(), None, Vec::new());
        loop {
            let (listed, cost) = page(&memory, filter, after, PAGE_MAX);
            assert!(cost <= FEW + PAGE_MAX, "{cost}");
            found.extend(listed.items);
            ends.extend(listed.next);
            after = listed.next;
            if after.is_none() {
                break;
            }
        }
        let count = ALL / filter.site.map_or(1, |_| SITES.len()) / filter.location.map_or(1, |_| LOCATIONS);
        assert_eq!(found.len(), count);
        assert!(ends.is_sorted() && ends.len() == count / PAGE_MAX - 1, "{} ends", ends.len());
        let place = |position: &PositionView| {
            let site = memory.site_id(&position.site).unwrap();
            let sku = memory.sku_id(&position.sku).unwrap();
            let location = memory.location_id(site, &position.location).unwrap();
            Place { location, sku, lot: memory.lot_id(sku, position.lot.as_ref().unwrap()).unwrap() }
        };
        assert!(found.iter().map(place).is_sorted_by(|one, next| one < next));

        let (begun, after) = (thread_time(), ends.get(ends.len() / 2).copied());
        for _ in 0..PAGES {
            let (listed, cost) = page(&memory, filter, after, 1);
            assert!(listed.items.len() == 1 && listed.next.is_some() && cost < FEW, "{cost}: {listed:?}");
        }
        let took = thread_time() - begun;
        println!("{PAGES} pages of one of {count} positions: {took:?}");
        assert!(took <= PAGES_TIME_MAX, "{took:?}");
    }
}

#[test]
fn what_is_looked_at_is_charged() {
    let memory = bikes();
    let shown = ask(&memory, &Query::SkuStock(code("bike")));
    assert!(shown.cost >= ALL, "what all sites have: {}", shown.cost);
    let shown = ask(&memory, &Query::Trace { sku: code("bike"), lot: code("ICN-7") });
    assert!(shown.cost >= ALL, "a trace: {}", shown.cost);
    let (listed, cost) = page(&memory, Filter { lot: Some("PUS-49999"), ..Filter::default() }, None, 1_000);
    assert!(listed.items.len() == 1 && cost >= ALL, "a page that passes over nearly all: {cost}");
}
