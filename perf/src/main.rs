//! Whole-daemon measurements: parse, dispatch, error to exit code.
//!
//! Owns:    the order of those three.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one command a process.
//! Never:   is depended on by the program that it measures.
#![forbid(unsafe_code)]

mod bare;
mod check;
mod cli;
mod clock;
mod idle_sandboxes;
mod match_scaling;
mod measure;
mod process;
mod program;
mod receiver;
mod record;
mod route_memory;
mod run;
mod scenario;
mod sender;
mod tail;
mod traffic;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::List => {
            run::list();
            Ok(())
        }
        Command::Run(args) => run::run(&args),
        Command::Sender(args) => sender::run(&args).map_err(|error| format!("sender: {error}")),
        Command::Receiver(args) => {
            receiver::run(&args).map_err(|error| format!("receiver: {error}"))
        }
        Command::Reader(args) => bare::read(&args).map_err(|error| format!("reader: {error}")),
        Command::Appender(args) => {
            bare::append(&args).map_err(|error| format!("appender: {error}"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perf: {error}");
            ExitCode::FAILURE
        }
    }
}
