//! Random programs under limits: whatever a script is, it ends by itself or is ended, and the host goes on.
//!
//! Owns:    `programs`, the check that the fuzz target runs too, and the grammar that makes programs of bytes.
//! Runs on: tests and fuzzing.            Plane: data.
//! Bounds:  a mebibyte of memory and a few thousand safepoints a program.
//! Never:   expects a program to make sense.

use std::sync::Arc;
use std::time::Duration;

use codecs::message::{Header, MessageTable, NewValue, TableLimits};
use sandbox::{
    ConfigValue, Host, InjectError, Injected, Kind, Program, Sandbox, SandboxLimits, Settings,
    Subject,
};

const KINDS: [Kind; 3] = [Kind::Filter, Kind::Decoder, Kind::Encoder];

/// Runs the input as a script, if it is one, and as the choices of a generator.
pub fn programs(input: &[u8]) {
    run(input, input.first().copied().unwrap_or(0));
    let mut choices = Choices {
        bytes: input,
        at: 0,
        depth: 0,
    };
    let source = choices.script();
    run(source.as_bytes(), choices.byte());
}

fn run(source: &[u8], choice: u8) {
    let Ok(program) = Program::compile("fuzz.lua", source) else {
        return;
    };
    let kind = KINDS[usize::from(choice) % KINDS.len()];
    let mut settings = Settings::new(kind, "fuzz");
    settings.limits = SandboxLimits {
        memory_bytes: 1024 * 1024,
        output_bytes: 4096,
        wall_time: Duration::ZERO,
        ..SandboxLimits::default()
    }
    .with_instructions(5000);
    settings.native = choice & 0x80 != 0;
    settings.config = vec![("n".into(), ConfigValue::Number(1.0))];
    let Ok(mut sandbox) = Sandbox::new(&Arc::new(program), settings) else {
        return;
    };
    calls(&mut sandbox, kind);
    let figures = sandbox.figures();
    assert!(figures.max_memory <= 1024 * 1024 && figures.max_instructions <= 5000);
}

fn calls(sandbox: &mut Sandbox, kind: Kind) {
    let mut host = Taker(0);
    for round in 0..3 {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 4096,
            messages: 1,
            fields: 32,
        });
        let mut draft = table.begin().expect("an empty table");
        let mut fill = || {
            draft.set(Header::Uuid, &[7; 16][..])?;
            draft.set(Header::Type, "t")?;
            draft.add_field("a", NewValue::String("b".into()), None)?;
            draft.add_field("a", NewValue::Integer(-1), Some("r".into()))
        };
        fill().expect("room");
        let ended = match kind {
            Kind::Decoder => sandbox
                .process_message(Subject::Draft(&mut draft), &mut host)
                .is_err(),
            _ => sandbox
                .process_message(Subject::Message(draft.view()), &mut host)
                .is_err(),
        };
        let ended = sandbox.timer_event(round, &mut host).is_err() || ended;
        if ended && sandbox.ended().is_some() {
            return;
        }
    }
}

/// Takes every third injection.
struct Taker(u32);

impl Host for Taker {
    fn inject(
        &mut self,
        _injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        self.0 += 1;
        match self.0 % 3 {
            0 => Err(InjectError::Count),
            _ => Ok(()),
        }
    }
}

const MODULES: [&str; 13] = [
    "string",
    "table",
    "math",
    "os",
    "lpeg",
    "re",
    "cjson",
    "struct",
    "circular_buffer",
    "bloom_filter",
    "cuckoo_filter",
    "hyperloglog",
    "sax",
];

/// Bytes as the choices of a generator; when they run out, every choice is the first.
struct Choices<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

const NAMES: [&str; 8] = ["a", "b", "t", "f", "s", "_G", "x", "n"];

const LITERALS: [&str; 16] = [
    "nil",
    "true",
    "0",
    "1",
    "-1",
    "2^53",
    "1/0",
    "0/0",
    "'a'",
    "''",
    "'%s'",
    "('x'):rep(100)",
    "{}",
    "{1, 2}",
    "'Fields[a]'",
    "'raw'",
];

const FUNCTIONS: [&str; 64] = [
    "pcall",
    "xpcall",
    "error",
    "setmetatable",
    "getmetatable",
    "tostring",
    "tonumber",
    "select",
    "unpack",
    "rawset",
    "rawget",
    "next",
    "pairs",
    "ipairs",
    "getfenv",
    "setfenv",
    "require",
    "type",
    "string.rep",
    "string.gsub",
    "string.find",
    "string.format",
    "string.match",
    "string.gmatch",
    "table.concat",
    "table.sort",
    "table.insert",
    "table.remove",
    "table.foreach",
    "math.floor",
    "math.random",
    "os.date",
    "os.time",
    "read_message",
    "read_next_field",
    "inject_message",
    "inject_payload",
    "add_to_payload",
    "decode_message",
    "write_message",
    "lpeg.P",
    "lpeg.match",
    "lpeg.C",
    "lpeg.Ct",
    "lpeg.Cmt",
    "lpeg.Cs",
    "lpeg.V",
    "lpeg.S",
    "re.compile",
    "cjson.encode",
    "cjson.decode",
    "struct.pack",
    "struct.unpack",
    "circular_buffer.new",
    "bloom_filter.new",
    "cuckoo_filter.new",
    "hyperloglog.new",
    "sax.window.new",
    "x.add",
    "x.set",
    "x.get",
    "x.fromstring",
    "x.query",
    "x.format",
];

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn of<'t>(&mut self, table: &[&'t str]) -> &'t str {
        table[usize::from(self.byte()) % table.len()]
    }

    fn script(&mut self) -> String {
        let mut out = String::new();
        for module in MODULES {
            out.push_str(&format!("require '{module}' "));
        }
        out.push('\n');
        out.push_str(&self.block());
        out.push_str("function process_message() ");
        out.push_str(&self.block());
        out.push_str(" return 0 end\nfunction timer_event(ns) ");
        out.push_str(&self.block());
        out.push_str(" end\n");
        out
    }

    fn block(&mut self) -> String {
        let count = self.byte() % 5;
        (0..count).map(|_| self.statement() + "\n").collect()
    }

    fn statement(&mut self) -> String {
        self.depth += 1;
        let made = match self.byte() % 10 {
            _ if self.depth > 6 => "x = 1".to_owned(),
            0 => format!("{} = {}", self.of(&NAMES), self.expression()),
            1 => format!("local {} = {}", self.of(&NAMES[..5]), self.expression()),
            2 => format!("while {} do {} end", self.expression(), self.block()),
            3 => format!(
                "for i = 1, {} do {} end",
                self.of(&["3", "100", "1e9"]),
                self.block()
            ),
            4 => format!(
                "for k, v in pairs({}) do {} end",
                self.of(&NAMES),
                self.block()
            ),
            5 => format!(
                "if {} then {} else {} end",
                self.expression(),
                self.block(),
                self.block()
            ),
            6 => format!(
                "{}[{}] = {}",
                self.of(&NAMES),
                self.expression(),
                self.expression()
            ),
            7 => format!(
                "function {}(a, ...) {} return {} end",
                self.of(&NAMES[..5]),
                self.block(),
                self.expression()
            ),
            8 => format!("do {} end", self.block()),
            _ => format!("local _ = {}", self.call()),
        };
        self.depth -= 1;
        made
    }

    fn call(&mut self) -> String {
        let count = self.byte() % 4;
        let function = match self.byte() % 4 {
            0 => self.of(&NAMES),
            _ => self.of(&FUNCTIONS),
        };
        let arguments: Vec<String> = (0..count).map(|_| self.expression()).collect();
        format!("{function}({})", arguments.join(", "))
    }

    fn expression(&mut self) -> String {
        self.depth += 1;
        let made = match self.byte() % 9 {
            _ if self.depth > 6 => "1".to_owned(),
            0 | 1 => self.of(&LITERALS).to_owned(),
            2 => self.of(&NAMES).to_owned(),
            3 => self.of(&FUNCTIONS).to_owned(),
            4 => {
                let operator = self.of(&["+", "..", "==", "<", "and", "or", "%", "^"]);
                format!("({} {operator} {})", self.expression(), self.expression())
            }
            5 => format!(
                "function(...) {} return {} end",
                self.block(),
                self.expression()
            ),
            6 => format!("{{{}, a = {}}}", self.expression(), self.expression()),
            7 => format!(
                "setmetatable({{}}, {{{} = {}}})",
                self.of(&[
                    "__index",
                    "__call",
                    "__add",
                    "__lt",
                    "__tostring",
                    "__newindex",
                    "__concat",
                    "__eq"
                ]),
                self.expression()
            ),
            _ => self.call(),
        };
        self.depth -= 1;
        made
    }
}

#[cfg(test)]
mod tests {
    use super::programs;

    #[test]
    fn random_programs_end() {
        let count = std::env::var("HEKAD_PROGRAMS").ok();
        for seed in 0..count.and_then(|count| count.parse().ok()).unwrap_or(300) {
            let mut random = fastrand::Rng::with_seed(seed);
            let length = random.usize(..400);
            let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            programs(&bytes);
        }
    }

    #[test]
    fn programs_that_were_found_end() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/programs");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("a corpus") {
            programs(&std::fs::read(entry.expect("an entry").path()).expect("readable"));
            count += 1;
        }
        assert!(count > 0, "no corpus at {folder}");
    }
}
