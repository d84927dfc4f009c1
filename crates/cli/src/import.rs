//! `jaego import`: files into a service.
//!
//! A file is read and checked whole before anything is sent, and every command of it has an id that follows from
//! what it says, so that a load which was repeated or interrupted loads nothing twice.

mod command;
mod document;
mod load;
mod noun;
mod refused;
mod rehearsal;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Error, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use self::{
    command::{Command, prepare},
    load::{Loaded, load},
    noun::Noun,
};
use self::{
    load::chunks,
    rehearsal::{rehearse_all, rehearse_each_line},
};
use crate::{
    allocate::{self, Allocated},
    exit::{self, FAILURE, REFUSED, Told},
    remote::{Remote, Service, print},
    rows::{self, Errors, Format},
};

/// How often a bar shows that it is alive.
const TICK: Duration = Duration::from_millis(120);

/// The name of a load of stock that nobody names.
pub(crate) const LOAD_DEFAULT: &str = "opening";

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    remote: Remote,
    /// What the file has.
    noun: Noun,
    /// The file, CSV or JSON lines; - is standard input.
    file: PathBuf,
    /// How it is written, where its name does not tell.
    #[arg(long)]
    format: Option<Format>,
    /// Load what is right and leave out the rest. Otherwise one wrong line keeps the whole file out.
    #[arg(long)]
    skip_bad: bool,
    /// Allocate each transfer after it is requested, and sum up what was short.
    #[arg(long)]
    allocate: bool,
    /// A name for this load of stock or wallets: under another name the same positions are loaded once more. What
    /// was loaded is remembered for ever for stock, and as long as request keys are (7 days) for wallets.
    #[arg(long, value_name = "NAME", default_value = LOAD_DEFAULT)]
    load: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.allocate && options.noun != Noun::Transfers {
        return Err(exit::Usage("--allocate goes with transfers only".to_owned()).into());
    }
    let format = Format::of(&options.file, options.format)?;
    let bytes = rows::read_file(&options.file)?;
    let name = options.file.display().to_string();
    let mut errors = Errors::default();
    let commands = prepare(options.noun, format, &bytes, &options.load, &mut errors);
    errors.tell(&name);
    let bad = &errors;
    if !bad.is_empty() && !options.skip_bad {
        return only_tell(options, &name, &commands, bad);
    }
    options.remote.run(async |service: Service| {
        let bar = progress(commands.len(), options.noun.name());
        let mut loaded = Loaded::new(options.skip_bad);
        let sent = load(&service.client, &commands, &bar, &mut loaded).await;
        bar.finish_and_clear();
        if loaded.is_nothing() {
            sent?;
            return end(&service, options.noun, &loaded, commands.len(), bad, None, None);
        }
        if sent.is_ok()
            && let Err(error) = rehearse_each_line(&service.client, &commands, &mut loaded.refused).await
        {
            eprintln!("jaego: of a document only the first line that was refused is known: {error:#}");
        }
        if !service.json {
            loaded.tell_refused(&name);
        }
        let is_whole = sent.is_ok() && loaded.broken_off.is_none();
        let allocated = match options.allocate && is_whole && loaded.done > 0 {
            true => allocate::all(&service.client, &loaded.accepted(&commands)).await.map(Some),
            false => Ok(None),
        };
        let (allocated, failed) = match allocated {
            Ok(allocated) => (allocated, sent.err()),
            Err(error) => (None, Some(error)),
        };
        let ended =
            end(&service, options.noun, &loaded, commands.len(), bad, allocated.as_ref(), failed.as_ref());
        match failed {
            Some(error) => Err(told_behind(&service, error)),
            None => ended,
        }
    })
}

/// What broke off, told behind what came of it. A problem is in the one answer that is JSON.
fn told_behind(service: &Service, error: Error) -> Error {
    match error.downcast_ref::<jaego_client::Error>() {
        Some(refused) if service.json && refused.problem().is_some() => {
            exit::tell_contexts(&error);
            Told(exit::code(refused)).into()
        }
        _ => error,
    }
}

/// Tells of a file that is wrong what the service would refuse as well, so that all of it can be mended at once. Nothing is
/// loaded.
fn only_tell(options: &Options, name: &str, commands: &[Command], bad: &Errors) -> Result<()> {
    let mut loaded = Loaded::new(false);
    if !commands.is_empty() {
        let asked = options.remote.talk(async |service: Service| {
            let bar = progress(commands.len(), "checking");
            let asked = rehearse_all(&service.client, &chunks(commands), &bar, &mut loaded.refused).await;
            let asked = match asked {
                Ok(()) => rehearse_each_line(&service.client, commands, &mut loaded.refused).await,
                Err(error) => Err(error),
            };
            bar.finish_and_clear();
            asked
        });
        loaded.tell_refused(name);
        if let Err(error) = asked {
            eprintln!("jaego: what the service would refuse is not known: {error:#}");
        }
    }
    // Where a header or a setting is wrong, no line of it is right.
    let hint = if commands.is_empty() { "" } else { "; with --skip-bad the lines that are right are" };
    eprintln!("jaego: nothing was loaded{hint}");
    if options.remote.is_json() {
        print(&format!("{}\n", loaded.json(commands.len(), bad, None)))?;
    }
    Err(Told(FAILURE).into())
}

/// Tells what came of a file, and ends with 1 where a row of it was wrong and with 3 where the service refused something.
fn end(
    service: &Service,
    noun: Noun,
    loaded: &Loaded,
    commands: usize,
    bad: &Errors,
    allocated: Option<&Allocated>,
    failed: Option<&Error>,
) -> Result<()> {
    if service.json {
        let problem = failed.and_then(|error| error.downcast_ref::<jaego_client::Error>()?.problem());
        let mut answer = loaded.json(commands, bad, problem);
        if let Some(allocated) = allocated {
            answer["allocated"] = allocated.json();
        }
        print(&format!("{answer}\n"))?;
    } else {
        print(&loaded.text(noun))?;
        if let Some(allocated) = allocated {
            print(&allocated.text())?;
        }
    }
    if !bad.is_empty() {
        return Err(Told(FAILURE).into());
    }
    match loaded.refused.is_empty() && !allocated.is_some_and(Allocated::has_refusals) {
        true => Ok(()),
        false => Err(Told(REFUSED).into()),
    }
}

pub(crate) fn progress(len: usize, what: &'static str) -> ProgressBar {
    // It shows itself on a terminal only, and on standard error.
    let bar = ProgressBar::new(len as u64).with_message(what);
    let style =
        ProgressStyle::with_template("{spinner} {msg:<10} {wide_bar} {pos}/{len} {per_sec} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // A batch of 10,000 takes a moment, in which the bar does not move.
    bar.enable_steady_tick(TICK);
    bar
}

/// A name that nobody has used.
fn random_name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests;
