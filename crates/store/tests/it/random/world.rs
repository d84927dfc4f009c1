//! A small world, and plausible things to ask of it: few ids, so that repeats, conflicts and races occur.

mod carts;
mod orders;
mod picking;
mod trades;

use std::collections::BTreeSet;

use jaego_domain::{
    Amount, Code, Command, Currency, Date, LotId, Memory, MovementId, Name, Outside, Quantity, Request,
    Sequence, Strategy, Tables, TimeZone,
    command::{
        Adjust, AdjustLine, AllocateLine, AllocateTransfer, Authorize, CancelTransfer, Capture, Change,
        ChangeHold, CloseTransfer, ConfirmHold, ExtendHold, Fenced, HoldLine, HoldPart, HolderName, Lines,
        Move, MoveLine, Payment, PickLine, PickTransfer, PlaceHold, RaiseFence, ReceiveLine, ReceiveTransfer,
        Release, ReleaseHold, ReleaseTransfer, RequestTransfer, Reverse, SetLocation, SetLot, SetSite,
        SetSku, SetWalletLimit, ShipTransfer, ShortReason, TransferLine, TransferPart, UnpickTransfer, Void,
    },
    limits::{AMOUNT_MAX, QUANTITY_MAX},
    row::{self, HoldStatus, HolderKind, LocationKind, Tracking},
};

use crate::random::dice::Dice;

const SITES: [(&str, &str, Strategy); 3] = [
    ("A", "UTC", Strategy::Fefo),
    ("B", "Asia/Seoul", Strategy::FewestLocations),
    ("C", "America/Los_Angeles", Strategy::PickOrder),
];

const LOCATIONS: [(&str, &str, LocationKind); 13] = [
    ("A", "a1", LocationKind::Storage),
    ("A", "a2", LocationKind::Storage),
    ("A", "as", LocationKind::Staging),
    ("A", "ar", LocationKind::Receiving),
    ("B", "b1", LocationKind::Storage),
    ("B", "bs", LocationKind::Staging),
    ("B", "bt", LocationKind::Staging),
    ("B", "br", LocationKind::Receiving),
    ("B", "bq", LocationKind::Quarantine),
    ("C", "c1", LocationKind::Storage),
    ("C", "c2", LocationKind::Storage),
    ("C", "cr", LocationKind::Receiving),
    ("C", "cq", LocationKind::Quarantine),
];

/// The first of each kind of tracking is the one whose quantities go to the limit.
const SKUS: [(&str, Tracking); 8] = [
    ("much", Tracking::None),
    ("mug", Tracking::None),
    ("cup", Tracking::None),
    ("lots", Tracking::Lot),
    ("milk", Tracking::Lot),
    ("tea", Tracking::Lot),
    ("phone", Tracking::Serial),
    ("watch", Tracking::Serial),
];

const LOTS: [&str; 3] = ["L1", "L2", "L3"];
/// The random days begin on 1 March 2026 at midnight UTC.
const DAYS: [&str; 4] = ["2026-02-28", "2026-03-01", "2026-03-02", "2026-04-01"];

/// Where it is yesterday, today or tomorrow at most times of the day.
const TIME_ZONES: [&str; 4] = ["Pacific/Niue", "America/Los_Angeles", "Asia/Seoul", "Pacific/Kiritimati"];

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Wait { ms: u64 },
    Ask(Command, Option<Code>),
    Atomic(Vec<Command>),
}

pub(crate) struct World {
    dice: Dice,
    holds: u64,
    transfers: u64,
    orders: u64,
    carts: u64,
    papers: u64,
    authorizations: u64,
    proposals: u64,
    keys: u64,
    /// Commands that were sent, to be sent again.
    sent: Vec<(Command, Option<Code>)>,
}

pub(crate) fn code(text: &str) -> Code {
    Code::new("code", text).unwrap()
}

fn set_site(site: &str, zone: &str, strategy: Strategy) -> Command {
    let (site, name, time_zone) = (code(site), Name::default(), TimeZone::new(zone).unwrap());
    Command::SetSite(SetSite { site, name, time_zone, strategy })
}

fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).unwrap()
}

/// A third of those that have a key come with a fence, which says when the key was new.
pub(crate) fn request(command: Command, key: Option<Code>) -> Option<Request> {
    let number = key.as_ref().and_then(|key| key.as_str().strip_prefix('K')?.parse::<u64>().ok());
    let request = Request::new(command, key, code("tester")).ok()?;
    Some(match number {
        Some(number) if number % 3 == 0 => {
            let resource = code(["door", "gate"][usize::from(number % 2 == 0)]);
            request.fenced(Fenced::new(resource, number).ok()?)
        }
        _ => request,
    })
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        Self {
            dice,
            holds: 0,
            transfers: 0,
            orders: 0,
            carts: 0,
            papers: 0,
            authorizations: 0,
            proposals: 0,
            keys: 0,
            sent: Vec::new(),
        }
    }

    /// The facts that every case begins with, and some stock.
    pub(crate) fn facts(&mut self) -> Vec<Command> {
        let mut facts: Vec<Command> = Vec::new();
        facts.extend(SITES.map(|(site, zone, strategy)| set_site(site, zone, strategy)));
        for index in 0..LOCATIONS.len() {
            facts.push(self.set_location(index, 0));
        }
        for (index, (sku, tracking)) in SKUS.into_iter().enumerate() {
            facts.push(self.set_sku(index, 0));
            if tracking != Tracking::None {
                facts.extend(LOTS.map(|lot| self.set_lot(sku, lot, 10)));
            }
        }
        for (sku, tracking) in SKUS {
            facts.push(self.opening(sku, tracking));
        }
        for (owner, units) in [("kim", 20), ("lee", 12)] {
            let (owner, amount) = (code(owner), Amount::new("amount", units).unwrap());
            facts.push(Command::Charge(Payment { owner, amount, ..self.payment() }));
        }
        facts.extend(trades::facts());
        facts
    }

    /// Some stock of a SKU, lying about in the bins.
    fn opening(&mut self, sku: &str, tracking: Tracking) -> Command {
        let storage: Vec<_> = LOCATIONS.iter().filter(|(.., kind)| *kind == LocationKind::Storage).collect();
        let mut lines = Vec::new();
        // Serial numbers come once; of the others there are two more lines, of any lot.
        let more = if tracking == Tracking::Serial { 0 } else { 2 };
        for lot in LOTS.into_iter().chain(LOTS.into_iter().take(more)) {
            let (site, location, _) = **self.dice.one_of(&storage);
            let units = match tracking {
                Tracking::Serial => Quantity::ONE,
                _ => quantity(1 + self.dice.below(12)),
            };
            lines.push(AdjustLine {
                site: code(site),
                location: code(location),
                sku: code(sku),
                lot: (tracking != Tracking::None).then(|| code(lot)),
                change: Change::Add(units, Outside::Opening),
            });
        }
        let (id, reason) = (code(sku), Name::default());
        Command::Adjust(Adjust { id, reason, lines, release: None })
    }

    /// Something to do, looking at what there is to do it to.
    pub(crate) fn action(&mut self, memory: &Memory, events: u64) -> Action {
        if self.dice.chance(12) {
            let ms = match self.dice.below(10) {
                0..5 => self.dice.below(40) * 1_000,
                5..8 => self.dice.below(3_000),
                8 => 6 * 3_600_000,
                _ => 3 * 86_400_000,
            };
            return Action::Wait { ms };
        }
        if self.dice.chance(7) && !self.sent.is_empty() {
            let (command, key) = self.dice.one_of(&self.sent).clone();
            return Action::Ask(command, key);
        }
        if self.dice.chance(6) {
            let count = 1 + self.dice.below(4);
            return Action::Atomic((0..count).map(|_| self.command(memory, events)).collect());
        }
        let command = self.command(memory, events);
        let key = if self.dice.chance(25) { Some(self.key()) } else { None };
        self.sent.push((command.clone(), key.clone()));
        Action::Ask(command, key)
    }

    fn key(&mut self) -> Code {
        if self.keys == 0 || self.dice.chance(85) {
            self.keys += 1;
            return code(&format!("K{}", self.keys));
        }
        code(&format!("K{}", 1 + self.dice.below(self.keys)))
    }

    /// An id that is new, or one that was used: `fresh` says how often it is new.
    fn id(dice: &mut Dice, letter: char, used: &mut u64, fresh: u64) -> Code {
        if *used == 0 || dice.chance(fresh) {
            *used += 1;
            return code(&format!("{letter}{used}"));
        }
        // The latest are the liveliest.
        let back = dice.below((*used).min(4));
        code(&format!("{letter}{}", *used - back))
    }

    fn hold_id(&mut self, fresh: u64) -> Code {
        Self::id(&mut self.dice, 'H', &mut self.holds, fresh)
    }

    fn transfer_id(&mut self, fresh: u64) -> Code {
        Self::id(&mut self.dice, 'T', &mut self.transfers, fresh)
    }

    fn paper_id(&mut self, fresh: u64) -> Code {
        Self::id(&mut self.dice, 'J', &mut self.papers, fresh)
    }

    fn command(&mut self, memory: &Memory, events: u64) -> Command {
        match self.dice.below(116) {
            0..2 => {
                let index = self.index(LOCATIONS.len());
                self.set_location(index, 10)
            }
            2..4 => {
                let index = self.index(SKUS.len());
                self.set_sku(index, 5)
            }
            4..7 => {
                let (sku, lot) = (self.dice.one_of(&SKUS).0, self.dice.word(&LOTS));
                self.set_lot(sku, lot, 40)
            }
            7..17 => {
                let change = self.change();
                self.adjust(change)
            }
            17..24 => self.move_stock(memory),
            24..28 => Command::Reverse(Reverse {
                movement: MovementId {
                    sequence: Sequence(events.saturating_sub(self.dice.below(12))),
                    index: u32::try_from(self.dice.below(2)).unwrap(),
                },
                original: None,
            }),
            28..35 => self.place_hold(),
            35..41 => self.work_on_money(memory),
            41..50 => self.work_on_hold(memory),
            50..56 => self.request_transfer(),
            56..73 => self.work_on_transfer(memory),
            73..77 => self.pick_claim_command(memory),
            77..90 => self.order_command(memory),
            90..100 => self.trade(memory),
            100..111 => self.cart_command(memory),
            111..114 => {
                let (site, _, strategy) = *self.dice.one_of(&SITES);
                set_site(site, self.dice.word(&TIME_ZONES), strategy)
            }
            _ => {
                let resource = code(self.dice.word(&["door", "gate"]));
                let fence = (self.keys + self.dice.below(4)).max(1);
                Command::RaiseFence(RaiseFence { fenced: Fenced::new(resource, fence).unwrap() })
            }
        }
    }

    /// Few owners with little money, and one whose sums go to the limit.
    fn payment(&mut self) -> Payment {
        let owner = self.dice.word(&["kim", "lee", "rich"]);
        let units = match self.dice.below(10) {
            0..5 if owner == "rich" => AMOUNT_MAX - self.dice.below(3),
            0..8 => 1 + self.dice.below(4),
            _ => 1 + self.dice.below(20),
        };
        // What is rich would leave no room for others in the same currency.
        let currency = if owner == "rich" { "EUR" } else { self.dice.word(&["KRW", "KRW", "USD"]) };
        Payment {
            owner: code(owner),
            currency: Currency::new("currency", currency).unwrap(),
            amount: Amount::new("amount", units).unwrap(),
            reason: Name::default(),
            reference: self.dice.chance(20).then(|| code("R-1")),
        }
    }

    fn work_on_money(&mut self, memory: &Memory) -> Command {
        let payment = self.payment();
        let amount = self.dice.chance(60).then_some(payment.amount);
        match self.dice.below(20) {
            0..6 => Command::Charge(payment),
            6..9 => Command::Pay(payment),
            9..11 => Command::Refund(payment),
            11 => {
                let limit = i64::try_from(self.dice.below(12)).unwrap() - 8;
                let Payment { owner, currency, .. } = payment;
                Command::SetWalletLimit(SetWalletLimit { owner, currency, limit })
            }
            12..15 => Command::Authorize(Authorize { id: self.authorization_id(40), payment }),
            rest => {
                let authorization = self.authorization_id(2);
                // Mostly the owner.
                let known = memory.authorization(&authorization).filter(|_| self.dice.chance(90));
                let owner = known.map_or(payment.owner, |row| row.owner);
                if rest == 19 {
                    return Command::Void(Void { owner, authorization });
                }
                let release_rest = self.dice.chance(20);
                Command::Capture(Capture { owner, authorization, amount, release_rest })
            }
        }
    }

    fn authorization_id(&mut self, fresh: u64) -> Code {
        Self::id(&mut self.dice, 'A', &mut self.authorizations, fresh)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.dice.below(len as u64)).unwrap()
    }

    fn set_location(&mut self, index: usize, odd: u64) -> Command {
        let (site, location, kind) = LOCATIONS[index];
        let kind = if self.dice.chance(odd) { *self.dice.one_of(&LocationKind::ALL) } else { kind };
        Command::SetLocation(SetLocation {
            site: code(site),
            location: code(location),
            zone: self.zone(index, odd),
            pick_order: u32::try_from(self.dice.below(3)).unwrap(),
            kind,
        })
    }

    fn set_sku(&mut self, index: usize, odd: u64) -> Command {
        let (sku, tracking) = SKUS[index];
        let tracking = if self.dice.chance(odd) { *self.dice.one_of(&Tracking::ALL) } else { tracking };
        let mut safety_stock = Vec::new();
        for (site, _, _) in SITES {
            if self.dice.chance(25) {
                safety_stock.push((code(site), quantity(self.dice.below(6))));
            }
        }
        let prices = self.prices(sku);
        Command::SetSku(SetSku { sku: code(sku), name: Name::default(), tracking, safety_stock, prices })
    }

    fn set_lot(&mut self, sku: &str, lot: &str, odd: u64) -> Command {
        let day = |dice: &mut Dice| {
            if dice.chance(60) { Some(Date::parse("day", dice.word(&DAYS)).unwrap()) } else { None }
        };
        Command::SetLot(SetLot {
            sku: code(sku),
            lot: code(lot),
            received_on: day(&mut self.dice),
            expires_on: day(&mut self.dice),
            blocked: self.dice.chance(odd / 2),
        })
    }

    fn small(&mut self) -> Quantity {
        quantity(1 + self.dice.below(9))
    }

    fn quantity_of(&mut self, sku: &str) -> Quantity {
        let limit = matches!(sku, "much" | "lots");
        match self.dice.below(100) {
            0..8 if limit => quantity(QUANTITY_MAX),
            8..16 if limit => quantity(QUANTITY_MAX - self.dice.below(9)),
            16..22 if limit => quantity(QUANTITY_MAX / 2 + self.dice.below(3)),
            0..80 => quantity(1 + self.dice.below(5)),
            _ => quantity(1 + self.dice.below(20)),
        }
    }

    /// A SKU and, where it is tracked, mostly a lot of it.
    fn goods(&mut self, lot_wanted: u64) -> (Code, Option<Code>, Quantity) {
        let (sku, tracking) = *self.dice.one_of(&SKUS);
        let named = match tracking {
            Tracking::None => self.dice.chance(2),
            _ => self.dice.chance(lot_wanted),
        };
        let lot = named.then(|| code(self.dice.word(&LOTS)));
        let quantity = match tracking {
            Tracking::Serial if self.dice.chance(85) => Quantity::ONE,
            _ => self.quantity_of(sku),
        };
        (code(sku), lot, quantity)
    }

    /// A location, mostly one of this site.
    fn location_at(&mut self, site: &str) -> Code {
        if self.dice.chance(3) {
            return code(self.dice.one_of(&LOCATIONS).1);
        }
        let here: Vec<_> = LOCATIONS.iter().filter(|(at, ..)| *at == site).collect();
        code(self.dice.one_of(&here).1)
    }

    fn change(&mut self) -> Change {
        let (quantity, counted) = (self.small(), quantity(self.dice.below(8)));
        match self.dice.below(10) {
            0..5 => Change::Add(quantity, *self.dice.one_of(&Outside::ALL)),
            5..8 => Change::Remove(quantity, *self.dice.one_of(&Outside::ALL)),
            _ => Change::Counted(counted),
        }
    }

    fn adjust(&mut self, first: Change) -> Command {
        let mut lines = Vec::new();
        let count = if self.dice.chance(70) { 1 } else { 1 + self.dice.below(3) };
        for number in 0..count {
            let (site, location, _) = *self.dice.one_of(&LOCATIONS);
            let (sku, lot, quantity) = self.goods(97);
            let change = match if number == 0 { first } else { self.change() } {
                Change::Add(_, outside) => Change::Add(quantity, outside),
                Change::Remove(_, outside) => Change::Remove(quantity, outside),
                counted => counted,
            };
            lines.push(AdjustLine { site: code(site), location: code(location), sku, lot, change });
        }
        let release = match self.dice.below(8) {
            0..3 => Some(Release::All),
            3..5 => Some(Release::Of(self.some_holders())),
            _ => None,
        };
        Command::Adjust(Adjust { id: self.paper_id(92), reason: Name::default(), lines, release })
    }

    /// Up to three of the latest documents that may hold something.
    fn some_holders(&mut self) -> BTreeSet<HolderName> {
        let mut names = BTreeSet::new();
        for _ in 0..1 + self.dice.below(3) {
            let (kind, letter, used) = *self.dice.one_of(&[
                (HolderKind::Hold, 'H', self.holds),
                (HolderKind::Transfer, 'T', self.transfers),
                (HolderKind::Order, 'O', self.orders),
                (HolderKind::Cart, 'C', self.carts),
            ]);
            let latest = used.saturating_sub(self.dice.below(4));
            names.insert(HolderName { kind, id: code(&format!("{letter}{latest}")) });
        }
        names
    }

    fn move_stock(&mut self, memory: &Memory) -> Command {
        let site = self.dice.one_of(&SITES).0;
        let count = if self.dice.chance(70) { 1 } else { 2 };
        let lines = (0..count).map(|_| self.move_line(memory, site)).collect();
        Command::Move(Move {
            id: self.paper_id(92),
            site: code(site),
            reason: Name::default(),
            lines,
            with_holds: self.dice.chance(60),
        })
    }

    /// Mostly something that lies there goes somewhere else.
    fn move_line(&mut self, memory: &Memory, site: &str) -> MoveLine {
        let (sku, lot, quantity) = self.goods(97);
        let mut line =
            MoveLine { sku, lot, quantity, from: self.location_at(site), to: self.location_at(site) };
        let (Some(at), Some(sku)) = (memory.site_id(&code(site)), memory.sku_id(&line.sku)) else {
            return line;
        };
        let mut places: Vec<_> = memory.positions(at, sku).map(|(place, _)| place).collect();
        places.sort_unstable();
        if !places.is_empty() && self.dice.chance(90) {
            let place = *self.dice.one_of(&places);
            line.from = memory.location(place.location).code.clone();
            line.lot = (place.lot != LotId::NONE).then(|| memory.lot(place.lot).code.clone());
        }
        if line.from == line.to {
            line.to = self.location_at(site);
        }
        line
    }

    fn strategy(&mut self) -> Option<Strategy> {
        match self.dice.below(100) {
            0..60 => None,
            // The last one is explicit, which needs locations.
            60..97 => Some(*self.dice.one_of(&Strategy::ALL[..5])),
            _ => Some(Strategy::Explicit),
        }
    }

    fn hold_lines(&mut self) -> Lines {
        let count = if self.dice.chance(60) { 1 } else { 1 + self.dice.below(3) };
        (0..count)
            .map(|_| {
                let site = self.dice.one_of(&SITES).0;
                let (sku, lot, quantity) = self.goods(15);
                let location = if self.dice.chance(15) { Some(self.location_at(site)) } else { None };
                HoldLine { site: code(site), sku, quantity, location, lot }
            })
            .collect()
    }

    fn place_hold(&mut self) -> Command {
        Command::PlaceHold(PlaceHold {
            id: self.hold_id(85),
            owner: None,
            lines: self.hold_lines(),
            expires_in_ms: if self.dice.chance(50) { Some(1 + self.dice.below(60) * 1_000) } else { None },
            partial: self.dice.chance(60),
            strategy: self.strategy(),
        })
    }

    /// One of the latest documents that are still open, or now and then any that may have been.
    fn open_id(&mut self, letter: char, used: u64, is_open: impl Fn(&Code) -> bool) -> Option<Code> {
        let latest = (used.saturating_sub(6)..=used).map(|number| code(&format!("{letter}{number}")));
        let open: Vec<_> = latest.clone().filter(|id| is_open(id)).collect();
        if open.is_empty() || self.dice.chance(7) {
            let any: Vec<_> = latest.collect();
            return self.dice.chance(7).then(|| self.dice.one_of(&any).clone());
        }
        Some(self.dice.one_of(&open).clone())
    }

    fn work_on_hold(&mut self, memory: &Memory) -> Command {
        let is_open = |id: &Code| memory.hold(id).is_some_and(|hold| hold.status == HoldStatus::Held);
        let Some(id) = self.open_id('H', self.holds, is_open) else { return self.place_hold() };
        let parts = if self.dice.chance(50) { None } else { Some(self.hold_parts(memory, &id)) };
        match self.dice.below(10) {
            0..4 => Command::ConfirmHold(ConfirmHold {
                id,
                lines: parts,
                to: if self.dice.chance(30) {
                    let site = self.dice.one_of(&SITES).0;
                    Some(self.location_at(site))
                } else {
                    None
                },
                release_rest: self.dice.chance(30),
            }),
            4..6 => Command::ReleaseHold(ReleaseHold { id, lines: parts }),
            6 => Command::ExtendHold(ExtendHold { id, expires_in_ms: 1 + self.dice.below(90_000) }),
            _ => Command::ChangeHold(ChangeHold {
                id,
                lines: self.hold_lines(),
                partial: self.dice.chance(60),
                strategy: self.strategy(),
            }),
        }
    }

    fn hold_parts(&mut self, memory: &Memory, id: &Code) -> Vec<HoldPart> {
        let lines = memory.hold(id).map_or(1, |hold| hold.lines.len() as u64);
        let beyond = u64::from(self.dice.chance(5));
        let first = 1 + self.dice.below(lines + beyond);
        let quantity = if self.dice.chance(60) { Some(quantity(1 + self.dice.below(3))) } else { None };
        let mut parts = vec![HoldPart { line: u32::try_from(first).unwrap(), quantity }];
        if lines > 1 && self.dice.chance(40) {
            let second = u32::try_from(1 + first % lines).unwrap();
            parts.push(HoldPart { line: second, quantity: None });
        }
        parts
    }

    fn request_transfer(&mut self) -> Command {
        let from = self.dice.one_of(&SITES).0;
        let mut to = self.dice.one_of(&SITES).0;
        if from == to {
            to = self.dice.one_of(&SITES).0;
        }
        let lines = (0..1 + self.dice.below(3))
            .map(|number| {
                let (sku, lot, quantity) = self.goods(15);
                TransferLine { line: code(&(number + 1).to_string()), sku, quantity, lot }
            })
            .collect();
        let id = self.transfer_id(92);
        Command::RequestTransfer(RequestTransfer { id, from: code(from), to: code(to), priority: 0, lines })
    }

    /// What comes next in a transfer's life, or something that does not.
    fn work_on_transfer(&mut self, memory: &Memory) -> Command {
        let is_open = |id: &Code| memory.transfer(id).is_some_and(|transfer| transfer.end.is_none());
        let Some(id) = self.open_id('T', self.transfers, is_open) else { return self.request_transfer() };
        let Some(transfer) = memory.transfer(&id) else { return self.allocate(memory, id, None) };
        let totals = &transfer.totals;
        let mut next = Vec::new();
        if !totals.open().is_zero() {
            next.push(0);
        }
        if !totals.allocated.is_zero() {
            next.extend([1, 1, 1, 1, 2]);
        }
        if !totals.picked.is_zero() {
            next.extend([3, 4, 4, 4]);
        }
        if !totals.in_transit.is_zero() {
            next.extend([5, 5, 5]);
        }
        let step = if next.is_empty() || self.dice.chance(6) {
            self.dice.below(8)
        } else {
            *self.dice.one_of(&next)
        };
        match step {
            0 => self.allocate(memory, id, Some(&transfer)),
            1 => self.pick(memory, id, &transfer),
            2 => {
                let lines = self.transfer_parts(memory, &id, &transfer);
                Command::ReleaseTransfer(ReleaseTransfer { id, lines })
            }
            3 => {
                let lines = self.transfer_parts(memory, &id, &transfer);
                let to =
                    if self.dice.chance(30) { Some(self.location_of(memory, transfer.from)) } else { None };
                Command::UnpickTransfer(UnpickTransfer { id, lines, to })
            }
            4 => {
                let lines = self.transfer_parts(memory, &id, &transfer);
                let shipment = code(&format!("S{}", self.dice.below(6)));
                Command::ShipTransfer(ShipTransfer { id, shipment, lines })
            }
            5 => self.receive(memory, id, &transfer),
            6 => Command::CancelTransfer(CancelTransfer { id, release: self.dice.chance(60) }),
            _ => Command::CloseTransfer(CloseTransfer { id }),
        }
    }

    fn location_of(&mut self, memory: &Memory, site: jaego_domain::SiteId) -> Code {
        let site = memory.site(site).code.clone();
        self.location_at(site.as_str())
    }

    fn line_name(&mut self, transfer: &row::Transfer) -> u32 {
        let beyond = u64::from(self.dice.chance(2));
        u32::try_from(self.dice.below(u64::from(transfer.lines) + beyond)).unwrap()
    }

    fn transfer_parts(
        &mut self,
        memory: &Memory,
        id: &Code,
        transfer: &row::Transfer,
    ) -> Option<Vec<TransferPart>> {
        if self.dice.chance(50) {
            return None;
        }
        let line = self.line_name(transfer);
        let most = if line < transfer.lines {
            let totals = memory.line(id, line).totals;
            totals.allocated.get().max(totals.picked.get()).clamp(1, 6)
        } else {
            1
        };
        let quantity = if self.dice.chance(70) { Some(quantity(1 + self.dice.below(most))) } else { None };
        Some(vec![TransferPart { line: code(&(line + 1).to_string()), quantity }])
    }

    fn allocate(&mut self, memory: &Memory, id: Code, transfer: Option<&row::Transfer>) -> Command {
        let mut strategy = self.strategy();
        let lines = match transfer {
            Some(transfer) if self.dice.chance(40) => {
                let line = self.line_name(transfer);
                let location =
                    if self.dice.chance(50) { Some(self.location_of(memory, transfer.from)) } else { None };
                let mut lines = vec![AllocateLine {
                    line: code(&(line + 1).to_string()),
                    quantity: if self.dice.chance(50) { Some(self.small()) } else { None },
                    location,
                    lot: if self.dice.chance(10) { Some(code(self.dice.word(&LOTS))) } else { None },
                }];
                if self.dice.chance(30) {
                    let again = self.location_of(memory, transfer.from);
                    lines.push(AllocateLine { location: Some(again), ..lines[0].clone() });
                    strategy = Some(Strategy::Explicit);
                }
                Some(lines)
            }
            _ => None,
        };
        let (partial, dry_run) = (self.dice.chance(80), self.dice.chance(8));
        Command::AllocateTransfer(AllocateTransfer { id, strategy, partial, lines, dry_run })
    }

    fn pick(&mut self, memory: &Memory, id: Code, transfer: &row::Transfer) -> Command {
        let staging = if self.dice.chance(15) { Some(self.location_of(memory, transfer.from)) } else { None };
        let claimant = self.claimant_for_picks(memory, &id);
        if self.dice.chance(40) {
            return Command::PickTransfer(PickTransfer { id, lines: None, claimant, staging });
        }
        let mut lines = Vec::new();
        for _ in 0..1 + self.dice.below(2) {
            let line = self.line_name(transfer);
            let picks = if line < transfer.lines { memory.line(&id, line).picks } else { Vec::new() };
            let (mut location, mut lot, mut most) = (None, None, 3);
            if !picks.is_empty() && self.dice.chance(60) {
                let pick = self.dice.one_of(&picks);
                location = Some(memory.location(pick.location).code.clone());
                lot = (pick.lot != LotId::NONE && self.dice.chance(70))
                    .then(|| memory.lot(pick.lot).code.clone());
                most = pick.quantity.get().min(5);
            }
            let taken = self.dice.below(most + 1);
            let short = if self.dice.chance(50) || taken == 0 {
                let reason = *self.dice.one_of(&[ShortReason::NotFound, ShortReason::Damaged]);
                Some((quantity(1 + self.dice.below((most - taken).max(1))), reason))
            } else {
                None
            };
            let line = code(&(line + 1).to_string());
            lines.push(PickLine { line, location, lot, quantity: quantity(taken), short });
        }
        Command::PickTransfer(PickTransfer { id, lines: Some(lines), claimant, staging })
    }

    fn receive(&mut self, memory: &Memory, id: Code, transfer: &row::Transfer) -> Command {
        let location = if self.dice.chance(10) { Some(self.location_of(memory, transfer.to)) } else { None };
        let quarantine =
            if self.dice.chance(10) { Some(self.location_of(memory, transfer.to)) } else { None };
        let mut named = None;
        if self.dice.chance(60) {
            let mut lines = Vec::new();
            for _ in 0..1 + self.dice.below(2) {
                let line = self.line_name(transfer);
                let (sku, on_way) = if line < transfer.lines {
                    let row = memory.line(&id, line);
                    (memory.sku(row.sku).code.to_string(), row.totals.in_transit)
                } else {
                    (String::new(), Quantity::ZERO)
                };
                let good = match self.dice.below(4) {
                    0 => on_way,
                    1 => self.quantity_of(&sku),
                    _ => quantity(self.dice.below(on_way.get().clamp(1, 6) + 1)),
                };
                lines.push(ReceiveLine {
                    line: code(&(line + 1).to_string()),
                    lot: if self.dice.chance(30) { Some(code(self.dice.word(&LOTS))) } else { None },
                    quantity: good,
                    damaged: quantity(if self.dice.chance(30) { self.dice.below(3) } else { 0 }),
                });
            }
            named = Some(lines);
        }
        Command::ReceiveTransfer(ReceiveTransfer { id, lines: named, location, quarantine })
    }
}
