//! What tests of one subject have to do with each other, learnt by trying them on values.
//!
//! Owns:    the values to try: each one that a test names, and one of each kind in between.
//! Runs on: build time.            Plane: control.
//! Bounds:  about twice as many values as tests.
//! Never:   concludes from what a regular expression might do: it may hold and may fail wherever it was not tried.

use codecs::message::Header;

use crate::ast::NumberHeader;
use crate::formula::Joint;
use crate::predicate::{Check, Sample, Subject, Terms, truth_name};

/// Up to here each integer is a double.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

/// What the comparison of a joint's tests found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The tests contradict each other (`&&`), or leave nothing out (`||`).
    Decided,
    /// The first of each pair changes nothing beside the second.
    Without(Vec<(usize, usize)>),
}

/// For each value whether a test may hold there, and whether it must.
struct Row {
    may: Vec<bool>,
    must: Vec<bool>,
}

/// Compares tests of one subject; `false` beside a check stands for its negation.
pub(crate) fn compare(terms: &Terms, joint: Joint, tests: &[(Check, bool)]) -> Verdict {
    let samples = samples(terms, tests);
    if samples.is_empty() {
        return Verdict::Without(Vec::new());
    }
    let rows: Vec<Row> = tests
        .iter()
        .map(|(check, positive)| {
            let answers = samples.iter().map(|sample| {
                let answer = terms.decide(check, sample);
                answer.map(|answer| answer == *positive)
            });
            let (may, must) = answers
                .map(|answer| (answer != Some(false), answer == Some(true)))
                .unzip();
            Row { may, must }
        })
        .collect();
    let decided = match joint {
        Joint::All => (0..samples.len()).all(|at| rows.iter().any(|row| !row.may[at])),
        Joint::Any => (0..samples.len()).all(|at| rows.iter().any(|row| row.must[at])),
    };
    if decided {
        return Verdict::Decided;
    }
    Verdict::Without(shadowed(joint, &rows))
}

/// Pairs of a test that changes nothing, and the test that makes it so; no test is named as both.
fn shadowed(joint: Joint, rows: &[Row]) -> Vec<(usize, usize)> {
    let within = |inner: &[bool], outer: &[bool]| {
        inner
            .iter()
            .zip(outer)
            .all(|(inner, outer)| !inner || *outer)
    };
    let mut gone = vec![false; rows.len()];
    let mut found = Vec::new();
    for test in 0..rows.len() {
        let by = (0..rows.len()).find(|&by| {
            let (test, other) = (&rows[test], &rows[by]);
            !gone[by]
                && !std::ptr::eq(test, other)
                && match joint {
                    Joint::All => within(&other.may, &test.must),
                    Joint::Any => within(&test.may, &other.must),
                }
        });
        if let Some(by) = by {
            gone[test] = true;
            found.push((test, by));
        }
    }
    // What shadows a test may itself be shadowed later on; then the test is named with the one that is left.
    let left = |mut by: usize| {
        while let Some((_, next)) = found.iter().find(|(test, _)| *test == by) {
            by = *next;
        }
        by
    };
    found.iter().map(|(test, by)| (*test, left(*by))).collect()
}

/// The values to try; none where they would prove nothing.
fn samples(terms: &Terms, tests: &[(Check, bool)]) -> Vec<Sample> {
    let Some((first, _)) = tests.first() else {
        return Vec::new();
    };
    match first.subject() {
        // A uuid is compared as bytes and as text, which do not mix.
        Subject::Signer | Subject::Text(Header::Uuid) => Vec::new(),
        Subject::Text(_) => text_samples(texts(terms, tests)),
        Subject::Number(header) => number_samples(numbers(tests), Some(header)),
        Subject::Field(_) => {
            let mut texts = texts(terms, tests);
            texts.extend([truth_name(true).to_vec(), truth_name(false).to_vec()]);
            let mut samples = text_samples(texts);
            samples.extend(number_samples(numbers(tests), None));
            samples.extend([
                Sample::Number(f64::NAN),
                Sample::Bool(true),
                Sample::Bool(false),
                Sample::Absent,
            ]);
            samples
        }
    }
}

fn texts(terms: &Terms, tests: &[(Check, bool)]) -> Vec<Vec<u8>> {
    tests
        .iter()
        .filter_map(|(check, _)| match *check {
            Check::HeaderIs(_, text)
            | Check::HeaderBefore(_, text)
            | Check::HeaderAfter(_, text)
            | Check::FieldText(_, _, text) => Some(terms.text(text).to_vec()),
            _ => None,
        })
        .collect()
}

fn text_samples(mut texts: Vec<Vec<u8>>) -> Vec<Sample> {
    texts.push(Vec::new());
    texts.sort_unstable();
    texts.dedup();
    let mut samples = Vec::with_capacity(texts.len() * 2);
    for (position, text) in texts.iter().enumerate() {
        samples.push(Sample::Text(text.clone()));
        // Directly behind a text comes the same with a zero byte; where that is named, nothing lies between.
        let successor = [text.as_slice(), &[0]].concat();
        if texts.get(position + 1) != Some(&successor) {
            samples.push(Sample::After(text.clone()));
        }
    }
    samples
}

fn numbers(tests: &[(Check, bool)]) -> Vec<f64> {
    tests
        .iter()
        .filter_map(|(check, _)| match *check {
            Check::Number(_, _, number) | Check::FieldNumber(_, _, number) => Some(number.value()),
            _ => None,
        })
        .collect()
}

/// Each number, and one in each gap. Headers hold integers, so a gap without one is no gap; doubles lie everywhere.
fn number_samples(mut numbers: Vec<f64>, header: Option<NumberHeader>) -> Vec<Sample> {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.dedup();
    let mut samples = vec![Sample::Number(f64::NEG_INFINITY)];
    for (position, &number) in numbers.iter().enumerate() {
        if header.is_none() || number.fract() == 0.0 {
            samples.push(Sample::Number(number));
        }
        let between = match (numbers.get(position + 1), header) {
            (None, _) => Some(f64::INFINITY),
            (Some(next), None) => Some(number + (next - number) / 2.0),
            (Some(next), Some(_)) if number < EXACT_MAX => {
                Some(number.floor() + 1.0).filter(|whole| whole < next)
            }
            // Here all doubles are whole numbers.
            (Some(next), Some(_)) => Some(number + (next - number) / 2.0),
        };
        samples.extend(between.map(Sample::Number));
    }
    samples
}
