//! The decisions at the end of a file, one kind of rotation after the other.
//!
//! Owns:    small streams, described by hand.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few files.
//! Never:   touches the file system; `plugins/tests` does, with real ones.

use engine::io::FileKind;

use super::*;

/// A file: its name, its number, its size.
fn files(described: &[(&str, u64, u64)]) -> Vec<LogFile> {
    let file = |(at, (path, inode, size)): (usize, &(&str, u64, u64))| LogFile {
        path: (*path).to_owned(),
        key: vec![at as i64],
        state: FileState {
            identity: identity(*inode),
            kind: FileKind::Regular,
            size: *size,
            modified: *inode as i64,
        },
        link: false,
        old: false,
    };
    described.iter().enumerate().map(file).collect()
}

fn identity(inode: u64) -> Identity {
    Identity { device: 1, inode }
}

/// A sight of files as listed; the current file stands at its path, nothing is old.
fn sight(files: &[LogFile], list: u64, current: u64) -> Sight<'_> {
    let index = files
        .iter()
        .position(|file| file.state.identity == identity(current));
    let has_content = |&at: &usize| files[at].state.size > 0;
    Sight {
        files,
        list,
        begun: list,
        next: index.and_then(|index| (index + 1..files.len()).find(has_content)),
        at_path: Some(identity(current)),
        replaced: false,
        seek: 100,
        aged: false,
        cut: false,
    }
}

#[test]
fn a_file_without_a_newer_one_is_waited_for() {
    let list = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&list, 1, identity(2));
    for _ in 0..3 {
        assert_eq!(rotation.at_end(&sight(&list, 1, 2)), Step::Wait);
    }
}

#[test]
fn a_newer_file_is_gone_on_with_when_nothing_came_meanwhile() {
    let list = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&list, 0, identity(1));
    assert_eq!(rotation.at_end(&sight(&list, 1, 1)), Step::Wait);
    rotation.grew();
    assert_eq!(rotation.at_end(&sight(&list, 1, 1)), Step::Wait);
    assert_eq!(rotation.at_end(&sight(&list, 1, 1)), Step::Next(1));
}

#[test]
fn an_empty_newer_file_says_nothing_and_is_passed_over() {
    let list = files(&[("log.2", 1, 10), ("log.1", 2, 0), ("log", 3, 5)]);
    let mut rotation = Rotation::new(&list, 0, identity(1));
    rotation.at_end(&sight(&list, 1, 1));
    assert_eq!(rotation.at_end(&sight(&list, 1, 1)), Step::Next(2));
    let list = files(&[("log.1", 1, 10), ("log", 2, 0)]);
    let mut rotation = Rotation::new(&list, 0, identity(1));
    for _ in 0..3 {
        assert_eq!(rotation.at_end(&sight(&list, 1, 1)), Step::Wait);
    }
}

#[test]
fn an_old_file_is_not_waited_for() {
    let list = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&list, 0, identity(1));
    let aged = Sight {
        aged: true,
        ..sight(&list, 1, 1)
    };
    assert_eq!(rotation.at_end(&aged), Step::Next(1));
}

#[test]
fn a_compressed_file_without_its_end_is_waited_for_longer() {
    let list = files(&[("log.1.gz", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&list, 0, identity(1));
    let cut = Sight {
        cut: true,
        ..sight(&list, 1, 1)
    };
    for _ in 0..3 {
        assert_eq!(rotation.at_end(&cut), Step::Wait);
    }
    let aged = Sight { aged: true, ..cut };
    assert_eq!(rotation.at_end(&aged), Step::Next(1));
}

#[test]
fn a_renamed_file_is_known_by_its_number() {
    let before = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&before, 1, identity(2));
    // Renamed, and a new one in its place, which is not listed yet.
    let moved = Sight {
        at_path: Some(identity(3)),
        ..sight(&before, 1, 2)
    };
    assert_eq!(rotation.at_end(&moved), Step::List);
    assert_eq!(rotation.at_end(&moved), Step::List);
    let after = files(&[("log.2", 1, 10), ("log.1", 2, 10), ("log", 3, 5)]);
    assert_eq!(rotation.at_end(&sight(&after, 2, 2)), Step::Wait);
    assert_eq!(rotation.at_end(&sight(&after, 2, 2)), Step::Next(2));
    // And once more, later.
    rotation.moved(&after, 2, identity(3));
    assert_eq!(rotation.at_end(&sight(&after, 2, 3)), Step::Wait);
    let moved = Sight {
        at_path: None,
        ..sight(&after, 2, 3)
    };
    assert_eq!(rotation.at_end(&moved), Step::List);
}

#[test]
fn a_list_that_was_begun_before_does_not_tell_what_is_new() {
    let list = files(&[("log", 2, 10)]);
    let mut rotation = Rotation::new(&list, 0, identity(2));
    // A list is being made while the file is replaced: it may have seen the old one.
    let replaced = |list_number, begun| Sight {
        replaced: true,
        begun,
        ..sight(&list, list_number, 2)
    };
    assert_eq!(rotation.at_end(&replaced(1, 2)), Step::List);
    assert_eq!(rotation.at_end(&replaced(2, 2)), Step::List);
    assert_eq!(rotation.at_end(&replaced(3, 3)), Step::Search);
}

#[test]
fn a_truncated_file_without_a_copy_is_read_again() {
    let list = files(&[("log.1", 1, 10), ("log", 2, 3)]);
    let mut rotation = Rotation::new(&list, 1, identity(2));
    let replaced = Sight {
        replaced: true,
        ..sight(&list, 2, 2)
    };
    assert!(
        rotation.candidates(&replaced).is_empty(),
        "log.1 is dealt with"
    );
    assert_eq!(rotation.not_found(&replaced), Step::Again);
}

#[test]
fn a_copy_that_ends_before_the_position_is_passed_over_and_no_other() {
    let before = files(&[("log.1", 1, 10), ("log", 2, 100)]);
    let mut rotation = Rotation::new(&before, 1, identity(2));
    let after = files(&[("log.2", 1, 10), ("log.1", 9, 90), ("log", 2, 3)]);
    let replaced = Sight {
        replaced: true,
        ..sight(&after, 2, 2)
    };
    assert_eq!(rotation.candidates(&replaced), [1]);
    assert_eq!(rotation.not_found(&replaced), Step::Again);
    // Two rotations at once: the second copy was never read.
    let after = files(&[
        ("log.3", 1, 10),
        ("log.2", 9, 90),
        ("log.1", 8, 50),
        ("log", 2, 3),
    ]);
    let replaced = Sight {
        replaced: true,
        ..sight(&after, 2, 2)
    };
    assert_eq!(rotation.not_found(&replaced), Step::Next(2));
    // A longer one that does not have the position is no copy.
    let after = files(&[("log.2", 1, 10), ("log.1", 9, 300), ("log", 2, 3)]);
    let replaced = Sight {
        replaced: true,
        ..sight(&after, 2, 2)
    };
    assert_eq!(rotation.not_found(&replaced), Step::Next(1));
}

#[test]
fn a_file_that_is_gone_is_looked_for_when_two_lists_lack_it() {
    let before = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&before, 1, identity(2));
    let after = files(&[("log.1", 1, 10), ("log.0.gz", 5, 7), ("log", 3, 4)]);
    let gone = |list| Sight {
        at_path: Some(identity(3)),
        ..sight(&after, list, 2)
    };
    assert_eq!(rotation.at_end(&gone(2)), Step::List, "a new wish");
    assert_eq!(
        rotation.at_end(&gone(3)),
        Step::List,
        "the first that lacks it"
    );
    assert_eq!(rotation.at_end(&gone(4)), Step::Search);
    assert_eq!(
        rotation.candidates(&gone(4)),
        [2, 1],
        "newest first, not what is dealt with"
    );
    assert_eq!(
        rotation.not_found(&gone(4)),
        Step::Next(1),
        "behind what was read"
    );
    assert_eq!(
        rotation.at_end(&gone(4)),
        Step::Next(1),
        "the same list, the same answer"
    );
    assert_eq!(rotation.at_end(&gone(5)), Step::Search);
}

#[test]
fn a_number_that_is_used_again_is_another_file() {
    let before = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&before, 1, identity(2));
    let mut after = files(&[("log", 1, 4)]);
    after[0].state.modified = 99;
    let gone = Sight {
        at_path: Some(identity(1)),
        ..sight(&after, 4, 2)
    };
    assert_eq!(rotation.candidates(&gone), [0]);
    assert_eq!(rotation.not_found(&gone), Step::Next(0));
}

#[test]
fn a_stream_without_files_is_over_and_one_with_read_files_waits() {
    let before = files(&[("log.1", 1, 10), ("log", 2, 10)]);
    let mut rotation = Rotation::new(&before, 1, identity(2));
    let nothing = |list| Sight {
        at_path: None,
        ..sight(&[], list, 2)
    };
    assert_eq!(rotation.at_end(&nothing(2)), Step::List);
    assert_eq!(rotation.at_end(&nothing(3)), Step::List);
    assert_eq!(rotation.at_end(&nothing(4)), Step::Over);
    let read = files(&[("log.1", 1, 10)]);
    let gone = Sight {
        at_path: None,
        ..sight(&read, 4, 2)
    };
    assert_eq!(rotation.not_found(&gone), Step::Wait);
}

#[test]
fn a_file_that_no_list_has_yet_is_waited_for() {
    let list = files(&[("log.1", 1, 10)]);
    let mut rotation = Rotation::new(&list, 0, identity(2));
    assert_eq!(rotation.at_end(&sight(&list, 5, 2)), Step::Wait);
}
