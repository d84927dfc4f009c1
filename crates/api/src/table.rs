//! The table of commands: the one place that says how each is called, where it is found and who may give it.
//! Routes, batches, the OpenAPI document, the client and the command line are driven by it.

use jaego_domain::{Command, Refusal};
use schemars::{Schema, SchemaGenerator};
use serde::de::{Deserialize, Error, MapAccess, value::MapAccessDeserializer};

use crate::{
    adjustment::Adjust,
    bin_move::Move,
    cart::{Checkout, DiscardCart, SetCart, SetCartItem},
    fence::RaiseFence,
    hold::{ChangeHold, ConfirmHold, ExtendHold, PlaceHold, ReleaseHold},
    limits::{BODY_BYTES_MAX, DOCUMENT_BYTES_MAX},
    location::SetLocation,
    lot::SetLot,
    movement::Reverse,
    order::{
        AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, CompleteOrder, ExtendClaim, PlaceOrder,
        RefundOrder, SetOrderAllocation, UnclaimOrder,
    },
    picking::{ClaimTransfer, ExtendTransferClaim, UnclaimTransfer},
    site::SetSite,
    sku::SetSku,
    trade::{AcceptProposal, Propose, RejectProposal, SetCard, SetPriceTiers, WithdrawProposal},
    transfer::{
        AllocateTransfer, CancelTransfer, CloseTransfer, PickTransfer, ReceiveTransfer, ReleaseTransfer,
        RequestTransfer, ShipTransfer, UnpickTransfer,
    },
    wallet::{Authorize, Capture, Charge, Pay, Refund, SetWalletLimit, Void},
};

/// Where it is asked whether the process lives. Anybody may.
pub const HEALTHZ_PATH: &str = "/healthz";
/// Where it is asked whether the service takes requests. Anybody may.
pub const READYZ_PATH: &str = "/readyz";
/// Where the metrics are, for readers.
pub const METRICS_PATH: &str = "/metrics";

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// As HTTP has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a token may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Picks, ships, receives and moves goods, and works on orders.
    Worker,
    /// Changes stock and documents.
    Operator,
    /// Changes settings as well.
    Admin,
}

impl Role {
    /// The name in files and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// What makes sending a command twice the same as sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A setting: the second time sets what is set.
    Setting,
    /// A creation: the document's own id is its key, for ever.
    Creation,
    /// An action: only with a request key.
    Action,
}

/// A command, as callers reach it.
#[derive(Clone, Copy)]
pub struct CommandRow {
    /// Its name: in a batch, on the command line, in metrics.
    pub op: &'static str,
    /// The method of its route.
    pub method: Method,
    /// Its route. The parameters in braces are fields of the command, which a batch names among the others.
    pub path: &'static str,
    /// The least role that may give it.
    pub role: Role,
    /// Bytes that its body may have.
    pub body_bytes_max: usize,
    /// What a repeat is known by.
    pub repeat: Repeat,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The shape of its fields, those of the path included.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl CommandRow {
    /// The names of the parameters in its path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        path_parameters(self.path)
    }
}

/// The names in braces.
pub(crate) fn path_parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The command of this name.
pub fn command(op: &str) -> Option<&'static CommandRow> {
    COMMANDS.iter().find(|row| row.op == op)
}

/// Where many commands are given at once.
pub const BATCH_PATH: &str = "/v1/batch";
/// The least role that may give a batch; each of its commands asks for its own besides.
pub const BATCH_ROLE: Role = Role::Worker;

macro_rules! commands {
    ($($op:literal $body:ident $method:ident $path:literal $role:ident $bytes:ident $repeat:ident $summary:literal)*) => {
        /// Every command.
        pub const COMMANDS: &[CommandRow] = &[$(CommandRow {
            op: $op,
            method: Method::$method,
            path: $path,
            role: Role::$role,
            body_bytes_max: $bytes,
            repeat: Repeat::$repeat,
            summary: $summary,
            schema: |generator| generator.subschema_for::<$body<'static>>(),
        },)*];

        /// Reads the fields of the command called `op`. The outer error is about their shape, the inner one about
        /// their values.
        pub(crate) fn read_fields<'de, A: MapAccess<'de>>(
            op: &str,
            fields: A,
        ) -> Result<Result<Command, Refusal>, A::Error> {
            match op {
                $($op => {
                    let body = $body::deserialize(MapAccessDeserializer::new(fields))?;
                    Ok(body.command())
                })*
                _ => Err(A::Error::custom(format_args!("there is no operation called {op:?}"))),
            }
        }
    };
}

commands! {
    // The hold stands first because it is looked for most often.
    "hold" PlaceHold Post "/v1/holds" Operator DOCUMENT_BYTES_MAX Creation "Place a hold"
    "confirm_hold" ConfirmHold Post "/v1/holds/{hold}/confirm" Operator DOCUMENT_BYTES_MAX Action "Confirm a hold: take the goods out"
    "release_hold" ReleaseHold Post "/v1/holds/{hold}/release" Operator DOCUMENT_BYTES_MAX Action "Release a hold or parts of it"
    "extend_hold" ExtendHold Post "/v1/holds/{hold}/extend" Operator BODY_BYTES_MAX Action "Give a hold a new life"
    "change_hold" ChangeHold Post "/v1/holds/{hold}/change" Operator DOCUMENT_BYTES_MAX Action "Change the lines of a hold"
    "request_transfer" RequestTransfer Post "/v1/transfers" Operator DOCUMENT_BYTES_MAX Creation "Request a transfer between two sites"
    "allocate_transfer" AllocateTransfer Post "/v1/transfers/{transfer}/allocate" Operator DOCUMENT_BYTES_MAX Action "Allocate what a transfer lacks"
    "release_transfer" ReleaseTransfer Post "/v1/transfers/{transfer}/release" Operator DOCUMENT_BYTES_MAX Action "Release what a transfer has allocated"
    "cancel_transfer" CancelTransfer Post "/v1/transfers/{transfer}/cancel" Operator BODY_BYTES_MAX Action "Cancel a transfer"
    "pick_transfer" PickTransfer Post "/v1/transfers/{transfer}/pick" Worker DOCUMENT_BYTES_MAX Action "Pick allocated goods into staging"
    "unpick_transfer" UnpickTransfer Post "/v1/transfers/{transfer}/unpick" Worker DOCUMENT_BYTES_MAX Action "Take picked goods back to their bins"
    "ship_transfer" ShipTransfer Post "/v1/transfers/{transfer}/ship" Worker DOCUMENT_BYTES_MAX Creation "Ship picked goods"
    "receive_transfer" ReceiveTransfer Post "/v1/transfers/{transfer}/receive" Worker DOCUMENT_BYTES_MAX Action "Receive shipped goods"
    "close_transfer" CloseTransfer Post "/v1/transfers/{transfer}/close" Operator BODY_BYTES_MAX Action "End a transfer: give up the rest, write off what is missing"
    "adjust" Adjust Post "/v1/adjustments" Operator DOCUMENT_BYTES_MAX Creation "Adjust stock"
    "move" Move Post "/v1/moves" Worker DOCUMENT_BYTES_MAX Creation "Move stock between the bins of a site"
    "reverse" Reverse Post "/v1/movements/{movement}/reverse" Operator BODY_BYTES_MAX Action "Take a movement back"
    "charge" Charge Post "/v1/wallets/{owner}/charge" Operator BODY_BYTES_MAX Action "Charge a wallet"
    "pay" Pay Post "/v1/wallets/{owner}/pay" Operator BODY_BYTES_MAX Action "Pay from a wallet"
    "refund" Refund Post "/v1/wallets/{owner}/refund" Operator BODY_BYTES_MAX Action "Refund to a wallet"
    "authorize" Authorize Post "/v1/wallets/{owner}/authorize" Operator BODY_BYTES_MAX Creation "Hold money of a wallet for a later capture"
    "capture" Capture Post "/v1/wallets/{owner}/capture" Operator BODY_BYTES_MAX Action "Pay from an authorization"
    "void" Void Post "/v1/wallets/{owner}/void" Operator BODY_BYTES_MAX Action "Give an authorization's held money back"
    "set_wallet_limit" SetWalletLimit Put "/v1/wallets/{owner}/limit" Admin BODY_BYTES_MAX Setting "Set a wallet's limit"
    "set_site" SetSite Put "/v1/sites/{site}" Admin BODY_BYTES_MAX Setting "Set a site"
    "set_location" SetLocation Put "/v1/sites/{site}/locations/{location}" Admin BODY_BYTES_MAX Setting "Set a location"
    "set_sku" SetSku Put "/v1/skus/{sku}" Admin BODY_BYTES_MAX Setting "Set a SKU"
    "set_lot" SetLot Put "/v1/skus/{sku}/lots/{lot}" Admin BODY_BYTES_MAX Setting "Set a lot or serial number"
    "set_order_allocation" SetOrderAllocation Put "/v1/sites/{site}/orders" Admin BODY_BYTES_MAX Setting "Say when the orders of a site are allocated"
    "place_order" PlaceOrder Post "/v1/orders" Operator DOCUMENT_BYTES_MAX Creation "Place an order"
    "allocate_order" AllocateOrder Post "/v1/orders/{order}/allocate" Operator BODY_BYTES_MAX Action "Allocate what an order lacks"
    "cancel_order" CancelOrder Post "/v1/orders/{order}/cancel" Operator BODY_BYTES_MAX Action "Cancel an order"
    "claim_order" ClaimOrder Post "/v1/orders/{order}/claim" Worker BODY_BYTES_MAX Action "Claim an order for a worker"
    "claim_orders" ClaimOrders Post "/v1/sites/{site}/claims" Worker BODY_BYTES_MAX Action "Claim the next orders of a site for a worker, or the next picks of its transfers"
    "extend_claim" ExtendClaim Post "/v1/orders/{order}/extend" Worker BODY_BYTES_MAX Action "Give a claim a new life"
    "unclaim_order" UnclaimOrder Post "/v1/orders/{order}/unclaim" Worker BODY_BYTES_MAX Action "Give a claim up"
    "complete_order" CompleteOrder Post "/v1/orders/{order}/complete" Worker BODY_BYTES_MAX Action "Complete an order: its goods go to the customer"
    "raise_fence" RaiseFence Post "/v1/fences/{resource}/raise" Operator BODY_BYTES_MAX Action "Shut out whoever had a lock before"
    "set_price_tiers" SetPriceTiers Put "/v1/price-tiers" Admin BODY_BYTES_MAX Setting "Say where the tiers of prices begin"
    // It is put like a setting, and a late second time could undo a swap that came in between.
    "set_card" SetCard Put "/v1/cards/{card}" Operator BODY_BYTES_MAX Action "Set a card: its owner and its price"
    "propose" Propose Post "/v1/proposals" Operator BODY_BYTES_MAX Creation "Propose to swap two cards"
    "accept_proposal" AcceptProposal Post "/v1/proposals/{proposal}/accept" Operator BODY_BYTES_MAX Action "Accept a proposal: both cards change hands"
    "reject_proposal" RejectProposal Post "/v1/proposals/{proposal}/reject" Operator BODY_BYTES_MAX Action "Reject a proposal"
    "withdraw_proposal" WithdrawProposal Post "/v1/proposals/{proposal}/withdraw" Operator BODY_BYTES_MAX Action "Take a proposal back"
    "claim_transfer" ClaimTransfer Post "/v1/transfers/{transfer}/claim" Worker BODY_BYTES_MAX Action "Claim for a worker what a transfer has to pick"
    "extend_transfer_claim" ExtendTransferClaim Post "/v1/transfers/{transfer}/extend" Worker BODY_BYTES_MAX Action "Give claims on the picks of a transfer a new life"
    "unclaim_transfer" UnclaimTransfer Post "/v1/transfers/{transfer}/unclaim" Worker BODY_BYTES_MAX Action "Give claims on the picks of a transfer up"
    "set_cart" SetCart Put "/v1/carts/{cart}" Operator BODY_BYTES_MAX Setting "Open a cart, or change for how long it holds its items"
    "set_cart_item" SetCartItem Put "/v1/carts/{cart}/items/{sku}" Operator BODY_BYTES_MAX Action "Set how much of a SKU is in a cart"
    "discard_cart" DiscardCart Delete "/v1/carts/{cart}" Operator BODY_BYTES_MAX Action "Give a cart up: release what it holds"
    "checkout" Checkout Post "/v1/carts/{cart}/checkout" Operator BODY_BYTES_MAX Action "Make an order of a cart: price it, allocate it and pay for it, all or nothing"
    "refund_order" RefundOrder Post "/v1/orders/{order}/refund" Operator BODY_BYTES_MAX Action "Refund what was paid for an order, or a part of it"
}
