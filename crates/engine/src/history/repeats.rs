//! The lane of those who are owed an answer: repeats, whose outcome is an earlier event's, and reversals, which
//! want the movement that they take back before they can be decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    sync::{Arc, mpsc},
};

use jaego_domain::{Event, Movement, MovementId, Outcome, Refusal, Sequence, Timestamp, outcome};
use jaego_store::{Answers, Batch, Done, Failure, ReplyTo, Results, codec};

use super::{Past, ToShow};
use crate::{
    core::{Decided, Deliver, Earlier, Slot},
    disk::Disk,
    inbox::Inbox,
    index::{Error, Indexes},
    journal::Segment,
};

/// What the lane is asked.
pub(crate) enum Owed {
    /// Finish a batch whose repeats want the outcomes of earlier events.
    Finish { sequence: Sequence, slots: Vec<Slot>, reply: ReplyTo<Answers> },
    /// Look up the movements that reversals want, and submit the batch.
    Lend { batch: Batch, reply: ReplyTo<Answers> },
    /// Nobody will ask any more.
    Stop,
}

pub(crate) struct Repeats<D: Disk> {
    past: Past<D>,
    indexes: Arc<Indexes<D>>,
}

impl<D: Disk> Repeats<D> {
    pub(crate) fn new(past: Past<D>, indexes: Arc<Indexes<D>>) -> Self {
        Self { past, indexes }
    }

    /// Answers until nobody can ask any more. `submit` puts a prepared batch into the writer's line.
    pub(crate) fn run(&self, owed: &mpsc::Receiver<Owed>, submit: impl Fn(Batch, ReplyTo<Answers>)) {
        while let Ok(owed) = owed.recv() {
            match owed {
                Owed::Finish { sequence, slots, reply } => {
                    let requests = slots.len();
                    self.finish(sequence, slots, reply);
                    self.past.inbox.end_finish(requests);
                }
                Owed::Lend { mut batch, reply } => {
                    self.past.inbox.lock().lending -= 1;
                    match self.lend(&mut batch) {
                        Ok(()) => submit(batch, reply),
                        Err(error) => reply.send(Err(error.into())),
                    }
                }
                Owed::Stop => return,
            }
        }
    }

    fn finish(&self, sequence: Sequence, slots: Vec<Slot>, reply: ReplyTo<Answers>) {
        // Archived away by the operator: the outcome is gone, the promise that it happened once is not.
        let first = Sequence(self.past.reader.first_sequence());
        let mut wanted = BTreeSet::new();
        for slot in &slots {
            match slot {
                Slot::Repeat(earlier) if earlier.repeat.of >= first => drop(wanted.insert(earlier.repeat.of)),
                // When it was is not known any more: before the first event that is kept.
                Slot::Repeat(Earlier { setting: Some(_), .. }) => drop(wanted.insert(first)),
                _ => {}
            }
        }
        let events = match self.events_of(&wanted) {
            Ok(Ok(events)) => events,
            Ok(Err(missing)) => {
                let detail =
                    format!("event {missing}, whose outcome was asked for again, is not in the journal");
                return reply.send(Err(Failure::HistoryUnreadable { detail }));
            }
            Err(error) => return reply.send(Err(error.into())),
        };
        let first_at = events.get(&first).map(|event| event.at);
        let answer = move |outcomes: Result<BTreeMap<Sequence, Outcome>, Failure>| -> Deliver {
            let answers = outcomes.map(|outcomes| {
                let each = slots.into_iter().map(|slot| match slot {
                    Slot::Done(done) => Ok(done),
                    Slot::Refused(refusal) => Err(refusal),
                    Slot::Repeat(earlier) => earlier.outcome(&outcomes, first, first_at),
                });
                Answers { sequence, results: Results::Each(each.collect()) }
            });
            Box::new(move |durable| reply.send(durable.and(answers)))
        };
        outcomes_of(&self.past, events.into_values().collect(), BTreeMap::new(), answer);
    }

    /// Hands each reversal the movement that it names, where the journal has it. Closing ends it: nothing of the batch is
    /// decided yet.
    fn lend(&self, batch: &mut Batch) -> Result<(), Error> {
        let reader = &self.past.reader;
        let kept = reader.first_sequence()..=reader.durable_sequence();
        let asked = batch.requests.iter().filter_map(|request| request.wanted_movement());
        let mut lent: BTreeMap<MovementId, Option<(Movement, &'static str)>> =
            asked.filter(|id| kept.contains(&id.sequence.0)).map(|id| (id, None)).collect();
        let wanted: BTreeSet<Sequence> = lent.keys().map(|id| id.sequence).collect();
        self.each_of(
            &wanted,
            || !self.past.inbox.lock().closing,
            |event| {
                let document = event.fact.document().map_or("reversal", |(kind, _)| kind);
                let mut id = MovementId { sequence: event.sequence, index: 0 };
                event.fact.movements(|movement| {
                    if let Some(lent) = lent.get_mut(&id) {
                        *lent = Some((movement, document));
                    }
                    id.index += 1;
                });
            },
        )?;
        for request in &mut batch.requests {
            let found = request.wanted_movement().and_then(|id| lent.get(&id)?.clone());
            if let Some((movement, document)) = found {
                request.lend_movement(movement, document);
            }
        }
        Ok(())
    }

    /// Durable events, or the first one that the journal does not have, or no longer. Closing waits for it: what was taken
    /// before is answered.
    fn events_of(
        &self,
        wanted: &BTreeSet<Sequence>,
    ) -> Result<Result<BTreeMap<Sequence, Event>, Sequence>, Error> {
        let mut found = BTreeMap::new();
        let missing = self.each_of(wanted, || true, |event| drop(found.insert(event.sequence, event)))?;
        Ok(missing.map_or(Ok(found), Err))
    }

    /// Visits durable events, in order, until one is not there, which it gives back. It reads each frame once, from where
    /// it lies where that is known: a client that lost its connection asks for a whole batch again.
    ///
    /// # Errors
    /// `Stopped` as soon as it may not go on.
    fn each_of(
        &self,
        wanted: &BTreeSet<Sequence>,
        may_go_on: impl Fn() -> bool,
        mut visit: impl FnMut(Event),
    ) -> Result<Option<Sequence>, Error> {
        let reader = &self.past.reader;
        let mut wanted = wanted.iter().copied().peekable();
        let mut walk = None;
        // The last segment whose index was looked into: each of them once.
        let mut looked_into = 0;
        while let Some(first) = wanted.peek().copied() {
            if !may_go_on() {
                return Err(Error::Stopped);
            }
            if first.0 < reader.first_sequence() || first.0 > reader.durable_sequence() {
                return Ok(Some(first));
            }
            if let Some((start, payload)) = self.past.recent.holding(first.0) {
                visit_wanted(&payload, start, &mut wanted, &mut visit)?;
            } else if let Some(segment) =
                reader.sealed_segment_of(first.0).filter(|segment| segment.segment > looked_into)
            {
                looked_into = segment.segment;
                self.each_in(&segment, &mut wanted, &may_go_on, &mut visit)?;
                continue;
            } else {
                let frames = match &mut walk {
                    None => walk.insert(reader.frames_from(first.0)?),
                    Some(frames) => {
                        frames.skip_to(first.0)?;
                        frames
                    }
                };
                let Some(frame) = frames.next()? else { return Ok(Some(first)) };
                visit_wanted(frame.payload, frame.first_sequence, &mut wanted, &mut visit)?;
            }
            if wanted.peek() == Some(&first) {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// The same for the events of one sealed segment, as far as its index leads to them. What is left has to be found
    /// without it.
    fn each_in(
        &self,
        segment: &Segment,
        wanted: &mut Peekable<impl Iterator<Item = Sequence>>,
        may_go_on: impl Fn() -> bool,
        visit: &mut impl FnMut(Event),
    ) -> Result<(), Error> {
        let Some(index) = self.indexes.ready(segment)? else { return Ok(()) };
        let file = self.past.reader.open_segment(segment.segment)?;
        let (mut frames, mut bytes) = (index.frames(), Vec::new());
        while let Some(first) = wanted.peek().copied().filter(|first| first.0 < segment.next_sequence) {
            if !may_go_on() {
                return Err(Error::Stopped);
            }
            let Some(position) = self.indexes.if_whole(frames.frame_of(first.0))? else { break };
            let frame = file.frame_at(position, &mut bytes)?;
            visit_wanted(frame.payload, frame.first_sequence, wanted, visit)?;
            if wanted.peek() == Some(&first) {
                break;
            }
        }
        Ok(())
    }
}

/// Visits the events of a frame that are wanted next.
fn visit_wanted(
    payload: &[u8],
    first: u64,
    wanted: &mut Peekable<impl Iterator<Item = Sequence>>,
    visit: &mut impl FnMut(Event),
) -> Result<(), Error> {
    let mut events = codec::decode(payload, Sequence(first))?;
    while let Some(sequence) = wanted.peek().copied() {
        events.skip_to(sequence)?;
        let Some(event) = events.next().transpose()?.filter(|event| event.sequence == sequence) else {
            break;
        };
        wanted.next();
        visit(event);
    }
    Ok(())
}

impl Earlier {
    /// What was answered then, or why nobody knows it any more. The history begins with the event `first`, at `first_at`.
    fn outcome(
        self,
        outcomes: &BTreeMap<Sequence, Outcome>,
        first: Sequence,
        first_at: Option<Timestamp>,
    ) -> Result<Done, Refusal> {
        let Self { repeat, setting } = self;
        let event = repeat.of;
        let outcome = match (outcomes.get(&event), setting, first_at) {
            (Some(outcome), ..) => repeat.narrow(outcome.clone()),
            (None, Some(id), Some(at)) => Outcome::plain(Some(id), event, at),
            _ => return Err(Refusal::OutcomeArchived { event, first }),
        };
        Ok(Done { outcome, repeat: true })
    }
}

/// Gathers the outcomes of events, as many at a time as one look at the archive goes for.
fn outcomes_of<D: Disk>(
    past: &Past<D>,
    events: Vec<Event>,
    mut outcomes: BTreeMap<Sequence, Outcome>,
    answer: impl FnOnce(Result<BTreeMap<Sequence, Outcome>, Failure>) -> Deliver + Send + 'static,
) {
    let again = past.clone();
    past.show(events, move |shown| {
        let ToShow { memory, events, rest } = match shown {
            Ok(shown) => shown,
            Err(failure) => return answer(Err(failure)),
        };
        outcomes.extend(events.iter().map(|event| (event.sequence, outcome(memory, event))));
        if rest.is_empty() {
            return answer(Ok(outcomes));
        }
        outcomes_of(&again, rest, outcomes, Box::new(answer) as Box<dyn FnOnce(_) -> _ + Send>);
        Box::new(|_| {})
    });
}

/// The answers of a decided batch: at once, or by way of the history where repeats want it.
pub(crate) fn conclude(
    decided: Result<Decided, Failure>,
    reply: ReplyTo<Answers>,
    inbox: &Inbox,
    owed: &mpsc::Sender<Owed>,
) {
    let decided = match decided {
        Ok(decided) => decided,
        Err(failure) => return reply.send(Err(failure)),
    };
    match crate::core::finished(decided) {
        Ok(answers) => reply.send(Ok(answers)),
        Err((sequence, slots)) => {
            // It was decided, so it has to be answered: it counts against the line instead of being refused.
            inbox.begin_finish(slots.len());
            let sent = owed.send(Owed::Finish { sequence, slots, reply });
            assert!(sent.is_ok(), "the repeats' lane ends after the journal");
        }
    }
}
