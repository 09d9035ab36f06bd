//! Problems of a configuration, and how a person is shown them.
//!
//! Owns:    `Problem`, `Problems`, the rendering with carets, the guess at what was meant, the hiding of secrets.
//! Runs on: build time.            Plane: control.
//! Bounds:  a shown line has at most `SHOWN_CHARS` characters; at most `SHOWN_MAX` problems are shown.
//! Never:   shows what a secret's key holds, or what a variable of the environment does.
//!
//! The renderer is our own because of that last rule and because its output is fixed by golden tests.

use crate::words::counted;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use super::config::{Source, Values};

/// Characters of a line that are shown.
const SHOWN_CHARS: usize = 140;

/// Longest line that is looked at for showing, bytes. Of a longer one only the position is told.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Most problems that are shown; the rest is counted.
const SHOWN_MAX: usize = 200;

/// Exit status for a configuration that is refused (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// A range of a file's text as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the file.
    pub file: usize,
    /// Bytes.
    pub range: Range<usize>,
}

/// Something wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the configuration works nevertheless.
    pub warning: bool,
    /// What is wrong.
    pub message: String,
    /// Where; `None` if it is about no place in a file.
    pub place: Option<Place>,
    /// Another place that matters, and why.
    pub other: Option<(String, Place)>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// An error.
    pub fn error(message: impl Into<String>) -> Problem {
        Problem {
            warning: false,
            message: message.into(),
            place: None,
            other: None,
            help: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Problem {
        Problem {
            warning: true,
            ..Problem::error(message)
        }
    }

    /// With its place.
    pub fn at(self, place: Place) -> Problem {
        Problem {
            place: Some(place),
            ..self
        }
    }

    /// With another place that matters.
    pub fn also(self, why: impl Into<String>, place: Place) -> Problem {
        Problem {
            other: Some((why.into(), place)),
            ..self
        }
    }

    /// With what to do.
    pub fn help(self, text: impl Into<String>) -> Problem {
        Problem {
            help: Some(text.into()),
            ..self
        }
    }
}

/// Everything that was found in a configuration, with the texts to show it.
#[derive(Clone, Debug)]
pub struct Problems {
    sources: Arc<[Source]>,
    list: Vec<Problem>,
}

impl Problems {
    /// These, about these files: warnings first, each kind by its place.
    pub fn new(sources: Arc<[Source]>, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| {
            let place = problem
                .place
                .as_ref()
                .map(|place| (place.file, place.range.start));
            (!problem.warning, place.is_none(), place)
        });
        let mut problems = Problems { sources, list };
        problems.hide_variables();
        problems
    }

    fn hide_variables(&mut self) {
        let variables = self.sources.iter().flat_map(Source::variables);
        let values = Values::of(variables);
        for problem in &mut self.list {
            let place = problem.place.as_ref();
            let concerned: Vec<_> = place
                .into_iter()
                .flat_map(|place| {
                    let variables = self.sources[place.file].variables().iter();
                    variables.filter(|variable| {
                        place.range.start < variable.range.end
                            && variable.range.start < place.range.end
                    })
                })
                .collect();
            let why = problem.other.as_mut().map(|(why, _)| why);
            let texts = [&mut problem.message].into_iter().chain(&mut problem.help);
            for text in texts.chain(why) {
                *text = values.hide(text, &concerned);
            }
        }
    }

    /// All of them, in the order of `render`.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| !problem.warning).count()
    }

    /// For people: each problem with its line and a caret, then how many there are. With `colour`, for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let mut page = Page {
            sources: &self.sources,
            colour,
            text: String::new(),
        };
        for problem in self.list.iter().take(SHOWN_MAX) {
            page.problem(problem);
        }
        if self.list.len() > SHOWN_MAX {
            let _ = writeln!(page.text, "... and {} more", self.list.len() - SHOWN_MAX);
        }
        let (errors, warnings) = (self.errors(), self.list.len() - self.errors());
        let summary = match (errors, warnings) {
            (0, 0) => return page.text,
            (0, warnings) => counted(warnings, "warning"),
            (errors, 0) => counted(errors, "error"),
            (errors, warnings) => format!(
                "{}, {}",
                counted(errors, "error"),
                counted(warnings, "warning")
            ),
        };
        page.text.push_str(&summary);
        page.text.push('\n');
        page.text
    }
}

struct Page<'a> {
    sources: &'a [Source],
    colour: bool,
    text: String,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[1;36m";
const BOLD: &str = "\x1b[1m";

impl Page<'_> {
    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("{colour}{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn problem(&mut self, problem: &Problem) {
        let (label, colour) = if problem.warning {
            ("warning", YELLOW)
        } else {
            ("error", RED)
        };
        let title = self.painted(BOLD, &format!(": {}", problem.message));
        let title = format!("{}{title}", self.painted(colour, label));
        self.line(&title);
        let mut margin = 1;
        if let Some(place) = &problem.place {
            margin = self.excerpt(place, colour);
        }
        if let Some(help) = &problem.help {
            self.text.push_str(&" ".repeat(margin));
            let mark = self.painted(BLUE, "=");
            let label = self.painted(CYAN, "help");
            self.line(&format!("{mark} {label}: {help}"));
        }
        if let Some((why, place)) = &problem.other {
            let title = format!("{}: {why}", self.painted(CYAN, "note"));
            self.line(&title);
            self.excerpt(place, CYAN);
        }
        self.text.push('\n');
    }

    /// Shows a place; returns the width of the margin.
    fn excerpt(&mut self, place: &Place, colour: &str) -> usize {
        let source = &self.sources[place.file];
        let shown = Shown::new(&source.written, &place.range);
        let number = shown.number.to_string();
        let margin = number.len() + 1;
        let indent = " ".repeat(margin - 1);
        let bar = self.painted(BLUE, "|");
        let arrow = self.painted(BLUE, "-->");
        let position = format!("{}:{number}:{}", source.name, shown.column);
        self.line(&format!("{indent}{arrow} {position}"));
        self.line(&format!("{indent} {bar}"));
        self.line(&format!(
            "{} {bar} {}",
            self.painted(BLUE, &number),
            shown.text
        ));
        let mut carets = String::new();
        let _ = write!(
            carets,
            "{}{}",
            " ".repeat(shown.caret.start),
            self.painted(colour, &"^".repeat(shown.caret.len()))
        );
        self.line(&format!("{indent} {bar} {carets}"));
        margin
    }
}

/// A line of a text, fit for showing.
struct Shown {
    number: usize,
    column: usize,
    text: String,
    caret: Range<usize>,
}

impl Shown {
    fn new(text: &str, range: &Range<usize>) -> Shown {
        let start = boundary(text, range.start);
        let end = boundary(text, range.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let line = if line.len() > LINE_BYTES_MAX {
            String::new()
        } else {
            hide_secrets(line)
        };
        let before = text[line_start..start].chars().count();
        let marked = text[start..end.min(line_end)].chars().count().max(1);
        let first = if line.chars().count() > SHOWN_CHARS {
            before.saturating_sub(SHOWN_CHARS / 2)
        } else {
            0
        };
        let mut shown = if first > 0 {
            "...".to_owned()
        } else {
            String::new()
        };
        let mut caret = None;
        for (index, character) in line.chars().enumerate().skip(first).take(SHOWN_CHARS) {
            if index == before {
                caret = Some(shown.chars().count());
            }
            match character {
                '\t' => shown.push_str("    "),
                control if control.is_control() => shown.push('\u{fffd}'),
                other => shown.push(other),
            }
        }
        let width = shown.chars().count();
        let caret = caret.unwrap_or(width);
        let carets = marked.min(width.saturating_sub(caret)).max(1);
        if line.chars().count() > first + SHOWN_CHARS {
            shown.push_str("...");
        }
        let number = text[..start].matches('\n').count() + 1;
        Shown {
            number,
            column: before + 1,
            text: shown,
            caret: caret..caret + carets,
        }
    }
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Ends of the names of keys whose values are secret.
const SECRET_KEYS: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "secret_key",
    "api_key",
    "hmac_key",
    "ticket_key",
    "token",
];

/// Mistyped letters with which a secret's key is still taken for one.
const MISTYPED_MAX: usize = 2;

/// Whether the value of this key, or of one that it could be a misspelling of, is nobody's business.
pub(crate) fn is_secret(key: &str) -> bool {
    let word = key
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    SECRET_KEYS
        .iter()
        .any(|secret| word.ends_with(secret) || strsim::osa_distance(&word, secret) <= MISTYPED_MAX)
}

/// The line with stars for the values of secret keys and for passwords in addresses; as many characters as before.
fn hide_secrets(line: &str) -> String {
    let mut hidden: Vec<char> = line.chars().collect();
    let lower = line.to_ascii_lowercase();
    let starts = lower.match_indices('=').map(|(at, _)| at).filter(|at| {
        let key = lower[..*at].trim_end().trim_end_matches(['"', '\'']);
        is_secret(key)
    });
    if let Some(start) = starts.min() {
        let from = line[..start].chars().count() + 1;
        hide(&mut hidden[from..]);
    }
    for (at, _) in line.match_indices("://") {
        let after = &line[at + 3..];
        let host = &after[..after.find(['/', '"', '\'', ' ']).unwrap_or(after.len())];
        if let (Some(colon), Some(end)) = (host.find(':'), host.rfind('@'))
            && colon < end
        {
            let from = line[..at + 3 + colon].chars().count() + 1;
            let to = line[..at + 3 + end].chars().count();
            hide(&mut hidden[from..to]);
        }
    }
    hidden.into_iter().collect()
}

fn hide(characters: &mut [char]) {
    for character in characters
        .iter_mut()
        .filter(|character| !character.is_whitespace())
    {
        *character = '*';
    }
}

/// The candidate that a mistyped word most likely means.
pub(crate) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let tolerated = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?" for that candidate.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    closest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_columns_kept() {
        for (line, expected) in [
            ("hmac_key = \"abc\"", "hmac_key = *****"),
            ("\"Password\" = 'a b' # c", "\"Password\" = ** ** * *"),
            (
                "x = { name = 1, api_key = \"k\" }",
                "x = { name = 1, api_key = *** *",
            ),
            (
                "url = \"amqp://me:pw@host/\"",
                "url = \"amqp://me:**@host/\"",
            ),
            ("key_file = \"a.pem\"", "key_file = \"a.pem\""),
            ("hmac_kye = 'x'", "hmac_kye = ***"),
            ("\u{e9} hmac_key=\u{e9}", "\u{e9} hmac_key=*"),
        ] {
            assert_eq!(hide_secrets(line), expected);
            assert_eq!(expected.chars().count(), line.chars().count());
        }
    }

    #[test]
    fn guesses_are_near() {
        let known = ["address", "keep_alive", "tls"];
        assert_eq!(closest("adress", known), Some("address"));
        assert_eq!(closest("KeepAlive", known), Some("keep_alive"));
        assert_eq!(closest("tsl", known), Some("tls"));
        assert_eq!(closest("colour", known), None);
    }

    #[test]
    fn endless_lines_are_not_shown() {
        let shown = Shown::new(&"a".repeat(LINE_BYTES_MAX + 1), &(7..8));
        assert_eq!(
            (shown.column, shown.text.as_str(), shown.caret),
            (8, "", 0..1)
        );
    }

    #[test]
    fn many_problems_are_counted() {
        let list = vec![Problem::error("x"); SHOWN_MAX + 7];
        let text = Problems::new(Arc::default(), list).render(false);
        assert!(text.ends_with("... and 7 more\n207 errors\n"), "{text}");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let shown = Shown::new(&text, &(500..501));
        assert_eq!(shown.column, 501);
        assert_eq!(&shown.text[shown.caret.clone()], "x");
        assert!(shown.text.len() <= SHOWN_CHARS + 6);
    }
}
