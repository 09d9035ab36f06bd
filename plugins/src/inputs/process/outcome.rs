//! How a run ended, in the words that Heka's messages have for it.
//!
//! Owns:    `Outcome`: the values of the fields `ExitStatus` and `SubcmdErrors`.
//! Runs on: the input's home shard, once a run.            Plane: data.
//! Bounds:  one line a command.
//! Never:   takes a number for a success that is none.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Of the last command: what it exited with, -1 if it did not come to that.
    pub(super) exit_status: i32,
    /// Of all commands that failed, one line each.
    pub(super) errors: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {}", self.exit_status)?;
        if let Some(errors) = &self.errors {
            write!(f, "; {}", errors.replace('\n', "; "))?;
        }
        Ok(())
    }
}

impl Outcome {
    /// Of statuses by command, `None` for one that could not be ended. `timed_out`: it was ended after that time.
    pub(super) fn new(statuses: &[Option<ExitStatus>], timed_out: Option<Duration>) -> Outcome {
        let failed = statuses
            .iter()
            .enumerate()
            .filter_map(|(link, status)| Some((link, error(*status)?)));
        let lines: Vec<String> = failed
            .map(|(link, error)| {
                let time = timed_out.map_or_else(String::new, |time| {
                    format!("ended after {} s (`timeout`), ", time.as_secs())
                });
                format!("Subcommand[{link}] returned an error: [{time}{error}]")
            })
            .collect();
        let last = statuses.last().copied().flatten();
        Outcome {
            exit_status: last.and_then(|status| status.code()).unwrap_or(-1),
            errors: (!lines.is_empty()).then(|| lines.join("\n")),
        }
    }
}

/// Why a command did not succeed, as Go has it.
fn error(status: Option<ExitStatus>) -> Option<String> {
    let Some(status) = status else {
        return Some("it does not end, although it was killed".to_owned());
    };
    if status.success() {
        return None;
    }
    if let Some(code) = status.code() {
        return Some(format!("exit status {code}"));
    }
    let signal = status.signal().unwrap_or_default();
    let name = SIGNALS
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(
            || format!("signal {signal}"),
            |(_, name)| (*name).to_owned(),
        );
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    Some(format!("signal: {name}{core}"))
}

const SIGNALS: [(i32, &str); 15] = [
    (1, "hangup"),
    (2, "interrupt"),
    (3, "quit"),
    (4, "illegal instruction"),
    (5, "trace/breakpoint trap"),
    (6, "aborted"),
    (7, "bus error"),
    (8, "floating point exception"),
    (9, "killed"),
    (10, "user defined signal 1"),
    (11, "segmentation fault"),
    (12, "user defined signal 2"),
    (13, "broken pipe"),
    (14, "alarm clock"),
    (15, "terminated"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel writes them: the code in the second byte, or the signal in the first.
    fn exited(code: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(code << 8))
    }

    fn killed(signal: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(signal))
    }

    #[test]
    fn success_has_no_errors() {
        let outcome = Outcome::new(&[exited(0), exited(0)], None);
        assert_eq!(outcome, Outcome::default());
        assert_eq!(outcome.to_string(), "exit status 0");
    }

    #[test]
    fn each_failed_command_has_its_line() {
        let statuses = [
            exited(3),
            exited(0),
            killed(13),
            killed(6 | 0x80),
            killed(40),
            None,
        ];
        let outcome = Outcome::new(&statuses, None);
        assert_eq!(outcome.exit_status, -1);
        let errors = "Subcommand[0] returned an error: [exit status 3]\n\
                      Subcommand[2] returned an error: [signal: broken pipe]\n\
                      Subcommand[3] returned an error: [signal: aborted (core dumped)]\n\
                      Subcommand[4] returned an error: [signal: signal 40]\n\
                      Subcommand[5] returned an error: [it does not end, although it was killed]";
        assert_eq!(outcome.errors.as_deref(), Some(errors));
        assert!(!outcome.to_string().contains('\n'));
    }

    #[test]
    fn the_last_command_gives_the_exit_status() {
        assert_eq!(Outcome::new(&[exited(1), exited(0)], None).exit_status, 0);
        assert_eq!(
            Outcome::new(&[exited(0), exited(255)], None).exit_status,
            255
        );
    }

    #[test]
    fn a_run_that_took_too_long_says_so() {
        let outcome = Outcome::new(&[killed(15)], Some(Duration::from_secs(5)));
        assert_eq!(
            outcome.errors.as_deref(),
            Some(
                "Subcommand[0] returned an error: [ended after 5 s (`timeout`), signal: terminated]"
            )
        );
    }
}
