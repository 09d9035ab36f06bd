//! Replays the corpus of every fuzz target through the target's own check.
//!
//! Owns:    nothing; the files stand in `codecs/tests/corpus/<target>`.
//! Runs on: tests.            Plane: data.
//! Bounds:  the files.
//! Never:   passes over a target without files.

use std::path::Path;
use std::{fs, panic};

use crate::checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(
        files.len() >= 10,
        "{} has only {} files",
        folder.display(),
        files.len()
    );
    for file in files {
        let input = fs::read(&file).unwrap();
        if let Err(cause) = panic::catch_unwind(|| check(&input)) {
            eprintln!("in {}", file.display());
            panic::resume_unwind(cause);
        }
    }
}

#[test]
fn protobuf() {
    replay("protobuf", checks::protobuf);
}

#[test]
fn framing() {
    replay("framing", checks::framing);
}

#[test]
fn splitters() {
    replay("splitters", checks::splitters);
}
