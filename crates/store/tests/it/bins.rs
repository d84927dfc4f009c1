//! Bins by the ten thousand, most of them empty, or all of them full.

use std::time::{Duration, Instant};

use jaego_domain::{
    Code, Command, Name, Outside, Quantity, Query, Request, Strategy, TimeZone, View,
    command::{
        Adjust, AdjustLine, Change, HoldLine, OrderLine, PlaceHold, PlaceOrder, SetLocation, SetSite, SetSku,
    },
    limits::EXPLAINED_POSITIONS_MAX,
    query::{ExplainedLine, Page, Verdict},
    row::{LocationKind, Tracking},
};
use jaego_store::{Batch, Reference, Results, Store, conformance::START};

const BINS: usize = 60_000;

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn units(units: usize) -> Quantity {
    Quantity::new("quantity", units as u64).unwrap()
}

fn bin(number: usize) -> Code {
    code(&format!("A-{number}"))
}

/// A site with so many bins, along the walk in the order of their numbers, and a SKU.
fn world(strategy: Strategy, bins: usize) -> Vec<Command> {
    let (site, name) = (code("ICN"), Name::default());
    let time_zone = TimeZone::new("UTC").unwrap();
    let mut commands =
        vec![Command::SetSite(SetSite { site: site.clone(), name: name.clone(), time_zone, strategy })];
    commands.extend((0..bins).map(|number| {
        let (site, zone, pick_order) = (site.clone(), name.clone(), u32::try_from(number).unwrap());
        let kind = LocationKind::Storage;
        Command::SetLocation(SetLocation { site, location: bin(number), zone, pick_order, kind })
    }));
    commands.push(Command::SetSku(SetSku {
        sku: code("mug"),
        name,
        tracking: Tracking::None,
        safety_stock: Vec::new(),
        prices: Vec::new(),
    }));
    commands
}

/// One unit in each of these bins.
fn lay(numbers: impl Iterator<Item = usize>) -> Command {
    let line = |number| AdjustLine {
        site: code("ICN"),
        location: bin(number),
        sku: code("mug"),
        lot: None,
        change: Change::Add(Quantity::ONE, Outside::Opening),
    };
    let lines = numbers.map(line).collect();
    Command::Adjust(Adjust { id: code("J1"), reason: Name::default(), lines, release: None })
}

fn submit(store: &Reference, commands: Vec<Command>) {
    let requests = commands.into_iter().map(|command| Request::new(command, None, code("tester")).unwrap());
    let requests = requests.collect();
    match store.submit(Batch { requests, atomic: true }).wait().unwrap().results {
        Results::Each(_) => {}
        Results::Refused(refused) => panic!("{refused:?}"),
    }
}

/// What is listed of a site costs what lies there, and one look at each bin. Going on from each empty bin through all that
/// follow would take billions of steps, and nobody else is answered meanwhile.
#[test]
fn empty_bins_cost_a_list_one_look_each() {
    let store = Reference::new(|| START);
    let mut commands = world(Strategy::Fefo, BINS);
    commands.push(lay(BINS - 1..BINS));
    submit(&store, commands);

    let page = Page { after: None, limit: 10 };
    let query = Query::Stock { sku: None, site: Some(code("ICN")), location: None, lot: None, page };
    let start = Instant::now();
    let Ok(View::Stock(list)) = store.query(query).wait().unwrap().value else {
        panic!("stock was asked for")
    };
    let took = start.elapsed();
    let found: Vec<_> = list.items.iter().map(|position| position.location.as_str().to_owned()).collect();
    assert_eq!(found, [bin(BINS - 1).as_str()]);
    assert!(took < Duration::from_secs(3), "{took:?} for {BINS} bins");
}

fn explain(store: &Reference, order: &str, line: Option<&str>) -> Vec<ExplainedLine> {
    let query = Query::ExplainOrder { order: code(order), line: line.map(code) };
    match store.query(query).wait().unwrap().value {
        Ok(View::ExplainOrder(lines)) => lines,
        other => panic!("{other:?}"),
    }
}

/// An order of one unit in each of so many lines, which waits for what there is not.
fn order(id: &str, lines: usize) -> Command {
    let line = OrderLine { sku: code("mug"), quantity: Quantity::ONE, lot: None };
    let (id, site, customer) = (code(id), code("ICN"), None);
    let lines = vec![line; lines];
    Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority: 0, backorder: true })
}

/// A hold on so many units, the first on the walk.
fn hold(id: &str, quantity: usize) -> Command {
    let (site, sku, quantity) = (code("ICN"), code("mug"), units(quantity));
    let line = HoldLine { site, sku, quantity, location: None, lot: None };
    Command::PlaceHold(PlaceHold {
        id: code(id),
        owner: None,
        lines: [line].into_iter().collect(),
        expires_in_ms: None,
        partial: false,
        strategy: Some(Strategy::PickOrder),
    })
}

#[test]
fn what_is_explained_has_its_limit_within_a_line_too() {
    const FULL: usize = 2 * EXPLAINED_POSITIONS_MAX + 1;
    for strategy in [Strategy::PickOrder, Strategy::Fefo, Strategy::FewestLocations] {
        let store = Reference::new(|| START);
        submit(&store, world(strategy, FULL));
        submit(&store, vec![lay(0..FULL), hold("H1", FULL - 2), order("O1", 1)]);
        // One bin of the last two is free: it is shown before all that are not, wherever it lies.
        let lines = explain(&store, "O1", Some("1"));
        let [line] = lines.as_slice() else { panic!("one was asked for, not {}", lines.len()) };
        assert_eq!((line.candidates.len(), line.candidate_count), (EXPLAINED_POSITIONS_MAX, FULL));
        assert_eq!(line.available, Quantity::ONE);
        let free = line.candidates.iter().filter(|candidate| candidate.verdict == Verdict::Available);
        assert_eq!(free.count(), 1, "{strategy:?}");

        // Two lines lack something, and the first has all that one answer shows.
        submit(&store, vec![order("O2", 3)]);
        let lines = explain(&store, "O2", None);
        let [line] = lines.as_slice() else { panic!("{} lines share the limit", lines.len()) };
        assert_eq!((line.candidates.len(), line.candidate_count), (EXPLAINED_POSITIONS_MAX, FULL));
        assert!(line.candidates.is_sorted_by_key(|candidate| &candidate.position.location));
        let number = |location: &Code| location.as_str()[2..].parse::<usize>().unwrap();
        let soonest = line.candidates.iter().all(|candidate| {
            candidate.verdict == Verdict::Held
                && number(&candidate.position.location) < EXPLAINED_POSITIONS_MAX
        });
        assert!(soonest || strategy == Strategy::Fefo, "those that come first on the walk");
    }
}
