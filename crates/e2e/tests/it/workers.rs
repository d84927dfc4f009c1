//! The stage on which many workers race for one pile of work. They claim by the armful; some die in the middle of one,
//! others finish what they dropped, and the dead come back when it is too late.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http::Connection,
    jaego::{Jaego, ok},
};

/// How long the claims of those stand who will die.
const LEASE_OF_THE_DEAD: Duration = Duration::from_secs(1);
/// A worker dies in the middle of every so many armfuls.
const DEATHS: usize = 5;
/// All of it takes seconds; this is for slow machines.
const PATIENCE: Duration = Duration::from_secs(240);

/// The work that is to be done.
pub(crate) trait Job {
    /// What names a piece of work.
    type Work: Clone + Ord + Debug + Send + Sync;

    const WORKERS: usize;
    /// Pieces of work.
    const PIECES: usize;

    /// What a worker asks for, but for its name, the policy and the lease.
    fn armful(number: usize) -> Value;
    /// The piece of work that a claim in the answer is about.
    fn work(claim: &Value) -> Self::Work;
    /// Where it is finished. One request finishes all pieces of an armful with the same path and fence.
    fn path(work: &Self::Work) -> String;
}

/// A piece of work with the fence that it was claimed under.
type Claim<W> = (W, u64);

struct Story<W> {
    /// Every claim, with the worker.
    claims: Vec<(String, Claim<W>)>,
    finished: Vec<Claim<W>>,
    late: BTreeMap<String, usize>,
}

/// Runs the race and finds that nothing was given twice and everything was finished once, by whoever had claimed it
/// last. Returns what those were told who came back too late, by the problem's code.
pub(crate) fn race<J: Job>(jaego: &Jaego) -> BTreeMap<String, usize> {
    let done = AtomicUsize::new(0);
    let deadline = Instant::now() + PATIENCE;
    let stories: Vec<Story<J::Work>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..J::WORKERS)
            .map(|number| {
                let (done, connection) = (&done, jaego.connect());
                scope.spawn(move || Worker::<J>::new(number, connection, done).work(deadline))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });

    let mut latest: BTreeMap<&J::Work, u64> = BTreeMap::new();
    let mut given = BTreeSet::new();
    for (worker, claim) in stories.iter().flat_map(|story| &story.claims) {
        assert!(given.insert(claim), "{claim:?} was given twice, also to {worker}");
        let (work, fence) = claim;
        let latest = latest.entry(work).or_default();
        *latest = (*latest).max(*fence);
    }
    let mut finished = BTreeSet::new();
    for (work, fence) in stories.iter().flat_map(|story| &story.finished) {
        assert!(finished.insert(work), "{work:?} was finished twice");
        assert_eq!(latest[work], *fence, "{work:?} was finished by whoever claimed it last");
    }
    assert_eq!(finished.len(), J::PIECES);
    let mut late: BTreeMap<String, usize> = BTreeMap::new();
    for (code, count) in stories.iter().flat_map(|story| &story.late) {
        *late.entry(code.clone()).or_default() += count;
    }
    println!("{} claims for {} pieces of work; too late: {late:?}", given.len(), J::PIECES);
    assert!(given.len() > J::PIECES, "nobody died");
    assert!(!late.is_empty(), "nobody came back too late");
    late
}

struct Worker<'a, J: Job> {
    number: usize,
    connection: Connection,
    done: &'a AtomicUsize,
    dead: Vec<Ghost<J::Work>>,
    /// Whoever goes on after a death has another name.
    deaths: usize,
    story: Story<J::Work>,
}

/// A worker who died in the middle of an armful.
struct Ghost<W> {
    name: String,
    /// What it had not finished.
    claims: Vec<Claim<W>>,
    since: Instant,
}

impl<W> Ghost<W> {
    fn has_lapsed(&self) -> bool {
        self.since.elapsed() > LEASE_OF_THE_DEAD + Duration::from_millis(100)
    }
}

impl<'a, J: Job> Worker<'a, J> {
    fn new(number: usize, connection: Connection, done: &'a AtomicUsize) -> Self {
        let story = Story { claims: Vec::new(), finished: Vec::new(), late: BTreeMap::new() };
        Self { number, connection, done, dead: Vec::new(), deaths: 0, story }
    }

    /// Claims and finishes until everything is done. It dies now and then, its last armful half done; whoever comes
    /// after it goes on, and it comes back from the dead when its claims have lapsed, be it after everything is done.
    fn work(mut self, deadline: Instant) -> Story<J::Work> {
        let mut armful = self.number;
        while self.done.load(Ordering::SeqCst) < J::PIECES {
            let done = self.done.load(Ordering::SeqCst);
            assert!(Instant::now() < deadline, "{done} of {} after all this time", J::PIECES);
            for ghost in self.dead.extract_if(.., |ghost| ghost.has_lapsed()).collect::<Vec<_>>() {
                self.haunt(&ghost);
            }
            armful += 1;
            let dies = armful.is_multiple_of(DEATHS);
            if !self.armful(dies) {
                thread::sleep(Duration::from_millis(50));
            }
        }
        for ghost in std::mem::take(&mut self.dead) {
            self.haunt(&ghost);
        }
        self.story
    }

    /// Claims an armful and finishes it, or half of it; `false` where there is nothing to claim.
    fn armful(&mut self, dies: bool) -> bool {
        let name = format!("w{}-{}", self.number, self.deaths);
        let mut body = J::armful(self.number);
        body["worker"] = json!(name);
        body["policy"] = json!(["oldest", "priority", "random"][self.number % 3]);
        body["lease_s"] = json!(if dies { LEASE_OF_THE_DEAD.as_secs() } else { 300 });
        let (status, answer) = self.connection.post("/v1/sites/ICN/claims", &body).unwrap();
        if status != 200 {
            assert_eq!(answer["code"], "nothing_to_claim", "{answer}");
            return false;
        }
        let claims: Vec<Claim<J::Work>> = answer["claims"]
            .as_array()
            .unwrap()
            .iter()
            .map(|claim| (J::work(claim), claim["fence"].as_u64().unwrap()))
            .collect();
        self.story.claims.extend(claims.iter().map(|claim| (name.clone(), claim.clone())));
        let together: Vec<_> = errands::<J>(&claims).collect();
        let (now, never) = together.split_at(if dies { together.len() / 2 } else { together.len() });
        for errand in now {
            let finished = self.finish(&name, errand);
            // Nobody else can have had it meanwhile: the lease is longer than the whole race.
            assert!(finished || dies, "{name} lives, claimed {errand:?} and was told that it is too late");
        }
        if dies {
            self.deaths += 1;
            self.dead.push(Ghost { name, claims: never.concat(), since: Instant::now() });
        }
        true
    }

    /// Lets the dead find that they are too late.
    fn haunt(&mut self, ghost: &Ghost<J::Work>) {
        for errand in errands::<J>(&ghost.claims) {
            let finished = self.finish(&ghost.name, errand);
            assert!(!finished, "{} finished {errand:?} after its time", ghost.name);
        }
    }

    /// Whether it was in time.
    fn finish(&mut self, name: &str, errand: &[Claim<J::Work>]) -> bool {
        let (work, fence) = &errand[0];
        let body = json!({"worker": name, "fence": fence});
        let (status, answer) = self.connection.post(&J::path(work), &body).unwrap();
        if status == 200 {
            assert_eq!(answer["repeat"], false, "{answer}");
            self.story.finished.extend_from_slice(errand);
            self.done.fetch_add(errand.len(), Ordering::SeqCst);
            return true;
        }
        assert_eq!(status, 409, "{answer}");
        *self.story.late.entry(answer["code"].as_str().unwrap().to_owned()).or_default() += 1;
        false
    }
}

/// Those claims together that one request finishes.
fn errands<J: Job>(claims: &[Claim<J::Work>]) -> impl Iterator<Item = &[Claim<J::Work>]> {
    claims.chunk_by(|(a, fence), (b, other)| fence == other && J::path(a) == J::path(b))
}

/// Asks for the counts of the status that must be zero in the end.
pub(crate) fn nothing_is_left(admin: &mut Connection, counts: &[&str]) {
    let status = ok(admin.get("/v1/status").unwrap());
    for count in counts {
        assert_eq!(status[count], json!(0), "{count} in {status}");
    }
}
