//! What the engine says of the past, held against the plain store, which keeps every event in a list and looks at all
//! of them: across restarts, with indexes, without, and with damaged ones.

mod balances;
mod movements;
mod statements;
pub(crate) mod twin;

use jaego_engine::{disk::Disk, sim_disk::SimDisk};

/// Loses, tears, zeroes or swaps the indexes, another way each.
fn spoil(disk: &SimDisk, seed: u64) {
    let names = disk.list().unwrap();
    let indexes: Vec<_> = names.iter().filter(|name| name.ends_with(".index")).collect();
    for (number, name) in indexes.iter().enumerate() {
        let bytes = disk.contents(name).unwrap();
        match (seed + number as u64) % 6 {
            0 => disk.lose(name),
            1 => disk.flip_bit(name, usize::try_from(seed * 7_919).unwrap() % (bytes.len() * 8)),
            2 => disk.replace(name, &bytes[..bytes.len() / 2]),
            3 => disk.replace(name, &vec![0; bytes.len()]),
            // Another segment's index.
            4 => {
                disk.replace(name, &disk.contents(indexes[(number + 1) % indexes.len()]).unwrap_or_default());
            }
            _ => {}
        }
    }
}
