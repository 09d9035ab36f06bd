//! The io seam over io_uring: the only file that names glommio.
//!
//! Owns:    shard threads, tasks, timers, TCP streams and listeners, the channels of the mesh.
//! Runs on: every shard; `start_shard`, `probe` and `mesh_channel` on the main thread.            Plane: data.
//! Bounds:  `BACKLOG` connections wait in the kernel; channels hold what they were made with.
//! Never:   lets a glommio type through its interface.
//!
//! A stream's read tries the socket first and, if it is empty, registers readiness in the ring: the bytes go from the
//! kernel straight into the caller's buffer, and no buffer is held while a connection is idle.

#![expect(
    unsafe_code,
    reason = "descriptors pass between the socket library and the executor"
)]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::channels::shared_channel;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement, PoolPlacement};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Protocol, SockFilter, SockRef, Socket, Type};

use super::address::Family;
use super::pacer;
use super::stream::{ByteStream, KeepAlive};

/// Connections that wait in the kernel for `accept`.
const BACKLOG: i32 = 1024;

/// Submission queue entries of a shard's ring: operations that start between two looks at it.
const RING_DEPTH: usize = 1024;

/// Threads of a shard for what can only block: name resolution, connects, renames.
const BLOCKING_THREADS: usize = 2;

/// Memory for registered buffers, bytes. Sockets and buffered files use none.
const REGISTERED_BYTES: usize = 64 * 1024;

/// Longest time one task runs before it is asked to yield.
const PREEMPT: Duration = Duration::from_millis(2);

/// How long a shard may take to begin before another executor is started for it, and how many are.
const BEGIN: Duration = Duration::from_secs(1);
const STARTS: usize = 8;

/// Longest sleep of a shard.
const HEARTBEAT: Duration = Duration::from_millis(10);

/// Drops segments that ask for a connection, SYN without ACK, and passes all others. The kernel runs it from the TCP header on.
const DROP_SYN: [SockFilter; 5] = [
    // The byte of flags; of them ACK (0x10) and SYN (0x02); is it SYN alone?
    SockFilter::new(
        (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16,
        0,
        0,
        13,
    ),
    SockFilter::new(
        (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16,
        0,
        0,
        0x12,
    ),
    SockFilter::new(
        (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        0,
        1,
        0x02,
    ),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
];

fn builder(cpu: Option<usize>) -> LocalExecutorBuilder {
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .ring_depth(RING_DEPTH)
        .io_memory(REGISTERED_BYTES)
        .preempt_timer(PREEMPT)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
}

/// Makes one ring and drops it, to learn whether the kernel allows it.
pub(super) fn probe() -> io::Result<()> {
    builder(None).make().map(drop).map_err(io::Error::from)
}

/// A running shard's thread.
pub struct ShardThread<T: Send + 'static> {
    handle: ExecutorJoinHandle<io::Result<T>>,
}

impl<T: Send + 'static> std::fmt::Debug for ShardThread<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardThread").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> ShardThread<T> {
    /// Waits for the shard to end; an error if its executor could not start or panicked.
    pub fn join(self) -> io::Result<T> {
        self.handle.join().map_err(io::Error::from)?
    }
}

/// Starts a thread with an executor of its own, pinned to `cpu`, which runs the future that `main` makes.
pub fn start_shard<T, F>(
    name: &str,
    cpu: Option<usize>,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<ShardThread<T>>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + 'static,
{
    // An executor that goes to sleep before its first task has run is never woken: then another one is started, and whichever begins takes the work.
    let work = Arc::new(Mutex::new(Some((pacer::start(HEARTBEAT)?, main))));
    let (sender, begun) = flume::bounded(STARTS);
    let mut handles = Vec::with_capacity(STARTS);
    for number in 0..STARTS {
        let (work, begun_sender) = (Arc::clone(&work), sender.clone());
        let (alive, gone) = flume::bounded::<()>(1);
        let handle = builder(cpu).name(name).spawn(move || async move {
            let _alive = alive;
            let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (heartbeat, main) = taken.ok_or_else(|| io::Error::other("began too late"))?;
            let _ = begun_sender.send(number);
            ON_SHARD.set(true);
            let (mut heartbeat, mut main) = (pin!(heartbeat), pin!(main()));
            // The first task that runs is the one that is woken: one of its own might not have run before the first sleep.
            poll_fn(|cx| {
                let _ = heartbeat.as_mut().poll(cx);
                main.as_mut().poll(cx)
            })
            .await
        });
        handles.push(handle.map_err(io::Error::from)?);
        if let Ok(first) = begun.recv_timeout(BEGIN) {
            let handle = handles.swap_remove(first);
            return Ok(ShardThread { handle });
        }
        if gone.is_disconnected() {
            break;
        }
    }
    let handle = handles
        .pop()
        .ok_or_else(|| io::Error::other("no executor"))?;
    Ok(ShardThread { handle })
}

thread_local! {
    static ON_SHARD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread may wait: it is no shard's.
pub(super) fn may_block() -> bool {
    !ON_SHARD.get()
}

/// Runs `future` on this shard beside the caller.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(future).detach();
}

/// Waits.
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// Lets other tasks of the shard run if this one has had its time.
pub async fn yield_if_needed() {
    glommio::executor().yield_if_needed().await;
}

/// Has every descriptor of this process but the first three closed in a process that a child becomes. Those that were opened here are
/// closed anyway; this is for those that this process was given itself.
pub(super) fn close_others_on_exec() {
    // SAFETY: the call takes only integers, and with this flag it closes nothing in this process.
    unsafe {
        libc::close_range(
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC as libc::c_int,
        )
    };
}

/// Runs `work` on one of the shard's blocking threads.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    glommio::executor().spawn_blocking(work).await
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener {
    inner: glommio::net::TcpListener,
    /// The same socket, for its options.
    socket: Socket,
    address: SocketAddr,
}

impl TcpListener {
    /// Listens on `address`. An address that another socket listens on is an error.
    pub fn bind(address: SocketAddr, family: Family) -> io::Result<TcpListener> {
        let socket = family.socket(address, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let address = socket.local_addr()?.as_socket().unwrap_or(address);
        let same = socket.try_clone()?;
        // SAFETY: `from_raw_fd` asks for an open, listening socket that nobody else owns; `into_raw_fd` gives up this
        // function's ownership of exactly such a one. (The executor's own `bind` would set SO_REUSEPORT, with which
        // two daemons could share a port without a word.)
        let inner = unsafe { glommio::net::TcpListener::from_raw_fd(socket.into_raw_fd()) };
        Ok(TcpListener {
            inner,
            socket: same,
            address,
        })
    }

    /// Leaves further requests for a connection unanswered; their senders repeat them after a second. Connections that are complete or
    /// almost still come. A listener that is closed without this resets what came since it last accepted.
    pub fn refuse_new(&self) -> io::Result<()> {
        self.socket.attach_filter(&DROP_SYN)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a connection.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.inner.poll_shared_accept(cx).map(|result| {
            result
                .map(|inner| Accepted { inner })
                .map_err(io::Error::from)
        })
    }

    /// Connections that wait to be accepted.
    pub fn waiting(&self) -> usize {
        // SAFETY: all fields of the C struct are integers, for which zero bytes are a value.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes, the size of `info`, which is exclusively borrowed by this call.
        let answer = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                std::ptr::from_mut(&mut info).cast(),
                &raw mut len,
            )
        };
        // Of a listening socket this field is the length of its queue.
        if answer == 0 {
            info.tcpi_unacked as usize
        } else {
            0
        }
    }
}

/// An accepted connection on its way to the shard that will serve it. It must be adopted or refused: dropped, its
/// descriptor would stay open.
#[derive(Debug)]
pub struct Accepted {
    inner: glommio::net::AcceptedTcpStream,
}

impl Accepted {
    /// The connection, on the calling shard.
    pub fn adopt(self, keep_alive: Option<KeepAlive>) -> io::Result<RawStream> {
        let stream = RawStream {
            inner: self.inner.bind_to_executor(),
        };
        stream.with_options(|socket| {
            socket.set_tcp_nodelay(true)?;
            keep_alive.map_or(Ok(()), |keep_alive| keep_alive.apply(socket))
        })?;
        Ok(stream)
    }

    /// Closes the connection.
    pub fn refuse(self) {
        drop(self.inner.bind_to_executor());
    }
}

/// A TCP connection, or any other socket that receives and sends.
#[derive(Debug)]
pub struct RawStream {
    inner: glommio::net::TcpStream,
}

impl RawStream {
    /// Wraps a socket; it is made non-blocking.
    pub fn from_socket(socket: Socket) -> io::Result<RawStream> {
        socket.set_nonblocking(true)?;
        Ok(RawStream {
            inner: socket.into(),
        })
    }

    /// Who is on the other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr().map_err(io::Error::from)
    }

    /// This side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr().map_err(io::Error::from)
    }

    /// Waits until something can be received, without receiving it.
    ///
    /// The executor takes an empty datagram for the end of a stream and would say "readable" for ever after; its state is renewed then.
    pub async fn readable(&mut self) -> io::Result<()> {
        let there = self.inner.peek(&mut [0]).await.map_err(io::Error::from)?;
        if there == 0 {
            self.renew()?;
        }
        Ok(())
    }

    fn renew(&mut self) -> io::Result<()> {
        // SAFETY: `borrow_raw` asks that the descriptor stay open for the borrow's life; `self.inner` owns it and is replaced
        // only after the borrow, once it has been duplicated.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) };
        let socket = Socket::from(descriptor.try_clone_to_owned()?);
        self.inner = socket.into();
        Ok(())
    }

    /// The error that the kernel has noted for the socket, and forgets with this.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with_options(|socket| socket.take_error())
    }

    fn with_options<T>(&self, work: impl FnOnce(&SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
        // SAFETY: `borrow_raw` asks that the descriptor stay open for the borrow's life; `self.inner` owns it, is not
        // closed while `self` is borrowed, and the borrow ends with this call.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) };
        work(&SockRef::from(&descriptor))
    }
}

impl ByteStream for RawStream {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match recv(self.inner.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => Err(io::ErrorKind::WouldBlock.into()),
            result => result.map_err(io::Error::from),
        }
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    #[inline]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner
            .poll_shutdown(cx, Shutdown::Write)
            .map_err(io::Error::from)
    }
}

/// What one receive learned of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Bytes of it that stand in its slot.
    pub(super) len: usize,
    /// Whether it was longer than its slot.
    pub(super) truncated: bool,
    /// Who sent it, for IP sockets.
    pub(super) sender: Option<SocketAddr>,
    /// How many datagrams the socket had dropped when this one came, if it had dropped any.
    pub(super) dropped: Option<u32>,
}

/// Room for the control message that says how many datagrams were dropped, aligned as its header has to be.
type Control = [u64; 4];

/// What the kernel writes beside the datagrams of one receive.
pub(super) struct ReceiveRoom {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
}

impl ReceiveRoom {
    /// Room for `count` datagrams a receive.
    pub(super) fn new(count: usize) -> ReceiveRoom {
        ReceiveRoom {
            headers: Vec::with_capacity(count),
            parts: Vec::with_capacity(count),
            // SAFETY: the C struct has only integers, for which zero bytes are a value.
            names: vec![unsafe { std::mem::zeroed() }; count],
            controls: vec![[0; 4]; count],
        }
    }

    /// Receives the datagrams that are there, one into each slot, at most as many as there is room for. Answers with an
    /// error of kind `WouldBlock` if there is none.
    pub(super) fn receive(
        &mut self,
        socket: &RawStream,
        slots: &mut [u8],
        slot_bytes: usize,
        arrived: &mut Vec<Arrived>,
    ) -> io::Result<()> {
        self.headers.clear();
        self.parts.clear();
        let room = self.names.iter_mut().zip(&mut self.controls);
        for ((name, control), slot) in room.zip(slots.chunks_exact_mut(slot_bytes)) {
            self.parts.push(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            });
            // SAFETY: all fields of the two C structs are integers and pointers, for which zero bytes are a value.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of_val(name) as libc::socklen_t;
            header.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = size_of::<Control>();
            self.headers.push(header);
        }
        for (header, part) in self.headers.iter_mut().zip(&mut self.parts) {
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: `headers` has the length that is given. Each header names memory of the lengths that it gives (a slot,
        // a name, a control buffer, one part), all of it exclusively borrowed by this call and by no other header.
        let count = unsafe {
            libc::recvmmsg(
                socket.inner.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let received = self.headers.iter().zip(&self.names);
        arrived.extend(received.take(count as usize).map(|(header, name)| {
            let message = &header.msg_hdr;
            Arrived {
                len: header.msg_len as usize,
                truncated: message.msg_flags & libc::MSG_TRUNC != 0,
                sender: ip_address(name, message.msg_namelen),
                dropped: dropped_of(message),
            }
        }));
        Ok(())
    }
}

/// The IP address in a name of which the kernel wrote `len` bytes.
fn ip_address(name: &libc::sockaddr_storage, len: libc::socklen_t) -> Option<SocketAddr> {
    let wrote = |size: usize| len as usize >= size;
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET if wrote(size_of::<libc::sockaddr_in>()) => {
            // SAFETY: a storage is large enough and aligned for every kind of address, and its family says that it is this.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::from((ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 if wrote(size_of::<libc::sockaddr_in6>()) => {
            // SAFETY: as above.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::from((ip, u16::from_be(v6.sin6_port))))
        }
        _ => None,
    }
}

/// The count of dropped datagrams in a received message's control messages.
fn dropped_of(message: &libc::msghdr) -> Option<u32> {
    // SAFETY: the header was filled in by the kernel, which left in `msg_controllen` how much of the control buffer is
    // valid; that buffer is alive, as `ReceiveRoom::receive` holds it borrowed. The macro answers null if no header fits.
    let control = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    let wanted = (libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    if (control.cmsg_level, control.cmsg_type) != wanted {
        return None;
    }
    // SAFETY: a control message of this type holds a u32 (socket(7)), which need not be aligned.
    Some(unsafe { libc::CMSG_DATA(control).cast::<u32>().read_unaligned() })
}

/// Another descriptor for the open socket that this process was given as descriptor `number`.
pub(super) fn inherited_socket(number: RawFd) -> io::Result<Socket> {
    // SAFETY: asking for a descriptor's flags touches no memory, whatever the number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, as was just seen, and the borrow ends with this statement, before which nothing
    // closes what the process was started with.
    let own = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
    Ok(Socket::from(own))
}

/// Both unconnected ends of a channel between two shards.
pub struct MeshEndpoints<T: Send + 'static> {
    /// For the sending shard.
    pub sender: UnconnectedSender<T>,
    /// For the receiving shard.
    pub receiver: UnconnectedReceiver<T>,
}

impl<T: Send + 'static> std::fmt::Debug for MeshEndpoints<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshEndpoints").finish_non_exhaustive()
    }
}

/// Sending end before its shard runs.
pub struct UnconnectedSender<T: Send + 'static>(shared_channel::SharedSender<T>);

/// Receiving end before its shard runs.
pub struct UnconnectedReceiver<T: Send + 'static>(shared_channel::SharedReceiver<T>);

/// A bounded lock-free channel from one shard to one other.
pub fn mesh_channel<T: Send + 'static>(capacity: usize) -> MeshEndpoints<T> {
    let (sender, receiver) = shared_channel::new_bounded(capacity);
    MeshEndpoints {
        sender: UnconnectedSender(sender),
        receiver: UnconnectedReceiver(receiver),
    }
}

impl<T: Send + 'static> UnconnectedSender<T> {
    /// Waits for the other shard to connect its end.
    pub async fn connect(self) -> MeshSender<T> {
        MeshSender(while_awake(self.0.connect()).await)
    }
}

impl<T: Send + 'static> UnconnectedReceiver<T> {
    /// Waits for the other shard to connect its end.
    pub async fn connect(self) -> MeshReceiver<T> {
        MeshReceiver(while_awake(self.0.connect()).await)
    }
}

/// Runs a connect to its end. The side that connects first is not told when the other one does: a sleeping executor would
/// wait for ever, so it is woken now and then until both are there. Only at start.
async fn while_awake<T>(connect: impl Future<Output = T>) -> T {
    const LOOK: Duration = Duration::from_millis(1);
    let mut connect = pin!(connect);
    let mut timer = Box::pin(sleep(LOOK));
    poll_fn(|cx| {
        if let Poll::Ready(connected) = connect.as_mut().poll(cx) {
            return Poll::Ready(connected);
        }
        while timer.as_mut().poll(cx).is_ready() {
            timer = Box::pin(sleep(LOOK));
        }
        Poll::Pending
    })
    .await
}

/// The sending end on its shard.
pub struct MeshSender<T: Send + 'static>(shared_channel::ConnectedSender<T>);

impl<T: Send + 'static> std::fmt::Debug for MeshSender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshSender").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> MeshSender<T> {
    /// Sends, or gives the item back if the channel is full or the other shard is gone.
    pub fn send(&self, item: T) -> Result<(), T> {
        self.0.try_send(item).map_err(|error| match error {
            glommio::GlommioError::Closed(glommio::ResourceType::Channel(item))
            | glommio::GlommioError::WouldBlock(glommio::ResourceType::Channel(item)) => item,
            other => unreachable!("a channel's send fails by being full or closed, not by {other}"),
        })
    }
}

/// The receiving end on its shard.
pub struct MeshReceiver<T: Send + 'static>(shared_channel::ConnectedReceiver<T>);

impl<T: Send + 'static> std::fmt::Debug for MeshReceiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshReceiver").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> MeshReceiver<T> {
    /// The next item; `None` when the other shard is gone.
    pub async fn receive(&self) -> Option<T> {
        self.0.recv().await
    }
}
