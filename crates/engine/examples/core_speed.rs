//! How fast the writer decides, without a disk and without HTTP: `core_speed [skus] [holds]`.
//!
//! Prints nanoseconds of this thread's work for each hold (decided, applied, encoded, answered), for each line of
//! one large transfer, and how many bytes of memory each position and each open hold takes.

use std::{collections::VecDeque, time::Duration};

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, AllocateTransfer, Change, HoldLine, PlaceHold, RequestTransfer, SetLocation,
        SetSite, SetSku, TransferLine,
    },
    row::{LocationKind, Tracking},
};
use jaego_engine::{Core, Job, Limits, Submission};
use jaego_store::Batch;

const BATCH: usize = 8_000;

fn code(text: &str) -> Code {
    Code::new("code", text).expect("a code")
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("a quantity")
}

fn request(command: Command) -> Request {
    Request::new(command, None, code("bench")).expect("a sound request")
}

/// Runs batches through the core and throws the frames away; gives the time that the turns took.
fn run(core: &mut Core, requests: Vec<Request>) -> Duration {
    let mut time = Duration::ZERO;
    let mut requests = requests.into_iter();
    loop {
        let batch: Vec<_> = requests.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return time;
        }
        let finish = Box::new(|decided: Result<_, _>| drop(decided.expect("nothing fails here")));
        let batch = Batch { requests: batch, atomic: false };
        let mut jobs = VecDeque::from([Job::Submit(Submission::new(batch, finish))]);
        let start = cpu_time();
        while !jobs.is_empty() {
            core.turn(&mut jobs, Timestamp(1_000), Ok(()));
            let flight = core.take_flight();
            for deliver in flight.answers {
                deliver(Ok(()));
            }
        }
        time += cpu_time() - start;
    }
}

/// The processor time of this thread: what others do on the machine does not count.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("linux tells about this thread");
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.expect("a number"))
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux tells about this process");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("it tells the resident memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let skus = arguments.next().unwrap_or(1_000_000);
    let holds = arguments.next().unwrap_or(2_000_000);
    let mut core = Core::new(Memory::new(), Limits::default());
    let mut setup = vec![request(Command::SetSite(SetSite {
        site: code("ICN"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").expect("a zone"),
        strategy: Strategy::PickOrder,
    }))];
    setup.push(request(Command::SetSite(SetSite {
        site: code("GMP"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").expect("a zone"),
        strategy: Strategy::PickOrder,
    })));
    for bin in 0..10_000_u32 {
        setup.push(request(Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: code(&format!("A-{bin:05}")),
            zone: Name::default(),
            pick_order: bin,
            kind: LocationKind::Storage,
        })));
    }
    for sku in 0..skus {
        setup.push(request(Command::SetSku(SetSku {
            sku: code(&format!("SKU-{sku:07}")),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        })));
    }
    run(&mut core, setup);
    let before = resident();
    let lines = |chunk: std::ops::Range<usize>| {
        chunk.map(|sku| AdjustLine {
            site: code("ICN"),
            location: code(&format!("A-{:05}", sku % 10_000)),
            sku: code(&format!("SKU-{sku:07}")),
            lot: None,
            change: Change::Add(quantity(1_000_000), Outside::Opening),
        })
    };
    // One after the other, so that what is measured is what stays, and not what the requests took.
    for from in (0..skus).step_by(1_000) {
        let adjust = request(Command::Adjust(Adjust {
            id: code(&format!("open-{from}")),
            reason: Name::default(),
            lines: lines(from..(from + 1_000).min(skus)).collect(),
            release: None,
        }));
        run(&mut core, vec![adjust]);
    }
    println!("position    {:>8.1} bytes", (resident() - before) as f64 / skus as f64);

    let place = |number: usize, sku: usize| {
        request(Command::PlaceHold(PlaceHold {
            id: code(&format!("H{number:09}")),
            owner: None,
            lines: [HoldLine {
                site: code("ICN"),
                sku: code(&format!("SKU-{sku:07}")),
                quantity: quantity(1),
                location: None,
                lot: None,
            }]
            .into_iter()
            .collect(),
            expires_in_ms: None,
            partial: false,
            strategy: None,
        }))
    };
    for (name, hot) in [("spread", false), ("hot", true)] {
        let before = resident();
        let mut time = Duration::ZERO;
        let offset = if hot { holds } else { 0 };
        for from in (0..holds).step_by(200_000) {
            let numbers = from..(from + 200_000).min(holds);
            // A multiplier that visits all SKUs in no order that a cache could love.
            let requests =
                numbers.map(|n| place(offset + n, if hot { 7 } else { n.wrapping_mul(7_919_317) % skus }));
            time += run(&mut core, requests.collect());
        }
        println!("hold {name:<6} {:>8.1} ns", time.as_nanos() as f64 / holds as f64);
        println!("hold {name:<6} {:>8.1} bytes", (resident() - before) as f64 / holds as f64);
    }
    for lines in [1_000, 30_000_usize] {
        let id = format!("T{lines}");
        let ask = request(Command::RequestTransfer(RequestTransfer {
            id: code(&id),
            from: code("ICN"),
            to: code("GMP"),
            priority: 0,
            lines: (0..lines)
                .map(|line| TransferLine {
                    line: code(&line.to_string()),
                    sku: code(&format!("SKU-{:07}", line * 31 % skus)),
                    quantity: quantity(3),
                    lot: None,
                })
                .collect(),
        }));
        let requested = run(&mut core, vec![ask]);
        let allocated = run(
            &mut core,
            vec![request(Command::AllocateTransfer(AllocateTransfer {
                id: code(&id),
                strategy: None,
                partial: true,
                lines: None,
                dry_run: false,
            }))],
        );
        println!("transfer of {lines:>6} lines: requested in {requested:?}, allocated in {allocated:?}");
    }
}
