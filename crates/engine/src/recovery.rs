//! Opens a store's folder: the newest good checkpoint, and then every event since.

use std::{io, sync::Arc};

use jaego_domain::{
    Event, Memory, Sequence, Tables, WARM_MAX, add_left, apply, apply_for_good,
    check::{Proof, check},
};
use jaego_store::codec::{self, row};

use crate::{
    ahead::{self, Hands},
    archive::{self, Archive, Rested},
    bundle::Bundle,
    checkpoint,
    disk::{Disk, DiskFile, WriteError},
    engine::error_chain,
    journal::{self, Journal, Reader, Recovery, Report, StoreId},
    ledger::Ledger,
    state::{Sum, hash_without_sold, state_hash},
};

/// Says that a store lives here, so that a folder that lost its journal is not taken for a new one.
pub(crate) const MARKER: &str = "store";

/// Why a store does not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The journal does not open.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// No checkpoint can be used, and the journal does not begin early enough to do without.
    #[error(
        "no checkpoint can be used, and the journal has no event {first}: try `jaego restore` with the newest backup"
    )]
    NoCheckpoint {
        /// The first event that would have to be replayed.
        first: u64,
        /// What is wrong with the newest checkpoint.
        #[source]
        source: Option<Box<Error>>,
    },
    /// A checkpoint can be read, and a document in its archive that a later event changes cannot.
    #[error(
        "the archive of the checkpoint of event {checkpoint} cannot give back a document that event {event} changes"
    )]
    Unarchived {
        /// The checkpoint's last event.
        checkpoint: Sequence,
        /// The event that was to be applied.
        event: Sequence,
        /// What is wrong with the archive.
        #[source]
        source: archive::Error,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// The archive of finished documents cannot be read or written.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The disk failed.
    #[error("cannot {doing} {file}")]
    Io {
        /// The verb: what was being done.
        doing: &'static str,
        /// The file.
        file: &'static str,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A frame's events cannot be read.
    #[error("the frame of event {sequence} cannot be decoded: it was written by a newer version, or by none")]
    Decode {
        /// Its first event.
        sequence: u64,
        /// Where and why.
        #[source]
        source: codec::Error,
    },
    /// The folder is a store's, and its journal is gone.
    #[error(
        "this is the folder of a store whose journal is gone: try `jaego restore` with the newest backup"
    )]
    JournalGone,
    /// A checkpoint of another store.
    #[error("the checkpoint of event {sequence} belongs to another store")]
    OtherStore {
        /// Its last event.
        sequence: Sequence,
    },
    /// The books do not balance.
    #[error("the books are wrong: {}", .0.join("; "))]
    Books(Vec<String>),
}

impl Error {
    /// Whether a file of a checkpoint or of its archive is not there.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Checkpoint(source) => source.is_gone(),
            Self::Archive(archive::Error::Io { source, .. }) => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// An opened store.
pub struct Recovered<D: Disk> {
    /// The journal, ready for the next event.
    pub journal: Journal<Arc<D>>,
    /// The disk that it is on.
    pub disk: Arc<D>,
    /// The tables after the last durable event, without the documents that are in the archive alone.
    pub memory: Memory,
    /// The documents that left memory.
    pub archive: Arc<Archive<D>>,
    /// What opening the journal found.
    pub report: Report,
    /// The checkpoint that was loaded, if any.
    pub checkpoint: Option<Sequence>,
    /// Events that were replayed from the journal.
    pub replayed: u64,
    /// Checkpoints that could not be used and were passed over, newest first. They stay on the disk.
    pub passed_over: Vec<Error>,
    /// Whether the store was made just now.
    pub is_new: bool,
}

/// Opens the store in a folder, and makes one in an empty folder. `progress` is told how many events were
/// replayed so far; it begins anew when a checkpoint turns out to be of no use.
///
/// A checkpoint that cannot be read, or whose archive lacks a document that replay needs, is passed over for the one
/// before it, and in the end for the journal alone.
///
/// # Errors
/// If the folder's files are damaged in a way that a crash cannot explain. Nothing was changed then.
pub fn open<D: Disk>(
    disk: D,
    config: journal::Config,
    mut progress: impl FnMut(u64),
) -> Result<Recovered<D>, Error> {
    let disk = Arc::new(disk);
    let list = || -> Result<Vec<String>, Error> {
        disk.list().map_err(|source| failed("list", "the folder", source))
    };
    let has_marker = list()?.iter().any(|name| name == MARKER);
    let mut passed_over = PassedOver::default();
    let known = Archive::default();
    let replayed = from_newest(&*disk, &known, Hands::Two, &mut passed_over, |start, passed_over| {
        replay_all(&disk, config, start, passed_over, &mut progress)
    });
    let (recovery, Start { manifest, memory, archive }) = match replayed {
        Ok(replayed) => replayed,
        Err(Error::Journal(journal::Error::NotFound)) if !has_marker && passed_over.is_empty() => {
            return create(disk, config);
        }
        Err(Error::Journal(journal::Error::NotFound)) => return Err(Error::JournalGone),
        Err(error) => return Err(error),
    };
    let (journal, report) = recovery.finish()?;
    assert_eq!(
        memory.head().sequence.next().0,
        report.next_sequence,
        "every event of the journal was applied"
    );
    if !has_marker {
        write_marker(&disk, journal.store())?;
    }
    let archive = Arc::new(archive);
    let checkpoint = manifest.map(|manifest| manifest.sequence);
    let passed_over = passed_over.0.into_iter().map(|(_, error)| error).collect();
    let replayed = memory.head().sequence.0 - checkpoint.map_or(0, |checkpoint| checkpoint.0);
    Ok(Recovered { journal, disk, memory, archive, report, checkpoint, replayed, passed_over, is_new: false })
}

/// Applies what the journal has after a checkpoint, or all of it. Nothing on the disk is changed.
fn replay_all<D: Disk>(
    disk: &Arc<D>,
    config: journal::Config,
    mut start: Start<D>,
    passed_over: &PassedOver,
    progress: &mut impl FnMut(u64),
) -> Result<(Recovery<Arc<D>>, Start<D>), Error> {
    let from = start.memory.head().sequence.next();
    let mut recovery = match Journal::open(disk.clone(), config, from.0) {
        Ok(recovery) => recovery,
        // The journal of a store with a checkpoint was there once.
        Err(journal::Error::NotFound) if start.manifest.is_some() => return Err(Error::JournalGone),
        Err(journal::Error::Missing { sequence, .. })
            if sequence == from.0 && (start.manifest.is_none() || !passed_over.is_empty()) =>
        {
            let source = passed_over.0.first().map(|(_, error)| Box::new(error.clone()));
            return Err(Error::NoCheckpoint { first: sequence, source });
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(manifest) = start.manifest.as_ref().filter(|manifest| manifest.store != recovery.store()) {
        return Err(Error::OtherStore { sequence: manifest.sequence });
    }
    let next = || {
        let mut bundle = Bundle::default();
        while !bundle.is_full()
            && let Some(frame) = recovery.next()?
        {
            bundle.push(&frame);
        }
        Ok(bundle.not_empty())
    };
    start.replay(Hands::Two, next, progress)?;
    Ok((recovery, start))
}

/// Where a recovery begins: a checkpoint that was read, or empty tables.
struct Start<D: Disk> {
    manifest: Option<checkpoint::Manifest>,
    memory: Memory,
    archive: Archive<D>,
}

/// Checkpoints that could not be used, newest first, each with the reason.
#[derive(Default)]
struct PassedOver(Vec<(Sequence, Error)>);

impl PassedOver {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Has `recover` go on from the newest checkpoint that can be used, or from empty tables where none can. `known` is the
/// archive that is open already.
fn from_newest<D: Disk, T>(
    disk: &D,
    known: &Archive<D>,
    hands: Hands,
    passed_over: &mut PassedOver,
    mut recover: impl FnMut(Start<D>, &PassedOver) -> Result<T, Error>,
) -> Result<T, Error> {
    for sequence in checkpoint::list(disk)? {
        let loaded = checkpoint::load_with(disk, sequence, hands).map_err(Error::from);
        let loaded = loaded.and_then(|(manifest, mut memory)| {
            let archive = Archive::open(disk, &manifest.archive, known)?;
            if !manifest.counts_sold {
                count_sold(&mut memory, &archive, sequence);
            }
            Ok(Start { manifest: Some(manifest), memory, archive })
        });
        let error = match loaded {
            Ok(start) => match recover(start, passed_over) {
                Err(error @ Error::Unarchived { .. }) => error,
                ended => return ended,
            },
            Err(error) => error,
        };
        passed_over.0.push((sequence, error));
    }
    recover(Start { manifest: None, memory: Memory::new(), archive: Archive::default() }, passed_over)
}

/// Counts in the wallets of an older checkpoint what was paid for orders. What cannot be read is not counted: an order of it
/// then gives back no more than its owner has paid in all, and the rest of the store is served.
fn count_sold<D: Disk>(memory: &mut Memory, archive: &Archive<D>, checkpoint: Sequence) {
    let mut sold = memory.sold();
    let mut unread = Vec::new();
    archive.each_sale(memory, |sale| match sale {
        Ok((status, sale)) => add_left(&mut sold, sale, status),
        Err(error) => unread.push(error),
    });
    memory.note_sold(sold);
    if let Some(first) = unread.first() {
        let (blocks, detail) = (unread.len(), error_chain(first));
        tracing::warn!(
            %checkpoint,
            blocks,
            %detail,
            "orders in the archive of an older checkpoint cannot be read: what was paid for them is not counted"
        );
    }
}

/// A checkpoint that was written.
pub struct Written<D: Disk> {
    /// The last event in it.
    pub sequence: Sequence,
    /// Bytes of its rows.
    pub rows_len: u64,
    /// The archive that belongs to it.
    pub archive: Arc<Archive<D>>,
    /// What came into the archive with it: it may leave the tables of whoever goes on deciding.
    pub rested: Vec<Rested>,
}

/// Recovers from the newest checkpoint that can be used through event `upto`, of a sealed segment, moves the documents
/// that came to rest into the archive, writes down where it got to, and removes old checkpoints. The journal may be
/// written meanwhile. `known` is the archive that is open already.
///
/// # Errors
/// If the disk fails or is full, or the journal no longer begins where a checkpoint that can be used ends.
pub fn write_checkpoint<D: Disk>(
    disk: &D,
    reader: &Reader<Arc<D>>,
    known: &Archive<D>,
    upto: Sequence,
) -> Result<Written<D>, Error> {
    let mut passed_over = PassedOver::default();
    // One hand: the service that decides meanwhile needs the other processor.
    let replayed = from_newest(disk, known, Hands::One, &mut passed_over, |mut start, _| {
        let mut last = start.memory.head().sequence.0;
        let mut frames = reader.frames_from(last + 1)?;
        let next = || {
            let mut bundle = Bundle::default();
            while !bundle.is_full()
                && last < upto.0
                && let Some(frame) = frames.next()?
            {
                last = frame.last_sequence();
                bundle.push(&frame);
            }
            Ok(bundle.not_empty())
        };
        start.replay(Hands::One, next, &mut |_| {})?;
        Ok(start)
    });
    for (_, error) in &passed_over.0 {
        let detail = error_chain(error);
        tracing::warn!(%detail, "a checkpoint cannot be used and is passed over");
    }
    let Start { mut memory, archive, .. } = replayed?;
    let written = archive.take_in(disk, &mut memory).map_err(Error::from).and_then(|(archive, rested)| {
        let manifest = checkpoint::write(disk, reader.store(), &memory, &archive.numbers())?;
        let (sequence, rows_len) = (manifest.sequence, manifest.rows_len());
        Ok(Written { sequence, rows_len, archive: Arc::new(archive), rested })
    });
    let written = written.inspect_err(|_| {
        // The first error is the one to tell; the journal may need the room of what was written so far.
        let _ = prune_runs(disk);
    })?;
    // The checkpoint is durable and has to be told about, or what came to rest in it would never leave the writer's
    // tables. What is left over goes with the next one.
    let useless: Vec<_> = passed_over.0.iter().map(|(sequence, _)| *sequence).collect();
    let pruned = checkpoint::prune(disk, &useless).map_err(Error::from).and_then(|()| prune_runs(disk));
    if let Err(error) = pruned {
        tracing::warn!(%error, "old checkpoints cannot be removed and stay until the next one");
    }
    Ok(written)
}

/// Removes the archive's runs that no checkpoint lists.
fn prune_runs(disk: &impl Disk) -> Result<(), Error> {
    if let Some(listed) = checkpoint::listed_runs(disk)? {
        archive::prune(disk, &listed)?;
    }
    Ok(())
}

fn create<D: Disk>(disk: Arc<D>, config: journal::Config) -> Result<Recovered<D>, Error> {
    let store = StoreId(random_id()?);
    let journal = Journal::create(disk.clone(), config, store, 1)?;
    write_marker(&disk, store)?;
    let report = Report { next_sequence: 1, segments: 1, frames: 0, cut: None };
    let memory = Memory::new();
    Ok(Recovered {
        journal,
        disk,
        memory,
        archive: Arc::default(),
        report,
        checkpoint: None,
        replayed: 0,
        passed_over: Vec::new(),
        is_new: true,
    })
}

fn random_id() -> Result<u128, Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        failed("read", "the system's random numbers", io::Error::other(error.to_string()))
    })?;
    Ok(u128::from_le_bytes(id))
}

fn write_marker(disk: &Arc<impl Disk>, store: StoreId) -> Result<(), Error> {
    let text = format!("{:032x}\n", store.0);
    let file = disk.create(MARKER, text.len() as u64).map_err(|source| failed("create", MARKER, source))?;
    let written = file.write_all_at(text.as_bytes(), 0);
    written.map_err(|WriteError { source, .. }| failed("write", MARKER, source))?;
    file.sync_data().map_err(|source| failed("sync", MARKER, source))?;
    disk.sync().map_err(|source| failed("sync", "the folder", source))
}

fn failed(doing: &'static str, file: &'static str, source: io::Error) -> Error {
    Error::Io { doing, file, source: Arc::new(source) }
}

impl<D: Disk> Start<D> {
    /// Applies the events of frames that the tables have not seen yet, and tells how many there were so far.
    fn replay(
        &mut self,
        hands: Hands,
        next: impl FnMut() -> Result<Option<Bundle>, Error>,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), Error> {
        let from = self.memory.head().sequence;
        ahead::in_order(hands, next, Bundle::decode, |events: Result<Vec<Event>, Error>| {
            self.apply_all(&events?)?;
            progress(self.memory.head().sequence.0 - from.0);
            Ok(())
        })
    }

    /// Applies those of the events that the tables have not seen yet. A document that left memory comes back for an
    /// event that changes it.
    fn apply_all(&mut self, events: &[Event]) -> Result<(), Error> {
        let seen = self.memory.head().sequence;
        let new = &events[events.partition_point(|event| event.sequence <= seen)..];
        for events in new.chunks(WARM_MAX) {
            self.memory.warm_events(events);
            for event in events {
                if !self.archive.is_empty() {
                    self.bring_back(event)?;
                }
                apply_for_good(&mut self.memory, event);
            }
        }
        Ok(())
    }

    fn bring_back(&mut self, event: &Event) -> Result<(), Error> {
        let mut named = Vec::new();
        event.fact.each_document(|key| named.push(key));
        for key in named {
            if self.memory.has(&key) {
                continue;
            }
            let rows = self.archive.get(&key).map_err(|source| Error::Unarchived {
                checkpoint: self.manifest.as_ref().map_or(Sequence(0), |manifest| manifest.sequence),
                event: event.sequence,
                source,
            })?;
            for row in rows {
                self.memory.put(row);
            }
        }
        Ok(())
    }
}

impl<D: Disk> Recovered<D> {
    /// The hash of all rows, those of the archive included: equal for equal books, wherever their documents are.
    ///
    /// # Errors
    /// If the archive cannot be read.
    pub fn state_hash(&self) -> Result<u128, Error> {
        let mut sum = Sum::default();
        let mut encoder = row::Encoder::new();
        for rows in self.archive.documents() {
            let rows = rows?;
            if archive::is_in(&self.memory, &rows) {
                continue;
            }
            for row in rows {
                sum.push(&mut encoder, &row);
                encoder.clear();
            }
        }
        Ok(sum.hash.wrapping_add(state_hash(&self.memory)))
    }
}

/// What [`verify`] proved.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The last event.
    pub sequence: Sequence,
    /// The hash of all rows.
    pub hash: u128,
    /// The same without what wallets say of payments for orders: the hash that versions made which did not count them.
    pub hash_without_sold: u128,
    /// The laws' numbers.
    pub proof: Proof,
    /// Events that were replayed from the journal: all that it has where it goes back to the first one, and otherwise
    /// those after the checkpoint.
    pub events: u64,
    /// Movements that were summed.
    pub movements: u64,
    /// The checkpoint that was held against the replay, if the journal still begins at the beginning.
    pub checkpoint: Option<Sequence>,
    /// Checkpoints that could not be used and were passed over, newest first.
    pub passed_over: Vec<Error>,
    /// A torn tail that was cut, never acknowledged.
    pub cut: Option<journal::Cut>,
}

/// Proves the books of a store that nobody has open: recovers it, checks every law, and, where the journal goes
/// back to the first event, replays all of it and derives the stock from the movements alone.
///
/// # Errors
/// If the store does not open, or a law does not hold.
pub fn verify<D: Disk>(
    disk: D,
    config: journal::Config,
    mut progress: impl FnMut(u64),
) -> Result<Verified, Error> {
    let recovered = open(disk, config, &mut progress)?;
    let hash = recovered.state_hash()?;
    recovered.archive.check()?;
    let proof = check(&recovered.memory).map_err(Error::Books)?;
    let mut verified = Verified {
        sequence: recovered.memory.head().sequence,
        hash,
        hash_without_sold: hash_without_sold(hash, &recovered.memory),
        proof,
        events: recovered.replayed,
        movements: 0,
        checkpoint: None,
        passed_over: recovered.passed_over.clone(),
        cut: recovered.report.cut.clone(),
    };
    let reader = recovered.journal.reader();
    if reader.first_sequence() == 1 {
        verified.events = 0;
        let mut memory = Memory::new();
        let mut ledger = Ledger::default();
        let mut frames = reader.frames_from(1)?;
        while let Some(frame) = frames.next()? {
            let sequence = frame.first_sequence;
            let decode = |source| Error::Decode { sequence, source };
            for event in codec::decode(frame.payload, Sequence(sequence)).map_err(decode)? {
                let event = event.map_err(decode)?;
                event.fact.movements(|movement| ledger.post(movement));
                if let Some(money) = event.fact.money() {
                    ledger.post_money(&money);
                }
                apply(&mut memory, &event);
                verified.events += 1;
            }
            progress(verified.events);
        }
        if state_hash(&memory) != hash {
            let what = match recovered.checkpoint {
                Some(sequence) => {
                    format!("replaying all events gives other rows than the checkpoint of {sequence}")
                }
                None => "replaying all events twice gives different rows".to_owned(),
            };
            return Err(Error::Books(vec![what]));
        }
        verified.movements = ledger.movements;
        verified.checkpoint = recovered.checkpoint;
        ledger.compare(&memory).map_err(Error::Books)?;
    }
    recovered.journal.close()?;
    Ok(verified)
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use jaego_domain::{
        Amount, Code, Currency, Row, SiteId, Timestamp,
        row::{Balance, Filed, Filing, Head, Order, OrderStatus, Sale, Wallet},
    };

    use super::*;
    use crate::sim_disk::SimDisk;

    fn code(text: &str) -> Code {
        Code::new("code", text).unwrap()
    }

    fn amount(units: u64) -> Amount {
        Amount::new("amount", units).unwrap()
    }

    fn won() -> Currency {
        Currency::new("currency", "KRW").unwrap()
    }

    /// Puts the order of a number, for which kim paid 10.
    fn sell(memory: &mut Memory, number: u64, status: OrderStatus, refunded: u64) {
        let id = code(&format!("O{number}"));
        let order = Order {
            site: SiteId(0),
            customer: Some(code("kim")),
            priority: 0,
            body: 1,
            placed: Sequence(number),
            placed_at: Timestamp(number),
            answer: Sequence(number),
            backorder: false,
            awaits_stock: false,
            status,
            claim: None,
            lines: Default::default(),
        };
        let (owner, currency, prices) = (code("kim"), won(), Vec::new());
        let sale = Sale { owner, currency, prices, total: amount(10), refunded: amount(refunded) };
        memory.put(Row::Order(id.clone(), Some(Box::new(order))));
        memory.put(Row::Sale(id, Some(Box::new(sale))));
    }

    /// What kim has for orders, in the tables of the newest checkpoint.
    fn sold(disk: &SimDisk) -> u64 {
        let mut passed_over = PassedOver::default();
        let start =
            from_newest(disk, &Archive::default(), Hands::One, &mut passed_over, |start, _| Ok(start));
        let memory = start.unwrap().memory;
        assert!(passed_over.is_empty());
        memory.wallet(&code("kim")).unwrap().balance(won()).sold
    }

    /// Writes a checkpoint of these tables and this archive, as an older version did.
    fn write_older(disk: &SimDisk, memory: &Memory, archive: &Archive<SimDisk>) {
        let mut manifest = checkpoint::write(disk, StoreId(7), memory, &archive.numbers()).unwrap();
        manifest.counts_sold = false;
        disk.replace(manifest.files().last().unwrap(), &checkpoint::encode(&manifest));
    }

    /// Tables in which kim has paid, and nothing was sold yet.
    fn paid() -> Memory {
        let mut memory = Memory::new();
        let balances = [Balance { paid: amount(20), ..Balance::empty(won()) }].into_iter().collect();
        memory.put(Row::Wallet(code("kim"), Some(Wallet { opened: Sequence(1), balances })));
        memory.put(Row::Head(Head { sequence: Sequence(9), ..Head::default() }));
        memory
    }

    /// Of a run, counted from the newest on.
    fn damage_first_block(disk: &SimDisk, archive: &Archive<SimDisk>, run: usize) {
        let name = archive::files(&archive.numbers()).nth(run).unwrap();
        let mut bytes = disk.contents(&name).unwrap();
        bytes[0] ^= 1;
        disk.replace(&name, &bytes);
    }

    #[test]
    fn orders_that_an_archive_cannot_give_back_are_not_counted() {
        let disk = SimDisk::new(1);
        let mut memory = paid();
        sell(&mut memory, 1, OrderStatus::Completed, 3);
        let (archive, _) = Archive::default().take_in(&disk, &mut memory).unwrap();
        sell(&mut memory, 1, OrderStatus::Completed, 5);
        let (archive, rested) = archive.take_in(&disk, &mut memory).unwrap();
        assert_eq!((rested.len(), archive.numbers().len()), (1, 2));
        sell(&mut memory, 2, OrderStatus::Waiting, 1);
        write_older(&disk, &memory, &archive);
        assert_eq!(sold(&disk), 5 + 9);
        damage_first_block(&disk, &archive, 1);
        assert_eq!(sold(&disk), 5 + 9, "an older run has nothing that a newer one lacks");
        damage_first_block(&disk, &archive, 0);
        assert_eq!(sold(&disk), 9, "that of the order as it was before is not counted in its place");
    }

    #[test]
    fn damage_to_other_documents_of_an_archive_keeps_no_order_from_being_counted() {
        let disk = SimDisk::new(1);
        let mut memory = paid();
        sell(&mut memory, 1, OrderStatus::Completed, 3);
        for number in 0..2_000 {
            let filing = Filing::Adjustment(code(&format!("an-adjustment-{number:04}")));
            memory.put(Row::Filed(filing, Some(Filed { body: 1, sequence: Sequence(number) })));
        }
        let (archive, rested) = Archive::default().take_in(&disk, &mut memory).unwrap();
        assert_eq!(rested.len(), 2_001);
        write_older(&disk, &memory, &archive);
        damage_first_block(&disk, &archive, 0);
        assert!(archive.documents().any(|document| document.is_err()));
        assert_eq!(sold(&disk), 7);
    }

    #[test]
    fn wallets_of_an_older_checkpoint_count_what_its_orders_can_give_back() {
        let disk = SimDisk::new(1);
        let mut memory = paid();
        sell(&mut memory, 1, OrderStatus::Completed, 3);
        sell(&mut memory, 2, OrderStatus::Cancelled, 4);
        let (archive, rested) = Archive::default().take_in(&disk, &mut memory).unwrap();
        assert_eq!(rested.len(), 2, "both have left memory");
        // One of them came back, and more of it was given back.
        sell(&mut memory, 1, OrderStatus::Completed, 5);
        sell(&mut memory, 3, OrderStatus::Waiting, 1);
        write_older(&disk, &memory, &archive);
        assert_eq!(sold(&disk), 5 + 9);
        sell(&mut memory, 3, OrderStatus::Cancelled, 1);
        memory.put(Row::Order(code("O1"), None));
        memory.put(Row::Sale(code("O1"), None));
        write_older(&disk, &memory, &archive);
        assert_eq!(sold(&disk), 7, "that of the archive");
        checkpoint::write(&disk, StoreId(7), &memory, &archive.numbers()).unwrap();
        assert_eq!(sold(&disk), 0, "what wallets say is not counted again");
    }
}
