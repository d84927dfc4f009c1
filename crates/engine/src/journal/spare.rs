//! The next segment's file, made before it is needed.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::disk::{Disk, is_full};
use crate::journal::error::Error;

/// The file that becomes the next segment.
pub(crate) const SPARE_NAME: &str = "spare";

/// After a full disk refused a spare, how long the background thread is left alone. Filling a file with zeros
/// until the disk is full again costs time that every waiting command would pay.
pub const SPARE_RETRY_AFTER: Duration = Duration::from_millis(250);

/// Who makes the spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preparation {
    /// A thread of the journal's own, while the active segment fills.
    Background,
    /// The caller, in the call that used the last one up: the same steps in the same order every time, for
    /// simulations.
    Inline,
}

/// At most one spare.
#[derive(Debug)]
pub(crate) struct Spares<D: Disk> {
    disk: Arc<D>,
    len: u64,
    state: State<D::File>,
    worker: Option<Worker<D::File>>,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
enum State<F> {
    None,
    Preparing,
    Ready(F),
}

#[derive(Debug)]
struct Worker<F> {
    // Dropped first, which ends the thread.
    requests: Option<mpsc::SyncSender<()>>,
    spares: mpsc::Receiver<io::Result<F>>,
    thread: Option<JoinHandle<()>>,
}

impl<D: Disk> Spares<D> {
    pub(crate) fn new(disk: Arc<D>, len: u64, preparation: Preparation) -> Result<Spares<D>, Error> {
        let worker = match preparation {
            Preparation::Inline => None,
            Preparation::Background => {
                let worker = Worker::start(disk.clone(), len);
                Some(worker.map_err(|source| Error::io("start a thread for", SPARE_NAME, source))?)
            }
        };
        Ok(Spares { disk, len, state: State::None, worker, retry_at: None })
    }

    /// Starts making a spare if there is none. A full disk is no error here: there is just no spare yet.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        if !matches!(self.state, State::None) || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let Some(worker) = &self.worker else {
            let made = make(&*self.disk, self.len);
            return self.keep(made);
        };
        let requests = worker.requests.as_ref().expect("requests are taken only in drop");
        requests.send(()).expect("the thread lives as long as its requests");
        self.state = State::Preparing;
        Ok(())
    }

    /// Whether there is a spare, waiting for the one that is being made.
    pub(crate) fn wait(&mut self) -> Result<bool, Error> {
        self.prepare()?;
        if let (State::Preparing, Some(worker)) = (&self.state, &self.worker) {
            let made = worker.spares.recv().expect("the thread answers every request");
            self.keep(made)?;
        }
        Ok(matches!(self.state, State::Ready(_)))
    }

    /// Takes the spare, if there is one.
    pub(crate) fn take(&mut self) -> Option<D::File> {
        match std::mem::replace(&mut self.state, State::None) {
            State::Ready(file) => Some(file),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn keep(&mut self, made: io::Result<D::File>) -> Result<(), Error> {
        self.state = State::None;
        match made {
            Ok(file) => self.state = State::Ready(file),
            Err(error) if is_full(&error) => {
                // Inline preparation has no clock, and whoever asked for it has their own.
                self.retry_at = self.worker.is_some().then(|| Instant::now() + SPARE_RETRY_AFTER);
            }
            Err(source) => return Err(Error::io("prepare", SPARE_NAME, source)),
        }
        Ok(())
    }
}

impl<F: Send + 'static> Worker<F> {
    fn start<D: Disk<File = F>>(disk: Arc<D>, len: u64) -> io::Result<Worker<F>> {
        // At most one request is ever on its way, so neither side waits for room.
        let (requests, requested) = mpsc::sync_channel(1);
        let (made, spares) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("journal-spare".to_owned()).spawn(move || {
            while requested.recv().is_ok() {
                if made.send(make(&*disk, len)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Worker { requests: Some(requests), spares, thread: Some(thread) })
    }
}

impl<F> Drop for Worker<F> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; the journal is going away and has nothing to add.
            let _ = thread.join();
        }
    }
}

fn make<D: Disk>(disk: &D, len: u64) -> io::Result<D::File> {
    remove_leftover(disk)?;
    let made = disk.create(SPARE_NAME, len);
    if let Err(error) = &made
        && is_full(error)
    {
        // What was created so far takes room that others need.
        remove_leftover(disk)?;
    }
    made
}

// An earlier process may have left a spare behind, perhaps with half a header. Making a new one is cheaper to
// reason about than proving the old one blank and durable.
fn remove_leftover<D: Disk>(disk: &D) -> io::Result<()> {
    match disk.remove(SPARE_NAME) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
