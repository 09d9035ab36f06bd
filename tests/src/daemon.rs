//! The daemon as a process: started, asked, signalled, stopped, and its ledger checked.
//!
//! Owns:    `Place` (a test's folder and address), `Daemon`, `Ended`.
//! Runs on: tests; one thread a daemon reads what it says.            Plane: control.
//! Bounds:  every wait by `PATIENCE`.
//! Never:   leaves a process behind, or lets a ledger pass that does not balance.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::{PATIENCE, binary};

/// A folder, and an address of loopback that no other test has: its ports are all free.
#[derive(Debug)]
pub struct Place {
    folder: tempfile::TempDir,
    host: String,
}

impl Place {
    /// A new folder and address.
    #[expect(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < 255, "more places than the last byte counts");
        let process = std::process::id();
        let host = format!("127.{}.{}.{number}", 1 + process / 256 % 254, process % 256);
        Place {
            folder: tempfile::tempdir().expect("a folder for the test"),
            host,
        }
    }

    /// The address, without a port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The address with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.host.parse().expect("an address"), port)
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; `{host}` and `{dir}` in the text become the place's own.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let folder = self.folder.path().to_string_lossy();
        let text = text.replace("{host}", &self.host).replace("{dir}", &folder);
        fs::write(&path, text).expect("a file for the test");
        path
    }
}

/// What a daemon has said on standard error, as it comes.
#[derive(Debug, Default)]
struct Said {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl Said {
    /// Waits until `look` finds something in the text. `None` if it ended without.
    fn wait<T>(&self, look: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.text.lock().expect("the reader does not panic");
        loop {
            if let Some(found) = look(&said.0) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if said.1 || left.is_zero() {
                return Err(said.0.clone());
            }
            said = self
                .more
                .wait_timeout(said, left)
                .expect("the reader does not panic")
                .0;
        }
    }

    fn read(&self, from: impl std::io::Read) {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).unwrap_or(0);
            let mut said = self.text.lock().expect("the waiting test does not panic");
            said.0.push_str(&String::from_utf8_lossy(&line));
            said.1 = read == 0;
            self.more.notify_all();
            if read == 0 {
                return;
            }
        }
    }
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    said: Arc<Said>,
    report: PathBuf,
}

impl Daemon {
    /// Starts a daemon and waits until it runs. The configuration may say `{host}` and `{dir}`. Without a `[hekad]` section of its own
    /// it gets one shard, and log lines without a time.
    pub fn start(place: &Place, config: &str) -> Daemon {
        let daemon = Daemon::launch(place, config);
        let running = daemon
            .said
            .wait(|text| text.contains("hekad is running").then_some(()));
        running.unwrap_or_else(|said| panic!("the daemon did not start:\n{said}"));
        daemon
    }

    /// As `start`, under a limit as the shell's `ulimit` takes it: `-n 100`.
    pub fn start_under(limit: &str, place: &Place, config: &str) -> Daemon {
        let mut limited = Command::new("sh");
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        limited.args(["-c", &script]).arg(binary::path());
        let daemon = Daemon::launch_by(limited, place, config);
        daemon.wait_for("hekad is running");
        daemon
    }

    /// Starts a daemon that need not come far.
    pub fn launch(place: &Place, config: &str) -> Daemon {
        Daemon::launch_by(Command::new(binary::path()), place, config)
    }

    fn launch_by(program: Command, place: &Place, config: &str) -> Daemon {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let head = if config.contains("[hekad]") {
            ""
        } else {
            "[hekad]\nshards = 1\nlog_flags = 0\nbase_dir = \"{dir}\"\n"
        };
        let config = place.write(&format!("hekad-{number}.toml"), &format!("{head}{config}"));
        Daemon::of(
            program,
            &config,
            place.path(&format!("report-{number}.json")),
        )
    }

    fn of(mut program: Command, config: &Path, report: PathBuf) -> Daemon {
        let mut child = program
            .arg("--config")
            .arg(config)
            .arg("--report-json")
            .arg(&report)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hekad can be started");
        let said = Arc::new(Said::default());
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let reader = Arc::clone(&said);
        std::thread::spawn(move || reader.read(stderr));
        Daemon {
            child,
            said,
            report,
        }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said
            .text
            .lock()
            .expect("the reader does not panic")
            .0
            .clone()
    }

    /// Waits until it has said a text.
    pub fn wait_for(&self, text: &str) {
        self.wait(text, |said| said.contains(text).then_some(()));
    }

    /// Waits until `look` finds something in what it has said.
    pub fn wait<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let found = self.said.wait(look);
        found.unwrap_or_else(|said| panic!("waited in vain for {what:?} in:\n{said}"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the daemon is there");
    }

    /// Asks for a report (SIGUSR1) and waits for it.
    pub fn report(&self) -> String {
        const HEAD: &str = "========[heka.all-report]========\n";
        let before = self.said().matches(HEAD).count();
        self.signal(Signal::SIGUSR1);
        self.wait("a report", |said| {
            let (_, report) = said.rsplit_once(HEAD)?;
            let complete = report.lines().any(|line| line == "========");
            (complete && said.matches(HEAD).count() > before).then(|| report.to_owned())
        })
    }

    /// The sum over all lines `name: N` of its report.
    pub fn total(&self, name: &str) -> u64 {
        sum_of(&self.report(), name)
    }

    /// Waits until the sum over all lines `name: N` of its report is `count`.
    pub fn wait_for_count(&self, name: &str, count: u64) {
        let mut last = String::new();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            last = self.report();
            if sum_of(&last, name) == count {
                return;
            }
        }
        panic!("waited in vain for {name}: {count} in\n{last}");
    }

    /// A figure of its memory in bytes, as the kernel names it: `VmRSS`, `VmHWM`.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the daemon runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("a figure in kilobytes") * 1024
    }

    /// Processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        // Fields 14 and 15, after the name in brackets, which may hold anything; in hundredths of a second.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the daemon runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times
            .map(|ticks| ticks.parse::<u64>().expect("a count"))
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Stops it in order (SIGTERM) and checks its ledger. Nothing may be left undelivered.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.ended();
        assert_eq!(ended.status, 0, "{}", ended.said);
        ended
    }

    /// Waits until it ends, and checks its ledger where it came to have one.
    pub fn ended(mut self) -> Ended {
        // Standard error is closed by the end of the process.
        let open = self.said.wait(|_| None::<()>);
        let said = open.expect_err("nothing was looked for");
        let closed = self.said.text.lock().expect("the reader does not panic").1;
        assert!(closed, "the daemon does not end:\n{said}");
        let status = self.child.wait().expect("the daemon was started");
        let report = fs::read_to_string(&self.report).ok();
        let ended = Ended {
            status: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            report: report.map_or(Value::Null, |text| {
                text.parse().expect("the report is JSON")
            }),
            said,
        };
        ended.check();
        ended
    }

    /// Whether it has not ended by itself.
    pub fn runs(&mut self) -> bool {
        let status = self.child.try_wait().expect("a child can be asked");
        status.is_none()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("the daemon runs");
        self.child.wait().expect("the daemon was started");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; for one that a signal ended, 128 and its number.
    pub status: i32,
    /// What it said.
    pub said: String,
    /// Its last report; null if there was none.
    pub report: Value,
}

impl Ended {
    /// A number of the report by its path; 0 where there is none.
    pub fn count(&self, path: &str) -> u64 {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.report
            .pointer(&pointer)
            .and_then(Value::as_u64)
            .unwrap_or(0)
    }

    /// What an input dropped: all causes and their counts, by name.
    pub fn dropped(&self, input: &str) -> Vec<(String, u64)> {
        drops(&self.report["inputs"][input]["dropped"])
    }

    fn check(&self) {
        assert!(!self.said.contains("panicked at"), "{}", self.said);
        let inputs = self.report["inputs"].as_object().into_iter().flatten();
        let filters = self.report["filters"].as_object().into_iter().flatten();
        let ledgers = inputs.chain(filters.map(|(name, filter)| (name, &filter["injected"])));
        for (name, ledger) in ledgers {
            let count = |key: &str| {
                ledger[key]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{name} has no {key}: {ledger}"))
            };
            let dropped: u64 = drops(&ledger["dropped"])
                .iter()
                .map(|(_, count)| count)
                .sum();
            let in_flight = count("in_flight");
            assert_eq!(
                count("received"),
                count("delivered") + count("unmatched") + in_flight + dropped,
                "the ledger of {name} does not balance: {ledger}"
            );
            assert!(
                self.status != 0 || in_flight == 0,
                "{name} ended well with messages in flight: {ledger}"
            );
        }
    }
}

fn drops(table: &Value) -> Vec<(String, u64)> {
    let entries = table.as_object().into_iter().flatten();
    let counted = entries.map(|(cause, count)| (cause.clone(), count.as_u64().expect("a count")));
    counted.collect()
}

fn sum_of(report: &str, name: &str) -> u64 {
    let lines = report.lines().map(str::trim);
    let counts = lines.filter_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(": ")?
            .parse::<u64>()
            .ok()
    });
    counts.sum()
}

/// Connects, however long the other side takes to listen.
pub fn connect(to: SocketAddr) -> TcpStream {
    let stream = crate::until("a listening socket", || TcpStream::connect(to).ok());
    stream.set_nodelay(true).expect("a socket option");
    stream
}
