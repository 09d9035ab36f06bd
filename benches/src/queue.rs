//! The disk queue without its disk: files in the page cache, nothing synced.
//!
//! Owns:    a folder in the place for temporary files.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  the records of one benchmark.
//! Never:   waits for a disk: how long a sync takes says nothing about the code.

use codecs::field::Span;
use engine::io::disk::OsDisk;
use engine::queue::{Entry, Item, Lane, OpenLane, Queue, Reader, Settings, record_bytes_max};

use crate::measure::{Digest, Pass, Size};
use crate::messages;

const MESSAGE_BYTES: usize = 1024;
const BUFFER_BYTES: usize = 128 * 1024;

/// A lane, and the folder that goes with it.
struct Place {
    _folder: tempfile::TempDir,
    open: OpenLane,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let settings = Settings {
        owner: "benches".to_owned(),
        lanes: 1,
        max_file_size: 0,
        message_bytes_max: MESSAGE_BYTES,
    };
    let mut queue = Queue::open(OsDisk, folder.path(), &settings).expect("a new queue");
    Place {
        open: queue.lanes.remove(0),
        _folder: folder,
    }
}

impl Place {
    fn writer(&mut self) -> &mut Lane {
        self.open.writer.as_mut().expect("a lane to write to")
    }

    fn reader(&mut self) -> &mut Reader {
        &mut self.open.reader
    }
}

/// The messages of frames, which stand one behind the other as they were received.
fn spans(size: Size) -> (Vec<u8>, Vec<Span>) {
    let stream = messages::frames(size.items(), MESSAGE_BYTES, None);
    let frame = stream.len() / size.items();
    let spans = (1..=size.items())
        .map(|number| Span::new(number * frame - MESSAGE_BYTES, number * frame))
        .collect();
    (stream, spans)
}

fn entries<'a>(stream: &'a [u8], spans: &'a [Span]) -> impl Iterator<Item = Entry<'a>> {
    spans.iter().map(|span| Entry {
        message: span.of(stream),
        loops: 0,
        meta: None,
    })
}

pub(crate) fn append_1024(size: Size) -> Box<dyn FnMut() -> Pass> {
    let (stream, spans) = spans(size);
    let mut place = place();
    Box::new(move || {
        let lane = place.writer();
        let bytes = lane
            .append(entries(&stream, &spans), 1)
            .expect("room for temporary files");
        let mut digest = Digest::default();
        digest.add(bytes);
        digest.add(lane.uncommitted_bytes());
        lane.give_up();
        Pass {
            items: spans.len() as u64,
            bytes,
            digest: digest.value(),
        }
    })
}

pub(crate) fn read_1024(size: Size) -> Box<dyn FnMut() -> Pass> {
    let (stream, spans) = spans(size);
    let mut place = place();
    let lane = place.writer();
    lane.append(entries(&stream, &spans), 1)
        .expect("room for temporary files");
    let end = lane.commit().expect("a disk").upto();
    let start = place.reader().position();
    let mut buffer = vec![0; BUFFER_BYTES.max(record_bytes_max(MESSAGE_BYTES))];
    let mut items: Vec<Item> = Vec::new();
    Box::new(move || {
        let reader = place.reader();
        reader.rewind(start);
        let mut digest = Digest::default();
        let (mut read, mut bytes) = (0, 0);
        while reader.position() != end {
            let passed = reader
                .read(&mut buffer, end, usize::MAX, &mut items)
                .expect("a file that is there");
            digest.add(passed.damaged_bytes);
            for item in &items {
                let message = item.message.of(&buffer);
                digest.add(item.sequence);
                digest.add_bytes(message);
                bytes += message.len() as u64;
            }
            read += items.len() as u64;
        }
        Pass {
            items: read,
            bytes,
            digest: digest.value(),
        }
    })
}
