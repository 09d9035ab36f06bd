//! The fast path beside its oracle, the script.
//!
//! Owns:    lines as servers write them, and as they do not.
//! Runs on: tests.            Plane: data.
//! Bounds:  one sandbox a case.
//! Never:   expects anything that the script does not say.

use std::net::Ipv6Addr;
use std::sync::Arc;

use codecs::message::{Header, MessageTable, TableLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{FastPath, Outcome};
use crate::{
    ConfigValue, Host, InjectError, Injected, Kind, Program, Sandbox, Settings, Subject, library,
};

const NGINX: &str = "lua_decoders/nginx_access.lua";
const APACHE: &str = "lua_decoders/apache_access.lua";

const FORMATS: [(&str, &str); 6] = [
    (
        NGINX,
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    ),
    (
        NGINX,
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for""#,
    ),
    (APACHE, r#"%h %l %u %t \"%r\" %>s %b"#),
    (
        APACHE,
        r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#,
    ),
    (
        APACHE,
        r#"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#,
    ),
    (
        APACHE,
        r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#,
    ),
];

const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0",
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; MSIE; )",
    "Opera/9.80 (Android; Opera Mini/7.5/35.3956; U; en) Presto/2.8.119 Version/11.10",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) Version/17.1 Safari/604.1",
    "Linux",
    "curl/8.4.0",
    "-",
    "",
];

/// Keeps the last message.
#[derive(Default)]
struct Keeper(Vec<Vec<u8>>);

impl Host for Keeper {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        if let Injected::Message(bytes) = injected {
            self.0.push(bytes.to_vec());
        }
        Ok(())
    }
}

fn settings(log_format: &str, flags: [bool; 5]) -> Settings {
    let mut settings = Settings::new(Kind::Decoder, "access");
    let text = |text: &str| ConfigValue::Text(text.to_owned());
    let mut set = |name: &str, value| settings.config.push((name.to_owned(), value));
    set("log_format", text(log_format));
    let names = [
        "user_agent_transform",
        "user_agent_keep",
        "user_agent_conditional",
        "payload_keep",
    ];
    for (name, flag) in names.into_iter().zip(flags) {
        set(name, ConfigValue::Boolean(flag));
    }
    if flags[4] {
        set("type", text("access"));
    }
    settings
}

/// A script, and its twin, which is taught by what the script makes.
struct Pair {
    script: Sandbox,
    twin: FastPath,
    table: MessageTable,
    /// Lines that the twin took.
    taken: usize,
}

impl Pair {
    fn new(name: &str, settings: Settings) -> Pair {
        let source = library::script(name).expect("it is shipped").source;
        let program = Arc::new(Program::compile(name, source).expect("it is Lua"));
        let twin = FastPath::new(&program, &settings).expect("a format that is known");
        let settings = Settings {
            fast_path: false,
            ..settings
        };
        let script = Sandbox::new(&program, settings).expect("it loads");
        assert!(!script.has_fast_path());
        let table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 64 * 1024,
            messages: 1,
            fields: 8,
        });
        Pair {
            script,
            twin,
            table,
            taken: 0,
        }
    }

    /// Gives both a line.
    fn line(&mut self, line: &[u8]) {
        self.table.clear();
        let mut draft = self.table.begin().expect("room");
        draft.set(Header::Payload, line).expect("room");
        let mut keeper = Keeper::default();
        let returned = self
            .script
            .process_message(Subject::Draft(&mut draft), &mut keeper)
            .expect("the script goes on");
        let refused = returned.status < 0;
        assert_eq!(refused, keeper.0.is_empty());
        let mut made = Vec::new();
        match self.twin.make(line, &mut made) {
            Outcome::Script => {}
            Outcome::Learn => {
                let message = keeper.0.last().expect("it is no line of the script's");
                self.twin.learn(line, message);
            }
            Outcome::Made => {
                self.taken += 1;
                let message = keeper.0.last().expect("it is no line of the script's");
                // Key and length of the uuid, which is random but for its version.
                assert_eq!(made[..2], message[..2]);
                assert_eq!(
                    (made[8] & 0xf0, made[10] & 0xf0),
                    (message[8] & 0xf0, message[10] & 0xf0)
                );
                let shown = String::from_utf8_lossy(line);
                assert_eq!(made[18..], message[18..], "{shown}");
            }
        }
    }
}

fn own(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    select(texts).prop_map(|text| text.as_bytes().to_vec())
}

fn bytes<S: Strategy<Value = String>>(text: S) -> impl Strategy<Value = Vec<u8>> {
    text.prop_map(String::into_bytes)
}

fn host() -> impl Strategy<Value = Vec<u8>> {
    let v4 = any::<[u8; 4]>().prop_map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"));
    let v6 = vec(select(vec![0_u16, 0, 0, 1, 0xdb8, 0xffff]), 8).prop_map(|groups| {
        let groups: [u16; 8] = groups.try_into().expect("eight");
        Ipv6Addr::from(groups).to_string()
    });
    let odd = own(&[
        "256.1.1.1",
        "1.2.3.4.example.com",
        "1.2.3.4.",
        "1.2.3.4-a",
        "01.2.3.4",
        "1.2.3",
        "249.250.199.99",
        "::",
        "::1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:1.2.3.4",
        "::ffff:1.2.3.4",
        "1::2::3",
        "00001::",
        "fe80::1%eth0",
        "a%20b",
        "a%2",
        "abcd:x",
        "web.example.com",
        "-",
        "",
    ]);
    prop_oneof![4 => bytes(v4), 3 => bytes(v6), 2 => odd, 1 => bytes("[0-9a-f:.]{1,24}")]
}

fn time() -> impl Strategy<Value = Vec<u8>> {
    let month = select(vec![
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "jan",
        "Foo",
    ]);
    let year = prop_oneof![8 => 1970..2100, 1 => 0..10_000];
    let clock = (0..25, 0..61, 0..62);
    let zone = ("[+-]", 0..25, 0..61);
    (0..33, month, year, clock, zone).prop_map(|(day, month, year, (h, m, s), (sign, zh, zm))| {
        format!("{day:02}/{month}/{year:04}:{h:02}:{m:02}:{s:02} {sign}{zh:02}{zm:02}").into_bytes()
    })
}

fn quoted() -> impl Strategy<Value = Vec<u8>> {
    let usual = own(&[
        "GET / HTTP/1.1",
        "GET /\\\"x\\\" HTTP/1.1",
        "-",
        "",
        "\\\\",
        "\\",
    ]);
    prop_oneof![4 => usual, 1 => bytes("[ -~]{0,40}"), 1 => vec(any::<u8>(), 0..40)]
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    let odd = own(&[
        "-",
        "",
        "007",
        "1234567890123456789",
        "99999999999999999999999",
        "1.5",
    ]);
    prop_oneof![6 => bytes("[0-9]{3}"), 2 => bytes("[0-9]{1,16}"), 1 => odd]
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => own(&["-", "anna", "", "a\tb"]), 1 => bytes("[!-~]{0,10}")]
}

/// A format with values in place of its variables.
fn filled_in(log_format: &str, values: &[(&str, &[u8])]) -> Vec<u8> {
    let mut line = Vec::new();
    let mut rest = log_format;
    while let Some(first) = rest.bytes().next() {
        let found = values
            .iter()
            .find(|(variable, _)| rest.starts_with(variable));
        let (value, len) = match found {
            Some((variable, value)) => (*value, variable.len()),
            None => (std::slice::from_ref(&first), 1),
        };
        line.extend_from_slice(value);
        rest = &rest[len..];
    }
    line
}

/// A line of a format: its variables are replaced by values that may be right.
fn line(name: &'static str, log_format: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let agent = prop_oneof![6 => own(&AGENTS), 1 => quoted()];
    let values = (
        host(),
        host(),
        word(),
        time(),
        quoted(),
        number(),
        number(),
        quoted(),
        agent,
    );
    let damage = prop_oneof![
        6 => Just(None),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(Some)
    ];
    (values, damage).prop_map(move |(values, damage)| {
        let (host, server, user, time, request, status, size, referer, agent) = values;
        let bracketed = [b"[", &time[..], b"]"].concat();
        let pairs: Vec<(&str, &[u8])> = match name {
            NGINX => vec![
                ("$remote_addr", &host),
                ("$remote_user", &user),
                ("$time_local", &time),
                ("$request", &request),
                ("$status", &status),
                ("$body_bytes_sent", &size),
                ("$http_referer", &referer),
                ("$http_user_agent", &agent),
                ("$http_x_forwarded_for", &referer),
            ],
            _ => vec![
                ("%v", &server),
                ("%p", &size),
                ("%h", &host),
                ("%l", b"-"),
                ("%u", &user),
                ("%t", &bracketed),
                ("%r", &request),
                ("%>s", &status),
                ("%b", &size),
                ("%O", &size),
                ("%{Referer}i", &referer),
                ("%{User-Agent}i", &agent),
                ("\\\"", b"\""),
            ],
        };
        let mut line = filled_in(log_format, &pairs);
        if let (Some((at, byte)), false) = (damage, line.is_empty()) {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line
    })
}

fn case() -> impl Strategy<Value = (&'static str, &'static str, [bool; 5], Vec<Vec<u8>>)> {
    (select(FORMATS.to_vec()), any::<[bool; 5]>()).prop_flat_map(|((name, log_format), flags)| {
        let lines = vec(line(name, log_format), 1..30);
        (Just(name), Just(log_format), Just(flags), lines)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_the_fast_path_makes_the_script_makes((name, log_format, flags, lines) in case()) {
        let mut pair = Pair::new(name, settings(log_format, flags));
        // The second time everything that can be learned is known.
        for line in lines.iter().chain(&lines) {
            pair.line(line);
        }
    }
}

#[test]
fn usual_lines_are_taken() {
    for (at, (name, log_format)) in FORMATS.into_iter().enumerate() {
        for transform in [false, true] {
            let mut pair = Pair::new(
                name,
                settings(log_format, [transform, false, true, false, true]),
            );
            let mut count = 0;
            for agent in AGENTS.into_iter().chain(AGENTS) {
                let time = "10/Feb/2014:08:46:41 -0800";
                let line = match name {
                    NGINX => format!(
                        r#"127.0.0.1 - - [{time}] "GET / HTTP/1.1" 304 0 "-" "{agent}" "-""#
                    ),
                    _ => format!(
                        r#"{}::1 - - [{time}] "GET / HTTP/1.1" 200 123 "-" "{agent}""#,
                        if at == FORMATS.len() - 1 {
                            "a.b:80 "
                        } else {
                            ""
                        }
                    ),
                };
                pair.line(line.as_bytes());
                count += 1;
            }
            // The script's first message teaches nothing.
            let learned = if pair.twin.agent_field.is_some() {
                AGENTS.len()
            } else {
                1
            };
            assert_eq!(pair.taken, count - learned - 1, "{log_format}");
        }
    }
}

#[test]
fn it_is_chosen_for_the_shipped_script_alone() {
    let (name, log_format) = FORMATS[0];
    let usual = settings(log_format, [false; 5]);
    let source = library::script(name).expect("it is shipped").source;
    let program = Program::compile(name, source).expect("Lua");
    assert!(FastPath::new(&program, &usual).is_some());
    let changed = Program::compile(name, &[source, b"\n"].concat()).expect("Lua");
    assert!(FastPath::new(&changed, &usual).is_none());
    let elsewhere = Program::compile("my/access.lua", source).expect("Lua");
    assert!(FastPath::new(&elsewhere, &usual).is_none());
    let mut off = usual.clone();
    off.fast_path = false;
    assert!(FastPath::new(&program, &off).is_none());
    let mut counted = usual.clone();
    counted.limits = counted.limits.with_instructions(1_000_000);
    assert!(FastPath::new(&program, &counted).is_none());

    // A module of the user's own in place of ours.
    let folder = tempfile::tempdir().expect("a folder");
    let shadowed = Settings {
        module_directories: vec![folder.path().to_owned()],
        ..usual
    };
    let program = Arc::new(program);
    let sandbox = Sandbox::new(&program, shadowed.clone()).expect("it loads");
    assert!(sandbox.has_fast_path());
    let module = library::module("ip_address").expect("it is shipped");
    std::fs::write(folder.path().join("ip_address.lua"), module.source).expect("a file");
    let sandbox = Sandbox::new(&program, shadowed).expect("it loads");
    assert!(!sandbox.has_fast_path());
}

#[test]
fn more_user_agents_than_are_remembered_are_learned_anew() {
    let mut pair = Pair::new(
        FORMATS[0].0,
        settings(FORMATS[0].1, [true, false, false, false, false]),
    );
    for round in 0..2 {
        for number in 0..super::AGENTS_MAX + 1 {
            let line = format!(
                r#"127.0.0.1 - - [10/Feb/2014:08:46:41 -0800] "-" 304 0 "-" "Firefox/{number}""#
            );
            pair.line(line.as_bytes());
        }
        assert!(pair.twin.agents.len() <= super::AGENTS_MAX, "{round}");
    }
}
