//! The files of loaded filters: for each its configuration and its script.
//!
//! Owns:    the names in a manager's folder, writing and reading them.
//! Runs on: the thread that loads filters.            Plane: control.
//! Bounds:  two files a filter.
//! Never:   touches the files of another manager in the same folder, or lets a crash put a script together with another one's configuration.
//!
//! Both files of a filter are first written into one, `<name>.next`. Where that is found at a start, what it has is what was meant.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use engine::io::{replace, sync_folder};

use crate::script::file_name;

/// The files may hold secrets of the script's writer.
const MODE: u32 = 0o600;

/// Ending of the file that has both, until they are in their places.
const NEXT: &str = "next";

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

    fn next(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{NEXT}"))
    }

    /// Writes configuration and script of a filter.
    pub(super) fn write(&self, name: &str, config: &[u8], script: &[u8]) -> Result<(), String> {
        let mut both = (config.len() as u64).to_le_bytes().to_vec();
        both.extend_from_slice(config);
        both.extend_from_slice(script);
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .and_then(|()| replace(&self.next(name), &both, MODE))
            .and_then(|()| sync_folder(&self.folder))
            .and_then(|()| self.put(name, config, script));
        written.map_err(|error| {
            let folder = self.folder.display();
            format!("its files cannot be written in {folder}: {error}")
        })
    }

    /// Puts both files in their places; after that the one with both has no meaning.
    fn put(&self, name: &str, config: &[u8], script: &[u8]) -> io::Result<()> {
        replace(&self.script(name), script, MODE)?;
        replace(&self.config(name), config, MODE)?;
        sync_folder(&self.folder)?;
        fs::remove_file(self.next(name))
    }

    /// Finishes what a crash has interrupted.
    fn finish(&self, name: &str) -> io::Result<()> {
        let both = fs::read(self.next(name))?;
        let (config, script) = both
            .split_first_chunk()
            .and_then(|(len, rest)| {
                let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
                rest.split_at_checked(len)
            })
            .ok_or_else(|| io::Error::other("it is damaged"))?;
        self.put(name, config, script)
    }

    /// Configuration and script of a filter, if they are there.
    pub(super) fn read(&self, name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let read = |path: PathBuf| fs::read(path).ok();
        Some((read(self.config(name))?, read(self.script(name))?))
    }

    /// Removes configuration and script of a filter.
    pub(super) fn remove(&self, name: &str) {
        for path in [self.next(name), self.config(name), self.script(name)] {
            // One that is not there is as good; one that stays is loaded again at the next start, and can be unloaded then.
            let _ = fs::remove_file(path);
        }
        let _ = sync_folder(&self.folder);
    }

    /// The filters that have a file with this ending, in order.
    fn with_ending(&self, ending: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let file = entry?.file_name();
            let name = file
                .to_str()
                .and_then(|file| file.strip_suffix(ending)?.strip_suffix('.'));
            names.extend(
                name.filter(|name| name.starts_with(&self.prefix))
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    /// Finishes what a crash has interrupted. Answers what is wrong with what cannot be.
    pub(super) fn recover(&self) -> Vec<String> {
        // Without a folder there is nothing to be finished.
        let names = self.with_ending(NEXT).unwrap_or_default();
        let finished = names.iter().map(|name| (name, self.finish(name)));
        finished
            .filter_map(|(name, finished)| {
                let file = self.next(name);
                let error = finished.err()?;
                Some(format!("{} is not used: {error}", file.display()))
            })
            .collect()
    }

    /// The filters that have files, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        match self.with_ending("toml") {
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
        assert_eq!(fs::read_dir(one.folder()).unwrap().count(), 4);
        one.remove("One_s-a");
        assert_eq!((one.names(), one.read("One_s-a")), (Ok(Vec::new()), None));
        assert_eq!(two.names(), Ok(vec!["One-a".to_owned()]));
    }

    #[test]
    fn a_crash_leaves_both_old_files_or_both_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().to_owned(), "M");
        files.write("M-a", b"old config", b"old script").unwrap();
        let mut both = 10_u64.to_le_bytes().to_vec();
        both.extend_from_slice(b"new confignew script");
        fs::write(files.next("M-a"), &both).unwrap();
        fs::write(files.script("M-a"), b"new script").unwrap();
        assert_eq!(files.recover(), [""; 0]);
        assert_eq!(files.names(), Ok(vec!["M-a".to_owned()]));
        let read = files.read("M-a").unwrap();
        assert_eq!(read, (b"new config".to_vec(), b"new script".to_vec()));
        assert!(!files.next("M-a").exists());
        // The first load of a filter as well.
        fs::write(files.next("M-b"), &both).unwrap();
        assert_eq!(files.recover(), [""; 0]);
        let names = vec!["M-a".to_owned(), "M-b".to_owned()];
        assert_eq!(files.names(), Ok(names));
        assert_eq!(files.read("M-b"), Some(read));
        fs::write(files.next("M-b"), b"short").unwrap();
        let errors = files.recover();
        assert!(
            errors[0].ends_with("M-b.next is not used: it is damaged"),
            "{errors:?}"
        );
        assert_eq!(files.names().map(|names| names.len()), Ok(2));
    }
}
