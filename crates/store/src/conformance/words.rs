//! Reads a row's words as what is to be done.
//!
//! Commands are called by their names. A comma separates lines; options are `name=value` or a word of their own,
//! anywhere in the row. Every command takes `key=KEY`, `by=NAME` and `fenced=RESOURCE=FENCE`.
//!
//! ```text
//! set_site      SITE [zone=Asia/Seoul] [strategy=fefo] [name=NAME]
//! set_location  SITE LOCATION KIND [order=1] [zone=ZONE]
//! set_sku       SKU [tracking=lot] [name=NAME] [safety=SITE:20+SITE:5] [prices=KRW:5000+USD:4]
//! set_lot       SKU LOT [received=YYYY-MM-DD] [expires=YYYY-MM-DD] [blocked]
//! stock         SITE LOCATION SKU [LOT] QUANTITY          an adjustment that opens the books
//! adjust        ID SITE LOCATION SKU [lot LOT] add 5 supplier | remove 3 loss | counted 7, …  [reason=…]
//!               [release_holds | release=hold:H1+order:O2]
//! move          ID SITE SKU [lot LOT] QUANTITY FROM TO, SKU …  [reason=…] [with_holds]
//! reverse       ID.0                                       the first movement of the last thing done to ID
//! hold          ID SITE SKU QUANTITY [at LOCATION] [lot LOT], …  [until=60s] [owner=…] [partial] [strategy=…]
//! change_hold   ID SITE SKU QUANTITY …, …  [partial] [strategy=…]
//! confirm_hold  ID [LINE [QUANTITY], …] [to=LOCATION] [release_rest]
//! release_hold  ID [LINE [QUANTITY], …]
//! extend_hold   ID until=60s
//! request_transfer   ID FROM TO LINE SKU QUANTITY [lot LOT], …  [priority=5]
//! allocate_transfer  ID [LINE [QUANTITY] [at LOCATION] [lot LOT], …] [strategy=…] [whole] [dry_run]
//! release_transfer   ID [LINE [QUANTITY], …]
//! cancel_transfer    ID [release]
//! pick_transfer      ID [LINE QUANTITY [at LOCATION] [lot LOT] [not_found 2 | damaged 2], …] [staging=LOCATION]
//!                    [worker=WORKER fence=FENCE]
//! unpick_transfer    ID [LINE [QUANTITY], …] [to=LOCATION]
//! ship_transfer      ID SHIPMENT [LINE [QUANTITY], …]
//! receive_transfer   ID [LINE QUANTITY [damaged 2] [lot LOT], …] [location=LOCATION] [quarantine=LOCATION]
//! close_transfer     ID
//! charge | pay | refund     OWNER CURRENCY AMOUNT  [reason=…] [ref=DOCUMENT]
//! set_wallet_limit   OWNER CURRENCY LIMIT
//! authorize     ID OWNER CURRENCY AMOUNT  [reason=…] [ref=DOCUMENT]
//! capture       OWNER ID [AMOUNT] [release_rest]           void   OWNER ID
//! wallet        OWNER [CURRENCY]           authorization ID
//! statement     OWNER [currency=CURRENCY] [since=60s] [until=5m]   the lines, as +500:500,-300:200, and the reasons
//! set_order_allocation  SITE on_arrival | on_demand | at_completion
//! place_order        ID SITE SKU QUANTITY [lot LOT], …  [customer=…] [priority=5] [backorder]
//! allocate_order     ID                            cancel_order  ID
//! refund_order       ID [AMOUNT] [reason=…]
//! claim_order        ID WORKER [lease=60s]         claim_orders  SITE WORKER POLICY [count=3] [lease=60s]
//! extend_claim       ID WORKER FENCE [lease=60s]   unclaim_order ID WORKER FENCE
//! complete_order     ID [WORKER FENCE]             a FENCE is a number, or ID.claim: that of the last thing claimed as ID
//! raise_fence        RESOURCE FENCE                fence RESOURCE
//! claim_transfer     ID WORKER [zone=ZONE] [lease=60s]
//! claim_picks        SITE WORKER POLICY [zone=ZONE] [count=3] [lease=60s]
//! extend_transfer_claim ID WORKER FENCE [zone=ZONE] [lease=60s]
//! unclaim_transfer   ID WORKER FENCE [zone=ZONE]   what is claimed of a transfer is ID.claim as well
//! order ID           orders SITE [status=…] [customer=…] [worker=…] [since=60s] [until=5m] [limit=N]
//! transfers          [from=SITE] [to=SITE] [worker=…] [since=60s] [until=5m] [limit=N]
//! set_price_tiers    BOUND BOUND …                 set_card  CARD OWNER PRICE
//! propose            ID OWNER FROM_CARD TO_CARD
//! accept_proposal | reject_proposal | withdraw_proposal   ID OWNER
//! price_tiers        card CARD       proposal ID
//! cards              [owner=…] [limit=N]           proposals [card=…] [owner=…] [status=…] [limit=N]
//! set_cart      ID SITE OWNER [hold=60s]           set_cart_item  ID SKU QUANTITY
//! discard_cart  ID                                 checkout  ID CURRENCY [expected=TOTAL] [order=ID]
//! cart ID            carts [SITE] [owner=…]
//! time          +60s                                       also ms, m, h, d
//! position      SITE LOCATION SKU [LOT]        total SKU        hold ID        transfer ID
//! was           SITE LOCATION SKU [LOT] at=60s             as it was 60 seconds after the start
//! watched       SKU                            each crossing of its safety levels that was told, as ICN:4:low,ICN:5:enough
//! balance       SKU [SITE] [since=60s] [until=5m]          the changes, as +10:10,-3:7, and the reasons
//! explain       TRANSFER [LINE]     trace SKU LOT     site SITE     location SITE LOCATION     sku SKU     lot SKU LOT
//! batch … end   atomic … end
//! ```

use std::collections::BTreeMap;

use jaego_domain::{
    Amount, Code, Command, Currency, Date, MovementId, Name, Outside, Quantity, Query, Refusal, Sequence,
    Strategy, TimeZone, Timestamp,
    command::{
        Adjust, AdjustLine, AllocateLine, AllocateOrder, AllocateTransfer, AnswerProposal, Authorize,
        CancelOrder, CancelTransfer, Capture, Change, ChangeHold, Checkout, ClaimOrder, ClaimOrders,
        ClaimPicks, ClaimPolicy, ClaimTransfer, Claimant, CloseTransfer, CompleteOrder, ConfirmHold,
        DiscardCart, ExtendClaim, ExtendHold, ExtendTransferClaim, Fenced, HoldLine, HoldPart, HolderName,
        Lines, Move, MoveLine, OrderLine, Payment, PickLine, PickTransfer, PlaceHold, PlaceOrder, Propose,
        RaiseFence, ReceiveLine, ReceiveTransfer, RefundOrder, Release, ReleaseHold, ReleaseTransfer,
        RequestTransfer, Reverse, SetCard, SetCart, SetCartItem, SetLocation, SetLot, SetOrderAllocation,
        SetPriceTiers, SetSite, SetSku, SetWalletLimit, ShipTransfer, ShortReason, TransferLine,
        TransferPart, UnclaimOrder, UnclaimTransfer, UnpickTransfer, Void,
    },
    query::{Page, Period},
    row::{HolderKind, LocationKind, OrderAllocation, OrderStatus, ProposalStatus, Tracking},
};

use super::{Call, LookBack, Row, START};
use crate::{BalanceFilter, StatementFilter, StockAsOf};

/// What a row does.
pub(super) enum Deed {
    Call(Call),
    Look(Query),
    LookBack(LookBack),
    Time { ms: u64 },
    Begin { atomic: bool },
    End,
}

/// Why a row does nothing.
pub(super) enum Unread {
    /// It is not written as a row is written.
    Syntax(String),
    /// It says a value that no request can carry: an answer like any other.
    Refused(Refusal),
}

impl From<String> for Unread {
    fn from(wrong: String) -> Self {
        Self::Syntax(wrong)
    }
}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

type Read<T> = Result<T, Unread>;

/// Reads a row. `done` tells the event that last was about a document.
pub(super) fn read(row: &Row, done: &BTreeMap<String, Sequence>) -> Read<Deed> {
    let mut words = Words::of(row);
    let deed = match row.verb.as_str() {
        "time" => Deed::Time { ms: words.duration()? },
        "batch" => Deed::Begin { atomic: false },
        "atomic" => Deed::Begin { atomic: true },
        "end" => Deed::End,
        "position" => Deed::Look(Query::Stock {
            site: Some(words.code()?),
            location: Some(words.code()?),
            sku: Some(words.code()?),
            lot: words.maybe_code()?,
            page: Page { after: None, limit: 2 },
        }),
        "was" => {
            let as_of = words.option_time("at")?.ok_or_else(|| "at= is missing".to_owned())?;
            Deed::LookBack(LookBack::Stock(StockAsOf {
                site: Some(words.code()?),
                location: Some(words.code()?),
                sku: Some(words.code()?),
                lot: words.maybe_code()?,
                as_of,
                after: None,
                limit: 2,
            }))
        }
        "balance" => Deed::LookBack(LookBack::Balance(BalanceFilter {
            since: words.option_time("since")?,
            until: words.option_time("until")?,
            sku: words.code()?,
            site: words.maybe_code()?,
            after: None,
            limit: 1_000,
        })),
        "watched" => Deed::LookBack(LookBack::Watched(words.code()?)),
        "wallet" => Deed::Look(Query::Wallet(words.code()?)),
        "authorization" => Deed::Look(Query::Authorization(words.code()?)),
        "statement" => Deed::LookBack(LookBack::Statement(StatementFilter {
            currency: words.option("currency").map(|text| Currency::new("currency", &text)).transpose()?,
            since: words.option_time("since")?,
            until: words.option_time("until")?,
            owner: words.code()?,
            after: None,
            limit: 1_000,
        })),
        "total" => Deed::Look(Query::SkuStock(words.code()?)),
        "transfer" => Deed::Look(Query::Transfer(words.code()?)),
        "hold" if row.words.len() == 1 => Deed::Look(Query::Hold(words.code()?)),
        "explain" => Deed::Look(Query::Explain { transfer: words.code()?, line: words.maybe_code()? }),
        "fence" => Deed::Look(Query::Fence(words.code()?)),
        "order" => Deed::Look(Query::Order(words.code()?)),
        "orders" => Deed::Look(words.orders()?),
        "price_tiers" => Deed::Look(Query::PriceTiers),
        "card" => Deed::Look(Query::Card(words.code()?)),
        "cards" => Deed::Look(Query::Cards { owner: words.option_code("owner")?, page: words.page()? }),
        "proposal" => Deed::Look(Query::Proposal(words.code()?)),
        "proposals" => Deed::Look(Query::Proposals {
            card: words.option_code("card")?,
            owner: words.option_code("owner")?,
            status: words
                .option("status")
                .map(|status| ProposalStatus::parse("status", &status))
                .transpose()?,
            page: words.page()?,
        }),
        "cart" => Deed::Look(Query::Cart(words.code()?)),
        "carts" => Deed::Look(Query::Carts {
            owner: words.option_code("owner")?,
            site: words.maybe_code()?,
            page: Page { after: None, limit: 100 },
        }),
        "authorizations" => {
            let after = words.option_code("after")?;
            let limit = words.option_number("limit")?.unwrap_or(100) as usize;
            Deed::Look(Query::Authorizations { owner: words.code()?, page: Page { after, limit } })
        }
        "holds" => Deed::Look(Query::Holds {
            sku: words.option_code("sku")?,
            lot: words.option_code("lot")?,
            site: words.option_code("site")?,
            owner: words.option_code("owner")?,
            page: words.page()?,
        }),
        "lot_holders" => Deed::Look(Query::LotHolders {
            site: words.option_code("site")?,
            page: words.page()?,
            sku: words.code()?,
            lot: words.code()?,
        }),
        "accounts" => Deed::Look(Query::Accounts(words.page()?)),
        "explain_order" => {
            Deed::Look(Query::ExplainOrder { order: words.code()?, line: words.maybe_code()? })
        }
        "transfers" => Deed::Look(Query::Transfers {
            status: None,
            from: words.option_code("from")?,
            to: words.option_code("to")?,
            worker: words.option_code("worker")?,
            requested: words.period()?,
            page: words.page()?,
        }),
        "trace" => Deed::Look(Query::Trace { sku: words.code()?, lot: words.code()? }),
        "site" => Deed::Look(Query::Site(words.code()?)),
        "location" => Deed::Look(Query::Location { site: words.code()?, location: words.code()? }),
        "sku" => Deed::Look(Query::Sku(words.code()?)),
        "lot" => Deed::Look(Query::Lot { sku: words.code()?, lot: words.code()? }),
        _ => {
            let key = words.option_code("key")?;
            let by = words.option_code("by")?.unwrap_or(Code::new("by", "tester")?);
            let fenced = words.option("fenced").map(|text| Fenced::parse(&text)).transpose()?;
            let command = command(row, &mut words, done)?;
            Deed::Call(Call { command, key, by, fenced })
        }
    };
    words.finish()?;
    Ok(deed)
}

fn command(row: &Row, words: &mut Words, done: &BTreeMap<String, Sequence>) -> Read<Command> {
    Ok(match row.verb.as_str() {
        "set_site" => Command::SetSite(SetSite {
            site: words.code()?,
            name: words.name("name")?,
            time_zone: TimeZone::new(words.option("zone").as_deref().unwrap_or("UTC"))?,
            strategy: words.strategy()?.unwrap_or(Strategy::Fefo),
        }),
        "set_location" => Command::SetLocation(SetLocation {
            site: words.code()?,
            location: words.code()?,
            kind: words.location_kind()?,
            pick_order: words.option_number("order")?.unwrap_or_default(),
            zone: words.name("zone")?,
        }),
        "set_sku" => Command::SetSku(SetSku {
            sku: words.code()?,
            name: words.name("name")?,
            tracking: words.tracking()?,
            safety_stock: words.safety_stock()?,
            prices: words.prices()?,
        }),
        "set_lot" => Command::SetLot(SetLot {
            sku: words.code()?,
            lot: words.code()?,
            received_on: words.day("received")?,
            expires_on: words.day("expires")?,
            blocked: words.flag("blocked"),
        }),
        "stock" => {
            let (site, location, sku) = (words.code()?, words.code()?, words.code()?);
            let lot = if words.rest.len() > 1 { Some(words.code()?) } else { None };
            let change = Change::Add(words.quantity()?, Outside::Opening);
            Command::Adjust(Adjust {
                id: Code::new("id", &format!("stock-{}", row.line))?,
                reason: Name::default(),
                lines: vec![AdjustLine { site, location, sku, lot, change }],
                release: None,
            })
        }
        "adjust" => Command::Adjust(Adjust {
            reason: words.name("reason")?,
            release: words.release()?,
            id: words.code()?,
            lines: words.lines(Words::adjust_line)?,
        }),
        "move" => Command::Move(Move {
            reason: words.name("reason")?,
            with_holds: words.flag("with_holds"),
            id: words.code()?,
            site: words.code()?,
            lines: words.lines(Words::move_line)?,
        }),
        "reverse" => {
            let movement = words.word()?;
            Command::Reverse(Reverse { movement: movement_id(&movement, done)?, original: None })
        }
        "hold" => Command::PlaceHold(PlaceHold {
            owner: words.option_code("owner")?,
            expires_in_ms: words.option("until").map(|text| duration(&text)).transpose()?,
            partial: words.flag("partial"),
            strategy: words.strategy()?,
            id: words.code()?,
            lines: Lines::from_vec(words.lines(Words::hold_line)?),
        }),
        "change_hold" => Command::ChangeHold(ChangeHold {
            partial: words.flag("partial"),
            strategy: words.strategy()?,
            id: words.code()?,
            lines: Lines::from_vec(words.lines(Words::hold_line)?),
        }),
        "confirm_hold" => Command::ConfirmHold(ConfirmHold {
            to: words.option_code("to")?,
            release_rest: words.flag("release_rest"),
            id: words.code()?,
            lines: words.maybe_lines(Words::hold_part)?,
        }),
        "release_hold" => Command::ReleaseHold(ReleaseHold {
            id: words.code()?,
            lines: words.maybe_lines(Words::hold_part)?,
        }),
        "extend_hold" => {
            let until = words.option("until").ok_or_else(|| "until= is missing".to_owned())?;
            Command::ExtendHold(ExtendHold { id: words.code()?, expires_in_ms: duration(&until)? })
        }
        "request_transfer" => Command::RequestTransfer(RequestTransfer {
            priority: words.option_number("priority")?.unwrap_or_default(),
            id: words.code()?,
            from: words.code()?,
            to: words.code()?,
            lines: words.lines(Words::transfer_line)?,
        }),
        "allocate_transfer" => Command::AllocateTransfer(AllocateTransfer {
            strategy: words.strategy()?,
            partial: !words.flag("whole"),
            dry_run: words.flag("dry_run"),
            id: words.code()?,
            lines: words.maybe_lines(Words::allocate_line)?,
        }),
        "release_transfer" => Command::ReleaseTransfer(ReleaseTransfer {
            id: words.code()?,
            lines: words.maybe_lines(Words::transfer_part)?,
        }),
        "cancel_transfer" => {
            Command::CancelTransfer(CancelTransfer { release: words.flag("release"), id: words.code()? })
        }
        "pick_transfer" => Command::PickTransfer(PickTransfer {
            staging: words.option_code("staging")?,
            claimant: words.option_claimant(done)?,
            id: words.code()?,
            lines: words.maybe_lines(Words::pick_line)?,
        }),
        "unpick_transfer" => Command::UnpickTransfer(UnpickTransfer {
            to: words.option_code("to")?,
            id: words.code()?,
            lines: words.maybe_lines(Words::transfer_part)?,
        }),
        "ship_transfer" => Command::ShipTransfer(ShipTransfer {
            id: words.code()?,
            shipment: words.code()?,
            lines: words.maybe_lines(Words::transfer_part)?,
        }),
        "receive_transfer" => Command::ReceiveTransfer(ReceiveTransfer {
            location: words.option_code("location")?,
            quarantine: words.option_code("quarantine")?,
            id: words.code()?,
            lines: words.maybe_lines(Words::receive_line)?,
        }),
        "close_transfer" => Command::CloseTransfer(CloseTransfer { id: words.code()? }),
        "charge" => Command::Charge(words.payment()?),
        "pay" => Command::Pay(words.payment()?),
        "refund" => Command::Refund(words.payment()?),
        "set_wallet_limit" => Command::SetWalletLimit(SetWalletLimit {
            owner: words.code()?,
            currency: words.currency()?,
            limit: words.number()?,
        }),
        "authorize" => Command::Authorize(Authorize { id: words.code()?, payment: words.payment()? }),
        "capture" => Command::Capture(Capture {
            release_rest: words.flag("release_rest"),
            owner: words.code()?,
            authorization: words.code()?,
            amount: if words.peek().is_some() { Some(words.amount()?) } else { None },
        }),
        "void" => Command::Void(Void { owner: words.code()?, authorization: words.code()? }),
        "set_order_allocation" => Command::SetOrderAllocation(SetOrderAllocation {
            site: words.code()?,
            allocation: OrderAllocation::parse("allocation", &words.word()?)?,
        }),
        "place_order" => Command::PlaceOrder(PlaceOrder {
            customer: words.option_code("customer")?,
            priority: words.option_number("priority")?.unwrap_or_default(),
            backorder: words.flag("backorder"),
            id: words.code()?,
            site: words.code()?,
            lines: words.lines(Words::order_line)?,
        }),
        "allocate_order" => Command::AllocateOrder(AllocateOrder { id: words.code()? }),
        "cancel_order" => Command::CancelOrder(CancelOrder { id: words.code()? }),
        "refund_order" => Command::RefundOrder(RefundOrder {
            reason: words.name("reason")?,
            id: words.code()?,
            amount: if words.peek().is_some() { Some(words.amount()?) } else { None },
        }),
        "claim_order" => Command::ClaimOrder(ClaimOrder {
            lease_ms: words.lease()?,
            id: words.code()?,
            worker: words.code()?,
        }),
        "claim_orders" => Command::ClaimOrders(ClaimOrders {
            lease_ms: words.lease()?,
            count: words.option_number("count")?.unwrap_or(1) as usize,
            site: words.code()?,
            worker: words.code()?,
            policy: ClaimPolicy::parse("policy", &words.word()?)?,
        }),
        "extend_claim" => Command::ExtendClaim(ExtendClaim {
            lease_ms: words.lease()?,
            id: words.code()?,
            claimant: words.claimant(done)?,
        }),
        "unclaim_order" => {
            Command::UnclaimOrder(UnclaimOrder { id: words.code()?, claimant: words.claimant(done)? })
        }
        "complete_order" => {
            let id = words.code()?;
            let claimant = if words.peek().is_some() { Some(words.claimant(done)?) } else { None };
            Command::CompleteOrder(CompleteOrder { id, claimant })
        }
        "raise_fence" => {
            let (resource, fence) = (words.code()?, words.number()?);
            Command::RaiseFence(RaiseFence { fenced: Fenced::new(resource, fence)? })
        }
        "set_price_tiers" => {
            let mut from = Vec::new();
            while words.peek().is_some() {
                from.push(words.amount_of("from")?);
            }
            Command::SetPriceTiers(SetPriceTiers { from })
        }
        "set_card" => Command::SetCard(SetCard {
            card: words.code()?,
            owner: words.code()?,
            price: words.amount_of("price")?,
            from_owner: words.option_code("from")?,
        }),
        "propose" => Command::Propose(Propose {
            id: words.code()?,
            owner: words.code()?,
            from_card: words.code()?,
            to_card: words.code()?,
        }),
        "accept_proposal" => Command::AcceptProposal(words.answer()?),
        "reject_proposal" => Command::RejectProposal(words.answer()?),
        "withdraw_proposal" => Command::WithdrawProposal(words.answer()?),
        "claim_transfer" => Command::ClaimTransfer(ClaimTransfer {
            lease_ms: words.lease()?,
            zone: words.option_zone()?,
            id: words.code()?,
            worker: words.code()?,
        }),
        "claim_picks" => Command::ClaimPicks(ClaimPicks {
            lease_ms: words.lease()?,
            zone: words.option_zone()?,
            count: words.option_number("count")?.unwrap_or(1) as usize,
            site: words.code()?,
            worker: words.code()?,
            policy: ClaimPolicy::parse("policy", &words.word()?)?,
        }),
        "extend_transfer_claim" => Command::ExtendTransferClaim(ExtendTransferClaim {
            lease_ms: words.lease()?,
            zone: words.option_zone()?,
            id: words.code()?,
            claimant: words.claimant(done)?,
        }),
        "unclaim_transfer" => Command::UnclaimTransfer(UnclaimTransfer {
            zone: words.option_zone()?,
            id: words.code()?,
            claimant: words.claimant(done)?,
        }),
        "set_cart" => Command::SetCart(SetCart {
            hold_s: words.option("hold").map(|text| seconds(&text)).transpose()?,
            id: words.code()?,
            site: words.code()?,
            owner: words.code()?,
        }),
        "set_cart_item" => Command::SetCartItem(SetCartItem {
            id: words.code()?,
            sku: words.code()?,
            quantity: words.quantity()?,
        }),
        "discard_cart" => Command::DiscardCart(DiscardCart { id: words.code()? }),
        "checkout" => {
            let expected_total = words.option("expected").map(|text| text.parse()).transpose();
            let expected_total = expected_total.map_err(|_| "expected= is no number".to_owned())?;
            Command::Checkout(Checkout {
                expected_total: expected_total
                    .map(|units| Amount::new("expected_total", units))
                    .transpose()?,
                order: words.option_code("order")?,
                id: words.code()?,
                currency: words.currency()?,
            })
        }
        other => return Err(format!("there is no verb {other}").into()),
    })
}

fn fence(word: &str, done: &BTreeMap<String, Sequence>) -> Read<Sequence> {
    let number = word.parse().ok().map(Sequence);
    let named = || done.get(word).copied();
    number.or_else(named).ok_or_else(|| format!("{word} is no fence").into())
}

fn movement_id(text: &str, done: &BTreeMap<String, Sequence>) -> Read<MovementId> {
    if let Some((document, index)) = text.rsplit_once('.')
        && let Some(sequence) = done.get(document)
    {
        let index = index.parse().map_err(|_| format!("{index} is no index"))?;
        return Ok(MovementId { sequence: *sequence, index });
    }
    Ok(MovementId::parse("movement", text)?)
}

/// Reads `60s`, `500ms`, `5m`, `12h` or `3d` as milliseconds.
fn duration(text: &str) -> Read<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{text} is no duration").into()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms))
        .ok_or_else(|| format!("{text} is no duration").into())
}

fn seconds(text: &str) -> Read<u32> {
    let seconds = duration(text)? / 1_000;
    u32::try_from(seconds).map_err(|_| format!("{text} is too long").into())
}

struct Words {
    /// Words that were not read yet, last first.
    rest: Vec<String>,
    options: BTreeMap<String, String>,
    flags: Vec<String>,
}

const FLAGS: [&str; 9] = [
    "blocked",
    "release_holds",
    "with_holds",
    "partial",
    "whole",
    "dry_run",
    "release",
    "release_rest",
    "backorder",
];

impl Words {
    fn of(row: &Row) -> Self {
        let mut words = Self { rest: Vec::new(), options: BTreeMap::new(), flags: Vec::new() };
        for word in row.words.iter().rev() {
            if let Some((name, value)) = word.split_once('=') {
                words.options.insert(name.to_owned(), value.to_owned());
            } else if FLAGS.contains(&word.as_str()) {
                words.flags.push(word.clone());
            } else {
                words.rest.push(word.clone());
            }
        }
        words
    }

    fn finish(self) -> Read<()> {
        let left = self.rest.into_iter().rev().chain(self.options.into_keys()).chain(self.flags);
        let left: Vec<_> = left.collect();
        if left.is_empty() { Ok(()) } else { Err(format!("nobody reads: {}", left.join(" ")).into()) }
    }

    fn word(&mut self) -> Read<String> {
        match self.rest.pop() {
            Some(word) if word != "," => Ok(word),
            _ => Err("a word is missing".to_owned().into()),
        }
    }

    fn peek(&self) -> Option<&str> {
        self.rest.last().map(String::as_str).filter(|word| *word != ",")
    }

    /// Reads on if the next word is this one.
    fn eat(&mut self, word: &str) -> bool {
        let there = self.peek() == Some(word);
        if there {
            self.rest.pop();
        }
        there
    }

    fn code(&mut self) -> Read<Code> {
        Ok(Code::new("code", &self.word()?)?)
    }

    fn maybe_code(&mut self) -> Read<Option<Code>> {
        if self.peek().is_some() { self.code().map(Some) } else { Ok(None) }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Read<N> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("{word} is no number").into())
    }

    fn quantity(&mut self) -> Read<Quantity> {
        Ok(Quantity::new("quantity", self.number()?)?)
    }

    fn maybe_quantity(&mut self) -> Read<Option<Quantity>> {
        let is_number = self.peek().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number { self.quantity().map(Some) } else { Ok(None) }
    }

    fn duration(&mut self) -> Read<u64> {
        duration(&self.word()?)
    }

    fn option(&mut self, name: &str) -> Option<String> {
        self.options.remove(name)
    }

    /// A time as the distance from the start.
    fn option_time(&mut self, name: &str) -> Read<Option<Timestamp>> {
        let Some(text) = self.option(name) else { return Ok(None) };
        Ok(Some(START.after_ms(duration(&text)?)))
    }

    fn option_code(&mut self, name: &'static str) -> Read<Option<Code>> {
        Ok(self.option(name).map(|text| Code::new(name, &text)).transpose()?)
    }

    fn option_number(&mut self, name: &str) -> Read<Option<u32>> {
        let Some(text) = self.option(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("{name}={text} is no number").into())
    }

    fn name(&mut self, name: &'static str) -> Read<Name> {
        Ok(Name::new(name, &self.option(name).unwrap_or_default())?)
    }

    fn day(&mut self, name: &'static str) -> Read<Option<Date>> {
        Ok(self.option(name).map(|text| Date::parse(name, &text)).transpose()?)
    }

    fn strategy(&mut self) -> Read<Option<Strategy>> {
        Ok(self.option("strategy").map(|text| Strategy::parse("strategy", &text)).transpose()?)
    }

    fn flag(&mut self, name: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|flag| flag != name);
        self.flags.len() < before
    }

    fn location_kind(&mut self) -> Read<LocationKind> {
        let word = self.word()?;
        let found = LocationKind::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| format!("{word} is no kind of location").into())
    }

    fn tracking(&mut self) -> Read<Tracking> {
        let Some(word) = self.option("tracking") else { return Ok(Tracking::None) };
        let found = Tracking::ALL.into_iter().find(|tracking| tracking.name() == word);
        found.ok_or_else(|| format!("{word} is no way of tracking").into())
    }

    fn safety_stock(&mut self) -> Read<Vec<(Code, Quantity)>> {
        let Some(text) = self.option("safety") else { return Ok(Vec::new()) };
        let levels = text.split('+').map(|part| {
            let (site, level) =
                part.split_once(':').ok_or_else(|| Unread::Syntax(format!("{part} is no safety level")))?;
            let level = level.parse().map_err(|_| Unread::Syntax(format!("{level} is no number")))?;
            Ok((Code::new("site", site)?, Quantity::new("safety_stock", level)?))
        });
        levels.collect()
    }

    fn release(&mut self) -> Read<Option<Release>> {
        if self.flag("release_holds") {
            return Ok(Some(Release::All));
        }
        let Some(text) = self.option("release") else { return Ok(None) };
        let names = text.split('+').map(|part| {
            let (kind, id) =
                part.split_once(':').ok_or_else(|| Unread::Syntax(format!("{part} names no holder")))?;
            let kind = match kind {
                "hold" => HolderKind::Hold,
                "transfer" => HolderKind::Transfer,
                "order" => HolderKind::Order,
                "cart" => HolderKind::Cart,
                _ => return Err(Unread::Syntax(format!("{kind} holds nothing"))),
            };
            Ok(HolderName { kind, id: Code::new("id", id)? })
        });
        Ok(Some(Release::Of(names.collect::<Read<_>>()?)))
    }

    fn prices(&mut self) -> Read<Vec<(Currency, Amount)>> {
        let Some(text) = self.option("prices") else { return Ok(Vec::new()) };
        let prices = text.split('+').map(|part| {
            let (currency, price) =
                part.split_once(':').ok_or_else(|| Unread::Syntax(format!("{part} is no price")))?;
            let price = price.parse().map_err(|_| Unread::Syntax(format!("{price} is no number")))?;
            Ok((Currency::new("prices", currency)?, Amount::new("prices", price)?))
        });
        prices.collect()
    }

    fn lines<T>(&mut self, read: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut lines = Vec::new();
        loop {
            lines.push(read(self)?);
            if self.rest.last().is_none_or(|word| word != ",") {
                return Ok(lines);
            }
            self.rest.pop();
        }
    }

    fn maybe_lines<T>(&mut self, read: impl Fn(&mut Self) -> Read<T>) -> Read<Option<Vec<T>>> {
        if self.rest.is_empty() { Ok(None) } else { self.lines(read).map(Some) }
    }

    fn lot(&mut self) -> Read<Option<Code>> {
        if self.eat("lot") { self.code().map(Some) } else { Ok(None) }
    }

    fn place(&mut self) -> Read<Option<Code>> {
        if self.eat("at") { self.code().map(Some) } else { Ok(None) }
    }

    fn outside(&mut self) -> Read<Outside> {
        Ok(Outside::parse("outside", &self.word()?)?)
    }

    fn currency(&mut self) -> Read<Currency> {
        Ok(Currency::new("currency", &self.word()?)?)
    }

    fn amount(&mut self) -> Read<Amount> {
        self.amount_of("amount")
    }

    fn amount_of(&mut self, field: &'static str) -> Read<Amount> {
        Ok(Amount::new(field, self.number()?)?)
    }

    /// Who answers which proposal.
    fn answer(&mut self) -> Read<AnswerProposal> {
        Ok(AnswerProposal { id: self.code()?, owner: self.code()? })
    }

    fn page(&mut self) -> Read<Page> {
        let limit = self.option_number("limit")?.unwrap_or(100) as usize;
        Ok(Page { after: None, limit })
    }

    fn period(&mut self) -> Read<Period> {
        Ok(Period { since: self.option_time("since")?, until: self.option_time("until")? })
    }

    fn payment(&mut self) -> Read<Payment> {
        Ok(Payment {
            reason: self.name("reason")?,
            reference: self.option_code("ref")?,
            owner: self.code()?,
            currency: self.currency()?,
            amount: self.amount()?,
        })
    }

    fn adjust_line(&mut self) -> Read<AdjustLine> {
        let (site, location, sku, lot) = (self.code()?, self.code()?, self.code()?, self.lot()?);
        let change = match self.word()?.as_str() {
            "add" => Change::Add(self.quantity()?, self.outside()?),
            "remove" => Change::Remove(self.quantity()?, self.outside()?),
            "counted" => Change::Counted(self.quantity()?),
            other => return Err(format!("{other} is no change").into()),
        };
        Ok(AdjustLine { site, location, sku, lot, change })
    }

    fn move_line(&mut self) -> Read<MoveLine> {
        let (sku, lot) = (self.code()?, self.lot()?);
        Ok(MoveLine { sku, lot, quantity: self.quantity()?, from: self.code()?, to: self.code()? })
    }

    fn hold_line(&mut self) -> Read<HoldLine> {
        Ok(HoldLine {
            site: self.code()?,
            sku: self.code()?,
            quantity: self.quantity()?,
            location: self.place()?,
            lot: self.lot()?,
        })
    }

    fn hold_part(&mut self) -> Read<HoldPart> {
        Ok(HoldPart { line: self.number()?, quantity: self.maybe_quantity()? })
    }

    fn transfer_line(&mut self) -> Read<TransferLine> {
        Ok(TransferLine {
            line: self.code()?,
            sku: self.code()?,
            quantity: self.quantity()?,
            lot: self.lot()?,
        })
    }

    fn transfer_part(&mut self) -> Read<TransferPart> {
        Ok(TransferPart { line: self.code()?, quantity: self.maybe_quantity()? })
    }

    fn allocate_line(&mut self) -> Read<AllocateLine> {
        Ok(AllocateLine {
            line: self.code()?,
            quantity: self.maybe_quantity()?,
            location: self.place()?,
            lot: self.lot()?,
        })
    }

    fn order_line(&mut self) -> Read<OrderLine> {
        Ok(OrderLine { sku: self.code()?, quantity: self.quantity()?, lot: self.lot()? })
    }

    fn lease(&mut self) -> Read<Option<u64>> {
        self.option("lease").map(|text| duration(&text)).transpose()
    }

    /// A worker and a fence.
    fn claimant(&mut self, done: &BTreeMap<String, Sequence>) -> Read<Claimant> {
        Ok(Claimant { worker: self.code()?, fence: fence(&self.word()?, done)? })
    }

    fn option_claimant(&mut self, done: &BTreeMap<String, Sequence>) -> Read<Option<Claimant>> {
        let Some(worker) = self.option_code("worker")? else { return Ok(None) };
        let word = self.option("fence").ok_or_else(|| "fence= is missing".to_owned())?;
        Ok(Some(Claimant { worker, fence: fence(&word, done)? }))
    }

    fn option_zone(&mut self) -> Read<Option<Name>> {
        Ok(self.option("zone").map(|text| Name::new("zone", &text)).transpose()?)
    }

    fn orders(&mut self) -> Read<Query> {
        let status = self.option("status");
        let known = |name: &String| OrderStatus::ALL.into_iter().find(|status| status.name() == name);
        let limit = self.option_number("limit")?.unwrap_or(100) as usize;
        Ok(Query::Orders {
            customer: self.option_code("customer")?,
            worker: self.option_code("worker")?,
            allocated: self.option("allocated").map(|text| text == "true"),
            site: self.maybe_code()?,
            status: status.as_ref().and_then(known),
            placed: self.period()?,
            page: Page { after: None, limit },
        })
    }

    fn pick_line(&mut self) -> Read<PickLine> {
        let (line, quantity) = (self.code()?, self.quantity()?);
        let (location, lot) = (self.place()?, self.lot()?);
        let reason = [("not_found", ShortReason::NotFound), ("damaged", ShortReason::Damaged)]
            .into_iter()
            .find(|(word, _)| self.eat(word));
        let short = match reason {
            Some((_, reason)) => Some((self.quantity()?, reason)),
            None => None,
        };
        Ok(PickLine { line, location, lot, quantity, short })
    }

    fn receive_line(&mut self) -> Read<ReceiveLine> {
        let (line, quantity) = (self.code()?, self.quantity()?);
        let damaged = if self.eat("damaged") { self.quantity()? } else { Quantity::ZERO };
        Ok(ReceiveLine { line, quantity, damaged, lot: self.lot()? })
    }
}
