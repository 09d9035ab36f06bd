//! What a simulated world does not have: datagrams, children, sockets that were handed down.
//!
//! Owns:    names that the rest of `io` needs to be built.
//! Runs on: nowhere: nothing here gets far.            Plane: data.
//! Bounds:  none.
//! Never:   reaches the system.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use socket2::Socket;

use super::net::RawStream;

/// What one receive learned of a datagram.
#[derive(Clone, Copy, Debug)]
pub(in crate::io) struct Arrived {
    /// Bytes of it that stand in its slot.
    pub(in crate::io) len: usize,
    /// Whether it was longer than its slot.
    pub(in crate::io) truncated: bool,
    /// Who sent it.
    pub(in crate::io) sender: Option<SocketAddr>,
    /// How many datagrams the socket had dropped.
    pub(in crate::io) dropped: Option<u32>,
}

/// Room for what is received.
pub(in crate::io) struct ReceiveRoom;

impl ReceiveRoom {
    pub(in crate::io) fn new(_count: usize) -> ReceiveRoom {
        ReceiveRoom
    }

    pub(in crate::io) fn receive(
        &mut self,
        _socket: &RawStream,
        _slots: &mut [u8],
        _slot_bytes: usize,
        _arrived: &mut Vec<Arrived>,
    ) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// Nothing is asked of the kernel.
pub(in crate::io) fn probe() -> io::Result<()> {
    Ok(())
}

/// Nothing is handed to a child.
pub(in crate::io) fn close_others_on_exec() {}

/// Nothing was handed down.
pub(in crate::io) fn inherited_socket(_number: i32) -> io::Result<Socket> {
    Err(ErrorKind::Unsupported.into())
}
