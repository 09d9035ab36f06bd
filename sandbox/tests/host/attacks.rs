//! What hostile scripts try, and what becomes of it: each ends itself and nothing else.
//!
//! Owns:    one test for each kind of attack.
//! Runs on: tests.            Plane: data.
//! Bounds:  limits of the sandboxes; where processor time is the limit, a fraction of a second of it.
//! Never:   depends on how long something takes.

use std::time::Duration;

use sandbox::{Cause, Kind, Sandbox, SandboxLimits, Settings, Subject, Terminated};

use crate::{Keeper, eval, process, sandbox, start};

/// A filter whose safepoints are counted.
fn counted(instructions: u64, source: &str) -> Sandbox {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.limits = SandboxLimits::default().with_instructions(instructions);
    // What is counted must not depend on how fast the machine is.
    settings.limits.cpu_time = Duration::ZERO;
    settings.limits.wall_time = Duration::ZERO;
    start(settings, source).expect("loads")
}

/// A filter whose processor time is limited.
fn timed(source: &str) -> Sandbox {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.limits.cpu_time = Duration::from_millis(50);
    start(settings, source).expect("loads")
}

/// How `process_message` with this body ends, both when safepoints are counted and when time is.
fn ends(body: &str) -> [Terminated; 2] {
    let source =
        format!("require 'string' require 'table' function process_message() {body} return 0 end");
    [counted(20_000, &source), timed(&source)].map(|mut one| {
        let ended = process(&mut one, &mut Keeper::default()).expect_err(body);
        assert_eq!(one.ended(), Some(&ended), "{body}");
        ended
    })
}

fn is_stopped(body: &str) {
    let [counted, timed] = ends(body);
    assert_eq!(counted.cause, Cause::Instructions, "{body}: {counted}");
    assert!(
        counted.text.contains("instruction_limit exceeded"),
        "{counted}"
    );
    assert_eq!(timed.cause, Cause::Time, "{body}: {timed}");
    assert!(timed.text.contains("instruction_limit exceeded"), "{timed}");
    assert!(timed.text.starts_with("process_message() "), "{timed}");
}

#[test]
fn endless_loops_are_stopped() {
    for body in [
        "while true do end",
        "repeat until false",
        "for i = 1, math.huge do end",
        "local t = {1} for k in function() return 1 end do end",
        "local function f() end while true do f() end",
    ] {
        is_stopped(&body.replace("math.huge", "1/0"));
    }
}

#[test]
fn endless_loops_cannot_hide_in_protected_calls() {
    for body in [
        "while true do pcall(function() while true do end end) end",
        "local function f() pcall(f) while true do pcall(f) end end f()",
        "while true do pcall(error) end",
        "local function h() while true do end end while true do xpcall(error, h) end",
        "xpcall(function() while true do end end, function() while true do end end) while true do end",
        "pcall(pcall, function() while true do end end) while true do end",
        "for i = 1, 1e9 do pcall(pcall, pcall, pcall, error) end",
    ] {
        is_stopped(body);
    }
}

#[test]
fn a_stopped_call_is_over_even_if_the_script_answers() {
    let [counted, timed] = ends("pcall(function() while true do end end)");
    assert_eq!(
        (counted.cause, timed.cause),
        (Cause::Instructions, Cause::Time)
    );
}

#[test]
fn counting_is_exact_and_the_same_every_time() {
    let source =
        "function process_message() for i = 1, 1000 do local s = tostring(i) end return 0 end";
    let passed = || {
        let mut one = counted(1_000_000, source);
        process(&mut one, &mut Keeper::default()).expect("within the limit");
        process(&mut one, &mut Keeper::default()).expect("within the limit");
        one.figures().max_instructions
    };
    let needed = passed();
    assert!(needed > 1000);
    assert_eq!(passed(), needed);
    let mut enough = counted(needed, source);
    assert!(process(&mut enough, &mut Keeper::default()).is_ok());
    let mut short = counted(needed - 1, source);
    let ended = process(&mut short, &mut Keeper::default()).expect_err("one too few");
    assert!(
        ended
            .text
            .ends_with("test.lua:1: instruction_limit exceeded"),
        "{ended}"
    );
}

#[test]
fn an_endless_script_does_not_load() {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.limits = SandboxLimits::default().with_instructions(1000);
    let ended = start(settings, "local x = 1\nwhile true do end").expect_err("endless");
    assert_eq!(ended.text, "test.lua:2: instruction_limit exceeded");
}

#[test]
fn patterns_that_try_every_way_are_stopped() {
    for body in [
        "string.find(('a'):rep(200), ('.-'):rep(30) .. 'b')",
        "string.match(('a'):rep(200), ('a*'):rep(30) .. 'b')",
        "string.gsub(('a'):rep(100), ('a?'):rep(30) .. ('a'):rep(100) .. 'b', '')",
        "for w in string.gmatch(('x'):rep(100), ('.*'):rep(20) .. 'y') do end",
    ] {
        is_stopped(body);
    }
}

#[test]
fn a_plain_text_is_found_in_one_pass() {
    for (expression, text) in [
        (
            "('a'):rep(2000000):find(('a'):rep(1000000) .. 'b', 1, true)",
            "nil",
        ),
        ("('a'):rep(2000000):find(('a'):rep(1000000) .. 'b')", "nil"),
        ("(('a'):rep(2000) .. 'b'):find('ab', 1, true)", "2000"),
        (
            "select(2, (('a'):rep(2000) .. 'b'):find('ab', -2, true))",
            "2001",
        ),
        ("(('a'):rep(2000) .. 'b'):find('ab', -1, true)", "nil"),
        ("(('a'):rep(2000) .. '.'):find('a.', 1, true)", "2000"),
        ("(('a'):rep(2000)):find('a.', 1)", "1"),
        ("(('a'):rep(2000)):find('aa', 3000)", "nil"),
        (
            "('a'):rep(2000000):find(('a'):rep(1000000) .. 'b', '1', true)",
            "nil",
        ),
        ("(('a'):rep(2000) .. 'b'):find('ab', ' 0x7 ', true)", "2000"),
    ] {
        assert_eq!(eval(Kind::Filter, expression), text, "{expression}");
    }
}

#[test]
fn functions_in_c_that_would_run_for_hours_are_refused() {
    for (body, said) in [
        (
            "string.match(('a'):rep(1000000), '[' .. ('b'):rep(1000000) .. 'a]*')",
            "test.lua:1: bad argument #2 to 'match' (pattern too complex for a text so long)",
        ),
        (
            "string.gsub(('a'):rep(1000000), '[' .. ('%]'):rep(1000000) .. 'a]*', '')",
            "test.lua:1: bad argument #2 to 'gsub' (pattern too complex for a text so long)",
        ),
        (
            "string.gmatch(('a'):rep(1000000), '[]' .. ('b'):rep(1000000) .. 'a]*')",
            "test.lua:1: bad argument #2 to 'gmatch' (pattern too complex for a text so long)",
        ),
        (
            "string.find(('a'):rep(1000000), '[^' .. ('b'):rep(1000000) .. ']*')",
            "test.lua:1: bad argument #2 to 'find' (pattern too complex for a text so long)",
        ),
        (
            "local s, t = ('a'):rep(1500000), {} for i = 1, 10000 do t[i] = s end table.sort(t)",
            "test.lua:1: bad argument #1 to 'sort' (too much text to compare without a function)",
        ),
    ] {
        let ended = eval(
            Kind::Filter,
            &format!("(function() require 'string' require 'table' {body} end)()"),
        );
        assert_eq!(ended, format!("process_message() {said}"), "{body}");
    }
    // What stands before them changes neither answers nor errors.
    for (expression, said) in [
        ("select(2, string.gsub('abc', '%w', '%0%0'))", "3"),
        (
            "string.gsub('abc', '%w', function(c) return c:upper() end)",
            "ABC",
        ),
        ("string.gmatch('k=v', '(%w)=(%w)')()", "k"),
        ("string.match('2026-01-02', '-(%d+)-')", "01"),
        (
            "(function() local t = { 'b', 'c', 'a' } table.sort(t) return table.concat(t) end)()",
            "abc",
        ),
        (
            "select(2, pcall(function() return string.find(nil, 'x') end))",
            "test.lua:1: invalid argument #1 to 'find' (string expected, got nil)",
        ),
        (
            "select(2, pcall(function() return ('x'):match() end))",
            "test.lua:1: missing argument #2 to 'match' (string expected)",
        ),
        (
            "select(2, pcall(function() table.sort({ 1, 'x' }) end))",
            "attempt to compare string < number",
        ),
    ] {
        let said_now = eval(
            Kind::Filter,
            &format!("(function() require 'string' require 'table' return {expression} end)()"),
        );
        assert_eq!(said_now, said, "{expression}");
    }
}

#[test]
fn long_keys_of_filters_can_be_stopped() {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.limits = SandboxLimits::default().with_instructions(500);
    let source = "require 'string' require 'bloom_filter' local key, filter = ('x'):rep(100000), bloom_filter.new(2, 1e-300) \
        function process_message() filter:add(key) return 0 end";
    let mut one = start(settings, source).expect("loads");
    let ended = process(&mut one, &mut Keeper::default()).expect_err("a thousand hashes");
    assert_eq!(ended.cause, Cause::Instructions, "{ended}");
}

#[test]
fn what_is_packed_many_times_is_on_the_account() {
    let ended = eval(
        Kind::Filter,
        "(function() require 'string' require 'struct' local s, t = ('x'):rep(2000000), {} for i = 1, 7000 do t[i] = s end return #struct.pack(('s'):rep(7000), unpack(t)) end)()",
    );
    assert!(ended.contains("not enough memory"), "{ended}");
}

#[test]
fn deep_recursion_ends_with_an_error() {
    for body in [
        "local function f() return 1 + f() end f()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end local x = t.a",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t local u = t.a",
        "local function f(s) return (s:gsub('.', f)) end f('x')",
        "local s = ('('):rep(5000) string.find(s, s)",
        "local function f(...) return f(1, ...) end f()",
        "local t = {} table.sort({3, 2, 1}, function(a, b) return t.x.y end)",
    ] {
        for ended in ends(body) {
            assert!(
                matches!(
                    ended.cause,
                    Cause::Error | Cause::Memory | Cause::Instructions | Cause::Time
                ),
                "{body}: {ended}"
            );
        }
    }
    for ended in ends("local function f() return 1 + f() end pcall(f) while true do end") {
        assert!(
            matches!(ended.cause, Cause::Instructions | Cause::Time),
            "{ended}"
        );
    }
}

#[test]
fn memory_is_limited() {
    for body in [
        "local s = ('x'):rep(1e9)",
        "local s = string.rep('x', 2^31 - 1)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} while true do t = {t, t, t, t} end",
        "local t = {} for i = 1, 1e9 do t[i .. ''] = i end",
        "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(1000) .. i end",
        "local s = ('x'):rep(1e6) local t = {} for i = 1, 1000 do t[i] = s end local r = table.concat(t)",
        "string.gsub(('x'):rep(1e5), 'x', ('y'):rep(1e5))",
        "local f = {} for i = 1, 1e9 do f[i] = function() return i end end",
        "string.format(('%s'):rep(100), unpack((function() local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) .. i end return t end)()))",
    ] {
        let source = format!(
            "require 'string' require 'table' function process_message() {body} return 0 end"
        );
        let mut one = sandbox(Kind::Filter, &source);
        let ended = process(&mut one, &mut Keeper::default()).expect_err(body);
        let refused = ended.text.contains("too large") || ended.text.contains("too many");
        assert!(ended.cause == Cause::Memory || refused, "{body}: {ended}");
        if !refused {
            assert!(ended.text.ends_with("not enough memory"), "{ended}");
        }
        assert!(one.figures().max_memory <= 8 * 1024 * 1024, "{body}");
    }
}

#[test]
fn a_script_may_catch_want_of_memory_and_go_on() {
    let mut one = sandbox(
        Kind::Filter,
        "require 'string' function process_message() local ok, e = pcall(string.rep, 'x', 1e8) return ok and 1 or 0, tostring(e) end",
    );
    let (status, text) = process(&mut one, &mut Keeper::default()).expect("caught");
    assert_eq!((status, text.as_str()), (0, "not enough memory"));
}

#[test]
fn coroutines_hide_nothing() {
    for body in [
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local co co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
        "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
        "local function f() local c = coroutine.create(f) coroutine.resume(c) while true do end end f()",
    ] {
        let source = format!("function process_message() {body} return 0 end");
        let mut one = sandbox(Kind::Output, &source);
        let stopper = one.stopper();
        // Outputs have no limit of time: somebody else ends them.
        let thread = std::thread::spawn(move || stopper.stop());
        let ended = one
            .process_message(Subject::Nothing, &mut Keeper::default())
            .map(|returned| returned.status)
            .expect_err(body);
        thread.join().expect("no panic");
        assert!(
            matches!(ended.cause, Cause::Stopped | Cause::Memory),
            "{body}: {ended}"
        );
    }
    assert_eq!(eval(Kind::Filter, "coroutine"), "nil");
}

#[test]
fn a_stopped_script_can_still_be_preserved() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::new(Kind::Input, "x");
    settings.preserve = Some(folder.path().join("x.data"));
    let source = "n = n or 0 function process_message() n = n + 1 while true do end end";
    let mut one = start(settings.clone(), source).expect("loads");
    one.stopper().stop();
    for _ in 0..2 {
        let ended = one
            .process_message(Subject::Nothing, &mut Keeper::default())
            .map(|returned| returned.status)
            .expect_err("stopped");
        assert_eq!(ended.cause, Cause::Stopped);
        assert!(ended.text.ends_with("shutting down"), "{ended}");
    }
    assert_eq!(one.preserve(), Ok(true));
    assert!(start(settings, source).is_ok());
}

#[test]
fn metamethods_and_iterators_hide_nothing() {
    for body in [
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) pcall(function() return t.x end) while true do end",
        "local t = setmetatable({}, {__add = function(a) return a + a end}) while true do pcall(function() return t + t end) end",
        "local t = setmetatable({}, {__concat = function() while true do end end}) local x = t .. t",
        "local t = setmetatable({}, {__lt = function() while true do end end}) table.sort({t, t, t})",
        "local t = setmetatable({}, {__eq = function() while true do end end}) local x = t == setmetatable({}, getmetatable(t))",
        "local t = setmetatable({}, {__tostring = function() while true do end end}) tostring(t)",
        "local t = setmetatable({}, {__call = function() while true do end end}) t()",
        "local t = setmetatable({}, {__newindex = function() while true do end end}) t.x = 1",
        "local t = setmetatable({}, {__unm = function() while true do end end}) local x = -t",
        "table.sort({1, 2, 3}, function() while true do end end)",
        "string.gsub('abc', '.', function() while true do end end)",
        "table.foreach({1}, function() while true do end end)",
    ] {
        is_stopped(body);
    }
}

#[test]
fn functions_in_c_that_call_each_other_are_stopped() {
    // Tables of tables whose walk by `foreach` alone would take longer than the universe.
    let bomb = "local t = {} local last = {} for i = 1, 60 do local next = {} next[last] = table.foreach next[{}] = table.foreach \
        for k, v in pairs(last) do next[k] = v end last = next end while true do table.foreach(last, table.foreach) end";
    is_stopped(bomb);
}

#[test]
fn odd_error_objects_do_no_harm() {
    for body in [
        "error(setmetatable({}, {__tostring = function() while true do end end}))",
        "error(setmetatable({}, {__index = function() error('again') end}))",
        "error(nil)",
        "error()",
        "error(function() end)",
        "error(('x'):rep(1e6))",
        "error('\\0\\255')",
        "local t = {} t.t = t error(t)",
        "xpcall(error, error)  error('x')",
        "error(newproxy)",
    ] {
        for ended in ends(body) {
            assert_eq!(ended.cause, Cause::Error, "{body}: {ended}");
            assert!(ended.text.len() <= sandbox::ERROR_BYTES_MAX);
        }
    }
}

#[test]
fn the_host_cannot_be_reached() {
    for expression in [
        "io",
        "debug",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "print",
        "collectgarbage",
        "newproxy",
        "typeof",
        "rawlen",
        "buffer",
        "bit32",
        "utf8",
        "vector",
        "package.loadlib",
        "package.loaded",
        "(require 'os').execute",
        "(require 'os').exit",
        "(require 'os').getenv",
        "(require 'os').remove",
        "(require 'os').rename",
        "(require 'os').setlocale",
        "(require 'os').tmpname",
        "(require 'os').now",
        "(require 'string').split",
        "(require 'string').pack",
        "(require 'table').create",
        "getmetatable('').__metatable",
    ] {
        assert_eq!(eval(Kind::Filter, expression), "nil", "{expression}");
    }
    for (call, text) in [
        ("require 'io'", "module 'io' disabled"),
        ("require 'debug'", "module 'debug' not found"),
        ("require '../x'", "invalid module name '../x'"),
        ("require '/etc/passwd'", "invalid module name '/etc/passwd'"),
        ("require 'a\\0b'", "invalid module name"),
        ("require ''", "invalid module name ''"),
        ("string.dump(tostring)", "attempt to index nil"),
        (
            "(require 'string').dump(function() end)",
            "unable to dump given function",
        ),
    ] {
        assert!(
            eval(Kind::Filter, call).contains(text),
            "{call}: {}",
            eval(Kind::Filter, call)
        );
    }
}

#[test]
fn bytecode_is_never_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("b.lua"), b"\x1bLuaQ\0\x01\x04").expect("writable");
    std::fs::write(folder.path().join("c.lua"), b"\x06\x03\0\0\0").expect("writable");
    for name in ["b", "c"] {
        let mut settings = Settings::new(Kind::Output, "x");
        settings.module_directories = vec![folder.path().to_owned()];
        let ended = start(settings, &format!("require '{name}'")).expect_err("bytecode");
        assert!(ended.text.contains("error loading module"), "{ended}");
    }
    assert_eq!(eval(Kind::Output, "loadstring"), "nil");
}

#[test]
fn changed_base_functions_harm_only_the_script() {
    let mut one = sandbox(
        Kind::Filter,
        "pcall = nil error = nil tostring = nil _G.type = nil setmetatable(_G, {__index = function() return nil end}) \
         function process_message() return 0, read_message('Type') end",
    );
    let answer = process(&mut one, &mut Keeper::default());
    assert_eq!(answer, Ok((0, "TEST".into())));
}
