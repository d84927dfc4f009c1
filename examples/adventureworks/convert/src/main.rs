//! Writes the sample's files anew: `cargo run -p adventureworks-convert -- [FOLDER]`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use adventureworks_convert::{Demand, Sample, Tables};

const FOLDER: &str = "examples/adventureworks";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("adventureworks-convert: {error}");
            if let Some(cause) = error.source() {
                eprint!(": {cause}");
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(FOLDER), PathBuf::from);
    let tables = Tables::read(&folder.join("source"))?;
    Sample::of(&tables)?.write(&folder)?;
    let Demand { requested, met } = Demand::of(&tables);
    eprintln!(
        "wrote {}: {} order lines ask for {requested} pieces, and the stock meets {met} of them",
        folder.display(),
        tables.order_lines.len(),
    );
    Ok(())
}
