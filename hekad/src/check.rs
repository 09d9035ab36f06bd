//! `hekad check`: is this configuration right?
//!
//! Owns:    what is said of a configuration that is right; the way to its plan is the daemon's own (`run`).
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as the configuration's reader.
//! Never:   touches anything beside the configuration's files.

use std::path::Path;
use std::process::ExitCode;

use engine::control::plan::{Plan, Role};

use crate::cli::CheckArgs;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::generate::print;
use crate::run::{load, show};

/// Prints what is wrong and gives status 78, or says that all is well.
pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    match load(&args.config) {
        Ok(plan) => {
            show(&plan.warnings);
            print(summary(&args.config, &plan).as_bytes())
        }
        Err(problems) => {
            show(&problems);
            Ok(ExitCode::from(EXIT_CONFIG))
        }
    }
}

fn summary(config: &Path, plan: &Plan) -> String {
    let is_filter = |role: &Role| matches!(role, Role::Filter { .. });
    let consumers = plan.consumers.len();
    let filters = plan
        .consumers
        .iter()
        .filter(|consumer| is_filter(&consumer.role))
        .count();
    let counted =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}: no errors; {}, {}, {}\n",
        config.display(),
        counted(plan.inputs.len(), "input"),
        counted(filters, "filter"),
        counted(consumers - filters, "output"),
    )
}
