//! The tree of files: folders named by seconds, and the files in them.
//!
//! Owns:    the walk, and what is said about what does not belong there.
//! Runs on: the input's thread: every call here may wait for the disk.            Plane: control.
//! Bounds:  as many files as the caller says; two levels.
//! Never:   takes what cannot be read for something that has gone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use engine::plugin::InputLoader;
use engine::words::{agrees, counted};

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Seconds between runs, from the folder's name.
    pub(super) interval: u32,
    pub(super) text: String,
}

/// What a look at the tree has found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) found: BTreeMap<PathBuf, Found>,
    /// What could not be read, and may have files below it.
    unknown: Vec<PathBuf>,
    /// For people.
    pub(super) complaints: Vec<String>,
}

impl Scan {
    /// Whether the file is there, as far as is known.
    pub(super) fn has(&self, path: &Path) -> bool {
        let mut unknown = self.unknown.iter();
        self.found.contains_key(path) || unknown.any(|above| path.starts_with(above))
    }

    fn complain(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.complaints.push(format!("{}: {what}", path.display()));
    }

    fn unreadable(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.complain(path, format!("{why}; what ran before goes on"));
        self.unknown.push(path.to_owned());
    }
}

/// Looks at the tree below `root`, and reads its files, at most `files_max` of them.
pub(super) fn scan(root: &Path, loader: &dyn InputLoader, files_max: usize) -> Scan {
    let mut scan = Scan::default();
    let mut files = Vec::new();
    match entries(root) {
        Ok(entries) => {
            for path in entries {
                match path.is_dir() {
                    true => folder(&path, &mut scan, &mut files),
                    false => misplaced(&path, &mut scan),
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            scan.complain(
                root,
                format!("{error} (`process_dir`); nothing runs until it is there"),
            );
        }
        Err(error) => scan.unreadable(root, error),
    }
    if files.len() > files_max {
        let left_out = files.len() - files_max;
        let text = format!(
            "{} {} left out: at most {files_max} are possible",
            counted(left_out, "file"),
            agrees(left_out, "is", "are")
        );
        scan.complain(root, text);
        files.truncate(files_max);
    }
    for (path, interval) in files {
        match loader.read(&path) {
            Ok(text) => drop(scan.found.insert(path, Found { interval, text })),
            // It was there a moment ago.
            Err(_) if !path.exists() => {}
            Err(why) => scan.unreadable(&path, why),
        }
    }
    scan
}

/// What stands in a folder, by name.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn is_config(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

/// Files in other places than a folder named by seconds are not looked at; those that look as if they should be are told.
fn misplaced(path: &Path, scan: &mut Scan) {
    if is_config(path) {
        let text = "files belong into a folder that is named by the seconds between two runs; this one is not looked at";
        scan.complain(path, text);
    }
}

/// The files of one folder below the root.
fn folder(path: &Path, scan: &mut Scan, files: &mut Vec<(PathBuf, u32)>) {
    let entries = match entries(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => return scan.unreadable(path, error),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let interval = name.parse::<u32>().ok().filter(|_| digits);
    for entry in entries {
        match (entry.is_dir(), interval) {
            (true, _) => deeper(&entry, scan),
            (false, Some(interval)) if is_config(&entry) => files.push((entry, interval)),
            (false, Some(_)) => {}
            (false, None) => misplaced(&entry, scan),
        }
    }
}

/// Files further down are told, if there are any at once; nothing is looked for.
fn deeper(path: &Path, scan: &mut Scan) {
    let below = entries(path).unwrap_or_default();
    for file in below.iter().filter(|file| is_config(file)) {
        misplaced(file, scan);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::plugin::{LoadedInput, Wanted};

    struct Reader;

    impl InputLoader for Reader {
        fn read(&self, path: &Path) -> Result<String, String> {
            fs::read_to_string(path).map_err(|error| error.to_string())
        }

        fn load(&self, _: Wanted<'_>) -> Result<LoadedInput, String> {
            Err("not asked for".to_owned())
        }
    }

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for path in paths {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("room");
            fs::write(&path, path.to_str().expect("text")).expect("room");
        }
        root
    }

    fn found(scan: &Scan, root: &Path) -> Vec<(String, u32)> {
        let shown = |path: &Path| {
            path.strip_prefix(root)
                .expect("below")
                .display()
                .to_string()
        };
        let found = scan.found.iter();
        found
            .map(|(path, found)| (shown(path), found.interval))
            .collect()
    }

    #[test]
    fn files_in_folders_named_by_seconds_are_found_and_others_told() {
        let root = tree(&[
            "5/a.toml",
            "5/b.toml",
            "5/readme.txt",
            "0/once.toml",
            "007/c.toml",
            "top.toml",
            "top.txt",
            "five/d.toml",
            "-5/e.toml",
            "5/deep/f.toml",
            "99999999999/g.toml",
        ]);
        let scan = scan(root.path(), &Reader, 100);
        let expected = [
            ("0/once.toml", 0),
            ("007/c.toml", 7),
            ("5/a.toml", 5),
            ("5/b.toml", 5),
        ];
        let expected = expected.map(|(path, interval)| (path.to_owned(), interval));
        assert_eq!(found(&scan, root.path()), expected);
        let told = scan.complaints.join("\n");
        for name in ["top.toml", "d.toml", "e.toml", "f.toml", "g.toml"] {
            assert!(
                told.contains(&format!("{name}: files belong into a folder")),
                "{name}: {told}"
            );
        }
        assert_eq!(scan.complaints.len(), 5, "{told}");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_gone() {
        let root = tree(&["5/a.toml", "6/b.toml"]);
        let file = root.path().join("5/a.toml");
        fs::write(&file, [0xff]).expect("room");
        let first = scan(root.path(), &Reader, 100);
        assert!(first.has(&file) && !first.found.contains_key(&file));
        assert!(first.complaints[0].contains("what ran before goes on"));
        fs::remove_file(&file).expect("there");
        assert!(!scan(root.path(), &Reader, 100).has(&file));
        let file = root.path().join("6/b.toml");
        // No folder at all is one that has gone; something else in its place is not.
        fs::rename(root.path().join("6"), root.path().join("7")).expect("there");
        assert!(!scan(root.path(), &Reader, 100).has(&file));
        let missing = scan(&root.path().join("missing"), &Reader, 100);
        assert!(missing.complaints[0].contains("nothing runs until it is there"));
        let mut elsewhere = Scan::default();
        elsewhere.unreadable(&root.path().join("6"), "Input/output error");
        assert!(elsewhere.has(&file));
    }

    #[test]
    fn there_is_a_limit() {
        let root = tree(&["1/a.toml", "1/b.toml", "1/c.toml"]);
        let scan = scan(root.path(), &Reader, 2);
        assert_eq!(scan.found.len(), 2);
        assert!(scan.complaints[0].contains("1 file is left out"));
    }
}
