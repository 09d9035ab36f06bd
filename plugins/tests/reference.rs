//! The reference pages in `docs/reference` are those of the table.
//!
//! Owns:    the comparison.
//! Runs on: tests.            Plane: control.
//! Bounds:  a page a plugin.
//! Never:   writes a page: `cargo run -p hekad -- plugins --markdown docs/reference` does.

use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files(&path, found)
        } else {
            found.push(path)
        }
    }
}

#[test]
fn the_pages_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    let pages = plugins::pages();
    let advice = "run `cargo run -p hekad -- plugins --markdown docs/reference`";
    for (path, page) in &pages {
        let written = fs::read_to_string(folder.join(path)).unwrap_or_default();
        assert!(written == *page, "docs/reference/{path} is stale: {advice}");
    }
    let mut written = Vec::new();
    files(&folder, &mut written);
    for file in written {
        assert!(
            pages.iter().any(|(path, _)| file == folder.join(path)),
            "{} belongs to no plugin: {advice}",
            file.display()
        );
    }
}
