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
        let name = &source[name_start..];
        let end = name
            .find([']', '\n', '\r', '\t', ' ', '['])
            .unwrap_or(name.len());
        let (length, message) = match name[end..].chars().next() {
            Some(']') => (end, None),
            Some('\n' | '\r') | None => (end, Some("`%ENV[` without its closing `]`")),
            Some(_) => (
                end,
                Some("the name in `%ENV[...]` may not hold white space or another `[`"),
            ),
        };
        if let Some(message) = message {
            let range = start..name_start + length;
            errors.push(EnvironmentError { range, message });
            at = name_start;
            continue;
        }
        let name = &name[..length];
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
        assert_eq!(ranges, [5..11, 16..25, 33..42]);
    }
}
