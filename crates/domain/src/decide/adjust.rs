//! Adjustments, bin moves and reversals: stock that changes outside of any hold or transfer.

use hashbrown::HashMap;

use super::{Verdict, desk::Desk, draft::Draft};
use crate::{
    Account, Code, Fact, LotId, Movement, Outside, Place, Quantity, Refusal, SkuId, Tables,
    command::{Adjust, Change, Move, Release, Reverse, numbered},
    event::{AdjustedLine, MovedLine},
    refusal::OfLine,
    row::{Filed, Filing, Tracking},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn adjust(&self, command: &Adjust, body: u64) -> Result<Verdict, Refusal> {
        if let Some(filed) = self.tables.filed(&Filing::Adjustment(command.id.clone())) {
            return repeat_or_taken(filed, body, &command.id);
        }
        let mut draft = Draft::new(self);
        let mut moved = HashMap::new();
        let mut serials = HashMap::new();
        let mut lines = Vec::with_capacity(command.lines.len());
        for (index, line) in command.lines.iter().enumerate() {
            let site = self.site(&line.site).of_line(index, "site")?;
            let location = self.location(site, &line.location).of_line(index, "location")?;
            let sku = self.sku(&line.sku).of_line(index, "sku")?;
            let lot = self.exact_lot(sku, line.lot.as_ref()).of_line(index, "lot")?;
            let place = Place { location, sku, lot };
            let now = *draft.position(place);
            let counted = matches!(line.change, Change::Counted(_));
            let amount = if counted { "counted" } else { "change" };
            let (increase, quantity, outside) = match line.change {
                Change::Add(quantity, from) => (true, quantity, from),
                Change::Remove(quantity, to) => (false, quantity, to),
                Change::Counted(counted) if counted >= now.on_hand => {
                    (true, counted - now.on_hand, Outside::Found)
                }
                Change::Counted(counted) => (false, now.on_hand - counted, Outside::Loss),
            };
            self.fits(sku, outside, quantity, increase, &mut moved).of_line(index, amount)?;
            self.serial_fits(sku, lot, quantity, increase, &mut serials).of_line(index, "lot")?;
            let mut freed = Vec::new();
            if !increase {
                if quantity > now.on_hand {
                    return Err(draft.insufficient(numbered(index), place, quantity, now.on_hand));
                }
                let remaining = now.on_hand - quantity;
                if remaining < now.held {
                    let excess = now.held - remaining;
                    freed = match &command.release {
                        None => {
                            return Err(draft.stock_held(place, now.held, remaining).of_line(index, amount));
                        }
                        Some(Release::All) => draft.free(place, excess),
                        Some(Release::Of(named)) => {
                            draft.free_of(named, place, excess).of_line(index, amount)?
                        }
                    };
                }
            }
            let after = draft.position(place);
            for freed in &freed {
                after.held -= freed.quantity;
            }
            if increase {
                after.on_hand += quantity;
            } else {
                after.on_hand -= quantity;
            }
            let lost = if increase || outside != Outside::Loss { Quantity::ZERO } else { quantity };
            let missing = after.missing.saturating_sub(lost).min(after.unheld());
            after.missing = if counted { Quantity::ZERO } else { missing };
            lines.push(AdjustedLine { place, outside, increase, quantity, counted, freed });
        }
        Ok(Verdict::New(Fact::Adjusted {
            id: command.id.clone(),
            body,
            reason: command.reason.clone(),
            lines,
        }))
    }

    pub(super) fn move_stock(&self, command: &Move, body: u64) -> Result<Verdict, Refusal> {
        if let Some(filed) = self.tables.filed(&Filing::Move(command.id.clone())) {
            return repeat_or_taken(filed, body, &command.id);
        }
        let site = self.site(&command.site)?;
        let mut draft = Draft::new(self);
        let mut lines = Vec::with_capacity(command.lines.len());
        for (index, line) in command.lines.iter().enumerate() {
            let sku = self.sku(&line.sku).of_line(index, "sku")?;
            let lot = self.exact_lot(sku, line.lot.as_ref()).of_line(index, "lot")?;
            let from = self.location(site, &line.from).of_line(index, "from")?;
            let to = self.location(site, &line.to).of_line(index, "to")?;
            let source = Place { location: from, sku, lot };
            let target = Place { location: to, sku, lot };
            let there = *draft.position(source);
            let found = there.on_hand - there.missing;
            if line.quantity > found {
                return Err(draft.insufficient(numbered(index), source, line.quantity, found));
            }
            let mut follow = Vec::new();
            let held_part = line.quantity.saturating_sub(there.movable());
            if !held_part.is_zero() {
                if !command.with_holds {
                    let remaining = there.on_hand - line.quantity;
                    return Err(draft.stock_held(source, there.held, remaining).of_line(index, "quantity"));
                }
                // A hold stays worth what it was: storage to storage, staging to staging, never quarantine.
                self.need_kind(to, self.tables.location(from).kind).of_line(index, "to")?;
                follow = draft.free(source, held_part);
                for freed in &follow {
                    draft.follow(target, &freed.holder, freed.quantity);
                }
            }
            let after = draft.position(source);
            after.on_hand -= line.quantity;
            after.held -= held_part;
            let after = draft.position(target);
            after.on_hand += line.quantity;
            after.held += held_part;
            lines.push(MovedLine { sku, lot, from, to, quantity: line.quantity, follow });
        }
        Ok(Verdict::New(Fact::Moved { id: command.id.clone(), body, reason: command.reason.clone(), lines }))
    }

    pub(super) fn reverse(&self, command: &Reverse) -> Result<Verdict, Refusal> {
        let movement = command.movement;
        let Some(original) = &command.original else {
            return Err(Refusal::MovementNotFound { movement: movement.to_string() });
        };
        let (original, document) = &**original;
        if self.tables.filed(&Filing::Reversal(movement)).is_some() {
            return Err(Refusal::AlreadyReversed { movement: movement.to_string() });
        }
        if !matches!(*document, "adjustment" | "move" | "hold") {
            return Err(Refusal::NotReversible { movement: movement.to_string(), document });
        }
        let Movement { sku, lot, quantity, .. } = *original;
        let reversal = Movement { sku, lot, quantity, from: original.to.clone(), to: original.from.clone() };
        if let Account::Position(place) = reversal.from {
            let mut draft = Draft::new(self);
            let there = *draft.position(place);
            let found = there.on_hand - there.missing;
            if quantity > found {
                return Err(draft.insufficient(numbered(0), place, quantity, found));
            }
            if quantity > there.movable() {
                return Err(draft.stock_held(place, there.held, there.on_hand - quantity));
            }
        }
        let mut moved = HashMap::new();
        let mut serials = HashMap::new();
        for (account, incoming) in [(&reversal.from, true), (&reversal.to, false)] {
            if let Account::Outside(outside) = account {
                self.fits(sku, *outside, quantity, incoming, &mut moved)?;
                self.serial_fits(sku, lot, quantity, incoming, &mut serials)?;
            }
        }
        Ok(Verdict::New(Fact::Reversed { original: movement, movement: reversal }))
    }

    /// A serial number is a lot of one: it comes in once and alone.
    pub(super) fn serial_fits(
        &self,
        sku: SkuId,
        lot: LotId,
        quantity: Quantity,
        incoming: bool,
        serials: &mut HashMap<LotId, i64>,
    ) -> Result<(), Refusal> {
        let row = self.tables.sku(sku);
        if row.tracking != Tracking::Serial {
            return Ok(());
        }
        let lot_row = self.tables.lot(lot);
        let inside = serials.entry(lot).or_insert_with(|| lot_row.inside.signed());
        *inside += if incoming { quantity.signed() } else { -quantity.signed() };
        if *inside > 1 {
            return Err(Refusal::SerialTaken { sku: row.code.clone(), serial: lot_row.code.clone() });
        }
        Ok(())
    }
}

/// A document whose id was used before: the same request is a repeat, another is refused.
pub(super) fn repeat_or_taken(filed: Filed, body: u64, id: &Code) -> Result<Verdict, Refusal> {
    if filed.body == body {
        return Ok(Verdict::Repeat(filed.sequence));
    }
    Err(Refusal::IdTaken { id: id.clone() })
}
