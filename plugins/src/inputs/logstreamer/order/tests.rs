//! Which files belong together and in which order: Heka's own examples, and any names against a plain reading of the rules.
//!
//! Owns:    the oracle, which compares two files at a time.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few dozen files a case.
//! Never:   touches the file system.

use std::cmp::Ordering;

use engine::io::{FileKind, Identity};
use proptest::prelude::*;

use super::*;

fn file(path: &str, inode: u64, key: Vec<i64>) -> LogFile {
    LogFile {
        path: path.to_owned(),
        key,
        state: FileState {
            identity: Identity { device: 1, inode },
            kind: FileKind::Regular,
            size: 1,
            modified: 0,
        },
        link: false,
        old: false,
    }
}

/// Sorting as the options make it.
fn sorting(
    pattern: &str,
    priority: &[&str],
    differentiator: &[&str],
    translation: &[(&str, &[(&str, i64)])],
) -> Sorting {
    let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
    let names: Vec<Option<String>> = pattern
        .group_info()
        .pattern_names(regex_automata::PatternID::ZERO)
        .map(|name| name.map(str::to_owned))
        .collect();
    let group = |name: &str| {
        names
            .iter()
            .position(|group| group.as_deref() == Some(name))
    };
    Sorting {
        priority: priority
            .iter()
            .map(|key| {
                let name = key.trim_start_matches('^');
                let map: Option<Vec<(String, i64)>> = translation
                    .iter()
                    .find(|(of, _)| *of == name)
                    .map(|(_, map)| {
                        map.iter()
                            .map(|(text, rank)| ((*text).to_owned(), *rank))
                            .collect()
                    });
                Priority {
                    group: group(name).expect("a capture"),
                    ranking: Ranking::of(name, map.as_deref()),
                    descending: key.starts_with('^'),
                }
            })
            .collect(),
        differentiator: differentiator
            .iter()
            .map(|text| group(text).map_or_else(|| Part::Literal((*text).to_owned()), Part::Group))
            .collect(),
        pattern,
    }
}

/// The streams of some paths, as `name: path path`.
fn streams(sorting: &Sorting, paths: &[&str]) -> Vec<String> {
    let placed = paths.iter().enumerate().map(|(number, path)| {
        let place = sorting
            .place(path)
            .expect("it matches")
            .expect("it has a place");
        (place.stream, file(path, number as u64, place.key))
    });
    let arranged = arrange(placed.collect(), !sorting.priority.is_empty());
    assert_eq!(arranged.problems, Vec::<String>::new());
    arranged
        .streams
        .iter()
        .map(|(name, files)| {
            let paths: Vec<&str> = files.iter().map(|file| &*file.path).collect();
            format!("{name}: {}", paths.join(" "))
        })
        .collect()
}

#[test]
fn numbered_rotation_is_read_from_the_highest_number() {
    let sorting = sorting(r"access\.log\.?(?P<Seq>\d*)(\.gz)?", &["^Seq"], &["n"], &[]);
    let paths = [
        "access.log",
        "access.log.1",
        "access.log.10.gz",
        "access.log.2",
    ];
    let expected = ["n: access.log.10.gz access.log.2 access.log.1 access.log"];
    assert_eq!(streams(&sorting, &paths), expected);
}

#[test]
fn folders_by_date_and_number_and_many_streams() {
    let sorting = sorting(
        r"(?P<Domain>[^/]+)/(?P<Year>\d+)/(?P<MonthName>\w+)/access\.log\.?(?P<Seq>\d*)",
        &["Year", "MonthName", "^Seq"],
        &["nginx-", "Domain", "-access"],
        &[],
    );
    let paths = [
        "frank.com/2014/Sep/access.log",
        "frank.com/2014/October/access.log.1",
        "frank.com/2014/oct/access.log",
        "frank.com/2013/Dec/access.log",
        "sally.com/2014/MAY/access.log",
        "sally.com/2014/april/access.log",
    ];
    assert_eq!(
        streams(&sorting, &paths),
        [
            "nginx-frank.com-access: frank.com/2013/Dec/access.log frank.com/2014/Sep/access.log \
             frank.com/2014/October/access.log.1 frank.com/2014/oct/access.log",
            "nginx-sally.com-access: sally.com/2014/april/access.log sally.com/2014/MAY/access.log",
        ]
    );
}

#[test]
fn a_missing_date_is_first_unless_it_is_translated() {
    let pattern = r"access(-(?P<Year>\d{4})(?P<Month>\d{2}))?\.log";
    let paths = ["access.log", "access-201401.log", "access-201312.log"];
    let plain = sorting(pattern, &["Year", "Month"], &["s"], &[]);
    let expected = ["s: access.log access-201312.log access-201401.log"];
    assert_eq!(streams(&plain, &paths), expected);
    let missing: &[(&str, i64)] = &[("missing", 9999)];
    let translated = sorting(pattern, &["Year", "Month"], &["s"], &[("Year", missing)]);
    let expected = ["s: access-201312.log access-201401.log access.log"];
    assert_eq!(streams(&translated, &paths), expected);
}

#[test]
fn texts_that_no_map_has_name_the_file_s_mistake() {
    let days: &[(&str, i64)] = &[("Lunes", 1), ("jueves", 4)];
    let own = sorting(r"(?P<Day>\w*)\.log", &["Day"], &["s"], &[("Day", days)]);
    assert_eq!(own.place("LUNES.log").unwrap().unwrap().key, [1]);
    let why = own.place("sabado.log").unwrap().unwrap_err();
    assert_eq!(why, "`sabado` is not in the translation map `Day`");
    let why = own.place(".log").unwrap().unwrap_err();
    assert_eq!(why, "`missing` is not in the translation map `Day`");
    for (name, said) in [("MonthName", "month"), ("DayName", "day")] {
        let built_in = sorting(&format!(r"(?P<{name}>\w+)\.log"), &[name], &["s"], &[]);
        let why = built_in.place("brumaire.log").unwrap().unwrap_err();
        assert_eq!(why, format!("`brumaire` is no name of a {said}"));
    }
    let names = sorting(r"(?P<DayName>\w+)\.log", &["DayName"], &["s"], &[]);
    let rank = |path: &str| names.place(path).unwrap().unwrap().key[0];
    assert_eq!((rank("Mon.log"), rank("Sunday.log")), (0, 6));
    assert_eq!(own.place("other.txt"), None);
}

#[test]
fn a_stream_needs_a_name_and_an_order() {
    let unnamed = sorting(r"(?P<Site>\w*)\.log", &[], &["Site"], &[]);
    assert!(unnamed.place(".log").unwrap().is_err());
    let files = vec![
        ("s".to_owned(), file("/a.log", 1, vec![])),
        ("s".to_owned(), file("/b.log", 2, vec![])),
        ("t".to_owned(), file("/c.log", 3, vec![])),
    ];
    let arranged = arrange(files, false);
    assert_eq!(arranged.unordered, ["s"]);
    assert_eq!(arranged.streams.keys().collect::<Vec<_>>(), ["t"]);
    assert!(arranged.problems[0].contains("`priority`"));
    assert!(arranged.problems[0].contains("/a.log, /b.log"));
}

#[test]
fn a_file_with_two_names_is_read_once() {
    let mut link = file("/current", 7, vec![9]);
    link.link = true;
    let files = vec![
        ("s".to_owned(), link),
        ("s".to_owned(), file("/log.3", 7, vec![3])),
        ("s".to_owned(), file("/log.4", 8, vec![4])),
    ];
    let arranged = arrange(files, true);
    let paths: Vec<&str> = arranged.streams["s"]
        .iter()
        .map(|file| &*file.path)
        .collect();
    assert_eq!(paths, ["/log.3", "/log.4"]);
}

#[test]
fn a_file_that_is_being_compressed_is_read_once() {
    let of = |paths: &[(&str, i64)]| {
        let files = paths
            .iter()
            .enumerate()
            .map(|(number, (path, key))| ("s".to_owned(), file(path, number as u64, vec![*key])));
        let arranged = arrange(files.collect(), true);
        let files = arranged.streams["s"].iter();
        files.map(|file| file.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        of(&[("/l.1", -1), ("/l.1.gz", -1), ("/l", 0)]),
        ["/l.1", "/l"]
    );
    assert_eq!(of(&[("/l.gz", -1), ("/l", 0)]), ["/l.gz", "/l"]);
}

#[test]
fn too_many_files_are_told() {
    let count = FILES_MAX as u64 + 2;
    let files = (0..count).map(|number| {
        (
            "s".to_owned(),
            file(&format!("/{number}"), number, vec![number as i64]),
        )
    });
    let arranged = arrange(files.collect(), true);
    assert_eq!(arranged.streams["s"].len(), FILES_MAX);
    assert_eq!(arranged.streams["s"][0].path, "/2");
    assert!(arranged.problems[0].contains("the oldest 2"));
    let files = (0..STREAMS_MAX as u64 + 1).map(|number| {
        (
            format!("s{number}"),
            file(&format!("/{number}"), number, vec![]),
        )
    });
    let arranged = arrange(files.collect(), false);
    assert_eq!(arranged.streams.len(), STREAMS_MAX);
    assert!(arranged.problems[0].starts_with(&format!("/{STREAMS_MAX}: not read")));
}

// ---- against the oracle ----

/// A file as generated: its stream, and the texts of its captures.
#[derive(Clone, Debug)]
struct Made {
    stream: &'static str,
    month: &'static str,
    sequence: String,
    level: &'static str,
}

impl Made {
    fn path(&self) -> String {
        format!(
            "{}/{}/{}.{}",
            self.stream, self.month, self.level, self.sequence
        )
    }
}

const LEVELS: &[(&str, i64)] = &[("low", -5), ("HIGH", 7), ("missing", 3)];

fn made() -> impl Strategy<Value = Made> {
    let stream = prop::sample::select(vec!["a", "b", "c.d"]);
    let month = prop::sample::select(vec!["Jan", "february", "MAY", "dec"]);
    let sequence = prop_oneof!["", "[0-9]{1,3}", "0{0,2}[0-9]{18,21}", "[x-z]{1,2}"];
    let level = prop::sample::select(vec!["low", "high", "Low", ""]);
    (stream, month, sequence, level).prop_map(|(stream, month, sequence, level)| Made {
        stream,
        month,
        sequence,
        level,
    })
}

/// What a capture counts, read off the rules one by one.
fn naive(made: &Made, name: &str) -> i128 {
    match name {
        "MonthName" => match made.month.to_lowercase().as_str() {
            "jan" => 1,
            "february" => 2,
            "may" => 5,
            _ => 12,
        },
        "Seq" if made.sequence.is_empty() => -1,
        "Seq" => made.sequence.parse::<u128>().map_or(-1, |number| {
            i128::try_from(number).unwrap().min(i64::MAX.into())
        }),
        _ => match made.level.to_lowercase().as_str() {
            "" => 3,
            "low" => -5,
            _ => 7,
        },
    }
}

fn older(priority: &[&str], a: &Made, b: &Made) -> Ordering {
    for key in priority {
        let name = key.trim_start_matches('^');
        let order = naive(a, name).cmp(&naive(b, name));
        if order != Ordering::Equal {
            return if key.starts_with('^') {
                order.reverse()
            } else {
                order
            };
        }
    }
    a.path().cmp(&b.path())
}

fn priorities() -> impl Strategy<Value = Vec<&'static str>> {
    let key = prop::sample::select(vec![
        "MonthName",
        "^MonthName",
        "Seq",
        "^Seq",
        "Level",
        "^Level",
    ]);
    prop::collection::vec(key, 1..4)
}

proptest! {
    #[test]
    fn the_order_is_that_of_a_plain_reading(
        files in prop::collection::vec(made(), 0..40),
        priority in priorities(),
    ) {
        let sorting = sorting(
            r"(?P<Stream>[^/]+)/(?P<MonthName>\w+)/(?P<Level>\w*)\.(?P<Seq>\w*)",
            &priority,
            &["Stream"],
            &[("Level", LEVELS)],
        );
        let mut files = files;
        files.sort_by_key(Made::path);
        files.dedup_by_key(|made| made.path());
        let placed: Vec<(String, LogFile)> = files.iter().enumerate().map(|(number, made)| {
            let place = sorting.place(&made.path()).unwrap().unwrap();
            (place.stream, file(&made.path(), number as u64, place.key))
        }).collect();
        let arranged = arrange(placed, true);
        prop_assert!(arranged.problems.is_empty());
        let mut left = files.clone();
        for (name, sorted) in &arranged.streams {
            // Picks the oldest of what is left, again and again.
            for found in sorted {
                let of_stream = left.iter().enumerate().filter(|(_, made)| made.stream == name);
                let oldest = of_stream.min_by(|(_, a), (_, b)| older(&priority, a, b));
                let (index, expected) = oldest.expect("as many files as were made");
                prop_assert_eq!(&found.path, &expected.path());
                left.remove(index);
            }
        }
        prop_assert!(left.is_empty());
    }
}
