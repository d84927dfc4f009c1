//! The lane of those who are owed an answer: repeats, whose outcome is an earlier event's, and reversals, which
//! want the movement that they take back before they can be decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
};

use jaego_domain::{Event, MovementId, Outcome, Refusal, Sequence, Timestamp, outcome};
use jaego_store::{Answers, Batch, Done, Failure, ReplyTo, Results};

use super::{Past, ToShow};
use crate::{
    core::{Decided, Deliver, Earlier, Slot},
    disk::Disk,
    inbox::Inbox,
    index::Error,
};

/// Events that are read over on the way from one wanted event to the next; where there are more, reading begins
/// anew.
const READ_OVER_MAX: u64 = 10_000;

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
}

impl<D: Disk> Repeats<D> {
    pub(crate) fn new(past: Past<D>) -> Self {
        Self { past }
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
        let events = match self.events_of(wanted) {
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

    fn lend(&self, batch: &mut Batch) -> Result<(), Error> {
        for request in &mut batch.requests {
            let Some(MovementId { sequence, index }) = request.wanted_movement() else { continue };
            let Some(event) = self.event(sequence)? else { continue };
            let document = event.fact.document().map_or("reversal", |(kind, _)| kind);
            let mut number = 0;
            let mut found = None;
            event.fact.movements(|movement| {
                if number == index {
                    found = Some(movement);
                }
                number += 1;
            });
            if let Some(movement) = found {
                request.lend_movement(movement, document);
            }
        }
        Ok(())
    }

    /// Durable events, or the first one that the journal does not have, or no longer. Reads each frame once,
    /// where what is wanted lies close together: a client that lost its connection asks for a whole batch again.
    fn events_of(
        &self,
        mut wanted: BTreeSet<Sequence>,
    ) -> Result<Result<BTreeMap<Sequence, Event>, Sequence>, Error> {
        let reader = &self.past.reader;
        let mut found = BTreeMap::new();
        while let Some(first) = wanted.pop_first() {
            if first.0 < reader.first_sequence() || first.0 > reader.durable_sequence() {
                return Ok(Err(first));
            }
            let mut next = Some(first);
            self.past.each_event(first, |event| {
                let sequence = event.sequence;
                if next == Some(sequence) {
                    found.insert(sequence, event);
                    next = wanted.pop_first();
                }
                next.is_some_and(|next| next.0 <= sequence.0.saturating_add(READ_OVER_MAX))
            })?;
            if !found.contains_key(&first) {
                return Ok(Err(first));
            }
            wanted.extend(next);
        }
        Ok(Ok(found))
    }

    /// One durable event; `None` where the journal has none of this number, or no longer.
    fn event(&self, sequence: Sequence) -> Result<Option<Event>, Error> {
        let found = self.events_of(BTreeSet::from([sequence]))?;
        Ok(found.ok().and_then(|mut found| found.remove(&sequence)))
    }
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
