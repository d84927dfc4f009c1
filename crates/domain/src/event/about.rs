//! What can be told of a fact without the books: its name, its document, its size, and what it moved.

use crate::{
    Account, Code, Fact, MoneyMovement, MoneyOutside, Movement, Outside, Place, Quantity,
    event::{LostLine, MissedLine, MovedLine, PickedLine, ShippedLine, UnpickedLine},
};

/// The kinds of facts, as event feeds name and filter them, in alphabetical order.
pub const EVENT_KINDS: &[&str] = &[
    "adjusted",
    "card_set",
    "cart_discarded",
    "cart_item_set",
    "cart_ordered",
    "cart_set",
    "carts_lapsed",
    "claim_extended",
    "claims_lapsed",
    "fence_raised",
    "held",
    "hold_changed",
    "hold_confirmed",
    "hold_extended",
    "hold_released",
    "holds_lapsed",
    "location_set",
    "lot_set",
    "moved",
    "order_allocated",
    "order_allocation_set",
    "order_cancelled",
    "order_claimed",
    "order_completed",
    "order_placed",
    "order_reallocated",
    "order_refunded",
    "order_unclaimed",
    "orders_claimed",
    "orders_filled",
    "payment_authorized",
    "payment_captured",
    "payment_voided",
    "pick_claims_lapsed",
    "picks_claimed",
    "price_tiers_set",
    "proposal_accepted",
    "proposal_rejected",
    "proposal_withdrawn",
    "proposed",
    "request_noted",
    "reversed",
    "site_set",
    "sku_set",
    "stock_watched",
    "transfer_allocated",
    "transfer_cancelled",
    "transfer_claim_extended",
    "transfer_claimed",
    "transfer_closed",
    "transfer_picked",
    "transfer_received",
    "transfer_released",
    "transfer_requested",
    "transfer_shipped",
    "transfer_unclaimed",
    "transfer_unpicked",
    "wallet_charged",
    "wallet_limit_set",
    "wallet_paid",
    "wallet_refunded",
];

impl Fact {
    /// The kind's name in event feeds and filters: one of [`EVENT_KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SiteSet { .. } => "site_set",
            Self::LocationSet { .. } => "location_set",
            Self::SkuSet { .. } => "sku_set",
            Self::LotSet { .. } => "lot_set",
            Self::Adjusted { .. } => "adjusted",
            Self::Moved { .. } => "moved",
            Self::Reversed { .. } => "reversed",
            Self::Held { .. } => "held",
            Self::HoldConfirmed { .. } => "hold_confirmed",
            Self::HoldReleased { .. } => "hold_released",
            Self::HoldExtended { .. } => "hold_extended",
            Self::HoldChanged { .. } => "hold_changed",
            Self::HoldsLapsed { .. } => "holds_lapsed",
            Self::TransferRequested { .. } => "transfer_requested",
            Self::TransferAllocated { .. } => "transfer_allocated",
            Self::TransferReleased { .. } => "transfer_released",
            Self::TransferCancelled { .. } => "transfer_cancelled",
            Self::TransferPicked { .. } => "transfer_picked",
            Self::TransferUnpicked { .. } => "transfer_unpicked",
            Self::TransferShipped { .. } => "transfer_shipped",
            Self::TransferReceived { .. } => "transfer_received",
            Self::TransferClosed { .. } => "transfer_closed",
            Self::StockWatched { .. } => "stock_watched",
            Self::RequestNoted { .. } => "request_noted",
            Self::WalletCharged { .. } => "wallet_charged",
            Self::WalletPaid { .. } => "wallet_paid",
            Self::WalletRefunded { .. } => "wallet_refunded",
            Self::WalletLimitSet { .. } => "wallet_limit_set",
            Self::PaymentAuthorized { .. } => "payment_authorized",
            Self::PaymentCaptured { .. } => "payment_captured",
            Self::PaymentVoided { .. } => "payment_voided",
            Self::OrderAllocationSet { .. } => "order_allocation_set",
            Self::OrderPlaced { .. } => "order_placed",
            Self::OrderAllocated { .. } => "order_allocated",
            Self::OrderReallocated { .. } => "order_reallocated",
            Self::OrdersFilled { .. } => "orders_filled",
            Self::OrderCompleted { .. } => "order_completed",
            Self::OrderCancelled { .. } => "order_cancelled",
            Self::OrderClaimed { .. } => "order_claimed",
            Self::OrdersClaimed { .. } => "orders_claimed",
            Self::ClaimExtended { .. } => "claim_extended",
            Self::OrderUnclaimed { .. } => "order_unclaimed",
            Self::ClaimsLapsed { .. } => "claims_lapsed",
            Self::FenceRaised { .. } => "fence_raised",
            Self::PriceTiersSet { .. } => "price_tiers_set",
            Self::CardSet { .. } => "card_set",
            Self::Proposed { .. } => "proposed",
            Self::ProposalAccepted { .. } => "proposal_accepted",
            Self::ProposalRejected { .. } => "proposal_rejected",
            Self::ProposalWithdrawn { .. } => "proposal_withdrawn",
            Self::TransferClaimed { .. } => "transfer_claimed",
            Self::PicksClaimed { .. } => "picks_claimed",
            Self::TransferClaimExtended { .. } => "transfer_claim_extended",
            Self::TransferUnclaimed { .. } => "transfer_unclaimed",
            Self::PickClaimsLapsed { .. } => "pick_claims_lapsed",
            // Whoever follows SKUs and orders need not know that some have prices.
            Self::SkuPriced { .. } => "sku_set",
            Self::SaleCancelled { .. } => "order_cancelled",
            Self::SaleRefunded { .. } => "order_refunded",
            Self::CartSet { .. } => "cart_set",
            Self::CartItemSet { .. } => "cart_item_set",
            Self::CartsLapsed { .. } => "carts_lapsed",
            Self::CartDiscarded { .. } => "cart_discarded",
            Self::CartOrdered { .. } => "cart_ordered",
        }
    }

    /// The document that it is about: its kind and its id.
    pub fn document(&self) -> Option<(&'static str, &Code)> {
        match self {
            Self::SiteSet { code, .. } => Some(("site", code)),
            Self::LocationSet { code, .. } => Some(("location", code)),
            Self::SkuSet { code, .. } => Some(("sku", code)),
            Self::LotSet { code, .. } => Some(("lot", code)),
            Self::Adjusted { id, .. } => Some(("adjustment", id)),
            Self::Moved { id, .. } => Some(("move", id)),
            Self::Held { id, .. }
            | Self::HoldConfirmed { id, .. }
            | Self::HoldReleased { id, .. }
            | Self::HoldExtended { id, .. }
            | Self::HoldChanged { id, .. } => Some(("hold", id)),
            Self::TransferRequested { id, .. }
            | Self::TransferAllocated { id, .. }
            | Self::TransferReleased { id, .. }
            | Self::TransferCancelled { id, .. }
            | Self::TransferPicked { id, .. }
            | Self::TransferUnpicked { id, .. }
            | Self::TransferShipped { id, .. }
            | Self::TransferReceived { id, .. }
            | Self::TransferClosed { id, .. } => Some(("transfer", id)),
            Self::WalletCharged { owner, .. }
            | Self::WalletPaid { owner, .. }
            | Self::WalletRefunded { owner, .. }
            | Self::WalletLimitSet { owner, .. } => Some(("wallet", owner)),
            Self::PaymentAuthorized { id, .. }
            | Self::PaymentCaptured { id, .. }
            | Self::PaymentVoided { id, .. } => Some(("authorization", id)),
            Self::Reversed { .. }
            | Self::HoldsLapsed { .. }
            | Self::StockWatched { .. }
            | Self::RequestNoted { .. } => None,
            Self::OrderAllocationSet { code, .. } => Some(("site", code)),
            Self::OrderPlaced { id, .. }
            | Self::OrderAllocated { id, .. }
            | Self::OrderReallocated { id, .. }
            | Self::OrderCompleted { id, .. }
            | Self::OrderCancelled { id, .. }
            | Self::OrderClaimed { id, .. }
            | Self::ClaimExtended { id, .. }
            | Self::OrderUnclaimed { id, .. } => Some(("order", id)),
            Self::OrdersFilled { .. } | Self::OrdersClaimed { .. } | Self::ClaimsLapsed { .. } => None,
            Self::FenceRaised { resource, .. } => Some(("fence", resource)),
            Self::PriceTiersSet { .. } => None,
            Self::CardSet { card, .. } => Some(("card", card)),
            Self::Proposed { id, .. }
            | Self::ProposalAccepted { id, .. }
            | Self::ProposalRejected { id }
            | Self::ProposalWithdrawn { id } => Some(("proposal", id)),
            Self::TransferClaimed { id, .. }
            | Self::TransferClaimExtended { id, .. }
            | Self::TransferUnclaimed { id, .. } => Some(("transfer", id)),
            Self::PicksClaimed { .. } | Self::PickClaimsLapsed { .. } => None,
            Self::SkuPriced { code, .. } => Some(("sku", code)),
            Self::CartSet { id, .. } | Self::CartItemSet { id, .. } | Self::CartDiscarded { id } => {
                Some(("cart", id))
            }
            // The order is what it comes to, and what a statement names.
            Self::CartOrdered { order, .. } => Some(("order", order)),
            Self::SaleCancelled { id, .. } | Self::SaleRefunded { id, .. } => Some(("order", id)),
            Self::CartsLapsed { .. } => None,
        }
    }

    /// How many parts it has: lines, picks, and holds that are cut or moved.
    pub fn part_count(&self) -> usize {
        match self {
            Self::Adjusted { lines, .. } => lines.iter().map(|line| 1 + line.freed.len()).sum(),
            Self::Moved { lines, .. } => lines.iter().map(|line| 1 + line.follow.len()).sum(),
            Self::Held { lines, takes, short, .. } | Self::HoldChanged { lines, takes, short, .. } => {
                lines.len() + takes.len() + short.len()
            }
            Self::HoldConfirmed { takes, released, .. } => takes.len() + released.len(),
            Self::HoldReleased { takes, .. } => takes.len(),
            Self::HoldsLapsed { ids } => ids.len(),
            Self::TransferRequested { lines, .. } => lines.len(),
            Self::TransferAllocated { takes, short, .. } => takes.len() + short.len(),
            Self::TransferReleased { takes, .. } => takes.len(),
            Self::TransferCancelled { released, staged, .. } => released.len() + staged.len(),
            Self::TransferPicked { picked, missed, takes, short, .. } => {
                picked.len() + missed.len() + takes.len() + short.len()
            }
            Self::TransferUnpicked { lines, .. } => lines.len(),
            Self::TransferShipped { lines, .. } => lines.len(),
            Self::TransferReceived { lines, .. } => lines.len(),
            Self::TransferClosed { released, lost, .. } => released.len() + lost.len(),
            Self::StockWatched { items } => items.len(),
            Self::SkuSet { safety_stock, .. } => 1 + safety_stock.len(),
            Self::SiteSet { .. }
            | Self::LocationSet { .. }
            | Self::LotSet { .. }
            | Self::Reversed { .. }
            | Self::HoldExtended { .. }
            | Self::RequestNoted { .. }
            | Self::WalletCharged { .. }
            | Self::WalletPaid { .. }
            | Self::WalletRefunded { .. }
            | Self::WalletLimitSet { .. }
            | Self::PaymentAuthorized { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentVoided { .. } => 1,
            Self::OrderPlaced { lines, takes, short, .. } => lines.len() + takes.len() + short.len(),
            Self::OrderAllocated { takes, short, .. } => takes.len() + short.len(),
            Self::OrderReallocated { released, takes, short, .. } => {
                released.len() + takes.len() + short.len()
            }
            Self::OrdersFilled { orders, left, done } => {
                let takes: usize = orders.iter().map(|order| order.takes.len()).sum();
                takes + left.len() + done.len()
            }
            Self::OrderCompleted { takes, allocated, .. } => takes.len() + allocated.len(),
            Self::OrderCancelled { released, .. } => released.len(),
            Self::OrdersClaimed { ids, .. } | Self::ClaimsLapsed { ids } | Self::CartsLapsed { ids } => {
                ids.len()
            }
            Self::SkuPriced { safety_stock, prices, .. } => 1 + safety_stock.len() + prices.len(),
            Self::CartSet { takes, .. } | Self::CartItemSet { takes, .. } => 1 + takes.len(),
            Self::CartDiscarded { .. } => 1,
            Self::CartOrdered { lines, takes, .. } => lines.len() + takes.len(),
            Self::SaleCancelled { released, .. } => released.len(),
            Self::SaleRefunded { .. } => 1,
            Self::OrderAllocationSet { .. }
            | Self::OrderClaimed { .. }
            | Self::ClaimExtended { .. }
            | Self::OrderUnclaimed { .. }
            | Self::FenceRaised { .. } => 1,
            Self::PriceTiersSet { from } => from.len(),
            Self::CardSet { closed, .. } | Self::ProposalAccepted { closed, .. } => 1 + closed.len(),
            Self::Proposed { .. } | Self::ProposalRejected { .. } | Self::ProposalWithdrawn { .. } => 1,
            Self::TransferClaimed { zones, .. }
            | Self::TransferClaimExtended { zones, .. }
            | Self::TransferUnclaimed { zones, .. } => zones.len(),
            Self::PicksClaimed { works, .. } | Self::PickClaimsLapsed { works } => works.len(),
        }
    }

    /// The money that it moved, if any.
    pub fn money(&self) -> Option<MoneyMovement<'_>> {
        let (owner, currency, amount, balance, outside, incoming) = match self {
            Self::WalletCharged { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::PaymentProvider, true)
            }
            Self::WalletRefunded { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, true)
            }
            Self::WalletPaid { owner, currency, amount, balance, .. }
            | Self::PaymentCaptured { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, false)
            }
            Self::CartOrdered { owner, currency, total, balance, .. } => {
                (owner, currency, total, balance, MoneyOutside::Sales, false)
            }
            Self::SaleCancelled { owner, currency, amount, balance, .. }
            | Self::SaleRefunded { owner, currency, amount, balance, .. } => {
                (owner, currency, amount, balance, MoneyOutside::Sales, true)
            }
            _ => return None,
        };
        let (currency, amount, balance) = (*currency, *amount, *balance);
        if amount.is_zero() {
            // What costs nothing is ordered, and nothing is paid.
            return None;
        }
        Some(MoneyMovement { owner, currency, amount, outside, incoming, balance })
    }

    /// What goods went where, in the order of the event's lines. The index here is a movement's index.
    pub fn movements(&self, mut visit: impl FnMut(Movement)) {
        self.movements_named(|movement, _| visit(movement));
    }

    /// The same, each with its own name where it is another than that of what was done.
    pub(super) fn movements_named(&self, mut visit: impl FnMut(Movement, Option<&'static str>)) {
        let mut go_as = |own, sku, lot, quantity: Quantity, from, to| {
            if !quantity.is_zero() {
                visit(Movement { sku, lot, quantity, from, to }, own);
            }
        };
        let mut go = |sku, lot, quantity, from, to| go_as(None, sku, lot, quantity, from, to);
        let at = |location, sku, lot| Account::Position(Place { location, sku, lot });
        match self {
            Self::Adjusted { lines, .. } => {
                for line in lines {
                    let place = line.place;
                    let (inside, outside) = (Account::Position(place), Account::Outside(line.outside));
                    let (from, to) = if line.increase { (outside, inside) } else { (inside, outside) };
                    go(place.sku, place.lot, line.quantity, from, to);
                }
            }
            Self::Moved { lines, .. } => {
                for MovedLine { sku, lot, from, to, quantity, .. } in lines {
                    go(*sku, *lot, *quantity, at(*from, *sku, *lot), at(*to, *sku, *lot));
                }
            }
            Self::Reversed { movement, .. } => visit(movement.clone(), None),
            Self::HoldConfirmed { to, takes, .. } => {
                for take in takes {
                    let to = to.map_or(Account::Outside(Outside::Customer), |to| at(to, take.sku, take.lot));
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferPicked { picked, missed, .. } => {
                for PickedLine { take, staging } in picked {
                    let to = at(*staging, take.sku, take.lot);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
                for MissedLine { take, quarantine } in missed {
                    let Some(quarantine) = quarantine else { continue };
                    let to = at(*quarantine, take.sku, take.lot);
                    go_as(
                        Some("damaged"),
                        take.sku,
                        take.lot,
                        take.quantity,
                        Account::Position(take.place()),
                        to,
                    );
                }
            }
            Self::TransferUnpicked { lines, .. } => {
                for UnpickedLine { take, to, .. } in lines {
                    let to = at(*to, take.sku, take.lot);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferShipped { id, lines, .. } => {
                for ShippedLine { take, .. } in lines {
                    let to = Account::InTransit { transfer: id.clone(), line: take.line };
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::TransferReceived { id, lines } => {
                for line in lines {
                    let to = at(line.location, line.sku, line.lot);
                    let transit = Account::InTransit { transfer: id.clone(), line: line.line };
                    go(line.sku, line.lot, line.expected, transit, to.clone());
                    go(line.sku, line.lot, line.excess, Account::Outside(Outside::Found), to);
                }
            }
            Self::TransferClosed { id, lost, .. } => {
                for LostLine { line, sku, lot, quantity } in lost {
                    let transit = Account::InTransit { transfer: id.clone(), line: *line };
                    go(*sku, *lot, *quantity, transit, Account::Outside(Outside::Loss));
                }
            }
            Self::SiteSet { .. }
            | Self::LocationSet { .. }
            | Self::SkuSet { .. }
            | Self::LotSet { .. }
            | Self::Held { .. }
            | Self::HoldReleased { .. }
            | Self::HoldExtended { .. }
            | Self::HoldChanged { .. }
            | Self::HoldsLapsed { .. }
            | Self::TransferRequested { .. }
            | Self::TransferAllocated { .. }
            | Self::TransferReleased { .. }
            | Self::TransferCancelled { .. }
            | Self::StockWatched { .. }
            | Self::RequestNoted { .. }
            | Self::WalletCharged { .. }
            | Self::WalletPaid { .. }
            | Self::WalletRefunded { .. }
            | Self::WalletLimitSet { .. }
            | Self::PaymentAuthorized { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentVoided { .. } => {}
            Self::OrderCompleted { takes, allocated, .. } => {
                for take in takes.iter().chain(allocated) {
                    let to = Account::Outside(Outside::Customer);
                    go(take.sku, take.lot, take.quantity, Account::Position(take.place()), to);
                }
            }
            Self::OrderAllocationSet { .. }
            | Self::OrderPlaced { .. }
            | Self::OrderAllocated { .. }
            | Self::OrderReallocated { .. }
            | Self::OrdersFilled { .. }
            | Self::OrderCancelled { .. }
            | Self::OrderClaimed { .. }
            | Self::OrdersClaimed { .. }
            | Self::ClaimExtended { .. }
            | Self::OrderUnclaimed { .. }
            | Self::ClaimsLapsed { .. }
            | Self::FenceRaised { .. }
            | Self::PriceTiersSet { .. }
            | Self::CardSet { .. }
            | Self::Proposed { .. }
            | Self::ProposalAccepted { .. }
            | Self::ProposalRejected { .. }
            | Self::ProposalWithdrawn { .. }
            | Self::TransferClaimed { .. }
            | Self::PicksClaimed { .. }
            | Self::TransferClaimExtended { .. }
            | Self::TransferUnclaimed { .. }
            | Self::PickClaimsLapsed { .. }
            | Self::SkuPriced { .. }
            | Self::CartSet { .. }
            | Self::CartItemSet { .. }
            | Self::CartsLapsed { .. }
            | Self::CartDiscarded { .. }
            | Self::CartOrdered { .. }
            | Self::SaleCancelled { .. }
            | Self::SaleRefunded { .. } => {}
        }
    }
}
