use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::limits::{END_WAIT_MAX, START_WAIT_MAX};
use crate::process::{self, Process};
use crate::{Error, wait_until};

/// How a [`Server`] shows that it is ready.
#[derive(Clone, Debug)]
pub enum Ready {
    /// `GET /healthz` at this address is answered with 200.
    Health(SocketAddr),
    /// A line of its standard output begins with this.
    Line(String),
}

/// What is started, and how.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The binary, such as `env!("CARGO_BIN_EXE_jaego")`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that it gets on top of our own.
    pub env: Vec<(OsString, OsString)>,
    /// What is waited for. Nothing: it counts as ready as soon as it runs.
    pub ready: Option<Ready>,
}

/// The real binary under test, as a process of its own, killed when dropped.
///
/// Its folder holds only what it prints; the folder that it works on is the test's own, so that it
/// outlives a crash.
#[derive(Debug)]
pub struct Server {
    process: Process,
    options: ServerOptions,
    logs: TempDir,
}

impl Server {
    /// Starts the program and waits until it is ready.
    pub fn start(options: ServerOptions) -> Result<Self, Error> {
        let logs = tempfile::Builder::new()
            .prefix("jaego-server-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let process = launch(&options, logs.path())?;
        Ok(Self { process, options, logs })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has written to standard output since the last start.
    #[must_use]
    pub fn stdout(&self) -> String {
        read(&stdout(self.logs.path()))
    }

    /// What it has written to standard error since the last start.
    #[must_use]
    pub fn stderr(&self) -> String {
        read(&stderr(self.logs.path()))
    }

    /// Waits for a line of standard output that begins with `prefix`; returns the rest of it.
    pub fn wait_line(&self, prefix: &str, wait_max: Duration) -> Result<String, Error> {
        wait_until(format!("the line \"{prefix}…\""), wait_max, || line(&self.stdout(), prefix))
    }

    /// How it ended, or nothing while it runs.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process.exit_status()
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self, wait_max: Duration) -> Result<ExitStatus, Error> {
        self.process.wait_exit(wait_max)
    }

    /// Kills it as a crash would (SIGKILL) and waits until it is gone.
    pub fn kill_9(&mut self) -> Result<(), Error> {
        self.process.end(Signal::KILL).map(drop)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> Result<ExitStatus, Error> {
        self.process.end(Signal::TERM)
    }

    /// Stops it where it stands (SIGSTOP).
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop().map(drop)
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn cont(&mut self) -> Result<(), Error> {
        self.process.cont()
    }

    /// Starts it again with the same options and waits until it is ready. One that still runs is
    /// asked to end first.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.exit_status()?.is_none() {
            self.terminate()?;
        }
        for log in [stdout(self.logs.path()), stderr(self.logs.path())] {
            fs::write(&log, "").map_err(Error::io("empty", &log))?;
        }
        self.process = launch(&self.options, self.logs.path())?;
        Ok(())
    }
}

fn launch(options: &ServerOptions, logs: &Path) -> Result<Process, Error> {
    let mut command = process::command(&options.program, None);
    command.args(&options.args).envs(options.env.iter().map(|(name, value)| (name, value)));
    let name = options.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut process = Process::spawn(&name, command, &stdout(logs), &stderr(logs))?;
    match &options.ready {
        None => {}
        Some(Ready::Health(addr)) => process.wait_ready(START_WAIT_MAX, || healthy(*addr))?,
        Some(Ready::Line(prefix)) => {
            process.wait_ready(START_WAIT_MAX, || line(&read(&stdout(logs)), prefix).is_some())?;
        }
    }
    Ok(process)
}

fn stdout(logs: &Path) -> PathBuf {
    logs.join("stdout.log")
}

fn stderr(logs: &Path) -> PathBuf {
    logs.join("stderr.log")
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The rest of the first whole line that begins with `prefix`. The last line may still be growing.
fn line(text: &str, prefix: &str) -> Option<String> {
    let whole = &text[..=text.rfind('\n')?];
    whole.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned)
}

fn healthy(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&addr, END_WAIT_MAX)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        // In one piece: a server may answer and close before it has read a second one.
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut status = [0; b"HTTP/1.1 200".len()];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_count() {
        let cases = [
            ("admin token: abc\n", Some("abc")),
            ("starting\nadmin token: abc\nlistening\n", Some("abc")),
            ("starting\nadmin token: ab", None),
            ("the admin token: abc\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text, "admin token: ").as_deref(), expected, "{text:?}");
        }
    }
}
