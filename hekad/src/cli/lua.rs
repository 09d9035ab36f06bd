//! Arguments of `hekad lua`, `hekad sbmgr` and `hekad sbmgrload`.
//!
//! Owns:    their flags, help and examples.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as `cli`.
//! Never:   opens a file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const LUA_EXAMPLES: &str = "\
Examples:
  hekad lua nginx.lua --input access.log        each line goes through the decoder, and the messages are printed
  hekad lua count.lua --input out.log           a filter over a recorded stream of messages, and one tick at the end
  hekad lua count.lua --input access.log --decoder nginx.lua --ticks 3
                                                a filter over what a decoder makes of lines
  hekad lua lua_encoders/alert.lua --input out.log --kind encoder
  hekad lua lua_inputs/rows.lua --kind input --messages 10
                                                what an input makes, until it has made ten messages
  hekad lua send.lua --input out.log --kind output
                                                an output delivers the messages of the sample
  hekad lua nginx.lua --input - --set log_format='$remote_addr $status' < access.log

The script is run exactly as in the daemon, by the plugin of its kind and with its limits. Messages and encoded bytes go to standard output; \
what is refused, with its line, and a summary go to standard error.

The sample is a file of lines, or a framed stream of messages as FileOutput and `hekad cat --format heka` write it. A line becomes the \
payload of a message of Type and Logger `sample`. Without --kind a script in a folder whose name ends in `inputs`, `outputs`, `encoders` or \
`filters` is that, any other whose text has `timer_event` is a filter, and the rest are decoders. Inputs and outputs do what they do: files \
are written, connections made.

Exit status: 0; 1 the script has refused something or has ended; 2 wrong arguments; 78 the script has mistakes.";

/// What a script is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScriptKind {
    /// Makes messages of lines.
    Decoder,
    /// Looks at messages.
    Filter,
    /// Makes bytes of messages.
    Encoder,
    /// Makes messages; takes no sample.
    Input,
    /// Delivers messages.
    Output,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// Labelled lines, an empty line behind each message.
    #[value(alias = "txt")]
    Text,
    /// One JSON object a line.
    Json,
}

/// Arguments of `hekad lua`.
#[derive(Args, Debug)]
#[command(after_help = LUA_EXAMPLES)]
pub(crate) struct LuaArgs {
    /// The script: a file, or the name of one that comes with hekad.
    #[arg(value_name = "FILE")]
    pub(crate) script: String,

    /// The sample; `-` is standard input. Only inputs do without.
    #[arg(long, value_name = "SAMPLE")]
    pub(crate) input: Option<PathBuf>,

    /// What the script is run as [default: by its text and its place].
    #[arg(long, value_enum)]
    pub(crate) kind: Option<ScriptKind>,

    /// A value for `read_config`; may be repeated. What reads as a number or a truth value is one.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) values: Vec<String>,

    /// A script that decodes the sample first, for filters, encoders and outputs.
    #[arg(long, value_name = "FILE")]
    pub(crate) decoder: Option<String>,

    /// Only messages that this expression accepts go to the filter, encoder or output; a filter must not inject such ones [default: all of the sample].
    #[arg(long = "match", value_name = "EXPR")]
    pub(crate) expression: Option<String>,

    /// How messages are printed.
    #[arg(long, value_enum, default_value_t = MessageFormat::Text)]
    pub(crate) format: MessageFormat,

    /// How often `timer_event` is called at the end [default: 1 where the script has it], or `process_message` of an input [default: 1].
    #[arg(long, value_name = "N")]
    pub(crate) ticks: Option<u32>,

    /// An input is ended after so many messages [default: when it ends by itself].
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<u64>,

    /// Limit of a call, in safepoints of the machine; 0 is none [default: the daemon's].
    #[arg(long, value_name = "N")]
    pub(crate) instruction_limit: Option<u64>,

    /// Limit of the script's memory, bytes; 0 is none [default: the daemon's].
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_limit: Option<u64>,

    /// Folders that `require` searches, separated by semicolons [default: lua_modules in the share folder].
    #[arg(long, value_name = "FOLDERS")]
    pub(crate) modules: Option<String>,

    /// Where scripts and modules are installed.
    #[arg(long, value_name = "FOLDER", default_value = "/usr/share/heka")]
    pub(crate) share_dir: String,
}

const SBMGR_EXAMPLES: &str = "\
Examples:
  hekad sbmgr --config sbmgr.toml --action load --script count.lua --scriptconfig count.toml
  hekad sbmgr --config sbmgr.toml --action unload --filtername Count

sbmgr.toml says where the daemon listens, and who signs:

  ip_address = \"127.0.0.1:5566\"
  use_tls = false
  [signer]
  name = \"ops\"
  version = 0
  hmac_hash = \"md5\"
  hmac_key = \"secret\"

A filter of the same name that the manager has loaded before is replaced.

Exit status: 0 sent, 1 not sent, 2 wrong arguments, 78 wrong config file. What became of the filter is in the daemon's log.";

/// What a manager is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManagerAction {
    /// Load a filter.
    Load,
    /// Unload it.
    Unload,
}

/// Arguments of `hekad sbmgr`.
#[derive(Args, Debug)]
#[command(after_help = SBMGR_EXAMPLES)]
pub(crate) struct SbmgrArgs {
    /// Where to send to, and who signs.
    #[arg(long, value_name = "FILE", default_value = "sbmgr.toml")]
    pub(crate) config: PathBuf,

    /// Script to load.
    #[arg(long, value_name = "FILE", default_value = "xyz.lua")]
    pub(crate) script: PathBuf,

    /// Configuration of the filter to load: its section.
    #[arg(long, value_name = "FILE", default_value = "xyz.toml")]
    pub(crate) scriptconfig: PathBuf,

    /// Filter to unload.
    #[arg(long, value_name = "NAME", default_value = "filter")]
    pub(crate) filtername: String,

    /// What to do.
    #[arg(long, value_enum, default_value_t = ManagerAction::Load)]
    pub(crate) action: ManagerAction,
}

const SBMGRLOAD_EXAMPLES: &str = "\
Examples:
  hekad sbmgrload --config sbmgrload.toml --num 100
  hekad sbmgrload --config sbmgrload.toml --action unload --num 100

The filters are CounterSandbox0 and so on; they count the messages of `hekad flood`. The config file is that of `hekad sbmgr`.

Exit status: 0 sent, 1 not sent, 2 wrong arguments, 78 wrong config file.";

/// Arguments of `hekad sbmgrload`.
#[derive(Args, Debug)]
#[command(after_help = SBMGRLOAD_EXAMPLES)]
pub(crate) struct SbmgrloadArgs {
    /// Where to send to, and who signs.
    #[arg(long, value_name = "FILE", default_value = "sbmgrload.toml")]
    pub(crate) config: PathBuf,

    /// What to do.
    #[arg(long, value_enum, default_value_t = ManagerAction::Load)]
    pub(crate) action: ManagerAction,

    /// How many filters.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) num: u32,
}
