//! The auditor is no use unless it minds.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use jaego_domain::{Event, Fact, Memory, Quantity, Tables, Timestamp, apply};
use jaego_engine::{Core, Decided, Job, Limits, Submission, sim_disk::Dice, state_hash};
use jaego_sim::{
    Auditor, Client,
    auditor::{Answered, Asked},
    setup,
};
use jaego_store::{Batch, codec};

const NOW: Timestamp = Timestamp(1_772_323_200_000);

/// What a store came to: the events of one frame, and its answers.
struct Story {
    calls: Vec<Asked>,
    events: Vec<Event>,
    answers: Vec<(usize, Decided)>,
}

fn story(seed: u64) -> Story {
    let mut dice = Dice::new(seed);
    let mut client = Client::default();
    let mut requests = vec![setup()];
    for _ in 0..200 {
        let request = client.request(&mut dice);
        requests.extend(request.wanted_movement().is_none().then_some(vec![request]));
    }
    let outbox = Arc::new(Mutex::new(Vec::new()));
    let mut core = Core::new(Memory::new(), Limits::default());
    let mut jobs = VecDeque::new();
    let mut calls = Vec::new();
    for (call, requests) in requests.into_iter().enumerate() {
        calls.push(Asked::Batch { requests: requests.clone(), atomic: false });
        let outbox = outbox.clone();
        let finish = move |decided: Result<Decided, _>| {
            outbox.lock().unwrap().push((call, decided.expect("it is durable")));
        };
        let batch = Batch { requests, atomic: false };
        jobs.push_back(Job::Submit(Submission::new(batch, Box::new(finish))));
    }
    core.turn(&mut jobs, NOW, Ok(()));
    let flight = core.take_flight();
    let events = codec::decode(&flight.payload, flight.first).unwrap().map(Result::unwrap).collect();
    flight.answers.into_iter().for_each(|answer| answer(Ok(())));
    let answers = std::mem::take(&mut *outbox.lock().unwrap());
    Story { calls, events, answers }
}

/// Tells the auditor the story, and says whether it was believed.
fn is_believed(story: Story, after: impl FnOnce(&mut Auditor, &[Event])) -> bool {
    let told = AssertUnwindSafe(move || {
        let Story { calls, events, answers } = story;
        let mut auditor = Auditor::default();
        for call in calls {
            auditor.ask(call);
        }
        auditor.turn(NOW, true);
        let answers = answers.into_iter().map(|(call, decided)| (call, Answered::Batch(decided)));
        auditor.delivered(&events, answers.collect(), NOW);
        auditor.prove();
        after(&mut auditor, &events);
    });
    catch_unwind(told).is_ok()
}

fn is_hold(event: &Event) -> bool {
    matches!(event.fact, Fact::Held { .. })
}

/// Finds an event that holds stock.
fn a_hold(story: &Story) -> usize {
    story.events.iter().rposition(is_hold).expect("something was held")
}

#[test]
fn a_true_story_is_believed_and_every_twist_of_it_is_not() {
    let recovered = |auditor: &mut Auditor, found: &[Event], more: &[Event]| {
        let mut memory = Memory::new();
        for event in found {
            apply(&mut memory, event);
        }
        auditor.recovered(memory.head(), state_hash(&memory), found, more, NOW);
    };
    // A story in which nothing was held cannot be twisted.
    let seeds = (0..).filter(|seed| story(*seed).events.iter().any(is_hold));
    for seed in seeds.take(20) {
        assert!(is_believed(story(seed), |auditor, events| recovered(auditor, events, &[])), "seed {seed}");

        let mut altered = story(seed);
        let at = a_hold(&altered);
        if let Fact::Held { takes, .. } = &mut altered.events[at].fact {
            takes[0].quantity += Quantity::ONE;
        }
        assert!(!is_believed(altered, |_, _| ()), "seed {seed}: one unit more was held");

        let mut later = story(seed);
        later.events.last_mut().expect("there are events").at = NOW.after_ms(1);
        assert!(!is_believed(later, |_, _| ()), "seed {seed}: it happened in the future");

        let mut unasked = story(seed);
        let at = a_hold(&unasked);
        if let Fact::Held { owner, .. } = &mut unasked.events[at].fact {
            *owner = Some(jaego_sim::code("somebody-else"));
        }
        assert!(!is_believed(unasked, |_, _| ()), "seed {seed}: nobody asked for this");

        let mut cut = story(seed);
        cut.events.pop();
        assert!(!is_believed(cut, |_, _| ()), "seed {seed}: it was answered before it was durable");

        let mut short = story(seed);
        let (_, decided) = short.answers.last_mut().expect("there are answers");
        decided.sequence = decided.sequence.next();
        assert!(!is_believed(short, |_, _| ()), "seed {seed}: it rests on what is not durable");

        let lost = |auditor: &mut Auditor, events: &[Event]| {
            recovered(auditor, &events[..events.len() - 1], &[]);
        };
        assert!(!is_believed(story(seed), lost), "seed {seed}: an acknowledged event was lost");

        let more = |auditor: &mut Auditor, events: &[Event]| {
            let mut found = events.to_vec();
            let last = found.last().expect("there are events").clone();
            found.push(Event { sequence: last.sequence.next(), ..last });
            recovered(auditor, &found, &[]);
        };
        assert!(!is_believed(story(seed), more), "seed {seed}: something was there that nobody wrote");

        let other_rows = |auditor: &mut Auditor, events: &[Event]| {
            let head = auditor.shadow().head();
            auditor.recovered(head, state_hash(&Memory::new()), events, &[], NOW);
        };
        assert!(!is_believed(story(seed), other_rows), "seed {seed}: the rows are not those of the events");
    }
}
