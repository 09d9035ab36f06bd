//! The check that the fuzz target runs, and that `cargo test` replays over the committed corpus: any files make a queue that works.
//!
//! Owns:    the form of an input.
//! Runs on: tests and fuzzing.            Plane: data.
//! Bounds:  the input; `OPERATIONS_MAX` disk operations.
//! Never:   compiled into a release.
//!
//! An input is a list of files: a byte for which file it is, two bytes for its length, its bytes; a file that is too short is what is left.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::recovery::Queue;
use super::repair::Repaired;
use super::segment::{index_name, segment_name};
use super::view::View;
use super::{Entry, Item, Kind, Settings, record_bytes_max};
use crate::io::disk::Disk;
use crate::io::disk::model::ModelDisk;

const FOLDER: &str = "/queue";
const MESSAGE_BYTES_MAX: usize = 2000;

/// More than any input of a reasonable size needs.
const OPERATIONS_MAX: u64 = 100_000;

/// The files that an input may hold, by number.
fn paths() -> [PathBuf; 10] {
    let lane = |name: &str| Path::new(FOLDER).join("lane-0").join(name);
    let queue = |name: &str| Path::new(FOLDER).join(name);
    [
        lane(&segment_name(1)),
        lane(&segment_name(2)),
        lane(&segment_name(3)),
        lane(&index_name(1)),
        lane(&index_name(2)),
        lane("cursor"),
        queue("owner.toml"),
        queue("checkpoint.txt"),
        queue("0.log"),
        lane("stranger"),
    ]
}

/// Opens, reads, fills and repairs a queue whose files are the input's.
///
/// # Panics
/// If it does not work.
pub fn files(input: &[u8]) {
    let disk = ModelDisk::new(0);
    for folder in [
        Path::new(FOLDER).to_owned(),
        Path::new(FOLDER).join("lane-0"),
    ] {
        disk.make_folder(&folder).expect("an empty disk");
    }
    let mut rest = input;
    let paths = paths();
    while let Some((&[number, low, high], more)) = rest.split_first_chunk() {
        let len = more.len().min(usize::from(u16::from_le_bytes([low, high])));
        let (bytes, more) = more.split_at(len);
        disk.put(&paths[usize::from(number) % paths.len()], bytes);
        rest = more;
    }
    disk.allow_operations(OPERATIONS_MAX);
    look(&disk);
    let settings = Settings {
        owner: "Queue".to_owned(),
        lanes: 1,
        max_file_size: 3000,
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    let mut queue = match Queue::open(disk.clone(), Path::new(FOLDER), &settings) {
        Ok(queue) => queue,
        Err(error) => {
            let expected = matches!(error.kind(), Kind::OtherOwner | Kind::OtherVersion);
            assert!(expected, "damage is no reason not to start: {error}");
            return;
        }
    };
    // The second time after what the first has left.
    for _ in 0..2 {
        read_all(&mut queue);
        append_and_read(&mut queue);
        drop(queue);
        queue = Queue::open(disk.clone(), Path::new(FOLDER), &settings).expect("it was open");
    }
    drop(queue);
    repair(&disk);
    let again = repair(&disk);
    assert_eq!((again.places, again.cut_bytes), (0, 0), "{again:?}");
    let mut queue = Queue::open(disk, Path::new(FOLDER), &settings).expect("it was open");
    read_all(&mut queue);
    append_and_read(&mut queue);
}

fn look(disk: &ModelDisk) {
    let Ok(view) = View::look(disk.clone(), Path::new(FOLDER)) else {
        return;
    };
    let mut buffer = vec![0; record_bytes_max(MESSAGE_BYTES_MAX)];
    let mut items: Vec<Item> = Vec::new();
    for lane in &view.lanes {
        let mut reader = lane.reader_of_all();
        while reader.position() < lane.published {
            reader
                .read(&mut buffer, lane.published, 16, &mut items)
                .expect("a good disk");
        }
    }
    if let Some(mut stream) = view.heka_stream() {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a good disk");
    }
}

fn read_all(queue: &mut Queue<ModelDisk>) {
    let mut buffer = vec![0; record_bytes_max(MESSAGE_BYTES_MAX)];
    let mut items: Vec<Item> = Vec::new();
    for lane in &mut queue.lanes {
        while lane.reader.position() < lane.published {
            lane.reader
                .read(&mut buffer, lane.published, 16, &mut items)
                .expect("a good disk");
            for item in &items {
                assert!(item.message.of(&buffer).len() <= buffer.len());
                assert!(item.after <= lane.published);
            }
        }
    }
}

fn append_and_read(queue: &mut Queue<ModelDisk>) {
    let open = &mut queue.lanes[0];
    let lane = open.writer.as_mut().expect("a lane to write to");
    let before = lane.published();
    for _ in 0..3 {
        let entry = Entry {
            message: &[7; 900],
            loops: 0,
            meta: None,
        };
        lane.append([entry], 0).expect("a good disk");
        let _ = lane.commit().expect("a good disk");
    }
    let published = lane.published();
    assert_eq!(published.sequence, before.sequence.wrapping_add(3));
    let mut buffer = vec![0; record_bytes_max(MESSAGE_BYTES_MAX)];
    let (mut items, mut read) = (Vec::new(), 0);
    while open.reader.position() < published {
        open.reader
            .read(&mut buffer, published, 16, &mut items)
            .expect("a good disk");
        let ours = items
            .iter()
            .filter(|item| item.message.of(&buffer) == [7; 900]);
        read += ours.count();
    }
    assert!(read >= 3, "what was synced can be read");
    assert!(open.cursor.advance(published));
    open.cursor.save().expect("a good disk");
}

fn repair(disk: &ModelDisk) -> Repaired {
    let mut queue = Queue::open_found(disk.clone(), Path::new(FOLDER)).expect("it is there");
    queue.repair(0).expect("a good disk")
}
