//! The tables in memory: what the embedded store decides on, and the plain model that others are held against.
//!
//! Positions, documents and wallets live in slabs that never move and are found through sharded indexes, so that these
//! tables never stop the writer to grow. Every order that a reader could see comes from codes or from the order of
//! creation, never from a hash.

mod awaiting;
mod carts;
mod counts;
mod crowd;
mod footprint;
mod hold_list;
mod hold_row;
mod holder_list;
mod holders;
mod holds;
mod kept_code;
mod levels;
mod list;
mod master;
mod occupants;
mod order_row;
mod orders;
mod packed_buyer;
mod packed_lines;
mod packed_numbers;
mod picking;
mod places;
mod queue;
mod rest;
mod rows;
mod sales;
mod sharded;
mod slab;
mod sorted;
mod stock;
mod tables;
mod trades;
mod transfers;
mod transit;
mod wallets;
mod warm;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hash},
    sync::atomic::AtomicUsize,
};

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use crate::{
    Code, LocationId, LotId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp,
    row::{Answered, Fence, Filed, Filing, Head, Location, Lot, Site, Sku},
};
use carts::Carts;
pub use counts::Counts;
use crowd::Crowd;
use hold_row::HoldRow;
use holders::Node;
use kept_code::KeptCode;
use levels::Level;
use occupants::Occupants;
use orders::Orders;
use picking::Picking;
use places::{Balances, GateRow};
use sales::Strays;
pub use sales::{Sold, add_left};
use sharded::{Numbered, Sharded};
use slab::{Index, Slab};
use sorted::Sorted;
use trades::Trades;
use transfers::TransferRow;
use wallets::Wallets;
pub use warm::WARM_MAX;

/// All rows, in memory.
#[derive(Default)]
pub struct Memory {
    head: Head,
    hasher: DefaultHashBuilder,
    sites: Vec<Site>,
    site_codes: HashMap<Code, SiteId>,
    locations: Vec<Location>,
    /// By site, in the order of creation.
    site_locations: Vec<Vec<LocationId>>,
    location_codes: Vec<HashMap<Code, LocationId>>,
    skus: Numbered<SkuRow>,
    sku_codes: Index,
    lots: Numbered<Lot>,
    /// By SKU and code.
    lot_codes: Index,
    /// By SKU, in the order of creation.
    sku_lots: Sharded<SkuId, Vec<LotId>>,
    gates: Slab<GateRow>,
    /// The places of gates that have more than one.
    crowds: Slab<Crowd>,
    /// Safety levels that are not zero: few SKUs are watched.
    safety_levels: Sharded<(SiteId, SkuId), Level>,
    /// How many places have a position.
    position_count: u64,
    /// What is missing somewhere: little ever is.
    missing: Sharded<Place, Quantity>,
    /// Which SKUs lie where.
    by_location: Occupants,
    holds: Slab<HoldRow>,
    hold_index: Index,
    /// Of the holds that have one.
    hold_owners: Slab<KeptCode>,
    /// Open holds, in the order in which they were placed: how they are listed.
    open_holds: Sorted<()>,
    /// When holds lapse; those of one time in the order of their ids.
    due: Sorted<KeptCode>,
    transfers: Slab<TransferRow>,
    transfer_index: Index,
    /// The slot of the transfer that was written last: documents of many lines are written line by line, and looked up
    /// by their id each time.
    last_transfer: u32,
    /// In the order in which they were requested: how they are listed.
    by_request: BTreeMap<Sequence, u32>,
    /// Those for which something is on the way, in the same order.
    by_transit: BTreeMap<Sequence, u32>,
    /// Who holds what where: a list for each place, whose first node stands in its gate.
    nodes: Slab<Node>,
    filed: Sharded<Filing, Filed>,
    answered: Sharded<Code, Answered>,
    answered_order: BTreeMap<Sequence, Code>,
    wallets: Wallets,
    orders: Orders,
    stray_sales: Strays,
    fences: BTreeMap<Code, Fence>,
    trades: Trades,
    picking: Picking,
    carts: Carts,
    /// How much looks for work saw: nothing that is kept.
    seen: AtomicUsize,
}

/// A SKU, and where its gates are: whoever found the SKU needs no second look-up.
struct SkuRow {
    row: Sku,
    /// Sorted by site.
    gates: SmallVec<[(SiteId, u32); 2]>,
    /// What its outside accounts hold.
    outside: Balances,
}

impl SkuRow {
    /// The slot of its gate at a site.
    fn gate(&self, site: SiteId) -> Option<u32> {
        let at = self.gates.binary_search_by_key(&site, |(site, _)| *site).ok()?;
        Some(self.gates[at].1)
    }

    /// Its gates at a site or at all of them, in the order of the sites.
    fn gates(&self, site: Option<SiteId>) -> &[(SiteId, u32)] {
        let Some(site) = site else { return &self.gates };
        let start = self.gates.partition_point(|(other, _)| *other < site);
        let count = self.gates[start..].iter().take_while(|(other, _)| *other == site).count();
        &self.gates[start..start + count]
    }
}

/// No slot.
const NOWHERE: u32 = u32::MAX;

impl Memory {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the first open hold, claim or cart lapses.
    pub fn next_due(&self) -> Option<Timestamp> {
        let hold = self.due.first().map(Timestamp);
        hold.into_iter()
            .chain(self.orders.next_due())
            .chain(self.picking.next_due())
            .chain(self.carts.next_due())
            .min()
    }

    fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    fn put_answered(&mut self, key: &Code, answered: Option<Answered>) -> Option<Answered> {
        let before = match answered {
            Some(answered) => {
                self.answered_order.insert(answered.noted, key.clone());
                self.answered.insert(key.clone(), answered)
            }
            None => self.answered.remove(key),
        };
        if let Some(before) = before {
            self.answered_order.remove(&before.noted);
        }
        before
    }
}
