//! Holds: place, confirm, release, extend, change.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    Verdict,
    allocate::{Partial, Want},
    desk::{Desk, stuck_in},
};
use crate::{
    Code, Fact, LocationId, Place, Quantity, Refusal, Tables,
    command::{ChangeHold, ConfirmHold, ExtendHold, HoldLine, HoldPart, PlaceHold, ReleaseHold, numbered},
    event::{HeldLine, Short, Take, Takes},
    refusal::OfLine,
    row::{self, HoldStatus},
};

/// Lines as placed, what was taken for them, and what was short.
type Placed = (SmallVec<[HeldLine; 1]>, Takes, Vec<Short>);

impl<T: Tables> Desk<'_, T> {
    pub(super) fn place_hold(&mut self, command: &PlaceHold, body: u64) -> Result<Verdict, Refusal> {
        if let Some(hold) = self.tables.hold(&command.id) {
            if hold.body == body {
                return Ok(Verdict::Repeat(hold.placed));
            }
            return Err(Refusal::IdTaken { id: command.id.clone() });
        }
        let (lines, takes, short) =
            self.place_lines(&command.lines, command.strategy, Partial::of(command.partial))?;
        Ok(Verdict::New(Fact::Held {
            id: command.id.clone(),
            body,
            owner: command.owner.clone(),
            expires_at: command.expires_in_ms.map(|ms| self.now.after_ms(ms)),
            lines,
            takes,
            short,
        }))
    }

    pub(super) fn confirm_hold(&mut self, command: &ConfirmHold) -> Result<Verdict, Refusal> {
        let hold = self.open_hold(&command.id)?;
        let takes = Self::parts_of_hold(&command.id, &hold, command.lines.as_deref())?;
        for take in &takes {
            let may = match &command.to {
                // They stay at their site, where an expired lot may be moved.
                Some(_) => self.not_blocked(take.lot),
                None => self.may_leave(take.place()),
            };
            may.map_err(|refusal| {
                let parts = command.lines.iter().flatten();
                let named = parts.map(|part| part.line - 1).position(|line| line == take.line);
                stuck_in(refusal, numbered(take.line as usize), named)
            })?;
        }
        let to = match &command.to {
            Some(code) => Some(self.one_target(&takes, code)?),
            None => {
                let mut moved = Default::default();
                for take in &takes {
                    self.fits(take.sku, crate::Outside::Customer, take.quantity, false, &mut moved)?;
                }
                None
            }
        };
        let released = if command.release_rest { rest_of_hold(&hold, &takes) } else { Takes::new() };
        Ok(Verdict::New(Fact::HoldConfirmed { id: command.id.clone(), to, takes, released }))
    }

    pub(super) fn release_hold(&mut self, command: &ReleaseHold) -> Result<Verdict, Refusal> {
        let hold = self.open_hold(&command.id)?;
        let takes = Self::parts_of_hold(&command.id, &hold, command.lines.as_deref())?;
        Ok(Verdict::New(Fact::HoldReleased { id: command.id.clone(), takes }))
    }

    pub(super) fn extend_hold(&mut self, command: &ExtendHold) -> Result<Verdict, Refusal> {
        self.open_hold(&command.id)?;
        let expires_at = self.now.after_ms(command.expires_in_ms);
        Ok(Verdict::New(Fact::HoldExtended { id: command.id.clone(), expires_at }))
    }

    pub(super) fn change_hold(&mut self, command: &ChangeHold) -> Result<Verdict, Refusal> {
        let hold = self.open_hold(&command.id)?;
        for line in &hold.lines {
            for pick in &line.picks {
                let place = Place { location: pick.location, sku: line.sku, lot: pick.lot };
                *self.credit.entry(place).or_default() += pick.quantity;
            }
        }
        let (lines, takes, short) =
            self.place_lines(&command.lines, command.strategy, Partial::of(command.partial))?;
        Ok(Verdict::New(Fact::HoldChanged { id: command.id.clone(), lines, takes, short }))
    }

    fn open_hold(&self, id: &Code) -> Result<row::Hold, Refusal> {
        let Some(hold) = self.tables.hold(id) else { return Err(Refusal::HoldNotFound { hold: id.clone() }) };
        if hold.status != HoldStatus::Held {
            return Err(Refusal::HoldEnded { hold: id.clone(), status: hold.status.name() });
        }
        Ok(hold)
    }

    fn place_lines(
        &mut self,
        lines: &[HoldLine],
        strategy: Option<crate::Strategy>,
        partial: Partial,
    ) -> Result<Placed, Refusal> {
        let mut wants: SmallVec<[Want; 1]> = SmallVec::with_capacity(lines.len());
        for (line, number) in lines.iter().zip(0..) {
            let index = number as usize;
            let site = self.site(&line.site).of_line(index, "site")?;
            let sku = self.sku(&line.sku).of_line(index, "sku")?;
            let location = line.location.as_ref().map(|code| self.location(site, code));
            let location = location.transpose().of_line(index, "location")?;
            let lot = self.wanted_lot(sku, line.lot.as_ref()).of_line(index, "lot")?;
            wants.push(Want { line: number, site, sku, quantity: line.quantity, location, lot });
        }
        let mut takes = Takes::new();
        let name = |line: u32| numbered(line as usize);
        let short = self.allocate(&wants, strategy, partial, name, |take| takes.push(take))?;
        let held =
            wants.iter().map(|want| HeldLine { site: want.site, sku: want.sku, quantity: want.quantity });
        Ok((held.collect(), takes, short))
    }

    /// The parts that are named, or all that is held, as takes in the order in which they are held.
    fn parts_of_hold(id: &Code, hold: &row::Hold, parts: Option<&[HoldPart]>) -> Result<Takes, Refusal> {
        let Some(parts) = parts else { return Ok(rest_of_hold(hold, &[])) };
        let mut takes = Takes::new();
        for (index, part) in parts.iter().enumerate() {
            let name = || numbered(part.line as usize - 1);
            let Some(line) = hold.lines.get(part.line as usize - 1) else {
                let refusal = Refusal::LineNotFound { document: id.clone(), line: name() };
                return Err(refusal.of_line(index, "line"));
            };
            let held: Quantity = line.picks.iter().map(|pick| pick.quantity).sum();
            let wanted = part.quantity.unwrap_or(held);
            if wanted > held || held.is_zero() {
                let refusal =
                    Refusal::NotHeld { document: id.clone(), line: name(), requested: wanted, held };
                return Err(refusal.of_line(index, "quantity"));
            }
            let mut rest = wanted;
            for pick in &line.picks {
                let quantity = rest.min(pick.quantity);
                if quantity.is_zero() {
                    break;
                }
                rest -= quantity;
                takes.push(Take {
                    line: part.line - 1,
                    sku: line.sku,
                    location: pick.location,
                    lot: pick.lot,
                    quantity,
                });
            }
        }
        Ok(takes)
    }

    /// The location that confirmed goods go to: one for all, at the site where they all are.
    fn one_target(&self, takes: &[Take], code: &Code) -> Result<LocationId, Refusal> {
        let first = takes.first().expect("an open hold holds something");
        let target = self.location(self.tables.location(first.location).site, code)?;
        let site = self.tables.location(target).site;
        for take in takes {
            if self.tables.location(take.location).site != site {
                return Err(Refusal::invalid("to", "names one location, and the lines are at several sites"));
            }
            if take.location == target {
                return Err(Refusal::invalid("to", "is where the goods already are"));
            }
        }
        Ok(target)
    }
}

/// All that a hold holds, less what was taken already.
fn rest_of_hold(hold: &row::Hold, taken: &[Take]) -> Takes {
    let mut gone: HashMap<(u32, Place), Quantity> = HashMap::new();
    for take in taken {
        *gone.entry((take.line, take.place())).or_default() += take.quantity;
    }
    let mut rest = Takes::new();
    for (line, number) in hold.lines.iter().zip(0..) {
        for pick in &line.picks {
            let take = Take {
                line: number,
                sku: line.sku,
                location: pick.location,
                lot: pick.lot,
                quantity: pick.quantity,
            };
            let gone = gone.get_mut(&(number, take.place())).map_or(Quantity::ZERO, |gone| {
                let here = (*gone).min(pick.quantity);
                *gone -= here;
                here
            });
            if gone < pick.quantity {
                rest.push(Take { quantity: pick.quantity - gone, ..take });
            }
        }
    }
    rest
}
