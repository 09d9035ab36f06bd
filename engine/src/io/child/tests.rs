//! Real commands: what they are given, what is read of them, and that none of them stays.
//!
//! Owns:    the claims about chains that need no shard.
//! Runs on: tests.            Plane: data.
//! Bounds:  a run that does not end within `PATIENCE` fails its test.
//! Never:   depends on speed.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use futures_lite::future::{block_on, zip};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, dup};

use super::super::clock::Monotonic;
use super::super::stream::read;
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

const BOTH: ChainOptions = ChainOptions {
    stdout: true,
    stderr: true,
    timeout: None,
};

fn command(words: &[&str]) -> Command {
    Command {
        program: words[0].to_owned(),
        arguments: words[1..].iter().map(|word| (*word).to_owned()).collect(),
        ..Command::default()
    }
}

fn shell(script: &str) -> Command {
    command(&["sh", "-c", script])
}

fn start(commands: &[Command], options: ChainOptions) -> Started {
    start_chain("test", commands.into(), options).expect("a thread")
}

async fn all(output: Option<&mut ChildOutput>) -> String {
    let mut text = Vec::new();
    if let Some(output) = output {
        let mut buffer = [0; 1000];
        while output.ready().await {
            let len = read(output, &mut buffer).await.expect("a pipe");
            text.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(read(output, &mut buffer).await.expect("a pipe"), 0);
    }
    String::from_utf8(text).expect("text")
}

/// Runs to the end: standard output, standard error, how it ended.
fn finish(mut started: Started) -> (String, String, ChainEnd) {
    let (told, finished) = flume::bounded(1);
    std::thread::spawn(move || {
        let outcome = block_on(async {
            let outputs = (started.stdout.as_mut(), started.stderr.as_mut());
            let (stdout, stderr) = zip(all(outputs.0), all(outputs.1)).await;
            (stdout, stderr, started.chain.end().await)
        });
        told.send(outcome)
    });
    finished.recv_timeout(PATIENCE).expect("the chain ends")
}

fn run(commands: &[Command], options: ChainOptions) -> (String, String, ChainEnd) {
    finish(start(commands, options))
}

/// Exit codes; signals as negative numbers.
fn codes(end: &ChainEnd) -> Vec<i32> {
    let ChainEnd::Ended { statuses, .. } = end else {
        panic!("not started: {end:?}");
    };
    let code = |status: &Option<ExitStatus>| {
        let status = status.expect("it has ended");
        status.code().or(status.signal().map(|signal| -signal))
    };
    statuses
        .iter()
        .map(|status| code(status).expect("one of them"))
        .collect()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Monotonic::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "not {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process runs: one that has ended and that nobody has waited for does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let state = |stat: String| Some(stat.rsplit_once(") ")?.1.starts_with(['Z', 'X']));
    stat.ok().and_then(state) == Some(false)
}

#[test]
fn each_command_reads_what_the_one_before_wrote() {
    let commands = [
        shell("cat; echo three; echo one; echo two; echo lost >&2"),
        command(&["sort"]),
        shell("tr a-z A-Z; echo done >&2"),
    ];
    let (stdout, stderr, end) = run(&commands, BOTH);
    assert_eq!((&*stdout, &*stderr), ("ONE\nTHREE\nTWO\n", "done\n"));
    assert_eq!(codes(&end), [0, 0, 0]);
}

#[test]
fn every_command_tells_how_it_ended() {
    let commands = [
        shell("exit 3"),
        shell("kill -9 $$"),
        command(&["true"]),
        command(&["false"]),
    ];
    // The first ones may have ended before the last ones start, in whatever order.
    for _ in 0..20 {
        let (_, _, end) = run(&commands, ChainOptions::default());
        assert_eq!(codes(&end), [3, -9, 0, 1]);
    }
}

#[test]
fn what_nobody_reads_holds_nobody_up() {
    let flood = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 7";
    for options in [
        ChainOptions::default(),
        ChainOptions {
            stdout: true,
            ..ChainOptions::default()
        },
        BOTH,
    ] {
        let (stdout, stderr, end) = run(&[shell(flood)], options);
        assert_eq!(codes(&end), [7]);
        assert_eq!(stdout.len(), 1_000_000 * usize::from(options.stdout));
        assert_eq!(stderr.len(), 1_000_000 * usize::from(options.stderr));
    }
}

#[test]
fn environment_directory_and_name_are_as_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = Command {
        environment: vec![("COLOUR".to_owned(), "green".to_owned())],
        directory: Some(folder.path().to_owned()),
        ..shell("echo $COLOUR ${HOME-none}; pwd -P; echo $0")
    };
    let (stdout, _, _) = run(&[command], BOTH);
    let folder = folder.path().canonicalize().expect("there");
    assert_eq!(stdout, format!("green none\n{}\nsh\n", folder.display()));
    let (stdout, _, _) = run(&[shell("echo ${PATH:+inherited}")], BOTH);
    assert_eq!(stdout, "inherited\n");
}

#[test]
fn a_command_that_cannot_be_started_is_named_and_the_others_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").expect("room");
    let mut permissions = fs::metadata(&script).expect("there").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&script, permissions).expect("ours");
    let script = script.to_str().expect("text");
    let elsewhere = Command {
        directory: Some(folder.path().join("missing")),
        ..command(&["true"])
    };
    for (command, expected) in [
        (command(&["no-such-program"]), "no folder of PATH"),
        (command(&["/no/such/program"]), "No such file"),
        (command(&["/etc/passwd"]), "may not execute it"),
        (command(&["/tmp"]), "it is a folder"),
        (command(&[script]), "the interpreter"),
        (elsewhere, "cannot be entered"),
    ] {
        let first = shell("echo $$ > first; exec sleep 1000");
        let first = Command {
            directory: Some(folder.path().to_owned()),
            ..first
        };
        let (_, _, end) = run(&[first, command], BOTH);
        let ChainEnd::NotStarted { link: 1, why } = end else {
            panic!("{end:?}");
        };
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn time_is_up() {
    let options = ChainOptions {
        timeout: Some(Duration::from_millis(50)),
        ..BOTH
    };
    let forever = command(&["sleep", "1000"]);
    let (_, _, end) = run(&[forever.clone(), forever], options);
    assert!(matches!(
        end,
        ChainEnd::Ended {
            timed_out: true,
            ..
        }
    ));
    assert_eq!(codes(&end), [-15, -15]);
}

#[test]
fn children_of_children_end_too() {
    let script = "sleep 1000 & echo $!; trap '' TERM; sleep 1001 & echo $!; wait; wait";
    let mut started = start(&[command(&["sleep", "1002"]), shell(script)], BOTH);
    let mut text = String::new();
    while text.lines().count() < 2 || !text.ends_with('\n') {
        let mut some = [0; 100];
        let stdout = started.stdout.as_mut().expect("asked for");
        let len = block_on(read(stdout, &mut some)).expect("a pipe");
        text.push_str(std::str::from_utf8(&some[..len]).expect("digits"));
    }
    assert!(text.lines().all(runs));
    started.chain.terminate();
    let (_, _, end) = finish(started);
    assert_eq!(codes(&end)[0], -15);
    wait_until("killed", || !text.lines().any(runs));
}

#[test]
fn a_chain_that_is_told_to_end_may_say_a_last_word() {
    let script = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    // What reads it is not disturbed in that.
    let mut started = start(&[shell(script), command(&["cat"])], BOTH);
    let mut first = [0; 6];
    block_on(async {
        let stdout = started.stdout.as_mut().expect("asked for");
        assert_eq!(read(stdout, &mut first).await.expect("a pipe"), 6);
    });
    started.chain.terminate();
    let (stdout, _, end) = finish(started);
    assert_eq!((&first, &*stdout), (b"ready\n", "bye\n"));
    assert_eq!(codes(&end), [5, 0]);
}

#[test]
fn who_does_not_end_is_killed() {
    let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    let mut started = start(&[shell(script)], BOTH);
    block_on(async {
        let stdout = started.stdout.as_mut().expect("asked for");
        assert_eq!(read(stdout, &mut [0; 6]).await.expect("a pipe"), 6);
    });
    started.chain.terminate();
    let (_, _, end) = finish(started);
    assert_eq!(codes(&end), [-9]);
}

#[test]
fn a_dropped_chain_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pids");
    let script = format!(
        "sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; yes",
        file.display()
    );
    // Its output is not read, so that it waits in the middle of a write.
    let started = start(&[shell(&script)], BOTH);
    wait_until("running", || file.exists());
    drop(started);
    let pids = fs::read_to_string(&file).expect("there");
    wait_until("gone", || {
        // Not even as somebody who was not waited for.
        let own = pids.split_whitespace().nth(1).expect("two");
        !std::path::Path::new(&format!("/proc/{own}")).exists()
            && !pids.split_whitespace().any(runs)
    });
}

#[test]
fn a_flood_waits_while_it_is_not_read() {
    let mut started = start(&[command(&["yes"])], BOTH);
    let stdout = started.stdout.as_mut().expect("asked for");
    assert!(block_on(stdout.ready()));
    // All buffers are on this side: two chunks and what the reader holds; the pipe is full, and the writer sleeps in it.
    assert!(
        stdout
            .full
            .as_ref()
            .is_some_and(|full| full.len() <= CHUNKS)
    );
    let mut taken = 0;
    let mut buffer = vec![0; 100_000];
    while taken < 10_000_000 {
        taken += block_on(read(stdout, &mut buffer)).expect("a pipe");
    }
    started.chain.terminate();
    let (_, _, end) = finish(started);
    assert_eq!(codes(&end), [-15]);
}

#[test]
fn an_output_that_somebody_elsewhere_keeps_open_is_not_waited_for_after_a_kill() {
    // Until the chain is ended it is waited for, as a shell does for `$(...)`.
    let mut started = start(&[shell("setsid sleep 1000 & echo $! $$")], BOTH);
    let mut pids = [0; 40];
    let len = block_on(async {
        let stdout = started.stdout.as_mut().expect("asked for");
        read(stdout, &mut pids).await.expect("a pipe")
    });
    let pids = std::str::from_utf8(&pids[..len]).expect("digits");
    let (pid, shell) = pids.trim().split_once(' ').expect("two");
    wait_until("a session of its own", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // State, parent, group, session.
        let session = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(3));
        session == Some(pid) && !runs(shell)
    });
    started.chain.terminate();
    let (_, _, end) = finish(started);
    assert_eq!(codes(&end), [0]);
    let pid = pid.parse().expect("a number");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it was not in the group");
}

#[test]
fn children_get_no_descriptor_no_blocked_signal_and_all_cores() {
    let (told, heard) = flume::bounded(1);
    let all_cores = sched_getaffinity(Pid::this()).expect("ours");
    std::thread::spawn(move || {
        // As a shard's thread, and one that was given a descriptor for all its children.
        SigSet::all().thread_block().expect("ours");
        let mut one = CpuSet::new();
        let first = (0..CpuSet::count()).find(|&core| all_cores.is_set(core) == Ok(true));
        one.set(first.expect("a core")).expect("a core");
        sched_setaffinity(Pid::from_raw(0), &one).expect("ours");
        let passed_on = dup(std::io::stderr()).expect("a descriptor");
        let script = "ls /proc/self/fd; grep -E 'SigBlk|Cpus_allowed_list' /proc/self/status";
        let started = start(&[shell(script)], BOTH);
        told.send((finish(started).0, passed_on))
    });
    let (stdout, _) = heard.recv_timeout(PATIENCE).expect("it ends");
    let lines: Vec<&str> = stdout.lines().collect();
    // The fourth is the folder itself.
    assert_eq!(lines[..4], ["0", "1", "2", "3"], "{stdout}");
    assert_eq!(lines[4], "SigBlk:\t0000000000000000", "{stdout}");
    let ours = fs::read_to_string("/proc/self/status").expect("ours");
    assert!(ours.lines().any(|line| line == lines[5]), "{stdout}");
    assert_eq!(lines.len(), 6, "{stdout}");
}
