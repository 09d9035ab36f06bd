//! PayloadRegexDecoder: a regular expression takes the payload apart.
//!
//! Owns:    the compiled expression, and per shard one scratch for all streams that use it.
//! Runs on: every shard, one instance a stream.            Plane: data.
//! Bounds:  linear time in the payload; scratch by the limits of `matcher::pattern`.
//! Never:   copies a capture that becomes a value by itself, or allocates per message.

use std::cell::RefCell;
use std::rc::{self, Rc};
use std::sync::{self, Arc};

use codecs::field::Span;
use codecs::message::{Draft, Header};
use codecs::time::{LayoutError, TimestampParser};
use engine::plugin::options::{CodecOptions, Table};
use engine::plugin::{
    DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin, PluginSpec, Remark,
    Section,
};
use regex_automata::Input;
use regex_automata::meta::{Cache, Regex};
use regex_automata::util::primitives::NonMaxUsize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message_fields::{Template, integer};

/// Options of `PayloadRegexDecoder`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Regular expression with at least one group, in Go's syntax
    #[schemars(extend("x-required" = true))]
    pub match_regex: String,
    /// Numbers for what the group Severity captures
    pub severity_map: Table<i32>,
    /// Headers to overwrite and text fields to add, with `%Name%` for what the group Name captured
    pub message_fields: Table<String>,
    /// Go layout of what the group Timestamp captures, or Epoch, EpochMilli, EpochMicro or EpochNano
    pub timestamp_layout: String,
    /// Time zone of timestamps that do not say
    pub timestamp_location: String,
    /// Whether a payload that does not match counts as refused by the decoder
    pub log_errors: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            match_regex: String::new(),
            severity_map: Table::default(),
            message_fields: Table::default(),
            timestamp_layout: String::new(),
            timestamp_location: "UTC".to_owned(),
            log_errors: true,
        }
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::decoder::<Options>(
    "PayloadRegexDecoder",
    "Extracts fields from the payload by regexp",
)
.notes(&[
    "The groups called Timestamp and Severity set those headers. A severity is looked up in `severity_map`, then read as a number; \
     a timestamp is read by `timestamp_layout`, then by Go's named layouts, and what it leaves out (year, date) is taken from today. \
     Either that cannot be read leaves the header as it was and is told in the log.",
    "Keys of `message_fields` are case-sensitive: Logger, Type, Payload, Hostname, Pid, Severity and Uuid are the headers; any other key \
     adds a text field of that name, `name|representation` one with a representation. Groups without a name go by their number: `%1%`. \
     A name that no group has comes out as `<Name>`.",
    "A payload that does not match is refused by the decoder (`log_decode_failures` and `send_decode_failures` of the input apply). With \
     `log_errors = false` it is dropped without a word and counted as `decoded_to_nothing`.",
]);

const NO_MATCH: DecodeError = DecodeError::failed("the payload does not match match_regex");
const BAD_TIMESTAMP: &str = "a captured Timestamp cannot be read; the message keeps its own";
const BAD_SEVERITY: &str = "a captured Severity is neither a number nor in severity_map";

impl DecoderPlugin for Options {
    fn build(self, section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        let timestamps =
            match TimestampParser::new(&self.timestamp_layout, &self.timestamp_location) {
                Ok(timestamps) => Some(timestamps),
                Err(error) => {
                    let key = match error {
                        LayoutError::Location(_) => "timestamp_location",
                        LayoutError::Epoch(_) | LayoutError::TooLong(_) => "timestamp_layout",
                    };
                    section.problem(&[key], error.to_string());
                    None
                }
            };
        let regex = compile(&self.match_regex, section)?;
        let groups: Vec<Option<&str>> = regex
            .group_info()
            .pattern_names(regex_automata::PatternID::ZERO)
            .collect();
        let named = |wanted| groups.iter().position(|name| *name == Some(wanted));
        let program = Program {
            template: Template::with_groups(&self.message_fields, &groups, section),
            timestamp: named("Timestamp"),
            severity: named("Severity"),
            timestamps: timestamps?,
            severities: self
                .severity_map
                .iter()
                .map(|(name, number)| (name.as_bytes().into(), *number))
                .collect(),
            silent: !self.log_errors,
            slots: regex.group_info().slot_len(),
            regex,
        };
        Some(Box::new(Factory {
            program: Arc::new(program),
        }))
    }
}

fn compile(source: &str, section: &mut Section<'_, CodecOptions>) -> Option<Regex> {
    let pattern = section.pattern(&["match_regex"], source)?;
    match pattern.compile_capturing() {
        Ok(regex) if regex.captures_len() > 1 => Some(regex),
        Ok(_) => {
            section
                .problem(&["match_regex"], "has no group that captures anything")
                .help("put what you want to keep into parentheses: (?P<Name>...)");
            None
        }
        Err(too_large) => {
            section.problem(&["match_regex"], too_large.message());
            None
        }
    }
}

/// What all instances share.
#[derive(Debug)]
struct Program {
    regex: Regex,
    slots: usize,
    template: Template,
    /// Numbers of the groups of those names.
    timestamp: Option<usize>,
    severity: Option<usize>,
    timestamps: TimestampParser,
    severities: Box<[(Box<[u8]>, i32)]>,
    /// A payload that does not match is no failure.
    silent: bool,
}

/// What a search writes to.
#[derive(Debug)]
struct Scratch {
    cache: Cache,
    slots: Box<[Option<NonMaxUsize>]>,
}

/// A program and this shard's scratch for it.
struct InUse {
    program: sync::Weak<Program>,
    scratch: rc::Weak<RefCell<Scratch>>,
}

thread_local! {
    /// Scratches of this shard's decoders. One can take a megabyte and streams are many, so all streams of one section share it.
    static IN_USE: RefCell<Vec<InUse>> = const { RefCell::new(Vec::new()) };
}

struct Factory {
    program: Arc<Program>,
}

impl DecoderFactory for Factory {
    fn make(&self, _subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        Box::new(PayloadRegex {
            scratch: scratch(&self.program),
            program: Arc::clone(&self.program),
            bad_timestamps: 0,
            bad_severities: 0,
        })
    }
}

/// This shard's scratch for a program.
fn scratch(program: &Arc<Program>) -> Rc<RefCell<Scratch>> {
    IN_USE.with_borrow_mut(|in_use| {
        in_use.retain(|entry| entry.scratch.strong_count() > 0);
        let known = in_use
            .iter()
            .find(|entry| entry.program.as_ptr() == Arc::as_ptr(program));
        known
            .and_then(|entry| entry.scratch.upgrade())
            .unwrap_or_else(|| {
                let scratch = Rc::new(RefCell::new(Scratch {
                    cache: program.regex.create_cache(),
                    slots: vec![None; program.slots].into(),
                }));
                in_use.push(InUse {
                    program: Arc::downgrade(program),
                    scratch: Rc::downgrade(&scratch),
                });
                scratch
            })
    })
}

struct PayloadRegex {
    program: Arc<Program>,
    scratch: Rc<RefCell<Scratch>>,
    /// Captures that could not be read, since that was last told.
    bad_timestamps: u64,
    bad_severities: u64,
}

impl Decoder for PayloadRegex {
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        let program = &*self.program;
        let payload = draft
            .view()
            .head()
            .text(Header::Payload)
            .unwrap_or_default();
        let Scratch { cache, slots } = &mut *self.scratch.borrow_mut();
        let searched = Input::new(payload.of(draft.bytes()));
        if program
            .regex
            .search_slots_with(cache, &searched, slots)
            .is_none()
        {
            return if program.silent {
                Ok(Decoded::Nothing)
            } else {
                Err(NO_MATCH)
            };
        }
        let group = |number: usize| match (slots[2 * number], slots[2 * number + 1]) {
            (Some(start), Some(end)) => {
                let from = payload.start as usize;
                Some(Span::new(from + start.get(), from + end.get()))
            }
            _ => None,
        };
        if let Some(span) = program.timestamp.and_then(group) {
            match program.timestamps.parse(span.of(draft.bytes()), input.now) {
                Ok(timestamp) => draft.set_timestamp(timestamp),
                Err(_) => self.bad_timestamps += 1,
            }
        }
        if let Some(span) = program.severity.and_then(group) {
            match severity(program, span.of(draft.bytes())) {
                Some(severity) => draft.set_severity(severity),
                None => self.bad_severities += 1,
            }
        }
        program
            .template
            .fill(draft, |number| group(number).unwrap_or_default())?;
        Ok(Decoded::Message)
    }

    fn take_remarks(&mut self, tell: &mut dyn FnMut(Remark<'_>)) {
        for (reason, count) in [
            (BAD_TIMESTAMP, std::mem::take(&mut self.bad_timestamps)),
            (BAD_SEVERITY, std::mem::take(&mut self.bad_severities)),
        ] {
            if count > 0 {
                let decoder = "";
                tell(Remark {
                    decoder,
                    reason,
                    count,
                });
            }
        }
    }
}

fn severity(program: &Program, text: &[u8]) -> Option<i32> {
    program
        .severities
        .iter()
        .find(|(name, _)| **name == *text)
        .map(|(_, number)| *number)
        .or_else(|| integer(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configured::{Decoding, mistakes, plan};

    fn decoding(options: &str) -> Decoding {
        Decoding::new(&format!(
            "[decoder]\ntype = 'PayloadRegexDecoder'\n{options}"
        ))
    }

    const APACHE: &str = r#"
        match_regex = '^(?P<RemoteIP>\S+) \S+ \S+ \[(?P<Timestamp>[^\]]+)\] "(?P<Method>[A-Z]+) (?P<Url>[^\s]+)[^"]*" (?P<StatusCode>\d+) (?P<RequestSize>\d+)(?: (-))?'
        timestamp_layout = "02/Jan/2006:15:04:05 -0700"
        [decoder.message_fields]
        Type = "ApacheLogfile"
        Logger = "apache %7%"
        Hostname = "%RemoteIP%"
        "Url|uri" = "%Url%"
        Method = "%Method%"
        "RequestSize|B" = "%RequestSize%"
        summary = "%Method% %Url%: %StatusCode%"
        missing = "%Nobody%"
        dash = "%7%"
    "#;

    const LINE: &str =
        r#"192.0.2.7 - - [18/Apr/2013:14:00:28 -0700] "GET /a?b=c HTTP/1.1" 200 512 more"#;

    #[test]
    fn a_line_becomes_headers_and_fields() {
        let mut decoding = decoding(APACHE);
        assert_eq!(decoding.decode(LINE), Ok(Decoded::Message));
        let message = decoding.message(0);
        assert_eq!(message.timestamp(), 1_366_318_828_000_000_000);
        assert_eq!(message.header(Header::Type), b"ApacheLogfile");
        assert_eq!(message.header(Header::Logger), b"apache ");
        assert_eq!(message.header(Header::Hostname), b"192.0.2.7");
        assert_eq!(message.payload(), LINE.as_bytes());
        let uri = message.field(b"Url", 0).unwrap();
        assert_eq!(uri.representation(), Some(&b"uri"[..]));
        assert_eq!(decoding.field("Url"), Some("/a?b=c"));
        assert_eq!(decoding.field("Method"), Some("GET"));
        assert_eq!(decoding.field("RequestSize"), Some("512"));
        assert_eq!(decoding.field("summary"), Some("GET /a?b=c: 200"));
        assert_eq!(decoding.field("missing"), Some("<Nobody>"));
        assert_eq!(decoding.field("dash"), Some(""), "the group took no part");
    }

    #[test]
    fn captures_are_ranges_of_the_payload() {
        let mut decoding =
            decoding("match_regex = 'k=(\\S+)'\n[decoder.message_fields]\nk = '%1%'");
        decoding.decode("some k=value here").unwrap();
        let message = decoding.message(0);
        let stored = message.field(b"k", 0).unwrap().stored();
        assert_eq!(stored.first_span(), Span::new(7, 12));
    }

    #[test]
    fn what_does_not_match_is_refused_or_dropped_silently() {
        let mut loud = decoding("match_regex = '(a)'");
        assert_eq!(loud.decode("b"), Err(NO_MATCH));
        let mut silent = decoding("match_regex = '(a)'\nlog_errors = false");
        assert_eq!(silent.decode("b"), Ok(Decoded::Nothing));
        assert_eq!(silent.decode("a"), Ok(Decoded::Message));
    }

    #[test]
    fn severities_by_name_and_number() {
        let mut decoding = decoding(
            "match_regex = 'severity: (?P<Severity>\\w+)'\n[decoder.severity_map]\nerror = 3\n5 = 50",
        );
        for (payload, expected) in [
            ("severity: error", 3),
            ("severity: 6", 6),
            ("severity: 5", 50),
            ("severity: unheard_of", 7),
            ("severity: ERROR", 7),
        ] {
            assert_eq!(decoding.decode(payload), Ok(Decoded::Message));
            assert_eq!(decoding.message(0).severity(), expected, "{payload}");
        }
        let mut told = Vec::new();
        decoding.decoder().take_remarks(&mut |remark| {
            told.push((remark.reason.to_owned(), remark.count));
        });
        assert_eq!(told, [(BAD_SEVERITY.to_owned(), 2)]);
    }

    #[test]
    fn timestamps_by_layout_location_and_what_today_adds() {
        let text = |layout: &str, location: &str| {
            format!(
                "match_regex = '\\[(?P<Timestamp>[^\\]]*)\\]'\ntimestamp_layout = '{layout}'\ntimestamp_location = '{location}'"
            )
        };
        for (layout, location, payload, expected) in [
            (
                "Epoch",
                "UTC",
                "[1414448234.638504391]",
                1_414_448_234_638_504_391,
            ),
            (
                "EpochMilli",
                "UTC",
                "[1414448234638]",
                1_414_448_234_638_000_000,
            ),
            (
                "02/Jan/2006:15:04:05",
                "America/Los_Angeles",
                "[18/Apr/2013:14:00:28]",
                1_366_318_828_000_000_000,
            ),
            // Of Go's named layouts; the date is that of the record's arrival.
            ("", "UTC", "[5:16PM]", 1_732_468_560_000_000_000),
            ("Epoch", "UTC", "[soon]", Decoding::NOW),
            ("", "UTC", "[]", Decoding::NOW),
        ] {
            let mut decoding = decoding(&text(layout, location));
            assert_eq!(decoding.decode(payload), Ok(Decoded::Message));
            assert_eq!(decoding.message(0).timestamp(), expected, "{payload}");
        }
    }

    #[test]
    fn captured_numbers_that_are_none_refuse_the_record() {
        let mut decoding = decoding(
            "match_regex = '(?P<pid>\\S+) (?P<sev>\\S+)'\n[decoder.message_fields]\nPid = '%pid%'\nSeverity = '%sev%'",
        );
        assert_eq!(decoding.decode("12.9 4"), Ok(Decoded::Message));
        assert_eq!(
            (decoding.message(0).pid(), decoding.message(0).severity()),
            (12, 4)
        );
        assert!(decoding.decode("x 4").is_err());
        assert!(decoding.decode("1 4.5").is_err());
    }

    #[test]
    fn classes_are_those_of_go() {
        let mut decoding = decoding("match_regex = '^(\\d+)$'");
        assert_eq!(decoding.decode("17"), Ok(Decoded::Message));
        assert_eq!(decoding.decode("\u{0661}\u{0667}"), Err(NO_MATCH));
    }

    #[test]
    fn mistakes_have_their_places() {
        for (options, expected) in [
            ("match_regex = '\\d+'", "no group"),
            ("match_regex = '(\\mtest)'", "\\m"),
            (
                "match_regex = '(a)'\ntimestamp_location = 'Mars/Olympus'",
                "Mars/Olympus",
            ),
            (
                "match_regex = '(a)'\ntimestamp_layout = 'Epochal'",
                "Epochal",
            ),
            ("", "match_regex"),
            (
                "match_regex = '(a)'\n[decoder.message_fields]\nPid = 'x'",
                "Pid",
            ),
        ] {
            let found = mistakes(&format!(
                "[decoder]\ntype = 'PayloadRegexDecoder'\n{options}"
            ));
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let options = "match_regex = '(a)'\n[decoder.message_fields]\nx = '%b%'";
        let plan = plan(&format!(
            "[decoder]\ntype = 'PayloadRegexDecoder'\n{options}"
        ));
        let warnings = plan.unwrap().warnings.render(false);
        assert!(warnings.contains("<b>"), "{warnings}");
    }

    #[test]
    fn streams_of_a_shard_share_one_scratch() {
        let options = "[decoder]\ntype = 'PayloadRegexDecoder'\nmatch_regex = '(a)'";
        let input = "[input]\ntype = 'TcpInput'\naddress = ':0'\ndecoder = 'decoder'\n";
        let plan = plan(&format!("{input}{options}")).unwrap();
        let decoder = plan.inputs[0].decoder.as_ref().unwrap();
        let before = IN_USE.with_borrow(Vec::len);
        let instances: Vec<_> = (0..3).map(|_| decoder.instantiate()).collect();
        assert_eq!(IN_USE.with_borrow(Vec::len), before + 1);
        drop(instances);
    }
}
