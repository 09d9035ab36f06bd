//! Errors of functions in Rust, as texts that a script or a person reads.
//!
//! Owns:    the text of an mlua error in the words of Lua 5.1.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the text of the error.
//! Never:   says what only mlua's users would understand.

use mlua::{Error, Value};

use crate::environment::PRELUDE;

/// What begins the trace that mlua puts behind the text of an error.
const TRACE: &str = "\nstack traceback:";

/// The text of an error that a function in Rust raised, with the place in the script in front; `None` for any other value.
pub(crate) fn describe(value: &Value) -> Option<String> {
    match value {
        Value::Error(error) => Some(describe_error(error)),
        _ => None,
    }
}

/// The text of an error, with the place in the script in front where it is known.
pub(crate) fn describe_error(error: &Error) -> String {
    match error {
        Error::CallbackError { traceback, cause } => {
            let text = describe_error(cause);
            match (&**cause, place(traceback)) {
                // An error that comes from further in has its place already, and so has one of Lua's own, which brings its trace.
                (Error::CallbackError { .. } | Error::MemoryError(_), _) | (_, None) => text,
                (Error::RuntimeError(said), _) if said.contains(TRACE) => text,
                (_, Some(place)) => format!("{place}: {text}"),
            }
        }
        other => plain(other),
    }
}

/// The text of an error without a place.
fn plain(error: &Error) -> String {
    match error {
        Error::RuntimeError(text) => without_trace(text).to_owned(),
        Error::SyntaxError { message, .. } => without_trace(message).to_owned(),
        Error::MemoryError(_) => "not enough memory".to_owned(),
        Error::ExternalError(error) => error.to_string(),
        Error::BadArgument { to, pos, cause, .. } => {
            let to = to.as_deref().unwrap_or("?");
            format!("bad argument #{pos} to '{to}' ({})", plain(cause))
        }
        Error::FromLuaConversionError { from, to, .. } => {
            format!("{} expected, got {from}", type_name(to))
        }
        Error::CallbackError { cause, .. } => plain(cause),
        other => without_trace(&other.to_string()).to_owned(),
    }
}

/// Lua's name of a Rust type that a value was to become.
fn type_name(rust: &str) -> &str {
    match rust {
        "String" | "&str" | "LuaString" | "BString" | "BorrowedStr" | "BorrowedBytes" => "string",
        "f64" | "f32" | "i64" | "u64" | "i32" | "u32" | "usize" | "isize" | "u8" => "number",
        "bool" => "boolean",
        "Table" => "table",
        "Function" => "function",
        other => other,
    }
}

/// Where the function was called, `script.lua:3`; `None` where that was not in Lua, or in the host's own part of it (`pcall`).
fn place(trace: &str) -> Option<&str> {
    // The first line is a heading, the second the function itself.
    let line = trace.lines().nth(2)?.trim_start();
    let (place, _) = line.split_once(": in ").or(line.split_once(":in "))?;
    let place = place.trim_end_matches(':');
    let hosts = place.starts_with("[C]") || place.starts_with(PRELUDE);
    (!hosts).then_some(place)
}

fn without_trace(text: &str) -> &str {
    text.split(TRACE).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_call() {
        let trace = |first: &str| {
            format!(
                "stack traceback:\n\t[C]: in ?\n\t{first} in function 'f'\n\ta.lua:9: in main chunk"
            )
        };
        assert_eq!(place(&trace("a.lua:3:")), Some("a.lua:3"));
        assert_eq!(place(&trace("[C]:")), None);
        assert_eq!(place(&trace("[base]:3:")), None);
        assert_eq!(place(""), None);
    }

    #[test]
    fn texts_lose_their_traces() {
        let error = Error::RuntimeError("a.lua:1: odd\nstack traceback:\n\tx".into());
        assert_eq!(describe_error(&error), "a.lua:1: odd");
    }
}
