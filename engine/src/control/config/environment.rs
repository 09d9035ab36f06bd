//! `%ENV[NAME]`: variables of the environment, put into the text before it is read as TOML.
//!
//! Owns:    the substitution, its two errors, and keeping what a variable holds out of what people are told (`hidden`).
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass; what a variable holds is not looked at again.
//! Never:   reads the environment by itself: the caller says what a name stands for.

mod hidden;

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

pub(crate) use hidden::Values;

/// A `%ENV[NAME]` with what stood for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Where, in the text as written.
    pub(crate) range: Range<usize>,
    /// Its name.
    pub(crate) name: String,
    /// What it holds; `None` if it is not set.
    pub(crate) value: Option<String>,
    /// Whether it stands in a comment, where it changes nothing.
    pub(crate) in_comment: bool,
}

/// A text with its variables put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Substituted {
    pub(crate) text: Edited,
    /// In the order of the text.
    pub(crate) variables: Vec<Variable>,
}

/// Replaces every `%ENV[NAME]`, in comments and strings too; a variable that is not set is an empty text.
pub(crate) fn substitute(
    source: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Substituted, Vec<EnvironmentError>> {
    let mut editor = Editor::new(source);
    let mut variables = Vec::new();
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
        let value = variable(name);
        editor.replace(start..at, value.as_deref().unwrap_or_default());
        variables.push(Variable {
            range: start..at,
            name: name.to_owned(),
            value,
            in_comment: in_comment(source, start),
        });
    }
    if errors.is_empty() {
        Ok(Substituted {
            text: editor.finish(),
            variables,
        })
    } else {
        Err(errors)
    }
}

/// Whether a `#` outside of quotes stands before it in its line. A line inside a text of several lines is taken for one of its own.
fn in_comment(source: &str, at: usize) -> bool {
    let start = source[..at].rfind('\n').map_or(0, |end| end + 1);
    let mut quote = None;
    let mut escaped = false;
    for character in source[start..at].chars() {
        match (quote, character) {
            (None, '#') => return true,
            (None, '"' | '\'') => quote = Some(character),
            (Some('"'), _) if escaped => escaped = false,
            (Some('"'), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    false
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
            let substituted = substitute(source, &variable).expect(source);
            assert_eq!(substituted.text.text, expected);
        }
    }

    #[test]
    fn variables_are_remembered_with_their_places() {
        let source = "a = 'x#%ENV[PORT]' # %ENV[NONE]\n\"\\\"#%ENV[NONE]\"\n# %ENV[PORT]";
        let variables = substitute(source, &variable).expect(source).variables;
        let seen: Vec<_> = variables
            .iter()
            .map(|known| {
                (
                    &source[known.range.clone()],
                    known.value.is_some(),
                    known.in_comment,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("%ENV[PORT]", true, false),
                ("%ENV[NONE]", false, true),
                ("%ENV[NONE]", false, false),
                ("%ENV[PORT]", true, true),
            ]
        );
    }

    #[test]
    fn wrong_names_are_reported_with_their_place() {
        let errors =
            substitute("x = '%ENV[A B]' %ENV[%ENV[PORT]\n %ENV[PORT", &variable).unwrap_err();
        let ranges: Vec<_> = errors.iter().map(|error| error.range.clone()).collect();
        assert_eq!(ranges, [5..11, 16..25, 33..42]);
    }
}
