//! A small world to act in, and short ways to act.

use std::sync::Arc;

use jaego_domain::{
    Code, Command, Name, Outside, Quantity, Query, Refusal, Request, Strategy, TimeZone, View,
    command::{Adjust, AdjustLine, Change, HoldLine, PlaceHold, ReleaseHold, SetLocation, SetSite, SetSku},
    row::{LocationKind, Tracking},
};
use jaego_engine::{
    Config, Engine, SystemClock,
    disk::Disk,
    journal::{self, Preparation},
    open,
};
use jaego_store::{Batch, Done, Results, Store};

pub(crate) fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

pub(crate) fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).unwrap()
}

pub(crate) fn request(command: Command) -> Request {
    Request::new(command, None, code("tester")).unwrap()
}

pub(crate) fn keyed(command: Command, key: &str) -> Request {
    Request::new(command, Some(code(key)), code("tester")).unwrap()
}

/// Small segments, so that the journal turns over often.
pub(crate) fn config() -> Config {
    let journal = journal::Config { segment_len: 1 << 20, preparation: Preparation::Inline };
    let limits =
        jaego_engine::Limits { frame_bytes: 64 << 10, atomic_bytes: 128 << 10, lines_before_yield: 64 };
    Config { journal, limits, checkpoint_segments: 1, ..Config::default() }
}

/// Segments that have room for the events of large documents.
pub(crate) fn roomy_config() -> Config {
    let journal = journal::Config { segment_len: 8 << 20, preparation: Preparation::Inline };
    let limits = jaego_engine::Limits {
        frame_bytes: 512 << 10,
        atomic_bytes: 3 << 20,
        ..jaego_engine::Limits::default()
    };
    Config { journal, limits, checkpoint_segments: 1, ..Config::default() }
}

pub(crate) fn start<D: Disk>(disk: D) -> Arc<Engine> {
    let recovered = open(disk, config().journal, |_| {}).unwrap();
    Engine::start(recovered, config(), SystemClock)
}

pub(crate) fn submit(engine: &Engine, requests: Vec<Request>) -> Vec<Result<Done, Refusal>> {
    match engine.submit(Batch { requests, atomic: false }).wait().unwrap().results {
        Results::Each(results) => results,
        Results::Refused(_) => panic!("not an atomic batch"),
    }
}

pub(crate) fn one(engine: &Engine, request: Request) -> Result<Done, Refusal> {
    submit(engine, vec![request]).pop().unwrap()
}

/// A site with bins `A-1` and `A-2`, and `units` of each of `skus` in both.
pub(crate) fn stock(engine: &Engine, skus: &[&str], units: u64) {
    for result in submit(engine, opening(skus, units)) {
        result.unwrap();
    }
}

/// The requests that make it.
pub(crate) fn opening(skus: &[&str], units: u64) -> Vec<Request> {
    let mut requests = vec![request(Command::SetSite(SetSite {
        site: code("ICN"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").unwrap(),
        strategy: Strategy::PickOrder,
    }))];
    for (number, bin) in ["A-1", "A-2"].into_iter().enumerate() {
        requests.push(request(Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code(bin),
            zone: Name::default(),
            pick_order: u32::try_from(number).unwrap(),
            kind: LocationKind::Storage,
        })));
    }
    let mut lines = Vec::new();
    for sku in skus {
        requests.push(request(Command::SetSku(SetSku {
            sku: code(sku),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        })));
        for bin in ["A-1", "A-2"] {
            let change = Change::Add(quantity(units), Outside::Opening);
            lines.push(AdjustLine {
                site: code("ICN"),
                location: code(bin),
                sku: code(sku),
                lot: None,
                change,
            });
        }
    }
    let reason = Name::default();
    requests.push(request(Command::Adjust(Adjust { id: code("opening"), reason, lines, release: None })));
    requests
}

pub(crate) fn hold(id: &str, sku: &str, units: u64) -> Command {
    Command::PlaceHold(place_hold(id, sku, units))
}

/// A hold that lapses after so many milliseconds.
pub(crate) fn hold_for(id: &str, sku: &str, units: u64, ms: u64) -> Command {
    Command::PlaceHold(PlaceHold { expires_in_ms: Some(ms), ..place_hold(id, sku, units) })
}

fn place_hold(id: &str, sku: &str, units: u64) -> PlaceHold {
    PlaceHold {
        id: code(id),
        owner: None,
        lines: [HoldLine {
            site: code("ICN"),
            sku: code(sku),
            quantity: quantity(units),
            location: None,
            lot: None,
        }]
        .into_iter()
        .collect(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    }
}

pub(crate) fn release(id: &str) -> Command {
    Command::ReleaseHold(ReleaseHold { id: code(id), lines: None })
}

/// On hand, held and available of a SKU at the site.
pub(crate) fn totals(engine: &Engine, sku: &str) -> (u64, u64, u64) {
    let View::SkuStock(sites) = engine.query(Query::SkuStock(code(sku))).wait().unwrap().value.unwrap()
    else {
        panic!("another view")
    };
    let site = &sites[0];
    (site.on_hand.get(), site.held.get(), site.available.get())
}

/// An adjustment: so many more in `A-1`, found.
pub(crate) fn found(id: &str, sku: &str, units: u64) -> Command {
    let line = AdjustLine {
        site: code("ICN"),
        location: code("A-1"),
        sku: code(sku),
        lot: None,
        change: Change::Add(quantity(units), Outside::Found),
    };
    Command::Adjust(Adjust { id: code(id), reason: Name::default(), lines: vec![line], release: None })
}
