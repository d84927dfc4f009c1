//! Orders in numbers: what one turn leaves to the next, and what chance comes to.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jaego_domain::{
    Code, Command, Memory, Name, Outcome, Outside, Quantity, Query, Refusal, Request, Strategy, Tables,
    TimeZone, Timestamp, View,
    command::{
        Adjust, AdjustLine, AllocateOrder, AllocateTransfer, CancelOrder, Change, ClaimOrders, ClaimPicks,
        ClaimPolicy, Claimant, CompleteOrder, ConfirmHold, ExtendClaim, HoldLine, HoldPart, Move, MoveLine,
        OrderLine, PlaceHold, PlaceOrder, Release, ReleaseHold, RequestTransfer, SetLocation, SetLot,
        SetOrderAllocation, SetSite, SetSku, TransferLine,
    },
    limits::{CLAIMS_MAX, FILL_LINES_MAX, LINES_MAX, PARTS_MAX, PASSED_BY_MAX, SWEEP_MAX},
    query::{Page, Period},
    row::{LocationKind, OrderAllocation, OrderStatus, Tracking},
    turn,
};
use jaego_store::{Batch, Reference, Results, Store, conformance::START};
use jaego_testkit::{size, thread_time};

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn units(units: usize) -> Quantity {
    Quantity::new("quantity", units as u64).unwrap()
}

/// A site with a bin, and a SKU of which there is nothing.
fn world(tracking: Tracking) -> Vec<Command> {
    vec![
        Command::SetSite(SetSite {
            site: code("ICN"),
            name: Name::default(),
            time_zone: TimeZone::new("UTC").unwrap(),
            strategy: Strategy::Fefo,
        }),
        Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code("A-01"),
            zone: Name::default(),
            pick_order: 1,
            kind: LocationKind::Storage,
        }),
        Command::SetSku(SetSku {
            sku: code("mug"),
            name: Name::default(),
            tracking,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        }),
    ]
}

fn received(quantity: usize) -> AdjustLine {
    let change = Change::Add(units(quantity), Outside::Supplier);
    AdjustLine { site: code("ICN"), location: code("A-01"), sku: code("mug"), lot: None, change }
}

fn receipt(id: &str, quantity: usize) -> Command {
    let lines = vec![received(quantity)];
    Command::Adjust(Adjust { id: code(id), reason: Name::default(), lines, release: None })
}

fn order(id: &str, quantity: usize, priority: u32, backorder: bool) -> Command {
    let lines = vec![OrderLine { sku: code("mug"), quantity: units(quantity), lot: None }];
    let (id, site, customer) = (code(id), code("ICN"), None);
    Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority, backorder })
}

struct Shop {
    store: Reference,
    clock: Arc<AtomicU64>,
}

impl Shop {
    /// A site with a bin, and a SKU of which there is nothing.
    fn open() -> Self {
        Self::of(Tracking::None)
    }

    fn of(tracking: Tracking) -> Self {
        let clock = Arc::new(AtomicU64::new(START.0));
        let hand = Arc::clone(&clock);
        let store = Reference::new(move || Timestamp(hand.load(Ordering::SeqCst)));
        let shop = Self { store, clock };
        shop.all(world(tracking));
        shop
    }

    fn all(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let request = |command| Request::new(command, None, code("tester")).unwrap();
        let requests = commands.into_iter().map(request).collect();
        match self.store.submit(Batch { requests, atomic: false }).wait().unwrap().results {
            Results::Each(each) => each.into_iter().map(|done| done.unwrap().outcome).collect(),
            Results::Refused(_) => unreachable!("the batch is not atomic"),
        }
    }

    fn refused(&self, command: Command) -> Refusal {
        let requests = vec![Request::new(command, None, code("tester")).unwrap()];
        match self.store.submit(Batch { requests, atomic: false }).wait().unwrap().results {
            Results::Each(mut each) => each.remove(0).unwrap_err(),
            Results::Refused(_) => unreachable!("the batch is not atomic"),
        }
    }

    fn receive(&self, id: &str, quantity: usize) {
        self.all(vec![receipt(id, quantity)]);
    }

    /// Orders of one unit each, which may wait for it.
    fn place(&self, count: usize) {
        self.all((0..count).map(|number| order(&format!("O{number}"), 1, 9, true)).collect());
    }

    fn claim(&self, worker: &str, policy: ClaimPolicy, count: usize) -> Vec<Code> {
        let (site, worker) = (code("ICN"), code(worker));
        let claim = ClaimOrders { site, worker, policy, count, lease_ms: Some(1_000) };
        let outcome = self.all(vec![Command::ClaimOrders(claim)]).remove(0);
        outcome.claims.into_iter().map(|claim| claim.order).collect()
    }

    /// How long it takes to claim the one order, to extend the claim and to have it lapse.
    fn claim_extend_and_lapse(&self) -> Duration {
        let start = Instant::now();
        let (site, worker) = (code("ICN"), code("ann"));
        let (policy, count, lease_ms) = (ClaimPolicy::Oldest, 1, Some(1_000));
        let claim = ClaimOrders { site, worker: worker.clone(), policy, count, lease_ms };
        let claim = self.all(vec![Command::ClaimOrders(claim)]).remove(0).claims.remove(0);
        let claimant = Claimant { worker, fence: claim.fence };
        let extend = ExtendClaim { id: claim.order, claimant, lease_ms };
        self.all(vec![Command::ExtendClaim(extend)]);
        self.clock.fetch_add(1_000, Ordering::SeqCst);
        self.turn();
        start.elapsed()
    }

    /// The ids of all orders of a status, and a turn of the store for each page.
    fn orders(&self, status: OrderStatus) -> Vec<Code> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = Page { after, limit: 1_000 };
            let query = Query::Orders {
                site: None,
                status: Some(status),
                customer: None,
                worker: None,
                allocated: None,
                placed: Period::default(),
                page,
            };
            let Ok(View::Orders(list)) = self.store.query(query).wait().unwrap().value else {
                panic!("orders were asked for")
            };
            ids.extend(list.items.into_iter().map(|order| order.id));
            after = list.next;
            if after.is_none() {
                return ids;
            }
        }
    }

    /// A turn that nobody asks anything of.
    fn turn(&self) {
        self.store.query(Query::Sku(code("mug"))).wait().unwrap().value.unwrap();
    }

    /// How many orders each event about waiting lines filled, so far.
    fn filled(&self) -> Vec<usize> {
        self.store.inspect(|_, events| {
            let filled = events.iter().filter_map(|event| match &event.fact {
                jaego_domain::Fact::OrdersFilled { orders, .. } => Some(orders.len()),
                _ => None,
            });
            filled.collect()
        })
    }
}

#[test]
fn what_one_event_does_not_fill_the_next_turns_do_and_the_oldest_come_first() {
    let shop = Shop::open();
    let (orders, arrived) = (FILL_LINES_MAX * 3, FILL_LINES_MAX * 2 + 100);
    shop.place(orders);
    shop.receive("J1", arrived);
    assert_eq!(shop.filled(), [FILL_LINES_MAX]);
    shop.turn();
    shop.turn();
    assert_eq!(shop.filled(), [FILL_LINES_MAX, FILL_LINES_MAX, 100]);
    // Nothing is left to give: no further turn has anything to do.
    shop.turn();
    let before = shop.store.status().sequence;
    shop.turn();
    assert_eq!(shop.store.status().sequence, before);
    let ready: Vec<_> = (0..3).flat_map(|_| shop.claim("ann", ClaimPolicy::Oldest, CLAIMS_MAX)).collect();
    let oldest: Vec<_> = (0..arrived).map(|number| code(&format!("O{number}"))).collect();
    assert!(ready == oldest, "the oldest {arrived} of {orders} orders are ready, not {} others", ready.len());
}

/// Who waits for another SKU of the same receipt gets it behind those, after as many events as their lines take.
#[test]
fn however_many_wait_for_one_sku_those_who_wait_for_another_come_next() {
    let shop = Shop::open();
    let (name, tracking, safety_stock, prices) = (Name::default(), Tracking::None, Vec::new(), Vec::new());
    shop.all(vec![Command::SetSku(SetSku { sku: code("cup"), name, tracking, safety_stock, prices })]);
    let waiting = 3 * FILL_LINES_MAX + 10;
    shop.place(waiting);
    let lines = vec![OrderLine { sku: code("cup"), quantity: Quantity::ONE, lot: None }];
    let (id, site, customer) = (code("C1"), code("ICN"), None);
    shop.all(vec![Command::PlaceOrder(PlaceOrder {
        id,
        site,
        lines,
        customer,
        priority: 0,
        backorder: true,
    })]);
    let lines = vec![received(waiting), AdjustLine { sku: code("cup"), ..received(1) }];
    let (id, reason) = (code("J1"), Name::default());
    shop.all(vec![Command::Adjust(Adjust { id, reason, lines, release: None })]);
    for _ in 0..3 {
        assert_eq!(shop.store.inspect(|tables, _| tables.order_pick_count(&code("C1"))), 0);
        shop.turn();
    }
    assert_eq!(shop.filled(), [FILL_LINES_MAX, FILL_LINES_MAX, FILL_LINES_MAX, 10 + 1]);
    assert_eq!(shop.store.inspect(|tables, _| tables.order_pick_count(&code("C1"))), 1);
}

/// 2,000 orders of priority 9 wait, and what comes is more than one event gives them: who comes next gets what they leave.
#[test]
fn nobody_takes_what_those_who_wait_have_yet_to_get() {
    const WAITING: usize = 2_000;
    for atomic in [false, true] {
        for left in [0, 976] {
            let shop = Shop::open();
            shop.place(WAITING);
            let requests = vec![
                Request::new(receipt("J1", WAITING + left), None, code("tester")).unwrap(),
                Request::new(order("NEW", 976, 0, false), None, code("tester")).unwrap(),
            ];
            let results = shop.store.submit(Batch { requests, atomic }).wait().unwrap().results;
            let refused = match results {
                Results::Each(each) => each.into_iter().find_map(Result::err),
                Results::Refused(mut refused) => {
                    assert_eq!((refused.len(), refused[0].0), (1, 1));
                    refused.pop().map(|(_, refusal)| refusal)
                }
            };
            let available = refused.map(|refusal| match refusal {
                Refusal::InsufficientStock { shortages } => shortages[0].available,
                other => panic!("{other}"),
            });
            assert_eq!(available, (left == 0).then_some(Quantity::ZERO), "atomic {atomic}, {left} are left");
            let is_undone = atomic && left == 0;
            let filled = if is_undone { vec![] } else { vec![FILL_LINES_MAX, WAITING - FILL_LINES_MAX] };
            assert_eq!(shop.filled(), filled, "atomic {atomic}, {left} are left");
            shop.store.inspect(|tables, _| jaego_domain::check::check(tables).map(drop).unwrap());
        }
    }
}

/// What comes for an order in parts of 50,000 serial numbers is more than one decision can give up again.
#[test]
fn an_order_gets_no_more_picks_than_cancelling_can_give_up() {
    let mut memory = Memory::new();
    let mut give = |command| {
        let request = Request::new(command, None, code("tester")).unwrap();
        turn::fill_up(&mut memory, START, &mut Vec::new());
        turn::submit_for_good(&mut memory, &request, START, &mut Vec::new()).map(|_| ())
    };
    world(Tracking::Serial).into_iter().for_each(|command| give(command).unwrap());
    give(order("O1", 4 * LINES_MAX, 9, true)).unwrap();
    give(order("O2", 10, 0, true)).unwrap();
    for part in 0..4 {
        let serials: Vec<Code> = (0..LINES_MAX).map(|number| code(&format!("N{part}-{number}"))).collect();
        for lot in &serials {
            let (sku, lot) = (code("mug"), lot.clone());
            give(Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked: false }))
                .unwrap();
        }
        let line = |lot: &Code| AdjustLine { lot: Some(lot.clone()), ..received(1) };
        let (id, lines) = (code(&format!("J{part}")), serials.iter().map(line).collect());
        give(Command::Adjust(Adjust { id, reason: Name::default(), lines, release: None })).unwrap();
    }
    let allocate = |id: &str| Command::AllocateOrder(AllocateOrder { id: code(id) });
    let parts = 4 * LINES_MAX - 10;
    assert_eq!(give(allocate("O1")), Err(Refusal::TooManyParts { parts, max: PARTS_MAX }));
    let complete = Command::CompleteOrder(CompleteOrder { id: code("O2"), claimant: None });
    assert_eq!(give(complete), Ok(()), "the next in line got what O1 cannot hold");
    assert_eq!(give(Command::CancelOrder(CancelOrder { id: code("O1") })), Ok(()));
    assert_eq!(memory.order_pick_count(&code("O1")), 0);
}

/// With as many picks as a decision has parts an order is completed and cancelled; with one more, which only a move of held
/// goods makes of what it has, it is neither, until the goods are moved together again.
#[test]
fn an_order_with_as_many_picks_as_a_decision_has_parts_is_completed_and_cancelled() {
    let mut memory = Memory::new();
    let mut give = |command| {
        let request = Request::new(command, None, code("tester")).unwrap();
        turn::fill_up(&mut memory, START, &mut Vec::new());
        let given = turn::submit_for_good(&mut memory, &request, START, &mut Vec::new());
        given.map(|_| ["O1", "O2"].iter().map(|id| memory.order_pick_count(&code(id))).sum::<usize>())
    };
    let bin = |number: usize| code(&format!("B-{number}"));
    for command in world(Tracking::None) {
        give(command).unwrap();
    }
    for number in 0..=PARTS_MAX {
        let (site, location, zone) = (code("ICN"), bin(number), Name::default());
        let kind = LocationKind::Storage;
        give(Command::SetLocation(SetLocation { site, location, zone, pick_order: 1, kind })).unwrap();
    }
    let moved = |id: &str, from: usize, to: usize| {
        let (sku, lot, from, to) = (code("mug"), None, bin(from), bin(to));
        let lines = vec![MoveLine { sku, lot, quantity: Quantity::ONE, from, to }];
        let (id, site, reason) = (code(id), code("ICN"), Name::default());
        Command::Move(Move { id, site, reason, lines, with_holds: true })
    };
    // Two units in each bin but the last.
    let receive = |name: &str| {
        let firsts = (0..PARTS_MAX).step_by(LINES_MAX);
        let receipt = |first: usize| {
            let line = |number| AdjustLine { location: bin(number), ..received(2) };
            let lines = (first..first + LINES_MAX).map(line).collect();
            let (id, reason) = (code(&format!("{name}{first}")), Name::default());
            Command::Adjust(Adjust { id, reason, lines, release: None })
        };
        firsts.map(receipt).collect::<Vec<_>>()
    };
    let cancel = || Command::CancelOrder(CancelOrder { id: code("O1") });
    let complete = || Command::CompleteOrder(CompleteOrder { id: code("O1"), claimant: None });
    let beyond = |parts| Err(Refusal::TooManyParts { parts, max: PARTS_MAX });

    give(order("O1", 2 * PARTS_MAX, 9, true)).unwrap();
    receive("J").into_iter().for_each(|command| give(command).map(drop).unwrap());
    assert_eq!(give(moved("M1", 0, PARTS_MAX)), Ok(PARTS_MAX + 1));
    assert_eq!(give(complete()), beyond(PARTS_MAX + 1));
    assert_eq!(give(cancel()), beyond(PARTS_MAX + 1));
    assert_eq!(give(moved("M2", 0, PARTS_MAX)), Ok(PARTS_MAX), "in one bin again");
    assert_eq!(give(complete()), Ok(0));

    give(order("O2", 2 * PARTS_MAX, 9, true)).unwrap();
    receive("K").into_iter().for_each(|command| give(command).map(drop).unwrap());
    // What repeats something comes behind what is still to be filled.
    assert_eq!(give(world(Tracking::None).remove(0)), Ok(PARTS_MAX));
    assert_eq!(give(Command::CancelOrder(CancelOrder { id: code("O2") })), Ok(0));
    // The line is a part of the decision that places it.
    assert_eq!(give(order("O3", 2 * PARTS_MAX, 0, false)), beyond(PARTS_MAX + 1));
    give(order("O3", 2 * PARTS_MAX - 2, 0, false)).unwrap();
    jaego_domain::check::check(&memory).map(drop).unwrap();
}

/// What it gives back makes room for what it takes; both stand in one event.
#[test]
fn an_order_swaps_recalled_picks_within_the_room_that_they_leave() {
    let mut memory = Memory::new();
    let mut give = |command| {
        let request = Request::new(command, None, code("tester")).unwrap();
        turn::fill_up(&mut memory, START, &mut Vec::new());
        let given = turn::submit_for_good(&mut memory, &request, START, &mut Vec::new());
        given.map(|_| memory.order_pick_count(&code("O1")))
    };
    world(Tracking::Serial).into_iter().for_each(|command| assert!(give(command).is_ok()));
    give(order("O1", 4 * LINES_MAX, 9, true)).unwrap();
    let serial = |number: usize| code(&format!("N{number}"));
    let set = |number, blocked| {
        let (sku, lot) = (code("mug"), serial(number));
        Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked })
    };
    let receive = |numbers: std::ops::Range<usize>| {
        let (id, reason) = (code(&format!("J{}", numbers.start)), Name::default());
        let lines = numbers.clone().map(|number| AdjustLine { lot: Some(serial(number)), ..received(1) });
        let adjust = Command::Adjust(Adjust { id, reason, lines: lines.collect(), release: None });
        numbers.map(|number| set(number, false)).chain([adjust]).collect::<Vec<_>>()
    };
    let mut next = 0;
    let mut arrive = |count: usize| {
        next += count;
        receive(next - count..next)
    };
    let allocate = || Command::AllocateOrder(AllocateOrder { id: code("O1") });
    let beyond = |parts| Err(Refusal::TooManyParts { parts, max: PARTS_MAX });
    for _ in 0..PARTS_MAX / LINES_MAX {
        arrive(LINES_MAX).into_iter().for_each(|command| assert!(give(command).is_ok()));
    }

    arrive(1).into_iter().for_each(|command| assert!(give(command).is_ok()));
    assert_eq!(give(set(0, true)), Ok(PARTS_MAX));
    assert_eq!(give(allocate()), Ok(PARTS_MAX), "one for one");
    arrive(2).into_iter().for_each(|command| assert!(give(command).is_ok()));
    assert_eq!(give(set(1, true)), Ok(PARTS_MAX));
    assert_eq!(give(allocate()), beyond(PARTS_MAX + 1), "two for one");
    assert_eq!(give(set(2, true)), Ok(PARTS_MAX));
    assert_eq!(give(allocate()), Ok(PARTS_MAX), "two for two");

    // What is short of the order is a part of the event as well.
    let half = PARTS_MAX / 2;
    for count in [LINES_MAX, half - 1 - LINES_MAX] {
        arrive(count).into_iter().for_each(|command| assert!(give(command).is_ok()));
    }
    (10..=10 + half).for_each(|number| assert!(give(set(number, true)).is_ok()));
    assert_eq!(give(allocate()), beyond(PARTS_MAX + 1), "one more than half");
    assert_eq!(give(set(10, false)), Ok(PARTS_MAX));
    assert_eq!(give(allocate()), Ok(PARTS_MAX - 1), "half");
    assert_eq!(give(Command::CancelOrder(CancelOrder { id: code("O1") })), Ok(0));
}

/// How long the processor took for a command.
fn timed(memory: &mut Memory, command: Command) -> Duration {
    let request = Request::new(command, None, code("tester")).unwrap();
    let begun = thread_time();
    turn::submit_for_good(memory, &request, START, &mut Vec::new()).unwrap();
    thread_time() - begun
}

/// 100,000 serial numbers are here and one order waits for another one: what a command costs does not depend on them. With a
/// look at each of them a command took 20 ms.
#[test]
fn who_waits_for_another_lot_costs_no_command_a_look_at_those_that_are_here() {
    const COMMANDS: usize = 100;
    const SOON: Duration = Duration::from_millis(300);
    let mut memory = Memory::new();
    let mut give = |command| timed(&mut memory, command);
    for command in world(Tracking::Serial) {
        give(command);
    }
    let serials: Vec<Code> = (0..2 * LINES_MAX).map(|number| code(&format!("N{number}"))).collect();
    for lot in serials.iter().chain([&code("WANTED")]) {
        let (sku, lot) = (code("mug"), lot.clone());
        give(Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked: false }));
    }
    for (part, serials) in serials.chunks(LINES_MAX).enumerate() {
        let line = |lot: &Code| AdjustLine { lot: Some(lot.clone()), ..received(1) };
        let (id, lines) = (code(&format!("J{part}")), serials.iter().map(line).collect());
        give(Command::Adjust(Adjust { id, reason: Name::default(), lines, release: None }));
    }
    let (id, site, customer, priority, backorder) = (code("O1"), code("ICN"), None, 0, true);
    let lines = vec![OrderLine { sku: code("mug"), quantity: units(1), lot: Some(code("WANTED")) }];
    give(Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority, backorder }));
    let line = HoldLine {
        site: code("ICN"),
        sku: code("mug"),
        quantity: units(2 * COMMANDS),
        location: None,
        lot: None,
    };
    give(Command::PlaceHold(PlaceHold {
        id: code("H1"),
        owner: None,
        lines: vec![line].into(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    }));
    let part = || Some(vec![HoldPart { line: 1, quantity: Some(units(1)) }]);
    let (id, to, release_rest) = (code("H1"), None, false);
    let confirm = ConfirmHold { id, lines: part(), to, release_rest };
    let release = ReleaseHold { id: code("H1"), lines: part() };
    let commands = [Command::ConfirmHold(confirm), Command::ReleaseHold(release)];
    for (what, command) in ["confirmed", "released"].into_iter().zip(commands) {
        let took: Duration = (0..COMMANDS).map(|_| give(command.clone())).sum();
        println!("{COMMANDS} of them {what}: {took:?}");
        assert!(took < SOON, "{COMMANDS} of them {what}: {took:?}");
    }
    let adjust = AdjustLine { lot: Some(code("WANTED")), ..received(1) };
    let (id, reason, lines) = (code("J9"), Name::default(), vec![adjust]);
    give(Command::Adjust(Adjust { id, reason, lines, release: None }));
    assert_eq!(memory.order_pick_count(&code("O1")), 1, "it gets what it waited for");
}

/// An order of 50,000 SKUs gets one after the other: each receipt takes the time of the line that it fills. With all lines of the
/// order written again it took 14 ms.
#[test]
fn a_line_that_is_filled_costs_the_same_whatever_else_was_ordered() {
    const RECEIPTS: usize = 100;
    const SOON: Duration = Duration::from_millis(400);
    let mut memory = Memory::new();
    let mut give = |command| timed(&mut memory, command);
    for command in world(Tracking::None) {
        give(command);
    }
    let sku = |number: usize| code(&format!("S{number}"));
    for number in 0..LINES_MAX {
        let (name, tracking) = (Name::default(), Tracking::None);
        let (sku, safety_stock, prices) = (sku(number), Vec::new(), Vec::new());
        give(Command::SetSku(SetSku { sku, name, tracking, safety_stock, prices }));
    }
    let line = |number: usize| OrderLine { sku: sku(number), quantity: units(2), lot: None };
    let (id, site, customer, priority, backorder) = (code("O1"), code("ICN"), None, 0, true);
    let lines = (0..LINES_MAX).map(line).collect();
    give(Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority, backorder }));
    for part in 0..2 {
        let receipt = |number: usize| {
            let lines = vec![AdjustLine { sku: sku(number * 499), ..received(1) }];
            let (id, reason) = (code(&format!("J{part}-{number}")), Name::default());
            Command::Adjust(Adjust { id, reason, lines, release: None })
        };
        let took: Duration = (0..RECEIPTS).map(|number| give(receipt(number))).sum();
        println!("{RECEIPTS} receipts: {took:?}");
        assert!(took < SOON, "{RECEIPTS} receipts: {took:?}");
    }
    assert_eq!(memory.order_pick_count(&code("O1")), RECEIPTS);
    jaego_domain::check::check(&memory).map(drop).unwrap();
}

/// An order holds all but a few of its 50,000 lines. A copy of all its picks took each of these 0.3 to 0.5 ms when it got
/// something, and 5,000 lines a second when one count cut them.
#[test]
fn a_line_of_a_nearly_full_order_is_filled_and_cut_without_a_copy_of_all_picks() {
    const LACKING: usize = 100;
    const CUT: usize = 5_000;
    const SOON: Duration = Duration::from_millis(15);
    const CUT_SOON: Duration = Duration::from_millis(250);
    let mut memory = Memory::new();
    let mut give = |command| timed(&mut memory, command);
    for command in world(Tracking::None) {
        give(command);
    }
    let sku = |number: usize| code(&format!("S{number}"));
    let lacks = |number: usize| number.is_multiple_of(LINES_MAX / LACKING);
    for number in 0..LINES_MAX {
        let (name, tracking) = (Name::default(), Tracking::None);
        let (sku, safety_stock, prices) = (sku(number), Vec::new(), Vec::new());
        give(Command::SetSku(SetSku { sku, name, tracking, safety_stock, prices }));
    }
    let adjust = |id: String, numbers: &[usize], change, release| {
        let line = |number: &usize| AdjustLine { sku: sku(*number), change, ..received(1) };
        let (id, reason, lines) = (code(&id), Name::default(), numbers.iter().map(line).collect());
        Command::Adjust(Adjust { id, reason, lines, release })
    };
    let add = |quantity| Change::Add(units(quantity), Outside::Supplier);
    let (few, most): (Vec<usize>, Vec<usize>) = (0..LINES_MAX).partition(|number| lacks(*number));
    give(adjust("J1".to_owned(), &most, add(3), None));
    let line = |number: usize| OrderLine { sku: sku(number), quantity: units(3), lot: None };
    let (id, site, customer, priority, backorder) = (code("O1"), code("ICN"), None, 0, true);
    let lines = (0..LINES_MAX).map(line).collect();
    give(Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority, backorder }));
    for part in 0..3 {
        let receipt = |number: &usize| adjust(format!("J{part}-{number}"), &[*number], add(1), None);
        let took: Duration = few.iter().map(|number| give(receipt(number))).sum();
        println!("{LACKING} receipts: {took:?}");
        assert!(took < SOON, "{LACKING} receipts: {took:?}");
    }
    for left in [1, 0] {
        let counted =
            adjust(format!("C{left}"), &most[..CUT], Change::Counted(units(left)), Some(Release::All));
        let took = give(counted);
        println!("{CUT} lines cut to {left}: {took:?}");
        assert!(took < CUT_SOON, "{CUT} lines cut to {left}: {took:?}");
    }
    assert!(!memory.order_work(&code("O1")).unwrap().is_allocated);
    assert_eq!(memory.order_pick_count(&code("O1")), LINES_MAX - CUT);
    jaego_domain::check::check(&memory).map(drop).unwrap();
}

/// Every line of a hold wants of the same SKU, which lies in many bins: one decision looks at each bin twice. Looking at all
/// of them for each line took 23 s.
#[test]
fn many_lines_of_a_sku_in_many_bins_are_allocated_soon() {
    const BINS: usize = 10_000;
    for strategy in Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::Explicit) {
        let mut memory = Memory::new();
        let mut give = |command| {
            let request = Request::new(command, None, code("tester")).unwrap();
            turn::submit_for_good(&mut memory, &request, START, &mut Vec::new()).map(|_| ())
        };
        world(Tracking::None).into_iter().for_each(|command| give(command).unwrap());
        let bin = |number: usize| code(&format!("B-{number}"));
        for number in 0..BINS {
            let (site, zone, kind) = (code("ICN"), Name::default(), LocationKind::Storage);
            let location = SetLocation { site, location: bin(number), zone, pick_order: 1, kind };
            give(Command::SetLocation(location)).unwrap();
        }
        let lines = (0..BINS).map(|number| AdjustLine { location: bin(number), ..received(5) }).collect();
        let (id, reason) = (code("J1"), Name::default());
        give(Command::Adjust(Adjust { id, reason, lines, release: None })).unwrap();
        let line =
            HoldLine { site: code("ICN"), sku: code("mug"), quantity: units(1), location: None, lot: None };
        let hold = PlaceHold {
            id: code("H1"),
            owner: None,
            lines: vec![line; LINES_MAX].into(),
            expires_in_ms: None,
            partial: false,
            strategy: Some(strategy),
        };
        let begun = thread_time();
        give(Command::PlaceHold(hold)).unwrap();
        let took = thread_time() - begun;
        println!("{}: {took:?}", strategy.name());
        assert!(took < Duration::from_secs(5), "{}: {took:?}", strategy.name());
    }
}

#[test]
fn claims_lapse_in_sweeps_and_no_lapsed_one_is_ever_counted() {
    let shop = Shop::open();
    let orders = SWEEP_MAX + 904;
    shop.receive("J1", orders);
    shop.place(orders);
    for _ in 0..orders.div_ceil(CLAIMS_MAX) {
        shop.claim("ann", ClaimPolicy::Priority, CLAIMS_MAX);
    }
    assert_eq!(shop.store.status().counts.claimed_orders, orders as u64);
    shop.clock.fetch_add(1_000, Ordering::SeqCst);
    shop.turn();
    assert_eq!(shop.store.status().counts.claimed_orders, 904, "one sweep has its limit");
    // Time has stood still for the rest, whose claims therefore stand.
    assert!(shop.store.inspect(|tables, _| Tables::head(tables).at.0 < START.0 + 1_000));
    shop.turn();
    let status = shop.store.status();
    assert_eq!((status.counts.claimed_orders, status.counts.waiting_orders), (0, orders as u64));
    assert_eq!(shop.orders(OrderStatus::Waiting).len(), orders);
}

#[test]
fn chance_spreads_over_all_that_waits_and_gives_nothing_twice() {
    let shop = Shop::open();
    shop.receive("J1", 1_000);
    shop.place(1_000);
    let mut seen = BTreeSet::new();
    let mut in_first_half = 0;
    for worker in 0..100 {
        for order in shop.claim(&format!("w{worker}"), ClaimPolicy::Random, 3) {
            let number: usize = order.as_str()[1..].parse().unwrap();
            in_first_half += usize::from(number < 500);
            assert!(seen.insert(number), "{order} was claimed twice");
        }
    }
    assert_eq!(seen.len(), 300);
    assert!((100..200).contains(&in_first_half), "{in_first_half} of 300 are among the older half");
}

/// How uneven the draws of a claim at random are: the sum of the squared differences from the mean, in hundredths of what an
/// even draw comes to (Pearson's chi-squared by its degrees of freedom).
fn unevenness(allocation: OrderAllocation, orders: usize, draws: usize) -> u64 {
    let shop = Shop::open();
    shop.all(vec![Command::SetOrderAllocation(SetOrderAllocation { site: code("ICN"), allocation })]);
    shop.receive("J1", orders);
    shop.place(orders);
    let mut drawn = vec![0_u64; orders];
    for _ in 0..draws {
        let order = shop.claim("ann", ClaimPolicy::Random, 1).remove(0);
        drawn[order.as_str()[1..].parse::<usize>().unwrap()] += 1;
        // The claim lapses, so that the same orders wait for the next one.
        shop.clock.fetch_add(1_000, Ordering::SeqCst);
    }
    let mean = (draws / orders) as u64;
    let squares: u64 = drawn.iter().map(|drawn| drawn.abs_diff(mean).pow(2)).sum();
    let unevenness = 100 * squares / (mean * (orders as u64 - 1));
    let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
    println!("of {orders} orders one was drawn {least} to {most} times in {draws}: {unevenness} %");
    unevenness
}

#[test]
fn chance_draws_each_order_about_as_often() {
    const UNEVENNESS_MAX: u64 = 300;
    for allocation in [OrderAllocation::OnArrival, OrderAllocation::AtCompletion] {
        assert!(unevenness(allocation, 10, 2_000) < UNEVENNESS_MAX);
        assert!(unevenness(allocation, 1_000, 20_000) < UNEVENNESS_MAX);
    }
}

/// An order has ten thousand times as many lines, and to claim it, to extend the claim and to have it lapse takes a few times
/// as long at the most: it would take thousands of times as long if its lines were read or written.
#[test]
fn claiming_costs_the_same_whatever_was_ordered() {
    const TIMES: usize = 100;
    const FACTOR_MAX: u32 = 10;
    let [one, many] = [1, 10_000].map(|lines| {
        let shop = Shop::open();
        shop.receive("J1", lines);
        let line = OrderLine { sku: code("mug"), quantity: Quantity::ONE, lot: None };
        let (id, site, lines) = (code("O1"), code("ICN"), vec![line; lines]);
        let (customer, priority, backorder) = (None, 0, false);
        shop.all(vec![Command::PlaceOrder(PlaceOrder { id, site, lines, customer, priority, backorder })]);
        let mut times: Vec<_> = (0..TIMES).map(|_| shop.claim_extend_and_lapse()).collect();
        times.sort_unstable();
        times[TIMES / 2]
    });
    println!("{one:?} with one line, {many:?} with 10,000");
    assert!(many < one * FACTOR_MAX, "{one:?}, then {many:?}");
}

/// As many orders as a claim passes by hold recalled goods, and stand before all others; with one more, chance finds the rest.
#[test]
fn orders_that_cannot_be_completed_keep_nobody_from_the_others() {
    const OTHERS: usize = 500;
    for stuck in [PASSED_BY_MAX - 1, PASSED_BY_MAX] {
        let shop = Shop::of(Tracking::Lot);
        let lot = |lot: &str, blocked| {
            let (sku, lot) = (code("mug"), code(lot));
            Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked })
        };
        let receive = |id: &str, lot: &str, count| {
            let lines = vec![AdjustLine { lot: Some(code(lot)), ..received(count) }];
            Command::Adjust(Adjust { id: code(id), reason: Name::default(), lines, release: None })
        };
        shop.all(vec![lot("L1", false), receive("J1", "L1", stuck)]);
        shop.place(stuck);
        shop.all(vec![lot("L2", false), receive("J2", "L2", OTHERS)]);
        shop.all((0..OTHERS).map(|number| order(&format!("P{number}"), 1, 0, false)).collect());
        shop.all(vec![lot("L1", true)]);

        for policy in [ClaimPolicy::Oldest, ClaimPolicy::Priority] {
            let first = shop.claim("ann", policy, 1).remove(0);
            let in_order = ["P0", "P1"].contains(&first.as_str());
            assert_eq!(in_order, stuck < PASSED_BY_MAX, "{first} with {stuck}");
        }
        let mut given = 2;
        for policy in ClaimPolicy::ALL.into_iter().cycle().take(20) {
            let orders = shop.claim("ann", policy, 10);
            assert!(!orders.is_empty(), "{} with {stuck}", policy.name());
            assert!(orders.iter().all(|order| order.as_str().starts_with('P')), "{orders:?}");
            given += orders.len();
        }
        assert_eq!(shop.store.status().counts.waiting_orders, (stuck + OTHERS - given) as u64);
    }
}

/// Nothing happens in the store, and who asks again looks at other orders than before.
#[test]
fn whoever_asks_again_in_an_idle_store_looks_elsewhere() {
    const STUCK: usize = 5 * PASSED_BY_MAX;
    let shop = Shop::of(Tracking::Lot);
    let lot = |lot: &str, blocked| {
        let (sku, lot) = (code("mug"), code(lot));
        Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked })
    };
    let receive = |id: &str, lot: &str, count| {
        let lines = vec![AdjustLine { lot: Some(code(lot)), ..received(count) }];
        Command::Adjust(Adjust { id: code(id), reason: Name::default(), lines, release: None })
    };
    shop.all(vec![lot("L1", false), receive("J1", "L1", STUCK)]);
    shop.place(STUCK);
    shop.all(vec![lot("L2", false), receive("J2", "L2", 1), order("P0", 1, 0, false), lot("L1", true)]);
    let claim = |worker: usize| {
        let (site, worker, policy) = (code("ICN"), code(&format!("W{worker}")), ClaimPolicy::Oldest);
        Command::ClaimOrders(ClaimOrders { site, worker, policy, count: 1, lease_ms: Some(1_000) })
    };
    let try_claim = |worker| {
        let request = Request::new(claim(worker), None, code("tester")).unwrap();
        match shop.store.submit(Batch { requests: vec![request], atomic: false }).wait().unwrap().results {
            Results::Each(mut each) => each.remove(0),
            Results::Refused(_) => unreachable!("the batch is not atomic"),
        }
    };
    // One whose first look by chance finds nothing: the claim of one who was luckier lapses.
    let unlucky = (0..20).find(|worker| {
        let refused = try_claim(*worker).is_err();
        shop.clock.fetch_add(1_000, Ordering::SeqCst);
        shop.turn();
        refused
    });
    let unlucky = unlucky.expect("a fifth of the orders is looked at");
    let before = shop.store.status().sequence;
    let polls = (1..100).find(|_| {
        shop.clock.fetch_add(1, Ordering::SeqCst);
        try_claim(unlucky).is_ok()
    });
    println!("found after {polls:?} polls");
    assert!(polls.is_some(), "the same orders were looked at each time");
    assert_eq!(shop.store.status().sequence, before.next());
}

/// An order of many picks is looked at whole before it is given out, and is passed by for the last of them.
#[test]
fn the_last_of_many_picks_keeps_an_order_from_being_claimed() {
    let shop = Shop::of(Tracking::Serial);
    let serial = |number: usize| code(&format!("N{number}"));
    let set = |number, blocked| {
        let (sku, lot) = (code("mug"), serial(number));
        Command::SetLot(SetLot { sku, lot, received_on: None, expires_on: None, blocked })
    };
    for first in (0..PARTS_MAX).step_by(LINES_MAX) {
        let numbers = first..first + LINES_MAX;
        shop.all(numbers.clone().map(|number| set(number, false)).collect());
        let lines = numbers.map(|number| AdjustLine { lot: Some(serial(number)), ..received(1) });
        let (id, reason) = (code(&format!("J{first}")), Name::default());
        shop.all(vec![Command::Adjust(Adjust { id, reason, lines: lines.collect(), release: None })]);
    }
    // Its line is a part of it as well.
    shop.all(vec![order("O1", PARTS_MAX - 1, 0, false)]);
    let last = shop.store.inspect(|tables, _| {
        let line = tables.order_line(&code("O1"), 0);
        line.picks.last().map(|pick| tables.lot(pick.lot).code.clone()).unwrap()
    });
    let number = last.as_str()[1..].parse().unwrap();
    let claim = || {
        let (site, worker, policy) = (code("ICN"), code("ann"), ClaimPolicy::Oldest);
        Command::ClaimOrders(ClaimOrders { site, worker, policy, count: 1, lease_ms: Some(1_000) })
    };
    assert_eq!(shop.all(vec![set(number, true)]).len(), 1);
    let refused = shop.refused(claim());
    assert_eq!(refused, Refusal::NothingToClaim { site: code("ICN"), passed_by: 1 });
    let start = Instant::now();
    shop.all(vec![set(number, false)]);
    assert_eq!(shop.claim("ann", ClaimPolicy::Oldest, 1), [code("O1")]);
    println!("{PARTS_MAX} picks are looked at, and the order claimed, in {:?}", start.elapsed());
}

/// Median times of so many claims of one each, made up for by more work that is not counted.
fn median_claim(shop: &Shop, claim: impl Fn() -> Command, make_up: impl Fn(usize)) -> Duration {
    const CLAIMS: usize = 200;
    let time = |number: usize| {
        let claim = claim();
        let start = Instant::now();
        let outcome = shop.all(vec![claim]).remove(0);
        let took = start.elapsed();
        assert_eq!(outcome.claims.len() + outcome.pick_claims.len(), 1);
        make_up(number);
        took
    };
    let mut times: Vec<_> = (0..CLAIMS).map(time).collect();
    times.sort_unstable();
    times[CLAIMS / 2]
}

/// Ten thousand times as many orders wait (in a soak test ten times as many again), and the median claim takes a few times as long
/// at the most: it would take thousands of times as long if claiming looked at all of them. The factor leaves room for colder
/// memory and a busy machine.
#[test]
fn claiming_costs_the_same_however_many_wait() {
    const FACTOR_MAX: u32 = 10;
    let many = size(100_000, 1_000_000);
    let shops = [10, usize::try_from(many).unwrap()].map(|waiting| {
        let shop = Shop::open();
        shop.receive("J1", waiting + 10_000);
        shop.place(waiting);
        shop
    });
    for policy in ClaimPolicy::ALL {
        let [few, many] = shops.each_ref().map(|shop| {
            let claim = || {
                let (site, worker) = (code("ICN"), code("ann"));
                Command::ClaimOrders(ClaimOrders { site, worker, policy, count: 1, lease_ms: None })
            };
            let id = |number| format!("{}-{number}", policy.name());
            median_claim(shop, claim, |number| drop(shop.all(vec![order(&id(number), 1, 9, true)])))
        });
        println!("{}: {few:?} with few waiting, {many:?} with many", policy.name());
        assert!(many < few * FACTOR_MAX, "{}: {few:?}, then {many:?}", policy.name());
    }
}

/// The same for what transfers have to pick in a zone.
#[test]
fn claiming_picks_costs_the_same_however_many_wait() {
    const FACTOR_MAX: u32 = 10;
    const BATCH: usize = 10_000;
    let shops = [10, 100_000].map(|waiting: usize| {
        let shop = Shop::open();
        shop.all(vec![Command::SetSite(SetSite {
            site: code("PUS"),
            name: Name::default(),
            time_zone: TimeZone::new("UTC").unwrap(),
            strategy: Strategy::Fefo,
        })]);
        shop.receive("J1", waiting + 10_000);
        let ids: Vec<_> = (0..waiting).map(|number| format!("T{number}")).collect();
        for ids in ids.chunks(BATCH) {
            shop.all(ids.iter().flat_map(|id| allocated_transfer(id)).collect());
        }
        shop
    });
    for policy in ClaimPolicy::ALL {
        let [few, many] = shops.each_ref().map(|shop| {
            let claim = || {
                let (site, zone, worker) = (code("ICN"), Some(Name::default()), code("ann"));
                Command::ClaimPicks(ClaimPicks { site, zone, worker, policy, count: 1, lease_ms: None })
            };
            let id = |number| format!("{}-{number}", policy.name());
            median_claim(shop, claim, |number| drop(shop.all(allocated_transfer(&id(number)).into())))
        });
        println!("{}: {few:?} with 10 pieces waiting, {many:?} with 100,000", policy.name());
        assert!(many < few * FACTOR_MAX, "{}: {few:?}, then {many:?}", policy.name());
    }
}

/// A transfer of one piece, which is allocated.
fn allocated_transfer(id: &str) -> [Command; 2] {
    let line = TransferLine { line: code("1"), sku: code("mug"), quantity: Quantity::ONE, lot: None };
    let (from, to, lines) = (code("ICN"), code("PUS"), vec![line]);
    let request = RequestTransfer { id: code(id), from, to, priority: 0, lines };
    let (strategy, partial, lines, dry_run) = (None, false, None, false);
    let allocate = AllocateTransfer { id: code(id), strategy, partial, lines, dry_run };
    [Command::RequestTransfer(request), Command::AllocateTransfer(allocate)]
}
