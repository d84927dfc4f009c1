//! An engine and the plain store that get the same requests at the same times, so that they tell the same past.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jaego_domain::{
    Code, Command, MovementId, Name, Outside, Quantity, Refusal, Request, Sequence, Strategy, TimeZone,
    Timestamp,
    command::{
        Adjust, AdjustLine, AllocateTransfer, Change, CloseTransfer, ConfirmHold, HoldLine, Move, MoveLine,
        PickTransfer, PlaceHold, ReceiveLine, ReceiveTransfer, RequestTransfer, Reverse, SetLocation, SetLot,
        SetSite, SetSku, ShipTransfer, TransferLine,
    },
    row::{LocationKind, Tracking},
};
use jaego_engine::{
    Config, Engine, Limits,
    disk::Disk,
    journal::{self, Preparation},
    open,
    sim_disk::{Dice, SimDisk},
};
use jaego_store::{
    BalanceFilter, BalancePoint, Batch, Done, MovementFilter, MovementView, PastPosition, Reference, Results,
    StockAsOf, Store,
};

use super::super::{
    promises::until,
    world::{code, quantity},
};

pub(crate) const BEGIN: u64 = 1_772_323_200_000;
pub(crate) const SITES: [&str; 3] = ["ICN", "PUS", "LAX"];
pub(crate) const SKUS: [&str; 4] = ["mug", "cup", "tea", "milk"];
const LOTS: [&str; 2] = ["L1", "L2"];
pub(crate) const STORAGE: [&str; 3] = ["A-1", "A-2", "A-3"];

/// Segments of some dozens of events, so that a short history has many of them.
pub(crate) fn config() -> Config {
    let journal = journal::Config { segment_len: 32 << 10, preparation: Preparation::Inline };
    let limits = Limits { frame_bytes: 4 << 10, atomic_bytes: 8 << 10, lines_before_yield: 64 };
    Config { journal, limits, checkpoint_segments: 4, ..Config::default() }
}

pub(crate) struct Twin {
    pub(crate) disk: SimDisk,
    pub(crate) engine: Arc<Engine>,
    pub(crate) plain: Reference,
    clock: Arc<AtomicU64>,
    dice: Dice,
    documents: u64,
    /// Transfers and holds that were asked for.
    transfers: Vec<Code>,
    holds: Vec<Code>,
    last: Sequence,
}

fn start(disk: SimDisk, clock: &Arc<AtomicU64>) -> Arc<Engine> {
    let hand = Arc::clone(clock);
    let recovered = open(disk, config().journal, |_| {}).unwrap();
    Engine::start(recovered, config(), move || Timestamp(hand.load(Ordering::SeqCst)))
}

impl Twin {
    /// Sites with their bins, and SKUs of which one has lots.
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(BEGIN));
        let hand = Arc::clone(&clock);
        let plain = Reference::new(move || Timestamp(hand.load(Ordering::SeqCst)));
        let disk = SimDisk::new(seed);
        let engine = start(disk.clone(), &clock);
        let dice = Dice::new(seed);
        let (transfers, holds) = (Vec::new(), Vec::new());
        let last = Sequence(0);
        let mut twin = Self { disk, engine, plain, clock, dice, documents: 0, transfers, holds, last };
        let mut facts = Vec::new();
        for site in SITES {
            facts.push(Command::SetSite(SetSite {
                site: code(site),
                name: Name::default(),
                time_zone: TimeZone::new("Asia/Seoul").unwrap(),
                strategy: Strategy::PickOrder,
            }));
            let bins = STORAGE.map(|bin| (bin, LocationKind::Storage)).into_iter();
            let others = [
                ("S", LocationKind::Staging),
                ("R", LocationKind::Receiving),
                ("Q", LocationKind::Quarantine),
            ];
            facts.extend(bins.chain(others).map(|(location, kind)| {
                Command::SetLocation(SetLocation {
                    site: code(site),
                    location: code(location),
                    zone: Name::default(),
                    pick_order: 1,
                    kind,
                })
            }));
        }
        for sku in SKUS {
            let tracking = if sku == "milk" { Tracking::Lot } else { Tracking::None };
            facts.push(Command::SetSku(SetSku {
                sku: code(sku),
                name: Name::default(),
                tracking,
                safety_stock: Vec::new(),
                prices: Vec::new(),
            }));
        }
        for lot in LOTS {
            facts.push(Command::SetLot(SetLot {
                sku: code("milk"),
                lot: code(lot),
                received_on: None,
                expires_on: None,
                blocked: false,
            }));
        }
        for result in twin.send(facts) {
            result.unwrap();
        }
        twin
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, ms: u64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sends the same to both and holds their answers against each other.
    pub(crate) fn send(&mut self, commands: Vec<Command>) -> Vec<Result<Done, Refusal>> {
        let requests: Vec<_> = commands
            .into_iter()
            .filter_map(|command| Request::new(command, None, code("tester")).ok())
            .collect();
        let answers = |store: &dyn Store| {
            let batch = Batch { requests: requests.clone(), atomic: false };
            match store.submit(batch).wait().unwrap() {
                jaego_store::Answers { results: Results::Each(each), sequence } => (each, sequence),
                other => panic!("{other:?}"),
            }
        };
        let ((ours, sequence), (plain, _)) = (answers(&*self.engine), answers(&self.plain));
        assert_eq!(ours, plain);
        self.last = sequence;
        ours
    }

    /// Some random commands, and then some time.
    pub(crate) fn step(&mut self) {
        let count = 1 + self.dice.below(8);
        let commands = (0..count).map(|_| self.command()).collect();
        self.send(commands);
        if self.dice.one_in(3) {
            let ms = [1, 1, 10, 1_000, 60_000, 3_600_000][self.dice.below(6)];
            self.clock.fetch_add(ms, Ordering::SeqCst);
        }
    }

    pub(crate) fn one_of(&mut self, codes: &[&str]) -> Code {
        code(codes[self.dice.below(codes.len())])
    }

    fn document(&mut self) -> Code {
        self.documents += 1;
        code(&format!("D{}", self.documents))
    }

    fn units(&mut self) -> Quantity {
        quantity(1 + self.dice.throw() % 9)
    }

    fn sku_and_lot(&mut self) -> (Code, Option<Code>) {
        let sku = self.one_of(&SKUS);
        let lot = (sku.as_str() == "milk").then(|| self.one_of(&LOTS));
        (sku, lot)
    }

    fn old(&mut self, documents: fn(&Self) -> &Vec<Code>) -> Code {
        let count = documents(self).len();
        let Some(last) = count.checked_sub(1) else { return code("nobody") };
        // Mostly a young one: the old ones have ended.
        let back = self.dice.below(6).min(last);
        documents(self)[last - back].clone()
    }

    fn command(&mut self) -> Command {
        match self.dice.below(14) {
            0..=3 => self.adjustment(),
            4 => {
                let (sku, lot) = self.sku_and_lot();
                let (from, to) = (self.one_of(&STORAGE), self.one_of(&STORAGE));
                let lines = vec![MoveLine { sku, lot, quantity: self.units(), from, to }];
                let reason = Name::new("reason", "tidy").unwrap();
                let (id, site) = (self.document(), self.one_of(&SITES));
                Command::Move(Move { id, site, reason, lines, with_holds: false })
            }
            5 => {
                // Not one of this very batch, which the engine cannot look up yet.
                let sequence = Sequence(1 + self.dice.throw() % self.last.0);
                let movement = MovementId { sequence, index: 0 };
                Command::Reverse(Reverse { movement, original: None })
            }
            6 => {
                let id = self.document();
                self.holds.push(id.clone());
                let (sku, lot) = self.sku_and_lot();
                let line =
                    HoldLine { site: self.one_of(&SITES), sku, quantity: self.units(), location: None, lot };
                Command::PlaceHold(PlaceHold {
                    id,
                    owner: None,
                    lines: [line].into_iter().collect(),
                    expires_in_ms: None,
                    partial: false,
                    strategy: None,
                })
            }
            7 => {
                let id = self.old(|twin| &twin.holds);
                Command::ConfirmHold(ConfirmHold { id, lines: None, to: None, release_rest: false })
            }
            8 => {
                let id = self.document();
                self.transfers.push(id.clone());
                let lines = (1..=1 + self.dice.below(3)).map(|line| {
                    let (sku, lot) = self.sku_and_lot();
                    TransferLine { line: code(&line.to_string()), sku, quantity: self.units(), lot }
                });
                let lines = lines.collect();
                let (from, to) = (self.one_of(&SITES), self.one_of(&SITES));
                Command::RequestTransfer(RequestTransfer { id, from, to, priority: 0, lines })
            }
            9 => {
                let id = self.old(|twin| &twin.transfers);
                Command::AllocateTransfer(AllocateTransfer {
                    id,
                    strategy: None,
                    partial: true,
                    lines: None,
                    dry_run: false,
                })
            }
            10 => {
                let id = self.old(|twin| &twin.transfers);
                Command::PickTransfer(PickTransfer { id, lines: None, claimant: None, staging: None })
            }
            11 => {
                let (id, shipment) = (self.old(|twin| &twin.transfers), self.document());
                Command::ShipTransfer(ShipTransfer { id, shipment, lines: None })
            }
            12 => {
                let id = self.old(|twin| &twin.transfers);
                let received = self.units();
                let line =
                    |quantity| ReceiveLine { line: code("1"), lot: None, quantity, damaged: Quantity::ZERO };
                let lines = self.dice.one_in(2).then(|| vec![line(received)]);
                Command::ReceiveTransfer(ReceiveTransfer { id, lines, location: None, quarantine: None })
            }
            _ => Command::CloseTransfer(CloseTransfer { id: self.old(|twin| &twin.transfers) }),
        }
    }

    fn adjustment(&mut self) -> Command {
        let lines = (0..1 + self.dice.below(3)).map(|_| {
            let (sku, lot) = self.sku_and_lot();
            let units = self.units();
            let change = match self.dice.below(3) {
                0 => Change::Remove(units, Outside::Loss),
                _ => Change::Add(units, Outside::Supplier),
            };
            AdjustLine { site: self.one_of(&SITES), location: self.one_of(&STORAGE), sku, lot, change }
        });
        let lines = lines.collect();
        Command::Adjust(Adjust { id: self.document(), reason: Name::default(), lines, release: None })
    }

    /// The names of the indexes that are there.
    pub(crate) fn indexes(&self) -> Vec<String> {
        let names = self.disk.list().unwrap();
        names.into_iter().filter(|name| name.ends_with(".index")).collect()
    }

    /// Waits until every sealed segment has its index.
    pub(crate) fn wait_for_indexes(&self) {
        until("every sealed segment has an index", || {
            let names = self.disk.list().unwrap();
            let segments = names.iter().filter(|name| name.ends_with(".journal")).count();
            self.indexes().len() + 1 == segments
        });
    }

    /// Stops, archives the oldest sealed segments that no checkpoint needs, and starts again. Gives the first sequence
    /// that is kept.
    pub(crate) fn archive(&mut self) -> u64 {
        until("a checkpoint is written", || self.engine.checkpoint().0 > 100);
        self.engine.close().unwrap();
        let mut recovered = open(self.disk.clone(), config().journal, |_| {}).unwrap();
        let floor = recovered.checkpoint.unwrap().0 / 2;
        recovered.journal.raise_floor(floor).unwrap();
        let first = recovered.journal.reader().first_sequence();
        recovered.journal.close().unwrap();
        self.engine = start(self.disk.clone(), &self.clock);
        first
    }

    /// An engine on another disk, with the same clock.
    pub(crate) fn start_beside(&self, disk: SimDisk) -> Arc<Engine> {
        start(disk, &self.clock)
    }

    /// Stops, does something to what is on the disk, and starts again.
    pub(crate) fn restart(&mut self, between: impl FnOnce(&SimDisk)) {
        self.engine.close().unwrap();
        between(&self.disk);
        self.engine = start(self.disk.clone(), &self.clock);
    }

    /// All movements that match, page by page from the engine and at once from the plain store.
    pub(crate) fn same_movements(&mut self, filter: &MovementFilter) -> usize {
        let limit = 1 + self.dice.below(40);
        let expected = MovementFilter { limit: usize::MAX, ..filter.clone() };
        let expected = self.plain.movements(expected).wait().unwrap().movements;
        let mut found: Vec<MovementView> = Vec::new();
        let mut after = filter.after;
        loop {
            let page = MovementFilter { after, limit, ..filter.clone() };
            let page = self.engine.movements(page).wait().unwrap();
            assert!(page.movements.len() <= limit);
            found.extend(page.movements);
            let Some(next) = page.next else { break };
            assert!(after.is_none_or(|after| next > after), "{filter:?}: it does not go on");
            after = Some(next);
        }
        assert_eq!(found, expected, "{filter:?}");
        found.len()
    }

    /// A filter of some of the conditions.
    pub(crate) fn filter(&mut self) -> MovementFilter {
        let mut filter = MovementFilter::default();
        if self.dice.one_in(2) {
            filter.sku = Some(self.one_of(&SKUS));
        }
        if self.dice.one_in(3) {
            filter.site = Some(self.one_of(&SITES));
        }
        if self.dice.one_in(5) {
            (filter.sku, filter.lot) = (Some(code("milk")), Some(self.one_of(&LOTS)));
        }
        if self.dice.one_in(4) {
            filter.document = Some(code(&format!("D{}", self.dice.throw() % (self.documents + 2))));
        }
        if self.dice.one_in(3) {
            filter.since = Some(self.time());
        }
        if self.dice.one_in(3) {
            filter.until = Some(self.time());
        }
        if self.dice.one_in(4) {
            let sequence = Sequence(self.dice.throw() % (self.last.0 + 2));
            filter.after = Some(MovementId { sequence, index: u32::from(self.dice.one_in(2)) });
        }
        filter
    }

    /// A time from before the first event to now.
    pub(crate) fn time(&mut self) -> Timestamp {
        let lived = self.now() - BEGIN + 2;
        Timestamp(BEGIN - 1 + self.dice.throw() % lived)
    }
}

/// An answer of the past: what was read, or why not.
type Told<T> = Result<T, Refusal>;

impl Twin {
    /// What lay where, page by page from the engine and at once from the plain store.
    pub(crate) fn same_stock(&mut self, filter: &StockAsOf) -> usize {
        let limit = 1 + self.dice.below(30);
        let expected = StockAsOf { limit: usize::MAX, ..filter.clone() };
        let expected = self.plain.stock_as_of(expected).wait().unwrap().value.map(|page| page.positions);
        let read = || -> Told<Vec<PastPosition>> {
            let mut found = Vec::new();
            let mut after = filter.after;
            loop {
                let page = StockAsOf { after, limit, ..filter.clone() };
                let page = self.engine.stock_as_of(page).wait().unwrap().value?;
                assert!(page.positions.len() <= limit);
                found.extend(page.positions);
                let Some(next) = page.next else { return Ok(found) };
                assert!(after.is_none_or(|after| next > after), "{filter:?}: it does not go on");
                after = Some(next);
            }
        };
        let found = read();
        assert_eq!(found, expected, "{filter:?}");
        found.map_or(0, |found| found.len())
    }

    /// A balance over time, in the same way.
    pub(crate) fn same_balance(&mut self, filter: &BalanceFilter) -> Told<Vec<BalancePoint>> {
        let limit = 1 + self.dice.below(30);
        let expected = BalanceFilter { limit: usize::MAX, ..filter.clone() };
        let expected = self.plain.balances(expected).wait().unwrap().value.map(|page| page.points);
        let read = || -> Told<Vec<BalancePoint>> {
            let mut found = Vec::new();
            let mut after = filter.after;
            loop {
                let page = BalanceFilter { after, limit, ..filter.clone() };
                let page = self.engine.balances(page).wait().unwrap().value?;
                assert!(page.points.len() <= limit);
                found.extend(page.points);
                let Some(next) = page.next else { return Ok(found) };
                assert!(after.is_none_or(|after| next > after), "{filter:?}: it does not go on");
                after = Some(next);
            }
        };
        let found = read();
        assert_eq!(found, expected, "{filter:?}");
        found
    }

    /// Some positions at some time, now and then of things that there are not.
    pub(crate) fn stock_filter(&mut self) -> StockAsOf {
        let mut filter = stock_at(self.time().0);
        if self.dice.one_in(2) {
            filter.sku = Some(self.one_of(&SKUS));
        }
        if self.dice.one_in(2) {
            filter.site = Some(self.one_of(&SITES));
        }
        if self.dice.one_in(4) {
            filter.location = Some(self.one_of(&["A-1", "A-2", "S", "R", "Q", "nowhere"]));
        }
        if self.dice.one_in(5) {
            filter.lot = Some(self.one_of(&["L1", "L2", "L9"]));
            if self.dice.one_in(2) {
                filter.sku = Some(code("milk"));
            }
        }
        if self.dice.one_in(20) {
            filter.sku = Some(code("ghost"));
        }
        if self.dice.one_in(20) {
            filter.as_of = Timestamp(self.now() + 1);
        }
        filter
    }

    /// Some balance over some time.
    pub(crate) fn balance_filter(&mut self) -> BalanceFilter {
        let sku = if self.dice.one_in(20) { code("ghost") } else { self.one_of(&SKUS) };
        let site = self.dice.one_in(2).then(|| self.one_of(&["ICN", "PUS", "LAX", "ICN", "NOWHERE"]));
        let since = self.dice.one_in(2).then(|| self.time());
        let until = self.dice.one_in(3).then(|| self.time());
        let after = self.dice.one_in(4).then(|| Sequence(self.dice.throw() % (self.last.0 + 2)));
        BalanceFilter { sku, site, since, until, after, limit: 1 }
    }
}

/// Everything as of a time.
pub(crate) fn stock_at(as_of: u64) -> StockAsOf {
    StockAsOf {
        sku: None,
        site: None,
        location: None,
        lot: None,
        as_of: Timestamp(as_of),
        after: None,
        limit: 1,
    }
}
