//! The obvious version of transfers: what became of each line, summed over the events; and what is picked, shipped,
//! received and lost by a request.

use std::collections::BTreeMap;

use jaego_domain::{
    Code, Command, Decision, Event, Fact, LotId, Memory, Refusal, SiteId, SkuId, Tables,
    command::{PickTransfer, ReceiveTransfer, ShipTransfer, ShortReason},
    event::{LostLine, MissedLine, PickedLine, ReceivedLine, ShippedLine},
    row::{End, HolderKind, LocationKind, TransferStatus},
};

use super::Naive;

#[derive(Default)]
pub(super) struct Transfers {
    pub(super) lines: BTreeMap<(Code, u32), Line>,
    /// From where and to where.
    pub(super) sites: BTreeMap<Code, (SiteId, SiteId)>,
    pub(super) ends: BTreeMap<Code, End>,
}

pub(super) struct Line {
    pub(super) sku: SkuId,
    pub(super) lot: Option<LotId>,
    pub(super) requested: u64,
    pub(super) shipped: u64,
    transit: Transit,
    received: u64,
    damaged: u64,
    lost: u64,
    closed_short: u64,
}

/// What of a line is on the way, by lot, first shipped first. None is zero.
#[derive(Clone, Default)]
struct Transit(Vec<(LotId, u64)>);

impl Transit {
    fn total(&self) -> u64 {
        self.0.iter().map(|(_, units)| units).sum()
    }

    fn send(&mut self, lot: LotId, units: u64) {
        match self.0.iter_mut().find(|(other, _)| *other == lot) {
            Some((_, on_way)) => *on_way += units,
            None => self.0.push((lot, units)),
        }
    }

    /// Takes at most so much, of a lot or of any, and tells of which lots.
    fn take(&mut self, lot: Option<LotId>, mut units: u64) -> Vec<(LotId, u64)> {
        let mut taken = Vec::new();
        for (other, on_way) in &mut self.0 {
            let some = if lot.is_none_or(|lot| lot == *other) { units.min(*on_way) } else { 0 };
            *on_way -= some;
            units -= some;
            if some > 0 {
                taken.push((*other, some));
            }
        }
        self.0.retain(|(_, on_way)| *on_way > 0);
        taken
    }

    fn arrive(&mut self, lot: LotId, units: u64) {
        let taken: u64 = self.take(Some(lot), units).into_iter().map(|(_, units)| units).sum();
        assert_eq!(taken, units, "nothing arrives that is not on the way");
    }
}

/// Quantities of parts of an event, by what tells them apart.
type Sums<K> = BTreeMap<K, u64>;

fn sums<K: Ord>(parts: impl IntoIterator<Item = (K, u64)>) -> Sums<K> {
    let mut sums = Sums::new();
    for (key, units) in parts {
        *sums.entry(key).or_default() += units;
    }
    sums.retain(|_, units| *units > 0);
    sums
}

impl Transfers {
    pub(super) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::TransferRequested { id, from, to, lines, .. } => {
                self.sites.insert(id.clone(), (*from, *to));
                for (line, number) in lines.iter().zip(0..) {
                    let line = Line {
                        sku: line.sku,
                        lot: line.lot,
                        requested: line.quantity.get(),
                        shipped: 0,
                        transit: Transit::default(),
                        received: 0,
                        damaged: 0,
                        lost: 0,
                        closed_short: 0,
                    };
                    self.lines.insert((id.clone(), number), line);
                }
            }
            Fact::TransferShipped { id, lines, .. } => {
                for ShippedLine { take, .. } in lines {
                    let line = self.line(id, take.line);
                    line.shipped += take.quantity.get();
                    line.transit.send(take.lot, take.quantity.get());
                }
            }
            Fact::TransferReceived { id, lines } => {
                for received in lines {
                    let line = self.line(id, received.line);
                    let (expected, excess) = (received.expected.get(), received.excess.get());
                    line.transit.arrive(received.lot, expected);
                    *(if received.damaged { &mut line.damaged } else { &mut line.received }) +=
                        expected + excess;
                }
            }
            Fact::TransferClosed { id, lost, .. } => {
                for LostLine { line, lot, quantity, .. } in lost {
                    let line = self.line(id, *line);
                    line.transit.arrive(*lot, quantity.get());
                    line.lost += quantity.get();
                }
                for ((other, _), line) in &mut self.lines {
                    if other == id {
                        line.closed_short = line.requested - line.shipped;
                    }
                }
                self.ends.insert(id.clone(), End::Closed);
            }
            Fact::TransferCancelled { id, .. } => drop(self.ends.insert(id.clone(), End::Cancelled)),
            _ => {}
        }
    }

    fn line(&mut self, id: &Code, line: u32) -> &mut Line {
        self.lines.get_mut(&(id.clone(), line)).expect("it was requested")
    }

    fn lines_of<'a>(&'a self, id: &'a Code) -> impl Iterator<Item = (u32, &'a Line)> {
        self.lines
            .iter()
            .filter(move |((other, _), _)| other == id)
            .map(|((_, number), line)| (*number, line))
    }
}

impl Naive {
    /// What transfers hold by line: in bins, and in staging.
    fn held_by_lines(&self) -> BTreeMap<(Code, u32), (u64, u64)> {
        let mut held: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for ((holder, place), units) in &self.held {
            if holder.kind == HolderKind::Transfer {
                let (allocated, picked) = held.entry((holder.id.clone(), holder.line)).or_default();
                let is_stored = self.locations[&place.location].1 == LocationKind::Storage;
                *(if is_stored { allocated } else { picked }) += units;
            }
        }
        held
    }

    /// Compares every line of every transfer with the tables, the sums over them, and how the transfer stands.
    pub(super) fn agrees_on_transfers(&self, memory: &Memory) -> Result<(), String> {
        let held = self.held_by_lines();
        for id in self.transfers.sites.keys() {
            let mut all = [0; 9];
            for (number, line) in self.transfers.lines_of(id) {
                let (allocated, picked) = held.get(&(id.clone(), number)).copied().unwrap_or_default();
                let in_transit = line.transit.total();
                let Line { requested, shipped, received, damaged, lost, closed_short, .. } = *line;
                let ours = [
                    requested,
                    allocated,
                    picked,
                    shipped,
                    in_transit,
                    received,
                    damaged,
                    lost,
                    closed_short,
                ];
                let row = memory.line(id, number);
                let on_way = row.transit.iter().map(|(lot, quantity)| (*lot, quantity.get()));
                if ours != parts(&row.totals) || !on_way.eq(line.transit.0.iter().copied()) {
                    let on_way = &line.transit.0;
                    return Err(format!(
                        "line {number} of {id}: the events say {ours:?} and {on_way:?}, the tables {row:?}"
                    ));
                }
                all.iter_mut().zip(ours).for_each(|(sum, part)| *sum += part);
            }
            let row = memory.transfer(id).ok_or_else(|| format!("{id} is not there"))?;
            let status = self.status(id, all);
            if all != parts(&row.totals) || status != row.status() {
                return Err(format!("{id}: the events say {status:?} and {all:?}, the tables {row:?}"));
            }
        }
        Ok(())
    }

    fn status(&self, id: &Code, sums: [u64; 9]) -> TransferStatus {
        let [requested, allocated, picked, shipped, in_transit, ..] = sums;
        match self.transfers.ends.get(id) {
            Some(End::Cancelled) => TransferStatus::Cancelled,
            Some(End::Closed) => TransferStatus::Closed,
            None if shipped == requested && in_transit == 0 => TransferStatus::Received,
            None if shipped == requested => TransferStatus::Shipped,
            None if picked + shipped > 0 => TransferStatus::Picking,
            None if allocated == requested => TransferStatus::Allocated,
            None if allocated > 0 => TransferStatus::PartiallyAllocated,
            None => TransferStatus::Requested,
        }
    }

    /// Holds what was decided, on the books as they are, against what was asked: how much of which line is picked and
    /// missed, shipped, received as expected and in excess, or lost.
    pub(crate) fn moves_as_asked(
        &self,
        command: &Command,
        memory: &Memory,
        decided: &Result<Decision, Refusal>,
    ) -> Result<(), String> {
        let fact = match decided {
            Ok(Decision::Event(event)) => {
                let Event { fact, .. } = &**event;
                fact
            }
            Err(refusal) => return self.refused_as_it_stands(command, refusal),
            Ok(Decision::Repeat(_)) => return Ok(()),
        };
        let agrees = match (command, fact) {
            (Command::PickTransfer(pick), Fact::TransferPicked { picked, missed, .. }) => {
                picks_as_asked(pick, memory, picked, missed)
            }
            (Command::ShipTransfer(ship), Fact::TransferShipped { lines, .. }) => {
                self.ships_as_asked(ship, memory, lines)
            }
            (Command::ReceiveTransfer(receive), Fact::TransferReceived { lines, .. }) => {
                self.receives_as_asked(receive, memory, lines)
            }
            (Command::CloseTransfer(close), Fact::TransferClosed { lost, .. }) => {
                let on_way = self.transfers.lines_of(&close.id).flat_map(|(number, line)| {
                    line.transit.0.iter().map(move |(lot, units)| ((number, *lot), *units))
                });
                sums(on_way) == sums(lost.iter().map(|lost| ((lost.line, lost.lot), lost.quantity.get())))
            }
            _ => true,
        };
        agrees.then_some(()).ok_or_else(|| format!("{command:?} does not come to {fact:?}"))
    }

    /// Whether a refusal tells the truth about what a transfer has in staging and on the way.
    fn refused_as_it_stands(&self, command: &Command, refusal: &Refusal) -> Result<(), String> {
        let (Command::ShipTransfer(ShipTransfer { id, .. })
        | Command::ReceiveTransfer(ReceiveTransfer { id, .. })) = command
        else {
            return Ok(());
        };
        let picked: u64 =
            self.held_by_lines().iter().filter(|((of, _), _)| of == id).map(|(_, held)| held.1).sum();
        let lines = || self.transfers.lines_of(id);
        let tells_truth = match refusal {
            Refusal::NothingPicked { .. } => picked == 0,
            Refusal::NothingInTransit { .. } => match command {
                // What was shipped once may arrive in excess.
                Command::ReceiveTransfer(ReceiveTransfer { lines: Some(_), .. }) => {
                    lines().all(|(_, line)| line.shipped == 0)
                }
                _ => lines().all(|(_, line)| line.transit.total() == 0),
            },
            _ => true,
        };
        tells_truth.then_some(()).ok_or_else(|| format!("{command:?} is not refused with {refusal:?}"))
    }

    fn ships_as_asked(&self, ship: &ShipTransfer, memory: &Memory, lines: &[ShippedLine]) -> bool {
        let held = self.held_by_lines();
        let picked = |line: u32| held.get(&(ship.id.clone(), line)).map_or(0, |(_, picked)| *picked);
        let asked = match &ship.lines {
            None => sums(self.transfers.lines_of(&ship.id).map(|(number, _)| (number, picked(number)))),
            Some(parts) => sums(parts.iter().map(|part| {
                let line = memory.line_named(&ship.id, &part.line).expect("the line was found");
                (line, part.quantity.map_or_else(|| picked(line), |quantity| quantity.get()))
            })),
        };
        asked == sums(lines.iter().map(|line| (line.take.line, line.take.quantity.get())))
    }

    /// What arrives is taken off what is on the way, of the lot that is named or first shipped first, and only what is more
    /// than that is in excess. Good and damaged goods go to different kinds of locations of the site that gets them.
    fn receives_as_asked(&self, receive: &ReceiveTransfer, memory: &Memory, lines: &[ReceivedLine]) -> bool {
        let id = &receive.id;
        let on_way = self.transfers.lines_of(id).map(|(number, line)| (number, line.transit.clone()));
        let mut on_way: BTreeMap<u32, Transit> = on_way.collect();
        let (mut expected, mut excess) = (Vec::new(), Vec::new());
        match &receive.lines {
            None => {
                for (line, transit) in &on_way {
                    expected.extend(transit.0.iter().map(|(lot, units)| ((*line, *lot, false), *units)));
                }
            }
            Some(named) => {
                for one in named {
                    let line = memory.line_named(id, &one.line).expect("the line was found");
                    let sku = self.transfers.lines[&(id.clone(), line)].sku;
                    let lot = one.lot.as_ref().map(|lot| memory.lot_id(sku, lot).expect("the lot was found"));
                    for (quantity, damaged) in [(one.quantity, false), (one.damaged, true)] {
                        let taken = on_way.get_mut(&line).expect("it is a line").take(lot, quantity.get());
                        let rest = quantity.get() - taken.iter().map(|(_, units)| units).sum::<u64>();
                        expected.extend(taken.into_iter().map(|(lot, units)| ((line, lot, damaged), units)));
                        excess.push(((line, lot.unwrap_or(LotId::NONE), damaged), rest));
                    }
                }
            }
        }
        let key = |line: &ReceivedLine| (line.line, line.lot, line.damaged);
        let (_, to) = self.transfers.sites[id];
        sums(expected) == sums(lines.iter().map(|line| (key(line), line.expected.get())))
            && sums(excess) == sums(lines.iter().map(|line| (key(line), line.excess.get())))
            && lines.iter().all(|line| {
                let kind = if line.damaged { LocationKind::Quarantine } else { LocationKind::Receiving };
                self.locations[&line.location] == (to, kind)
            })
    }
}

/// Of a line that is named as much is picked, and as much of it is missed, as was said; and only damaged goods go to a
/// quarantine.
fn picks_as_asked(
    pick: &PickTransfer,
    memory: &Memory,
    picked: &[PickedLine],
    missed: &[MissedLine],
) -> bool {
    let Some(named) = &pick.lines else { return missed.is_empty() };
    let line = |name: &Code| memory.line_named(&pick.id, name).expect("the line was found");
    let short = named.iter().filter_map(|one| {
        let (quantity, reason) = one.short?;
        Some(((line(&one.line), reason == ShortReason::Damaged), quantity.get()))
    });
    let missed = missed
        .iter()
        .map(|MissedLine { take, quarantine }| ((take.line, quarantine.is_some()), take.quantity.get()));
    sums(named.iter().map(|one| (line(&one.line), one.quantity.get())))
        == sums(picked.iter().map(|line| (line.take.line, line.take.quantity.get())))
        && sums(short) == sums(missed)
}

/// All quantities, in the order in which a line tells them.
fn parts(totals: &jaego_domain::row::Totals) -> [u64; 9] {
    [
        totals.requested,
        totals.allocated,
        totals.picked,
        totals.shipped,
        totals.in_transit,
        totals.received,
        totals.damaged,
        totals.lost,
        totals.closed_short,
    ]
    .map(|quantity| quantity.get())
}
