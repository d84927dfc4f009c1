//! Statements of wallets: what money went in and out, each line with the balance from then on.
//!
//! Every event of money says the balance that it left, so that a statement is read as it is, from wherever it begins.

use jaego_domain::{Event, Refusal, Sequence, Tables};
use jaego_store::{Answer, ReplyTo, StatementFilter, StatementPage, past};

use super::{Ledger, PAGE_MAX, ledger::Chapters, ledger::LED_MAX};
use crate::{
    disk::Disk,
    index::{Error, Key},
};

impl<D: Disk> Ledger<D> {
    pub(super) fn statement(
        &mut self,
        filter: StatementFilter,
        reply: ReplyTo<Answer<Result<StatementPage, Refusal>>>,
    ) {
        match self.past_money(&filter) {
            Ok(answer) => reply.send(Ok(answer)),
            Err(error) => reply.send(Err(error.into())),
        }
    }

    fn past_money(
        &mut self,
        filter: &StatementFilter,
    ) -> Result<Answer<Result<StatementPage, Refusal>>, Error> {
        let clock = (self.now)();
        let owner = filter.owner.clone();
        let (sequence, at, known) = self.see(move |memory| {
            let head = memory.head();
            (head.sequence, clock.max(head.at), past::known_wallet(memory, &owner))
        })?;
        let value = match known {
            Err(refusal) => Err(refusal),
            Ok(()) => self.look_back(|chapters| {
                let start = match chapters.begin_page(filter.since, filter.after, at)? {
                    Ok(start) => start,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                chapters.statement(filter, start, sequence).map(Ok)
            })?,
        };
        Ok(Answer { sequence, at, value })
    }
}

impl<D: Disk> Chapters<'_, D> {
    /// The lines after event `start`, of events up to `upto`.
    fn statement(
        &self,
        filter: &StatementFilter,
        start: u64,
        upto: Sequence,
    ) -> Result<StatementPage, Error> {
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let mut lines = Vec::new();
        let (mut looked, mut last) = (0, None);
        let key = Key::Document(filter.owner.clone());
        let has_more = self.each_event_of(&key, start.saturating_add(1), |event: Event| {
            if event.sequence > upto || filter.until.is_some_and(|until| event.at >= until) {
                last = None;
                return false;
            }
            looked += 1;
            last = Some(event.sequence);
            lines.extend(past::statement_line(&event, filter));
            lines.len() < limit && looked < LED_MAX
        })?;
        Ok(StatementPage { lines, next: last.filter(|_| has_more) })
    }
}
