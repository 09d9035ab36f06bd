//! FileOutput: what is in the file, its mode and name, reopening, a full disk.
//!
//! Owns:    the claims about files, and a small disk to fill.
//! Runs on: tests.            Plane: both.
//! Bounds:  a megabyte of disk.
//! Never:   waits for midnight: how names change then is tested beside the plugin.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tests::daemon::connect;
use tests::{Daemon, Place, tools, until};

const LINES: &str = r#"
[hekad]
shards = 1
log_flags = 0
base_dir = "{dir}"
shutdown_timeout = "{timeout}"

[Lines]
type = "TcpInput"
address = "{host}:5140"
splitter = "TokenSplitter"
decoder = ""

[File]
type = "FileOutput"
message_matcher = "TRUE"
encoder = "AsItCame"
path = "{path}"
perm = "640"
folder_perm = "750"
[File.retries]
delay = "10ms"
max_delay = "50ms"
max_jitter = "1ms"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

fn config(path: &str, timeout: &str) -> String {
    LINES.replace("{path}", path).replace("{timeout}", timeout)
}

fn lines(from: usize, to: usize) -> String {
    (from..to)
        .map(|number| format!("line {number:06} {}\n", "x".repeat(80)))
        .collect()
}

fn wait_for_size(path: &Path, bytes: usize) {
    until(&format!("{bytes} bytes in {}", path.display()), || {
        let size = fs::metadata(path).map_or(0, |data| data.len());
        (size >= bytes as u64).then_some(())
    });
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn lines_are_in_the_file_as_they_came() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &config("{dir}/in/some/folder/out.log", "30s"));
    let text = lines(0, 5_000);
    connect(place.at(5140))
        .write_all(text.as_bytes())
        .expect("it reads");
    let ended = daemon.stop();
    let path = place.path("in/some/folder/out.log");
    assert!(fs::read_to_string(&path).expect("it was written") == text);
    assert_eq!(mode(&path), 0o640);
    assert_eq!(mode(path.parent().expect("a folder")), 0o750);
    assert_eq!(ended.count("inputs.Lines.delivered"), 5_000);
    assert_eq!(ended.count("outputs.File.bytes"), text.len() as u64);
}

#[test]
fn a_rotated_file_is_named_after_the_day() {
    let place = Place::new();
    let daily =
        config("{dir}/%Y-%m-%d.log", "30s").replace("\nperm", "\nrotation_interval = 24\nperm");
    let daemon = Daemon::start(&place, &daily);
    connect(place.at(5140))
        .write_all(b"a line\n")
        .expect("it reads");
    daemon.stop();
    let entries = fs::read_dir(place.path("")).expect("the folder");
    let names = entries.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let logs: Vec<String> = names.filter(|name| name.ends_with(".log")).collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    let digits = logs[0]
        .trim_end_matches(".log")
        .split('-')
        .map(|part| part.parse::<u32>().map(|_| part.len()));
    assert_eq!(
        digits.collect::<Result<Vec<_>, _>>(),
        Ok(vec![4, 2, 2]),
        "{logs:?}"
    );
}

#[test]
fn a_file_that_was_moved_is_opened_again_on_sighup() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &config("{dir}/out.log", "30s"));
    let (path, moved) = (place.path("out.log"), place.path("out.log.1"));
    let mut stream = connect(place.at(5140));
    let (first, second) = (lines(0, 1_000), lines(1_000, 2_000));
    stream.write_all(first.as_bytes()).expect("it reads");
    wait_for_size(&path, first.len());
    fs::rename(&path, &moved).expect("both are in one folder");
    daemon.signal(Signal::SIGHUP);
    until("a new file", || path.exists().then_some(()));
    stream.write_all(second.as_bytes()).expect("it reads");
    drop(stream);
    daemon.stop();
    assert!(fs::read_to_string(&moved).expect("it was written") == first);
    assert!(fs::read_to_string(&path).expect("it was written") == second);
}

#[test]
fn framed_messages_are_read_by_cat() {
    let place = Place::new();
    let config = r#"
[In]
type = "TcpInput"
address = "{host}:5565"

[File]
type = "FileOutput"
message_matcher = "TRUE"
encoder = "ProtobufEncoder"
path = "{dir}/out.log"
"#;
    let daemon = Daemon::start(&place, config);
    let address = place.at(5565).to_string();
    tools::succeed(&[
        "flood",
        "--address",
        &address,
        "--messages",
        "3000",
        "--size",
        "200",
        "--ascii-only",
    ]);
    daemon.stop();
    let file = place.path("out.log");
    let file = file.to_str().expect("a plain path");
    let count = |expression: &str| {
        let text = tools::succeed(&["cat", "--format", "count", "--match", expression, file]);
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        digits
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("no count in {text:?}"))
    };
    assert_eq!(count("TRUE"), 3000);
    assert_eq!(count("Type == 'hekabench' && Fields[seq] >= 2900"), 100);
}

#[test]
fn what_no_disk_takes_waits_and_is_reported() {
    let place = Place::new();
    let daemon = Daemon::start(&place, &config("/dev/full", "1s"));
    connect(place.at(5140))
        .write_all(lines(0, 3).as_bytes())
        .expect("it reads");
    daemon.wait_for("cannot write to /dev/full: No space left on device");
    daemon.signal(Signal::SIGTERM);
    let ended = daemon.ended();
    assert_eq!(ended.status, 1, "{}", ended.said);
    assert_eq!(ended.count("inputs.Lines.delivered"), 0);
    let dropped: u64 = ended.dropped("Lines").iter().map(|(_, count)| count).sum();
    assert_eq!(
        ended.count("inputs.Lines.in_flight") + dropped,
        3,
        "{}",
        ended.said
    );
}

#[test]
fn a_full_disk_holds_messages_back_until_there_is_room() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.path("disk")) else {
        eprintln!("no file system may be mounted here: nothing was tested");
        return;
    };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 700 * 1024]).expect("room");
    let daemon = Daemon::start(&place, &config("{dir}/disk/out.log", "30s"));
    let text = lines(0, 8_000);
    assert!(
        (400..900).contains(&(text.len() / 1024)),
        "more than is left, less than the disk"
    );
    let mut stream = connect(place.at(5140));
    stream.write_all(text.as_bytes()).expect("it reads");
    daemon.wait_for("No space left on device");
    fs::remove_file(&ballast).expect("it is there");
    daemon.wait_for("writing to");
    drop(stream);
    let ended = daemon.stop();
    assert!(fs::read_to_string(disk.0.join("out.log")).expect("it was written") == text);
    assert_eq!(ended.count("inputs.Lines.delivered"), 8_000);
}

/// A file system of one megabyte.
struct Disk(PathBuf);

impl Disk {
    /// `None` where that is not allowed.
    fn mount(at: PathBuf) -> Option<Disk> {
        fs::create_dir(&at).expect("a folder for the test");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Disk(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a daemon may still have its file open when a test fails.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
