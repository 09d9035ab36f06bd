//! `#patt` in scripts: Luau wants a number of every `__len`, so the operator is written otherwise before a script is compiled.
//!
//! Owns:    `rewrite`.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass over the source.
//! Never:   changes the lines of a script, or what a `#` in a string or a comment says.
//!
//! `#x` becomes `__length^x`. The operators bind alike in all that can stand before or behind: `^` binds to its right operand as
//! a prefix operator does, and more closely to its left operand than anything that may stand there. `__length` is a local
//! of the script, `lpeg.length`, whose `__pow` is the length of strings and tables and the predicate of patterns.

use std::borrow::Cow;

/// What stands in the place of `#`.
const OPERATOR: &str = "__length^";

/// What stands before the script. It is no line of its own.
const PRELUDE: &str = "local __length = require(\"lpeg\").length ";

/// A script in which `#` may be asked of patterns. One that never names lpeg or re stays as it is.
pub(crate) fn rewrite(source: &str) -> Cow<'_, str> {
    let names_lpeg =
        source.contains("lpeg") || source.contains("\"re\"") || source.contains("'re'");
    if !names_lpeg || !source.contains('#') {
        return Cow::Borrowed(source);
    }
    // A first line that begins with `#` is the shell's.
    let start = match source.starts_with('#') {
        true => source.find('\n').unwrap_or(source.len()),
        false => 0,
    };
    let (mut out, mut copied, mut at) = (String::new(), start, start);
    let bytes = source.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'#' => {
                out.push_str(&source[copied..at]);
                out.push_str(OPERATOR);
                at += 1;
                copied = at;
            }
            quote @ (b'"' | b'\'' | b'`') => at = behind_quoted(bytes, at + 1, quote),
            b'[' => at = behind_long(bytes, at).unwrap_or(at + 1),
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = behind_comment(bytes, at + 2),
            _ => at += 1,
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(source);
    }
    out.push_str(&source[copied..]);
    let shell = &source[..start];
    // Before the line's end, which the comment of the shell's line needs.
    let comment = if shell.is_empty() { "" } else { "--" };
    let break_line = if shell.is_empty() { "" } else { "\n" };
    let rest = out.strip_prefix(break_line).unwrap_or(&out);
    Cow::Owned(format!("{comment}{shell}{break_line}{PRELUDE}{rest}"))
}

/// The place behind a quoted string that begins before `at`.
fn behind_quoted(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\n' if quote != b'`' => return at,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The place behind a string in long brackets, if one begins at `at`.
fn behind_long(bytes: &[u8], at: usize) -> Option<usize> {
    let level = bytes[at + 1..]
        .iter()
        .take_while(|&&byte| byte == b'=')
        .count();
    if bytes.get(at + 1 + level) != Some(&b'[') {
        return None;
    }
    let mut close = vec![b'='; level + 2];
    (close[0], close[level + 1]) = (b']', b']');
    let inside = at + level + 2;
    let end = memchr::memmem::find(&bytes[inside..], &close);
    Some(end.map_or(bytes.len(), |end| inside + end + close.len()))
}

/// The place behind a comment whose dashes end at `at`.
fn behind_comment(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at) == Some(&b'[')
        && let Some(behind) = behind_long(bytes, at)
    {
        return behind;
    }
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rewritten_where_they_are_operators() {
        let said = |source: &str| {
            let source = format!("lpeg {source}");
            let rewritten = rewrite(&source).into_owned();
            match rewritten.strip_prefix(&format!("{PRELUDE}lpeg ")) {
                Some(rest) => rest.to_owned(),
                None => format!("same: {}", &rewritten[5..]),
            }
        };
        assert_eq!(
            said("x = #t - #'#' # [[#]]"),
            "x = __length^t - __length^'#' __length^ [[#]]"
        );
        assert_eq!(
            said("a[#a] = '\\'#' .. #\"\\\\\""),
            "a[__length^a] = '\\'#' .. __length^\"\\\\\""
        );
        assert_eq!(
            said("-- #\n--[==[ ]] #\n]==] #x"),
            "-- #\n--[==[ ]] #\n]==] __length^x"
        );
        assert_eq!(said("'#' [=[#]=] --#"), "same: '#' [=[#]=] --#");
        assert_eq!(rewrite("return #x"), "return #x", "no lpeg");
        assert_eq!(
            rewrite("#!lua # lpeg\nreturn #x"),
            format!("--#!lua # lpeg\n{PRELUDE}return __length^x")
        );
        for odd in [
            "lpeg #'",
            "lpeg #[[",
            "lpeg #--[[",
            "lpeg #\\",
            "lpeg #\"\\",
            "lpeg ü#ü`#",
        ] {
            assert_eq!(rewrite(odd).matches(OPERATOR).count(), 1, "{odd}");
        }
    }
}
