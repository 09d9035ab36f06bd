//! What a flood shall do: the file's section, with the flags over it.
//!
//! Owns:    reading Heka's flood file, defaults, and every check of meaning.
//! Runs on: the main thread, before anything is sent.            Plane: control.
//! Bounds:  connections, sizes and shares are limited here; what comes out is valid.
//! Never:   opens a connection.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use codecs::limits;
use codecs::signing::Signer;
use engine::plugin::options::Tls;
use plugins::net::tls::Client;
use serde::Deserialize;

use crate::cli::{FloodArgs, Network};
use crate::encryption;
use crate::failure::Failure;
use crate::receiver;
use crate::signer::{self, SignerSection};

/// Threads are one a connection; more than this is a mistake.
const CONNECTIONS_MAX: usize = 1024;

/// Payload of a fixed message where nothing was said, bytes.
const PAYLOAD_BYTES_DEFAULT: usize = 1000;

/// Seconds between attempts to connect where nothing was said.
const RECONNECT_SECONDS_DEFAULT: u64 = 5;

/// Room in a message for everything but its payload, bytes.
const ENVELOPE_BYTES: usize = 512;

/// Largest datagram content over IPv4, bytes.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Valid settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// host:port.
    pub(crate) address: String,
    /// Network.
    pub(crate) network: Network,
    /// Who encrypts.
    pub(crate) tls: Option<Client>,
    /// Messages to send; `None` is without end.
    pub(crate) messages: Option<u64>,
    /// Payload of a fixed message, average of a variable one, bytes.
    pub(crate) payload_bytes: usize,
    /// Messages a second over all connections.
    pub(crate) rate: Option<f64>,
    /// Connections.
    pub(crate) connections: usize,
    /// Share of messages with one byte changed, 0 to 100.
    pub(crate) corrupt_percent: f64,
    /// Share of signed messages, 0 to 100.
    pub(crate) signed_percent: f64,
    /// Share of messages over the limit, 0 to 100.
    pub(crate) oversized_percent: f64,
    /// Who signs; there if `signed_percent` is above 0.
    pub(crate) signer: Option<Signer>,
    /// 64 random messages instead of one.
    pub(crate) variable: bool,
    /// Printable payloads.
    pub(crate) ascii_only: bool,
    /// One message encoded once, without `seq`.
    pub(crate) fixed: bool,
    /// Limit of the receiver, bytes.
    pub(crate) message_bytes_max: usize,
    /// Pause before connecting again; `None` gives up at the first failure.
    pub(crate) reconnect: Option<Duration>,
    /// Seed of payloads and choices.
    pub(crate) seed: u64,
}

/// A section of the file, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Section {
    ip_address: Option<String>,
    sender: Option<String>,
    num_messages: Option<u64>,
    static_message_size: Option<usize>,
    message_interval: Option<String>,
    corrupt_percentage: Option<f64>,
    signed_percentage: Option<f64>,
    oversized_percentage: Option<f64>,
    variable_size_messages: Option<bool>,
    ascii_only: Option<bool>,
    max_message_size: Option<usize>,
    reconnect_on_error: Option<bool>,
    reconnect_interval: Option<i64>,
    signer: Option<SignerSection>,
    use_tls: Option<bool>,
    tls: Option<Tls>,
    // Heka's tool takes these two; neither changes what is sent.
    #[serde(rename = "encoder")]
    _encoder: Option<String>,
    #[serde(rename = "pprof_file")]
    _pprof_file: Option<String>,
}

impl Settings {
    /// Settings from the flags and the file that they name.
    pub(crate) fn load(args: &FloodArgs) -> Result<Settings, Failure> {
        let section = match &args.config {
            Some(path) => read_section(path, &args.test)?,
            None => Section::default(),
        };
        let settings = merge(args, section)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Failure> {
        for (flag, percent) in [
            ("corrupt", self.corrupt_percent),
            ("signed", self.signed_percent),
            ("oversized", self.oversized_percent),
        ] {
            if !(0.0..=100.0).contains(&percent) {
                return Err(Failure::usage(format!(
                    "--{flag} {percent}: a share is 0 to 100 percent"
                )));
            }
        }
        if self.corrupt_percent + self.oversized_percent > 100.0 {
            return Err(Failure::usage(
                "--corrupt and --oversized together exceed 100: a message is one or the other",
            ));
        }
        if self.signed_percent > 0.0 && self.signer.is_none() {
            return Err(Failure::usage(
                "--signed needs --signer NAME and --hmac-key KEY",
            ));
        }
        if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            return Err(Failure::usage(format!(
                "--connections must be 1 to {CONNECTIONS_MAX}"
            )));
        }
        if self
            .rate
            .is_some_and(|rate| !rate.is_finite() || rate <= 0.0)
        {
            return Err(Failure::usage("--rate must be above 0 messages a second"));
        }
        self.check_sizes()
    }

    fn check_sizes(&self) -> Result<(), Failure> {
        let room = limits::MESSAGE_BYTES_MAX - ENVELOPE_BYTES;
        if self.message_bytes_max > room {
            return Err(Failure::usage(format!(
                "--max-message-size must be at most {room}"
            )));
        }
        let largest = if self.variable {
            self.payload_bytes.saturating_mul(2)
        } else {
            self.payload_bytes
        };
        if largest.saturating_add(ENVELOPE_BYTES) > self.message_bytes_max {
            return Err(Failure::usage(format!(
                "--size {}: with its headers a message would exceed --max-message-size {}; use --oversized for \
                 messages that shall be refused",
                self.payload_bytes, self.message_bytes_max
            )));
        }
        if self.network == Network::Udp {
            let datagram = if self.oversized_percent > 0.0 {
                self.message_bytes_max
            } else {
                largest
            };
            if datagram + ENVELOPE_BYTES + limits::FRAME_HEADER_BYTES_MAX > DATAGRAM_BYTES_MAX {
                return Err(Failure::usage(format!(
                    "a datagram holds {DATAGRAM_BYTES_MAX} bytes, too few for these sizes: use --sender tcp, or \
                     lower --size or --max-message-size"
                )));
            }
        }
        Ok(())
    }
}

fn merge(args: &FloodArgs, section: Section) -> Result<Settings, Failure> {
    let address = args.address.clone().or(section.ip_address).ok_or_else(|| {
        Failure::usage("where to? Give --address HOST:PORT, or ip_address in the file")
    })?;
    let given_as = args.address.as_ref().map_or("ip_address", |_| "--address");
    receiver::check_address(given_as, &address)?;
    let network = network(args.sender, section.sender.as_deref())?;
    let of_file = (section.use_tls == Some(true)).then(|| section.tls.unwrap_or_default());
    let tls = encrypted(args, of_file, network, &address)?;
    let interval = section
        .message_interval
        .as_deref()
        .map(parse_duration)
        .transpose()?;
    let interval_rate = interval
        .filter(|interval| !interval.is_zero())
        .map(|interval| 1.0 / interval.as_secs_f64());
    let signer = signer::merge(&args.signer, section.signer.unwrap_or_default())?;
    let messages = args
        .messages
        .or(section.num_messages)
        .filter(|&messages| messages > 0);
    let payload = args
        .size
        .or(section.static_message_size.filter(|&size| size > 0));
    let connections = args.connections.unwrap_or(1);
    let limit = args
        .max_message_size
        .or(section.max_message_size.filter(|&size| size > 0));
    let signed_default = if args.signer.signer.is_some() {
        100.0
    } else {
        0.0
    };
    Ok(Settings {
        address,
        network,
        tls,
        messages,
        payload_bytes: payload.unwrap_or(PAYLOAD_BYTES_DEFAULT),
        // The file's interval is a pause on one connection.
        rate: args
            .rate
            .or(interval_rate.map(|rate| rate * connections as f64)),
        connections,
        corrupt_percent: args.corrupt.or(section.corrupt_percentage).unwrap_or(0.0),
        signed_percent: args
            .signed
            .or(section.signed_percentage)
            .unwrap_or(signed_default),
        oversized_percent: args
            .oversized
            .or(section.oversized_percentage)
            .unwrap_or(0.0),
        signer,
        variable: args.variable_size || section.variable_size_messages == Some(true),
        ascii_only: args.ascii_only || section.ascii_only == Some(true),
        fixed: args.fixed,
        message_bytes_max: limit.unwrap_or(limits::MESSAGE_BYTES_DEFAULT),
        reconnect: reconnect(
            args.reconnect,
            section.reconnect_on_error,
            section.reconnect_interval,
        ),
        seed: args.seed,
    })
}

fn encrypted(
    args: &FloodArgs,
    of_file: Option<Tls>,
    network: Network,
    address: &str,
) -> Result<Option<Client>, Failure> {
    let client = encryption::client(&args.tls, of_file, address)?;
    if client.is_some() && network == Network::Udp {
        return Err(Failure::usage(
            "TLS encrypts streams, not datagrams: leave out TLS, or use --sender tcp",
        ));
    }
    Ok(client)
}

fn network(flag: Option<Network>, sender: Option<&str>) -> Result<Network, Failure> {
    match (flag, sender) {
        (Some(network), _) => Ok(network),
        (None, None | Some("" | "tcp")) => Ok(Network::Tcp),
        (None, Some("udp")) => Ok(Network::Udp),
        (None, Some(other)) => Err(Failure::config(format!(
            "sender = \"{other}\": must be tcp or udp"
        ))),
    }
}

fn reconnect(flag: Option<u64>, on_error: Option<bool>, interval: Option<i64>) -> Option<Duration> {
    if let Some(seconds) = flag {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = interval
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|&seconds| seconds > 0);
    (on_error == Some(true))
        .then(|| Duration::from_secs(seconds.unwrap_or(RECONNECT_SECONDS_DEFAULT)))
}

fn read_section(path: &Path, name: &str) -> Result<Section, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::config(format!(
            "cannot read {}: {error}{}",
            path.display(),
            advice(&error)
        ))
    })?;
    let wrong = |error: toml::de::Error| Failure::config(format!("{}: {error}", path.display()));
    let mut sections: BTreeMap<String, toml::Value> = toml::from_str(&text).map_err(wrong)?;
    let Some(section) = sections.remove(name) else {
        let names = sections.into_keys().collect::<Vec<_>>().join(", ");
        let help = match names.as_str() {
            "" => "it has none; begin one with its name in brackets".to_owned(),
            names => format!("choose one with --test NAME; it has: {names}"),
        };
        return Err(Failure::config(format!(
            "{}: no section [{name}]; {help}",
            path.display()
        )));
    };
    lower_keys(section)
        .try_into()
        .map_err(|error| Failure::config(format!("{}: [{name}]: {error}", path.display())))
}

/// What to do about a file that cannot be read.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "; --config names a file with a section per test",
        ErrorKind::IsADirectory => "; name a file in it",
        ErrorKind::InvalidData => "; it has to be TOML, a text in UTF-8",
        ErrorKind::PermissionDenied => "; this user may not read it",
        _ => "",
    }
}

/// Keys are matched without regard to case, as in Heka's files.
fn lower_keys(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Table(table) => toml::Value::Table(
            table
                .into_iter()
                .map(|(key, value)| (key.to_ascii_lowercase(), lower_keys(value)))
                .collect(),
        ),
        other => other,
    }
}

/// A duration as Go writes it: numbers with units, such as `1ms` or `1m30.5s`.
fn parse_duration(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        Failure::config(format!(
            "message_interval = \"{text}\": expected a duration such as 10ms or 1.5s"
        ))
    };
    let mut rest = text.trim();
    if rest.is_empty() || rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
pub(crate) mod tests {
    use codecs::signing::HashFunction;

    use super::*;

    /// Settings of an endless unsigned flood.
    pub(crate) fn plain(address: &str) -> Settings {
        let args = FloodArgs {
            address: Some(address.into()),
            ..args()
        };
        Settings::load(&args).unwrap()
    }

    fn args() -> FloodArgs {
        FloodArgs {
            test: "default".into(),
            ..FloodArgs::default()
        }
    }

    fn from_file(text: &str, mut args: FloodArgs) -> Result<Settings, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flood.toml");
        fs::write(&path, text).unwrap();
        args.config = Some(path);
        Settings::load(&args)
    }

    const FILE: &str = r#"
[default]
ip_address = "127.0.0.1:5565"
Sender = "tcp"
num_messages = 10
static_message_size = 200
message_interval = "20ms"
corrupt_percentage = 1.5
signed_percentage = 50.0
reconnect_on_error = true
encoder = "protobuf"
[default.signer]
name = "test"
hmac_hash = "sha1"
hmac_key = "k"
version = 3

[other]
ip_address = "127.0.0.1:1"
sender = "udp"
"#;

    #[test]
    fn a_file_section_is_read() {
        let settings = from_file(FILE, args()).unwrap();
        assert_eq!(settings.messages, Some(10));
        assert_eq!(settings.payload_bytes, 200);
        assert_eq!(settings.rate, Some(50.0));
        assert_eq!(settings.corrupt_percent, 1.5);
        assert_eq!(settings.reconnect, Some(Duration::from_secs(5)));
        let signer = settings.signer.unwrap();
        assert_eq!(
            (signer.name(), signer.version(), signer.hash()),
            ("test", 3, HashFunction::Sha1)
        );
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = FloodArgs {
            messages: Some(7),
            address: Some("[::1]:9".into()),
            sender: Some(Network::Udp),
            rate: Some(3.0),
            signed: Some(0.0),
            ..args()
        };
        let settings = from_file(FILE, flags).unwrap();
        assert_eq!(settings.messages, Some(7));
        assert_eq!(settings.address, "[::1]:9");
        assert_eq!(settings.network, Network::Udp);
        assert_eq!(settings.rate, Some(3.0));
        assert_eq!(settings.signed_percent, 0.0);
    }

    #[test]
    fn tls_comes_from_the_file_or_from_flags() {
        let encrypted = |use_tls: &str, sender: &str| {
            let text = format!(
                "[default]\nip_address = 'h:1'\nuse_tls = {use_tls}\nsender = '{sender}'\n\
                 [default.tls]\ninsecure_skip_verify = true\n"
            );
            from_file(&text, args())
        };
        assert!(encrypted("true", "tcp").unwrap().tls.is_some());
        assert!(encrypted("false", "tcp").unwrap().tls.is_none());
        let datagrams = encrypted("true", "udp").unwrap_err().to_string();
        assert!(datagrams.contains("--sender tcp"), "{datagrams}");
    }

    #[test]
    fn mistakes_are_named() {
        let message =
            |text: &str, flags: FloodArgs| from_file(text, flags).unwrap_err().to_string();
        let missing = FloodArgs {
            test: "nosuch".into(),
            ..FloodArgs::default()
        };
        assert!(message(FILE, missing).contains("it has: default, other"));
        assert!(message("[default]\nip_adress = \"x\"", args()).contains("ip_adress"));
        assert!(message("[default]\nnum_messages = \"x\"", args()).contains("num_messages"));
        assert!(
            message("[default]\nsender = \"x\"\nip_address=\"a:1\"", args()).contains("tcp or udp")
        );
        assert!(message("[default]", args()).contains("--address"));
        let too_much = FloodArgs {
            corrupt: Some(60.0),
            oversized: Some(60.0),
            ..args()
        };
        assert!(message(FILE, too_much).contains("together"));
        let unsigned = FloodArgs {
            address: Some("a:1".into()),
            signed: Some(10.0),
            ..args()
        };
        assert!(
            Settings::load(&unsigned)
                .unwrap_err()
                .to_string()
                .contains("--signer")
        );
        let large = FloodArgs {
            address: Some("a:1".into()),
            size: Some(70_000),
            ..args()
        };
        assert!(
            Settings::load(&large)
                .unwrap_err()
                .to_string()
                .contains("--oversized")
        );
    }

    #[test]
    fn durations_are_go_durations() {
        assert_eq!(
            parse_duration("1m30.5s").unwrap(),
            Duration::from_millis(90_500)
        );
        assert_eq!(parse_duration("20ms").unwrap(), Duration::from_millis(20));
        assert_eq!(parse_duration("0").unwrap(), Duration::ZERO);
        for wrong in ["5", "ms", "5 s", "1x", "..s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
