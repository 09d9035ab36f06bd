//! What scripts write and inject.
//!
//! Owns:    the tests of `write_message`, of tables as messages, of payloads, of `decode_message`.
//! Runs on: tests.            Plane: data.
//! Bounds:  each test makes its own sandboxes.
//! Never:   looks inside.

use codecs::field::{Value, ValueType};
use codecs::message::{Header, MessageTable};
use sandbox::{Cause, Kind, Sandbox, Settings, Subject, Terminated};

use crate::{Keeper, eval, fill, process, sandbox, start, table};

/// Runs a decoder's script on the full message; the message afterwards.
fn decoded(body: &str) -> (Result<i32, Terminated>, MessageTable, Keeper) {
    let source = format!("function process_message() {body} return 0 end");
    let mut one = sandbox(Kind::Decoder, &source);
    let mut table = table();
    let mut draft = table.begin().expect("room");
    fill(&mut draft);
    let mut host = Keeper::default();
    let status = one
        .process_message(Subject::Draft(&mut draft), &mut host)
        .map(|returned| returned.status);
    (status, table, host)
}

#[test]
fn headers_are_written() {
    let (status, table, _) = decoded(
        "write_message('Type', 'T') write_message('Logger', 'L') write_message('Payload', 'a\\0b') write_message('Hostname', 'H') \
         write_message('EnvVersion', 'E') write_message('Uuid', '0f0e0d0c-0b0a-0908-0706-050403020100') \
         write_message('Timestamp', '2009-02-13T23:31:31Z') write_message('Severity', '0x5') write_message('Pid', 123)",
    );
    assert_eq!(status, Ok(0));
    let message = table.get(0);
    assert_eq!(message.header(Header::Type), b"T");
    assert_eq!(message.header(Header::Logger), b"L");
    assert_eq!(message.payload(), b"a", "texts end at a zero, as Heka's");
    assert_eq!(message.header(Header::Hostname), b"H");
    assert_eq!(message.header(Header::EnvVersion), b"E");
    assert_eq!(message.uuid()[..2], [15, 14]);
    assert_eq!(message.timestamp(), 1_234_567_891_000_000_000);
    assert_eq!((message.severity(), message.pid()), (5, 123));
    assert!(message.encoded().is_none());
}

#[test]
fn fields_are_written() {
    let (status, table, _) = decoded(
        "write_message('Fields[new]', 'v', 'r') write_message('Fields[new]', 2, '', 1) write_message('Fields[text]', 'x') \
         write_message('Fields[text]', 'y', 'z', 1) write_message('Fields[integer]', 9) write_message('Fields[bytes]', 'a\\0b') \
         write_message('Fields[double]', 0.5) write_message('Fields[bool]', false) write_message('Fields[list]', 7, 's', 0, 1) \
         write_message('Fields[list]', 8, 's', 0, 3) write_message('Fields[text]', 'more', '', 0, 1)",
    );
    assert_eq!(status, Ok(0));
    let message = table.get(0);
    let field = |name: &str, index| message.field(name.as_bytes(), index).expect(name);
    assert_eq!(field("new", 0).first(), Some(Value::String(b"v")));
    assert_eq!(field("new", 0).representation(), Some(&b"r"[..]));
    assert_eq!(field("new", 1).first(), Some(Value::Double(2.0)));
    let texts: Vec<_> = field("text", 0).values().collect();
    assert_eq!(texts, [Value::String(b"x"), Value::String(b"more")]);
    assert_eq!(field("text", 0).representation(), Some(&b""[..]));
    assert_eq!(field("text", 1).first(), Some(Value::String(b"y")));
    assert_eq!(field("text", 1).representation(), Some(&b"z"[..]));
    assert_eq!(field("integer", 0).first(), Some(Value::Integer(9)));
    assert_eq!(field("bytes", 0).first(), Some(Value::Bytes(b"a\0b")));
    assert_eq!(field("double", 0).first(), Some(Value::Double(0.5)));
    assert_eq!(field("bool", 0).first(), Some(Value::Bool(false)));
    let list: Vec<_> = field("list", 0).values().collect();
    assert_eq!(list, [1, 7, 3, 8].map(Value::Integer));
}

#[test]
fn fields_are_deleted() {
    let (status, table, _) = decoded(
        "write_message('Fields[text]', nil) write_message('Fields[list]', nil, '', 0, 1) write_message('Fields[double]', nil, '', 0, 0) \
         write_message('Fields[none]', nil)",
    );
    assert_eq!(status, Ok(0));
    let message = table.get(0);
    let text = message.field(b"text", 0).expect("the second one");
    assert_eq!(text.first(), Some(Value::String(b"second")));
    assert!(message.field(b"text", 1).is_none());
    let list: Vec<_> = message
        .field(b"list", 0)
        .expect("a field")
        .values()
        .collect();
    assert_eq!(list, [1, 3].map(Value::Integer));
    assert!(message.field(b"double", 0).expect("a field").is_empty());
}

#[test]
fn what_cannot_be_written_is_explained_to_the_host() {
    for (body, why) in [
        ("write_message('Nothing', 1)", "Bad field name."),
        ("write_message('Type', 1)", "Bad field name."),
        ("write_message('Type', nil)", "Bad field name."),
        ("write_message('Severity', true)", "Bad field name."),
        (
            "write_message('Severity', '4294967296')",
            "Can't parse severity value.",
        ),
        ("write_message('Pid', 'x')", "Can't parse PID value."),
        ("write_message('Uuid', 'x')", "Bad UUID string."),
        ("write_message('Timestamp', '')", "Empty timestamp string."),
        (
            "write_message('Timestamp', 'never')",
            "Can't parse timestamp string.",
        ),
        (
            "write_message('Fields[text]', 1)",
            "type error, 'text' is a string field",
        ),
        (
            "write_message('Fields[integer]', 1.5)",
            "type error, 'integer' is an integer field",
        ),
        ("write_message('Fields[new]', 1, '', 1)", "bad field index"),
        (
            "write_message('Fields[new]', 1, '', 0, 1)",
            "bad array index",
        ),
        (
            "write_message('Fields[list]', 1, '', 0, 4)",
            "bad array index",
        ),
        (
            "write_message('Fields[text]', nil, '', 2)",
            "bad field index",
        ),
        (
            "write_message('Fields[text]', nil, '', 0, 1)",
            "bad array index",
        ),
    ] {
        let (status, _, host) = decoded(body);
        let ended = status.expect_err(body);
        assert_eq!(
            ended.text,
            "process_message() test.lua:1: write_message() failed"
        );
        assert_eq!(host.explained, [why], "{body}");
    }
}

#[test]
fn write_message_checks_its_arguments() {
    for (body, text) in [
        (
            "write_message('Type')",
            "write_message() incorrect number of arguments",
        ),
        (
            "write_message('Type', {})",
            "write_message() only accepts numeric, string, or boolean field values, or nil to delete",
        ),
        (
            "write_message('Type', 'x', '', -1)",
            "bad argument #4 to 'write_message' (field index must be >= 0)",
        ),
        (
            "write_message('Type', 'x', '', 0, -1)",
            "bad argument #5 to 'write_message' (array index must be >= 0)",
        ),
    ] {
        let ended = decoded(body).0.expect_err(body);
        assert_eq!(ended.text, format!("process_message() test.lua:1: {text}"));
    }
}

#[test]
fn a_table_without_room_is_told_apart_and_does_not_end_the_sandbox() {
    let mut one = sandbox(
        Kind::Decoder,
        "function process_message() pcall(write_message, 'Payload', ('x'):rep(2000000)) return 0 end",
    );
    let mut table = table();
    let mut draft = table.begin().expect("room");
    let full = one
        .process_message(Subject::Draft(&mut draft), &mut Keeper::default())
        .expect_err("no room");
    assert_eq!(full.cause, Cause::Full);
    assert!(one.ended().is_none());
}

#[test]
fn an_encoder_writes_to_a_copy() {
    let mut one = sandbox(
        Kind::Encoder,
        "n = 0 function process_message() n = n + 1 if n == 2 then return 0 end write_message('Type', 'new') \
         write_message('Fields[text]', 'x') return 0, read_message('Type') .. read_message('Fields[text]') end",
    );
    let mut table = table();
    fill(&mut table.begin().expect("room"));
    let mut host = Keeper::default();
    let first = one.process_message(Subject::Message(table.get(0)), &mut host);
    assert_eq!(first.expect("runs").text, Some(&b"newx"[..]));
    let written = one.written().expect("a copy");
    assert_eq!(written.header(Header::Type), b"new");
    assert_eq!(written.header(Header::Hostname), b"host");
    assert_eq!(written.fields().len(), table.get(0).fields().len());
    assert_eq!(table.get(0).header(Header::Type), b"TEST");
    one.process_message(Subject::Message(table.get(0)), &mut host)
        .expect("runs");
    assert!(one.written().is_none(), "the second call wrote nothing");
}

/// The message that a filter makes of a table.
fn injected(expression: &str) -> Result<MessageTable, String> {
    let source = format!("function process_message() inject_message({expression}) return 0 end");
    let mut one = sandbox(Kind::Filter, &source);
    let mut host = Keeper::default();
    process(&mut one, &mut host).map_err(|ended| ended.text)?;
    let mut table = table();
    let mut draft = table.begin().expect("room");
    let bytes = draft.store(&host.messages[0]).expect("room");
    draft.index_protobuf(bytes).expect("a message");
    Ok(table)
}

#[test]
fn tables_become_messages() {
    let table = injected(
        "{Uuid = '0123456789abcdef', Timestamp = 5e9, Type = 't', Logger = 7, Severity = '3', Payload = 'p', EnvVersion = 'e', Pid = -1, \
          Hostname = 'h', Fields = {s = 'x', n = 1.5, b = true, l = {1, 2, 3}, o = {value = 'y', representation = 'r', value_type = 1}, \
          i = {value = {4, 5}, value_type = 2}, bl = {true, false}, sl = {'a', 'b'}, one = {7}}}",
    )
    .expect("a message");
    let message = table.get(0);
    assert_eq!(message.uuid(), b"0123456789abcdef");
    assert_eq!(message.timestamp(), 5_000_000_000);
    assert_eq!(message.header(Header::Type), b"t");
    assert_eq!(message.header(Header::Logger), b"7");
    assert_eq!((message.severity(), message.pid()), (3, -1));
    let field = |name: &str| message.field(name.as_bytes(), 0).expect(name);
    assert_eq!(field("s").first(), Some(Value::String(b"x")));
    assert_eq!(field("n").first(), Some(Value::Double(1.5)));
    assert_eq!(field("b").first(), Some(Value::Bool(true)));
    assert_eq!(
        field("l").values().collect::<Vec<_>>(),
        [1.0, 2.0, 3.0].map(Value::Double)
    );
    assert_eq!(field("o").first(), Some(Value::Bytes(b"y")));
    assert_eq!(field("o").representation(), Some(&b"r"[..]));
    assert_eq!(
        field("i").values().collect::<Vec<_>>(),
        [4, 5].map(Value::Integer)
    );
    assert_eq!(
        field("bl").values().collect::<Vec<_>>(),
        [true, false].map(Value::Bool)
    );
    assert_eq!(field("sl").len(), 2);
    assert_eq!(field("one").first(), Some(Value::Double(7.0)));
    assert_eq!(message.fields().len(), 9);
}

#[test]
fn fields_as_a_list_keep_their_order_and_names_may_repeat() {
    let table = injected(
        "{Fields = {{name = 'a', value = 1, value_type = 2}, {name = 'b', value = 'x', representation = 5}, {name = 'a', value = false}}}",
    )
    .expect("a message");
    let message = table.get(0);
    assert_eq!(
        message.timestamp(),
        1_500_000_000_000_000_000,
        "the whole second"
    );
    let uuid = message.uuid();
    assert_eq!((uuid.len(), uuid[6] >> 4, uuid[8] >> 4), (16, 4, 0xa));
    let names: Vec<_> = message.fields().map(|field| field.name()).collect();
    assert_eq!(names, [b"a", b"b", b"a"]);
    let types: Vec<_> = message.fields().map(|field| field.value_type()).collect();
    assert_eq!(
        types,
        [ValueType::Integer, ValueType::String, ValueType::Bool]
    );
    assert_eq!(
        message.field(b"b", 0).expect("a field").representation(),
        Some(&b"5"[..])
    );
}

#[test]
fn tables_that_are_no_messages_are_refused() {
    for (fields, why) in [
        ("{[true] = 1}", "field name must be a string"),
        ("{{value = 1}}", "field name must be a string"),
        ("{a = {}}", "unsupported type: nil"),
        ("{a = {{}}}", "unsupported array type: table"),
        ("{a = {1, 'x'}}", "array has mixed types"),
        ("{a = {'x', true}}", "array has mixed types"),
        (
            "{a = {value = 'x', value_type = 2}}",
            "invalid string value_type: 2",
        ),
        (
            "{a = {value = 1, value_type = 0}}",
            "invalid numeric value_type: 0",
        ),
        (
            "{a = {value = true, value_type = 3}}",
            "invalid boolean value_type: 3",
        ),
        ("{a = print}", "expected"),
        ("{a = tostring}", "unsupported type: function"),
    ] {
        let said = injected(&format!("{{Fields = {fields}}}"));
        if why == "expected" {
            assert!(said.is_ok(), "nil is no field");
            continue;
        }
        assert_eq!(
            said.expect_err(fields),
            format!(
                "process_message() test.lua:1: inject_message() could not encode protobuf - {why}"
            )
        );
    }
    let cycle = "(function() local t = {} t.value = t return {Fields = {a = t}} end)()";
    assert!(injected(cycle).is_err());
    for arguments in ["", "1", "{}, {}", "nil"] {
        assert_eq!(
            injected(arguments).expect_err(arguments),
            "process_message() test.lua:1: inject_message() takes a single string or table argument"
        );
    }
}

fn with_output(bytes: u64, source: &str) -> Sandbox {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.limits.output_bytes = bytes;
    start(settings, source).expect("loads")
}

#[test]
fn output_is_limited() {
    for (body, text) in [
        (
            "inject_message({Payload = ('x'):rep(101)})",
            "inject_message() output_limit exceeded",
        ),
        (
            "inject_message({Fields = {a = {1,2,3,4,5,6,7,8,9,10,11,12}}})",
            "inject_message() output_limit exceeded",
        ),
        ("add_to_payload(('x'):rep(101))", "output_limit exceeded"),
        (
            "for i = 1, 200 do add_to_payload(1) end",
            "output_limit exceeded",
        ),
        (
            "inject_payload('', '', ('x'):rep(101))",
            "output_limit exceeded",
        ),
    ] {
        let mut one = with_output(
            100,
            &format!("function process_message() {body} return 0 end"),
        );
        let ended = process(&mut one, &mut Keeper::default()).expect_err(body);
        assert_eq!(ended.text, format!("process_message() test.lua:1: {text}"));
        assert!(one.figures().max_output <= 128, "{body}");
    }
    let mut unlimited = with_output(
        0,
        "function process_message() add_to_payload(('x'):rep(1000000)) inject_payload() return 0 end",
    );
    process(&mut unlimited, &mut Keeper::default()).expect("no limit");
    assert_eq!(unlimited.figures().max_output, 1_000_000);
}

#[test]
fn payloads_gather_and_are_injected() {
    let mut one = sandbox(
        Kind::Filter,
        "function process_message() add_to_payload('a', 1.5, nil, true, false, 3000000000) return 0 end \
         function timer_event() inject_payload('json', 'name', '!') inject_payload() end",
    );
    let mut host = Keeper::default();
    process(&mut one, &mut host).expect("runs");
    process(&mut one, &mut host).expect("runs");
    one.timer_event(0, &mut host).expect("runs");
    let part = "a1.5niltruefalse3000000000";
    assert_eq!(
        host.payloads,
        [(
            format!("{part}{part}!"),
            "json".to_owned(),
            "name".to_owned()
        )]
    );
    for (call, text) in [
        (
            "add_to_payload()",
            "bad argument #0 to 'add_to_payload' (must have at least one argument)",
        ),
        (
            "add_to_payload({})",
            "bad argument #1 to 'add_to_payload' (unsupported type)",
        ),
        (
            "inject_payload({})",
            "bad argument #1 to 'inject_payload' (string expected, got table)",
        ),
    ] {
        assert_eq!(
            eval(Kind::Filter, call),
            format!("process_message() test.lua:1: {text}")
        );
    }
}

#[test]
fn messages_are_decoded_to_tables() {
    for (expression, text) in [
        ("#decode_message(read_message('raw')).Uuid", "16"),
        ("decode_message(read_message('raw')).Pid", "42"),
        ("#decode_message(read_message('raw')).Fields", "8"),
        ("decode_message(read_message('raw')).Fields[1].name", "text"),
        (
            "decode_message(read_message('raw')).Fields[1].value_type",
            "nil",
        ),
        (
            "decode_message(read_message('raw')).Fields[1].representation",
            "rep",
        ),
        (
            "decode_message(read_message('raw')).Fields[3].value[1]",
            "-7",
        ),
        (
            "decode_message(read_message('raw')).Fields[8].value[3]",
            "3",
        ),
        (
            "decode_message(read_message('raw')).Fields[5].value[1]",
            "true",
        ),
    ] {
        assert_eq!(eval(Kind::Output, expression), text, "{expression}");
    }
    for (expression, text) in [
        ("decode_message()", "must have one string argument"),
        ("decode_message('short')", "invalid message, too short"),
        (
            "decode_message(('\\255'):rep(30))",
            "error in tag: 31 wiretype: 7 offset: 0",
        ),
        (
            "decode_message('\\10\\16' .. ('x'):rep(16) .. '\\26\\0')",
            "missing required field uuid: found timestamp: not found",
        ),
        (
            "decode_message('\\10\\16' .. ('x'):rep(16) .. '\\16\\0\\88\\0')",
            "error in tag: 11 wiretype: 0 offset: 20",
        ),
    ] {
        assert!(
            eval(Kind::Output, expression).contains(text),
            "{expression}: {}",
            eval(Kind::Output, expression)
        );
    }
}

#[test]
fn objects_print_themselves_to_payloads_and_fields() {
    let mut one = sandbox(
        Kind::Filter,
        "require 'circular_buffer' local cb = circular_buffer.new(2, 1, 1) cb:set(1e9, 1, 5) \
         function process_message() inject_payload('cbuf', 'x', cb) inject_message({Fields = {cb = cb}}) return 0 end",
    );
    let mut host = Keeper::default();
    process(&mut one, &mut host).expect("runs");
    let printed = host.payloads[0].0.clone();
    assert!(printed.starts_with("{\"time\":"), "{printed}");
    let mut table = table();
    let mut draft = table.begin().expect("room");
    let bytes = draft.store(&host.messages[0]).expect("room");
    draft.index_protobuf(bytes).expect("a message");
    let field = draft.view().field(b"cb", 0).expect("a field");
    assert_eq!(field.first(), Some(Value::Bytes(printed.as_bytes())));
    for (call, text) in [
        (
            "(function() require 'lpeg' add_to_payload(lpeg.P(1)) end)()",
            "unknown userdata type",
        ),
        (
            "(function() require 'lpeg' inject_message({Fields = {a = lpeg.P(1)}}) end)()",
            "user data object does not implement lsb_output",
        ),
    ] {
        let said = eval(Kind::Filter, call);
        assert!(said.contains(text), "{said}");
    }
}
