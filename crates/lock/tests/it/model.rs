//! Every way that three clients and one lock can go, up to a few ticks of time, on the real [`Table`].
//!
//! A request or an answer that is on its way may arrive at any later time, overtaking others, or never; a
//! client may stop at any time (it is enough that it does not act any more). Requests are sent again. In each
//! state that can be reached the law must hold:
//!
//! - at most one client relies on the lock;
//! - whoever relies on it has it, as the server sees it, under the fence that it knows;
//! - fences grow from each holder to the next.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jaego_lock::backend::{Acquire, Acquired, Ended, Owner, Release, Renew, Renewed};
use jaego_lock::table::Table;
use jaego_lock::{LockKey, Mode};

const CLIENTS: usize = 3;
/// Client 0 may send everything twice, renew, and give up. Client 1 acquires and releases. Client 2 acquires and
/// is never heard of again. More would be the same again, and take long.
const SENDS_MAX: u8 = 2;
const TICK_US: u64 = 10_000;
const LEASE_TICKS: u64 = 2;

/// How far time goes.
fn horizon() -> u64 {
    if std::env::var_os("JAEGO_SOAK").is_some() { 5 } else { 4 }
}

/// From when a client counts its lease.
#[derive(Clone, Copy)]
enum Validity {
    FromSending,
    /// As many a library does, wrongly.
    FromArrival,
}

/// What owners are checked for.
#[derive(Clone, Copy)]
enum Server {
    Real,
    /// Forgets who was released, so that an acquire that is late takes the lock for nobody.
    WithoutMemory,
    /// Gives all whom it serves in one tick the same fence, as one would that knows nothing but the time.
    CoarseFences,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Client {
    Idle,
    /// Has asked so often, the last time at that tick.
    Asking {
        sends: u8,
        sent_at: u64,
    },
    Holding {
        until: u64,
        fence: u64,
        renewal_sent_at: Option<u64>,
        renewed: bool,
    },
    /// Has sent so many releases, and relies on nothing.
    Released {
        sends: u8,
    },
}

/// On its way: from a client or to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Message {
    Acquire { client: usize, send: u8 },
    Renew { client: usize },
    Release { client: usize, send: u8 },
    Granted { client: usize, send: u8, fence: u64 },
    Held { client: usize },
    NotHeld { client: usize },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u64,
    /// In its debug form it is also what tells two states apart.
    table: Table,
    clients: [Client; CLIENTS],
    messages: BTreeSet<Message>,
    /// To whom it was granted last, and the fence.
    last: Option<(usize, u64)>,
    fence_stood_still: bool,
}

struct Model {
    key: Arc<[LockKey]>,
    validity: Validity,
    server: Server,
}

impl Model {
    fn new(validity: Validity, server: Server) -> Self {
        Self { key: [LockKey::new("a").unwrap()].into(), validity, server }
    }

    fn owner(client: usize) -> Owner {
        Owner::from_bytes([u8::try_from(client).unwrap(); 16])
    }

    fn lease() -> Duration {
        // The client's margin is one tick of it, as coarse as the time here is.
        Duration::from_micros(LEASE_TICKS * TICK_US)
    }

    fn acquire(&self, client: usize) -> Acquire {
        Acquire {
            keys: Arc::clone(&self.key),
            owner: Self::owner(client),
            mode: Mode::exclusive(),
            lease: Self::lease(),
            fence_min: 0,
            fair: false,
            waiting: None,
            claim: Duration::ZERO,
            timeout: Duration::ZERO,
        }
    }

    fn told(&self, fence: u64) -> u64 {
        if matches!(self.server, Server::CoarseFences) { fence / TICK_US } else { fence }
    }

    /// Lets a message arrive. What the server answers is on its way back.
    fn arrive(&self, state: &mut State, message: Message) {
        let now = state.now * TICK_US;
        match message {
            Message::Acquire { client, send } => {
                // The news of a refusal changes nothing here: all may try again at any time.
                if let Acquired::Granted { fence, .. } = state.table.acquire(now, &self.acquire(client)) {
                    let fence = self.told(fence);
                    // An answer that is asked for again is the same.
                    state.fence_stood_still |= state
                        .last
                        .is_some_and(|(last, seen)| fence < seen || fence == seen && client != last);
                    state.last = Some((client, fence));
                    state.messages.insert(Message::Granted { client, send, fence });
                }
            }
            Message::Renew { client } => {
                let renew = Renew {
                    keys: Arc::clone(&self.key),
                    owner: Self::owner(client),
                    lease: Self::lease(),
                    mode: None,
                    claim: Duration::ZERO,
                };
                let held = state.table.renew(now, &renew).0 == Renewed::Held;
                state.messages.insert(if held {
                    Message::Held { client }
                } else {
                    Message::NotHeld { client }
                });
            }
            Message::Release { client, .. } => {
                let remember = match self.server {
                    // To the end of time, so that states do not differ by it.
                    Server::Real | Server::CoarseFences => (horizon() + 1) * TICK_US - now,
                    Server::WithoutMemory => 0,
                };
                let release = Release {
                    keys: Arc::clone(&self.key),
                    owner: Self::owner(client),
                    remember: Duration::from_micros(remember),
                    claim: Duration::ZERO,
                    wanted: false,
                };
                let ended = state.table.release(now, &release).0;
                let still = state.table.holders(now, &self.key[0]);
                assert!(still.iter().all(|(owner, _)| *owner != release.owner), "{ended:?} and still held");
                assert!(ended == Ended::Released || matches!(ended, Ended::NotHeld { .. }));
            }
            Message::Granted { client, send, fence } => {
                let Client::Asking { sends, sent_at } = state.clients[client] else { return };
                // The answer to an earlier send is nobody's any more.
                let counted_from = match self.validity {
                    Validity::FromSending => sent_at,
                    Validity::FromArrival => state.now,
                };
                let until = counted_from + LEASE_TICKS;
                if send == sends && state.now < until {
                    state.clients[client] =
                        Client::Holding { until, fence, renewal_sent_at: None, renewed: false };
                }
            }
            Message::Held { client } => {
                if let Client::Holding { until, renewal_sent_at: Some(sent_at), .. } =
                    &mut state.clients[client]
                {
                    *until = (*until).max(*sent_at + LEASE_TICKS);
                }
            }
            Message::NotHeld { client } => {
                // It lets go all the same: an acquire of its own may still be on its way.
                state.clients[client] = Client::Released { sends: 1 };
                state.messages.insert(Message::Release { client, send: 1 });
            }
        }
    }

    /// All states that can come next.
    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        if state.now < horizon() {
            next.push(State { now: state.now + 1, ..state.clone() });
        }
        for message in &state.messages {
            let mut after = state.clone();
            after.messages.remove(message);
            self.arrive(&mut after, *message);
            next.push(after);
        }
        for client in 0..CLIENTS {
            let mut act = |now: Client, message: Message| {
                let mut after = state.clone();
                after.clients[client] = now;
                after.messages.insert(message);
                next.push(after);
            };
            let sent_at = state.now;
            match state.clients[client] {
                Client::Idle => {
                    act(Client::Asking { sends: 1, sent_at }, Message::Acquire { client, send: 1 });
                }
                Client::Asking { sends, .. } => {
                    if sends < SENDS_MAX && client == 0 {
                        let send = sends + 1;
                        act(Client::Asking { sends: send, sent_at }, Message::Acquire { client, send });
                    }
                    if client == 0 {
                        act(Client::Released { sends: 1 }, Message::Release { client, send: 1 });
                    }
                }
                Client::Holding { until, fence, renewed, .. } => {
                    if !renewed && client == 0 && state.now < until {
                        let renewal_sent_at = Some(sent_at);
                        let now = Client::Holding { until, fence, renewal_sent_at, renewed: true };
                        act(now, Message::Renew { client });
                    }
                    if client < 2 {
                        act(Client::Released { sends: 1 }, Message::Release { client, send: 1 });
                    }
                }
                Client::Released { sends } if sends < SENDS_MAX && client == 0 => {
                    act(Client::Released { sends: sends + 1 }, Message::Release { client, send: sends + 1 });
                }
                Client::Released { .. } => {}
            }
        }
        for state in &mut next {
            // What nobody would act on is as good as lost.
            let State { clients, messages, .. } = state;
            messages.retain(|message| match *message {
                Message::Granted { client, send, .. } => {
                    matches!(clients[client], Client::Asking { sends, .. } if sends == send)
                }
                Message::Held { client } | Message::NotHeld { client } => {
                    matches!(clients[client], Client::Holding { renewal_sent_at: Some(_), .. })
                }
                _ => true,
            });
        }
        next
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let relying = |client: &usize| matches!(state.clients[*client], Client::Holding { until, .. } if state.now < until);
        let relying: Vec<usize> = (0..CLIENTS).filter(relying).collect();
        if relying.len() > 1 {
            return Err(format!("{relying:?} all rely on the lock: {state:?}"));
        }
        if state.fence_stood_still {
            return Err(format!("a fence did not grow: {state:?}"));
        }
        let holders = state.table.holders(state.now * TICK_US, &self.key[0]);
        for client in relying {
            let Client::Holding { fence, .. } = state.clients[client] else { unreachable!() };
            if !holders.iter().any(|&(owner, held)| (owner, self.told(held)) == (Self::owner(client), fence))
            {
                return Err(format!("{client} relies on what it does not have: {state:?}"));
            }
        }
        Ok(())
    }

    /// Whether a lock that nobody can want any more is taken at a later time.
    fn orphan(&self, state: &State) -> bool {
        let held = state.table.holders(state.now * TICK_US, &self.key[0]);
        let gone = |client: &Client| matches!(client, Client::Released { .. });
        held.iter().any(|(owner, _)| gone(&state.clients[usize::from(owner.as_bytes()[0])]))
            && state.messages.iter().all(|message| !matches!(message, Message::Release { .. }))
    }

    /// Visits all states, and returns how many there are and whether there was an orphan.
    fn explore(&self) -> Result<(usize, bool), String> {
        let first = State {
            now: 1,
            table: Table::default(),
            clients: [Client::Idle; CLIENTS],
            messages: BTreeSet::new(),
            last: None,
            fence_stood_still: false,
        };
        let mut seen = HashSet::from([first.clone()]);
        let mut queue = VecDeque::from([first]);
        let mut orphans = false;
        while let Some(state) = queue.pop_front() {
            self.check(&state)?;
            orphans |= self.orphan(&state);
            for next in self.next(&state) {
                if !seen.contains(&next) {
                    seen.insert(next.clone());
                    queue.push_back(next);
                }
            }
        }
        Ok((seen.len(), orphans))
    }
}

#[test]
fn no_way_leads_to_two_holders() {
    let started = std::time::Instant::now();
    let (states, orphans) = Model::new(Validity::FromSending, Server::Real).explore().unwrap();
    println!("{states} states in {:?}", started.elapsed());
    assert!(states > 10_000, "only {states}");
    assert!(!orphans, "a lock is held for somebody who has released it");
}

#[test]
fn the_model_finds_what_it_should() {
    let error = Model::new(Validity::FromArrival, Server::Real).explore().unwrap_err();
    assert!(error.contains("rel"), "{error}");
    let (_, orphans) = Model::new(Validity::FromSending, Server::WithoutMemory).explore().unwrap();
    assert!(orphans, "a late acquire should have taken the lock for nobody");
    let error = Model::new(Validity::FromSending, Server::CoarseFences).explore().unwrap_err();
    assert!(error.contains("a fence did not grow"), "{error}");
}
