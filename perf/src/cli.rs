//! Arguments as written.
//!
//! Owns:    the flags of the two commands that people use, and of the processes that perf starts of itself.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  parsing validates form only.
//! Never:   opens a file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the whole daemon: starts it, floods it from another process, checks every count.
#[derive(Debug, Parser)]
#[command(name = "perf", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Name the scenarios, and the programs that each can be compared with.
    List,
    /// Run a scenario and print a row for each of its cases.
    Run(RunArgs),
    /// The sending process of a run.
    #[command(hide = true)]
    Sender(SenderArgs),
    /// The receiving process of a run: the bare loop, or the sink behind a relay.
    #[command(hide = true)]
    Receiver(ReceiverArgs),
    /// The bare loop over a file that is read.
    #[command(hide = true)]
    Reader(ReaderArgs),
    /// The bare loop over a file that is written and synced.
    #[command(hide = true)]
    Appender(AppenderArgs),
}

/// Arguments of `perf run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Name of the scenario; `perf list` names them.
    pub(crate) scenario: String,

    /// Run this beside hekad: `raw` is the bare receive loop, anything else a program found in PATH.
    #[arg(long, value_name = "PEER", default_value = "raw")]
    pub(crate) against: String,

    /// Write the rows to this file as a JSON array.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Seconds of sending in each measurement.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(crate) seconds: f64,

    /// Connections that the sender opens.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) connections: usize,

    /// Pairs of measurements for each case; an odd number has a true median.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: usize,

    /// Only the cases with this kind of matchers, or this many.
    #[arg(long, value_name = "KIND|N")]
    pub(crate) case: Option<String>,

    /// A fraction of a second and one round: shows that the scenario works, not how fast.
    #[arg(long)]
    pub(crate) smoke: bool,

    /// The hekad to measure [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(crate) hekad: Option<PathBuf>,

    /// Keep the folder with the generated config, output and reports.
    #[arg(long)]
    pub(crate) keep: bool,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// One stream a connection.
    Tcp,
    /// One message a datagram.
    Udp,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Heka frames of protobuf messages.
    Frames,
    /// Lines as a syslog client writes them.
    Lines,
    /// Lines of a web server's access log, in Nginx's format `combined`.
    Access,
}

impl Format {
    /// As it is written in arguments.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Frames => "frames",
            Format::Lines => "lines",
            Format::Access => "access",
        }
    }

    /// The byte that every message begins with.
    pub(crate) fn first_byte(self) -> u8 {
        match self {
            Format::Frames => 0x1e,
            Format::Lines => b'<',
            Format::Access => b'1',
        }
    }
}

/// Arguments of the sending process.
#[derive(Args, Debug)]
pub(crate) struct SenderArgs {
    /// Port on loopback.
    #[arg(long)]
    pub(crate) port: u16,
    /// Network.
    #[arg(long, value_enum)]
    pub(crate) transport: Transport,
    /// What to send.
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// Bytes of one message with framing.
    #[arg(long)]
    pub(crate) bytes: usize,
    /// Message types t0, t1 ... that take turns.
    #[arg(long)]
    pub(crate) types: usize,
    /// How long.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Ends earlier when so many bytes were sent.
    #[arg(long)]
    pub(crate) bytes_max: u64,
    /// Connections.
    #[arg(long)]
    pub(crate) connections: usize,
}

/// Arguments of the receiving process.
#[derive(Args, Debug)]
pub(crate) struct ReceiverArgs {
    /// Port on loopback.
    #[arg(long)]
    pub(crate) port: u16,
    /// Network.
    #[arg(long, value_enum)]
    pub(crate) transport: Transport,
    /// Streams to wait for.
    #[arg(long)]
    pub(crate) connections: usize,
    /// Bytes of the receive buffer.
    #[arg(long)]
    pub(crate) buffer: usize,
    /// Check that every so many bytes a message begins.
    #[arg(long)]
    pub(crate) message_bytes: Option<usize>,
    /// The first byte of a message.
    #[arg(long, default_value_t = 0)]
    pub(crate) first_byte: u8,
}

/// Arguments of the process that reads a file.
#[derive(Args, Debug)]
pub(crate) struct ReaderArgs {
    /// The file.
    #[arg(long)]
    pub(crate) path: PathBuf,
    /// Bytes of the buffer.
    #[arg(long)]
    pub(crate) buffer: usize,
    /// Send it to this port on loopback, instead of counting its lines.
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// Arguments of the process that appends to a file.
#[derive(Args, Debug)]
pub(crate) struct AppenderArgs {
    /// The file; it must not be there, and is removed at the end.
    #[arg(long)]
    pub(crate) path: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// Bytes of one message with framing.
    #[arg(long)]
    pub(crate) bytes: usize,
    /// Bytes of one write.
    #[arg(long)]
    pub(crate) buffer: usize,
    /// Bytes from one sync to the next.
    #[arg(long)]
    pub(crate) sync_bytes: usize,
    /// How long.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Ends earlier when so many bytes were written.
    #[arg(long)]
    pub(crate) bytes_max: u64,
}

impl RunArgs {
    /// Whether a case was asked for, by the kind of its matchers or their number.
    pub(crate) fn wants(&self, kind: &str, matchers: usize) -> bool {
        self.case
            .as_deref()
            .is_none_or(|case| case == kind || case == matchers.to_string())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
