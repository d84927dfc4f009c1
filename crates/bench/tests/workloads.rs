//! Every workload against the real wire and the real decisions, in small; and servers that do it wrong.

mod support;

use std::time::Duration;

use jaego_bench::{Error, Options, Report, Sizes, Skew, Target, Workload, run};
use support::{Fault, TOKEN, start};

fn options(fault: Fault, workloads: &[Workload]) -> Options {
    Options {
        target: Target { addr: start(fault), token: TOKEN.to_owned() },
        data: std::env::temp_dir(),
        sizes: Sizes {
            workloads: workloads.to_vec(),
            connections: 8,
            skus: 40,
            batch: 50,
            batch_connections: 2,
            batch_skus: 200,
            transfer: vec![(30, 4), (200, 2)],
            transfers: 20,
            transfers_lines: 40,
            transfers_products: 100,
            order_batch: 20,
            waiting: 1_500,
            claim_commands: 5,
            claim_count: 10,
            carts: 500,
            warm_up: Duration::from_millis(20),
            measured: Duration::from_millis(100),
            repetitions: 2,
            quiet: true,
            ..Sizes::default()
        },
    }
}

fn assert_sound(report: &Report, groups: &[&str]) {
    assert!(report.is_valid(), "{}", report.to_json());
    let keys: Vec<&str> = report.groups.iter().map(|group| group.key.as_str()).collect();
    assert_eq!(keys, groups);
    for entry in report.groups.iter().flat_map(|group| &group.entries) {
        assert_eq!(entry.rounds.len(), 2);
        for round in &entry.rounds {
            assert!(round.units > 0 && round.units_per_s > 0.0 && round.elapsed_s > 0.0, "{entry:?}");
            assert!(round.latency.p50_ms > 0.0 && round.latency.p50_ms <= round.latency.max_ms, "{entry:?}");
        }
        assert!(!entry.checked.is_empty());
    }
}

#[test]
fn every_workload_runs_and_its_books_are_right() {
    let report = run(&options(Fault::None, &Workload::ALL)).unwrap();
    assert_sound(
        &report,
        &[
            "batch-holds",
            "holds",
            "hot",
            "transfer-30",
            "transfer-200",
            "transfers",
            "orders",
            "batch-orders",
            "claims-oldest",
            "claims-priority",
            "claims-random",
            "batch-claims-oldest-5x10",
            "batch-claims-priority-5x10",
            "batch-claims-random-5x10",
            "batch-claims-oldest-1x1000",
            "checkouts",
            "batch-checkouts",
        ],
    );
    let transfers = &report.groups[5];
    assert_eq!(transfers.entries[0].rounds[0].units, 20 * 40);
    let parts: Vec<&str> =
        transfers.entries[0].rounds[0].parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["request", "allocate"]);
    for orders in &report.groups[6..8] {
        let round = &orders.entries[0].rounds[0];
        let lines_per_order = round.units_per_s / round.orders_per_s.unwrap();
        assert!((1.0..=20.0).contains(&lines_per_order), "{round:?}");
    }
    // Of what waits a twentieth one by one, a quarter by batch, one command at least once; and all carts.
    let units: Vec<u64> = report.groups[8..].iter().map(|group| group.entries[0].rounds[0].units).collect();
    assert_eq!(units, [75, 75, 75, 350, 350, 350, 1_000, 500, 500]);
    let table = report.to_table();
    assert!(table.contains("Jaego, /v1/batch of 50") && table.contains("orders/s"), "{table}");
}

#[test]
fn a_skewed_load_runs_twice_on_the_same_server() {
    let mut options = options(Fault::None, &[Workload::Holds, Workload::BatchHolds]);
    options.sizes.skew = Skew::Zipf(0.99);
    options.sizes.threads = 2;
    for _ in 0..2 {
        assert_sound(&run(&options).unwrap(), &["holds", "batch-holds"]);
    }
}

#[test]
fn unexpected_answers_make_a_run_invalid() {
    let report = run(&options(Fault::Refuses, &[Workload::Holds])).unwrap();
    assert!(!report.is_valid());
    let round = &report.groups[0].entries[0].rounds[0];
    assert!(round.unexpected["503 busy"] > 0, "{round:?}");
    assert!(report.to_table().contains("NO"));
}

#[test]
fn a_server_that_answers_what_it_does_not_do_is_found_out() {
    let error = run(&options(Fault::Lies, &[Workload::Holds])).unwrap_err();
    assert!(matches!(error, Error::Books { .. }), "{error}");
}

#[test]
fn a_refused_set_up_says_what_the_server_said() {
    let error = run(&options(Fault::Full, &[Workload::Hot])).unwrap_err();
    let Error::Setup { doing, answer } = &error else { panic!("{error}") };
    assert_eq!(doing, "POST /v1/adjustments");
    assert!(answer.contains("store_full"), "{answer}");
}
