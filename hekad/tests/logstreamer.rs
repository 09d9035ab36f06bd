//! `hekad logstreamer`, as a person runs it.
//!
//! Owns:    a folder of logs a test.
//! Runs on: tests.            Plane: control.
//! Bounds:  one process a test.
//! Never:   starts the daemon.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Status, standard output and standard error for a configuration, in which `{dir}` is the folder.
fn run(folder: &Path, config: &str) -> (i32, String, String) {
    let path = folder.join("hekad.toml");
    let dir = folder.to_str().unwrap();
    fs::write(&path, config.replace("{dir}", dir)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["logstreamer", "--config", path.to_str().unwrap()])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(dir, "{dir}");
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

const SITES: &str = r#"
[hekad]
base_dir = "{dir}/cache"

[nginx]
type = "LogstreamerInput"
log_directory = "{dir}/log"
file_match = '(?P<Site>[^/]+)/access\.log\.?(?P<Seq>\d*)'
priority = ["^Seq"]
differentiator = ["nginx.", "Site"]
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/access.log", "a/access.log.1", "b/access.log"] {
        let path = folder.path().join("log").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "a line\n".repeat(10)).unwrap();
    }
    folder
}

#[test]
fn streams_are_shown_with_their_files_and_where_they_start() {
    let folder = folder();
    let (status, out, err) = run(folder.path(), SITES);
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "[nginx]: 2 logstreams in 3 files below {dir}/log

Logstream name: [nginx.a]
Journal: none yet ({dir}/cache/logstreamer/nginx.a)
Starts: {dir}/log/a/access.log.1 at byte 0, the beginning of its oldest file
Files: 2 (oldest to newest)
    {dir}/log/a/access.log.1 (70 bytes)
    {dir}/log/a/access.log (70 bytes)

Logstream name: [nginx.b]
Journal: none yet ({dir}/cache/logstreamer/nginx.b)
Starts: {dir}/log/b/access.log at byte 0, the beginning of its oldest file
Files: 1 (oldest to newest)
    {dir}/log/b/access.log (70 bytes)
"
    );
    assert!(!folder.path().join("cache").exists(), "nothing is changed");
}

#[test]
fn journals_are_read_and_problems_are_the_status() {
    let folder = folder();
    let journals = folder.path().join("cache/logstreamer");
    fs::create_dir_all(&journals).unwrap();
    let journal = |seek: u64, hash: &str| {
        let dir = folder.path().display();
        format!(
            "{{\"seek\":{seek},\"file_name\":\"{dir}/log/a/access.log\",\"last_hash\":\"{hash}\"}}"
        )
    };
    let hash = "7b8e8c6b1f0a6b2a4b7f8d8f9f0f0e0d0c0b0a09";
    fs::write(journals.join("nginx.a"), journal(700, hash)).unwrap();
    fs::write(journals.join("nginx.b"), "{").unwrap();
    let (status, out, _) = run(folder.path(), SITES);
    assert_eq!(status, 1, "{out}");
    assert!(
        out.contains("Journal: {dir}/cache/logstreamer/nginx.a: byte 700 of"),
        "{out}"
    );
    assert!(out.contains("which has only 70 bytes"), "{out}");
    assert!(out.contains("nginx.b cannot be understood"), "{out}");
    assert_eq!(out.matches("Problem: ").count(), 2, "{out}");
}

#[test]
fn what_is_wrong_with_files_is_shown() {
    let folder = folder();
    let unordered = SITES.replace("priority = [\"^Seq\"]", "");
    let (status, out, _) = run(folder.path(), &unordered);
    assert_eq!(status, 1);
    assert!(
        out.contains("Problem: stream nginx.a has several files and no `priority`"),
        "{out}"
    );
    assert!(out.contains("Logstream name: [nginx.b]"), "{out}");
    let (status, out, _) = run(folder.path(), &SITES.replace("{dir}/log", "{dir}/none"));
    assert_eq!(status, 1);
    assert!(out.contains("Problem: {dir}/none: No such file"), "{out}");
}

#[test]
fn other_configurations_have_nothing_to_show_or_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (status, out, _) = run(folder.path(), "[TcpInput]\naddress = ':0'\n");
    assert_eq!(
        (status, out.contains("there is no LogstreamerInput")),
        (0, true)
    );
    let (status, out, err) = run(folder.path(), "[LogstreamerInput]\n");
    assert_eq!((status, out.as_str()), (78, ""));
    assert!(err.contains("file_match"), "{err}");
}

/// Pairs of blocks of a page: a configuration, and what it makes of files.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut config = None;
    for block in page.split("```").skip(1).step_by(2) {
        if let Some(text) = block.strip_prefix("toml\n") {
            config = Some(text.to_owned());
        } else if let (Some(text), Some(config)) = (block.strip_prefix("text\n"), config.take()) {
            pairs.push((config, text.to_owned()));
        }
    }
    pairs
}

#[test]
fn the_examples_of_the_documentation_do_what_they_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/logstreamer.md");
    let examples = examples(&fs::read_to_string(page).unwrap());
    assert_eq!(examples.len(), 6, "all of them were found");
    for (config, expected) in examples {
        let folder = tempfile::tempdir().unwrap();
        let (_, rest) = config.split_once("log_directory = \"").unwrap();
        let logs = format!("{{dir}}{}", rest.split('"').next().unwrap());
        let root = folder.path().to_str().unwrap();
        for file in expected
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
        {
            let path = logs.replace("{dir}", root) + "/" + file;
            fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            fs::write(path, "a line\n").unwrap();
        }
        let config = config.replace("log_directory = \"", "log_directory = \"{dir}");
        let (status, out, err) = run(
            folder.path(),
            &format!("[hekad]\nbase_dir = '{{dir}}'\n{config}"),
        );
        assert_eq!(status, 0, "{out}{err}");
        let mut found = String::new();
        for line in out.lines() {
            if let Some(name) = line.strip_prefix("Logstream name: [") {
                found += &format!("{}\n", name.trim_end_matches(']'));
            } else if let Some(file) = line.strip_prefix(&format!("    {logs}/")) {
                found += &format!("    {}\n", file.split(" (").next().unwrap());
            }
        }
        assert_eq!(found, expected, "{config}");
    }
}
