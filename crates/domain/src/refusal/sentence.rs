//! A refusal as a sentence, with its numbers.

use std::fmt;

use super::{Asked, MissingFunds, Refusal};
use crate::{Code, Name};

impl fmt::Display for Refusal {
    /// A sentence for the person at the terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidValue { field, reason } => write!(f, "{field} {reason}"),
            Self::TooManyLines { lines, max } => {
                write!(f, "{lines} lines are more than the {max} that one document may have")
            }
            Self::TooManyLinesTouched { lines, max } => write!(
                f,
                "with this command the batch would touch {lines} lines of documents, more than {max}: send the rest in another batch"
            ),
            Self::TooManyParts { parts, max } => {
                write!(
                    f,
                    "{parts} picks and holds are more than the {max} that one decision may touch: ask for fewer lines at once"
                )
            }
            Self::DuplicateLine { line } => write!(f, "line {line} is there twice"),
            Self::SiteNotFound { site } => write!(f, "there is no site {site}"),
            Self::LocationNotFound { site, location } => write!(f, "site {site} has no location {location}"),
            Self::SkuNotFound { sku } => write!(f, "there is no SKU {sku}"),
            Self::LotNotFound { sku, lot } => write!(f, "SKU {sku} has no lot {lot}"),
            Self::HoldNotFound { hold } => write!(f, "there is no hold {hold}"),
            Self::TransferNotFound { transfer } => write!(f, "there is no transfer {transfer}"),
            Self::LineNotFound { document, line } => write!(f, "{document} has no line {line}"),
            Self::MovementNotFound { movement } => write!(f, "there is no movement {movement}"),
            Self::HistoryArchived { asked, since, first } => {
                match asked {
                    Asked::At(time) => write!(f, "what was at {time} is archived")?,
                    Asked::After(event) => write!(f, "what came after event {event} is archived")?,
                }
                write!(f, ": the history that is kept begins at {since} with event {first}")
            }
            Self::OutcomeArchived { event, first } => write!(
                f,
                "it was done by event {event}, which is archived: the history that is kept begins with event {first}"
            ),
            Self::IdTaken { id } => write!(f, "the id {id} was used for another request"),
            Self::IdempotencyConflict { key } => {
                write!(f, "the request key {key} was used for another request")
            }
            Self::RequestKeyExpired { key, window_ms } => {
                write!(
                    f,
                    "the request key {key} is older than the {} days that answers are kept",
                    window_ms / 86_400_000
                )
            }
            Self::InsufficientStock { shortages } => match shortages.as_slice() {
                [one] => write!(
                    f,
                    "line {} asks for {} of {} at {}, and {} are available",
                    one.line, one.requested, one.sku, one.site, one.available
                ),
                many => write!(f, "{} lines ask for more than is available", many.len()),
            },
            Self::NotStockedHere { site, sku, shortages } => match shortages.as_slice() {
                [] | [_] => write!(f, "site {site} never had SKU {sku} in stock"),
                many => write!(f, "{} lines ask for what their site never had in stock", many.len()),
            },
            Self::StockHeld { site, location, sku, held, remaining, holders } => write!(
                f,
                "{remaining} of {sku} would be left at {site} {location} while {held} are held, by {} holders",
                holders.len()
            ),
            Self::QuantityTooLarge { sku, quantity, max } => {
                write!(f, "{quantity} more of {sku} would be past the largest quantity, {max}")
            }
            Self::LotRequired { sku } => write!(f, "SKU {sku} is tracked: name the lot or serial number"),
            Self::LotNotTracked { sku } => write!(f, "SKU {sku} is not tracked by lot"),
            Self::LotBlocked { sku, lot, line } => {
                write!(f, "lot {lot} of {sku}{} is blocked", InLine(line.as_ref()))
            }
            Self::LotExpired { sku, lot, expires_on, line } => {
                let line = InLine(line.as_ref());
                write!(
                    f,
                    "lot {lot} of {sku}{line} was good until {expires_on}: its goods do not leave the site"
                )
            }
            Self::SerialTaken { sku, serial } => {
                write!(f, "serial number {serial} of {sku} exists once and is already there")
            }
            Self::TrackingFixed { sku } => write!(f, "SKU {sku} was stocked, its tracking stays as it is"),
            Self::WrongLocationKind { site, location, kind, needed } => {
                write!(f, "location {location} at {site} is for {kind}, and this needs {needed}")
            }
            Self::NoLocation { site, kind } => write!(f, "site {site} has no location for {kind}"),
            Self::LocationOccupied { site, location } => {
                write!(f, "something lies at {location} at {site}: its kind stays as it is")
            }
            Self::LocationRequired { line } => {
                write!(f, "line {line} names no location, which the strategy explicit needs")
            }
            Self::HoldEnded { hold, status } => write!(f, "hold {hold} has ended: {status}"),
            Self::NotHeld { document, line, requested, held } => {
                write!(f, "line {line} of {document} holds {held} there, not {requested}")
            }
            Self::SameSite { site } => write!(f, "a transfer from {site} to itself is a bin move"),
            Self::TransferCancelled { transfer } => write!(f, "transfer {transfer} is cancelled"),
            Self::TransferClosed { transfer } => write!(f, "transfer {transfer} is closed"),
            Self::TransferAllocated { transfer, allocated, picked } => write!(
                f,
                "transfer {transfer} has {allocated} allocated and {picked} picked: release it first, or cancel with release"
            ),
            Self::TransferShipped { transfer, shipped } => {
                write!(f, "transfer {transfer} has {shipped} shipped and can only be closed")
            }
            Self::TransferPicked { transfer, picked } => {
                write!(f, "transfer {transfer} has {picked} picked: ship or unpick them first")
            }
            Self::NothingLacking { transfer, line } => {
                write!(f, "line {line} of transfer {transfer} lacks nothing that could be allocated")
            }
            Self::NothingAllocated { transfer } => {
                write!(f, "transfer {transfer} has nothing allocated there")
            }
            Self::NothingPicked { transfer } => write!(f, "transfer {transfer} has nothing picked there"),
            Self::NothingInTransit { transfer } => write!(f, "transfer {transfer} has nothing on the way"),
            Self::NotReversible { movement, document } => {
                write!(f, "movement {movement} belongs to a {document}, whose own commands take it back")
            }
            Self::AlreadyReversed { movement } => write!(f, "movement {movement} was reversed before"),
            Self::WalletNotFound { owner } => write!(f, "{owner} has no wallet"),
            Self::AuthorizationNotFound { authorization } => {
                write!(f, "there is no authorization {authorization} of this wallet")
            }
            Self::InsufficientFunds { owner, currency, requested, available } => {
                write!(f, "{owner} has {available} {currency} available, not {requested}")
            }
            Self::AmountTooLarge { currency, amount, max } => {
                write!(f, "{amount} {currency} more would be past the largest amount, {max}")
            }
            Self::OrderNotPaid { order } => write!(f, "nobody paid for order {order}"),
            Self::RefundExceedsOrder { order, currency, requested, refundable } => {
                write!(
                    f,
                    "of what was paid for order {order}, {refundable} {currency} can be refunded, not {requested}"
                )
            }
            Self::RefundExceedsPaid { owner, currency, requested, paid, sold } if *sold == 0 => {
                write!(f, "{owner} paid {paid} {currency} that were not refunded yet, not {requested}")
            }
            Self::RefundExceedsPaid { owner, currency, requested, paid, sold } => {
                write!(
                    f,
                    "{owner} paid {paid} {currency} that were not refunded yet, and {sold} of it for orders, through which it \
                     is refunded: {requested} is more than the rest"
                )
            }
            Self::LimitAboveBalance { owner, currency, limit, unheld } => {
                write!(
                    f,
                    "{owner} has {unheld} {currency} that nothing holds, less than the limit of {limit}"
                )
            }
            Self::TooManyCurrencies { owner, max } => {
                write!(f, "the wallet of {owner} has {max} currencies, and no more may be in one")
            }
            Self::AuthorizationEnded { authorization, status } => {
                write!(f, "authorization {authorization} has ended: {status}")
            }
            Self::NotAuthorized { authorization, requested, held } => {
                write!(f, "authorization {authorization} holds {held}, not {requested}")
            }
            Self::OrderNotFound { order } => write!(f, "there is no order {order}"),
            Self::OrderCompleted { order } => write!(f, "order {order} is completed"),
            Self::OrderCancelled { order } => write!(f, "order {order} is cancelled"),
            Self::OrderShort { order, shortages } => match shortages.as_slice() {
                [one] => write!(
                    f,
                    "line {} of order {order} asks for {} of {}, and {} are allocated",
                    one.line, one.requested, one.sku, one.available
                ),
                many => write!(f, "{} lines of order {order} are not wholly allocated", many.len()),
            },
            Self::OrderClaimed { order, worker, expires_at } => {
                write!(f, "order {order} is claimed by {worker} until {expires_at}")
            }
            Self::ClaimLost { order, worker, fence, current_fence } => {
                if *current_fence == Some(*fence) {
                    return write!(f, "claim {fence} on order {order} is another worker's, not {worker}'s");
                }
                write!(f, "claim {fence} of {worker} on order {order} is lost: ")?;
                match current_fence {
                    Some(current) => write!(f, "claim {current} stands"),
                    None => write!(f, "nobody has claimed it now"),
                }
            }
            Self::NothingToClaim { site, passed_by } => {
                write!(f, "no order waits at {site} that could be claimed{}", PassedBy(*passed_by))
            }
            Self::FenceNotFound { resource } => write!(f, "no fence was ever seen for {resource}"),
            Self::StaleFence { resource, fence, current_fence } => {
                write!(f, "fence {fence} of {resource} is stale: {current_fence} was seen")
            }
            Self::TooManyFences { resource, max } => {
                write!(f, "the fence of {resource} cannot be kept: there are those of {max} resources")
            }
            Self::CardNotFound { card } => write!(f, "there is no card {card}"),
            Self::ProposalNotFound { proposal } => write!(f, "there is no proposal {proposal}"),
            Self::CardNotOwned { card, owner, owned_by } => {
                write!(f, "card {card} is {owned_by}'s, not {owner}'s")
            }
            Self::SameOwner { owner, from_card, to_card } => {
                write!(f, "cards {from_card} and {to_card} are both {owner}'s")
            }
            Self::PairProposed { proposal, from_card, to_card } => {
                write!(f, "proposal {proposal} to swap {from_card} for {to_card} is open already")
            }
            Self::TooManyProposals { card, proposals, max } => {
                write!(
                    f,
                    "card {card} has {proposals} open proposals, and {max} are the most that one may have"
                )
            }
            Self::ProposalEnded { proposal, status, reason } => {
                write!(f, "proposal {proposal} has ended: {status}")?;
                reason.map_or(Ok(()), |reason| write!(f, " ({reason})"))
            }
            Self::NoPicksToClaim { site, zone, passed_by } => write!(
                f,
                "nothing waits to be picked at {site}{} that could be claimed{}",
                In(zone.as_ref()),
                PassedBy(*passed_by)
            ),
            Self::NothingAllocatedIn { transfer, zone } => {
                write!(f, "nothing is allocated to transfer {transfer}{}", In(Some(zone)))
            }
            Self::TransferClaimed { transfer, zone, worker, expires_at } => write!(
                f,
                "what transfer {transfer} has to pick{} is claimed by {worker} until {expires_at}",
                In(Some(zone))
            ),
            Self::PickClaimLost { transfer, zone, worker, fence, current_fence } => {
                let zone = In(zone.as_ref());
                if *current_fence == Some(*fence) {
                    return write!(
                        f,
                        "claim {fence} on transfer {transfer}{zone} is another worker's, not {worker}'s"
                    );
                }
                write!(f, "claim {fence} of {worker} on transfer {transfer}{zone} is lost")?;
                match current_fence {
                    Some(current) => write!(f, ": claim {current} stands"),
                    None => Ok(()),
                }
            }
            Self::LocationClaimed { site, location, transfer, worker } => write!(
                f,
                "{worker} has claimed what transfer {transfer} has to pick at location {location} of {site}, \
                 which keeps its zone until then"
            ),
            Self::CartNotFound { cart } => write!(f, "there is no cart {cart}"),
            Self::CartOrdered { cart, order } => {
                write!(f, "cart {cart} was checked out: it is order {order}")
            }
            Self::CartDiscarded { cart } => write!(f, "cart {cart} was discarded"),
            Self::CartEmpty { cart } => write!(f, "nothing is in cart {cart}"),
            Self::PriceNotSet { currency, skus } => match skus.as_slice() {
                [one] => write!(f, "{one} has no price in {currency}"),
                many => write!(f, "{} SKUs have no price in {currency}", many.len()),
            },
            Self::PriceChanged { currency, expected_total, total } => {
                write!(f, "the total is {total} {currency} now, not {expected_total}")
            }
            Self::CheckoutBlocked { cart, shortages, funds } => {
                write!(f, "cart {cart} cannot be checked out: ")?;
                match shortages.as_slice() {
                    [] => {}
                    [one] => {
                        write!(f, "{} of {} are available, not {}", one.available, one.sku, one.requested)?;
                    }
                    many => write!(f, "{} items ask for more than is available", many.len())?,
                }
                if let Some(MissingFunds { owner, currency, requested, available }) = funds {
                    let and = if shortages.is_empty() { "" } else { ", and " };
                    write!(f, "{and}{owner} has {available} {currency} available, not {requested}")?;
                }
                Ok(())
            }
            Self::HeldByOthers { site, location, sku, to_release, releasable, holders: _ } => write!(
                f,
                "{to_release} of {sku} at {site} {location} would have to be released, and those who were \
                 named have {releasable}"
            ),
            Self::OfLine { index, field, refusal } => write!(f, "lines[{index}].{field}: {refusal}"),
        }
    }
}

/// Which line has something, if one does.
struct InLine<'a>(Option<&'a Code>);

impl fmt::Display for InLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " in line {line}"))
    }
}

/// What was passed by, if anything was.
struct PassedBy(usize);

impl fmt::Display for PassedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            passed_by => write!(f, ": {passed_by} hold goods of blocked or expired lots"),
        }
    }
}

/// A zone in a sentence, if one is meant. The zone of locations that are in none has no name.
struct In<'a>(Option<&'a Name>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(zone) if zone.as_str().is_empty() => write!(f, " outside all zones"),
            Some(zone) => write!(f, " in zone {zone}"),
        }
    }
}
