//! The one seam between the decisions and whoever keeps the rows.

use crate::{
    Amount, Awaiting, Code, Currency, LocationId, LotId, MoneyOutside, MovementId, Name, Outside, PickWork,
    PickWorkId, Place, Quantity, Sequence, SiteId, SkuId, Timestamp, Waiting, WaitingBy,
};

/// What a store keeps, as the decisions see it.
///
/// Reads take keys and give rows; the one write puts a row and gives back the row that stood there, which is
/// all it takes to undo. A number that an existing row names always has a row itself: reading a site, location,
/// SKU or lot by a number that was never handed out is a bug and panics.
pub trait Tables {
    /// The last event's number and time, and the numbers to hand out next.
    fn head(&self) -> row::Head;

    /// The site of this code.
    fn site_id(&self, code: &Code) -> Option<SiteId>;
    /// The site of this number.
    fn site(&self, site: SiteId) -> &row::Site;

    /// The location of this code at a site.
    fn location_id(&self, site: SiteId, code: &Code) -> Option<LocationId>;
    /// The location of this number.
    fn location(&self, location: LocationId) -> &row::Location;
    /// The site's first location of a kind, by pick order and then by code.
    fn first_location(&self, site: SiteId, kind: row::LocationKind) -> Option<LocationId>;
    /// Whether anything lies at the location.
    fn is_occupied(&self, location: LocationId) -> bool;

    /// The SKU of this code.
    fn sku_id(&self, code: &Code) -> Option<SkuId>;
    /// The SKU of this number.
    fn sku(&self, sku: SkuId) -> &row::Sku;

    /// The lot of this code.
    fn lot_id(&self, sku: SkuId, code: &Code) -> Option<LotId>;
    /// The lot of this number; never [`LotId::NONE`].
    fn lot(&self, lot: LotId) -> &row::Lot;

    /// The gate of a SKU at a site: there since the first stock or the first safety level.
    fn gate(&self, site: SiteId, sku: SkuId) -> Option<row::Gate>;
    /// What lies at a place; a place where nothing lies has no row.
    fn position(&self, place: Place) -> Option<row::Position>;
    /// All positions of a SKU at a site, in no particular order.
    fn positions(&self, site: SiteId, sku: SkuId) -> impl Iterator<Item = (Place, row::Position)>;
    /// Who holds how much at a place, in order of the holder's text.
    fn holders(&self, place: Place) -> Vec<(row::Holder, Quantity)>;
    /// The first of them, at most `limit`, and how many there are.
    fn first_holders(&self, place: Place, limit: usize) -> (Vec<(row::Holder, Quantity)>, usize) {
        let mut holders = self.holders(place);
        let count = holders.len();
        holders.truncate(limit);
        (holders, count)
    }
    /// The balance of an outside account for a SKU: below zero where goods came from.
    fn outside(&self, sku: SkuId, outside: Outside) -> i64;

    /// The hold of this id, open or ended.
    fn hold(&self, id: &Code) -> Option<row::Hold>;
    /// How many picks a hold has: what it takes to end it. 0 where there is none of this id.
    fn pick_count(&self, hold: &Code) -> usize;
    /// Holds whose time has come at `now`, earliest first and then by id, at most `limit`.
    fn due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)>;

    /// The transfer of this id.
    fn transfer(&self, id: &Code) -> Option<row::Transfer>;
    /// One line of a transfer, by index from 0. Panics if there is no such line.
    fn line(&self, transfer: &Code, line: u32) -> row::Line;
    /// The index of the line of this name.
    fn line_named(&self, transfer: &Code, name: &Code) -> Option<u32>;

    /// The wallet of this owner.
    fn wallet(&self, owner: &Code) -> Option<row::Wallet>;
    /// The balance of an outside account for a currency: below zero where money came from.
    fn money_outside(&self, currency: Currency, outside: MoneyOutside) -> i64;
    /// The authorization of this id, open or ended.
    fn authorization(&self, id: &Code) -> Option<row::Authorization>;

    /// How a site treats its orders, if it was ever said.
    fn order_setting(&self, site: SiteId) -> Option<row::OrderSetting>;
    /// Brings these orders near, all of which are changed next: where rows are waited for, it is once for all of them.
    /// It changes nothing, and tables that gain nothing by it leave it out.
    fn warm_orders(&self, _ids: &[Code]) {}
    /// The order of this id.
    fn order(&self, id: &Code) -> Option<row::Order>;
    /// Claims whose time has come at `now`, earliest first and then by the order's id, at most `limit`.
    fn due_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)>;
    /// Waiting orders of a site, those that are wholly allocated or those that are not.
    fn waiting(&self, site: SiteId, allocated: bool, by: WaitingBy) -> impl Iterator<Item = Waiting>;
    /// Whether a line of some order waits for this SKU at this site.
    fn is_awaited(&self, site: SiteId, sku: SkuId) -> bool;
    /// The lines that wait for a SKU at a site, of this lot only or of any: by priority and then by age.
    fn awaiting(&self, site: SiteId, sku: SkuId, lot: Option<LotId>) -> impl Iterator<Item = Awaiting>;
    /// What an order was sold for, if it came of a cart.
    fn sale(&self, order: &Code) -> Option<row::Sale>;
    /// The cart of this id.
    fn cart(&self, id: &Code) -> Option<row::Cart>;
    /// How many lines and picks a cart has: what it takes to end what it holds. 0 where there is none of this id.
    fn cart_part_count(&self, cart: &Code) -> usize;
    /// Carts whose hold ends at `now`, earliest first and then as they were opened, at most `limit`.
    fn due_carts(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)>;
    /// What one unit of a SKU costs, in the order of the currencies.
    fn prices(&self, sku: SkuId) -> &[(Currency, Amount)];

    /// Whether stock of a SKU is there that waiting lines have yet to get.
    fn is_unfilled(&self, site: SiteId, sku: SkuId) -> bool;
    /// The first pairs of which [`Tables::is_unfilled`] is true, at most `limit`.
    fn unfilled(&self, limit: usize) -> Vec<(SiteId, SkuId)>;

    /// The highest fence that was seen for a resource.
    fn fence(&self, resource: &Code) -> Option<row::Fence>;
    /// How many resources have one.
    fn fence_count(&self) -> usize;

    /// Where the tiers of prices begin, if it was ever said.
    fn price_tiers(&self) -> Option<row::PriceTiers>;
    /// The card of this code.
    fn card(&self, card: &Code) -> Option<row::Card>;
    /// The proposal of this id, open or ended.
    fn proposal(&self, id: &Code) -> Option<row::Proposal>;
    /// The open proposal to swap these two cards, in either direction.
    fn open_proposal_between(&self, a: &Code, b: &Code) -> Option<Code>;
    /// The open proposals that give a card or want it, with the events that made them, oldest first.
    fn open_proposals(&self, card: &Code) -> Vec<(Sequence, Code)>;
    /// How many those are.
    fn open_proposal_count(&self, card: &Code) -> usize;

    /// What a transfer has to pick in a zone of its site, if anything lies there or somebody claimed it.
    fn pick_work(&self, transfer: &Code, zone: &Name) -> Option<PickWork>;
    /// What a transfer has to pick, zone by zone, in the order of their names.
    fn pick_works(&self, transfer: &Code) -> Vec<PickWork>;
    /// The lines of a transfer that have something to pick in a zone, by index.
    fn pick_lines(&self, transfer: &Code, zone: &Name) -> Vec<u32>;
    /// In how many zones somebody claimed what a transfer has to pick.
    fn pick_claim_count(&self, transfer: &Code) -> usize;
    /// The transfers that have something to pick at a location, in the order of their ids; `None` if there are more
    /// than `limit` holders of any kind to look at.
    fn pickers_at(&self, location: LocationId, limit: usize) -> Option<Vec<Code>>;
    /// Pick work at a site that nobody has claimed, in a zone or in all of them. A transfer stands where its request
    /// puts it; its zones follow each other by name.
    fn waiting_picks(
        &self,
        site: SiteId,
        zone: Option<&Name>,
        by: WaitingBy,
    ) -> impl Iterator<Item = PickWorkId>;
    /// Claims on picks whose time has come at `now`, earliest first and then by transfer and zone, at most `limit`.
    fn due_pick_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, PickWorkId)>;

    /// What was filed under a document's id, for documents that keep no row of their own.
    fn filed(&self, document: &row::Filing) -> Option<row::Filed>;
    /// The answer given to a request key.
    fn answered(&self, key: &Code) -> Option<row::Answered>;
    /// The oldest answer that is still kept.
    fn oldest_answered(&self) -> Option<(Code, row::Answered)>;
    /// How many answers are kept.
    fn answered_count(&self) -> usize;

    /// Puts a row (or takes it away) and gives back what stood there.
    fn put(&mut self, row: Row) -> Row;

    /// Puts a row (or takes it away) for good: nobody asks what stood there, which takes work to say.
    fn set(&mut self, row: Row) {
        self.put(row);
    }
}

/// A row with its key: what [`Tables::put`] takes and gives back. `None` is no row.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is named after the row that it carries")]
pub enum Row {
    Head(row::Head),
    Site(SiteId, Option<Box<row::Site>>),
    Location(LocationId, Option<Box<row::Location>>),
    Sku(SkuId, Option<Box<row::Sku>>),
    Lot(LotId, Option<Box<row::Lot>>),
    Gate(SiteId, SkuId, Option<row::Gate>),
    Position(Place, Option<row::Position>),
    Outside(SkuId, Outside, i64),
    Hold(Code, Option<row::Hold>),
    Transfer(Code, Option<Box<row::Transfer>>),
    /// A transfer's lines, all at once: how they come into being.
    Lines(Code, Option<Vec<row::Line>>),
    Line(Code, u32, Box<row::Line>),
    Filed(row::Filing, Option<row::Filed>),
    Answered(Code, Option<row::Answered>),
    Wallet(Code, Option<row::Wallet>),
    MoneyOutside(Currency, MoneyOutside, i64),
    Authorization(Code, Option<Box<row::Authorization>>),
    Order(Code, Option<Box<row::Order>>),
    OrderSetting(SiteId, Option<row::OrderSetting>),
    /// Whether stock is there that waiting lines have yet to get.
    Unfilled(SiteId, SkuId, bool),
    Fence(Code, Option<row::Fence>),
    PriceTiers(Option<Box<row::PriceTiers>>),
    Card(Code, Option<row::Card>),
    Proposal(Code, Option<Box<row::Proposal>>),
    /// The claim on what a transfer has to pick in a zone.
    PickClaim(Code, Name, Option<Box<row::Claim>>),
    /// What one unit of a SKU costs, in the order of the currencies; empty where it has no price.
    Prices(SkuId, Vec<(Currency, Amount)>),
    Cart(Code, Option<Box<row::Cart>>),
    /// What the order of this id was sold for.
    Sale(Code, Option<Box<row::Sale>>),
}

/// Every row that an event touched, with what stood there before, in the order of the writing.
#[derive(Debug, Default)]
pub struct Changes {
    /// The before-images.
    pub before: Vec<Row>,
}

impl Changes {
    /// Takes the changes back, last first. Afterwards the tables are as they were.
    pub fn undo(self, tables: &mut impl Tables) {
        for row in self.before.into_iter().rev() {
            tables.put(row);
        }
    }
}

/// The rows themselves.
pub mod row {
    use smallvec::SmallVec;

    use super::*;
    pub use crate::cart::{Cart, CartLine, CartStatus, Sale};
    pub use crate::order::{Claim, Order, OrderAllocation, OrderLine, OrderSetting, OrderStatus};
    pub use crate::trade::{
        Card, CloseReason, PriceTiers, Proposal, ProposalEnd, ProposalKind, ProposalStatus,
    };
    use crate::{Amount, Date, Name, Strategy, TimeZone};

    /// Where the books stand.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Head {
        /// The last event's number; 0 before the first.
        pub sequence: Sequence,
        /// The last event's time. Logical time never runs backwards.
        pub at: Timestamp,
        /// How many sites there are: the next one's number.
        pub sites: u32,
        /// How many locations there are.
        pub locations: u32,
        /// How many SKUs there are.
        pub skus: u32,
        /// How many lots there are; the next one's number is one more, since 0 is no lot.
        pub lots: u32,
    }

    /// The highest fence that was seen for a resource.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Fence {
        /// Lower ones are stale. Never zero.
        pub fence: u64,
        /// The event that raised it.
        pub raised: Sequence,
    }

    /// A logistics or picking-packing centre (센터).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Site {
        /// Its code.
        pub code: Code,
        /// For people.
        pub name: Name,
        /// Whose midnight ends a lot's last day.
        pub time_zone: TimeZone,
        /// How positions are chosen when a request does not say.
        pub strategy: Strategy,
        /// The event that last set it.
        pub set: Sequence,
    }

    /// What a location is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum LocationKind {
        /// Where goods arrive.
        Receiving,
        /// Where goods wait to be picked: the only kind whose stock is available.
        Storage,
        /// Where damaged goods are kept apart.
        Quarantine,
        /// Where picked goods wait to be shipped.
        Staging,
    }

    impl LocationKind {
        /// All kinds, in the order of their tags.
        pub const ALL: [Self; 4] = [Self::Receiving, Self::Storage, Self::Quarantine, Self::Staging];

        /// The name in requests, answers and files.
        pub fn name(self) -> &'static str {
            match self {
                Self::Receiving => "receiving",
                Self::Storage => "storage",
                Self::Quarantine => "quarantine",
                Self::Staging => "staging",
            }
        }
    }

    /// A bin in a site (로케이션).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Location {
        /// Its site.
        pub site: SiteId,
        /// Its code, unique at the site.
        pub code: Code,
        /// The part of the site that it is in; may be empty.
        pub zone: Name,
        /// Its place on the walk through the site.
        pub pick_order: u32,
        /// What it is for.
        pub kind: LocationKind,
        /// The event that last set it.
        pub set: Sequence,
    }

    /// How finely a SKU's stock is told apart.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Tracking {
        /// Not at all.
        None,
        /// By lot.
        Lot,
        /// By serial number: lots of one.
        Serial,
    }

    impl Tracking {
        /// All of them, in the order of their tags.
        pub const ALL: [Self; 3] = [Self::None, Self::Lot, Self::Serial];

        /// The name in requests, answers and files.
        pub fn name(self) -> &'static str {
            match self {
                Self::None => "none",
                Self::Lot => "lot",
                Self::Serial => "serial",
            }
        }
    }

    /// A product (상품).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Sku {
        /// Its code.
        pub code: Code,
        /// For people.
        pub name: Name,
        /// How its stock is told apart; fixed once it was stocked.
        pub tracking: Tracking,
        /// Safety levels by site, in order of the site's number.
        pub safety_stock: Vec<(SiteId, Quantity)>,
        /// Whether it was ever stocked anywhere.
        pub stocked: bool,
        /// The event that last set it.
        pub set: Sequence,
    }

    /// A lot, or a serial number (로트).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Lot {
        /// Its SKU.
        pub sku: SkuId,
        /// Its code, unique for the SKU.
        pub code: Code,
        /// The day it was received, if known.
        pub received_on: Option<Date>,
        /// Its last good day.
        pub expires_on: Option<Date>,
        /// Recalled: unavailable at once.
        pub blocked: bool,
        /// How much of it is in our sites and between them.
        pub inside: Quantity,
        /// The event that last set it.
        pub set: Sequence,
    }

    /// What is known of a SKU at a site, over all its positions, present and future.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Gate {
        /// Whether stock ever lay here.
        pub stocked: bool,
        /// Below this much available, the stock is low; zero watches nothing.
        pub safety_level: Quantity,
        /// Whether it was told to be low, and not since to have recovered.
        pub low: bool,
    }

    /// What lies at a place (재고).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Position {
        /// 실재고: how much there is.
        pub on_hand: Quantity,
        /// 할당: how much of it is held.
        pub held: Quantity,
        /// How much of the rest could not be found and waits for a count.
        pub missing: Quantity,
        /// When stock came to lie here; `fifo` goes by it where there is no lot.
        pub since: Timestamp,
    }

    impl Position {
        /// What nobody holds.
        pub fn unheld(&self) -> Quantity {
            self.on_hand - self.held
        }

        /// What nobody holds and is where it should be.
        pub fn movable(&self) -> Quantity {
            self.unheld() - self.missing
        }
    }

    /// Who holds something: a line (by index from 0) of a hold, a transfer or an order, or an item of a cart.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Holder {
        /// Which kind of document.
        pub kind: HolderKind,
        /// The document.
        pub id: Code,
        /// The line's index.
        pub line: u32,
    }

    /// The kinds of documents that hold stock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum HolderKind {
        /// A cart, whose lines are told apart by their SKUs: the line is the SKU's number. The first to give up what
        /// it holds where holders have to.
        Cart,
        /// A hold of its own.
        Hold,
        /// An allocation of a transfer.
        Transfer,
        /// An allocation of an order.
        Order,
    }

    /// A quantity held at a place; the SKU is the line's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Pick {
        /// The bin.
        pub location: LocationId,
        /// The lot.
        pub lot: LotId,
        /// Never zero.
        pub quantity: Quantity,
    }

    /// How a hold stands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum HoldStatus {
        /// Something is still held.
        Held,
        /// Ended, and at least a part was confirmed.
        Confirmed,
        /// Ended by its owner.
        Released,
        /// Ended by the clock.
        Expired,
    }

    impl HoldStatus {
        /// All of them, in the order of their tags.
        pub const ALL: [Self; 4] = [Self::Held, Self::Confirmed, Self::Released, Self::Expired];

        /// The name in answers.
        pub fn name(self) -> &'static str {
            match self {
                Self::Held => "held",
                Self::Confirmed => "confirmed",
                Self::Released => "released",
                Self::Expired => "expired",
            }
        }
    }

    /// A claim on quantities at named positions (선점).
    #[derive(Clone, Debug, PartialEq)]
    pub struct Hold {
        /// Whom the caller holds for.
        pub owner: Option<Code>,
        /// The fingerprint of the request that placed it.
        pub body: u64,
        /// The event that placed it.
        pub placed: Sequence,
        /// From when on it no longer counts.
        pub expires_at: Option<Timestamp>,
        /// How it stands.
        pub status: HoldStatus,
        /// Whether any part was ever confirmed.
        pub confirmed: bool,
        /// Its lines, as placed or last changed.
        pub lines: SmallVec<[HoldLine; 1]>,
    }

    /// One line of a hold.
    #[derive(Clone, Debug, PartialEq)]
    pub struct HoldLine {
        /// Where.
        pub site: SiteId,
        /// What.
        pub sku: SkuId,
        /// How much was asked for.
        pub quantity: Quantity,
        /// What is held now.
        pub picks: SmallVec<[Pick; 1]>,
    }

    /// How a transfer ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum End {
        /// 취소.
        Cancelled,
        /// Its remainder was given up.
        Closed,
    }

    /// A transfer request (이관요청서), without its lines.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Transfer {
        /// The site that gives.
        pub from: SiteId,
        /// The site that gets.
        pub to: SiteId,
        /// Higher is sooner; for whoever lists them.
        pub priority: u32,
        /// The fingerprint of the request.
        pub body: u64,
        /// The event that requested it.
        pub requested: Sequence,
        /// When it was requested.
        pub requested_at: Timestamp,
        /// The event that last allocated something.
        pub allocated: Sequence,
        /// The event that ended it, and how.
        pub end: Option<(End, Sequence)>,
        /// How many lines it has.
        pub lines: u32,
        /// The sums over its lines.
        pub totals: Totals,
    }

    /// Quantities of a line, or summed over lines of any SKU.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Totals {
        /// Asked for.
        pub requested: Quantity,
        /// Held and not yet picked.
        pub allocated: Quantity,
        /// Held, in staging.
        pub picked: Quantity,
        /// Left the site.
        pub shipped: Quantity,
        /// Between the sites now.
        pub in_transit: Quantity,
        /// Arrived in good order, surplus included.
        pub received: Quantity,
        /// Arrived damaged.
        pub damaged: Quantity,
        /// Never arrived.
        pub lost: Quantity,
        /// Given up before it was shipped.
        pub closed_short: Quantity,
    }

    impl Totals {
        /// What is still to be found: not allocated, picked, shipped or given up.
        pub fn open(&self) -> Quantity {
            self.requested - self.allocated - self.picked - self.shipped - self.closed_short
        }
    }

    /// How a transfer stands: always derived, never set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum TransferStatus {
        /// 미할당.
        Requested,
        /// 부분할당.
        PartiallyAllocated,
        /// 할당.
        Allocated,
        /// Something was picked or a part was shipped.
        Picking,
        /// All of it left.
        Shipped,
        /// All of it arrived.
        Received,
        /// Its remainder was given up.
        Closed,
        /// 취소.
        Cancelled,
    }

    impl TransferStatus {
        /// All of them.
        pub const ALL: [Self; 8] = [
            Self::Requested,
            Self::PartiallyAllocated,
            Self::Allocated,
            Self::Picking,
            Self::Shipped,
            Self::Received,
            Self::Closed,
            Self::Cancelled,
        ];

        /// The name in answers and filters.
        pub fn name(self) -> &'static str {
            match self {
                Self::Requested => "requested",
                Self::PartiallyAllocated => "partially_allocated",
                Self::Allocated => "allocated",
                Self::Picking => "picking",
                Self::Shipped => "shipped",
                Self::Received => "received",
                Self::Closed => "closed",
                Self::Cancelled => "cancelled",
            }
        }
    }

    impl Transfer {
        /// How it stands.
        pub fn status(&self) -> TransferStatus {
            let totals = &self.totals;
            match self.end {
                Some((End::Cancelled, _)) => return TransferStatus::Cancelled,
                Some((End::Closed, _)) => return TransferStatus::Closed,
                None => {}
            }
            if totals.shipped == totals.requested {
                let arrived = totals.in_transit.is_zero();
                return if arrived { TransferStatus::Received } else { TransferStatus::Shipped };
            }
            if !totals.picked.is_zero() || !totals.shipped.is_zero() {
                return TransferStatus::Picking;
            }
            if totals.allocated == totals.requested {
                return TransferStatus::Allocated;
            }
            if !totals.allocated.is_zero() {
                return TransferStatus::PartiallyAllocated;
            }
            TransferStatus::Requested
        }
    }

    /// Picked goods in staging, and the bin that they came from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Staged {
        /// The staging location.
        pub staging: LocationId,
        /// The lot.
        pub lot: LotId,
        /// Where they came from, and go back to.
        pub origin: LocationId,
        /// Never zero.
        pub quantity: Quantity,
    }

    /// One line of a transfer.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Line {
        /// The caller's name for it.
        pub name: Code,
        /// What.
        pub sku: SkuId,
        /// Of this lot only, if the request named one.
        pub lot: Option<LotId>,
        /// Its quantities; `allocated`, `picked` and `in_transit` are the sums of the three lists.
        pub totals: Totals,
        /// Held, not yet picked.
        pub picks: Vec<Pick>,
        /// Held, in staging.
        pub staged: Vec<Staged>,
        /// Between the sites, by lot.
        pub transit: Vec<(LotId, Quantity)>,
    }

    /// The ids of documents that keep no row of their own.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Filing {
        /// An adjustment.
        Adjustment(Code),
        /// A bin move.
        Move(Code),
        /// A shipment of a transfer.
        Shipment {
            /// The transfer.
            transfer: Code,
            /// The shipment.
            shipment: Code,
        },
        /// The reversal of a movement.
        Reversal(MovementId),
    }

    /// What a filed document was.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Filed {
        /// The fingerprint of its request.
        pub body: u64,
        /// The event that it became.
        pub sequence: Sequence,
    }

    /// What was answered to a request key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Answered {
        /// The fingerprint of the request.
        pub body: u64,
        /// The event whose outcome was the answer.
        pub sequence: Sequence,
        /// The event that noted the key: the same one, or a later one where the answer was a repeat.
        pub noted: Sequence,
        /// When.
        pub at: Timestamp,
    }

    /// What somebody has, currency by currency (잔액).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Wallet {
        /// The event that first named it.
        pub opened: Sequence,
        /// One for each currency, in the order of their codes.
        pub balances: SmallVec<[Balance; 1]>,
    }

    impl Wallet {
        /// The balance in a currency: an empty one where there is none yet.
        pub fn balance(&self, currency: Currency) -> Balance {
            let found = self.balances.iter().find(|balance| balance.currency == currency);
            found.copied().unwrap_or_else(|| Balance::empty(currency))
        }
    }

    /// What a wallet has in one currency.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Balance {
        /// The currency.
        pub currency: Currency,
        /// How much there is.
        pub balance: i64,
        /// How much of it is held for open authorizations.
        pub held: Amount,
        /// What the balance less what is held never falls below; below zero where credit is given.
        pub limit: i64,
        /// What was paid and captured, less what was refunded.
        pub paid: Amount,
    }

    impl Balance {
        /// Nothing, and no credit.
        pub fn empty(currency: Currency) -> Self {
            Self { currency, balance: 0, held: Amount::ZERO, limit: 0, paid: Amount::ZERO }
        }

        /// What can be paid or authorized: down to the limit, less what is held.
        pub fn available(&self) -> i64 {
            self.balance - self.held.signed() - self.limit
        }
    }

    /// How an authorization stands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum AuthorizationStatus {
        /// Something is still held for it.
        Open,
        /// Ended, and at least a part was captured.
        Captured,
        /// Ended, and nothing was captured.
        Voided,
    }

    impl AuthorizationStatus {
        /// All of them, in the order of their tags.
        pub const ALL: [Self; 3] = [Self::Open, Self::Captured, Self::Voided];

        /// The name in answers.
        pub fn name(self) -> &'static str {
            match self {
                Self::Open => "open",
                Self::Captured => "captured",
                Self::Voided => "voided",
            }
        }
    }

    /// Money of a wallet that is held for somebody who may capture it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Authorization {
        /// Whose wallet.
        pub owner: Code,
        /// In which currency.
        pub currency: Currency,
        /// How much was authorized.
        pub amount: Amount,
        /// How much of it was captured.
        pub captured: Amount,
        /// How much of it is still held.
        pub held: Amount,
        /// Why, in the caller's words.
        pub reason: Name,
        /// The caller's own document.
        pub reference: Option<Code>,
        /// The fingerprint of the request.
        pub body: u64,
        /// The event that made it.
        pub authorized: Sequence,
    }

    impl Authorization {
        /// How it stands.
        pub fn status(&self) -> AuthorizationStatus {
            match (self.held.is_zero(), self.captured.is_zero()) {
                (false, _) => AuthorizationStatus::Open,
                (true, false) => AuthorizationStatus::Captured,
                (true, true) => AuthorizationStatus::Voided,
            }
        }
    }
}
