//! The pick work of transfers in memory: which zones of a transfer have something to pick, who claimed it, and what
//! waits for a worker.
//!
//! Only claims are rows. What there is to pick follows from the lines as they are put, so that it takes nothing in a
//! checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{Memory, NOWHERE, queue::Queue};
use crate::{
    Code, LocationId, Name, PickWork, PickWorkId, Place, Row, Sequence, SiteId, SkuId, Timestamp, WaitingBy,
    row::{Claim, HolderKind, Pick},
};

#[derive(Default)]
pub(super) struct Picking {
    zones: Vec<Zone>,
    sites: Vec<SiteZones>,
    /// By location.
    bins: Vec<Bin>,
    /// When claims lapse.
    due: BTreeSet<(Timestamp, PickWorkId)>,
    waiting: u64,
    claimed: u64,
}

/// A zone that some location was ever in.
struct Zone {
    site: SiteId,
    name: Name,
    /// Transfers whose work in this zone waits.
    queue: Queue,
}

#[derive(Default)]
struct SiteZones {
    numbers: HashMap<Name, u32>,
    /// Transfers of which the work in any zone waits.
    queue: Queue,
}

#[derive(Clone, Copy)]
struct Bin {
    zone: u32,
    /// Picks of transfers that lie here.
    picks: u32,
}

/// The work of one transfer.
#[derive(Default)]
pub(super) struct Works {
    zones: Zones,
    waiting: u32,
    claimed: u32,
}

/// The zones of one transfer that it has work in: mostly one, which then takes no place of its own.
#[derive(Default)]
enum Zones {
    #[default]
    None,
    One(u32, Box<Work>),
    Many(Box<ManyZones>),
}

/// Two zones or more.
#[derive(Default)]
struct ManyZones {
    /// By the numbers of the zones.
    works: BTreeMap<u32, Box<Work>>,
    /// Those whose work waits, in the order of their names, in which they are claimed.
    waiting: BTreeSet<Name>,
    /// The numbers of those that are claimed, by the fences of the claims and then by name.
    claimed: BTreeMap<(Sequence, Name), u32>,
}

#[derive(Default)]
struct Work {
    /// The lines that have a pick in the zone.
    lines: BTreeSet<u32>,
    claim: Option<Box<Claim>>,
}

impl Work {
    fn waits(&self) -> bool {
        !self.lines.is_empty() && self.claim.is_none()
    }

    fn fence(&self) -> Option<Sequence> {
        self.claim.as_ref().map(|claim| claim.fence)
    }
}

impl Works {
    fn get(&self, zone: u32) -> Option<&Work> {
        match &self.zones {
            Zones::None => None,
            Zones::One(number, work) => (*number == zone).then_some(&**work),
            Zones::Many(many) => many.works.get(&zone).map(|work| &**work),
        }
    }

    /// All of it, by the numbers of the zones.
    fn each(&self) -> impl Iterator<Item = (u32, &Work)> {
        let (one, many) = match &self.zones {
            Zones::None => (None, None),
            Zones::One(zone, work) => (Some((*zone, &**work)), None),
            Zones::Many(many) => (None, Some(many.works.iter().map(|(zone, work)| (*zone, &**work)))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The names of the zones whose work waits, in order.
    fn waiting<'a>(&'a self, names: &'a [Zone]) -> impl Iterator<Item = &'a Name> {
        let (one, many) = match &self.zones {
            Zones::None => (None, None),
            Zones::One(zone, work) => (work.waits().then(|| &names[*zone as usize].name), None),
            Zones::Many(many) => (None, Some(many.waiting.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The zones that are claimed with a fence, in the order of their names.
    fn claimed<'a>(
        &'a self,
        names: &'a [Zone],
        fence: Sequence,
    ) -> impl Iterator<Item = (&'a Name, &'a Claim)> {
        let one = self.only_claim(names).filter(|(_, claim)| claim.fence == fence);
        let many = self.many().map(|many| {
            let claimed = many.claimed.range((fence, Name::default())..);
            claimed.take_while(move |((of, _), _)| *of == fence).map(|entry| many.claim(entry))
        });
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The first zone of each fence, in the order of the fences.
    fn claims<'a>(&'a self, names: &'a [Zone]) -> impl Iterator<Item = (&'a Name, &'a Claim)> {
        let many = self.many().map(|many| {
            let next = |((fence, _), _): &(&(Sequence, Name), _)| {
                many.claimed.range((Sequence(fence.0 + 1), Name::default())..).next()
            };
            std::iter::successors(many.claimed.first_key_value(), next).map(|entry| many.claim(entry))
        });
        self.only_claim(names).into_iter().chain(many.into_iter().flatten())
    }

    fn only_claim<'a>(&'a self, names: &'a [Zone]) -> Option<(&'a Name, &'a Claim)> {
        let Zones::One(zone, work) = &self.zones else { return None };
        work.claim.as_deref().map(|claim| (&names[*zone as usize].name, claim))
    }

    fn many(&self) -> Option<&ManyZones> {
        match &self.zones {
            Zones::Many(many) => Some(many),
            Zones::None | Zones::One(..) => None,
        }
    }
}

impl ManyZones {
    fn claim<'a>(&'a self, ((_, name), zone): (&'a (Sequence, Name), &u32)) -> (&'a Name, &'a Claim) {
        let claim = self.works[zone].claim.as_deref();
        (name, claim.expect("what is among the claimed is claimed"))
    }
}

impl Zones {
    /// The work in a zone, which begins if there is none.
    fn enter(&mut self, zone: u32, names: &[Zone]) -> &mut Work {
        if let Self::One(first, _) = self
            && *first != zone
            && let Self::One(first, work) = std::mem::take(self)
        {
            let mut many = Box::<ManyZones>::default();
            let name = &names[first as usize].name;
            many.waiting.extend(work.waits().then(|| name.clone()));
            many.claimed.extend(work.fence().map(|fence| ((fence, name.clone()), first)));
            many.works.insert(first, work);
            *self = Self::Many(many);
        }
        if let Self::None = self {
            *self = Self::One(zone, Box::default());
        }
        match self {
            Self::One(_, work) => work,
            Self::Many(many) => many.works.entry(zone).or_default(),
            Self::None => unreachable!("it was just entered"),
        }
    }

    /// The work in a zone, which does not wait, is no more.
    fn leave(&mut self, zone: u32) {
        let Self::Many(many) = self else {
            *self = Self::None;
            return;
        };
        many.works.remove(&zone);
        if many.works.len() == 1
            && let Some((last, work)) = many.works.pop_first()
        {
            *self = Self::One(last, work);
        }
    }

    /// Whether the work in a zone waits is another now.
    fn note_waiting(&mut self, waits: bool, name: &Name) {
        match self {
            Self::Many(many) if waits => drop(many.waiting.insert(name.clone())),
            Self::Many(many) => drop(many.waiting.remove(name)),
            Self::None | Self::One(..) => {}
        }
    }

    /// The claim on the work in a zone is another now.
    fn note_claim(&mut self, zone: u32, name: &Name, before: Option<Sequence>, after: Option<Sequence>) {
        let Self::Many(many) = self else { return };
        if let Some(fence) = before {
            many.claimed.remove(&(fence, name.clone()));
        }
        many.claimed.extend(after.map(|fence| ((fence, name.clone()), zone)));
    }
}

impl Picking {
    pub(super) fn waiting_count(&self) -> u64 {
        self.waiting
    }

    pub(super) fn claimed_count(&self) -> u64 {
        self.claimed
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    fn zone(&mut self, site: SiteId, name: &Name) -> u32 {
        if self.sites.len() <= site.index() {
            self.sites.resize_with(site.index() + 1, Default::default);
        }
        let numbers = &mut self.sites[site.index()].numbers;
        if let Some(zone) = numbers.get(name) {
            return *zone;
        }
        let zone =
            u32::try_from(self.zones.len()).expect("there are fewer zones than locations were ever set");
        numbers.insert(name.clone(), zone);
        self.zones.push(Zone { site, name: name.clone(), queue: Queue::default() });
        zone
    }

    fn known_zone(&self, site: SiteId, name: &Name) -> Option<u32> {
        self.sites.get(site.index())?.numbers.get(name).copied()
    }
}

impl Memory {
    /// A location is there now, or is in another zone than before: what is to be picked there is work of that zone.
    pub(super) fn enter_bin(&mut self, location: LocationId) {
        let row = &self.locations[location.index()];
        let zone = self.picking.zone(row.site, &row.zone);
        let Some(bin) = self.picking.bins.get_mut(location.index()) else {
            self.picking.bins.push(Bin { zone, picks: 0 });
            return;
        };
        let before = std::mem::replace(&mut bin.zone, zone);
        if before == zone || bin.picks == 0 {
            return;
        }
        let lines = self.transfer_lines_at(location, usize::MAX).expect("all of them were looked at");
        for (slot, line) in lines {
            let stays =
                self.zones_of(&self.transfers.get(slot).lines[line as usize].line.picks).contains(&before);
            self.change_work(slot, zone, |work| work.lines.insert(line));
            if !stays {
                self.change_work(slot, before, |work| work.lines.remove(&line));
            }
        }
    }

    pub(super) fn strike_bin(&mut self) {
        self.picking.bins.pop();
    }

    /// Lines of transfers with picks at a location, by slot and index; `None` if there are more than `limit` positions
    /// and holders of any kind to look at.
    fn transfer_lines_at(&self, location: LocationId, limit: usize) -> Option<BTreeSet<(u32, u32)>> {
        let mut found = BTreeSet::new();
        if self.picking.bins[location.index()].picks == 0 {
            return Some(found);
        }
        let mut looked = 0;
        for sku in self.by_location.at(location, SkuId(0)) {
            for (place, _) in self.lots_at(location, sku) {
                looked += 1;
                if looked > limit {
                    return None;
                }
                let mut next = self.entry(place).map_or(NOWHERE, |entry| entry.holder);
                while next != NOWHERE {
                    let node = self.holder(next);
                    next = node.links.next;
                    looked += 1;
                    if looked > limit {
                        return None;
                    }
                    if node.kind == HolderKind::Transfer && !found.contains(&(node.slot, node.line)) {
                        let picks = &self.transfers.get(node.slot).lines[node.line as usize].line.picks;
                        if picks.iter().any(|pick| pick.location == location) {
                            found.insert((node.slot, node.line));
                        }
                    }
                }
            }
        }
        Some(found)
    }

    pub(super) fn pickers(&self, location: LocationId, limit: usize) -> Option<Vec<Code>> {
        let lines = self.transfer_lines_at(location, limit)?;
        let mut slots: Vec<u32> = lines.into_iter().map(|(slot, _)| slot).collect();
        slots.dedup();
        let mut ids: Vec<Code> = slots.into_iter().map(|slot| self.transfers.get(slot).id.clone()).collect();
        ids.sort();
        Some(ids)
    }

    /// The zones that picks lie in, each once.
    fn zones_of(&self, picks: &[Pick]) -> SmallVec<[u32; 4]> {
        let mut zones: SmallVec<[u32; 4]> =
            picks.iter().map(|pick| self.picking.bins[pick.location.index()].zone).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// The picks of a line changed.
    pub(super) fn recount(&mut self, slot: u32, line: u32, before: &[Pick]) {
        let after = &self.transfers.get(slot).lines[line as usize].line.picks;
        let at = |pick: &Pick| pick.location;
        if after.iter().map(at).eq(before.iter().map(at)) {
            return;
        }
        let zones = self.zones_of(after);
        let left = self.zones_of(before);
        for pick in after {
            self.picking.bins[pick.location.index()].picks += 1;
        }
        for zone in &zones {
            if left.binary_search(zone).is_err() {
                self.change_work(slot, *zone, |work| work.lines.insert(line));
            }
        }
        self.uncount(slot, line, before, &zones);
    }

    /// A line no longer has these picks. It still has others in the zones that stay, which are sorted.
    pub(super) fn uncount(&mut self, slot: u32, line: u32, before: &[Pick], stay: &[u32]) {
        for zone in self.zones_of(before) {
            if stay.binary_search(&zone).is_err() {
                self.change_work(slot, zone, |work| work.lines.remove(&line));
            }
        }
        for pick in before {
            self.picking.bins[pick.location.index()].picks -= 1;
        }
    }

    /// Changes the work of a transfer in a zone, which begins and ends with its picks and its claim.
    fn change_work<R>(&mut self, slot: u32, zone: u32, change: impl FnOnce(&mut Work) -> R) -> R {
        let row = self.transfers.get_mut(slot);
        let works = &mut row.works;
        let work = works.zones.enter(zone, &self.picking.zones);
        let (waited, fence_before) = (work.waits(), work.fence());
        let answer = change(work);
        let (waits, fence) = (work.waits(), work.fence());
        let is_over = work.lines.is_empty() && fence.is_none();
        let name = &self.picking.zones[zone as usize].name;
        if waited != waits {
            works.zones.note_waiting(waits, name);
        }
        if fence_before != fence {
            works.zones.note_claim(zone, name, fence_before, fence);
        }
        if is_over {
            works.zones.leave(zone);
        }
        match (fence_before.is_some(), fence.is_some()) {
            (false, true) => {
                works.claimed += 1;
                self.picking.claimed += 1;
            }
            (true, false) => {
                works.claimed -= 1;
                self.picking.claimed -= 1;
            }
            _ => {}
        }
        if waited == waits {
            return answer;
        }
        let (made, priority) = (row.transfer.requested, row.transfer.priority);
        let zone = &mut self.picking.zones[zone as usize];
        let site = &mut self.picking.sites[zone.site.index()].queue;
        if waits {
            works.waiting += 1;
            self.picking.waiting += 1;
            zone.queue.insert(made, priority, slot);
            if works.waiting == 1 {
                site.insert(made, priority, slot);
            }
        } else {
            works.waiting -= 1;
            self.picking.waiting -= 1;
            zone.queue.remove(made, priority);
            if works.waiting == 0 {
                site.remove(made, priority);
            }
        }
        answer
    }

    pub(super) fn put_pick_claim(
        &mut self,
        transfer: &Code,
        zone: &Name,
        claim: Option<Box<Claim>>,
    ) -> Option<Box<Claim>> {
        let slot = self.transfer_slot(transfer).expect("a transfer comes before the claims on its picks");
        let number = self.picking.zone(self.transfers.get(slot).transfer.from, zone);
        let id = PickWorkId { transfer: transfer.clone(), zone: zone.clone() };
        let after = claim.as_ref().map(|claim| claim.expires_at);
        let before = self.change_work(slot, number, |work| std::mem::replace(&mut work.claim, claim));
        if let Some(before) = &before {
            self.picking.due.remove(&(before.expires_at, id.clone()));
        }
        if let Some(at) = after {
            self.picking.due.insert((at, id));
        }
        before
    }

    pub(super) fn transfer_pick_work(&self, transfer: &Code, zone: &Name) -> Option<PickWork> {
        let row = self.transfers.get(self.transfer_slot(transfer)?);
        let number = self.picking.known_zone(row.transfer.from, zone)?;
        row.works.get(number).map(|work| self.show_work(number, work))
    }

    pub(super) fn transfer_pick_works(&self, transfer: &Code) -> Vec<PickWork> {
        let Some(slot) = self.transfer_slot(transfer) else { return Vec::new() };
        let works = self.transfers.get(slot).works.each();
        let mut works: Vec<PickWork> = works.map(|(zone, work)| self.show_work(zone, work)).collect();
        // By their names, which every store agrees on.
        works.sort_by(|a, b| a.zone.cmp(&b.zone));
        works
    }

    fn show_work(&self, zone: u32, work: &Work) -> PickWork {
        let zone = self.picking.zones[zone as usize].name.clone();
        let lines = u32::try_from(work.lines.len()).expect("LINES_MAX fits a u32");
        PickWork { zone, lines, claim: work.claim.as_deref().cloned() }
    }

    pub(super) fn transfer_pick_lines(&self, transfer: &Code, zone: &Name) -> Vec<u32> {
        let row = self.transfer_row(transfer);
        let number = self.picking.known_zone(row.transfer.from, zone);
        let work = number.and_then(|number| row.works.get(number));
        work.map_or(Vec::new(), |work| work.lines.iter().copied().collect())
    }

    pub(super) fn transfer_picks_of_lines_in(
        &self,
        transfer: &Code,
        zone: &Name,
    ) -> impl Iterator<Item = Place> {
        let row = self.transfer_row(transfer);
        let number = self.picking.known_zone(row.transfer.from, zone);
        let lines = number.and_then(|number| row.works.get(number)).into_iter().flat_map(|work| &work.lines);
        lines.flat_map(|line| {
            let line = &row.lines[*line as usize].line;
            line.picks.iter().map(|pick| Place { location: pick.location, sku: line.sku, lot: pick.lot })
        })
    }

    fn works_of(&self, transfer: &Code) -> Option<&Works> {
        self.transfer_slot(transfer).map(|slot| &self.transfers.get(slot).works)
    }

    pub(super) fn transfer_unclaimed_zones(&self, transfer: &Code) -> impl Iterator<Item = Name> {
        let works = self.works_of(transfer).into_iter();
        works.flat_map(|works| works.waiting(&self.picking.zones)).cloned()
    }

    pub(super) fn transfer_zones_of_claim(
        &self,
        transfer: &Code,
        fence: Sequence,
    ) -> impl Iterator<Item = (Name, Claim)> {
        let works = self.works_of(transfer).into_iter();
        let zones = works.flat_map(move |works| works.claimed(&self.picking.zones, fence));
        zones.map(|(zone, claim)| (zone.clone(), claim.clone()))
    }

    pub(super) fn transfer_claims(&self, transfer: &Code) -> impl Iterator<Item = (Name, Claim)> {
        let works = self.works_of(transfer).into_iter();
        let claims = works.flat_map(|works| works.claims(&self.picking.zones));
        claims.map(|(zone, claim)| (zone.clone(), claim.clone()))
    }

    pub(super) fn transfer_claim_count(&self, transfer: &Code) -> usize {
        self.works_of(transfer).map_or(0, |works| works.claimed as usize)
    }

    pub(super) fn picks_waiting(
        &self,
        site: SiteId,
        zone: Option<&Name>,
        by: WaitingBy,
    ) -> Box<dyn Iterator<Item = PickWorkId> + '_> {
        let none = || Box::new(std::iter::empty());
        let id = |slot: u32, zone: &Name| {
            let transfer = self.transfers.get(slot).id.clone();
            PickWorkId { transfer, zone: zone.clone() }
        };
        let Some(name) = zone else {
            let Some(zones) = self.picking.sites.get(site.index()) else { return none() };
            return Box::new(zones.queue.slots(by).flat_map(move |slot| {
                let zones = self.transfers.get(slot).works.waiting(&self.picking.zones);
                zones.map(move |zone| id(slot, zone))
            }));
        };
        let Some(number) = self.picking.known_zone(site, name) else { return none() };
        let zone = &self.picking.zones[number as usize];
        Box::new(zone.queue.slots(by).map(move |slot| id(slot, &zone.name)))
    }

    pub(super) fn pick_claims_due(&self, now: Timestamp, limit: usize) -> Vec<(Timestamp, PickWorkId)> {
        self.picking.due.iter().take_while(|(at, _)| *at <= now).take(limit).cloned().collect()
    }

    /// The rows of claims on picks, as [`Memory::rows`] tells them.
    pub(super) fn pick_claim_rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.picking.due.iter().map(|(_, id)| {
            let work = self.transfer_pick_work(&id.transfer, &id.zone).expect("what lapses is claimed");
            let claim = work.claim.map(Box::new);
            Row::PickClaim(id.transfer.clone(), id.zone.clone(), claim)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_takes_little_for_its_work_in_one_zone() {
        assert!(size_of::<Works>() <= 24, "{} bytes", size_of::<Works>());
    }
}
