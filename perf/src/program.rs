//! The program under test: finding, configuring, starting and stopping it, and reading what it counted.
//!
//! Owns:    the child process.
//! Runs on: the measuring process; the child on a processor of its own.            Plane: control.
//! Bounds:  every wait; a child that does not end is killed.
//! Never:   leaves a child behind: dropping a `Program` ends it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::cli::Transport;
use crate::clock::spawn_pinned;
use crate::process;

/// Longest wait until a program listens.
const START_MAX: Duration = Duration::from_secs(120);

/// Longest wait for an orderly end.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A running program.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    dir: PathBuf,
    child: Child,
}

/// The hekad that cargo built beside this program, or the one given.
pub(crate) fn find_hekad(given: Option<&Path>) -> Result<PathBuf, String> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => {
            let me = env::current_exe().map_err(|error| format!("where am I? {error}"))?;
            me.with_file_name("hekad")
        }
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(format!(
        "no hekad at {}: build it with `cargo build --release -p hekad`, or name one with --hekad",
        path.display()
    ))
}

/// A program in PATH.
pub(crate) fn find_peer(name: &str) -> Result<PathBuf, String> {
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain(sbin)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!("{name} is not installed on this machine: install it, or put it into PATH")
        })
}

/// The first `major.minor` in what `program --version` prints.
pub(crate) fn version(path: &Path) -> String {
    let output = Command::new(path).arg("--version").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .map(|word| word.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
        .unwrap_or_default()
}

impl Program {
    /// Starts `name` with the config in `dir`, on processor `cpu` if there is one, and waits until it listens.
    pub(crate) fn start(
        name: &str,
        path: &Path,
        config: &str,
        dir: &Path,
        cpu: Option<usize>,
        (transport, port): (Transport, u16),
    ) -> Result<Program, String> {
        let write = |file: &str, text: &str| {
            fs::write(dir.join(file), text)
                .map_err(|error| format!("{}: {error}", dir.join(file).display()))
        };
        write("config", config)?;
        let config_path = if name == "hekad" {
            "config.toml"
        } else {
            "config"
        };
        write(config_path, config)?;
        let log = File::create(dir.join("log")).map_err(|error| error.to_string())?;
        let also = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(path);
        command
            .args(arguments(name, dir))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also);
        let child = match cpu {
            Some(cpu) => spawn_pinned(&mut command, cpu),
            None => command.spawn(),
        };
        let child = child.map_err(|error| format!("cannot start {}: {error}", path.display()))?;
        let mut program = Program {
            name: name.to_owned(),
            dir: dir.to_owned(),
            child,
        };
        let pid = program.pid();
        let listening = process::wait_until_listening(transport, port, START_MAX, || {
            matches!(program.child.try_wait(), Ok(None))
        });
        if listening {
            return Ok(program);
        }
        Err(format!(
            "{name} (process {pid}) does not listen on port {port}; it said:\n{}",
            program.said()
        ))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard output and error.
    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Asks it to end, waits, and answers what it counted (`None` for a program that does not tell).
    pub(crate) fn stop(mut self) -> Result<Option<Value>, String> {
        let gone = |error| {
            format!(
                "{} ended by itself ({error}); it said:\n{}",
                self.name,
                self.said()
            )
        };
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGTERM).map_err(gone)?;
        let status = self.wait()?;
        // A peer killed by the signal that ends it has its own way to say so.
        if self.name == "hekad" && !status.success() {
            return Err(format!(
                "hekad ended with {status}; it said:\n{}",
                self.said()
            ));
        }
        if self.name != "hekad" {
            return Ok(None);
        }
        let path = self.dir.join("report.json");
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("no report at {}: {error}", path.display()))?;
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!(
            "{} did not end within {} s of SIGTERM; it said:\n{}",
            self.name,
            STOP_MAX.as_secs(),
            self.said()
        ))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail on a child that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How each program is told its config, and to stay in the foreground.
fn arguments(name: &str, dir: &Path) -> Vec<String> {
    let at = |file: &str| dir.join(file).display().to_string();
    let own = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    match name {
        "hekad" => vec![
            "run".into(),
            "--config".into(),
            at("config.toml"),
            "--report-json".into(),
            at("report.json"),
        ],
        "rsyslogd" => [own(&["-n", "-i", "NONE", "-f"]), vec![at("config")]].concat(),
        "syslog-ng" => {
            let files = [
                ("-f", "config"),
                ("-R", "persist"),
                ("-c", "control"),
                ("-p", "pid"),
            ];
            let named = files
                .into_iter()
                .flat_map(|(flag, file)| [flag.to_owned(), at(file)]);
            own(&["-F", "--no-caps"]).into_iter().chain(named).collect()
        }
        _ => vec![at("config")],
    }
}
