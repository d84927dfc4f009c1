//! The archive: documents whose story is over, beside the journal instead of in memory.
//!
//! A checkpoint writes the documents that came to rest since the one before into a [run](run), and lists the runs
//! that belong to it. The writer then takes them out of its tables, and whoever names one again waits until it was
//! read: the writer itself never reads disk. Runs are merged when there are many, and removed when no checkpoint
//! lists them. Where a document is in several runs, the newest has it as it is.

mod key;
mod run;
#[cfg(all(test, feature = "sim"))]
mod tests;

use std::{
    cmp::Reverse,
    io,
    iter::Peekable,
    sync::{Arc, Mutex, PoisonError},
};

use jaego_domain::{
    Amount, Code, DocumentKey, Memory, Row, Tables,
    query::{Elsewhere, Period},
    row::{Order, OrderStatus, Proposal, Sale, Transfer},
};
use jaego_store::codec;

use crate::{disk::Disk, fetch::LINES_FETCHED_MAX};
pub(crate) use key::document_of;
use run::{Document, Gap, Run, Start};
#[cfg(feature = "fuzz")]
pub(crate) use run::{mend, name as run_name};

/// Runs of about the same size that are merged into one.
const MERGED: usize = 4;
/// How much larger a run of the next size is.
const LEVEL_FACTOR: u64 = 4;
/// The bytes of the smallest size.
const LEVEL_LEN: u64 = 1 << 20;
/// Transfers that a filtered page of a list reads in the archive at the most.
pub(crate) const LISTED_MAX: usize = 4_096;

/// Why the archive cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk failed or is full.
    #[error("cannot {doing} archive file {file}")]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file's name in the store's folder.
        file: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The bytes are not those that were written.
    #[error("archive file {file} is damaged: {what}")]
    Damaged {
        /// The file's name in the store's folder.
        file: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The rows cannot be read.
    #[error("archive file {file} cannot be decoded")]
    Rows {
        /// The file's name in the store's folder.
        file: String,
        /// Where and why.
        #[source]
        source: codec::Error,
    },
}

impl Error {
    fn io(doing: &'static str, file: &str, source: io::Error) -> Self {
        Self::Io { doing, file: file.to_owned(), source: Arc::new(source) }
    }

    fn damaged(file: &str, what: &'static str) -> Self {
        Self::Damaged { file: file.to_owned(), what }
    }
}

/// The runs that belong to a checkpoint, newest first.
pub struct Archive<D: Disk> {
    runs: Vec<Arc<Run<D::File>>>,
}

impl<D: Disk> Default for Archive<D> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<D: Disk> Clone for Archive<D> {
    fn clone(&self) -> Self {
        Self { runs: self.runs.clone() }
    }
}

/// A document that is in the archive now, and how it was when it was put there.
#[derive(Clone, Debug)]
pub struct Rested {
    key: DocumentKey,
    /// A transfer may have changed since: its totals tell.
    transfer: Option<Box<Transfer>>,
    /// What was paid for an order may be refunded since: this much was then.
    refunded: Option<Amount>,
}

impl Rested {
    /// A document as it is in these tables.
    pub(crate) fn now(key: DocumentKey, memory: &Memory) -> Self {
        let transfer = match &key {
            DocumentKey::Transfer(id) => memory.transfer_header(id).cloned().map(Box::new),
            _ => None,
        };
        Self { refunded: refunded(&key, memory), key, transfer }
    }

    /// Takes the document out of the tables, unless something happened to it since.
    pub(crate) fn leave(&self, memory: &mut Memory) {
        let changed = match (&self.key, &self.transfer) {
            (DocumentKey::Transfer(id), Some(then)) => memory.transfer_header(id) != Some(&**then),
            (key, _) => refunded(key, memory) != self.refunded,
        };
        if !changed && memory.is_at_rest(&self.key) {
            memory.take_out(&self.key);
        }
    }
}

/// How much of what was paid for an order was refunded; `None` of other documents.
fn refunded(key: &DocumentKey, memory: &Memory) -> Option<Amount> {
    let DocumentKey::Order(id) = key else { return None };
    memory.sale(id).map(|sale| sale.refunded)
}

impl<D: Disk> Archive<D> {
    /// Opens the runs of these numbers, newest first; those that `known` has open are not opened again.
    pub(crate) fn open(disk: &D, numbers: &[u64], known: &Self) -> Result<Self, Error> {
        let runs = numbers.iter().map(|number| match known.runs.iter().find(|run| run.number == *number) {
            Some(run) => Ok(run.clone()),
            None => Run::open(disk, *number).map(Arc::new),
        });
        Ok(Self { runs: runs.collect::<Result<_, _>>()? })
    }

    /// The numbers of its runs, newest first.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.runs.iter().map(|run| run.number).collect()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Documents in its runs; one that was brought back and changed counts once in each run that has it.
    pub fn document_count(&self) -> u64 {
        self.runs.iter().map(|run| run.documents).sum()
    }

    /// Whether a document may be in it. `false` is sure.
    pub fn may_have(&self, key: &DocumentKey) -> bool {
        if self.is_empty() {
            return false;
        }
        let hash = key::hash(&key::bytes_of(key));
        self.runs.iter().any(|run| run.may_have(hash))
    }

    /// The rows of a document, in the order in which they are put back; none if it is not in it.
    pub fn get(&self, key: &DocumentKey) -> Result<Vec<Row>, Error> {
        let bytes = key::bytes_of(key);
        let hash = key::hash(&bytes);
        for run in self.runs.iter().filter(|run| run.may_have(hash)) {
            let rows = run.get(key, &bytes)?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    /// All documents, in the order of their keys, each as it was last.
    pub fn documents(&self) -> impl Iterator<Item = Result<Vec<Row>, Error>> + '_ {
        merged_documents(&self.runs).map(|document| document.map(|(_, rows)| rows))
    }

    /// Visits what the orders in it were sold for, and how they stand, without those that are in these tables. It reads the
    /// blocks of orders alone; each that cannot be read is an error, and its orders are passed over in older runs as well, which
    /// have them as they were.
    pub(crate) fn each_sale(
        &self,
        memory: &Memory,
        mut visit: impl FnMut(Result<(OrderStatus, &Sale), Error>),
    ) {
        // By run: they are numbered from the newest on.
        let mut unread: Vec<(usize, Gap)> = Vec::new();
        let mut sources = Vec::new();
        for (run, orders) in self.runs.iter().enumerate() {
            let orders = orders.orders_by_key();
            sources.push(orders.map(move |read| read.map(|order| (run, order)).map_err(|gap| (run, gap))));
        }
        for document in merged(sources, |(_, document): &(usize, Document)| document.0.clone()) {
            let (run, (key, rows)) = match document {
                Ok(document) => document,
                Err((run, gap)) => {
                    visit(Err(gap.error.clone()));
                    unread.push((run, gap));
                    continue;
                }
            };
            unread.retain(|(_, gap)| !gap.is_before(&key));
            if let [Row::Order(_, Some(order)), Row::Sale(_, Some(sale))] = &rows[..]
                && !unread.iter().any(|(newer, gap)| *newer < run && gap.has(&key))
                && !is_in(memory, &rows)
            {
                visit(Ok((order.status, sale)));
            }
        }
    }

    /// Reads all of every run, and proves that its two orders have the same transfers.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.runs.iter().try_for_each(|run| run.check())
    }

    /// At most `limit` transfers that were requested after `after` and in the period, oldest first.
    pub(crate) fn transfers(
        &self,
        after: Option<u64>,
        period: Period,
        limit: usize,
    ) -> Result<Elsewhere, Error> {
        let from = Start { event: after.map_or(0, |after| after.saturating_add(1)), since: period.since };
        let mut transfers = Vec::new();
        for transfer in merged_transfers(&self.runs, from)?.take(limit + 1) {
            let transfer: (Code, Transfer) = transfer?;
            if period.is_over(transfer.1.requested_at) {
                break;
            }
            transfers.push(transfer);
        }
        let more = transfers.len() > limit;
        transfers.truncate(limit);
        let upto = transfers.last().map(|(_, transfer)| transfer.requested).filter(|_| more);
        Ok(Elsewhere { transfers, upto, ..Elsewhere::default() })
    }

    /// At most `limit` orders that were placed after `after` and in the period, oldest first.
    pub(crate) fn orders(
        &self,
        after: Option<u64>,
        period: Period,
        limit: usize,
    ) -> Result<Elsewhere, Error> {
        let from = Start { event: after.map_or(0, |after| after.saturating_add(1)), since: period.since };
        let mut orders: Vec<(Code, Order)> = Vec::new();
        let (mut lines, mut more) = (0, false);
        for order in merged_orders(&self.runs, from)? {
            let order = order?;
            if period.is_over(order.1.placed_at) {
                break;
            }
            // They come with their lines, of which one look brings no more than it does of any document.
            more = orders.len() == limit || lines > LINES_FETCHED_MAX;
            if more {
                break;
            }
            lines += order.1.lines.len();
            orders.push(order);
        }
        let upto = orders.last().map(|(_, order)| order.placed).filter(|_| more);
        Ok(Elsewhere { orders, upto, ..Elsewhere::default() })
    }

    /// At most `limit` proposals that were made after `after`, oldest first.
    pub(crate) fn proposals(&self, after: Option<u64>, limit: usize) -> Result<Elsewhere, Error> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        let mut proposals = Vec::new();
        for proposal in merged_proposals(&self.runs, from).take(limit + 1) {
            proposals.push(proposal?);
        }
        let more = proposals.len() > limit;
        proposals.truncate(limit);
        let upto = proposals.last().map(|(_, proposal)| proposal.proposed).filter(|_| more);
        Ok(Elsewhere { proposals, upto, ..Elsewhere::default() })
    }

    /// Moves the documents that are at rest from the tables into a new run, and merges runs where there are many.
    /// Their content is durable when this returns, their names are after the next sync of the folder.
    pub(crate) fn take_in(&self, disk: &D, memory: &mut Memory) -> Result<(Self, Vec<Rested>), Error> {
        let mut keys: Vec<_> = memory.at_rest().map(|key| (key::bytes_of(&key), key)).collect();
        if keys.is_empty() {
            return Ok((self.clone(), Vec::new()));
        }
        keys.sort_unstable();
        let transfer = |key: &DocumentKey| match key {
            DocumentKey::Transfer(id) => memory.transfer_header(id).map(|row| (id.clone(), row.clone())),
            _ => None,
        };
        let mut transfers: Vec<_> = keys.iter().filter_map(|(_, key)| transfer(key)).collect();
        transfers.sort_unstable_by_key(|(_, transfer)| transfer.requested);
        let order = |key: &DocumentKey| match key {
            DocumentKey::Order(id) => memory.order(id).map(|row| (id.clone(), row)),
            _ => None,
        };
        let mut orders: Vec<_> = keys.iter().filter_map(|(_, key)| order(key)).collect();
        orders.sort_unstable_by_key(|(_, order)| order.placed);
        let proposal = |key: &DocumentKey| match key {
            DocumentKey::Proposal(id) => memory.proposal(id).map(|row| (id.clone(), row)),
            _ => None,
        };
        let mut proposals: Vec<_> = keys.iter().filter_map(|(_, key)| proposal(key)).collect();
        proposals.sort_unstable_by_key(|(_, proposal)| proposal.proposed);
        let number = next_number(disk)?;
        let documents = keys.iter().map(|(bytes, key)| Ok((bytes.clone(), memory.rows_of(key))));
        let (transfers, orders) = (transfers.into_iter().map(Ok), orders.into_iter().map(Ok));
        let proposals = proposals.into_iter().map(Ok);
        run::write(disk, number, keys.len(), documents, transfers, orders, proposals)?;
        let rested: Vec<_> = keys.into_iter().map(|(_, key)| Rested::now(key, memory)).collect();
        rested.iter().for_each(|rested| memory.take_out(&rested.key));
        let mut archive = self.clone();
        archive.runs.insert(0, Arc::new(Run::open(disk, number)?));
        if let Err(error) = archive.merge(disk) {
            // They serve unmerged: damage to one document must not keep all others from being archived.
            tracing::warn!(%error, "runs of the archive cannot be merged and stay as they are");
        }
        Ok((archive, rested))
    }

    /// Merges the newest runs as long as several are of about the same size.
    fn merge(&mut self, disk: &D) -> Result<(), Error> {
        let level = |run: &Run<D::File>| {
            (0..u64::BITS)
                .find(|level| run.len <= LEVEL_LEN.saturating_mul(LEVEL_FACTOR.saturating_pow(*level)))
        };
        while let Some(newest) = self.runs.first() {
            // Whatever is smaller than the run before it goes along: only neighbours in age can be merged.
            let mut size = level(newest);
            let alike = self.runs.iter().take_while(|run| {
                size = size.max(level(run).filter(|level| Some(*level) <= size));
                level(run) <= size
            });
            let count = alike.count();
            if count < MERGED {
                return Ok(());
            }
            let number = next_number(disk)?;
            let runs = &self.runs[..count];
            let documents = runs.iter().map(|run| run.documents).sum::<u64>();
            let count_max = usize::try_from(documents).expect("what was in memory once fits a usize");
            let first = Start::default();
            let (transfers, orders) = (merged_transfers(runs, first)?, merged_orders(runs, first)?);
            let (documents, proposals) = (merged_documents(runs), merged_proposals(runs, 0));
            let written = run::write(disk, number, count_max, documents, transfers, orders, proposals);
            let merged = written.and_then(|()| Run::open(disk, number)).inspect_err(|_| {
                // The first error is the one to tell; the journal may need the room.
                let _ = disk.remove(&run::name(number));
            })?;
            self.runs.splice(..count, [Arc::new(merged)]);
        }
        Ok(())
    }
}

/// The number of the next run: larger than all in the folder.
///
/// A run and a manifest that listed it may just have been removed, after a sync failed. Before the number is used
/// again the removal must be durable: a crash could bring the manifest back, with another run of the number torn.
fn next_number(disk: &impl Disk) -> Result<u64, Error> {
    disk.sync().map_err(|source| Error::io("sync", "of the folder", source))?;
    let names = disk.list().map_err(|source| Error::io("list", "of the folder", source))?;
    Ok(names.iter().filter_map(|name| run::number_of(name)).max().map_or(1, |last| last + 1))
}

/// Removes the runs that no checkpoint lists.
pub(crate) fn prune(disk: &impl Disk, listed: &[u64]) -> Result<(), Error> {
    let names = disk.list().map_err(|source| Error::io("list", "of the folder", source))?;
    for name in names {
        if run::number_of(&name).is_some_and(|number| !listed.contains(&number)) {
            disk.remove(&name).map_err(|source| Error::io("remove", &name, source))?;
        }
    }
    Ok(())
}

/// Whether the tables have the document of these rows themselves, perhaps changed since it was archived.
pub(crate) fn is_in(memory: &Memory, rows: &[Row]) -> bool {
    rows.first().and_then(document_of).is_some_and(|key| memory.has(&key))
}

/// The names of runs' files.
pub(crate) fn files(numbers: &[u64]) -> impl Iterator<Item = String> + '_ {
    numbers.iter().map(|number| run::name(*number))
}

/// The documents of several runs, newest first, in the order of their keys.
fn merged_documents<F: crate::disk::DiskFile>(
    runs: &[Arc<Run<F>>],
) -> impl Iterator<Item = Result<Document, Error>> + '_ {
    merged(runs.iter().map(|run| run.documents()).collect(), |document| document.0.clone())
}

/// The transfers of several runs, newest first, in the order of their requests.
fn merged_transfers<F: crate::disk::DiskFile>(
    runs: &[Arc<Run<F>>],
    from: Start,
) -> Result<impl Iterator<Item = Result<(Code, Transfer), Error>> + '_, Error> {
    let sources = runs.iter().map(|run| run.transfers(from)).collect::<Result<_, _>>()?;
    Ok(merged(sources, |(_, transfer): &(Code, Transfer)| transfer.requested))
}

/// The orders of several runs, newest first, in the order in which they were placed.
fn merged_orders<F: crate::disk::DiskFile>(
    runs: &[Arc<Run<F>>],
    from: Start,
) -> Result<impl Iterator<Item = Result<(Code, Order), Error>> + '_, Error> {
    let sources = runs.iter().map(|run| run.orders(from)).collect::<Result<_, _>>()?;
    Ok(merged(sources, |(_, order): &(Code, Order)| order.placed))
}

/// The proposals of several runs, newest first, in the order in which they were made.
fn merged_proposals<F: crate::disk::DiskFile>(
    runs: &[Arc<Run<F>>],
    from: u64,
) -> impl Iterator<Item = Result<(Code, Proposal), Error>> + '_ {
    merged(runs.iter().map(|run| run.proposals(from)).collect(), |(_, proposal)| proposal.proposed)
}

/// Merges sorted sources. Of equal keys the first source's item stays; an error comes at once.
fn merged<T, E, K: Ord, I: Iterator<Item = Result<T, E>>>(
    sources: Vec<I>,
    key_of: impl Fn(&T) -> K,
) -> impl Iterator<Item = Result<T, E>> {
    let mut sources: Vec<Peekable<I>> = sources.into_iter().map(Iterator::peekable).collect();
    std::iter::from_fn(move || {
        let mut first: Option<(usize, Reverse<K>)> = None;
        for (at, source) in sources.iter_mut().enumerate() {
            match source.peek() {
                None => {}
                Some(Err(_)) => return source.next(),
                Some(Ok(item)) => {
                    let key = Reverse(key_of(item));
                    if first.as_ref().is_none_or(|(_, best)| key > *best) {
                        first = Some((at, key));
                    }
                }
            }
        }
        let (at, Reverse(key)) = first?;
        for source in &mut sources[at + 1..] {
            source.next_if(|item| item.as_ref().is_ok_and(|item| key_of(item) == key));
        }
        sources[at].next()
    })
}

/// What the writer has to know of the archive: which documents are surely not in it.
pub(crate) trait MayHave: Send + Sync {
    /// Whether a document may be in it. `false` is sure.
    fn may_have(&self, key: &DocumentKey) -> bool;
}

impl<D: Disk> MayHave for Archive<D> {
    fn may_have(&self, key: &DocumentKey) -> bool {
        self.may_have(key)
    }
}

/// The archive as it is now, for everybody who reads it.
pub(crate) struct Shelf<D: Disk>(Mutex<Arc<Archive<D>>>);

impl<D: Disk> Shelf<D> {
    pub(crate) fn new(archive: Arc<Archive<D>>) -> Self {
        Self(Mutex::new(archive))
    }

    pub(crate) fn get(&self) -> Arc<Archive<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, archive: Arc<Archive<D>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = archive;
    }
}
