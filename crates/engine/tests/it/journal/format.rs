//! The bytes that `docs/JOURNAL.md` shows are the bytes that are written.

use std::fmt::Write;

use jaego_engine::journal::{Config, Journal, Preparation, StoreId};
use jaego_engine::sim_disk::SimDisk;

const DOCUMENT: &str = include_str!("../../../../../docs/JOURNAL.md");

#[test]
fn the_worked_example_is_what_is_written() {
    let disk = SimDisk::new(0);
    let config = Config { segment_len: 4096, preparation: Preparation::Inline };
    let store = StoreId(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100);
    let mut journal = Journal::create(disk.clone(), config, store, 1).expect("a well disk");
    journal.append(1, 2, b"held mug 4; held tea 1").expect("a well disk");
    journal.sync().expect("a well disk");
    journal.close().expect("a well disk");
    let name = "00000000000000000001-0000000001.journal";
    let bytes = disk.contents(name).expect("the segment has this name");
    assert!(DOCUMENT.contains(name), "docs/JOURNAL.md names the file");
    let mut dump = String::new();
    for (row, bytes) in bytes.chunks(16).enumerate().filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
    {
        write!(dump, "{:04x} ", row * 16).expect("a string takes everything");
        for byte in bytes {
            write!(dump, " {byte:02x}").expect("a string takes everything");
        }
        dump.push('\n');
    }
    assert!(DOCUMENT.contains(&dump), "docs/JOURNAL.md shows other bytes than these:\n{dump}");
}
