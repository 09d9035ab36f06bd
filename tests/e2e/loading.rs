//! Filters that are loaded into a running daemon, and the tool that runs scripts without one.
//!
//! Owns:    the claims about SandboxManagerFilter, `hekad sbmgr`, `hekad sbmgrload` and `hekad lua`.
//! Runs on: tests.            Plane: both.
//! Bounds:  a few filters a test.
//! Never:   sends an order twice.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use tests::{Daemon, PATIENCE, Place, tools};

const CONFIG: &str = r#"
[hekad]
shards = {shards}
log_flags = 0
base_dir = "{dir}"
share_dir = "{dir}"

[Orders]
type = "TcpInput"
address = "{host}:5566"
splitter = "Signed"
[Signed]
type = "HekaFramingSplitter"
[Signed.signer.ops_1]
hmac_key = "secret"

[Manager]
type = "SandboxManagerFilter"
message_signer = "ops"
max_filters = 2

[In]
type = "TcpInput"
address = "{host}:5565"

[Print]
type = "LogOutput"
message_matcher = "Type =~ /^heka.(sandbox|terminated)/"
encoder = "Payload"
[Payload]
type = "PayloadEncoder"
"#;

const COUNT: &str = r#"
count = 0
function process_message()
    count = count + 1
    inject_payload("txt", "", "counted ", count)
    return 0
end
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("sbmgr.toml", &sbmgr_config("secret"));
    place.write("count.lua", COUNT);
    place.write(
        "count.toml",
        "[Count]\ntype = 'SandboxFilter'\nmessage_matcher = \"Type == 'test'\"\npreserve_data = true\n",
    );
    place
}

fn sbmgr_config(key: &str) -> String {
    format!(
        "ip_address = '{{host}}:5566'\n[signer]\nname = 'ops'\nversion = 1\nhmac_key = '{key}'\n"
    )
}

fn start(place: &Place, shards: usize) -> Daemon {
    Daemon::start(place, &CONFIG.replace("{shards}", &shards.to_string()))
}

/// Sends an order with these files.
fn order(place: &Place, arguments: &[&str]) {
    let path = |name: &str| place.path(name).display().to_string();
    let config = path("sbmgr.toml");
    let mut all = vec!["sbmgr".to_owned(), "--config".to_owned(), config];
    for argument in arguments {
        let is_file = Path::new(argument).extension().is_some();
        all.push(if is_file {
            path(argument)
        } else {
            (*argument).to_owned()
        });
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    tools::succeed(&all);
}

fn load(place: &Place, script: &str, config: &str) {
    order(
        place,
        &[
            "--action",
            "load",
            "--script",
            script,
            "--scriptconfig",
            config,
        ],
    );
}

fn message(place: &Place, message_type: &str, payload: &str) {
    let address = place.at(5565).to_string();
    tools::succeed(&[
        "inject",
        "--heka",
        &address,
        "--type",
        message_type,
        "--payload",
        payload,
    ]);
}

#[test]
fn a_filter_is_loaded_replaced_unloaded_and_there_again_after_a_restart() {
    let place = place();
    let shards = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(2);
    let daemon = start(&place, shards);
    load(&place, "count.lua", "count.toml");
    daemon.wait_for("Loading: Manager-Count");
    daemon.wait_for_count("RunningFilters", 1);
    message(&place, "test", "");
    daemon.wait_for("counted 1\n");
    let report = daemon.report();
    assert!(report.contains("Manager-Count:\n"), "{report}");
    // The state goes over to the next one.
    place.write("other.lua", &COUNT.replace("counted", "again"));
    load(&place, "other.lua", "count.toml");
    tests::until("the other script", || {
        message(&place, "test", "");
        daemon.said().contains("again ").then_some(())
    });
    // One that cannot work leaves everything as it is.
    place.write("wrong.lua", "function process_message( return 0 end");
    load(&place, "wrong.lua", "count.toml");
    daemon.wait_for("Manager-Count is not loaded: ");
    place.write("dies.lua", "error('at once')");
    load(&place, "dies.lua", "count.toml");
    daemon.wait_for("at once");
    daemon.wait_for("the filter of that name goes on as it was");
    daemon.wait_for_count("RunningFilters", 1);
    daemon.stop();
    let daemon = start(&place, shards);
    daemon.wait_for_count("RunningFilters", 1);
    message(&place, "test", "");
    daemon.wait("it goes on", |said| {
        let (_, count) = said.rsplit_once("again ")?;
        let count: u64 = count.lines().next()?.parse().ok()?;
        (count > 2).then_some(())
    });
    order(&place, &["--action", "unload", "--filtername", "Count"]);
    daemon.wait_for("Unloaded: Manager-Count");
    daemon.wait_for("Manager-Count (type SandboxFilter) terminated. Error: Filter unloaded.\n");
    daemon.wait_for_count("RunningFilters", 0);
    daemon.stop();
    let daemon = start(&place, shards);
    daemon.wait_for_count("RunningFilters", 0);
    daemon.stop();
    assert!(!place.path("sbxmgrs/Manager-Count.toml").exists());
}

#[test]
fn orders_are_taken_from_the_signer_alone_and_limits_hold() {
    let place = place();
    let daemon = start(&place, 1);
    place.write("sbmgr.toml", &sbmgr_config("wrong"));
    load(&place, "count.lua", "count.toml");
    place.write("sbmgr.toml", &sbmgr_config("secret"));
    // The limits are the manager's, whatever the section says.
    place.write(
        "loop.lua",
        "function process_message() while true do end end",
    );
    place.write(
        "loop.toml",
        "[Loop]\ntype = 'SandboxFilter'\nmessage_matcher = \"Type == 'loop'\"\ninstruction_limit = 0\nfilename = '/etc/passwd'\n",
    );
    load(&place, "loop.lua", "loop.toml");
    daemon.wait_for_count("RunningFilters", 1);
    message(&place, "loop", "");
    daemon.wait_for("Plugin 'Manager-Loop' terminated. Error: ");
    daemon.wait_for("instruction_limit exceeded");
    daemon.wait_for_count("RunningFilters", 0);
    // Other types are not loaded.
    place.write(
        "other.toml",
        "[Other]\ntype = 'CounterFilter'\n[Second]\ntype = 'SandboxFilter'\n",
    );
    load(&place, "count.lua", "other.toml");
    daemon.wait_for("only the first section is loaded, not `[Second]`");
    daemon.wait_for("only the type SandboxFilter can be loaded");
    assert!(!daemon.said().contains("has no such option"));
    let config = place.path("sbmgr.toml").display().to_string();
    tools::succeed(&["sbmgrload", "--config", &config, "--num", "30"]);
    daemon.wait_for_count("RunningFilters", 2);
    daemon.wait_for("2 filters are loaded, and more are not allowed");
    // Every order is answered, however many there are.
    daemon.wait_for("Manager': Manager-CounterSandbox29 is not loaded: ");
    message(&place, "hekabench", "");
    daemon.wait_for("Got 1 messages.");
    tools::succeed(&[
        "sbmgrload",
        "--config",
        &config,
        "--num",
        "3",
        "--action",
        "unload",
    ]);
    daemon.wait_for_count("RunningFilters", 0);
    let ended = daemon.stop();
    assert_eq!(ended.dropped("Orders"), [("wrong_signature".to_owned(), 1)]);
}

/// Runs a command: its exit status, what it printed and what it complained of.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tools::run(arguments);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_filter_that_is_slow_and_holds_up_its_shard_is_ended() {
    let place = place();
    let lines = "[Lines]\ntype = 'TcpInput'\naddress = '{host}:5567'\nsplitter = 'Cut'\ndecoder = ''\n[Cut]\ntype = 'RegexSplitter'\ndelimiter = '\\n'\n";
    let shown = "Type == 'heka.sandbox-terminated' && Fields[plugin] == 'Manager-Slow' && Fields[ProcessMessageSamples] >= 30 && \
                 Fields[ProcessMessageAvgDuration] > 1 && Fields[ProcessMessageCount] > 0";
    let config = CONFIG
        .replace("{shards}", "1")
        .replace("log_flags = 0", "log_flags = 0\nmax_process_duration = 1")
        .replace("Type =~ /^heka.(sandbox|terminated)/", shown);
    let daemon = Daemon::start(&place, &format!("{config}{lines}"));
    place.write(
        "slow.lua",
        "function process_message() for i = 1, 300000 do end return 0 end",
    );
    place.write(
        "slow.toml",
        "[Slow]\ntype = 'SandboxFilter'\nmessage_matcher = \"Logger == 'Lines'\"\n",
    );
    load(&place, "slow.lua", "slow.toml");
    daemon.wait_for_count("RunningFilters", 1);
    let mut stream = tests::daemon::connect(place.at(5567));
    let slow = "sandbox is running slowly and blocking the router\n";
    // It is found out after a second of calls, however many a machine makes in that.
    let sent = Instant::now();
    while !daemon.said().contains(slow) && sent.elapsed() < PATIENCE {
        let lines = b"line\n".repeat(1000);
        stream.write_all(&lines).expect("the daemon reads");
    }
    drop(stream);
    daemon.wait_for(slow);
    daemon.wait_for("Plugin 'Manager-Slow' terminated. Error: sandbox is running slowly and blocking the router: a message takes ");
    daemon.wait_for_count("RunningFilters", 0);
    assert_eq!(daemon.stop().status, 0);
}

/// A folder with a sample, and the sample's path.
fn with_sample() -> (Place, String) {
    let place = Place::new();
    place.write("lines.log", "one 1\ntwo 2\nbad\n");
    let lines = place.path("lines.log").display().to_string();
    (place, lines)
}

#[test]
fn scripts_run_over_samples_without_a_daemon() {
    let (place, lines) = with_sample();
    let path = |name: &str| place.path(name).display().to_string();
    let decoder = r#"
        function process_message()
            local word, number = string.match(read_message("Payload"), "^(%a+) (%d+)$")
            if not word then return -1, "no word" end
            inject_message({ Type = "pair", Payload = word, Fields = { n = tonumber(number) } })
            return 0
        end
    "#;
    place.write("decode.lua", &format!("require 'string'\n{decoder}"));
    let decode = path("decode.lua");
    let (status, out, err) = run(&["lua", &decode, "--input", &lines, "--format", "json"]);
    assert_eq!((status, out.lines().count()), (Some(1), 2), "{out}{err}");
    assert!(out.contains("\"payload\":\"two\""), "{out}");
    assert!(
        err.contains("3: Failed parsing: no word payload: bad"),
        "{err}"
    );
    assert!(err.contains("3 records, 2 messages, 1 refused"), "{err}");
    place.write(
        "sum.lua",
        "sum = 0\nfunction process_message() sum = sum + read_message('Fields[n]') * read_config('times') return 0 end\nfunction timer_event(ns) inject_payload('txt', 'sum', sum) end\n",
    );
    let (_, out, err) = run(&[
        "lua",
        &path("sum.lua"),
        "--input",
        &lines,
        "--decoder",
        &decode,
        "--set",
        "times=10",
        "--format",
        "json",
    ]);
    assert!(out.contains("\"payload\":\"30\""), "{out}{err}");
}

#[test]
fn scripts_of_inputs_and_outputs_run_without_a_daemon() {
    let (place, lines) = with_sample();
    let path = |name: &str| place.path(name).display().to_string();
    place.write(
        "make.lua",
        "local n = 0\nfunction process_message() while true do n = n + 1 inject_message({Type='made', Payload=tostring(n)}) end end\n",
    );
    let (status, out, err) = run(&[
        "lua",
        &path("make.lua"),
        "--kind",
        "input",
        "--messages",
        "3",
        "--format",
        "json",
    ]);
    assert_eq!((status, out.lines().count()), (Some(0), 3), "{out}{err}");
    assert!(out.contains("\"payload\":\"3\""), "{out}");
    let kept = path("kept.txt");
    place.write(
        "keep.lua",
        "require 'io'\nlocal file = io.open(read_config('path'), 'w')\nfunction process_message() if read_message('Payload') == 'bad' then return -1, 'no' end file:write(read_message('Payload'), ';') return 0 end\nfunction timer_event(ns) file:write('tick') file:flush() end\n",
    );
    let (status, _, err) = run(&[
        "lua",
        &path("keep.lua"),
        "--kind",
        "output",
        "--input",
        &lines,
        "--set",
        &format!("path={kept}"),
    ]);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("3: no"), "{err}");
    let written = std::fs::read_to_string(&kept).expect("the output has written");
    assert_eq!(written, "one 1;two 2;tick");
    let (status, _, err) = run(&["lua", &path("keep.lua"), "--kind", "output"]);
    assert_eq!(status, Some(2), "{err}");
}

#[test]
fn scripts_that_do_not_run_are_told_of() {
    let (place, lines) = with_sample();
    let path = |name: &str| place.path(name).display().to_string();
    place.write("broken.lua", "function process_message()\nreturn +\nend");
    let (status, _, err) = run(&["lua", &path("broken.lua"), "--input", &lines]);
    assert_eq!(status, Some(78), "{err}");
    assert!(err.contains("broken.lua:2: "), "{err}");
    place.write(
        "loops.lua",
        "function process_message() while true do end end",
    );
    let loops = path("loops.lua");
    let (status, _, err) = run(&[
        "lua",
        &loops,
        "--input",
        &lines,
        "--instruction-limit",
        "100",
    ]);
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("instruction_limit exceeded"), "{err}");
}

#[test]
fn a_script_without_a_timer_gets_no_tick_and_one_that_is_not_there_is_named() {
    let place = Place::new();
    let path = |name: &str| place.path(name).display().to_string();
    place.write("lines.log", "one\n");
    let lines = path("lines.log");
    place.write("silent.lua", "function process_message() return 0 end\n");
    let silent = path("silent.lua");
    let arguments = ["lua", &silent, "--kind", "filter", "--input", &lines];
    let (status, out, err) = run(&arguments);
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    let mut arguments = arguments.to_vec();
    arguments.extend(["--ticks", "1"]);
    let (status, _, err) = run(&arguments);
    assert_eq!(status, Some(1), "{err}");
    assert!(
        err.contains("timer_event() function was not found"),
        "{err}"
    );
    let (status, _, err) = run(&["lua", "nowhere.lua", "--input", &lines]);
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("nowhere.lua: there is no such file"), "{err}");
}
