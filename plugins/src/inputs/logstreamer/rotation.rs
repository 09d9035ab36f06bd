//! What to do at the end of a file: wait, read the next one, or find out where the content has gone.
//!
//! Owns:    `Rotation`, the decisions of one stream, and what they remember.
//! Runs on: the shard of the stream.            Plane: data.
//! Bounds:  one entry a file of the stream.
//! Never:   touches a file: it is told what was seen, and says what to do.
//!
//! A file is known by its identity, not by its name. Its end is its end only when a newer file has content and nothing came meanwhile: a
//! program goes on writing to a renamed file until it opens the new one. A file that shrank or has other content in the place of what was
//! read was replaced where it stood (copied and truncated): what was not read of it is in a copy, if anywhere. Whoever is gone from the
//! list is looked for by content, and if that fails, reading goes on behind what was read: rather a message twice than none.

use engine::io::{FileState, Identity};

use super::order::LogFile;

/// What is seen at the end of what can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    /// The stream's files as last listed, oldest first.
    pub(super) files: &'a [LogFile],
    /// Which list that is: lists are numbered as they are begun.
    pub(super) list: u64,
    /// The last list that was begun.
    pub(super) begun: u64,
    /// The first file behind the one that is read that has content, if that one is listed.
    pub(super) next: Option<usize>,
    /// What stands at the path of the file that is read.
    pub(super) at_path: Option<Identity>,
    /// The file that is read has other content where it was read already.
    pub(super) replaced: bool,
    /// Bytes of its content that were read.
    pub(super) seek: u64,
    /// Nothing was written to it for long.
    pub(super) aged: bool,
    /// It is compressed and its end is not there.
    pub(super) cut: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look again after a while.
    Wait,
    /// Have the files listed, and look again.
    List,
    /// Go on with the file of this index, from its beginning.
    Next(usize),
    /// Look for the position in the files that `candidates` names; if it is in none, ask `not_found`.
    Search,
    /// Read the same file again from its beginning: it has new content.
    Again,
    /// The stream is over: it has no file any more.
    Over,
}

/// A file that is dealt with, as it was then: numbers of files are used again.
type Left = (Identity, u64, i64);

fn left(state: &FileState) -> Left {
    (state.identity, state.size, state.modified)
}

/// The decisions of one stream.
#[derive(Debug)]
pub(super) struct Rotation {
    current: Identity,
    /// Files before the current one.
    left: Vec<Left>,
    /// The last list that was begun when a newer one was needed.
    asked: Option<u64>,
    /// The list in which the current file was missing first.
    missing: Option<u64>,
    /// The list in which the position was searched for in vain.
    searched: Option<u64>,
    /// At the last look a newer file had content, and the current one has not grown since.
    next_seen: bool,
}

impl Rotation {
    /// Begins with the file of this index.
    pub(super) fn new(files: &[LogFile], index: usize, current: Identity) -> Rotation {
        let mut rotation = Rotation {
            current,
            left: Vec::new(),
            asked: None,
            missing: None,
            searched: None,
            next_seen: false,
        };
        rotation.moved(files, index, current);
        rotation
    }

    /// Reading goes on with this file.
    pub(super) fn moved(&mut self, files: &[LogFile], index: usize, current: Identity) {
        self.current = current;
        self.leave(&files[..index]);
        (self.asked, self.missing, self.searched) = (None, None, None);
        self.next_seen = false;
    }

    fn leave(&mut self, files: &[LogFile]) {
        self.left.clear();
        self.left.extend(files.iter().map(|file| left(&file.state)));
    }

    /// More was read of the current file.
    pub(super) fn grew(&mut self) {
        self.next_seen = false;
        (self.asked, self.missing, self.searched) = (None, None, None);
    }

    /// The index of the current file, wherever it is by now.
    pub(super) fn index(&self, files: &[LogFile]) -> Option<usize> {
        files
            .iter()
            .position(|file| file.state.identity == self.current)
    }

    /// What to do, now that nothing more can be read of the current file, or it was replaced.
    pub(super) fn at_end(&mut self, sight: &Sight<'_>) -> Step {
        if sight.replaced {
            return if self.is_newer(sight) {
                self.search(sight)
            } else {
                Step::List
            };
        }
        match self.index(sight.files) {
            Some(index) => self.at_end_of(index, sight),
            None => self.gone(sight),
        }
    }

    fn at_end_of(&mut self, index: usize, sight: &Sight<'_>) -> Step {
        self.missing = None;
        self.leave(&sight.files[..index]);
        let Some(next) = sight.next else {
            self.next_seen = false;
            if sight.at_path == Some(self.current) {
                self.asked = None;
                return Step::Wait;
            }
            // It was renamed, and what has taken its place is not listed yet.
            return if self.is_newer(sight) {
                Step::Wait
            } else {
                Step::List
            };
        };
        if sight.aged || (self.next_seen && !sight.cut) {
            return Step::Next(next);
        }
        self.next_seen = true;
        Step::Wait
    }

    /// The current file is not listed.
    fn gone(&mut self, sight: &Sight<'_>) -> Step {
        self.next_seen = false;
        if sight.at_path == Some(self.current) {
            // It came after the list, or the list leaves it out.
            return Step::Wait;
        }
        if !self.is_newer(sight) {
            return Step::List;
        }
        // A list that is made while files are renamed can miss one.
        if sight.list == *self.missing.get_or_insert(sight.list) {
            return Step::List;
        }
        if sight.files.is_empty() {
            return Step::Over;
        }
        self.search(sight)
    }

    /// A list is searched once.
    fn search(&mut self, sight: &Sight<'_>) -> Step {
        if self.searched == Some(sight.list) {
            self.not_found(sight)
        } else {
            Step::Search
        }
    }

    /// Whether the list was begun after the first wish for a new one.
    fn is_newer(&mut self, sight: &Sight<'_>) -> bool {
        sight.list > *self.asked.get_or_insert(sight.begun)
    }

    /// Files that may have the position, the likeliest first. Those that are dealt with do not: a copy is a new file.
    pub(super) fn candidates(&self, sight: &Sight<'_>) -> Vec<usize> {
        let may_have_it = |index: &usize| {
            let state = &sight.files[*index].state;
            state.identity != self.current && !self.left.contains(&left(state))
        };
        (0..sight.files.len()).rev().filter(may_have_it).collect()
    }

    /// What to do, now that the position is in none of the files.
    pub(super) fn not_found(&mut self, sight: &Sight<'_>) -> Step {
        self.searched = Some(sight.list);
        let current = if sight.replaced {
            self.index(sight.files)
        } else {
            None
        };
        let dealt_with = |&index: &usize| {
            Some(index) != current && self.left.contains(&left(&sight.files[index].state))
        };
        let last = (0..sight.files.len()).rev().find(dealt_with);
        let mut next = last.map_or(0, |last| last + 1);
        if let Some(current) = current {
            // Its copy, if it ends before the position: all of it was read.
            if next < current && sight.files[next].state.size <= sight.seek {
                next += 1;
            }
            if next >= current {
                return Step::Again;
            }
        }
        if next < sight.files.len() {
            Step::Next(next)
        } else {
            Step::Wait
        }
    }
}

#[cfg(test)]
mod tests;
