//! One measurement: a receiver on one processor, a sender on the other, and what came of it.
//!
//! Owns:    the order of starting, sending, sampling and stopping, and the processors.
//! Runs on: the measuring process, which sleeps while the others work.            Plane: control.
//! Bounds:  every wait; children are killed when a measurement fails.
//! Never:   reports a rate of messages whose count was not checked.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::bare::Done;
use crate::check;
use crate::cli::Transport;
use crate::clock::{monotonic_nanoseconds, spawn_pinned};
use crate::process;
use crate::program::Program;
use crate::receiver::Received;
use crate::scenario::{
    BARE_SYNC_BYTES, Bare, Destination, Matchers, Origin, Scenario, Values, render,
};
use crate::sender::Sent;
use crate::tail::Source;

/// Receive buffer of the bare loop and the sink, bytes: the best size for a plain read.
const RAW_BUFFER_BYTES: usize = 64 * 1024;

/// Where a program looks for files, in its folder.
const LOGS: &str = "logs";

/// Longest wait for what a program still has to write or read after the sender's end.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// Pause between looks at a file or a socket that is settling.
const SETTLE_STEP: Duration = Duration::from_millis(5);

/// What stays the same over a run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Processor of the program under test and of the bare loop.
    pub(crate) receiver_cpu: usize,
    /// Processor of the sender and of the sink.
    pub(crate) sender_cpu: usize,
    /// Seconds of sending.
    pub(crate) seconds: f64,
    /// Connections.
    pub(crate) connections: usize,
    /// Folder of the run.
    pub(crate) dir: PathBuf,
}

/// A program that can be measured.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Name in the scenario's table.
    pub(crate) name: String,
    /// Executable.
    pub(crate) path: PathBuf,
    /// Version text for its config.
    pub(crate) version: String,
    /// Config template.
    pub(crate) template: &'static str,
}

/// What one measurement came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    /// From the first byte sent until the last one was taken, seconds.
    pub(crate) seconds: f64,
    /// Messages that arrived.
    pub(crate) messages: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// Datagrams that the kernel dropped.
    pub(crate) lost: u64,
    /// CPU time of the receiving process while it received, seconds.
    pub(crate) cpu_seconds: f64,
    /// Its largest resident size, bytes.
    pub(crate) peak_rss_bytes: u64,
}

impl Measurement {
    /// Gigabits a second.
    pub(crate) fn gigabits(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e9 / self.seconds
    }
}

/// A child of this program's own, which prints one line of JSON at its end.
struct Helper {
    child: Child,
}

impl Helper {
    fn start(arguments: &[String], cpu: usize) -> Result<Helper, String> {
        let me = env::current_exe().map_err(|error| format!("where am I? {error}"))?;
        let mut command = Command::new(me);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let child = spawn_pinned(&mut command, cpu)
            .map_err(|error| format!("cannot start {}: {error}", arguments[0]))?;
        Ok(Helper { child })
    }

    fn result<T: DeserializeOwned>(mut self, what: &str) -> Result<T, String> {
        let mut text = String::new();
        let mut pipe = self.child.stdout.take().ok_or("the helper has no output")?;
        pipe.read_to_string(&mut text)
            .map_err(|error| format!("{what}: {error}"))?;
        let status = self
            .child
            .wait()
            .map_err(|error| format!("{what}: {error}"))?;
        if !status.success() {
            return Err(format!("the {what} ended with {status}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{what}: {error} in {text:?}"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail on a child that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

fn start_sender(
    scenario: &Scenario,
    case: Matchers,
    port: u16,
    setting: &Setting,
) -> Result<Helper, String> {
    let arguments = words(&format!(
        "sender --port {port} --transport {} --format {} --bytes {} --types {} --seconds {} --bytes-max {} \
         --connections {}",
        transport_name(scenario.transport),
        scenario.format.name(),
        scenario.message_bytes,
        case.types(),
        setting.seconds,
        scenario.bytes_max,
        setting.connections,
    ));
    Helper::start(&arguments, setting.sender_cpu)
}

fn start_receiver(
    transport: Transport,
    port: u16,
    connections: usize,
    checks: &str,
    cpu: usize,
) -> Result<Helper, String> {
    let arguments = words(&format!(
        "receiver --port {port} --transport {} --connections {connections} --buffer {RAW_BUFFER_BYTES} {checks}",
        transport_name(transport),
    ));
    let mut helper = Helper::start(&arguments, cpu)?;
    let alive = || matches!(helper.child.try_wait(), Ok(None));
    if process::wait_until_listening(transport, port, SETTLE_MAX, alive) {
        return Ok(helper);
    }
    Err(format!("perf's receiver does not listen on port {port}"))
}

/// The receiver behind a relay, which checks where messages begin.
fn start_sink(scenario: &Scenario, port: u16, setting: &Setting) -> Result<Helper, String> {
    let checks = format!(
        "--message-bytes {} --first-byte {}",
        scenario.message_bytes,
        scenario.format.first_byte()
    );
    start_receiver(Transport::Tcp, port, 1, &checks, setting.sender_cpu)
}

/// Measures what the scenario's programs are compared with.
pub(crate) fn measure_raw(
    scenario: &Scenario,
    case: Matchers,
    setting: &Setting,
) -> Result<Measurement, String> {
    let (done, end) = match scenario.bare {
        Bare::Receive => return measure_receive(scenario, case, setting),
        Bare::Append => {
            let arguments = words(&format!(
                "appender --path {} --format {} --bytes {} --buffer {RAW_BUFFER_BYTES} --sync-bytes {BARE_SYNC_BYTES} \
                 --seconds {} --bytes-max {}",
                setting.dir.join("appended").display(),
                scenario.format.name(),
                scenario.message_bytes,
                setting.seconds,
                scenario.bytes_max,
            ));
            let appender = Helper::start(&arguments, setting.receiver_cpu)?;
            let done: Done = appender.result("bare append")?;
            (done, done.end)
        }
        Bare::Count | Bare::Relay => measure_read(scenario, case, setting)?,
    };
    Ok(Measurement {
        seconds: seconds_between(done.start, end),
        messages: done.bytes / scenario.message_bytes as u64,
        bytes: done.bytes,
        lost: 0,
        cpu_seconds: done.cpu_seconds,
        peak_rss_bytes: 0,
    })
}

/// The bare loop over the run's file, and when the last byte was counted or had arrived.
fn measure_read(
    scenario: &Scenario,
    case: Matchers,
    setting: &Setting,
) -> Result<(Done, u64), String> {
    let source = Source::of_run(&setting.dir, scenario, case, setting.seconds)?;
    let mut command = format!(
        "reader --path {} --buffer {RAW_BUFFER_BYTES}",
        source.path.display()
    );
    let mut sink = None;
    if scenario.bare == Bare::Relay {
        let port = process::free_port()?;
        sink = Some(start_sink(scenario, port, setting)?);
        command += &format!(" --port {port}");
    }
    let done: Done = Helper::start(&words(&command), setting.receiver_cpu)?.result("bare read")?;
    let received: Option<Received> = sink.map(|sink| sink.result("sink")).transpose()?;
    let arrived = received.map_or(done.lines * scenario.message_bytes as u64, |sink| {
        sink.bytes
    });
    if arrived != source.content.bytes {
        let bytes = source.content.bytes;
        return Err(format!("the bare loop made {arrived} bytes of {bytes}"));
    }
    Ok((done, received.map_or(done.end, |sink| sink.end)))
}

/// Measures the bare receive loop.
fn measure_receive(
    scenario: &Scenario,
    case: Matchers,
    setting: &Setting,
) -> Result<Measurement, String> {
    let port = process::free_port()?;
    let (transport, cpu) = (scenario.transport, setting.receiver_cpu);
    let receiver = start_receiver(transport, port, setting.connections, "", cpu)?;
    let sender = start_sender(scenario, case, port, setting)?;
    let sent: Sent = sender.result("sender")?;
    // A receiver of datagrams is still there: it waits for silence.
    let lost = settle_datagrams(scenario.transport, port);
    let received: Received = receiver.result("bare receive loop")?;
    let arrived = match scenario.transport {
        Transport::Tcp => received.bytes,
        Transport::Udp => received.bytes + lost * scenario.message_bytes as u64,
    };
    if arrived != sent.bytes {
        return Err(format!(
            "the bare loop saw {arrived} bytes of {}",
            sent.bytes
        ));
    }
    Ok(Measurement {
        seconds: seconds_between(sent.start, sent.end.max(received.end)),
        messages: received.bytes / scenario.message_bytes as u64,
        bytes: received.bytes,
        lost,
        cpu_seconds: received.cpu_seconds,
        peak_rss_bytes: 0,
    })
}

/// Measures a program, and checks what it counted against what was sent.
pub(crate) fn measure_program(
    scenario: &Scenario,
    case: Matchers,
    candidate: &Candidate,
    setting: &Setting,
) -> Result<Measurement, String> {
    let dir = fresh_folder(&setting.dir, &candidate.name)?;
    let (port, sink_port) = (process::free_port()?, process::free_port()?);
    let values = Values {
        port,
        sink_port,
        dir: &dir,
        version: &candidate.version,
    };
    let config = render(candidate.template, &case.expressions(), values);
    let sink = match scenario.destination {
        Destination::Sink => Some(start_sink(scenario, sink_port, setting)?),
        _ => None,
    };
    fresh_folder(&dir, LOGS)?;
    // What writes to the disk may do that beside the shard, as on a machine in use.
    let cpu = (scenario.bare != Bare::Append).then_some(setting.receiver_cpu);
    let program = Program::start(
        &candidate.name,
        &candidate.path,
        &config,
        &dir,
        cpu,
        (scenario.transport, port),
    )?;
    let pid = program.pid();
    let gone = |error| format!("{} is gone: {error}", candidate.name);
    let cpu_before = process::cpu_seconds(pid).map_err(gone)?;
    let sent: Sent = match scenario.origin {
        Origin::Sender => start_sender(scenario, case, port, setting)?.result("sender")?,
        Origin::File => send_file(scenario, case, pid, &dir, setting)?,
    };
    let lost = settle_datagrams(scenario.transport, port);
    let mut end = sent.end;
    if scenario.destination == Destination::File {
        end = end.max(settle_file(&dir.join("out.log"), sent.bytes)?);
    }
    let name = &candidate.name;
    let counted = check::counted_by_peer(name, &dir, scenario.destination, sent.messages)?;
    let cpu_after = process::cpu_seconds(pid).map_err(gone)?;
    let peak_rss_bytes = process::peak_rss_bytes(pid).map_err(gone)?;
    let report = program.stop()?;
    let received: Option<Received> = sink.map(|sink| sink.result("sink")).transpose()?;
    end = end.max(received.map_or(0, |received| received.end));
    let outcome = check::Outcome {
        sent: &sent,
        lost,
        report: report.as_ref(),
        counted,
        sink: received.as_ref(),
        file: (scenario.destination == Destination::File).then(|| dir.join("out.log")),
    };
    check::check(scenario, case, &outcome).map_err(|error| format!("{name}: {error}"))?;
    Ok(Measurement {
        seconds: seconds_between(sent.start, end),
        messages: sent.messages - lost,
        bytes: sent.bytes - lost * scenario.message_bytes as u64,
        lost,
        cpu_seconds: cpu_after - cpu_before,
        peak_rss_bytes,
    })
}

/// Lets a program, whose folder is `dir`, read the run's file.
fn send_file(
    scenario: &Scenario,
    case: Matchers,
    pid: u32,
    dir: &Path,
    setting: &Setting,
) -> Result<Sent, String> {
    let source = Source::of_run(&setting.dir, scenario, case, setting.seconds)?;
    let sent = source.read_by(pid, &dir.join(LOGS))?;
    source.settle(&dir.join("logstreamer/LogstreamerInput"))?;
    Ok(sent)
}

/// An empty folder for one measurement of a program; what an earlier one left is removed.
fn fresh_folder(parent: &Path, name: &str) -> Result<PathBuf, String> {
    let dir = parent.join(name);
    let wrong = |error| format!("{}: {error}", dir.display());
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(wrong)?;
    }
    fs::create_dir_all(&dir).map_err(wrong)?;
    Ok(dir)
}

fn seconds_between(start: u64, end: u64) -> f64 {
    end.saturating_sub(start).max(1) as f64 / 1e9
}

/// Waits until a datagram socket is empty; answers how many datagrams the kernel dropped there.
fn settle_datagrams(transport: Transport, port: u16) -> u64 {
    if transport == Transport::Tcp {
        return 0;
    }
    let deadline = Instant::now() + SETTLE_MAX;
    while Instant::now() < deadline
        && process::datagram_sockets(port).is_some_and(|socket| socket.queued > 0)
    {
        thread::sleep(SETTLE_STEP);
    }
    process::datagram_sockets(port).map_or(0, |socket| socket.drops)
}

/// Waits until the file has `bytes` or has stopped growing; answers when that was.
fn settle_file(path: &Path, bytes: u64) -> Result<u64, String> {
    let length = || fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (mut last, mut grown) = (0, Instant::now());
    loop {
        let now = length();
        if now >= bytes {
            return Ok(monotonic_nanoseconds());
        }
        if now > last {
            (last, grown) = (now, Instant::now());
        }
        if grown.elapsed() > Duration::from_secs(5) {
            return Err(format!(
                "{} stopped at {now} bytes of {bytes}",
                path.display()
            ));
        }
        thread::sleep(SETTLE_STEP);
    }
}
