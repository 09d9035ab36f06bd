//! `hekad run`: configuration, plan, shards.
//!
//! Owns:    the order of start, the process id file.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one daemon a process.
//! Never:   starts anything before the whole configuration has been understood.

use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::control::config::{Document, Surroundings};
use engine::control::placement;
use engine::control::plan::Plan;
use engine::control::problem::Problems;
use engine::control::supervisor::{self, RunOptions};
use engine::io::descriptors;

use crate::cli::RunArgs;
use crate::failure::{EXIT_CONFIG, Failure};

/// Runs the daemon until a signal or a failure ends it.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.report_json {
        check_writable(path)?;
    }
    let plan = match load(&args.config) {
        Ok(plan) => plan,
        Err(problems) => {
            show(&problems);
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    show(&plan.warnings);
    let refused = |error: placement::PlacementError| Failure::new(EXIT_CONFIG, error.to_string());
    let cores = placement::cores(plan.hekad.shards).map_err(refused)?;
    let hostname = plan.hekad.hostname.clone();
    let options = RunOptions {
        shutdown_timeout: plan.hekad.shutdown_timeout.get(),
        stall_timeout: plan.hekad.stall_timeout.get(),
        log_flags: plan.hekad.log_flags,
        report_json: args.report_json.clone(),
        cpus: cores,
    };
    let pid_file = PidFile::create(&plan.hekad.pid_file)?;
    let topology =
        placement::topology(plan, options.cpus.len() as u16, hostname).map_err(refused)?;
    if let Err(error) = descriptors::raise_limit() {
        warn(&format!(
            "the limit of open files cannot be raised, it stays as it is: {error}"
        ));
    }
    let outcome = supervisor::run(topology, options);
    drop(pid_file);
    Ok(ExitCode::from(outcome.exit_status()))
}

/// What to do about a file that cannot be written.
fn write_advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "create its folder",
        ErrorKind::IsADirectory => "name a file, not a folder",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "name a file that this user may write"
        }
        _ => "name another file",
    }
}

/// Finds out now what would otherwise cost the last report, days later. What the file holds stays.
fn check_writable(path: &Path) -> Result<(), Failure> {
    let refused = |error: std::io::Error| {
        let advice = write_advice(error.kind());
        let path = path.display();
        Failure::usage(format!(
            "--report-json {path}: cannot be written: {error}; {advice}"
        ))
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(refused(ErrorKind::IsADirectory.into())),
        Ok(metadata) if metadata.is_file() => {
            let opened = OpenOptions::new().append(true).open(path);
            opened.map(drop).map_err(refused)
        }
        // A pipe or a device: opening it could wait for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let created = OpenOptions::new().write(true).create_new(true).open(path);
            created
                .and_then(|_| std::fs::remove_file(path))
                .map_err(refused)
        }
    }
}

/// Reads a configuration and understands it.
pub(crate) fn load(path: &Path) -> Result<Plan, Problems> {
    let document = Document::load(path, &Surroundings::of_process())?;
    Plan::build(&document, plugins::ALL)
}

fn warn(text: &str) {
    // Standard error is the last place to complain to.
    let _ = writeln!(std::io::stderr(), "hekad: {text}");
}

/// Shows problems on standard error.
pub(crate) fn show(problems: &Problems) {
    if !problems.is_empty() {
        let mut stderr = std::io::stderr();
        let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let text = problems.render(colour);
        // Standard error is the last place to complain to.
        let _ = stderr.write_all(text.as_bytes());
    }
}

/// The file that says which process the daemon is; removed when it ends.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn create(path: &str) -> Result<PidFile, Failure> {
        if path.is_empty() {
            return Ok(PidFile(None));
        }
        let path = PathBuf::from(path);
        if let Some(pid) = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<i32>().ok())
        {
            let alive =
                pid > 0 && nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok();
            if alive && pid != std::process::id() as i32 {
                return Err(Failure::new(
                    1,
                    format!(
                        "[hekad] pid_file {} names process {pid}, which is running: stop that hekad, or remove the file if it is none",
                        path.display()
                    ),
                ));
            }
        }
        std::fs::write(&path, format!("{}\n", std::process::id())).map_err(|error| {
            let advice = write_advice(error.kind());
            let path = path.display();
            Failure::new(
                1,
                format!("[hekad] pid_file {path}: cannot be written: {error}; {advice}"),
            )
        })?;
        Ok(PidFile(Some(path)))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The next start overwrites a file that could not be removed.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_could_not_be_written_is_refused_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| check_writable(path).unwrap_err().to_string();
        assert!(said(folder.path()).contains("not a folder"));
        assert!(said(&folder.path().join("none/report.json")).contains("create its folder"));
    }

    #[test]
    fn the_check_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        check_writable(&path).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "the last one").unwrap();
        check_writable(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the last one");
        check_writable(Path::new("/dev/null")).unwrap();
    }
}
