//! `hekad check`: is this configuration right?
//!
//! Owns:    the way from a path to a plan or to printed problems; the daemon takes the same way.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as the configuration's reader.
//! Never:   touches anything beside the configuration's files.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use engine::control::config::{Document, Surroundings};
use engine::control::plan::{Plan, Role};
use engine::control::problem::Problems;

use crate::cli::CheckArgs;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::generate::print;

/// Prints what is wrong and gives status 78, or says that all is well.
pub(crate) fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    match plan(&args.config) {
        Ok(plan) => print(summary(&args.config, &plan).as_bytes()),
        Err(code) => Ok(code),
    }
}

/// The plan of a configuration; its warnings and errors are printed on standard error.
pub(crate) fn plan(config: &Path) -> Result<Plan, ExitCode> {
    let surroundings = Surroundings::of_process();
    let plan = Document::load(config, &surroundings)
        .and_then(|document| Plan::build(&document, plugins::ALL));
    match plan {
        Ok(plan) => {
            show(&plan.warnings);
            Ok(plan)
        }
        Err(problems) => {
            show(&problems);
            Err(ExitCode::from(EXIT_CONFIG))
        }
    }
}

/// A closed stderr is no further error.
fn show(problems: &Problems) {
    let mut stderr = io::stderr();
    let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ = stderr.write_all(problems.render(colour).as_bytes());
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
