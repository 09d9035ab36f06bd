//! LogstreamerInput in the real binary: killed while files are written and rotated, and the example.
//!
//! Owns:    a program that writes and rotates a log, and the count of its lines in the output.
//! Runs on: tests; the program on a thread of its own.            Plane: both.
//! Bounds:  `KILLS` kills, or as many as the variable HEKAD_KILLS says.
//! Never:   relies on when a kill comes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tests::{Daemon, Place, tools, until};

/// Kills in a run of all tests.
const KILLS: usize = 5;

/// Lines in one file.
const LINES_A_FILE: usize = 400;

/// Lines that must come through before the next kill.
const LINES_A_LIFE: usize = 300;

const CONFIG: &str = r#"
[hekad]
shards = 1
log_flags = 0
base_dir = "{dir}"

[Logs]
type = "LogstreamerInput"
log_directory = "{dir}/log"
file_match = 'app\.log\.?(?P<Seq>\d*)(\.gz)?'
priority = ["^Seq"]
check_data_interval = "5ms"
rescan_interval = "50ms"

[File]
type = "FileOutput"
message_matcher = "TRUE"
encoder = "AsItCame"
path = "{dir}/out.log"

[AsItCame]
type = "PayloadEncoder"
append_newlines = false
"#;

/// The line of a number: its mark, its number, and as many bytes as the number says.
fn line(number: usize) -> String {
    format!("#{number:07} {}\n", "x".repeat(number % 150))
}

/// How often each line stands in a file. Half a line may stand where the daemon was killed in the midst of a write.
fn counts(path: &Path, lines: usize) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut counts = vec![0; lines];
    for piece in text.split('#') {
        let number = piece
            .get(..7)
            .and_then(|digits| digits.parse::<usize>().ok());
        if let Some(number) = number.filter(|&number| number < lines)
            && line(number)[1..] == *piece
        {
            counts[number] += 1;
        }
    }
    counts
}

/// A program that logs. Its files are renamed when they are full; every other one is compressed by the way.
struct Program {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Program {
    fn start(folder: PathBuf) -> Program {
        // The binary may have to be built first; the program would fill the disk meanwhile.
        tools::succeed(&["plugins"]);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut number, mut rotations) = (0, 0);
            while !stopped.load(Ordering::Acquire) {
                let mut file = open(&folder.join("app.log"));
                for _ in 0..LINES_A_FILE / 8 {
                    let text: String = (number..number + 8).map(line).collect();
                    // In two writes, so that there often is half a line.
                    let (first, second) = text.split_at(text.len() - 5);
                    for part in [first, second] {
                        file.write_all(part.as_bytes()).expect("room");
                    }
                    number += 8;
                    std::thread::sleep(Duration::from_micros(200));
                }
                rotate(&folder, rotations);
                rotations += 1;
            }
            number
        });
        Program { stop, thread }
    }

    /// Stops it; answers how many lines it has written.
    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("it does not panic")
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("a file of the test")
}

fn rotate(folder: &Path, rotations: usize) {
    for number in (1..=rotations).rev() {
        for end in ["", ".gz"] {
            let name = |number: usize| folder.join(format!("app.log.{number}{end}"));
            if name(number).exists() {
                fs::rename(name(number), name(number + 1)).expect("one folder");
            }
        }
    }
    fs::rename(folder.join("app.log"), folder.join("app.log.1")).expect("one folder");
    if rotations % 2 == 1 {
        let file = folder.join("app.log.2");
        let packed = std::process::Command::new("gzip").arg(&file).status();
        assert!(packed.is_ok_and(|status| status.success()), "gzip is there");
    }
}

#[test]
fn no_line_is_missing_however_often_the_daemon_is_killed() {
    let kills = std::env::var("HEKAD_KILLS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let place = Place::new();
    let (folder, out) = (place.path("log"), place.path("out.log"));
    fs::create_dir(&folder).expect("a new folder");
    let program = Program::start(folder);
    for _ in 0..kills {
        let before = fs::metadata(&out).map_or(0, |data| data.len());
        let daemon = Daemon::start(&place, CONFIG);
        let enough = before + (line(149).len() * LINES_A_LIFE / 2) as u64;
        until("lines in the output", || {
            let size = fs::metadata(&out).map_or(0, |data| data.len());
            (size >= enough).then_some(())
        });
        daemon.kill();
    }
    let lines = program.stop();
    let daemon = Daemon::start(&place, CONFIG);
    until("the last line", || {
        let all = counts(&out, lines).iter().all(|&count| count > 0);
        all.then_some(())
    });
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Logs.in_flight"), 0);
    let repeated: usize = counts(&out, lines).iter().map(|count| count - 1).sum();
    println!("{kills} kills: {lines} lines, {repeated} of them once more");
}

#[test]
fn a_restart_in_order_repeats_nothing() {
    let place = Place::new();
    let (folder, out) = (place.path("log"), place.path("out.log"));
    fs::create_dir(&folder).expect("a new folder");
    let program = Program::start(folder);
    for _ in 0..3 {
        let before = fs::metadata(&out).map_or(0, |data| data.len());
        let daemon = Daemon::start(&place, CONFIG);
        until("lines in the output", || {
            let size = fs::metadata(&out).map_or(0, |data| data.len());
            (size > before).then_some(())
        });
        daemon.stop();
    }
    let lines = program.stop();
    let daemon = Daemon::start(&place, CONFIG);
    until("the last line", || {
        let all = counts(&out, lines).iter().all(|&count| count > 0);
        all.then_some(())
    });
    daemon.stop();
    assert!(counts(&out, lines).iter().all(|&count| count == 1));
    let text = fs::read_to_string(&out).expect("it was written");
    assert!(text == (0..lines).map(line).collect::<String>(), "in order");
}

#[test]
fn the_example_reads_what_it_says() {
    let place = Place::new();
    let text = tools::project_file("examples/logs.toml");
    let text = text
        .replace("/var/log", "{dir}/log")
        .replace("/tmp/hekad-logs", "{dir}/cache");
    let nginx = place.path("log/nginx/shop.example");
    fs::create_dir_all(&nginx).expect("a new folder");
    fs::write(nginx.join("access.log.1"), "GET /old\n").expect("room");
    fs::write(nginx.join("access.log"), "GET /new\n").expect("room");
    fs::write(place.path("log/syslog"), "kernel: hello\n").expect("room");
    let config = place.write("shown.toml", &text);
    let shown = tools::succeed(&["logstreamer", "--config", config.to_str().expect("plain")]);
    for stream in ["[nginx-shop.example-access]", "[System]"] {
        assert!(shown.contains(stream), "{shown}");
    }
    let daemon = Daemon::start(&place, &text);
    daemon.wait_for("GET /new\n");
    daemon.wait_for("kernel: hello\n");
    let said = daemon.said();
    assert!(said.find("GET /old\n") < said.find("GET /new\n"), "{said}");
    let ended = daemon.stop();
    assert_eq!(ended.count("inputs.Nginx.delivered"), 2);
    assert_eq!(ended.count("inputs.System.delivered"), 1);
}
