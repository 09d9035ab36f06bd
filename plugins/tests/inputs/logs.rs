//! A folder of logs, what programs do to it, and a daemon that reads it.
//!
//! Owns:    `Logs`: the folder of a test with its journals.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   rotates by itself.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::daemon::Daemon;

/// A folder of logs, and one of journals.
pub(crate) struct Logs {
    folder: tempfile::TempDir,
}

impl Logs {
    pub(crate) fn new() -> Logs {
        let folder = tempfile::tempdir().expect("a folder for the test");
        fs::create_dir(folder.path().join("log")).expect("a new folder");
        Logs { folder }
    }

    /// A path among the logs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("log").join(name)
    }

    /// The journal of a stream.
    pub(crate) fn journal(&self, stream: &str) -> PathBuf {
        self.folder.path().join("journals").join(stream)
    }

    /// Lets every user work in the folder.
    pub(crate) fn open_to_all(&self) {
        let all = || fs::Permissions::from_mode(0o777);
        for path in [self.folder.path().to_owned(), self.path("")] {
            fs::set_permissions(path, all()).expect("one's own folder");
        }
    }

    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_ref()))
            .expect("a file of the test");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("both in the folder");
    }

    /// As gzip does: the compressed file is complete before the other one goes.
    pub(crate) fn compress(&self, name: &str) {
        let text = fs::read(self.path(name)).expect("a file of the test");
        fs::write(self.path(&format!("{name}.gz")), compressed(&text)).expect("room");
        fs::remove_file(self.path(name)).expect("it is there");
    }

    /// As logrotate's `copytruncate`.
    pub(crate) fn copy_and_truncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("a file of the test");
        let file = OpenOptions::new().write(true).open(self.path(from));
        file.and_then(|file| file.set_len(0))
            .expect("a file of the test");
    }

    /// The files of a folder among the logs, with their numbers, sizes and first and last lines.
    pub(crate) fn listing(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut lines: Vec<String> = entries
            .map(|entry| {
                let path = entry.expect("a readable folder").path();
                let text = fs::read(&path).expect("a file of the test");
                let text = String::from_utf8_lossy(&text);
                let inode = fs::metadata(&path).map_or(0, |data| data.ino());
                format!(
                    "{} {inode} {} {:.30?} {:.30?}",
                    path.display(),
                    text.len(),
                    text.lines().next(),
                    text.lines().last()
                )
            })
            .collect();
        lines.sort();
        lines
    }

    /// The section of an input `logs` that looks often, with further options.
    pub(crate) fn section(&self, options: &str) -> String {
        let (logs, journals) = (self.path(""), self.folder.path().join("journals"));
        let show = |path: &Path| path.display().to_string();
        let (logs, journals) = (show(&logs), show(&journals));
        let own = |key: &str, value: &str| {
            if options.contains(key) {
                String::new()
            } else {
                format!("{key} = \"{value}\"\n")
            }
        };
        format!(
            "[logs]\ntype = 'LogstreamerInput'\nhostname = 'there'\n{}{}{}{}{options}\n",
            own("log_directory", &logs),
            own("journal_directory", &journals),
            own("check_data_interval", "5ms"),
            own("rescan_interval", "30ms"),
        )
    }

    /// A daemon with this input.
    pub(crate) fn daemon(&self, options: &str) -> Daemon {
        Daemon::start(2, &self.section(options))
    }
}

/// Text as gzip has it.
pub(crate) fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// A message as the daemon's output shows it.
pub(crate) fn shown(stream: &str, payload: &str) -> String {
    format!("logfile|{stream}|there|{payload}|0")
}

/// The payloads of a stream's messages.
pub(crate) fn payloads(messages: &[String], stream: &str) -> Vec<String> {
    let start = format!("logfile|{stream}|there|");
    let payload = |message: &String| {
        let rest = message.strip_prefix(&start)?;
        Some(rest.strip_suffix("|0")?.to_owned())
    };
    messages.iter().filter_map(payload).collect()
}
