//! Bytes of files, and the TOML reader.
//!
//! Owns:    which files a path means, and the conversion of what the reader makes.
//! Runs on: build time.            Plane: control.
//! Bounds:  `CONFIG_BYTES_MAX`, `CONFIG_FILES_MAX`.
//! Never:   follows subfolders.

use std::fs;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::super::problem::{Problem, Problems};
use super::{CONFIG_BYTES_MAX, CONFIG_FILES_MAX, Entry, Item, Written};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// An error of syntax, with its place in the parsed text.
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// The texts that a path means: that file, or the `*.toml` files of that folder by name.
pub(super) fn texts(path: &Path) -> Result<Vec<(String, String)>, Problems> {
    let refuse = |problems: Vec<Problem>| Problems::new(Arc::default(), problems);
    let files = files(path).map_err(|problem| refuse(vec![*problem]))?;
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match text(&file) {
            Ok(text) => texts.push((file.display().to_string(), text)),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(texts)
    } else {
        Err(refuse(problems))
    }
}

fn unreadable(path: &Path, why: impl std::fmt::Display, help: &str) -> Box<Problem> {
    let message = format!("cannot read `{}`: {why}", path.display());
    Box::new(Problem::error(message).help(help))
}

fn failed(path: &Path, error: &std::io::Error) -> Box<Problem> {
    let help = match error.kind() {
        ErrorKind::NotFound => "name a file, or a folder of .toml files, with `--config PATH`",
        ErrorKind::PermissionDenied => {
            "this user may not read it: change its permissions, or the user"
        }
        _ => "name another one with `--config PATH`",
    };
    unreadable(path, error, help)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Box<Problem>> {
    let metadata = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(path, &error))? {
        let file = entry.map_err(|error| failed(path, &error))?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !file.is_dir()
        {
            files.push(file);
        }
        if files.len() > CONFIG_FILES_MAX {
            return Err(unreadable(
                path,
                format!("more than {CONFIG_FILES_MAX} files"),
                "name a folder that holds configuration only",
            ));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(unreadable(
            path,
            "the folder holds no file whose name ends in .toml",
            "rename the configuration's files, or name one of them with `--config PATH`; subfolders are not looked into",
        ));
    }
    Ok(files)
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Box<Problem>> {
    let file = fs::File::open(path).map_err(|error| failed(path, &error))?;
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(path, &error))?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(unreadable(
            path,
            format!("it is larger than {CONFIG_BYTES_MAX} bytes"),
            "a configuration has a few kilobytes: is this one?",
        ));
    }
    if bytes.contains(&0) {
        let help = "a configuration is TOML, a text in UTF-8 (not UTF-16)";
        return Err(unreadable(path, "it holds bytes that no text has", help));
    }
    // Some editors mark UTF-8 with three bytes at the beginning, which are no part of the text.
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        unreadable(
            path,
            format!("line {line} is not valid UTF-8"),
            "a configuration is TOML: save it as a text in UTF-8",
        )
    })
}

/// Parses; what could be read beside the errors is given too.
pub(super) fn toml(file: usize, text: &str) -> (Vec<Entry>, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .into_iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().trim_end().replace('\n', ", ");
            let message = message.trim_end_matches(", expected nothing");
            SyntaxError {
                span,
                message: format!("TOML: {message}"),
                help: help(message),
            }
        })
        .collect();
    (entries(file, table.into_inner()), errors)
}

/// What to do about the commonest mistakes.
fn help(message: &str) -> Option<String> {
    let is_about = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let text = if is_about(&["escape"]) {
        "in single quotes a backslash is only a backslash: 'a\\d'"
    } else if is_about(&[
        "invalid float",
        "invalid integer",
        "invalid bool",
        "invalid date",
        "must be quoted",
    ]) {
        "text stands in quotes: key = \"text\""
    } else if is_about(&["key with no value"]) {
        "options are written `key = value`, sections begin with `[name]`"
    } else if is_about(&["duplicate key"]) {
        "a name can be given once"
    } else {
        return None;
    };
    Some(text.to_owned())
}

fn entries(file: usize, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            item: item(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn item(file: usize, value: Spanned<DeValue<'_>>) -> Item {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Written::Text(text.into_owned()),
        DeValue::Integer(integer) => Written::Integer(whole(&integer)),
        DeValue::Float(float) => Written::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Written::Bool(boolean),
        DeValue::Datetime(datetime) => Written::Date(datetime.to_string()),
        DeValue::Array(array) => {
            Written::Array(array.into_iter().map(|value| item(file, value)).collect())
        }
        DeValue::Table(table) => Written::Table(entries(file, table)),
    };
    Item { value, span, file }
}

fn whole(integer: &DeInteger<'_>) -> i128 {
    let text = integer.as_str();
    i128::from_str_radix(text, integer.radix()).unwrap_or(if text.starts_with('-') {
        i128::MIN
    } else {
        i128::MAX
    })
}
