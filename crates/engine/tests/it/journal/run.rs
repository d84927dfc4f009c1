//! One journal's life on a simulated disk, and what may be expected of it afterwards.

use jaego_engine::journal::{Config, Error, Journal, Preparation, Recovery, Report, StoreId};
use jaego_engine::sim_disk::{Dice, SimDisk};

pub(crate) const STORE: StoreId = StoreId(0x6a61_6567_6f00_0000_0000_0000_0000_0001);

/// Small segments, so that a short run crosses several.
pub(crate) const CONFIG: Config = Config { segment_len: 8192, preparation: Preparation::Inline };

/// A frame as it was handed to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first_sequence: u64,
    pub(crate) count: u32,
    pub(crate) payload: Vec<u8>,
}

/// What was written, and how much of it may be relied on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) batches: Vec<Batch>,
    pub(crate) acknowledged: usize,
}

impl Ledger {
    /// Appends and syncs one batch of about this size.
    pub(crate) fn append(
        &mut self,
        journal: &mut Journal<SimDisk>,
        dice: &mut Dice,
        len_max: usize,
    ) -> Result<(), Error> {
        self.append_unsynced(journal, dice, len_max)?;
        journal.sync()?;
        self.acknowledged = self.batches.len();
        Ok(())
    }

    /// Appends one batch and leaves it in flight.
    pub(crate) fn append_unsynced(
        &mut self,
        journal: &mut Journal<SimDisk>,
        dice: &mut Dice,
        len_max: usize,
    ) -> Result<(), Error> {
        let mut payload = vec![0; dice.below(len_max + 1)];
        dice.fill(&mut payload);
        // No zero at the end, so that losing the last byte shows.
        if let Some(last) = payload.last_mut() {
            *last |= 1;
        }
        let count = 1 + u32::try_from(dice.below(9)).expect("it is small");
        let batch = Batch { first_sequence: journal.next_sequence(), count, payload };
        // It counts as attempted before the call: a failure may leave it on the disk.
        self.batches.push(batch.clone());
        match journal.append(batch.first_sequence, batch.count, &batch.payload) {
            Ok(_) => Ok(()),
            Err(error) => {
                if matches!(error, Error::Full { .. }) {
                    self.batches.pop();
                }
                Err(error)
            }
        }
    }

    /// Takes random steps until the count is used up or one fails.
    pub(crate) fn steps(
        &mut self,
        journal: &mut Journal<SimDisk>,
        dice: &mut Dice,
        steps: usize,
    ) -> Result<(), Error> {
        for _ in 0..steps {
            match dice.below(16) {
                0..=9 => self.append(journal, dice, 1200)?,
                10 => self.append_unsynced(journal, dice, 600)?,
                11 => self.append(journal, dice, CONFIG.payload_len_max())?,
                12 | 13 => journal.write_watermark()?,
                14 => journal.rotate()?,
                _ => self.check_reader(journal, dice),
            }
        }
        Ok(())
    }

    /// A reader sees the acknowledged batches, from any sequence on.
    pub(crate) fn check_reader(&self, journal: &Journal<SimDisk>, dice: &mut Dice) {
        let reader = journal.reader();
        let from = 1 + dice.throw() % journal.next_sequence();
        let mut frames = reader.frames_from(from).expect("frames can be read");
        let mut seen = Vec::new();
        while let Some(frame) = frames.next().expect("durable frames are whole") {
            let payload = frame.payload.to_vec();
            let position = frame.position;
            seen.push(Batch { first_sequence: frame.first_sequence, count: frame.count, payload });
            let mut bytes = Vec::new();
            let again = reader.frame_at(position, &mut bytes).expect("a frame can be found by its position");
            assert_eq!(again.payload, seen.last().expect("one was pushed").payload);
        }
        let after_from = |batch: &&Batch| batch.first_sequence + u64::from(batch.count) > from;
        let expected: Vec<Batch> =
            self.batches.iter().take(self.durable(journal)).filter(after_from).cloned().collect();
        assert_eq!(seen, expected, "a reader from {from} sees what is durable");
    }

    /// Recovered batches are a prefix of the attempted ones with everything acknowledged in it; from now on
    /// they are the truth.
    pub(crate) fn settle(&mut self, recovered: &[Batch]) {
        assert!(
            recovered.len() >= self.acknowledged,
            "{} batches were acknowledged and {} are left",
            self.acknowledged,
            recovered.len()
        );
        assert!(recovered.len() <= self.batches.len(), "more batches than were ever written");
        assert_eq!(recovered, &self.batches[..recovered.len()]);
        self.batches.truncate(recovered.len());
        self.acknowledged = recovered.len();
    }

    fn durable(&self, journal: &Journal<SimDisk>) -> usize {
        let durable = journal.reader().durable_sequence();
        self.batches.iter().take_while(|batch| batch.first_sequence <= durable).count()
    }
}

pub(crate) fn create(disk: &SimDisk) -> Result<Journal<SimDisk>, Error> {
    Journal::create(disk.clone(), CONFIG, STORE, 1)
}

/// Opens the journal and reads all of it, without changing the disk.
pub(crate) fn read_all(disk: &SimDisk) -> Result<(Recovery<SimDisk>, Vec<Batch>), Error> {
    let mut recovery = Journal::open(disk.clone(), CONFIG, 1)?;
    let mut batches = Vec::new();
    while let Some(frame) = recovery.next()? {
        let payload = frame.payload.to_vec();
        batches.push(Batch { first_sequence: frame.first_sequence, count: frame.count, payload });
    }
    Ok((recovery, batches))
}

/// Opens the journal for writing.
pub(crate) fn recover(disk: &SimDisk) -> Result<(Journal<SimDisk>, Report, Vec<Batch>), Error> {
    let (recovery, batches) = read_all(disk)?;
    let (journal, report) = recovery.finish()?;
    Ok((journal, report, batches))
}

/// A journal of some frames and several segments, closed in order.
pub(crate) fn closed(seed: u64, appends: usize, len_max: usize) -> (SimDisk, Ledger) {
    let disk = SimDisk::new(seed);
    let mut dice = Dice::new(seed);
    let mut ledger = Ledger::default();
    let mut journal = create(&disk).expect("a well disk");
    for _ in 0..appends {
        ledger.append(&mut journal, &mut dice, len_max).expect("a well disk");
    }
    journal.close().expect("a well disk");
    (disk, ledger)
}

/// The names of the journal's segments, oldest first.
pub(crate) fn segment_files(disk: &SimDisk) -> Vec<String> {
    use jaego_engine::disk::Disk;
    let mut names = disk.list().expect("a well disk");
    names.retain(|name| name.ends_with(".journal"));
    names
}
