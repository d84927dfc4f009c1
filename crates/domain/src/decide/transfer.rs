//! Transfers: request, allocate, release, cancel, close.

use hashbrown::HashMap;

use super::{
    Verdict,
    allocate::{Partial, Want},
    desk::Desk,
};
use crate::{
    Code, Fact, Quantity, Refusal, Tables,
    command::{
        AllocateTransfer, CancelTransfer, CloseTransfer, ReleaseTransfer, RequestTransfer, TransferPart,
        in_line,
    },
    event::{LostLine, RequestedLine, ShippedLine, Take},
    limits::PARTS_MAX,
    refusal::OfLine,
    row::{self, End},
};

impl<T: Tables> Desk<'_, T> {
    pub(super) fn request_transfer(&self, command: &RequestTransfer, body: u64) -> Result<Verdict, Refusal> {
        if let Some(transfer) = self.tables.transfer(&command.id) {
            if transfer.body == body {
                return Ok(Verdict::Repeat(transfer.requested));
            }
            return Err(Refusal::IdTaken { id: command.id.clone() });
        }
        let from = self.site(&command.from)?;
        let to = self.site(&command.to)?;
        let mut sum = Quantity::ZERO;
        let mut lines = Vec::with_capacity(command.lines.len());
        for (index, line) in command.lines.iter().enumerate() {
            let sku = self.sku(&line.sku).of_line(index, "sku")?;
            let Some(more) = sum.checked_add(line.quantity) else {
                return Err(Refusal::invalid("quantity", "of all lines is more than 9007199254740991"));
            };
            sum = more;
            lines.push(RequestedLine {
                name: line.line.clone(),
                sku,
                lot: self.wanted_lot(sku, line.lot.as_ref()).of_line(index, "lot")?,
                quantity: line.quantity,
            });
        }
        Ok(Verdict::New(Fact::TransferRequested {
            id: command.id.clone(),
            body,
            from,
            to,
            priority: command.priority,
            lines,
        }))
    }

    pub(super) fn allocate_transfer(&mut self, command: &AllocateTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        let mut wants = Vec::new();
        match &command.lines {
            None => {
                for line in 0..transfer.lines {
                    let row = self.tables.line(id, line);
                    let quantity = row.totals.open();
                    wants.push(Want {
                        line,
                        site: transfer.from,
                        sku: row.sku,
                        quantity,
                        location: None,
                        lot: row.lot,
                    });
                }
            }
            Some(lines) => {
                // Under `explicit` a line may be there once for each location: it lacks less each time.
                let mut open: HashMap<u32, Quantity> = HashMap::new();
                for (at, line) in lines.iter().enumerate() {
                    let index = self.line_of(id, &line.line).of_line(at, "line")?;
                    let row = self.tables.line(id, index);
                    let lacks = open.entry(index).or_insert_with(|| row.totals.open());
                    let quantity = line.quantity.unwrap_or(*lacks).min(*lacks);
                    *lacks -= quantity;
                    let location = line.location.as_ref().map(|code| self.location(transfer.from, code));
                    let location = location.transpose().of_line(at, "location")?;
                    let lot = self.wanted_lot(row.sku, line.lot.as_ref()).of_line(at, "lot")?;
                    if let (Some(asked), Some(fixed)) = (lot, row.lot)
                        && asked != fixed
                    {
                        return Err(in_line(at, "lot", "is not the lot that the line asks for"));
                    }
                    wants.push(Want {
                        line: index,
                        site: transfer.from,
                        sku: row.sku,
                        quantity,
                        location,
                        lot: lot.or(row.lot),
                    });
                }
            }
        }
        wants.retain(|want| !want.quantity.is_zero());
        if wants.is_empty() {
            // Allocating what is allocated changes nothing: the answer is that of the last allocation. It may be about
            // other lines than the ones that are named, and nobody knows whose was: that is no answer.
            return match command.lines.iter().flatten().next() {
                None => Ok(Verdict::Repeat(transfer.allocated)),
                Some(first) => {
                    Err(Refusal::NothingLacking { transfer: id.clone(), line: first.line.clone() })
                }
            };
        }
        let tables = self.tables;
        let name = |line| tables.line(id, line).name;
        let partial = Partial::of(command.partial);
        let mut takes = Vec::with_capacity(wants.len());
        let short = self.allocate(&wants, command.strategy, partial, name, |take| takes.push(take))?;
        let parts = tables.transfer_part_count(id) + takes.len();
        if parts > PARTS_MAX {
            // More could be held, and not given up again in one decision. Of what is on the way no lot is new.
            return Err(Refusal::TooManyParts { parts, max: PARTS_MAX });
        }
        Ok(Verdict::New(Fact::TransferAllocated { id: id.clone(), takes, short }))
    }

    pub(super) fn release_transfer(&self, command: &ReleaseTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        let takes = match &command.lines {
            None => self.all_picks(id, &transfer),
            Some(parts) => {
                let mut takes = Vec::new();
                for (at, part) in parts.iter().enumerate() {
                    let (index, line) = self.named_line(id, &part.line).of_line(at, "line")?;
                    let wanted = part_of(id, part, line.totals.allocated).of_line(at, "quantity")?;
                    let mut rest = wanted;
                    // What was taken last is given back first.
                    for pick in line.picks.iter().rev() {
                        let quantity = rest.min(pick.quantity);
                        if quantity.is_zero() {
                            break;
                        }
                        rest -= quantity;
                        takes.push(Take {
                            line: index,
                            sku: line.sku,
                            location: pick.location,
                            lot: pick.lot,
                            quantity,
                        });
                    }
                }
                takes
            }
        };
        if takes.is_empty() {
            return Err(Refusal::NothingAllocated { transfer: id.clone() });
        }
        Ok(Verdict::New(Fact::TransferReleased { id: id.clone(), takes }))
    }

    pub(super) fn cancel_transfer(&self, command: &CancelTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.transfer(id)?;
        match transfer.end {
            Some((End::Cancelled, sequence)) => return Ok(Verdict::Repeat(sequence)),
            Some((End::Closed, _)) => return Err(Refusal::TransferClosed { transfer: id.clone() }),
            None => {}
        }
        let row::Totals { allocated, picked, shipped, .. } = transfer.totals;
        if !shipped.is_zero() {
            return Err(Refusal::TransferShipped { transfer: id.clone(), shipped });
        }
        let holds_nothing = allocated.is_zero() && picked.is_zero();
        if !holds_nothing && !command.release {
            return Err(Refusal::TransferAllocated { transfer: id.clone(), allocated, picked });
        }
        let mut staged = Vec::new();
        if !picked.is_zero() {
            for index in 0..transfer.lines {
                let line = self.tables.line(id, index);
                staged.extend(line.staged.iter().map(|staged| ShippedLine {
                    take: Take {
                        line: index,
                        sku: line.sku,
                        location: staged.staging,
                        lot: staged.lot,
                        quantity: staged.quantity,
                    },
                    origin: staged.origin,
                }));
            }
        }
        let released = self.all_picks(id, &transfer);
        Ok(Verdict::New(Fact::TransferCancelled { id: id.clone(), released, staged }))
    }

    pub(super) fn close_transfer(&self, command: &CloseTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.transfer(id)?;
        match transfer.end {
            Some((End::Closed, sequence)) => return Ok(Verdict::Repeat(sequence)),
            Some((End::Cancelled, _)) => return Err(Refusal::TransferCancelled { transfer: id.clone() }),
            None => {}
        }
        if !transfer.totals.picked.is_zero() {
            return Err(Refusal::TransferPicked { transfer: id.clone(), picked: transfer.totals.picked });
        }
        let mut lost = Vec::new();
        if !transfer.totals.in_transit.is_zero() {
            let mut moved = HashMap::new();
            for index in 0..transfer.lines {
                let line = self.tables.line(id, index);
                for (lot, quantity) in &line.transit {
                    self.fits(line.sku, crate::Outside::Loss, *quantity, false, &mut moved)?;
                    lost.push(LostLine { line: index, sku: line.sku, lot: *lot, quantity: *quantity });
                }
            }
        }
        let released = self.all_picks(id, &transfer);
        Ok(Verdict::New(Fact::TransferClosed { id: id.clone(), released, lost }))
    }

    pub(super) fn transfer(&self, id: &Code) -> Result<row::Transfer, Refusal> {
        self.tables.transfer(id).ok_or_else(|| Refusal::TransferNotFound { transfer: id.clone() })
    }

    /// A transfer that has not ended.
    pub(super) fn live_transfer(&self, id: &Code) -> Result<row::Transfer, Refusal> {
        let transfer = self.transfer(id)?;
        match transfer.end {
            Some((End::Cancelled, _)) => Err(Refusal::TransferCancelled { transfer: id.clone() }),
            Some((End::Closed, _)) => Err(Refusal::TransferClosed { transfer: id.clone() }),
            None => Ok(transfer),
        }
    }

    pub(super) fn line_of(&self, id: &Code, name: &Code) -> Result<u32, Refusal> {
        self.tables
            .line_named(id, name)
            .ok_or_else(|| Refusal::LineNotFound { document: id.clone(), line: name.clone() })
    }

    pub(super) fn named_line(&self, id: &Code, name: &Code) -> Result<(u32, row::Line), Refusal> {
        let index = self.line_of(id, name)?;
        Ok((index, self.tables.line(id, index)))
    }

    /// Everything that is allocated and not picked.
    pub(super) fn all_picks(&self, id: &Code, transfer: &row::Transfer) -> Vec<Take> {
        if transfer.totals.allocated.is_zero() {
            return Vec::new();
        }
        let mut takes = Vec::new();
        for index in 0..transfer.lines {
            let line = self.tables.line(id, index);
            takes.extend(line.picks.iter().map(|pick| Take {
                line: index,
                sku: line.sku,
                location: pick.location,
                lot: pick.lot,
                quantity: pick.quantity,
            }));
        }
        takes
    }
}

/// How much of a line a part names: what it says, or all of it. Refuses with `not_held`.
pub(super) fn part_of(id: &Code, part: &TransferPart, held: Quantity) -> Result<Quantity, Refusal> {
    let requested = part.quantity.unwrap_or(held);
    if requested > held || held.is_zero() {
        return Err(Refusal::NotHeld { document: id.clone(), line: part.line.clone(), requested, held });
    }
    Ok(requested)
}
