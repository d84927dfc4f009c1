//! Stock and money derived from movements alone: what the tables are held against.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use jaego_domain::{
    Account, Code, Currency, LotId, Memory, MoneyMovement, MoneyOutside, Movement, Outside, Place, Row,
    SkuId, Sold, Tables,
    row::{Line, Wallet},
};

/// How many wrong accounts are told.
const WRONG_MAX: usize = 100;

/// The sums of all movements, account by account. It takes room for accounts that are not empty.
#[derive(Default)]
pub(crate) struct Ledger {
    wallets: Accounts<(Code, Currency)>,
    money_outside: Accounts<(Currency, MoneyOutside)>,
    positions: Accounts<Place>,
    outside: Accounts<(SkuId, Outside)>,
    /// What is between the sites, by transfer, line and lot.
    in_transit: Accounts<(Code, u32, LotId)>,
    /// How many movements were posted.
    pub(crate) movements: u64,
}

/// Balances that are not zero.
struct Accounts<K>(BTreeMap<K, i128>);

impl<K> Default for Accounts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Accounts<K> {
    fn add(&mut self, account: K, change: i128) {
        match self.0.entry(account) {
            Entry::Vacant(entry) => drop(entry.insert(change)),
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += change;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// Takes an account out that the tables have, and tells what it comes to.
    fn take(&mut self, account: &K) -> i128 {
        self.0.remove(account).unwrap_or_default()
    }

    /// Tells of the accounts that were not taken.
    fn rest<D: fmt::Display>(self, tell: impl Fn(K) -> D) -> impl Iterator<Item = String> {
        self.0.into_iter().map(move |(account, sum)| format!("{}, and {sum} by its movements", tell(account)))
    }
}

impl Ledger {
    pub(crate) fn post(&mut self, movement: Movement) {
        self.movements += 1;
        let Movement { sku, lot, quantity, from, to } = movement;
        let quantity = i128::from(quantity.get());
        for (account, change) in [(from, -quantity), (to, quantity)] {
            match account {
                Account::Position(place) => self.positions.add(place, change),
                Account::Outside(outside) => self.outside.add((sku, outside), change),
                Account::InTransit { transfer, line } => self.in_transit.add((transfer, line, lot), change),
            }
        }
    }

    pub(crate) fn post_money(&mut self, money: &MoneyMovement<'_>) {
        self.movements += 1;
        let change = i128::from(money.change());
        self.wallets.add((money.owner.clone(), money.currency), change);
        self.money_outside.add((money.currency, money.outside), -change);
    }

    /// Holds all accounts against tables that have every document.
    ///
    /// # Errors
    /// Each account that the tables have otherwise: at most 100 of them.
    pub(crate) fn compare(mut self, memory: &Memory) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        let mut sold = memory.sold();
        for row in memory.rows() {
            match row {
                Row::Position(place, Some(row)) => {
                    let moved = self.positions.take(&place);
                    if moved != i128::from(row.on_hand.get()) {
                        wrong.push(format!(
                            "{place:?}: {} on hand, and {moved} by its movements",
                            row.on_hand
                        ));
                    }
                }
                Row::Outside(sku, outside, balance) => {
                    let moved = self.outside.take(&(sku, outside));
                    if moved != i128::from(balance) {
                        let name = outside.name();
                        wrong.push(format!("{sku:?} {name}: {balance}, and {moved} by its movements"));
                    }
                }
                Row::Lines(id, Some(lines)) => self.compare_transit(memory, &id, &lines, &mut wrong),
                Row::Wallet(owner, Some(wallet)) => {
                    self.compare_wallet(&owner, &wallet, &mut sold, &mut wrong);
                }
                Row::MoneyOutside(currency, outside, balance) => {
                    let moved = self.money_outside.take(&(currency, outside));
                    if moved != i128::from(balance) {
                        let name = outside.name();
                        wrong.push(format!("{currency} {name}: {balance}, and {moved} by its movements"));
                    }
                }
                _ => {}
            }
        }
        wrong.extend(self.rest());
        wrong.extend(sold.into_iter().map(|((owner, currency), left)| {
            format!("{owner} has no wallet in {currency}, and {left} by the orders themselves")
        }));
        wrong.truncate(WRONG_MAX);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Nothing is on the way for a transfer that ended.
    fn compare_transit(&mut self, memory: &Memory, id: &Code, lines: &[Line], wrong: &mut Vec<String>) {
        let has_ended = memory.transfer(id).is_some_and(|transfer| transfer.end.is_some());
        for (line, number) in lines.iter().zip(0..) {
            for (lot, quantity) in &line.transit {
                let moved = self.in_transit.take(&(id.clone(), number, *lot));
                if moved != i128::from(quantity.get()) {
                    let name = &line.name;
                    wrong.push(format!(
                        "line {name} of transfer {id}, {lot:?}: {quantity} in transit, and {moved} by its movements"
                    ));
                }
                if has_ended {
                    wrong.push(format!("transfer {id} has ended, and {quantity} of {lot:?} are in transit"));
                }
            }
        }
    }

    /// What a wallet has, and how much of it was paid for orders, by its movements and by the orders.
    fn compare_wallet(&mut self, owner: &Code, wallet: &Wallet, sold: &mut Sold, wrong: &mut Vec<String>) {
        for balance in &wallet.balances {
            let (currency, has) = (balance.currency, balance.sold);
            let account = (owner.clone(), currency);
            let left = sold.remove(&account).unwrap_or_default();
            if left != has {
                wrong.push(format!(
                    "{owner} has {has} {currency} for orders, and {left} by the orders themselves"
                ));
            }
            let moved = self.wallets.take(&account);
            if moved != i128::from(balance.balance) {
                let has = balance.balance;
                wrong.push(format!("{owner} has {has} {currency}, and {moved} by its movements"));
            }
        }
    }

    /// Tells of what moved to accounts that the tables do not have.
    fn rest(self) -> impl Iterator<Item = String> {
        let positions = self.positions.rest(|place| format!("{place:?}: nothing on hand"));
        let outside = self.outside.rest(|(sku, outside)| format!("{sku:?} {}: no balance", outside.name()));
        let in_transit = self.in_transit.rest(|(transfer, line, lot)| {
            format!("line index {line} of transfer {transfer}, {lot:?}: nothing in transit")
        });
        let wallets = self.wallets.rest(|(owner, currency)| format!("{owner} has no wallet in {currency}"));
        let money_outside = self
            .money_outside
            .rest(|(currency, outside)| format!("{currency} {}: no balance", outside.name()));
        positions.chain(outside).chain(in_transit).chain(wallets).chain(money_outside)
    }
}

#[cfg(test)]
mod tests {
    use jaego_domain::{
        Amount, LocationId, Name, Quantity, Sequence, SiteId, Strategy, TimeZone, Timestamp,
        row::{Balance, End, Location, LocationKind, Order, OrderStatus, Position, Sale, Site, Sku, Totals},
        row::{Tracking, Transfer},
    };

    use super::*;

    const MUG: SkuId = SkuId(0);
    const PLACE: Place = Place { location: LocationId(0), sku: MUG, lot: LotId::NONE };
    const NOW: Timestamp = Timestamp(1_772_323_200_000);

    fn code(text: &str) -> Code {
        Code::new("code", text).unwrap()
    }

    fn units(units: u64) -> Quantity {
        Quantity::new("quantity", units).unwrap()
    }

    fn won() -> Currency {
        Currency::new("currency", "KRW").unwrap()
    }

    fn transit(transfer: &str) -> Account {
        Account::InTransit { transfer: code(transfer), line: 0 }
    }

    fn moved(quantity: u64, from: Account, to: Account) -> Movement {
        Movement { sku: MUG, lot: LotId::NONE, quantity: units(quantity), from, to }
    }

    fn put_position(memory: &mut Memory, on_hand: Option<u64>) {
        let position = |on_hand| Position {
            on_hand: units(on_hand),
            held: Quantity::ZERO,
            missing: Quantity::ZERO,
            since: NOW,
        };
        memory.put(Row::Position(PLACE, on_hand.map(position)));
    }

    /// Puts what of a lot is on the way for a transfer of one line.
    fn put_transit(memory: &mut Memory, id: &str, parts: &[(LotId, u64)]) {
        let transit = parts.iter().map(|(lot, quantity)| (*lot, units(*quantity))).collect();
        let (name, totals) = (code("1"), Totals::default());
        let (picks, staged) = (Vec::new(), Vec::new());
        let line = Line { name, sku: MUG, lot: None, totals, picks, staged, transit };
        memory.put(Row::Lines(code(id), Some(vec![line])));
    }

    fn put_transfer(memory: &mut Memory, id: &str, requested: u64, end: Option<(End, Sequence)>) {
        let transfer = Transfer {
            from: SiteId(0),
            to: SiteId(0),
            priority: 0,
            body: 0,
            requested: Sequence(requested),
            requested_at: NOW,
            allocated: Sequence(0),
            end,
            lines: 1,
            totals: Totals::default(),
        };
        memory.put(Row::Transfer(code(id), Some(Box::new(transfer))));
    }

    fn put_wallet(memory: &mut Memory, balance: i64, sold: u64) {
        let balances = [Balance { balance, sold, ..Balance::empty(won()) }].into_iter().collect();
        memory.put(Row::Wallet(code("kim"), Some(Wallet { opened: Sequence(1), balances })));
    }

    /// Puts an order that lee, who has no wallet, paid 4 for.
    fn sell_to_lee(memory: &mut Memory) {
        let order = Order {
            site: SiteId(0),
            customer: Some(code("lee")),
            priority: 0,
            body: 0,
            placed: Sequence(9),
            placed_at: NOW,
            answer: Sequence(9),
            backorder: false,
            awaits_stock: false,
            status: OrderStatus::Waiting,
            claim: None,
            lines: Default::default(),
        };
        let (owner, currency, prices) = (code("lee"), won(), Vec::new());
        let (total, refunded) = (Amount::new("total", 4).unwrap(), Amount::ZERO);
        memory.put(Row::Order(code("O-1"), Some(Box::new(order))));
        let sale = Sale { owner, currency, prices, total, refunded };
        memory.put(Row::Sale(code("O-1"), Some(Box::new(sale))));
    }

    /// Of 5 mugs 3 lie in a bin and 2 are on the way for T-1, and kim was charged 10.
    fn books() -> (Ledger, Memory) {
        let mut ledger = Ledger::default();
        ledger.post(moved(5, Account::Outside(Outside::Opening), Account::Position(PLACE)));
        ledger.post(moved(2, Account::Position(PLACE), transit("T-1")));
        let (owner, amount) = (code("kim"), Amount::new("amount", 10).unwrap());
        let outside = MoneyOutside::PaymentProvider;
        ledger.post_money(&MoneyMovement {
            owner: &owner,
            currency: won(),
            amount,
            outside,
            incoming: true,
            balance: 10,
        });
        let mut memory = Memory::new();
        let (time_zone, set) = (TimeZone::new("UTC").unwrap(), Sequence(1));
        let (name, strategy) = (Name::default(), Strategy::Fefo);
        let site = Site { code: code("ICN"), name: name.clone(), time_zone, strategy, set };
        memory.put(Row::Site(SiteId(0), Some(Box::new(site))));
        let (kind, zone) = (LocationKind::Storage, Name::default());
        let location = Location { site: SiteId(0), code: code("A-01"), zone, pick_order: 1, kind, set };
        memory.put(Row::Location(LocationId(0), Some(Box::new(location))));
        let (code_of, tracking, safety_stock) = (code("mug"), Tracking::None, Vec::new());
        let sku = Sku { code: code_of, name, tracking, safety_stock, stocked: true, set };
        memory.put(Row::Sku(MUG, Some(Box::new(sku))));
        put_position(&mut memory, Some(3));
        memory.put(Row::Outside(MUG, Outside::Opening, -5));
        for (id, requested) in [("T-1", 2), ("T-2", 3)] {
            put_transfer(&mut memory, id, requested, None);
            put_transit(&mut memory, id, &[]);
        }
        put_transit(&mut memory, "T-1", &[(LotId::NONE, 2)]);
        put_wallet(&mut memory, 10, 0);
        memory.put(Row::MoneyOutside(won(), outside, -10));
        (ledger, memory)
    }

    /// What is told, and the change of rows that it is told of.
    type Twist = (&'static str, fn(&mut Memory));

    const TWISTS: &[Twist] = &[
        ("4 on hand, and 3 by its movements", |memory| put_position(memory, Some(4))),
        ("nothing on hand, and 3 by its movements", |memory| put_position(memory, None)),
        ("SkuId(0) opening: -4, and -5 by its movements", |memory| {
            memory.put(Row::Outside(MUG, Outside::Opening, -4));
        }),
        ("SkuId(0) opening: no balance, and -5 by its movements", |memory| {
            memory.put(Row::Outside(MUG, Outside::Opening, 0));
        }),
        // Shipped for one transfer, and booked in the transit of another.
        ("line index 0 of transfer T-1, LotId(0): nothing in transit, and 2 by its movements", |memory| {
            put_transit(memory, "T-1", &[]);
            put_transit(memory, "T-2", &[(LotId::NONE, 2)]);
        }),
        ("line 1 of transfer T-2, LotId(0): 2 in transit, and 0 by its movements", |memory| {
            put_transit(memory, "T-1", &[]);
            put_transit(memory, "T-2", &[(LotId::NONE, 2)]);
        }),
        ("line 1 of transfer T-1, LotId(0): 1 in transit, and 2 by its movements", |memory| {
            put_transit(memory, "T-1", &[(LotId::NONE, 1)]);
        }),
        ("line 1 of transfer T-1, LotId(7): 2 in transit, and 0 by its movements", |memory| {
            put_transit(memory, "T-1", &[(LotId(7), 2)]);
        }),
        ("line 1 of transfer T-1, LotId(0): 1 in transit, and 0 by its movements", |memory| {
            put_transit(memory, "T-1", &[(LotId::NONE, 2), (LotId::NONE, 1)]);
        }),
        ("transfer T-1 has ended, and 2 of LotId(0) are in transit", |memory| {
            put_transfer(memory, "T-1", 2, Some((End::Closed, Sequence(9))));
        }),
        ("kim has 11 KRW, and 10 by its movements", |memory| put_wallet(memory, 11, 0)),
        ("kim has no wallet in KRW, and 10 by its movements", |memory| {
            memory.put(Row::Wallet(code("kim"), None));
        }),
        ("kim has 1 KRW for orders, and 0 by the orders themselves", |memory| put_wallet(memory, 10, 1)),
        ("lee has no wallet in KRW, and 4 by the orders themselves", sell_to_lee),
        ("KRW payment_provider: -9, and -10 by its movements", |memory| {
            memory.put(Row::MoneyOutside(won(), MoneyOutside::PaymentProvider, -9));
        }),
        ("KRW payment_provider: no balance, and -10 by its movements", |memory| {
            memory.put(Row::MoneyOutside(won(), MoneyOutside::PaymentProvider, 0));
        }),
    ];

    #[test]
    fn rows_that_no_movement_tells_of_are_told() {
        let (ledger, memory) = books();
        assert_eq!((ledger.movements, ledger.compare(&memory)), (3, Ok(())));
        for (words, twist) in TWISTS {
            let (ledger, mut memory) = books();
            twist(&mut memory);
            let wrong = ledger.compare(&memory).err().unwrap_or_default();
            assert!(wrong.iter().any(|wrong| wrong.contains(words)), "{words}: {wrong:#?}");
        }
    }

    #[test]
    fn what_is_not_on_the_way_any_more_takes_no_room() {
        let (mut ledger, _) = books();
        ledger.post(moved(1, transit("T-1"), Account::Position(PLACE)));
        assert_eq!(ledger.in_transit.0.len(), 1);
        ledger.post(moved(1, transit("T-1"), Account::Outside(Outside::Loss)));
        assert!(ledger.in_transit.0.is_empty());
    }
}
