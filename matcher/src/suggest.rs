//! Guesses at what was meant, for the help line of an error.
//!
//! Owns:    the table of spellings from other languages, and the nearest known word.
//! Runs on: build time.            Plane: control.
//! Bounds:  words longer than `WORD_CHARS_MAX` get no guess.
//! Never:   changes what is accepted.

/// Longest word that a guess is made for.
const WORD_CHARS_MAX: usize = 32;

/// Every word that an expression may have, in the form to show.
const WORDS: [&str; 13] = [
    "Uuid",
    "Type",
    "Logger",
    "Payload",
    "EnvVersion",
    "Hostname",
    "Timestamp",
    "Severity",
    "Pid",
    "Fields[...]",
    "TRUE",
    "FALSE",
    "NIL",
];

/// What to write for an unknown word; `next` is the character after it.
pub(crate) fn for_word(word: &str, next: Option<char>) -> Option<String> {
    if word.chars().count() > WORD_CHARS_MAX {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let fixed = match lower.as_str() {
        "and" => "write `&&` for and",
        "or" => "write `||` for or",
        "not" => "there is no negation; write `!=` or `!~` in the test",
        "eq" | "is" | "equals" => "write `==` for equal",
        "ne" => "write `!=` for not equal",
        "lt" => "write `<` for less than",
        "le" => "write `<=` for less or equal",
        "gt" => "write `>` for greater than",
        "ge" => "write `>=` for greater or equal",
        "like" | "match" | "matches" | "contains" => {
            "write `=~ /.../` to match a regular expression"
        }
        "null" | "none" | "nil" | "undefined" => "write `NIL` for a missing field",
        "true" => "write `TRUE`",
        "false" => "write `FALSE`",
        "field" | "fields" => "fields are written `Fields[name]`",
        _ => "",
    };
    if !fixed.is_empty() {
        return Some(fixed.to_owned());
    }
    let near = WORDS
        .iter()
        .map(|known| {
            (
                strsim::osa_distance(
                    &lower,
                    &known.trim_end_matches("[...]").to_ascii_lowercase(),
                ),
                known,
            )
        })
        .min_by_key(|(distance, _)| *distance)?;
    if near.0 <= 2 && near.0 * 2 < lower.chars().count() {
        return Some(format!("did you mean `{}`?", near.1));
    }
    if next == Some('[') {
        return Some("fields are written `Fields[name]`".to_owned());
    }
    None
}

/// What to write for characters that begin no token.
pub(crate) fn for_characters(rest: &str) -> Option<&'static str> {
    const TABLE: [(&str, &str); 12] = [
        ("=<", "write `<=` for less or equal"),
        ("=>", "write `>=` for greater or equal"),
        ("=", "write `==` for equal"),
        ("&", "write `&&` for and"),
        ("|", "write `||` for or"),
        ("~=", "write `=~` to match a regular expression"),
        ("~", "write `=~` to match a regular expression"),
        ("!", "there is no negation; write `!=` or `!~` in the test"),
        ("-", "numbers here have no sign: 0 and above"),
        ("`", "strings stand in ' or \""),
        ("[", "fields are written `Fields[name]`"),
        ("\u{201c}", "strings stand in straight quotes: ' or \""),
    ];
    TABLE
        .iter()
        .find(|(start, _)| rest.starts_with(start))
        .map(|(_, help)| *help)
}
