//! The writer without its thread: decides, applies and encodes, and says what to answer once it is durable.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use jaego_domain::{
    Code, Command, DocumentKey, Event, Memory, Query, Refusal, Repeat, Request, Sequence, Tables, Timestamp,
    View, WARM_MAX,
    limits::SEEN_PER_LINE,
    outcome,
    row::{OrderStatus, ProposalStatus, TransferStatus},
    turn::{self, Accepted, Refusals},
};
use jaego_store::{Answer, Answers, Batch, Done, Failure, ReplyTo, Results, codec};

use crate::{
    archive::{Archive, MayHave, Rested},
    disk::Disk,
    fetch::Fetched,
};

/// Documents that leave memory in one turn.
const LEAVING_MAX: usize = 1_024;

/// Lines of documents that the commands of one batch may touch: those that they name, and all of a document where they
/// work on all of it; of an atomic batch also the positions that they look at, at 64 for a line, and in the same measure
/// what their looks for work see, which counts by itself ([`SEEN_MAX`](jaego_domain::limits::SEEN_MAX)). It bounds how long a batch
/// keeps the writer busy, and how much its answers have to tell.
pub const LINES_TOUCHED_MAX: usize = 1 << 20;

/// What a look from outside counts as, in lines: it has a page of events to put into words.
const LOOK_COST: usize = 1_024;

/// How much one turn does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of events after which a frame takes no further request.
    pub frame_bytes: usize,
    /// Bytes of events that one atomic batch may come to.
    pub atomic_bytes: usize,
    /// Lines of one batch that are decided before others get their turn, lines that reads show before the reads
    /// behind them wait for the next turn, and what looks for work see before a turn ends, at
    /// [`SEEN_PER_LINE`] for a line.
    pub lines_before_yield: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes: 7 << 20, atomic_bytes: 16 << 20, lines_before_yield: 8_192 }
    }
}

impl Limits {
    /// The longest payload of a frame: it was not full yet, and then came one more atomic batch.
    pub fn payload_len_max(&self) -> usize {
        self.frame_bytes + self.atomic_bytes
    }
}

/// What to do with an answer: called once, with `Ok` when all that the answer rests on is durable.
pub type Deliver = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// Events that are to be written as one frame, and the answers that wait for it.
#[derive(Default)]
pub struct Flight {
    /// The number of the first event.
    pub first: Sequence,
    /// How many events there are; without any there is nothing to write.
    pub count: u32,
    /// The events, encoded.
    pub payload: Arc<[u8]>,
    /// The answers, in order.
    pub answers: Vec<Deliver>,
}

/// Something for the writer to do.
pub enum Job {
    /// Decide a batch.
    Submit(Submission),
    /// Read the tables.
    Query {
        /// What to read.
        query: Query,
        /// Where to answer.
        reply: ReplyTo<Answer<Result<View, Refusal>>>,
        /// What left memory and came back for it.
        fetched: Fetched,
    },
    /// Call something with the tables, and deliver what it gives when everything it saw is durable.
    Look {
        /// What to call.
        look: Look,
        /// The transfers that it looks at.
        transfers: Vec<Code>,
        /// How many of them, the first ones, it cannot do without. Of the others it sees those that are there or that
        /// one look at the archive brings.
        needed: usize,
        /// What left memory and came back for it.
        fetched: Fetched,
    },
}

/// Looks at the tables and gives what is to be delivered; gets the failure instead where there are none to look
/// at any more.
pub type Look = Box<dyn FnOnce(Result<&Memory, Failure>) -> Deliver + Send>;

impl Job {
    /// Reads the tables.
    pub fn query(query: Query, reply: ReplyTo<Answer<Result<View, Refusal>>>) -> Self {
        Self::Query { query, reply, fetched: Fetched::default() }
    }

    /// Calls something with tables that have the first `needed` of these transfers, wherever they are, and as many of
    /// the others as one look at the archive brings.
    pub fn look(look: Look, transfers: Vec<Code>, needed: usize) -> Self {
        Self::Look { look, transfers, needed, fetched: Fetched::default() }
    }

    /// The documents that it names.
    pub(crate) fn each_document(&self, mut visit: impl FnMut(DocumentKey)) {
        match self {
            Self::Submit(submission) => {
                for request in submission.requests.as_slice() {
                    request.command().each_document(&mut visit);
                }
            }
            Self::Query { query, .. } => {
                if let Some(key) = query.document() {
                    visit(key);
                }
            }
            Self::Look { transfers, .. } => {
                transfers.iter().for_each(|id| visit(DocumentKey::Transfer(id.clone())));
            }
        }
    }

    /// Whether its requests stand or fall together.
    pub(crate) fn is_atomic(&self) -> bool {
        matches!(self, Self::Submit(submission) if submission.atomic)
    }

    /// How many of the documents that it names, the first ones, it cannot do without.
    pub(crate) fn needed(&self) -> usize {
        match self {
            // Its requests go on one by one, as far as there are documents, and it fetches again.
            Self::Submit(_) => 0,
            Self::Query { .. } => 1,
            Self::Look { needed, .. } => *needed,
        }
    }

    pub(crate) fn fetched_mut(&mut self) -> &mut Fetched {
        match self {
            Self::Submit(submission) => &mut submission.fetched,
            Self::Query { fetched, .. } | Self::Look { fetched, .. } => fetched,
        }
    }

    /// How many requests are left in it: those that count against the line's limit.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Submit(submission) => submission.requests.len(),
            Self::Query { .. } => 1,
            Self::Look { .. } => 0,
        }
    }

    /// Whether a part of it was decided already, so that it can only be finished.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(self, Self::Submit(submission) if !submission.slots.is_empty())
    }

    /// What a batch that has just come begins with.
    fn first_request(&self) -> Option<&Request> {
        match self {
            Self::Submit(submission) => submission.requests.as_slice().first(),
            _ => None,
        }
    }

    /// Tells whoever asked that there will be no other answer.
    pub fn refuse(self, failure: Failure) {
        match self {
            Self::Submit(submission) => (submission.reply)(Err(failure)),
            Self::Query { reply, .. } => reply.send(Err(failure)),
            Self::Look { look, .. } => look(Err(failure.clone()))(Err(failure)),
        }
    }
}

/// A batch on its way through the writer. A long one is decided over several turns.
pub struct Submission {
    requests: std::vec::IntoIter<Request>,
    atomic: bool,
    /// What was decided so far.
    slots: Vec<Slot>,
    /// Lines of documents that were touched so far.
    lines_touched: usize,
    reply: Finish,
    /// What left memory and came back for it.
    fetched: Fetched,
}

/// Who finishes a batch: repeats want events that only the journal may still have. Called once, when all that the
/// answers rest on is durable, or with the reason why there are none.
pub type Finish = Box<dyn FnOnce(Result<Decided, Failure>) + Send>;

/// A batch that was decided.
#[derive(Debug)]
pub struct Decided {
    /// The last event that the answers rest on.
    pub sequence: Sequence,
    /// The answers, or the refusals of an atomic batch and their indexes.
    pub results: Result<Vec<Slot>, Refusals>,
}

/// The answer to one request.
#[derive(Debug)]
pub enum Slot {
    /// It was accepted.
    Done(Done),
    /// It was refused.
    Refused(Refusal),
    /// The outcome is that of an earlier event, or of a part of it.
    Repeat(Earlier),
}

/// An event that a request had become before.
#[derive(Debug)]
pub struct Earlier {
    /// Which, and what is told of it.
    pub repeat: Repeat,
    /// What the request sets, if it sets something: its outcome says no more, and there is an answer without the event.
    pub setting: Option<Code>,
}

impl Submission {
    /// A batch that nothing was decided of yet.
    pub fn new(batch: Batch, reply: Finish) -> Self {
        let slots = Vec::with_capacity(batch.requests.len());
        let requests = batch.requests.into_iter();
        Self { requests, atomic: batch.atomic, slots, lines_touched: 0, reply, fetched: Fetched::default() }
    }
}

/// The answers of a batch without repeats, or the slots back.
pub(crate) fn finished(decided: Decided) -> Result<Answers, (Sequence, Vec<Slot>)> {
    let sequence = decided.sequence;
    let slots = match decided.results {
        Err(refused) => return Ok(Answers { sequence, results: Results::Refused(refused) }),
        Ok(slots) if slots.iter().any(|slot| matches!(slot, Slot::Repeat(_))) => {
            return Err((sequence, slots));
        }
        Ok(slots) => slots,
    };
    let each = slots.into_iter().map(|slot| match slot {
        Slot::Done(done) => Ok(done),
        Slot::Refused(refusal) => Err(refusal),
        Slot::Repeat(_) => unreachable!("looked for above"),
    });
    Ok(Answers { sequence, results: Results::Each(each.collect()) })
}

/// The tables, and the frame that is being filled.
pub struct Core {
    memory: Memory,
    limits: Limits,
    encoder: codec::Encoder,
    /// Events of this turn that are applied and not yet encoded.
    events: Vec<Event>,
    /// The number of the first event in the encoder.
    first: Sequence,
    answers: Vec<Deliver>,
    /// What time it was in the last turn. Reads and refusals rest on it without leaving an event behind.
    now: Timestamp,
    /// How much the looks for work of this turn saw.
    seen: usize,
    /// What left memory, if anything did.
    archive: Option<(Arc<dyn MayHave>, Vec<u64>)>,
    /// What is in the archive, and may leave memory.
    rested: VecDeque<Rested>,
    /// How many documents were taken from there.
    left: u64,
    /// Jobs that name something that left memory: somebody else has to fetch it.
    away: Vec<Job>,
    /// Whether somebody waits who is not in line yet.
    others_wait: OthersWait,
}

/// Says whether somebody came while a turn was at work.
type OthersWait = Box<dyn Fn() -> bool + Send>;

/// What became of a batch.
enum Rest {
    /// It was decided.
    None,
    /// Others should have their turn first.
    Later(Submission),
    /// The next request names a document that left memory.
    Away(Submission),
}

impl Core {
    /// Goes on from these tables.
    pub fn new(memory: Memory, limits: Limits) -> Self {
        let head = memory.head();
        Self {
            memory,
            limits,
            encoder: codec::Encoder::new(),
            events: Vec::new(),
            first: head.sequence.next(),
            answers: Vec::new(),
            now: head.at,
            seen: 0,
            archive: None,
            rested: VecDeque::new(),
            left: 0,
            away: Vec::new(),
            others_wait: Box::new(|| false),
        }
    }

    /// Has `others_wait` asked whether a long batch that was alone in line should let others have their turn.
    pub fn ask_for_others(&mut self, others_wait: impl Fn() -> bool + Send + 'static) {
        self.others_wait = Box::new(others_wait);
    }

    /// The tables.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether something waits to be written or delivered.
    pub fn has_flight(&self) -> bool {
        !self.answers.is_empty() || !self.encoder.is_empty()
    }

    /// Whether the frame takes no further request.
    pub fn is_full(&self) -> bool {
        self.encoder.payload().len() >= self.limits.frame_bytes
    }

    /// Takes what was decided since the last time.
    pub fn take_flight(&mut self) -> Flight {
        let flight = Flight {
            first: self.first,
            count: self.encoder.count(),
            payload: Arc::from(self.encoder.payload()),
            answers: mem::take(&mut self.answers),
        };
        self.encoder.clear();
        self.first = self.memory.head().sequence.next();
        flight
    }

    /// Goes on with this archive; what came to rest in it leaves memory, a few documents a turn.
    pub fn forget<D: Disk>(&mut self, archive: Arc<Archive<D>>, rested: Vec<Rested>) {
        let runs = archive.numbers();
        self.archive = (!runs.is_empty()).then_some((archive as Arc<dyn MayHave>, runs));
        self.rested.extend(rested);
    }

    /// Whether something has yet to leave memory.
    pub fn has_rested(&self) -> bool {
        !self.rested.is_empty()
    }

    /// How many of the documents that came to rest had their turn to leave memory.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether jobs wait for something that left memory.
    pub fn has_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// Takes the jobs that name something that left memory: [`Job::fetch`] them, and put them back in line.
    pub fn take_away(&mut self) -> Vec<Job> {
        mem::take(&mut self.away)
    }

    /// Whether a document left memory and has not come back for whoever names it.
    fn is_missing(&self, key: &DocumentKey, fetched: &Fetched) -> bool {
        let Some((archive, _)) = &self.archive else { return false };
        !self.memory.has(key) && !fetched.has_looked_up(key) && archive.may_have(key)
    }

    fn misses(&self, request: &Request, fetched: &Fetched) -> bool {
        if self.archive.is_none() {
            return false;
        }
        let mut misses = false;
        request.command().each_document(|key| misses |= self.is_missing(&key, fetched));
        misses
    }

    /// Puts what was fetched for a job into the tables. What was fetched from an archive that is no more is dropped.
    fn lend(&mut self, fetched: &mut Fetched) -> Vec<Rested> {
        match &self.archive {
            Some((_, runs)) if fetched.is_of(runs) => fetched.lend(&mut self.memory),
            _ => {
                *fetched = Fetched::default();
                Vec::new()
            }
        }
    }

    fn take_back(&mut self, lent: &[Rested]) {
        lent.iter().for_each(|rested| rested.leave(&mut self.memory));
    }

    /// One turn: lapses what is due and works on jobs until there are none or the frame is full. Without
    /// `admitted` there is no room for events: requests are refused with `store_full`, and reads go on. A batch
    /// of which a part was decided stays in line until there is room.
    pub fn turn(&mut self, jobs: &mut VecDeque<Job>, clock: Timestamp, admitted: Result<(), &str>) {
        let now = self.sweep(clock, admitted.is_ok());
        self.seen = 0;
        let mut begun = Vec::new();
        // Reads are let wait for the next turn where this one has shown much, so that commands are not kept by them.
        let (mut later, mut shown) = (Vec::new(), 0);
        let mut done = 0;
        // What waiting orders have yet to get they get before anything is decided or told, one event a turn.
        while !self.is_full() && (admitted.is_err() || !self.memory.owes_stock()) {
            if done % WARM_MAX == 0 && jobs.len() > 1 {
                // Whoever sends one at a time waits for memory beside the others too.
                self.memory.warm(jobs.iter().take(WARM_MAX).filter_map(Job::first_request));
            }
            let Some(job) = jobs.pop_front() else { break };
            done += 1;
            match job {
                job @ Job::Submit(_) if admitted.is_err() && job.is_begun() => begun.push(job),
                Job::Submit(submission) => {
                    if let Err(detail) = admitted {
                        (submission.reply)(Err(Failure::Full { detail: detail.to_owned() }));
                        continue;
                    }
                    let mut submission = submission;
                    let lent = self.lend(&mut submission.fetched);
                    let rest = self.submit(submission, now, jobs.is_empty());
                    self.take_back(&lent);
                    match rest {
                        // Many small batches may look at as much as a long one: the answers to these leave now.
                        Rest::None if self.seen / SEEN_PER_LINE >= self.limits.lines_before_yield => break,
                        Rest::None => {}
                        Rest::Later(rest) => {
                            // What is left of it waits behind the others, and their answers leave with this turn.
                            jobs.push_back(Job::Submit(rest));
                            break;
                        }
                        Rest::Away(rest) => self.away.push(Job::Submit(rest)),
                    }
                }
                job @ (Job::Query { .. } | Job::Look { .. }) if shown >= self.limits.lines_before_yield => {
                    later.push(job);
                }
                Job::Query { query, reply, mut fetched } => {
                    let lent = self.lend(&mut fetched);
                    if self.query_misses(&query, &fetched) {
                        self.away.push(Job::Query { query, reply, fetched });
                    } else {
                        let value = self.memory.query_with(&query, now, fetched.elsewhere());
                        shown += value.as_ref().map_or(1, |shown| shown.cost);
                        let value = value.map(|shown| shown.view);
                        let sequence = self.memory.head().sequence;
                        self.answers.push(Box::new(move |durable| {
                            reply.send(durable.map(|()| Answer { sequence, at: now, value }));
                        }));
                    }
                    self.take_back(&lent);
                }
                Job::Look { look, transfers, needed, mut fetched } => {
                    let lent = self.lend(&mut fetched);
                    let missing = |id: &Code| self.is_missing(&DocumentKey::Transfer(id.clone()), &fetched);
                    // Before it was fetched for, it is worth a look whether all of them can be had.
                    let wanted = if fetched.is_some() { needed } else { transfers.len() };
                    if transfers[..wanted].iter().any(missing) {
                        self.away.push(Job::Look { look, transfers, needed, fetched });
                    } else {
                        let deliver = look(Ok(&self.memory));
                        shown += LOOK_COST;
                        self.answers.push(deliver);
                    }
                    self.take_back(&lent);
                }
            }
        }
        for job in begun.into_iter().rev() {
            jobs.push_front(job);
        }
        jobs.extend(later);
        for _ in 0..LEAVING_MAX {
            let Some(rested) = self.rested.pop_front() else { break };
            rested.leave(&mut self.memory);
            self.left += 1;
        }
    }

    fn query_misses(&self, query: &Query, fetched: &Fetched) -> bool {
        let Some((_, runs)) = &self.archive else { return false };
        match query {
            // What a worker has claimed never left memory.
            Query::Transfers { status, worker, .. } => {
                worker.is_none() && status.is_none_or(TransferStatus::may_rest) && !fetched.is_of(runs)
            }
            // What is allocated did not either.
            Query::Orders { status, allocated, .. } => {
                let may_rest = status.is_none_or(OrderStatus::may_rest) && *allocated != Some(true);
                may_rest && !fetched.is_of(runs)
            }
            // What is open never left memory.
            Query::Proposals { status, .. } => *status != Some(ProposalStatus::Open) && !fetched.is_of(runs),
            _ => query.document().is_some_and(|key| self.is_missing(&key, fetched)),
        }
    }

    /// Lapses what is due, and says what time it logically is: never earlier than the turn before.
    fn sweep(&mut self, clock: Timestamp, admitted: bool) -> Timestamp {
        let clock = clock.max(self.now);
        if !admitted {
            // Nothing can lapse without an event: time stands still before the first that should. What is still
            // held lapses after the last turn, so this does not go back behind it.
            self.now = self.memory.next_due().map_or(clock, |due| clock.min(Timestamp(due.0 - 1)));
            return self.now;
        }
        let (_, now) = turn::sweep(&mut self.memory, clock, &mut self.events);
        self.encode();
        assert!(now >= self.now, "logical time never runs backwards");
        self.now = now;
        now
    }

    /// Works on a batch, and gives back what is left if others should have their turn.
    fn submit(&mut self, mut submission: Submission, now: Timestamp, alone: bool) -> Rest {
        if submission.atomic {
            let requests = submission.requests.as_slice();
            if requests.iter().any(|request| self.misses(request, &submission.fetched)) {
                return Rest::Away(submission);
            }
            let looked: usize = requests.iter().map(|request| self.look_count(request.command())).sum();
            let lines = self.lines_of_all(requests) + looked;
            if lines > LINES_TOUCHED_MAX {
                let what = "lines of documents that an atomic batch touches";
                let failure = Failure::TooLarge { what, count: lines, max: LINES_TOUCHED_MAX };
                (submission.reply)(Err(failure));
                return Rest::None;
            }
            self.submit_atomic(submission, now);
            return Rest::None;
        }
        let mut lines = 0;
        let mut decided = 0;
        self.memory.take_seen();
        loop {
            if decided % WARM_MAX == 0 && submission.requests.len() > 1 {
                self.memory.warm(submission.requests.as_slice().iter());
            }
            let next = submission.requests.as_slice().first();
            if next.is_some_and(|request| self.misses(request, &submission.fetched)) {
                return Rest::Away(submission);
            }
            let Some(request) = submission.requests.next() else { break };
            decided += 1;
            let mut touched = self.line_count(request.command());
            // Behind the last request nobody waits for the rest of the batch.
            let looked = if submission.requests.len() > 0 { self.look_count(request.command()) } else { 0 };
            let so_far = submission.lines_touched + touched;
            let slot = if so_far > LINES_TOUCHED_MAX {
                touched = 0;
                Slot::Refused(Refusal::TooManyLinesTouched { lines: so_far, max: LINES_TOUCHED_MAX })
            } else {
                let submitted = turn::submit_for_good(&mut self.memory, &request, now, &mut self.events);
                if !matches!(submitted, Ok(Accepted::New(_))) {
                    touched = touched.max(self.standing_in_the_way(request.command()));
                }
                match submitted {
                    Ok(accepted) => self.slot(accepted, 0, request.command()),
                    Err(refusal) => Slot::Refused(refusal),
                }
            };
            submission.lines_touched += touched;
            // How much a look for work sees is known behind it.
            let seen = self.memory.take_seen();
            self.seen += seen;
            lines += touched + looked + seen / SEEN_PER_LINE;
            submission.slots.push(slot);
            self.encode();
            let mut yields = lines >= self.limits.lines_before_yield;
            if yields && alone && !(self.others_wait)() {
                // Nobody came meanwhile. While there is room it is better to end what was begun.
                (yields, lines) = (false, 0);
            }
            if (yields || self.is_full() || self.memory.owes_stock()) && submission.requests.len() > 0 {
                return Rest::Later(submission);
            }
        }
        let decided = Decided { sequence: self.memory.head().sequence, results: Ok(submission.slots) };
        self.answer(submission.reply, decided);
        Rest::None
    }

    /// The lines that a command comes to: those that it names, or all of the document where it works on all of it.
    fn line_count(&self, command: &Command) -> usize {
        let mut lines = command.line_count();
        if command.works_on_all() {
            command.each_document(|key| lines = lines.max(self.memory.line_count(&key)));
        }
        lines.max(self.proposals_closed(command))
    }

    /// The lines that the positions count as which a command looks at to allocate: of a SKU with 100,000 serial numbers, a
    /// hold counts as 1,562 lines.
    fn look_count(&self, command: &Command) -> usize {
        self.memory.positions_looked_at(command) / SEEN_PER_LINE
    }

    /// The open proposals that a card's new owner or price may end.
    fn proposals_closed(&self, command: &Command) -> usize {
        match command {
            Command::SetCard(set) => self.memory.open_proposal_count(&set.card),
            _ => 0,
        }
    }

    /// The lines of the hold that a request to place one was held against, because its id is taken.
    fn standing_in_the_way(&self, command: &Command) -> usize {
        match command {
            Command::PlaceHold(place) => self.memory.line_count(&DocumentKey::Hold(place.id.clone())),
            Command::PlaceOrder(place) => self.memory.line_count(&DocumentKey::Order(place.id.clone())),
            _ => 0,
        }
    }

    /// The lines that requests come to which stand or fall together: each document has those that it has now, or those
    /// that one of these requests gives it.
    fn lines_of_all(&self, requests: &[Request]) -> usize {
        if !requests.iter().any(|request| request.command().works_on_all()) {
            let lines = |request: &Request| {
                request.command().line_count().max(self.proposals_closed(request.command()))
            };
            return requests.iter().map(lines).sum();
        }
        let mut made: HashMap<DocumentKey, usize> = HashMap::new();
        let mut sum = 0;
        for request in requests {
            let command = request.command();
            let mut lines = command.line_count().max(self.proposals_closed(command));
            let makes = matches!(
                command,
                Command::PlaceHold(_)
                    | Command::ChangeHold(_)
                    | Command::RequestTransfer(_)
                    | Command::PlaceOrder(_)
                    | Command::Checkout(_)
            );
            if let Command::SetCartItem(set) = command {
                // A cart that these requests fill grows by a line at the most with each.
                *made.entry(DocumentKey::Cart(set.id.clone())).or_default() += 1;
            }
            if makes || command.works_on_all() {
                let mut named = lines;
                if let Command::Checkout(checkout) = command {
                    let cart = DocumentKey::Cart(checkout.id.clone());
                    named = named
                        .max(self.memory.line_count(&cart))
                        .max(made.get(&cart).copied().unwrap_or_default());
                }
                command.each_document(|key| {
                    lines = lines.max(self.memory.line_count(&key));
                    let known = made.get_mut(&key);
                    lines = lines.max(known.as_deref().copied().unwrap_or_default());
                    match known {
                        Some(known) if makes => *known = named.max(*known),
                        None if makes => drop(made.insert(key, named)),
                        _ => {}
                    }
                });
            }
            sum += lines;
        }
        sum
    }

    fn submit_atomic(&mut self, submission: Submission, now: Timestamp) {
        let requests: Vec<_> = submission.requests.collect();
        let results = match turn::submit_atomic(&mut self.memory, &requests, now, &mut self.events) {
            Err(refused) => Err(refused),
            Ok((accepted, changes)) => {
                let len = codec::encode(&self.events).len();
                if len > self.limits.atomic_bytes {
                    changes.undo(&mut self.memory);
                    self.events.clear();
                    let max = self.limits.atomic_bytes;
                    let failure =
                        Failure::TooLarge { what: "bytes of events in an atomic batch", count: len, max };
                    (submission.reply)(Err(failure));
                    return;
                }
                let mut from = 0;
                Ok(accepted
                    .into_iter()
                    .zip(&requests)
                    .map(|(accepted, request)| {
                        let made_event = matches!(accepted, Accepted::New(_));
                        let slot = self.slot(accepted, from, request.command());
                        from += usize::from(made_event);
                        slot
                    })
                    .collect())
            }
        };
        self.encode();
        let decided = Decided { sequence: self.memory.head().sequence, results };
        self.answer(submission.reply, decided);
    }

    /// What was accepted, in the caller's words. A new event is among this turn's, at `from` or later.
    fn slot(&self, accepted: Accepted, from: usize, command: &Command) -> Slot {
        match accepted {
            Accepted::New(sequence) => {
                let event = self.events[from..].iter().find(|event| event.sequence == sequence);
                Slot::Done(self.done(event.expect("a new event was just made")))
            }
            Accepted::DryRun(event) => Slot::Done(self.done(&event)),
            Accepted::Repeat(repeat) => {
                // It may be an event of this very batch, which the journal does not have yet.
                match self.events.iter().find(|event| event.sequence == repeat.of) {
                    Some(event) => {
                        Slot::Done(Done { outcome: repeat.outcome(&self.memory, event), repeat: true })
                    }
                    None => Slot::Repeat(Earlier { repeat, setting: command.setting().cloned() }),
                }
            }
        }
    }

    fn done(&self, event: &Event) -> Done {
        Done { outcome: outcome(&self.memory, event), repeat: false }
    }

    fn encode(&mut self) {
        for event in self.events.drain(..) {
            self.encoder.push(&event);
        }
    }

    fn answer(&mut self, reply: Finish, decided: Decided) {
        self.answers.push(Box::new(move |durable| reply(durable.map(|()| decided))));
    }
}
