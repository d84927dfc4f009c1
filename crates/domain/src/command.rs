//! What may be asked, in the caller's words.
//!
//! A command carries codes; the decisions find the rows. [`Request::new`] checks all that can be checked
//! without a row, so that whoever holds a [`Request`] need not check it again.

mod cart;
mod fence;
mod hold;
mod master;
mod order;
mod picking;
mod stock;
mod trade;
mod transfer;
mod wallet;

use hashbrown::HashSet;

use crate::{
    Code, Digest, Movement, MovementId, Quantity, Timestamp,
    limits::LINES_MAX,
    refusal::{OfLine, Refusal},
};

pub use cart::{Checkout, DiscardCart, SetCart, SetCartItem};
pub use fence::{Fenced, RaiseFence};
pub use hold::{ChangeHold, ConfirmHold, ExtendHold, HoldLine, HoldPart, Lines, PlaceHold, ReleaseHold};
pub use master::{SetLocation, SetLot, SetSite, SetSku};
pub use order::{
    AllocateOrder, CancelOrder, ClaimOrder, ClaimOrders, ClaimPolicy, Claimant, CompleteOrder, ExtendClaim,
    OrderLine, PlaceOrder, RefundOrder, SetOrderAllocation, UnclaimOrder,
};
pub use picking::{ClaimPicks, ClaimTransfer, ExtendTransferClaim, UnclaimTransfer};
pub use stock::{Adjust, AdjustLine, Change, HolderName, Move, MoveLine, Release, Reverse};
pub use trade::{AnswerProposal, Propose, SetCard, SetPriceTiers};
pub use transfer::{
    AllocateLine, AllocateTransfer, CancelTransfer, CloseTransfer, PickLine, PickTransfer, ReceiveLine,
    ReceiveTransfer, ReleaseTransfer, RequestTransfer, ShipTransfer, ShortReason, TransferLine, TransferPart,
    UnpickTransfer,
};
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
    is_first: bool,
}

impl Request {
    /// Checks the command's own numbers and names. Refuses with `invalid_value`, `too_many_lines` or
    /// `duplicate_line`.
    pub fn new(command: Command, key: Option<Code>, by: Code) -> Result<Self, Refusal> {
        command.validate()?;
        let body = command.body();
        Ok(Self { command, key, by, body, fenced: None, is_first: false })
    }

    /// The same request, which is to count only while no higher fence was seen for the resource.
    pub fn fenced(self, fenced: Fenced) -> Self {
        Self { fenced: Some(Box::new(fenced)), ..self }
    }

    /// The same request, by the word of who gives it for the first time that it is given: its key may be older than the
    /// oldest answer that is remembered, where the store forgot answers for their number and not for their age.
    pub fn for_the_first_time(self) -> Self {
        Self { is_first: true, ..self }
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

    /// Whether it is known that it was never given before.
    pub fn is_first(&self) -> bool {
        self.is_first
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
    RefundOrder(RefundOrder),
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
            Self::RefundOrder(_) => "refund_order",
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
            Self::RefundOrder(_) => 1,
        }
    }

    /// The site, location, SKU or lot that it sets, if it does. Set again to what it is already, that is a repeat for ever.
    pub fn setting(&self) -> Option<&Code> {
        match self {
            Self::SetSite(set) => Some(&set.site),
            Self::SetLocation(set) => Some(&set.location),
            Self::SetSku(set) => Some(&set.sku),
            Self::SetLot(set) => Some(&set.lot),
            Self::SetOrderAllocation(set) => Some(&set.site),
            _ => None,
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
            | Self::Checkout(_)
            | Self::RefundOrder(_) => true,
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
            Self::SetSku(sku) => sku.validate(),
            Self::Adjust(adjust) => adjust.validate(),
            Self::Move(shift) => shift.validate(),
            Self::PlaceHold(hold) => hold.validate(),
            Self::ChangeHold(hold) => hold.validate(),
            Self::ConfirmHold(hold) => hold.validate(),
            Self::ReleaseHold(hold) => hold.validate(),
            Self::ExtendHold(hold) => hold.validate(),
            Self::RequestTransfer(transfer) => transfer.validate(),
            Self::AllocateTransfer(transfer) => transfer.validate(),
            Self::ReleaseTransfer(transfer) => transfer.validate(),
            Self::UnpickTransfer(transfer) => transfer.validate(),
            Self::ShipTransfer(transfer) => transfer.validate(),
            Self::PickTransfer(transfer) => transfer.validate(),
            Self::ReceiveTransfer(transfer) => transfer.validate(),
            Self::Charge(payment) | Self::Pay(payment) | Self::Refund(payment) => payment.validate(),
            Self::Authorize(authorize) => authorize.payment.validate(),
            Self::Capture(capture) => capture.validate(),
            Self::SetWalletLimit(set) => set.validate(),
            Self::SetSite(site) => site.validate(),
            Self::SetLocation(_)
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
            Self::RefundOrder(refund) => refund.validate(),
        }
    }
}

/// Refuses the zero quantity of the line at `index`, from 0, by the name that its field has in a request.
fn positive(index: usize, field: &'static str, quantity: Quantity) -> Result<(), Refusal> {
    if quantity.is_zero() {
        return Err(in_line(index, field, "is zero"));
    }
    Ok(())
}

/// A value of the line at `index`, from 0, that is not of its form: `lines[3].quantity`.
#[cold]
pub(crate) fn in_line(index: usize, field: &'static str, reason: &'static str) -> Refusal {
    Refusal::invalid(format!("lines[{index}].{field}"), reason)
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

/// Refuses a name that is there twice.
fn distinct<'a>(names: impl Iterator<Item = &'a Code>) -> Result<(), Refusal> {
    match repeated(names) {
        Some((_, name)) => Err(Refusal::DuplicateLine { line: name.clone() }),
        None => Ok(()),
    }
}

/// Refuses a line of the name of an earlier one.
fn distinct_lines<'a>(names: impl Iterator<Item = &'a Code>) -> Result<(), Refusal> {
    match repeated(names) {
        Some((index, name)) => Err(Refusal::DuplicateLine { line: name.clone() }.of_line(index, "line")),
        None => Ok(()),
    }
}

/// The first name that an earlier one is, and its index.
fn repeated<'a>(names: impl Iterator<Item = &'a Code>) -> Option<(usize, &'a Code)> {
    let mut seen = HashSet::new();
    names.enumerate().find(|(_, name)| !seen.insert(*name))
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
            Self::SetSite(site) => site.digest(d),
            Self::SetLocation(location) => location.digest(d),
            Self::SetSku(sku) => sku.digest(d),
            Self::SetLot(lot) => lot.digest(d),
            Self::Adjust(adjust) => adjust.digest(d),
            Self::Move(shift) => shift.digest(d),
            Self::Reverse(reverse) => reverse.digest(d),
            Self::PlaceHold(hold) => hold.digest(d),
            Self::ConfirmHold(hold) => hold.digest(d),
            Self::ReleaseHold(hold) => hold.digest(d),
            Self::ExtendHold(hold) => hold.digest(d),
            Self::ChangeHold(hold) => hold.digest(d),
            Self::RequestTransfer(transfer) => transfer.digest(d),
            Self::AllocateTransfer(transfer) => transfer.digest(d),
            Self::ReleaseTransfer(transfer) => transfer.digest(d),
            Self::CancelTransfer(transfer) => transfer.digest(d),
            Self::PickTransfer(transfer) => transfer.digest(d),
            Self::UnpickTransfer(transfer) => transfer.digest(d),
            Self::ShipTransfer(transfer) => transfer.digest(d),
            Self::ReceiveTransfer(transfer) => transfer.digest(d),
            Self::CloseTransfer(transfer) => transfer.digest(d),
            Self::Charge(payment) => payment.digest(d.number(30)),
            Self::Pay(payment) => payment.digest(d.number(31)),
            Self::Refund(payment) => payment.digest(d.number(32)),
            Self::SetWalletLimit(set) => set.digest(d),
            Self::Authorize(authorize) => authorize.digest(d),
            Self::Capture(capture) => capture.digest(d),
            Self::Void(void) => void.digest(d),
            Self::SetOrderAllocation(set) => set.digest(d),
            Self::PlaceOrder(order) => order.digest(d),
            Self::AllocateOrder(order) => order.digest(d),
            Self::CancelOrder(order) => order.digest(d),
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
            Self::RefundOrder(refund) => refund.digest(d),
        }
        digest.finish()
    }
}

fn digest_maybe(digest: &mut Digest, code: Option<&Code>) {
    digest.maybe_text(code.map(Code::as_str));
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
