//! Lanes are opened at the same time.
//!
//! Owns:    that claim.
//! Runs on: tests.            Plane: data.
//! Bounds:  one queue.
//! Never:   measures time: each lane waits until the other has begun.

use std::fs::File;
use std::io;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::*;
use crate::io::disk::OsDisk;
use crate::queue::Entry as Record;

/// Far longer than a thread takes to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk on which nobody makes the folder of a lane before all lanes want to.
#[derive(Clone, Debug)]
struct Together {
    lanes: usize,
    met: Arc<(Mutex<usize>, Condvar)>,
}

impl Disk for Together {
    type File = File;
    type Lock = File;

    const CONCURRENT: bool = true;

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("lane-")) {
            let (count, all) = &*self.met;
            let mut count = count.lock().expect("no panic");
            *count += 1;
            all.notify_all();
            let waits = |count: &mut usize| *count < self.lanes;
            let (_count, waited) = all
                .wait_timeout_while(count, PATIENCE, waits)
                .expect("no panic");
            assert!(!waited.timed_out(), "one lane waits for another");
        }
        OsDisk.make_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        OsDisk.list(folder)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        OsDisk.create_new(path)
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<File> {
        OsDisk.open(path, write)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<File>> {
        OsDisk.lock(path)
    }
}

#[test]
fn lanes_are_opened_at_the_same_time_and_come_in_order() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("queue");
    let settings = Settings {
        owner: "relay".to_owned(),
        lanes: 3,
        max_file_size: 0,
        message_bytes_max: 1024,
    };
    for round in 0..2u64 {
        let disk = Together {
            lanes: 3,
            met: Arc::default(),
        };
        let mut queue = Queue::open(disk, &folder, &settings).expect("a good disk");
        let numbers: Vec<u16> = queue.lanes.iter().map(|lane| lane.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        for lane in &mut queue.lanes {
            let number = u64::from(lane.number);
            assert_eq!(lane.recovery.pending_records, round * (number + 1));
            let writer = lane.writer.as_mut().expect("it is written to");
            for _ in 0..=number {
                let record = Record {
                    message: b"text",
                    loops: 0,
                    meta: None,
                };
                writer.append([record], 0).expect("room");
            }
            let _ = writer.commit().expect("a good disk");
        }
        assert_eq!(queue.recovery.total.pending_records, round * 6);
    }
}
