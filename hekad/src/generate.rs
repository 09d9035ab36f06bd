//! Completion scripts and manual pages, generated from the argument definitions.
//!
//! Owns:    where they are written.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one file a command.
//! Never:   holds text of its own; `cli` is the only source.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hekad", &mut script);
    print(&script)
}

/// Prints hekad(1), or writes the pages of all commands into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(|error| Failure::new(1, format!("cannot render the page: {error}")))?;
        return print(&page);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|error| {
            Failure::new(
                1,
                format!("cannot write manual pages to {}: {error}", dir.display()),
            )
        })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output; a reader that closed it has seen what it wanted.
pub(crate) fn print(bytes: &[u8]) -> Result<ExitCode, Failure> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            1,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_gets_a_page() {
        let dir = tempfile::tempdir().unwrap();
        man(&ManArgs {
            dir: Some(dir.path().to_owned()),
        })
        .unwrap();
        for command in Cli::command().get_subcommands() {
            let page = dir.path().join(format!("hekad-{}.1", command.get_name()));
            assert!(page.is_file(), "no page {}", page.display());
        }
        assert!(dir.path().join("hekad.1").is_file());
    }
}
