//! The loads on a server that is already there, and what every run of subjects has in common.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;
use crate::http::Target;
use crate::jaego::checkouts::Checkouts;
use crate::jaego::claims::{Claims, Crowd as WaitingCrowd, PRIORITIES, Policy, Reach};
use crate::jaego::holds::Holds;
use crate::jaego::orders::Orders;
use crate::jaego::transfers::{AtOnce, Crowd, OneByOne};
use crate::jaego::warehouse::SITE_PREFIX;
use crate::limits::{CLAIMS_MAX, ORDER_LINES_MAX, OWNERS};
use crate::load::Bound;
use crate::machine::Machine;
use crate::options::{Options, Sizes, Workload};
use crate::progress::Progress;
use crate::report::{Entry, Group, Metric, Report, RoundReport, System, count, digits};
use crate::subject::Subject;

/// Loads a server, and holds it to its books.
///
/// It gets SKUs and sites whose names begin with `bench-`, and keeps them: this is nothing for a server that is
/// in use.
///
/// # Errors
/// If an option is out of range, the server cannot be reached or refuses the set-up, or its books are wrong.
pub fn run(options: &Options) -> Result<Report, Error> {
    let sizes = &options.sizes;
    sizes.check()?;
    let mut progress = Progress::new(sizes.quiet);
    let mut groups = Vec::new();
    for job in jobs(sizes) {
        let subject = job.jaego(&options.target, sizes, &mut progress)?;
        let mut turns = vec![Turn { system: System::Jaego, subject }];
        groups.push(job.group(sizes, measure(&mut turns, sizes.repetitions, &mut progress, &mut Running)?));
    }
    Ok(Report {
        machine: Machine::look(&options.data)?,
        versions: vec![("jaego bench".to_owned(), env!("CARGO_PKG_VERSION").to_owned())],
        settings: sizes.settings(),
        servers: Vec::new(),
        groups,
    })
}

/// A piece of the programme: a workload at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    BatchHolds,
    Holds,
    Hot,
    Transfer { lines: u32, transfers: u64 },
    Transfers,
    Orders,
    BatchOrders,
    Claims { policy: Policy, reach: Reach },
    Checkouts,
    BatchCheckouts,
}

pub(crate) fn jobs(sizes: &Sizes) -> Vec<Job> {
    let jobs = sizes.workloads.iter().flat_map(|workload| match workload {
        Workload::BatchHolds => vec![Job::BatchHolds],
        Workload::Holds => vec![Job::Holds],
        Workload::Hot => vec![Job::Hot],
        Workload::Transfer => sizes
            .transfer
            .iter()
            .map(|(lines, transfers)| Job::Transfer { lines: *lines, transfers: *transfers })
            .collect(),
        Workload::Transfers => vec![Job::Transfers],
        Workload::Orders => vec![Job::Orders],
        Workload::BatchOrders => vec![Job::BatchOrders],
        Workload::Claims => Policy::ALL.map(|policy| Job::Claims { policy, reach: Reach::ONE }).to_vec(),
        Workload::BatchClaims => {
            let reach = Reach { commands: sizes.claim_commands, count: sizes.claim_count };
            let at_once = Reach { commands: 1, count: CLAIMS_MAX };
            let by_batch = Policy::ALL.map(|policy| Job::Claims { policy, reach });
            by_batch.into_iter().chain([Job::Claims { policy: Policy::Oldest, reach: at_once }]).collect()
        }
        Workload::Checkouts => vec![Job::Checkouts],
        Workload::BatchCheckouts => vec![Job::BatchCheckouts],
    });
    jobs.collect()
}

/// A name that no earlier run has used: documents are remembered for ever.
fn tag() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{now:x}")
}

impl Job {
    pub(crate) fn key(self) -> String {
        match self {
            Self::BatchHolds => "batch-holds".to_owned(),
            Self::Holds => "holds".to_owned(),
            Self::Hot => "hot".to_owned(),
            Self::Transfer { lines, .. } => format!("transfer-{lines}"),
            Self::Transfers => "transfers".to_owned(),
            Self::Orders => "orders".to_owned(),
            Self::BatchOrders => "batch-orders".to_owned(),
            Self::Claims { policy, reach: Reach::ONE } => format!("claims-{policy}"),
            Self::Claims { policy, reach: Reach { commands, count } } => {
                format!("batch-claims-{policy}-{commands}x{count}")
            }
            Self::Checkouts => "checkouts".to_owned(),
            Self::BatchCheckouts => "batch-checkouts".to_owned(),
        }
    }

    /// Jaego at this work.
    pub(crate) fn jaego(
        self,
        target: &Target,
        sizes: &Sizes,
        progress: &mut Progress,
    ) -> Result<Box<dyn Subject>, Error> {
        let site = match self {
            // Numbers of orders and carts are as long as a shop's, and begin with what makes the site unique.
            Self::Orders
            | Self::BatchOrders
            | Self::Claims { .. }
            | Self::Checkouts
            | Self::BatchCheckouts => {
                format!("{SITE_PREFIX}{}", tag())
            }
            _ => format!("{SITE_PREFIX}{}-{}", tag(), self.key()),
        };
        let draw = (sizes.skew, sizes.seed);
        let many = sizes.size(sizes.connections, sizes.timed());
        Ok(match self {
            Self::BatchHolds => {
                let size = sizes.size(sizes.batch_connections, sizes.timed());
                let name = format!("Jaego, /v1/batch of {}", count(sizes.batch as u64));
                Box::new(Holds::new(
                    name,
                    target,
                    &site,
                    sizes.batch_skus,
                    sizes.batch,
                    size,
                    draw,
                    progress,
                )?)
            }
            Self::Holds => {
                let name = "Jaego, /v1/holds".to_owned();
                Box::new(Holds::new(name, target, &site, sizes.skus, 1, many, draw, progress)?)
            }
            Self::Hot => {
                let name = "Jaego, /v1/holds".to_owned();
                Box::new(Holds::new(name, target, &site, 1, 1, many, draw, progress)?)
            }
            Self::Transfer { lines, transfers } => {
                let name = "Jaego, request and allocate".to_owned();
                Box::new(OneByOne::new(name, target, &site, (lines, transfers), sizes.seed, progress)?)
            }
            Self::Transfers => {
                let crowd = Crowd {
                    transfers: sizes.transfers,
                    lines: sizes.transfers_lines,
                    products: sizes.transfers_products,
                };
                let size = sizes.size(sizes.connections, Bound::Count);
                Box::new(AtOnce::new(
                    "Jaego, request and allocate".to_owned(),
                    target,
                    &site,
                    crowd,
                    size,
                    sizes.quiet,
                ))
            }
            Self::Orders => {
                let (name, skus) = ("Jaego, /v1/orders".to_owned(), (sizes.skus, sizes.seed));
                Box::new(Orders::new(name, target, &site, skus, 1, many, progress)?)
            }
            Self::BatchOrders => {
                let size = sizes.size(sizes.batch_connections, sizes.timed());
                let name = format!("Jaego, /v1/batch of {}", count(sizes.order_batch as u64));
                let skus = (sizes.skus, sizes.seed);
                Box::new(Orders::new(name, target, &site, skus, sizes.order_batch, size, progress)?)
            }
            Self::Claims { policy, reach } => {
                let name = match reach {
                    Reach { commands: 1, count: 1 } => "Jaego, /v1/sites/{site}/claims".to_owned(),
                    Reach { commands: 1, .. } => {
                        format!("Jaego, /v1/sites/{{site}}/claims of {}", count(reach.count as u64))
                    }
                    Reach { commands, .. } => format!("Jaego, /v1/batch of {}", count(commands as u64)),
                };
                let size = sizes.size(sizes.claim_connections(reach), Bound::Count);
                let how = (policy, reach);
                let (skus, progress) = (sizes.skus, Progress::new(sizes.quiet));
                Box::new(Claims::new(name, target, &site, skus, how, sizes.waiting, size, progress)?)
            }
            Self::Checkouts => {
                let (name, carts) = ("Jaego, /v1/carts/{cart}/checkout".to_owned(), (sizes.carts, 1));
                let size = sizes.size(sizes.connections, Bound::Count);
                Box::new(Checkouts::new(name, target, &site, carts, size, Progress::new(sizes.quiet))?)
            }
            Self::BatchCheckouts => {
                let name = format!("Jaego, /v1/batch of {}", count(sizes.batch as u64));
                let (carts, progress) = ((sizes.carts, sizes.batch), Progress::new(sizes.quiet));
                let size = sizes.size(sizes.batch_connections, Bound::Count);
                Box::new(Checkouts::new(name, target, &site, carts, size, progress)?)
            }
        })
    }

    pub(crate) fn group(self, sizes: &Sizes, entries: Vec<Entry>) -> Group {
        let number = |whole: usize| count(whole as u64);
        let (connections, skus) = (number(sizes.connections), number(sizes.skus as usize));
        let (title, about, metric) = match self {
            Self::BatchHolds => (
                format!("Holds in batches of {}", number(sizes.batch)),
                format!(
                    "{} connections, {} SKUs; a unit is one hold. Latencies are those of whole batches.",
                    number(sizes.batch_connections),
                    number(sizes.batch_skus as usize),
                ),
                Metric::PerSecond,
            ),
            Self::Holds => (
                format!("Holds one by one, spread over {skus} SKUs"),
                format!(
                    "{connections} connections, each waits for its answer before it asks again; a unit is one hold or one decrement."
                ),
                Metric::PerSecond,
            ),
            Self::Hot => (
                "Holds one by one, all on one SKU".to_owned(),
                format!(
                    "{connections} connections, each waits for its answer before it asks again; a unit is one hold or one decrement."
                ),
                Metric::PerSecond,
            ),
            Self::Transfer { lines, transfers } => (
                format!("One transfer of {} lines", number(lines as usize)),
                format!(
                    "One connection, one transfer after the other, {transfers} a repetition; the time from the first byte of \
                     the request to the last byte of the last answer. Jaego takes two requests for it: it keeps the transfer, \
                     then allocates it."
                ),
                Metric::Milliseconds,
            ),
            Self::Transfers => (
                format!(
                    "{} transfers of {} lines at once",
                    number(usize::try_from(sizes.transfers).unwrap_or(usize::MAX)),
                    number(sizes.transfers_lines as usize)
                ),
                format!(
                    "All over the same {} products, {connections} connections; the time for all of them. Jaego keeps every \
                     transfer first and then allocates them all; there is stock for four fifths of the pieces, and afterwards \
                     every product must be allocated exactly as far as it was asked for and there. The others have stock \
                     for everything.",
                    number(sizes.transfers_products as usize)
                ),
                Metric::Seconds,
            ),
            Self::Orders => (
                format!("Orders of 1 to {ORDER_LINES_MAX} lines, one by one"),
                format!("{connections} connections. {}", basket_words(&skus)),
                Metric::PerSecond,
            ),
            Self::BatchOrders => (
                format!("Orders of 1 to {ORDER_LINES_MAX} lines in batches of {}", number(sizes.order_batch)),
                format!(
                    "{} connections; latencies are those of whole batches. {}",
                    number(sizes.batch_connections),
                    basket_words(&skus)
                ),
                Metric::PerSecond,
            ),
            Self::Claims { policy, reach } => {
                let waiting = count(sizes.waiting);
                let crowd = WaitingCrowd::new(sizes.waiting, reach.claims());
                let claims = count(crowd.requests * reach.claims() as u64);
                let how = match reach {
                    Reach { commands: 1, count: 1 } => "one by one".to_owned(),
                    Reach { commands: 1, count } => format!("{} a request", number(count)),
                    Reach { commands, count } => {
                        format!("in batches of {} commands for {} each", number(commands), number(count))
                    }
                };
                (
                    format!("Claims by {policy} with {waiting} orders waiting, {how}"),
                    format!(
                        "{} workers, each with a connection, claim {claims} orders of one line, and complete none; a unit is one claim. Before \
                         each repetition orders are placed until {waiting} wait again, in {} priorities.",
                        number(sizes.claim_connections(reach)),
                        PRIORITIES
                    ),
                    Metric::PerSecond,
                )
            }
            Self::Checkouts => (
                "Checkouts one by one, all of one item".to_owned(),
                format!(
                    "{connections} connections; PostgreSQL gets a tenth of the carts. {}",
                    checkout_words(sizes)
                ),
                Metric::PerSecond,
            ),
            Self::BatchCheckouts => (
                format!("Checkouts of one item in batches of {}", number(sizes.batch)),
                format!(
                    "{} connections; latencies are those of whole batches. {}",
                    number(sizes.batch_connections),
                    checkout_words(sizes)
                ),
                Metric::PerSecond,
            ),
        };
        Group { key: self.key(), title, about, metric, entries }
    }
}

/// What the orders of a load are like.
fn basket_words(skus: &str) -> String {
    format!(
        "Each order has 1 to {ORDER_LINES_MAX} lines, each number as likely, of one piece; the first of {skus} SKUs is in \
         half of all orders, the others come by Zipf's law (exponent 0.99). A unit is one line of an order that holds its \
         stock."
    )
}

/// What the checkouts of a load are like.
fn checkout_words(sizes: &Sizes) -> String {
    format!(
        "Before each repetition {} carts are filled with a piece of the same SKU each; they belong to {} owners, whose wallets \
         pay. A unit is one checkout: it prices the cart, holds the piece, takes the money and places the order.",
        count(sizes.carts),
        count(OWNERS)
    )
}

/// A subject and whose it is.
pub(crate) struct Turn {
    pub(crate) system: System,
    pub(crate) subject: Box<dyn Subject>,
}

/// Who sees to it that only one server works at a time.
pub(crate) trait Stage {
    /// The server of this turn is about to be loaded.
    fn enter(&mut self, index: usize) -> Result<(), Error>;
    /// It was.
    fn leave(&mut self, index: usize) -> Result<(), Error>;
}

/// Everything just runs.
pub(crate) struct Running;

impl Stage for Running {
    fn enter(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn leave(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }
}

/// Lets the subjects take turns, so that a noisy minute of the machine falls on all of them, and holds each to its
/// books at the end. Every other repetition goes the other way round.
pub(crate) fn measure(
    turns: &mut [Turn],
    repetitions: usize,
    progress: &mut Progress,
    stage: &mut dyn Stage,
) -> Result<Vec<Entry>, Error> {
    let mut rounds: Vec<Vec<RoundReport>> = turns.iter().map(|_| Vec::new()).collect();
    for repetition in 0..repetitions {
        let mut order: Vec<usize> = (0..turns.len()).collect();
        if repetition % 2 == 1 {
            order.reverse();
        }
        for index in order {
            stage.enter(index)?;
            let outcome = turns[index].subject.round();
            stage.leave(index)?;
            let round = outcome?;
            progress.say(&format!(
                "{}, {} of {repetitions}: {} units in {} s, {}/s, p99 {} ms{}",
                turns[index].subject.name(),
                repetition + 1,
                count(round.units),
                digits(round.elapsed.as_secs_f64()),
                digits(round.rate()),
                digits(crate::report::Latency::from(&round.latency).p99_ms),
                if round.is_valid() { String::new() } else { format!("; INVALID: {:?}", round.unexpected) },
            ));
            rounds[index].push((&round).into());
        }
    }
    let entries = turns.iter_mut().zip(rounds).enumerate().map(|(index, (turn, rounds))| {
        stage.enter(index)?;
        let checked = turn.subject.check();
        stage.leave(index)?;
        Ok(Entry { name: turn.subject.name(), system: turn.system, rounds, checked: checked? })
    });
    entries.collect()
}
