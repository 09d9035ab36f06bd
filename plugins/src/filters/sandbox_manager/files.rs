//! The files of loaded filters: for each its configuration and its script.
//!
//! Owns:    the names in a manager's folder, writing and reading them.
//! Runs on: the thread that loads filters.            Plane: control.
//! Bounds:  two files a filter.
//! Never:   touches the files of another manager in the same folder.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use engine::io::{replace, sync_folder};

use crate::script::file_name;

/// The files may hold secrets of the script's writer.
const MODE: u32 = 0o600;

/// The files of one manager.
pub(super) struct Files {
    folder: PathBuf,
    /// What the names of its filters begin with.
    prefix: String,
}

impl Files {
    /// The files of a manager in a folder that need not be there yet.
    pub(super) fn new(folder: PathBuf, manager: &str) -> Files {
        Files {
            folder,
            prefix: format!("{}-", file_name(manager)),
        }
    }

    /// Where they stand.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn config(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }

    /// The script of a filter.
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.lua"))
    }

    /// Writes configuration and script of a filter. The script comes first: a configuration stands for a filter.
    pub(super) fn write(&self, name: &str, config: &[u8], script: &[u8]) -> Result<(), String> {
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .and_then(|()| replace(&self.script(name), script, MODE))
            .and_then(|()| replace(&self.config(name), config, MODE))
            .and_then(|()| sync_folder(&self.folder));
        written.map_err(|error| {
            let folder = self.folder.display();
            format!("its files cannot be written in {folder}: {error}")
        })
    }

    /// Configuration and script of a filter, if they are there.
    pub(super) fn read(&self, name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let read = |path: PathBuf| fs::read(path).ok();
        Some((read(self.config(name))?, read(self.script(name))?))
    }

    /// Removes configuration and script of a filter.
    pub(super) fn remove(&self, name: &str) {
        for path in [self.config(name), self.script(name)] {
            // One that is not there is as good; one that stays is loaded again at the next start, and can be unloaded then.
            let _ = fs::remove_file(path);
        }
    }

    /// The filters that have files, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let file = entry?.file_name();
                let name = file.to_str().and_then(|file| file.strip_suffix(".toml"));
                names.extend(
                    name.filter(|name| name.starts_with(&self.prefix))
                        .map(str::to_owned),
                );
            }
            names.sort();
            Ok(names)
        };
        match list() {
            Ok(names) => Ok(names),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => {
                let folder = self.folder.display();
                Err(format!("{folder} cannot be read: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go_and_those_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let one = Files::new(folder.path().join("deep/er"), "One's");
        let two = Files::new(folder.path().join("deep/er"), "One");
        assert_eq!(one.names(), Ok(Vec::new()));
        one.write("One_s-a", b"config", b"script").unwrap();
        two.write("One-a", b"other", b"script").unwrap();
        assert_eq!(one.names(), Ok(vec!["One_s-a".to_owned()]));
        let read = one.read("One_s-a").unwrap();
        assert_eq!(read, (b"config".to_vec(), b"script".to_vec()));
        one.remove("One_s-a");
        assert_eq!((one.names(), one.read("One_s-a")), (Ok(Vec::new()), None));
        assert_eq!(two.names(), Ok(vec!["One-a".to_owned()]));
    }
}
