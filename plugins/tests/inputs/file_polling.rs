//! A file that is read again and again, whatever becomes of it.
//!
//! Owns:    the claims about FilePollingInput.
//! Runs on: tests.            Plane: both.
//! Bounds:  files of some kilobytes.
//! Never:   depends on the time between two readings.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use engine::event::DropCause;

use crate::daemon::Daemon;

const LINES: &str = "[lines]\ntype = 'TokenSplitter'\n";

fn section(path: &str, options: &str) -> String {
    format!(
        "[poll]\ntype = 'FilePollingInput'\nticker_interval = 1\nfile_path = '{path}'\n{options}\n"
    )
}

/// Whoever reads meanwhile finds the old file or the new one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("room");
    fs::rename(&new, path).expect("same folder");
}

#[test]
fn all_of_a_file_is_a_message_again_and_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    // More than one read of it.
    let text = "some lines\n".repeat(5000);
    fs::write(&path, &text).expect("room");
    let path = path.to_str().expect("text");
    let daemon = Daemon::start(1, &section(path, ""));
    daemon.wait_for("two readings", |ledger| ledger.delivered >= 2);
    let messages = daemon.messages_so_far();
    let expected = format!("heka.file.polling|poll|here|{text}|0|TickerInterval=1|FilePath={path}");
    assert!(messages.len() >= 2);
    assert!(messages.iter().all(|message| *message == expected));
    let ledger = daemon.stop();
    assert_eq!((ledger.streams_opened, ledger.stream_errors), (1, 0));
    assert_eq!(ledger.received, ledger.delivered);
}

#[test]
fn a_splitter_makes_messages_of_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, "one\ntwo\nhalf").expect("room");
    let path = path.to_str().expect("text");
    let daemon = Daemon::start(
        1,
        &format!("{}{LINES}", section(path, "splitter = 'lines'")),
    );
    let ledger = daemon.wait_for("two readings", |ledger| ledger.delivered >= 4);
    // What is left of one reading is not the beginning of the next.
    let lines: Vec<String> = daemon
        .messages_so_far()
        .iter()
        .map(|message| message.split('|').nth(3).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(lines[..4], ["one\n", "two\n", "one\n", "two\n"]);
    assert!(ledger.dropped.get(DropCause::Incomplete) >= 1);
    daemon.stop();
}

#[test]
fn whatever_is_wrong_is_told_and_polling_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let path = file.to_str().expect("text");
    let daemon = Daemon::start(1, &section(path, ""));
    daemon.wait_for_notice("(os error 2); it is read again every 1 s");
    fs::create_dir(&file).expect("a new name");
    daemon.wait_for_notice("it is a folder");
    fs::remove_dir(&file).expect("empty");
    replace(&file, &"x".repeat(100_000));
    daemon.wait_for_notice(
        "a record of more than 65536 bytes (`max_message_size`), which is dropped",
    );
    if !nix::unistd::geteuid().is_root() {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("ours");
        daemon.wait_for_notice("Permission denied");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    }
    replace(&file, "good");
    let ledger = daemon.wait_for("a message", |ledger| ledger.delivered > 0);
    assert!(ledger.dropped.get(DropCause::TooLong) > 0 && ledger.stream_errors >= 3);
    assert!(daemon.messages_so_far()[0].contains("|good|"));
    let ledger = daemon.stop();
    assert_eq!(ledger.received, ledger.delivered + ledger.dropped.total());
}
