//! How long it takes to read a batch of holds, and to write its answers. Prints nanoseconds for each hold.
//!
//! `cargo run --release --example parse_speed -p jaego-api`

use std::time::Instant;

use jaego_api::{BatchFormat, read_batch};
use jaego_domain::{Code, Outcome, PickView, Quantity, Refusal, Sequence, Shortage, Timestamp};

const HOLDS: usize = 8_000;
const ROUNDS: usize = 60;

fn main() {
    let by = code("operator-1");
    let body = |op_first: bool| {
        let holds: Vec<String> = (0..HOLDS)
            .map(|hold| {
                let rest = format!(
                    r#""id":"hold-{hold:08}","lines":[{{"site":"ICN","sku":"SKU-{:07}","quantity":1}}],"expires_in_s":600"#,
                    hold * 131
                );
                if op_first { format!(r#"{{"op":"hold",{rest}}}"#) } else { format!(r#"{{{rest},"op":"hold"}}"#) }
            })
            .collect();
        format!(r#"{{"commands":[{}]}}"#, holds.join(","))
    };
    let first = body(true);
    println!("{HOLDS} holds, {} bytes each", first.len() / HOLDS);
    time("read, op first", || read_batch(first.as_bytes(), &by).expect("the batch is good").requests.len());
    let last = body(false);
    time("read, op last", || read_batch(last.as_bytes(), &by).expect("the batch is good").requests.len());

    let batch = read_batch(first.as_bytes(), &by).expect("the batch is good");
    let outcomes: Vec<Outcome> = (0..HOLDS).map(outcome).collect();
    time("write outcomes", || {
        batch.answer(BatchFormat::Json, outcomes.iter().map(|one| Ok((one, false)))).len()
    });
    let refusal = Refusal::InsufficientStock {
        shortages: vec![Shortage {
            line: code("1"),
            site: code("ICN"),
            sku: code("SKU-0000001"),
            requested: Quantity::ONE,
            available: Quantity::ZERO,
        }],
    };
    time("write refusals", || batch.answer(BatchFormat::Json, outcomes.iter().map(|_| Err(&refusal))).len());
}

fn time(what: &str, mut work: impl FnMut() -> usize) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            assert!(std::hint::black_box(work()) >= HOLDS);
            begin.elapsed().as_secs_f64() * 1e9 / HOLDS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{what}: median {:.0} ns, best {:.0} ns a hold", rounds[ROUNDS / 2], rounds[0]);
}

fn outcome(hold: usize) -> Outcome {
    Outcome {
        sequence: Sequence(hold as u64 + 1_000_000),
        at: Timestamp(1_772_377_199_999),
        id: Some(code(&format!("hold-{hold:08}"))),
        picks: [PickView {
            line: code("1"),
            site: code("ICN"),
            location: code("A-01-02-03"),
            sku: code(&format!("SKU-{:07}", hold * 131)),
            lot: None,
            quantity: Quantity::ONE,
        }]
        .into_iter()
        .collect(),
        shortages: Vec::new(),
        expires_at: Some(Timestamp(1_772_377_799_999)),
        holders: Vec::new(),
        balance: None,
        claims: Vec::new(),
        trade: None,
        pick_claims: Box::default(),
    }
}

fn code(text: &str) -> Code {
    Code::new("code", text).expect("the text is a code")
}
