//! Keeps every request and every answer, decides everything again on tables of its own, and panics where the
//! store's story does not hold.

use std::collections::{BTreeMap, BTreeSet};

use jaego_domain::{
    Changes, Code, Decision, Event, Fact, Memory, Outcome, Query, Refusal, Repeat, Request, Sequence, Tables,
    Timestamp, View, apply,
    check::check,
    decide,
    limits::{KEY_WINDOW_MS, SWEEP_MAX},
    outcome, row,
    turn::{self, Refusals},
};
use jaego_engine::{Decided, Slot, state_hash};
use jaego_store::{Answer, Done};

/// What a client asked.
#[derive(Debug, Clone)]
pub enum Asked {
    /// To decide these.
    Batch {
        /// The requests.
        requests: Vec<Request>,
        /// Whether they stand or fall together.
        atomic: bool,
    },
    /// To read this.
    Read(Query),
}

/// What it was answered.
#[derive(Debug)]
pub enum Answered {
    /// Answers of a batch.
    Batch(Decided),
    /// What was read.
    Read(Answer<Result<View, Refusal>>),
}

/// One call of a client.
#[derive(Debug)]
struct Call {
    asked: Asked,
    /// Logical times of the turns in which it may have been decided.
    turns: Vec<Timestamp>,
}

/// Something that has to be true at one of some sequences.
struct Claim {
    call: usize,
    what: Statement,
    from: Sequence,
    to: Sequence,
    shown: bool,
}

enum Statement {
    Refused(usize, Refusal),
    AtomicRefused(Refusals),
    Repeated(usize, Repeat),
    RepeatTold(usize, Box<Outcome>),
    DryRun(usize, Box<Done>),
    Read(Box<Answer<Result<View, Refusal>>>),
}

/// How much was looked at, so that a run that did nothing cannot pass for a good one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events whose request was found and decided again.
    pub events: u64,
    /// Those that nobody asked for among them: lapses, orders that were filled, tellings of the stock watch.
    pub system: u64,
    /// Refusals that were decided again.
    pub refused: u64,
    /// Repeats that were decided again.
    pub repeats: u64,
    /// Reads that were read again.
    pub reads: u64,
    /// Calls that were never answered.
    pub lost: u64,
    /// Events of frames that nobody was told of, and that were there after a restart all the same.
    pub kept_unacknowledged: u64,
}

/// Holds a store to its story. It panics where the story breaks.
#[derive(Default)]
pub struct Auditor {
    shadow: Memory,
    /// Acknowledged, or found after a restart.
    events: Vec<Event>,
    calls: Vec<Call>,
    /// Not answered yet.
    open: BTreeSet<usize>,
    /// Not decided yet, as far as is known.
    undecided: BTreeSet<usize>,
    /// Which request became which event.
    asked_for: BTreeMap<Sequence, (usize, usize)>,
    /// Where more than one request could have come to an event whose answer was still to come: all of them.
    could_be: BTreeMap<Sequence, Vec<(usize, usize)>>,
    documents: BTreeSet<(&'static str, Code, Option<Code>)>,
    keys: BTreeMap<Code, (u64, Timestamp)>,
    counts: Counts,
}

impl Auditor {
    /// Notes a call, and names it.
    pub fn ask(&mut self, asked: Asked) -> usize {
        let call = self.calls.len();
        self.calls.push(Call { asked, turns: Vec::new() });
        self.open.insert(call);
        self.undecided.insert(call);
        call
    }

    /// A turn of the writer at this logical time. `all_decided` says that nothing is left in its line.
    pub fn turn(&mut self, now: Timestamp, all_decided: bool) {
        for call in &self.undecided {
            self.calls[*call].turns.push(now);
        }
        if all_decided {
            self.undecided.clear();
        }
    }

    /// The call was refused at once: nothing was decided.
    pub fn turned_away(&mut self, call: usize) {
        self.open.remove(&call);
        self.undecided.remove(&call);
    }

    /// A frame became durable, and these answers left.
    pub fn delivered(&mut self, events: &[Event], answers: Vec<(usize, Answered)>, latest: Timestamp) {
        let base = self.shadow.head().sequence;
        let end = Sequence(base.0 + events.len() as u64);
        let mut claims = Vec::new();
        let mut done = BTreeMap::new();
        let answered: Vec<_> = answers.iter().map(|(call, _)| *call).collect();
        for (call, answer) in answers {
            assert!(self.open.contains(&call), "call {call} was answered twice");
            let sequence = match &answer {
                Answered::Batch(decided) => decided.sequence,
                Answered::Read(answer) => answer.sequence,
            };
            assert!(sequence <= end, "an answer rests on event {sequence}, and {end} is durable");
            assert!(sequence >= base, "an answer of this frame rests on event {sequence} before {base}");
            self.claims_of(call, answer, base, &mut claims, &mut done);
        }
        self.show(&mut claims);
        self.advance(events, latest, &mut done, &mut claims);
        for claim in &claims {
            assert!(
                claim.shown,
                "no state from event {} to {} explains the answer to {:?}, decided at {:?}: {}",
                claim.from, claim.to, self.calls[claim.call].asked, self.calls[claim.call].turns, claim.what
            );
        }
        for call in answered {
            let first = self.open.remove(&call);
            assert!(first, "call {call} was answered twice");
            self.undecided.remove(&call);
        }
        assert!(done.is_empty(), "outcomes of events that are not there: {:?}", done.keys());
    }

    fn claims_of(
        &mut self,
        call: usize,
        answer: Answered,
        base: Sequence,
        claims: &mut Vec<Claim>,
        done: &mut BTreeMap<Sequence, Done>,
    ) {
        let mut claim = |what, from, to| claims.push(Claim { call, what, from, to, shown: false });
        let (decided, requests) = match (answer, &self.calls[call].asked) {
            (Answered::Read(answer), Asked::Read(_)) => {
                let at = answer.sequence;
                return claim(Statement::Read(Box::new(answer)), at, at);
            }
            (Answered::Batch(decided), Asked::Batch { requests, .. }) => (decided, requests),
            (answer, asked) => panic!("{asked:?} was answered with {answer:?}"),
        };
        let slots = match decided.results {
            Ok(slots) => slots,
            Err(refused) => return claim(Statement::AtomicRefused(refused), base, decided.sequence),
        };
        assert_eq!(slots.len(), requests.len(), "one answer for each request");
        // A batch over several frames was refused by states that are past now.
        let in_one_turn = self.calls[call].turns.len() == 1;
        for (index, (slot, request)) in slots.into_iter().zip(requests).enumerate() {
            match slot {
                Slot::Done(answer) if request.is_dry_run() && !answer.repeat => {
                    if in_one_turn {
                        claim(Statement::DryRun(index, Box::new(answer)), base, decided.sequence);
                    }
                }
                Slot::Done(answer) if !answer.repeat => {
                    let sequence = answer.outcome.sequence;
                    if sequence > base {
                        let found = self.asked_for.insert(sequence, (call, index));
                        assert_eq!(found, None, "event {sequence} was told to two callers");
                        done.insert(sequence, answer);
                    } else {
                        // It became durable in an earlier frame than the rest of its batch.
                        let (found, at) = self.asked_for[&sequence];
                        let others = self.could_be.get(&sequence).map_or(&[][..], Vec::as_slice);
                        let known = self.is_request(found, at, request) || others.contains(&(call, index));
                        assert!(known, "event {sequence} was another's");
                        let event = &self.events[index_of(sequence)];
                        assert_eq!(outcome(&self.shadow, event), answer.outcome);
                    }
                }
                Slot::Done(Done { outcome, .. }) => {
                    claim(Statement::RepeatTold(index, Box::new(outcome)), base, decided.sequence);
                }
                Slot::Repeat(earlier) => {
                    if in_one_turn {
                        claim(Statement::Repeated(index, earlier.repeat), base, decided.sequence);
                    }
                }
                Slot::Refused(refusal) => {
                    if in_one_turn {
                        claim(Statement::Refused(index, refusal), base, decided.sequence);
                    }
                }
            }
        }
    }

    fn is_request(&self, call: usize, index: usize, request: &Request) -> bool {
        matches!(&self.calls[call].asked, Asked::Batch { requests, .. } if requests[index] == *request)
    }

    /// Decides each event again, and applies it.
    fn advance(
        &mut self,
        events: &[Event],
        latest: Timestamp,
        done: &mut BTreeMap<Sequence, Done>,
        claims: &mut [Claim],
    ) {
        // What follows from an event by itself, and the changes that it follows from.
        let mut owed: Option<Event> = None;
        let mut led = Changes::default();
        for event in events {
            let head = self.shadow.head();
            assert_eq!(event.sequence, head.sequence.next(), "events are numbered without gaps");
            assert!(event.at >= head.at, "logical time went back: {} after {}", event.at, head.at);
            assert!(event.at <= latest, "logical time {} is ahead of every clock {latest}", event.at);
            let follows = owed.is_some();
            match (&event.fact, owed.take()) {
                (_, Some(expected)) => {
                    assert_eq!(expected, *event, "something else followed by itself");
                    self.counts.system += 1;
                }
                (Fact::OrdersFilled { .. }, None) => {
                    let expected = turn::fill_on(&self.shadow, event.at);
                    assert_eq!(expected.as_ref(), Some(event), "orders were filled otherwise");
                    self.counts.system += 1;
                }
                (Fact::ClaimsLapsed { ids }, None) => {
                    let due = self.shadow.due_claims(event.at, SWEEP_MAX);
                    let due: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
                    assert_eq!(*ids, due, "exactly the claims that are due at {} lapse", event.at);
                    self.counts.system += 1;
                }
                (Fact::PickClaimsLapsed { works }, None) => {
                    let due = self.shadow.due_pick_claims(event.at, SWEEP_MAX);
                    let due: Vec<_> = due.into_iter().map(|(_, work)| work).collect();
                    assert_eq!(*works, due, "exactly the claims on picks that are due at {} lapse", event.at);
                    self.counts.system += 1;
                }
                (Fact::CartsLapsed { ids }, None) => {
                    let due = self.shadow.due_carts(event.at, SWEEP_MAX);
                    let due: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
                    assert_eq!(*ids, due, "exactly the carts that are due at {} lapse", event.at);
                    self.counts.system += 1;
                }
                (Fact::HoldsLapsed { ids }, None) => {
                    let due = self.shadow.due(event.at, SWEEP_MAX);
                    let due: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
                    assert_eq!(*ids, due, "exactly what is due at {} lapses", event.at);
                    self.counts.system += 1;
                }
                (fact, None) => {
                    // A fence is raised by a request that was decided already.
                    let is_decided = matches!(fact, Fact::FenceRaised { .. });
                    assert!(is_decided || !self.shadow.owes_stock(), "decided before who waits: {event:?}");
                    self.explain(event);
                }
            }
            let changes = apply(&mut self.shadow, event);
            if follows {
                led.before.extend(changes.before);
            } else {
                led = changes;
            }
            owed = turn::follow_up(&self.shadow, &event.fact, &led);
            self.counts.events += 1;
            self.events.push(event.clone());
            if let Some(done) = done.remove(&event.sequence) {
                assert_eq!(outcome(&self.shadow, event), done.outcome, "the outcome of {event:?}");
            }
            self.show(claims);
        }
        assert!(owed.is_none(), "this did not follow by itself: {owed:?}");
    }

    /// Finds the request that an event came of.
    fn explain(&mut self, event: &Event) {
        let comes_of = |request: &Request| {
            request.by() == &event.by
                && decide(&self.shadow, request, event.at) == Ok(Decision::Event(Box::new(event.clone())))
        };
        let (call, index) = match self.asked_for.get(&event.sequence) {
            Some((call, index)) => (*call, *index),
            None => {
                // Its answer names another event, or is still to come, or never will.
                // The same may have been asked for twice, and refused the first time.
                let calls =
                    self.open.iter().copied().filter(|call| self.calls[*call].turns.contains(&event.at));
                let mut matches = Vec::new();
                for call in calls {
                    if let Asked::Batch { requests, .. } = &self.calls[call].asked {
                        let fits = requests.iter().enumerate().filter(|(_, request)| comes_of(request));
                        matches.extend(fits.map(|(index, _)| (call, index)));
                    }
                }
                let found = matches.first().copied();
                if matches.len() > 1 {
                    self.could_be.insert(event.sequence, matches);
                }
                found.unwrap_or_else(|| panic!("nobody asked for {event:?}"))
            }
        };
        let Asked::Batch { requests, .. } = &self.calls[call].asked else { panic!("a read made an event") };
        assert!(comes_of(&requests[index]), "{:?} did not decide {event:?}", requests[index]);
        assert!(
            self.calls[call].turns.contains(&event.at),
            "{event:?} was decided at none of {:?}",
            self.calls[call].turns
        );
        self.asked_for.insert(event.sequence, (call, index));
        self.takes_effect_once(event);
    }

    fn takes_effect_once(&mut self, event: &Event) {
        let document = match &event.fact {
            Fact::Adjusted { id, .. } => Some(("adjustment", id, None)),
            Fact::Moved { id, .. } => Some(("move", id, None)),
            Fact::Held { id, .. } => Some(("hold", id, None)),
            Fact::TransferRequested { id, .. } => Some(("transfer", id, None)),
            Fact::OrderPlaced { id, .. } => Some(("order", id, None)),
            Fact::Proposed { id, .. } => Some(("proposal", id, None)),
            Fact::CartOrdered { order, .. } => Some(("order", order, None)),
            Fact::PaymentAuthorized { id, .. } => Some(("authorization", id, None)),
            Fact::TransferShipped { id, shipment, .. } => Some(("shipment", id, Some(shipment))),
            _ => None,
        };
        if let Some((kind, id, part)) = document {
            let new = self.documents.insert((kind, id.clone(), part.cloned()));
            assert!(new, "{kind} {id} was made twice, the second time by {event:?}");
        }
        if let Fact::CartOrdered { cart, .. } = &event.fact {
            let new = self.documents.insert(("ordered cart", cart.clone(), None));
            assert!(new, "cart {cart} was ordered twice, the second time by {event:?}");
        }
        if let Some(keyed) = &event.keyed {
            let before = self.keys.insert(keyed.key.clone(), (keyed.body, event.at));
            if let Some((_, at)) = before {
                let old = at.after_ms(KEY_WINDOW_MS) < event.at;
                assert!(old, "key {} took effect at {at} and again by {event:?}", keyed.key);
            }
        }
    }

    /// Looks which claims are true now.
    fn show(&mut self, claims: &mut [Claim]) {
        let head = self.shadow.head().sequence;
        for claim in claims.iter_mut().filter(|claim| !claim.shown && claim.from <= head && head <= claim.to)
        {
            let Call { asked, turns } = &self.calls[claim.call];
            claim.shown = match (&claim.what, asked) {
                (Statement::Read(answer), Asked::Read(query)) => {
                    let same = self.shadow.query(query, answer.at) == answer.value;
                    self.counts.reads += u64::from(same);
                    same && turns.contains(&answer.at)
                }
                (Statement::AtomicRefused(told), Asked::Batch { requests, .. }) => {
                    let shadow = &mut self.shadow;
                    let shown = turns.iter().any(|now| {
                        match turn::submit_atomic(shadow, requests, *now, &mut Vec::new()) {
                            Ok((_, changes)) => {
                                changes.undo(shadow);
                                false
                            }
                            Err(refused) => refused == *told,
                        }
                    });
                    self.counts.refused += u64::from(shown);
                    shown
                }
                (what, Asked::Batch { requests, .. }) => {
                    let decided =
                        |index: usize, now: &Timestamp| decide(&self.shadow, &requests[index], *now);
                    let again = |index: usize, now: &Timestamp| match decided(index, now) {
                        Ok(Decision::Repeat(of)) => {
                            Some(Repeat::new(&self.shadow, requests[index].command(), of))
                        }
                        _ => None,
                    };
                    let shown = turns.iter().any(|now| match what {
                        Statement::Refused(index, refusal) => decided(*index, now).as_ref() == Err(refusal),
                        Statement::Repeated(index, repeat) => again(*index, now).as_ref() == Some(repeat),
                        Statement::RepeatTold(index, outcome) => again(*index, now).is_some_and(|repeat| {
                            let event = &self.events[index_of(repeat.of)];
                            repeat.outcome(&self.shadow, event) == **outcome
                        }),
                        Statement::DryRun(index, done) => match decided(*index, now) {
                            Ok(Decision::Event(event)) => outcome(&self.shadow, &event) == done.outcome,
                            _ => false,
                        },
                        Statement::Read(_) | Statement::AtomicRefused(..) => false,
                    });
                    match what {
                        Statement::Refused(..) => self.counts.refused += u64::from(shown),
                        Statement::Repeated(..) | Statement::RepeatTold(..) => {
                            self.counts.repeats += u64::from(shown);
                        }
                        _ => {}
                    }
                    shown
                }
                (_, Asked::Read(_)) => false,
            };
        }
    }

    /// The process went. Its open calls will not be answered; they come back, to be asked again.
    pub fn restarted(&mut self) -> Vec<Asked> {
        let lost: Vec<_> = self.open.iter().map(|call| self.calls[*call].asked.clone()).collect();
        self.counts.lost += lost.len() as u64;
        lost
    }

    /// The store was opened again: holds its events, and the hash of its rows, against what was acknowledged. `unacknowledged` is
    /// the frame that was being written when the process went.
    pub fn recovered(
        &mut self,
        head: row::Head,
        hash: u128,
        found: &[Event],
        unacknowledged: &[Event],
        latest: Timestamp,
    ) {
        let acknowledged = self.events.len();
        assert!(
            found.len() >= acknowledged,
            "{acknowledged} events were acknowledged, and {} are left",
            found.len()
        );
        for (found, told) in found.iter().zip(&self.events) {
            assert_eq!(found, told, "an acknowledged event changed");
        }
        let more = &found[acknowledged..];
        assert!(
            more.is_empty() || more == unacknowledged,
            "more is there than the one frame in flight: {more:?}"
        );
        self.counts.kept_unacknowledged += more.len() as u64;
        self.advance(more, latest, &mut BTreeMap::new(), &mut []);
        self.open.clear();
        self.undecided.clear();
        assert_eq!(head, self.shadow.head(), "where the books stand");
        assert_eq!(hash, state_hash(&self.shadow), "the rows are those of the acknowledged events");
        self.prove();
    }

    /// Proves the laws of the books.
    pub fn prove(&self) {
        if let Err(wrong) = check(&self.shadow) {
            panic!("the books are wrong: {wrong:?}");
        }
    }

    /// The acknowledged events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The tables after the last acknowledged event.
    pub fn shadow(&self) -> &Memory {
        &self.shadow
    }

    /// A request that became an acknowledged event.
    pub fn request_of(&self, sequence: Sequence) -> Option<&Request> {
        let (call, index) = self.asked_for.get(&sequence)?;
        match &self.calls[*call].asked {
            Asked::Batch { requests, .. } => requests.get(*index),
            Asked::Read(_) => None,
        }
    }

    /// How much was looked at.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

fn index_of(sequence: Sequence) -> usize {
    usize::try_from(sequence.0 - 1).expect("a simulation is short")
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(index, refusal) => write!(f, "request {index} refused: {refusal:?}"),
            Self::AtomicRefused(refused) => write!(f, "all refused by {refused:?}"),
            Self::Repeated(index, repeat) => write!(f, "request {index} is the repeat {repeat:?}"),
            Self::RepeatTold(index, outcome) => write!(f, "request {index} is a repeat and told {outcome:?}"),
            Self::DryRun(index, done) => write!(f, "request {index} would come to {:?}", done.outcome),
            Self::Read(answer) => write!(f, "read {:?} at {}", answer.value, answer.at),
        }
    }
}
