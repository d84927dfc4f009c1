//! Every law is broken once, and told: a small world with something of each kind, and one twist of its rows for each law.

use super::check;
use crate::{
    Amount, Code, Command, Currency, LocationId, LotId, Memory, MoneyOutside, Name, Outside, Place, Quantity,
    Request, Row, Sequence, SiteId, SkuId, Strategy, Tables, TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, AllocateTransfer, Authorize, CancelTransfer, Change, Checkout, ClaimTransfer,
        HoldLine, OrderLine, Payment, PickLine, PickTransfer, PlaceHold, PlaceOrder, Propose,
        RequestTransfer, SetCard, SetCart, SetCartItem, SetLocation, SetLot, SetOrderAllocation, SetSite,
        SetSku, ShipTransfer, TransferLine, TransferPart,
    },
    row::{
        Authorization, Balance, Card, Cart, Claim, End, Hold, HoldStatus, Line, LocationKind, Lot, Order,
        OrderAllocation, OrderStatus, Pick, Position, Proposal, Sale, Sku, Tracking, Transfer,
    },
    turn,
};

const NOW: Timestamp = Timestamp(1_772_323_200_000);
const PUS: SiteId = SiteId(1);
const A_01: LocationId = LocationId(0);
const B_01: LocationId = LocationId(2);
const MUG: Place = Place { location: A_01, sku: SkuId(0), lot: LotId::NONE };
const PHONE: Place = Place { location: A_01, sku: SkuId(2), lot: LotId(2) };
const CUP: Place = Place { location: A_01, sku: SkuId(3), lot: LotId::NONE };

/// Laws that no rows can break, because the tables do not take them; and what they say instead.
const NOT_TAKEN: &[(&str, &str)] = &[(
    "line {number} of order {id} holds more than it asked for",
    "a test below sees the tables panic over such an order",
)];

/// The words of a law, and a change of rows that breaks it.
type Twist = (&'static str, fn(&mut Memory));

const TWISTS: &[Twist] = &[
    ("more is held or missing than there is", |memory| {
        position(memory, MUG, |row| row.on_hand = row.held - Quantity::ONE);
    }),
    ("more is held or missing than there is", |memory| {
        position(memory, MUG, |row| row.missing = row.unheld() + Quantity::ONE);
    }),
    ("tracked stock has a lot, other stock has none", |memory| {
        sku(memory, MUG.sku, |row| row.tracking = Tracking::Lot);
    }),
    ("are held, and the holders hold 13", |memory| {
        position(memory, MUG, |row| row.held += Quantity::ONE);
    }),
    ("1 are held where nothing lies", |memory| drop(memory.put(Row::Position(CUP, None)))),
    ("SKU mug: the sum over all accounts is 1, not zero", |memory| {
        memory.put(Row::Outside(MUG.sku, Outside::Found, 1));
    }),
    ("SKU cup: what the watch takes for available at ICN is not what lies there", |memory| {
        let kind = LocationKind::Receiving;
        let row = crate::row::Location { kind, ..memory.location(A_01).clone() };
        memory.put(Row::Location(A_01, Some(Box::new(row))));
    }),
    ("lot L1: 11 are said to be inside, and 10 are", |memory| {
        lot(memory, LotId(1), |row| row.inside += Quantity::ONE);
    }),
    ("serial number S1 is there 2 times", |memory| {
        position(memory, PHONE, |row| row.on_hand += Quantity::ONE);
    }),
    ("hold H-1 is released and holds 3", |memory| {
        hold(memory, |row| row.status = HoldStatus::Released);
    }),
    ("hold H-1 is held and holds 0", |memory| {
        hold(memory, |row| row.lines.iter_mut().for_each(|line| line.picks.clear()));
    }),
    ("hold H-1 holds at another site than it says", |memory| {
        hold(memory, |row| row.lines[0].picks[0].location = B_01);
    }),
    ("transfer T-1 is cancelled and holds stock", |memory| {
        transfer(memory, "T-1", |row| row.end = Some((End::Cancelled, Sequence(1))));
    }),
    ("line 1 of transfer T-1 has more than it asked for", |memory| {
        line(memory, "T-1", 0, |row| row.totals.requested = Quantity::ONE);
    }),
    ("the sums of transfer T-1 are not those of its lines", |memory| {
        transfer(memory, "T-1", |row| row.totals.received = Quantity::ONE);
    }),
    ("the sums of transfer T-1 are not those of its lines", |memory| {
        transfer(memory, "T-1", |row| row.lines += 1);
    }),
    // Cancelled, with no quantity and three picks that a position knows of.
    (
        "line 1 of transfer T-2 has [0, 0, 0] allocated, picked and in transit, and its lists have [3, 0, 0]",
        |memory| {
            let pick = Pick { location: A_01, lot: LotId::NONE, quantity: quantity(3) };
            line(memory, "T-2", 0, |row| row.picks.push(pick));
            position(memory, MUG, |row| row.held += quantity(3));
        },
    ),
    (
        "line 2 of transfer T-1 has [0, 1, 5] allocated, picked and in transit, and its lists have [0, 1, 3]",
        |memory| {
            line(memory, "T-1", 1, |row| row.totals.in_transit = quantity(5));
            transfer(memory, "T-1", |row| row.totals.in_transit = quantity(5));
        },
    ),
    ("line 1 of transfer T-1 holds at another site", |memory| {
        line(memory, "T-1", 0, |row| row.picks[0].location = B_01);
    }),
    ("line 2 of transfer T-1 holds at another site", |memory| {
        line(memory, "T-1", 1, |row| row.staged[0].staging = B_01);
    }),
    ("transfer T-3 has {\"a\": [0]} to pick, and the index has {\"a\": []}", |memory| {
        transfer(memory, "T-3", |row| row.from = PUS);
    }),
    ("transfer T-2 has nothing to pick in zone \"a\", and Claim", |memory| {
        memory.put(Row::PickClaim(code("T-2"), name("a"), Some(Box::new(claim()))));
    }),
    ("1 claims on picks stand, and 2 in the index", |memory| {
        let (_, claim) = memory.pick_claims(&code("T-1")).next().unwrap();
        transfer(memory, "T-1", |row| row.from = PUS);
        memory.put(Row::PickClaim(code("T-1"), name("a"), Some(Box::new(claim))));
    }),
    ("1 pieces of pick work wait at site PUS, and 0 in the index", |memory| {
        transfer(memory, "T-3", |row| row.from = PUS);
    }),
    ("line 1 of order O-1 holds at another site", |memory| {
        order(memory, |row| row.lines[0].picks[0].location = B_01);
    }),
    ("order O-1 is cancelled and holds stock", |memory| {
        order(memory, |row| row.status = OrderStatus::Cancelled);
    }),
    ("order O-1 is waiting, with the claim Some", |memory| order(memory, |row| row.claim = Some(claim()))),
    ("order O-2: the lines that lack something are not as many as it says", |memory| {
        // A line that is named twice is counted twice.
        let pick = Pick { location: B_01, lot: LotId::NONE, quantity: Quantity::ONE };
        let picks = vec![(0, [pick].into_iter().collect()), (0, Default::default())];
        memory.put(Row::OrderPicks(code("O-2"), picks));
    }),
    ("cart C-1 has mug twice, or none of it", |memory| {
        cart(memory, "C-1", |row| row.lines[0].quantity = Quantity::ZERO);
    }),
    ("cart C-1 has mug twice, or none of it", |memory| {
        cart(memory, "C-1", |row| row.lines.push(row.lines[0].clone()));
    }),
    ("cart C-1 holds mug at another site", |memory| {
        cart(memory, "C-1", |row| row.lines[0].picks[0].location = B_01);
    }),
    ("cart C-1 holds more mug than is in it", |memory| {
        cart(memory, "C-1", |row| row.lines[0].picks[0].quantity += Quantity::ONE);
    }),
    ("cart C-1 is open and holds stock, until None", |memory| {
        cart(memory, "C-1", |row| row.expires_at = None);
    }),
    ("cart C-2 is ordered and lapses", |memory| cart(memory, "C-2", |row| row.expires_at = Some(NOW))),
    ("cart C-2 is ordered, with the order None", |memory| cart(memory, "C-2", |row| row.order = None)),
    ("something was sold as order O-9, which is not there", |memory| {
        let sale = memory.sale(&code("O-3")).map(Box::new);
        memory.put(Row::Sale(code("O-9"), sale));
    }),
    ("order O-3 was sold for 6, and its lines cost 5", |memory| sale(memory, |row| row.total = amount(6))),
    ("of the 5 that were paid for order O-3, 6 were given back", |memory| {
        sale(memory, |row| row.refunded = amount(6));
    }),
    ("order O-3 was paid by lee, and is for Some(kim)", |memory| {
        sale(memory, |row| row.owner = code("lee"));
    }),
    ("authorization AU-1 has more than was authorized", |memory| {
        authorization(memory, |row| row.captured = amount(1));
    }),
    ("the wallet of kim is below its limit", |memory| balance(memory, |row| row.limit = 10_000)),
    ("the wallet of kim has a currency twice, or out of order", |memory| {
        let mut wallet = memory.wallet(&code("kim")).cloned().unwrap();
        wallet.balances.push(Balance::empty(won()));
        memory.put(Row::Wallet(code("kim"), Some(wallet)));
    }),
    ("KRW: the sum over all accounts is 1, not zero", |memory| balance(memory, |row| row.balance += 1)),
    ("KRW: the wallets paid 1 more than the sales took in", |memory| {
        balance(memory, |row| row.paid = amount(row.paid.get() + 1));
    }),
    ("the wallet of kim holds 1 KRW for no open authorization", |memory| {
        balance(memory, |row| row.held = amount(row.held.get() + 1));
    }),
    ("the orders of kim can give back 1 KRW more than the wallet has for them", |memory| {
        balance(memory, |row| row.sold -= 1);
    }),
    ("KRW: the sum over all accounts is 1, not zero", |memory| {
        let outside = MoneyOutside::PaymentProvider;
        let balance = memory.money_outside(won(), outside);
        memory.put(Row::MoneyOutside(won(), outside, balance + 1));
    }),
    ("proposal P-1 swaps two cards of kim", |memory| {
        proposal(memory, "P-1", |row| row.to_owner = code("kim"));
    }),
    ("proposal P-1 is open on K-2, which is no card", |memory| {
        memory.put(Row::Card(code("K-2"), None));
    }),
    ("proposal P-1 is open, and its card K-1 has changed since", |memory| {
        card(memory, "K-1", |row| row.price = amount(9));
    }),
    ("is open and not found by its pair", |memory| {
        proposal(memory, "P-2", |row| row.proposed = Sequence(900));
    }),
    ("are open for one pair of cards", |memory| {
        proposal(memory, "P-2", |row| row.proposed = Sequence(900));
    }),
    // A new card in the place of one that went.
    ("proposal P-1 is found under card K-9 and is not open there", |memory| {
        let row = memory.card(&code("K-2"));
        memory.put(Row::Card(code("K-2"), None));
        memory.put(Row::Card(code("K-9"), row));
    }),
    ("2 proposals are open, and 3 are found under their two cards", |memory| {
        proposal(memory, "P-2", |row| row.to_card = code("K-3"));
    }),
];

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new("name", text).unwrap()
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).unwrap()
}

fn amount(units: u64) -> Amount {
    Amount::new("amount", units).unwrap()
}

fn won() -> Currency {
    Currency::new("currency", "KRW").unwrap()
}

fn claim() -> Claim {
    Claim { worker: code("lee"), fence: Sequence(1), expires_at: NOW }
}

fn position(memory: &mut Memory, place: Place, change: impl FnOnce(&mut Position)) {
    let mut row = memory.position(place).unwrap();
    change(&mut row);
    memory.put(Row::Position(place, Some(row)));
}

fn sku(memory: &mut Memory, id: SkuId, change: impl FnOnce(&mut Sku)) {
    let mut row = Box::new(memory.sku(id).clone());
    change(&mut row);
    memory.put(Row::Sku(id, Some(row)));
}

fn lot(memory: &mut Memory, id: LotId, change: impl FnOnce(&mut Lot)) {
    let mut row = Box::new(memory.lot(id).clone());
    change(&mut row);
    memory.put(Row::Lot(id, Some(row)));
}

fn hold(memory: &mut Memory, change: impl FnOnce(&mut Hold)) {
    let mut row = memory.hold(&code("H-1")).unwrap();
    change(&mut row);
    memory.put(Row::Hold(code("H-1"), Some(row)));
}

fn transfer(memory: &mut Memory, id: &str, change: impl FnOnce(&mut Transfer)) {
    let mut row = Box::new(memory.transfer(&code(id)).unwrap());
    change(&mut row);
    memory.put(Row::Transfer(code(id), Some(row)));
}

fn line(memory: &mut Memory, id: &str, index: u32, change: impl FnOnce(&mut Line)) {
    let mut row = Box::new(memory.line(&code(id), index));
    change(&mut row);
    memory.put(Row::Line(code(id), index, row));
}

fn order(memory: &mut Memory, change: impl FnOnce(&mut Order)) {
    let mut row = Box::new(memory.order(&code("O-1")).unwrap());
    change(&mut row);
    memory.put(Row::Order(code("O-1"), Some(row)));
}

fn cart(memory: &mut Memory, id: &str, change: impl FnOnce(&mut Cart)) {
    let mut row = Box::new(memory.cart(&code(id)).unwrap());
    change(&mut row);
    memory.put(Row::Cart(code(id), Some(row)));
}

fn sale(memory: &mut Memory, change: impl FnOnce(&mut Sale)) {
    let mut row = Box::new(memory.sale(&code("O-3")).unwrap());
    change(&mut row);
    memory.put(Row::Sale(code("O-3"), Some(row)));
}

fn authorization(memory: &mut Memory, change: impl FnOnce(&mut Authorization)) {
    let mut row = Box::new(memory.authorization(&code("AU-1")).unwrap());
    change(&mut row);
    memory.put(Row::Authorization(code("AU-1"), Some(row)));
}

fn balance(memory: &mut Memory, change: impl FnOnce(&mut Balance)) {
    let mut wallet = memory.wallet(&code("kim")).cloned().unwrap();
    change(&mut wallet.balances[0]);
    memory.put(Row::Wallet(code("kim"), Some(wallet)));
}

fn card(memory: &mut Memory, id: &str, change: impl FnOnce(&mut Card)) {
    let mut row = memory.card(&code(id)).unwrap();
    change(&mut row);
    memory.put(Row::Card(code(id), Some(row)));
}

/// Puts a proposal that is P-1 but for the change.
fn proposal(memory: &mut Memory, id: &str, change: impl FnOnce(&mut Proposal)) {
    let mut row = Box::new(memory.proposal(&code("P-1")).unwrap());
    change(&mut row);
    memory.put(Row::Proposal(code(id), Some(row)));
}

fn give(memory: &mut Memory, command: Command) {
    let request = Request::new(command, None, code("tester")).unwrap();
    turn::submit_for_good(memory, &request, NOW, &mut Vec::new()).unwrap();
}

/// Two sites, and four SKUs that lie there.
fn stocked() -> Memory {
    let mut memory = Memory::new();
    for site in ["ICN", "PUS"] {
        let (site, name, time_zone) = (code(site), Name::default(), TimeZone::new("UTC").unwrap());
        give(&mut memory, Command::SetSite(SetSite { site, name, time_zone, strategy: Strategy::Fefo }));
    }
    for (site, location, kind) in [
        ("ICN", "A-01", LocationKind::Storage),
        ("ICN", "DOCK", LocationKind::Staging),
        ("PUS", "B-01", LocationKind::Storage),
    ] {
        let (site, location, zone) = (code(site), code(location), name("a"));
        give(&mut memory, Command::SetLocation(SetLocation { site, location, zone, pick_order: 1, kind }));
    }
    for (sku, tracking) in [
        ("mug", Tracking::None),
        ("milk", Tracking::Lot),
        ("phone", Tracking::Serial),
        ("cup", Tracking::None),
    ] {
        let level = (sku == "cup").then(|| (code("ICN"), quantity(2)));
        let price = (sku == "mug").then(|| (won(), amount(5)));
        let (safety_stock, prices) = (level.into_iter().collect(), price.into_iter().collect());
        let (sku, name) = (code(sku), Name::default());
        give(&mut memory, Command::SetSku(SetSku { sku, name, tracking, safety_stock, prices }));
    }
    for (sku, lot) in [("milk", "L1"), ("phone", "S1")] {
        let (sku, lot) = (code(sku), code(lot));
        let set = SetLot { sku, lot, received_on: None, expires_on: None, blocked: false };
        give(&mut memory, Command::SetLot(set));
    }
    let lines = [
        ("ICN", "A-01", "mug", None, 50),
        ("ICN", "A-01", "milk", Some("L1"), 10),
        ("ICN", "A-01", "phone", Some("S1"), 1),
        ("ICN", "A-01", "cup", None, 5),
        ("PUS", "B-01", "mug", None, 5),
    ];
    let lines = lines.map(|(site, location, sku, lot, units)| AdjustLine {
        site: code(site),
        location: code(location),
        sku: code(sku),
        lot: lot.map(code),
        change: Change::Add(quantity(units), Outside::Opening),
    });
    let (id, reason) = (code("J-1"), Name::default());
    give(&mut memory, Command::Adjust(Adjust { id, reason, lines: lines.to_vec(), release: None }));
    memory
}

fn request_transfer(memory: &mut Memory, id: &str, lines: &[(&str, u64)]) {
    let lines = lines.iter().zip(1..).map(|((sku, units), line)| TransferLine {
        line: code(&format!("{line}")),
        sku: code(sku),
        quantity: quantity(*units),
        lot: None,
    });
    let (id, from, to, lines) = (code(id), code("ICN"), code("PUS"), lines.collect());
    give(memory, Command::RequestTransfer(RequestTransfer { id, from, to, priority: 0, lines }));
}

fn allocate(memory: &mut Memory, id: &str) {
    let (id, strategy, lines) = (code(id), None, None);
    let allocate = AllocateTransfer { id, strategy, partial: true, lines, dry_run: false };
    give(memory, Command::AllocateTransfer(allocate));
}

/// A transfer with goods in a bin, in staging and on the way; one that was cancelled; and one that waits to be picked.
fn add_transfers(memory: &mut Memory) {
    request_transfer(memory, "T-1", &[("mug", 6), ("milk", 4)]);
    allocate(memory, "T-1");
    let picked = PickLine { line: code("2"), location: None, lot: None, quantity: quantity(4), short: None };
    let (id, lines) = (code("T-1"), Some(vec![picked]));
    give(memory, Command::PickTransfer(PickTransfer { id, lines, claimant: None, staging: None }));
    let lines = Some(vec![TransferPart { line: code("2"), quantity: Some(quantity(3)) }]);
    give(memory, Command::ShipTransfer(ShipTransfer { id: code("T-1"), shipment: code("S-1"), lines }));
    let (id, worker) = (code("T-1"), code("lee"));
    give(memory, Command::ClaimTransfer(ClaimTransfer { id, zone: None, worker, lease_ms: None }));
    request_transfer(memory, "T-2", &[("mug", 3)]);
    give(memory, Command::CancelTransfer(CancelTransfer { id: code("T-2"), release: false }));
    request_transfer(memory, "T-3", &[("mug", 1)]);
    allocate(memory, "T-3");
}

fn place_order(memory: &mut Memory, id: &str, site: &str, lines: &[u64]) {
    let line = |units: &u64| OrderLine { sku: code("mug"), quantity: quantity(*units), lot: None };
    let lines = lines.iter().map(line).collect();
    let (id, site, customer) = (code(id), code(site), Some(code("kim")));
    let place = PlaceOrder { id, site, lines, customer, priority: 0, backorder: false };
    give(memory, Command::PlaceOrder(place));
}

/// An order that holds, one that holds nothing yet, and two carts of which one was paid.
fn add_sales(memory: &mut Memory) {
    place_order(memory, "O-1", "ICN", &[2]);
    let (site, allocation) = (code("PUS"), OrderAllocation::OnDemand);
    give(memory, Command::SetOrderAllocation(SetOrderAllocation { site, allocation }));
    place_order(memory, "O-2", "PUS", &[1, 1]);
    let (owner, currency) = (code("kim"), won());
    let payment =
        Payment { owner, currency, amount: amount(1_000), reason: Name::default(), reference: None };
    give(memory, Command::Charge(payment.clone()));
    let payment = Payment { amount: amount(10), ..payment };
    give(memory, Command::Authorize(Authorize { id: code("AU-1"), payment }));
    for id in ["C-1", "C-2"] {
        let (id, site, owner) = (code(id), code("ICN"), code("kim"));
        give(memory, Command::SetCart(SetCart { id: id.clone(), site, owner, hold_s: Some(600) }));
        give(memory, Command::SetCartItem(SetCartItem { id, sku: code("mug"), quantity: Quantity::ONE }));
    }
    let (id, order) = (code("C-2"), Some(code("O-3")));
    give(memory, Command::Checkout(Checkout { id, currency: won(), expected_total: None, order }));
}

fn add_trades(memory: &mut Memory) {
    for (card, owner) in [("K-1", "kim"), ("K-2", "lee"), ("K-3", "lee")] {
        let (card, owner) = (code(card), code(owner));
        give(memory, Command::SetCard(SetCard { card, owner, price: amount(5), from_owner: None }));
    }
    let (id, owner) = (code("P-1"), code("kim"));
    give(memory, Command::Propose(Propose { id, owner, from_card: code("K-1"), to_card: code("K-2") }));
}

fn world() -> Memory {
    let mut memory = stocked();
    let hold_line = |sku, units| HoldLine {
        site: code("ICN"),
        sku: code(sku),
        quantity: quantity(units),
        location: None,
        lot: None,
    };
    let lines = [hold_line("mug", 2), hold_line("cup", 1)].into_iter().collect();
    let (id, owner, expires_in_ms, strategy) = (code("H-1"), None, None, None);
    let place = PlaceHold { id, owner, lines, expires_in_ms, partial: false, strategy };
    give(&mut memory, Command::PlaceHold(place));
    add_transfers(&mut memory);
    add_sales(&mut memory);
    add_trades(&mut memory);
    memory
}

/// The words of the laws: each text that a check makes a message of.
fn laws() -> Vec<&'static str> {
    let sources = [include_str!("../check.rs"), include_str!("trade.rs"), include_str!("transfer.rs")];
    let formats = sources.into_iter().flat_map(|source| source.split("format!(").skip(1));
    formats.map(|format| format.split('"').nth(1).expect("a format has its text")).collect()
}

/// Whether a message was made of a law's words.
fn is_of(told: &str, law: &str) -> bool {
    let mut words = law.split('{').map(|part| part.split_once('}').map_or(part, |(_, words)| words));
    let rest = told.strip_prefix(words.next().unwrap_or_default());
    words
        .try_fold(rest, |rest, words| Some(rest?.split_once(words).map(|(_, rest)| rest)))
        .flatten()
        .is_some()
}

#[test]
fn every_law_that_is_broken_is_told() {
    check(&world()).unwrap();
    let (mut told, mut untold) = (Vec::new(), Vec::new());
    for (words, twist) in TWISTS {
        let mut memory = world();
        twist(&mut memory);
        let wrong = check(&memory).err().unwrap_or_default();
        match wrong.iter().find(|wrong| wrong.contains(words)) {
            Some(by_law) => told.push(by_law.clone()),
            None => untold.push((words, wrong)),
        }
    }
    assert!(untold.is_empty(), "{untold:#?}");
    for law in laws() {
        let not_taken = NOT_TAKEN.iter().any(|(words, _)| *words == law);
        assert_ne!(told.iter().any(|told| is_of(told, law)), not_taken, "{law}");
    }
}

#[test]
#[should_panic(expected = "a decision made sure that there is enough")]
fn an_order_that_holds_more_than_it_asked_for_is_not_taken() {
    order(&mut world(), |row| row.lines[0].picks[0].quantity = quantity(3));
}
