//! Orders in numbers: what one turn leaves to the next, and what chance comes to.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jaego_domain::{
    Code, Command, Name, Outcome, Outside, Quantity, Query, Request, Strategy, TimeZone, Timestamp, View,
    command::{
        Adjust, AdjustLine, Change, ClaimOrders, ClaimPolicy, OrderLine, PlaceOrder, SetLocation, SetSite,
        SetSku,
    },
    limits::{CLAIMS_MAX, FILL_LINES_MAX, SWEEP_MAX},
    query::{Page, Period},
    row::{LocationKind, OrderStatus, Tracking},
};
use jaego_store::{Batch, Reference, Results, Store, conformance::START};

fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn units(units: usize) -> Quantity {
    Quantity::new("quantity", units as u64).unwrap()
}

struct Shop {
    store: Reference,
    clock: Arc<AtomicU64>,
}

impl Shop {
    /// A site with a bin, and a SKU of which there is nothing.
    fn open() -> Self {
        let clock = Arc::new(AtomicU64::new(START.0));
        let hand = Arc::clone(&clock);
        let store = Reference::new(move || Timestamp(hand.load(Ordering::SeqCst)));
        let shop = Self { store, clock };
        shop.all(vec![
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
                tracking: Tracking::None,
                safety_stock: Vec::new(),
                prices: Vec::new(),
            }),
        ]);
        shop
    }

    fn all(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let request = |command| Request::new(command, None, code("tester")).unwrap();
        let requests = commands.into_iter().map(request).collect();
        match self.store.submit(Batch { requests, atomic: false }).wait().unwrap().results {
            Results::Each(each) => each.into_iter().map(|done| done.unwrap().outcome).collect(),
            Results::Refused { .. } => unreachable!("the batch is not atomic"),
        }
    }

    fn receive(&self, id: &str, quantity: usize) {
        let change = Change::Add(units(quantity), Outside::Supplier);
        let line =
            AdjustLine { site: code("ICN"), location: code("A-01"), sku: code("mug"), lot: None, change };
        let adjust = Adjust { id: code(id), reason: Name::default(), lines: vec![line], release: None };
        self.all(vec![Command::Adjust(adjust)]);
    }

    /// Orders of one unit each, which may wait for it.
    fn place(&self, count: usize) {
        let order = |number| {
            Command::PlaceOrder(PlaceOrder {
                id: code(&format!("O{number}")),
                site: code("ICN"),
                lines: vec![OrderLine { sku: code("mug"), quantity: units(1), lot: None }],
                customer: None,
                priority: 0,
                backorder: true,
            })
        };
        self.all((0..count).map(order).collect());
    }

    fn claim(&self, worker: &str, policy: ClaimPolicy, count: usize) -> Vec<Code> {
        let (site, worker) = (code("ICN"), code(worker));
        let claim = ClaimOrders { site, worker, policy, count, lease_ms: Some(1_000) };
        let outcome = self.all(vec![Command::ClaimOrders(claim)]).remove(0);
        outcome.claims.into_iter().map(|claim| claim.order).collect()
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

#[test]
fn stock_that_others_took_meanwhile_is_not_given_again() {
    let shop = Shop::open();
    shop.place(FILL_LINES_MAX + 10);
    // The same turn that fills most orders hands the rest to somebody else.
    let line = jaego_domain::command::HoldLine {
        site: code("ICN"),
        sku: code("mug"),
        quantity: units(10),
        location: None,
        lot: None,
    };
    let change = Change::Add(units(FILL_LINES_MAX + 10), Outside::Supplier);
    let receipt =
        AdjustLine { site: code("ICN"), location: code("A-01"), sku: code("mug"), lot: None, change };
    shop.all(vec![
        Command::Adjust(Adjust {
            id: code("J1"),
            reason: Name::default(),
            lines: vec![receipt],
            release: None,
        }),
        Command::PlaceHold(jaego_domain::command::PlaceHold {
            id: code("H1"),
            owner: None,
            lines: vec![line].into(),
            expires_in_ms: None,
            partial: false,
            strategy: None,
        }),
    ]);
    shop.turn();
    assert_eq!(shop.filled(), [FILL_LINES_MAX, 0], "the second event only says that there is nothing left");
    shop.store.inspect(|tables, _| jaego_domain::check::check(tables).map(drop).unwrap());
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
    assert_eq!(shop.store.status().claimed_orders, orders as u64);
    shop.clock.fetch_add(1_000, Ordering::SeqCst);
    shop.turn();
    assert_eq!(shop.store.status().claimed_orders, 904, "one sweep has its limit");
    // Time has stood still for the rest, whose claims therefore stand.
    assert!(shop.store.inspect(|tables, _| jaego_domain::Tables::head(tables).at.0 < START.0 + 1_000));
    shop.turn();
    let status = shop.store.status();
    assert_eq!((status.claimed_orders, status.waiting_orders), (0, orders as u64));
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

/// A hundred times as many orders wait, and the median claim takes a few times as long at the most: it would take a hundred
/// times as long if claiming looked at all of them. The factor leaves room for colder memory and a busy machine.
#[test]
fn claiming_costs_the_same_however_many_wait() {
    const CLAIMS: usize = 200;
    const FACTOR_MAX: u32 = 10;
    let shops = [1_000, 100_000].map(|waiting| {
        let shop = Shop::open();
        shop.receive("J1", waiting);
        shop.place(waiting);
        shop
    });
    for policy in ClaimPolicy::ALL {
        let [few, many] = shops.each_ref().map(|shop| {
            let mut times: Vec<_> = (0..CLAIMS)
                .map(|_| {
                    let start = Instant::now();
                    assert_eq!(shop.claim("ann", policy, 1).len(), 1);
                    start.elapsed()
                })
                .collect();
            times.sort_unstable();
            times[CLAIMS / 2]
        });
        println!("{}: {few:?} with 1,000 waiting, {many:?} with 100,000", policy.name());
        assert!(many < few * FACTOR_MAX, "{}: {few:?}, then {many:?}", policy.name());
    }
}
