//! Whom an order is for, and what it was sold to them for, as few bytes: 29 for three lines at less than 2,097,152 each and an id of
//! 15 characters, where rows of their own took 176 and more.
//!
//! ```text
//! nobody    no bytes
//! customer  length of the id: one byte   the id
//! paid      the customer, and behind it:   currency: three bytes   refunded   price of line 0   price of line 1  …
//! ```
//!
//! Who paid is the customer, and what was paid in all is what the lines cost: neither is kept once more.

use super::packed_numbers::{Packing, put, take};
use crate::{Amount, Code, Currency, Quantity, row::Sale};

const CURRENCY_BYTES: usize = 3;

#[derive(Default)]
pub(super) struct PackedBuyer(Box<[u8]>);

impl PackedBuyer {
    /// Of an order that was not paid for.
    pub(super) fn unpaid(customer: Option<&Code>) -> Self {
        Self(customer.map(|customer| Box::from(&*begin(customer))).unwrap_or_default())
    }

    /// Of an order whose customer paid what its lines cost.
    pub(super) fn paid(sale: &Sale) -> Self {
        let mut bytes = begin(&sale.owner);
        bytes.extend_from_slice(sale.currency.as_str().as_bytes());
        put(&mut bytes, sale.refunded.get());
        sale.prices.iter().for_each(|price| put(&mut bytes, price.get()));
        Self(Box::from(&*bytes))
    }

    pub(super) fn customer(&self) -> Option<Code> {
        let (length, rest) = self.0.split_first()?;
        let customer = std::str::from_utf8(&rest[..usize::from(*length)]);
        Some(Code::kept(customer.expect("a code was packed")))
    }

    pub(super) fn is_customer(&self, customer: &Code) -> bool {
        let text = customer.as_str().as_bytes();
        self.0
            .split_first()
            .is_some_and(|(length, rest)| usize::from(*length) == text.len() && rest.starts_with(text))
    }

    /// What was paid, for lines of these quantities.
    pub(super) fn sale(&self, quantities: impl Iterator<Item = Quantity>) -> Option<Sale> {
        let length = *self.0.first()?;
        let (currency, mut sold) = self.0[1 + usize::from(length)..].split_first_chunk::<CURRENCY_BYTES>()?;
        let currency =
            std::str::from_utf8(currency).ok().and_then(|text| Currency::new("currency", text).ok());
        let refunded = amount(take(&mut sold));
        let (mut prices, mut total) = (Vec::with_capacity(quantities.size_hint().0), 0);
        for quantity in quantities {
            let price = take(&mut sold);
            total += price * quantity.get();
            prices.push(amount(price));
        }
        let currency = currency.expect("a currency was packed");
        Some(Sale { owner: self.customer()?, currency, prices, total: amount(total), refunded })
    }
}

/// The customer, and room for what comes behind it.
fn begin(customer: &Code) -> Packing {
    let text = customer.as_str();
    let mut bytes = Packing::new();
    bytes.push(u8::try_from(text.len()).expect("a code has at most 64 bytes"));
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn amount(units: u64) -> Amount {
    Amount::new("amount", units).expect("an amount was packed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::AMOUNT_MAX;

    fn code(text: &str) -> Code {
        Code::new("code", text).unwrap()
    }

    fn sale(owner: &str, prices: &[u64], refunded: u64) -> Sale {
        Sale {
            owner: code(owner),
            currency: Currency::new("currency", "KRW").unwrap(),
            prices: prices.iter().copied().map(amount).collect(),
            total: amount(prices.iter().sum()),
            refunded: amount(refunded),
        }
    }

    fn ones(count: usize) -> impl Iterator<Item = Quantity> {
        std::iter::repeat_n(Quantity::ONE, count)
    }

    #[test]
    fn a_buyer_is_read_as_it_was_packed() {
        for customer in [None, Some(code("k")), Some(code(&"k".repeat(64)))] {
            let packed = PackedBuyer::unpaid(customer.as_ref());
            assert_eq!(packed.customer(), customer);
            assert_eq!(packed.sale(ones(1)), None);
            assert!(!packed.is_customer(&code("kim")));
        }
        for prices in [&[0][..], &[127, 128, 16_383, 16_384], &[AMOUNT_MAX], &[5; 1_000]] {
            for (owner, refunded) in [("kim", 0), (&"k".repeat(64), prices[0])] {
                let sale = sale(owner, prices, refunded);
                let packed = PackedBuyer::paid(&sale);
                assert_eq!(packed.customer().as_ref(), Some(&sale.owner));
                assert!(packed.is_customer(&sale.owner) && !packed.is_customer(&code("lee")));
                assert_eq!(packed.sale(ones(prices.len())), Some(sale));
            }
        }
    }

    #[test]
    fn what_was_paid_is_what_the_lines_cost() {
        let mut sold = sale("kim", &[7, 11], 0);
        sold.total = amount(3 * 7 + 2 * 11);
        let quantities = [3, 2].map(Quantity::stored).into_iter();
        assert_eq!(PackedBuyer::paid(&sold).sale(quantities), Some(sold));
    }

    #[test]
    fn a_price_takes_as_many_bytes_as_it_has_digits_to_the_base_of_128() {
        for (prices, bytes) in [(&[127][..], 1), (&[128], 2), (&[12_900; 3], 6), (&[25_000; 10], 30)] {
            let packed = PackedBuyer::paid(&sale("owner-000000001", prices, 0));
            assert_eq!(packed.0.len(), 1 + 15 + CURRENCY_BYTES + 1 + bytes);
        }
    }
}
