//! Whose holds an adjustment cuts: just as much as has to be, of those that it may cut, in the order of their text.

use jaego_domain::{
    Decision, Fact, LotId, Memory, Place, Refusal, Tables,
    command::{Adjust, AdjustLine, Change, HolderName, Release},
    event::Freed,
    row::Holder,
};

use super::Naive;

impl Naive {
    /// Whether what was decided, on the books as they are, releases what was asked for and no more. A refusal is held
    /// against its numbers where no earlier line has changed them.
    pub(crate) fn releases_as_asked(
        &self,
        command: &Adjust,
        memory: &Memory,
        decided: &Result<Decision, Refusal>,
    ) -> bool {
        let may_be_cut = |holder: &Holder| match &command.release {
            None => false,
            Some(Release::All) => true,
            Some(Release::Of(names)) => {
                names.contains(&HolderName { kind: holder.kind, id: holder.id.clone() })
            }
        };
        let decided = decided.as_ref().map_err(|refusal| match refusal {
            Refusal::OfLine { refusal, .. } => &**refusal,
            other => other,
        });
        match decided {
            Ok(Decision::Event(event)) => {
                let lines = match &event.fact {
                    Fact::Adjusted { lines, .. } => lines,
                    // It was adjusted under this id before, and its key is noted anew.
                    Fact::RequestNoted { .. } => return true,
                    _ => return false,
                };
                let (mut held, mut on_hand) = (self.held.clone(), self.on_hand.clone());
                lines.iter().all(|line| {
                    let there = on_hand.entry(line.place).or_default();
                    *there = if line.increase {
                        *there + line.quantity.get()
                    } else {
                        *there - line.quantity.get()
                    };
                    let at_place = held.iter_mut().filter(|((_, place), _)| *place == line.place);
                    let mut pieces: Vec<_> = at_place.collect();
                    let all: u64 = pieces.iter().map(|(_, quantity)| **quantity).sum();
                    let mut rest = all.saturating_sub(*there);
                    let mut cut = Vec::new();
                    for ((holder, _), quantity) in &mut pieces {
                        let part = rest.min(**quantity);
                        if part > 0 && may_be_cut(holder) {
                            cut.push((holder.clone(), part));
                            rest -= part;
                            **quantity -= part;
                        }
                    }
                    let told = |freed: &Freed| (freed.holder.clone(), freed.quantity.get());
                    rest == 0 && cut == line.freed.iter().map(told).collect::<Vec<_>>()
                })
            }
            Err(Refusal::StockHeld { .. }) => command.release.is_none(),
            Err(Refusal::HeldByOthers { to_release, releasable, .. }) => {
                let [line] = command.lines.as_slice() else { return releasable < to_release };
                let place = place(line, memory);
                let left = match line.change {
                    Change::Add(..) => return false,
                    Change::Remove(quantity, _) => self.on_hand(place) - quantity.get(),
                    Change::Counted(quantity) => quantity.get(),
                };
                let cut = self.held.iter().filter(|((holder, at), _)| *at == place && may_be_cut(holder));
                let cut: u64 = cut.map(|(_, quantity)| *quantity).sum();
                let lacking = self.held(place) - left;
                cut < lacking && (to_release.get(), releasable.get()) == (lacking, cut)
            }
            _ => true,
        }
    }
}

/// The place that a line names, all of which the books know.
fn place(line: &AdjustLine, memory: &Memory) -> Place {
    let site = memory.site_id(&line.site).unwrap();
    let location = memory.location_id(site, &line.location).unwrap();
    let sku = memory.sku_id(&line.sku).unwrap();
    let lot = line.lot.as_ref().map_or(LotId::NONE, |lot| memory.lot_id(sku, lot).unwrap());
    Place { location, sku, lot }
}
