use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Error;
use crate::process::{self, Process};

/// A second process of the running test program, which plays one of its tests: for what must happen to a process,
/// and not to the test. That test looks for a variable of the environment, and behaves differently if it is there.
///
/// The two speak in lines of standard output and input, among which are those of the test harness. Killed and deleted
/// when dropped, and by the kernel when the test itself is killed.
#[derive(Debug)]
pub struct Twin {
    process: Option<Process>,
    stdin: ChildStdin,
    /// How much of what it has written was read already.
    read: usize,
    folder: TempDir,
}

/// Says a line to the test that started this process as its [`Twin`]. The harness may have begun one.
pub fn tell(line: &str) {
    println!("\n{line}");
}

impl Twin {
    /// Starts a process of this test program that plays the test of that name, with these variables set.
    pub fn start(test: &str, variables: &[(&str, String)]) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("jaego-twin-")
            .tempdir()
            .map_err(Error::io("make a folder in", std::env::temp_dir()))?;
        let program = std::env::current_exe().map_err(Error::io("find", "the running program"))?;
        let mut command = process::command(&program, None);
        command.args(["--exact", test, "--nocapture", "--include-ignored"]);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let (said, log) = (folder.path().join("said"), folder.path().join("log"));
        let mut process = Process::spawn_with(test, command, Stdio::piped(), &said, &log)?;
        let stdin = process.take_stdin().expect("it was given a pipe");
        Ok(Self { process: Some(process), stdin, read: 0, folder })
    }

    /// Says a line to it.
    pub fn say(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.stdin, "{line}").map_err(Error::io("write to", self.said()))
    }

    /// The next line that it writes, without empty ones. An error if it has ended, or says nothing for so long.
    pub fn hear(&mut self, wait_max: Duration) -> Result<String, Error> {
        let (said, read) = (self.said(), self.read);
        let mut heard = next_line(&said, read);
        if heard.is_none() {
            let process = self.process.as_mut().ok_or_else(not_running)?;
            process.wait_ready(wait_max, || {
                heard = next_line(&said, read);
                heard.is_some()
            })?;
        }
        let (line, read) = heard.expect("it was waited for");
        self.read = read;
        Ok(line)
    }

    /// Waits until it writes a line that begins so, and returns the rest.
    pub fn hear_of(&mut self, beginning: &str, wait_max: Duration) -> Result<String, Error> {
        loop {
            let line = self.hear(wait_max)?;
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Kills it.
    pub fn kill_9(&mut self) -> Result<(), Error> {
        self.process.take().ok_or_else(not_running)?.kill_9()
    }

    /// Stops it where it stands (SIGSTOP), and waits until it does.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.as_mut().ok_or_else(not_running)?.stop().map(drop)
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn cont(&mut self) -> Result<(), Error> {
        self.process.as_mut().ok_or_else(not_running)?.cont()
    }

    fn said(&self) -> PathBuf {
        self.folder.path().join("said")
    }
}

fn not_running() -> Error {
    Error::NotRunning { name: "the twin".to_owned() }
}

/// The next line behind so many bytes, and how many there are up to its end.
fn next_line(file: &Path, read: usize) -> Option<(String, usize)> {
    let bytes = fs::read(file).ok()?;
    let mut at = read;
    loop {
        let len = bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&bytes[at..at + len]);
        at += len + 1;
        if !line.is_empty() {
            return Some((line.into_owned(), at));
        }
    }
}
