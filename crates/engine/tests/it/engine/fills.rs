//! More orders wait than one event fills: what comes behind is decided when they have what there is for them.

use jaego_domain::{
    Command, Outside, Quantity, Query, Refusal, View,
    command::{Adjust, AdjustLine, Change, OrderLine, PlaceOrder},
    limits::FILL_LINES_MAX,
};
use jaego_engine::{Engine, SystemClock, open, sim_disk::SimDisk};
use jaego_store::{Batch, Results, Store};

use super::world::{code, hold, quantity, request, roomy_config, stock, submit};

const WAITING: u64 = 5 * FILL_LINES_MAX as u64 / 2;

fn order(number: u64) -> jaego_domain::Request {
    request(Command::PlaceOrder(PlaceOrder {
        id: code(&format!("O{number}")),
        site: code("ICN"),
        lines: vec![OrderLine { sku: code("mug"), quantity: quantity(1), lot: None }],
        customer: None,
        priority: 0,
        backorder: true,
    }))
}

fn receipt(id: &str, units: u64) -> jaego_domain::Request {
    let change = Change::Add(quantity(units), Outside::Supplier);
    let line = AdjustLine { site: code("ICN"), location: code("A-1"), sku: code("mug"), lot: None, change };
    let (id, reason) = (code(id), jaego_domain::Name::default());
    request(Command::Adjust(Adjust { id, reason, lines: vec![line], release: None }))
}

fn available(refusal: &Refusal) -> Quantity {
    match refusal {
        Refusal::InsufficientStock { shortages } => shortages[0].available,
        other => panic!("{other}"),
    }
}

#[test]
fn who_comes_behind_a_receipt_gets_what_those_who_waited_leave() {
    let recovered = open(SimDisk::new(7), roomy_config().journal, |_| {}).unwrap();
    let engine = Engine::start(recovered, roomy_config(), SystemClock);
    // One unit in each of two bins.
    stock(&engine, &["mug"], 1);
    submit(&engine, (0..WAITING + 2).map(order).collect()).into_iter().for_each(|done| drop(done.unwrap()));

    let requests = || vec![receipt("J1", WAITING), request(hold("H1", "mug", 1))];
    let atomic = engine.submit(Batch { requests: requests(), atomic: true }).wait().unwrap().results;
    let Results::Refused(refused) = atomic else { panic!("{atomic:?}") };
    let [(1, refusal)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(available(refusal), Quantity::ZERO);
    // The batch is left where the rest of its stock goes to others, and goes on behind them.
    let each = submit(&engine, requests());
    assert!(each[0].is_ok());
    assert_eq!(available(each[1].as_ref().unwrap_err()), Quantity::ZERO);

    let last = engine.query(Query::Order(code(&format!("O{}", WAITING + 1)))).wait().unwrap().value.unwrap();
    let View::Order(last) = last else { panic!("an order was asked for") };
    assert!(last.summary.allocated, "the last in line got the last unit");
    engine.close().unwrap();
}
