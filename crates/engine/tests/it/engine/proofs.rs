//! Books that are wrong are not proven: a checkpoint that tells other rows than the journal, or rows that break a law.

use jaego_domain::{LocationId, LotId, Memory, Name, Place, Quantity, Row, SiteId, SkuId, Tables};
use jaego_engine::{Error, checkpoint, open, sim_disk::SimDisk, verify};

use super::world::{config, hold, one, request, start, stock};

/// Mugs in bin A-1.
const MUGS: Place = Place { location: LocationId(0), sku: SkuId(0), lot: LotId::NONE };

/// What `verify` finds wrong where the newest checkpoint was written of twisted tables.
fn told(twist: impl FnOnce(&mut Memory)) -> Vec<String> {
    let disk = SimDisk::new(1);
    let engine = start(disk.clone());
    stock(&engine, &["mug"], 10);
    one(&engine, request(hold("H1", "mug", 3))).unwrap();
    engine.close().unwrap();
    drop(engine);
    verify(disk.clone(), config().journal, |_| {}).expect("nothing is wrong yet");
    let mut recovered = open(disk.clone(), config().journal, |_| {}).unwrap();
    twist(&mut recovered.memory);
    let store = recovered.journal.store();
    checkpoint::write(&*recovered.disk, store, &recovered.memory, &[]).unwrap();
    recovered.journal.close().unwrap();
    match verify(disk, config().journal, |_| {}) {
        Err(Error::Books(wrong)) => wrong,
        other => panic!("the books are wrong, and it is {other:?}"),
    }
}

#[test]
fn a_checkpoint_of_other_rows_than_the_journal_gives_is_not_proven() {
    // No law is about what a site is called.
    let wrong = told(|memory| {
        let mut site = Box::new(memory.site(SiteId(0)).clone());
        site.name = Name::new("name", "Incheon").unwrap();
        memory.put(Row::Site(SiteId(0), Some(site)));
    });
    let [wrong] = wrong.as_slice() else { panic!("{wrong:?}") };
    assert!(wrong.starts_with("replaying all events gives other rows than the checkpoint of "), "{wrong}");
}

#[test]
fn a_checkpoint_that_breaks_a_law_is_not_proven() {
    let wrong = told(|memory| {
        let mut position = memory.position(MUGS).unwrap();
        position.held += Quantity::ONE;
        memory.put(Row::Position(MUGS, Some(position)));
    });
    assert!(wrong.iter().any(|wrong| wrong.ends_with("4 are held, and the holders hold 3")), "{wrong:?}");
}
