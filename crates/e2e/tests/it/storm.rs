//! Many connections that send by the clock, whether answers come or not: an open loop, in one thread.
//!
//! A client that waits for each answer before it sends again slows down with the service and never overloads it. This
//! one keeps its rate; a request for which no connection is free is not sent, and counted.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

/// Longest wait for the answers that are still out when the time is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many a second, by the clock.
    Open(f64),
    /// As soon as the answer before has come.
    Closed,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Requests answered with 200, and how long each took.
    pub(crate) done: Vec<Duration>,
    /// How many of them were answered before the time was over.
    pub(crate) done_in_time: usize,
    /// Requests answered with 429 or 503 and when to come again.
    pub(crate) shed: usize,
    /// Requests that were due and found no free connection.
    pub(crate) unsent: usize,
    /// Other answers, which there should be none of.
    pub(crate) wrong: Vec<String>,
    /// How long requests were sent.
    pub(crate) time: Duration,
}

struct Peer {
    stream: TcpStream,
    /// What is not written yet, from `sent` on.
    request: Vec<u8>,
    sent: usize,
    read: Vec<u8>,
    begun: Option<Instant>,
}

/// Open connections.
pub(crate) struct Storm {
    poll: Poll,
    peers: Vec<Peer>,
}

impl Storm {
    /// Opens so many, each with one request before the storm: a service closes soon what never said who it is.
    pub(crate) fn open(addr: SocketAddr, connections: usize, hello: &[u8]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut peers = Vec::with_capacity(connections);
        for number in 0..connections {
            // Blocking at first: all of them are there before the first request.
            let mut stream = std::net::TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(hello)?;
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            while !is_whole(&answer)? {
                match stream.read(&mut piece)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    len => answer.extend_from_slice(&piece[..len]),
                }
            }
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            peers.push(Peer { stream, request: Vec::new(), sent: 0, read: Vec::new(), begun: None });
        }
        Ok(Self { poll, peers })
    }

    /// Sends requests over the first `connections` for a while, and reads all of their answers. `request` writes the next
    /// one whole.
    pub(crate) fn run(
        &mut self,
        connections: usize,
        pace: Pace,
        time: Duration,
        mut request: impl FnMut(&mut Vec<u8>),
    ) -> io::Result<Told> {
        let Self { poll, peers } = self;
        let mut idle: Vec<usize> = (0..connections).rev().collect();
        let mut told = Told::default();
        let mut events = Events::with_capacity(1_024);
        let (begun, mut due) = (Instant::now(), 0_usize);
        loop {
            let now = begun.elapsed();
            let is_over = now >= time;
            let open = connections - idle.len();
            if is_over && open == 0 {
                break;
            }
            assert!(now < time + PATIENCE, "{open} answers did not come");
            if !is_over {
                let wanted = match pace {
                    Pace::Closed => idle.len(),
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a small positive count"
                    )]
                    Pace::Open(rate) => (now.as_secs_f64() * rate) as usize - due,
                };
                for _ in 0..wanted {
                    due += 1;
                    let Some(number) = idle.pop() else {
                        told.unsent += 1;
                        continue;
                    };
                    let peer = &mut peers[number];
                    peer.request.clear();
                    request(&mut peer.request);
                    (peer.sent, peer.begun) = (0, Some(Instant::now()));
                    peer.write()?;
                }
            }
            poll.poll(&mut events, Some(Duration::from_millis(1)))?;
            for event in &events {
                let number = event.token().0;
                let peer = &mut peers[number];
                if event.is_writable() {
                    peer.write()?;
                }
                if event.is_readable() && peer.is_answered()? {
                    let took = peer.begun.take().expect("an answer has a request").elapsed();
                    told.count(&peer.read, took);
                    if begun.elapsed() <= time {
                        told.done_in_time = told.done.len();
                    }
                    peer.read.clear();
                    idle.push(number);
                }
            }
        }
        told.time = time;
        Ok(told)
    }
}

impl Peer {
    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what is there. Whether that makes a whole answer.
    fn is_answered(&mut self) -> io::Result<bool> {
        let mut piece = [0; 32 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.read.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        is_whole(&self.read)
    }
}

/// Whether bytes are a whole answer.
fn is_whole(read: &[u8]) -> io::Result<bool> {
    let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(false) };
    let len: Option<usize> = header(&read[..end], "content-length").and_then(|len| len.parse().ok());
    let len = len.ok_or_else(|| io::Error::other("an answer has no length"))?;
    Ok(read.len() >= end + 4 + len)
}

impl Told {
    fn count(&mut self, answer: &[u8], took: Duration) {
        let status = answer.get(9..12).unwrap_or_default();
        match status {
            b"200" => self.done.push(took),
            b"429" | b"503" if header(answer, "retry-after").is_some() => self.shed += 1,
            _ => self.wrong.push(String::from_utf8_lossy(answer).chars().take(400).collect()),
        }
    }

    /// Requests done in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.done_in_time as f64 / self.time.as_secs_f64()
    }
}

fn header(answer: &[u8], name: &str) -> Option<String> {
    let head = answer.split(|byte| *byte == b'{').next().unwrap_or_default();
    String::from_utf8_lossy(head).lines().find_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}
