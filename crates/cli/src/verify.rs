//! `jaego verify`: proves the books.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use jaego_engine::{Config, disk::RealDisk, verify};

use crate::data::{self, Progress};

#[derive(Args)]
pub(crate) struct Options {
    /// The folder of the store's files.
    #[arg(long, env = "JAEGO_DATA", value_name = "FOLDER")]
    data: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = data::store_folder(&options.data);
    ensure!(folder.is_dir(), "{} has no store", options.data.display());
    let disk = RealDisk::open(&folder)
        .with_context(|| format!("cannot open {} (stop the service first)", options.data.display()))?;
    let mut progress = Progress::new("verified");
    let verified = verify(disk, Config::default().journal, |events| progress.tell(events));
    progress.end();
    let verified = verified.with_context(|| format!("{} is not proven", options.data.display()))?;
    if let Some(cut) = &verified.cut {
        eprintln!("cut {} bytes of {} that were never acknowledged", cut.len, cut.file);
    }
    println!("sequence    {}", verified.sequence);
    println!("events      {} replayed", verified.events);
    println!("movements   {} summed", verified.movements);
    println!("positions   {}", verified.proof.positions);
    println!("open holds  {}", verified.proof.open_holds);
    println!("transfers   {}", verified.proof.transfers);
    println!("state       {:032x}", verified.hash);
    println!("the books balance");
    Ok(())
}
