//! The `hekad` that is tested.
//!
//! Owns:    the search for it, and building it where it is missing or old.
//! Runs on: tests, once a process.            Plane: control.
//! Bounds:  one build.
//! Never:   tests a binary that is older than its sources.
//!
//! `cargo test --workspace` has built it already, for the tests of its own crate. `cargo test -p tests` has not.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// What it is made from, from the root.
const MADE_FROM: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "codecs",
    "matcher",
    "sandbox",
    "engine",
    "plugins",
    "hekad",
];

/// The path of an up-to-date `hekad` of this profile.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let test = env::current_exe().expect("a test has a path");
        let profile = test
            .ancestors()
            .nth(2)
            .expect("a test stands in <target>/<profile>/deps");
        let binary = profile.join("hekad");
        let built = fs::metadata(&binary).and_then(|data| data.modified());
        if built.map_or(true, |built| built < newest_source()) {
            build(profile)?;
        }
        Ok(binary)
    });
    match path {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate stands in the workspace's folder")
}

fn build(profile: &Path) -> Result<(), String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .args(["build", "--package", "hekad", "--target-dir"])
        .arg(
            profile
                .parent()
                .expect("a profile stands in the target folder"),
        );
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("hekad does not build".to_owned()),
        Err(error) => Err(format!("cargo cannot be run: {error}")),
    }
}

fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut next: Vec<PathBuf> = MADE_FROM.iter().map(|name| root().join(name)).collect();
    while let Some(path) = next.pop() {
        let Ok(data) = fs::metadata(&path) else {
            continue;
        };
        if data.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder of the workspace");
            next.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        } else {
            newest = newest.max(data.modified().expect("a time of change"));
        }
    }
    newest
}
