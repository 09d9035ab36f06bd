//! Calls into scripts, and what comes back.
//!
//! Owns:    the tests of entry points, of reading, of injecting.
//! Runs on: tests.            Plane: data.
//! Bounds:  each test makes its own sandboxes.
//! Never:   looks inside.

use sandbox::{Cause, ConfigValue, InjectError, Kind, Settings, Subject};

use crate::{Keeper, eval, own, process, sandbox, start};

#[test]
fn a_status_and_a_text_come_back() {
    let mut one = sandbox(
        Kind::Filter,
        "function process_message() return -1, 'odd' end",
    );
    assert_eq!(
        process(&mut one, &mut Keeper::default()),
        Ok((-1, "odd".into()))
    );
    let figures = one.figures();
    assert_eq!(
        (
            figures.process_message_count,
            figures.process_message_failures
        ),
        (1, 1)
    );
    assert!(figures.memory > 0 && figures.max_memory >= figures.memory);
}

#[test]
fn what_a_script_must_not_answer_ends_it() {
    for (body, text) in [
        ("", "process_message() must return a numeric status code"),
        (
            "return 'x'",
            "process_message() must return a numeric status code",
        ),
        (
            "return 0, {}",
            "process_message() must return a nil or string error message",
        ),
        ("error('mine', 0)", "process_message() mine"),
        ("error('mine')", "process_message() test.lua:1: mine"),
        (
            "error({})",
            "process_message() error object is a table value",
        ),
    ] {
        let mut one = sandbox(
            Kind::Filter,
            &format!("function process_message() {body} end"),
        );
        let ended = process(&mut one, &mut Keeper::default()).expect_err(body);
        assert_eq!(ended.text, text);
        assert_eq!(one.ended(), Some(&ended));
        assert_eq!(process(&mut one, &mut Keeper::default()), Err(ended));
    }
}

#[test]
fn a_missing_function_ends_it() {
    let mut one = sandbox(Kind::Filter, "local x = 1");
    let ended = process(&mut one, &mut Keeper::default()).expect_err("no function");
    assert_eq!(ended.text, "process_message() function was not found");
    let mut one = sandbox(Kind::Filter, "timer_event = 3");
    let ended = one
        .timer_event(0, &mut Keeper::default())
        .expect_err("no function");
    assert_eq!(
        (ended.text.as_str(), ended.cause),
        ("timer_event() function was not found", Cause::Interface)
    );
}

#[test]
fn an_error_while_loading_shows_where() {
    let error = start(
        Settings::new(Kind::Filter, "x"),
        "local function f()\n  local x = nil + 1\nend\nf()\n",
    )
    .expect_err("arithmetic on nil");
    assert!(error.text.starts_with("test.lua:2: "), "{error}");
    assert_eq!(error.trace, "test.lua:2\ntest.lua:4");
}

#[test]
fn nothing_is_injected_while_a_script_loads() {
    let error = start(
        Settings::new(Kind::Filter, "x"),
        "\ninject_payload('txt', '', 'Hello')",
    )
    .expect_err("nobody takes it");
    assert_eq!(
        error.text,
        "test.lua:2: inject_payload() is not possible while the script loads"
    );
}

#[test]
fn a_long_stack_is_cut_between_its_levels() {
    let deep = "local function f(n) return 1 + f(n + 1) end\nf(1)\n";
    let error = start(Settings::new(Kind::Filter, "x"), deep).expect_err("too deep");
    assert!(error.text.ends_with("stack overflow"), "{error}");
    assert!(error.trace.lines().all(|level| level == "test.lua:1"));
    assert!(error.trace.len() > 1000, "{}", error.trace);
}

#[test]
fn the_timer_is_told_the_time() {
    let mut one = sandbox(
        Kind::Filter,
        "function timer_event(ns) inject_payload('x', 'y', ns) end",
    );
    let mut host = Keeper::default();
    one.timer_event(5_000_000_000, &mut host).expect("runs");
    assert_eq!(
        host.payloads,
        [("5000000000".to_owned(), "x".to_owned(), "y".to_owned())]
    );
    assert_eq!(one.figures().timer_event_samples, 1);
}

#[test]
fn configuration_is_read() {
    let mut settings = Settings::new(Kind::Decoder, "x");
    settings.config = vec![
        ("text".into(), ConfigValue::Text("a\0b".into())),
        ("number".into(), ConfigValue::Number(1.5)),
        ("truth".into(), ConfigValue::Boolean(true)),
    ];
    let source = "local n = read_config('number') * 2\n\
        function process_message() return n, tostring(#read_config('text')) .. tostring(read_config('truth')) .. tostring(read_config('x')) end";
    let mut one = start(settings, source).expect("loads");
    assert_eq!(
        process(&mut one, &mut Keeper::default()),
        Ok((3, "3truenil".into()))
    );
    assert!(
        eval(Kind::Filter, "read_config()")
            .ends_with("test.lua:1: read_config() must have a single argument")
    );
    assert!(
        eval(Kind::Filter, "read_config({})")
            .ends_with("bad argument #1 to 'read_config' (string expected, got table)")
    );
}

#[test]
fn messages_are_read() {
    for (expression, text) in [
        ("read_message('Type')", "TEST"),
        ("read_message('Logger')", "logger"),
        ("read_message('Payload')", "the payload"),
        ("read_message('EnvVersion')", "0.8"),
        ("read_message('Hostname')", "host"),
        (
            "read_message('Uuid')",
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
        ("read_message('Timestamp') == 1234567890123456789", "true"),
        ("read_message('Severity')", "6"),
        ("read_message('Pid')", "42"),
        ("#read_message('raw') > 100", "true"),
        ("decode_message(read_message('raw')).Hostname", "host"),
        ("read_message('Fields[text]')", "value"),
        ("read_message('Fields[text]', 1)", "second"),
        ("read_message('Fields[text]', 2)", "nil"),
        ("read_message('Fields[text]', 0, 1)", "nil"),
        ("#read_message('Fields[bytes]')", "2"),
        ("read_message('Fields[integer]')", "-7"),
        ("read_message('Fields[double]')", "2.5"),
        ("read_message('Fields[bool]')", "true"),
        ("read_message('Fields[empty]')", "nil"),
        ("read_message('Fields[list]', 0, 2)", "3"),
        ("read_message('Fields[none]')", "nil"),
        ("read_message('Other')", "nil"),
    ] {
        assert_eq!(eval(Kind::Filter, expression), text, "{expression}");
    }
    for (call, text) in [
        (
            "read_message()",
            "read_message() incorrect number of arguments",
        ),
        (
            "read_message('a', 0, 0, 0)",
            "read_message() incorrect number of arguments",
        ),
        (
            "read_message(nil)",
            "bad argument #1 to 'read_message' (string expected, got nil)",
        ),
        (
            "read_message('a', -1)",
            "bad argument #2 to 'read_message' (field index must be >= 0)",
        ),
        (
            "read_message('a', 0, -1)",
            "bad argument #3 to 'read_message' (array index must be >= 0)",
        ),
        (
            "read_message('a', {})",
            "bad argument #2 to 'read_message' (number expected, got table)",
        ),
        ("read_next_field(1)", "read_next_field() takes no arguments"),
    ] {
        let said = eval(Kind::Filter, call);
        assert_eq!(said, format!("process_message() test.lua:1: {text}"));
    }
}

#[test]
fn fields_are_read_in_turn_and_from_the_start_in_each_call() {
    let source = "function process_message() local all = '' while true do \
        local t, n, v, r, c = read_next_field() if not t then break end \
        all = all .. t .. n .. tostring(v) .. r .. c .. ' ' end return 0, all end";
    let mut one = sandbox(Kind::Filter, source);
    let expected = "0textvaluerep1 1bytes\0\u{1}1 2integer-71 3double2.51 4booltrue1 0textsecond1 1emptynil1 2list13 ";
    for _ in 0..2 {
        assert_eq!(
            process(&mut one, &mut Keeper::default()),
            Ok((0, expected.into()))
        );
    }
}

#[test]
fn there_is_no_message_in_a_timer_or_an_input() {
    let source = "function timer_event() inject_payload('', '', tostring(read_message('Type')), tostring(read_next_field())) end";
    let mut host = Keeper::default();
    sandbox(Kind::Filter, source)
        .timer_event(0, &mut host)
        .expect("runs");
    assert_eq!(
        host.payloads[0],
        ("nilnil".into(), "txt".into(), String::new())
    );
    let mut input = sandbox(
        Kind::Input,
        "function process_message() return 0, type(read_message) .. type(inject_payload) .. type(inject_message) end",
    );
    let returned = input
        .process_message(Subject::Nothing, &mut Keeper::default())
        .map(own);
    assert_eq!(returned, Ok((0, "nilnilfunction".into())));
}

#[test]
fn refused_injections_are_errors_with_hekas_texts() {
    for (error, text) in [
        (InjectError::Unmarshal, "protobuf unmarshal failed"),
        (InjectError::Count, "exceeded InjectMessage count"),
        (InjectError::Loops, "exceeded MaxMsgLoops"),
        (
            InjectError::Circular,
            "creates a circular reference (matches this plugin's message_matcher)",
        ),
        (InjectError::Aborted, "aborted"),
    ] {
        let mut one = sandbox(
            Kind::Filter,
            "function process_message() inject_message({}) return 0 end",
        );
        let mut host = Keeper {
            refuse: Some(error),
            ..Keeper::default()
        };
        let ended = process(&mut one, &mut host).expect_err("refused");
        assert_eq!(
            ended.text,
            format!("process_message() test.lua:1: inject_message() {text}")
        );
        // A sandbox that was only told that the daemon ends is still good.
        assert_eq!(one.ended().is_some(), error != InjectError::Aborted);
    }
}

struct Two(codecs::message::MessageTable);

impl sandbox::Batch for Two {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> codecs::message::MessageRef<'_> {
        self.0.get(index)
    }
}

#[test]
fn a_script_may_take_batches() {
    let source = "function process_messages(n) local all = read_message('Type') for i = n, 1, -1 do select_message(i) \
        all = all .. read_message('Type') .. tostring(select(2, read_next_field())) end return -n, all end";
    let mut one = sandbox(Kind::Filter, source);
    assert!(one.takes_batches());
    assert!(!sandbox(Kind::Filter, "function process_message() end").takes_batches());
    let mut table = crate::table();
    crate::fill(&mut table.begin().expect("room"));
    let mut second = table.begin().expect("room");
    second
        .set(codecs::message::Header::Type, "second")
        .expect("room");
    let batch = Two(table);
    let mut host = Keeper::default();
    let returned = one.process_messages(&batch, &mut host).map(own);
    assert_eq!(returned, Ok((-2, "TESTsecondnilTESTtext".into())));
    assert_eq!(one.figures().process_message_count, 2);
    for (index, why) in [
        ("0", "select_message() there are messages 1 to 2"),
        ("3", "select_message() there are messages 1 to 2"),
        ("'x'", "select_message() takes a single number"),
    ] {
        let source = format!("function process_messages() select_message({index}) return 0 end");
        let mut one = sandbox(Kind::Filter, &source);
        let ended = one
            .process_messages(&batch, &mut host)
            .map(own)
            .expect_err(index);
        assert_eq!(ended.text, format!("process_messages() test.lua:1: {why}"));
    }
    let ended = eval(Kind::Filter, "select_message(1)");
    assert!(ended.ends_with("select_message() is for process_messages() only"));
}

#[test]
fn a_panic_of_the_host_passes_the_script_and_ends_the_sandbox() {
    struct Panics;
    impl sandbox::Host for Panics {
        fn inject(
            &mut self,
            _injected: sandbox::Injected<'_>,
            _subject: &mut Subject<'_, '_>,
        ) -> Result<(), InjectError> {
            panic!("on purpose");
        }
    }
    let mut one = sandbox(
        Kind::Filter,
        "function process_message() pcall(inject_message, {}) return 0 end",
    );
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = one.process_message(Subject::Nothing, &mut Panics).map(own);
    }));
    let panic = panicked.expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    assert!(one.ended().is_some());
    assert!(process(&mut one, &mut Keeper::default()).is_err());
}

#[test]
fn one_sandbox_may_call_another() {
    struct Inner(sandbox::Sandbox, Vec<i32>);
    impl sandbox::Host for Inner {
        fn inject(
            &mut self,
            _injected: sandbox::Injected<'_>,
            subject: &mut Subject<'_, '_>,
        ) -> Result<(), InjectError> {
            let message = subject.view().ok_or(InjectError::Unmarshal)?;
            let returned = self
                .0
                .process_message(Subject::Message(message), &mut Keeper::default());
            self.1.push(returned.map_or(-1, |returned| returned.status));
            Ok(())
        }
    }
    let inner = sandbox(
        Kind::Filter,
        "n = 0 function process_message() n = n + 1 return n, read_message('Type') end",
    );
    let mut outer = sandbox(
        Kind::Filter,
        "function process_message() inject_message({}) inject_message({}) return 0, read_message('Type') end",
    );
    let mut table = crate::table();
    crate::fill(&mut table.begin().expect("room"));
    let mut host = Inner(inner, Vec::new());
    let returned = outer
        .process_message(Subject::Message(table.get(0)), &mut host)
        .map(own);
    assert_eq!(returned, Ok((0, "TEST".into())));
    assert_eq!(host.1, [1, 2]);
}
