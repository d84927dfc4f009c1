//! One of everything, at its borders. The fixtures were written from these: never change a sample, add new ones.

use jaego_domain::{
    Account, Code, Date, Event, Fact, Keyed, LocationId, LotId, Movement, MovementId, Name, Outside, Place,
    Quantity, Row, Sequence, SiteId, SkuId, Strategy, TimeZone, Timestamp,
    event::{
        AdjustedLine, Freed, HeldLine, LostLine, MissedLine, MovedLine, PickedLine, ReceivedLine,
        RequestedLine, ShippedLine, Short, Take, Takes, UnpickedLine, Watched,
    },
    limits::QUANTITY_MAX,
    row::{
        Answered, End, Filed, Filing, Gate, Head, Hold, HoldLine, HoldStatus, Holder, HolderKind, Line,
        Location, LocationKind, Lot, Pick, Position, Site, Sku, Staged, Totals, Tracking, Transfer,
    },
};
use smallvec::smallvec;

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const LAST: u32 = u32::MAX;

/// The number of the first sample.
pub(crate) const FIRST: Sequence = Sequence(1_042);

pub(crate) fn code(text: &str) -> Code {
    Code::new("code", text).expect("the samples' codes are good")
}

fn longest() -> Code {
    code(&"Z9-_.:az".repeat(8))
}

pub(crate) fn name(text: &str) -> Name {
    Name::new("name", text).expect("the samples' names are good")
}

fn zone(name: &str) -> TimeZone {
    TimeZone::new(name).expect("the samples' zones are known")
}

pub(crate) fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("the samples' quantities are small enough")
}

pub(crate) fn take(line: u32, sku: u32, location: u32, lot: u32, units: u64) -> Take {
    let (sku, location, lot) = (SkuId(sku), LocationId(location), LotId(lot));
    Take { line, sku, location, lot, quantity: quantity(units) }
}

fn held_line(site: u32, sku: u32, units: u64) -> HeldLine {
    HeldLine { site: SiteId(site), sku: SkuId(sku), quantity: quantity(units) }
}

fn short(line: u32, requested: u64, available: u64) -> Short {
    Short { line, requested: quantity(requested), available: quantity(available) }
}

fn holder(kind: HolderKind, id: &str, line: u32) -> Holder {
    Holder { kind, id: code(id), line }
}

fn holders() -> Vec<Freed> {
    vec![
        Freed { holder: holder(HolderKind::Hold, "H-1", 0), quantity: quantity(1) },
        Freed { holder: holder(HolderKind::Transfer, UUID, LAST), quantity: quantity(QUANTITY_MAX) },
    ]
}

fn place(location: u32, sku: u32, lot: u32) -> Place {
    Place { location: LocationId(location), sku: SkuId(sku), lot: LotId(lot) }
}

fn movement(from: Account, to: Account, units: u64) -> Movement {
    Movement { sku: SkuId(3), lot: LotId(LAST), quantity: quantity(units), from, to }
}

/// Every fact, each with its smallest, its usual and its largest values.
pub(crate) fn facts() -> Vec<Fact> {
    [masters(), ledger(), holds(), transfers()].concat()
}

fn masters() -> Vec<Fact> {
    let mut facts = Vec::new();
    let zones = ["UTC", "Asia/Seoul", "America/Argentina/Buenos_Aires", "Europe/Berlin"];
    for (id, strategy) in (0..).zip(Strategy::ALL) {
        facts.push(Fact::SiteSet {
            id: SiteId(id),
            code: code("ICN"),
            name: name("인천 센터 №1"),
            time_zone: zone(zones[id as usize % zones.len()]),
            strategy,
        });
    }
    for (id, kind) in (0..).zip(LocationKind::ALL) {
        facts.push(Fact::LocationSet {
            id: LocationId(id),
            site: SiteId(LAST),
            code: longest(),
            zone: name(["", "A"][id as usize % 2]),
            pick_order: [0, LAST][id as usize % 2],
            kind,
        });
    }
    for (id, tracking) in (0..).zip(Tracking::ALL) {
        let levels =
            [(SiteId(0), quantity(0)), (SiteId(1), quantity(20)), (SiteId(LAST), quantity(QUANTITY_MAX))];
        facts.push(Fact::SkuSet {
            id: SkuId(id),
            code: code(UUID),
            name: name(&"가".repeat(85)),
            tracking,
            safety_stock: levels[..id as usize].to_vec(),
        });
    }
    let days = [None, Some(Date::stored(i32::MIN)), Some(Date::stored(-1)), Some(Date::stored(20_513))];
    for (id, day) in (1..).zip(days) {
        facts.push(Fact::LotSet {
            id: LotId(id),
            sku: SkuId(0),
            code: code("2026-03.A:1"),
            received_on: day,
            expires_on: day.map(|_| Date::stored(i32::MAX)),
            blocked: id % 2 == 0,
        });
    }
    facts
}

fn ledger() -> Vec<Fact> {
    let mut adjusted = Vec::new();
    for (line, outside) in (0..).zip(Outside::ALL) {
        adjusted.push(AdjustedLine {
            place: place(line, 127 + line, LAST),
            outside,
            increase: line % 2 == 0,
            quantity: quantity(u64::from(line) * 64),
            counted: line % 3 == 0,
            freed: if line == 4 { holders() } else { Vec::new() },
        });
    }
    let moved = |follow| MovedLine {
        sku: SkuId(16_383),
        lot: LotId::NONE,
        from: LocationId(16_384),
        to: LocationId(2_097_151),
        quantity: quantity(QUANTITY_MAX),
        follow,
    };
    let (id, reason) = (code("A-1"), name("found behind the shelf"));
    let transit = Account::InTransit { transfer: code("T-1"), line: LAST };
    vec![
        Fact::Adjusted { id: id.clone(), body: 0, reason: name(""), lines: Vec::new() },
        Fact::Adjusted { id: id.clone(), body: u64::MAX, reason: reason.clone(), lines: adjusted },
        Fact::Moved { id: code(UUID), body: 1, reason: name(""), lines: vec![moved(Vec::new())] },
        Fact::Moved { id, body: u64::MAX, reason, lines: vec![moved(holders()), moved(Vec::new())] },
        Fact::Reversed {
            original: MovementId { sequence: Sequence(1), index: 0 },
            movement: movement(Account::Position(place(1, 3, LAST)), Account::Outside(Outside::Supplier), 1),
        },
        Fact::Reversed {
            original: MovementId { sequence: Sequence(u64::MAX), index: LAST },
            movement: movement(transit, Account::Position(place(LAST, 3, LAST)), QUANTITY_MAX),
        },
    ]
}

fn holds() -> Vec<Fact> {
    let single = |id: &str, owner: Option<Code>, expires_at| Fact::Held {
        id: code(id),
        body: 0x0123_4567_89ab_cdef,
        owner,
        expires_at,
        lines: smallvec![held_line(2, 90_000, 3)],
        takes: smallvec![take(0, 90_000, 40_000, 7, 3)],
        short: Vec::new(),
    };
    let many = |lines, takes, short| Fact::Held {
        id: code("H-2"),
        body: 2,
        owner: Some(code("cart-9")),
        expires_at: None,
        lines,
        takes,
        short,
    };
    let line = || held_line(LAST, LAST, QUANTITY_MAX);
    let takes = || -> Takes { smallvec![take(0, LAST, LAST, LAST, QUANTITY_MAX), take(1, 0, 0, 0, 1)] };
    vec![
        single("H", None, None),
        single("H-00000001", None, Some(Timestamp(1_772_000_600_000))),
        single(UUID, Some(code(UUID)), Some(Timestamp(0))),
        single("H-1", Some(longest()), Some(Timestamp(u64::MAX))),
        many(smallvec![], smallvec![], Vec::new()),
        // What is nearly a single take: another SKU, another quantity, and a shortage.
        many(smallvec![held_line(0, 1, 3)], smallvec![take(0, 2, 0, 0, 3)], Vec::new()),
        many(smallvec![held_line(0, 1, 3)], smallvec![take(0, 1, 0, 0, 2)], Vec::new()),
        many(smallvec![held_line(0, 1, 3)], smallvec![take(0, 1, 0, 0, 3)], vec![short(0, 3, 0)]),
        many(smallvec![line(), held_line(0, 0, 1)], takes(), vec![short(1, QUANTITY_MAX, QUANTITY_MAX - 1)]),
        Fact::HoldConfirmed {
            id: code("H-1"),
            to: None,
            takes: smallvec![take(0, 1, 2, 3, 4)],
            released: smallvec![],
        },
        Fact::HoldConfirmed { id: code(UUID), to: Some(LocationId(LAST)), takes: takes(), released: takes() },
        Fact::HoldReleased { id: code("H-1"), takes: smallvec![] },
        Fact::HoldReleased { id: code("H-1"), takes: takes() },
        Fact::HoldExtended { id: code("H-1"), expires_at: Timestamp(0) },
        Fact::HoldExtended { id: code("H-1"), expires_at: Timestamp(u64::MAX) },
        Fact::HoldChanged { id: code("H-1"), lines: smallvec![], takes: smallvec![], short: Vec::new() },
        Fact::HoldChanged {
            id: code("H-1"),
            lines: smallvec![line(), held_line(0, 0, 1)],
            takes: takes(),
            short: vec![short(0, 2, 1)],
        },
        Fact::HoldsLapsed { ids: Vec::new() },
        Fact::HoldsLapsed { ids: vec![code("H-1"), code(UUID), longest(), code(&UUID.to_uppercase())] },
    ]
}

fn transfers() -> Vec<Fact> {
    let id = || code("T-2026-0001");
    let takes = || vec![take(0, 1, 2, 3, 4), take(LAST, LAST, LAST, LAST, QUANTITY_MAX)];
    let shorts = || vec![short(0, 1, 0), short(LAST, QUANTITY_MAX, QUANTITY_MAX)];
    let shipped = || -> Vec<_> {
        takes().into_iter().map(|take| ShippedLine { take, origin: LocationId(LAST) }).collect()
    };
    let requested = |lot| RequestedLine { name: code("1"), sku: SkuId(5), lot, quantity: quantity(12) };
    let received = |line, damaged, expected, excess| ReceivedLine {
        line,
        sku: SkuId(5),
        lot: LotId(8),
        location: LocationId(130),
        damaged,
        expected: quantity(expected),
        excess: quantity(excess),
    };
    let missed = |quarantine| MissedLine { take: take(1, 1, 2, 3, 4), quarantine };
    let picked = takes().into_iter().map(|take| PickedLine { take, staging: LocationId(0) }).collect();
    let unpicked = takes()
        .into_iter()
        .map(|take| UnpickedLine { take, origin: LocationId(1), to: LocationId(LAST) })
        .collect();
    vec![
        Fact::TransferRequested {
            id: id(),
            body: 9,
            from: SiteId(0),
            to: SiteId(LAST),
            priority: LAST,
            lines: vec![requested(None), requested(Some(LotId(LAST)))],
        },
        Fact::TransferAllocated { id: id(), takes: takes(), short: Vec::new() },
        Fact::TransferAllocated { id: code(UUID), takes: Vec::new(), short: shorts() },
        Fact::TransferReleased { id: id(), takes: takes() },
        Fact::TransferCancelled { id: id(), released: Vec::new(), staged: Vec::new() },
        Fact::TransferCancelled { id: id(), released: takes(), staged: shipped() },
        Fact::TransferPicked {
            id: id(),
            picked,
            missed: vec![missed(None), missed(Some(LocationId(LAST)))],
            takes: takes(),
            short: shorts(),
        },
        Fact::TransferUnpicked { id: id(), lines: unpicked },
        Fact::TransferShipped { id: id(), shipment: code("S-1"), body: u64::MAX, lines: shipped() },
        Fact::TransferReceived {
            id: id(),
            lines: vec![received(0, false, 12, 0), received(LAST, true, 0, QUANTITY_MAX)],
        },
        Fact::TransferClosed { id: id(), released: Vec::new(), lost: Vec::new() },
        Fact::TransferClosed {
            id: id(),
            released: takes(),
            lost: vec![LostLine {
                line: 1,
                sku: SkuId(2),
                lot: LotId::NONE,
                quantity: quantity(QUANTITY_MAX),
            }],
        },
        Fact::StockWatched { items: Vec::new() },
        Fact::StockWatched { items: vec![watched(0, 0, true), watched(QUANTITY_MAX, 1, false)] },
        Fact::RequestNoted { of: Sequence(1) },
    ]
}

fn watched(available: u64, level: u64, low: bool) -> Watched {
    Watched { site: SiteId(1), sku: SkuId(2), available: quantity(available), level: quantity(level), low }
}

/// The facts as events of several authors, with and without request keys, at steps of several lengths.
pub(crate) fn events() -> Vec<Event> {
    events_of(facts())
}

/// These facts as events in the same way.
pub(crate) fn events_of(facts: Vec<Fact>) -> Vec<Event> {
    let authors = ["system", "desk", "picker-7", UUID];
    let steps = [0, 1, 127, 128, 86_400_000];
    let mut at = 1_772_000_000_000;
    let mut events = Vec::new();
    for (index, fact) in facts.into_iter().enumerate() {
        at += steps[index % steps.len()];
        events.push(Event {
            sequence: Sequence(FIRST.0 + index as u64),
            at: Timestamp(at),
            by: code(authors[index % authors.len()]),
            keyed: (index % 3 == 0).then(|| Keyed { key: code(UUID), body: index as u64 }),
            fact,
        });
    }
    events
}

/// Every row, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![Row::Head(Head::default())];
    rows.push(Row::Head(Head {
        sequence: Sequence(u64::MAX),
        at: Timestamp(u64::MAX),
        sites: 1,
        locations: 128,
        skus: 16_384,
        lots: LAST,
    }));
    rows.extend(master_rows());
    rows.extend(stock_rows());
    rows.extend(document_rows());
    rows
}

fn master_rows() -> Vec<Row> {
    let set = Sequence(1_042);
    let site = Site {
        code: code("ICN"),
        name: name("인천 센터"),
        time_zone: zone("Asia/Seoul"),
        strategy: Strategy::FewestLocations,
        set,
    };
    let location = |kind| Location {
        site: SiteId(1),
        code: longest(),
        zone: name(""),
        pick_order: LAST,
        kind,
        set: Sequence(u64::MAX),
    };
    let sku = |tracking, safety_stock, stocked| Sku {
        code: code(UUID),
        name: name("mug"),
        tracking,
        safety_stock,
        stocked,
        set,
    };
    let lot = |day: Option<Date>, blocked| Lot {
        sku: SkuId(LAST),
        code: code("L"),
        received_on: day,
        expires_on: day,
        blocked,
        inside: quantity(QUANTITY_MAX),
        set,
    };
    let mut rows = vec![
        Row::Site(SiteId(0), None),
        Row::Site(SiteId(LAST), Some(Box::new(site))),
        Row::Location(LocationId(0), None),
        Row::Sku(SkuId(0), None),
        Row::Lot(LotId(1), None),
        Row::Lot(LotId(2), Some(Box::new(lot(None, false)))),
        Row::Lot(LotId(LAST), Some(Box::new(lot(Some(Date::stored(-1)), true)))),
    ];
    for (id, kind) in (1..).zip(LocationKind::ALL) {
        rows.push(Row::Location(LocationId(id), Some(Box::new(location(kind)))));
    }
    for (id, tracking) in (1..).zip(Tracking::ALL) {
        let levels = vec![(SiteId(0), quantity(1)), (SiteId(LAST), quantity(QUANTITY_MAX))];
        rows.push(Row::Sku(SkuId(id), Some(Box::new(sku(tracking, levels, id % 2 == 0)))));
    }
    rows
}

fn stock_rows() -> Vec<Row> {
    let gate = Gate { stocked: true, safety_level: quantity(QUANTITY_MAX), low: true };
    let position = Position {
        on_hand: quantity(QUANTITY_MAX),
        held: quantity(1),
        missing: quantity(128),
        since: Timestamp(1_772_000_000_000),
    };
    let mut rows = vec![
        Row::Gate(SiteId(0), SkuId(LAST), None),
        Row::Gate(SiteId(LAST), SkuId(0), Some(Gate::default())),
        Row::Gate(SiteId(1), SkuId(1), Some(gate)),
        Row::Position(place(0, 0, 0), None),
        Row::Position(place(LAST, LAST, LAST), Some(position)),
    ];
    for (outside, balance) in Outside::ALL.into_iter().zip([0, -1, 1, i64::MIN, i64::MAX]) {
        rows.push(Row::Outside(SkuId(7), outside, balance));
    }
    rows
}

fn document_rows() -> Vec<Row> {
    let pick = |units| Pick { location: LocationId(3), lot: LotId::NONE, quantity: quantity(units) };
    let hold = |status, owner, lines| Hold {
        owner,
        body: u64::MAX,
        placed: Sequence(1),
        expires_at: (status == HoldStatus::Held).then_some(Timestamp(u64::MAX)),
        status,
        confirmed: status == HoldStatus::Confirmed,
        lines,
    };
    let hold_line = || HoldLine {
        site: SiteId(1),
        sku: SkuId(2),
        quantity: quantity(4),
        picks: smallvec![pick(3), pick(QUANTITY_MAX)],
    };
    let all = |units| {
        let quantity = quantity(units);
        Totals {
            requested: quantity,
            allocated: quantity,
            picked: quantity,
            shipped: quantity,
            in_transit: quantity,
            received: quantity,
            damaged: quantity,
            lost: quantity,
            closed_short: quantity,
        }
    };
    let transfer = |end| Transfer {
        from: SiteId(0),
        to: SiteId(LAST),
        priority: 5,
        body: 3,
        requested: Sequence(9),
        requested_at: Timestamp(10),
        allocated: Sequence(0),
        end,
        lines: 50_000,
        totals: all(QUANTITY_MAX),
    };
    let staged =
        Staged { staging: LocationId(1), lot: LotId(2), origin: LocationId(3), quantity: quantity(4) };
    let bare = Line {
        name: code("1"),
        sku: SkuId(0),
        lot: None,
        totals: Totals::default(),
        picks: Vec::new(),
        staged: Vec::new(),
        transit: Vec::new(),
    };
    let full = Line {
        name: longest(),
        sku: SkuId(LAST),
        lot: Some(LotId(LAST)),
        totals: all(300),
        picks: vec![pick(1), pick(2)],
        staged: vec![staged],
        transit: vec![(LotId::NONE, quantity(0)), (LotId(LAST), quantity(QUANTITY_MAX))],
    };
    let (adjustment, shipment) = (Filing::Adjustment(code("A-1")), code("S-1"));
    let reversal = Filing::Reversal(MovementId { sequence: Sequence(7), index: LAST });
    let filed = Filed { body: u64::MAX, sequence: Sequence(u64::MAX) };
    let answered = Answered { body: 1, sequence: Sequence(2), noted: Sequence(4), at: Timestamp(3) };
    let mut rows = vec![
        Row::Hold(code("H-0"), None),
        Row::Transfer(code("T-0"), None),
        Row::Transfer(code("T-1"), Some(Box::new(transfer(None)))),
        Row::Transfer(code("T-2"), Some(Box::new(transfer(Some((End::Cancelled, Sequence(11))))))),
        Row::Transfer(code("T-3"), Some(Box::new(transfer(Some((End::Closed, Sequence(u64::MAX))))))),
        Row::Lines(code("T-0"), None),
        Row::Lines(code("T-1"), Some(vec![bare.clone(), full])),
        Row::Line(code(UUID), LAST, Box::new(bare)),
        Row::Filed(adjustment, None),
        Row::Filed(Filing::Move(code("M-1")), Some(filed)),
        Row::Filed(Filing::Shipment { transfer: code("T-1"), shipment }, Some(filed)),
        Row::Filed(reversal, Some(filed)),
        Row::Answered(code(UUID), None),
        Row::Answered(code("key"), Some(answered)),
    ];
    for (index, status) in HoldStatus::ALL.into_iter().enumerate() {
        let owner = [None, Some(code("cart"))][index % 2].clone();
        rows.push(Row::Hold(code("H-1"), Some(hold(status, owner, smallvec![hold_line(); index]))));
    }
    rows
}
