//! LogstreamerInput: messages, journals, bad files, and the ends of files.
//!
//! Owns:    what is written to each folder.
//! Runs on: tests.            Plane: both.
//! Bounds:  see `daemon`.
//! Never:   waits for a rotation to have been noticed otherwise than by what arrives.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use engine::event::DropCause;
use sha1::{Digest, Sha1};

use crate::daemon::Daemon;
use crate::logs::{Logs, compressed, payloads, shown};

const ONE: &str = "file_match = 'log'";
const NUMBERED: &str = "file_match = 'log\\.?(?P<Number>\\d*)(\\.gz)?'\npriority = ['^Number']";

fn lines(from: usize, to: usize) -> String {
    (from..to)
        .map(|number| format!("line {number}\n"))
        .collect()
}

fn expected(from: usize, to: usize) -> Vec<String> {
    (from..to)
        .map(|number| format!("line {number}\n"))
        .collect()
}

/// Waits until so many messages of the stream `logs` have arrived; answers their payloads in order.
fn arrived(daemon: &Daemon, count: usize) -> Vec<String> {
    daemon.wait_for_arrival(|now| {
        let got = payloads(now, "logs").len();
        (got < count).then(|| format!("{got} of {count}"))
    });
    payloads(&daemon.arrivals()(), "logs")
}

/// A journal as Heka writes it.
fn hekas_journal(path: &str, text: &str, seek: usize) -> String {
    let mut window = [0; 500];
    let before = &text.as_bytes()[seek.saturating_sub(500)..seek];
    window[500 - before.len()..].copy_from_slice(before);
    let hash: String = Sha1::digest(window)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{{\"seek\":{seek},\"file_name\":\"{path}\",\"last_hash\":\"{hash}\"}}")
}

fn write_journal(logs: &Logs, stream: &str, text: &str) {
    let path = logs.journal(stream);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The position that a journal says.
fn journalled(logs: &Logs, stream: &str) -> (String, u64) {
    let text = fs::read_to_string(logs.journal(stream)).unwrap();
    let journal: serde_json::Value = text.parse().unwrap();
    let file = journal["file_name"].as_str().unwrap().to_owned();
    (file, journal["seek"].as_u64().unwrap())
}

// ---- messages ----

#[test]
fn messages_say_their_stream_and_streams_are_spread_over_the_shards() {
    let logs = Logs::new();
    for site in ["a", "b", "c", "d"] {
        logs.append(&format!("{site}/log"), format!("of {site}\n"));
    }
    let daemon =
        logs.daemon("file_match = '(?P<Site>\\w)/log'\ndifferentiator = ['nginx-', 'Site', '-x']");
    let expected =
        ["a", "b", "c", "d"].map(|site| shown(&format!("nginx-{site}-x"), &format!("of {site}\n")));
    assert_eq!(daemon.messages(4), expected);
    assert_eq!(daemon.by_shard(|ledger| ledger.streams_opened), [2, 2]);
    // One that comes later.
    logs.append("e/log", "of e\n");
    assert!(daemon.messages(5).contains(&shown("nginx-e-x", "of e\n")));
    daemon.stop();
}

#[test]
fn a_stream_whose_journal_another_input_writes_is_not_read() {
    let logs = Logs::new();
    logs.append("log", "one\n");
    let named = "file_match = '(?P<Name>\\w+)'\ndifferentiator = ['Name']";
    let first = logs.section(named);
    let second = first.replace("[logs]", "[others]");
    let daemon = Daemon::start(2, &format!("{first}{second}"));
    let said = daemon.wait_for_notice("stream log is not read");
    assert!(said.contains("both would keep their position in"), "{said}");
    assert!(said.contains("journals/log"), "{said}");
    logs.append("log", "two\n");
    daemon.wait_for_arrival(|now| {
        let got = payloads(now, "log");
        (got.len() < 2).then(|| format!("{got:?}"))
    });
    daemon.stop();
    assert_eq!(journalled(&logs, "log").1, 8);
}

#[test]
fn a_line_is_delivered_when_it_is_complete() {
    let logs = Logs::new();
    logs.append("log", "whole\nhal");
    let daemon = logs.daemon(ONE);
    assert_eq!(arrived(&daemon, 1), ["whole\n"]);
    logs.append("log", "f\n");
    assert_eq!(arrived(&daemon, 2), ["whole\n", "half\n"]);
    daemon.stop();
}

#[test]
fn what_is_unfinished_at_the_stop_is_not_lost_but_read_again() {
    let logs = Logs::new();
    logs.append("log", "whole\nhal");
    let daemon = logs.daemon(ONE);
    arrived(&daemon, 1);
    let ledger = daemon.stop();
    assert_eq!((ledger.received, ledger.dropped.total()), (1, 0));
    assert_eq!(journalled(&logs, "logs").1, 6);
    logs.append("log", "f\n");
    let daemon = logs.daemon(ONE);
    assert_eq!(arrived(&daemon, 1), ["half\n"]);
    daemon.stop();
}

#[test]
fn at_a_change_of_files_the_splitter_says_what_becomes_of_half_a_line() {
    for (delivered, got) in [
        (false, vec!["one\n", "two\n"]),
        (true, vec!["one\n", "hal", "two\n"]),
    ] {
        let logs = Logs::new();
        logs.append("log.1", "one\nhal");
        logs.append("log", "two\n");
        let splitter = format!(
            "splitter = 'lines'\n[lines]\ntype = 'TokenSplitter'\ndeliver_incomplete_final = {delivered}"
        );
        let daemon = logs.daemon(&format!("{NUMBERED}\n{splitter}"));
        assert_eq!(arrived(&daemon, got.len()), got);
        let ledger = daemon.stop();
        assert_eq!(
            ledger.dropped.get(DropCause::Incomplete),
            u64::from(!delivered)
        );
    }
}

#[test]
fn garbage_is_passed_on_and_lines_over_the_limit_are_counted() {
    let logs = Logs::new();
    let mut text = b"first\n\xff\xfe\x00\x80\n\n".to_vec();
    text.extend(vec![b'x'; 200_000]);
    text.extend(b"\nlast\n");
    logs.append("log", &text);
    let daemon = logs.daemon(ONE);
    let got = arrived(&daemon, 4);
    assert_eq!(
        got,
        ["first\n", "\u{fffd}\u{fffd}\0\u{fffd}\n", "\n", "last\n"]
    );
    let ledger = daemon.stop();
    assert_eq!(ledger.dropped.get(DropCause::TooLong), 1);
    assert_eq!(journalled(&logs, "logs").1, text.len() as u64);
}

// ---- journals ----

#[test]
fn nothing_is_journalled_that_is_not_acknowledged() {
    let logs = Logs::new();
    logs.append("log", lines(0, 100));
    let daemon = logs.daemon(ONE);
    daemon.withhold(true);
    logs.append("log", lines(100, 200));
    arrived(&daemon, 200);
    daemon.abandon();
    // Whatever was settled before the output was told to withhold may have been journalled.
    let daemon = logs.daemon(ONE);
    daemon.wait_for_arrival(|now| {
        let got = payloads(now, "logs");
        let missing = expected(100, 200)
            .into_iter()
            .find(|line| !got.contains(line));
        missing.map(|line| format!("no {line:?}"))
    });
    daemon.stop();
    assert_eq!(journalled(&logs, "logs").1, lines(0, 200).len() as u64);
    let daemon = logs.daemon(ONE);
    logs.append("log", "new\n");
    assert_eq!(arrived(&daemon, 1), ["new\n"]);
    daemon.stop();
}

#[test]
fn a_journal_of_hekas_is_gone_on_with() {
    let logs = Logs::new();
    let old = lines(0, 300);
    logs.append("log.1", &old);
    logs.append("log", lines(300, 310));
    // When it was written, `log.1` was called `log`.
    let seek = lines(0, 120).len();
    let path = logs.path("log").display().to_string();
    write_journal(&logs, "logs", &hekas_journal(&path, &old, seek));
    let daemon = logs.daemon(NUMBERED);
    assert_eq!(arrived(&daemon, 190), expected(120, 310));
    daemon.stop();
    assert_eq!(
        journalled(&logs, "logs"),
        (path, lines(300, 310).len() as u64)
    );
}

#[test]
fn a_journal_that_points_past_the_end_means_the_beginning_and_is_told() {
    let logs = Logs::new();
    let longer = lines(0, 300);
    logs.append("log", lines(0, 20));
    let path = logs.path("log").display().to_string();
    write_journal(&logs, "logs", &hekas_journal(&path, &longer, longer.len()));
    let daemon = logs.daemon(ONE);
    assert_eq!(arrived(&daemon, 20), expected(0, 20));
    let notice = daemon.wait_for_notice("messages may come again, none is passed over");
    assert!(
        notice.contains(&format!("which has only {} bytes", lines(0, 20).len())),
        "{notice}"
    );
    assert!(notice.contains(&path), "{notice}");
    daemon.stop();
}

#[test]
fn a_damaged_journal_means_the_beginning_and_is_told() {
    let logs = Logs::new();
    logs.append("log", lines(0, 20));
    write_journal(&logs, "logs", "{\"seek\":12,\"file_na");
    let daemon = logs.daemon(&format!("{ONE}\ninitial_tail = true"));
    assert_eq!(arrived(&daemon, 20), expected(0, 20));
    daemon.wait_for_notice("cannot be understood");
    daemon.stop();
    assert_eq!(journalled(&logs, "logs").1, lines(0, 20).len() as u64);
}

#[test]
fn a_journal_that_cannot_be_written_is_told_and_tried_again() {
    let logs = Logs::new();
    logs.append("log", lines(0, 5));
    let daemon = logs.daemon(ONE);
    arrived(&daemon, 5);
    let folder = logs.journal("").parent().unwrap().join("journals");
    fs::rename(&folder, folder.with_extension("away")).unwrap();
    logs.append("log", lines(5, 10));
    arrived(&daemon, 10);
    daemon.wait_for_notice("a journal cannot be written");
    fs::create_dir(&folder).unwrap();
    daemon.stop();
    assert_eq!(journalled(&logs, "logs").1, lines(0, 10).len() as u64);
}

#[test]
fn folders_that_cannot_be_used_are_errors_at_the_start() {
    let logs = Logs::new();
    let none = logs.path("none").display().to_string();
    let error = |options: &str| {
        let section = logs.section(&format!("{ONE}\n{options}"));
        Daemon::try_start(2, &section).err().unwrap().join("\n")
    };
    let said = error(&format!("log_directory = '{none}'"));
    assert!(
        said.contains("`log_directory`") && said.contains(&none),
        "{said}"
    );
    logs.append("file", "");
    let below = logs.path("file/journals").display().to_string();
    let said = error(&format!("journal_directory = '{below}'"));
    assert!(
        said.contains("`journal_directory`") && said.contains(&below),
        "{said}"
    );
}

#[test]
fn a_stream_starts_at_its_end_once() {
    let logs = Logs::new();
    logs.append("log.1", lines(0, 5));
    logs.append("log", lines(5, 10));
    let options = format!("{NUMBERED}\ninitial_tail = true");
    let daemon = logs.daemon(&options);
    // Its position is journalled although nothing was read.
    while !logs.journal("logs").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    logs.append("log", lines(10, 12));
    assert_eq!(arrived(&daemon, 2), expected(10, 12));
    daemon.stop();
    logs.append("log", lines(12, 14));
    let daemon = logs.daemon(&options);
    assert_eq!(arrived(&daemon, 2), expected(12, 14));
    daemon.stop();
}

#[test]
fn only_what_is_there_at_the_start_is_read_from_its_end() {
    let logs = Logs::new();
    logs.append("a/log", "old\n");
    let daemon = logs
        .daemon("file_match = '(?P<Site>\\w)/log'\ndifferentiator = ['Site']\ninitial_tail = true");
    daemon.wait_for("streams", |ledger| ledger.streams_opened == 1);
    logs.append("b/log", "new\n");
    assert_eq!(daemon.messages(1), [shown("b", "new\n")]);
    daemon.stop();
}

// ---- which files ----

#[test]
fn files_that_are_old_are_left_out() {
    let logs = Logs::new();
    logs.append("log.1", lines(0, 5));
    logs.append("log", lines(5, 10));
    let old = SystemTime::now() - Duration::from_secs(7200);
    let file = File::options()
        .append(true)
        .open(logs.path("log.1"))
        .unwrap();
    file.set_modified(old).unwrap();
    let daemon = logs.daemon(&format!("{NUMBERED}\noldest_duration = '1h'"));
    daemon.wait_for_notice("1 stream in 2 files, 1 of them left out");
    assert_eq!(arrived(&daemon, 5), expected(5, 10));
    // What is being read is read on, however old it becomes.
    let file = File::options().append(true).open(logs.path("log")).unwrap();
    file.set_modified(old).unwrap();
    logs.append("log", lines(10, 11));
    assert_eq!(arrived(&daemon, 6), expected(5, 11));
    daemon.stop();
}

#[test]
fn several_files_without_an_order_are_told_and_not_read() {
    let logs = Logs::new();
    logs.append("one", "x\n");
    logs.append("two", "y\n");
    let daemon = logs.daemon("file_match = '\\w+'");
    let notice = daemon.wait_for_notice("no `priority` to sort them by");
    assert!(notice.contains("stream logs") && notice.contains("/one, ") && notice.contains("/two"));
    fs::remove_file(logs.path("two")).unwrap();
    assert_eq!(arrived(&daemon, 1), ["x\n"]);
    daemon.stop();
}

#[test]
fn a_name_that_no_map_has_is_told_and_the_others_are_read() {
    let logs = Logs::new();
    logs.append("Brumaire.log", "x\n");
    logs.append("May.log", "may\n");
    logs.append("June.log", "june\n");
    let daemon = logs.daemon("file_match = '(?P<MonthName>\\w+)\\.log'\npriority = ['MonthName']");
    assert_eq!(arrived(&daemon, 2), ["may\n", "june\n"]);
    let notice = daemon.wait_for_notice("is no name of a month");
    assert!(notice.contains("Brumaire.log: not read"), "{notice}");
    daemon.stop();
}

#[test]
fn a_link_is_followed_to_whatever_it_leads_to() {
    let logs = Logs::new();
    logs.append("1.txt", "one\n");
    symlink("1.txt", logs.path("log")).unwrap();
    symlink("loop", logs.path("loop")).unwrap();
    let daemon = logs.daemon("file_match = 'log|loop'\ndifferentiator = ['logs']");
    daemon.wait_for_notice("loop: not read");
    assert_eq!(arrived(&daemon, 1), ["one\n"]);
    logs.append("2.txt", "two\n");
    symlink("2.txt", logs.path("new")).unwrap();
    logs.append("1.txt", "late\n");
    logs.rename("new", "log");
    assert_eq!(arrived(&daemon, 3), ["one\n", "late\n", "two\n"]);
    daemon.stop();
}

/// Until it is dropped, this thread and those that it starts may do with files only what everybody may.
struct Nobody(Option<nix::unistd::Uid>);

impl Nobody {
    fn new() -> Nobody {
        let root = nix::unistd::geteuid();
        let nobody = nix::unistd::Uid::from_raw(65_534);
        Nobody(root.is_root().then(|| nix::unistd::setfsuid(nobody)))
    }
}

impl Drop for Nobody {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            nix::unistd::setfsuid(before);
        }
    }
}

#[test]
fn a_file_that_may_not_be_read_is_waited_for() {
    let logs = Logs::new();
    logs.append("log.1", lines(0, 5));
    logs.append("log", lines(5, 10));
    logs.open_to_all();
    fs::set_permissions(logs.path("log.1"), Permissions::from_mode(0o000)).unwrap();
    let nobody = Nobody::new();
    let daemon = logs.daemon(NUMBERED);
    drop(nobody);
    let notice = daemon.wait_for_notice("the daemon's user may not read it");
    assert!(notice.contains("log.1 cannot be read"), "{notice}");
    assert!(notice.contains("the stream waits"), "{notice}");
    assert_eq!(daemon.ledger().received, 0, "not even of the newer file");
    fs::set_permissions(logs.path("log.1"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(arrived(&daemon, 10), expected(0, 10));
    daemon.stop();
}

#[test]
fn a_file_that_becomes_a_folder_is_read_to_its_end() {
    let logs = Logs::new();
    logs.append("log", lines(0, 5));
    let daemon = logs.daemon(ONE);
    arrived(&daemon, 5);
    logs.rename("log", "away");
    fs::create_dir(logs.path("log")).unwrap();
    logs.append("away", lines(5, 7));
    assert_eq!(arrived(&daemon, 7), expected(0, 7));
    let notice = daemon.wait_for_notice("is a folder now");
    assert!(notice.contains("read to its end"), "{notice}");
    fs::remove_dir(logs.path("log")).unwrap();
    logs.append("log", lines(7, 9));
    assert_eq!(arrived(&daemon, 9), expected(0, 9));
    daemon.stop();
}

#[test]
fn a_stream_whose_files_vanish_ends_and_may_come_back() {
    let logs = Logs::new();
    logs.append("log", lines(0, 5));
    let daemon = logs.daemon(ONE);
    arrived(&daemon, 5);
    fs::remove_file(logs.path("log")).unwrap();
    daemon.wait_for("end", |ledger| ledger.streams_closed == 1);
    logs.append("log", lines(5, 8));
    assert_eq!(arrived(&daemon, 8), expected(0, 8));
    let ledger = daemon.stop();
    assert_eq!(ledger.streams_opened, 2);
}

#[test]
fn a_folder_that_vanishes_is_told_and_looked_for_again() {
    let logs = Logs::new();
    logs.append("log", lines(0, 5));
    let daemon = logs.daemon(ONE);
    arrived(&daemon, 5);
    let folder = logs.path("");
    let away = folder.parent().unwrap().parent().unwrap().join("away");
    fs::rename(&folder, &away).unwrap();
    daemon.wait_for_notice("cannot be listed");
    fs::rename(&away, &folder).unwrap();
    logs.append("log", lines(5, 8));
    assert_eq!(arrived(&daemon, 8), expected(0, 8));
    daemon.stop();
}

// ---- compressed files ----

#[test]
fn compressed_files_are_read_in_their_place() {
    let logs = Logs::new();
    let mut two = compressed(lines(0, 1000).as_bytes());
    two.extend(compressed(lines(1000, 2000).as_bytes()));
    fs::write(logs.path("log.2.gz"), &two).unwrap();
    logs.append("log.1", lines(2000, 2100));
    logs.append("log", lines(2100, 2200));
    let daemon = logs.daemon(NUMBERED);
    assert_eq!(arrived(&daemon, 2200), expected(0, 2200));
    daemon.stop();
}

#[test]
fn a_position_in_a_compressed_file_is_found_again() {
    let logs = Logs::new();
    fs::write(logs.path("log.1.gz"), compressed(lines(0, 5000).as_bytes())).unwrap();
    let daemon = logs.daemon(NUMBERED);
    arrived(&daemon, 5000);
    daemon.stop();
    assert_eq!(journalled(&logs, "logs").1, lines(0, 5000).len() as u64);
    logs.append("log", lines(5000, 5010));
    let daemon = logs.daemon(NUMBERED);
    assert_eq!(arrived(&daemon, 10), expected(5000, 5010));
    daemon.stop();
}

#[test]
fn a_compressed_file_that_grows_is_read_on() {
    let logs = Logs::new();
    let whole = compressed(lines(0, 3000).as_bytes());
    let half = whole.len() / 2;
    logs.append("log.1.gz", &whole[..half]);
    logs.append("log", lines(3000, 3010));
    let daemon = logs.daemon(NUMBERED);
    daemon.wait_for_arrival(|now| now.is_empty().then(|| "the first half".to_owned()));
    logs.append("log.1.gz", &whole[half..]);
    assert_eq!(arrived(&daemon, 3010), expected(0, 3010));
    daemon.stop();
}

#[test]
fn damage_in_a_compressed_file_is_told_and_the_next_file_read() {
    let logs = Logs::new();
    let mut damaged = compressed(lines(0, 10).as_bytes());
    damaged.extend(b"no gzip");
    logs.append("log.1.gz", &damaged);
    logs.append("log", lines(10, 20));
    let daemon = logs.daemon(NUMBERED);
    assert_eq!(arrived(&daemon, 20), expected(0, 20));
    let notice = daemon.wait_for_notice("is damaged");
    assert!(
        notice.contains("log.1.gz") && notice.contains("the rest of it is lost"),
        "{notice}"
    );
    daemon.stop();
}
