//! Statements of wallets: what the engine tells of them is what the plain store does, whatever became of the indexes
//! and the older segments.

use jaego_domain::{
    Amount, Code, Command, Currency, Name, Refusal, Sequence, Timestamp,
    command::{
        Adjust, AdjustLine, Authorize, CancelOrder, Capture, Change, Checkout, Payment, RefundOrder, SetCart,
        SetCartItem, SetSku, Void,
    },
    row::Tracking,
};
use jaego_engine::sim_disk::Dice;
use jaego_store::{StatementFilter, StatementLine, Store};

use super::{
    super::world::{code, quantity},
    spoil,
    twin::{BEGIN, Twin},
};
use crate::seeds::each_seed;

/// `D2` is the id of a document of goods as well, and `nobody` has no wallet.
const OWNERS: [&str; 4] = ["kim", "lee", "D2", "nobody"];
const CURRENCIES: [&str; 2] = ["KRW", "USD"];

fn amount(units: u64) -> Amount {
    Amount::new("amount", units).unwrap()
}

fn currency(text: &str) -> Currency {
    Currency::new("currency", text).unwrap()
}

/// People with money, who move it in every way that there is.
struct Till {
    dice: Dice,
    documents: u64,
}

impl Till {
    /// Gives the mug a price, some mugs to sell, and everybody but `nobody` something to begin with.
    fn new(twin: &mut Twin, seed: u64) -> Self {
        let mut till = Self { dice: Dice::new(seed), documents: 0 };
        let line = AdjustLine {
            site: code("ICN"),
            location: code("A-1"),
            sku: code("mug"),
            lot: None,
            change: Change::Add(quantity(1_000_000), jaego_domain::Outside::Opening),
        };
        let mut commands = vec![
            Command::SetSku(SetSku {
                sku: code("mug"),
                name: Name::default(),
                tracking: Tracking::None,
                safety_stock: Vec::new(),
                prices: CURRENCIES.map(|text| (currency(text), amount(3))).to_vec(),
            }),
            Command::Adjust(Adjust {
                id: code("opening"),
                reason: Name::default(),
                lines: vec![line],
                release: None,
            }),
        ];
        for owner in &OWNERS[..3] {
            for text in CURRENCIES {
                let payment = Payment { amount: amount(10_000), ..till.payment(code(owner)) };
                commands.push(Command::Charge(Payment { currency: currency(text), ..payment }));
            }
        }
        twin.send(commands).into_iter().for_each(|done| drop(done.unwrap()));
        till
    }

    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.dice.below(texts.len())]
    }

    fn payment(&mut self, owner: Code) -> Payment {
        let reference = self.dice.one_in(3).then(|| code("R-1"));
        let reason = Name::new("reason", self.one_of(&["", "card", "hotel"])).unwrap();
        let currency = currency(self.one_of(&CURRENCIES));
        Payment { owner, currency, amount: amount(1 + self.dice.throw() % 90), reason, reference }
    }

    /// Money that moves, some of it with goods: each batch holds one such story, and some of it is refused.
    fn step(&mut self, twin: &mut Twin) {
        let owner = code(self.one_of(&OWNERS[..3]));
        let payment = self.payment(owner.clone());
        self.documents += 1;
        let id = code(&format!("M{}", self.documents));
        let currency = payment.currency;
        let (release_rest, half) = (self.dice.one_in(2), amount(payment.amount.get().div_ceil(2)));
        let commands = match self.dice.below(5) {
            0 => vec![Command::Charge(payment)],
            1 => vec![Command::Pay(payment)],
            2 => vec![Command::Refund(payment)],
            3 => {
                let authorization = id.clone();
                let part = Capture { owner: owner.clone(), authorization, amount: Some(half), release_rest };
                let rest = Void { owner, authorization: id.clone() };
                vec![
                    Command::Authorize(Authorize { id, payment }),
                    Command::Capture(part),
                    Command::Void(rest),
                ]
            }
            _ => {
                let (site, sku) = (code("ICN"), code("mug"));
                let units = quantity(1 + self.dice.throw() % 5);
                let refund = RefundOrder { id: id.clone(), amount: Some(amount(1)), reason: Name::default() };
                let mut commands = vec![
                    Command::SetCart(SetCart { id: id.clone(), site, owner, hold_s: None }),
                    Command::SetCartItem(SetCartItem { id: id.clone(), sku, quantity: units }),
                    Command::Checkout(Checkout {
                        id: id.clone(),
                        currency,
                        expected_total: None,
                        order: None,
                    }),
                    Command::RefundOrder(refund),
                ];
                if release_rest {
                    commands.push(Command::CancelOrder(CancelOrder { id }));
                }
                commands
            }
        };
        twin.send(commands);
    }

    /// A statement of somebody, of some time and from some event on.
    fn filter(&mut self, twin: &mut Twin) -> StatementFilter {
        let mut filter = statement_of(self.one_of(&OWNERS));
        filter.currency = self.dice.one_in(3).then(|| currency(self.one_of(&CURRENCIES)));
        filter.since = self.dice.one_in(3).then(|| twin.time());
        filter.until = self.dice.one_in(3).then(|| twin.time());
        filter
    }

    /// A statement, page by page from the engine and at once from the plain store.
    fn same(&mut self, twin: &Twin, filter: &StatementFilter) -> usize {
        let limit = 1 + self.dice.below(30);
        let expected = StatementFilter { limit: usize::MAX, ..filter.clone() };
        let expected = twin.plain.statement(expected).wait().unwrap().value.map(|page| page.lines);
        let found = read(twin, filter, limit);
        assert_eq!(found, expected, "{filter:?}");
        found.map_or(0, |lines| lines.len())
    }

    fn compare(&mut self, twin: &mut Twin, filters: usize) -> usize {
        let mut found = OWNERS.iter().map(|owner| self.same(twin, &statement_of(owner))).sum();
        for _ in 0..filters {
            let filter = self.filter(twin);
            found += self.same(twin, &filter);
        }
        found
    }
}

fn statement_of(owner: &str) -> StatementFilter {
    StatementFilter { owner: code(owner), currency: None, since: None, until: None, after: None, limit: 1 }
}

fn read(twin: &Twin, filter: &StatementFilter, limit: usize) -> Result<Vec<StatementLine>, Refusal> {
    let (mut found, mut after) = (Vec::new(), filter.after);
    loop {
        let page = StatementFilter { after, limit, ..filter.clone() };
        let page = twin.engine.statement(page).wait().unwrap().value?;
        assert!(page.lines.len() <= limit);
        found.extend(page.lines);
        let Some(next) = page.next else { return Ok(found) };
        assert!(after.is_none_or(|after| next > after), "{filter:?}: it does not go on");
        after = Some(next);
    }
}

#[test]
fn a_statement_is_what_a_scan_of_all_events_finds() {
    each_seed("a_statement_is_what_a_scan_of_all_events_finds", 3, |seed| {
        let mut twin = Twin::new(200 + seed);
        let mut till = Till::new(&mut twin, seed);
        let mut found = 0;
        for life in 0..4 {
            for step in 0..120 {
                till.step(&mut twin);
                twin.step();
                if step % 40 == 7 {
                    found += till.compare(&mut twin, 6);
                }
            }
            twin.wait_for_indexes();
            found += till.compare(&mut twin, 20);
            twin.restart(|disk| spoil(disk, seed + life));
            found += till.compare(&mut twin, 20);
        }
        twin.wait_for_indexes();
        // Without any of them as well.
        let indexes = twin.indexes();
        twin.restart(|disk| indexes.iter().for_each(|name| disk.lose(name)));
        found += till.compare(&mut twin, 20);
        assert!(twin.indexes().len() > 5, "{} segments were sealed", twin.indexes().len());
        assert!(found > 10_000, "only {found} lines were compared");
        twin.engine.close().unwrap();
        assert_eq!(twin.disk.violations(), Vec::<String>::new());
    });
}

#[test]
fn a_statement_begins_with_what_is_kept_and_its_balances_are_the_true_ones() {
    let mut twin = Twin::new(207);
    let mut till = Till::new(&mut twin, 7);
    for _ in 0..300 {
        till.step(&mut twin);
        twin.step();
    }
    let first = twin.archive();
    assert!(first > 50, "nothing was archived: {first}");
    let since = twin.plain.inspect(|_, events| events[usize::try_from(first).unwrap() - 1].at);
    for asked in [BEGIN - 1, BEGIN, since.0 - 1] {
        let filter = StatementFilter { since: Some(Timestamp(asked)), ..statement_of("kim") };
        let refused = twin.engine.statement(filter).wait().unwrap().value.unwrap_err();
        assert_eq!(refused.code(), "history_archived", "{refused}");
    }
    for (after, is_kept) in [(1, false), (first - 2, false), (first - 1, true)] {
        let filter = StatementFilter { after: Some(Sequence(after)), ..statement_of("kim") };
        let answer = twin.engine.statement(filter).wait().unwrap().value;
        assert_eq!(answer.err().map(|refusal| refusal.code()), (!is_kept).then_some("history_archived"));
    }
    for owner in &OWNERS[..3] {
        let kept = read(&twin, &statement_of(owner), 7).unwrap();
        let whole = StatementFilter { limit: usize::MAX, ..statement_of(owner) };
        let whole = twin.plain.statement(whole).wait().unwrap().value.unwrap().lines;
        assert!(!kept.is_empty() && whole.ends_with(&kept) && whole.len() > kept.len(), "{owner}");
    }
    for _ in 0..40 {
        let mut filter = till.filter(&mut twin);
        filter.since = Some(filter.since.unwrap_or(since).max(Timestamp(since.0 + 1)));
        till.same(&twin, &filter);
    }
    twin.engine.close().unwrap();
}
