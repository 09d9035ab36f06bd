//! Where streams start, and where positions are found again, in real files.
//!
//! Owns:    the files of each test.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few kilobytes a file.
//! Never:   depends on when something was written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use engine::io::FileState;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::super::content::{Got, Patience};
use super::*;

/// Lines that differ, so that every position in them is the only one of its kind.
fn lines(from: usize, to: usize) -> String {
    (from..to)
        .map(|number| format!("line {number} of the log\n"))
        .collect()
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> LogFile {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    LogFile {
        path: path.to_str().unwrap().to_owned(),
        key: Vec::new(),
        state: FileState::at(&path).unwrap(),
        link: false,
        old: false,
    }
}

fn journal(file: &str, text: &str, seek: usize) -> Journal {
    Journal {
        seek: seek as u64,
        file_name: file.to_owned(),
        last_hash: fingerprint(&text.as_bytes()[..seek]),
        ..Journal::default()
    }
}

/// All that is left of a content.
fn rest(content: &mut Content) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 700]);
    while let Got::Bytes(count) = content.read(&mut buffer, Patience::Wait).unwrap() {
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn the_hash_is_that_of_heka() {
    // As sha1sum has it: 495 zero bytes and "line\n"; 500 bytes of "x".
    assert_eq!(
        fingerprint(b"line\n"),
        "4880d0847098f9522a51912f6f6f51ff325c3cd3"
    );
    assert_eq!(
        fingerprint(&[b'x'; 500]),
        "dc31b173a0a99f4123f43c4c18e291f1101d5b0c"
    );
    assert_eq!(fingerprint(&[b'x'; 900]), fingerprint(&[b'x'; 500]));
    assert_eq!(fingerprint(b""), "fc56d4b3c72a8bfe593373c740d558ec1340ac73");
}

#[test]
fn without_a_journal_it_starts_at_one_of_the_ends() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        write(&folder, "log.1", lines(0, 50)),
        write(&folder, "log", lines(50, 60)),
    ];
    let mut start = begin(&files, None, false).unwrap().unwrap();
    assert_eq!((start.index, start.reason), (0, Reason::Oldest));
    assert_eq!(rest(&mut start.content), lines(0, 50));
    let mut start = begin(&files, None, true).unwrap().unwrap();
    assert_eq!((start.index, start.reason), (1, Reason::Tail));
    assert_eq!(start.content.seek(), lines(50, 60).len() as u64);
    assert_eq!(start.before, lines(50, 60).as_bytes());
    assert_eq!(rest(&mut start.content), "");
}

#[test]
fn the_end_of_a_compressed_file_is_a_start_too() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(&folder, "log.gz", compressed(&lines(0, 5000)))];
    let start = begin(&files, None, true).unwrap().unwrap();
    let text = lines(0, 5000);
    assert_eq!(start.content.seek(), text.len() as u64);
    assert_eq!(start.before, text.as_bytes()[text.len() - WINDOW..]);
}

#[test]
fn a_journal_is_followed_into_files_of_any_kind_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let old = lines(0, 3000);
    let files = [
        write(&folder, "log.2.gz", compressed(&old)),
        write(&folder, "log.1", lines(3000, 3100)),
        write(&folder, "log", lines(3100, 3110)),
    ];
    for seek in [499, 500, 501, 30_000, old.len()] {
        // It was called `log` when the journal was written.
        let mut start = begin(&files, Some(&journal(&files[2].path, &old, seek)), true)
            .unwrap()
            .unwrap();
        assert_eq!((start.index, start.reason), (0, Reason::Moved), "{seek}");
        assert_eq!(start.content.seek(), seek as u64);
        assert_eq!(rest(&mut start.content), old[seek..]);
    }
    let text = lines(3000, 3100);
    let mut start = begin(&files, Some(&journal(&files[1].path, &text, 777)), false)
        .unwrap()
        .unwrap();
    assert_eq!((start.index, start.reason), (1, Reason::Journal));
    assert_eq!(rest(&mut start.content), text[777..]);
}

#[test]
fn of_equal_contents_the_numbered_and_then_the_named_file_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let text = "the same\n".repeat(100);
    let files: Vec<LogFile> = ["a", "b", "c"]
        .map(|name| write(&folder, name, &text))
        .into();
    let mut journal = journal(&files[1].path, &text, 180);
    assert_eq!(
        begin(&files, Some(&journal), false).unwrap().unwrap().index,
        1
    );
    let identity = files[0].state.identity;
    (journal.device, journal.inode) = (Some(identity.device), Some(identity.inode));
    assert_eq!(
        begin(&files, Some(&journal), false).unwrap().unwrap().index,
        0
    );
    (journal.device, journal.inode) = (None, None);
    journal.file_name = "gone".to_owned();
    assert_eq!(
        begin(&files, Some(&journal), false).unwrap().unwrap().index,
        2,
        "the newest"
    );
}

#[test]
fn a_position_that_is_nowhere_means_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(0, 100);
    let files = [
        write(&folder, "log.1", lines(500, 600)),
        write(&folder, "log", &text),
    ];
    // Past the end; other content; a hash that no bytes have.
    let longer = lines(0, 200);
    let mut no_hash = journal(&files[1].path, &text, 600);
    no_hash.last_hash = String::new();
    let other = lines(700, 800);
    for journal in [
        journal(&files[1].path, &longer, longer.len()),
        journal(&files[1].path, &other, 600),
        no_hash,
        journal("gone", "", 0),
    ] {
        let start = begin(&files, Some(&journal), true).unwrap().unwrap();
        assert_eq!((start.index, start.reason), (0, Reason::Lost));
        assert_eq!(start.content.seek(), 0);
    }
    let start = begin(&files, Some(&journal(&files[1].path, "", 0)), false)
        .unwrap()
        .unwrap();
    assert_eq!((start.index, start.reason), (1, Reason::Journal));
}

#[test]
fn a_file_that_may_not_be_read_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(0, 100);
    let files = [
        write(&folder, "log.1", &text),
        write(&folder, "log", lines(100, 110)),
    ];
    fs::set_permissions(&files[0].path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&files[0].path).is_ok() {
        return; // Root reads everything.
    }
    let refused = begin(&files, Some(&journal(&files[1].path, &text, 600)), false).unwrap_err();
    assert_eq!(refused.path, files[0].path);
    assert_eq!(refused.error.kind(), ErrorKind::PermissionDenied);
    assert!(begin(&files, None, false).is_err());
}

#[test]
fn a_copy_is_found_by_the_bytes_before_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let text = lines(0, 1000);
    let files = [
        write(&folder, "log.2", &text[..text.len() - 9]),
        write(&folder, "log.1.gz", compressed(&text)),
        write(&folder, "log", lines(1000, 1001)),
        write(&folder, "broken.gz", &compressed(&text)[..300]),
    ];
    let seek = text.len() - 8;
    let wanted = Wanted {
        seek: seek as u64,
        mark: Mark::Bytes(text.as_bytes()[seek - WINDOW..seek].to_vec()),
        from_the_beginning: false,
    };
    let (index, mut content) = find(&files, [3, 2, 1, 0], &wanted).unwrap().unwrap();
    assert_eq!(index, 1);
    assert_eq!(rest(&mut content), text[seek..]);
    assert!(find(&files, [3, 2, 0], &wanted).unwrap().is_none());
    let beginning = Wanted {
        from_the_beginning: true,
        ..wanted.clone()
    };
    let (_, mut content) = find(&files, [1], &beginning).unwrap().unwrap();
    assert_eq!(rest(&mut content), text);
    // What was listed is not there any more: the list is old.
    fs::rename(&files[2].path, &files[1].path).unwrap();
    for index in [1, 2] {
        let refused = find(&files, [index], &wanted).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::NotFound);
    }
}

#[test]
fn files_without_content_are_no_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(&folder, "log.1", ""), write(&folder, "log", "")];
    assert!(begin(&files, None, false).unwrap().is_none());
    assert_eq!(first_with_content(&files, 0), None);
    fs::write(&files[1].path, "x").unwrap();
    assert_eq!(first_with_content(&files, 0), Some(1));
    assert_eq!(begin(&files, None, false).unwrap().unwrap().index, 1);
    assert_eq!(
        begin(&[], None, true).unwrap().map(|start| start.index),
        None
    );
    let start = begin(&files[..1], None, true).unwrap().unwrap();
    assert_eq!((start.reason, start.content.seek()), (Reason::Tail, 0));
}
