//! What may be asked, in the caller's words.
//!
//! A command carries codes; the decisions find the rows. [`Request::new`] checks all that can be checked
//! without a row, so that whoever holds a [`Request`] need not check it again.

mod cart;
mod fence;
mod order;
mod picking;
mod trade;
mod wallet;

use hashbrown::HashSet;

use crate::{
    Amount, Code, Currency, Date, Digest, Movement, MovementId, Name, Outside, Quantity, Strategy, TimeZone,
    Timestamp,
    limits::{EXPIRY_MS_MAX, LINES_MAX, PRICES_MAX},
    refusal::Refusal,
    row::{LocationKind, Tracking},
};

pub use cart::{Checkout, DiscardCart, SetCart, SetCartItem};
pub use fence::{Fenced, RaiseFence};
pub use order::{
    AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, ClaimPolicy, Claimant, CompleteOrder, ExtendClaim,
    OrderLine, PlaceOrder, SetOrderAllocation, UnclaimOrder,
};
pub use picking::{ClaimPicks, ClaimTransfer, ExtendTransferClaim, UnclaimTransfer};
pub use trade::{AnswerProposal, Propose, SetCard, SetPriceTiers};
pub use wallet::{Authorize, Capture, Payment, SetWalletLimit, Void};

/// A command, checked, with its author, and its key if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    command: Command,
    key: Option<Code>,
    by: Code,
    body: u64,
    /// Rare, and therefore apart.
    fenced: Option<Box<Fenced>>,
}

impl Request {
    /// Checks the command's own numbers and names. Refuses with `invalid_value`, `too_many_lines` or
    /// `duplicate_line`.
    pub fn new(command: Command, key: Option<Code>, by: Code) -> Result<Self, Refusal> {
        command.validate()?;
        let body = command.body();
        Ok(Self { command, key, by, body, fenced: None })
    }

    /// The same request, which is to count only while no higher fence was seen for the resource.
    pub fn fenced(self, fenced: Fenced) -> Self {
        Self { fenced: Some(Box::new(fenced)), ..self }
    }

    /// What is asked.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The request key.
    pub fn key(&self) -> Option<&Code> {
        self.key.as_ref()
    }

    /// The fence that it came with.
    pub fn fence(&self) -> Option<&Fenced> {
        self.fenced.as_deref()
    }

    /// Who asks.
    pub fn by(&self) -> &Code {
        &self.by
    }

    /// The fingerprint of the command.
    pub fn body(&self) -> u64 {
        self.body
    }

    /// Whether the answer is wanted without the deed.
    pub fn is_dry_run(&self) -> bool {
        matches!(&self.command, Command::AllocateTransfer(AllocateTransfer { dry_run: true, .. }))
    }

    /// The movement whose content a reversal needs, if the store has yet to fetch it.
    pub fn wanted_movement(&self) -> Option<MovementId> {
        match &self.command {
            Command::Reverse(reverse) if reverse.original.is_none() => Some(reverse.movement),
            _ => None,
        }
    }

    /// Hands in what [`Request::wanted_movement`] asked for: the movement, and the kind of its document.
    pub fn lend_movement(&mut self, movement: Movement, document: &'static str) {
        if let Command::Reverse(reverse) = &mut self.command {
            reverse.original = Some(Box::new((movement, document)));
        }
    }
}

/// Everything that can be asked.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is named after the command that it carries")]
pub enum Command {
    SetSite(SetSite),
    SetLocation(SetLocation),
    SetSku(SetSku),
    SetLot(SetLot),
    Adjust(Adjust),
    Move(Move),
    Reverse(Reverse),
    PlaceHold(PlaceHold),
    ConfirmHold(ConfirmHold),
    ReleaseHold(ReleaseHold),
    ExtendHold(ExtendHold),
    ChangeHold(ChangeHold),
    RequestTransfer(RequestTransfer),
    AllocateTransfer(AllocateTransfer),
    ReleaseTransfer(ReleaseTransfer),
    CancelTransfer(CancelTransfer),
    PickTransfer(PickTransfer),
    UnpickTransfer(UnpickTransfer),
    ShipTransfer(ShipTransfer),
    ReceiveTransfer(ReceiveTransfer),
    CloseTransfer(CloseTransfer),
    Charge(Payment),
    Pay(Payment),
    Refund(Payment),
    SetWalletLimit(SetWalletLimit),
    Authorize(Authorize),
    Capture(Capture),
    Void(Void),
    SetOrderAllocation(SetOrderAllocation),
    PlaceOrder(PlaceOrder),
    AllocateOrder(AllocateOrder),
    CancelOrder(CancelOrder),
    ClaimOrder(ClaimOrder),
    ClaimOrders(ClaimOrders),
    ExtendClaim(ExtendClaim),
    UnclaimOrder(UnclaimOrder),
    CompleteOrder(CompleteOrder),
    RaiseFence(RaiseFence),
    SetPriceTiers(SetPriceTiers),
    SetCard(SetCard),
    Propose(Propose),
    AcceptProposal(AnswerProposal),
    RejectProposal(AnswerProposal),
    WithdrawProposal(AnswerProposal),
    ClaimTransfer(ClaimTransfer),
    ClaimPicks(ClaimPicks),
    ExtendTransferClaim(ExtendTransferClaim),
    UnclaimTransfer(UnclaimTransfer),
    SetCart(SetCart),
    SetCartItem(SetCartItem),
    DiscardCart(DiscardCart),
    Checkout(Checkout),
}

/// Sets a site: makes it, or changes its name, time zone or strategy.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetSite {
    pub site: Code,
    pub name: Name,
    pub time_zone: TimeZone,
    pub strategy: Strategy,
}

/// Sets a location. Its kind is fixed while something lies there.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetLocation {
    pub site: Code,
    pub location: Code,
    pub zone: Name,
    pub pick_order: u32,
    pub kind: LocationKind,
}

/// Sets a SKU. Its tracking is fixed once it was stocked. `safety_stock` replaces the levels of all sites, `prices`
/// those in all currencies.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetSku {
    pub sku: Code,
    pub name: Name,
    pub tracking: Tracking,
    pub safety_stock: Vec<(Code, Quantity)>,
    /// What one unit costs; may be nothing.
    pub prices: Vec<(Currency, Amount)>,
}

/// Sets a lot or serial number; `blocked` recalls it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct SetLot {
    pub sku: Code,
    pub lot: Code,
    pub received_on: Option<Date>,
    pub expires_on: Option<Date>,
    pub blocked: bool,
}

/// Adjusts stock: what came from outside, what went there, what a count found.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjust {
    /// The adjustment's id: its key, for ever.
    pub id: Code,
    /// Why.
    pub reason: Name,
    /// At least one.
    pub lines: Vec<AdjustLine>,
    /// Whether holds may be cut where too little would be left for them.
    pub release_holds: bool,
}

/// A line of an adjustment.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name the position")]
pub struct AdjustLine {
    pub site: Code,
    pub location: Code,
    pub sku: Code,
    pub lot: Option<Code>,
    pub change: Change,
}

/// How a line changes what is on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So much came from there.
    Add(Quantity, Outside),
    /// So much went there.
    Remove(Quantity, Outside),
    /// So much is there, whatever the books say; the rest is `loss` or `found`.
    Counted(Quantity),
}

/// Moves stock between the bins of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The move's id: its key, for ever.
    pub id: Code,
    /// The site.
    pub site: Code,
    /// Why.
    pub reason: Name,
    /// At least one.
    pub lines: Vec<MoveLine>,
    /// Whether held stock may move too, its holds following.
    pub with_holds: bool,
}

/// A line of a bin move.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name the positions")]
pub struct MoveLine {
    pub sku: Code,
    pub lot: Option<Code>,
    pub quantity: Quantity,
    pub from: Code,
    pub to: Code,
}

/// Takes a movement back by one that goes the other way.
#[derive(Clone, Debug, PartialEq)]
pub struct Reverse {
    /// Which one.
    pub movement: MovementId,
    /// Its content and its document's kind, which the store looks up; `None` where there is no such movement.
    pub original: Option<Box<(Movement, &'static str)>>,
}

/// A line of a hold.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name what is wanted")]
pub struct HoldLine {
    pub site: Code,
    pub sku: Code,
    pub quantity: Quantity,
    /// From this location only.
    pub location: Option<Code>,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// Places a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceHold {
    /// The hold's id: its key, for ever.
    pub id: Code,
    /// Whom the caller holds for.
    pub owner: Option<Code>,
    /// At least one.
    pub lines: Lines,
    /// The hold's life; without one it stays until somebody ends it.
    pub expires_in_ms: Option<u64>,
    /// Whether a part is better than nothing, per unit.
    pub partial: bool,
    /// How positions are chosen; the site's own way if not said.
    pub strategy: Option<Strategy>,
}

/// The lines of a hold: mostly one.
pub type Lines = smallvec::SmallVec<[HoldLine; 1]>;

/// A part of a hold: a line by its number from 1, and how much of it; all of it if not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub struct HoldPart {
    pub line: u32,
    pub quantity: Option<Quantity>,
}

/// Confirms a hold: takes the goods out. What is not named stays held.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfirmHold {
    /// The hold.
    pub id: Code,
    /// Which parts; all that is held if not said.
    pub lines: Option<Vec<HoldPart>>,
    /// Where the goods go: a location of the same site, or the customer.
    pub to: Option<Code>,
    /// Whether what is not named is released.
    pub release_rest: bool,
}

/// Releases a hold, or parts of it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in ConfirmHold")]
pub struct ReleaseHold {
    pub id: Code,
    pub lines: Option<Vec<HoldPart>>,
}

/// Gives a hold a new life, counted from now.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in PlaceHold")]
pub struct ExtendHold {
    pub id: Code,
    pub expires_in_ms: u64,
}

/// Changes a hold to these lines; what it held before does not count against it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in PlaceHold")]
pub struct ChangeHold {
    pub id: Code,
    pub lines: Lines,
    pub partial: bool,
    pub strategy: Option<Strategy>,
}

/// A line of a transfer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name what is wanted")]
pub struct TransferLine {
    pub line: Code,
    pub sku: Code,
    pub quantity: Quantity,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// Requests a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTransfer {
    /// The transfer's id: its key, for ever.
    pub id: Code,
    /// The site that gives.
    pub from: Code,
    /// The site that gets.
    pub to: Code,
    /// Higher is sooner.
    pub priority: u32,
    /// At least one.
    pub lines: Vec<TransferLine>,
}

/// Allocates what a transfer still lacks.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateTransfer {
    /// The transfer.
    pub id: Code,
    /// How positions are chosen; the site's own way if not said. `explicit` needs `lines`.
    pub strategy: Option<Strategy>,
    /// Whether a part is better than nothing, per unit.
    pub partial: bool,
    /// Which lines; all if not said.
    pub lines: Option<Vec<AllocateLine>>,
    /// Whether only the answer is wanted.
    pub dry_run: bool,
}

/// A line to allocate.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateLine {
    /// Which one; under `explicit` it may be there once for each location.
    pub line: Code,
    /// At most this much; all that it lacks if not said.
    pub quantity: Option<Quantity>,
    /// From this location only.
    pub location: Option<Code>,
    /// Of this lot only.
    pub lot: Option<Code>,
}

/// A part of a transfer: a line, and how much of it; all of it if not said.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "said above")]
pub struct TransferPart {
    pub line: Code,
    pub quantity: Option<Quantity>,
}

/// Releases what is allocated and not picked.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as in AllocateTransfer")]
pub struct ReleaseTransfer {
    pub id: Code,
    pub lines: Option<Vec<TransferPart>>,
}

/// Cancels a transfer.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelTransfer {
    /// The transfer.
    pub id: Code,
    /// Whether what it holds is released in the same decision.
    pub release: bool,
}

/// Picks allocated goods: from their bins to staging.
#[derive(Clone, Debug, PartialEq)]
pub struct PickTransfer {
    /// The transfer.
    pub id: Code,
    /// What was picked and what was not; everything as allocated if not said, under a claim in its zones only.
    pub lines: Option<Vec<PickLine>>,
    /// Under whose claim; without one only what nobody has claimed is picked.
    pub claimant: Option<Claimant>,
    /// Where it was put; the site's first staging location if not said.
    pub staging: Option<Code>,
}

/// A line that was picked.
#[derive(Clone, Debug, PartialEq)]
pub struct PickLine {
    /// Which one.
    pub line: Code,
    /// From which location; in the order of the walk if not said.
    pub location: Option<Code>,
    /// Of which lot; any that is allocated there if not said.
    pub lot: Option<Code>,
    /// How much was taken; may be zero where something was short.
    pub quantity: Quantity,
    /// How much could not be taken, and why.
    pub short: Option<(Quantity, ShortReason)>,
}

/// Why a picker could not take goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortReason {
    /// They were not there: unavailable until counted.
    NotFound,
    /// They were damaged: off to quarantine.
    Damaged,
}

/// Takes staged goods back to a bin, where they are allocated again.
#[derive(Clone, Debug, PartialEq)]
pub struct UnpickTransfer {
    /// The transfer.
    pub id: Code,
    /// What goes back; everything if not said.
    pub lines: Option<Vec<TransferPart>>,
    /// To which bin; to where it came from if not said.
    pub to: Option<Code>,
}

/// Ships staged goods.
#[derive(Clone, Debug, PartialEq)]
pub struct ShipTransfer {
    /// The transfer.
    pub id: Code,
    /// The shipment's id: its key within the transfer, for ever.
    pub shipment: Code,
    /// What is shipped; everything that is staged if not said.
    pub lines: Option<Vec<TransferPart>>,
}

/// Receives shipped goods.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveTransfer {
    /// The transfer.
    pub id: Code,
    /// What arrived; everything that is on the way, in good order, if not said.
    pub lines: Option<Vec<ReceiveLine>>,
    /// Where good goods were put; the site's first receiving location if not said.
    pub location: Option<Code>,
    /// Where damaged goods were put; the site's first quarantine location if not said.
    pub quarantine: Option<Code>,
}

/// A line that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiveLine {
    /// Which one.
    pub line: Code,
    /// Of which lot; what is on the way, first shipped first, if not said.
    pub lot: Option<Code>,
    /// How much in good order.
    pub quantity: Quantity,
    /// How much damaged.
    pub damaged: Quantity,
}

/// Ends a transfer: gives up what was not shipped, and writes off what did not arrive.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the transfer")]
pub struct CloseTransfer {
    pub id: Code,
}

impl Command {
    /// The name of the command in tables, metrics and batches.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetSite(_) => "set_site",
            Self::SetLocation(_) => "set_location",
            Self::SetSku(_) => "set_sku",
            Self::SetLot(_) => "set_lot",
            Self::Adjust(_) => "adjust",
            Self::Move(_) => "move",
            Self::Reverse(_) => "reverse",
            Self::PlaceHold(_) => "hold",
            Self::ConfirmHold(_) => "confirm_hold",
            Self::ReleaseHold(_) => "release_hold",
            Self::ExtendHold(_) => "extend_hold",
            Self::ChangeHold(_) => "change_hold",
            Self::RequestTransfer(_) => "request_transfer",
            Self::AllocateTransfer(_) => "allocate_transfer",
            Self::ReleaseTransfer(_) => "release_transfer",
            Self::CancelTransfer(_) => "cancel_transfer",
            Self::PickTransfer(_) => "pick_transfer",
            Self::UnpickTransfer(_) => "unpick_transfer",
            Self::ShipTransfer(_) => "ship_transfer",
            Self::ReceiveTransfer(_) => "receive_transfer",
            Self::CloseTransfer(_) => "close_transfer",
            Self::Charge(_) => "charge",
            Self::Pay(_) => "pay",
            Self::Refund(_) => "refund",
            Self::SetWalletLimit(_) => "set_wallet_limit",
            Self::Authorize(_) => "authorize",
            Self::Capture(_) => "capture",
            Self::Void(_) => "void",
            Self::SetOrderAllocation(_) => "set_order_allocation",
            Self::PlaceOrder(_) => "place_order",
            Self::AllocateOrder(_) => "allocate_order",
            Self::CancelOrder(_) => "cancel_order",
            Self::ClaimOrder(_) => "claim_order",
            // One route and one name for both: what differs is the kind of work.
            Self::ClaimOrders(_) | Self::ClaimPicks(_) => "claim_orders",
            Self::ExtendClaim(_) => "extend_claim",
            Self::UnclaimOrder(_) => "unclaim_order",
            Self::CompleteOrder(_) => "complete_order",
            Self::RaiseFence(_) => "raise_fence",
            Self::SetPriceTiers(_) => "set_price_tiers",
            Self::SetCard(_) => "set_card",
            Self::Propose(_) => "propose",
            Self::AcceptProposal(_) => "accept_proposal",
            Self::RejectProposal(_) => "reject_proposal",
            Self::WithdrawProposal(_) => "withdraw_proposal",
            Self::ClaimTransfer(_) => "claim_transfer",
            Self::ExtendTransferClaim(_) => "extend_transfer_claim",
            Self::UnclaimTransfer(_) => "unclaim_transfer",
            Self::SetCart(_) => "set_cart",
            Self::SetCartItem(_) => "set_cart_item",
            Self::DiscardCart(_) => "discard_cart",
            Self::Checkout(_) => "checkout",
        }
    }

    /// How many lines it has: what a batch's line limit counts.
    pub fn line_count(&self) -> usize {
        fn some<T>(lines: Option<&Vec<T>>) -> usize {
            lines.map_or(1, |lines| lines.len().max(1))
        }
        match self {
            Self::Adjust(adjust) => adjust.lines.len(),
            Self::Move(shift) => shift.lines.len(),
            Self::PlaceHold(hold) => hold.lines.len(),
            Self::ChangeHold(hold) => hold.lines.len(),
            Self::ConfirmHold(hold) => some(hold.lines.as_ref()),
            Self::ReleaseHold(hold) => some(hold.lines.as_ref()),
            Self::RequestTransfer(transfer) => transfer.lines.len(),
            Self::AllocateTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::ReleaseTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::PickTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::UnpickTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::ShipTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::ReceiveTransfer(transfer) => some(transfer.lines.as_ref()),
            Self::SetSite(_)
            | Self::SetLocation(_)
            | Self::SetSku(_)
            | Self::SetLot(_)
            | Self::Reverse(_)
            | Self::ExtendHold(_)
            | Self::CancelTransfer(_)
            | Self::CloseTransfer(_)
            | Self::Charge(_)
            | Self::Pay(_)
            | Self::Refund(_)
            | Self::SetWalletLimit(_)
            | Self::Authorize(_)
            | Self::Capture(_)
            | Self::Void(_) => 1,
            Self::PlaceOrder(order) => order.lines.len(),
            Self::ClaimOrders(claim) => claim.count,
            Self::SetOrderAllocation(_)
            | Self::AllocateOrder(_)
            | Self::CancelOrder(_)
            | Self::ClaimOrder(_)
            | Self::ExtendClaim(_)
            | Self::UnclaimOrder(_)
            | Self::CompleteOrder(_)
            | Self::RaiseFence(_) => 1,
            Self::SetPriceTiers(_)
            | Self::SetCard(_)
            | Self::Propose(_)
            | Self::AcceptProposal(_)
            | Self::RejectProposal(_)
            | Self::WithdrawProposal(_) => 1,
            Self::ClaimPicks(claim) => claim.count,
            Self::ClaimTransfer(_) | Self::ExtendTransferClaim(_) | Self::UnclaimTransfer(_) => 1,
            Self::SetCart(_) | Self::SetCartItem(_) | Self::DiscardCart(_) | Self::Checkout(_) => 1,
        }
    }

    /// Whether it works on all lines of a document that is there, however many it names: it names none, or it is about
    /// a hold, an order or a cart, which is read and written as a whole. Accepting a proposal ends all others on its cards.
    pub fn works_on_all(&self) -> bool {
        match self {
            Self::ConfirmHold(_)
            | Self::ReleaseHold(_)
            | Self::ExtendHold(_)
            | Self::ChangeHold(_)
            | Self::CancelTransfer(_)
            | Self::CloseTransfer(_)
            | Self::AllocateOrder(_)
            | Self::CancelOrder(_)
            | Self::ClaimOrder(_)
            | Self::ExtendClaim(_)
            | Self::UnclaimOrder(_)
            | Self::CompleteOrder(_)
            | Self::AcceptProposal(_)
            | Self::SetCart(_)
            | Self::SetCartItem(_)
            | Self::DiscardCart(_)
            | Self::Checkout(_) => true,
            Self::AllocateTransfer(transfer) => transfer.lines.is_none(),
            Self::ReleaseTransfer(transfer) => transfer.lines.is_none(),
            Self::PickTransfer(transfer) => transfer.lines.is_none(),
            Self::UnpickTransfer(transfer) => transfer.lines.is_none(),
            Self::ShipTransfer(transfer) => transfer.lines.is_none(),
            Self::ReceiveTransfer(transfer) => transfer.lines.is_none(),
            _ => false,
        }
    }

    fn validate(&self) -> Result<(), Refusal> {
        match self {
            Self::SetSku(sku) => {
                line_count(sku.safety_stock.len().max(1))?;
                distinct(sku.safety_stock.iter().map(|(site, _)| site))?;
                if sku.prices.len() > PRICES_MAX {
                    return Err(Refusal::invalid(
                        "prices",
                        format!("are in more than {PRICES_MAX} currencies"),
                    ));
                }
                let currency = |(currency, _): &(Currency, Amount)| currency_code(*currency);
                distinct(sku.prices.iter().map(currency).collect::<Vec<_>>().iter())
            }
            Self::Adjust(adjust) => {
                line_count(adjust.lines.len())?;
                adjust.lines.iter().try_for_each(|line| match line.change {
                    Change::Add(quantity, _) | Change::Remove(quantity, _) => positive("quantity", quantity),
                    Change::Counted(_) => Ok(()),
                })
            }
            Self::Move(shift) => {
                line_count(shift.lines.len())?;
                shift.lines.iter().try_for_each(|line| {
                    if line.from == line.to {
                        return Err(Refusal::invalid("to", "is where the goods already are"));
                    }
                    positive("quantity", line.quantity)
                })
            }
            Self::PlaceHold(hold) => {
                if let Some(ms) = hold.expires_in_ms {
                    life(ms)?;
                }
                hold_lines(&hold.lines, hold.strategy)
            }
            Self::ChangeHold(hold) => hold_lines(&hold.lines, hold.strategy),
            Self::ConfirmHold(hold) => hold_parts(hold.lines.as_deref()),
            Self::ReleaseHold(hold) => hold_parts(hold.lines.as_deref()),
            Self::ExtendHold(hold) => life(hold.expires_in_ms),
            Self::RequestTransfer(transfer) => {
                line_count(transfer.lines.len())?;
                if transfer.from == transfer.to {
                    return Err(Refusal::SameSite { site: transfer.from.clone() });
                }
                transfer.lines.iter().try_for_each(|line| positive("quantity", line.quantity))?;
                distinct(transfer.lines.iter().map(|line| &line.line))
            }
            Self::AllocateTransfer(transfer) => {
                let Some(lines) = &transfer.lines else {
                    if transfer.strategy == Some(Strategy::Explicit) {
                        return Err(Refusal::invalid(
                            "lines",
                            "are missing, which the strategy explicit needs",
                        ));
                    }
                    return Ok(());
                };
                line_count(lines.len())?;
                lines.iter().try_for_each(|line| {
                    if transfer.strategy == Some(Strategy::Explicit) && line.location.is_none() {
                        return Err(Refusal::LocationRequired { line: line.line.clone() });
                    }
                    line.quantity.map_or(Ok(()), |quantity| positive("quantity", quantity))
                })?;
                if transfer.strategy == Some(Strategy::Explicit) {
                    return Ok(());
                }
                distinct(lines.iter().map(|line| &line.line))
            }
            Self::ReleaseTransfer(transfer) => transfer_parts(transfer.lines.as_deref()),
            Self::UnpickTransfer(transfer) => transfer_parts(transfer.lines.as_deref()),
            Self::ShipTransfer(transfer) => transfer_parts(transfer.lines.as_deref()),
            Self::PickTransfer(transfer) => {
                let Some(lines) = &transfer.lines else { return Ok(()) };
                line_count(lines.len())?;
                lines.iter().try_for_each(|line| match line.short {
                    Some((short, _)) => positive("short", short),
                    None => positive("quantity", line.quantity),
                })
            }
            Self::ReceiveTransfer(transfer) => {
                let Some(lines) = &transfer.lines else { return Ok(()) };
                line_count(lines.len())?;
                lines.iter().try_for_each(|line| match line.damaged.is_zero() {
                    true => positive("quantity", line.quantity),
                    false => Ok(()),
                })
            }
            Self::Charge(payment) | Self::Pay(payment) | Self::Refund(payment) => payment.validate(),
            Self::Authorize(authorize) => authorize.payment.validate(),
            Self::Capture(capture) => capture.validate(),
            Self::SetWalletLimit(set) => set.validate(),
            Self::SetSite(_)
            | Self::SetLocation(_)
            | Self::SetLot(_)
            | Self::Reverse(_)
            | Self::CancelTransfer(_)
            | Self::CloseTransfer(_)
            | Self::Void(_) => Ok(()),
            Self::PlaceOrder(order) => order.validate(),
            Self::ClaimOrder(claim) => claim.validate(),
            Self::ClaimOrders(claim) => claim.validate(),
            Self::ExtendClaim(claim) => claim.validate(),
            Self::SetOrderAllocation(_)
            | Self::AllocateOrder(_)
            | Self::CancelOrder(_)
            | Self::UnclaimOrder(_)
            | Self::CompleteOrder(_)
            | Self::RaiseFence(_) => Ok(()),
            Self::SetPriceTiers(tiers) => tiers.validate(),
            Self::Propose(propose) => propose.validate(),
            Self::SetCard(_)
            | Self::AcceptProposal(_)
            | Self::RejectProposal(_)
            | Self::WithdrawProposal(_) => Ok(()),
            Self::ClaimTransfer(claim) => claim.validate(),
            Self::ClaimPicks(claim) => claim.validate(),
            Self::ExtendTransferClaim(claim) => claim.validate(),
            Self::UnclaimTransfer(_) => Ok(()),
            Self::SetCart(cart) => cart.validate(),
            Self::SetCartItem(_) | Self::DiscardCart(_) | Self::Checkout(_) => Ok(()),
        }
    }
}

fn positive(field: &'static str, quantity: Quantity) -> Result<(), Refusal> {
    if quantity.is_zero() {
        return Err(Refusal::invalid(field, "is zero"));
    }
    Ok(())
}

fn line_count(lines: usize) -> Result<(), Refusal> {
    if lines == 0 {
        return Err(Refusal::invalid("lines", "are empty"));
    }
    if lines > LINES_MAX {
        return Err(Refusal::TooManyLines { lines, max: LINES_MAX });
    }
    Ok(())
}

fn distinct<'a>(names: impl Iterator<Item = &'a Code>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Refusal::DuplicateLine { line: name.clone() });
        }
    }
    Ok(())
}

fn currency_code(currency: Currency) -> Code {
    Code::new("currency", currency.as_str()).expect("capital letters are a code")
}

fn life(ms: u64) -> Result<(), Refusal> {
    if ms == 0 {
        return Err(Refusal::invalid("expires_in_s", "is zero"));
    }
    if ms > EXPIRY_MS_MAX {
        return Err(Refusal::invalid("expires_in_s", "is more than 366 days"));
    }
    Ok(())
}

fn hold_lines(lines: &[HoldLine], strategy: Option<Strategy>) -> Result<(), Refusal> {
    line_count(lines.len())?;
    for (index, line) in lines.iter().enumerate() {
        positive("quantity", line.quantity)?;
        if strategy == Some(Strategy::Explicit) && line.location.is_none() {
            return Err(Refusal::LocationRequired { line: numbered(index) });
        }
    }
    Ok(())
}

fn hold_parts(parts: Option<&[HoldPart]>) -> Result<(), Refusal> {
    let Some(parts) = parts else { return Ok(()) };
    line_count(parts.len())?;
    let mut seen = HashSet::new();
    for part in parts {
        if part.line == 0 {
            return Err(Refusal::invalid("line", "is zero: lines are counted from 1"));
        }
        if !seen.insert(part.line) {
            return Err(Refusal::DuplicateLine { line: numbered(part.line as usize - 1) });
        }
        if let Some(quantity) = part.quantity {
            positive("quantity", quantity)?;
        }
    }
    Ok(())
}

fn transfer_parts(parts: Option<&[TransferPart]>) -> Result<(), Refusal> {
    let Some(parts) = parts else { return Ok(()) };
    line_count(parts.len())?;
    parts
        .iter()
        .try_for_each(|part| part.quantity.map_or(Ok(()), |quantity| positive("quantity", quantity)))?;
    distinct(parts.iter().map(|part| &part.line))
}

/// The name of a line that has only a number: counted from 1.
pub(crate) fn numbered(index: usize) -> Code {
    Code::number(index + 1)
}

impl Command {
    /// The fingerprint of everything that the caller said.
    fn body(&self) -> u64 {
        let mut digest = Digest::default();
        let d = &mut digest;
        match self {
            Self::SetSite(site) => {
                d.number(1).text(site.site.as_str()).text(site.name.as_str());
                d.text(site.time_zone.name()).text(site.strategy.name());
            }
            Self::SetLocation(location) => {
                d.number(2).text(location.site.as_str()).text(location.location.as_str());
                d.text(location.zone.as_str()).number(location.pick_order.into()).text(location.kind.name());
            }
            Self::SetSku(sku) => {
                d.number(3).text(sku.sku.as_str()).text(sku.name.as_str()).text(sku.tracking.name());
                for (site, level) in &sku.safety_stock {
                    d.text(site.as_str()).number(level.get());
                }
                // Fingerprints of what was asked before there were prices stay what they are.
                if !sku.prices.is_empty() {
                    d.number(51);
                }
                for (currency, price) in &sku.prices {
                    d.text(currency.as_str()).number(price.get());
                }
            }
            Self::SetLot(lot) => {
                d.number(4).text(lot.sku.as_str()).text(lot.lot.as_str());
                for day in [lot.received_on, lot.expires_on] {
                    d.maybe_text(day.map(|day| day.to_string()).as_deref());
                }
                d.flag(lot.blocked);
            }
            Self::Adjust(adjust) => {
                d.number(5).text(adjust.id.as_str()).text(adjust.reason.as_str()).flag(adjust.release_holds);
                for line in &adjust.lines {
                    d.text(line.site.as_str()).text(line.location.as_str()).text(line.sku.as_str());
                    d.maybe_text(line.lot.as_ref().map(Code::as_str));
                    match line.change {
                        Change::Add(quantity, from) => d.number(1).number(quantity.get()).text(from.name()),
                        Change::Remove(quantity, to) => d.number(2).number(quantity.get()).text(to.name()),
                        Change::Counted(quantity) => d.number(3).number(quantity.get()),
                    };
                }
            }
            Self::Move(shift) => {
                d.number(6).text(shift.id.as_str()).text(shift.site.as_str()).text(shift.reason.as_str());
                d.flag(shift.with_holds);
                for line in &shift.lines {
                    d.text(line.sku.as_str()).maybe_text(line.lot.as_ref().map(Code::as_str));
                    d.number(line.quantity.get()).text(line.from.as_str()).text(line.to.as_str());
                }
            }
            Self::Reverse(reverse) => {
                d.number(7).number(reverse.movement.sequence.0).number(reverse.movement.index.into());
            }
            Self::PlaceHold(hold) => {
                d.number(8).text(hold.id.as_str()).maybe_text(hold.owner.as_ref().map(Code::as_str));
                d.maybe_number(hold.expires_in_ms).flag(hold.partial);
                d.maybe_text(hold.strategy.map(Strategy::name));
                digest_hold_lines(d, &hold.lines);
            }
            Self::ConfirmHold(hold) => {
                d.number(9).text(hold.id.as_str()).maybe_text(hold.to.as_ref().map(Code::as_str));
                d.flag(hold.release_rest);
                digest_hold_parts(d, hold.lines.as_deref());
            }
            Self::ReleaseHold(hold) => {
                d.number(10).text(hold.id.as_str());
                digest_hold_parts(d, hold.lines.as_deref());
            }
            Self::ExtendHold(hold) => {
                d.number(11).text(hold.id.as_str()).number(hold.expires_in_ms);
            }
            Self::ChangeHold(hold) => {
                d.number(12).text(hold.id.as_str()).flag(hold.partial);
                d.maybe_text(hold.strategy.map(Strategy::name));
                digest_hold_lines(d, &hold.lines);
            }
            Self::RequestTransfer(transfer) => {
                d.number(13).text(transfer.id.as_str()).text(transfer.from.as_str());
                d.text(transfer.to.as_str()).number(transfer.priority.into());
                for line in &transfer.lines {
                    d.text(line.line.as_str()).text(line.sku.as_str()).number(line.quantity.get());
                    d.maybe_text(line.lot.as_ref().map(Code::as_str));
                }
            }
            Self::AllocateTransfer(transfer) => {
                d.number(14).text(transfer.id.as_str()).maybe_text(transfer.strategy.map(Strategy::name));
                d.flag(transfer.partial).flag(transfer.dry_run).flag(transfer.lines.is_some());
                for line in transfer.lines.iter().flatten() {
                    d.text(line.line.as_str()).maybe_number(line.quantity.map(Quantity::get));
                    d.maybe_text(line.location.as_ref().map(Code::as_str));
                    d.maybe_text(line.lot.as_ref().map(Code::as_str));
                }
            }
            Self::ReleaseTransfer(transfer) => {
                d.number(15).text(transfer.id.as_str());
                digest_transfer_parts(d, transfer.lines.as_deref());
            }
            Self::CancelTransfer(transfer) => {
                d.number(16).text(transfer.id.as_str()).flag(transfer.release);
            }
            Self::PickTransfer(transfer) => {
                // Requests that name no claim have the fingerprint that they had before there were any.
                match &transfer.claimant {
                    None => drop(d.number(17)),
                    Some(claimant) => claimant.digest(d.number(74)),
                }
                d.text(transfer.id.as_str());
                d.maybe_text(transfer.staging.as_ref().map(Code::as_str)).flag(transfer.lines.is_some());
                for line in transfer.lines.iter().flatten() {
                    d.text(line.line.as_str()).maybe_text(line.location.as_ref().map(Code::as_str));
                    d.maybe_text(line.lot.as_ref().map(Code::as_str)).number(line.quantity.get());
                    d.maybe_number(line.short.map(|(quantity, _)| quantity.get()));
                    d.flag(matches!(line.short, Some((_, ShortReason::Damaged))));
                }
            }
            Self::UnpickTransfer(transfer) => {
                d.number(18).text(transfer.id.as_str());
                d.maybe_text(transfer.to.as_ref().map(Code::as_str));
                digest_transfer_parts(d, transfer.lines.as_deref());
            }
            Self::ShipTransfer(transfer) => {
                d.number(19).text(transfer.id.as_str()).text(transfer.shipment.as_str());
                digest_transfer_parts(d, transfer.lines.as_deref());
            }
            Self::ReceiveTransfer(transfer) => {
                d.number(20).text(transfer.id.as_str());
                d.maybe_text(transfer.location.as_ref().map(Code::as_str));
                d.maybe_text(transfer.quarantine.as_ref().map(Code::as_str)).flag(transfer.lines.is_some());
                for line in transfer.lines.iter().flatten() {
                    d.text(line.line.as_str()).maybe_text(line.lot.as_ref().map(Code::as_str));
                    d.number(line.quantity.get()).number(line.damaged.get());
                }
            }
            Self::CloseTransfer(transfer) => {
                d.number(21).text(transfer.id.as_str());
            }
            Self::Charge(payment) => payment.digest(d.number(30)),
            Self::Pay(payment) => payment.digest(d.number(31)),
            Self::Refund(payment) => payment.digest(d.number(32)),
            Self::SetWalletLimit(set) => set.digest(d),
            Self::Authorize(authorize) => authorize.digest(d),
            Self::Capture(capture) => capture.digest(d),
            Self::Void(void) => void.digest(d),
            Self::SetOrderAllocation(command) => {
                d.number(40).text(command.site.as_str()).text(command.allocation.name());
            }
            Self::PlaceOrder(order) => order.digest(d),
            Self::AllocateOrder(order) => {
                d.number(42).text(order.id.as_str());
            }
            Self::CancelOrder(order) => {
                d.number(43).text(order.id.as_str());
            }
            Self::ClaimOrder(claim) => claim.digest(d),
            Self::ClaimOrders(claim) => claim.digest(d),
            Self::ExtendClaim(claim) => claim.digest(d),
            Self::UnclaimOrder(claim) => claim.digest(d),
            Self::CompleteOrder(order) => order.digest(d),
            Self::RaiseFence(raise) => raise.digest(d),
            Self::SetPriceTiers(tiers) => tiers.digest(d),
            Self::SetCard(card) => card.digest(d),
            Self::Propose(propose) => propose.digest(d),
            Self::AcceptProposal(answer) => answer.digest(d, 63),
            Self::RejectProposal(answer) => answer.digest(d, 64),
            Self::WithdrawProposal(answer) => answer.digest(d, 65),
            Self::ClaimTransfer(claim) => claim.digest(d),
            Self::ClaimPicks(claim) => claim.digest(d),
            Self::ExtendTransferClaim(claim) => claim.digest(d),
            Self::UnclaimTransfer(claim) => claim.digest(d),
            Self::SetCart(cart) => cart.digest(d),
            Self::SetCartItem(item) => item.digest(d),
            Self::DiscardCart(cart) => cart.digest(d),
            Self::Checkout(checkout) => checkout.digest(d),
        }
        digest.finish()
    }
}

fn digest_maybe(digest: &mut Digest, code: Option<&Code>) {
    digest.maybe_text(code.map(Code::as_str));
}

fn digest_hold_lines(digest: &mut Digest, lines: &[HoldLine]) {
    for line in lines {
        digest.text(line.site.as_str()).text(line.sku.as_str()).number(line.quantity.get());
        digest.maybe_text(line.location.as_ref().map(Code::as_str));
        digest.maybe_text(line.lot.as_ref().map(Code::as_str));
    }
}

fn digest_hold_parts(digest: &mut Digest, parts: Option<&[HoldPart]>) {
    digest.flag(parts.is_some());
    for part in parts.into_iter().flatten() {
        digest.number(part.line.into()).maybe_number(part.quantity.map(Quantity::get));
    }
}

fn digest_transfer_parts(digest: &mut Digest, parts: Option<&[TransferPart]>) {
    digest.flag(parts.is_some());
    for part in parts.into_iter().flatten() {
        digest.text(part.line.as_str()).maybe_number(part.quantity.map(Quantity::get));
    }
}

/// When a UUIDv7 was made, from its first 48 bits; `None` for every other key.
pub(crate) fn key_time(key: &Code) -> Option<Timestamp> {
    let text = key.as_str().as_bytes();
    if text.len() != 36 || text[14] != b'7' {
        return None;
    }
    let mut digits = [0; 12];
    digits[..8].copy_from_slice(&text[..8]);
    digits[8..].copy_from_slice(&text[9..13]);
    let shape = text.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    shape.then_some(())?;
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_of_version_7_tells_its_time() {
        let time = |text| key_time(&Code::new("key", text).unwrap());
        assert_eq!(time("01890a5d-ac96-774b-bcce-b302099a8057"), Some(Timestamp(0x0189_0a5d_ac96)));
        for other in
            ["01890a5d-ac96-474b-bcce-b302099a8057", "order-1", "01890a5d-ac96-774b-bcce-b302099a805z"]
        {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
