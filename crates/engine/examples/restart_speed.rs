//! How long a store takes to open: `restart_speed [FOLDER] [SKUS] [BINS] [HOLDS]`, by default 100,000 SKUs that lie in
//! 10 bins each and 1,000,000 holds, in a temporary folder. The design's size is `1000000 10 10000000`.
//!
//! It makes the positions, writes a checkpoint, places the holds after it, and then opens the store as a start does:
//! the checkpoint first, and the journal since. Prints how long each part took, on the clock and of the processor. A
//! folder that has a store already is only opened, so that two programs can be held against each other.

use std::{
    collections::VecDeque,
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jaego_domain::{
    Code, Command, Memory, Name, Outside, Quantity, Request, Strategy, TimeZone, Timestamp,
    command::{Adjust, AdjustLine, Change, HoldLine, PlaceHold, SetLocation, SetSite, SetSku},
    row::{LocationKind, Tracking},
};
use jaego_engine::{
    Core, Decided, Job, Limits, Slot, Submission, checkpoint,
    disk::RealDisk,
    journal::{Config, Journal, StoreId},
    open,
};
use jaego_store::Batch;

/// Lines that are decided at a time.
const BATCH: usize = 8_000;
/// Bins of the site; a SKU's are drawn from them.
const LOCATIONS: usize = 20_000;
/// Lines of one adjustment.
const LINES: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let temporary = tempfile::tempdir()?;
    let folder = arguments.next().map_or(temporary.path().join("store"), PathBuf::from);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (skus, bins, holds) = (number(100_000)?, number(10)?, number(1_000_000)?);
    if !folder.exists() {
        make(&folder, skus, bins, holds)?;
    }

    let disk = RealDisk::open(&folder)?;
    let (began, worked) = (Instant::now(), cpu_time());
    let newest = *checkpoint::list(&disk)?.first().ok_or("the folder has no checkpoint")?;
    let loaded = checkpoint::load(&disk, newest)?;
    println!("checkpoint loaded in {:.2?}, {:.2?} of the processor", began.elapsed(), cpu_time() - worked);
    drop((loaded, disk));

    let (began, worked) = (Instant::now(), cpu_time());
    let recovered = open(RealDisk::open(&folder)?, Config::default(), |_| {})?;
    println!("opened in {:.2?}, {:.2?} of the processor", began.elapsed(), cpu_time() - worked);
    let (positions, held) = (recovered.memory.counts().positions, recovered.memory.counts().open_holds);
    println!("{positions} positions, {held} holds, {} events replayed", recovered.replayed);
    Ok(())
}

/// Makes a store with its positions in a checkpoint and its holds behind it.
fn make(folder: &Path, skus: usize, bins: usize, holds: usize) -> Result<(), Box<dyn Error>> {
    let mut maker = Maker::new(folder)?;
    let began = Instant::now();
    maker.run(warehouse(skus))?;
    let lines = |from: usize| {
        (from..(from + LINES).min(skus * bins)).map(move |line| AdjustLine {
            site: code("ICN"),
            location: location((line / bins * 7_919 + line % bins * 104_729) % LOCATIONS),
            sku: sku(line / bins),
            lot: None,
            change: Change::Add(quantity(1_000_000), Outside::Opening),
        })
    };
    let adjustments = (0..skus * bins).step_by(LINES).map(|from| {
        request(Command::Adjust(Adjust {
            id: code(&format!("open-{from}")),
            reason: Name::default(),
            lines: lines(from).collect(),
            release: None,
        }))
    });
    maker.run(adjustments)?;
    println!("{} positions made in {:.1?}", maker.core.memory().counts().positions, began.elapsed());

    let began = Instant::now();
    checkpoint::write(&*maker.disk, maker.journal.store(), maker.core.memory(), &[])?;
    println!("checkpoint written in {:.1?}", began.elapsed());

    let began = Instant::now();
    // A multiplier that visits all SKUs in no order that a cache could love.
    maker.run((0..holds).map(|number| place(number, number.wrapping_mul(7_919_317) % skus)))?;
    println!("{holds} holds made in {:.1?}", began.elapsed());
    assert_eq!(maker.core.memory().counts().open_holds, holds as u64, "every hold is there");
    maker.journal.close()?;
    Ok(())
}

/// Decides requests and keeps the frames, with one sync for all of them at the end.
struct Maker {
    core: Core,
    journal: Journal<Arc<RealDisk>>,
    disk: Arc<RealDisk>,
}

impl Maker {
    fn new(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let disk = Arc::new(RealDisk::open(folder)?);
        let journal = Journal::create(disk.clone(), Config::default(), StoreId(1), 1)?;
        Ok(Self { core: Core::new(Memory::new(), Limits::default()), journal, disk })
    }

    fn run(&mut self, requests: impl Iterator<Item = Request>) -> Result<(), Box<dyn Error>> {
        let mut requests = requests.peekable();
        while requests.peek().is_some() {
            let mut batch = Batch { requests: Vec::new(), atomic: false };
            let mut lines = 0;
            while lines < BATCH
                && let Some(request) = requests.next()
            {
                lines += request.command().line_count();
                batch.requests.push(request);
            }
            let finish = Box::new(|decided: Result<Decided, _>| {
                let results = decided.expect("nothing fails here").results;
                let slots = results.expect("the batch is not atomic");
                assert!(slots.iter().all(|slot| matches!(slot, Slot::Done(_))), "nothing is refused here");
            });
            let mut jobs = VecDeque::from([Job::Submit(Submission::new(batch, finish))]);
            while !jobs.is_empty() {
                self.core.turn(&mut jobs, Timestamp(1_000), Ok(()));
                let flight = self.core.take_flight();
                self.journal.append(flight.first.0, flight.count, &flight.payload)?;
                self.journal.sync()?;
                flight.answers.into_iter().for_each(|deliver| deliver(Ok(())));
            }
        }
        Ok(())
    }
}

fn warehouse(skus: usize) -> impl Iterator<Item = Request> {
    let site = request(Command::SetSite(SetSite {
        site: code("ICN"),
        name: Name::default(),
        time_zone: TimeZone::new("Asia/Seoul").expect("a zone"),
        strategy: Strategy::PickOrder,
    }));
    let locations = (0..LOCATIONS).map(|bin| {
        request(Command::SetLocation(SetLocation {
            site: code("ICN"),
            location: location(bin),
            zone: Name::default(),
            pick_order: u32::try_from(bin).expect("LOCATIONS fits a u32"),
            kind: LocationKind::Storage,
        }))
    });
    let skus = (0..skus).map(|number| {
        request(Command::SetSku(SetSku {
            sku: sku(number),
            name: Name::default(),
            tracking: Tracking::None,
            safety_stock: Vec::new(),
            prices: Vec::new(),
        }))
    });
    std::iter::once(site).chain(locations).chain(skus)
}

fn place(number: usize, of: usize) -> Request {
    let line = HoldLine { site: code("ICN"), sku: sku(of), quantity: quantity(1), location: None, lot: None };
    request(Command::PlaceHold(PlaceHold {
        id: code(&format!("H{number:09}")),
        owner: None,
        lines: [line].into_iter().collect(),
        expires_in_ms: None,
        partial: false,
        strategy: None,
    }))
}

fn sku(number: usize) -> Code {
    code(&format!("SKU-{number:08}"))
}

fn location(number: usize) -> Code {
    code(&format!("A-{number:05}"))
}

fn code(text: &str) -> Code {
    Code::new("code", text).expect("a code")
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("a quantity")
}

fn request(command: Command) -> Request {
    Request::new(command, None, code("bench")).expect("a sound request")
}

/// The processor time of this process, of threads that have ended too: what others do on the machine does not count.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("linux tells about this process");
    let (_, fields) = text.rsplit_once(')').expect("the name stands in parentheses");
    // User and system time, in hundredths of a second on every machine that Linux runs on.
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
