//! Arguments of `hekad buffer` as written.
//!
//! Owns:    every flag of its commands, their help and examples.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  parsing validates form only; meaning is the command's.
//! Never:   opens a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CatFormat, SignerArgs, TlsArgs};

const EXAMPLES: &str = "\
Examples:
  hekad buffer ls /var/cache/hekad/output_queue          all queues there
  hekad buffer ls /var/cache/hekad/output_queue/relay    one of them, lane by lane
  hekad buffer cat --match \"Severity < 4\" DIR
  hekad buffer verify DIR && echo sound
  hekad buffer export --output saved.log DIR
  hekad buffer replay --heka 10.0.0.7:5565 --remove DIR

DIR is the folder of one queue, of a plugin with `use_buffering` or of its dead letters; Heka's own queue folders can be read as well. \
`ls`, `cat`, `verify` and `export`, and `replay` without --remove, change nothing and may be used while a daemon works on the folder. \
`repair` and `replay --remove` need it to be stopped, and say so.

`hekad buffer COMMAND --help` explains a command.";

/// Arguments of `hekad buffer`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BufferArgs {
    #[command(subcommand)]
    pub(crate) command: BufferCommand,
}

/// What to do with a queue.
#[derive(Debug, Subcommand)]
pub(crate) enum BufferCommand {
    /// Say what is in a queue, or in all queues of a folder.
    Ls(BufferLsArgs),
    /// Print the messages of a queue.
    Cat(BufferCatArgs),
    /// Check every record of a queue.
    Verify(BufferVerifyArgs),
    /// Cut off what is half written and set aside what is damaged.
    Repair(BufferRepairArgs),
    /// Write the messages of a queue to a file, as `hekad cat` reads them.
    Export(BufferExportArgs),
    /// Send the messages of a queue to a daemon.
    Replay(BufferReplayArgs),
}

/// Arguments of `hekad buffer ls`.
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0; 2 there is no queue, or one that cannot be read.")]
pub(crate) struct BufferLsArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Folder of a queue, or of queues.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Which messages.
#[derive(Args, Debug)]
pub(crate) struct ChosenArgs {
    /// Also those that are delivered but not removed yet.
    #[arg(long)]
    pub(crate) all: bool,

    /// Only those of this lane.
    #[arg(long, value_name = "N")]
    pub(crate) lane: Option<u16>,

    /// Message matcher expression.
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE")]
    pub(crate) expression: String,

    /// Stop after so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Largest message, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024, allow_negative_numbers = true)]
    pub(crate) max_message_size: usize,
}

const CAT_EXAMPLES: &str = "\
Examples:
  hekad buffer cat DIR
  hekad buffer cat --limit 10 --format json DIR
  hekad buffer cat --match \"Type == 'nginx.access'\" --format count DIR

Of a dead letter, its cause, the number of attempts and when it became one are printed before the message; \
with --format json they are the key `dead_letter`.

Exit status: 0 some message matched, 1 none did, 2 wrong arguments, or the queue cannot be read.";

/// Arguments of `hekad buffer cat`.
#[derive(Args, Debug)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct BufferCatArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,

    /// What to print.
    #[arg(long, value_enum, default_value_t = CatFormat::Text)]
    pub(crate) format: CatFormat,

    /// Folder of the queue.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

const VERIFY_HELP: &str = "\
What a running daemon is writing at that moment is not damage, nor is what it had half written when it was killed: the next start cuts it off.

Exit status: 0 all is whole; 1 something is damaged: `hekad buffer repair` sets it aside; 2 the queue cannot be read.";

/// Arguments of `hekad buffer verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct BufferVerifyArgs {
    /// Folder of the queue.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

const REPAIR_HELP: &str = "\
A daemon does not need it: it passes over damage by itself, and counts it. A repair does the same for the whole queue at once, so that `verify` has nothing to say any more. \
Damaged bytes are kept in DIR/damaged, with a note each.

Exit status: 0 it is whole now; 1 it could not be repaired; 2 there is no queue, or a daemon works on it.";

/// Arguments of `hekad buffer repair`.
#[derive(Args, Debug)]
#[command(after_help = REPAIR_HELP)]
pub(crate) struct BufferRepairArgs {
    /// Folder of the queue.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  hekad buffer export --output saved.log DIR && hekad cat saved.log
  hekad buffer export DIR | hekad cat --format json -

Messages stand in Heka frames, unsigned. Why a dead letter is one is not exported.

Exit status: 0 written (also if there were none), 1 some records were damaged, 2 wrong arguments, or the queue cannot be read.";

/// Arguments of `hekad buffer export`.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct BufferExportArgs {
    #[command(flatten)]
    pub(crate) chosen: ChosenArgs,

    /// Write to this file, which must not be there yet, instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Folder of the queue.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  hekad buffer replay DIR
  hekad buffer replay --heka 10.0.0.7:5565 --remove DIR
  hekad buffer replay --heka logs.example:5566 --tls --tls-ca ca.pem DIR

The receiver is a TcpInput that takes Heka frames. The messages count as delivered, and are removed with --remove, only after all of them were written and the receiver has \
closed its side, which it does when it has read everything. Where that fails nothing is removed, and what was sent will be sent again.

Exit status: 0 sent (and removed), 1 not all was sent, or something was damaged, 2 wrong arguments, or the queue cannot be read.";

/// Arguments of `hekad buffer replay`.
#[derive(Args, Debug)]
#[command(after_help = REPLAY_EXAMPLES)]
pub(crate) struct BufferReplayArgs {
    /// Where to send: host:port, over TCP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5565")]
    pub(crate) heka: String,

    /// Remove the messages from the queue once all are sent; no daemon may work on it.
    #[arg(long)]
    pub(crate) remove: bool,

    /// Largest message, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024, allow_negative_numbers = true)]
    pub(crate) max_message_size: usize,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    /// Folder of the queue.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
