//! The closed loop: each connection asks, waits for the answer, looks at it, and asks again.
//!
//! One thread drives many connections through one event queue. A request costs one write, one read and a
//! share of a wait; nothing is allocated on the way. The same loop drives HTTP, Redis' protocol and
//! PostgreSQL's, so that the client costs every server the same.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Error;
use crate::error::quoted;
use crate::limits::{
    ANSWER_BYTES_MAX, CONNECT_WAIT_MAX, CONNECTIONS_MAX, DRAIN_WAIT_MAX, ERROR_KINDS_MAX, LATENCY_NS_MAX,
    READ_BUFFER_BYTES, SILENCE_MAX, THREADS_MAX, TICK,
};

/// One connection's side of a conversation.
pub trait Caller: Send {
    /// Says what comes before the first request, such as a login. The stream blocks, with a time limit.
    ///
    /// # Errors
    /// What the system says, or that the server does not let us in.
    fn greet(&mut self, stream: &mut std::net::TcpStream) -> io::Result<()> {
        let _ = stream;
        Ok(())
    }

    /// Makes the next request ready. `false`: there is nothing left to ask.
    fn ask(&mut self) -> bool;

    /// The request that is ready, whole.
    fn request(&self) -> &[u8];

    /// Looks at what has come of the answer so far.
    fn hear(&mut self, received: &[u8]) -> Heard;
}

/// What a [`Caller`] makes of the bytes that it received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There is more to come.
    Partial,
    /// More is to be asked before this piece of work is done, as in a transaction of several round trips:
    /// [`Caller::request`] has it ready.
    More,
    /// The answer is whole and as it should be: so many units of work were done.
    Done(u64),
    /// The answer is whole and not as it should be. The kind is counted, and the run is invalid.
    Unexpected(String),
    /// This is not an answer in the protocol at all: the load ends.
    Broken(String),
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// After a time. What is answered during `warm_up` does not count.
    Time {
        /// Not counted.
        warm_up: Duration,
        /// Counted.
        measured: Duration,
    },
    /// When no caller has anything left to ask. All of it counts.
    Count,
}

/// Where a load goes and how it ends.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server.
    pub addr: SocketAddr,
    /// Threads that share the connections.
    pub threads: usize,
    /// When it ends.
    pub bound: Bound,
}

/// What one load came to.
#[derive(Clone, Debug)]
pub struct Round {
    /// The time that counts.
    pub elapsed: Duration,
    /// Answers in that time, the unexpected ones included.
    pub answers: u64,
    /// Units of work in that time: holds, decrements, lines.
    pub units: u64,
    /// Units of work in all, before and after the time that counts too: what the books must show.
    pub units_in_all: u64,
    /// Unexpected answers by kind, over the whole load. Any of them makes the round invalid.
    pub unexpected: BTreeMap<String, u64>,
    /// From just before the request was written to the moment that the answer was whole, in nanoseconds.
    pub latency: Histogram<u64>,
    /// Where one piece of work takes several requests: each of them by itself.
    pub parts: Vec<Part>,
    /// Orders in that time, where the units are their lines.
    pub orders: Option<u64>,
}

/// One of the requests that a piece of work takes.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which one.
    pub name: &'static str,
    /// The time from the first of its kind to the last answer, where they all come in a row.
    pub elapsed: Option<Duration>,
    /// As in [`Round::latency`].
    pub latency: Histogram<u64>,
}

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are in order")
}

/// So many in so long, as a rate.
#[expect(clippy::cast_precision_loss, reason = "fifteen digits are enough for a rate")]
pub(crate) fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

impl Round {
    /// Units of work in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.units, self.elapsed)
    }

    /// Whether every answer was as it should be.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.unexpected.is_empty() && self.answers > 0
    }

    pub(crate) fn empty() -> Self {
        Self {
            elapsed: Duration::ZERO,
            answers: 0,
            units: 0,
            units_in_all: 0,
            unexpected: BTreeMap::new(),
            latency: histogram(),
            parts: Vec::new(),
            orders: None,
        }
    }

    fn count_unexpected(&mut self, kind: String, times: u64) {
        let known = self.unexpected.contains_key(&kind) || self.unexpected.len() < ERROR_KINDS_MAX;
        *self.unexpected.entry(if known { kind } else { "others".to_owned() }).or_default() += times;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.answers += other.answers;
        self.units += other.units;
        self.units_in_all += other.units_in_all;
        for (kind, times) in other.unexpected {
            self.count_unexpected(kind, times);
        }
        self.latency.add(&other.latency).expect("both have the same bounds");
    }
}

/// Drives the callers, one connection each, and gives them back with what they learned.
///
/// # Errors
/// If the server cannot be reached, closes a connection, breaks the protocol or falls silent.
pub fn drive<C: Caller>(load: &Load, callers: Vec<C>) -> Result<(Round, Vec<C>), Error> {
    within("connections", callers.len(), 1, CONNECTIONS_MAX)?;
    within("threads", load.threads, 1, THREADS_MAX)?;

    let threads = load.threads.min(callers.len());
    let mut shares: Vec<Vec<Connection<C>>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, caller) in callers.into_iter().enumerate() {
        shares[index % threads].push(Connection::open(load.addr, caller)?);
    }

    // All connections are open before the first request leaves.
    let start = Barrier::new(threads);
    let outcomes: Vec<Result<(Round, Vec<C>), Error>> = thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|connections| scope.spawn(|| Driver::new(load, connections)?.run(&start)))
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a driver does not panic")).collect()
    });

    let mut round = Round::empty();
    let mut callers = Vec::new();
    for outcome in outcomes {
        let (share, returned) = outcome?;
        round.merge(share);
        callers.extend(returned);
    }
    Ok((round, callers))
}

pub(crate) fn within(option: &'static str, value: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Option { option, value: value.to_string(), range: format!("from {least} to {most}") })
}

struct Connection<C> {
    stream: TcpStream,
    caller: C,
    /// How much of the request is written.
    sent: usize,
    buffer: Vec<u8>,
    received: usize,
    asked_at: Instant,
    /// Whether an answer is due.
    waiting: bool,
}

impl<C: Caller> Connection<C> {
    fn open(addr: SocketAddr, mut caller: C) -> Result<Self, Error> {
        let mut stream = std::net::TcpStream::connect_timeout(&addr, CONNECT_WAIT_MAX)
            .map_err(Error::net("connect to", addr))?;
        let greeted = (|| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(CONNECT_WAIT_MAX))?;
            stream.set_write_timeout(Some(CONNECT_WAIT_MAX))?;
            caller.greet(&mut stream)?;
            stream.set_nonblocking(true)
        })();
        greeted.map_err(Error::net("log in at", addr))?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            caller,
            sent: 0,
            buffer: vec![0; READ_BUFFER_BYTES],
            received: 0,
            asked_at: Instant::now(),
            waiting: false,
        })
    }

    /// Writes what the socket takes. The queue tells when it takes more.
    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.caller.request().len() {
            match self.stream.write(&self.caller.request()[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One thread's share of a load.
struct Driver<'l, C> {
    load: &'l Load,
    poll: Poll,
    connections: Vec<Connection<C>>,
    round: Round,
    /// Connections with a request on its way.
    waiting: usize,
    counts_from: Instant,
    counts_until: Option<Instant>,
    last_answer: Instant,
}

impl<'l, C: Caller> Driver<'l, C> {
    fn new(load: &'l Load, mut connections: Vec<Connection<C>>) -> Result<Self, Error> {
        let poll = Poll::new().map_err(|source| Error::Loop { doing: "make", source })?;
        for (index, connection) in connections.iter_mut().enumerate() {
            poll.registry()
                .register(&mut connection.stream, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(|source| Error::Loop { doing: "add a connection to", source })?;
        }
        let now = Instant::now();
        Ok(Self {
            load,
            poll,
            connections,
            round: Round::empty(),
            waiting: 0,
            counts_from: now,
            counts_until: None,
            last_answer: now,
        })
    }

    fn run(mut self, start: &Barrier) -> Result<(Round, Vec<C>), Error> {
        start.wait();
        let began = Instant::now();
        self.last_answer = began;
        (self.counts_from, self.counts_until) = match self.load.bound {
            Bound::Time { warm_up, measured } => (began + warm_up, Some(began + warm_up + measured)),
            Bound::Count => (began, None),
        };
        for index in 0..self.connections.len() {
            self.ask(index)?;
        }

        let mut events = Events::with_capacity(256);
        while self.waiting > 0 {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome.map_err(|source| Error::Loop { doing: "wait in", source })?,
            }
            for event in &events {
                self.serve(event)?;
            }
            if events.is_empty() {
                self.check_silence()?;
            }
        }

        self.round.elapsed = match self.load.bound {
            Bound::Time { measured, .. } => measured,
            Bound::Count => self.last_answer - began,
        };
        let callers = self.connections.into_iter().map(|connection| connection.caller).collect();
        Ok((self.round, callers))
    }

    fn check_silence(&self) -> Result<(), Error> {
        let now = Instant::now();
        let draining = self.counts_until.is_some_and(|until| now > until + DRAIN_WAIT_MAX);
        let waited = now - self.last_answer;
        if draining || waited > SILENCE_MAX {
            return Err(Error::Silent { addr: self.load.addr, waited });
        }
        Ok(())
    }

    fn serve(&mut self, event: &Event) -> Result<(), Error> {
        let Token(index) = event.token();
        // One that has nothing to ask is writable as well, and has a request that is not ready.
        if event.is_writable() && self.connections[index].waiting {
            self.connections[index].flush().map_err(Error::net("write to", self.load.addr))?;
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(index, event.is_read_closed() || event.is_error())?;
        }
        Ok(())
    }

    /// Makes the next request ready and sends it, unless the time is over or there is nothing left.
    fn ask(&mut self, index: usize) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        let over = self.counts_until.is_some_and(|until| self.last_answer >= until);
        if over || !connection.caller.ask() {
            return Ok(());
        }
        connection.asked_at = Instant::now();
        connection.waiting = true;
        self.waiting += 1;
        self.send(index)
    }

    fn send(&mut self, index: usize) -> Result<(), Error> {
        let connection = &mut self.connections[index];
        connection.sent = 0;
        connection.received = 0;
        connection.flush().map_err(Error::net("write to", self.load.addr))
    }

    /// Reads what has come; `to_end` where the queue said that nothing will come after it, and will not say so twice.
    fn read(&mut self, index: usize, to_end: bool) -> Result<(), Error> {
        let addr = self.load.addr;
        loop {
            let connection = &mut self.connections[index];
            if connection.received == connection.buffer.len() {
                let len = connection.buffer.len() * 2;
                if len > ANSWER_BYTES_MAX {
                    let detail = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                    return Err(Error::Protocol { addr, protocol: "an answer of a reasonable size", detail });
                }
                connection.buffer.resize(len, 0);
            }
            let room = connection.buffer.len() - connection.received;
            let read = match connection.stream.read(&mut connection.buffer[connection.received..]) {
                // A server may close a connection that has nothing left to ask.
                Ok(0) if !connection.waiting => return Ok(()),
                Ok(0) => {
                    return Err(Error::net("read on from", addr)(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::net("read from", addr)(error)),
            };
            if !connection.waiting {
                let bytes = &connection.buffer[connection.received..connection.received + read];
                let detail = format!("bytes that nobody asked for: {}", quoted(bytes));
                return Err(Error::Protocol { addr, protocol: "an answer", detail });
            }
            connection.received += read;
            // What the answer is worth is our own time, and not the server's.
            let now = Instant::now();
            match connection.caller.hear(&connection.buffer[..connection.received]) {
                Heard::Partial => {}
                Heard::More => self.send(index)?,
                Heard::Done(units) => self.answered(index, now, Ok(units))?,
                Heard::Unexpected(kind) => self.answered(index, now, Err(kind))?,
                Heard::Broken(detail) => {
                    return Err(Error::Protocol { addr, protocol: "its protocol", detail });
                }
            }
            // A read that left room took all that there was; the queue tells of what comes later.
            if read < room && !to_end {
                return Ok(());
            }
        }
    }

    fn answered(&mut self, index: usize, now: Instant, outcome: Result<u64, String>) -> Result<(), Error> {
        self.last_answer = now;
        let connection = &mut self.connections[index];
        connection.waiting = false;
        self.waiting -= 1;
        let counts = now >= self.counts_from && self.counts_until.is_none_or(|until| now < until);
        let units = outcome.unwrap_or_else(|kind| {
            self.round.count_unexpected(kind, 1);
            0
        });
        self.round.units_in_all += units;
        if counts {
            self.round.answers += 1;
            self.round.units += units;
            // What was asked during the warm-up is work of the measured time, but its wait is not.
            if connection.asked_at >= self.counts_from {
                let waited = u64::try_from((now - connection.asked_at).as_nanos()).unwrap_or(u64::MAX);
                self.round.latency.saturating_record(waited);
            }
        }
        self.ask(index)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// Sends `len` bytes and wants one byte for every 1,000 of them back.
    struct Bulk {
        request: Vec<u8>,
        left: u64,
        asked: u64,
    }

    impl Caller for Bulk {
        fn ask(&mut self) -> bool {
            self.asked += 1;
            self.left = self.left.wrapping_sub(1);
            self.left < u64::MAX / 2
        }

        fn request(&self) -> &[u8] {
            &self.request
        }

        fn hear(&mut self, received: &[u8]) -> Heard {
            match received.len() {
                _ if received[0] == b'?' => Heard::Broken("a question".to_owned()),
                len if len * 1_000 == self.request.len() && received.ends_with(b"!") => {
                    Heard::Unexpected("!".into())
                }
                len if len * 1_000 == self.request.len() => Heard::Done(2),
                _ => Heard::Partial,
            }
        }
    }

    fn bulk(len: usize, left: u64) -> Bulk {
        Bulk { request: vec![b'x'; len], left, asked: 0 }
    }

    /// Answers each 1,000 bytes with the next byte of `answers`, then closes.
    fn server(answers: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut received = vec![0; 1_000];
                    for answer in answers {
                        if stream.read_exact(&mut received).is_err() || stream.write_all(&[*answer]).is_err()
                        {
                            return;
                        }
                    }
                    // Closed only after the client: what lies unread would take the answers with it.
                    let _ = (stream.shutdown(Shutdown::Write), stream.read(&mut received));
                });
            }
        });
        addr
    }

    fn count(addr: SocketAddr) -> Load {
        Load { addr, threads: 2, bound: Bound::Count }
    }

    #[test]
    fn a_counted_load_asks_as_often_as_it_should() {
        let load = count(server(&[b'.'; 100]));
        let (round, callers) = drive(&load, (0..5).map(|_| bulk(1_000, 20)).collect()).unwrap();
        assert_eq!((round.answers, round.units, round.units_in_all), (100, 200, 200));
        assert_eq!((round.latency.len(), callers.len()), (100, 5));
        assert!(callers.iter().all(|caller| caller.asked == 21) && round.is_valid() && round.rate() > 0.0);
    }

    #[test]
    fn who_has_nothing_to_ask_sends_nothing() {
        let load = count(server(&[b'.'; 100]));
        let callers = [0, 50, 0].map(|left| bulk(1_000, left));
        let (round, _) = drive(&Load { threads: 1, ..load }, callers.into()).unwrap();
        assert_eq!(round.answers, 50);
    }

    #[test]
    fn large_requests_go_out_as_the_socket_takes_them() {
        // Far more than the buffers of both ends, answered in many pieces.
        let load = count(server(&[b'.'; 20_000]));
        let (round, _) = drive(&load, vec![bulk(20_000_000, 1)]).unwrap();
        assert_eq!(round.answers, 1);
    }

    #[test]
    fn a_timed_load_counts_what_lies_in_its_time() {
        let (warm_up, measured) = (Duration::from_millis(50), Duration::from_millis(100));
        let load =
            Load { addr: server(&[b'.'; 1_000_000]), threads: 1, bound: Bound::Time { warm_up, measured } };
        let (round, _) = drive(&load, vec![bulk(1_000, u64::MAX / 2), bulk(1_000, u64::MAX / 2)]).unwrap();
        assert_eq!(round.elapsed, measured);
        assert!(round.units_in_all > round.units, "{round:?}");
        assert!(
            round.latency.len() <= round.answers && round.latency.len() + 2 >= round.answers,
            "{round:?}"
        );
    }

    #[test]
    fn unexpected_answers_are_counted_by_kind() {
        let (round, _) = drive(&count(server(b"..!.!")), vec![bulk(1_000, 5)]).unwrap();
        assert_eq!(round.unexpected, BTreeMap::from([("!".to_owned(), 2)]));
        assert_eq!((round.answers, round.units), (5, 6));
        assert!(!round.is_valid());
    }

    #[test]
    fn a_server_that_stops_midway_is_an_error() {
        let error = drive(&count(server(b"..")), vec![bulk(1_000, 3)]).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("cannot read on from 127.0.0.1:"), "{error}");
        let error = drive(&count(server(b"??.")), vec![bulk(3_000, 1)]).map(drop).unwrap_err();
        assert!(error.to_string().ends_with("a question"), "{error}");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = drive(&count(free), vec![bulk(1_000, 1)]).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("cannot connect to 127.0.0.1:"), "{error}");
    }
}
