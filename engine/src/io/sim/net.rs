//! The network of the simulated world: TCP with delays, windows, short reads and writes, refusals, cuts and resets.
//!
//! Owns:    `TcpListener`, `Accepted`, `RawStream`; the connections behind them, and what was written to each.
//! Runs on: the world's thread.            Plane: data.
//! Bounds:  a window a connection; `BACKLOG` connections wait to be accepted.
//! Never:   reorders, repeats or changes a byte: what TCP promises holds here.
//!
//! What a connection has taken and its reader never sees is lost without a word, as in earnest: `Wire` knows of both.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::Socket;

use super::tasks::Owner;
use super::world::{self, World};
use super::{register, sleep};
use crate::io::address::Family;
use crate::io::stream::{ByteStream, KeepAlive};

/// Connections that wait to be accepted.
const BACKLOG: usize = 64;

/// Smallest and largest window of a connection, bytes.
const WINDOW: (u64, u64) = (200, 60_000);

/// Between two attempts of one whose request for a connection is not answered.
const SYN_AGAIN: Duration = Duration::from_secs(1);

/// What the network does: in so many of 1,000 operations.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetFaults {
    /// A request for a connection is refused.
    pub refuse: u16,
    /// A write is the last of its connection, and it may be lost in part.
    pub cut: u16,
    /// A read or write moves less than it could.
    pub short: u16,
    /// What is sent takes long.
    pub slow: u16,
    /// Longest way of what does not, microseconds.
    pub delay_max: u64,
}

/// What was written to one connection by the side that asked for it.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    port: u16,
    /// What the connection has taken.
    pub taken: Vec<u8>,
    /// How much of it the other side has read.
    pub read: usize,
}

#[derive(Default)]
struct Listener {
    waiting: VecDeque<u64>,
    is_silent: bool,
    waker: Option<Waker>,
}

struct Segment {
    due: Duration,
    bytes: VecDeque<u8>,
}

/// One side of a connection.
struct End {
    peer: u64,
    addresses: (SocketAddr, SocketAddr),
    /// On their way here, or here and not read.
    incoming: VecDeque<Segment>,
    incoming_bytes: u64,
    window: u64,
    /// When the other side's end comes here.
    fin: Option<Duration>,
    /// When it is known here that the connection is broken.
    reset: Option<Duration>,
    is_closed: bool,
    is_dropped: bool,
    /// What this side writes is recorded there.
    wire: Option<usize>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// All connections.
#[derive(Default)]
pub(super) struct Net {
    pub(super) faults: NetFaults,
    /// The daemon is being dropped: its connections break.
    pub(super) dies: bool,
    listeners: BTreeMap<u16, Listener>,
    ends: BTreeMap<u64, End>,
    made: u64,
    wires: Vec<Wire>,
    operations: u64,
    fails_at: u64,
}

fn reset_error() -> io::Error {
    io::Error::from_raw_os_error(libc::ECONNRESET)
}

impl Net {
    pub(super) fn fail_operation(&mut self, number: u64) {
        self.operations = 0;
        self.fails_at = number;
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn wires(&self, port: u16) -> Vec<Wire> {
        let wires = self.wires.iter().filter(|wire| wire.port == port);
        wires.cloned().collect()
    }

    pub(super) fn dump(&self) -> String {
        let unread: u64 = self.ends.values().map(|end| end.incoming_bytes).sum();
        format!(
            "{} ends of connections with {unread} bytes unread, listening on {:?}",
            self.ends.len(),
            self.listeners.keys()
        )
    }

    /// Counts an operation of the daemon. `true`: it is the one that fails.
    fn operate(&mut self) -> bool {
        if world::owner() == Owner::Outside {
            return false;
        }
        self.operations += 1;
        self.operations == self.fails_at
    }

    fn end(&mut self, id: u64) -> &mut End {
        self.ends
            .get_mut(&id)
            .expect("an end lives as long as its stream")
    }
}

impl World {
    fn way(&mut self) -> Duration {
        let faults = self.net.faults;
        let slow = if self.chance(faults.slow) { 100 } else { 1 };
        Duration::from_micros(1 + self.below(faults.delay_max) * slow)
    }

    /// Has whoever waits at an end look again when the next thing comes to it.
    fn arm(&mut self, id: u64) {
        let Some(end) = self.net.ends.get(&id) else {
            return;
        };
        let now = self.now();
        let first = end.incoming.front().map(|segment| segment.due);
        let all = [first, end.fin, end.reset];
        let next = all.into_iter().flatten().filter(|due| *due > now).min();
        let wakers = [end.reader.clone(), end.writer.clone()];
        let is_here = all.into_iter().flatten().any(|due| due <= now);
        for waker in wakers.into_iter().flatten() {
            if let Some(due) = next {
                self.wake_at(due, &waker);
            }
            if is_here {
                waker.wake();
            }
        }
    }

    /// Breaks a connection: both sides learn of it a while later, and what is not there by then is lost.
    fn cut(&mut self, id: u64) {
        let peer = self.net.end(id).peer;
        for id in [id, peer] {
            let due = self.now() + self.way();
            if let Some(end) = self.net.ends.get_mut(&id) {
                end.reset = Some(end.reset.map_or(due, |reset| reset.min(due)));
                while end.incoming.back().is_some_and(|segment| segment.due > due) {
                    let lost = end.incoming.pop_back().map_or(0, |lost| lost.bytes.len());
                    end.incoming_bytes -= lost as u64;
                }
            }
            self.arm(id);
        }
    }

    fn connect(&mut self, port: u16) -> Poll<io::Result<u64>> {
        let refused = || Poll::Ready(Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)));
        let refuse = self.net.faults.refuse;
        if self.net.operate() || self.chance(refuse) {
            return refused();
        }
        let window = |world: &mut World| WINDOW.0 + world.below(WINDOW.1);
        let windows = [window(self), window(self)];
        let Some(listener) = self.net.listeners.get_mut(&port) else {
            return refused();
        };
        if listener.is_silent || listener.waiting.len() == BACKLOG {
            return Poll::Pending;
        }
        let (client, server) = (self.net.made, self.net.made + 1);
        self.net.made += 2;
        listener.waiting.push_back(server);
        if let Some(waker) = listener.waker.take() {
            waker.wake();
        }
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let addresses = (local(20_000 + (client / 2 % 40_000) as u16), local(port));
        let wire = self.net.wires.len();
        self.net.wires.push(Wire {
            port,
            ..Wire::default()
        });
        let end = |peer, addresses, window, wire| End {
            peer,
            addresses,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            window,
            fin: None,
            reset: None,
            is_closed: false,
            is_dropped: false,
            wire,
            reader: None,
            writer: None,
        };
        let back = (addresses.1, addresses.0);
        self.net
            .ends
            .insert(client, end(server, addresses, windows[0], Some(wire)));
        self.net
            .ends
            .insert(server, end(client, back, windows[1], None));
        Poll::Ready(Ok(client))
    }

    fn read(
        &mut self,
        id: u64,
        buffer: &mut [u8],
        cx: Option<&Context<'_>>,
    ) -> Poll<io::Result<usize>> {
        if self.net.operate() {
            self.cut(id);
            return Poll::Ready(Err(reset_error()));
        }
        let now = self.now();
        let end = self.net.end(id);
        let there = end
            .incoming
            .front_mut()
            .filter(|segment| segment.due <= now);
        if there.is_some() {
            let short = self.net.faults.short;
            let most = if self.chance(short) {
                1 + self.below(buffer.len() as u64) as usize
            } else {
                buffer.len()
            };
            return Poll::Ready(Ok(self.take(id, &mut buffer[..most])));
        }
        if end.reset.is_some_and(|due| due <= now) {
            return Poll::Ready(Err(reset_error()));
        }
        if end.incoming.is_empty() && end.fin.is_some_and(|due| due <= now) {
            return Poll::Ready(Ok(0));
        }
        if let Some(cx) = cx {
            register(&mut end.reader, cx.waker());
            self.arm(id);
        }
        Poll::Pending
    }

    /// Takes what has come.
    fn take(&mut self, id: u64, buffer: &mut [u8]) -> usize {
        let now = self.now();
        let end = self.net.end(id);
        let mut len = 0;
        while let Some(segment) = end.incoming.front_mut()
            && segment.due <= now
            && len < buffer.len()
        {
            let count = segment.bytes.len().min(buffer.len() - len);
            for (to, from) in buffer[len..].iter_mut().zip(segment.bytes.drain(..count)) {
                *to = from;
            }
            len += count;
            if segment.bytes.is_empty() {
                end.incoming.pop_front();
            }
        }
        end.incoming_bytes -= len as u64;
        let peer = end.peer;
        if let Some(peer) = self.net.ends.get_mut(&peer) {
            if let Some(waker) = peer.writer.take() {
                waker.wake();
            }
            if let Some(wire) = peer.wire {
                self.net.wires[wire].read += len;
            }
        }
        len
    }

    fn write(
        &mut self,
        id: u64,
        parts: &[IoSlice<'_>],
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.net.operate() {
            self.cut(id);
            return Poll::Ready(Err(reset_error()));
        }
        let now = self.now();
        let end = self.net.end(id);
        if end.reset.is_some_and(|due| due <= now) {
            return Poll::Ready(Err(reset_error()));
        }
        if end.is_closed {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let (peer, wire) = (end.peer, end.wire);
        let other = self.net.ends.get(&peer).filter(|end| !end.is_dropped);
        let is_heard = other.is_some();
        let room = other.map_or(u64::MAX, |end| {
            end.window.saturating_sub(end.incoming_bytes)
        });
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            register(&mut self.net.end(id).writer, cx.waker());
            self.arm(id);
            return Poll::Pending;
        }
        let faults = self.net.faults;
        let mut count = wanted.min(usize::try_from(room).unwrap_or(wanted));
        if self.chance(faults.short) {
            count = 1 + self.below(count as u64) as usize;
        }
        let all = parts.iter().flat_map(|part| part.iter().copied());
        let bytes: VecDeque<u8> = all.take(count).collect();
        if let Some(wire) = wire {
            self.net.wires[wire].taken.extend(&bytes);
        }
        if is_heard {
            self.send(peer, bytes);
            if self.chance(faults.cut) {
                self.cut(id);
            }
        } else {
            // Nobody is there any more: it is answered with a reset.
            let due = now + self.way() + self.way();
            let end = self.net.end(id);
            end.reset = Some(end.reset.map_or(due, |reset| reset.min(due)));
            self.arm(id);
        }
        Poll::Ready(Ok(count))
    }

    fn send(&mut self, to: u64, bytes: VecDeque<u8>) {
        let due = self.now() + self.way();
        let end = self.net.end(to);
        if end.reset.is_some() {
            // The connection is broken: nothing comes behind what was lost of it.
            return;
        }
        let last = end.incoming.back().map_or(due, |segment| segment.due);
        end.incoming_bytes += bytes.len() as u64;
        end.incoming.push_back(Segment {
            due: due.max(last),
            bytes,
        });
        self.arm(to);
    }

    /// This side writes no more.
    fn close(&mut self, id: u64) {
        let end = self.net.end(id);
        if std::mem::replace(&mut end.is_closed, true) {
            return;
        }
        let peer = end.peer;
        let due = self.now() + self.way();
        if let Some(end) = self
            .net
            .ends
            .get_mut(&peer)
            .filter(|end| end.reset.is_none())
        {
            let last = end.incoming.back().map_or(due, |segment| segment.due);
            end.fin = Some(due.max(last));
            self.arm(peer);
        }
    }

    /// This side is gone: the other one hears of its end, or of a reset if something was left unread.
    fn drop_end(&mut self, id: u64) {
        let end = self.net.end(id);
        end.is_dropped = true;
        let (peer, unread) = (end.peer, end.incoming_bytes > 0);
        if unread || self.net.dies {
            self.cut(id);
        } else {
            self.close(id);
        }
        let is_over = self.net.ends.get(&peer).is_none_or(|end| end.is_dropped);
        if is_over {
            self.net.ends.remove(&id);
            self.net.ends.remove(&peer);
        }
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener {
    address: SocketAddr,
}

impl TcpListener {
    /// Listens on a port of this host. One that another socket listens on is an error.
    pub fn bind(address: SocketAddr, _family: Family) -> io::Result<TcpListener> {
        World::with(|world| {
            if world.net.operate() || world.net.listeners.contains_key(&address.port()) {
                return Err(ErrorKind::AddrInUse.into());
            }
            world
                .net
                .listeners
                .insert(address.port(), Listener::default());
            Ok(TcpListener { address })
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Listener) -> R) -> R {
        World::with(|world| {
            let listener = world.net.listeners.get_mut(&self.address.port());
            work(listener.expect("a port listens as long as its listener lives"))
        })
    }

    /// Leaves further requests for a connection unanswered.
    pub fn refuse_new(&self) -> io::Result<()> {
        self.with(|listener| listener.is_silent = true);
        Ok(())
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a connection.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        if World::with(|world| world.net.operate()) {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EMFILE)));
        }
        self.with(|listener| match listener.waiting.pop_front() {
            Some(end) => Poll::Ready(Ok(Accepted(RawStream { end }))),
            None => {
                register(&mut listener.waker, cx.waker());
                Poll::Pending
            }
        })
    }

    /// Connections that wait to be accepted.
    pub fn waiting(&self) -> usize {
        self.with(|listener| listener.waiting.len())
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        World::try_with(|world| {
            let listener = world.net.listeners.remove(&self.address.port());
            for end in listener.into_iter().flat_map(|listener| listener.waiting) {
                world.cut(end);
                world.drop_end(end);
            }
        });
    }
}

/// An accepted connection on its way to the shard that will serve it.
#[derive(Debug)]
pub struct Accepted(RawStream);

impl Accepted {
    /// The connection, on the calling shard.
    pub fn adopt(self, _keep_alive: Option<KeepAlive>) -> io::Result<RawStream> {
        Ok(self.0)
    }

    /// Closes the connection.
    pub fn refuse(self) {
        drop(self);
    }
}

/// A TCP connection.
#[derive(Debug)]
pub struct RawStream {
    end: u64,
}

impl RawStream {
    /// Connects to a port of this host.
    pub(in crate::io) async fn connect(target: SocketAddr) -> io::Result<RawStream> {
        loop {
            sleep(World::with(World::way)).await;
            if let Poll::Ready(connected) = World::with(|world| world.connect(target.port())) {
                let stream = RawStream { end: connected? };
                sleep(World::with(World::way)).await;
                return Ok(stream);
            }
            sleep(SYN_AGAIN).await;
        }
    }

    /// There are no sockets.
    pub fn from_socket(_socket: Socket) -> io::Result<RawStream> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Who is on the other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(World::with(|world| world.net.end(self.end).addresses.1))
    }

    /// This side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(World::with(|world| world.net.end(self.end).addresses.0))
    }

    /// There are no datagrams.
    pub async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|_| Poll::Ready(Err(ErrorKind::Unsupported.into()))).await
    }

    /// There are no datagrams.
    pub(in crate::io) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }
}

impl Drop for RawStream {
    fn drop(&mut self) {
        World::try_with(|world| world.drop_end(self.end));
    }
}

impl ByteStream for RawStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        World::with(|world| world.read(self.end, buffer, Some(cx)))
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match World::with(|world| world.read(self.end, buffer, None)) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        World::with(|world| world.write(self.end, &[IoSlice::new(bytes)], cx))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        World::with(|world| world.write(self.end, parts, cx))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        World::with(|world| world.close(self.end));
        Poll::Ready(Ok(()))
    }
}
