//! From one holder's release to the next one's grant, with many waiters in several processes.

use std::process::Stdio;
use std::time::Duration;

use jaego_lock::{BootTime, Locks, Redis, RedisOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::{Trouble, at, python, rslock};

const PROCESSES_MAX: usize = 4;
const HOLD: Duration = Duration::from_millis(1);
const LEASE: Duration = Duration::from_secs(30);
/// A crowd that has not been served by then is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Fair,
    RedisPy,
    Rslock,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Fair, Self::RedisPy, Self::Rslock];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "jaego-lock",
            Self::Fair => "jaego-lock, fair",
            Self::RedisPy => "redis-py",
            Self::Rslock => "rslock",
        }
    }

    /// The commands that its clients send. What their scripts call inside is counted under other names.
    fn commands(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Fair => &["evalsha", "eval"],
            Self::RedisPy | Self::Rslock => &["evalsha", "eval", "set"],
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandOver {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    /// Commands that all clients sent, by the number of grants.
    pub(crate) commands_per_grant: f64,
}

/// Has so many waiters in several processes take the lock once each, again and again until there were that many hand-overs.
/// Nothing if the library is not on this machine.
pub(crate) async fn measure(
    server: &jaego_testkit::Redis,
    kind: Kind,
    waiters: usize,
    gaps_min: usize,
) -> Result<Option<HandOver>, Trouble> {
    let processes = PROCESSES_MAX.min(waiters);
    let mut children = Vec::new();
    for process in 0..processes {
        let share = waiters / processes + usize::from(process < waiters % processes);
        let Some(mut command) = command(server, kind, share)? else { return Ok(None) };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        output.read_line(&mut ready).await?;
        children.push((child, output));
    }
    let before = calls(&server.url(), kind).await?;
    let meetings = gaps_min.div_ceil(waiters - 1);
    let mut gaps = Vec::new();
    for _ in 0..meetings {
        for (child, _) in &mut children {
            child.stdin.as_mut().expect("it is piped").write_all(b"go\n").await?;
        }
        let mut holds = Vec::new();
        for (_, output) in &mut children {
            timeout(PATIENCE, hear(output, &mut holds)).await??;
        }
        if holds.len() != waiters {
            return Err(format!("{} of {waiters} were served", holds.len()).into());
        }
        holds.sort_unstable();
        gaps.extend(holds.windows(2).map(|pair| Duration::from_micros(pair[1].0.saturating_sub(pair[0].1))));
    }
    let after = calls(&server.url(), kind).await?;
    for (mut child, _) in children {
        drop(child.stdin.take());
        if !child.wait().await?.success() {
            return Err(format!("a process with waiters of {} failed", kind.name()).into());
        }
    }
    gaps.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a few million at the most")]
    let commands_per_grant = (after - before) as f64 / (waiters * meetings) as f64;
    Ok(Some(HandOver { p50: at(&gaps, 50), p99: at(&gaps, 99), max: at(&gaps, 100), commands_per_grant }))
}

/// What the waiters of one process say of a meeting: when each got the lock, and when it began to give it back.
async fn hear(output: &mut BufReader<ChildStdout>, holds: &mut Vec<(u64, u64)>) -> Result<(), Trouble> {
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            return Err("a process with waiters has ended".into());
        }
        if line.trim() == "ready" {
            return Ok(());
        }
        let (got, gives) = line.trim().split_once(' ').ok_or("no two times")?;
        holds.push((got.parse()?, gives.parse()?));
    }
}

fn command(server: &jaego_testkit::Redis, kind: Kind, waiters: usize) -> Result<Option<Command>, Trouble> {
    let (port, waiters) = (server.addr().port().to_string(), waiters.to_string());
    let other = match kind {
        Kind::Plain | Kind::Fair => None,
        Kind::RedisPy => Some(python()),
        Kind::Rslock => Some(rslock()),
    };
    if let Some(other) = other {
        return Ok(other.map(|mut command| {
            command.args(["wait", &port, &waiters]);
            command
        }));
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["wait", kind.name(), &server.url(), &waiters]);
    Ok(Some(command))
}

async fn calls(url: &str, kind: Kind) -> Result<u64, Trouble> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
    let calls = info.lines().filter_map(|line| {
        let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        kind.commands().contains(&name).then(|| stats.split(',').next()?.parse::<u64>().ok())?
    });
    Ok(calls.sum())
}

/// One of the processes.
pub(crate) async fn wait(kind: &str, url: &str, waiters: usize) -> Result<(), Trouble> {
    let kind = Kind::ALL.into_iter().find(|each| each.name() == kind).ok_or("no such locks")?;
    let locks = Locks::new(Redis::start(RedisOptions::new(url)?.quarantine(Duration::ZERO)));
    // So that everything is connected.
    locks.look("hand-over").await?;
    println!("ready");
    while std::io::stdin().read_line(&mut String::new())? > 0 {
        let mut tasks = Vec::new();
        for _ in 0..waiters {
            tasks.push(tokio::spawn(take_once(locks.clone(), kind)));
        }
        for task in tasks {
            let (got, gives) = task.await??;
            println!("{got} {gives}");
        }
        println!("ready");
    }
    Ok(())
}

/// When it got it, and when it began to give it back.
async fn take_once(locks: Locks, kind: Kind) -> Result<(u64, u64), Trouble> {
    let now = || BootTime::now().as_micros();
    let request = locks.lock("hand-over").lease(LEASE).wait(PATIENCE);
    let request = if kind == Kind::Fair { request.fair() } else { request };
    let guard = request.acquire().await?;
    let got = now();
    sleep(HOLD).await;
    let gives = now();
    assert!(guard.release().await.was_held());
    Ok((got, gives))
}
