//! Reads: each finds its route in the table.

use jaego_api::{
    READS,
    cart::{Cart, CartSummary},
    event::Event,
    fence::Fence,
    hold::{Hold, HoldSummary},
    list::List,
    location::Location,
    lot::{Lot, LotHolder, Trace},
    movement::Movement,
    order::{Order, OrderSummary},
    site::Site,
    sku::Sku,
    status::Status,
    stock::{BalancePoint, PastPosition, Position, SiteStock},
    trade::{Card, PriceTiers, Proposal},
    transfer::{ExplainedLine, Transfer, TransferSummary},
    wallet::{Account, Authorization, StatementLine, Wallet},
};
use serde::de::DeserializeOwned;

use crate::{Client, Error, commands::encoded, transport::Call};

impl Client {
    /// Reads what is called `name` in the table of reads. `parameters` are those of its path and of its query.
    ///
    /// # Errors
    /// [`Error::Request`] for a read that there is not or a parameter of its path that is missing, else what came
    /// of sending it.
    pub async fn read<T: DeserializeOwned>(
        &self,
        name: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, Error> {
        self.call(&call(name, parameters)?).await
    }
}

macro_rules! methods {
    ($($method:ident $name:literal ($($parameter:ident),*) $answer:ty, $what:literal)*) => {
        #[cfg(test)]
        const METHODS: &[&str] = &[$($name),*];

        impl Client {
            $(
                #[doc = $what]
                ///
                /// # Errors
                /// Those of [`Client::read`].
                pub async fn $method(&self $(, $parameter: &str)*) -> Result<$answer, Error> {
                    self.read($name, &[$((stringify!($parameter), $parameter)),*]).await
                }
            )*
        }
    };
}

macro_rules! lists {
    ($($method:ident $name:literal ($($parameter:ident),*) $item:ty, $what:literal)*) => {
        #[cfg(test)]
        const LISTS: &[&str] = &[$($name),*];

        impl Client {
            $(
                #[doc = $what]
                /// `query` has the filters, `after` and `limit`, by the names that the table of reads gives them.
                ///
                /// # Errors
                /// Those of [`Client::read`].
                pub async fn $method(&self $(, $parameter: &str)*, query: &[(&str, &str)]) -> Result<List<$item>, Error> {
                    let mut parameters = vec![$((stringify!($parameter), $parameter)),*];
                    parameters.extend_from_slice(query);
                    self.read($name, &parameters).await
                }
            )*
        }
    };
}

methods! {
    site "site" (site) Site, "Shows a site."
    location "location" (site, location) Location, "Shows a location."
    sku "sku" (sku) Sku, "Shows a SKU."
    sku_stock "sku_stock" (sku) List<SiteStock>, "Shows what every site has of a SKU."
    lot "lot" (sku, lot) Lot, "Shows a lot."
    trace "trace" (sku, lot) Trace, "Shows where a lot lies and who holds it."
    hold_by_id "hold" (hold) Hold, "Shows a hold."
    transfer "transfer" (transfer) Transfer, "Shows a transfer with its lines."
    wallet "wallet" (owner) Wallet, "Shows what somebody has."
    authorization "authorization" (authorization) Authorization, "Shows an authorization."
    order "order" (order) Order, "Shows an order with its lines."
    fence "fence" (resource) Fence, "Shows the highest fence that was seen for a resource."
    cart "cart" (cart) Cart, "Shows a cart with its items."
    status "status" () Status, "Shows how the store is doing."
    price_tiers "price_tiers" () PriceTiers, "Shows where the tiers of prices begin."
    card "card" (card) Card, "Shows a card."
    proposal "proposal" (proposal) Proposal, "Shows a proposal."
}

lists! {
    sites "sites" () Site, "Lists the sites."
    locations "locations" (site) Location, "Lists the locations of a site."
    skus "skus" () Sku, "Lists the SKUs."
    lots "lots" (sku) Lot, "Lists the lots of a SKU."
    lot_holders "lot_holders" (sku, lot) LotHolder, "Lists the documents that hold something of a lot as they were made, oldest first."
    stock "stock" () Position, "Lists positions as they are: without `as_of`."
    stock_as_of "stock" (as_of) PastPosition, "Lists positions as they were at a time, in RFC 3339."
    sku_history "sku_history" (sku) BalancePoint, "Lists how the balance of a SKU came to be what it is, oldest first."
    holds "holds" () HoldSummary, "Lists open holds as they were placed, oldest first, by what they hold."
    transfers "transfers" () TransferSummary, "Lists transfers."
    orders "orders" () OrderSummary, "Lists orders as they were placed, oldest first."
    carts "carts" () CartSummary, "Lists open carts as they were opened, oldest first."
    explain "explain" (transfer) ExplainedLine, "Explains why lines of a transfer are not allocated."
    explain_order "explain_order" (order) ExplainedLine, "Explains why lines of an order are not allocated."
    authorizations "authorizations" (owner) Authorization, "Lists the open authorizations of a wallet, in the order of their ids."
    accounts "accounts" () Account, "Lists what the outside accounts of money have, by currency."
    movements "movements" () Movement, "Lists movements, oldest first."
    wallets "wallets" () Wallet, "Lists the wallets, in the order in which they were opened."
    statement "statement" (owner) StatementLine, "Lists what money went into a wallet and out of it, oldest first."
    event_page "events" () Event, "Reads a page of the feed of events."
    cards "cards" () Card, "Lists cards as they were made, oldest first."
    proposals "proposals" () Proposal, "Lists proposals as they were made, oldest first."
}

pub(crate) fn call(name: &str, parameters: &[(&str, &str)]) -> Result<Call, Error> {
    let bad = |detail: String| Error::Request { detail };
    let row = READS
        .iter()
        .find(|row| row.name == name)
        .ok_or_else(|| bad(format!("there is no read called {name}")))?;
    let mut path = row.path.to_owned();
    for name in row.path_parameters() {
        let value = parameters.iter().find(|(parameter, _)| *parameter == name);
        let (_, value) = value.ok_or_else(|| bad(format!("{}: {name} is missing", row.name)))?;
        path = path.replace(&format!("{{{name}}}"), &encoded(value));
    }
    let query =
        parameters.iter().filter(|(name, _)| !row.path_parameters().any(|parameter| parameter == *name));
    for (index, (name, value)) in query.enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(&format!("{}={}", encoded(name), encoded(value)));
    }
    Ok(Call::get(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_has_a_method() {
        let rows: Vec<_> = READS.iter().map(|row| row.name).collect();
        let missing: Vec<_> =
            rows.iter().filter(|name| !METHODS.contains(name) && !LISTS.contains(name)).collect();
        assert!(missing.is_empty(), "there is no method for {missing:?}");
        let unknown: Vec<_> = METHODS.iter().chain(LISTS).filter(|name| !rows.contains(name)).collect();
        assert!(unknown.is_empty(), "there is no read {unknown:?}");
    }

    #[test]
    fn parameters_go_to_the_path_and_the_query() {
        let path = |name, parameters: &[_]| call(name, parameters).map(|call| call.path).ok();
        assert_eq!(
            path("lots", &[("sku", "m/g"), ("limit", "5"), ("after", "p1")]).as_deref(),
            Some("/v1/skus/m%2Fg/lots?limit=5&after=p1")
        );
        assert_eq!(
            path("stock", &[("as_of", "2026-03-01T09:00:00+09:00"), ("sku", "mug")]).as_deref(),
            Some("/v1/stock?as_of=2026-03-01T09:00:00%2B09:00&sku=mug")
        );
        assert_eq!(path("status", &[]).as_deref(), Some("/v1/status"));
        assert_eq!(path("lots", &[]), None);
        assert_eq!(path("lost", &[]), None);
    }
}
