//! Measures the journal on a real folder: `journal_speed [FOLDER]`, a new temporary one if none is named.
//!
//! For each payload length it appends and syncs frames, one durable write each, and prints the rate, how long
//! single frames took, and what appending alone costs the processor's side. Then it reads everything back.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jaego_engine::disk::RealDisk;
use jaego_engine::journal::{Config, Journal, StoreId};

/// Per payload length, whichever comes first.
const BYTES_MAX: usize = 256 << 20;
const FRAMES_MAX: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os().nth(1).map_or(temporary.path().to_owned(), PathBuf::from);
    println!(
        "{:>10} {:>8} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9}  read back",
        "payload", "frames", "frames/s", "MB/s", "append", "p50", "p99", "max"
    );
    for payload_len in [256, 4 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20] {
        let folder = folder.join(format!("journal-speed-{payload_len}"));
        let told = measure(payload_len, &folder);
        std::fs::remove_dir_all(&folder)?;
        println!("{}", told?);
    }
    Ok(())
}

fn measure(payload_len: usize, folder: &std::path::Path) -> Result<String, Box<dyn Error>> {
    let mut journal = Journal::create(RealDisk::open(folder)?, Config::default(), StoreId(1), 1)?;
    let payload: Vec<u8> = (0..=250).cycle().take(payload_len).collect();
    let frames = FRAMES_MAX.min(BYTES_MAX / payload_len);
    let mut took = Vec::with_capacity(frames);
    let mut appending = Duration::ZERO;
    let began = Instant::now();
    for _ in 0..frames {
        let before = Instant::now();
        journal.append(journal.next_sequence(), 1, &payload)?;
        appending += before.elapsed();
        journal.sync()?;
        took.push(before.elapsed());
    }
    let all = began.elapsed();
    journal.close()?;
    took.sort_unstable();
    let per_second = frames as f64 / all.as_secs_f64();

    let began = Instant::now();
    let mut recovery = Journal::open(RealDisk::open(folder)?, Config::default(), 1)?;
    while recovery.next()?.is_some() {}
    let (journal, report) = recovery.finish()?;
    let reading = began.elapsed();
    assert_eq!(report.frames, frames as u64);
    drop(journal);

    let megabytes = (frames * payload_len) as f64 / 1e6;
    let [append, p50, p99, max] =
        [appending / u32::try_from(frames)?, took[frames / 2], took[frames * 99 / 100], took[frames - 1]]
            .map(|time| format!("{time:.1?}"));
    let written = megabytes / all.as_secs_f64();
    let read = megabytes / reading.as_secs_f64();
    Ok(format!(
        "{payload_len:>10} {frames:>8} {per_second:>10.0} {written:>9.0} {append:>9} {p50:>9} {p99:>9} {max:>9}  {reading:.1?}, {read:.0} MB/s"
    ))
}
