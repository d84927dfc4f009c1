//! The promise: which number stands for what, and which fields follow it in which order.
//!
//! What is written here was written to disks. A tag is never changed and never used again; a field never moves.
//! The law in [`super`] says how this may grow. Tags begin at 1, so that zeroed bytes are never a thing.

use jaego_domain::{
    Account, Fact, Keyed, MoneyOutside, Movement, MovementId, Outside, PickWorkId, Place, Row, Strategy,
    Timestamp,
    event::{
        AdjustedLine, ClosedProposal, FilledOrder, Freed, HeldLine, LostLine, MissedLine, MovedLine,
        OrderShort, OrderedLine, PickedLine, ReceivedLine, RequestedLine, ShippedLine, Short, Take,
        UnpickedLine, Watched,
    },
    row::{
        Answered, Authorization, Balance, Card, Cart, CartLine, CartState, CartStatus, Claim, CloseReason,
        End, Fence, Filed, Filing, Gate, Head, Hold, HoldLine, HoldStatus, Holder, HolderKind, Line,
        Location, LocationKind, Lot, Order, OrderAllocation, OrderLine, OrderSetting, OrderStatus, Pick,
        Position, PriceTiers, Proposal, ProposalEnd, ProposalKind, Sale, Site, Sku, Staged, Totals, Tracking,
        Transfer, Wallet,
    },
};
use smallvec::SmallVec;

use super::{
    bytes::{Reader, Writer},
    error::{Error, Problem, Result},
    field::Field,
    held,
};

/// Names as one byte, which may stand for a name within a name.
macro_rules! names {
    ($($type:ident { $($tag:literal $name:ident $(($of:path))?),* $(,)? })*) => {$(
        impl Field for $type {
            fn put(&self, w: &mut Writer) {
                w.byte(match self { $(Self::$name $(($of))? => $tag),* });
            }

            fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
                let at = r.at();
                match r.byte(what)? {
                    $($tag => Ok(Self::$name $(($of))?),)*
                    tag => Err(Error::new(what, at, Problem::Tag(tag))),
                }
            }
        }
    )*};
}

names! {
    Strategy { 1 Fefo, 2 Fifo, 3 PickOrder, 4 FewestLocations, 5 SmallestFirst, 6 Explicit }
    LocationKind { 1 Receiving, 2 Storage, 3 Quarantine, 4 Staging }
    Tracking { 1 None, 2 Lot, 3 Serial }
    Outside { 1 Opening, 2 Supplier, 3 Customer, 4 Loss, 5 Found }
    HolderKind { 1 Hold, 2 Transfer, 3 Order, 4 Cart }
    HoldStatus { 1 Held, 2 Confirmed, 3 Released, 4 Expired }
    End { 1 Cancelled, 2 Closed }
    MoneyOutside { 1 PaymentProvider, 2 Sales }
    OrderStatus { 1 Waiting, 2 Processing, 3 Completed, 4 Cancelled }
    OrderAllocation { 1 OnArrival, 2 OnDemand, 3 AtCompletion }
    ProposalKind { 1 Offer, 2 Poke }
    CloseReason { 1 CardTraded, 2 OwnerChanged, 3 PriceChanged }
    ProposalEnd {
        1 Accepted, 2 Rejected, 3 Withdrawn,
        4 Closed(CloseReason::CardTraded), 5 Closed(CloseReason::OwnerChanged), 6 Closed(CloseReason::PriceChanged),
    }
    CartStatus { 1 Open, 2 Ordered, 3 Discarded }
}

/// Fields one after the other. Where one is `never zero`, neither side lets a zero pass.
macro_rules! records {
    ($($type:ident { $($field:ident),* $(,)? } $([$nonzero:ident: never zero])?)*) => {$(
        impl Field for $type {
            const LEN_MIN: usize = [$(stringify!($field)),*].len();

            #[inline]
            fn put(&self, w: &mut Writer) {
                $(assert!(!self.$nonzero.is_zero(), "{} of zero is never written", stringify!($type));)?
                $(self.$field.put(w);)*
            }

            #[inline]
            fn get(r: &mut Reader<'_>, _: &'static str) -> Result<Self> {
                let at = r.at();
                let record = Self {
                    $($field: Field::get(r, concat!(stringify!($type), ".", stringify!($field)))?),*
                };
                let ok = true $(&& !record.$nonzero.is_zero())?;
                if !ok {
                    let what = concat!(stringify!($type), $(".", stringify!($nonzero))?);
                    return Err(Error::new(what, at, Problem::Zero));
                }
                Ok(record)
            }
        }
    )*};
}

records! {
    Place { location, sku, lot }
    MovementId { sequence, index }
    Movement { sku, lot, quantity, from, to } [quantity: never zero]
    Keyed { key, body }

    // Parts of facts.
    Take { line, sku, location, lot, quantity } [quantity: never zero]
    Short { line, requested, available }
    HeldLine { site, sku, quantity }
    RequestedLine { name, sku, lot, quantity }
    Freed { holder, quantity }
    AdjustedLine { place, outside, increase, quantity, counted, freed }
    MovedLine { sku, lot, from, to, quantity, follow }
    PickedLine { take, staging }
    MissedLine { take, quarantine }
    UnpickedLine { take, origin, to }
    ShippedLine { take, origin }
    ReceivedLine { line, sku, lot, location, damaged, expected, excess }
    LostLine { line, sku, lot, quantity }
    Watched { site, sku, available, level, low }
    OrderedLine { sku, lot, quantity }
    OrderShort { line, sku, requested, available }
    FilledOrder { order, takes }
    ClosedProposal { proposal, reason }
    PickWorkId { transfer, zone }

    // Rows and their parts.
    Head { sequence, at, sites, locations, skus, lots }
    Site { code, name, time_zone, strategy, set }
    Location { site, code, zone, pick_order, kind, set }
    Sku { code, name, tracking, safety_stock, stocked, set }
    Lot { sku, code, received_on, expires_on, blocked, inside, set }
    Gate { stocked, safety_level, low }
    Position { on_hand, held, missing, since }
    Holder { kind, id, line }
    Pick { location, lot, quantity } [quantity: never zero]
    Hold { owner, body, placed, expires_at, status, confirmed, lines }
    HoldLine { site, sku, quantity, picks }
    Transfer { from, to, priority, body, requested, requested_at, allocated, end, lines, totals }
    Totals { requested, allocated, picked, shipped, in_transit, received, damaged, lost, closed_short }
    Line { name, sku, lot, totals, picks, staged, transit }
    Staged { staging, lot, origin, quantity } [quantity: never zero]
    Filed { body, sequence }
    Answered { body, sequence, noted, at }
    Authorization { owner, currency, amount, captured, held, reason, reference, body, authorized }
    OrderSetting { allocation, set }
    Fence { fence, raised }
    Claim { worker, fence, expires_at }
    OrderLine { sku, lot, quantity, picks }
    Order { site, customer, priority, body, placed, placed_at, answer, backorder, awaits_stock, status, claim, lines }
    PriceTiers { from, set }
    Card { owner, price, made, set, changed }
    Proposal { from_card, to_card, from_owner, to_owner, from_price, to_price, kind, body, proposed, proposed_at, end }
    Cart { site, owner, hold_s, opened, opened_at, set, changed, expires_at, status, order, lines }
    CartLine { sku, quantity, picks } [quantity: never zero]
    CartState { status, order, changed }
    Sale { owner, currency, prices, total, refunded }
}

/// What a wallet has for orders stands behind its balances, one sum for each, where there is any: it came later.
impl Field for Wallet {
    const LEN_MIN: usize = 2;

    fn put(&self, w: &mut Writer) {
        self.opened.put(w);
        self.balances.put(w);
        if self.balances.iter().any(|balance| balance.sold > 0) {
            self.balances.iter().for_each(|balance| w.varint(balance.sold));
        }
    }

    fn get(r: &mut Reader<'_>, _: &'static str) -> Result<Self> {
        let opened = Field::get(r, "Wallet.opened")?;
        let mut balances: SmallVec<[Balance; 1]> = Field::get(r, "Wallet.balances")?;
        let sold_at = r.at();
        if r.remaining() > 0 && !balances.is_empty() {
            for balance in &mut balances {
                balance.sold = r.varint("Balance.sold")?;
            }
            if balances.iter().all(|balance| balance.sold == 0) {
                return Err(Error::new("Balance.sold", sold_at, Problem::Zero));
            }
        }
        Ok(Self { opened, balances })
    }
}

impl Field for Balance {
    const LEN_MIN: usize = 5;

    fn put(&self, w: &mut Writer) {
        let Self { currency, balance, held, limit, paid, sold: _ } = self;
        currency.put(w);
        balance.put(w);
        held.put(w);
        limit.put(w);
        paid.put(w);
    }

    fn get(r: &mut Reader<'_>, _: &'static str) -> Result<Self> {
        Ok(Self {
            currency: Field::get(r, "Balance.currency")?,
            balance: Field::get(r, "Balance.balance")?,
            held: Field::get(r, "Balance.held")?,
            limit: Field::get(r, "Balance.limit")?,
            paid: Field::get(r, "Balance.paid")?,
            sold: 0,
        })
    }
}

/// One of several, each with its own fields: the tag and the fields are put apart, so that a length may stand
/// between them.
pub(super) trait Tagged: Sized {
    fn tag(&self) -> u8;

    fn put_fields(&self, w: &mut Writer);

    /// Gets the fields of the tag that was read at `tag_at`.
    fn get_fields(r: &mut Reader<'_>, tag: u8, tag_at: usize) -> Result<Self>;
}

/// `place: name` is a field of the variant: its name there, or its index, and what errors call it.
macro_rules! tagged {
    ($($type:ident { $($tag:literal $variant:ident { $($place:tt: $field:ident),* })* })*) => {$(
        impl Tagged for $type {
            fn tag(&self) -> u8 {
                match self { $(Self::$variant { .. } => $tag),* }
            }

            fn put_fields(&self, w: &mut Writer) {
                match self { $(Self::$variant { $($place: $field),* } => { $($field.put(w);)* })* }
            }

            fn get_fields(r: &mut Reader<'_>, tag: u8, tag_at: usize) -> Result<Self> {
                match tag {
                    $($tag => Ok(Self::$variant {
                        $($place: Field::get(r, concat!(stringify!($variant), ".", stringify!($field)))?),*
                    }),)*
                    _ => Err(Error::new(stringify!($type), tag_at, Problem::Tag(tag))),
                }
            }
        }
    )*};
}

tagged! {
    Account {
        1 Position { 0: place }
        2 Outside { 0: outside }
        3 InTransit { transfer: transfer, line: line }
    }

    Filing {
        1 Adjustment { 0: id }
        2 Move { 0: id }
        3 Shipment { transfer: transfer, shipment: shipment }
        4 Reversal { 0: original }
    }

    Row {
        1 Head { 0: row }
        2 Site { 0: id, 1: row }
        3 Location { 0: id, 1: row }
        4 Sku { 0: id, 1: row }
        5 Lot { 0: id, 1: row }
        6 Gate { 0: site, 1: sku, 2: row }
        7 Position { 0: place, 1: row }
        8 Outside { 0: sku, 1: outside, 2: balance }
        9 Hold { 0: id, 1: row }
        10 Transfer { 0: id, 1: row }
        11 Lines { 0: transfer, 1: rows }
        12 Line { 0: transfer, 1: line, 2: row }
        13 Filed { 0: document, 1: row }
        14 Answered { 0: key, 1: row }
        20 Wallet { 0: owner, 1: row }
        21 MoneyOutside { 0: currency, 1: outside, 2: balance }
        22 Authorization { 0: id, 1: row }
        25 Order { 0: id, 1: row }
        26 OrderSetting { 0: site, 1: row }
        27 Unfilled { 0: site, 1: sku, 2: unfilled }
        39 Fence { 0: resource, 1: row }
        32 PriceTiers { 0: row }
        33 Card { 0: card, 1: row }
        34 Proposal { 0: id, 1: row }
        36 PickClaim { 0: transfer, 1: zone, 2: row }
        40 OrderClaim { 0: order, 1: row }
        41 CartState { 0: id, 1: row }
        42 OrderPicks { 0: order, 1: lines }
        28 Prices { 0: sku, 1: prices }
        29 Cart { 0: id, 1: row }
        30 Sale { 0: order, 1: row }
    }
}

macro_rules! tag_then_fields {
    ($($type:ident)*) => {$(
        impl Field for $type {
            const LEN_MIN: usize = 2;

            fn put(&self, w: &mut Writer) {
                w.byte(self.tag());
                self.put_fields(w);
            }

            fn get(r: &mut Reader<'_>, what: &'static str) -> Result<Self> {
                let tag_at = r.at();
                let tag = r.byte(what)?;
                Self::get_fields(r, tag, tag_at)
            }
        }
    )*};
}

tag_then_fields! { Account Filing }

/// Whether facts of this tag never move anything, goods or money. One that is not known here may.
pub(super) fn moves_nothing(tag: u8) -> bool {
    matches!(tag, 1..=4 | 8 | 10..=17 | 23 | 24 | 33 | 34 | 36 | 40..=43 | 45..=55 | 60..=65 | 70..=75 | 77)
}

/// The facts. [`held`] has those of holds whose lines and takes name each other.
macro_rules! facts {
    ($held:literal Held by hand, $changed:literal HoldChanged by hand, $($tag:literal $fact:ident { $($field:ident),* })*) => {
        pub(super) fn fact_tag(fact: &Fact) -> u8 {
            match fact {
                Fact::Held { .. } => $held,
                Fact::HoldChanged { .. } => $changed,
                $(Fact::$fact { .. } => $tag,)*
            }
        }

        #[inline]
        pub(super) fn put_fact(w: &mut Writer, fact: &Fact, at: Timestamp) {
            match fact {
                Fact::Held { .. } => held::put(w, fact, at),
                Fact::HoldChanged { .. } => held::put_changed(w, fact),
                $(Fact::$fact { $($field),* } => { $($field.put(w);)* })*
            }
        }

        #[inline]
        pub(super) fn get_fact(r: &mut Reader<'_>, tag: u8, tag_at: usize, at: Timestamp) -> Result<Fact> {
            match tag {
                $held => held::get(r, at),
                $changed => held::get_changed(r),
                $($tag => Ok(Fact::$fact {
                    $($field: Field::get(r, concat!(stringify!($fact), ".", stringify!($field)))?),*
                }),)*
                _ => Err(Error::new("a fact", tag_at, Problem::Tag(tag))),
            }
        }
    };
}

facts! {
    8 Held by hand,
    12 HoldChanged by hand,
    1 SiteSet { id, code, name, time_zone, strategy }
    2 LocationSet { id, site, code, zone, pick_order, kind }
    3 SkuSet { id, code, name, tracking, safety_stock }
    4 LotSet { id, sku, code, received_on, expires_on, blocked }
    5 Adjusted { id, body, reason, lines }
    6 Moved { id, body, reason, lines }
    7 Reversed { original, movement }
    9 HoldConfirmed { id, to, takes, released }
    10 HoldReleased { id, takes }
    11 HoldExtended { id, expires_at }
    13 HoldsLapsed { ids }
    14 TransferRequested { id, body, from, to, priority, lines }
    15 TransferAllocated { id, takes, short }
    16 TransferReleased { id, takes }
    17 TransferCancelled { id, released, staged }
    18 TransferPicked { id, picked, missed, takes, short }
    19 TransferUnpicked { id, lines }
    20 TransferShipped { id, shipment, body, lines }
    21 TransferReceived { id, lines }
    22 TransferClosed { id, released, lost }
    23 StockWatched { items }
    24 RequestNoted { of }
    30 WalletCharged { owner, currency, amount, balance, reason, reference }
    31 WalletPaid { owner, currency, amount, balance, reason, reference }
    32 WalletRefunded { owner, currency, amount, balance, reason, reference }
    33 WalletLimitSet { owner, currency, limit }
    34 PaymentAuthorized { id, body, owner, currency, amount, reason, reference }
    35 PaymentCaptured { id, owner, currency, amount, released, balance }
    36 PaymentVoided { id, owner, currency, released }
    40 OrderAllocationSet { site, code, allocation }
    41 OrderPlaced { id, body, site, customer, priority, backorder, awaits_stock, lines, takes, short }
    42 OrderAllocated { id, site, takes, short }
    77 OrderReallocated { id, site, released, takes, short }
    43 OrdersFilled { orders, left, done }
    44 OrderCompleted { id, worker, takes, allocated }
    45 OrderCancelled { id, released }
    46 OrderClaimed { id, worker, expires_at }
    47 OrdersClaimed { worker, expires_at, ids }
    48 ClaimExtended { id, fence, expires_at }
    49 OrderUnclaimed { id, worker }
    50 ClaimsLapsed { ids }
    75 FenceRaised { resource, fence }
    60 PriceTiersSet { from }
    61 CardSet { card, owner, price, closed }
    62 Proposed { id, body, from_card, to_card, from_owner, to_owner, from_price, to_price, kind }
    63 ProposalAccepted { id, from_card, to_card, from_owner, to_owner, closed }
    64 ProposalRejected { id }
    65 ProposalWithdrawn { id }
    70 TransferClaimed { id, worker, expires_at, zones }
    71 PicksClaimed { worker, expires_at, works }
    72 TransferClaimExtended { id, fence, expires_at, zones }
    73 TransferUnclaimed { id, worker, zones }
    74 PickClaimsLapsed { works }
    51 SkuPriced { id, code, name, tracking, safety_stock, prices }
    52 CartSet { id, site, owner, hold_s, expires_at, takes }
    53 CartItemSet { id, sku, quantity, expires_at, takes }
    54 CartsLapsed { ids }
    55 CartDiscarded { id }
    56 CartOrdered { cart, order, body, site, owner, currency, total, balance, prices, lines, takes }
    57 SaleCancelled { id, released, owner, currency, amount, balance }
    76 SaleRefunded { id, owner, currency, amount, balance, reason }
}
