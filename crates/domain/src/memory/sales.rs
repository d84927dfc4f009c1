//! What orders were sold for. It is a row of its own, and stands packed in that of its order wherever that can tell it.

use std::collections::BTreeMap;

use super::Memory;
use crate::{
    Code, Currency, Row, Tables,
    row::{OrderStatus, Sale},
};

/// What can still be given back through orders, by who paid and in which currency, in minor units. Orders may come to more
/// than an amount where refunds to the wallet took it before it was counted; 2,048 of the largest fit.
pub type Sold = BTreeMap<(Code, Currency), u64>;

/// Sales that the row of no order tells, by the order's id: those of orders that are not here, as between two rows that come or go
/// together, and those that the books would call wrong.
#[derive(Default)]
pub(super) struct Strays(BTreeMap<Code, Box<Sale>>);

impl Memory {
    /// What an order was sold for.
    pub(super) fn sale_of(&self, order: &Code) -> Option<Sale> {
        let packed = self.order_slot(order).and_then(|slot| self.orders.rows.get(slot).sale());
        packed.or_else(|| self.stray_sales.0.get(order).map(|sale| (**sale).clone()))
    }

    pub(super) fn put_sale(&mut self, order: &Code, sale: Option<Box<Sale>>) -> Option<Box<Sale>> {
        let mut row = self.order_slot(order).map(|slot| self.orders.rows.get_mut(slot));
        let packed = row.as_mut().and_then(|row| row.take_sale()).map(Box::new);
        let before = packed.or_else(|| self.stray_sales.0.remove(order));
        let stray = sale.filter(|sale| !row.is_some_and(|row| row.keep_sale(sale)));
        if let Some(stray) = stray {
            self.stray_sales.0.insert(order.clone(), stray);
        }
        before
    }

    /// Puts a sale that came before its order to it.
    pub(super) fn put_stray_sale(&mut self, order: &Code) {
        if let Some(sale) = self.stray_sales.0.remove(order) {
            self.put_sale(order, Some(sale));
        }
    }

    /// What was paid for the orders that are here and can still be given back through them, by who paid.
    pub fn sold(&self) -> Sold {
        let mut sold = Sold::new();
        for row in self.sale_rows() {
            if let Row::Sale(order, Some(sale)) = row
                && let Some(work) = self.order_work(&order)
            {
                add_left(&mut sold, &sale, work.status);
            }
        }
        sold
    }

    /// Notes in the wallets what was paid for orders and can still be given back through them: for rows that were written
    /// before wallets counted it. `sold` has the orders that are not here as well.
    pub fn note_sold(&mut self, sold: Sold) {
        for ((owner, currency), left) in sold {
            // Who paid has a wallet with the currency; where that is not so, the books are wrong, and `check` says it.
            let Some(mut wallet) = self.wallet(&owner).cloned() else { continue };
            if let Some(balance) = wallet.balances.iter_mut().find(|balance| balance.currency == currency) {
                balance.sold = left;
                self.put(Row::Wallet(owner, Some(wallet)));
            }
        }
    }

    /// The rows of sales, as [`Memory::rows`] tells them.
    pub(super) fn sale_rows(&self) -> impl Iterator<Item = Row> + '_ {
        let packed = self.orders.rows.iter();
        let packed =
            packed.filter_map(|(_, row)| Some(Row::Sale(row.id.clone(), Some(Box::new(row.sale()?)))));
        let strays = self.stray_sales.0.iter();
        packed.chain(strays.map(|(order, sale)| Row::Sale(order.clone(), Some(sale.clone()))))
    }
}

/// Adds what can still be given back for an order in this status.
pub fn add_left(sold: &mut Sold, sale: &Sale, status: OrderStatus) {
    let left = sale.left(status);
    if !left.is_zero() {
        let sum = sold.entry((sale.owner.clone(), sale.currency)).or_insert(0);
        *sum = sum.saturating_add(left.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Amount, Command, Name, Quantity, Refusal, Request, Sequence, SiteId, SkuId, Timestamp,
        check::check,
        command::RefundOrder,
        decide,
        limits::AMOUNT_MAX,
        row::{Order, OrderLine},
    };

    fn code(text: &str) -> Code {
        Code::new("code", text).unwrap()
    }

    fn amount(units: u64) -> Amount {
        Amount::new("amount", units).unwrap()
    }

    /// Of two lines: one unit of 5 and two of 7.
    fn order() -> Order {
        let line = |sku, quantity| OrderLine {
            sku: SkuId(sku),
            lot: None,
            quantity: Quantity::stored(quantity),
            picks: Default::default(),
        };
        Order {
            site: SiteId(0),
            customer: Some(code("kim")),
            priority: 0,
            body: 1,
            placed: Sequence(9),
            placed_at: Timestamp(1),
            answer: Sequence(9),
            backorder: false,
            awaits_stock: false,
            status: OrderStatus::Completed,
            claim: None,
            lines: [line(1, 1), line(2, 2)].into_iter().collect(),
        }
    }

    fn sale() -> Sale {
        let currency = Currency::new("currency", "KRW").unwrap();
        let (prices, total) = (vec![amount(5), amount(7)], amount(19));
        Sale { owner: code("kim"), currency, prices, total, refunded: Amount::ZERO }
    }

    fn put_order(memory: &mut Memory, order: Option<Order>) {
        memory.put(Row::Order(code("O-1"), order.map(Box::new)));
    }

    fn put_sale(memory: &mut Memory, sale: Option<Sale>) -> Option<Sale> {
        let Row::Sale(_, before) = memory.put(Row::Sale(code("O-1"), sale.map(Box::new))) else {
            panic!("a row of a sale stood there")
        };
        before.map(|sale| *sale)
    }

    fn told(memory: &Memory) -> (Option<Order>, Option<Sale>) {
        let told = (memory.order(&code("O-1")), memory.sale(&code("O-1")));
        let mut rows = (None, None);
        for row in memory.rows() {
            match row {
                Row::Order(_, order) => rows.0 = order.map(|order| *order),
                Row::Sale(_, sale) => {
                    let one_more = rows.1.replace(*sale.unwrap());
                    assert_eq!(one_more, None, "a sale is told once");
                }
                _ => {}
            }
        }
        assert_eq!(told, rows);
        told
    }

    #[test]
    fn a_sale_comes_and_goes_before_and_after_its_order() {
        let mut memory = Memory::new();
        put_sale(&mut memory, Some(sale()));
        assert_eq!(told(&memory), (None, Some(sale())));
        put_order(&mut memory, Some(order()));
        assert_eq!(told(&memory), (Some(order()), Some(sale())));
        assert!(memory.stray_sales.0.is_empty(), "it stands with its order");
        put_order(&mut memory, None);
        assert_eq!(told(&memory), (None, Some(sale())));
        assert_eq!(put_sale(&mut memory, None), Some(sale()));
        assert_eq!(told(&memory), (None, None));

        put_order(&mut memory, Some(order()));
        assert_eq!(put_sale(&mut memory, Some(sale())), None);
        assert!(memory.stray_sales.0.is_empty(), "it stands with its order");
        assert_eq!(told(&memory), (Some(order()), Some(sale())));
        assert_eq!(put_sale(&mut memory, None), Some(sale()));
        assert_eq!(told(&memory), (Some(order()), None));
    }

    #[test]
    fn what_orders_can_give_back_may_be_more_than_an_amount() {
        let mut sold = Sold::new();
        let sale = Sale { total: amount(AMOUNT_MAX), ..sale() };
        add_left(&mut sold, &sale, OrderStatus::Completed);
        add_left(&mut sold, &sale, OrderStatus::Waiting);
        add_left(&mut sold, &sale, OrderStatus::Cancelled);
        assert_eq!(sold[&(sale.owner.clone(), sale.currency)], 2 * AMOUNT_MAX);
    }

    #[test]
    fn more_given_back_than_was_paid_is_reported() {
        let mut memory = Memory::new();
        put_order(&mut memory, Some(order()));
        put_sale(&mut memory, Some(Sale { refunded: amount(20), ..sale() }));
        assert!(memory.sold().is_empty());
        let wrong = check(&memory).unwrap_err();
        let told = "of the 19 that were paid for order O-1, 20 were given back";
        assert!(wrong.iter().any(|one| one == told), "{wrong:?}");
    }

    #[test]
    fn nothing_more_is_given_back_where_more_was_given_back_than_paid() {
        let mut memory = Memory::new();
        put_order(&mut memory, Some(order()));
        put_sale(&mut memory, Some(Sale { refunded: amount(20), ..sale() }));
        let refund = RefundOrder { id: code("O-1"), amount: None, reason: Name::default() };
        let request = Request::new(Command::RefundOrder(refund), None, code("tester")).unwrap();
        let refused = decide(&memory, &request, Timestamp(1_000)).unwrap_err();
        let Refusal::RefundExceedsOrder { requested, refundable, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!((requested, refundable), (Amount::ZERO, Amount::ZERO));
    }

    #[test]
    fn an_order_that_changes_keeps_its_sale() {
        let mut memory = Memory::new();
        put_order(&mut memory, Some(order()));
        put_sale(&mut memory, Some(sale()));
        let refunded = Sale { refunded: amount(4), ..sale() };
        assert_eq!(put_sale(&mut memory, Some(refunded.clone())), Some(sale()));
        let cancelled = Order { status: OrderStatus::Cancelled, ..order() };
        let mut more = order();
        more.lines[0].quantity = Quantity::stored(3);
        let unnamed = Order { customer: None, ..order() };
        for changed in [cancelled, more, unnamed, order()] {
            put_order(&mut memory, Some(changed.clone()));
            assert_eq!(told(&memory), (Some(changed), Some(refunded.clone())));
        }
    }

    #[test]
    fn a_sale_that_the_books_would_call_wrong_is_told_as_it_was_put() {
        let wrong = [
            Sale { owner: code("lee"), ..sale() },
            Sale { total: amount(18), ..sale() },
            Sale { prices: vec![amount(5)], ..sale() },
            Sale { prices: vec![amount(5), amount(7), amount(0)], ..sale() },
        ];
        for sale in wrong {
            let mut memory = Memory::new();
            put_order(&mut memory, Some(order()));
            put_sale(&mut memory, Some(sale.clone()));
            assert_eq!(told(&memory), (Some(order()), Some(sale.clone())));
            assert_eq!(put_sale(&mut memory, Some(self::sale())), Some(sale));
            assert_eq!(told(&memory), (Some(order()), Some(self::sale())));
        }
    }
}
