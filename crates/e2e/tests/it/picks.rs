//! Many workers over transfers whose goods lie in several zones: no two of them ever pick the same work, what one drops
//! another picks, and every pick happens once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, ok},
};

const WORKERS: usize = 16;
const TRANSFERS: usize = 200;
const ZONES: [&str; 3] = ["A", "B", ""];
/// Lines of a transfer in each zone.
const LINES: usize = 2;
/// Pieces of work that a worker claims at once.
const ARMFUL: usize = 4;
/// How long the claims of those stand who will die.
const LEASE_OF_THE_DEAD: Duration = Duration::from_secs(1);
/// A worker dies in the middle of every so many armfuls.
const DEATHS: usize = 5;
/// All of it takes seconds; this is for slow machines.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a worker was given: the transfer and the zone.
type Work = (String, String);

#[derive(Default)]
struct Story {
    /// Every claim, with the worker and the fence.
    claims: Vec<(String, Work, u64)>,
    /// What was picked, and under which fence.
    picked: Vec<(Work, u64)>,
    /// What those who came back too late were told, by the problem's code.
    late: BTreeMap<String, usize>,
}

#[test]
fn workers_that_die_leave_their_zones_to_others_and_everything_is_picked_once() {
    let jaego = Jaego::start();
    let mut admin = jaego.connect();
    open(&mut admin);

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

    let mut latest: BTreeMap<&Work, u64> = BTreeMap::new();
    let mut given = BTreeSet::new();
    for (worker, work, fence) in stories.iter().flat_map(|story| &story.claims) {
        assert!(
            given.insert((work, fence)),
            "{work:?} was given twice under fence {fence}, also to {worker}"
        );
        let latest = latest.entry(work).or_default();
        *latest = (*latest).max(*fence);
    }
    let mut picked = BTreeSet::new();
    for (work, fence) in stories.iter().flat_map(|story| &story.picked) {
        assert!(picked.insert(work), "{work:?} was picked twice");
        assert_eq!(latest[work], *fence, "{work:?} was picked by whoever claimed it last");
    }
    assert_eq!(picked.len(), TRANSFERS * ZONES.len());
    let mut late: BTreeMap<&str, usize> = BTreeMap::new();
    for (code, count) in stories.iter().flat_map(|story| &story.late) {
        *late.entry(code).or_default() += count;
    }
    println!("{} claims for {} pieces of work; too late: {late:?}", given.len(), picked.len());
    assert!(given.len() > picked.len(), "nobody died");
    let told: Vec<_> = late.keys().copied().collect();
    assert_eq!(told, ["claim_lost"], "who comes too late picks nothing");

    let status = ok(admin.get("/v1/status").unwrap());
    assert_eq!((&status["waiting_picks"], &status["claimed_picks"]), (&json!(0), &json!(0)));
    for transfer in 0..TRANSFERS {
        let transfer = ok(admin.get(&format!("/v1/transfers/T{transfer}")).unwrap());
        let each = LINES * ZONES.len();
        assert_eq!(transfer["picking"], json!([]), "{transfer}");
        let (allocated, picked) = (&transfer["totals"]["allocated"], &transfer["totals"]["picked"]);
        assert_eq!((allocated, picked), (&json!(0), &json!(each)), "{transfer}");
    }
    let staged = ok(admin.get("/v1/stock?site=ICN&location=S-01").unwrap());
    let units: u64 =
        staged["items"].as_array().unwrap().iter().map(|one| one["on_hand"].as_u64().unwrap()).sum();
    assert_eq!(units, (TRANSFERS * ZONES.len() * LINES) as u64, "every unit lies in staging, once");
    jaego.end();
}

/// A site with a bin for each zone, and transfers that take from all of them.
fn open(admin: &mut Connection) {
    let mut commands = vec![
        json!({"op": "set_site", "site": "ICN"}),
        json!({"op": "set_site", "site": "PUS"}),
        json!({"op": "set_location", "site": "ICN", "location": "S-01", "kind": "staging"}),
    ];
    let mut stock = Vec::new();
    for (number, zone) in ZONES.iter().enumerate() {
        let location = format!("A-0{number}");
        commands.push(json!({"op": "set_location", "site": "ICN", "location": location, "kind": "storage",
            "zone": zone}));
        for line in 0..LINES {
            let sku = format!("sku-{number}-{line}");
            commands.push(json!({"op": "set_sku", "sku": sku}));
            stock.push(json!({"site": "ICN", "location": location, "sku": sku, "change": TRANSFERS,
                "account": "opening"}));
        }
    }
    commands.push(json!({"op": "adjust", "id": "opening", "lines": stock}));
    for transfer in 0..TRANSFERS {
        let lines: Vec<Value> = (0..ZONES.len() * LINES)
            .map(|line| {
                let sku = format!("sku-{}-{}", line / LINES, line % LINES);
                json!({"line": line.to_string(), "sku": sku, "quantity": 1})
            })
            .collect();
        let id = format!("T{transfer}");
        commands.push(json!({"op": "request_transfer", "id": id, "from": "ICN", "to": "PUS",
            "priority": transfer % 3, "lines": lines}));
        commands.push(json!({"op": "allocate_transfer", "transfer": id}));
    }
    ok(admin.post("/v1/batch", &json!({"atomic": true, "commands": commands})).unwrap());
}

/// Claims and picks until everything is done, some in one zone and some in any. It dies now and then, its last armful
/// half done; whoever comes after it under another name goes on, and it comes back from the dead when its claims have
/// lapsed.
fn work(number: usize, mut connection: Connection, done: &AtomicUsize, deadline: Instant) -> Story {
    let all = TRANSFERS * ZONES.len();
    let policy = ["oldest", "priority", "random"][number % 3];
    let mut story = Story::default();
    let mut dead: Vec<Dead> = Vec::new();
    let mut armful = number;
    while done.load(Ordering::SeqCst) < all {
        assert!(Instant::now() < deadline, "{} of {all} after all this time", done.load(Ordering::SeqCst));
        // Those whose claims have lapsed come back, and find that they are too late.
        for ghost in dead.iter_mut().filter(|ghost| ghost.has_lapsed()) {
            for (work, fence) in std::mem::take(&mut ghost.claims) {
                let before = story.picked.len();
                pick(&mut connection, &ghost.name, &work, fence, done, &mut story);
                assert_eq!(story.picked.len(), before, "{} picked {work:?} after its time", ghost.name);
            }
        }
        armful += 1;
        let dies = armful.is_multiple_of(DEATHS);
        let worker = format!("w{number}-{}", dead.len());
        let lease_s = if dies { LEASE_OF_THE_DEAD.as_secs() } else { 300 };
        let mut body =
            json!({"worker": worker, "work": "picks", "policy": policy, "count": ARMFUL, "lease_s": lease_s});
        // Each zone has people of its own, and one in four goes anywhere.
        if let Some(zone) = ZONES.get(number % 4) {
            body["zone"] = json!(zone);
        }
        let (status, answer) = connection.post("/v1/sites/ICN/claims", &body).unwrap();
        if status != 200 {
            assert_eq!(answer["code"], "nothing_to_claim", "{answer}");
            thread::sleep(Duration::from_millis(50));
            continue;
        }
        let claims = claims(&answer);
        story.claims.extend(claims.iter().map(|(work, fence)| (worker.clone(), work.clone(), *fence)));
        // One fence may stand for several zones of a transfer: whoever picks under it picks in all of them.
        let mut transfers: Vec<(String, u64)> =
            claims.iter().map(|((transfer, _), fence)| (transfer.clone(), *fence)).collect();
        transfers.dedup();
        let finished = if dies { transfers.len() / 2 } else { transfers.len() };
        let (now, never) = transfers.split_at(finished);
        for (transfer, fence) in now {
            pick_all(&mut connection, &worker, &claims, transfer, *fence, done, &mut story);
        }
        if dies {
            let left =
                claims.into_iter().filter(|((transfer, _), _)| never.iter().any(|(id, _)| id == transfer));
            dead.push(Dead { name: worker, claims: left.collect(), since: Instant::now() });
        }
    }
    story
}

fn claims(answer: &Value) -> Vec<(Work, u64)> {
    let claims = answer["claims"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    claims
        .map(|claim| ((text(&claim["transfer"]), text(&claim["zone"])), claim["fence"].as_u64().unwrap()))
        .collect()
}

/// A worker who died in the middle of an armful.
struct Dead {
    name: String,
    /// What it had not picked.
    claims: Vec<(Work, u64)>,
    since: Instant,
}

impl Dead {
    fn has_lapsed(&self) -> bool {
        self.since.elapsed() > LEASE_OF_THE_DEAD + Duration::from_millis(100)
    }
}

/// Picks all that was claimed of a transfer, without naming a line.
fn pick_all(
    connection: &mut Connection,
    worker: &str,
    claims: &[(Work, u64)],
    transfer: &str,
    fence: u64,
    done: &AtomicUsize,
    story: &mut Story,
) {
    let works = || claims.iter().filter(|((id, _), _)| id == transfer);
    let before = story.picked.len();
    for (work, fence) in works().take(1) {
        pick(connection, worker, work, *fence, done, story);
    }
    if story.picked.len() > before {
        let others: Vec<_> = works().skip(1).map(|(work, _)| (work.clone(), fence)).collect();
        done.fetch_add(others.len(), Ordering::SeqCst);
        story.picked.extend(others);
    }
}

fn pick(
    connection: &mut Connection,
    worker: &str,
    work: &Work,
    fence: u64,
    done: &AtomicUsize,
    story: &mut Story,
) {
    let body = json!({"worker": worker, "fence": fence});
    let (status, answer) = connection.post(&format!("/v1/transfers/{}/pick", work.0), &body).unwrap();
    if status == 200 {
        assert_eq!(answer["repeat"], false, "{answer}");
        story.picked.push((work.clone(), fence));
        done.fetch_add(1, Ordering::SeqCst);
    } else {
        assert_eq!(status, 409, "{answer}");
        *story.late.entry(answer["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
}
