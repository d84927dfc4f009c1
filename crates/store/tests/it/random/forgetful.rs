//! Tables that keep no document at rest: each leaves after every command and comes back when it is named. Whatever is
//! asked, they must answer like tables that never forget.

use std::collections::BTreeMap;

use jaego_domain::{
    DocumentKey, Event, Memory, Outcome, Query, Refusal, Request, Row, Tables, Timestamp, View, apply,
    outcome,
    query::Elsewhere,
    row::{Order, Proposal, Transfer},
    turn::{self, Accepted},
};

#[derive(Default)]
pub(crate) struct Forgetful {
    memory: Memory,
    shelf: BTreeMap<DocumentKey, Vec<Row>>,
}

impl Forgetful {
    fn fetch(&mut self, key: &DocumentKey) {
        if self.memory.has(key) {
            return;
        }
        for row in self.shelf.get(key).into_iter().flatten() {
            self.memory.put(row.clone());
        }
    }

    fn fetch_for(&mut self, event: &Event) {
        let mut named = Vec::new();
        event.fact.each_document(|key| named.push(key));
        named.iter().for_each(|key| self.fetch(key));
    }

    fn forget(&mut self) {
        let keys: Vec<_> = self.memory.at_rest().collect();
        for key in keys {
            let rows = self.memory.rows_of(&key);
            self.memory.take_out(&key);
            assert!(!self.memory.has(&key), "what was taken out is gone: {key:?}");
            self.shelf.insert(key, rows);
        }
    }

    /// Applies an event, as a recovery does.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.fetch_for(event);
        apply(&mut self.memory, event);
        self.forget();
    }

    /// Lapses what is due.
    pub(crate) fn sweep(&mut self, clock: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        turn::sweep(&mut self.memory, clock, &mut events);
        self.forget();
        events
    }

    pub(crate) fn submit(
        &mut self,
        request: &Request,
        now: Timestamp,
    ) -> (Result<Accepted, Refusal>, Vec<Event>) {
        self.fetch_named(std::slice::from_ref(request));
        let mut events = Vec::new();
        let answer = turn::submit(&mut self.memory, request, now, &mut events);
        self.forget();
        (answer.map(|(accepted, _)| accepted), events)
    }

    pub(crate) fn submit_atomic(&mut self, requests: &[Request], now: Timestamp) -> Vec<Event> {
        self.fetch_named(requests);
        let mut events = Vec::new();
        // Whether it was refused shows in the events.
        let _ = turn::submit_atomic(&mut self.memory, requests, now, &mut events);
        self.forget();
        events
    }

    fn fetch_named(&mut self, requests: &[Request]) {
        for request in requests {
            request.command().each_document(|key| self.fetch(&key));
        }
    }

    /// What came of an event, told again.
    pub(crate) fn outcome(&mut self, event: &Event) -> Outcome {
        self.fetch_for(event);
        let told = outcome(&self.memory, event);
        self.forget();
        told
    }

    pub(crate) fn query(&mut self, query: &Query, now: Timestamp) -> Result<View, Refusal> {
        if let Some(key) = query.document() {
            self.fetch(&key);
        }
        let elsewhere = match query {
            Query::Transfers { page, .. } => self.elsewhere(page.after, page.limit),
            Query::Orders { page, .. } => self.orders_elsewhere(page.after, page.limit),
            Query::Proposals { page, .. } => self.proposals_elsewhere(page.after, page.limit),
            _ => Elsewhere::default(),
        };
        let view = self.memory.query_with(query, now, &elsewhere).map(|shown| shown.view);
        self.forget();
        view
    }

    /// As many transfers of the shelf as a page could show, after the one that the last page ended on.
    fn elsewhere(&self, after: Option<u64>, limit: usize) -> Elsewhere {
        let headers = self.shelf.values().filter_map(|rows| match rows.first() {
            Some(Row::Transfer(id, Some(transfer))) => Some((id.clone(), Transfer::clone(transfer))),
            _ => None,
        });
        let mut transfers: Vec<_> =
            headers.filter(|(_, transfer)| after.is_none_or(|after| transfer.requested.0 > after)).collect();
        transfers.sort_unstable_by_key(|(_, transfer)| transfer.requested);
        let more = transfers.len() > limit;
        transfers.truncate(limit);
        let upto = transfers.last().map(|(_, transfer)| transfer.requested).filter(|_| more);
        Elsewhere { transfers, upto, ..Elsewhere::default() }
    }

    /// The same of orders.
    fn orders_elsewhere(&self, after: Option<u64>, limit: usize) -> Elsewhere {
        let orders = self.shelf.values().filter_map(|rows| match rows.first() {
            Some(Row::Order(id, Some(order))) => Some((id.clone(), Order::clone(order))),
            _ => None,
        });
        let mut orders: Vec<_> =
            orders.filter(|(_, order)| after.is_none_or(|after| order.placed.0 > after)).collect();
        orders.sort_unstable_by_key(|(_, order)| order.placed);
        let more = orders.len() > limit;
        orders.truncate(limit);
        let upto = orders.last().map(|(_, order)| order.placed).filter(|_| more);
        Elsewhere { orders, upto, ..Elsewhere::default() }
    }

    /// The same of proposals.
    fn proposals_elsewhere(&self, after: Option<u64>, limit: usize) -> Elsewhere {
        let proposals = self.shelf.values().filter_map(|rows| match rows.first() {
            Some(Row::Proposal(id, Some(row))) => Some((id.clone(), Proposal::clone(row))),
            _ => None,
        });
        let mut proposals: Vec<_> =
            proposals.filter(|(_, row)| after.is_none_or(|after| row.proposed.0 > after)).collect();
        proposals.sort_unstable_by_key(|(_, row)| row.proposed);
        let more = proposals.len() > limit;
        proposals.truncate(limit);
        let upto = proposals.last().map(|(_, row)| row.proposed).filter(|_| more);
        Elsewhere { proposals, upto, ..Elsewhere::default() }
    }

    /// All rows, those of the shelf included.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.memory.rows().chain(self.shelf.values().flatten().cloned()).collect()
    }
}
