//! The binary `jaego`: the one place where all meet.

mod allocate;
mod archive;
mod audit;
mod backup;
mod bench;
mod card;
mod cart;
mod claim;
mod data;
mod demo;
mod events;
mod exit;
mod export;
mod fence;
mod hold;
mod import;
mod lines;
mod lock;
mod master;
mod order;
mod outcome;
mod page;
mod proposal;
mod queues;
mod refusal;
mod remote;
mod rows;
mod serve;
mod settings;
mod stock;
mod table;
mod token;
mod transfer;
mod typed;
mod verify;
mod wallet;

use std::{env, ffi::OsStr, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};

// Small requests live by the allocator: with the system's, it was a sixth of the service's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Try it: a service on a temporary folder, with a warehouse of bicycles in it.
    Demo(demo::Options),
    /// Sites: centres, with a time zone.
    Site(master::SiteOptions),
    /// Locations: the bins of a site.
    Location(master::LocationOptions),
    /// SKUs: what is stocked.
    Sku(master::SkuOptions),
    /// Lots and serial numbers.
    Lot(master::LotOptions),
    /// Stock: what lies where, and how it got there.
    Stock(stock::Options),
    /// Holds: claims on stock.
    Hold(hold::Options),
    /// Transfers: goods from one site to another.
    Transfer(transfer::Options),
    /// Wallets: money, authorizations, statements.
    Wallet(wallet::Options),
    /// Orders: what customers ordered.
    Order(order::Options),
    /// Carts: what customers are about to order, and the checkout.
    Cart(cart::Options),
    /// Claims: who works on which order, and who picks what.
    Claim(claim::Options),
    /// Fences of locks: who had a lock last.
    Fence(fence::Options),
    /// Cards: what somebody owns and may swap.
    Card(card::Options),
    /// Proposals: two cards that somebody would like to swap.
    Proposal(proposal::Options),
    /// Read what happened, or follow what happens.
    Events(events::Options),
    /// Show how the store is doing.
    Status(events::StatusOptions),
    /// Load a file of sites, locations, SKUs, lots, stock, transfers, orders, wallets, price tiers or cards.
    Import(import::Options),
    /// Write sites, locations, SKUs, lots, stock, transfers, orders that have not ended, wallets, price tiers or cards to a file.
    Export(export::Options),
    /// Locks that programs keep with jaego-lock: who holds them, and the end of one.
    Lock(lock::Options),
    /// Make, list and revoke tokens.
    Token(token::Options),
    /// Who was denied or refused what, who read money, who made tokens: show it, and prove it.
    Audit(audit::Options),
    /// Prove the books of a data folder that no service has open.
    Verify(verify::Options),
    /// Copy a data folder, beside its running service as well, and prove the copy.
    Backup(backup::Options),
    /// Make a data folder from a backup, and prove it.
    Restore(backup::RestoreOptions),
    /// Move old pieces of the journal of a data folder that no service has open to another folder.
    Archive(archive::Options),
    /// Measure: holds and transfers, beside Redis and PostgreSQL.
    Bench(bench::Options),
    /// What the exit codes mean.
    #[command(long_about = exit::CODES)]
    ExitCodes,
}

/// The command line without the variables that are set to nothing: they say nothing.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| match arg.get_env().is_some_and(is_empty) {
            true => arg.env(Resettable::Reset),
            false => arg,
        })
        .mut_subcommands(without_empty_variables)
}

/// What is wrong with a command line, without what variables say: its usage would show their flags as if they had to be
/// named.
fn without_variables(error: clap::Error) -> clap::Error {
    fn without(command: clap::Command) -> clap::Command {
        command.mut_args(|arg| arg.env(Resettable::Reset)).mut_subcommands(without)
    }
    if !error.use_stderr() {
        return error;
    }
    let plain = without(Cli::command()).try_get_matches().err();
    plain.filter(|plain| plain.kind() == error.kind()).unwrap_or(error)
}

fn main() -> ExitCode {
    let matches = without_empty_variables(Cli::command()).try_get_matches();
    let matches = matches.unwrap_or_else(|error| without_variables(error).exit());
    let cli =
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    let result = match cli.command {
        Command::Serve(options) => serve::run(&options),
        Command::Site(options) => master::site(&options),
        Command::Location(options) => master::location(&options),
        Command::Sku(options) => master::sku(&options),
        Command::Lot(options) => master::lot(&options),
        Command::Stock(options) => stock::run(&options),
        Command::Hold(options) => hold::run(&options),
        Command::Transfer(options) => transfer::run(&options),
        Command::Wallet(options) => wallet::run(&options),
        Command::Order(options) => order::run(&options),
        Command::Cart(options) => cart::run(&options),
        Command::Claim(options) => claim::run(&options),
        Command::Fence(options) => fence::run(&options),
        Command::Card(options) => card::run(&options),
        Command::Proposal(options) => proposal::run(&options),
        Command::Events(options) => events::run(&options),
        Command::Status(options) => events::status(&options),
        Command::Import(options) => import::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Lock(options) => lock::run(&options),
        Command::Token(options) => token::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Backup(options) => backup::run(&options),
        Command::Restore(options) => backup::restore(&options),
        Command::Archive(options) => archive::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::ExitCodes => remote::print(&format!("{}\n", exit::CODES)),
    };
    match result {
        Ok(()) => exit::DONE.into(),
        Err(error) => exit::tell(&error, &typed::Given::new(&matches)).into(),
    }
}
