//! The walk through a folder: which files are there, and which of them the pattern names.
//!
//! Owns:    `scan`.
//! Runs on: the input's scanning thread, and the main thread for `hekad logstreamer`.            Plane: data.
//! Bounds:  `DEPTH_MAX` folders deep, `ENTRIES_MAX` entries, `MATCHES_MAX` files.
//! Never:   opens a file, enters a folder through a symbolic link (so no loop is walked), or ends because of one entry.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::io::clock;
use engine::io::{FileKind, FileState};

use super::order::{Arranged, LogFile, Sorting, arrange};

/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 64;

/// Files and folders that are looked at.
const ENTRIES_MAX: usize = 1_000_000;

/// Files that the pattern may match.
const MATCHES_MAX: usize = 256 * 1024;

/// How often a folder is listed that changes meanwhile: a file that is renamed can be missing in such a list. The last list counts, whatever
/// it is: some folders never rest.
const LISTINGS_MAX: u32 = 16;

/// Before a folder is listed once more.
const REST: Duration = Duration::from_millis(5);

/// Times of folders may be as coarse as this: two changes within it may leave the same time.
const COARSE: i64 = 10_000_000;

/// Listings of one folder for which a change so near does not count.
const COARSE_LISTINGS_MAX: u32 = 4;

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// The folder, without symbolic links.
    pub(super) root: PathBuf,
    /// The pattern and the order.
    pub(super) sorting: std::sync::Arc<Sorting>,
    /// Files that were last written to before this time are old, nanoseconds since the Unix epoch.
    pub(super) oldest: Option<i64>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The streams with their files.
    pub(super) arranged: Arranged,
    /// Files that the pattern matches.
    pub(super) files: usize,
    /// How many of them are older than `oldest_duration`.
    pub(super) old: usize,
}

/// Looks through the folder. An error says that it cannot be known what is there.
pub(super) fn scan(search: &Search) -> io::Result<Found> {
    let mut walk = Walk {
        search,
        entries: 0,
        files: Vec::new(),
        problems: Vec::new(),
    };
    let mut rest = vec![(search.root.clone(), 0)];
    while let Some((folder, depth)) = rest.pop() {
        let listed = walk.list_at_rest(&folder, depth, &mut rest);
        if let Err(error) = listed {
            if depth == 0 || !is_local(&error) {
                return Err(error);
            }
            if error.kind() != ErrorKind::NotFound {
                walk.problems.push(format!(
                    "{}: cannot be listed: {error}; what is below it is not read",
                    folder.display()
                ));
            }
        }
        if walk.entries > ENTRIES_MAX || walk.files.len() > MATCHES_MAX {
            walk.problems.push(format!(
                "{}: more than {ENTRIES_MAX} entries, or {MATCHES_MAX} files that `file_match` matches; the others are not read: name a folder \
                 further down as `log_directory`",
                search.root.display()
            ));
            break;
        }
    }
    let files = walk.files.len();
    let old = walk.files.iter().filter(|(_, file)| file.old).count();
    let mut arranged = arrange(walk.files, !search.sorting.priority.is_empty());
    walk.problems.append(&mut arranged.problems);
    arranged.problems = walk.problems;
    Ok(Found {
        arranged,
        files,
        old,
    })
}

/// Whether an error concerns one folder, and not the process or the host.
fn is_local(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory
    )
}

struct Walk<'a> {
    search: &'a Search,
    entries: usize,
    files: Vec<(String, LogFile)>,
    problems: Vec<String>,
}

impl Walk<'_> {
    /// Lists a folder, again if it was changed meanwhile.
    fn list_at_rest(
        &mut self,
        folder: &Path,
        depth: usize,
        rest: &mut Vec<(PathBuf, usize)>,
    ) -> io::Result<()> {
        let (files, problems, folders) = (self.files.len(), self.problems.len(), rest.len());
        let entries = self.entries;
        let mut before = FileState::at(folder)?;
        for listing in 1.. {
            let begun = clock::wall();
            self.list(folder, depth, rest)?;
            let after = FileState::at(folder)?;
            let same = (before.identity, before.modified) == (after.identity, after.modified);
            let sure =
                begun.saturating_sub(after.modified) > COARSE || listing > COARSE_LISTINGS_MAX;
            // Where nothing of interest is, nothing of interest can be missing.
            let matters = self.files.len() > files;
            if (same && sure) || !matters || listing >= LISTINGS_MAX {
                break;
            }
            before = after;
            self.files.truncate(files);
            self.problems.truncate(problems);
            rest.truncate(folders);
            self.entries = entries;
            std::thread::sleep(REST);
        }
        Ok(())
    }

    fn list(
        &mut self,
        folder: &Path,
        depth: usize,
        rest: &mut Vec<(PathBuf, usize)>,
    ) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                break;
            }
            let path = entry.path();
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if !kind.is_dir() {
                self.file(&path, kind);
            } else if depth + 1 < DEPTH_MAX {
                rest.push((path, depth + 1));
            } else {
                self.problems.push(format!(
                    "{}: folders more than {DEPTH_MAX} deep are not looked into",
                    path.display()
                ));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, kind: fs::FileType) {
        let Ok(below) = path.strip_prefix(&self.search.root) else {
            return;
        };
        let (Some(whole), Some(below)) = (path.to_str(), below.to_str()) else {
            if self.search.sorting.matches(&below.to_string_lossy()) {
                let path = path.display();
                self.problems.push(format!(
                    "{path}: not read, because its name is no UTF-8 and a journal could not name it"
                ));
            }
            return;
        };
        let Some(place) = self.search.sorting.place(below) else {
            return;
        };
        if let Some(state) = self.state(path, kind.is_symlink()) {
            match place {
                Ok(place) => self.files.push((
                    place.stream,
                    LogFile {
                        path: whole.to_owned(),
                        key: place.key,
                        state,
                        link: kind.is_symlink(),
                        old: self
                            .search
                            .oldest
                            .is_some_and(|oldest| state.modified < oldest),
                    },
                )),
                Err(why) => self
                    .problems
                    .push(format!("{whole}: not read, because {why}")),
            }
        }
    }

    /// What stands at the path, if it is a file.
    fn state(&mut self, path: &Path, link: bool) -> Option<FileState> {
        let why = match FileState::at(path) {
            Ok(state) => match state.kind {
                FileKind::Regular => return Some(state),
                FileKind::Folder => {
                    "it is a link to a folder; folders are not entered through links".to_owned()
                }
                FileKind::Other => "it is neither a file nor a folder".to_owned(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound && !link => return None,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                "it is a symbolic link to what is not there".to_owned()
            }
            Err(error) => error.to_string(),
        };
        self.problems
            .push(format!("{}: not read: {why}", path.display()));
        None
    }
}

#[cfg(test)]
mod tests;
