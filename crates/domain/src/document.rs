//! Documents that came to rest, and who names them.
//!
//! A document whose story is over holds no stock, and most will never be named again. A store may take its rows out
//! of memory and keep them elsewhere, as long as they are back before anything that names the document is decided,
//! read or shown: a request names its documents with [`Command::each_document`], a query with
//! [`Query::document`], an event that is applied with [`Fact::each_document`], and one that is shown with
//! [`Fact::each_transfer`].

use crate::{
    Code, Command, Fact, MovementId, Query,
    event::Freed,
    row::{Filing, HolderKind},
};

/// Names a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKey {
    /// A hold.
    Hold(Code),
    /// A transfer with its lines.
    Transfer(Code),
    /// A document that keeps no row of its own but the note that it was there.
    Filed(Filing),
    /// An authorization of money.
    Authorization(Code),
    /// An order with its lines, and what it was sold for.
    Order(Code),
    /// A proposal to swap two cards.
    Proposal(Code),
    /// A cart with its items.
    Cart(Code),
}

impl Command {
    /// The documents that its decision may read, at most two.
    pub fn each_document(&self, mut visit: impl FnMut(DocumentKey)) {
        let hold = |id: &Code| DocumentKey::Hold(id.clone());
        let transfer = |id: &Code| DocumentKey::Transfer(id.clone());
        let order = |id: &Code| DocumentKey::Order(id.clone());
        let proposal = |id: &Code| DocumentKey::Proposal(id.clone());
        match self {
            Self::SetSite(_) | Self::SetLocation(_) | Self::SetSku(_) | Self::SetLot(_) => {}
            Self::Adjust(adjust) => visit(DocumentKey::Filed(Filing::Adjustment(adjust.id.clone()))),
            Self::Move(shift) => visit(DocumentKey::Filed(Filing::Move(shift.id.clone()))),
            Self::Reverse(reverse) => visit(reversal(reverse.movement)),
            Self::PlaceHold(command) => visit(hold(&command.id)),
            Self::ConfirmHold(command) => visit(hold(&command.id)),
            Self::ReleaseHold(command) => visit(hold(&command.id)),
            Self::ExtendHold(command) => visit(hold(&command.id)),
            Self::ChangeHold(command) => visit(hold(&command.id)),
            Self::RequestTransfer(command) => visit(transfer(&command.id)),
            Self::AllocateTransfer(command) => visit(transfer(&command.id)),
            Self::ReleaseTransfer(command) => visit(transfer(&command.id)),
            Self::CancelTransfer(command) => visit(transfer(&command.id)),
            Self::PickTransfer(command) => visit(transfer(&command.id)),
            Self::UnpickTransfer(command) => visit(transfer(&command.id)),
            Self::ShipTransfer(command) => {
                visit(transfer(&command.id));
                let (transfer, shipment) = (command.id.clone(), command.shipment.clone());
                visit(DocumentKey::Filed(Filing::Shipment { transfer, shipment }));
            }
            Self::ReceiveTransfer(command) => visit(transfer(&command.id)),
            Self::CloseTransfer(command) => visit(transfer(&command.id)),
            // Wallets stay in memory.
            Self::Charge(_) | Self::Pay(_) | Self::Refund(_) | Self::SetWalletLimit(_) => {}
            Self::Authorize(command) => visit(DocumentKey::Authorization(command.id.clone())),
            Self::Capture(command) => visit(DocumentKey::Authorization(command.authorization.clone())),
            Self::Void(command) => visit(DocumentKey::Authorization(command.authorization.clone())),
            Self::PlaceOrder(command) => visit(order(&command.id)),
            Self::AllocateOrder(command) => visit(order(&command.id)),
            Self::CancelOrder(command) => visit(order(&command.id)),
            Self::RefundOrder(command) => visit(order(&command.id)),
            Self::ClaimOrder(command) => visit(order(&command.id)),
            Self::ExtendClaim(command) => visit(order(&command.id)),
            Self::UnclaimOrder(command) => visit(order(&command.id)),
            Self::CompleteOrder(command) => visit(order(&command.id)),
            // An order that can be claimed is not at rest.
            Self::SetOrderAllocation(_) | Self::ClaimOrders(_) => {}
            // Fences stay in memory.
            Self::RaiseFence(_) => {}
            // Cards stay in memory, and so do the open proposals that a changed card closes.
            Self::SetPriceTiers(_) | Self::SetCard(_) => {}
            Self::Propose(command) => visit(proposal(&command.id)),
            Self::AcceptProposal(command) => visit(proposal(&command.id)),
            Self::RejectProposal(command) => visit(proposal(&command.id)),
            Self::WithdrawProposal(command) => visit(proposal(&command.id)),
            Self::ClaimTransfer(command) => visit(transfer(&command.id)),
            Self::ExtendTransferClaim(command) => visit(transfer(&command.id)),
            Self::UnclaimTransfer(command) => visit(transfer(&command.id)),
            // A transfer that has something to pick is not at rest.
            Self::ClaimPicks(_) => {}
            Self::SetCart(command) => visit(DocumentKey::Cart(command.id.clone())),
            Self::SetCartItem(command) => visit(DocumentKey::Cart(command.id.clone())),
            Self::DiscardCart(command) => visit(DocumentKey::Cart(command.id.clone())),
            Self::Checkout(command) => {
                visit(DocumentKey::Cart(command.id.clone()));
                visit(order(command.order_id()));
            }
        }
    }
}

fn reversal(movement: MovementId) -> DocumentKey {
    DocumentKey::Filed(Filing::Reversal(movement))
}

impl Query {
    /// The document that it reads, if it reads one by its id.
    pub fn document(&self) -> Option<DocumentKey> {
        match self {
            Self::Hold(id) => Some(DocumentKey::Hold(id.clone())),
            Self::Transfer(id) | Self::Explain { transfer: id, .. } => {
                Some(DocumentKey::Transfer(id.clone()))
            }
            Self::Authorization(id) => Some(DocumentKey::Authorization(id.clone())),
            Self::Order(id) | Self::ExplainOrder { order: id, .. } => Some(DocumentKey::Order(id.clone())),
            Self::Proposal(id) => Some(DocumentKey::Proposal(id.clone())),
            Self::Cart(id) => Some(DocumentKey::Cart(id.clone())),
            _ => None,
        }
    }
}

impl Fact {
    /// The documents that it changes though they may be at rest: whoever applies it needs their rows.
    pub fn each_document(&self, mut visit: impl FnMut(DocumentKey)) {
        self.each_transfer(|id| visit(DocumentKey::Transfer(id.clone())));
        if let Self::SaleRefunded { id, .. } = self {
            visit(DocumentKey::Order(id.clone()));
        }
    }

    /// The transfers whose rows it takes to apply it, or to show what came of it. A transfer may be visited more
    /// than once.
    pub fn each_transfer<'a>(&'a self, mut visit: impl FnMut(&'a Code)) {
        let mut freed = |freed: &'a [Freed]| {
            let transfers = freed.iter().filter(|freed| freed.holder.kind == HolderKind::Transfer);
            transfers.for_each(|freed| visit(&freed.holder.id));
        };
        match self {
            Self::Adjusted { lines, .. } => lines.iter().for_each(|line| freed(&line.freed)),
            Self::Moved { lines, .. } => lines.iter().for_each(|line| freed(&line.follow)),
            // It makes the rows itself, and showing it takes none.
            Self::TransferRequested { .. } => {}
            _ => {
                if let Some(("transfer", id)) = self.document() {
                    visit(id);
                }
            }
        }
    }
}
