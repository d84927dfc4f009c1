//! Why goods and money went where they went.
//!
//! A caller may say why. Where nobody did, the kind of the event tells it: nothing more is stored.

use crate::{Fact, Movement, Name};

impl Fact {
    /// Why this happened: in the caller's words where there are some, else what was done to the document, such as
    /// `shipped` or `completed`. Never empty.
    pub fn reason(&self) -> Name {
        let said = match self {
            Self::Adjusted { reason, .. }
            | Self::Moved { reason, .. }
            | Self::WalletCharged { reason, .. }
            | Self::WalletPaid { reason, .. }
            | Self::WalletRefunded { reason, .. }
            | Self::SaleRefunded { reason, .. } => reason.as_str(),
            Self::Reversed { original, .. } => return name(&format!("reversal of {original}")),
            _ => "",
        };
        name(if said.trim().is_empty() { self.done() } else { said })
    }

    /// What goods went where, as [`movements`](Self::movements) tells it, each with why: the event's
    /// [`reason`](Self::reason), but that what a pick put into quarantine was not picked. It was `damaged`.
    pub fn movements_with_reasons(&self, mut visit: impl FnMut(Movement, Name)) {
        let reason = self.reason();
        self.movements_named(|movement, own| visit(movement, own.map_or_else(|| reason.clone(), name)));
    }

    /// What was done to the document.
    fn done(&self) -> &'static str {
        match self {
            Self::Adjusted { lines, .. } if lines.iter().all(|line| line.counted) => "counted",
            Self::Adjusted { .. } => "adjusted",
            Self::Moved { .. } => "moved",
            Self::HoldConfirmed { .. } => "confirmed",
            Self::TransferPicked { .. } => "picked",
            Self::TransferUnpicked { .. } => "unpicked",
            Self::TransferShipped { .. } => "shipped",
            Self::TransferReceived { .. } => "received",
            Self::TransferClosed { .. } => "closed",
            Self::OrderCompleted { .. } => "completed",
            Self::WalletCharged { .. } => "charged",
            Self::WalletPaid { .. } => "paid",
            Self::WalletRefunded { .. } | Self::SaleRefunded { .. } => "refunded",
            Self::PaymentCaptured { .. } => "captured",
            Self::CartOrdered { .. } => "checked out",
            Self::SaleCancelled { .. } => "cancelled",
            // Nothing moves by the others, so that nobody asks.
            _ => self.kind(),
        }
    }
}

fn name(text: &str) -> Name {
    Name::new("reason", text).expect("a reason that was kept is a name, and so are ours")
}
