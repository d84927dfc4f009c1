//! Documents that left memory, on their way to a job that names them.

use std::collections::HashSet;

use jaego_domain::{DocumentKey, Memory, Query, Row, Tables, query::Elsewhere};
use jaego_store::Failure;

use crate::{
    archive::{self, Archive, LISTED_MAX, Rested},
    core::Job,
    disk::Disk,
    engine::error_chain,
};

/// Lines of archived documents that one look brings, and those of the document that reaches it. A batch that names more
/// is fetched for again on its way, a page of the history ends early, and an atomic batch is refused.
pub const LINES_FETCHED_MAX: usize = 65_536;

/// What the archive had for a job; most jobs want nothing from it.
#[derive(Default)]
pub struct Fetched(Option<Box<Found>>);

/// What the archive had, and when that was.
struct Found {
    /// The archive's runs then: rows of another archive are no longer how the document is.
    runs: Vec<u64>,
    looked_up: HashSet<DocumentKey>,
    rows: Vec<Row>,
    elsewhere: Elsewhere,
}

static NOTHING: Elsewhere =
    Elsewhere { transfers: Vec::new(), orders: Vec::new(), proposals: Vec::new(), upto: None };

impl Fetched {
    /// Whether it was fetched from the archive of these runs.
    pub(crate) fn is_of(&self, runs: &[u64]) -> bool {
        self.0.as_ref().is_some_and(|found| found.runs == runs)
    }

    /// Whether anything was looked for.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this document was looked for.
    pub(crate) fn has_looked_up(&self, key: &DocumentKey) -> bool {
        self.0.as_ref().is_some_and(|found| found.looked_up.contains(key))
    }

    /// The documents of a list that left memory.
    pub(crate) fn elsewhere(&self) -> &Elsewhere {
        self.0.as_ref().map_or(&NOTHING, |found| &found.elsewhere)
    }

    /// Puts the documents into the tables that are not there, and says which those are.
    pub(crate) fn lend(&self, memory: &mut Memory) -> Vec<Rested> {
        let mut lent: Vec<DocumentKey> = Vec::new();
        for row in self.0.iter().flat_map(|found| &found.rows) {
            let key = archive::document_of(row).expect("only documents are archived");
            // A transfer's lines follow its header.
            if lent.last() == Some(&key) {
                memory.put(row.clone());
            } else if !memory.has(&key) {
                memory.put(row.clone());
                lent.push(key);
            }
        }
        lent.into_iter().map(|key| Rested::now(key, memory)).collect()
    }
}

impl Job {
    /// Reads what the job names and the archive has, as far as it needs it or the bound goes.
    ///
    /// # Errors
    /// If the archive cannot be read, or an atomic batch names documents of more than [`LINES_FETCHED_MAX`] lines there:
    /// it would need all of them at once. Counting ends with the document that reaches the limit.
    pub fn fetch<D: Disk>(&mut self, archive: &Archive<D>) -> Result<(), Failure> {
        let mut fetched = Found {
            runs: archive.numbers(),
            looked_up: HashSet::new(),
            rows: Vec::new(),
            elsewhere: Elsewhere::default(),
        };
        let (mut named, mut lines) = (0, 0);
        let mut looked = Ok(());
        let needed = self.needed();
        self.each_document(|key| {
            named += 1;
            let is_enough = lines > LINES_FETCHED_MAX && named > needed;
            if looked.is_err() || is_enough || !archive.may_have(&key) {
                return;
            }
            match archive.get(&key) {
                Ok(rows) if fetched.looked_up.insert(key) => {
                    lines += rows.iter().map(line_count).sum::<usize>();
                    fetched.rows.extend(rows);
                }
                Ok(_) => {}
                Err(error) => looked = Err(unreadable(&error)),
            }
        });
        looked?;
        if self.is_atomic() && lines > LINES_FETCHED_MAX {
            let what = "lines of archived documents in an atomic batch";
            return Err(Failure::TooLarge { what, count: lines, max: LINES_FETCHED_MAX });
        }
        if let Self::Query { query: Query::Transfers { status, from, to, worker, requested, page }, .. } =
            self
        {
            let is_filtered = status.is_some() || from.is_some() || to.is_some() || worker.is_some();
            let limit = if is_filtered { LISTED_MAX } else { page.limit.min(LISTED_MAX) };
            let listed = archive.transfers(page.after, *requested, limit.max(1));
            fetched.elsewhere = listed.map_err(|error| unreadable(&error))?;
        }
        if let Self::Query {
            query: Query::Orders { site, status, customer, worker, allocated, placed, page },
            ..
        } = self
        {
            let named = [site, customer, worker].iter().any(|named| named.is_some());
            let is_filtered = named || status.is_some() || allocated.is_some();
            let limit = if is_filtered { LISTED_MAX } else { page.limit.min(LISTED_MAX) };
            let listed = archive.orders(page.after, *placed, limit.max(1));
            fetched.elsewhere = listed.map_err(|error| unreadable(&error))?;
        }
        if let Self::Query { query: Query::Proposals { card, owner, status, page }, .. } = self {
            let is_filtered = card.is_some() || owner.is_some() || status.is_some();
            let limit = if is_filtered { LISTED_MAX } else { page.limit.min(LISTED_MAX) };
            fetched.elsewhere =
                archive.proposals(page.after, limit.max(1)).map_err(|error| unreadable(&error))?;
        }
        *self.fetched_mut() = Fetched(Some(Box::new(fetched)));
        Ok(())
    }
}

fn unreadable(error: &archive::Error) -> Failure {
    let detail = error_chain(error);
    tracing::error!(%detail, "the archive cannot be read");
    Failure::HistoryUnreadable { detail }
}

fn line_count(row: &Row) -> usize {
    match row {
        Row::Lines(_, Some(lines)) => lines.len(),
        Row::Hold(_, Some(hold)) => hold.lines.len(),
        Row::Order(_, Some(order)) => order.lines.len(),
        Row::Cart(_, Some(cart)) => cart.lines.len(),
        // Counted with its order.
        Row::Sale(..) => 0,
        _ => 1,
    }
}
