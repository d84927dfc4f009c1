//! The binary `jaego`: the one place where all meet.

mod data;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An inventory engine that never oversells.
#[derive(Parser)]
#[command(name = "jaego", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the service on a data folder.
    Serve(serve::Options),
    /// Prove the books of a data folder that no service has open.
    Verify(verify::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Verify(options) => verify::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jaego: {error:#}");
            ExitCode::FAILURE
        }
    }
}
