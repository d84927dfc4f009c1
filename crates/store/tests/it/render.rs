//! Events and movements as a caller reads them, told as lines of text.

use jaego_domain::{
    Code, Event, Fact, LocationId, LotId, Memory, Movement, MovementId, Name, Outside, Place, Quantity,
    Sequence, SiteId, SkuId, Strategy, TimeZone, Timestamp, apply,
    event::{
        AdjustedLine, HeldLine, MovedLine, PickedLine, ReceivedLine, RequestedLine, ShippedLine, Take,
        Watched,
    },
    row::{LocationKind, Tracking},
};
use jaego_store::{AccountView, MovementFilter, MovementView, render};
use smallvec::smallvec;

const ICN: SiteId = SiteId(0);
const PUS: SiteId = SiteId(1);
const MUG: SkuId = SkuId(0);
const MILK: SkuId = SkuId(1);
const MILK_L1: LotId = LotId(1);
/// Of Incheon: a bin, another, staging. Of Busan: receiving.
const A1: LocationId = LocationId(0);
const A2: LocationId = LocationId(1);
const STAGE: LocationId = LocationId(2);
const DOCK: LocationId = LocationId(3);

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new("name", text).unwrap()
}

fn units(units: u64) -> Quantity {
    Quantity::new("quantity", units).unwrap()
}

fn take(line: u32, sku: SkuId, lot: LotId, location: LocationId, quantity: u64) -> Take {
    Take { line, sku, location, lot, quantity: units(quantity) }
}

fn masters() -> Vec<Fact> {
    let site = |id, text| Fact::SiteSet {
        id,
        code: code(text),
        name: name(text),
        time_zone: TimeZone::new("Asia/Seoul").unwrap(),
        strategy: Strategy::Fefo,
    };
    let location = |id, site, text, kind| Fact::LocationSet {
        id,
        site,
        code: code(text),
        zone: name(""),
        pick_order: id.0,
        kind,
    };
    let sku = |id, text, tracking| Fact::SkuSet {
        id,
        code: code(text),
        name: name(text),
        tracking,
        safety_stock: Vec::new(),
    };
    vec![
        site(ICN, "ICN"),
        site(PUS, "PUS"),
        location(A1, ICN, "A-01", LocationKind::Storage),
        location(A2, ICN, "A-02", LocationKind::Storage),
        location(STAGE, ICN, "stage", LocationKind::Staging),
        location(DOCK, PUS, "dock", LocationKind::Receiving),
        sku(MUG, "mug", Tracking::None),
        sku(MILK, "milk", Tracking::Lot),
        Fact::LotSet {
            id: MILK_L1,
            sku: MILK,
            code: code("L1"),
            received_on: None,
            expires_on: None,
            blocked: false,
        },
    ]
}

/// Ten mugs and six packs of milk come in, are moved, held and sold, and go to Busan.
fn story() -> Vec<Fact> {
    let came = |location, sku, lot, quantity| AdjustedLine {
        place: Place { location, sku, lot },
        outside: Outside::Supplier,
        increase: true,
        quantity: units(quantity),
        counted: false,
        freed: Vec::new(),
    };
    let moved =
        MovedLine { sku: MUG, lot: LotId::NONE, from: A1, to: A2, quantity: units(3), follow: Vec::new() };
    let held = Fact::Held {
        id: code("H-1"),
        body: 1,
        owner: None,
        expires_at: Some(Timestamp(99_000)),
        lines: smallvec![HeldLine { site: ICN, sku: MUG, quantity: units(2) }],
        takes: smallvec![take(0, MUG, LotId::NONE, A2, 2)],
        short: Vec::new(),
    };
    let requested = RequestedLine { name: code("L-milk"), sku: MILK, lot: None, quantity: units(4) };
    let staged = take(0, MILK, MILK_L1, STAGE, 4);
    let received = ReceivedLine {
        line: 0,
        sku: MILK,
        lot: MILK_L1,
        location: DOCK,
        damaged: false,
        expected: units(4),
        excess: units(1),
    };
    vec![
        Fact::Adjusted {
            id: code("A-1"),
            body: 2,
            reason: name("delivery"),
            lines: vec![came(A1, MUG, LotId::NONE, 10), came(A1, MILK, MILK_L1, 6)],
        },
        Fact::Moved { id: code("M-1"), body: 3, reason: name("closer"), lines: vec![moved] },
        held,
        Fact::HoldConfirmed {
            id: code("H-1"),
            to: None,
            takes: smallvec![take(0, MUG, LotId::NONE, A2, 2)],
            released: smallvec![],
        },
        Fact::TransferRequested {
            id: code("T-1"),
            body: 4,
            from: ICN,
            to: PUS,
            priority: 0,
            lines: vec![requested],
        },
        Fact::TransferAllocated {
            id: code("T-1"),
            takes: vec![take(0, MILK, MILK_L1, A1, 4)],
            short: Vec::new(),
        },
        Fact::TransferPicked {
            id: code("T-1"),
            picked: vec![PickedLine { take: take(0, MILK, MILK_L1, A1, 4), staging: STAGE }],
            missed: Vec::new(),
            takes: Vec::new(),
            short: Vec::new(),
        },
        Fact::TransferShipped {
            id: code("T-1"),
            shipment: code("S-1"),
            body: 5,
            lines: vec![ShippedLine { take: staged, origin: A1 }],
        },
        Fact::TransferReceived { id: code("T-1"), lines: vec![received] },
        Fact::Reversed {
            original: MovementId { sequence: Sequence(10), index: 0 },
            movement: Movement {
                sku: MUG,
                lot: LotId::NONE,
                quantity: units(7),
                from: jaego_domain::Account::Position(Place { location: A1, sku: MUG, lot: LotId::NONE }),
                to: jaego_domain::Account::Outside(Outside::Supplier),
            },
        },
    ]
}

/// The tables after the story, and its events: the first one is number 10, at 10 seconds, the next at 11.
fn told() -> (Memory, Vec<Event>) {
    let mut tables = Memory::new();
    let mut events = Vec::new();
    for (sequence, fact) in (1..).zip(masters().into_iter().chain(story())) {
        let by = code(if sequence % 2 == 0 { "desk" } else { "dock-2" });
        let event =
            Event { sequence: Sequence(sequence), at: Timestamp(sequence * 1_000), by, keyed: None, fact };
        apply(&mut tables, &event);
        events.push(event);
    }
    events.drain(..masters().len());
    (tables, events)
}

fn account(view: &AccountView) -> String {
    match view {
        AccountView::Position { site, location } => format!("{site}/{location}"),
        AccountView::Outside(name) => (*name).to_owned(),
        AccountView::InTransit { transfer, line } => format!("{transfer}:{line}"),
    }
}

fn line(view: &MovementView) -> String {
    let lot = view.lot.as_ref().map_or(String::new(), |lot| format!("/{lot}"));
    let document = view.document.as_ref().map_or("-".to_owned(), |(kind, id)| format!("{kind} {id}"));
    let MovementView { id, at, by, reason, sku, quantity, .. } = view;
    let (from, to) = (account(&view.from), account(&view.to));
    format!("{id} {}s {by} {document} ({reason}): {quantity} {sku}{lot} {from} > {to}", at.0 / 1_000)
}

fn lines(filter: &MovementFilter) -> Vec<String> {
    let (tables, events) = told();
    events
        .iter()
        .flat_map(|event| render::movement_views(&tables, event, filter))
        .map(|view| line(&view))
        .collect()
}

const LEDGER: [&str; 9] = [
    "10.0 10s desk adjustment A-1 (delivery): 10 mug supplier > ICN/A-01",
    "10.1 10s desk adjustment A-1 (delivery): 6 milk/L1 supplier > ICN/A-01",
    "11.0 11s dock-2 move M-1 (closer): 3 mug ICN/A-01 > ICN/A-02",
    "13.0 13s dock-2 hold H-1 (confirmed): 2 mug ICN/A-02 > customer",
    "16.0 16s desk transfer T-1 (picked): 4 milk/L1 ICN/A-01 > ICN/stage",
    "17.0 17s dock-2 transfer T-1 (shipped): 4 milk/L1 ICN/stage > T-1:L-milk",
    "18.0 18s desk transfer T-1 (received): 4 milk/L1 T-1:L-milk > PUS/dock",
    "18.1 18s desk transfer T-1 (received): 1 milk/L1 found > PUS/dock",
    "19.0 19s dock-2 - (reversal of 10.0): 7 mug ICN/A-01 > supplier",
];

#[test]
fn the_ledger_names_everything() {
    assert_eq!(lines(&MovementFilter::default()), LEDGER);
}

#[test]
fn every_condition_that_is_named_must_hold() {
    let all = MovementFilter::default;
    let some = |text| Some(code(text));
    let after = |sequence, index| Some(MovementId { sequence: Sequence(sequence), index });
    let rows: [(MovementFilter, &[usize]); 15] = [
        (MovementFilter { sku: some("mug"), ..all() }, &[0, 2, 3, 8]),
        (MovementFilter { sku: some("cup"), ..all() }, &[]),
        (MovementFilter { lot: some("L1"), ..all() }, &[1, 4, 5, 6, 7]),
        (MovementFilter { site: some("PUS"), ..all() }, &[6, 7]),
        (MovementFilter { site: some("ICN"), ..all() }, &[0, 1, 2, 3, 4, 5, 8]),
        (MovementFilter { document: some("T-1"), ..all() }, &[4, 5, 6, 7]),
        (MovementFilter { document: some("S-1"), ..all() }, &[]),
        (MovementFilter { since: Some(Timestamp(17_000)), ..all() }, &[5, 6, 7, 8]),
        (MovementFilter { until: Some(Timestamp(11_000)), ..all() }, &[0, 1]),
        (MovementFilter { until: Some(Timestamp(11_001)), ..all() }, &[0, 1, 2]),
        (MovementFilter { after: after(10, 0), ..all() }, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (MovementFilter { after: after(18, 1), ..all() }, &[8]),
        (MovementFilter { after: after(19, 0), ..all() }, &[]),
        (MovementFilter { sku: some("milk"), site: some("ICN"), document: some("T-1"), ..all() }, &[4, 5]),
        (MovementFilter { sku: some("mug"), lot: some("L1"), ..all() }, &[]),
    ];
    for (filter, expected) in rows {
        let expected: Vec<_> = expected.iter().map(|index| LEDGER[*index]).collect();
        assert_eq!(lines(&filter), expected, "{filter:?}");
    }
}

#[test]
fn an_event_tells_its_kind_its_document_and_its_outcome() {
    let (tables, events) = told();
    let view = render::event_view(&tables, &events[2]);
    assert_eq!((view.kind, view.by, view.document), ("held", code("desk"), Some(("hold", code("H-1")))));
    assert_eq!(view.outcome.expires_at, Some(Timestamp(99_000)));
    assert_eq!(view.outcome.picks.len(), 1);
    assert!(view.movements.is_empty());

    let view = render::event_view(&tables, &events[8]);
    assert_eq!((view.kind, view.document), ("transfer_received", Some(("transfer", code("T-1")))));
    assert_eq!(view.movements.iter().map(line).collect::<Vec<_>>(), LEDGER[6..8]);
}

#[test]
fn lapses_and_levels_are_told_by_name() {
    let (tables, _) = told();
    let tell = |fact| {
        let event =
            Event { sequence: Sequence(20), at: Timestamp(20_000), by: code("system"), keyed: None, fact };
        render::event_view(&tables, &event)
    };
    let watched = Watched { site: ICN, sku: MUG, available: units(1), level: units(5), low: true };
    let view = tell(Fact::StockWatched { items: vec![watched] });
    assert_eq!(view.watched, [(code("ICN"), code("mug"), units(1), units(5), true)]);
    let view = tell(Fact::HoldsLapsed { ids: vec![code("H-1"), code("H-2")] });
    assert_eq!((view.kind, view.lapsed), ("holds_lapsed", vec![code("H-1"), code("H-2")]));
}
