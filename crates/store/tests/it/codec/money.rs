//! Wallets and authorizations: their samples, whatever else they may be, and the files that hold them.

use jaego_domain::{
    Amount, Currency, Event, Fact, MoneyOutside, Row, Sequence,
    limits::AMOUNT_MAX,
    row::{Authorization, Balance, Wallet},
};
use jaego_store::codec;
use proptest::{
    option,
    prelude::{Just, any},
    prop_oneof,
    sample::select,
    strategy::{BoxedStrategy, Strategy},
};
use smallvec::smallvec;

use crate::codec::{
    arbitrary::{self, list},
    decode_rows,
    fixtures::{events_stay, fixture, rows_stay},
    samples::{self, code, name},
};

pub(crate) fn currency(text: &str) -> Currency {
    Currency::new("currency", text).expect("the samples' currencies are good")
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new("amount", units).expect("the samples' amounts are small enough")
}

/// Every fact of money, each with its smallest and its largest values. Never change a sample, add new ones.
pub(crate) fn facts() -> Vec<Fact> {
    let mut facts = Vec::new();
    let values = [(1, -1, "", None), (AMOUNT_MAX, i64::MAX, "카드 충전", Some(code("ORDER-1")))];
    for (units, balance, why, reference) in values {
        let (owner, currency, amount, reason) = (code("kim"), currency("KRW"), amount(units), name(why));
        let id = code("A-1");
        facts.extend([
            Fact::WalletCharged {
                owner: owner.clone(),
                currency,
                amount,
                balance,
                reason: reason.clone(),
                reference: reference.clone(),
            },
            Fact::WalletPaid {
                owner: owner.clone(),
                currency,
                amount,
                balance,
                reason: reason.clone(),
                reference: reference.clone(),
            },
            Fact::WalletRefunded {
                owner: owner.clone(),
                currency,
                amount,
                balance,
                reason: reason.clone(),
                reference: reference.clone(),
            },
            Fact::WalletLimitSet { owner: owner.clone(), currency, limit: balance },
            Fact::PaymentAuthorized {
                id: id.clone(),
                body: units,
                owner: owner.clone(),
                currency,
                amount,
                reason,
                reference,
            },
            Fact::PaymentCaptured {
                id: id.clone(),
                owner: owner.clone(),
                currency,
                amount,
                released: Amount::ZERO,
                balance,
            },
            Fact::PaymentVoided { id, owner, currency, released: amount },
        ]);
    }
    facts
}

pub(crate) fn events() -> Vec<Event> {
    samples::events_of(facts())
}

/// Every row of money, there and not there.
pub(crate) fn rows() -> Vec<Row> {
    let balance = |text: &str, balance, units| Balance {
        currency: currency(text),
        balance,
        held: amount(units),
        limit: -balance,
        paid: amount(units),
        sold: 0,
    };
    let wallet = Wallet {
        opened: Sequence(u64::MAX),
        balances: smallvec![balance("AAA", i64::MAX, AMOUNT_MAX), balance("ZZZ", -1, 0)],
    };
    let authorization = |why: &str, reference| Authorization {
        owner: code("kim"),
        currency: currency("KRW"),
        amount: amount(AMOUNT_MAX),
        captured: amount(1),
        held: amount(0),
        reason: name(why),
        reference,
        body: u64::MAX,
        authorized: Sequence(1),
    };
    vec![
        Row::Wallet(code("lee"), None),
        Row::Wallet(code("lee"), Some(Wallet { opened: Sequence(1), balances: smallvec![] })),
        Row::Wallet(code("kim"), Some(wallet)),
        Row::MoneyOutside(currency("KRW"), MoneyOutside::PaymentProvider, i64::MIN),
        Row::MoneyOutside(currency("USD"), MoneyOutside::Sales, 1),
        Row::Authorization(code("A-0"), None),
        Row::Authorization(code("A-1"), Some(Box::new(authorization("", None)))),
        Row::Authorization(code("A-2"), Some(Box::new(authorization("lunch", Some(code("R-1")))))),
    ]
}

/// Every row of money that is for orders.
pub(crate) fn sold_rows() -> Vec<Row> {
    let balance =
        |text: &str, paid, sold| Balance { paid: amount(paid), sold, ..Balance::empty(currency(text)) };
    let wallet = |balances| Row::Wallet(code("kim"), Some(Wallet { opened: Sequence(1), balances }));
    vec![
        wallet(smallvec![balance("KRW", 1, 1)]),
        wallet(smallvec![balance("KRW", AMOUNT_MAX, AMOUNT_MAX), balance("USD", 0, 0)]),
        wallet(smallvec![balance("KRW", 5, 0), balance("USD", 3, 7)]),
    ]
}

pub(crate) fn some_currency() -> BoxedStrategy<Currency> {
    "[A-Z]{3}".prop_map(|text| currency(&text)).boxed()
}

pub(crate) fn some_amount() -> BoxedStrategy<Amount> {
    prop_oneof![0..300_u64, 0..=AMOUNT_MAX, Just(AMOUNT_MAX)].prop_map(amount).boxed()
}

/// Facts of money in any form.
pub(crate) fn some_facts() -> BoxedStrategy<Fact> {
    let moved = || {
        (
            arbitrary::code(),
            some_currency(),
            some_amount(),
            any::<i64>(),
            arbitrary::name(),
            option::of(arbitrary::code()),
        )
    };
    prop_oneof![
        moved().prop_map(|(owner, currency, amount, balance, reason, reference)| Fact::WalletCharged {
            owner,
            currency,
            amount,
            balance,
            reason,
            reference
        }),
        moved().prop_map(|(owner, currency, amount, balance, reason, reference)| Fact::WalletPaid {
            owner,
            currency,
            amount,
            balance,
            reason,
            reference
        }),
        moved().prop_map(|(owner, currency, amount, balance, reason, reference)| Fact::WalletRefunded {
            owner,
            currency,
            amount,
            balance,
            reason,
            reference
        }),
        (arbitrary::code(), some_currency(), any::<i64>())
            .prop_map(|(owner, currency, limit)| Fact::WalletLimitSet { owner, currency, limit }),
        (moved(), arbitrary::code(), any::<u64>()).prop_map(
            |((owner, currency, amount, _, reason, reference), id, body)| Fact::PaymentAuthorized {
                id,
                body,
                owner,
                currency,
                amount,
                reason,
                reference
            }
        ),
        (moved(), arbitrary::code(), some_amount()).prop_map(
            |((owner, currency, amount, balance, ..), id, released)| Fact::PaymentCaptured {
                id,
                owner,
                currency,
                amount,
                released,
                balance
            }
        ),
        (arbitrary::code(), arbitrary::code(), some_currency(), some_amount()).prop_map(
            |(id, owner, currency, released)| Fact::PaymentVoided { id, owner, currency, released }
        ),
    ]
    .boxed()
}

/// Rows of money in any form.
pub(crate) fn some_rows() -> BoxedStrategy<Row> {
    let sums = (some_amount(), some_amount(), prop_oneof![Just(0), any::<u64>()]);
    let balance = (some_currency(), any::<i64>(), any::<i64>(), sums).prop_map(
        |(currency, balance, limit, (held, paid, sold))| Balance {
            currency,
            balance,
            held,
            limit,
            paid,
            sold,
        },
    );
    let wallet = (arbitrary::sequence(), list(balance))
        .prop_map(|(opened, balances)| Wallet { opened, balances: balances.into() });
    let authorization = (
        arbitrary::code(),
        some_currency(),
        (some_amount(), some_amount(), some_amount()),
        arbitrary::name(),
        option::of(arbitrary::code()),
        any::<u64>(),
        arbitrary::sequence(),
    )
        .prop_map(|(owner, currency, (amount, captured, held), reason, reference, body, authorized)| {
            Authorization { owner, currency, amount, captured, held, reason, reference, body, authorized }
        });
    prop_oneof![
        (arbitrary::code(), option::of(wallet)).prop_map(|(owner, row)| Row::Wallet(owner, row)),
        (some_currency(), select(MoneyOutside::ALL.to_vec()), any::<i64>())
            .prop_map(|(currency, outside, balance)| Row::MoneyOutside(currency, outside, balance)),
        (arbitrary::code(), option::of(authorization.prop_map(Box::new)))
            .prop_map(|(id, row)| Row::Authorization(id, row)),
    ]
    .boxed()
}

#[test]
fn events_of_money_open_and_are_written_the_same_today() {
    let file = fixture("v1/money_events.bin", || codec::encode(&events()));
    events_stay(&file, &events());
}

#[test]
fn rows_of_money_open_and_are_written_the_same_today() {
    let file = fixture("v1/money_rows.bin", || codec::row::encode(&rows()));
    rows_stay(&file, &rows());
}

#[test]
fn rows_of_money_for_orders_open_and_are_written_the_same_today() {
    let file = fixture("v1/sold_rows.bin", || codec::row::encode(&sold_rows()));
    rows_stay(&file, &sold_rows());
}

#[test]
fn nothing_for_orders_is_written_as_nothing() {
    let balance = |sold| Balance { sold, ..Balance::empty(currency("KRW")) };
    let wallet = |sold| Wallet { opened: Sequence(1), balances: smallvec![balance(sold)] };
    let bytes = |sold| codec::row::encode(&[Row::Wallet(code("kim"), Some(wallet(sold)))]);
    assert_eq!(bytes(1).len(), bytes(0).len() + 1);
    let mut zero = bytes(1);
    *zero.last_mut().unwrap() = 0;
    let error = decode_rows(&zero).unwrap_err();
    assert_eq!((error.what(), error.problem()), ("Balance.sold", &codec::Problem::Zero));
}

#[test]
fn a_currency_that_is_none_is_refused() {
    let mut bytes = codec::row::encode(&[Row::MoneyOutside(currency("KRW"), MoneyOutside::Sales, 1)]);
    let at = codec::row::HEADER_LEN + 2;
    bytes[at] = b'k';
    assert_eq!(
        decode_rows(&bytes).unwrap_err().to_string(),
        format!(
            "cannot read MoneyOutside.currency at byte {at}: it is not three capital letters such as KRW"
        )
    );
}
