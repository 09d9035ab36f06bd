//! Modules that scripts require, tested by scripts: every `*.lua` beside this file asserts what it is about.
//!
//! Owns:    their run; `lib/checks.lua` is what they assert with.
//! Runs on: tests.            Plane: control.
//! Bounds:  one sandbox a script.
//! Never:   tests modules of other kinds than those that a decoder may use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codecs::message::{MessageTable, TableLimits};
use sandbox::{Kind, NoHost, Program, Sandbox, Settings, Subject};

/// What went wrong in a script, if anything did.
fn run(path: &Path, folder: &Path) -> Result<(), String> {
    let source = fs::read(path).map_err(|error| error.to_string())?;
    let program = Program::compile(&path.display().to_string(), &source);
    let program = Arc::new(program.map_err(|error| error.to_string())?);
    let mut settings = Settings::new(Kind::Decoder, "modules");
    settings.module_directories = vec![folder.join("lib")];
    let mut sandbox = Sandbox::new(&program, settings).map_err(|ended| ended.text)?;
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: 1 << 16,
        messages: 1,
        fields: 16,
    });
    let mut draft = table.begin().map_err(|full| format!("{full:?}"))?;
    let returned = sandbox.process_message(Subject::Draft(&mut draft), &mut NoHost);
    match returned.map_err(|ended| ended.text)?.status {
        0 => Ok(()),
        status => Err(format!("returns {status}")),
    }
}

#[test]
fn modules_do_what_their_scripts_assert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules");
    let entries = fs::read_dir(&folder).expect("a folder");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    let mut wrong = String::new();
    for script in scripts {
        if let Err(error) = run(&script, &folder) {
            wrong.push_str(&format!("{}: {error}\n", script.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
