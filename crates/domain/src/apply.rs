//! Applies: writes what was decided. It cannot fail; where the books would not balance it panics, because then
//! they are not the books that the decision was made on.

mod book;
mod cart;
mod order;
mod parts;
mod picking;
mod trade;
mod wallet;

use crate::{
    Account, Changes, Event, Fact, LotId, Place, Quantity, Row, SiteId, Tables,
    event::{
        AdjustedLine, HeldLine, MissedLine, MovedLine, PickedLine, ReceivedLine, ShippedLine, Take,
        UnpickedLine,
    },
    limits::{KEY_WINDOW_MS, KEYS_FORGOTTEN_MAX, KEYS_MAX},
    row::{self, End, Filed, Filing, HoldStatus},
};
use book::{Book, Kept, OpenLine};

/// Applies an event: the next one after the tables' head.
///
/// # Panics
/// If the event is not the next one, or if the books it was decided on are not these.
pub fn apply(tables: &mut impl Tables, event: &Event) -> Changes {
    write(tables, event, Kept::All)
}

/// Applies an event that nobody will undo. Of what stood there it gives back only what [`crate::turn::follow_up`] looks at.
///
/// # Panics
/// As [`apply`] does.
pub fn apply_for_good(tables: &mut impl Tables, event: &Event) -> Changes {
    write(tables, event, Kept::FollowedUp)
}

fn write(tables: &mut impl Tables, event: &Event, kept: Kept) -> Changes {
    let mut head = tables.head();
    assert_eq!(event.sequence, head.sequence.next(), "events are applied in order, each once");
    assert!(event.at >= head.at, "logical time never runs backwards");
    head.sequence = event.sequence;
    head.at = event.at;
    let mut book = Book::open(tables, event, kept);
    match &event.fact {
        Fact::SiteSet { id, code, name, time_zone, strategy } => {
            head.sites = head.sites.max(id.0 + 1);
            book.put(Row::Site(
                *id,
                Some(Box::new(row::Site {
                    code: code.clone(),
                    name: name.clone(),
                    time_zone: time_zone.clone(),
                    strategy: *strategy,
                    set: event.sequence,
                })),
            ));
        }
        Fact::LocationSet { id, site, code, zone, pick_order, kind } => {
            head.locations = head.locations.max(id.0 + 1);
            book.put(Row::Location(
                *id,
                Some(Box::new(row::Location {
                    site: *site,
                    code: code.clone(),
                    zone: zone.clone(),
                    pick_order: *pick_order,
                    kind: *kind,
                    set: event.sequence,
                })),
            ));
        }
        Fact::SkuSet { id, code, name, tracking, safety_stock }
        | Fact::SkuPriced { id, code, name, tracking, safety_stock, .. } => {
            let is_new = id.0 >= head.skus;
            head.skus = head.skus.max(id.0 + 1);
            let (stocked, old) = if is_new {
                (false, Vec::new())
            } else {
                let row = book.tables.sku(*id);
                (row.stocked, row.safety_stock.clone())
            };
            book.put(Row::Sku(
                *id,
                Some(Box::new(row::Sku {
                    code: code.clone(),
                    name: name.clone(),
                    tracking: *tracking,
                    safety_stock: safety_stock.clone(),
                    stocked,
                    set: event.sequence,
                })),
            ));
            // The gates come second: they are found by way of their SKU.
            let stays = |site: &SiteId| safety_stock.iter().any(|(other, _)| other == site);
            for (site, _) in old.iter().filter(|(site, _)| !stays(site)) {
                book.gate(*site, *id, |gate| gate.safety_level = Quantity::ZERO);
            }
            for (site, level) in safety_stock.iter().filter(|level| !old.contains(level)) {
                book.gate(*site, *id, |gate| gate.safety_level = *level);
            }
            if let Fact::SkuPriced { prices, .. } = &event.fact {
                book.put(Row::Prices(*id, prices.clone()));
            }
        }
        Fact::LotSet { id, sku, code, received_on, expires_on, blocked } => {
            let is_new = id.0 > head.lots;
            head.lots = head.lots.max(id.0);
            let inside = if is_new { Quantity::ZERO } else { book.tables.lot(*id).inside };
            book.put(Row::Lot(
                *id,
                Some(Box::new(row::Lot {
                    sku: *sku,
                    code: code.clone(),
                    received_on: *received_on,
                    expires_on: *expires_on,
                    blocked: *blocked,
                    inside,
                    set: event.sequence,
                })),
            ));
        }
        Fact::Adjusted { id, body, lines, .. } => {
            book.file(Filing::Adjustment(id.clone()), *body);
            adjusted(&mut book, lines);
        }
        Fact::Moved { id, body, lines, .. } => {
            book.file(Filing::Move(id.clone()), *body);
            moved(&mut book, lines);
        }
        Fact::Reversed { original, movement } => {
            book.file(Filing::Reversal(*original), 0);
            for (account, comes_in) in [(&movement.from, false), (&movement.to, true)] {
                match account {
                    Account::Position(place) if comes_in => book.lay(*place, movement.quantity),
                    Account::Position(place) => book.take(*place, movement.quantity),
                    Account::Outside(outside) => {
                        book.outside(movement.sku, movement.lot, *outside, movement.quantity, comes_in);
                    }
                    Account::InTransit { .. } => panic!("a transfer's movements are not reversed one by one"),
                }
            }
        }
        Fact::Held { id, body, owner, expires_at, lines, takes, .. } => {
            let hold = row::Hold {
                owner: owner.clone(),
                body: *body,
                placed: event.sequence,
                expires_at: *expires_at,
                status: HoldStatus::Held,
                confirmed: false,
                lines: held_lines(lines, takes),
            };
            book.hold_all(takes);
            book.put(Row::Hold(id.clone(), Some(hold)));
        }
        Fact::HoldConfirmed { id, to, takes, released } => {
            let mut hold = book.tables.hold(id).expect("a confirmed hold is there");
            hold.confirmed = true;
            for take in takes {
                book.unhold(take.place(), take.quantity);
                book.take(take.place(), take.quantity);
                match to {
                    Some(to) => book.lay(Place { location: *to, ..take.place() }, take.quantity),
                    None => book.outside(take.sku, take.lot, crate::Outside::Customer, take.quantity, true),
                }
            }
            for take in released {
                book.unhold(take.place(), take.quantity);
            }
            give_up(&mut hold, takes);
            give_up(&mut hold, released);
            settle(&mut hold, HoldStatus::Released);
            book.put(Row::Hold(id.clone(), Some(hold)));
        }
        Fact::HoldReleased { id, takes } => {
            let mut hold = book.tables.hold(id).expect("a released hold is there");
            for take in takes {
                book.unhold(take.place(), take.quantity);
            }
            give_up(&mut hold, takes);
            settle(&mut hold, HoldStatus::Released);
            book.put(Row::Hold(id.clone(), Some(hold)));
        }
        Fact::HoldExtended { id, expires_at } => {
            let mut hold = book.tables.hold(id).expect("an extended hold is there");
            hold.expires_at = Some(*expires_at);
            book.put(Row::Hold(id.clone(), Some(hold)));
        }
        Fact::HoldChanged { id, lines, takes, .. } => {
            let mut hold = book.tables.hold(id).expect("a changed hold is there");
            for (place, quantity) in held_places(&hold) {
                book.unhold(place, quantity);
            }
            book.hold_all(takes);
            hold.lines = held_lines(lines, takes);
            book.put(Row::Hold(id.clone(), Some(hold)));
        }
        Fact::HoldsLapsed { ids } => {
            for id in ids {
                let mut hold = book.tables.hold(id).expect("a lapsed hold is there");
                for (place, quantity) in held_places(&hold) {
                    book.unhold(place, quantity);
                }
                for line in &mut hold.lines {
                    line.picks.clear();
                }
                settle(&mut hold, HoldStatus::Expired);
                book.put(Row::Hold(id.clone(), Some(hold)));
            }
        }
        Fact::TransferRequested { id, body, from, to, priority, lines } => {
            let requested: Quantity = lines.iter().map(|line| line.quantity).sum();
            let transfer = row::Transfer {
                from: *from,
                to: *to,
                priority: *priority,
                body: *body,
                requested: event.sequence,
                requested_at: event.at,
                allocated: crate::Sequence(0),
                end: None,
                lines: u32::try_from(lines.len()).expect("LINES_MAX fits a u32"),
                totals: row::Totals { requested, ..row::Totals::default() },
            };
            let lines = lines
                .iter()
                .map(|line| row::Line {
                    name: line.name.clone(),
                    sku: line.sku,
                    lot: line.lot,
                    totals: row::Totals { requested: line.quantity, ..row::Totals::default() },
                    picks: Vec::new(),
                    staged: Vec::new(),
                    transit: Vec::new(),
                })
                .collect();
            book.put(Row::Transfer(id.clone(), Some(Box::new(transfer))));
            book.put(Row::Lines(id.clone(), Some(lines)));
        }
        Fact::TransferAllocated { id, takes, .. } => {
            let mut papers = book.papers(id);
            papers.transfer.allocated = event.sequence;
            papers.allocate_all(takes);
            papers.close();
        }
        Fact::TransferReleased { id, takes } => {
            for take in takes {
                book.unhold(take.place(), take.quantity);
            }
            let mut papers = book.papers(id);
            papers.deallocate_all(takes);
            papers.close();
        }
        Fact::TransferCancelled { id, released, staged } => {
            let held = released.iter().chain(staged.iter().map(|line| &line.take));
            for take in held {
                book.unhold(take.place(), take.quantity);
            }
            let mut papers = book.papers(id);
            papers.deallocate_all(released);
            papers.each_line(
                staged,
                |line| line.take.line,
                |line, ShippedLine { take, origin }| line.unstage(take, *origin),
            );
            papers.transfer.end = Some((End::Cancelled, event.sequence));
            papers.close();
        }
        Fact::TransferPicked { id, picked, missed, takes, .. } => {
            for PickedLine { take, staging } in picked {
                book.carry(take.place(), Place { location: *staging, ..take.place() }, take.quantity);
            }
            for MissedLine { take, quarantine } in missed {
                book.unhold(take.place(), take.quantity);
                match quarantine {
                    None => book.miss(take.place(), take.quantity),
                    Some(quarantine) => {
                        book.take(take.place(), take.quantity);
                        book.lay(Place { location: *quarantine, ..take.place() }, take.quantity);
                    }
                }
            }
            book.hold_all(takes);
            let mut papers = book.papers(id);
            if !takes.is_empty() {
                papers.transfer.allocated = event.sequence;
            }
            papers.each_line(
                picked,
                |line| line.take.line,
                |line, PickedLine { take, staging }| {
                    line.deallocate(take);
                    line.stage(take, *staging);
                },
            );
            papers.each_line(missed, |line| line.take.line, |line, missed| line.deallocate(&missed.take));
            papers.each_line(takes, |take| take.line, OpenLine::allocate);
            papers.close();
        }
        Fact::TransferUnpicked { id, lines } => {
            for UnpickedLine { take, to, .. } in lines {
                book.carry(take.place(), Place { location: *to, ..take.place() }, take.quantity);
            }
            let mut papers = book.papers(id);
            papers.each_line(
                lines,
                |line| line.take.line,
                |line, UnpickedLine { take, origin, to }| {
                    line.unstage(take, *origin);
                    line.allocate(&Take { location: *to, ..*take });
                },
            );
            papers.close();
        }
        Fact::TransferShipped { id, shipment, body, lines } => {
            let filing = Filing::Shipment { transfer: id.clone(), shipment: shipment.clone() };
            book.file(filing, *body);
            for ShippedLine { take, .. } in lines {
                book.unhold(take.place(), take.quantity);
                book.take(take.place(), take.quantity);
            }
            let mut papers = book.papers(id);
            papers.each_line(
                lines,
                |line| line.take.line,
                |line, ShippedLine { take, origin }| {
                    line.unstage(take, *origin);
                    line.send(take.lot, take.quantity);
                },
            );
            papers.close();
        }
        Fact::TransferReceived { id, lines } => {
            for line in lines {
                let place = Place { location: line.location, sku: line.sku, lot: line.lot };
                if !line.excess.is_zero() {
                    book.outside(line.sku, line.lot, crate::Outside::Found, line.excess, false);
                }
                book.lay(place, line.expected + line.excess);
            }
            let mut papers = book.papers(id);
            papers.each_line(lines, |received| received.line, receive);
            papers.close();
        }
        Fact::TransferClosed { id, released, lost } => {
            for take in released {
                book.unhold(take.place(), take.quantity);
            }
            for lost in lost {
                book.outside(lost.sku, lost.lot, crate::Outside::Loss, lost.quantity, true);
            }
            let mut papers = book.papers(id);
            papers.deallocate_all(released);
            papers.each_line(
                lost,
                |lost| lost.line,
                |line, lost| {
                    line.arrive(lost.lot, lost.quantity);
                    line.row.totals.lost += lost.quantity;
                },
            );
            papers.every_line(|totals| totals.closed_short += totals.open());
            papers.transfer.end = Some((End::Closed, event.sequence));
            papers.close();
        }
        Fact::StockWatched { items } => {
            for item in items {
                book.gate(item.site, item.sku, |gate| gate.low = item.low);
            }
        }
        // All that it says is in its key.
        Fact::RequestNoted { .. } => {}
        Fact::WalletCharged { .. } | Fact::WalletPaid { .. } | Fact::WalletRefunded { .. } => {
            book.move_money(&event.fact.money().expect("it moves money"));
        }
        Fact::FenceRaised { resource, fence } => {
            let (fence, raised) = (*fence, event.sequence);
            book.put(Row::Fence(resource.clone(), Some(row::Fence { fence, raised })));
        }
        Fact::WalletLimitSet { owner, currency, limit } => {
            book.balance(owner, *currency, |balance| balance.limit = *limit);
        }
        Fact::PaymentAuthorized { id, body, owner, currency, amount, reason, reference } => {
            let authorization = row::Authorization {
                owner: owner.clone(),
                currency: *currency,
                amount: *amount,
                captured: crate::Amount::ZERO,
                held: *amount,
                reason: reason.clone(),
                reference: reference.clone(),
                body: *body,
                authorized: event.sequence,
            };
            book.authorize(id, authorization);
        }
        Fact::PaymentCaptured { id, owner, currency, amount, released, .. } => {
            book.draw(id, *amount, *released);
            // First it is no longer held, then it is paid: what is available stays at zero or above.
            book.balance(owner, *currency, |balance| balance.held -= *amount + *released);
            book.move_money(&event.fact.money().expect("it moves money"));
        }
        Fact::PaymentVoided { id, owner, currency, released } => {
            book.draw(id, crate::Amount::ZERO, *released);
            book.balance(owner, *currency, |balance| balance.held -= *released);
        }
        Fact::OrderAllocationSet { .. }
        | Fact::OrderPlaced { .. }
        | Fact::OrderAllocated { .. }
        | Fact::OrderReallocated { .. }
        | Fact::OrdersFilled { .. }
        | Fact::OrderCompleted { .. }
        | Fact::OrderCancelled { .. }
        | Fact::OrderClaimed { .. }
        | Fact::OrdersClaimed { .. }
        | Fact::ClaimExtended { .. }
        | Fact::OrderUnclaimed { .. }
        | Fact::ClaimsLapsed { .. } => book.apply_order(&event.fact, event.sequence, event.at),
        Fact::PriceTiersSet { .. }
        | Fact::CardSet { .. }
        | Fact::Proposed { .. }
        | Fact::ProposalAccepted { .. }
        | Fact::ProposalRejected { .. }
        | Fact::ProposalWithdrawn { .. } => book.apply_trade(&event.fact),
        Fact::TransferClaimed { .. }
        | Fact::PicksClaimed { .. }
        | Fact::TransferClaimExtended { .. }
        | Fact::TransferUnclaimed { .. }
        | Fact::PickClaimsLapsed { .. } => book.apply_picking(&event.fact, event.sequence),
        Fact::CartSet { .. }
        | Fact::CartItemSet { .. }
        | Fact::CartsLapsed { .. }
        | Fact::CartDiscarded { .. }
        | Fact::CartOrdered { .. }
        | Fact::SaleCancelled { .. }
        | Fact::SaleRefunded { .. } => book.apply_cart(&event.fact, event.sequence, event.at),
    }
    book.end_pick_claims();
    answer(&mut book, event);
    book.put(Row::Head(head));
    book.changes()
}

/// Keeps the answer to a request key, and forgets some that are too old or too many.
fn answer(book: &mut Book<'_, impl Tables>, event: &Event) {
    let Some(keyed) = &event.keyed else { return };
    let sequence = match event.fact {
        Fact::RequestNoted { of } => of,
        _ => event.sequence,
    };
    let answered = row::Answered { body: keyed.body, sequence, noted: event.sequence, at: event.at };
    book.put(Row::Answered(keyed.key.clone(), Some(answered)));
    for _ in 0..KEYS_FORGOTTEN_MAX {
        let Some((key, oldest)) = book.tables.oldest_answered() else { return };
        let old = oldest.at.after_ms(KEY_WINDOW_MS) < event.at;
        if !old && book.tables.answered_count() <= KEYS_MAX {
            return;
        }
        book.put(Row::Answered(key, None));
    }
}

fn adjusted(book: &mut Book<'_, impl Tables>, lines: &[AdjustedLine]) {
    book.cut_orders(lines);
    for line in lines {
        let place = line.place;
        if !line.freed.is_empty() {
            book.unhold(place, line.freed.iter().map(|freed| freed.quantity).sum());
            book.cut(place, &line.freed);
        }
        if !line.quantity.is_zero() {
            book.outside(place.sku, place.lot, line.outside, line.quantity, !line.increase);
            match line.outside {
                _ if line.increase => book.lay(place, line.quantity),
                crate::Outside::Loss => book.write_off(place, line.quantity),
                _ => book.take(place, line.quantity),
            }
        }
        if line.counted {
            book.counted(place);
        }
    }
}

fn moved(book: &mut Book<'_, impl Tables>, lines: &[MovedLine]) {
    for line in lines {
        let source = Place { location: line.from, sku: line.sku, lot: line.lot };
        let target = Place { location: line.to, sku: line.sku, lot: line.lot };
        let followed: Quantity = line.follow.iter().map(|freed| freed.quantity).sum();
        book.relocate(source, target, &line.follow);
        book.carry(source, target, followed);
        book.take(source, line.quantity - followed);
        book.lay(target, line.quantity - followed);
    }
}

fn receive(line: &mut OpenLine, received: &ReceivedLine) {
    if !received.expected.is_zero() {
        line.arrive(received.lot, received.expected);
    }
    let quantity = received.expected + received.excess;
    if received.damaged {
        line.row.totals.damaged += quantity;
    } else {
        line.row.totals.received += quantity;
    }
}

fn held_lines(lines: &[HeldLine], takes: &[Take]) -> smallvec::SmallVec<[row::HoldLine; 1]> {
    let mut rows: smallvec::SmallVec<[row::HoldLine; 1]> = lines
        .iter()
        .map(|line| row::HoldLine {
            site: line.site,
            sku: line.sku,
            quantity: line.quantity,
            picks: Default::default(),
        })
        .collect();
    for take in takes {
        rows[take.line as usize].picks.push(pick(take));
    }
    rows
}

fn pick(take: &Take) -> row::Pick {
    row::Pick { location: take.location, lot: take.lot, quantity: take.quantity }
}

fn held_places(hold: &row::Hold) -> Vec<(Place, Quantity)> {
    let lines = hold.lines.iter();
    lines
        .flat_map(|line| {
            line.picks
                .iter()
                .map(|pick| (Place { location: pick.location, sku: line.sku, lot: pick.lot }, pick.quantity))
        })
        .collect()
}

/// Takes from a hold's picks what was confirmed or released. Mostly takes stand line by line; where the same line comes
/// again, it is gone through again.
fn give_up(hold: &mut row::Hold, takes: &[Take]) {
    for takes in takes.chunk_by(|a, b| a.line == b.line) {
        parts::give_up(&mut hold.lines[takes[0].line as usize].picks, takes);
    }
}

/// Ends a hold that holds nothing any more.
fn settle(hold: &mut row::Hold, otherwise: HoldStatus) {
    if hold.lines.iter().any(|line| !line.picks.is_empty()) {
        return;
    }
    hold.status = if hold.confirmed { HoldStatus::Confirmed } else { otherwise };
}
