//! A TCP proxy between a client and a server on 127.0.0.1 that misbehaves on request.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::Error;
use crate::limits::{PROXY_CHUNK_LEN, PROXY_CONNECT_WAIT_MAX, PROXY_CONNECTIONS_MAX};

/// Pump threads do little, and there may be two thousand of them.
const PUMP_STACK_LEN: usize = 128 * 1_024;

/// How long a write may be stuck before the pump looks whether its connection was cut.
const WRITE_LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Throttled bytes go on in pieces of this part of a second's worth.
const THROTTLE_PIECES_PER_S: u64 = 20;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: replies.
    ToClient,
}

/// What happens to the bytes that go one way. Counted in bytes over all connections, in the order in
/// which they arrive at the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: they pass.
    Pass,
    /// Each chunk waits this long before it goes on.
    Delay(Duration),
    /// At most this many bytes a second on each connection; at least 1.
    Throttle(u64),
    /// The next so many are dropped, from the middle of whatever is sent. Then `Pass`.
    Drop(u64),
    /// All are dropped while the connection stays open: the server acts and its replies are lost, or
    /// requests never arrive. That a side has closed it is not told either.
    Swallow,
    /// All are held: nothing arrives, nothing is lost, and the sender sooner or later feels the full
    /// buffers. They go on when the fault is changed, and so does the end of a side that has closed.
    Blackhole,
    /// The next so many pass; when another one comes, its connection is closed on both sides. Then
    /// `Pass`, so that the client's next try gets through. `CutAfter(0)` towards the client lets the
    /// server act and takes the connection away with the reply.
    CutAfter(u64),
}

/// A proxy in front of one server. Faults are set while connections are open and take effect on the
/// next bytes. Dropping it closes all connections.
///
/// It carries [`PROXY_CONNECTIONS_MAX`] connections at once.
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever a fault changes or a connection is cut.
    changed: Condvar,
    passed: [AtomicU64; 2],
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    faults: [Fault; 2],
    accepting: bool,
    closing: bool,
    /// How often all connections were ended, and how the last time. A connection that is just being
    /// made is in nobody's list yet, and sees by this that it was meant too.
    ended: (u64, End),
    next_id: u64,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    link: Arc<Link>,
    pumps: Vec<JoinHandle<()>>,
}

/// The two sockets of a connection. They close when the last pump lets go.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
}

impl FaultProxy {
    /// Starts a proxy to `upstream`, on a free port, that passes everything.
    pub fn start(upstream: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(net("listen for the proxy"))?;
        let addr = listener.local_addr().map_err(net("listen for the proxy"))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                upstream,
                faults: [Fault::Pass; 2],
                accepting: true,
                closing: false,
                ended: (0, End::Close),
                next_id: 0,
                connections: BTreeMap::new(),
            }),
            changed: Condvar::new(),
            passed: [AtomicU64::new(0), AtomicU64::new(0)],
        });
        let acceptor = thread::Builder::new()
            .name("proxy-acceptor".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.accept_all(&listener)
            })
            .map_err(net("start the proxy's thread"))?;
        Ok(Self { addr, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the fault of one direction, for open and future connections.
    pub fn set(&self, direction: Direction, fault: Fault) {
        self.shared.lock().faults[direction as usize] = fault;
        self.shared.changed.notify_all();
    }

    /// Sets the fault of both directions at once.
    pub fn set_both(&self, fault: Fault) {
        self.shared.lock().faults = [fault; 2];
        self.shared.changed.notify_all();
    }

    /// The fault of a direction now. [`Fault::CutAfter`] and [`Fault::Drop`] count down and end as
    /// [`Fault::Pass`].
    #[must_use]
    pub fn fault(&self, direction: Direction) -> Fault {
        self.shared.lock().faults[direction as usize]
    }

    /// Everything passes again, held bytes first, and connections are accepted.
    pub fn heal(&self) {
        self.set_accepting(true);
        self.set_both(Fault::Pass);
    }

    /// Whether new connections are carried; otherwise they are reset at once. Open ones stay.
    pub fn set_accepting(&self, accepting: bool) {
        self.shared.lock().accepting = accepting;
    }

    /// Sends new connections to another server, after a failover for instance. Open ones stay.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        self.shared.lock().upstream = upstream;
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.values().filter(|connection| connection.is_open()).count()
    }

    /// How many bytes were passed on in a direction since the start.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.passed[direction as usize].load(Ordering::Acquire)
    }

    /// Closes all connections on both sides, after the bytes that were already passed on (FIN).
    pub fn close_connections(&self) {
        self.shared.end_connections(End::Close);
    }

    /// Resets all connections on both sides, as a firewall that forgot them would (RST).
    pub fn reset_connections(&self) {
        self.shared.end_connections(End::Reset);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        // The acceptor waits in accept; a connection wakes it.
        drop(TcpStream::connect_timeout(&self.addr, PROXY_CONNECT_WAIT_MAX));
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.join());
        }
        self.shared.end_connections(End::Close);
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let Ok((client, _)) = listener.accept() else {
                // Out of descriptors, say. Not ours to solve, but no reason to spin.
                thread::sleep(WRITE_LOOK_PAUSE);
                continue;
            };
            let upstream = {
                let mut state = self.lock();
                if state.closing {
                    return;
                }
                state.connections.retain(|_, connection| connection.is_open());
                let room = state.connections.len() < PROXY_CONNECTIONS_MAX;
                (state.accepting && room).then_some((state.upstream, state.ended.0))
            };
            let carried =
                upstream.is_some_and(|(upstream, ended)| self.carry(&client, upstream, ended).is_ok());
            if !carried {
                let _ = set_socket_linger(&client, Some(Duration::ZERO));
            }
        }
    }

    /// Connects to the server and starts the two pumps. `ended` is how often connections had been
    /// ended when this one was accepted.
    fn carry(self: &Arc<Self>, client: &TcpStream, upstream: SocketAddr, ended: u64) -> io::Result<()> {
        let server = TcpStream::connect_timeout(&upstream, PROXY_CONNECT_WAIT_MAX)?;
        for socket in [client, &server] {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(WRITE_LOOK_PAUSE))?;
        }
        let link = Arc::new(Link { client: client.try_clone()?, server, cut: AtomicBool::new(false) });
        let mut pumps = Vec::with_capacity(2);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let (shared, pumped) = (Arc::clone(self), Arc::clone(&link));
            let pump = thread::Builder::new()
                .name("proxy-pump".to_owned())
                .stack_size(PUMP_STACK_LEN)
                .spawn(move || shared.pump(&pumped, direction));
            match pump {
                Ok(pump) => pumps.push(pump),
                Err(error) => {
                    link.end(End::Reset);
                    pumps.into_iter().for_each(|pump| drop(pump.join()));
                    return Err(error);
                }
            }
        }
        let mut state = self.lock();
        if state.ended.0 != ended {
            link.end(state.ended.1);
            self.changed.notify_all();
            drop(state);
            pumps.into_iter().for_each(|pump| drop(pump.join()));
            return Ok(());
        }
        let id = state.next_id;
        state.next_id += 1;
        state.connections.insert(id, Connection { link, pumps });
        Ok(())
    }

    /// Moves bytes one way until either side ends.
    fn pump(&self, link: &Link, direction: Direction) {
        let (mut from, to) = match direction {
            Direction::ToServer => (&link.client, &link.server),
            Direction::ToClient => (&link.server, &link.client),
        };
        let mut chunk = [0; PROXY_CHUNK_LEN];
        loop {
            let read = match from.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) | Ok(0) => break,
                Ok(len) => self.forward(link, to, &chunk[..len], direction),
            };
            if read.is_err() {
                link.end(End::Close);
                return;
            }
        }
        // One side has said its last word, which is held or lost as its bytes are. The other may still have something
        // to say.
        self.wait_for_line(link, direction);
        if !link.is_cut() {
            drop(to.shutdown(Shutdown::Write));
        }
    }

    /// Passes a chunk on as the fault of its direction wants it.
    fn forward(&self, link: &Link, to: &TcpStream, mut chunk: &[u8], direction: Direction) -> io::Result<()> {
        let passing = |bytes: &[u8]| {
            link.write(to, bytes)?;
            self.passed[direction as usize].fetch_add(bytes.len() as u64, Ordering::Release);
            Ok(())
        };
        // The fault is looked at, and counted down, only now: a reader may have slept in `read` since
        // before the test set it.
        let mut state = self.lock();
        loop {
            let fault = &mut state.faults[direction as usize];
            match *fault {
                Fault::Pass => {
                    drop(state);
                    return passing(chunk);
                }
                Fault::Swallow => return Ok(()),
                Fault::Drop(count) => {
                    let dropped = count.min(chunk.len() as u64);
                    *fault = if dropped == count { Fault::Pass } else { Fault::Drop(count - dropped) };
                    drop(state);
                    return passing(&chunk[usize::try_from(dropped).expect("no longer than the chunk")..]);
                }
                Fault::CutAfter(count) if count < chunk.len() as u64 => {
                    *fault = Fault::Pass;
                    drop(state);
                    passing(&chunk[..usize::try_from(count).expect("shorter than the chunk")])?;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Fault::CutAfter(count) => {
                    *fault = Fault::CutAfter(count - chunk.len() as u64);
                    drop(state);
                    return passing(chunk);
                }
                Fault::Delay(delay) => {
                    self.rest(link, state, delay)?;
                    return passing(chunk);
                }
                Fault::Throttle(bytes_per_s) => {
                    // In small pieces, so that a change of the fault is soon felt.
                    let rate = bytes_per_s.max(1);
                    let len = usize::try_from(rate / THROTTLE_PIECES_PER_S).unwrap_or(usize::MAX);
                    let (piece, left) = chunk.split_at(len.clamp(1, chunk.len()));
                    self.rest(link, state, Duration::from_nanos(1_000_000_000 * piece.len() as u64 / rate))?;
                    passing(piece)?;
                    if left.is_empty() {
                        return Ok(());
                    }
                    chunk = left;
                    state = self.lock();
                }
                Fault::Blackhole => {
                    if link.is_cut() {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits until something can pass in a direction, or the connection is cut.
    fn wait_for_line(&self, link: &Link, direction: Direction) {
        let mut state = self.lock();
        while !link.is_cut() && matches!(state.faults[direction as usize], Fault::Blackhole | Fault::Swallow)
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sleeps, unless the connection is cut.
    fn rest(&self, link: &Link, mut state: MutexGuard<'_, State>, rest: Duration) -> io::Result<()> {
        let until = Instant::now() + rest;
        while !link.is_cut() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return Ok(());
            };
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn end_connections(&self, end: End) {
        let connections = {
            let mut state = self.lock();
            state.ended = (state.ended.0 + 1, end);
            for connection in state.connections.values() {
                connection.link.end(end);
            }
            // Under the lock, so that a pump that just found itself uncut is already asleep and hears it.
            self.changed.notify_all();
            std::mem::take(&mut state.connections)
        };
        for connection in connections.into_values() {
            let Connection { link, pumps } = connection;
            for pump in pumps {
                drop(pump.join());
            }
            // The sockets close here, before the caller goes on.
            drop(link);
        }
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        self.pumps.iter().any(|pump| !pump.is_finished())
    }
}

impl Link {
    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Ends both directions and wakes both pumps. The first way of ending counts: a pump that fails
    /// because of a reset must not send a FIN.
    fn end(&self, end: End) {
        if self.cut.swap(true, Ordering::AcqRel) {
            return;
        }
        for socket in [&self.client, &self.server] {
            match end {
                End::Close => drop(socket.shutdown(Shutdown::Both)),
                End::Reset => {
                    // Without lingering, the close that follows the pumps' end is a reset. Only reading
                    // is shut down, because shutting down writing would send a FIN first.
                    let _ = set_socket_linger(socket, Some(Duration::ZERO));
                    drop(socket.shutdown(Shutdown::Read));
                }
            }
        }
    }

    /// Writes all of it, looking now and then whether the connection was cut.
    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.is_cut() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => bytes = &bytes[len..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

fn net(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Net { doing, source }
}
