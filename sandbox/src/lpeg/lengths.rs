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
const OPERATOR: &[u8] = b"__length^";

/// What stands before the script. It is no line of its own.
const PRELUDE: &[u8] = b"local __length = require(\"lpeg\").length ";

/// Words of which a script has one that asks for the length of a pattern.
const WORDS: &[&[u8]] = &[b"lpeg", b"\"re\"", b"'re'"];

/// A script in which `#` may be asked of patterns. One that never names lpeg or re stays as it is; so does a first line of the
/// shell's, `#!...`.
pub(crate) fn rewrite(source: &[u8]) -> Cow<'_, [u8]> {
    let has = |word: &[u8]| memchr::memmem::find(source, word).is_some();
    if !has(b"#") || !WORDS.iter().any(|word| has(word)) {
        return Cow::Borrowed(source);
    }
    let start = match source.first() {
        Some(b'#') => memchr::memchr(b'\n', source).map_or(source.len(), |end| end + 1),
        _ => 0,
    };
    let mut out = [&source[..start], PRELUDE].concat();
    let (untouched, mut copied, mut at) = (out.len(), start, start);
    while at < source.len() {
        match source[at] {
            b'#' => {
                out.extend_from_slice(&source[copied..at]);
                out.extend_from_slice(OPERATOR);
                at += 1;
                copied = at;
            }
            quote @ (b'"' | b'\'' | b'`') => at = behind_quoted(source, at + 1, quote),
            b'[' => at = behind_long(source, at).unwrap_or(at + 1),
            b'-' if source.get(at + 1) == Some(&b'-') => at = behind_comment(source, at + 2),
            _ => at += 1,
        }
    }
    if out.len() == untouched {
        return Cow::Borrowed(source);
    }
    out.extend_from_slice(&source[copied..]);
    Cow::Owned(out)
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

    fn rewritten(source: &str) -> String {
        String::from_utf8(rewrite(source.as_bytes()).into_owned()).expect("text")
    }

    #[test]
    fn lengths_are_rewritten_where_they_are_operators() {
        let prelude = std::str::from_utf8(PRELUDE).expect("text");
        for (source, wanted) in [
            (
                "x = #t - #'#' # [[#]]",
                "x = __length^t - __length^'#' __length^ [[#]]",
            ),
            (
                "a[#a] = '\\'#' .. #\"\\\\\"",
                "a[__length^a] = '\\'#' .. __length^\"\\\\\"",
            ),
            (
                "-- #\n--[==[ ]] #\n]==] #x",
                "-- #\n--[==[ ]] #\n]==] __length^x",
            ),
        ] {
            assert_eq!(
                rewritten(&format!("lpeg {source}")),
                format!("{prelude}lpeg {wanted}")
            );
        }
        for same in ["lpeg '#' [=[#]=] --#", "return #x", "#!lua lpeg\nreturn x"] {
            assert_eq!(rewritten(same), same);
        }
        assert_eq!(
            rewritten("#!lua # lpeg\nreturn #x"),
            format!("#!lua # lpeg\n{prelude}return __length^x")
        );
        for odd in [
            "lpeg #'",
            "lpeg #[[",
            "lpeg #--[[",
            "lpeg #\\",
            "lpeg #\"\\",
            "lpeg ü#ü`#",
        ] {
            assert_eq!(rewritten(odd).matches("__length^").count(), 1, "{odd}");
        }
        assert_eq!(rewrite(b"lpeg #").len(), PRELUDE.len() + 5 + OPERATOR.len());
    }
}
