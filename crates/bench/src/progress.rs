//! Talk for the person who waits, on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Says what is under way; nothing when it is told to be quiet.
#[derive(Debug)]
pub(crate) struct Progress {
    quiet: bool,
    terminal: bool,
    said_at: Option<Instant>,
}

/// The pause between two words about the same work.
const PAUSE: Duration = Duration::from_millis(500);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: stderr().is_terminal(), said_at: None }
    }

    /// One line.
    pub(crate) fn say(&mut self, text: &str) {
        if !self.quiet {
            self.write(text, "\n");
        }
        self.said_at = None;
    }

    /// How far something is; written over by the next word. Only a terminal gets these.
    pub(crate) fn step(&mut self, what: &str, done: usize, of: usize) {
        let due = self.said_at.is_none_or(|at| at.elapsed() >= PAUSE);
        if self.quiet || !self.terminal || !due {
            return;
        }
        self.write(&format!("{what}: {done} of {of}"), "");
        self.said_at = Some(Instant::now());
    }

    fn write(&self, text: &str, end: &str) {
        let start = if self.terminal { "\r\x1b[K" } else { "" };
        let mut stderr = stderr().lock();
        // Nobody can be told that standard error does not work.
        drop(write!(stderr, "{start}{text}{end}").and_then(|()| stderr.flush()));
    }
}
