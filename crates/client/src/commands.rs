//! Commands: each finds its route in the table.

use http::Method;
use jaego_api::{
    CommandRow, Repeat,
    adjustment::Adjust,
    batch::Batch,
    bin_move::Move,
    cart::{Checkout, DiscardCart, SetCart, SetCartItem},
    fence::RaiseFence,
    hold::{ChangeHold, ConfirmHold, ExtendHold, PlaceHold, ReleaseHold},
    location::SetLocation,
    lot::SetLot,
    movement::Reverse,
    order::{
        AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, CompleteOrder, ExtendClaim, PlaceOrder,
        RefundOrder, SetOrderAllocation, UnclaimOrder,
    },
    outcome::Outcome,
    picking::{ClaimTransfer, ExtendTransferClaim, UnclaimTransfer},
    site::SetSite,
    sku::SetSku,
    table::{self, BATCH_PATH},
    trade::{AcceptProposal, Propose, RejectProposal, SetCard, SetPriceTiers, WithdrawProposal},
    transfer::{
        AllocateTransfer, CancelTransfer, CloseTransfer, PickTransfer, ReceiveTransfer, ReleaseTransfer,
        RequestTransfer, ShipTransfer, UnpickTransfer,
    },
    wallet::{Authorize, Capture, Charge, Pay, Refund, SetWalletLimit, Void},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{Client, Error, transport::Call};

/// What stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b':');

pub(crate) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, PATH).to_string()
}

impl Client {
    /// Gives the command called `op`. `fields` has all of its fields, those of its path included, and perhaps a
    /// request `key`; an action without one gets a new key, so that it may be sent again. With a lock's fence in
    /// `fenced`, as `RESOURCE=FENCE`, it is refused with `stale_fence` once a higher one was seen for the resource.
    ///
    /// # Errors
    /// [`Error::Request`] for an operation that there is not or a field of the path that is missing, else what
    /// came of sending it.
    pub async fn submit(&self, op: &str, fields: &impl Serialize) -> Result<Outcome, Error> {
        let row = table::command(op)
            .ok_or_else(|| Error::Request { detail: format!("there is no operation called {op}") })?;
        self.call(&call(row, fields)?).await
    }

    /// Gives many commands at once, each with its `op` among its fields; `atomic` is all or nothing.
    ///
    /// Actions without a `key` get one. At most 10,000 commands and 65,536 lines.
    ///
    /// # Errors
    /// What came of sending them. A command that was refused by itself is no error: its item says so.
    pub async fn batch(&self, mut commands: Vec<Value>, atomic: bool) -> Result<Batch, Error> {
        for command in &mut commands {
            let is_action = command["op"]
                .as_str()
                .and_then(table::command)
                .is_some_and(|row| row.repeat == Repeat::Action);
            if let Some(fields) =
                command.as_object_mut().filter(|fields| is_action && !fields.contains_key("key"))
            {
                fields.insert("key".into(), new_key().into());
            }
        }
        let body = json!({ "atomic": atomic, "commands": commands }).to_string().into_bytes();
        self.batch_of_json(body).await
    }

    /// Gives a batch whose JSON was written by the caller, every action in it with a key: it is sent again where
    /// the connection breaks.
    ///
    /// # Errors
    /// Those of [`Client::batch`].
    pub async fn batch_of_json(&self, body: Vec<u8>) -> Result<Batch, Error> {
        self.call(&Call {
            method: Method::POST,
            path: BATCH_PATH.into(),
            content_type: Some("application/json"),
            accept: None,
            key: None,
            fenced: None,
            body: body.into(),
        })
        .await
    }
}

macro_rules! methods {
    ($($name:ident $body:ident $op:literal $what:literal)*) => {
        #[cfg(test)]
        const METHODS: &[&str] = &[$($op),*];

        impl Client {
            $(
                #[doc = $what]
                ///
                /// # Errors
                /// Those of [`Client::submit`].
                pub async fn $name(&self, command: &$body<'_>) -> Result<Outcome, Error> {
                    self.submit($op, command).await
                }
            )*
        }
    };
}

methods! {
    set_site SetSite "set_site" "Sets a site."
    set_location SetLocation "set_location" "Sets a location."
    set_sku SetSku "set_sku" "Sets a SKU."
    set_lot SetLot "set_lot" "Sets a lot or serial number."
    adjust Adjust "adjust" "Adjusts stock."
    move_stock Move "move" "Moves stock between the bins of a site."
    reverse Reverse "reverse" "Takes a movement back."
    hold PlaceHold "hold" "Places a hold."
    confirm_hold ConfirmHold "confirm_hold" "Confirms a hold: takes the goods out."
    release_hold ReleaseHold "release_hold" "Releases a hold or parts of it."
    extend_hold ExtendHold "extend_hold" "Gives a hold a new life."
    change_hold ChangeHold "change_hold" "Changes the lines of a hold."
    request_transfer RequestTransfer "request_transfer" "Requests a transfer."
    allocate_transfer AllocateTransfer "allocate_transfer" "Allocates what a transfer lacks."
    release_transfer ReleaseTransfer "release_transfer" "Releases what a transfer has allocated."
    cancel_transfer CancelTransfer "cancel_transfer" "Cancels a transfer."
    pick_transfer PickTransfer "pick_transfer" "Picks allocated goods into staging."
    unpick_transfer UnpickTransfer "unpick_transfer" "Takes picked goods back to their bins."
    ship_transfer ShipTransfer "ship_transfer" "Ships picked goods."
    receive_transfer ReceiveTransfer "receive_transfer" "Receives shipped goods."
    close_transfer CloseTransfer "close_transfer" "Ends a transfer."
    charge Charge "charge" "Charges a wallet."
    pay Pay "pay" "Pays from a wallet."
    refund Refund "refund" "Refunds to a wallet."
    set_wallet_limit SetWalletLimit "set_wallet_limit" "Sets a wallet's limit."
    authorize Authorize "authorize" "Holds money of a wallet for a later capture."
    capture Capture "capture" "Pays from an authorization."
    void Void "void" "Gives an authorization's held money back."
    set_order_allocation SetOrderAllocation "set_order_allocation" "Says when the orders of a site are allocated."
    place_order PlaceOrder "place_order" "Places an order."
    allocate_order AllocateOrder "allocate_order" "Allocates what an order lacks."
    cancel_order CancelOrder "cancel_order" "Cancels an order."
    refund_order RefundOrder "refund_order" "Refunds what was paid for an order, or a part of it."
    claim_order ClaimOrder "claim_order" "Claims an order for a worker."
    claim_orders ClaimOrders "claim_orders" "Claims the next orders or picks of a site for a worker: see [`Outcome::claims`]."
    extend_claim ExtendClaim "extend_claim" "Gives a claim a new life."
    unclaim_order UnclaimOrder "unclaim_order" "Gives a claim up."
    complete_order CompleteOrder "complete_order" "Completes an order: its goods go to the customer."
    raise_fence RaiseFence "raise_fence" "Shuts out whoever had a lock before."
    set_price_tiers SetPriceTiers "set_price_tiers" "Says where the tiers of prices begin."
    set_card SetCard "set_card" "Sets a card: its owner and its price."
    propose Propose "propose" "Proposes to swap two cards: see [`Outcome::proposal_kind`]."
    accept_proposal AcceptProposal "accept_proposal" "Accepts a proposal: both cards change hands."
    reject_proposal RejectProposal "reject_proposal" "Rejects a proposal."
    withdraw_proposal WithdrawProposal "withdraw_proposal" "Takes a proposal back."
    claim_transfer ClaimTransfer "claim_transfer" "Claims for a worker what a transfer has to pick: see [`Outcome::claims`]."
    extend_transfer_claim ExtendTransferClaim "extend_transfer_claim" "Gives claims on the picks of a transfer a new life."
    unclaim_transfer UnclaimTransfer "unclaim_transfer" "Gives claims on the picks of a transfer up."
    set_cart SetCart "set_cart" "Opens a cart, or changes for how long it holds its items."
    set_cart_item SetCartItem "set_cart_item" "Sets how much of a SKU is in a cart."
    discard_cart DiscardCart "discard_cart" "Gives a cart up: what it holds is released."
    checkout Checkout "checkout" "Makes an order of a cart: prices it, allocates it and pays for it. [`Outcome::id`] is the order's."
}

fn new_key() -> String {
    // Version 7 tells its time, by which the service knows a key that is too old for it to remember.
    Uuid::now_v7().to_string()
}

/// A command's call: the fields of the path go into the path, the key into its header, the rest into the body.
fn call(row: &CommandRow, fields: &impl Serialize) -> Result<Call, Error> {
    let bad = |detail: String| Error::Request { detail: format!("{}: {detail}", row.op) };
    let mut fields: Map<String, Value> = match serde_json::to_value(fields) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(bad("the fields are no object".into())),
        Err(error) => return Err(bad(error.to_string())),
    };
    let mut path = row.path.to_owned();
    for name in row.path_parameters() {
        let Some(Value::String(value)) = fields.remove(name) else {
            return Err(bad(format!("{name} is missing")));
        };
        path = path.replace(&format!("{{{name}}}"), &encoded(&value));
    }
    let mut mark = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) if !other.is_null() => Err(bad(format!("{name} is {other}, which is no text"))),
        _ => Ok(None),
    };
    let fenced = mark("fenced")?;
    let key = mark("key")?.or_else(|| (row.repeat == Repeat::Action).then(new_key));
    Ok(Call {
        method: match row.method {
            table::Method::Get => Method::GET,
            table::Method::Post => Method::POST,
            table::Method::Put => Method::PUT,
            table::Method::Delete => Method::DELETE,
        },
        path,
        content_type: Some("application/json"),
        accept: None,
        key,
        fenced,
        body: Value::Object(fields).to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_to_the_path_the_header_and_the_body() {
        let fields = json!({ "hold": "H:1", "expires_in_s": 60, "key": "K1" });
        let call = call(table::command("extend_hold").unwrap(), &fields).unwrap();
        assert_eq!((call.path.as_str(), call.key.as_deref()), ("/v1/holds/H:1/extend", Some("K1")));
        assert_eq!(call.body, r#"{"expires_in_s":60}"#);
    }

    #[test]
    fn every_command_has_a_method() {
        let rows: std::collections::BTreeSet<_> = table::COMMANDS.iter().map(|row| row.op).collect();
        assert_eq!(METHODS.iter().copied().collect::<std::collections::BTreeSet<_>>(), rows);
        assert_eq!(METHODS.len(), rows.len(), "two methods give one command");
    }

    #[test]
    fn an_action_gets_a_key_and_a_creation_has_its_id() {
        let of = |op, fields: Value| call(table::command(op).unwrap(), &fields).unwrap();
        let key = of("close_transfer", json!({ "transfer": "T/1" }));
        assert_eq!(key.path, "/v1/transfers/T%2F1/close");
        assert_eq!(key.key.unwrap().as_bytes()[14], b'7');
        assert_eq!(of("hold", json!({ "id": "H1" })).key, None);
        assert!(call(table::command("close_transfer").unwrap(), &json!({})).is_err());
    }
}
