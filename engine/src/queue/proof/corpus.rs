//! Replays the corpus of the fuzz target `queue` through the target's own check.
//!
//! Owns:    nothing; the files stand in `engine/tests/corpus/queue`.
//! Runs on: tests.            Plane: data.
//! Bounds:  the files, each whole and with damage that follows from a seed.
//! Never:   passes over a folder without files.

use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;

use crate::queue::check;

#[test]
fn any_files_make_a_queue_that_works() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/queue");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "only {} files", files.len());
    for file in files {
        let input = fs::read(&file).expect("a file");
        for damage in 0..=40_u64 {
            let mut input = input.clone();
            let mut random = fastrand::Rng::with_seed(damage);
            // The first time as it is.
            for _ in 0..damage.div_ceil(10) {
                if !input.is_empty() {
                    let at = random.usize(..input.len());
                    match random.u8(..3) {
                        0 => input[at] ^= 1 << random.u8(..8),
                        1 => input.truncate(at),
                        _ => input[at] = random.u8(..),
                    }
                }
            }
            if let Err(cause) = catch_unwind(|| check::files(&input)) {
                eprintln!("in {}, damaged {damage}", file.display());
                resume_unwind(cause);
            }
        }
    }
}
