//! Modules from outside: the corpus of the fuzz targets.
//!
//! Owns:    the replay.
//! Runs on: tests.            Plane: data.
//! Bounds:  the committed corpus.
//! Never:   checks anything that the fuzz targets do not check.

use std::path::Path;
use std::{fs, panic};

/// What holds for any bytes, shared with the fuzz targets.
pub mod checks;

fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(corpus);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() >= 6, "{} is too small", folder.display());
    for file in files {
        let input = fs::read(&file).expect("readable");
        if let Err(cause) = panic::catch_unwind(|| check(&input)) {
            eprintln!("in {}", file.display());
            panic::resume_unwind(cause);
        }
    }
}

#[test]
fn cjson_reads_or_refuses_its_corpus() {
    replay("cjson", checks::cjson);
}

#[test]
fn struct_reads_or_refuses_its_corpus() {
    replay("struct_pack", checks::struct_pack);
}

#[test]
fn circular_buffer_reads_or_refuses_its_corpus() {
    replay("circular_buffer", checks::circular_buffer);
}
