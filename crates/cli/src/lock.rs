//! `jaego lock`: a look at the locks of `jaego-lock`, and the end of one whose holder does not end it.
//!
//! It speaks to the lock server itself. Jaego's own service takes no locks.

mod server;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use jaego_api::Time;
use jaego_lock::backend::{self, Owner};
use jaego_lock::{HolderState, LockKey, LockState, Locks, RedisOptionsError};
use serde_json::{Value, json};

use self::server::{Chosen, described};
use crate::{
    exit::{self, Told, Usage},
    remote::print,
    table::{Table, right},
};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    chosen: Chosen,
    /// Print JSON.
    #[arg(long, global = true, help_heading = "Settings")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the locks that are held or waited for.
    List {
        /// Only those whose keys begin so.
        #[arg(default_value = "", hide_default_value = true)]
        beginning: String,
        /// Locks at the most, from 1 to 10000.
        #[arg(long, value_name = "LOCKS", default_value = "100")]
        #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
    },
    /// Show who holds a lock, with which fence and until when, and who waits for it.
    Show { key: String },
    /// End a hold whose holder does not. It asks first, and tells who holds it.
    #[command(long_about = BREAK)]
    Break {
        key: String,
        /// Only the hold with this fence, where several share the lock.
        #[arg(long, value_name = "FENCE")]
        fence: Option<u64>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

const BREAK: &str = "\
End a hold whose holder does not. It asks first, and tells who holds it.

The holder is told of the loss, and whoever waits is served. What the holder
is doing is not stopped by this: that takes the fence, which goes on growing.
Every later holder has a greater one, and so has the number that is printed;
raise the guarded row to it, and what the broken holder still writes is
refused at once.

Only the holds that were shown are ended. If another one has got the lock
meanwhile, it keeps it. Exits with 3 if nobody held the lock, or not any more,
or if the answer was no.";

/// How often a server is looked for that does not answer any more, when the break is confirmed …
const LOOKS_MAX: u32 = 3;
/// … and the pause in between.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What stands in the way of a break that is not a failure.
fn refused(json: bool, code: &str, detail: &str, advice: Option<&str>) -> Result<()> {
    if json {
        print(&format!("{}\n", json!({ "code": code, "detail": detail })))?;
    } else {
        eprintln!("jaego: refused: {detail} ({code})");
        if let Some(advice) = advice {
            eprintln!("try: {advice}");
        }
    }
    Err(Told(exit::REFUSED).into())
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.context("cannot start the runtime")?.block_on(talk(options));
    let Err(error) = &ended else { return ended };
    // A server that does not answer may do so next time; one that refuses will not.
    let silent = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(backend::Error::Unavailable { .. } | backend::Error::NoAnswer { .. })
        ) || matches!(cause.downcast_ref(), Some(RedisOptionsError::Layout { .. }))
    });
    if !silent {
        return ended;
    }
    let text = described(error.as_ref());
    eprintln!("jaego: {text}");
    // A certificate does not get better by asking again.
    if text.contains("invalid peer certificate") {
        eprintln!("try: {}", certificate_advice(&text));
        return Err(Told(exit::FAILURE).into());
    }
    eprintln!("try: look whether the server runs, and at --redis, --sentinel or --postgres");
    Err(Told(exit::UNREACHABLE).into())
}

/// What to do about a certificate that was refused, by the words of rustls.
fn certificate_advice(text: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if says(&["certificate expired", "peer certificate: Expired"]) {
        "a new certificate for the server: this one's time is over, by the clock of this machine"
    } else if says(&["certificate not valid yet", "NotValidYet"]) {
        "the clock of this machine: the server's certificate is not valid yet"
    } else if says(&["certificate not valid for name", "NotValidForName"]) {
        "the name or address that stands in the server's certificate, in --redis or --postgres (sentinels name \
         the server by its address unless they announce host names)"
    } else if says(&["UnknownIssuer", "BadSignature"]) {
        // The second is an authority of the same name with another key.
        "--ca FILE (or JAEGO_LOCK_CA) with the authority that has signed the server's certificate"
    } else {
        "a look at the server's certificate: no other authority or address makes this one good"
    }
}

async fn talk(options: &Options) -> Result<()> {
    let Some(locks) = options.chosen.server.connect().await? else {
        eprintln!("no program has kept locks there under the prefix {}", options.chosen.server.prefix);
        return match &options.command {
            Command::List { .. } => show_list(&[], true, options.json),
            Command::Show { key } => show(&nobody(&checked(key)?), options.json),
            Command::Break { key, .. } => not_held(options.json, &checked(key)?),
        };
    };
    let ended = ask(&locks, options).await;
    locks.shutdown().await;
    ended
}

async fn ask(locks: &Locks, options: &Options) -> Result<()> {
    match &options.command {
        Command::List { beginning, limit } => {
            let list = locks.list(beginning, usize::from(*limit)).await?;
            show_list(&list.locks, list.complete, options.json)
        }
        Command::Show { key } => show(&locks.look(checked(key)?).await?, options.json),
        Command::Break { key, fence, yes } => {
            let state = locks.look(checked(key)?).await?;
            let meant = |holder: &&HolderState| fence.is_none_or(|fence| holder.fence == fence);
            let holders: Vec<&HolderState> = state.holders.iter().filter(meant).collect();
            match (holders.is_empty(), fence) {
                (true, None) => return not_held(options.json, &state.key),
                (true, Some(fence)) => {
                    let detail = format!("nobody holds {} with the fence {fence}", state.key);
                    let advice = format!("`jaego lock show {}` shows the fences", state.key);
                    return refused(options.json, "not_held", &detail, Some(&advice));
                }
                (false, _) => {}
            }
            if !yes && !confirmed(&state, &holders).await? {
                let advice = "answer y, or say --yes in a script";
                return refused(options.json, "not_confirmed", "nothing was broken", Some(advice));
            }
            if !yes {
                until_answered(locks, &state.key).await;
            }
            let owners: Vec<Owner> = holders.iter().map(|holder| holder.owner).collect();
            broke(locks, &state, &owners, options.json).await
        }
    }
}

/// A server that has hung up while the answer was waited for is connected to anew. Looks may be lost by that; a break must
/// not, which cannot be sent twice.
async fn until_answered(locks: &Locks, key: &LockKey) {
    for _ in 0..LOOKS_MAX {
        if locks.look(key.clone()).await.is_ok() {
            return;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

async fn broke(locks: &Locks, state: &LockState, owners: &[Owner], json: bool) -> Result<()> {
    let broken = locks.break_holds(&state.key, owners).await?;
    if broken.ended.is_empty() {
        let detail = format!("{} was let go meanwhile by who held it", state.key);
        return refused(json, "not_held", &detail, None);
    }
    let process = |owner: &Owner| {
        let holder = state.holders.iter().find(|holder| holder.owner == *owner);
        holder.and_then(|holder| holder.process.clone())
    };
    if json {
        let ended: Vec<_> = broken
            .ended
            .iter()
            .map(|(owner, fence)| {
                json!({ "owner": owner.to_string(), "process": process(owner), "fence": fence })
            })
            .collect();
        let answer = json!({ "key": state.key.as_str(), "ended": ended, "fence": broken.fence });
        return print(&format!("{answer}\n"));
    }
    let mut text = String::new();
    for (owner, fence) in &broken.ended {
        let process = process(owner).unwrap_or_else(|| format!("owner {owner}"));
        text += &format!("{} is broken: {process} held it with the fence {fence}\n", state.key);
    }
    text += &format!("every fence from now on is greater than {}\n", broken.fence);
    print(&text)
}

fn not_held(json: bool, key: &LockKey) -> Result<()> {
    refused(json, "not_held", &format!("nobody holds {key}"), Some("`jaego lock list` shows what is held"))
}

fn checked(key: &str) -> Result<LockKey> {
    LockKey::new(key).map_err(|error| Usage(error.to_string()).into())
}

fn nobody(key: &LockKey) -> LockState {
    let (holders, waiters) = (Vec::new(), Vec::new());
    LockState { key: key.clone(), mode: None, holders, waiters, waiters_count: 0, wanted: false }
}

/// Asks the person at the terminal, or whoever stands behind standard input. The connections are looked after meanwhile.
async fn confirmed(state: &LockState, holders: &[&HolderState]) -> Result<bool> {
    for holder in holders {
        eprintln!(
            "{} is held by {} with the fence {} for another {}",
            state.key,
            holder.process.clone().unwrap_or_else(|| format!("owner {}", holder.owner)),
            holder.fence,
            seconds(holder.remaining)
        );
    }
    eprint!("break it? [y/N] ");
    io::stderr().flush().context("cannot ask")?;
    let reading = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = reading.await.context("cannot wait for the answer")?.context("cannot read the answer")?;
    if !io::stdin().is_terminal() {
        eprintln!();
    }
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn show_list(locks: &[LockState], complete: bool, is_json: bool) -> Result<()> {
    if is_json {
        let items: Vec<_> = locks.iter().map(json_of).collect();
        return print(&format!("{}\n", json!({ "items": items, "complete": complete })));
    }
    let mut table = Table::new(&["LOCK", "MODE", "HELD BY", "FENCE", right!("ENDS IN"), "WAITING"]);
    for lock in locks {
        let holder = lock.holders.last();
        let by = match (holder, lock.holders.len()) {
            (None, _) => String::new(),
            (Some(holder), 1) => name(holder.process.as_deref(), &holder.owner),
            (Some(_), count) => format!("{count} holders"),
        };
        let ends_in = lock.holders.iter().map(|holder| holder.remaining).max();
        table.row([
            lock.key.as_str(),
            lock.mode.as_deref().unwrap_or_default(),
            &by,
            &holder.map_or_else(String::new, |holder| holder.fence.to_string()),
            &ends_in.map_or_else(String::new, seconds),
            &waiting(lock),
        ]);
    }
    if !complete {
        eprintln!("there are more: say the beginning of a key, or --limit");
    }
    print(&table.text())
}

/// How many wait, as far as it can be seen.
fn waiting(lock: &LockState) -> String {
    match (lock.waiters_count, lock.wanted) {
        (0, false) => String::new(),
        (0, true) => "yes".to_owned(),
        (count, false) => count.to_string(),
        (count, true) => format!("{count} and more"),
    }
}

fn show(lock: &LockState, is_json: bool) -> Result<()> {
    if is_json {
        return print(&format!("{}\n", json_of(lock)));
    }
    let mut text = String::new();
    match &lock.mode {
        Some(mode) => text += &format!("{} is held ({mode})\n", lock.key),
        None => text += &format!("nobody holds {}\n", lock.key),
    }
    let mut holders =
        Table::new(&["HELD BY", "FENCE", "VALID UNTIL (SERVER'S CLOCK)", right!("ENDS IN"), "OWNER"]);
    for holder in &lock.holders {
        holders.row([
            holder.process.as_deref().unwrap_or("unknown"),
            &holder.fence.to_string(),
            &Time(holder.until_us / 1_000).to_string(),
            &seconds(holder.remaining),
            &holder.owner.to_string(),
        ]);
    }
    text += &holders.text_if_any("");
    let mut waiters = Table::new(&[right!("WAITING"), "PROCESS", "MODE", "FAIR", "OWNER"]);
    for (place, waiter) in (1..).zip(&lock.waiters) {
        waiters.row([
            &format!("{place}."),
            waiter.process.as_deref().unwrap_or("unknown"),
            &waiter.mode,
            if waiter.fair { "fair" } else { "" },
            &waiter.owner.to_string(),
        ]);
    }
    text += &waiters.text_if_any("");
    let shown = lock.waiters.len() as u64;
    if lock.waiters_count > shown {
        text += &format!("and {} more in the queue\n", lock.waiters_count - shown);
    }
    if lock.wanted {
        text += "others may wait without a place in the queue\n";
    }
    print(&text)
}

fn name(process: Option<&str>, owner: &Owner) -> String {
    process.map_or_else(|| owner.to_string(), str::to_owned)
}

fn seconds(remaining: Duration) -> String {
    format!("{:.1} s", remaining.as_secs_f64())
}

fn json_of(lock: &LockState) -> Value {
    let ms = |remaining: Duration| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
    let holders: Vec<_> = lock
        .holders
        .iter()
        .map(|holder| {
            json!({
                "owner": holder.owner.to_string(), "process": holder.process, "fence": holder.fence,
                "valid_until": Time(holder.until_us / 1_000).to_string(), "remaining_ms": ms(holder.remaining),
            })
        })
        .collect();
    let waiters: Vec<_> = lock
        .waiters
        .iter()
        .map(|waiter| {
            json!({
                "owner": waiter.owner.to_string(), "process": waiter.process, "mode": waiter.mode,
                "fair": waiter.fair, "place": waiter.place, "remaining_ms": ms(waiter.remaining),
            })
        })
        .collect();
    json!({
        "key": lock.key.as_str(), "mode": lock.mode, "holders": holders, "waiters": waiters,
        "waiters_count": lock.waiters_count, "wanted": lock.wanted,
    })
}
