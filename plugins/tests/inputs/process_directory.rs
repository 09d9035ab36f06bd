//! Files that come, change and go while the daemon runs, and what runs because of them.
//!
//! Owns:    the claims about ProcessDirectoryInput.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few files a test.
//! Never:   depends on the time between two looks.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::daemon::Daemon;

const CODECS: &str = "[lines]\ntype = 'TokenSplitter'\n\
    [mark]\ntype = 'ScribbleDecoder'\n[mark.message_fields]\nMark = 'yes'\n";

/// The folder that `share_dir` names.
struct Share(TempDir);

impl Share {
    fn new() -> Share {
        Share(tempfile::tempdir().expect("a folder"))
    }

    fn start(&self) -> Daemon {
        let input = "[jobs]\ntype = 'ProcessDirectoryInput'\nticker_interval = 1\n\
            [jobs.retries]\nmax_retries = 0\n";
        let hekad = format!("[hekad]\nshare_dir = '{}'\n", self.0.path().display());
        Daemon::start(1, &format!("{input}{hekad}{CODECS}"))
    }

    /// A file below `processes`, whole for whoever looks meanwhile.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below")).expect("room");
        let new = path.with_extension("new");
        fs::write(&new, text).expect("room");
        fs::rename(&new, &path).expect("same folder");
        path.to_str().expect("text").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("processes").join(name)
    }
}

/// A section with these options whose command is a script.
fn job(options: &str, script: &str) -> String {
    format!(
        "[ProcessInput]\n{options}\n[ProcessInput.command.0]\nbin = 'sh'\nargs = ['-c', '''{script}''']\n"
    )
}

/// A command that says that it runs, and does so until it is ended.
fn stays(word: &str) -> String {
    job(
        "splitter = 'lines'",
        &format!("echo {word} $$; exec sleep 1000"),
    )
}

/// Waits for the message of such a command: its process.
fn started(daemon: &Daemon, word: &str) -> String {
    let mut pid = None;
    daemon.wait_for(word, |_| {
        let messages = daemon.messages_so_far();
        pid = messages.iter().find_map(|message| {
            let payload = message.split('|').nth(3)?;
            Some(payload.strip_prefix(word)?.trim().to_owned())
        });
        pid.is_some()
    });
    pid.expect("found just now")
}

fn exists(pid: &str) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn what_files_say_runs_under_their_names_with_the_daemons_codecs() {
    let share = Share::new();
    let options = "splitter = 'lines'\ndecoder = 'mark'";
    let path = share.write("1/job.toml", &job(options, "echo one"));
    let daemon = share.start();
    daemon.wait_for("two runs", |ledger| ledger.delivered >= 2);
    let pid = std::process::id();
    let expected = format!(
        "ProcessInput|{path}|here|one\n|0|{pid}|ProcessInputName={path}.stdout|ExitStatus=0|Mark=yes"
    );
    let messages = daemon.messages_so_far();
    assert!(
        messages.iter().all(|message| *message == expected),
        "{messages:?}"
    );
    let ledger = daemon.stop();
    assert_eq!(ledger.received, ledger.delivered);
}

#[test]
fn files_come_change_and_go() {
    let share = Share::new();
    let daemon = share.start();
    daemon.wait_for_notice("nothing runs until it is there");
    let kept = share.write("0/kept.toml", &stays("kept"));
    let job = share.write("0/job.toml", &stays("first"));
    let (kept_pid, first) = (started(&daemon, "kept"), started(&daemon, "first"));
    share.write("0/job.toml", &stays("second"));
    let second = started(&daemon, "second");
    daemon.wait_for_notice(&format!("{job}: its file has changed, it is started anew"));
    assert!(!exists(&first), "two at once");
    fs::remove_file(&job).expect("there");
    daemon.wait_for_notice(&format!("{job}: its file has gone, it is stopped"));
    assert!(!exists(&second));
    assert!(exists(&kept_pid));
    daemon.wait_for_notice(&format!("{kept}: started"));
    daemon.stop();
    assert!(!exists(&kept_pid));
}

#[test]
fn mistakes_are_shown_with_their_place_and_the_last_good_version_goes_on() {
    let share = Share::new();
    let path = share.write("0/job.toml", &stays("first"));
    let daemon = share.start();
    let first = started(&daemon, "first");
    share.write("0/job.toml", "[ProcessInput]\nimediate_start = true\n");
    let notice = daemon.wait_for_notice("what it said before goes on");
    for expected in [
        &*format!("{path}:2:1"),
        "2 | imediate_start = true\n  | ^^^^^^^^^^^^^^",
        "did you mean `immediate_start`?",
        "lacks `command`",
    ] {
        assert!(notice.contains(expected), "{notice}");
    }
    assert!(exists(&first));
    let new = share.write("0/new.toml", &job("splitter = 'line'", "true"));
    let notice = daemon.wait_for_notice("nothing of it runs");
    for expected in [&*format!("{new}:2:12"), "did you mean `lines`?"] {
        assert!(notice.contains(expected), "{notice}");
    }
    share.write("0/job.toml", &stays("second"));
    started(&daemon, "second");
    assert!(!exists(&first));
    daemon.stop();
}

#[test]
fn what_a_file_cannot_say_is_told() {
    let share = Share::new();
    let daemon = share.start();
    share.write("0/none.toml", "[Other]\ntype = 'ProcessInput'\n");
    let notice = daemon.wait_for_notice("there is no section `[ProcessInput]`");
    assert!(
        notice.contains("only `[ProcessInput]` is looked at"),
        "{notice}"
    );
    share.write(
        "0/type.toml",
        "[ProcessInput]\ntype = 'TcpInput'\naddress = ':0'\n",
    );
    daemon.wait_for_notice("this file is for the type ProcessInput alone");
    share.write("0/broken.toml", "[ProcessInput\n");
    daemon.wait_for_notice("broken.toml:1:");
    share.write(
        "0/ticks.toml",
        &job("ticker_interval = 5", "echo ticks; exec sleep 1000"),
    );
    daemon.wait_for_notice("`ticker_interval` has no effect");
    let path = share.path("0/text.toml");
    fs::write(path, [b'#', 0xff]).expect("room");
    daemon.wait_for_notice("line 1 is not valid UTF-8");
    daemon.stop();
}

#[test]
fn a_job_that_has_ended_for_good_ends_only_itself_unless_its_file_says_otherwise() {
    let once = "retries = { max_retries = 0 }";
    let share = Share::new();
    share.write("0/kept.toml", &stays("kept"));
    let path = share.write("0/job.toml", &job(once, "exit 3"));
    let daemon = share.start();
    daemon.wait_for_notice(&format!("{path} has ended: its commands"));
    let kept = started(&daemon, "kept");
    assert!(exists(&kept));
    share.write(
        "0/job.toml",
        &job(&format!("{once}\ncan_exit = false"), "exit 4"),
    );
    let error = daemon.wait_for_failure();
    assert!(
        error.contains("which may not end (`can_exit = false`)"),
        "{error}"
    );
    assert!(error.contains("exit status 4"), "{error}");
    assert!(!exists(&kept), "it has failed, and so nothing of it runs");
    daemon.stop();
}

#[test]
fn a_job_that_fails_is_started_again() {
    let share = Share::new();
    let retries = "retries = { delay = '1ms', max_jitter = '1ms' }";
    share.write("0/job.toml", &job(retries, "echo again"));
    let daemon = share.start();
    daemon.wait_for("three lives", |ledger| ledger.delivered >= 3);
    daemon.wait_for_notice("starting it again in");
    daemon.stop();
}
