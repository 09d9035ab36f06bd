//! Golden cases of the scripts that come with the daemon: what they are given, and what they have to make of it.
//!
//! Owns:    the run of a case. `case.rs` says how cases are written, `said.rs` what is compared.
//! Runs on: tests.            Plane: control.
//! Bounds:  each case makes one sandbox.
//! Never:   writes a case: expectations come from what is documented.
//!
//! `HEKAD_GOLDEN=json/bad cargo test -p sandbox --test golden` runs the cases with that in their path alone.

mod case;
mod said;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codecs::message::{MessageTable, TableLimits};
use sandbox::{
    ConfigValue, Host, InjectError, Injected, Kind, Program, Sandbox, Settings, Subject, library,
};

use crate::case::{Case, Expectation, Step, Work};
use crate::said::Said;

/// What a script injected.
pub(crate) enum Kept {
    Message(Said),
    Payload {
        text: String,
        payload_type: String,
        name: String,
    },
}

/// A host that keeps what is injected; its time is the case's.
struct Keeper {
    now: i64,
    kept: Vec<Kept>,
}

impl Host for Keeper {
    fn inject(
        &mut self,
        injected: Injected<'_>,
        _subject: &mut Subject<'_, '_>,
    ) -> Result<(), InjectError> {
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.kept.push(match injected {
            Injected::Message(bytes) => {
                let mut table = table();
                let mut draft = table.begin().expect("room");
                let span = draft.store(bytes).expect("room");
                draft
                    .index_protobuf(span)
                    .map_err(|_| InjectError::Unmarshal)?;
                Kept::Message(Said::of(draft.view()))
            }
            Injected::Payload {
                text,
                payload_type,
                name,
            } => Kept::Payload {
                text: own(text),
                payload_type: own(payload_type),
                name: own(name),
            },
        });
        Ok(())
    }

    fn now(&self) -> i64 {
        self.now
    }
}

fn table() -> MessageTable {
    MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 1 << 20,
        messages: 4,
        fields: 4096,
    })
}

/// Settings that a case asks for.
fn settings(kind: Kind, script: &str, case: &Case) -> Settings {
    let mut settings = Settings::new(kind, script);
    for (key, value) in &case.config {
        let value = match value {
            toml::Value::String(text) => ConfigValue::Text(text.clone()),
            toml::Value::Integer(number) => ConfigValue::Number(*number as f64),
            toml::Value::Float(number) => ConfigValue::Number(*number),
            toml::Value::Boolean(truth) => ConfigValue::Boolean(*truth),
            _ => continue,
        };
        settings.config.push((key.clone(), value));
    }
    let number = |key: &str| case.settings.get(key).and_then(toml::Value::as_integer);
    if let Some(name) = case.settings.get("logger").and_then(toml::Value::as_str) {
        settings.name = name.to_owned();
    }
    let limits = &mut settings.limits;
    limits.memory_bytes = number("memory_limit").map_or(limits.memory_bytes, |n| n as u64);
    limits.output_bytes = number("output_limit").map_or(limits.output_bytes, |n| n as u64);
    limits.instructions = number("instruction_limit").map_or(limits.instructions, |n| n as u64);
    settings
}

/// What is wrong with the script in one case. With a file to preserve in, the sandbox is made anew after each step.
fn run(kind: Kind, script: &str, case: &Case, preserve: Option<&Path>) -> Vec<String> {
    let shipped = library::script(script).expect("a script that is shipped");
    let program = Program::compile(script, shipped.source).expect("it is Lua");
    let program = Arc::new(program);
    let start = || {
        let mut settings = settings(kind, script, case);
        settings.preserve = preserve.map(Path::to_owned);
        Sandbox::new(&program, settings)
    };
    let mut sandbox = match (start(), &case.load_fails) {
        (Ok(sandbox), None) => sandbox,
        (Ok(_), Some(_)) => return vec!["the script loads".to_owned()],
        (Err(ended), None) => return vec![format!("the script does not load: {}", ended.text)],
        (Err(ended), Some(wanted)) if ended.text.contains(wanted) => return Vec::new(),
        (Err(ended), Some(_)) => return vec![format!("the script does not load: {}", ended.text)],
    };
    const NOW: i64 = 1_500_000_000_000_000_000;
    let now = case.settings.get("now").and_then(toml::Value::as_integer);
    let mut wrong = Vec::new();
    // What a fast path has learned in two rounds it repeats in the third.
    let rounds = if sandbox.has_fast_path() { 3 } else { 1 };
    let steps = case.steps.iter().enumerate();
    for (number, step) in std::iter::repeat_n(steps, rounds).flatten() {
        let mut keeper = Keeper {
            now: now.unwrap_or(NOW),
            kept: Vec::new(),
        };
        let found = carry_out(&mut sandbox, kind, step, &mut keeper);
        wrong.extend(
            found
                .into_iter()
                .map(|what| format!("step {}: {what}", number + 1)),
        );
        // A script that has died is not preserved, and must not be: the case is over.
        if preserve.is_some() && sandbox.preserve() == Ok(true) {
            sandbox = match start() {
                Ok(sandbox) => sandbox,
                Err(ended) => return vec![format!("is not restored: {}", ended.text)],
            };
        }
    }
    wrong
}

/// Does a step, and compares what came of it.
fn carry_out(sandbox: &mut Sandbox, kind: Kind, step: &Step, keeper: &mut Keeper) -> Vec<String> {
    let mut table = table();
    let outcome = match &step.work {
        Work::Timer(time) => sandbox.timer_event(*time, keeper).map(|()| "0".to_owned()),
        Work::Message(message) => {
            message.fill(&mut table.begin().expect("room"));
            let returned = if kind == Kind::Decoder {
                let mut draft = table.draft(0);
                sandbox.process_message(Subject::Draft(&mut draft), keeper)
            } else {
                sandbox.process_message(Subject::Message(table.get(0)), keeper)
            };
            returned.map(|returned| match returned.text {
                Some(text) => format!("{} {}", returned.status, String::from_utf8_lossy(text)),
                None => returned.status.to_string(),
            })
        }
    };
    let mut wrong = Vec::new();
    let (mut kept, mut wanted, mut dies) = (keeper.kept.iter(), "0", None);
    for expectation in &step.expectations {
        match expectation {
            Expectation::Returns(text) => wanted = text,
            Expectation::Terminates(text) => dies = Some(text),
            Expectation::Written(message) => {
                wrong.extend(message.differences(&Said::of(table.get(0))))
            }
            Expectation::Injects(injection) => wrong.extend(injection.differences(kept.next())),
        }
    }
    wrong.extend(kept.map(|one| format!("also injects {}", case::show(one))));
    match (outcome, dies) {
        (Ok(returned), None) if returned == wanted => {}
        (Ok(returned), _) => wrong.push(format!("returns {returned}")),
        (Err(ended), Some(text)) if ended.text.contains(text) => {}
        (Err(ended), _) => wrong.push(format!("dies: {}", ended.text)),
    }
    wrong
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|one| one.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Runs all cases of the scripts of a folder. Each script has at least three.
fn check(kind: Kind, folder: &str) {
    check_some(kind, folder, |_| true, false);
}

/// Runs all cases of some scripts of a folder, with restarts or without.
fn check_some(kind: Kind, folder: &str, some: impl Fn(&str) -> bool, restarts: bool) {
    const CASES_MIN: usize = 3;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let only = std::env::var("HEKAD_GOLDEN").unwrap_or_default();
    let mut wrong = String::new();
    let scripts = library::scripts().filter(|name| name.starts_with(folder) && some(name));
    for script in scripts {
        let cases = entries(&root.join(script.trim_end_matches(".lua")));
        assert!(
            cases.len() >= CASES_MIN,
            "{script} has few cases: {cases:?}"
        );
        for path in cases {
            let name = path
                .strip_prefix(&root)
                .expect("a case")
                .display()
                .to_string();
            if !name.contains(&only) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a case is text");
            let state = tempfile::tempdir().expect("a folder");
            let state = state.path().join("preserved.data");
            let found = match Case::parse(&text) {
                Ok(case) => run(kind, script, &case, restarts.then_some(state.as_path())),
                Err(error) => vec![error],
            };
            for one in found {
                wrong.push_str(&format!("{name}: {one}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn decoders() {
    check(Kind::Decoder, "lua_decoders/");
}

#[test]
fn filters() {
    check(Kind::Filter, "lua_filters/");
}

#[test]
fn encoders() {
    check(Kind::Encoder, "lua_encoders/");
}

/// With `preserve_data` a restart between any two messages goes unnoticed, but by those that say that they keep nothing.
#[test]
fn filters_and_encoders_that_are_restarted() {
    const FORGETFUL: &[&str] = &[
        "lua_filters/heka_process_message_failures.lua",
        "lua_filters/influx_batch.lua",
        "lua_filters/procstat.lua",
    ];
    let remembers = |script: &str| !FORGETFUL.contains(&script);
    check_some(Kind::Filter, "lua_filters/", remembers, true);
    check_some(Kind::Encoder, "lua_encoders/", remembers, true);
}
