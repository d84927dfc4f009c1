//! `jaego audit`: who was denied and refused what, who read what is worth reading, and who made tokens.

use std::{collections::VecDeque, path::Path};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, Subcommand};
use jaego_api::Time;
use jaego_server::audit::{self, Entry, Kind, Line, TEXT_BYTES_MAX};
use serde_json::json;

use crate::{
    data,
    remote::print,
    settings::{DataFolder, SettingsFile},
    table::Table,
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataFolder,
    #[command(flatten)]
    settings: SettingsFile,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prove that no line was changed, taken out or put in between.
    Verify {
        /// The hash that an earlier `verify` ended with: its line has to be there still.
        #[arg(long, value_name = "HASH")]
        seen: Option<String>,
    },
    /// Show the last lines.
    Show {
        /// Only of this kind, such as denied, refused, read or token_created.
        #[arg(long, value_parser = kind)]
        kind: Option<Kind>,
        /// Only by this holder of a token, or user of the machine.
        #[arg(long)]
        by: Option<String>,
        /// How many at the most.
        #[arg(long, default_value_t = 100, value_name = "LINES")]
        limit: usize,
    },
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = data::audit_folder(&options.data.get(&options.settings.read()?)?);
    ensure!(folder.is_dir(), "there is no audit log in {}", folder.display());
    match &options.command {
        Command::Verify { seen } => verify(&folder, seen.as_deref(), options.json),
        Command::Show { kind, by, limit } => show(&folder, *kind, by.as_deref(), *limit, options.json),
    }
}

fn verify(folder: &Path, seen: Option<&str>, is_json: bool) -> Result<()> {
    let verified = audit::verify(folder, seen).context("the audit log is not proven")?;
    if let Some(seen) = seen {
        ensure!(
            verified.has_seen,
            "no line has the hash {seen}: lines were taken off the end, or it was removed for its age"
        );
    }
    if is_json {
        return print(&format!(
            "{}\n",
            json!({
                "files": verified.files, "first": verified.first, "last": verified.last, "hash": verified.hash,
            })
        ));
    }
    print(&format!(
        "files  {}\nlines  {} to {}\nhash   {}\nthe chain is whole\n",
        verified.files, verified.first, verified.last, verified.hash
    ))
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
        format!("{text:?} is no kind of line; the kinds are {}", Kind::ALL.map(Kind::as_str).join(", "))
    })
}

fn show(folder: &Path, kind: Option<Kind>, by: Option<&str>, limit: usize, is_json: bool) -> Result<()> {
    let mut shown: VecDeque<(Line, String)> = VecDeque::new();
    // What comes behind damage is shown all the same, and the damage is told at the end.
    let mut damage = Ok(());
    for line in audit::lines(folder)? {
        let (line, hash) = match line {
            Ok(line) => line,
            Err(error) => {
                damage = damage.and(Err(error));
                continue;
            }
        };
        let fits = kind.is_none_or(|kind| line.entry.kind == kind)
            && by.is_none_or(|by| line.entry.by.as_deref() == Some(by));
        if fits && limit > 0 {
            if shown.len() == limit {
                shown.pop_front();
            }
            shown.push_back((line, hash));
        }
    }
    if is_json {
        let lines = shown.iter().map(|(line, hash)| {
            let mut value = json!(line);
            value["hash"] = hash.as_str().into();
            format!("{value}\n")
        });
        print(&lines.collect::<String>())?;
        return Ok(damage?);
    }
    let mut table =
        Table::new(&["LINE", "AT", "KIND", "BY", "FROM", "WHAT", "STATUS", "CODE", "KEY", "COUNT"]);
    for (line, _) in shown {
        let entry = line.entry;
        table.row([
            &line.n.to_string(),
            &Time(entry.at_ms).to_string(),
            entry.kind.as_str(),
            &entry.by.unwrap_or_default(),
            &entry.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            &entry.what,
            &entry.status.map(|status| status.to_string()).unwrap_or_default(),
            &entry.code.unwrap_or_default(),
            &entry.key.unwrap_or_default(),
            &if entry.count > 0 { entry.count.to_string() } else { String::new() },
        ]);
    }
    print(&table.text())?;
    Ok(damage?)
}

/// Writes down what was done to a data folder beside its service. It is done already: a log that cannot be written is
/// told and fails nothing.
pub(crate) fn write_down(data: &Path, kind: Kind, mut what: String) {
    what.truncate(what.floor_char_boundary(TEXT_BYTES_MAX));
    let entry = Entry::now(kind, what).by_local_user();
    if let Err(error) = audit::append(&data::audit_folder(data), entry) {
        eprintln!("jaego: the audit log could not be written: {:#}", anyhow!(error));
    }
}
