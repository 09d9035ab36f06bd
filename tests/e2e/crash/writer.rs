//! A program that writes a log and rotates it by renaming, as programs and logrotate do.
//!
//! Owns:    the lines, the files, and which line begins which file.
//! Runs on: a thread of its own.            Plane: data.
//! Bounds:  waits while too many of its lines have not arrived.
//! Never:   begins a file before the one before it is complete, or removes one.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of each line with its newline.
pub(super) const LINE_BYTES: usize = 100;

/// Digits of a line's number, in front.
pub(super) const DIGITS: usize = 10;

/// Most lines of one write.
const BURST_MAX: u64 = 60;

/// Most lines of one file.
const FILE_MAX: u64 = 8_000;

/// The line of that number: the number, and what follows from it and the seed.
pub(super) fn line(number: u64, seed: u64) -> [u8; LINE_BYTES] {
    let mut random = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut line = [b'\n'; LINE_BYTES];
    let digits = format!("{number:0DIGITS$}");
    line[..DIGITS].copy_from_slice(digits.as_bytes());
    line[DIGITS..LINE_BYTES - 1].fill_with(|| random.u8(b' '..=b'~'));
    line
}

/// What the thread has done so far.
#[derive(Debug, Default)]
struct Done {
    lines: AtomicU64,
    rotations: AtomicU64,
    /// By file number: its first line.
    files: Mutex<Vec<(u64, u64)>>,
    is_to_stop: AtomicBool,
}

/// What it has done altogether.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) lines: u64,
    pub(super) rotations: u64,
}

/// The program, which writes until it is stopped.
pub(super) struct Writer {
    done: Arc<Done>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts it. `arrived` says how many different lines have arrived.
    pub(super) fn start(
        folder: &Path,
        seed: u64,
        arrived: Arc<AtomicU64>,
        outstanding_max: u64,
    ) -> Writer {
        fs::create_dir(folder).expect("a new folder");
        let done = Arc::new(Done::default());
        let mut log = Log::begin(folder, seed, Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            while !log.done.is_to_stop.load(Ordering::Acquire) {
                if log.number > arrived.load(Ordering::Acquire) + outstanding_max {
                    std::thread::sleep(Duration::from_millis(5));
                } else {
                    log.burst();
                }
            }
        });
        Writer { done, thread }
    }

    /// Lines that it has begun.
    pub(super) fn written(&self) -> u64 {
        self.done.lines.load(Ordering::Acquire)
    }

    /// The line that begins at a place in a file.
    pub(super) fn line_at(&self, inode: u64, offset: u64) -> u64 {
        let files = self.done.files.lock().expect("the writer does not panic");
        let known = files.iter().find(|(file, _)| *file == inode);
        let (_, first) = known.expect("the journal names a file of the log");
        let lines = offset / LINE_BYTES as u64;
        assert_eq!(offset % LINE_BYTES as u64, 0, "half a line is acknowledged");
        first + lines
    }

    /// Stops it behind a whole line.
    pub(super) fn stop(self) -> Written {
        self.done.is_to_stop.store(true, Ordering::Release);
        self.thread.join().expect("the writer does not panic");
        Written {
            lines: self.done.lines.load(Ordering::Acquire),
            rotations: self.done.rotations.load(Ordering::Acquire),
        }
    }
}

/// The log that is being written.
struct Log {
    folder: PathBuf,
    seed: u64,
    random: fastrand::Rng,
    done: Arc<Done>,
    file: File,
    /// The next line.
    number: u64,
    /// Rotate before this line.
    rotate_at: u64,
}

impl Log {
    fn begin(folder: &Path, seed: u64, done: Arc<Done>) -> Log {
        let mut random = fastrand::Rng::with_seed(!seed);
        let mut log = Log {
            folder: folder.to_owned(),
            seed,
            done,
            file: create(folder),
            number: 0,
            rotate_at: random.u64(1..FILE_MAX),
            random,
        };
        log.begun();
        log
    }

    fn begun(&mut self) {
        let inode = self.file.metadata().expect("it is open").ino();
        let mut files = self.done.files.lock().expect("nobody panics");
        files.push((inode, self.number));
    }

    /// Writes some lines, often with a pause within one, and rotates when it is time.
    fn burst(&mut self) {
        let end = self.number + self.random.u64(1..=BURST_MAX);
        let mut bytes = Vec::new();
        while self.number < end {
            bytes.extend_from_slice(&line(self.number, self.seed));
            self.number += 1;
        }
        self.done.lines.store(self.number, Ordering::Release);
        let (first, second) = bytes.split_at(self.random.usize(..bytes.len()));
        self.file.write_all(first).expect("room");
        let is_rotating = self.number >= self.rotate_at;
        if is_rotating {
            self.rename();
        }
        self.pause();
        self.file.write_all(second).expect("room");
        if is_rotating {
            self.pause();
            self.file = create(&self.folder);
            self.begun();
            self.rotate_at = self.number + self.random.u64(1..FILE_MAX);
        }
        self.pause();
    }

    fn pause(&mut self) {
        if self.random.bool() {
            std::thread::sleep(Duration::from_micros(self.random.u64(..4_000)));
        }
    }

    /// `app.log.1` becomes `app.log.2` and so on, and `app.log` becomes `app.log.1`.
    fn rename(&self) {
        let last = self.done.rotations.fetch_add(1, Ordering::AcqRel);
        let name = |number: u64| match number {
            0 => self.folder.join("app.log"),
            number => self.folder.join(format!("app.log.{number}")),
        };
        for number in (0..=last).rev() {
            fs::rename(name(number), name(number + 1)).expect("the same folder");
        }
    }
}

fn create(folder: &Path) -> File {
    File::create_new(folder.join("app.log")).expect("its predecessor was renamed")
}
