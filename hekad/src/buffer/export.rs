//! `hekad buffer export`: writes the messages of a queue to a file, in frames.
//!
//! Owns:    the file.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  as `cat`.
//! Never:   writes over a file that is there, or leaves one that looks complete and is not on the disk.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use super::cat::Printing;
use super::{EXIT_DAMAGED, look, say_all};
use crate::cli::{BufferExportArgs, CatFormat};
use crate::failure::Failure;

/// Runs the command.
pub(super) fn export(args: &BufferExportArgs) -> Result<ExitCode, Failure> {
    let view = look(&args.dir)?;
    say_all(&view.notices);
    let wrong = |error: io::Error| {
        let path = args.output.as_deref().unwrap_or("-".as_ref());
        let advice = match error.kind() {
            ErrorKind::AlreadyExists => "; name a file that is not there yet",
            _ => "",
        };
        Failure::usage(format!("cannot write {}: {error}{advice}", path.display()))
    };
    let file = match &args.output {
        Some(path) => Some(File::create_new(path).map_err(wrong)?),
        None => None,
    };
    let output: Box<dyn Write> = match &file {
        Some(file) => Box::new(file.try_clone().map_err(wrong)?),
        None => Box::new(io::stdout()),
    };
    let damaged = Printing::new(&args.chosen, CatFormat::Heka, output)?.all(&view)?;
    if let Some(file) = file {
        file.sync_all().map_err(wrong)?;
    }
    Ok(if damaged {
        ExitCode::from(EXIT_DAMAGED)
    } else {
        ExitCode::SUCCESS
    })
}
