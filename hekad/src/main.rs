//! The `hekad` program: parse, dispatch, error to exit code.
//!
//! Owns:    the order of those three.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one command a process.
//! Never:   holds logic that a command or a lower crate should hold.
#![forbid(unsafe_code)]

mod argv;
mod buffer;
mod cat;
mod check;
mod cli;
mod encryption;
mod explain;
mod failure;
mod flood;
mod generate;
mod inject;
mod logstreamer;
mod lua;
mod plugins;
mod receiver;
mod run;
mod sbmgr;
mod signer;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse_from(argv::normalised(std::env::args_os()));
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let command = cli.chosen();
    if !matches!(command, Command::Run(_)) {
        // Who asks all processes of this name for the daemon's report must not end the tools.
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, asked)
            .map_err(|error| Failure::new(1, format!("cannot handle signals: {error}")))?;
    }
    match command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Plugins(args) => plugins::plugins(&args),
        Command::Schema => plugins::schema(),
        Command::Flood(args) => flood::flood(&args),
        Command::Cat(args) => cat::cat(&args),
        Command::Inject(args) => inject::inject(&args),
        Command::Logstreamer(args) => logstreamer::logstreamer(&args),
        Command::Lua(args) => lua::lua(&args),
        Command::Sbmgr(args) => sbmgr::sbmgr(&args),
        Command::Sbmgrload(args) => sbmgr::sbmgrload(&args),
        Command::Buffer(args) => buffer::buffer(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}
