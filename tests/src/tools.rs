//! The daemon's companion tools as processes: `flood`, `inject`, `cat`, `check`.
//!
//! Owns:    `Running`, a tool that is not waited for yet.
//! Runs on: tests.            Plane: control.
//! Bounds:  a tool that the test forgets is killed.
//! Never:   hides what a tool said.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::binary;

/// Runs a tool to its end.
pub fn run(arguments: &[&str]) -> Output {
    start(arguments).wait()
}

/// Runs a tool that must succeed; answers its standard output.
pub fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// Starts a tool.
pub fn start(arguments: &[&str]) -> Running {
    let child = Command::new(binary::path())
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hekad can be started");
    Running(Some(child))
}

/// A file of the project, by its path from the root.
pub fn project_file(path: &str) -> String {
    let path = binary::root().join(Path::new(path));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A tool at work.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl Running {
    /// Whether it has not ended yet.
    pub fn runs(&mut self) -> bool {
        let child = self.0.as_mut().expect("it was not waited for");
        child.try_wait().expect("a child can be asked").is_none()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Output {
        let child = self.0.take().expect("it was not waited for");
        child.wait_with_output().expect("a child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // The test has failed; the tool may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
