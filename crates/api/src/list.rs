//! Lists, their pages and their cursors, and every answer to a query.

use jaego_domain::{
    Code, LocationId, LotId, Place, Refusal, SkuId,
    query::{Listed, View},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cart::{Cart, CartSummary},
    fence::Fence,
    hold::{Hold, HoldSummary},
    location::Location,
    lot::{Lot, LotHolder, Trace},
    order::{Order, OrderSummary},
    site::Site,
    sku::Sku,
    stock::{Position, SiteStock},
    trade::{Card, PriceTiers, Proposal},
    transfer::{ExplainedLine, Transfer, TransferSummary},
    wallet::{Account, Authorization, Wallet},
};

/// Some items, and where to go on if there may be more. A filtered page may have fewer items than asked for,
/// none even, while there is more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor for `after`, or null at the end. Its text means nothing to anybody else.
    pub next: Option<String>,
}

/// Writes the place where a page ended as a cursor.
pub fn cursor(place: u64) -> String {
    format!("p{place:x}")
}

/// Reads a cursor that [`cursor`] wrote. Refuses with `invalid_value`.
pub fn place(text: &str) -> Result<u64, Refusal> {
    let digits = text.strip_prefix('p').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let place = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    place.ok_or_else(|| Refusal::invalid("after", "is not a cursor that an answer gave"))
}

/// Writes the position where a page of positions ended as a cursor. It outlives a restart.
pub fn position_cursor(place: Place) -> String {
    let Place { location, sku, lot } = place;
    format!("{:x}-{:x}-{:x}", location.0, sku.0, lot.0)
}

/// Reads a cursor that [`position_cursor`] wrote. Refuses with `invalid_value`.
pub fn position(text: &str) -> Result<Place, Refusal> {
    let number = |part: &str| {
        let digits = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u32::from_str_radix(part, 16).ok()).flatten()
    };
    let parts: Option<Vec<u32>> = text.split('-').map(number).collect();
    match parts.as_deref() {
        Some([location, sku, lot]) => {
            Ok(Place { location: LocationId(*location), sku: SkuId(*sku), lot: LotId(*lot) })
        }
        _ => Err(Refusal::invalid("after", "is not a cursor that an answer gave")),
    }
}

fn json(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("answers have no maps with keys that are not text")
}

/// Writes the answer to a query as JSON for a caller who may see some sites only: what a lot has `inside` of all of
/// them is left out. Whether the caller may see the rest of the view is for the service to say.
pub fn to_json_of_some_sites(view: &View) -> Vec<u8> {
    match view {
        View::Lot(view) => json(&Lot::of_some_sites(view)),
        View::Lots(listed) => {
            let items: Vec<_> = listed.items.iter().map(Lot::of_some_sites).collect();
            json(&List { items, next: listed.next.map(cursor) })
        }
        view => to_json(view),
    }
}

/// Writes the answer to a query as JSON.
pub fn to_json(view: &View) -> Vec<u8> {
    fn page<'a, V, T: From<&'a V> + Serialize>(listed: &'a Listed<V>) -> Vec<u8> {
        let items: Vec<T> = listed.items.iter().map(T::from).collect();
        json(&List { items, next: listed.next.map(cursor) })
    }
    fn all<'a, V, T: From<&'a V> + Serialize>(items: &'a [V]) -> Vec<u8> {
        json(&List { items: items.iter().map(T::from).collect::<Vec<T>>(), next: None })
    }
    match view {
        View::Site(view) => json(&Site::from(view)),
        View::Sites(listed) => page::<_, Site>(listed),
        View::Location(view) => json(&Location::from(view)),
        View::Locations(listed) => page::<_, Location>(listed),
        View::Sku(view) => json(&Sku::from(view)),
        View::Skus(listed) => page::<_, Sku>(listed),
        View::Lot(view) => json(&Lot::from(view)),
        View::Lots(listed) => page::<_, Lot>(listed),
        View::Stock(listed) => {
            let items: Vec<_> = listed.items.iter().map(Position::from).collect();
            json(&List { items, next: listed.next.map(position_cursor) })
        }
        View::SkuStock(items) => all::<_, SiteStock>(items),
        View::Hold(view) => json(&Hold::from(view)),
        View::Transfer(view) => json(&Transfer::from(&**view)),
        View::Transfers(listed) => page::<_, TransferSummary>(listed),
        View::Explain(lines) => all::<_, ExplainedLine>(lines),
        View::Trace(view) => json(&Trace::from(view)),
        View::Wallet(view) => json(&Wallet::from(view)),
        View::Wallets(listed) => page::<_, Wallet>(listed),
        View::Authorization(view) => json(&Authorization::from(view)),
        View::Fence(view) => json(&Fence::from(view)),
        View::Order(view) => json(&Order::from(&**view)),
        View::Orders(listed) => page::<_, OrderSummary>(listed),
        View::PriceTiers(view) => json(&PriceTiers::from(view)),
        View::Card(view) => json(&Card::from(view)),
        View::Cards(listed) => page::<_, Card>(listed),
        View::Proposal(view) => json(&Proposal::from(view)),
        View::Proposals(listed) => page::<_, Proposal>(listed),
        View::Cart(view) => json(&Cart::from(&**view)),
        View::Carts(listed) => page::<_, CartSummary>(listed),
        View::Authorizations(listed) => {
            let items: Vec<_> = listed.items.iter().map(Authorization::from).collect();
            json(&List { items, next: listed.next.as_ref().map(Code::to_string) })
        }
        View::Accounts(listed) => page::<_, Account>(listed),
        View::ExplainOrder(lines) => all::<_, ExplainedLine>(lines),
        View::Holds(listed) => page::<_, HoldSummary>(listed),
        View::LotHolders(listed) => page::<_, LotHolder>(listed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_s_cursor_is_read_as_it_was_written() {
        for numbers in [[0, 0, 0], [1, 2, 3], [u32::MAX; 3]] {
            let [location, sku, lot] = numbers;
            let place = Place { location: LocationId(location), sku: SkuId(sku), lot: LotId(lot) };
            assert_eq!(position(&position_cursor(place)), Ok(place));
        }
        for bad in ["", "1-2", "1-2-3-4", "1-2-", "-1-2-3", "1-2-g", "1-2-100000000", "p1"] {
            assert!(position(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for number in [0, 1, 0xdead_beef, u64::MAX] {
            assert_eq!(place(&cursor(number)), Ok(number));
        }
        for bad in ["", "p", "1", "p-1", "p+1", "pg", "p10000000000000000"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
