//! What only tests of sockets ask: addresses of their own, where an input listens.
//!
//! Owns:    `own_address`, and questions to the `Daemon`.
//! Runs on: the test's thread.            Plane: both.
//! Bounds:  250 addresses a process.
//! Never:   gives an address twice.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::daemon::Daemon;

/// An address of the loopback network that no other test has.
pub(crate) fn own_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed) as u8;
    Ipv4Addr::new(127, high.max(1), low, number).into()
}

impl Daemon {
    /// Where it says that it listens: once, however many shards there are.
    pub(crate) fn listening(&self) -> (SocketAddr, String) {
        let notices = self.notices.lock().expect("no panic");
        let mut lines = notices
            .iter()
            .filter_map(|notice| notice.strip_prefix("listening on "));
        let line = lines.next().expect("an input says where it listens");
        assert_eq!(lines.next(), None, "once");
        let (address, how) = line.split_once(' ').expect("address and how");
        (address.parse().expect("an address"), how.to_owned())
    }
}
