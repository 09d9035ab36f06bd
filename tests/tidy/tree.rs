//! The tree that the rules look at, and what they find.
//!
//! Owns:    `Tree`, `File`, `Finding`.
//! Runs on: tests.            Plane: control.
//! Bounds:  text files; others are known by path only.
//! Never:   enters build folders or hidden ones, `.ci` excepted.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code;

/// Hidden names that are part of the project.
const SHOWN: &[&str] = &[".ci", ".gitignore"];

/// One file. What is not text has an empty text.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// As it stands there.
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked, line by line as long as before. For Rust only.
    pub(crate) code: String,
    /// It has no bytes at all.
    pub(crate) empty: bool,
}

impl File {
    /// The lines of the code, numbered from 1.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }

    /// The lines of the text, numbered from 1.
    pub(crate) fn text_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    }

    /// The folder that it stands in, without a `/` at the end; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name without folder and ending.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }
}

/// What breaks a rule, and where. Line 0 is the file as a whole.
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    /// At a line of a file.
    pub(crate) fn at(file: &File, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: file.path.clone(),
            line,
            what: what.into(),
        }
    }

    /// About a path that need not be a file.
    pub(crate) fn about(path: &str, what: impl Into<String>) -> Finding {
        Finding {
            path: path.to_owned(),
            line: 0,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// All files, by path.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// The project's own tree.
    pub(crate) fn read() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the crate stands in the workspace's folder");
        let mut files = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(root.join(&folder)).expect("a folder that can be read") {
                let entry = entry.expect("an entry that can be read");
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = folder.join(&name);
                let kind = entry.file_type().expect("a file type");
                let hidden = name.starts_with('.') && !SHOWN.contains(&name.as_str());
                if kind.is_dir() && !hidden && !is_made(&path) {
                    folders.push(path);
                } else if kind.is_file() && !hidden {
                    let bytes = fs::read(root.join(&path)).expect("a file that can be read");
                    files.push(file(&path.to_string_lossy(), &bytes));
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    /// A tree of given paths and texts.
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        Tree {
            files: files
                .iter()
                .map(|(path, text)| file(path, text.as_bytes()))
                .collect(),
        }
    }

    /// The file at a path.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or folder stands at a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Folders that stand in the root.
    pub(crate) fn top_folders(&self) -> BTreeSet<&str> {
        self.files
            .iter()
            .filter_map(|file| file.path.split_once('/'))
            .map(|(folder, _)| folder)
            .filter(|folder| !folder.starts_with('.'))
            .collect()
    }
}

/// Folders that tools make; `.gitignore` names them too.
fn is_made(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_root = path.components().count() == 1;
    let of_fuzz = path.parent().is_some_and(|folder| folder.ends_with("fuzz"));
    (of_root && name.starts_with("target-"))
        || ((of_root || of_fuzz) && name == "target")
        || (of_fuzz && matches!(&*name, "artifacts" | "coverage"))
}

fn file(path: &str, bytes: &[u8]) -> File {
    let text = std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    let code = if path.ends_with(".rs") {
        code::mask(&text)
    } else {
        String::new()
    };
    File {
        path: path.to_owned(),
        text,
        code,
        empty: bytes.is_empty(),
    }
}
