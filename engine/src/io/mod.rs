//! The io seam: all sockets, files, timers, tasks and clocks that the project uses.
//!
//! Owns:    the names that the rest sees; which implementation stands behind them.
//! Runs on: every shard.            Plane: data, except `preflight` and thread start.
//! Bounds:  each operation says its own.
//! Never:   lets glommio's names through: only `ring.rs` knows them.
//!
//! In a build with `--cfg sim` a simulator takes the place of `ring` as a whole; no generic parameter spreads.

mod address;
mod child;
pub mod clock;
pub mod datagram;
pub mod descriptors;
pub mod disk;
mod file;
#[cfg(not(sim))]
mod pacer;
pub mod preflight;
mod replace;
#[cfg(not(sim))]
mod ring;
#[cfg(sim)]
pub mod sim;
mod stream;
mod tail;
mod waking;
mod whole_file;
mod worker;

#[cfg(sim)]
use sim as ring;

pub use address::Family;
pub use child::{
    CHAIN_GRACE, CHAIN_LINKS_MAX, Chain, ChainEnd, ChainOptions, ChildOutput, Command, Started,
    start_chain,
};
pub use file::File;
pub use replace::{replace, replace_all, sync_folder};
pub use ring::{
    Accepted, MeshEndpoints, MeshReceiver, MeshSender, RawStream, ShardThread, TcpListener,
    UnconnectedReceiver, UnconnectedSender, blocking, mesh_channel, sleep, spawn, start_shard,
    yield_if_needed,
};
pub use stream::{
    ByteStream, ConnectOptions, KeepAlive, check_congestion_control, connect, read, timeout,
    write_all,
};
pub use tail::{FileKind, FileState, Identity, TailFile};
pub use waking::remember;
pub use whole_file::WholeFile;
pub use worker::{Resident, Worker};
