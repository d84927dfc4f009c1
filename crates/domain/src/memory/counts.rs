//! How much there is of what somebody watches.

use super::Memory;

/// How much there is now, over all sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Open holds.
    pub open_holds: u64,
    /// Orders that wait for a worker.
    pub waiting_orders: u64,
    /// Orders that a worker has claimed.
    pub claimed_orders: u64,
    /// Lines of orders that wait for stock, whether a worker has claimed the order or not.
    pub waiting_lines: u64,
    /// Pick work that waits for a worker: transfers, each counted once for each zone with something to pick.
    pub waiting_picks: u64,
    /// Pick work that a worker has claimed.
    pub claimed_picks: u64,
    /// Open carts.
    pub open_carts: u64,
    /// Positions with a row.
    pub positions: u64,
    /// Wallets.
    pub wallets: u64,
    /// Authorizations that hold money.
    pub open_authorizations: u64,
    /// Cards.
    pub cards: u64,
    /// Proposals to swap two of them that are open.
    pub open_proposals: u64,
}

impl Memory {
    /// How much there is, in a time that grows with the sites alone.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            open_holds: self.open_holds.len() as u64,
            waiting_orders: self.orders.waiting_count(),
            claimed_orders: self.orders.claimed_count(),
            waiting_lines: self.orders.waiting_line_count(),
            waiting_picks: self.picking.waiting_count(),
            claimed_picks: self.picking.claimed_count(),
            open_carts: self.carts.open_count(),
            positions: self.position_count,
            wallets: self.wallets.len() as u64,
            open_authorizations: self.wallets.open_authorization_count(),
            cards: self.trades.card_count() as u64,
            open_proposals: self.trades.open_count(),
        }
    }
}
