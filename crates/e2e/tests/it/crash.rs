//! The process is killed, stopped and asked to end while callers are at work. What it acknowledged is there afterwards,
//! with the same outcome, and nothing is there that nobody asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use jaego_testkit::wait_until;
use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, hold, ok, stock},
    seeds::{seed, size},
};

const CALLERS: usize = 8;
const SKUS: usize = 20;

fn sku(number: usize) -> String {
    format!("sku-{}", number % SKUS)
}

/// What the callers know.
#[derive(Default)]
struct Ledger {
    /// What was answered, by the hold's id: everything of the outcome but whether it was a repeat.
    answered: Mutex<BTreeMap<String, Value>>,
    /// Holds that were asked for and never answered.
    unanswered: Mutex<BTreeSet<String>>,
    /// Which hold comes next.
    next: AtomicUsize,
}

impl Ledger {
    /// One caller at work until it is told to stop or its connection breaks.
    fn work(&self, mut connection: Connection, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            // Now and then a handful at once.
            let ids: Vec<_> = (0..if number.is_multiple_of(4) { 8 } else { 1 })
                .map(|part| format!("H{number}-{part}"))
                .collect();
            self.unanswered.lock().unwrap().extend(ids.iter().cloned());
            let answers = match ids.as_slice() {
                [id] => {
                    connection.post("/v1/holds", &hold(id, &sku(number), 1)).map(|answer| vec![ok(answer)])
                }
                ids => {
                    let command = |id: &String| {
                        let mut command = hold(id, &sku(number), 1);
                        command["op"] = "hold".into();
                        command
                    };
                    let commands: Vec<_> = ids.iter().map(command).collect();
                    connection.post("/v1/batch", &json!({"commands": commands})).map(|answer| {
                        let items = ok(answer)["items"].take();
                        items.as_array().unwrap().iter().map(|item| item["outcome"].clone()).collect()
                    })
                }
            };
            let Ok(answers) = answers else { return };
            for (id, answer) in ids.into_iter().zip(answers) {
                self.answer(id, answer, false);
            }
        }
    }

    fn answer(&self, id: String, mut outcome: Value, may_repeat: bool) {
        let repeat = outcome.as_object_mut().and_then(|outcome| outcome.remove("repeat"));
        assert!(may_repeat || repeat == Some(json!(false)), "{id}: {outcome}");
        assert_eq!(outcome["id"], json!(id), "{outcome}");
        self.unanswered.lock().unwrap().remove(&id);
        self.answered.lock().unwrap().insert(id, outcome);
    }

    /// Runs the callers beside `meanwhile`, and waits for them. They end by themselves when their connections break.
    fn run(&self, jaego: &mut Jaego, meanwhile: impl FnOnce(&mut Jaego)) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                let connection = jaego.connect();
                scope.spawn(|| self.work(connection, &stop));
            }
            meanwhile(jaego);
            stop.store(true, Ordering::SeqCst);
        });
    }

    /// Waits until the callers have had so many answers more.
    fn wait_for_answers(&self, count: usize) {
        let begun = self.answered.lock().unwrap().len();
        let more = || (self.answered.lock().unwrap().len() >= begun + count).then_some(());
        wait_until("answers to the callers", Duration::from_secs(30), more).unwrap();
    }

    /// Asks again for what was never answered, which says what came of it.
    fn resolve(&self, connection: &mut Connection) -> usize {
        let open = std::mem::take(&mut *self.unanswered.lock().unwrap());
        let count = open.len();
        for id in open {
            let number: usize = id[1..].split('-').next().unwrap().parse().unwrap();
            let outcome = ok(connection.post("/v1/holds", &hold(&id, &sku(number), 1)).unwrap());
            self.answer(id, outcome, true);
        }
        count
    }

    /// Holds the feed of events against what was asked for and answered.
    fn prove(&self, connection: &mut Connection) {
        let answered = self.answered.lock().unwrap();
        let mut there = BTreeMap::new();
        let mut after = "0".to_owned();
        loop {
            let page = ok(connection.get(&format!("/v1/events?limit=1000&kind=held&after={after}")).unwrap());
            for event in page["items"].as_array().unwrap() {
                let id = event["document"]["id"].as_str().unwrap().to_owned();
                let before = there
                    .insert(id, (event["sequence"].clone(), event["at"].clone(), event["picks"].clone()));
                assert!(before.is_none(), "{event} is there twice");
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => break,
            }
        }
        for (id, outcome) in answered.iter() {
            let event =
                there.remove(id).unwrap_or_else(|| panic!("{id} was acknowledged and is lost: {outcome}"));
            assert_eq!(
                event,
                (outcome["sequence"].clone(), outcome["at"].clone(), outcome["picks"].clone()),
                "{id}"
            );
        }
        assert!(there.is_empty(), "nobody asked for these: {there:?}");
        let status = ok(connection.get("/v1/status").unwrap());
        assert_eq!(status["open_holds"], answered.len(), "{status}");
        let positions = ok(connection.get("/v1/stock?limit=1000").unwrap());
        let held: u64 =
            positions["items"].as_array().unwrap().iter().map(|at| at["held"].as_u64().unwrap()).sum();
        assert_eq!(held, answered.len() as u64);
    }
}

fn start() -> Jaego {
    let jaego = Jaego::start();
    let skus: Vec<_> = (0..SKUS).map(sku).collect();
    stock(&mut jaego.connect(), &skus, 1_000_000);
    jaego
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let rounds = size(30, 1_000);
    let seed = seed();
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut jaego = start();
    let ledger = Ledger::default();
    let mut unanswered = 0;
    for round in 0..rounds {
        ledger.run(&mut jaego, |jaego| {
            ledger.wait_for_answers(1);
            thread::sleep(Duration::from_micros(dice.u64(0..60_000)));
            jaego.server.kill_9().unwrap();
        });
        if round % 10 == 9 {
            jaego.verify();
        }
        jaego.server.restart().unwrap();
        let mut connection = jaego.connect();
        // What was answered in an earlier round is answered the same, as a repeat.
        let (id, before) = ledger
            .answered
            .lock()
            .unwrap()
            .iter()
            .next_back()
            .map(|(id, outcome)| (id.clone(), outcome.clone()))
            .unwrap();
        let number: usize = id[1..].split('-').next().unwrap().parse().unwrap();
        let mut again = ok(connection.post("/v1/holds", &hold(&id, &sku(number), 1)).unwrap());
        assert_eq!(again.as_object_mut().unwrap().remove("repeat"), Some(json!(true)));
        assert_eq!(again, before);
        unanswered += ledger.resolve(&mut connection);
    }
    let mut connection = jaego.connect();
    ledger.prove(&mut connection);
    println!("{} answers, {unanswered} requests without one", ledger.answered.lock().unwrap().len());
    jaego.end();
}

#[test]
fn asked_to_end_under_load_it_loses_nothing_and_ends_soon() {
    let mut jaego = start();
    let ledger = Ledger::default();
    for _ in 0..3 {
        ledger.run(&mut jaego, |jaego| {
            ledger.wait_for_answers(200);
            jaego.terminate();
        });
        jaego.verify();
        jaego.server.restart().unwrap();
        ledger.resolve(&mut jaego.connect());
    }
    ledger.prove(&mut jaego.connect());
    jaego.end();
}

#[test]
fn stopped_and_continued_it_goes_on_where_it_was() {
    let mut jaego = start();
    let ledger = Ledger::default();
    let mut short = hold("short", &sku(0), 1);
    short["expires_in_s"] = 1.into();
    ok(jaego.connect().post("/v1/holds", &short).unwrap());
    ledger.run(&mut jaego, |jaego| {
        for _ in 0..3 {
            ledger.wait_for_answers(50);
            jaego.server.stop().unwrap();
            thread::sleep(Duration::from_millis(500));
            jaego.server.cont().unwrap();
        }
        ledger.wait_for_answers(50);
    });
    let mut connection = jaego.connect();
    assert_eq!(ok(connection.get("/v1/holds/short").unwrap())["status"], "expired");
    assert!(ledger.unanswered.lock().unwrap().is_empty(), "a pause breaks no connection");
    jaego.end();
}
