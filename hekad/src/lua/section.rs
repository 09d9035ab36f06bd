//! From the arguments to the plugins that run the script, and from the sample to its records.
//!
//! Owns:    the configuration that the daemon would have for this; the reading of samples.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  a sample is held in memory.
//! Never:   opens what the configuration names, but the scripts.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use codecs::framing::RECORD_SEPARATOR;
use codecs::limits::record_bytes_max;
use codecs::signing::Keys;
use codecs::splitter::{Split, Splitter, SplitterOptions};
use codecs::splitters::HekaFramingSplitter;
use engine::control::config::{Document, Surroundings};
use engine::control::plan::{DecoderPlan, Plan, Role};
use engine::plugin::{EncoderFactory, Figure, FilterFactory, InputFactory, OutputFactory};
use matcher::Set;
use toml::{Table, Value};

use super::bench::FILTER;
use crate::cli::{LuaArgs, ScriptKind};
use crate::failure::{EXIT_CONFIG, Failure};

/// What comes behind the decoder.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) filter: Option<Box<dyn FilterFactory>>,
    pub(super) encoder: Option<Arc<dyn EncoderFactory>>,
    pub(super) input: Option<Box<dyn InputFactory>>,
    pub(super) output: Option<Box<dyn OutputFactory>>,
    decoder: Option<Arc<DecoderPlan>>,
}

impl Stage {
    /// Whether messages are printed as they come from the decoder.
    pub(super) fn is_none(&self) -> bool {
        self.filter.is_none() && self.encoder.is_none() && self.output.is_none()
    }

    /// Whether the scripts can be run.
    pub(super) fn probe(&self) -> Result<(), Failure> {
        let encoder = self.encoder.as_ref().map_or(Ok(()), |it| it.probe());
        let decoder = self
            .decoder
            .as_ref()
            .map_or(Ok(()), |it| it.factory.probe());
        let probed = decoder.and(encoder);
        probed.map_err(|fault| Failure::new(1, fault.to_string()))
    }

    /// What the script has used.
    pub(super) fn figures(&self, tell: &mut dyn FnMut(Figure)) {
        if let Some(input) = &self.input {
            return input.figures(tell);
        }
        if let Some(output) = &self.output {
            return output.figures(tell);
        }
        match (&self.filter, &self.encoder, &self.decoder) {
            (Some(filter), _, _) => filter.figures(tell),
            (_, Some(encoder), _) => encoder.figures(tell),
            (_, _, Some(decoder)) => decoder.factory.figures(tell),
            (None, None, None) => {}
        }
    }
}

/// What is to be run.
pub(super) struct Made {
    pub(super) decoder: Option<Arc<DecoderPlan>>,
    pub(super) stage: Stage,
    pub(super) matchers: Set,
}

/// The path of a script as the daemon would be told it: a file that is there, or Heka's name.
fn named(script: &str) -> String {
    fs::canonicalize(script).map_or(script.to_owned(), |path| path.display().to_string())
}

/// Folders of modules as the daemon would be told them: those that are there, or such below the share folder.
fn folders(modules: &str) -> String {
    let folders: Vec<String> = modules.split(';').map(str::trim).map(named).collect();
    folders.join(";")
}

/// Whether a text defines `timer_event`, by the looks of it.
fn defines_timer(text: &str) -> bool {
    text.match_indices("timer_event").any(|(at, name)| {
        let is_word = |one: char| one.is_alphanumeric() || one == '_';
        let rest = text[at + name.len()..].trim_start();
        !text[..at].ends_with(is_word) && rest.starts_with(['(', '='])
    })
}

/// Whether a script has `timer_event`.
pub(super) fn has_timer(script: &str) -> bool {
    let text = match fs::read(script) {
        Ok(text) => text,
        Err(_) => plugins::script(script).unwrap_or_default().to_vec(),
    };
    defines_timer(&String::from_utf8_lossy(&text))
}

fn kind(args: &LuaArgs) -> ScriptKind {
    if let Some(kind) = args.kind {
        return kind;
    }
    let folder = Path::new(&args.script).parent();
    let folder = folder.map_or_else(String::new, |folder| folder.display().to_string());
    if folder.ends_with("encoders") {
        ScriptKind::Encoder
    } else if folder.ends_with("inputs") {
        ScriptKind::Input
    } else if folder.ends_with("outputs") {
        ScriptKind::Output
    } else if folder.ends_with("filters") || has_timer(&args.script) {
        ScriptKind::Filter
    } else {
        ScriptKind::Decoder
    }
}

fn table(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter();
    Value::Table(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// The section of a script; `whole` if it is the one that is tried.
fn section(type_name: &str, script: &str, args: &LuaArgs, whole: bool) -> Result<Table, Failure> {
    let mut section = Table::new();
    section.insert("type".into(), type_name.into());
    section.insert("filename".into(), named(script).into());
    if let Some(modules) = &args.modules {
        section.insert("module_directory".into(), folders(modules).into());
    }
    if !whole {
        return Ok(section);
    }
    for (key, limit) in [
        ("instruction_limit", args.instruction_limit),
        ("memory_limit", args.memory_limit),
    ] {
        if let Some(limit) = limit {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            section.insert(key.into(), limit.into());
        }
    }
    let mut config = Table::new();
    for pair in &args.values {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--set {pair:?}: write KEY=VALUE")))?;
        config.insert(key.to_owned(), value_of(value));
    }
    section.insert("config".into(), config.into());
    Ok(section)
}

/// A number or a truth value, where it reads as one.
fn value_of(text: &str) -> Value {
    match (
        text.parse::<i64>(),
        text.parse::<f64>(),
        text.parse::<bool>(),
    ) {
        (Ok(number), _, _) => number.into(),
        (_, Ok(number), _) if number.is_finite() => number.into(),
        (_, _, Ok(truth)) => truth.into(),
        _ => text.into(),
    }
}

fn document(args: &LuaArgs, kind: ScriptKind) -> Result<Table, Failure> {
    let mut document = Table::new();
    let script = |type_name| section(type_name, &args.script, args, true);
    document.insert(
        "hekad".into(),
        table([
            ("share_dir", args.share_dir.as_str().into()),
            // There is nobody whom it could hold up.
            ("max_process_duration", i64::MAX.into()),
        ]),
    );
    let mut input = Table::new();
    input.insert("type".into(), "TcpInput".into());
    input.insert("address".into(), "127.0.0.1:0".into());
    input.insert("decoder".into(), "".into());
    let decoder = match kind {
        ScriptKind::Decoder => Some(script("SandboxDecoder")?),
        ScriptKind::Input => None,
        ScriptKind::Filter | ScriptKind::Encoder | ScriptKind::Output => match &args.decoder {
            Some(script) => Some(section("SandboxDecoder", script, args, false)?),
            None => None,
        },
    };
    if let Some(decoder) = decoder {
        input.insert("decoder".into(), "decoder".into());
        document.insert("decoder".into(), decoder.into());
    }
    let expression = args.expression.as_deref().unwrap_or("TRUE");
    match kind {
        ScriptKind::Decoder => {}
        ScriptKind::Input => {
            document.insert("input".into(), script("SandboxInput")?.into());
            return Ok(document);
        }
        ScriptKind::Output => {
            let mut output = script("SandboxOutput")?;
            output.insert("message_matcher".into(), expression.into());
            output.insert("ticker_interval".into(), 1.into());
            document.insert("output".into(), output.into());
        }
        ScriptKind::Filter => {
            let mut filter = script("SandboxFilter")?;
            filter.insert("message_matcher".into(), expression.into());
            filter.insert("ticker_interval".into(), 1.into());
            document.insert(FILTER.into(), filter.into());
        }
        ScriptKind::Encoder => {
            let encoder = script("SandboxEncoder")?;
            document.insert("encoder".into(), encoder.into());
            let output = table([
                ("type", "LogOutput".into()),
                ("message_matcher", expression.into()),
                ("encoder", "encoder".into()),
            ]);
            document.insert("output".into(), output);
        }
    }
    document.insert("sample".into(), input.into());
    Ok(document)
}

/// Complains of a name that is neither a file nor a script that comes with the daemon.
fn is_there(script: &str, args: &LuaArgs) -> Result<(), Failure> {
    let installed = Path::new(&args.share_dir).join(script);
    if Path::new(script).exists() || installed.exists() || plugins::script(script).is_some() {
        return Ok(());
    }
    let text = format!(
        "{script}: there is no such file, here or below {}, and no script of that name comes with hekad",
        args.share_dir
    );
    Err(Failure::usage(text))
}

/// The plugins that run the script.
pub(super) fn build(args: &LuaArgs) -> Result<Made, Failure> {
    for script in [Some(&args.script), args.decoder.as_ref()] {
        script.map_or(Ok(()), |script| is_there(script, args))?;
    }
    let kind = kind(args);
    let text = document(args, kind)?.to_string();
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: "localhost".to_owned(),
    };
    let texts = vec![("(made of the arguments)".to_owned(), text)];
    let plan = Document::parse(texts, &surroundings)
        .and_then(|document| Plan::build(&document, plugins::ALL))
        .map_err(|problems| Failure::new(EXIT_CONFIG, problems.render(false)))?;
    let mut stage = Stage::default();
    for input in plan.inputs {
        match kind {
            ScriptKind::Input => stage.input = Some(input.factory),
            _ => stage.decoder = input.decoder,
        }
    }
    let decoder = stage.decoder.clone();
    for consumer in plan.consumers {
        match consumer.role {
            Role::Filter { factory, .. } => stage.filter = Some(factory),
            Role::Output { factory, .. } if kind == ScriptKind::Output => {
                stage.output = Some(factory);
            }
            Role::Output { encoder, .. } => stage.encoder = encoder,
        }
    }
    Ok(Made {
        decoder,
        stage,
        matchers: plan.matchers,
    })
}

/// The bytes of the sample; an input needs none.
pub(super) fn read(path: Option<&Path>, stage: &Stage) -> Result<Vec<u8>, Failure> {
    let mut sample = Vec::new();
    let Some(path) = path else {
        return match stage.input {
            Some(_) => Ok(sample),
            None => Err(Failure::usage(
                "--input SAMPLE is missing: only inputs do without",
            )),
        };
    };
    let read = match path.as_os_str() == "-" {
        true => io::stdin().read_to_end(&mut sample).map(drop),
        false => fs::File::open(path).and_then(|mut file| file.read_to_end(&mut sample).map(drop)),
    };
    match read {
        Ok(()) => Ok(sample),
        Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))),
    }
}

/// Whether a sample is a framed stream of messages.
pub(super) fn is_framed(sample: &[u8]) -> bool {
    sample.first() == Some(&RECORD_SEPARATOR)
}

/// The lines of a sample, or the messages in its frames.
pub(super) fn records(sample: &[u8], framed: bool) -> Box<dyn Iterator<Item = &[u8]> + '_> {
    if framed {
        return Box::new(frames(sample));
    }
    let mut lines = sample.split(|byte| *byte == b'\n').peekable();
    Box::new(std::iter::from_fn(move || {
        let line = lines.next()?;
        // What stands behind the last newline is a line only if it is something.
        (!line.is_empty() || lines.peek().is_some()).then_some(line)
    }))
}

fn frames(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    let options = SplitterOptions {
        record_bytes_max: record_bytes_max(super::MESSAGE_BYTES),
        ..SplitterOptions::default()
    };
    // Who has a recorded stream has no keys at hand: signatures are not checked.
    let mut splitter = HekaFramingSplitter::new(options, Arc::new(Keys::new()), true);
    let mut rest = sample;
    std::iter::from_fn(move || {
        loop {
            match splitter.split(rest, true) {
                Split::Record(record) => {
                    let content = &rest[record.content.start as usize..record.content.end()];
                    rest = &rest[record.consumed..];
                    return Some(content);
                }
                Split::Skip { consumed, .. } => rest = &rest[consumed..],
                Split::More => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_modules_are_looked_for_where_the_user_is() {
        let told = folders("src; nowhere");
        assert!(Path::new(&told).is_absolute(), "{told}");
        assert!(told.ends_with("/src;nowhere"), "{told}");
    }

    #[test]
    fn a_timer_is_a_function_of_that_name() {
        assert!(defines_timer("function timer_event(ns) end"));
        assert!(defines_timer("timer_event = function () end"));
        assert!(!defines_timer("function process_message() return 0 end"));
        assert!(!defines_timer(
            "add('hekad_timer_event_count', 1) -- timer_event"
        ));
    }
}
