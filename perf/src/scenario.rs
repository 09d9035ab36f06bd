//! The scenarios, as one table, and what is generated from them.
//!
//! Owns:    what each scenario sends, to which programs, and what must come out.
//! Runs on: the measuring process.            Plane: control.
//! Bounds:  templates are read at build time; a placeholder that is left over is an error.
//! Never:   starts anything.

use std::path::Path;

use crate::cli::{Format, Transport};

/// Where the messages go, and so where they can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Counted by filters and dropped.
    Counters,
    /// Sent on to perf's own sink.
    Sink,
    /// Written to `out.log` in the run's folder.
    File,
}

/// Where the messages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// perf's own sender, over the transport.
    Sender,
    /// A file that stands in the page cache, put into the program's folder `logs`.
    File,
}

/// The loop that a program is compared with: what cannot be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Receive.
    Receive,
    /// Read the file, count its lines.
    Count,
    /// Read the file, send it to perf's own sink.
    Relay,
    /// Append to a file, sync after each `BARE_SYNC_BYTES`.
    Append,
}

/// Bytes that the appending loop writes from one sync to the next.
pub(crate) const BARE_SYNC_BYTES: usize = 1 << 20;

impl Bare {
    /// In words, for records.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Bare::Receive => "bare read loop of 64 KiB",
            Bare::Count => "bare read of 64 KiB and memchr over the same file in the page cache",
            Bare::Relay => "bare read and send of 64 KiB from the same file in the page cache",
            Bare::Append => {
                "bare append of 64 KiB to a file beside the queue, synced after each MiB"
            }
        }
    }
}

/// Matchers of a case: how many, and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matchers {
    /// `Type == 't0'` and so on; every message matches one.
    ByType(usize),
    /// Ten as an operator writes them: prefixes, ranges, substrings, regular expressions.
    Mixed,
    /// One that accepts all, without looking at the message's own bytes.
    All,
    /// One that accepts every line of an access log, if it was decoded.
    Access,
    /// None: the destination is no filter.
    None,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name, and its folder's.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    /// Where they come from.
    pub(crate) origin: Origin,
    /// What it is compared with.
    pub(crate) bare: Bare,
    /// How bytes travel.
    pub(crate) transport: Transport,
    /// What is sent.
    pub(crate) format: Format,
    /// Bytes of one message with framing.
    pub(crate) message_bytes: usize,
    /// Where it goes.
    pub(crate) destination: Destination,
    /// The cases: one row of the record each.
    pub(crate) cases: &'static [Matchers],
    /// Most bytes of one measurement: what is stored has to fit the disk.
    pub(crate) bytes_max: u64,
    /// Config templates: program, text.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

const UNBOUNDED: u64 = u64::MAX;

/// Cases of the scenarios that route by matcher.
const ROUTING: &[Matchers] = &[
    Matchers::ByType(1),
    Matchers::ByType(10),
    Matchers::ByType(100),
    Matchers::Mixed,
];

/// All scenarios that start a daemon. (`route-memory` starts none and stands in its own file.)
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "heka-1k-null",
        about: "framed protobuf of 1,024 bytes -> ProtobufDecoder -> 1, 10, 100 matchers -> counted and dropped",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Tcp,
        format: Format::Frames,
        message_bytes: 1024,
        destination: Destination::Counters,
        cases: ROUTING,
        bytes_max: UNBOUNDED,
        programs: &[(
            "hekad",
            include_str!("../scenarios/heka-1k-null/hekad.toml"),
        )],
    },
    Scenario {
        name: "heka-256-null",
        about: "the same with 256 bytes a frame",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Tcp,
        format: Format::Frames,
        message_bytes: 256,
        destination: Destination::Counters,
        cases: ROUTING,
        bytes_max: UNBOUNDED,
        programs: &[(
            "hekad",
            include_str!("../scenarios/heka-256-null/hekad.toml"),
        )],
    },
    Scenario {
        name: "lines-256-null",
        about: "lines of 256 bytes -> TokenSplitter -> counted and dropped",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Tcp,
        format: Format::Lines,
        message_bytes: 256,
        destination: Destination::Counters,
        cases: &[Matchers::All],
        bytes_max: UNBOUNDED,
        programs: &[
            (
                "hekad",
                include_str!("../scenarios/lines-256-null/hekad.toml"),
            ),
            (
                "rsyslogd",
                include_str!("../scenarios/lines-256-null/rsyslogd.conf"),
            ),
            (
                "syslog-ng",
                include_str!("../scenarios/lines-256-null/syslog-ng.conf"),
            ),
        ],
    },
    Scenario {
        name: "heka-1k-relay",
        about: "framed protobuf of 1,024 bytes, TcpInput -> TcpOutput -> a sink that shares the sender's processor",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Tcp,
        format: Format::Frames,
        message_bytes: 1024,
        destination: Destination::Sink,
        cases: &[Matchers::None],
        bytes_max: UNBOUNDED,
        programs: &[(
            "hekad",
            include_str!("../scenarios/heka-1k-relay/hekad.toml"),
        )],
    },
    Scenario {
        name: "lines-256-file",
        about: "lines of 256 bytes -> TokenSplitter -> PayloadEncoder -> FileOutput",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Tcp,
        format: Format::Lines,
        message_bytes: 256,
        destination: Destination::File,
        cases: &[Matchers::None],
        bytes_max: 4 << 30,
        programs: &[
            (
                "hekad",
                include_str!("../scenarios/lines-256-file/hekad.toml"),
            ),
            (
                "rsyslogd",
                include_str!("../scenarios/lines-256-file/rsyslogd.conf"),
            ),
            (
                "syslog-ng",
                include_str!("../scenarios/lines-256-file/syslog-ng.conf"),
            ),
        ],
    },
    Scenario {
        name: "udp-256-null",
        about: "datagrams of 256 bytes -> NullSplitter -> counted and dropped; what the kernel drops is counted too",
        origin: Origin::Sender,
        bare: Bare::Receive,
        transport: Transport::Udp,
        format: Format::Lines,
        message_bytes: 256,
        destination: Destination::Counters,
        cases: &[Matchers::All],
        bytes_max: UNBOUNDED,
        programs: &[(
            "hekad",
            include_str!("../scenarios/udp-256-null/hekad.toml"),
        )],
    },
    Scenario {
        name: "tail-null",
        about: "a file of lines of 256 bytes -> LogstreamerInput, TokenSplitter -> counted and dropped",
        origin: Origin::File,
        bare: Bare::Count,
        transport: Transport::Tcp,
        format: Format::Lines,
        message_bytes: 256,
        destination: Destination::Counters,
        cases: &[Matchers::All],
        bytes_max: 4 << 30,
        programs: &[("hekad", include_str!("../scenarios/tail-null/hekad.toml"))],
    },
    Scenario {
        name: "tail-tcp",
        about: "a file of lines of 256 bytes -> LogstreamerInput -> PayloadEncoder, TcpOutput -> a sink on the other processor",
        origin: Origin::File,
        bare: Bare::Relay,
        transport: Transport::Tcp,
        format: Format::Lines,
        message_bytes: 256,
        destination: Destination::Sink,
        cases: &[Matchers::None],
        bytes_max: 4 << 30,
        programs: &[("hekad", include_str!("../scenarios/tail-tcp/hekad.toml"))],
    },
    Scenario {
        name: "tail-nginx",
        about: "a file of access log lines of 256 bytes -> LogstreamerInput -> lua_decoders/nginx_access.lua -> counted and dropped",
        origin: Origin::File,
        bare: Bare::Count,
        transport: Transport::Tcp,
        format: Format::Access,
        message_bytes: 256,
        destination: Destination::Counters,
        cases: &[Matchers::Access],
        bytes_max: 256 << 20,
        programs: &[("hekad", include_str!("../scenarios/tail-nginx/hekad.toml"))],
    },
    Scenario {
        name: "durable-hop",
        about: "framed protobuf of 1,024 bytes, TcpInput -> disk queue, fdatasync before the ack -> TcpOutput -> a sink that shares the sender's processor",
        origin: Origin::Sender,
        bare: Bare::Append,
        transport: Transport::Tcp,
        format: Format::Frames,
        message_bytes: 1024,
        destination: Destination::Sink,
        cases: &[Matchers::None],
        bytes_max: 4 << 30,
        programs: &[("hekad", include_str!("../scenarios/durable-hop/hekad.toml"))],
    },
];

/// The scenario of that name.
pub(crate) fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Matchers {
    /// How many.
    pub(crate) fn count(self) -> usize {
        match self {
            Matchers::ByType(count) => count,
            Matchers::Mixed => MIXED.len(),
            Matchers::All | Matchers::Access => 1,
            Matchers::None => 0,
        }
    }

    /// How many message types the traffic has.
    pub(crate) fn types(self) -> usize {
        match self {
            Matchers::ByType(count) => count,
            _ => MIXED.len(),
        }
    }

    /// Name of the kind in records.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Matchers::ByType(_) => "by-type",
            Matchers::Mixed => "mixed",
            Matchers::All => "all",
            Matchers::Access => "access",
            Matchers::None => "none",
        }
    }

    /// The expressions. None looks beyond the values that `traffic` derives from a message's index.
    pub(crate) fn expressions(self) -> Vec<String> {
        match self {
            Matchers::ByType(count) => (0..count)
                .map(|number| format!("Type == 't{number}'"))
                .collect(),
            Matchers::Mixed => MIXED.iter().map(|&text| text.to_owned()).collect(),
            // Counting filters' own reports must not match.
            Matchers::All => vec!["Type != 'heka.counter-output'".to_owned()],
            Matchers::Access => vec![
                "Type == 'access' && Fields[status] >= 200 && Fields[http_user_agent] != NIL"
                    .to_owned(),
            ],
            Matchers::None => Vec::new(),
        }
    }
}

const MIXED: [&str; 10] = [
    "Type == 't0'",
    "Type == 't1' && Severity <= 4",
    "Fields[status] >= 500",
    "Fields[status] >= 400 && Fields[status] < 500",
    "Type =~ /^t[23]$/",
    "Logger == 'app' && Fields[path] =~ /^\\/api\\//",
    "Hostname == 'web1' || Hostname == 'web2'",
    "Payload =~ /timeout/",
    "Type == 't9' && Fields[seconds] > 0.5",
    "Fields[user] != NIL",
];

/// What a template's placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    /// Port that the program listens on.
    pub(crate) port: u16,
    /// Port of the sink.
    pub(crate) sink_port: u16,
    /// Folder of the run.
    pub(crate) dir: &'a Path,
    /// The program's version, as its config wants it.
    pub(crate) version: &'a str,
}

/// Lines of a template between these two are repeated for each matcher.
const BLOCK_BEGIN: &str = "# begin";
const BLOCK_END: &str = "# end";

/// A config from its template.
pub(crate) fn render(template: &str, expressions: &[String], values: Values<'_>) -> String {
    let mut text = String::new();
    let mut block: Option<String> = None;
    for line in template.lines() {
        match &mut block {
            None if line.starts_with(BLOCK_BEGIN) => block = Some(String::new()),
            None => text.extend([line, "\n"]),
            Some(lines) if line.starts_with(BLOCK_END) => {
                for (number, expression) in expressions.iter().enumerate() {
                    text += &lines
                        .replace("{number}", &number.to_string())
                        .replace("{matcher}", expression);
                }
                block = None;
            }
            Some(lines) => lines.extend([line, "\n"]),
        }
    }
    text.replace("{port}", &values.port.to_string())
        .replace("{sink_port}", &values.sink_port.to_string())
        .replace("{dir}", &values.dir.display().to_string())
        .replace("{version}", values.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (index, scenario) in ALL.iter().enumerate() {
            assert!(ALL[..index].iter().all(|other| other.name != scenario.name));
            assert_eq!(scenario.programs[0].0, "hekad");
            assert!(!scenario.cases.is_empty());
            let is_routing = scenario.destination == Destination::Counters;
            assert!(
                scenario
                    .cases
                    .iter()
                    .all(|case| (case.count() > 0) == is_routing)
            );
        }
    }

    #[test]
    fn no_placeholder_is_left_over() {
        let values = Values {
            port: 1234,
            sink_port: 5678,
            dir: Path::new("/d"),
            version: "3.38",
        };
        for scenario in ALL {
            for (program, template) in scenario.programs {
                let text = render(template, &Matchers::ByType(3).expressions(), values);
                for name in [
                    "{port}",
                    "{sink_port}",
                    "{dir}",
                    "{version}",
                    "{number}",
                    "{matcher}",
                    BLOCK_BEGIN,
                    BLOCK_END,
                ] {
                    assert!(!text.contains(name), "{}/{program}: {name}", scenario.name);
                }
                assert!(text.contains("1234"), "{}/{program}", scenario.name);
            }
        }
    }

    #[test]
    fn blocks_are_repeated() {
        let text = render(
            "a\n# begin: x\n{number}={matcher}\n# end\nb\n",
            &["p".into(), "q".into()],
            Values {
                port: 1,
                sink_port: 2,
                dir: Path::new("/"),
                version: "",
            },
        );
        assert_eq!(text, "a\n0=p\n1=q\nb\n");
    }
}
