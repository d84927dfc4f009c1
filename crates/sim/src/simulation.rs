//! The writer, the journal and the checkpoints, driven by hand: what the engine's threads do, in an order that the
//! seed chooses, on a machine that stops at any moment.

use std::{
    collections::{VecDeque, hash_map::DefaultHasher},
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use jaego_domain::{DocumentKey, Event, Refusal, Request, Sequence, Tables, Timestamp, View, row::Filing};
use jaego_engine::{
    Clock, Core, Decided, Flight, Job, Limits, Reading, Recovered, SLEW_PPM, Steady, Submission, Written,
    archive::Archive,
    disk::Disk,
    journal::{self, FRAME_HEADER_LEN, Journal, Preparation, SECTOR_LEN},
    open,
    sim_disk::{Dice, Faults, SimDisk},
    state_hash, verify, write_checkpoint,
};
use jaego_store::{Answer, Batch, Failure, Reply, codec, reply};

use crate::{
    Auditor, Client, SimClock,
    auditor::{Answered, Asked, Counts},
    client::{code, setup},
};

/// Small segments, so that a short run crosses several.
const JOURNAL: journal::Config = journal::Config { segment_len: 16_384, preparation: Preparation::Inline };
/// Disk operations of one life at the most, so that every seed sees several crashes.
const OPERATIONS_MAX: u64 = 160;
/// The most requests that are asked for again after a restart.
const RETRIES_MAX: usize = 40;

/// What a simulation came to. Equal for equal seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// A hash of all that happened.
    pub trace: u64,
    /// The hash of all rows in the end.
    pub state: u128,
    /// Processes that ran.
    pub lives: u64,
    /// Machines that stopped while the store was being opened.
    pub stopped_while_opening: u64,
    /// Torn tails that were cut.
    pub cuts: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Recoveries that began with one.
    pub from_checkpoint: u64,
    /// Documents in the archive, when there were most.
    pub archived: u64,
    /// Jobs that named something that had left memory.
    pub fetched: u64,
    /// Checkpoints that were there and could not be read.
    pub passed_over: u64,
    /// Batches that found the store full.
    pub full: u64,
    /// Writes and syncs that failed.
    pub failed: u64,
    /// What the auditor looked at.
    pub audited: Counts,
}

/// One machine with its disk and clock, its clients, and whoever looks at all of it.
pub struct Simulation {
    dice: Dice,
    clock: SimClock,
    /// The latest time that a store's clock showed: nothing may have happened later.
    latest: Timestamp,
    disk: SimDisk,
    limits: Limits,
    client: Client,
    auditor: Auditor,
    life: Option<Life>,
    /// The frame that was being written when the last process went.
    limbo: Vec<Event>,
    /// What nobody was answered, to be asked for again.
    again: VecDeque<Asked>,
    stop_at: Option<u64>,
    report: Report,
    trace: DefaultHasher,
}

type Outbox = Arc<Mutex<Vec<(usize, Result<Decided, Failure>)>>>;
type ReadAnswer = Answer<Result<View, Refusal>>;
type Read = Reply<ReadAnswer>;

/// One process, from its start to its end.
struct Life {
    core: Core,
    journal: Journal<Arc<SimDisk>>,
    disk: Arc<SimDisk>,
    archive: Arc<Archive<SimDisk>>,
    jobs: VecDeque<Job>,
    admitted: Result<(), String>,
    flight: Option<Flight>,
    outbox: Outbox,
    reads: Vec<(usize, Read)>,
    checkpoint: Sequence,
    /// Its clock.
    steady: Steady<SimClock>,
    /// When it began, on its own clock and on the machine's.
    began: (Timestamp, Reading),
    /// Logical time, reckoned apart from the writer's.
    now: Timestamp,
}

/// The process cannot go on.
struct Gone;

impl Simulation {
    /// A new machine. The same seed does the same.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let lines_before_yield = if dice.one_in(3) { 2 } else { 10_000 };
        let limits = Limits { frame_bytes: 2_048, atomic_bytes: 4_096, lines_before_yield };
        let disk = SimDisk::new(dice.throw());
        Self {
            dice,
            clock: SimClock::default(),
            latest: Timestamp(0),
            disk,
            limits,
            client: Client::default(),
            auditor: Auditor::default(),
            life: None,
            limbo: Vec::new(),
            again: VecDeque::new(),
            stop_at: None,
            report: Report::default(),
            trace: DefaultHasher::new(),
        }
    }

    /// A machine that stops for the first time at this disk operation.
    pub fn stopping_at(seed: u64, operation: u64) -> Self {
        Self { stop_at: Some(operation), ..Self::new(seed) }
    }

    /// Takes steps, ends the process, and proves what is left.
    ///
    /// # Panics
    /// Where the store breaks a promise.
    pub fn run(mut self, steps: u32) -> Report {
        for _ in 0..steps {
            self.step();
        }
        self.end()
    }

    fn step(&mut self) {
        let Some(mut life) = self.life.take() else {
            return self.begin();
        };
        match self.live(&mut life) {
            Ok(()) => self.life = Some(life),
            Err(Gone) => self.die(life),
        }
    }

    /// Starts a process on the disk as it is.
    fn begin(&mut self) {
        let faults = self.faults();
        self.disk.set_faults(faults);
        let opened = open(self.disk.clone(), JOURNAL, |_| {});
        let recovered = match opened {
            Ok(recovered) => recovered,
            Err(error) => {
                let stopped = self.disk.list().is_err();
                self.note(&("not opened", error.to_string()));
                let excused = stopped || self.disk_can_fail();
                assert!(excused, "a well disk does not open: {error}");
                self.report.stopped_while_opening += 1;
                return self.crash(stopped);
            }
        };
        self.report.lives += 1;
        let hash = match recovered.state_hash() {
            Ok(hash) => hash,
            Err(error) => {
                // As below: the machine may stop at any read.
                let stopped = self.disk.list().is_err();
                assert!(stopped || self.disk_can_fail(), "the archive cannot be read: {error:?}");
                return self.crash(stopped);
            }
        };
        let Recovered { mut journal, disk, memory, archive, report, checkpoint, passed_over, .. } = recovered;
        self.report.cuts += u64::from(report.cut.is_some());
        self.report.from_checkpoint += u64::from(checkpoint.is_some());
        self.report.passed_over += passed_over.len() as u64;
        let found = match events_of(&journal) {
            Ok(found) => found,
            Err(error) => {
                // A read may fail, or the machine stop, right after the opening.
                let stopped = self.disk.list().is_err();
                assert!(stopped || self.disk_can_fail(), "durable frames cannot be read: {error}");
                return self.crash(stopped);
            }
        };
        let head = memory.head();
        self.auditor.recovered(head, hash, &found, &self.limbo, self.latest);
        self.limbo.clear();
        self.note(&("opened", found.len(), hash));
        self.client.saw(head.sequence);
        let opening = DocumentKey::Filed(Filing::Adjustment(code("opening")));
        if !memory.has(&opening) && !archive.may_have(&opening) {
            self.again.push_front(Asked::Batch { requests: setup(), atomic: false });
        }
        let reserved = journal.reserve(room(&self.limits));
        let mut core = Core::new(memory, self.limits);
        core.forget(archive.clone(), Vec::new());
        self.report.archived = self.report.archived.max(archive.document_count());
        let read = self.clock.read();
        let mut life = Life {
            core,
            archive,
            journal,
            disk,
            jobs: VecDeque::new(),
            admitted: Ok(()),
            flight: None,
            outbox: Outbox::default(),
            reads: Vec::new(),
            checkpoint: checkpoint.unwrap_or_default(),
            steady: Steady::new(self.clock.clone(), head.at),
            began: (Timestamp((read.wall_us / 1_000).max(head.at.0)), read),
            now: head.at,
        };
        match life.admit(reserved) {
            Ok(()) => self.life = Some(life),
            Err(Gone) => self.die(life),
        }
    }

    /// What goes wrong in the next life.
    fn faults(&mut self) -> Faults {
        let dice = &mut self.dice;
        let mut faults = Faults {
            stop_at: Some(self.stop_at.take().unwrap_or(1 + dice.throw() % OPERATIONS_MAX)),
            short: dice.one_in(6),
            interrupt: dice.one_in(6),
            ..Faults::default()
        };
        match dice.below(8) {
            0 => faults.fail_write = Some(1 + dice.throw() % 60),
            1 => faults.fail_sync = Some(1 + dice.throw() % 60),
            2 => faults.space = Some(self.disk.used().max(40_000) + dice.throw() % 20_000),
            _ => {}
        }
        faults
    }

    /// Whether calls fail in this life although the machine goes on.
    fn disk_can_fail(&self) -> bool {
        let faults = self.disk.faults();
        faults.fail_write.is_some() || faults.fail_sync.is_some() || faults.space.is_some()
    }

    fn live(&mut self, life: &mut Life) -> Result<(), Gone> {
        match self.dice.below(100) {
            0..=39 => self.ask(life),
            40..=44 => self.ask_again(life),
            45..=69 => self.turn(life)?,
            70..=92 => self.put(life)?,
            93 | 94 => {
                let written = life.journal.write_watermark();
                written.map_err(|_| Gone)?;
            }
            95..=97 => self.write_checkpoint(life)?,
            98 if life.admitted.is_err() => {
                // Somebody made room.
                self.disk.set_faults(Faults { space: None, ..self.disk.faults() });
                let reserved = life.journal.reserve(room(&self.limits));
                life.admit(reserved)?;
            }
            _ => self.auditor.prove(),
        }
        Ok(())
    }

    fn ask(&mut self, life: &mut Life) {
        let asked = match self.dice.below(10) {
            0..=1 => Asked::Read(self.client.query(&mut self.dice)),
            2 => {
                let len = 2 + self.dice.below(4);
                let requests = (0..len).map(|_| self.client.request(&mut self.dice)).collect();
                Asked::Batch { requests, atomic: true }
            }
            3 => {
                let len = self.dice.below(12);
                let requests = (0..len).map(|_| self.client.request(&mut self.dice)).collect();
                Asked::Batch { requests, atomic: false }
            }
            _ => {
                let request = self.client.request(&mut self.dice);
                Asked::Batch { requests: vec![request], atomic: false }
            }
        };
        self.submit(life, asked);
    }

    /// What nobody answered, or what was answered long ago.
    fn ask_again(&mut self, life: &mut Life) {
        if let Some(asked) = self.again.pop_front() {
            return self.submit(life, asked);
        }
        let events = self.auditor.events().len() as u64;
        let sequence = Sequence(1 + self.dice.throw() % events.max(1));
        if let Some(request) = self.auditor.request_of(sequence) {
            let requests = vec![request.clone()];
            self.submit(life, Asked::Batch { requests, atomic: false });
        }
    }

    fn submit(&mut self, life: &mut Life, mut asked: Asked) {
        if let Asked::Batch { requests, .. } = &mut asked {
            requests.iter_mut().for_each(|request| lend(request, self.auditor.events()));
        }
        let call = self.auditor.ask(asked.clone());
        let job = match asked {
            Asked::Read(query) => {
                let (to, from) = reply();
                life.reads.push((call, from));
                Job::query(query, to)
            }
            Asked::Batch { requests, atomic } => {
                let outbox = life.outbox.clone();
                let finish =
                    Box::new(move |decided| outbox.lock().expect("one thread").push((call, decided)));
                Job::Submit(Submission::new(Batch { requests, atomic }, finish))
            }
        };
        life.jobs.push_back(job);
    }

    /// The writer's turn.
    fn turn(&mut self, life: &mut Life) -> Result<(), Gone> {
        // As in the engine: a full frame waits for the journal.
        if life.core.is_full() {
            return Ok(());
        }
        self.clock.move_on(&mut self.dice);
        let clock = life.look_at_the_clock(self.clock.read());
        self.latest = self.latest.max(clock);
        let shown = clock.max(life.now);
        life.now = match (&life.admitted, life.core.memory().next_due()) {
            (Err(_), Some(due)) => shown.min(Timestamp(due.0 - 1)),
            _ => shown,
        };
        let admitted = life.admitted.as_ref().copied().map_err(String::as_str);
        life.core.turn(&mut life.jobs, clock, admitted);
        self.auditor.turn(life.now, life.jobs.is_empty() && !life.core.has_away());
        if let Some(due) = life.core.memory().next_due() {
            assert!(due > life.now, "a hold is counted at {} that lapsed at {due}", life.now);
        }
        // Refused for want of room, at once.
        for (call, decided) in life.outbox.lock().expect("one thread").drain(..) {
            let failure = decided.expect_err("no answer leaves before its frame is durable");
            let excused = matches!(failure, Failure::Full { .. }) && life.admitted.is_err()
                || matches!(failure, Failure::TooLarge { .. });
            assert!(excused, "call {call}: {failure}");
            self.report.full += 1;
            self.auditor.turned_away(call);
        }
        for mut job in life.core.take_away() {
            // Somewhere among the others: who fetches for it takes a while.
            job.fetch(&life.archive).map_err(|_| Gone)?;
            self.report.fetched += 1;
            let at = self.dice.below(life.jobs.len() + 1);
            life.jobs.insert(at, job);
        }
        Ok(())
    }

    /// The journal takes a flight, or writes the one that it has.
    fn put(&mut self, life: &mut Life) -> Result<(), Gone> {
        if life.flight.is_none() {
            life.flight = life.core.has_flight().then(|| life.core.take_flight());
            if self.dice.one_in(2) {
                // The writer goes on while the frame is being written.
                return Ok(());
            }
        }
        let Some(flight) = &life.flight else { return Ok(()) };
        let events = decode(flight);
        if flight.count > 0 {
            self.limbo.clone_from(&events);
            life.journal.append(flight.first.0, flight.count, &flight.payload).map_err(|_| Gone)?;
            life.journal.sync().map_err(|_| Gone)?;
            self.limbo.clear();
        }
        let flight = life.flight.take().expect("it was looked at just now");
        let durable = Sequence(life.journal.reader().durable_sequence());
        assert_eq!(durable.next().0, flight.first.0 + u64::from(flight.count), "what was synced is durable");
        for answer in flight.answers {
            answer(Ok(()));
        }
        let mut answers = Vec::new();
        for (call, decided) in life.outbox.lock().expect("one thread").drain(..) {
            answers.push((call, Answered::Batch(decided.expect("all that it rests on is durable"))));
        }
        for (call, answer) in take_ready(&mut life.reads) {
            answers.push((call, Answered::Read(answer.expect("all that it rests on is durable"))));
        }
        self.note(&(durable.0, format!("{answers:?}")));
        self.auditor.delivered(&events, answers, self.latest);
        self.client.saw(durable);
        let reserved = life.journal.reserve(room(&self.limits));
        life.admit(reserved)
    }

    fn write_checkpoint(&mut self, life: &mut Life) -> Result<(), Gone> {
        let reader = life.journal.reader();
        let sealed = reader.sealed_segments();
        let Some(upto) = sealed.last().map(|segment| Sequence(segment.next_sequence - 1)) else {
            return Ok(());
        };
        if upto <= life.checkpoint {
            return Ok(());
        }
        match write_checkpoint(&*life.disk, &reader, &life.archive, upto) {
            Ok(Written { sequence, archive, rested, .. }) => {
                assert!(sequence >= upto, "the checkpoint reaches as far as it was asked to");
                life.checkpoint = sequence;
                life.archive = archive.clone();
                life.core.forget(archive, rested);
                self.report.checkpoints += 1;
                self.note(&("checkpoint", sequence.0));
                Ok(())
            }
            Err(_) if self.disk.list().is_err() => Err(Gone),
            Err(error) => {
                assert!(self.disk_can_fail(), "no checkpoint on a well disk: {error}");
                Ok(())
            }
        }
    }

    /// The process ends here: nobody who waits is answered, and all that is left is what the disk has.
    fn die(&mut self, life: Life) {
        let stopped = self.disk.list().is_err();
        self.report.failed += u64::from(!stopped);
        let failure = Failure::Failed { detail: "it went".to_owned() };
        let Life { jobs, flight, outbox, core, journal, .. } = life;
        let mut core = core;
        for answer in flight.into_iter().chain([core.take_flight()]).flat_map(|flight| flight.answers) {
            answer(Err(failure.clone()));
        }
        jobs.into_iter().for_each(|job| job.refuse(failure.clone()));
        assert!(outbox.lock().expect("one thread").iter().all(|(_, answer)| answer.is_err()));
        drop(journal);
        self.crash(stopped);
    }

    fn crash(&mut self, stopped: bool) {
        assert_eq!(self.disk.violations(), Vec::<String>::new(), "a file that failed was written again");
        let lost = self.auditor.restarted();
        // Clients ask again for what they were not told of, some of them later and some never.
        for asked in lost {
            if self.again.len() < RETRIES_MAX && !self.dice.one_in(4) {
                self.again.push_back(asked);
            }
        }
        let seed = self.dice.throw();
        self.disk = match self.dice.below(4) {
            // A process that failed may leave the machine running.
            0 => self.disk.kill(seed),
            1 if !stopped => self.disk.kill(seed),
            _ => self.disk.crash(seed),
        };
        self.note(&"crashed");
    }

    fn end(mut self) -> Report {
        if let Some(life) = self.life.take() {
            self.die(life);
        }
        // A last life without faults: everything opens, and everything is still true.
        self.stop_at = Some(u64::MAX);
        self.disk.set_faults(Faults::default());
        let recovered = open(self.disk.clone(), JOURNAL, |_| {}).expect("a well disk opens");
        let found = events_of(&recovered.journal).expect("durable frames can be read");
        let hash = recovered.state_hash().expect("the archive can be read");
        let head = recovered.memory.head();
        self.auditor.recovered(head, hash, &found, &self.limbo, self.latest);
        recovered.journal.close().expect("a well disk");
        let verified = verify(self.disk.clone(), JOURNAL, |_| {}).expect("the books are right");
        assert_eq!(verified.hash, state_hash(self.auditor.shadow()));
        self.report.state = verified.hash;
        self.report.audited = self.auditor.counts();
        self.report.trace = self.trace.finish();
        self.report
    }

    fn note(&mut self, what: &impl Hash) {
        what.hash(&mut self.trace);
    }
}

impl Life {
    /// What its clock shows. Whatever the wall clock did, it has gone on since the process began for as long as time has
    /// passed, give or take what slewing may change: so nothing lapses earlier or later than that.
    fn look_at_the_clock(&self, read: Reading) -> Timestamp {
        let now = self.steady.now();
        let (began, at) = self.began;
        let passed_us = read.boot_us - at.boot_us;
        let expected = began.after_ms(passed_us / 1_000);
        // Both are cut to whole milliseconds.
        let slewed_ms = passed_us / 1_000 * SLEW_PPM / 1_000_000 + 2;
        assert!(
            now.0.abs_diff(expected.0) <= slewed_ms,
            "{passed_us} us after {began} it is {now}, {slewed_ms} ms more or less than it should be"
        );
        now
    }

    fn admit(&mut self, reserved: Result<(), journal::Error>) -> Result<(), Gone> {
        self.admitted = match reserved {
            Ok(()) => Ok(()),
            Err(error @ journal::Error::Full { .. }) => Err(error.to_string()),
            Err(_) => return Err(Gone),
        };
        Ok(())
    }
}

/// As much as the engine asks for: two frames, and a watermark between them.
fn room(limits: &Limits) -> usize {
    2 * (limits.payload_len_max() + FRAME_HEADER_LEN + SECTOR_LEN) + SECTOR_LEN
}

fn decode(flight: &Flight) -> Vec<Event> {
    let events = codec::decode(&flight.payload, flight.first).expect("it was encoded just now");
    events.map(|event| event.expect("it was encoded just now")).collect()
}

/// All durable events of a journal that begins at the beginning.
fn events_of(journal: &Journal<Arc<SimDisk>>) -> Result<Vec<Event>, journal::Error> {
    let mut events = Vec::new();
    let mut frames = journal.reader().frames_from(1)?;
    while let Some(frame) = frames.next()? {
        let decoded = codec::decode(frame.payload, Sequence(frame.first_sequence));
        for event in decoded.expect("a whole frame decodes") {
            events.push(event.expect("a whole frame decodes"));
        }
    }
    Ok(events)
}

/// Looks up the movement that a reversal wants, as the engine's history does.
fn lend(request: &mut Request, events: &[Event]) {
    let Some(wanted) = request.wanted_movement() else { return };
    let index = usize::try_from(wanted.sequence.0).map_or(usize::MAX, |number| number.wrapping_sub(1));
    let Some(event) = events.get(index) else { return };
    let mut movements = Vec::new();
    event.fact.movements(|movement| movements.push(movement));
    let document = event.fact.document().map_or("reversal", |(kind, _)| kind);
    if let Some(movement) = movements.into_iter().nth(wanted.index as usize) {
        request.lend_movement(movement, document);
    }
}

/// The replies that have come.
fn take_ready(reads: &mut Vec<(usize, Read)>) -> Vec<(usize, Result<ReadAnswer, Failure>)> {
    let mut context = Context::from_waker(Waker::noop());
    let mut ready = Vec::new();
    reads.retain_mut(|(call, read)| match Pin::new(read).poll(&mut context) {
        Poll::Ready(answer) => {
            ready.push((*call, answer));
            false
        }
        Poll::Pending => true,
    });
    ready
}
