//! The one seam between the decisions and whoever keeps the rows.

use crate::{
    Amount, Awaiting, Code, Currency, LocationId, LotId, MoneyOutside, Name, Outside, PickWork, PickWorkId,
    Place, Quantity, Sequence, SiteId, SkuId, Timestamp, Waiting, WaitingBy, row,
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
    /// What is available of a SKU at a site where it has a safety level, at `now`: a sum that is kept. Zero where it has none.
    fn watched_available(&self, site: SiteId, sku: SkuId, now: Timestamp) -> Quantity;
    /// The SKUs with a safety level at a site of which some day more or less is available, because lots of them end.
    fn watched_with_last_days(&self, site: SiteId) -> Vec<SkuId>;
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

    /// How many parts a transfer has, which is what it takes to end it: its picks, its staged quantities and its lots on
    /// the way, line by line. 0 where there is none of this id.
    fn transfer_part_count(&self, transfer: &Code) -> usize;

    /// The wallet of this owner.
    fn wallet(&self, owner: &Code) -> Option<&row::Wallet>;
    /// The balance of an outside account for a currency: below zero where money came from.
    fn money_outside(&self, currency: Currency, outside: MoneyOutside) -> i64;
    /// The authorization of this id, open or ended.
    fn authorization(&self, id: &Code) -> Option<row::Authorization>;

    /// How a site treats its orders, if it was ever said.
    fn order_setting(&self, site: SiteId) -> Option<row::OrderSetting>;
    /// Brings these orders near, all of which are changed next: where rows are waited for, it is once for all of them.
    /// It changes nothing, and tables that gain nothing by it leave it out.
    fn warm_orders(&self, _ids: &[Code]) {}
    /// Brings these places near, as [`Tables::warm_orders`] does orders: they are looked at or changed next.
    fn warm_places(&self, _places: impl Iterator<Item = Place>) {}
    /// Notes how much a look for work that can be done has seen: picks, and work that cannot be done. It counts
    /// work and is no part of the state.
    fn note_seen(&self, seen: usize);
    /// How much was seen since this was last asked.
    fn take_seen(&self) -> usize;
    /// Brings near what lies of these SKUs at these sites.
    fn warm_gates(&self, _skus: impl Iterator<Item = (SiteId, SkuId)>) {}
    /// The order of this id.
    fn order(&self, id: &Code) -> Option<row::Order>;
    /// One line of an order, by index from 0. Panics if there is no such line.
    fn order_line(&self, order: &Code, line: u32) -> row::OrderLine;
    /// How the work on the order of this id stands: of an order of thousands of lines no more than that is read.
    fn order_work(&self, id: &Code) -> Option<row::OrderWork>;
    /// How many picks an order has: what it takes to end it. 0 where there is none of this id.
    fn order_pick_count(&self, order: &Code) -> usize;
    /// What an order holds, pick by pick and line by line: where goods of a lot lie, and `None` for others.
    fn order_lots(&self, order: &Code) -> impl Iterator<Item = Option<Place>>;
    /// Claims whose time has come at `now`, earliest first and then by the order's id, at most `limit`.
    fn due_claims(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)>;
    /// Waiting orders of a site, those that are wholly allocated or those that are not.
    fn waiting(&self, site: SiteId, allocated: bool, by: WaitingBy) -> impl Iterator<Item = Waiting>;
    /// Whether a line of some order waits for this lot of a SKU at a site, or for any of its lots.
    fn is_awaited(&self, site: SiteId, sku: SkuId, lot: LotId) -> bool;
    /// The SKUs that lines of orders wait for at a site.
    fn awaited_skus(&self, site: SiteId) -> Vec<SkuId>;
    /// The lines that wait for a SKU at a site, of this lot only or of any: by priority and then by age.
    fn awaiting(&self, site: SiteId, sku: SkuId, lot: Option<LotId>) -> impl Iterator<Item = Awaiting>;
    /// What an order was sold for, if it came of a cart.
    fn sale(&self, order: &Code) -> Option<row::Sale>;
    /// The cart of this id.
    fn cart(&self, id: &Code) -> Option<row::Cart>;
    /// How many lines and picks a cart has: what it takes to end what it holds. 0 where there is none of this id.
    fn cart_part_count(&self, cart: &Code) -> usize;
    /// Whether a cart holds something. Not where there is none of this id.
    fn cart_holds(&self, cart: &Code) -> bool;
    /// Carts whose hold ends at `now`, earliest first and then as they were opened, at most `limit`.
    fn due_carts(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, Code)>;
    /// What one unit of a SKU costs, in the order of the currencies.
    fn prices(&self, sku: SkuId) -> &[(Currency, Amount)];

    /// Whether stock of a SKU is there that waiting lines have yet to get.
    fn is_unfilled(&self, site: SiteId, sku: SkuId) -> bool;
    /// The first pairs of which [`Tables::is_unfilled`] is true, at most `limit`.
    fn unfilled(&self, limit: usize) -> Vec<(SiteId, SkuId)>;
    /// Whether stock is there that waiting orders have yet to get. Until they have it nothing is decided, so that nobody
    /// takes it who came later or whose priority is lower.
    fn owes_stock(&self) -> bool;

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
    /// All picks of these lines, also those in other zones, line by line.
    fn picks_of_lines_in(&self, transfer: &Code, zone: &Name) -> impl Iterator<Item = Place>;
    /// The zones where nobody has claimed what a transfer has to pick, in the order of their names.
    fn unclaimed_zones(&self, transfer: &Code) -> impl Iterator<Item = Name>;
    /// The zones of a transfer that are claimed with a fence, in the order of their names.
    fn zones_of_claim(&self, transfer: &Code, fence: Sequence) -> impl Iterator<Item = (Name, row::Claim)>;
    /// The claims on what a transfer has to pick, each by the first of its zones, in the order of their fences.
    fn pick_claims(&self, transfer: &Code) -> impl Iterator<Item = (Name, row::Claim)>;
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
    /// The claim on an order that is not at its end, which is processed under it, or waits where there is none.
    OrderClaim(Code, Option<Box<row::Claim>>),
    /// What some lines of an order hold that is not at its end, each of them once.
    OrderPicks(Code, Vec<row::LinePicks>),
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
    /// How a cart stands that is there and holds nothing; what is in it stays.
    CartState(Code, row::CartState),
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
