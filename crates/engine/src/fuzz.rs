//! The readers of the store's files, for whoever feeds them bytes that nobody wrote. For tests only.
//!
//! Nearly all changed bytes end at a checksum. Each reader therefore reads the bytes twice: as they are, and with
//! every checksum mended that can be found in them, so that the lengths and numbers behind are looked at as well.
//! Panicking, reading on for ever, and asking for more memory than the bytes could fill are the faults; the error
//! is not.

use std::sync::Arc;

use jaego_domain::{DocumentKey, Sequence, Timestamp, query::Period};
use jaego_store::codec;

use crate::{
    archive::{self, Archive},
    checkpoint,
    disk::{Disk, DiskFile},
    index,
    journal::{self, Journal, Preparation},
    sim_disk::SimDisk,
};

const CONFIG: journal::Config =
    journal::Config { segment_len: journal::SEGMENT_LEN_MIN, preparation: Preparation::Inline };

/// Opens a journal: segments one behind the other, each as long as its header says. What opens can be written to, and
/// has one more record when it is opened again.
pub fn journal(bytes: &[u8]) {
    open_journal(&journal::segments_of(bytes, false));
    open_journal(&journal::segments_of(bytes, true));
}

fn open_journal(segments: &[(String, Vec<u8>)]) {
    let disk = SimDisk::new(1);
    for (name, bytes) in segments {
        disk.replace(name, bytes);
    }
    let Ok(from) = journal::first_sequence(&disk) else { return };
    let Ok(mut journal) = read_journal(&disk, from) else { return };
    let next = journal.next_sequence();
    // The last number of all has no successor.
    if next < u64::MAX - 1 && journal.append(next, 1, b"one more").is_ok() {
        journal.close().expect("the disk is well");
        let again = read_journal(&disk, from).expect("what was opened opens again");
        assert_eq!(again.next_sequence(), next + 1, "the record that was written is there");
    }
}

/// Reads all frames twice, as recovery and as readers do, and what they say.
fn read_journal(disk: &SimDisk, from: u64) -> Result<Journal<SimDisk>, journal::Error> {
    let mut recovery = Journal::open(disk.clone(), CONFIG, from)?;
    let mut records = 0_u64;
    while let Some(frame) = recovery.next()? {
        records += u64::from(frame.count);
        if let Ok(events) = codec::decode(frame.payload, Sequence(frame.first_sequence)) {
            events.for_each(drop);
        }
    }
    let (journal, report) = recovery.finish()?;
    assert_eq!(report.next_sequence - from, records, "records are numbered without gaps");
    let mut frames = journal.reader().frames_from(from)?;
    let mut read = 0;
    while let Some(frame) = frames.next()? {
        read += u64::from(frame.count);
    }
    assert_eq!(read, records, "readers see what recovery saw");
    Ok(journal)
}

/// Loads a checkpoint of one part: the length of its manifest in two bytes, little-endian, the manifest, the part. The
/// part's rows are believed when their checksums and their hash are right, so that only the manifest is mended.
pub fn checkpoint(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (manifest, part) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
    for manifest in [manifest.to_vec(), checkpoint::mend_manifest(manifest)] {
        let disk = SimDisk::new(1);
        let sequence = checkpoint::sequence_in(&manifest);
        for (name, bytes) in checkpoint::names(sequence).into_iter().zip([&manifest[..], part]) {
            disk.replace(&name, bytes);
        }
        if let Ok(manifest) = checkpoint::read_manifest(&disk, sequence) {
            // Whoever opens a store looks at these.
            let _ = (manifest.rows_len(), manifest.files());
        }
        let _ = checkpoint::load(&disk, sequence);
        checkpoint::prune(&disk, &[]).expect("the disk is well");
    }
}

/// Opens a run of the archive and reads all that is in it, in all of its orders.
pub fn archive(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), archive::mend(bytes)] {
        let disk = Arc::new(SimDisk::new(1));
        disk.replace(&archive::run_name(1), &bytes);
        let Ok(archive) = Archive::open(&disk, &[1], &Archive::default()) else { continue };
        let mut keys: Vec<DocumentKey> = Vec::new();
        for rows in archive.documents() {
            let Ok(rows) = rows else { break };
            keys.extend(rows.first().and_then(archive::document_of));
        }
        for key in &keys {
            let _ = (archive.may_have(key), archive.get(key));
        }
        let day = Period { since: Some(Timestamp(1)), until: Some(Timestamp(86_400_000)) };
        let _ = (archive.transfers(None, Period::default(), 8), archive.orders(Some(1), day, 8));
        let _ = archive.proposals(Some(1), 8);
        let _ = archive.check();
        let _ = archive.document_count();
    }
}

/// Opens an index of whatever segment it says that it is of, and reads and searches all of its tables.
pub fn index(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), index::mend(bytes)] {
        let disk = SimDisk::new(1);
        disk.replace("index", &bytes);
        let file = disk.open("index").expect("it is there");
        assert_eq!(file.len().expect("the disk is well"), bytes.len() as u64);
        let _ = index::read_all(file, &bytes);
    }
}
