use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::limits::{START_TRIES_MAX, START_WAIT_MAX};
use crate::process::{self, Process};
use crate::{Error, free_port};

/// What a Redis server keeps of the writes that it has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it comes back empty after [`Redis::restart`].
    #[default]
    None,
    /// An append-only file, synced once a second (`appendfsync everysec`).
    EverySecond,
    /// An append-only file, synced before each answer (`appendfsync always`).
    Always,
}

/// How a [`Redis`] server is set up.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// What survives a crash.
    pub durability: Durability,
    /// More settings, by their names in `redis.conf`, such as `("replicaof", "127.0.0.1 11001")`.
    pub settings: Vec<(String, String)>,
}

/// Names another program to start in place of `redis-server`, such as `valkey-server`.
const REDIS_PROGRAM: &str = "JAEGO_REDIS";

/// A private Redis server on 127.0.0.1, or Valkey as `JAEGO_REDIS` says, ended and deleted when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    options: RedisOptions,
    port: u16,
    folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it accepts connections.
    pub fn start(options: &RedisOptions) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            let folder = tempfile::Builder::new()
                .prefix("jaego-redis-")
                .tempdir()
                .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
            let options = options.clone();
            let mut redis = Self { process: None, options, port: free_port()?, folder };
            match redis.launch() {
                Ok(()) => return Ok(redis),
                // Perhaps somebody else took the port; a wrong setting fails again and is shown then.
                Err(Error::Ended { .. }) if tries < START_TRIES_MAX => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens. The same for the whole life of the value, restarts included.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The address as clients want it: `redis://127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    /// The folder with its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that it logs to.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }

    /// Kills it as a crash would. Everything that it had not handed to the kernel is lost.
    pub fn kill_9(&mut self) -> Result<(), Error> {
        self.process.take().ok_or_else(not_running)?.kill_9()
    }

    /// Stops it where it stands (SIGSTOP): connections stay open and nothing is answered.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.running()?.stop().map(drop)
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn cont(&mut self) -> Result<(), Error> {
        self.running()?.cont()
    }

    /// Shuts it down in good order (SIGTERM).
    pub fn shut_down(&mut self) -> Result<(), Error> {
        self.process.take().ok_or_else(not_running)?.end(Signal::TERM).map(drop)
    }

    /// Starts it again on the same port and files, and waits until it accepts connections. One that
    /// still runs is shut down first.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            self.shut_down()?;
        }
        self.launch()
    }

    /// Kills it and starts it again with nothing in it, as a machine whose disk was lost.
    pub fn restart_empty(&mut self) -> Result<(), Error> {
        if self.process.is_some() {
            self.kill_9()?;
        }
        for entry in fs::read_dir(self.folder()).map_err(Error::io("list", self.folder()))? {
            let path = entry.map_err(Error::io("list", self.folder()))?.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io("delete", &path))?;
        }
        self.launch()
    }

    fn running(&mut self) -> Result<&mut Process, Error> {
        self.process.as_mut().ok_or_else(not_running)
    }

    fn launch(&mut self) -> Result<(), Error> {
        let program = program()?;
        let mut command = process::command(&program, None);
        command.current_dir(self.folder()).args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.arg("--dir").arg(self.folder());
        // No snapshots by the clock: what a crash loses is decided by the durability alone.
        command.args(["--save", "", "--daemonize", "no"]);
        command.args(match self.options.durability {
            Durability::None => ["--appendonly", "no", "--appendfsync", "no"],
            Durability::EverySecond => ["--appendonly", "yes", "--appendfsync", "everysec"],
            Durability::Always => ["--appendonly", "yes", "--appendfsync", "always"],
        });
        for (name, value) in &self.options.settings {
            command.arg(format!("--{name}")).args(value.split_whitespace());
        }

        // The log says that *this* server is ready; a connection could reach somebody else's.
        let log = self.log_path();
        let earlier = fs::metadata(&log).map_or(0, |file| file.len());
        let mut process = Process::spawn("redis-server", command, &log, &log)?;
        process.wait_ready(START_WAIT_MAX, || {
            let text = fs::read(&log).unwrap_or_default();
            let news = text.get(usize::try_from(earlier).unwrap_or(usize::MAX)..).unwrap_or_default();
            String::from_utf8_lossy(news).contains("Ready to accept connections")
        })?;
        self.process = Some(process);
        Ok(())
    }
}

fn not_running() -> Error {
    Error::NotRunning { name: "redis-server".to_owned() }
}

/// The program that is started: Redis, or the one that `JAEGO_REDIS` names.
pub(crate) fn program() -> Result<PathBuf, Error> {
    let program = std::env::var(REDIS_PROGRAM).unwrap_or_else(|_| "redis-server".to_owned());
    process::find(&program).ok_or(Error::ProgramMissing { program })
}
