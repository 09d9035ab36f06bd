//! What goes through a disk queue comes out as it would have without: read from the disk, or handed over from memory.
//!
//! Owns:    the claim that no output can tell.
//! Runs on: tests.            Plane: both.
//! Bounds:  some megabytes through loopback.
//! Never:   depends on which way a message took: it repeats until both were taken.

use std::fs;
use std::io::Write;

use tests::daemon::connect;
use tests::{Daemon, Place, until, wire};

/// Each encoder has three outputs: one without a queue, and two behind one, which live on different cores.
const CONFIG: &str = r#"
[hekad]
shards = 2
log_flags = 0
base_dir = "{dir}"

[Frames]
type = "TcpInput"
address = "{host}:5140"
splitter = "Unsigned"
[Unsigned]
type = "HekaFramingSplitter"
skip_authentication = true

[Lines]
type = "TcpInput"
address = "{host}:5141"
splitter = "TokenSplitter"
decoder = ""

[RstEncoder]
"#;

const OUTPUT: &str = r#"
[{name}]
type = "FileOutput"
message_matcher = "Logger == 'Lines' || Type == 'framed'"
path = "{dir}/{name}.out"
encoder = "{encoder}"
use_buffering = {queued}
"#;

const MESSAGES: u64 = 20_000;

fn config() -> String {
    let mut text = CONFIG.to_owned();
    for encoder in ["ProtobufEncoder", "RstEncoder"] {
        for (way, queued) in [("Direct", "false"), ("Queued", "true"), ("Other", "true")] {
            text += &OUTPUT
                .replace("{name}", &format!("{way}{encoder}"))
                .replace("{encoder}", encoder)
                .replace("{queued}", queued);
        }
    }
    text
}

/// Messages of an unusual kind are among them: of another type, signed, with an empty payload, with fields before headers.
fn frames() -> Vec<u8> {
    let mut bytes = Vec::new();
    for seq in 0..MESSAGES {
        let message = wire::message("framed", &"p".repeat(seq as usize % 300), seq);
        bytes.extend(match seq % 5 {
            0 => wire::signed_frame(&message, "somebody", 1, &[9; 16]),
            1 => wire::frame(&wire::message("other", "", seq)),
            2 => {
                // The same message with its last field first.
                let name = message.windows(5).position(|bytes| bytes == b"\x0a\x03seq");
                let field = name.expect("a field") - 2;
                wire::frame(&[&message[field..], &message[..field]].concat())
            }
            _ => wire::frame(&message),
        });
    }
    bytes
}

fn lines() -> Vec<u8> {
    (0..MESSAGES)
        .flat_map(|number| format!("{number} {}\n", "x".repeat(number as usize % 200)).into_bytes())
        .collect()
}

/// Sends over one connection, and answers whether the queues have handed over some and read some.
fn took_both_ways(port: u16, bytes: &[u8], messages: u64) -> bool {
    let place = Place::new();
    let daemon = Daemon::start(&place, &config());
    connect(place.at(port)).write_all(bytes).expect("it reads");
    daemon.wait_for_count("QueueMessagesTaken", 4 * messages);
    daemon.wait_for_count("QueueMessagesWaiting", 0);
    let handed = daemon.total("QueueMessagesHandedOver");
    daemon.stop();
    for encoder in ["ProtobufEncoder", "RstEncoder"] {
        let file =
            |way: &str| fs::read(place.path(&format!("{way}{encoder}.out"))).expect("written");
        let direct = file("Direct");
        assert!(!direct.is_empty());
        assert!(file("Queued") == direct, "{encoder}");
        assert!(file("Other") == direct, "{encoder}");
    }
    handed > 0 && handed < 4 * messages
}

fn until_both_ways_were_taken(port: u16, bytes: &[u8], messages: u64) {
    until("both ways", || {
        took_both_ways(port, bytes, messages).then_some(())
    });
}

#[test]
fn frames_come_out_of_a_queue_as_without_one() {
    let framed = (0..MESSAGES).filter(|seq| seq % 5 != 1).count() as u64;
    until_both_ways_were_taken(5140, &frames(), framed);
}

#[test]
fn lines_come_out_of_a_queue_as_without_one() {
    until_both_ways_were_taken(5141, &lines(), MESSAGES);
}
