//! Texts that stand in every match of a regular expression.
//!
//! Owns:    the walk over a parsed pattern that finds them: the whole set of texts that it matches where that is small, else a
//!          set of which every match contains one.
//! Runs on: build time.            Plane: control.
//! Bounds:  `SET_MAX` texts of `TEXT_BYTES_MAX` bytes; the walk is as deep as the pattern, which is `pattern::NEST_MAX`.
//! Never:   answers with a text that some match does not need.
//!
//! The idea is that of RE2's FilteredRE2: look for all required texts of all patterns at once, and try only those patterns
//! whose text was found.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Texts of which one must be there, lower case.
pub(crate) type Required = Vec<Vec<u8>>;

/// Most texts of a set.
const SET_MAX: usize = 32;

/// Longest text that is gathered.
const TEXT_BYTES_MAX: usize = 64;

/// Shortest text that is worth looking for: shorter ones are nearly everywhere.
const USEFUL_BYTES_MIN: usize = 3;

/// Most characters of a class that are spelled out.
const CLASS_MAX: usize = 10;

/// Most sets that a pattern offers.
const CANDIDATES_MAX: usize = 8;

/// What is known of a part of a pattern.
struct Part {
    /// All texts that it matches.
    exact: Option<Vec<Vec<u8>>>,
    /// Sets of texts of each of which a match contains one; where not all texts are known.
    required: Vec<Required>,
}

impl Part {
    fn unknown() -> Part {
        Part {
            exact: None,
            required: Vec::new(),
        }
    }

    fn exact(texts: Vec<Vec<u8>>) -> Part {
        Part {
            exact: Some(texts),
            required: Vec::new(),
        }
    }

    fn into_required(self) -> Vec<Required> {
        match self.exact {
            Some(texts) => vec![texts],
            None => self.required,
        }
    }
}

/// Sets of texts, lower case: of each set one stands in every match, whatever its case. The first tells most; none where there are no
/// useful ones.
pub(crate) fn required(hir: &Hir) -> Vec<Required> {
    let sets = part(hir, true).into_required();
    let mut sets: Vec<Required> = sets.into_iter().filter_map(useful).collect();
    sets.sort_by_key(|texts| std::cmp::Reverse(worth(texts)));
    sets.truncate(CANDIDATES_MAX);
    sets
}

/// All texts that a pattern without anchors matches, if they are few.
pub(crate) fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    part(hir, false).exact
}

/// The set, if looking for it tells something.
pub(crate) fn useful(mut texts: Vec<Vec<u8>>) -> Option<Required> {
    texts.sort_unstable();
    texts.dedup();
    let shortest = texts.iter().map(Vec::len).min()?;
    (shortest >= USEFUL_BYTES_MIN).then_some(texts)
}

fn part(hir: &Hir, fold: bool) -> Part {
    match hir.kind() {
        HirKind::Empty => Part::exact(vec![Vec::new()]),
        // Where it matches does not matter for what it contains; what it is, is another matter.
        HirKind::Look(_) if fold => Part::exact(vec![Vec::new()]),
        HirKind::Look(_) => Part::unknown(),
        HirKind::Literal(literal) if literal.0.len() <= TEXT_BYTES_MAX => {
            Part::exact(vec![folded(&literal.0, fold)])
        }
        HirKind::Literal(literal) => Part {
            exact: None,
            required: vec![vec![folded(&literal.0[..TEXT_BYTES_MAX], fold)]],
        },
        HirKind::Class(class) => characters(class, fold).map_or_else(Part::unknown, Part::exact),
        HirKind::Repetition(repetition) => {
            let sub = part(&repetition.sub, fold);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => sub,
                (0, Some(1)) => match sub.exact {
                    Some(mut texts) if texts.len() < SET_MAX => {
                        texts.push(Vec::new());
                        Part::exact(texts)
                    }
                    _ => Part::unknown(),
                },
                (0, _) => Part::unknown(),
                _ => Part {
                    exact: None,
                    required: sub.into_required(),
                },
            }
        }
        HirKind::Capture(capture) => part(&capture.sub, fold),
        HirKind::Concat(parts) => concatenated(parts, fold),
        HirKind::Alternation(parts) => alternatives(parts, fold),
    }
}

fn folded(bytes: &[u8], fold: bool) -> Vec<u8> {
    if fold {
        bytes.to_ascii_lowercase()
    } else {
        bytes.to_vec()
    }
}

/// The characters of a small class.
fn characters(class: &Class, fold: bool) -> Option<Vec<Vec<u8>>> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                let (start, end) = (range.start() as u32, range.end() as u32);
                if (end - start) as usize >= CLASS_MAX {
                    return None;
                }
                for character in (start..=end).filter_map(char::from_u32) {
                    texts.push(folded(character.encode_utf8(&mut [0; 4]).as_bytes(), fold));
                }
                if texts.len() > CLASS_MAX {
                    return None;
                }
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                if (range.end() - range.start()) as usize >= CLASS_MAX {
                    return None;
                }
                texts.extend((range.start()..=range.end()).map(|byte| folded(&[byte], fold)));
                if texts.len() > CLASS_MAX {
                    return None;
                }
            }
        }
    }
    texts.sort_unstable();
    texts.dedup();
    // A class that matches nothing would make the whole set empty.
    (!texts.is_empty()).then_some(texts)
}

fn concatenated(parts: &[Hir], fold: bool) -> Part {
    let mut whole = true;
    let mut running: Vec<Vec<u8>> = vec![Vec::new()];
    let mut sets: Vec<Required> = Vec::new();
    for hir in parts {
        let next = part(hir, fold);
        match next.exact {
            Some(texts) if fits(&running, &texts) => running = product(&running, &texts),
            Some(texts) => {
                whole = false;
                sets.push(std::mem::replace(&mut running, texts));
            }
            None => {
                whole = false;
                sets.push(std::mem::replace(&mut running, vec![Vec::new()]));
                sets.extend(next.required);
            }
        }
    }
    if whole {
        return Part::exact(running);
    }
    sets.push(running);
    Part {
        exact: None,
        required: kept(sets),
    }
}

/// The sets that tell most.
fn kept(mut sets: Vec<Required>) -> Vec<Required> {
    sets.retain(|texts| worth(texts).0 >= USEFUL_BYTES_MIN);
    sets.sort_by_key(|texts| std::cmp::Reverse(worth(texts)));
    sets.truncate(CANDIDATES_MAX);
    sets
}

fn fits(left: &[Vec<u8>], right: &[Vec<u8>]) -> bool {
    let longest = |texts: &[Vec<u8>]| texts.iter().map(Vec::len).max().unwrap_or(0);
    left.len() * right.len() <= SET_MAX && longest(left) + longest(right) <= TEXT_BYTES_MAX
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut texts = Vec::with_capacity(left.len() * right.len());
    for first in left {
        for second in right {
            texts.push([first.as_slice(), second].concat());
        }
    }
    texts
}

/// How much a set tells: more with a longer shortest text, then with fewer texts.
fn worth(texts: &Required) -> (usize, usize) {
    let shortest = texts.iter().map(Vec::len).min().unwrap_or(0);
    (shortest, usize::MAX - texts.len())
}

fn alternatives(parts: &[Hir], fold: bool) -> Part {
    let mut all_exact = true;
    let mut texts = Vec::new();
    for hir in parts {
        let next = part(hir, fold);
        all_exact &= next.exact.is_some();
        // Of each alternative one set is enough.
        match kept_or_exact(next) {
            Some(more) if texts.len() + more.len() <= SET_MAX => texts.extend(more),
            _ => return Part::unknown(),
        }
    }
    if all_exact {
        return Part::exact(texts);
    }
    Part {
        exact: None,
        required: vec![texts],
    }
}

fn kept_or_exact(part: Part) -> Option<Required> {
    part.into_required().into_iter().max_by_key(worth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    fn required_of(pattern: &str) -> Option<Vec<String>> {
        let pattern = Pattern::parse(pattern).expect("a valid pattern");
        let texts = required(pattern.hir()).into_iter().next()?;
        Some(
            texts
                .into_iter()
                .map(|text| String::from_utf8(text).expect("text"))
                .collect(),
        )
    }

    #[test]
    fn every_match_contains_one_of_them() {
        let some = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(required_of("error"), some(&["error"]));
        assert_eq!(required_of("^GET /index"), some(&["get /index"]));
        assert_eq!(required_of("(?i)ERROR"), some(&["error"]));
        assert_eq!(required_of(r"user=\d+ failed"), some(&[" failed"]));
        assert_eq!(required_of("error|timeout"), some(&["error", "timeout"]));
        assert_eq!(required_of("foo(bar)?baz"), some(&["foobarbaz", "foobaz"]));
    }

    #[test]
    fn a_pattern_offers_all_that_it_needs() {
        let pattern = Pattern::parse(r"error.*[a-z]+disk\w").expect("a valid pattern");
        assert_eq!(
            required(pattern.hir()),
            [[b"error".to_vec()], [b"disk".to_vec()]]
        );
    }

    #[test]
    fn what_is_short_or_unknown_is_no_use() {
        for pattern in [
            "",
            "a",
            "ab",
            r"\d+",
            ".*",
            "error|x",
            "(error)?",
            r"\w{3}",
            "[a-z]abc?",
        ] {
            assert_eq!(required_of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_required_text_is_in_every_match() {
        // Kelvin sign and long s fold to k and s, but not for a search that knows ASCII only.
        let texts = required_of("(?i)task").expect("short enough");
        assert!(
            texts.contains(&"task".to_owned()) && texts.contains(&"ta\u{17f}\u{212a}".to_owned())
        );
    }
}
