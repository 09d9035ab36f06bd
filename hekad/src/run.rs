//! `hekad run`: configuration, plan, shards.
//!
//! Owns:    the order of start, the process id file.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one daemon a process.
//! Never:   starts anything before the whole configuration has been understood.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::control::config::{Document, Surroundings};
use engine::control::placement;
use engine::control::plan::Plan;
use engine::control::problem::Problems;
use engine::control::supervisor::{self, RunOptions};

use crate::cli::RunArgs;
use crate::failure::{EXIT_CONFIG, Failure};

/// Runs the daemon until a signal or a failure ends it.
pub(crate) fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
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
        log_flags: plan.hekad.log_flags,
        report_json: args.report_json.clone(),
        cpus: cores,
    };
    let pid_file = PidFile::create(&plan.hekad.pid_file)?;
    let topology =
        placement::topology(plan, options.cpus.len() as u16, hostname).map_err(refused)?;
    let outcome = supervisor::run(topology, options);
    drop(pid_file);
    Ok(ExitCode::from(outcome.exit_status()))
}

/// Reads a configuration and understands it.
pub(crate) fn load(path: &Path) -> Result<Plan, Problems> {
    let document = Document::load(path, &Surroundings::of_process())?;
    Plan::build(&document, plugins::ALL)
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
                        "{} names process {pid}, which is running: is that another hekad?",
                        path.display()
                    ),
                ));
            }
        }
        std::fs::write(&path, format!("{}\n", std::process::id()))
            .map_err(|error| Failure::new(1, format!("pid_file {}: {error}", path.display())))?;
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
