//! `hekad buffer replay`: what waited on a disk arrives at a daemon.
//!
//! Owns:    a queue that no daemon has written.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few thousand messages.
//! Never:   removes what has not arrived.

use engine::io::disk::OsDisk;
use engine::queue::{Entry, Queue, Settings, folder_name};
use tests::sink::assert_complete_and_ordered;
use tests::{Daemon, Place, Sink, tools, wire};

const MESSAGES: u64 = 5000;

const CONFIG: &str = r#"
[In]
type = "TcpInput"
address = "{host}:5565"

[Out]
type = "TcpOutput"
message_matcher = "Type == 'kept'"
address = "{host}:5566"
"#;

fn queue(place: &Place) -> Queue {
    let settings = Settings {
        owner: "the output".to_owned(),
        lanes: 1,
        max_file_size: 100_000,
        message_bytes_max: 65_536,
    };
    let folder = place
        .path("output_queue")
        .join(folder_name(&settings.owner));
    Queue::open(OsDisk, &folder, &settings).expect("it opens")
}

#[test]
fn what_waited_on_the_disk_arrives_in_order_and_is_removed() {
    let place = Place::new();
    let mut filled = queue(&place);
    let lane = filled.lanes[0].writer.as_mut().expect("a lane to write to");
    let messages: Vec<Vec<u8>> = (0..MESSAGES)
        .map(|seq| wire::message("kept", "waited", seq))
        .collect();
    for group in messages.chunks(100) {
        let entries = group.iter().map(|message| Entry {
            message,
            loops: 0,
            meta: None,
        });
        lane.append(entries, 0).expect("room");
        assert_eq!(lane.commit().expect("a disk").records(), 100);
    }
    drop(filled);
    let sink = Sink::listen(place.at(5566));
    let daemon = Daemon::start(&place, CONFIG);
    let address = place.at(5565).to_string();
    let folder = place.path("output_queue/the_output");
    let folder = folder.to_str().expect("a plain path");
    tools::succeed(&["buffer", "replay", "--heka", &address, "--remove", folder]);
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.In.received"), MESSAGES);
    sink.wait_for(MESSAGES as usize);
    assert_complete_and_ordered(&sink.streams()[0], 1, MESSAGES);
    let left = queue(&place);
    assert_eq!(left.recovery.total.pending_records, 0);
    assert_eq!(left.recovery.notices, [""; 0]);
}
