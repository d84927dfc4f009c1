//! Pages of the feed of events.

use jaego_domain::Sequence;
use jaego_store::{EventPage, ReplyTo, render};

use super::{Ledger, PAGE_MAX, ToShow};
use crate::disk::Disk;

/// Parts of events (lines, picks, cut holds) after which a page of the feed ends.
const PAGE_PARTS_MAX: usize = 10_000;
/// Events of transfers after which it ends: each may have to be fetched from the archive, lines and all. Where their
/// lines are too many for one look there, it ends before.
const PAGE_TRANSFERS_MAX: usize = 256;

impl<D: Disk> Ledger<D> {
    pub(super) fn events(&self, after: Sequence, limit: usize, reply: ReplyTo<EventPage>) {
        let mut events = Vec::new();
        let (mut parts, mut transfers) = (0, 0);
        let limit = limit.clamp(1, PAGE_MAX);
        let read = self.past.each_event(&self.indexes, after.next(), |event| {
            parts += event.fact.part_count();
            event.fact.each_transfer(|_| transfers += 1);
            events.push(event);
            events.len() < limit && parts < PAGE_PARTS_MAX && transfers < PAGE_TRANSFERS_MAX
        });
        if let Err(error) = read {
            return reply.send(Err(error.into()));
        }
        let durable = Sequence(self.past.reader.durable_sequence());
        self.past.show(events, move |shown| {
            let page = shown.map(|ToShow { memory, events, .. }| {
                let events = events.iter().map(|event| render::event_view(memory, event)).collect();
                EventPage { events, durable }
            });
            Box::new(move |still| reply.send(still.and(page)))
        });
    }
}
