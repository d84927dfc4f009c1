//! One case: requests from a seed, and everything that must hold after each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use jaego_domain::{
    Changes, ClaimView, Code, Command, Decision, Event, Fact, LocationId, LotId, Memory, Outcome,
    PickClaimView, Query, Refusal, Repeat, Request, Row, Sequence, Tables, Timestamp, View, apply, check,
    command::{ClaimOrder, ClaimTransfer},
    decide, outcome,
    query::{Page, Period},
    row::{OrderStatus, ProposalStatus},
    turn::{self, Accepted},
};
use jaego_store::conformance::START;

use crate::random::{
    forgetful::Forgetful,
    listed::{holds_are_listed, lot_holders_are_listed},
    naive::{Naive, Prediction},
    periods::periods_are_listed,
    world::{Action, World, code, request},
};

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    events: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    repeats: u64,
    dry_runs: u64,
    atomic_refused: u64,
    predicted: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, count) in &other.events {
            *self.events.entry(kind).or_default() += count;
        }
        for (code, count) in &other.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
        self.repeats += other.repeats;
        self.dry_runs += other.dry_runs;
        self.atomic_refused += other.atomic_refused;
        self.predicted += other.predicted;
    }

    /// A run that never came to something has proven nothing about it.
    pub(crate) fn prove_that_everything_happened(&self) {
        assert_eq!(self.events.len(), 63, "every kind of event happened: {self}");
        assert!(self.refusals.len() >= 57, "most refusals happened: {self}");
        assert!(self.repeats > 0 && self.dry_runs > 0 && self.atomic_refused > 0 && self.predicted > 0);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "events {:?}", self.events)?;
        writeln!(f, "refusals {:?}", self.refusals)?;
        write!(
            f,
            "repeats {}, dry runs {}, atomic batches refused {}, predicted {}",
            self.repeats, self.dry_runs, self.atomic_refused, self.predicted
        )
    }
}

pub(crate) struct Case {
    world: World,
    memory: Memory,
    naive: Naive,
    forgetful: Forgetful,
    events: Vec<Event>,
    outcomes: Vec<Outcome>,
    now: Timestamp,
    /// The steps that are thought of and not done.
    left_out: BTreeSet<usize>,
    /// The story, where somebody will read it.
    told: Option<String>,
    pub(crate) tally: Tally,
}

impl Case {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            memory: Memory::new(),
            naive: Naive::default(),
            forgetful: Forgetful::default(),
            events: Vec::new(),
            outcomes: Vec::new(),
            now: START,
            left_out: BTreeSet::new(),
            told: None,
            tally: Tally::default(),
        }
    }

    /// A case that tells what happens in it, without these steps.
    pub(crate) fn telling(seed: u64, left_out: &BTreeSet<usize>) -> Self {
        Self { told: Some(String::new()), left_out: left_out.clone(), ..Self::new(seed) }
    }

    pub(crate) fn story(&self) -> &str {
        self.told.as_deref().unwrap_or_default()
    }

    fn tell(&mut self, words: fmt::Arguments<'_>) {
        if let Some(told) = &mut self.told {
            told.write_fmt(words).expect("a string takes all words");
            told.push('\n');
        }
    }

    pub(crate) fn play(&mut self, steps: usize) -> Result<(), String> {
        for command in self.world.facts() {
            self.fact(command)?;
        }
        for step in 0..steps {
            let action = self.world.action(&self.memory, self.events.len() as u64);
            match action {
                _ if self.left_out.contains(&step) => {}
                Action::Wait { ms } => self.now = self.now.after_ms(ms),
                Action::Ask(command, key) => self.turn(|case, now| case.ask(command, key, now))?,
                Action::Atomic(commands) => self.turn(|case, now| case.ask_all(commands, now))?,
            }
            if step == steps / 2 {
                // From here on the tables are ones that were rebuilt from their rows, as after a restart.
                let rebuilt = self.rebuilt()?;
                self.memory = rebuilt;
            }
        }
        self.the_end()
    }

    /// A fact is a request like any other; what must hold is looked at when all of them are there.
    fn fact(&mut self, command: Command) -> Result<(), String> {
        self.tell(format_args!("{command:?}"));
        let request = request(command, None).ok_or("the facts are good requests")?;
        let mut events = Vec::new();
        turn::submit(&mut self.memory, &request, self.now, &mut events)
            .map_err(|refusal| format!("the facts are accepted: {refusal}"))?;
        for event in events {
            self.forgetful.apply(&event);
            self.remember(event);
        }
        self.naive.watch_again();
        Ok(())
    }

    fn remember(&mut self, event: Event) {
        // Two facts of the same kind are told apart here.
        let kind = match &event.fact {
            Fact::SkuPriced { .. } => "sku_set with prices",
            Fact::SaleCancelled { .. } => "order_cancelled and refunded",
            fact => fact.kind(),
        };
        *self.tally.events.entry(kind).or_default() += 1;
        self.naive.apply(&event);
        self.outcomes.push(outcome(&self.memory, &event));
        self.events.push(event);
    }

    fn turn(&mut self, work: impl FnOnce(&mut Self, Timestamp) -> Result<(), String>) -> Result<(), String> {
        let before = rows(&self.memory);
        let mut events = Vec::new();
        let (changes, now) = turn::sweep(&mut self.memory, self.now, &mut events);
        ensure(self.forgetful.sweep(self.now) == events, "forgetful tables lapse the same")?;
        if !events.is_empty() {
            self.happened(&before, changes, &events, now)?;
        }
        work(self, now)
    }

    fn ask(&mut self, command: Command, key: Option<Code>, now: Timestamp) -> Result<(), String> {
        self.tell(format_args!("{now} {command:?} {key:?}"));
        let Some(mut request) = request(command, key) else {
            *self.tally.refusals.entry("by the request").or_default() += 1;
            return Ok(());
        };
        self.lend(&mut request);
        let before = rows(&self.memory);
        let prediction = self.predict(&request, now);
        let decided = decide(&self.memory, &request, now);
        let mut events = Vec::new();
        let answer = turn::submit(&mut self.memory, &request, now, &mut events);
        self.tell(format_args!("    {answer:?}"));
        let forgetful = self.forgetful.submit(&request, now);
        let alike = match (&answer, &forgetful.0) {
            (Ok((ours, _)), Ok(theirs)) => ours == theirs,
            (Err(ours), Err(theirs)) => ours == theirs,
            _ => false,
        };
        ensure(alike && events == forgetful.1, &format!("forgetful tables answer alike, not {forgetful:?}"))?;
        if let Some(prediction) = prediction {
            self.tally.predicted += 1;
            holds_true(&prediction, &decided)?;
        }
        if let Command::Adjust(adjust) = request.command() {
            let law = "an adjustment cuts the holds that it may, and says what they lack";
            ensure(self.naive.releases_as_asked(adjust, &self.memory, &decided), law)?;
        }
        self.naive.moves_as_asked(request.command(), &self.memory, &decided)?;
        if let (Command::AllocateOrder(order), Ok((Accepted::New(_), _))) = (request.command(), &answer) {
            let law = "an order that was allocated holds nothing of a blocked or an expired lot";
            ensure(self.holds_what_may_leave(&order.id, now), law)?;
        }
        if let (Ok((Accepted::New(_), _)), Some(event)) = (&answer, events.first()) {
            ensure(self.gives_what_can_be_done(&event.fact, now), "what is claimed can be done")?;
        }
        match answer {
            Err(refusal) => {
                *self.tally.refusals.entry(refusal.code()).or_default() += 1;
                ensure(decided == Err(refusal), "decide and submit refuse alike")?;
                ensure(events.is_empty(), "a refusal is no event")?;
                same(&before, &rows(&self.memory), "a refusal changes nothing")
            }
            Ok((Accepted::Repeat(repeat), changes)) if !events.is_empty() => {
                self.tally.repeats += 1;
                let noted = Fact::RequestNoted { of: repeat.of };
                ensure(events.len() == 1 && events[0].fact == noted, "a repeat is noted, or no event")?;
                ensure(events[0].keyed.is_some(), "what is noted is a key")?;
                self.same_outcome(repeat.of)?;
                self.tells_what_was_asked_for(request.command(), &repeat)?;
                self.happened(&before, changes, &events, now)
            }
            Ok((Accepted::Repeat(repeat), _)) => {
                self.tally.repeats += 1;
                self.same_outcome(repeat.of)?;
                self.tells_what_was_asked_for(request.command(), &repeat)?;
                same(&before, &rows(&self.memory), "a repeat changes nothing")
            }
            Ok((Accepted::DryRun(event), _)) => {
                self.tally.dry_runs += 1;
                let _ = outcome(&self.memory, &event);
                ensure(events.is_empty(), "a dry run is no event")?;
                same(&before, &rows(&self.memory), "a dry run changes nothing")
            }
            Ok((Accepted::New(sequence), changes)) => {
                let event = events.first().ok_or("what is new is an event")?;
                ensure(event.sequence == sequence, "the answer names the event")?;
                ensure(
                    decided == Ok(Decision::Event(Box::new(event.clone()))),
                    "deciding twice is deciding alike",
                )?;
                self.happened(&before, changes, &events, now)
            }
        }
    }

    fn ask_all(&mut self, commands: Vec<Command>, now: Timestamp) -> Result<(), String> {
        self.tell(format_args!("{now} atomic {commands:?}"));
        let mut requests: Vec<_> =
            commands.into_iter().filter_map(|command| request(command, None)).collect();
        for request in &mut requests {
            self.lend(request);
        }
        let before = rows(&self.memory);
        let mut events = Vec::new();
        let answer = turn::submit_atomic(&mut self.memory, &requests, now, &mut events);
        self.tell(format_args!("    {answer:?}"));
        let forgetful = self.forgetful.submit_atomic(&requests, now);
        ensure(events == forgetful, "forgetful tables come to the same events")?;
        match answer {
            Err(refused) => {
                self.tally.atomic_refused += 1;
                ensure(!refused.is_empty(), "a request refused it")?;
                ensure(refused.is_sorted_by(|(a, _), (b, _)| a < b), "each is told once, in order")?;
                ensure(refused.iter().all(|(index, _)| *index < requests.len()), "they are of the batch")?;
                ensure(events.is_empty(), "what was taken back is no event")?;
                check::check(&self.memory).map_err(|wrong| format!("after a refused batch: {wrong:#?}"))?;
                same(&before, &rows(&self.memory), "a refused atomic batch changes nothing")
            }
            Ok((accepted, changes)) => {
                ensure(accepted.len() == requests.len(), "one answer for each request")?;
                self.happened(&before, changes, &events, now)
            }
        }
    }

    /// What must hold after events: they can be undone and done again, the books balance, and the model agrees.
    fn happened(
        &mut self,
        before: &[Row],
        changes: Changes,
        events: &[Event],
        now: Timestamp,
    ) -> Result<(), String> {
        let after = rows(&self.memory);
        check::check(&self.memory).map_err(|wrong| format!("the books do not balance: {wrong:#?}"))?;
        changes.undo(&mut self.memory);
        same(before, &rows(&self.memory), "undoing takes everything back")?;
        for event in events {
            apply(&mut self.memory, event);
            ensure(event.sequence.0 == self.events.len() as u64 + 1, "events are numbered without gaps")?;
            ensure(self.events.last().is_none_or(|last| last.at <= event.at), "time never runs backwards")?;
            if event.by == turn::system() {
                self.tell(format_args!("    {:?}", event.fact));
            }
            self.remember(event.clone());
        }
        same(&after, &rows(&self.memory), "doing it again comes to the same")?;
        self.naive.agrees(&self.memory, now)
    }

    fn lend(&self, request: &mut Request) {
        let Some(id) = request.wanted_movement() else { return };
        let Some(event) =
            id.sequence.0.checked_sub(1).and_then(|at| self.events.get(usize::try_from(at).ok()?))
        else {
            return;
        };
        let kind = event.fact.document().map_or("reversal", |(kind, _)| kind);
        let mut movements = Vec::new();
        event.fact.movements(|movement| movements.push(movement));
        if let Some(movement) = movements.into_iter().nth(id.index as usize) {
            request.lend_movement(movement, kind);
        }
    }

    fn predict(&self, request: &Request, now: Timestamp) -> Option<Prediction> {
        if request.key().is_some_and(|key| self.memory.answered(key).is_some()) {
            return None;
        }
        if let Some(fenced) = request.fence()
            && self.memory.fence(fenced.resource()).is_some_and(|row| fenced.fence() < row.fence)
        {
            return None;
        }
        match request.command() {
            Command::PlaceHold(hold) if self.memory.hold(&hold.id).is_none() => {
                self.naive.hold_gets(hold, &self.memory, now)
            }
            Command::AllocateTransfer(transfer) => self.naive.transfer_gets(transfer, now),
            Command::PlaceOrder(order) if self.memory.order(&order.id).is_none() => {
                self.naive.order_gets(order, &self.memory, now)
            }
            Command::Checkout(checkout) => self.naive.checkout(checkout, &self.memory, now),
            Command::ClaimOrders(claim) => self.naive.in_line(claim, &self.memory, now),
            _ => None,
        }
    }

    fn holds_what_may_leave(&self, order: &Code, now: Timestamp) -> bool {
        let Some(order) = self.memory.order(order) else { return false };
        let mut picks = order.lines.iter().flat_map(|line| &line.picks);
        picks.all(|pick| self.may_leave(pick.location, pick.lot, now))
    }

    fn may_leave(&self, location: LocationId, lot: LotId, now: Timestamp) -> bool {
        if lot == LotId::NONE {
            return true;
        }
        let (site, lot) = (self.memory.location(location).site, self.memory.lot(lot));
        let today = self.memory.site(site).time_zone.day(now);
        !lot.blocked && lot.expires_on.is_none_or(|last| last >= today)
    }

    /// Whether all that a claim gives can be done: an order holds nothing that may not leave, and of the picks something may.
    fn gives_what_can_be_done(&self, fact: &Fact, now: Timestamp) -> bool {
        let works = match fact {
            Fact::OrderClaimed { id, .. } => return self.holds_what_may_leave(id, now),
            Fact::OrdersClaimed { ids, .. } => {
                return ids.iter().all(|id| self.holds_what_may_leave(id, now));
            }
            Fact::TransferClaimed { id, zones, .. } => {
                zones.iter().map(|zone| (id.clone(), zone.clone())).collect()
            }
            Fact::PicksClaimed { works, .. } => {
                works.iter().map(|work| (work.transfer.clone(), work.zone.clone())).collect()
            }
            _ => Vec::new(),
        };
        works.iter().all(|(transfer, zone)| {
            let lines = self.memory.pick_lines(transfer, zone).into_iter();
            let mut picks = lines.flat_map(|line| self.memory.line(transfer, line).picks);
            picks.any(|pick| {
                self.memory.location(pick.location).zone == *zone
                    && self.may_leave(pick.location, pick.lot, now)
            })
        })
    }

    /// Who claims by its id what he has is told of that alone, and of a claim that stands, how it stands.
    fn tells_what_was_asked_for(&self, command: &Command, repeat: &Repeat) -> Result<(), String> {
        let event = &self.events[usize::try_from(repeat.of.0 - 1).unwrap()];
        let told = repeat.outcome(&self.memory, event);
        let law = "a claim by its id tells of what it asked for, as it stands";
        match command {
            Command::ClaimOrder(ClaimOrder { id, .. }) => {
                let ClaimView { order, fence, expires_at } = match told.claims.as_slice() {
                    [claim] => claim.clone(),
                    claims => return Err(format!("{law}, not {claims:?}")),
                };
                let stands = self.memory.order(id).and_then(|order| order.claim);
                let stands = stands.filter(|claim| claim.fence == fence).map(|claim| claim.expires_at);
                ensure(order == *id && stands.is_none_or(|stands| stands == expires_at), law)
            }
            Command::ClaimTransfer(ClaimTransfer { id, zone, .. }) => {
                ensure(!told.pick_claims.is_empty(), law)?;
                told.pick_claims.iter().try_for_each(|PickClaimView { work, fence, expires_at }| {
                    let asked = work.transfer == *id && zone.as_ref().is_none_or(|zone| *zone == work.zone);
                    let stands = self.memory.pick_work(id, &work.zone).and_then(|work| work.claim);
                    let stands = stands.filter(|claim| claim.fence == *fence).map(|claim| claim.expires_at);
                    ensure(asked && stands.is_none_or(|stands| stands == *expires_at), law)
                })
            }
            _ => ensure(told == outcome(&self.memory, event), "a repeat tells the outcome of its event"),
        }
    }

    fn same_outcome(&mut self, sequence: Sequence) -> Result<(), String> {
        let at = usize::try_from(sequence.0 - 1).unwrap();
        let again = outcome(&self.memory, &self.events[at]);
        ensure(again == self.outcomes[at], "the outcome of an event never changes")?;
        let told = self.forgetful.outcome(&self.events[at]);
        ensure(told == again, "forgetful tables tell the same outcome")
    }

    /// Tables rebuilt from the rows of these, which must say the same.
    fn rebuilt(&self) -> Result<Memory, String> {
        let mut rebuilt = Memory::new();
        for row in self.memory.rows() {
            rebuilt.put(row);
        }
        same(&rows(&self.memory), &rows(&rebuilt), "rows rebuild the tables")?;
        for query in self.queries() {
            let (ours, theirs) = (self.memory.query(&query, self.now), rebuilt.query(&query, self.now));
            ensure(ours == theirs, &format!("rebuilt tables answer alike: {query:?}\n{ours:?}\n{theirs:?}"))?;
        }
        ensure(
            (self.memory.counts(), self.memory.next_due()) == (rebuilt.counts(), rebuilt.next_due()),
            "rebuilt tables count alike",
        )?;
        self.pages_go_on_in(&rebuilt)?;
        holds_are_listed(&self.memory, self.now)?;
        holds_are_listed(&rebuilt, self.now)?;
        lot_holders_are_listed(&self.memory, self.now)?;
        lot_holders_are_listed(&rebuilt, self.now)?;
        Ok(rebuilt)
    }

    /// A list of positions goes on where its last page ended, whether or not the tables were rebuilt in between.
    fn pages_go_on_in(&self, rebuilt: &Memory) -> Result<(), String> {
        let first = self.memory.rows().find_map(|row| match row {
            Row::Position(place, _) => Some(place),
            _ => None,
        });
        let Some(place) = first else { return Ok(()) };
        let row = self.memory.location(place.location);
        let (site, location) = (self.memory.site(row.site).code.clone(), row.code.clone());
        let sku = self.memory.sku(place.sku).code.clone();
        for (site, location, sku) in [
            (None, None, None),
            (Some(site.clone()), None, None),
            (Some(site), Some(location), None),
            (None, None, Some(sku)),
        ] {
            let page_of = |memory: &Memory, after, limit| {
                let page = Page { after, limit };
                let (sku, site, location) = (sku.clone(), site.clone(), location.clone());
                match memory.query(&Query::Stock { sku, site, location, lot: None, page }, self.now) {
                    Ok(View::Stock(list)) => Ok(list),
                    other => Err(format!("a list of positions: {other:?}")),
                }
            };
            let all = page_of(&self.memory, None, 1_000)?.items;
            let (mut found, mut after) = (Vec::new(), None);
            for memory in [&self.memory, rebuilt].into_iter().cycle() {
                let page = page_of(memory, after, 2)?;
                found.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            ensure(
                found == all,
                &format!("pages across a restart give {found:?}, and at once it is {all:?}"),
            )?;
        }
        Ok(())
    }

    fn queries(&self) -> Vec<Query> {
        let mut queries = Vec::new();
        for row in self.memory.rows() {
            match row {
                Row::Hold(id, _) => queries.push(Query::Hold(id)),
                Row::Transfer(id, _) => {
                    queries.push(Query::Explain { transfer: id.clone(), line: None });
                    queries.push(Query::Transfer(id));
                }
                Row::Wallet(owner, _) => queries.push(Query::Wallet(owner)),
                Row::Authorization(id, _) => queries.push(Query::Authorization(id)),
                Row::Order(id, _) => queries.push(Query::Order(id)),
                Row::Proposal(id, _) => queries.push(Query::Proposal(id)),
                Row::Card(card, Some(row)) => {
                    let page = Page { after: None, limit: 10 };
                    queries.push(Query::Card(card.clone()));
                    queries.push(Query::Cards { owner: Some(row.owner), page });
                    let (card, status) = (Some(card), Some(ProposalStatus::Open));
                    queries.push(Query::Proposals { card, owner: None, status, page });
                }
                Row::Cart(id, _) => queries.push(Query::Cart(id)),
                Row::Sku(_, Some(sku)) => queries.push(Query::SkuStock(sku.code)),
                Row::Lot(_, Some(lot)) => {
                    let sku = self.memory.sku(lot.sku).code.clone();
                    queries.push(Query::Trace { sku, lot: lot.code });
                }
                Row::Position(place, _) => {
                    let location = self.memory.location(place.location);
                    let lot = (place.lot != LotId::NONE).then(|| self.memory.lot(place.lot));
                    queries.push(Query::Stock {
                        sku: Some(self.memory.sku(place.sku).code.clone()),
                        site: Some(self.memory.site(location.site).code.clone()),
                        location: Some(location.code.clone()),
                        lot: lot.map(|lot| lot.code.clone()),
                        page: Page { after: None, limit: 10 },
                    });
                }
                _ => {}
            }
        }
        queries.push(Query::Wallets(Page { after: None, limit: 10 }));
        queries.push(Query::Wallets(Page { after: Some(30), limit: 1 }));
        queries.push(Query::PriceTiers);
        queries.push(Query::Cards { owner: None, page: Page { after: None, limit: 10 } });
        for (owner, limit) in [(None, 100), (None, 1), (Some(code("kim")), 2)] {
            queries.push(Query::Carts { site: None, owner, page: Page { after: None, limit } });
        }
        queries
    }

    /// What must hold when everything is over: history tells the whole truth.
    fn the_end(&mut self) -> Result<(), String> {
        self.rebuilt()?;
        let mut replayed = Memory::new();
        for event in &self.events {
            apply(&mut replayed, event);
        }
        same(&rows(&self.memory), &rows(&replayed), "replaying all events comes to the same")?;
        self.nothing_is_forgotten()?;
        for sequence in (1..=self.events.len() as u64).map(Sequence) {
            self.same_outcome(sequence)?;
        }
        Ok(())
    }

    /// The tables that forget have all rows as well, show the same, and replay to the same.
    fn nothing_is_forgotten(&mut self) -> Result<(), String> {
        same(&rows(&self.memory), &self.forgetful.rows(), "forgetful tables have the same rows")?;
        let mut replayed = Forgetful::default();
        for event in &self.events {
            replayed.apply(event);
        }
        same(&rows(&self.memory), &replayed.rows(), "forgetful tables replay to the same")?;
        let now = self.now;
        periods_are_listed(&mut |query| self.memory.query(query, now))?;
        periods_are_listed(&mut |query| self.forgetful.query(query, now))?;
        let mut queries = self.queries();
        for limit in [1, 2, 5] {
            let mut after = None;
            // Pages of a list, each after the one before.
            loop {
                let page = Page { after, limit };
                let requested = Period::default();
                let query =
                    Query::Transfers { status: None, from: None, to: None, worker: None, requested, page };
                let Ok(View::Transfers(list)) = self.memory.query(&query, self.now) else { break };
                after = list.next;
                queries.push(query);
                if after.is_none() {
                    break;
                }
            }
            let statuses =
                std::iter::once(None).chain(OrderStatus::ALL.map(Some)).map(|status| (status, None));
            for (status, allocated) in statuses.chain([true, false].map(|allocated| (None, Some(allocated))))
            {
                let mut after = None;
                loop {
                    let page = Page { after, limit };
                    let (site, customer, worker) = (None, None, None);
                    let placed = Period::default();
                    let query = Query::Orders { site, status, customer, worker, allocated, placed, page };
                    let Ok(View::Orders(list)) = self.memory.query(&query, self.now) else { break };
                    after = list.next;
                    queries.push(query);
                    if after.is_none() {
                        break;
                    }
                }
            }
        }
        queries.extend(self.pages_of_proposals());
        for query in queries {
            let (ours, theirs) =
                (self.memory.query(&query, self.now), self.forgetful.query(&query, self.now));
            let law = format!("forgetful tables show the same: {query:?}\n{ours:?}\n{theirs:?}");
            match (&ours, &theirs) {
                (Ok(View::Transfers(ours)), Ok(View::Transfers(theirs))) => {
                    ensure(ours.items == theirs.items, &law)?;
                }
                // A page that left something out for its filter may end earlier where a part lies elsewhere.
                (Ok(View::Orders(ours)), Ok(View::Orders(theirs))) => {
                    let (ours, theirs) = (&ours.items, &theirs.items);
                    let filtered = !matches!(query, Query::Orders { status: None, allocated: None, .. });
                    ensure(ours == theirs || filtered && ours.starts_with(theirs), &law)?;
                }
                (Ok(View::Proposals(ours)), Ok(View::Proposals(theirs))) => {
                    let (ours, theirs) = (&ours.items, &theirs.items);
                    let filtered = !matches!(query, Query::Proposals { owner: None, status: None, .. });
                    ensure(ours == theirs || filtered && ours.starts_with(theirs), &law)?;
                }
                _ => ensure(ours == theirs, &law)?,
            }
        }
        Ok(())
    }

    /// Pages of all proposals, of those of each status and of those of an owner, each after the one before.
    fn pages_of_proposals(&self) -> Vec<Query> {
        let statuses = ProposalStatus::ALL.map(|status| (Some(status), None));
        let filters = [(None, None), (None, Code::new("owner", "kim").ok())].into_iter().chain(statuses);
        let mut queries = Vec::new();
        for ((status, owner), limit) in
            filters.flat_map(|filter| [1, 2, 5].map(|limit| (filter.clone(), limit)))
        {
            let mut after = None;
            loop {
                let page = Page { after, limit };
                let query = Query::Proposals { card: None, owner: owner.clone(), status, page };
                let Ok(View::Proposals(list)) = self.memory.query(&query, self.now) else { break };
                after = list.next;
                queries.push(query);
                if after.is_none() {
                    break;
                }
            }
        }
        queries
    }
}

fn holds_true(prediction: &Prediction, decided: &Result<Decision, Refusal>) -> Result<(), String> {
    if let Prediction::Gives(line) = prediction {
        let ids = match decided {
            Ok(Decision::Event(event)) => match &event.fact {
                Fact::OrdersClaimed { ids, .. } => ids.as_slice(),
                other => return Err(format!("{other:?} was not foretold")),
            },
            Err(Refusal::NothingToClaim { .. }) => &[],
            other => return Err(format!("{prediction:?} was foretold, and it is {other:?}")),
        };
        return ensure(line.gives(ids), &format!("a claim gives the first of {line:?}, not {ids:?}"));
    }
    let got = match decided {
        Ok(Decision::Event(event)) => {
            let (takes, short): (_, Vec<_>) = match &event.fact {
                Fact::Held { takes, short, .. } => {
                    (takes.as_slice(), short.iter().map(|short| (short.line, short.available)).collect())
                }
                Fact::TransferAllocated { takes, short, .. } => {
                    (takes.as_slice(), short.iter().map(|short| (short.line, short.available)).collect())
                }
                Fact::OrderPlaced { takes, short, .. } => {
                    (takes.as_slice(), short.iter().map(|short| (short.line, short.available)).collect())
                }
                Fact::CartOrdered { total, lines, takes, .. } => {
                    for (line, number) in lines.iter().zip(0..) {
                        let of_line = takes.iter().filter(|take| take.line == number);
                        let got: u64 = of_line.map(|take| take.quantity.get()).sum();
                        ensure(got == line.quantity.get(), "who pays gets all")?;
                    }
                    let paid = Prediction::Buys(i128::from(total.get()));
                    return ensure(
                        paid == *prediction,
                        &format!("{prediction:?} was foretold, not {paid:?}"),
                    );
                }
                other => return Err(format!("{other:?} was not foretold")),
            };
            let mut got: BTreeMap<u32, u64> = short.iter().map(|(line, _)| (*line, 0)).collect();
            for take in takes {
                *got.entry(take.line).or_default() += take.quantity.get();
            }
            for (line, available) in short {
                ensure(got[&line] == available.get(), "a shortage tells what there was")?;
            }
            Prediction::Gets(got.into_iter().collect())
        }
        Err(Refusal::NotStockedHere { .. }) => Prediction::NotStocked,
        Err(Refusal::InsufficientStock { shortages }) => Prediction::Lacks(
            shortages
                .iter()
                .map(|short| (short.line.as_str().parse::<u32>().unwrap() - 1, short.available.get()))
                .collect(),
        ),
        Err(Refusal::CheckoutBlocked { shortages, funds, .. }) => Prediction::Blocked {
            lacks: shortages.iter().map(|short| (short.sku.clone(), short.available.get())).collect(),
            funds: funds.as_ref().map(|funds| i128::from(funds.available)),
        },
        // How much may have been sold in all is not foretold.
        Err(Refusal::AmountTooLarge { .. }) if matches!(prediction, Prediction::Buys(_)) => return Ok(()),
        other => return Err(format!("{prediction:?} was foretold, and it is {other:?}")),
    };
    ensure(got == *prediction, &format!("{prediction:?} was foretold, and it is {got:?}"))
}

fn ensure(holds: bool, law: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("broken: {law}")) }
}

fn rows(memory: &Memory) -> Vec<Row> {
    memory.rows().collect()
}

/// The same rows, in any order.
fn same(before: &[Row], after: &[Row], law: &str) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let sorted = |rows: &[Row]| {
        let mut texts: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        texts.sort_unstable();
        texts
    };
    let (before, after) = (sorted(before), sorted(after));
    if before == after {
        return Ok(());
    }
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|row| !those.contains(row)).cloned().collect::<Vec<_>>().join("\n    ")
    };
    Err(format!(
        "broken: {law}\nonly before:\n    {}\nonly after:\n    {}",
        only(&before, &after),
        only(&after, &before)
    ))
}
