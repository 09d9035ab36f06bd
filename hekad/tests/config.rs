//! `hekad check`, `hekad explain`, `hekad plugins` and `hekad schema`, as a person runs them.
//!
//! Owns:    exit statuses, and what goes to which stream.
//! Runs on: tests.            Plane: control.
//! Bounds:  one process a test.
//! Never:   starts the daemon.

use std::path::Path;
use std::process::{Command, Output};

fn hekad(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hekad"));
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .expect("hekad runs")
}

fn check(path: &Path) -> (Option<i32>, String, String) {
    let output = hekad(&["check", "--config", path.to_str().expect("a plain path")]);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hekad.toml");
    std::fs::write(&path, text).expect("a file");
    (folder, path)
}

#[test]
fn five_mistakes_are_five_errors_with_carets() {
    let (_folder, path) = written(
        r#"[hekad]
max_message_size = "1M"

[TcpInput]
adress = "127.0.0.1:5565"
address = "127.0.0.1:5565"
decoder = "ProtobufDecodr"

[counter]
type = "CountrFilter"

[LogOutput]
message_matcher = "Type == 'a' && Severty < 4"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#,
    );
    let (status, stdout, stderr) = check(&path);
    assert_eq!((status, stdout.as_str()), (Some(78), ""));
    let marks: Vec<(String, &str)> = stderr
        .lines()
        .collect::<Vec<_>>()
        .windows(2)
        .filter(|lines| lines[1].contains('^'))
        .map(|lines| {
            let caret = lines[1].find('^').expect("it is there");
            let end = lines[1].rfind('^').expect("it is there");
            (
                lines[0].get(caret..=end).unwrap_or_default().to_owned(),
                lines[0],
            )
        })
        .collect();
    let marked: Vec<_> = marks.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        marked,
        [
            "\"1M\"",
            "adress",
            "\"ProtobufDecodr\"",
            "\"CountrFilter\"",
            "Severty"
        ],
        "{stderr}"
    );
    for expected in [
        "hekad.toml:2:20",
        "hekad.toml:5:1",
        "hekad.toml:7:11",
        "hekad.toml:10:8",
        "hekad.toml:13:35",
        "did you mean `address`?",
        "did you mean `ProtobufDecoder`?",
        "did you mean `CounterFilter`?",
        "did you mean `Severity`?",
        "5 errors",
    ] {
        assert!(stderr.contains(expected), "{expected} in\n{stderr}");
    }
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let (_folder, path) = written(
        r#"[hekad]
maxprocs = 4

[tcp:5565]
type = "TcpInput"
address = ":5565"

[LogOutput]
message_matcher = "TRUE"
encoder = "ProtobufEncoder"
"#,
    );
    let (status, stdout, stderr) = check(&path);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        stdout.ends_with("hekad.toml: no errors; 1 input, 0 filters, 1 output\n"),
        "{stdout}"
    );
    assert!(
        stderr.contains("warning: `maxprocs` has no effect") && stderr.ends_with("1 warning\n"),
        "{stderr}"
    );
}

#[test]
fn the_examples_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(folder)
        .expect("examples")
        .map(|entry| entry.expect("a readable folder").path());
    let examples: Vec<_> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let (status, _, stderr) = check(&example);
        assert_eq!(
            (status, stderr.as_str()),
            (Some(0), ""),
            "{}",
            example.display()
        );
    }
}

#[test]
fn no_configuration_is_a_wrong_one() {
    let (status, _, stderr) = check(Path::new("/nowhere/hekad.toml"));
    assert_eq!(status, Some(78));
    assert!(
        stderr.starts_with("error: cannot read `/nowhere/hekad.toml`"),
        "{stderr}"
    );
}

#[test]
fn what_is_no_configuration_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    for (path, said) in [
        (folder.path().join("none.toml"), "`--config PATH`"),
        (empty, ".toml"),
        (
            file("binary", &[0x7f, b'E', b'L', b'F', 0, 1]),
            "bytes that no text has",
        ),
        (file("latin", b"a = '\xe9'"), "a text in UTF-8"),
        (file("huge", &vec![b'#'; 5 << 20]), "a few kilobytes"),
        (file("prose", b"hello"), "`key = value`"),
    ] {
        let (status, _, stderr) = check(&path);
        assert_eq!(status, Some(78), "{stderr}");
        assert!(
            stderr.contains(said) && stderr.contains("help: "),
            "{stderr}"
        );
    }
    let marked = file(
        "marked",
        b"\xef\xbb\xbf[TcpInput]\nadress = ':1'\naddress = ':1'\n",
    );
    let (_, _, stderr) = check(&marked);
    assert!(stderr.contains("2 | adress"), "{stderr}");
}

#[test]
fn tools_say_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("a plain path");
    for (arguments, status, said) in [
        (&["inject", "--heka", "localhost"][..], 2, "HOST:PORT"),
        (
            &["inject", "--severity", "9"],
            2,
            "0 (emergency) to 7 (debug)",
        ),
        (&["inject", "--tls-ca", "x"], 2, "--tls"),
        (&["flood", "--address", ":5565"], 2, "HOST:PORT"),
        (&["flood", "--config", folder], 78, "name a file in it"),
        (&["cat", folder], 2, "name a file in it"),
        (
            &["--report-json", folder, "--config", folder],
            2,
            "not a folder",
        ),
    ] {
        let output = hekad(arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn plugins_are_shown() {
    let list = hekad(&["plugins"]);
    assert!(list.status.success());
    let list = String::from_utf8(list.stdout).expect("text");
    for spec in plugins::ALL {
        assert!(list.contains(spec.name), "{}", spec.name);
        let one = hekad(&["plugins", spec.name]);
        assert!(one.status.success() && one.stdout.starts_with(spec.name.as_bytes()));
    }
    let all = hekad(&["plugins", "--json"]);
    let all: Vec<serde_json::Value> = serde_json::from_slice(&all.stdout).expect("JSON");
    assert_eq!(all.len(), plugins::ALL.len());
    let unknown = hekad(&["plugins", "TcpInputs"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean TcpInput?"));
}

#[test]
fn pages_are_written_and_old_ones_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = folder.path().join("Input/GoneInput.md");
    std::fs::create_dir_all(old.parent().expect("it has one")).expect("a folder");
    std::fs::write(&old, "gone").expect("a file");
    let output = hekad(&[
        "plugins",
        "--markdown",
        folder.path().to_str().expect("a plain path"),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!old.exists() && folder.path().join("README.md").is_file());
}

#[test]
fn the_schema_is_json() {
    let output = hekad(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["hekad"]["properties"]["shards"].is_object());
}

const ROUTES: &str = r#"[TcpInput]
address = "127.0.0.1:0"
splitter = "HekaFramingSplitter"
decoder = "ProtobufDecoder"

[alerts]
type = "CounterFilter"
message_matcher = "Type == 'alert' && Payload =~ /user=(?P<user>[a-z]+)/"

[never]
type = "CounterFilter"
message_matcher = "Severity < 2 && Severity > 5"

[all]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "PayloadEncoder"

[PayloadEncoder]
"#;

#[test]
fn explain_shows_the_tree_and_what_becomes_of_a_message() {
    let (folder, path) = written(ROUTES);
    let config = path.to_str().expect("a plain path");
    let message = folder.path().join("message.json");
    std::fs::write(&message, r#"{"type":"alert","payload":"user=bob left"}"#).expect("a file");
    let message = message.to_str().expect("a plain path");
    let run = |more: &[&str]| {
        let output = hekad(&[&["explain", "--config", config], more].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let tree = run(&[]);
    for says in [
        "alerts (filter): Type == \"alert\" && Payload =~ /user=(?P<user>[a-z]+)/",
        "never (filter): FALSE",
        "every message: all",
    ] {
        assert!(tree.contains(says), "no {says:?} in\n{tree}");
    }
    assert!(run(&["--dot"]).starts_with("digraph"));
    let decisions = run(&["--message", message]);
    for says in [
        "alerts (filter) gets it\n  yes Type == \"alert\"",
        "captured user = \"bob\"",
        "never (filter) does not get it",
        "(it is \"alert\")",
        "all (output) gets it",
    ] {
        assert!(decisions.contains(says), "no {says:?} in\n{decisions}");
    }
    let missing = hekad(&["explain", "--config", config, "--message", "no such file"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}

#[test]
fn check_warns_of_matchers_that_mean_nothing() {
    let (_folder, path) = written(ROUTES);
    let (status, _, stderr) = check(&path);
    assert_eq!(status, Some(0));
    assert!(stderr.contains("no message can match"), "{stderr}");
    assert!(stderr.contains("Severity < 2 && Severity > 5"), "{stderr}");
}

/// Who asks every process of this name for the daemon's report must not end a tool.
#[test]
fn tools_outlive_a_request_for_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.heka");
    std::fs::write(&path, b"").expect("a file");
    let mut cat = Command::new(env!("CARGO_BIN_EXE_hekad"))
        .args(["cat", "--tail", path.to_str().expect("a plain path")])
        .stdin(std::process::Stdio::null())
        .spawn()
        .expect("hekad runs");
    let pid = nix::unistd::Pid::from_raw(cat.id() as i32);
    let handles = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.is_some_and(|bits| {
            let bits = u64::from_str_radix(bits.trim(), 16).unwrap_or(0);
            bits >> (nix::libc::SIGUSR1 - 1) & 1 == 1 && bits >> (nix::libc::SIGINT - 1) & 1 == 1
        })
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !handles() {
        assert!(std::time::Instant::now() < deadline, "no handlers");
        std::thread::yield_now();
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).expect("it is there");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it is there");
    let status = cat.wait().expect("it ends");
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), None, "{status:?}");
}
