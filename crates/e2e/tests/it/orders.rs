//! Many workers and one pile of orders: no two of them ever hold the same work, and what one drops another finishes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    http::Connection,
    jaego::{Jaego, ok, stock},
};

const WORKERS: usize = 32;
const ORDERS: usize = 5_000;
/// Orders that a worker claims at once.
const ARMFUL: usize = 8;
/// How long the claims of those stand who will die.
const LEASE_OF_THE_DEAD: Duration = Duration::from_secs(1);
/// A worker dies in the middle of every so many armfuls.
const DEATHS: usize = 5;
/// All of it takes seconds; this is for slow machines.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a worker was given: the order, and the fence that came with it.
type Claim = (String, u64);

#[derive(Default)]
struct Story {
    /// Every claim, with the worker.
    claims: Vec<(String, Claim)>,
    /// Completions that were accepted for the first time.
    completed: Vec<Claim>,
    /// What those who came back too late were told, by the problem's code.
    late: BTreeMap<String, usize>,
}

#[test]
fn workers_that_die_leave_their_orders_to_others_and_every_order_is_completed_once() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    let skus: Vec<_> = (0..4).map(|sku| format!("sku-{sku}")).collect();
    stock(&mut admin, &skus, (ORDERS / skus.len()) as u64);
    let orders: Vec<_> = (0..ORDERS)
        .map(|order| {
            json!({"op": "place_order", "id": format!("O{order}"), "site": "ICN", "priority": order % 3,
                "lines": [{"sku": skus[order % skus.len()], "quantity": 1}]})
        })
        .collect();
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": orders})).unwrap());

    let done = AtomicUsize::new(0);
    let deadline = Instant::now() + PATIENCE;
    let stories: Vec<Story> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (done, connection) = (&done, jaego.connect());
                scope.spawn(move || work(number, connection, done, deadline))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });

    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut given = BTreeSet::new();
    for (worker, (order, fence)) in stories.iter().flat_map(|story| &story.claims) {
        assert!(
            given.insert((order, fence)),
            "{order} was given twice under fence {fence}, also to {worker}"
        );
        let latest = latest.entry(order).or_default();
        *latest = (*latest).max(*fence);
    }
    let mut completed = BTreeSet::new();
    for (order, fence) in stories.iter().flat_map(|story| &story.completed) {
        assert!(completed.insert(order), "{order} was completed twice");
        assert_eq!(latest[&**order], *fence, "{order} was completed by whoever claimed it last");
    }
    assert_eq!(completed.len(), ORDERS);
    let mut late: BTreeMap<&str, usize> = BTreeMap::new();
    for (code, count) in stories.iter().flat_map(|story| &story.late) {
        *late.entry(code).or_default() += count;
    }
    println!("{} claims for {ORDERS} orders; too late: {late:?}", given.len());
    assert!(given.len() > ORDERS, "nobody died");
    let told: Vec<_> = late.keys().copied().collect();
    assert!(told.iter().all(|code| ["claim_lost", "order_completed"].contains(code)), "{told:?}");
    assert!(late.values().sum::<usize>() > 0, "nobody came back too late");

    let status = ok(admin.get("/v1/status").unwrap());
    assert_eq!((&status["waiting_orders"], &status["claimed_orders"]), (&json!(0), &json!(0)));
    let positions = ok(admin.get("/v1/stock").unwrap());
    assert_eq!(positions["items"], json!([]), "every unit went to a customer");
    jaego.end();
}

/// Claims and completes until everything is done. It dies now and then, its last armful half done; whoever comes after
/// it under another name goes on, and it comes back from the dead when its claims have lapsed.
fn work(number: usize, mut connection: Connection, done: &AtomicUsize, deadline: Instant) -> Story {
    let policy = ["oldest", "priority", "random"][number % 3];
    let mut story = Story::default();
    let mut dead: Vec<Dead> = Vec::new();
    let mut armful = number;
    while done.load(Ordering::SeqCst) < ORDERS {
        assert!(Instant::now() < deadline, "{} of {ORDERS} after all this time", done.load(Ordering::SeqCst));
        // Those whose claims have lapsed come back, and find that they are too late.
        while let Some(ghost) = dead.iter_mut().find(|ghost| !ghost.claims.is_empty() && ghost.has_lapsed()) {
            for claim in std::mem::take(&mut ghost.claims) {
                let before = story.completed.len();
                complete(&mut connection, &ghost.name, &claim, done, &mut story);
                assert_eq!(
                    story.completed.len(),
                    before,
                    "{} completed {claim:?} after its time",
                    ghost.name
                );
            }
        }
        armful += 1;
        let dies = armful.is_multiple_of(DEATHS);
        let worker = format!("w{number}-{}", dead.len());
        let lease_s = if dies { LEASE_OF_THE_DEAD.as_secs() } else { 300 };
        let body = json!({"worker": worker, "policy": policy, "count": ARMFUL, "lease_s": lease_s});
        let (status, answer) = connection.post("/v1/sites/ICN/claims", &body).unwrap();
        if status != 200 {
            assert_eq!(answer["code"], "nothing_to_claim", "{answer}");
            thread::sleep(Duration::from_millis(50));
            continue;
        }
        let claims: Vec<Claim> = answer["claims"]
            .as_array()
            .unwrap()
            .iter()
            .map(|claim| (claim["order"].as_str().unwrap().to_owned(), claim["fence"].as_u64().unwrap()))
            .collect();
        story.claims.extend(claims.iter().map(|claim| (worker.clone(), claim.clone())));
        let finished = if dies { claims.len() / 2 } else { claims.len() };
        for claim in &claims[..finished] {
            complete(&mut connection, &worker, claim, done, &mut story);
        }
        if dies {
            dead.push(Dead { name: worker, claims: claims[finished..].to_vec(), since: Instant::now() });
        }
    }
    for ghost in &dead {
        for claim in &ghost.claims {
            complete(&mut connection, &ghost.name, claim, done, &mut story);
        }
    }
    story
}

/// A worker who died in the middle of an armful.
struct Dead {
    name: String,
    /// What it had not completed.
    claims: Vec<Claim>,
    since: Instant,
}

impl Dead {
    fn has_lapsed(&self) -> bool {
        self.since.elapsed() > LEASE_OF_THE_DEAD + Duration::from_millis(100)
    }
}

fn complete(connection: &mut Connection, worker: &str, claim: &Claim, done: &AtomicUsize, story: &mut Story) {
    let (order, fence) = claim;
    let body = json!({"worker": worker, "fence": fence});
    let (status, answer) = connection.post(&format!("/v1/orders/{order}/complete"), &body).unwrap();
    if status == 200 {
        assert_eq!(answer["repeat"], false, "{answer}");
        story.completed.push(claim.clone());
        done.fetch_add(1, Ordering::SeqCst);
    } else {
        assert_eq!(status, 409, "{answer}");
        *story.late.entry(answer["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
}
