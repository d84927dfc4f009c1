//! What files have: the columns, the commands that rows become, and the words of either.

use clap::ValueEnum;

use crate::rows::{Column, Kind, needed, optional};

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Noun {
    Sites,
    Locations,
    Skus,
    Lots,
    Stock,
    Transfers,
    Wallets,
    Orders,
    Tiers,
    Cards,
}

impl Noun {
    /// The columns of its CSV files.
    pub(crate) fn columns(self) -> &'static [Column] {
        const SITES: &[Column] = &[
            needed("site", Kind::Text),
            optional("name", Kind::Name),
            optional("time_zone", Kind::Text),
            optional("strategy", Kind::Text),
            optional("order_allocation", Kind::Text),
        ];
        const LOCATIONS: &[Column] = &[
            needed("site", Kind::Text),
            needed("location", Kind::Text),
            optional("zone", Kind::Name),
            optional("pick_order", Kind::Whole),
            needed("kind", Kind::Text),
        ];
        const SKUS: &[Column] = &[
            needed("sku", Kind::Text),
            optional("name", Kind::Name),
            optional("tracking", Kind::Text),
            optional("safety_stock.", Kind::Whole),
            optional("prices.", Kind::Whole),
        ];
        const LOTS: &[Column] = &[
            needed("sku", Kind::Text),
            needed("lot", Kind::Text),
            optional("received_on", Kind::Text),
            optional("expires_on", Kind::Text),
            optional("blocked", Kind::Flag),
        ];
        const STOCK: &[Column] = &[
            needed("site", Kind::Text),
            needed("location", Kind::Text),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const TRANSFERS: &[Column] = &[
            needed("id", Kind::Text),
            needed("from", Kind::Text),
            needed("to", Kind::Text),
            optional("priority", Kind::Whole),
            needed("line", Kind::Text),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const WALLETS: &[Column] = &[
            needed("owner", Kind::Text),
            needed("currency", Kind::Text),
            needed("balance", Kind::Whole),
            optional("limit", Kind::Whole),
        ];
        const ORDERS: &[Column] = &[
            needed("id", Kind::Text),
            needed("site", Kind::Text),
            optional("customer", Kind::Text),
            optional("priority", Kind::Whole),
            optional("backorder", Kind::Flag),
            needed("sku", Kind::Text),
            optional("lot", Kind::Text),
            needed("quantity", Kind::Whole),
        ];
        const CARDS: &[Column] =
            &[needed("card", Kind::Text), needed("owner", Kind::Text), needed("price", Kind::Whole)];
        const TIERS: &[Column] = &[needed("from", Kind::Whole)];
        match self {
            Self::Tiers => TIERS,
            Self::Cards => CARDS,
            Self::Wallets => WALLETS,
            Self::Sites => SITES,
            Self::Locations => LOCATIONS,
            Self::Skus => SKUS,
            Self::Lots => LOTS,
            Self::Stock => STOCK,
            Self::Transfers => TRANSFERS,
            Self::Orders => ORDERS,
        }
    }

    /// The fields that an object of its JSON lines may have. A document is one object, with its lines.
    pub(super) fn fields(self) -> Vec<&'static str> {
        match self.head() {
            Some(head) => ["id"].into_iter().chain(head.iter().copied()).chain(["lines"]).collect(),
            None => self.columns().iter().map(Column::field).collect(),
        }
    }

    /// What is wrong with a command, by the names of the file. The command is a batch of one, whose columns nobody wrote,
    /// and a row of stock is a line of an adjustment.
    pub(super) fn in_its_words(self, what: &str) -> String {
        let what =
            what.strip_prefix("commands[0]").map_or(what, |rest| rest.trim_start_matches(['.', ':', ' ']));
        let what = what.split_once(", at line 1 column ").map_or(what, |(what, _)| what);
        match self {
            Self::Sites => renamed(what, "allocation", "order_allocation"),
            Self::Wallets => renamed(what, "amount", "balance"),
            Self::Stock => match what.strip_prefix("lines[0].") {
                Some(what) => renamed(what, "change", "quantity"),
                None => what.to_owned(),
            },
            _ => what.to_owned(),
        }
    }

    pub(super) fn op(self) -> &'static str {
        match self {
            Self::Sites => "set_site",
            Self::Locations => "set_location",
            Self::Skus => "set_sku",
            Self::Lots => "set_lot",
            Self::Stock => "adjust",
            Self::Transfers => "request_transfer",
            Self::Wallets => "charge",
            Self::Orders => "place_order",
            Self::Tiers => "set_price_tiers",
            Self::Cards => "set_card",
        }
    }

    /// The fields that tell one row from another.
    pub(super) fn key(self) -> &'static [&'static str] {
        match self {
            Self::Sites => &["site"],
            Self::Locations => &["site", "location"],
            Self::Skus => &["sku"],
            Self::Lots => &["sku", "lot"],
            Self::Stock => &["site", "location", "sku", "lot"],
            Self::Transfers | Self::Orders => &["id"],
            Self::Wallets => &["owner", "currency"],
            Self::Tiers => &["from"],
            Self::Cards => &["card"],
        }
    }

    /// Beside the id, what all rows of a document say alike, where a document has a row for each of its lines.
    pub(super) fn head(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Transfers => Some(&["from", "to", "priority"]),
            Self::Orders => Some(&["site", "customer", "priority", "backorder"]),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sites => "sites",
            Self::Locations => "locations",
            Self::Skus => "skus",
            Self::Lots => "lots",
            Self::Stock => "stock",
            Self::Transfers => "transfers",
            Self::Wallets => "wallets",
            Self::Orders => "orders",
            Self::Tiers => "tiers",
            Self::Cards => "cards",
        }
    }
}

/// What is wrong with a field, by the name that the file has for it.
fn renamed(what: &str, field: &str, column: &str) -> String {
    match what.strip_prefix(field) {
        Some(rest) => format!("{column}{rest}"),
        None => what.to_owned(),
    }
}
