//! Measures the locks on a private Redis and PostgreSQL, beside bare scripts and other libraries, in one run.
//!
//! ```text
//! cargo run --release -p jaego-lock --example lock_speed [-- [--seconds N] [--docs docs/LOCKS.md] | --once]
//! ```
//!
//! What is measured takes turns, three times, and the median is shown. `--docs` writes it between the marks in that
//! file, the aims between marks of their own. redis-py is Debian's package python3-redis, and rslock is driven by a program in `peers/rslock` that `make
//! bench` builds. Whichever is not there is left out, and said so.
//!
//! `--once` does each thing once and for a moment, and fails if one does not work. Its numbers mean nothing.

mod aims;
mod hand_over;
mod modes;
mod rates;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jaego_lock::{Locks, Postgres, PostgresOptions, Redis, RedisOptions};
use tokio::process::Command;

use self::aims::Reached;
use self::hand_over::Kind;
use self::rates::{Bare, Rate};

type Trouble = Box<dyn std::error::Error + Send + Sync>;

const TASKS: [u64; 2] = [1, 64];
const MARKS: [&str; 2] = ["<!-- lock_speed: begin -->", "<!-- lock_speed: end -->"];
const AIMS_MARKS: [&str; 2] = ["<!-- lock_speed aims: begin -->", "<!-- lock_speed aims: end -->"];
/// Rows of the rates.
const OWN_SCRIPTS: usize = 1;
const LOCKS: usize = 2;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// For each rate in each round.
    time: Duration,
    /// In which one task is compared with what it cannot do without.
    turns: usize,
    /// How many wait for one lock.
    waiters: &'static [usize],
    /// Hand-overs that are looked at, at least: a few waiters meet again and again.
    gaps_min: usize,
}

impl Size {
    fn full(time: Duration) -> Self {
        Self { rounds: 3, time, turns: 20, waiters: &[2, 10, 100, 1_000], gaps_min: 200 }
    }

    fn once() -> Self {
        Self { rounds: 1, time: Duration::from_millis(50), turns: 2, waiters: &[2, 10], gaps_min: 10 }
    }

    fn turn(self) -> Duration {
        self.time / 8
    }
}

#[tokio::main]
async fn main() -> Result<(), Trouble> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut seconds, mut docs) = (2.0, None);
    match words[..] {
        ["--once"] => {
            let (aims, page) = measure(Size::once()).await?;
            print!("{aims}\n{page}");
            return Ok(());
        }
        ["wait", kind, url, waiters] => return hand_over::wait(kind, url, waiters.parse()?).await,
        _ => {
            for pair in words.chunks(2) {
                match *pair {
                    ["--seconds", value] => seconds = value.parse()?,
                    ["--docs", file] => docs = Some(PathBuf::from(file)),
                    _ => return Err("say [--seconds N] [--docs FILE], or --once".into()),
                }
            }
        }
    }
    let (aims, page) = measure(Size::full(Duration::from_secs_f64(seconds))).await?;
    print!("{aims}\n{page}");
    let Some(file) = docs else { return Ok(()) };
    write_into(&file, AIMS_MARKS, &aims)?;
    write_into(&file, MARKS, &page)
}

/// What the aims are and what of them was reached, and all the rest.
async fn measure(size: Size) -> Result<(String, String), Trouble> {
    let Size { rounds, time, .. } = size;
    let server = jaego_testkit::Redis::start(&jaego_testkit::RedisOptions::default())?;
    let options = RedisOptions::new(&server.url())?.quarantine(Duration::ZERO);
    let (mut page, mut reached) = (String::new(), Reached::default());
    let cores = std::thread::available_parallelism()?;
    writeln!(
        page,
        "{} on {cores} cores, loopback, everything on the one machine; {rounds} rounds of {time:?} in turn, the \
         median of them; other work on the machine at the start (load average): {}.\n",
        version("redis-server")?,
        std::fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default(),
    )?;
    rates_on(&server, &options, size, &mut page, &mut reached).await?;
    hand_overs(&server, size, &mut page, &mut reached).await?;
    let modes = modes::measure(&options, time * 2).await?;
    writeln!(
        page,
        "{} allocators in mode `allocate` and one canceller with `lock`, who hold for 1 ms: {:.0} allocations a \
         second, up to {} side by side; {} cancellations waited {} at p50, {} at p99 and {} at the most.",
        modes::ALLOCATORS,
        modes.allocations_per_s,
        modes.side_by_side_max,
        modes.cancels,
        ms(modes.wait_p50),
        ms(modes.wait_p99),
        ms(modes.wait_max)
    )?;
    Ok((reached.table()?, page))
}

async fn rates_on(
    server: &jaego_testkit::Redis,
    options: &RedisOptions,
    size: Size,
    page: &mut String,
    reached: &mut Reached,
) -> Result<(), Trouble> {
    let time = size.time;
    let database = jaego_testkit::Postgres::start(&jaego_testkit::PostgresOptions::default())?;
    let postgres = PostgresOptions::new(&database.url("postgres"))?;
    postgres.migrate().await?;
    let (locks, durable) = (Locks::new(Redis::start(options.clone())), Locks::new(Postgres::start(postgres)));
    let bare = Bare::connect(&server.url()).await?;
    let names = [
        "`SET NX PX` and compare-and-delete, bare: no fence, queue or quarantine",
        "the two scripts of jaego-lock, bare",
        "**jaego-lock on Redis**",
        "redis-py (one thread; 64 tasks of asyncio)",
        "rslock",
        "**jaego-lock on PostgreSQL**, each grant synced to disk",
    ];
    let mut table: Vec<[Option<Rate>; 2]> = vec![[None; 2]; names.len()];
    for (column, tasks) in TASKS.into_iter().enumerate() {
        let mut rounds: Vec<Vec<Rate>> = vec![Vec::new(); names.len()];
        for _ in 0..size.rounds {
            let work = |task, clock| bare.clone().with_simple_scripts(task, clock);
            rounds[0].push(rates::rate(tasks, time, work).await?);
            let work = |task, clock| bare.clone().with_own_scripts(task, clock);
            rounds[1].push(rates::rate(tasks, time, work).await?);
            let work = |task, clock| rates::with_locks(locks.clone(), task, clock);
            rounds[2].push(rates::rate(tasks, time, work).await?);
            let port = server.addr().port();
            rounds[3].extend(rates::with_program(python(), port, tasks, time).await?);
            rounds[4].extend(rates::with_program(rslock(), port, tasks, time).await?);
            let work = |task, clock| rates::with_locks(durable.clone(), task, clock);
            rounds[5].push(rates::rate(tasks, time, work).await?);
        }
        for (row, rates) in rounds.into_iter().enumerate() {
            table[row][column] = (!rates.is_empty()).then(|| Rate::median(rates));
        }
    }
    writeln!(page, "Acquire and release of locks that nobody else wants:\n")?;
    writeln!(page, "| | 1 task, pairs/s | p50 | p99 | 64 tasks, pairs/s | p50 | p99 |")?;
    writeln!(page, "|---|---|---|---|---|---|---|")?;
    for (name, rates) in names.into_iter().zip(&table) {
        write!(page, "| {name} |")?;
        for rate in rates {
            match rate {
                Some(rate) => {
                    write!(page, " {:.0} | {} | {} |", rate.pairs_per_s, ms(rate.p50), ms(rate.p99))?;
                }
                None => page.push_str(" not installed | | |"),
            }
        }
        writeln!(page)?;
    }
    writeln!(page)?;
    let per_s = |row: usize, column: usize| table[row][column].map_or(f64::NAN, |rate| rate.pairs_per_s);
    reached.by_many = per_s(LOCKS, 1) / per_s(OWN_SCRIPTS, 0);
    reached.measure_turns(&locks, &bare, size).await
}

async fn hand_overs(
    server: &jaego_testkit::Redis,
    size: Size,
    page: &mut String,
    reached: &mut Reached,
) -> Result<(), Trouble> {
    writeln!(
        page,
        "From a release to the next grant, with the waiters in up to four processes, who hold for 1 ms each and \
         meet again until there were {} hand-overs; and the commands that all of them sent for each grant, its \
         release included:\n",
        size.gaps_min
    )?;
    writeln!(page, "| waiters | | p50 | p99 | max | commands per grant |")?;
    writeln!(page, "|---|---|---|---|---|---|")?;
    for &waiters in size.waiters {
        for kind in Kind::ALL {
            let Some(measured) = hand_over::measure(server, kind, waiters, size.gaps_min).await? else {
                continue;
            };
            if let Some(own) = [Kind::Plain, Kind::Fair].into_iter().position(|own| own == kind) {
                reached.hand_overs[own].push(measured.p50);
            }
            writeln!(
                page,
                "| {waiters} | {} | {} | {} | {} | {:.1} |",
                kind.name(),
                ms(measured.p50),
                ms(measured.p99),
                ms(measured.max),
                measured.commands_per_grant
            )?;
        }
    }
    writeln!(page)?;
    Ok(())
}

/// Our script, run by a Python that has redis-py.
fn python() -> Option<Command> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lock_speed/redis_py.py");
    let program = ["/usr/bin/python3", "python3"].into_iter().find(|program| {
        let mut test = std::process::Command::new(program);
        test.args(["-c", "import redis.asyncio"]).output().is_ok_and(|output| output.status.success())
    })?;
    let mut command = Command::new(program);
    command.arg(script);
    Some(command)
}

/// The program that drives rslock, if it was built into the same target folder.
fn rslock() -> Option<Command> {
    let example = std::env::current_exe().ok()?;
    let program = example.ancestors().nth(3)?.join("peers/release/rslock-speed");
    program.exists().then(|| Command::new(program))
}

/// The one below which so many percent of the sorted ones lie.
fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1_000.0;
    if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

/// `Redis server v=7.0.15`, without what comes after.
fn version(program: &str) -> Result<String, Trouble> {
    let output = std::process::Command::new(program).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" ").replace(" v=", " "))
}

fn write_into(file: &Path, marks: [&str; 2], page: &str) -> Result<(), Trouble> {
    let text = std::fs::read_to_string(file)?;
    let [begin, end] =
        marks.map(|mark| text.find(mark).ok_or(format!("{mark} is not in {}", file.display())));
    let (begin, end) = (begin? + marks[0].len(), end?);
    std::fs::write(file, format!("{}\n\n{page}\n{}", &text[..begin], &text[end..]))?;
    Ok(())
}
