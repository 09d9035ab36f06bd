//! `%ENV[NAME]`: variables of the environment, put into the text before it is read as TOML.
//!
//! Owns:    the substitution and its two errors.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass; what a variable holds is not looked at again.
//! Never:   reads the environment by itself: the caller says what a name stands for.

use std::ops::Range;

use super::edits::{Edited, Editor};

const OPENING: &str = "%ENV[";

/// What is wrong with a `%ENV[`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentError {
    /// Where, in the text as written.
    pub(crate) range: Range<usize>,
    /// What is wrong.
    pub(crate) message: &'static str,
}

/// Replaces every `%ENV[NAME]`, in comments and strings too; a variable that is not set is an empty text.
pub(crate) fn substitute(
    source: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Edited, Vec<EnvironmentError>> {
    let mut editor = Editor::new(source);
    let mut errors = Vec::new();
    let mut at = 0;
    while let Some(found) = source[at..].find(OPENING) {
        let start = at + found;
        let name_start = start + OPENING.len();
        let rest = &source[name_start..];
        let line_end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let Some(length) = rest.find(']') else {
            let message = "`%ENV[` without its closing `]`";
            errors.push(EnvironmentError {
                range: start..name_start + line_end,
                message,
            });
            break;
        };
        let name = &rest[..length];
        if name.contains(['\n', '\r', '\t', ' ']) || name.contains(OPENING) {
            let message = "the name in `%ENV[...]` may not hold white space or another `%ENV[`";
            errors.push(EnvironmentError {
                range: start..name_start + length.min(line_end),
                message,
            });
            at = name_start;
            continue;
        }
        at = name_start + length + 1;
        editor.replace(start..at, &variable(name).unwrap_or_default());
    }
    if errors.is_empty() {
        Ok(editor.finish())
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("5565".to_owned()),
            "ODD" => Some("%ENV[PORT]".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_put_in_once() {
        for (source, expected) in [
            ("a %ENV[PORT] b", "a 5565 b"),
            ("%ENV[PORT]%ENV[PORT]", "55655565"),
            ("[%ENV[NONE]]", "[]"),
            ("%ENV[]", ""),
            ("%ENV[ODD]", "%ENV[PORT]"),
            ("100% %ENV %env[PORT]", "100% %ENV %env[PORT]"),
        ] {
            assert_eq!(substitute(source, &variable).expect(source).text, expected);
        }
    }

    #[test]
    fn wrong_names_are_reported_with_their_place() {
        let errors =
            substitute("x = '%ENV[A B]' %ENV[%ENV[PORT]\n %ENV[PORT", &variable).unwrap_err();
        let ranges: Vec<_> = errors.iter().map(|error| error.range.clone()).collect();
        assert_eq!(ranges, [5..13, 16..30, 33..42]);
    }
}
