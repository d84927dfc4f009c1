//! Transfers on their way: pick, unpick, ship, receive.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{
    Verdict,
    adjust::repeat_or_taken,
    allocate::Want,
    desk::{Desk, stuck_in},
    open_line::{OpenPicks, OpenTransit},
    picking::Reach,
    transfer::part_of,
};
use crate::{
    Code, Fact, LocationId, LotId, Outside, Place, Quantity, Refusal, SkuId, Tables,
    command::{
        PickLine, PickTransfer, ReceiveLine, ReceiveTransfer, ShipTransfer, ShortReason, TransferPart,
        UnpickTransfer, in_line,
    },
    event::{MissedLine, PickedLine, ReceivedLine, ShippedLine, Short, Take, UnpickedLine},
    limits::{GAPS_LOOKED_AT_MAX, PARTS_MAX},
    refusal::OfLine,
    row::{self, Filing, LocationKind},
};

/// Where picked goods come from and go to, and where damaged ones would.
struct Places {
    staging: LocationId,
    quarantine: Result<LocationId, Refusal>,
    /// Where they may come from.
    reach: Reach,
}

/// Places where goods were missed.
#[derive(Default)]
struct Gaps {
    /// What is available there besides. Never zero.
    left: BTreeMap<(SkuId, LotId, LocationId), Quantity>,
    /// How much of a line was missed there.
    missed: HashMap<(u32, Place), Quantity>,
}

impl Gaps {
    /// Notes what was missed at a place where so much is available besides.
    fn note(&mut self, take: &Take, available: Quantity) {
        *self.missed.entry((take.line, take.place())).or_default() += take.quantity;
        if !available.is_zero() {
            self.left.insert((take.sku, take.lot, take.location), available);
        }
    }

    fn shrink(&mut self, at: (SkuId, LotId, LocationId), quantity: Quantity) {
        let left = self.left.get_mut(&at).expect("there is as much left as is taken");
        *left -= quantity;
        if left.is_zero() {
            self.left.remove(&at);
        }
    }
}

impl<T: Tables> Desk<'_, T> {
    pub(super) fn pick_transfer(&mut self, command: &PickTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        let reach = self.reach(command)?;
        let staging =
            self.location_of_kind(transfer.from, command.staging.as_ref(), LocationKind::Staging)?;
        let mut picked = Vec::new();
        let mut missed = Vec::new();
        match &command.lines {
            None => {
                for take in self.picks_within(command, &reach)? {
                    let name = || self.tables.line(id, take.line).name;
                    self.may_leave(take.place()).map_err(|refusal| refusal.had_by(name()))?;
                    picked.push(PickedLine { take, staging });
                }
            }
            Some(lines) => {
                let mut open: HashMap<u32, OpenPicks> = HashMap::new();
                let quarantine = self.location_of_kind(transfer.from, None, LocationKind::Quarantine);
                let places = Places { staging, quarantine, reach };
                for line in lines.iter().enumerate() {
                    self.pick_line(command, &transfer, line, &places, &mut open, &mut picked, &mut missed)?;
                }
            }
        }
        if picked.is_empty() && missed.is_empty() {
            return Err(Refusal::NothingAllocated { transfer: id.clone() });
        }
        let (takes, short) = self.replace_missed(id, &transfer, &missed);
        Ok(Verdict::New(Fact::TransferPicked { id: id.clone(), picked, missed, takes, short }))
    }

    #[allow(clippy::too_many_arguments, reason = "one line's part of one decision, split off for its length")]
    fn pick_line(
        &self,
        command: &PickTransfer,
        transfer: &row::Transfer,
        (at, line): (usize, &PickLine),
        places: &Places,
        open: &mut HashMap<u32, OpenPicks>,
        picked: &mut Vec<PickedLine>,
        missed: &mut Vec<MissedLine>,
    ) -> Result<(), Refusal> {
        let index = self.line_of(&command.id, &line.line).of_line(at, "line")?;
        let picks = open.entry(index).or_insert_with(|| {
            let row = self.tables.line(&command.id, index);
            let within = |pick: &row::Pick| self.is_within(&command.id, &places.reach, pick.location);
            OpenPicks::new(row.sku, self.by_walk(row.picks).into_iter().filter(within).collect())
        });
        let sku = picks.sku;
        let location = line.location.as_ref().map(|code| self.location(transfer.from, code));
        let location = location.transpose().of_line(at, "location")?;
        let lot = self.wanted_lot(sku, line.lot.as_ref()).of_line(at, "lot")?;
        let quarantine = match line.short {
            Some((_, ShortReason::Damaged)) => Some(places.quarantine.clone().of_line(at, "short.reason")?),
            _ => None,
        };
        let short = line.short.map_or(Quantity::ZERO, |(quantity, _)| quantity);
        let Some(requested) = line.quantity.checked_add(short) else {
            return Err(in_line(at, "quantity", "and what was short are more than 9007199254740991"));
        };
        let filter = (location, lot);
        if !picks.has(filter, requested) {
            let held = picks.left(filter);
            let all = self.by_walk(self.tables.line(&command.id, index).picks);
            let is_other = |pick: &&row::Pick| {
                location.is_none_or(|location| location == pick.location)
                    && lot.is_none_or(|lot| lot == pick.lot)
                    && !self.is_within(&command.id, &places.reach, pick.location)
            };
            let others = self.nobody_elses(&command.id, &places.reach, all.iter().filter(is_other));
            others.of_line(at, "line")?;
            let document = command.id.clone();
            let refusal = Refusal::NotHeld { document, line: line.line.clone(), requested, held };
            return Err(refusal.of_line(at, "quantity"));
        }
        let (mut taken, mut short) = (line.quantity, short);
        while !taken.is_zero() || !short.is_zero() {
            let (mut good, mut bad) = (Quantity::ZERO, Quantity::ZERO);
            let pick = picks.take(filter, |pick| {
                good = taken.min(pick.quantity);
                bad = short.min(pick.quantity - good);
                good + bad
            });
            let pick = pick.expect("as much is left as was asked for");
            let take = |quantity| Take { line: index, sku, location: pick.location, lot: pick.lot, quantity };
            if !good.is_zero() {
                let take = take(good);
                let may = self.may_leave(take.place());
                may.map_err(|refusal| refusal.had_by(line.line.clone())).of_line(at, "lot")?;
                picked.push(PickedLine { take, staging: places.staging });
                taken -= good;
            }
            if !bad.is_zero() {
                missed.push(MissedLine { take: take(bad), quarantine });
                short -= bad;
            }
        }
        Ok(())
    }

    /// Picks in the order of the walk.
    fn by_walk(&self, mut picks: Vec<row::Pick>) -> Vec<row::Pick> {
        picks.sort_by_key(|pick| {
            let location = self.tables.location(pick.location);
            let lot = (pick.lot != LotId::NONE).then(|| &self.tables.lot(pick.lot).code);
            (location.pick_order, &location.code, lot)
        });
        picks
    }

    /// Allocates elsewhere what was missed, as far as possible, and says what was not.
    fn replace_missed(
        &mut self,
        id: &Code,
        transfer: &row::Transfer,
        missed: &[MissedLine],
    ) -> (Vec<Take>, Vec<Short>) {
        let mut wants: BTreeMap<u32, Want> = BTreeMap::new();
        let mut gaps = Gaps::default();
        for MissedLine { take, .. } in missed {
            // Elsewhere: not where the goods were just found to be missing or damaged.
            let (place, position) = (take.place(), self.position(take.place()));
            gaps.note(take, self.available(place, &position));
            self.taken.insert(place, position.on_hand);
            let want = wants.entry(take.line).or_insert_with(|| Want {
                line: take.line,
                site: transfer.from,
                sku: take.sku,
                quantity: Quantity::ZERO,
                location: None,
                lot: self.tables.line(id, take.line).lot,
            });
            want.quantity += take.quantity;
        }
        let mut takes = Vec::new();
        let mut short = Vec::new();
        let room = PARTS_MAX.saturating_sub(self.tables.transfer_part_count(id));
        for want in wants.values() {
            self.picks_max = room.saturating_sub(takes.len());
            let got = self.allocate_line(want, None, true, &mut |take| takes.push(take));
            if got < want.quantity {
                short.push(Short { line: want.line, requested: want.quantity, available: got });
            }
        }
        let mut looked = 0;
        for short in &mut short {
            looked += gaps.left.len();
            if looked > GAPS_LOOKED_AT_MAX {
                break;
            }
            let room = room.saturating_sub(takes.len());
            short.available += self.fill_gaps(&wants[&short.line], short, &mut gaps, room, &mut takes);
        }
        short.retain(|short| short.available < short.requested);
        takes.sort_by_key(|take| take.line);
        (takes, short)
    }

    /// Takes for a line that is still short what is left where other goods were missed, and says how much that was. What
    /// was missed at a place is not replaced there, so that a line takes no more there than it missed at other places.
    fn fill_gaps(
        &self,
        want: &Want,
        short: &Short,
        gaps: &mut Gaps,
        room: usize,
        takes: &mut Vec<Take>,
    ) -> Quantity {
        let lots = want.lot.map_or((LotId::NONE, LotId(u32::MAX)), |lot| (lot, lot));
        let first = (want.sku, lots.0, LocationId(0));
        let last = (want.sku, lots.1, LocationId(u32::MAX));
        let here = gaps.left.range(first..=last).map(|((sku, lot, location), left)| {
            let place = Place { location: *location, sku: *sku, lot: *lot };
            let missed = gaps.missed.get(&(want.line, place)).copied().unwrap_or_default();
            self.candidate(place, (*left).min(want.quantity - missed), self.position(place).since)
        });
        let mut candidates: Vec<_> = here.filter(|candidate| !candidate.available.is_zero()).collect();
        self.tables.site(want.site).strategy.order(&mut candidates, short.requested - short.available);
        let mut rest = short.requested - short.available;
        for candidate in candidates.iter().take(room) {
            let quantity = rest.min(candidate.available);
            if quantity.is_zero() {
                break;
            }
            rest -= quantity;
            gaps.shrink((want.sku, candidate.lot, candidate.location), quantity);
            takes.push(Take {
                line: want.line,
                sku: want.sku,
                location: candidate.location,
                lot: candidate.lot,
                quantity,
            });
        }
        short.requested - short.available - rest
    }

    pub(super) fn unpick_transfer(&self, command: &UnpickTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        let to = match &command.to {
            Some(code) => Some(self.location_of_kind(transfer.from, Some(code), LocationKind::Storage)?),
            None => None,
        };
        let mut lines = Vec::new();
        for ShippedLine { take, origin } in self.staged(id, &transfer, command.lines.as_deref())? {
            let to = to.unwrap_or(origin);
            self.need_kind(to, LocationKind::Storage)?;
            lines.push(UnpickedLine { take, origin, to });
        }
        Ok(Verdict::New(Fact::TransferUnpicked { id: id.clone(), lines }))
    }

    pub(super) fn ship_transfer(&self, command: &ShipTransfer, body: u64) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let filing = Filing::Shipment { transfer: id.clone(), shipment: command.shipment.clone() };
        if let Some(filed) = self.tables.filed(&filing) {
            return repeat_or_taken(filed, body, &command.shipment);
        }
        let transfer = self.live_transfer(id)?;
        let lines = self.staged(id, &transfer, command.lines.as_deref())?;
        for ShippedLine { take, .. } in &lines {
            self.may_leave(take.place()).map_err(|refusal| {
                let name = self.tables.line(id, take.line).name;
                let mut parts = command.lines.iter().flatten();
                let named = parts.position(|part| part.line == name);
                stuck_in(refusal, name, named)
            })?;
        }
        Ok(Verdict::New(Fact::TransferShipped {
            id: id.clone(),
            shipment: command.shipment.clone(),
            body,
            lines,
        }))
    }

    /// The staged goods that the parts name, or all of them. Refuses with `nothing_picked` or `not_held`.
    fn staged(
        &self,
        id: &Code,
        transfer: &row::Transfer,
        parts: Option<&[TransferPart]>,
    ) -> Result<Vec<ShippedLine>, Refusal> {
        if transfer.totals.picked.is_zero() {
            return Err(Refusal::NothingPicked { transfer: id.clone() });
        }
        let mut found = Vec::new();
        let mut gather = |index, line: &row::Line, mut rest: Quantity| {
            for staged in &line.staged {
                let quantity = rest.min(staged.quantity);
                if quantity.is_zero() {
                    break;
                }
                rest -= quantity;
                let take =
                    Take { line: index, sku: line.sku, location: staged.staging, lot: staged.lot, quantity };
                found.push(ShippedLine { take, origin: staged.origin });
            }
        };
        match parts {
            None => {
                for index in 0..transfer.lines {
                    let line = self.tables.line(id, index);
                    gather(index, &line, line.totals.picked);
                }
            }
            Some(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    let (index, line) = self.named_line(id, &part.line).of_line(at, "line")?;
                    gather(index, &line, part_of(id, part, line.totals.picked).of_line(at, "quantity")?);
                }
            }
        }
        Ok(found)
    }

    pub(super) fn receive_transfer(&self, command: &ReceiveTransfer) -> Result<Verdict, Refusal> {
        let id = &command.id;
        let transfer = self.live_transfer(id)?;
        let nothing = || Refusal::NothingInTransit { transfer: id.clone() };
        if transfer.totals.shipped.is_zero() {
            return Err(nothing());
        }
        let good = self.location_of_kind(transfer.to, command.location.as_ref(), LocationKind::Receiving)?;
        let mut lines = Vec::new();
        let Some(named) = &command.lines else {
            for index in 0..transfer.lines {
                let line = self.tables.line(id, index);
                lines.extend(line.transit.iter().map(|(lot, quantity)| ReceivedLine {
                    line: index,
                    sku: line.sku,
                    lot: *lot,
                    location: good,
                    damaged: false,
                    expected: *quantity,
                    excess: Quantity::ZERO,
                }));
            }
            if lines.is_empty() {
                return Err(nothing());
            }
            arrives(&transfer, &lines)?;
            return Ok(Verdict::New(Fact::TransferReceived { id: id.clone(), lines }));
        };
        let mut transit: HashMap<u32, OpenTransit> = HashMap::new();
        let mut moved = HashMap::new();
        let mut serials = HashMap::new();
        let quarantine =
            self.location_of_kind(transfer.to, command.quarantine.as_ref(), LocationKind::Quarantine);
        for (at, line) in named.iter().enumerate() {
            let index = self.line_of(id, &line.line).of_line(at, "line")?;
            let left = transit.entry(index).or_insert_with(|| {
                let row = self.tables.line(id, index);
                OpenTransit::new(row.sku, row.transit)
            });
            let sku = left.sku;
            for (quantity, damaged) in [(line.quantity, false), (line.damaged, true)] {
                if quantity.is_zero() {
                    continue;
                }
                let field = if damaged { "damaged" } else { "quantity" };
                let location = if damaged { quarantine.clone().of_line(at, field)? } else { good };
                let from = lines.len();
                let split = self.receive_quantity(line, quantity, left, |lot, expected, excess| {
                    lines.push(ReceivedLine { line: index, sku, lot, location, damaged, expected, excess });
                });
                split.of_line(at, "lot")?;
                for received in &lines[from..] {
                    let ReceivedLine { sku, lot, excess, .. } = *received;
                    self.fits(sku, Outside::Found, excess, true, &mut moved).of_line(at, field)?;
                    self.serial_fits(sku, lot, excess, true, &mut serials).of_line(at, "lot")?;
                }
            }
        }
        arrives(&transfer, &lines)?;
        Ok(Verdict::New(Fact::TransferReceived { id: id.clone(), lines }))
    }

    /// Splits what arrived into what was on the way, first shipped first, and what is more than that.
    fn receive_quantity(
        &self,
        line: &ReceiveLine,
        quantity: Quantity,
        transit: &mut OpenTransit,
        mut receive: impl FnMut(LotId, Quantity, Quantity),
    ) -> Result<(), Refusal> {
        let sku = transit.sku;
        let lot = match &line.lot {
            Some(_) => Some(self.exact_lot(sku, line.lot.as_ref())?),
            None => None,
        };
        let mut rest = quantity;
        while !rest.is_zero()
            && let Some((lot, expected)) = transit.take(lot, rest)
        {
            rest -= expected;
            receive(lot, expected, Quantity::ZERO);
        }
        if rest.is_zero() {
            return Ok(());
        }
        // More than was on the way: only whoever holds the goods can say of which lot.
        let lot = match lot {
            Some(lot) => lot,
            None => self.exact_lot(sku, None)?,
        };
        receive(lot, Quantity::ZERO, rest);
        Ok(())
    }
}

/// Makes sure that all that ever arrived is still a quantity, surplus of every line included.
fn arrives(transfer: &row::Transfer, lines: &[ReceivedLine]) -> Result<(), Refusal> {
    let before = transfer.totals.received.max(transfer.totals.damaged);
    let after =
        lines.iter().try_fold(before, |sum, line| sum.checked_add(line.expected)?.checked_add(line.excess));
    match after {
        Some(_) => Ok(()),
        None => Err(Refusal::invalid("quantity", "received in all is more than 9007199254740991")),
    }
}
