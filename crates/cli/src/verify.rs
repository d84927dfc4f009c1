//! `jaego verify`: proves the books.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use jaego_engine::{Config, Verified, disk::RealDisk, verify};
use serde_json::{Value, json};

use crate::{
    data::{self, Progress},
    remote::print,
    settings::{DataFolder, SettingsFile},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    settings: SettingsFile,
    #[command(flatten)]
    output: Output,
}

/// How a command that opens a store itself tells what came of it.
#[derive(Args)]
pub(crate) struct Output {
    /// Print what came of it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let data = options.data.get(&options.settings.read()?)?;
    let verified = prove(&data)?;
    if let Some(cut) = &verified.cut {
        eprintln!("cut {} bytes of {} that were never acknowledged", cut.len, cut.file);
    }
    if options.output.json {
        return print(&format!("{}\n", json(&verified)));
    }
    print(&format!("{}the books balance\n", text(&verified)))
}

/// Opens the store of a data folder that nobody has open, and proves its books.
pub(crate) fn prove(data: &Path) -> Result<Verified> {
    let folder = data::store_folder(data);
    ensure!(folder.is_dir(), "{} has no store", data.display());
    let disk = RealDisk::open(&folder)
        .with_context(|| format!("cannot open {} (stop the service first)", data.display()))?;
    let mut progress = Progress::new("verified");
    let verified = verify(disk, Config::default().journal, |events| progress.tell(events));
    progress.end();
    let verified = verified.with_context(|| format!("{} is not proven", data.display()))?;
    for error in &verified.passed_over {
        // The books stand without it; a start takes longer, and the disk may be failing.
        eprintln!("a checkpoint cannot be used and was passed over: {:#}", anyhow!(error.clone()));
    }
    Ok(verified)
}

/// What was proven.
pub(crate) fn json(verified: &Verified) -> Value {
    json!({
        "sequence": verified.sequence.0, "events": verified.events, "movements": verified.movements,
        "positions": verified.proof.positions, "open_holds": verified.proof.open_holds,
        "transfers": verified.proof.transfers, "orders": verified.proof.orders, "carts": verified.proof.carts,
        "wallets": verified.proof.wallets, "cards": verified.proof.cards,
        "open_proposals": verified.proof.open_proposals, "state": format!("{:032x}", verified.hash),
        "cut": verified.cut.as_ref().map(|cut| json!({ "file": cut.file.to_string(), "bytes": cut.len })),
    })
}

/// What was proven, for people.
pub(crate) fn text(verified: &Verified) -> String {
    let Verified { sequence, events, movements, proof, hash, .. } = verified;
    format!(
        "sequence    {sequence}
events      {events} replayed
movements   {movements} summed
positions   {}
open holds  {}
transfers   {}
orders      {}
carts       {}
wallets     {}
cards       {}
proposals   {} open
state       {hash:032x}
",
        proof.positions,
        proof.open_holds,
        proof.transfers,
        proof.orders,
        proof.carts,
        proof.wallets,
        proof.cards,
        proof.open_proposals
    )
}
