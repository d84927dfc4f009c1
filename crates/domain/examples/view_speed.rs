//! What views cost the writer: `view_speed [skus] [bins]`, with as many positions as their product.
//!
//! Prints what a page of 1,000 positions takes at the beginning, in the middle and at the end of all of them, and what
//! it takes to show who holds a position that 100,000 hold.

use std::time::Instant;

use jaego_domain::{
    Code, LocationId, LotId, Memory, Name, Place, Quantity, Query, Row, Sequence, SiteId, SkuId, Strategy,
    Tables, TimeZone, Timestamp, View,
    limits::{HOLDERS_SHOWN_MAX, PAGE_MAX},
    query::Page,
    row::{
        Gate, Head, Hold, HoldLine, HoldStatus, Location, LocationKind, Pick, Position, Site, Sku, Tracking,
    },
};

const HOLDERS: u32 = 100_000;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("a code")
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("a quantity")
}

fn at(location: u32, sku: u32) -> Place {
    Place { location: LocationId(location), sku: SkuId(sku), lot: LotId::NONE }
}

/// Tables with so many SKUs in each of so many bins.
fn tables(skus: u32, bins: u32) -> Memory {
    let mut memory = Memory::new();
    let set = Sequence(1);
    memory.put(Row::Head(Head { sequence: set, sites: 1, locations: bins, skus, ..Head::default() }));
    let time_zone = TimeZone::new("Asia/Seoul").expect("a zone");
    let site =
        Site { code: code("ICN"), name: Name::default(), time_zone, strategy: Strategy::PickOrder, set };
    memory.put(Row::Site(SiteId(0), Some(Box::new(site))));
    for bin in 0..bins {
        let location = Location {
            site: SiteId(0),
            code: code(&format!("A-{bin}")),
            zone: Name::default(),
            pick_order: bin,
            kind: LocationKind::Storage,
            set,
        };
        memory.put(Row::Location(LocationId(bin), Some(Box::new(location))));
    }
    for sku in 0..skus {
        let row = Sku {
            code: code(&format!("S{sku}")),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            stocked: true,
            set,
        };
        memory.put(Row::Sku(SkuId(sku), Some(Box::new(row))));
        memory.put(Row::Gate(SiteId(0), SkuId(sku), Some(Gate { stocked: true, ..Gate::default() })));
        for bin in 0..bins {
            let (held, missing, since) = (Quantity::ZERO, Quantity::ZERO, Timestamp(0));
            let row = Position { on_hand: quantity(1_000_000), held, missing, since };
            memory.put(Row::Position(at(bin, sku), Some(row)));
        }
    }
    memory
}

fn page(memory: &Memory, what: &str, after: Option<Place>) {
    let start = Instant::now();
    let page = Page { after, limit: PAGE_MAX };
    let query = Query::Stock { sku: None, site: None, location: None, lot: None, page };
    let Ok(View::Stock(list)) = memory.query(&query, Timestamp(0)) else { panic!("a list of positions") };
    println!("{} positions {what}: {:.2?}", list.items.len(), start.elapsed());
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("a number"));
    let skus = arguments.next().unwrap_or(1_000_000);
    let bins = arguments.next().unwrap_or(10);
    let mut memory = tables(skus, bins);
    println!("{} positions", memory.counts().positions);
    page(&memory, "at the beginning", None);
    page(&memory, "in the middle", Some(at(bins / 2, skus / 2)));
    let limit = u32::try_from(PAGE_MAX).expect("a page is short");
    page(&memory, "at the end", Some(at(bins - 1, skus.saturating_sub(limit + 1))));

    let place = at(0, 0);
    for number in 0..HOLDERS {
        let pick = Pick { location: place.location, lot: place.lot, quantity: quantity(1) };
        let picks = [pick].into_iter().collect();
        let line = HoldLine { site: SiteId(0), sku: place.sku, quantity: quantity(1), picks };
        let hold = Hold {
            owner: None,
            body: 0,
            placed: Sequence(1),
            expires_at: None,
            status: HoldStatus::Held,
            confirmed: false,
            lines: [line].into_iter().collect(),
        };
        // Ids in no order.
        let id = code(&format!("hold-{:08x}", number.wrapping_mul(0x9E37_79B9)));
        memory.put(Row::Hold(id, Some(hold)));
    }
    for _ in 0..3 {
        let start = Instant::now();
        let (first, count) = memory.first_holders(place, HOLDERS_SHOWN_MAX);
        println!("{} of {count} holders: {:.2?}", first.len(), start.elapsed());
        let start = Instant::now();
        println!("all {} holders: {:.2?}", memory.holders(place).len(), start.elapsed());
    }
}
