//! Bins by the ten thousand, most of them empty.

use std::time::{Duration, Instant};

use jaego_domain::{
    Code, Command, Name, Outside, Quantity, Query, Request, Strategy, TimeZone, View,
    command::{Adjust, AdjustLine, Change, SetLocation, SetSite, SetSku},
    query::Page,
    row::{LocationKind, Tracking},
};
use jaego_store::{Batch, Reference, Store, conformance::START};

const BINS: usize = 60_000;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

/// What is listed of a site costs what lies there, and one look at each bin. Going on from each empty bin through all that
/// follow would take billions of steps, and nobody else is answered meanwhile.
#[test]
fn empty_bins_cost_a_list_one_look_each() {
    let store = Reference::new(|| START);
    let (site, sku, name) = (code("ICN"), code("mug"), Name::default());
    let bin = |number: usize| code(&format!("A-{number}"));
    let (time_zone, strategy) = (TimeZone::new("UTC").unwrap(), Strategy::Fefo);
    let mut commands =
        vec![Command::SetSite(SetSite { site: site.clone(), name: name.clone(), time_zone, strategy })];
    commands.extend((0..BINS).map(|number| {
        let (site, location, zone) = (site.clone(), bin(number), name.clone());
        Command::SetLocation(SetLocation { site, location, zone, pick_order: 1, kind: LocationKind::Storage })
    }));
    let (tracking, safety_stock, prices) = (Tracking::None, Vec::new(), Vec::new());
    commands.push(Command::SetSku(SetSku {
        sku: sku.clone(),
        name: name.clone(),
        tracking,
        safety_stock,
        prices,
    }));
    let change = Change::Add(Quantity::ONE, Outside::Opening);
    let last = AdjustLine { site: site.clone(), location: bin(BINS - 1), sku, lot: None, change };
    let adjust = Adjust { id: code("J1"), reason: name, lines: vec![last], release: None };
    commands.push(Command::Adjust(adjust));
    let requests = commands.into_iter().map(|command| Request::new(command, None, code("tester")).unwrap());
    store.submit(Batch { requests: requests.collect(), atomic: true }).wait().unwrap();

    let page = Page { after: None, limit: 10 };
    let query = Query::Stock { sku: None, site: Some(site), location: None, lot: None, page };
    let start = Instant::now();
    let Ok(View::Stock(list)) = store.query(query).wait().unwrap().value else {
        panic!("stock was asked for")
    };
    let took = start.elapsed();
    let found: Vec<_> = list.items.iter().map(|position| position.location.as_str().to_owned()).collect();
    assert_eq!(found, [bin(BINS - 1).as_str()]);
    assert!(took < Duration::from_secs(3), "{took:?} for {BINS} bins");
}
