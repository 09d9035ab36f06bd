//! `hekad logstreamer`: which files the inputs of a configuration would read, in which order and from where.
//!
//! Owns:    what is printed around the inputs' own words.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as each input's scan.
//! Never:   changes a file, a journal or a folder; the plan is the daemon's own (`run`).

use std::process::ExitCode;

use crate::cli::LogstreamerArgs;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::generate::print;
use crate::run::{load, show};

/// Prints what would be read. Status 1 says that there are problems.
pub(crate) fn logstreamer(args: &LogstreamerArgs) -> Result<ExitCode, Failure> {
    let plan = match load(&args.config) {
        Ok(plan) => plan,
        Err(problems) => {
            show(&problems);
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let (mut text, mut problems) = (String::new(), 0);
    for input in &plan.inputs {
        if let Some(survey) = input.factory.survey() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("[{}]: {}", input.name, survey.text));
            problems += survey.problems;
        }
    }
    if text.is_empty() {
        text = format!("{}: there is no LogstreamerInput\n", args.config.display());
    }
    let printed = print(text.as_bytes())?;
    Ok(if problems == 0 {
        printed
    } else {
        ExitCode::FAILURE
    })
}
