//! What scripts of decoders make where a batch has no room for it.
//!
//! Owns:    the claims about scripts that are run once, and about what no batch holds.
//! Runs on: tests.            Plane: both.
//! Bounds:  some thousand messages a test.
//! Never:   depends on where a batch ends.

use tests::Daemon;

use super::{decoding, place, send};

/// What a decoder makes of 3000 lines whose script adds 40 fields to each, so that batches are full before they have all their messages.
fn of_many_fields(more: &str, matcher: &str, expected: &str) {
    let script = format!(
        r#"
        calls = 0
        function process_message()
            calls = calls + 1
            local text = read_message("Payload")
            write_message("Type", text)
            for i = 1, 40 do write_message("Fields[" .. i .. "]", i) end
            write_message("Fields[calls]", tostring(calls))
            write_message("Payload", text .. calls)
            {more}
            return 0
        end
    "#
    );
    let place = place("decode.lua", &script);
    let daemon = Daemon::start(&place, &decoding(matcher, ""));
    let lines: Vec<String> = (1..=3000).map(|number| format!("n{number}-\n")).collect();
    send(&place, &lines.concat());
    daemon.wait_for(expected);
    let ended = daemon.stop();
    assert_eq!(
        ended.count("decoders.Decode.ProcessMessageCount"),
        3000,
        "{}",
        ended.said
    );
    assert_eq!(ended.dropped("In"), []);
}

#[test]
fn a_script_is_run_once_over_a_record_that_a_batch_has_no_room_for() {
    of_many_fields("", "Type == 'n3000-'", "n3000-|In|n3000-3000\n");
    of_many_fields(
        "add_to_payload('calls ', calls) inject_payload('txt', 'x')",
        "Type == 'n3000-' && Fields[payload_name] == 'x' && Fields[40] == 40 && Fields[calls] == '3000'",
        "n3000-|In|calls 3000\n",
    );
    of_many_fields(
        "inject_message({Type='one'}) inject_message({Type='two', Payload = tostring(calls), Fields = { a = 1, b = 2, c = 3 }})",
        "Type == 'two' && Payload == '3000'",
        "two|In|3000\n",
    );
}

#[test]
fn what_no_batch_has_room_for_is_dropped_and_the_script_goes_on() {
    let script = r#"
        require "string"
        function process_message()
            local text = read_message("Payload")
            if text == "writes" then
                for i = 1, 100 do write_message("Fields[" .. i .. "]", string.rep("x", 30000)) end
            elseif text == "injects" then
                while true do inject_message({ Payload = string.rep("x", 30000) }) end
            end
            return 0
        end
    "#;
    let place = place("decode.lua", script);
    let daemon = Daemon::start(&place, &decoding("Payload == 'after'", ""));
    send(
        &place,
        "before\nwrites\ninjects\nbefore\ninjects\nwrites\nafter\n",
    );
    daemon.wait_for("|In|after\n");
    let ended = daemon.stop();
    assert_eq!(ended.dropped("In"), [("does_not_fit".to_owned(), 4)]);
    assert_eq!(ended.count("decoders.Decode.ProcessMessageCount"), 7);
}
