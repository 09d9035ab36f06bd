//! Starting the commands of a chain, and saying why one cannot be started.
//!
//! Owns:    what a child is given: its group, its ends of pipes, no descriptor or blocked signal of ours, all cores.
//! Runs on: the thread of the chain.            Plane: data.
//! Bounds:  the chain's length.
//! Never:   leaves a part of a chain started when a later command cannot be started.

use std::ffi::OsString;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Builder, Stdio};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use rustix::process::{PidfdFlags, pidfd_open};

use super::super::ring;
use super::Command;

/// Commands that run, all in the process group of the first one.
#[derive(Default)]
pub(super) struct Started {
    /// Each with a descriptor that becomes readable when it has ended.
    pub(super) children: Vec<(Child, OwnedFd)>,
    pub(super) stdout: Option<PipeReader>,
    pub(super) stderr: Option<PipeReader>,
}

impl Started {
    /// The commands' process group.
    pub(super) fn group(&self) -> Option<Pid> {
        let (first, _) = self.children.first()?;
        Some(Pid::from_raw(first.id() as i32))
    }
}

/// A command that cannot be started.
pub(super) struct Failure {
    pub(super) link: usize,
    pub(super) why: String,
}

/// Starts all commands or none.
pub(super) fn start(
    commands: &[Command],
    wants_stdout: bool,
    wants_stderr: bool,
) -> Result<Started, Failure> {
    prepare_thread();
    let mut started = Started::default();
    let mut input = None;
    for (link, command) in commands.iter().enumerate() {
        let is_last = link + 1 == commands.len();
        let output = Joint::new(is_last, wants_stdout, wants_stderr, input.take())
            .map_err(|error| error.to_string())
            .and_then(|joint| start_one(command, joint, &mut started));
        match output {
            Ok(output) if is_last => started.stdout = output,
            Ok(output) => input = output,
            Err(why) => {
                kill(started);
                return Err(Failure { link, why });
            }
        }
    }
    Ok(started)
}

/// Children have the signal mask and the cores of the thread that starts them. A shard's are of no use to them.
fn prepare_thread() {
    // Both only fail for arguments that are not like these; a child that is not given all cores is slower, no more.
    let _ = SigSet::empty().thread_set_mask();
    if let Ok(cores) = sched_getaffinity(Pid::this()) {
        let _ = sched_setaffinity(Pid::from_raw(0), &cores);
    }
}

/// The ends of pipes at one command.
struct Joint {
    input: Stdio,
    output: Stdio,
    errors: Stdio,
    /// What is read here or by the next command.
    output_reader: Option<PipeReader>,
    errors_reader: Option<PipeReader>,
}

impl Joint {
    fn new(
        is_last: bool,
        wants_stdout: bool,
        wants_stderr: bool,
        input: Option<PipeReader>,
    ) -> io::Result<Joint> {
        let (output_reader, output) = end(!is_last || wants_stdout)?;
        let (errors_reader, errors) = end(is_last && wants_stderr)?;
        Ok(Joint {
            input: input.map_or_else(Stdio::null, Stdio::from),
            output: output.map_or_else(Stdio::null, Stdio::from),
            errors: errors.map_or_else(Stdio::null, Stdio::from),
            output_reader,
            errors_reader,
        })
    }
}

fn end(wanted: bool) -> io::Result<(Option<PipeReader>, Option<PipeWriter>)> {
    Ok(if wanted { Some(pipe()?) } else { None }.unzip())
}

/// Starts one command. Answers its output, for the next one or for us.
fn start_one(
    command: &Command,
    joint: Joint,
    started: &mut Started,
) -> Result<Option<PipeReader>, String> {
    let program = find(command)?;
    let mut builder = Builder::new(&program);
    builder
        .args(&command.arguments)
        .stdin(joint.input)
        .stdout(joint.output)
        .stderr(joint.errors)
        .process_group(started.group().map_or(0, Pid::as_raw));
    if program.as_os_str() != command.program.as_str() {
        builder.arg0(&command.program);
    }
    if !command.environment.is_empty() {
        let pairs = command
            .environment
            .iter()
            .map(|(name, value)| (name, value));
        builder.env_clear().envs(pairs);
    }
    if let Some(directory) = &command.directory {
        builder.current_dir(directory);
    }
    ring::close_others_on_exec();
    let mut child = builder
        .spawn()
        .map_err(|error| explain(command, &program, &error))?;
    match watched(&child) {
        Ok(pidfd) => started.children.push((child, pidfd)),
        Err(error) => {
            // Only one that has ended cannot be killed, and then it is waited for just as well.
            let _ = child.kill().and_then(|()| child.wait());
            return Err(format!("its end cannot be waited for: {error}"));
        }
    }
    started.stderr = joint.errors_reader;
    Ok(joint.output_reader)
}

/// A descriptor of the process.
fn watched(child: &Child) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_child(child);
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

fn kill(mut started: Started) {
    if let Some(group) = started.group() {
        // The first child has not been waited for, so the group is still this one.
        let _ = killpg(group, Signal::SIGKILL);
    }
    for (child, _) in &mut started.children {
        // Killed just now; an error would mean that somebody else has waited for it.
        let _ = child.wait();
    }
}

/// The program's path: as written if that is one, else that of the first program of this name in the folders of `PATH`.
fn find(command: &Command) -> Result<PathBuf, String> {
    let name = &command.program;
    if name.contains('/') {
        return Ok(name.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file() && access(path, AccessFlags::X_OK).is_ok())
        .ok_or_else(|| {
            let folders = folders.display();
            format!("no folder of PATH ({folders}) has a program of this name; write its path")
        })
}

/// Why a program could not be started, for people: the system's error does not say what it is about.
fn explain(command: &Command, program: &Path, error: &io::Error) -> String {
    if let Some(directory) = &command.directory {
        let shown = directory.display();
        match std::fs::metadata(directory) {
            Err(error) => return format!("its directory `{shown}` cannot be entered: {error}"),
            Ok(found) if !found.is_dir() => return format!("its directory `{shown}` is none"),
            Ok(_) => {}
        }
    }
    let path = command
        .directory
        .as_ref()
        .map_or_else(|| program.to_owned(), |directory| directory.join(program));
    match error.kind() {
        ErrorKind::NotFound if path.exists() => {
            format!("{error}: the interpreter that its first line names is missing")
        }
        ErrorKind::PermissionDenied if path.is_dir() => format!("{error}: it is a folder"),
        ErrorKind::PermissionDenied => {
            format!("{error}: this user may not execute it, or not reach its folder")
        }
        ErrorKind::ArgumentListTooLong => format!("{error}: shorten `args` or `env`"),
        _ => error.to_string(),
    }
}
