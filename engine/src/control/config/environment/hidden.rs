//! What a variable of the environment holds may be a secret: texts about a configuration name the variable instead.
//!
//! Owns:    `Values`.
//! Runs on: build time.            Plane: control.
//! Bounds:  values of `VALUE_BYTES_MIN` wherever they stand; shorter ones, and pieces, in texts about the variable's own place.
//! Never:   shows a value in another form: escaped, or as TOML reads it.

use std::collections::HashSet;

use super::Variable;

/// Values that are shorter are words and numbers as they stand in any text.
const VALUE_BYTES_MIN: usize = 4;

/// What the variables of a configuration hold.
pub(crate) struct Values<'a> {
    /// Values in all their forms, each with its variable; the longest first, because one may hold another.
    forms: Vec<(String, &'a Variable)>,
}

impl<'a> Values<'a> {
    /// Of these variables, which may stand in many places.
    pub(crate) fn of(variables: impl Iterator<Item = &'a Variable>) -> Values<'a> {
        let mut known = HashSet::new();
        let mut forms: Vec<_> = variables
            .filter(|variable| known.insert(variable.name.as_str()))
            .flat_map(|variable| {
                forms(variable)
                    .into_iter()
                    .map(move |form| (form, variable))
            })
            .filter(|(form, _)| form.len() >= VALUE_BYTES_MIN)
            .collect();
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        Values { forms }
    }

    /// Puts `%ENV[NAME]` for what variables hold, in a text that is about the places of some of them.
    pub(crate) fn hide(&self, text: &str, concerned: &[&Variable]) -> String {
        let mut hidden = text.to_owned();
        for (form, variable) in &self.forms {
            hidden = hidden.replace(form, &shown(variable));
        }
        for variable in concerned {
            for form in forms(variable) {
                hidden = replace_words(&hidden, &form, &shown(variable));
            }
            for quote in ['`', '"', '\''] {
                hidden = replace_pieces(&hidden, quote, variable);
            }
        }
        hidden
    }
}

fn shown(variable: &Variable) -> String {
    format!("%ENV[{}]", variable.name)
}

/// A value as it is, as TOML reads it between double quotes, and escaped as texts show it.
fn forms(variable: &Variable) -> Vec<String> {
    let Some(value) = variable.value.as_deref().filter(|value| !value.is_empty()) else {
        return Vec::new();
    };
    let mut forms = vec![value.to_owned(), value.escape_debug().to_string()];
    let quoted = toml::from_str::<toml::Table>(&format!("x = \"{value}\""));
    if let Some(read) = quoted
        .ok()
        .and_then(|table| table.get("x")?.as_str().map(str::to_owned))
    {
        forms.push(read.escape_debug().to_string());
        forms.push(read);
    }
    forms.retain(|form| !form.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// Replaces a value where it is not a part of a longer word.
fn replace_words(text: &str, value: &str, name: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.match_indices(value) {
        let before = text[..at].chars().next_back();
        let after = text[at + value.len()..].chars().next();
        let joins = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        if !joins(before) && !joins(after) {
            replaced.push_str(&text[copied..at]);
            replaced.push_str(name);
            copied = at + value.len();
        }
    }
    replaced.push_str(&text[copied..]);
    replaced
}

/// Replaces what stands between quotes and is a piece of the value: a word of a matcher, for example.
fn replace_pieces(text: &str, quote: char, variable: &Variable) -> String {
    let name = shown(variable);
    let pieces: Vec<&str> = text.split(quote).collect();
    let last = pieces.len() - 1;
    let is_piece = |piece: &str| {
        let value = variable.value.as_deref().unwrap_or_default();
        !piece.is_empty() && value.contains(piece)
    };
    let replaced: Vec<&str> = pieces
        .iter()
        .enumerate()
        .map(|(number, piece)| match number % 2 == 1 && number < last {
            true if is_piece(piece) => name.as_str(),
            _ => piece,
        })
        .collect();
    replaced.join(&quote.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable {
            range: 0..1,
            name: name.to_owned(),
            value: Some(value.to_owned()),
            in_comment: false,
        }
    }

    #[test]
    fn no_form_of_a_value_is_shown() {
        for (value, text, concerned, expected) in [
            ("swordfish", "no `xswordfishx`", false, "no `x%ENV[A]x`"),
            ("sword\tfish", "\"sword\\tfish\"", false, "\"%ENV[A]\""),
            ("sword\\tfish", "a sword\tfish", false, "a %ENV[A]"),
            (
                "swordfish",
                "`fish` is no word",
                true,
                "`%ENV[A]` is no word",
            ),
            ("swordfish", "`fish` is no word", false, "`fish` is no word"),
            (
                "55",
                "write 55, at most 655",
                true,
                "write %ENV[A], at most 655",
            ),
            ("55", "at most 55", false, "at most 55"),
            ("", "`` is empty", true, "`` is empty"),
        ] {
            let known = variable("A", value);
            let places: &[&Variable] = if concerned { &[&known] } else { &[] };
            let values = Values::of([&known].into_iter());
            assert_eq!(values.hide(text, places), expected);
        }
    }

    #[test]
    fn a_value_within_another_is_hidden_with_it() {
        let (short, long) = (variable("A", "fish"), variable("B", "swordfish"));
        let values = Values::of([&short, &long, &short].into_iter());
        let text = values.hide("fish or swordfish", &[]);
        assert_eq!(text, "%ENV[A] or %ENV[B]");
    }
}
