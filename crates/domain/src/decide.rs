//! Decides: reads, may say no, touches nothing.
//!
//! Each command is a ladder, one rule a rung, repeats of an old request first. The files here are the nouns.

mod adjust;
mod allocate;
mod cart;
mod claim;
mod desk;
mod doable;
mod draft;
mod fence;
mod fill;
mod fulfil;
mod hold;
mod master;
mod open_line;
mod order;
mod picking;
mod shelf;
mod trade;
mod transfer;
mod wallet;

use crate::{
    Event, Fact, Refusal, Request, Sequence, Tables, Timestamp,
    command::{Command, key_time},
    event::Keyed,
    limits::{KEY_WINDOW_MS, KEYS_MAX, PARTS_MAX},
};
use desk::Desk;
pub(crate) use fill::{Lots, fill};

/// An accepted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// This will happen.
    Event(Box<Event>),
    /// This has happened already: the outcome is that of the event of this number.
    Repeat(Sequence),
}

/// What one command comes to.
enum Verdict {
    New(Fact),
    Repeat(Sequence),
}

/// Decides a request at `now`, which the store's logical time may be past already.
///
/// # Errors
/// The refusal, with its numbers. Nothing is changed and nothing is bound by it.
pub fn decide(tables: &impl Tables, request: &Request, now: Timestamp) -> Result<Decision, Refusal> {
    let head = tables.head();
    let now = now.max(head.at);
    if let Some(key) = request.key() {
        if let Some(answered) = tables.answered(key) {
            if answered.body == request.body() {
                return Ok(Decision::Repeat(answered.sequence));
            }
            return Err(Refusal::IdempotencyConflict { key: key.clone() });
        }
        // An answer to a key this old may have been given and forgotten: deciding again could do it twice.
        let window_ms = if request.is_first() { KEY_WINDOW_MS } else { key_window_ms(tables, now) };
        if key_time(key).is_some_and(|made| made.after_ms(window_ms) < now) {
            return Err(Refusal::RequestKeyExpired { key: key.clone(), window_ms });
        }
    }

    let mut desk = Desk::new(tables, now);
    let body = request.body();
    let verdict = match request.command() {
        Command::SetSite(command) => desk.set_site(command),
        Command::SetLocation(command) => desk.set_location(command),
        Command::SetSku(command) => desk.set_sku(command),
        Command::SetLot(command) => desk.set_lot(command),
        Command::Adjust(command) => desk.adjust(command, body),
        Command::Move(command) => desk.move_stock(command, body),
        Command::Reverse(command) => desk.reverse(command),
        Command::PlaceHold(command) => desk.place_hold(command, body),
        Command::ConfirmHold(command) => desk.confirm_hold(command),
        Command::ReleaseHold(command) => desk.release_hold(command),
        Command::ExtendHold(command) => desk.extend_hold(command),
        Command::ChangeHold(command) => desk.change_hold(command),
        Command::RequestTransfer(command) => desk.request_transfer(command, body),
        Command::AllocateTransfer(command) => desk.allocate_transfer(command),
        Command::ReleaseTransfer(command) => desk.release_transfer(command),
        Command::CancelTransfer(command) => desk.cancel_transfer(command),
        Command::PickTransfer(command) => desk.pick_transfer(command),
        Command::UnpickTransfer(command) => desk.unpick_transfer(command),
        Command::ShipTransfer(command) => desk.ship_transfer(command, body),
        Command::ReceiveTransfer(command) => desk.receive_transfer(command),
        Command::CloseTransfer(command) => desk.close_transfer(command),
        Command::Charge(command) => desk.charge(command),
        Command::Pay(command) => desk.pay(command),
        Command::Refund(command) => desk.refund(command),
        Command::SetWalletLimit(command) => desk.set_wallet_limit(command),
        Command::Authorize(command) => desk.authorize(command, body),
        Command::Capture(command) => desk.capture(command),
        Command::Void(command) => desk.void(command),
        Command::SetOrderAllocation(command) => desk.set_order_allocation(command),
        Command::PlaceOrder(command) => desk.place_order(command, body),
        Command::AllocateOrder(command) => desk.allocate_order(command),
        Command::CancelOrder(command) => desk.cancel_order(command),
        Command::RefundOrder(command) => desk.refund_order(command),
        Command::ClaimOrder(command) => desk.claim_order(command),
        Command::ClaimOrders(command) => desk.claim_orders(command, body),
        Command::ExtendClaim(command) => desk.extend_claim(command),
        Command::UnclaimOrder(command) => desk.unclaim_order(command),
        Command::CompleteOrder(command) => desk.complete_order(command),
        Command::RaiseFence(command) => desk.raise_fence(command),
        Command::SetPriceTiers(command) => desk.set_price_tiers(command),
        Command::SetCard(command) => desk.set_card(command),
        Command::Propose(command) => desk.propose(command, body),
        Command::AcceptProposal(command) => desk.accept_proposal(command),
        Command::RejectProposal(command) => desk.reject_proposal(command),
        Command::WithdrawProposal(command) => desk.withdraw_proposal(command),
        Command::ClaimTransfer(command) => desk.claim_transfer(command),
        Command::ClaimPicks(command) => desk.claim_picks(command, body),
        Command::ExtendTransferClaim(command) => desk.extend_transfer_claim(command),
        Command::UnclaimTransfer(command) => desk.unclaim_transfer(command),
        Command::SetCart(command) => desk.set_cart(command),
        Command::SetCartItem(command) => desk.set_cart_item(command),
        Command::DiscardCart(command) => desk.discard_cart(command),
        Command::Checkout(command) => desk.checkout(command, body),
    };
    // After the repeats: what was answered once may be told again. Before any other refusal: who comes too late has
    // nothing to know of the rest.
    if let (Ok(Verdict::New(_)) | Err(_), Some(fenced)) = (&verdict, request.fence()) {
        desk.not_fenced_off(fenced)?;
    }
    let verdict = verdict?;
    if let Verdict::New(fact) = &verdict
        && fact.part_count() > PARTS_MAX
    {
        return Err(Refusal::TooManyParts { parts: fact.part_count(), max: PARTS_MAX });
    }
    let verdict = match verdict {
        // The request changes nothing, and so would be decided anew once something else does: its key must not.
        Verdict::Repeat(of) if request.key().is_some() && !request.is_dry_run() => {
            Verdict::New(Fact::RequestNoted { of })
        }
        verdict => verdict,
    };
    Ok(match verdict {
        Verdict::Repeat(sequence) => Decision::Repeat(sequence),
        Verdict::New(fact) => Decision::Event(Box::new(Event {
            sequence: head.sequence.next(),
            at: now,
            by: request.by().clone(),
            keyed: request.key().map(|key| Keyed { key: key.clone(), body }),
            fact,
        })),
    })
}

/// How far back answers are kept: seven days, or less where there are too many.
fn key_window_ms(tables: &impl Tables, now: Timestamp) -> u64 {
    if tables.answered_count() < KEYS_MAX {
        return KEY_WINDOW_MS;
    }
    let oldest = tables.oldest_answered().map_or(now, |(_, answered)| answered.at);
    KEY_WINDOW_MS.min(now.0.saturating_sub(oldest.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Memory, Name, Row, command::SetSite, row::Answered};

    fn code(text: &str) -> Code {
        Code::new("code", text).expect("it is a code")
    }

    /// A UUIDv7 of this millisecond.
    fn key_of(ms: u64) -> Code {
        let time = format!("{ms:012x}");
        code(&format!("{}-{}-7000-8000-000000000001", &time[..8], &time[8..]))
    }

    #[test]
    #[ignore = "five million keys take a gigabyte and a while"]
    fn a_key_that_was_never_given_is_not_taken_for_one_that_was_forgotten() {
        let mut memory = Memory::new();
        let now = Timestamp(1_800_000_000_000);
        for number in 0..KEYS_MAX as u64 {
            let at = Timestamp(now.0 - 60_000);
            let (sequence, noted) = (Sequence(number + 1), Sequence(number + 1));
            let answered = Answered { body: 0, sequence, noted, at };
            memory.put(Row::Answered(code(&format!("K{number}")), Some(answered)));
        }
        let command = || {
            let time_zone = crate::TimeZone::new("UTC").expect("there is one");
            let strategy = crate::Strategy::Fifo;
            Command::SetSite(SetSite { site: code("ICN"), name: Name::default(), time_zone, strategy })
        };
        let request =
            |age_ms| Request::new(command(), Some(key_of(now.0 - age_ms)), code("by")).expect("it is right");
        assert!(decide(&memory, &request(59_000), now).is_ok());
        let expired = decide(&memory, &request(61_000), now).expect_err("it may have been forgotten");
        assert!(matches!(expired, Refusal::RequestKeyExpired { window_ms: 60_000, .. }), "{expired:?}");
        assert!(decide(&memory, &request(61_000).for_the_first_time(), now).is_ok());
        // However often it was given: nobody comes with a key of last week for the first time.
        let old = request(KEY_WINDOW_MS + 1).for_the_first_time();
        assert!(matches!(decide(&memory, &old, now), Err(Refusal::RequestKeyExpired { .. })));
    }
}
