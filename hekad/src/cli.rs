//! Arguments as written.
//!
//! Owns:    every flag of every command, its help and its examples.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  parsing validates form only; meaning is the command's.
//! Never:   opens a file, or decides anything from two flags at once that clap cannot say.

mod buffer;
mod lua;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use buffer::{
    BufferArgs, BufferCatArgs, BufferCommand, BufferExportArgs, BufferLsArgs, BufferRepairArgs,
    BufferReplayArgs, BufferVerifyArgs, ChosenArgs,
};

pub(crate) use lua::{LuaArgs, ManagerAction, MessageFormat, SbmgrArgs, SbmgrloadArgs, ScriptKind};

const EXAMPLES: &str = "\
Examples:
  hekad --config /etc/hekad.toml           run the daemon (-config works as well)
  hekad check --config /etc/hekad.toml     say what is wrong with a configuration
  hekad plugins TcpInput                   show a plugin's options
  hekad flood --address 127.0.0.1:5565 --messages 1000000
                                           send it a million messages
  hekad cat --match \"Severity < 4\" out.log show the grave ones of a recorded stream
  hekad inject --payload 'hello'           send it one message
  hekad lua nginx.lua --input access.log   run a Lua script over a sample
  hekad buffer ls /var/cache/hekad/output_queue
                                           show what waits on the disk
  hekad logstreamer --config /etc/hekad.toml
                                           show which log files it would read
  hekad completions bash > /etc/bash_completion.d/hekad
  hekad man --dir /usr/share/man/man1

`hekad COMMAND --help` explains a command with examples of its own.

Exit status of the daemon: 0 stopped in order with nothing undelivered, 1 otherwise, 2 wrong arguments, \
78 the configuration is wrong.";

/// Gathers, routes and delivers logs, metrics and events.
///
/// Without a command it runs the daemon.
#[derive(Debug, Parser)]
#[command(name = "hekad", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: RunArgs,
}

impl Cli {
    /// The command; running the daemon where none was named.
    pub(crate) fn chosen(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon (what happens without a command).
    Run(RunArgs),
    /// Say what is wrong with a configuration, without running it.
    Check(CheckArgs),
    /// Show how a configuration routes messages, and why a message reaches a plugin or does not.
    Explain(ExplainArgs),
    /// List the plugins, or show one with its options.
    Plugins(PluginsArgs),
    /// Print JSON Schema of a configuration, for editors.
    Schema,
    /// Generate load: send many messages, as fast as the receiver takes them or at a rate.
    Flood(FloodArgs),
    /// Read a framed message stream, filter it, print it.
    Cat(CatArgs),
    /// Send one message.
    Inject(InjectArgs),
    /// Run a Lua script over a sample and print what it makes.
    Lua(LuaArgs),
    /// Tell a SandboxManagerFilter to load or unload a filter.
    Sbmgr(SbmgrArgs),
    /// Tell a SandboxManagerFilter to load or unload many counting filters.
    Sbmgrload(SbmgrloadArgs),
    /// Look at the disk queues and dead letters of plugins, repair them, send what is in them.
    Buffer(BufferArgs),
    /// Show which log files a configuration would read, in which order and from where.
    Logstreamer(LogstreamerArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, or write all of them into a folder.
    Man(ManArgs),
}

/// Arguments of `hekad run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Config file, or folder of `.toml` files.
    #[arg(long, value_name = "PATH", default_value = "/etc/hekad.toml")]
    pub(crate) config: PathBuf,

    /// Write the final report as JSON to this file at exit; that it can be written is checked at start.
    #[arg(long, value_name = "FILE")]
    pub(crate) report_json: Option<PathBuf>,
}

const CHECK_EXAMPLES: &str = "\
Examples:
  hekad check --config /etc/hekad.toml
  hekad check --config /etc/hekad.d          a folder: its .toml files, by name

Every mistake is shown at once, with its line and a caret. Nothing is opened or started.

Exit status: 0 no errors (there may be warnings), 78 the configuration is wrong.";

/// Arguments of `hekad check`.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES, override_usage = "hekad check --config <PATH>")]
pub(crate) struct CheckArgs {
    /// Config file, or folder of `.toml` files.
    #[arg(long, value_name = "PATH", default_value = "/etc/hekad.toml")]
    pub(crate) config: PathBuf,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  hekad explain --config /etc/hekad.toml
  hekad explain --config /etc/hekad.toml --dot | dot -Tsvg > routes.svg
  hekad cat --format json out.log | hekad explain --config /etc/hekad.toml --message -

Of a message file the first message is taken: as `hekad cat --format json` prints it, in a Heka frame, or as bare protobuf.

Exit status: 0; 2 the message cannot be read; 78 the configuration is wrong.";

/// Arguments of `hekad explain`.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Config file, or folder of `.toml` files.
    #[arg(long, value_name = "PATH", default_value = "/etc/hekad.toml")]
    pub(crate) config: PathBuf,

    /// Say for this message which filters and outputs get it, and why; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) message: Option<PathBuf>,

    /// The signer that the message counts as authenticated by.
    #[arg(long, value_name = "NAME", requires = "message")]
    pub(crate) signer: Option<String>,

    /// Draw the tree in the language of Graphviz.
    #[arg(long, conflicts_with = "message")]
    pub(crate) dot: bool,
}

const LOGSTREAMER_EXAMPLES: &str = "\
Examples:
  hekad logstreamer --config /etc/hekad.toml

For each LogstreamerInput: its streams, each with its files from the oldest to the newest, what its journal says, and where reading \
would begin. Nothing is changed, a running daemon is not disturbed. Run it as the daemon's user: what that one may not read is a problem.

Exit status: 0; 1 there are problems; 78 the configuration is wrong.";

/// Arguments of `hekad logstreamer`.
#[derive(Args, Debug)]
#[command(after_help = LOGSTREAMER_EXAMPLES, override_usage = "hekad logstreamer --config <PATH>")]
pub(crate) struct LogstreamerArgs {
    /// Config file, or folder of `.toml` files.
    #[arg(long, value_name = "PATH", default_value = "/etc/hekad.toml")]
    pub(crate) config: PathBuf,
}

const PLUGINS_EXAMPLES: &str = "\
Examples:
  hekad plugins                 list them
  hekad plugins TcpInput        one, with its options and their defaults
  hekad plugins hekad           the options of the [hekad] section
  hekad plugins --json          all of it, for programs";

/// Arguments of `hekad plugins`.
#[derive(Args, Debug)]
#[command(after_help = PLUGINS_EXAMPLES)]
pub(crate) struct PluginsArgs {
    /// Show this plugin only.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the reference pages of all plugins into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["name", "json"])]
    pub(crate) markdown: Option<PathBuf>,
}

/// How to reach the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// One stream a connection.
    Tcp,
    /// One message a datagram.
    Udp,
}

/// Hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HmacHash {
    /// HMAC-MD5, Heka's default.
    Md5,
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256, which Heka itself does not know.
    Sha256,
}

const FLOOD_EXAMPLES: &str = "\
Examples:
  hekad flood --address 127.0.0.1:5565 --messages 1000000 --size 1024
  hekad flood --address 127.0.0.1:5565 --rate 50000            until Ctrl-C
  hekad flood --address 127.0.0.1:5565 --messages 1000000 \\
        --signer test --hmac-key secret --signed 100 --corrupt 1
                              a receiver that knows the key loses exactly 10,000
  hekad flood --address 127.0.0.1:5565 --connections 8 --static
  hekad flood --address logs.example:5566 --tls --tls-ca ca.pem --messages 1000
  hekad flood --config flood.toml --test default               Heka's own file format

Messages: Type hekabench, Severity 6, EnvVersion 0.8 (with --variable-size: Logger flood, EnvVersion 0.2). \
Each has a field `seq`, an INTEGER that counts from 0 over the whole run: of C connections, connection c sends \
c, c+C, c+2C ... in that order, so a receiver can tell what is missing and whether order was kept.

Which messages are signed, corrupt or oversized is chosen evenly and repeatably (--seed). Of N messages with \
--corrupt P exactly round(N*P/100) have exactly one byte changed, in the message, never in its frame header. \
A corrupt message is never oversized too.

Keys of a section in the file: ip_address, sender, num_messages, static_message_size, message_interval, \
corrupt_percentage, signed_percentage, oversized_percentage, variable_size_messages, ascii_only, \
max_message_size, reconnect_on_error, reconnect_interval, signer (name, version, hmac_hash, hmac_key), use_tls, \
tls (as of TcpOutput). \
A flag wins over the file.

Exit status: 0 all was sent (or an endless run was stopped), 1 sending failed, 2 wrong arguments, \
78 wrong config file, 130 stopped before all was sent.";

/// Arguments of `hekad flood`.
#[derive(Args, Debug, Default)]
#[command(after_help = FLOOD_EXAMPLES)]
pub(crate) struct FloodArgs {
    /// Read settings from this file, a section per test.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Section of the file to run.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        requires = "config"
    )]
    pub(crate) test: String,

    /// Where to send: host:port.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,

    /// Network to send over [default: tcp].
    #[arg(long, value_enum)]
    pub(crate) sender: Option<Network>,

    /// How many messages; 0 goes on until Ctrl-C [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) messages: Option<u64>,

    /// Payload of a message, bytes; with --variable-size the average [default: 1000].
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) size: Option<usize>,

    /// Messages a second over all connections [default: as fast as possible].
    #[arg(long, value_name = "MSG/S", allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,

    /// Connections, each with a thread of its own [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) connections: Option<usize>,

    /// Share of messages with one byte changed, percent.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub(crate) corrupt: Option<f64>,

    /// Share of signed messages, percent [default: 100 with --signer, else 0].
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub(crate) signed: Option<f64>,

    /// Share of messages larger than --max-message-size, percent.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub(crate) oversized: Option<f64>,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    /// Send 64 different messages of random sizes instead of one fixed one.
    #[arg(long)]
    pub(crate) variable_size: bool,

    /// Printable payloads only; otherwise any bytes.
    #[arg(long)]
    pub(crate) ascii_only: bool,

    /// Repeat one message that was encoded (and signed) once: fastest, but no `seq` field.
    #[arg(long = "static", conflicts_with = "variable_size")]
    pub(crate) fixed: bool,

    /// Largest message that the receiver takes, bytes: an oversized one is larger [default: 65536].
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub(crate) max_message_size: Option<usize>,

    /// Connect again when sending fails, every SECONDS.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5")]
    pub(crate) reconnect: Option<u64>,

    /// Seed of payloads and of the choice of messages.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) seed: u64,

    /// Print the totals as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who signs.
#[derive(Args, Debug, Default)]
pub(crate) struct SignerArgs {
    /// Name of the signer.
    #[arg(long, value_name = "NAME")]
    pub(crate) signer: Option<String>,

    /// Version of the signer's key [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) signer_version: Option<u32>,

    /// Hash of the signature [default: md5].
    #[arg(long, value_enum)]
    pub(crate) hmac_hash: Option<HmacHash>,

    /// The signer's key.
    #[arg(long, value_name = "KEY")]
    pub(crate) hmac_key: Option<String>,
}

/// How connections are encrypted.
#[derive(Args, Debug, Default)]
pub(crate) struct TlsArgs {
    /// Connect with TLS.
    #[arg(long)]
    pub(crate) tls: bool,

    /// Certificates of who may have signed the receiver's, PEM [default: those of this host].
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(crate) tls_ca: Option<String>,

    /// Own certificate, PEM, for a receiver that asks for one.
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key"])]
    pub(crate) tls_cert: Option<String>,

    /// Key of the own certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<String>,

    /// Name that the receiver's certificate must have [default: the host to send to].
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub(crate) tls_server_name: Option<String>,
}

/// What `hekad cat` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatFormat {
    /// Labelled lines, an empty line behind each message.
    #[value(alias = "txt")]
    Text,
    /// One JSON object a line.
    Json,
    /// The framed bytes as they were read.
    Heka,
    /// Only how many matched.
    Count,
}

const CAT_EXAMPLES: &str = "\
Examples:
  hekad cat out.log
  hekad cat --match \"Type == 'nginx.access' && Fields[status] >= 500\" --format json out.log
  hekad cat --match \"Severity < 4\" --format heka --output grave.log out.log
  hekad cat --format count out.log
  hekad cat --tail out.log                  go on as the file grows; Ctrl-C ends
  nc -l 5565 | hekad cat -

Bytes that are no message are skipped and counted on stderr.

Exit status: 0 some message matched, 1 none did, 2 the expression is wrong or the input cannot be read.";

/// Arguments of `hekad cat`.
#[derive(Args, Debug)]
#[command(after_help = CAT_EXAMPLES)]
pub(crate) struct CatArgs {
    /// Message matcher expression.
    #[arg(long = "match", value_name = "EXPR", default_value = "TRUE")]
    pub(crate) expression: String,

    /// What to print.
    #[arg(long, value_enum, default_value_t = CatFormat::Text)]
    pub(crate) format: CatFormat,

    /// Write to this file instead of standard output; what was in it is lost.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Begin at this byte of the input.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) offset: u64,

    /// Wait for more at the end of the file.
    #[arg(long)]
    pub(crate) tail: bool,

    /// Largest message, bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024, allow_negative_numbers = true)]
    pub(crate) max_message_size: usize,

    /// The file, or `-` for standard input.
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
}

const INJECT_EXAMPLES: &str = "\
Examples:
  hekad inject --payload 'hello'
  hekad inject --heka 10.0.0.7:5565 --type alert --severity 1 --field host=db1 --field-integer code=7
  hekad inject --heka logs.example:5566 --tls --tls-ca ca.pem --tls-cert me.pem --tls-key me.key

Exit status: 0 sent, 1 not sent, 2 wrong arguments.";

/// Arguments of `hekad inject`.
#[derive(Args, Debug)]
#[command(after_help = INJECT_EXAMPLES)]
pub(crate) struct InjectArgs {
    /// Where to send: host:port, over TCP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5565")]
    pub(crate) heka: String,

    /// Type of the message.
    #[arg(long = "type", value_name = "TEXT", default_value = "inject.message")]
    pub(crate) message_type: String,

    /// Logger of the message.
    #[arg(long, value_name = "TEXT", default_value = "Inject Client")]
    pub(crate) logger: String,

    /// Severity, 0 (emergency) to 7 (debug).
    #[arg(
        long,
        value_name = "N",
        default_value_t = 7,
        allow_negative_numbers = true,
        value_parser = severity
    )]
    pub(crate) severity: i32,

    /// Payload.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(crate) payload: String,

    /// Process id; 0 is that of this process.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) pid: i32,

    /// Hostname; empty is this host's.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) hostname: String,

    /// A text field; may be given many times, here as below.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) field: Vec<String>,

    /// An integer field.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) field_integer: Vec<String>,

    /// A floating point field.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) field_double: Vec<String>,

    /// A field that is `true` or `false`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) field_bool: Vec<String>,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// A severity as syslog has them: a receiver's matchers and encoders know no others.
fn severity(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(severity @ 0..=7) => Ok(severity),
        _ => Err("a severity is a number from 0 (emergency) to 7 (debug)".to_owned()),
    }
}

/// Arguments of `hekad completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// Shell to write for.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `hekad man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write hekad.1, hekad-flood.1 ... into this folder, which is created where it is missing.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_daemon_runs() {
        let cli = Cli::parse_from(["hekad", "--config", "a.toml", "--report-json", "r.json"]);
        let Command::Run(args) = cli.chosen() else {
            panic!("not run");
        };
        assert_eq!(args.config, PathBuf::from("a.toml"));
        assert_eq!(args.report_json, Some(PathBuf::from("r.json")));
    }

    #[test]
    fn run_is_a_command_as_well() {
        assert!(matches!(
            Cli::parse_from(["hekad", "run", "--config", "a"]).chosen(),
            Command::Run(_)
        ));
    }

    #[test]
    fn a_negative_number_is_told_of_as_a_number() {
        for wrong in [
            ["flood", "--messages", "-5"],
            ["flood", "--size", "-5"],
            ["cat", "--offset", "-5"],
        ] {
            let error = Cli::try_parse_from(["hekad"].iter().chain(&wrong)).expect_err("negative");
            let said = error.to_string();
            assert!(
                said.contains("invalid value '-5'") && said.contains(wrong[1]),
                "{said}"
            );
        }
    }

    #[test]
    fn severities_are_those_of_syslog() {
        let inject =
            |severity: &str| Cli::try_parse_from(["hekad", "inject", "--severity", severity]);
        assert!(inject("0").is_ok() && inject("7").is_ok());
        for wrong in ["8", "9", "-1", "high", ""] {
            let error = inject(wrong).expect_err(wrong).to_string();
            assert!(error.contains("from 0 (emergency) to 7 (debug)"), "{error}");
        }
    }

    #[test]
    fn heka_names_its_text_format_txt() {
        let Command::Cat(args) = Cli::parse_from(["hekad", "cat", "--format", "txt", "f"]).chosen()
        else {
            panic!("not cat");
        };
        assert_eq!(args.format, CatFormat::Text);
    }
}
