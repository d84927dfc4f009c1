//! One process that we started, with its children: its signals, its log, its end.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::log_tail;
use crate::limits::END_WAIT_MAX;
use crate::{Error, wait_until};

/// A running process whose output goes to files. Dropping it kills it and its children.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The user that a server runs as, when it refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A command whose process is killed by the kernel when we die, however we die.
///
/// `prctl(PR_SET_PDEATHSIG)` would need unsafe code between fork and exec; `setpriv` does it for us
/// and then becomes the program, under the same process id.
pub(crate) fn command(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(User { uid, gid }) = user {
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

impl Process {
    /// Starts `command`, with standard output and error appended to files, in a process group of its
    /// own: a Ctrl-C at the terminal ends the test, and the test ends the server.
    pub(crate) fn spawn(name: &str, command: Command, stdout: &Path, stderr: &Path) -> Result<Self, Error> {
        Self::spawn_with(name, command, Stdio::null(), stdout, stderr)
    }

    /// The same, with something to read from.
    pub(crate) fn spawn_with(
        name: &str,
        mut command: Command,
        stdin: Stdio,
        stdout: &Path,
        stderr: &Path,
    ) -> Result<Self, Error> {
        let append = |path: &Path| {
            OpenOptions::new().create(true).append(true).open(path).map_err(Error::io("open the log", path))
        };
        command.stdin(stdin).stdout(append(stdout)?).stderr(append(stderr)?).process_group(0);
        let program = PathBuf::from(command.get_program());
        let child = spawn_for_life(command).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::ProgramMissing { program: "setpriv".to_owned() },
            _ => Error::Io { doing: "start", path: program, source },
        })?;
        Ok(Self { name: name.to_owned(), child, log: stderr.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The other end of what it reads from, if it was given a pipe; once.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// How it ended, or nothing while it runs.
    pub(crate) fn exit_status(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|source| Error::Signal { name: self.name.clone(), source })
    }

    /// Waits until `ready` says so. A process that ends first is an error that quotes its log.
    pub(crate) fn wait_ready(
        &mut self,
        wait_max: std::time::Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let what = format!("the start of {}", self.name);
        let started = wait_until(what, wait_max, || match self.exit_status() {
            Err(error) => Some(Err(error)),
            Ok(Some(status)) => {
                Some(Err(Error::Ended { name: self.name.clone(), status, log: log_tail(&self.log) }))
            }
            Ok(None) => ready().then_some(Ok(())),
        });
        match started {
            Err(Error::TimedOut { what, waited, .. }) => {
                Err(Error::TimedOut { what, waited, log: log_tail(&self.log) })
            }
            Err(error) => Err(error),
            Ok(outcome) => outcome,
        }
    }

    /// Sends `signal` to the process alone.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        // A child that was not waited for keeps its id, so this cannot hit a stranger.
        if self.exit_status()?.is_some() {
            return Err(Error::NotRunning { name: self.name.clone() });
        }
        kill_process(pid(self.id()), signal)
            .map_err(|error| Error::Signal { name: self.name.clone(), source: error.into() })
    }

    /// Stops the process and its children where they stand (SIGSTOP). Returns the children.
    pub(crate) fn stop(&mut self) -> Result<Vec<u32>, Error> {
        // The parent first: once it has really stopped it starts and reaps no more children, so the
        // list is complete and stays true.
        self.signal(Signal::STOP)?;
        let id = self.id();
        wait_until(format!("the stop of {}", self.name), END_WAIT_MAX, || {
            matches!(state(id), None | Some('T' | 'Z')).then_some(())
        })?;
        let children = children(id);
        for child in &children {
            self.signal_child(*child, Signal::STOP)?;
        }
        for child in &children {
            wait_until(format!("the stop of a child of {}", self.name), END_WAIT_MAX, || {
                matches!(state(*child), None | Some('T' | 'Z')).then_some(())
            })?;
        }
        Ok(children)
    }

    /// Lets the process and its children go on after [`stop`](Self::stop).
    pub(crate) fn cont(&mut self) -> Result<(), Error> {
        for child in children(self.id()) {
            self.signal_child(child, Signal::CONT)?;
        }
        self.signal(Signal::CONT)
    }

    /// Kills the process and its children at one point in time, and waits until all are gone.
    pub(crate) fn kill_9(mut self) -> Result<(), Error> {
        self.kill_tree()
    }

    /// Sends `signal`, and waits until the process has ended.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<ExitStatus, Error> {
        self.signal(signal)?;
        self.wait_exit(END_WAIT_MAX)
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait_exit(&mut self, wait_max: std::time::Duration) -> Result<ExitStatus, Error> {
        let what = format!("the end of {}", self.name);
        wait_until(what, wait_max, || self.exit_status().transpose())?
    }

    fn kill_tree(&mut self) -> Result<(), Error> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        // Stopped first, so that no child commits or answers after its parent is already gone.
        let children = self.stop()?;
        for child in &children {
            self.signal_child(*child, Signal::KILL)?;
        }
        self.signal(Signal::KILL)?;
        self.wait_exit(END_WAIT_MAX)?;
        for child in children {
            // An orphan's zombie is not ours to reap, and holds nothing any more.
            wait_until(format!("the end of a child of {}", self.name), END_WAIT_MAX, || {
                matches!(state(child), None | Some('Z' | 'X')).then_some(())
            })?;
        }
        Ok(())
    }

    fn signal_child(&self, child: u32, signal: Signal) -> Result<(), Error> {
        match kill_process(pid(child), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::Signal { name: self.name.clone(), source: error.into() }),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill_tree().is_err() {
            // The tree could not be stopped in order, so at least the process itself must go.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Starts a process from a thread that lives as long as we do.
///
/// The kernel's parent-death signal comes when the *thread* that forked ends. A server that one test
/// starts and others share would die with the first test's thread.
fn spawn_for_life(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("testkit-spawner".to_owned())
            .spawn(move || {
                for (mut command, answer) in jobs {
                    drop(answer.send(command.spawn()));
                }
            })
            .expect("a test process can start a thread");
        Mutex::new(sender)
    });

    let (answer, child) = mpsc::sync_channel(1);
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .expect("the spawner lives as long as the process");
    child.recv().expect("the spawner answers every job")
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("process ids are positive and fit 31 bits")
}

/// The state letter of a process in `/proc`, or nothing when it is gone.
fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may itself hold brackets and spaces; what follows the last one is plain.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// The direct children of a process. PostgreSQL gives each of them a session of its own, so signals
/// to a process group would miss them.
fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// The full path of a program that is in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
