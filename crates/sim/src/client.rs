//! Clients that ask for plausible things in a small world, so that they meet each other.

mod carts;
mod orders;
mod picking;
mod trades;
mod wallets;

use std::collections::BTreeSet;

use jaego_domain::{
    Code, Command, Date, MovementId, Name, Outside, Quantity, Query, Request, Sequence, Strategy, TimeZone,
    command::{
        Adjust, AdjustLine, AllocateTransfer, CancelTransfer, Change, ChangeHold, CloseTransfer, ConfirmHold,
        ExtendHold, HoldLine, HoldPart, HolderName, Lines, Move, MoveLine, PickLine, PickTransfer, PlaceHold,
        ReceiveLine, ReceiveTransfer, Release, ReleaseHold, ReleaseTransfer, RequestTransfer, Reverse,
        SetLocation, SetLot, SetSite, SetSku, ShipTransfer, ShortReason, TransferLine, TransferPart,
        UnpickTransfer,
    },
    query::{Page, Period},
    row::{HolderKind, LocationKind, Tracking},
};
use jaego_engine::sim_disk::Dice;

const SITES: [&str; 2] = ["ICN", "PUS"];
const LOCATIONS: [(&str, LocationKind); 6] = [
    ("R-1", LocationKind::Receiving),
    ("A-1", LocationKind::Storage),
    ("A-2", LocationKind::Storage),
    ("B-1", LocationKind::Storage),
    ("Q-1", LocationKind::Quarantine),
    ("S-1", LocationKind::Staging),
];
const SKUS: [(&str, Tracking); 4] =
    [("mug", Tracking::None), ("tea", Tracking::Lot), ("cam", Tracking::Serial), ("pen", Tracking::None)];
/// Documents that a client remembers and acts on: few, so that requests meet.
const REMEMBERED: u64 = 8;

/// A code that is known to be one.
///
/// # Panics
/// If it is none.
pub fn code(text: &str) -> Code {
    Code::new("code", text).expect("it is a code")
}

/// A quantity that is known to be one.
///
/// # Panics
/// If it is past the limit.
pub fn quantity(units: u64) -> Quantity {
    Quantity::new("quantity", units).expect("it is small")
}

fn asked(command: Command, key: Option<Code>) -> Option<Request> {
    Request::new(command, key, code("sim")).ok()
}

/// What makes the world: sites, locations, SKUs and some stock. Asking for it again changes nothing for the worse.
pub fn setup() -> Vec<Request> {
    let mut commands = Vec::new();
    for (site, zone, strategy) in
        [("ICN", "Asia/Seoul", Strategy::PickOrder), ("PUS", "America/New_York", Strategy::Fefo)]
    {
        let time_zone = TimeZone::new(zone).expect("it is in the database");
        commands.push(Command::SetSite(SetSite {
            site: code(site),
            name: Name::default(),
            time_zone,
            strategy,
        }));
        for ((location, kind), pick_order) in LOCATIONS.into_iter().zip(0..) {
            commands.push(Command::SetLocation(SetLocation {
                site: code(site),
                location: code(location),
                zone: picking::zone(location),
                pick_order,
                kind,
            }));
        }
    }
    for (sku, tracking) in SKUS {
        let safety_stock = if sku == "pen" { vec![(code("ICN"), quantity(12))] } else { Vec::new() };
        commands.push(Command::SetSku(SetSku {
            sku: code(sku),
            name: Name::default(),
            tracking,
            safety_stock,
            prices: vec![(carts::won(), carts::amount(2))],
        }));
    }
    for (lot, expires_on) in [("L1", "2026-03-03"), ("L2", "2026-09-01"), ("L3", "2035-01-01")] {
        commands.push(Command::SetLot(SetLot {
            sku: code("tea"),
            lot: code(lot),
            received_on: None,
            expires_on: Some(Date::parse("day", expires_on).expect("it is a day")),
            blocked: false,
        }));
    }
    let opening = |sku: &str, lot: Option<&str>, location: &str, units| AdjustLine {
        site: code("ICN"),
        location: code(location),
        sku: code(sku),
        lot: lot.map(code),
        change: Change::Add(quantity(units), Outside::Opening),
    };
    commands.push(Command::Adjust(Adjust {
        id: code("opening"),
        reason: Name::default(),
        lines: vec![
            opening("mug", None, "A-1", 10),
            opening("mug", None, "A-2", 7),
            opening("pen", None, "B-1", 20),
            opening("tea", Some("L1"), "A-1", 5),
            opening("tea", Some("L3"), "A-2", 9),
            opening("cam", Some("N1"), "A-1", 1),
        ],
        release: None,
    }));
    commands.push(carts::charge(0, 100));
    commands.push(carts::charge(1, 9));
    let requests =
        commands.into_iter().map(|command| asked(command, None).expect("the world is well formed"));
    requests.chain(trades::setup()).collect()
}

/// Thinks of requests.
#[derive(Debug, Clone, Default)]
pub struct Client {
    holds: u64,
    transfers: u64,
    orders: u64,
    proposals: u64,
    carts: u64,
    authorizations: u64,
    others: u64,
    keys: u64,
    events: u64,
}

impl Client {
    /// Tells how many events there are, so that movements can be named.
    pub fn saw(&mut self, sequence: Sequence) {
        self.events = self.events.max(sequence.0);
    }

    /// A request that might be accepted.
    pub fn request(&mut self, dice: &mut Dice) -> Request {
        loop {
            let command = self.command(dice);
            let key = dice.one_in(3).then(|| {
                // An old key now and then: the same request is a repeat, another one a conflict.
                if !dice.one_in(12) {
                    self.keys += 1;
                }
                code(&format!("key-{}", self.keys))
            });
            if let Some(request) = asked(command, key) {
                return request;
            }
        }
    }

    /// Something to read.
    pub fn query(&mut self, dice: &mut Dice) -> Query {
        let page = Page { after: None, limit: 1_000 };
        match dice.below(20) {
            18 | 19 => self.wallet_query(dice),
            14 | 15 => self.trade_query(dice),
            16 | 17 => self.carts_query(dice),
            12 => Query::Order(self.order(dice)),
            13 => self.orders_query(dice),
            0..=3 => Query::SkuStock(code(SKUS[dice.below(SKUS.len())].0)),
            4 | 5 => Query::Hold(self.hold(dice)),
            6 => Query::Transfer(self.transfer(dice)),
            7 => Query::Transfers {
                status: None,
                from: None,
                to: None,
                worker: None,
                requested: Period::default(),
                page,
            },
            8 => Query::Explain { transfer: self.transfer(dice), line: None },
            9 => Query::Trace { sku: code("tea"), lot: code(["L1", "L2", "L3"][dice.below(3)]) },
            10 => Query::Lots { sku: code("cam"), page },
            _ => Query::Stock {
                sku: None,
                site: Some(self.site(dice)),
                location: None,
                lot: None,
                page: Page { after: None, limit: 1_000 },
            },
        }
    }

    fn command(&mut self, dice: &mut Dice) -> Command {
        match dice.below(66) {
            61..=65 => self.wallet_command(dice),
            46..=50 => self.trade_command(dice),
            40..=45 => self.order_command(dice),
            51..=53 => self.pick_claim_command(dice),
            54..=60 => self.cart_command(dice),
            0..=8 => self.place_hold(dice),
            9..=11 => Command::ReleaseHold(ReleaseHold { id: self.hold(dice), lines: self.parts(dice) }),
            12..=14 => Command::ConfirmHold(ConfirmHold {
                id: self.hold(dice),
                lines: self.parts(dice),
                to: dice.one_in(4).then(|| self.location(dice)),
                release_rest: dice.one_in(2),
            }),
            15 => Command::ExtendHold(ExtendHold { id: self.hold(dice), expires_in_ms: life(dice) }),
            16 => Command::ChangeHold(ChangeHold {
                id: self.hold(dice),
                lines: self.hold_lines(dice),
                partial: dice.one_in(2),
                strategy: strategy(dice),
            }),
            17..=20 => self.adjust(dice),
            21 | 22 => self.shift(dice),
            23 => Command::Reverse(Reverse {
                movement: MovementId {
                    sequence: Sequence(1 + dice.throw() % self.events.max(1)),
                    index: u32::from(dice.one_in(3)),
                },
                original: None,
            }),
            24..=26 => self.request_transfer(dice),
            27..=29 => Command::AllocateTransfer(AllocateTransfer {
                id: self.transfer(dice),
                strategy: strategy(dice),
                partial: dice.one_in(2),
                lines: None,
                dry_run: dice.one_in(6),
            }),
            30 => Command::ReleaseTransfer(ReleaseTransfer {
                id: self.transfer(dice),
                lines: transfer_parts(dice),
            }),
            31 => {
                Command::CancelTransfer(CancelTransfer { id: self.transfer(dice), release: dice.one_in(2) })
            }
            32 | 33 => self.pick(dice),
            34 => Command::UnpickTransfer(UnpickTransfer {
                id: self.transfer(dice),
                lines: transfer_parts(dice),
                to: None,
            }),
            35 | 36 => {
                self.others += 1;
                Command::ShipTransfer(ShipTransfer {
                    id: self.transfer(dice),
                    shipment: code(&format!("X{}", self.others / 2)),
                    lines: transfer_parts(dice),
                })
            }
            37 => self.receive(dice),
            38 if dice.one_in(2) => Command::CloseTransfer(CloseTransfer { id: self.transfer(dice) }),
            38 => Command::SetSku(SetSku {
                sku: code("pen"),
                name: Name::default(),
                tracking: Tracking::None,
                safety_stock: vec![(code("ICN"), quantity(dice.throw() % 25))],
                prices: vec![(carts::won(), carts::amount(dice.throw() % 4))],
            }),
            _ => Command::SetLot(SetLot {
                sku: code("tea"),
                lot: code(["L1", "L2", "L3"][dice.below(3)]),
                received_on: None,
                expires_on: Some(Date::parse("day", "2031-05-05").expect("it is a day")),
                blocked: dice.one_in(3),
            }),
        }
    }

    fn place_hold(&mut self, dice: &mut Dice) -> Command {
        if !dice.one_in(10) {
            self.holds += 1;
        }
        Command::PlaceHold(PlaceHold {
            id: code(&format!("H{}", self.holds)),
            owner: dice.one_in(3).then(|| code("cart")),
            lines: self.hold_lines(dice),
            expires_in_ms: dice.one_in(2).then(|| life(dice)),
            partial: dice.one_in(3),
            strategy: strategy(dice),
        })
    }

    fn hold_lines(&mut self, dice: &mut Dice) -> Lines {
        (0..1 + dice.below(2) * dice.below(3))
            .map(|_| {
                let (sku, lot) = self.sku(dice, 6);
                HoldLine {
                    site: self.site(dice),
                    sku,
                    quantity: quantity(1 + dice.throw() % 6),
                    location: dice.one_in(5).then(|| self.location(dice)),
                    lot,
                }
            })
            .collect()
    }

    fn adjust(&mut self, dice: &mut Dice) -> Command {
        self.others += 1;
        let lines = (0..1 + dice.below(3))
            .map(|_| {
                let (sku, lot) = self.sku(dice, 1);
                let units = if sku.as_str() == "cam" { 1 } else { 1 + dice.throw() % 9 };
                let change = match dice.below(6) {
                    0..=2 => Change::Add(quantity(units), Outside::Supplier),
                    3 | 4 => Change::Remove(quantity(units), Outside::Customer),
                    _ => Change::Counted(quantity(dice.throw() % 12)),
                };
                AdjustLine { site: self.site(dice), location: self.location(dice), sku, lot, change }
            })
            .collect();
        let release = match dice.below(6) {
            0 | 1 => Some(Release::All),
            2 => Some(Release::Of(self.some_holders(dice))),
            _ => None,
        };
        // Every id comes twice, mostly with another body.
        Command::Adjust(Adjust {
            id: code(&format!("A{}", self.others / 2)),
            reason: Name::default(),
            lines,
            release,
        })
    }

    fn shift(&mut self, dice: &mut Dice) -> Command {
        self.others += 1;
        let (sku, lot) = self.sku(dice, 1);
        Command::Move(Move {
            id: code(&format!("M{}", self.others)),
            site: self.site(dice),
            reason: Name::default(),
            lines: vec![MoveLine {
                sku,
                lot,
                quantity: quantity(1 + dice.throw() % 4),
                from: self.location(dice),
                to: self.location(dice),
            }],
            with_holds: dice.one_in(2),
        })
    }

    fn request_transfer(&mut self, dice: &mut Dice) -> Command {
        if !dice.one_in(10) {
            self.transfers += 1;
        }
        let back = dice.one_in(4);
        let lines = (0..1 + dice.below(3))
            .map(|line| {
                let (sku, lot) = self.sku(dice, 6);
                TransferLine {
                    line: code(&format!("{}", line + 1)),
                    sku,
                    quantity: quantity(1 + dice.throw() % 5),
                    lot,
                }
            })
            .collect();
        Command::RequestTransfer(RequestTransfer {
            id: code(&format!("T{}", self.transfers)),
            from: code(SITES[usize::from(back)]),
            to: code(SITES[usize::from(!back)]),
            priority: 0,
            lines,
        })
    }

    fn pick(&mut self, dice: &mut Dice) -> Command {
        let lines = dice.one_in(2).then(|| {
            let reason = if dice.one_in(2) { ShortReason::NotFound } else { ShortReason::Damaged };
            vec![PickLine {
                line: code("1"),
                location: None,
                lot: None,
                quantity: quantity(dice.throw() % 3),
                short: dice.one_in(2).then(|| (quantity(1), reason)),
            }]
        });
        let claimant = dice.one_in(3).then(|| self.claimant(dice));
        Command::PickTransfer(PickTransfer { id: self.transfer(dice), lines, claimant, staging: None })
    }

    fn receive(&mut self, dice: &mut Dice) -> Command {
        let lines = dice.one_in(2).then(|| {
            vec![ReceiveLine {
                line: code("1"),
                lot: None,
                quantity: quantity(dice.throw() % 4),
                damaged: quantity(dice.throw() % 2),
            }]
        });
        Command::ReceiveTransfer(ReceiveTransfer {
            id: self.transfer(dice),
            lines,
            location: None,
            quarantine: None,
        })
    }

    fn parts(&self, dice: &mut Dice) -> Option<Vec<HoldPart>> {
        dice.one_in(3).then(|| {
            let quantity = dice.one_in(2).then(|| quantity(1 + dice.throw() % 2));
            vec![HoldPart { line: 1, quantity }]
        })
    }

    /// A SKU, and a lot: always where it is tracked and `odds` is 1, else once in so many times.
    fn sku(&self, dice: &mut Dice, odds: usize) -> (Code, Option<Code>) {
        let (sku, tracking) = SKUS[dice.below(SKUS.len())];
        let lot = match tracking {
            Tracking::None => None,
            Tracking::Lot => dice.one_in(odds).then(|| code(["L1", "L2", "L3"][dice.below(3)])),
            Tracking::Serial => dice.one_in(odds).then(|| code(&format!("N{}", 1 + dice.below(6)))),
        };
        (code(sku), lot)
    }

    fn site(&self, dice: &mut Dice) -> Code {
        code(SITES[usize::from(dice.one_in(4))])
    }

    fn location(&self, dice: &mut Dice) -> Code {
        let number = if dice.one_in(6) { dice.below(LOCATIONS.len()) } else { 1 + dice.below(3) };
        code(LOCATIONS[number].0)
    }

    /// One or two of the latest documents that may hold something.
    fn some_holders(&self, dice: &mut Dice) -> BTreeSet<HolderName> {
        let holder = |_| match dice.below(4) {
            0 => HolderName { kind: HolderKind::Hold, id: self.hold(dice) },
            1 => HolderName { kind: HolderKind::Transfer, id: self.transfer(dice) },
            2 => HolderName { kind: HolderKind::Order, id: self.order(dice) },
            _ => HolderName { kind: HolderKind::Cart, id: self.cart(dice) },
        };
        (0..2).map(holder).collect()
    }

    fn hold(&self, dice: &mut Dice) -> Code {
        code(&format!("H{}", self.holds.saturating_sub(dice.throw() % REMEMBERED)))
    }

    fn transfer(&self, dice: &mut Dice) -> Code {
        code(&format!("T{}", self.transfers.saturating_sub(dice.throw() % (REMEMBERED / 2))))
    }
}

fn transfer_parts(dice: &mut Dice) -> Option<Vec<TransferPart>> {
    dice.one_in(3).then(|| {
        let quantity = dice.one_in(2).then(|| quantity(1 + dice.throw() % 2));
        vec![TransferPart { line: code("1"), quantity }]
    })
}

fn strategy(dice: &mut Dice) -> Option<Strategy> {
    dice.one_in(3).then(|| Strategy::ALL[dice.below(Strategy::ALL.len())])
}

/// From a moment to a day.
fn life(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => 1 + dice.throw() % 50,
        1 => 1 + dice.throw() % 5_000,
        2 => 60_000,
        _ => 86_400_000,
    }
}
