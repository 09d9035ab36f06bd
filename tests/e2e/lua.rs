//! Lua scripts under the real binary: what they make of messages, and what becomes of the daemon when they fail.
//!
//! Owns:    the claims about SandboxFilter, SandboxDecoder, SandboxEncoder, SandboxOutput and SandboxInput.
//! Runs on: tests.            Plane: both.
//! Bounds:  some hundred messages a test.
//! Never:   depends on how fast a script runs.

mod room;

use std::io::Write;

use tests::{Daemon, Place, tools};

/// Lines come in over TCP; what reaches the log is shown as `Type|Logger|Payload`.
const LINES: &str = r#"
[hekad]
shards = 1
log_flags = 0
base_dir = "{dir}"
share_dir = "{dir}"

[In]
type = "TcpInput"
address = "{host}:5565"
splitter = "Lines"
decoder = ""

[Lines]
type = "RegexSplitter"
delimiter = '\n'

[Print]
type = "LogOutput"
encoder = "Shown"

[Shown]
type = "SandboxEncoder"
filename = "shown.lua"
"#;

/// The script of the encoder `Shown`.
const SHOWN: &str = r#"
function process_message()
    local text = { read_message("Type"), read_message("Logger"), read_message("Payload") }
    for i = 1, 3 do add_to_payload(text[i] or "", i < 3 and "|" or "\n") end
    inject_payload()
    return 0
end
"#;

/// A place with the encoder's script and another one.
pub(super) fn place(name: &str, script: &str) -> Place {
    let place = Place::new();
    place.write("shown.lua", SHOWN);
    place.write(name, script);
    place
}

pub(super) fn config(matcher: &str, sections: &str) -> String {
    let print = format!("[Print]\nmessage_matcher = \"{matcher}\"");
    format!("{}{sections}", LINES.replace("[Print]", &print))
}

pub(super) fn send(place: &Place, lines: &str) {
    let mut stream = tests::daemon::connect(place.at(5565));
    stream
        .write_all(lines.as_bytes())
        .expect("the daemon reads");
}

#[test]
fn a_filter_counts_and_tells_at_ticks_and_at_the_end() {
    let script = r#"
        local prefix = read_config("prefix")
        count, sum = 0, 0
        function process_message()
            count = count + 1
            if read_message("Payload") == "message" then
                inject_message({ Type = "seen", Logger = "me", Payload = "p", Fields = { n = count } })
            elseif read_message("Payload") == "bad" then
                return -1, "no good"
            end
            return 0
        end
        function timer_event(ns)
            add_to_payload(prefix, count)
            inject_payload("txt", "counts")
        end
    "#;
    let place = place("count.lua", script);
    let filter = r#"
        [Count]
        type = "SandboxFilter"
        filename = "count.lua"
        message_matcher = "Logger == 'In'"
        ticker_interval = 1
        timer_event_on_shutdown = true
        [Count.config]
        prefix = "seen: "
    "#;
    let daemon = Daemon::start(&place, &config("Type =~ /^heka.sandbox/", filter));
    send(&place, "message\nbad\nbad\nother\n");
    daemon.wait_for("heka.sandbox.seen|Count|p\n");
    daemon.wait_for("heka.sandbox-output|Count|seen: 4\n");
    daemon.wait_for("process_message() failed: no good");
    daemon.wait_for_count("ProcessMessageFailures", 2);
    let ended = daemon.stop();
    assert!(ended.said.ends_with("seen: 4\n") || ended.said.contains("seen: 4\n"));
    assert_eq!(ended.count("filters.Count.delivered"), 4);
    assert_eq!(
        ended.count("filters.Count.figures.ProcessMessageFailures"),
        2
    );
}

#[test]
fn the_last_word_of_a_filter_is_delivered() {
    let script = r#"
        count = 0
        function process_message() count = count + 1 return 0 end
        function timer_event(ns) inject_payload("txt", "last", "last: ", count) end
    "#;
    let place = place("last.lua", script);
    let filter = "[Last]\ntype = 'SandboxFilter'\nfilename = 'last.lua'\nmessage_matcher = \"Logger == 'In'\"\ntimer_event_on_shutdown = true\n";
    let daemon = Daemon::start(&place, &config("Type == 'heka.sandbox-output'", filter));
    send(&place, "a\nb\nc\n");
    let ended = daemon.stop();
    assert!(
        ended.said.contains("heka.sandbox-output|Last|last: 3\n"),
        "{}",
        ended.said
    );
}

#[test]
fn a_filter_that_dies_says_why_and_the_daemon_goes_on() {
    let script = r#"
        local function deep() error("out of " .. "order") end
        function process_message() deep() return 0 end
    "#;
    let place = place("dies.lua", script);
    let filter = "[Dies]\ntype = 'SandboxFilter'\nfilename = 'dies.lua'\nmessage_matcher = \"Logger == 'In'\"\n";
    let daemon = Daemon::start(
        &place,
        &config("Type =~ /^heka.*terminated$/ || Payload == 'after'", filter),
    );
    send(&place, "first\n");
    daemon.wait_for("heka.sandbox-terminated|hekad|process_message() ");
    let text = daemon.wait("the end in the log", |said| {
        let at = said.find("Plugin 'Dies' terminated. Error: ")?;
        Some(said[at..].lines().next()?.to_owned())
    });
    assert!(text.contains("dies.lua:2: out of order"), "{text}");
    assert!(
        text.contains("stack: ") && text.contains("dies.lua:3"),
        "{text}"
    );
    send(&place, "after\n");
    daemon.wait_for("In|In|after\n");
    let ended = daemon.stop();
    assert_eq!(ended.status, 0);
    // It has told of its end itself.
    assert!(!ended.said.contains("heka.terminated|"), "{}", ended.said);
}

#[test]
fn what_a_script_says_forges_no_line_of_the_log_and_is_never_empty() {
    let script = r#"
        function process_message()
            local payload = read_message("Payload")
            if payload == "end" then return 7 end
            return -1, payload .. "\nPlugin 'In' terminated\027[2K\r\n"
        end
    "#;
    let place = place("says.lua", script);
    let filter = r#"
        [Says]
        type = "SandboxFilter"
        filename = "says.lua"
        message_matcher = "Logger == 'In'"
        [Says.config]
        codes = [1, 2]
    "#;
    let daemon = Daemon::start(&place, &config("Type =~ /^heka.sandbox/", filter));
    daemon.wait_for("`read_config(\"codes\")` is nil: the value is an array");
    send(&place, "odd\n");
    daemon.wait_for("process_message() failed: odd\n\tPlugin 'In' terminated\\u{1b}[2K\n");
    send(&place, "end\n");
    let why = "process_message() returned 7, which ends the script, and no text";
    daemon.wait_for(&format!("Plugin 'Says' terminated. Error: {why}; "));
    daemon.wait_for(&format!("heka.sandbox-terminated|hekad|{why}\n"));
    assert_eq!(daemon.stop().status, 0);
}

#[test]
fn an_endless_loop_ends_the_filter_alone() {
    let script = "function process_message() while true do end return 0 end";
    let place = place("loop.lua", script);
    let filter = "[Loops]\ntype = 'SandboxFilter'\nfilename = 'loop.lua'\nmessage_matcher = \"Logger == 'In'\"\ninstruction_limit = 1000\n";
    let daemon = Daemon::start(
        &place,
        &config(
            "Type == 'heka.sandbox-terminated' || Payload == 'after'",
            filter,
        ),
    );
    send(&place, "first\n");
    daemon.wait_for("instruction_limit exceeded");
    send(&place, "after\n");
    daemon.wait_for("In|In|after\n");
    assert_eq!(daemon.stop().status, 0);
}

#[test]
fn a_filter_is_told_that_it_injects_too_much_or_what_it_takes_itself() {
    for (name, script, expected) in [
        (
            "much.lua",
            "function process_message() inject_message({Type='a'}) inject_message({Type='b'}) return 0 end",
            "inject_message() exceeded InjectMessage count",
        ),
        (
            "circle.lua",
            "function process_message() inject_message({Type='again'}) return 0 end",
            "inject_message() creates a circular reference (matches this plugin's message_matcher)",
        ),
        (
            "bytes.lua",
            "function process_message() inject_message('no message') return 0 end",
            "inject_message() protobuf unmarshal failed",
        ),
    ] {
        let place = place(name, script);
        let filter = format!(
            "[Told]\ntype = 'SandboxFilter'\nfilename = '{name}'\nmessage_matcher = \"Logger == 'In' || Type == 'heka.sandbox.again'\"\n"
        );
        let daemon = Daemon::start(
            &place,
            &config("Type == 'heka.sandbox-terminated'", &filter),
        );
        send(&place, "first\n");
        daemon.wait_for(expected);
        assert_eq!(daemon.stop().status, 0);
    }
}

#[test]
fn a_filter_may_end_the_daemon() {
    let place = place(
        "ends.lua",
        "function process_message() return 1, 'enough' end",
    );
    let filter = "[Ends]\ntype = 'SandboxFilter'\nfilename = 'ends.lua'\nmessage_matcher = \"Logger == 'In'\"\ncan_exit = false\n";
    let daemon = Daemon::start(&place, &config("FALSE", filter));
    send(&place, "first\n");
    let ended = daemon.ended();
    assert_eq!(ended.status, 1);
    assert!(
        ended
            .said
            .contains("Plugin 'Ends' terminated. Error: enough"),
        "{}",
        ended.said
    );
}

#[test]
fn scripts_with_mistakes_are_found_before_anything_starts() {
    let place = Place::new();
    place.write("shown.lua", SHOWN);
    place.write(
        "syntax.lua",
        "function process_message()\n    return = 0\nend\n",
    );
    place.write("load.lua", "local x = nil\nx.y = 1\n");
    let of = |name: &str| {
        config(
            "TRUE",
            &format!(
                "[F]\ntype = 'SandboxFilter'\nfilename = '{name}'\nmessage_matcher = 'TRUE'\n"
            ),
        )
    };
    let ended = Daemon::launch(&place, &of("syntax.lua")).ended();
    assert_eq!(ended.status, 78);
    assert!(ended.said.contains("syntax.lua:2: "), "{}", ended.said);
    let ended = Daemon::launch(&place, &of("nowhere.lua")).ended();
    assert_eq!(ended.status, 78);
    assert!(ended.said.contains("nowhere.lua"), "{}", ended.said);
    let ended = Daemon::launch(&place, &of("load.lua")).ended();
    assert_eq!(ended.status, 1);
    assert!(
        ended.said.contains("Plugin 'F' cannot start"),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("load.lua:2: "), "{}", ended.said);
}

const DECODED: &str = r#"
[Decode]
type = "SandboxDecoder"
filename = "decode.lua"
[Decode.config]
tz = "America/New_York"
"#;

/// A configuration whose input has the decoder.
fn decoding(matcher: &str, more: &str) -> String {
    let decoder = format!("decoder = \"Decode\"\n{more}");
    config(matcher, DECODED).replace("decoder = \"\"\n", &decoder)
}

#[test]
fn a_decoder_writes_replaces_and_multiplies() {
    let script = r#"
        function process_message()
            local line = read_message("Payload")
            if line == "write" then
                write_message("Type", "written")
                write_message("Payload", "W")
            elseif line == "replace" then
                inject_message({ Type = "replaced", Payload = "R", Timestamp = 0 })
            elseif line == "two" then
                inject_message({ Payload = "one", Type = "first" })
                inject_message({ Payload = "another" })
            elseif line == "payload" then
                inject_payload("json", "name", "made of it")
            else
                return -1, "what is this"
            end
            return 0
        end
    "#;
    let place = place("decode.lua", script);
    let daemon = Daemon::start(&place, &decoding("TRUE", ""));
    send(&place, "write\nreplace\ntwo\npayload\nbad\n");
    for expected in [
        "written|In|W\n",
        "replaced|In|R\n",
        "first|In|one\n",
        "In|In|another\n",
        "In|In|made of it\n",
    ] {
        daemon.wait_for(expected);
    }
    let ended = daemon.stop();
    assert_eq!(ended.dropped("In"), [("decode_failed".to_owned(), 1)]);
    assert!(
        ended
            .said
            .contains("last: Failed parsing: what is this payload: bad"),
        "{}",
        ended.said
    );
    assert_eq!(ended.count("decoders.Decode.ProcessMessageCount"), 5);
    assert_eq!(ended.count("decoders.Decode.ProcessMessageFailures"), 1);
}

#[test]
fn what_a_decoder_refuses_can_go_on_marked() {
    let place = place(
        "decode.lua",
        "function process_message() return -1, 'never' end",
    );
    place.write(
        "shown.lua",
        "function process_message() inject_payload('txt', '', read_message('Fields[decode_error]'), '\\n') return 0 end",
    );
    let daemon = Daemon::start(&place, &decoding("TRUE", "send_decode_failures = true\n"));
    send(&place, "line\n");
    daemon.wait_for("\nFailed parsing: never payload: line\n");
    assert_eq!(daemon.stop().count("inputs.In.delivered"), 1);
}

#[test]
fn a_decoder_that_dies_is_started_again() {
    let script = r#"
        function process_message()
            if read_message("Payload") == "die" then error("dead") end
            return 0
        end
    "#;
    let place = place("decode.lua", script);
    let daemon = Daemon::start(&place, &decoding("TRUE", ""));
    send(&place, "die\n");
    daemon.wait_for("Decode: terminated: process_message() ");
    // Lines are refused until there is a machine again.
    tests::until("a decoder again", || {
        send(&place, "alive\n");
        daemon.said().contains("In|In|alive\n").then_some(())
    });
    assert_eq!(daemon.stop().status, 0);
}

#[test]
fn a_decoder_may_end_the_daemon() {
    let place = place("decode.lua", "function process_message() error('dead') end");
    let text = decoding("TRUE", "").replace("[Decode]", "[Decode]\ncan_exit = false");
    let daemon = Daemon::start(&place, &text);
    send(&place, "line\n");
    let ended = daemon.ended();
    assert_eq!(ended.status, 1);
    assert!(
        ended.said.contains("Plugin 'Decode' terminated. Error: "),
        "{}",
        ended.said
    );
}

#[test]
fn an_encoder_injects_writes_or_passes_by() {
    let script = r#"
        function process_message()
            local line = read_message("Payload")
            if line == "nothing" then return -2 end
            if line == "bad" then return -1, "cannot" end
            if line == "die" then error("dead") end
            if line == "message" then
                inject_message({ Type = "made", Payload = "M", Timestamp = 5, Uuid = "0123456789abcdef" })
                return 0
            end
            write_message("Payload", "written")
            return 0
        end
    "#;
    let place = place("encode.lua", script);
    let file = r#"
        [File]
        type = "FileOutput"
        path = "{dir}/out.log"
        message_matcher = "TRUE"
        encoder = "Encode"
        use_framing = true
        [Encode]
        type = "SandboxEncoder"
        filename = "encode.lua"
    "#;
    let daemon = Daemon::start(&place, &config("FALSE", file));
    send(&place, "bad\n");
    daemon.wait_for("Failed serializing: cannot");
    send(&place, "nothing\nmessage\nother\ndie\n");
    let ended = daemon.stop();
    let out = place.path("out.log").display().to_string();
    let shown = tools::succeed(&["cat", "--format", "json", &out]);
    let payloads: Vec<_> = shown
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|message| message["payload"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(payloads, ["M", "written"], "{shown}");
    assert_eq!(ended.count("outputs.File.dropped.encode_failed"), 2);
}

#[test]
fn reports_show_what_scripts_use() {
    let script = "function process_message() return 0 end\nfunction timer_event(ns) end";
    let place = place("idle.lua", script);
    let filter = "[Idle]\ntype = 'SandboxFilter'\nfilename = 'idle.lua'\nmessage_matcher = \"Logger == 'In'\"\nprofile = true\nticker_interval = 1\n";
    let daemon = Daemon::start(&place, &config("Payload == 'b'", filter));
    send(&place, "a\nb\n");
    daemon.wait_for("In|In|b\n");
    daemon.wait_for_count("ProfileMessageSamples", 2);
    let report = daemon.report();
    let filters = report.split("====Filters====").nth(1).expect("filters");
    for figure in [
        "Memory: ",
        "MaxMemory: ",
        "MaxInstructions: ",
        "MaxOutput: ",
    ] {
        assert!(filters.contains(&format!("    {figure}")), "{report}");
    }
    assert!(report.contains("====Encoders====\nShown:\n"), "{report}");
    daemon.stop();
}

#[test]
fn an_output_delivers_refuses_and_keeps_what_it_knows() {
    let script = r#"
        require "io"
        local path = read_config("path")
        count = 0
        function process_message()
            if read_message("Payload") == "bad" then return -1, "not this one" end
            count = count + 1
            local file = assert(io.open(path, "a"))
            file:write(count, " ", read_message("Payload"), "\n")
            file:close()
            return 0
        end
        function timer_event(ns)
            local file = assert(io.open(path, "a"))
            file:write("tick\n")
            file:close()
        end
    "#;
    let place = place("write.lua", script);
    let output = r#"
        [Write]
        type = "SandboxOutput"
        filename = "write.lua"
        message_matcher = "TRUE"
        preserve_data = true
        timer_event_on_shutdown = true
        [Write.config]
        path = "{dir}/written"
    "#;
    let written = || std::fs::read_to_string(place.path("written")).unwrap_or_default();
    let text = config("FALSE", output);
    let daemon = Daemon::start(&place, &text);
    send(&place, "a\nbad\nb\n");
    tests::until("two lines", || written().contains("2 b\n").then_some(()));
    daemon.wait_for("process_message() failed: not this one");
    let ended = daemon.stop();
    assert_eq!(ended.count("outputs.Write.delivered"), 2);
    assert_eq!(ended.count("outputs.Write.dropped.refused"), 1);
    let daemon = Daemon::start(&place, &text);
    send(&place, "c\n");
    tests::until("a third line", || written().contains("3 c\n").then_some(()));
    daemon.stop();
    assert_eq!(written(), "1 a\n2 b\ntick\n3 c\ntick\n");
}

#[test]
fn an_output_that_dies_leaves_the_rest() {
    let place = place(
        "dies.lua",
        "function process_message() return 1, 'no more' end",
    );
    let output =
        "[Dies]\ntype = 'SandboxOutput'\nfilename = 'dies.lua'\nmessage_matcher = 'TRUE'\n";
    let daemon = Daemon::start(&place, &config("TRUE", output));
    send(&place, "a\n");
    daemon.wait_for("Plugin 'Dies' terminated. Error: FATAL: no more");
    daemon.wait_for(
        "heka.terminated|hekad|Dies (type SandboxOutput) terminated. Error: FATAL: no more\n",
    );
    send(&place, "b\n");
    daemon.wait_for("In|In|b\n");
    assert_eq!(daemon.stop().status, 0);
}

/// A configuration with the input `Make` alone.
pub(super) fn making(options: &str) -> String {
    let sections = format!("[Make]\ntype = 'SandboxInput'\nfilename = 'make.lua'\n{options}");
    let (head, rest) = LINES.split_once("[In]").expect("an input");
    let (_, print) = rest.split_once("[Print]").expect("an output");
    format!("{head}{sections}\n[Print]\nmessage_matcher = 'TRUE'\n{print}")
}

#[test]
fn an_input_makes_messages_at_every_tick() {
    let script = r#"
        count = 0
        function process_message()
            count = count + 1
            inject_message({ Type = "made", Logger = "make", Payload = "number " .. count })
            if count == 2 then return -1, "second" end
            return 0
        end
    "#;
    let place = place("make.lua", script);
    let text = making("ticker_interval = 1\npreserve_data = true\n");
    let daemon = Daemon::start(&place, &text);
    daemon.wait_for("made|make|number 3\n");
    daemon.wait_for("process_message() failed: second");
    let made = daemon.stop().count("inputs.Make.delivered");
    // The state of the script is as it was.
    let daemon = Daemon::start(&place, &text);
    daemon.wait_for(&format!("made|make|number {}\n", made + 1));
    daemon.stop();
}

#[test]
fn an_input_may_run_once_for_ever_or_fail() {
    let once = "function process_message() inject_message({Type='once'}) return 0 end";
    let place = place("make.lua", once);
    let daemon = Daemon::start(&place, &making(""));
    daemon.wait_for("once||\n");
    daemon.wait_for("single run completed");
    assert_eq!(daemon.stop().status, 0);
    let always = r#"
        function process_message()
            local n = 0
            while true do
                n = n + 1
                inject_message({ Type = "always", Payload = tostring(n) })
            end
        end
    "#;
    place.write("make.lua", always);
    let daemon = Daemon::start(&place, &making(""));
    daemon.wait_for("always||100\n");
    assert_eq!(daemon.stop().status, 0);
    place.write("make.lua", "function process_message() error('broken') end");
    let daemon = Daemon::start(&place, &making("can_exit = false\n"));
    let ended = daemon.ended();
    assert_eq!(ended.status, 1);
    assert!(ended.said.contains("broken"), "{}", ended.said);
}

#[test]
fn scripts_that_come_with_hekad_have_hekas_names_and_files_take_their_place() {
    let decoder = r#"
        [Decode]
        type = "SandboxDecoder"
        filename = "lua_decoders/nginx_access.lua"
        [Decode.config]
        type = "nginx"
        log_format = '$remote_addr "$request" $status'
    "#;
    let place = Place::new();
    place.write(
        "shown.lua",
        "function process_message() inject_payload('txt', '', read_message('Type'), ' ', read_message('Fields[status]') or '', '\\n') return 0 end",
    );
    let text = config("TRUE", decoder).replace("decoder = \"\"\n", "decoder = \"Decode\"\n");
    let daemon = Daemon::start(&place, &text);
    send(&place, "10.0.0.1 \"GET /\" 404\n");
    daemon.wait_for("nginx 404\n");
    daemon.stop();
    std::fs::create_dir(place.path("lua_decoders")).expect("a folder");
    place.write(
        "lua_decoders/nginx_access.lua",
        "function process_message() write_message('Type', 'own') return 0 end",
    );
    let daemon = Daemon::start(&place, &text);
    send(&place, "10.0.0.1 \"GET /\" 404\n");
    daemon.wait_for("own \n");
    daemon.stop();
}
