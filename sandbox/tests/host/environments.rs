//! What scripts of each kind find in their globals.
//!
//! Owns:    the tests of the environment, of `require`, `os` and `io`.
//! Runs on: tests.            Plane: data.
//! Bounds:  a folder of its own for each test that needs one.
//! Never:   looks inside.

use std::fs;
use std::path::Path;

use sandbox::{Kind, Sandbox, Settings, Subject, Terminated};

use crate::{Keeper, eval, own, process, sandbox, start};

/// The names of the globals that a script sees when it begins.
fn globals(kind: Kind) -> Vec<String> {
    let source = "local all = '' for k in pairs(_G) do all = all .. k .. ' ' end function process_message() return 0, all end";
    let mut one = sandbox(kind, source);
    let (_, all) = match kind {
        Kind::Input => one
            .process_message(Subject::Nothing, &mut Keeper::default())
            .map(own)
            .expect("runs"),
        _ => process(&mut one, &mut Keeper::default()).expect("runs"),
    };
    let mut names: Vec<String> = all.split_whitespace().map(str::to_owned).collect();
    names.sort();
    names
}

const BASE: &str = "_G _VERSION assert error gcinfo getfenv getmetatable ipairs module next package pairs pcall rawequal rawget rawset \
     require select setfenv setmetatable tonumber tostring type unpack xpcall decode_message read_config";

#[test]
fn globals_are_hekas_by_kind() {
    for (kind, more) in [
        (
            Kind::Filter,
            "read_message read_next_field inject_message inject_payload add_to_payload select_message",
        ),
        (
            Kind::Decoder,
            "read_message read_next_field inject_message inject_payload add_to_payload write_message",
        ),
        (
            Kind::Encoder,
            "read_message read_next_field inject_message inject_payload add_to_payload write_message",
        ),
        (
            Kind::Input,
            "inject_message collectgarbage coroutine newproxy",
        ),
        (
            Kind::Output,
            "read_message read_next_field collectgarbage coroutine newproxy",
        ),
    ] {
        let mut expected: Vec<String> = format!("{BASE} {more}")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        expected.sort();
        assert_eq!(globals(kind), expected, "{kind:?}");
    }
}

#[test]
fn libraries_have_all_of_lua_5_1() {
    for (library, names) in [
        (
            "string",
            "byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper",
        ),
        (
            "table",
            "concat foreach foreachi getn insert maxn remove setn sort",
        ),
        ("os", "clock date difftime time"),
        (
            "math",
            "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi pow rad random \
             randomseed sin sinh sqrt tan tanh",
        ),
    ] {
        let list = format!(
            "(function() local all = {{}} for k in pairs(require '{library}') do all[#all + 1] = k end require('table').sort(all) \
             return require('table').concat(all, ' ') end)()"
        );
        assert_eq!(eval(Kind::Filter, &list), names);
        assert_eq!(eval(Kind::Filter, library), "nil", "hidden until required");
        let required =
            format!("require '{library}' == {library} and require '{library}' == {library}");
        assert_eq!(eval(Kind::Filter, &required), "true");
    }
}

#[test]
fn what_luau_has_not_is_there() {
    for (expression, text) in [
        ("_VERSION", "Lua 5.1"),
        ("type(gcinfo())", "number"),
        ("next(package) == nil and type(package)", "table"),
        ("(require 'table').getn({1, 2, 3})", "3"),
        ("pcall((require 'table').setn, {}, 1)", "false"),
        (
            "(require 'table').foreach({a = 7}, function(k, v) return k .. v end)",
            "a7",
        ),
        (
            "(require 'table').foreachi({5, 6}, function(i, v) if i == 2 then return v end end)",
            "6",
        ),
        ("(require 'table').maxn({1, [10] = 1})", "10"),
        ("(require 'math').mod(7, 4)", "3"),
        ("(require 'string').gfind('ab', '.')()", "a"),
        ("select('#', unpack({1, 2, 3}))", "3"),
        ("getfenv(1) == _G", "true"),
        ("getfenv(setfenv(function() end, {x = 7})).x", "7"),
        ("setfenv(function() return y end, {y = 8})()", "8"),
        ("select(2, pcall(error, 'x'))", "x"),
        ("select(2, pcall(error, {7}))[1]", "7"),
        (
            "select(2, xpcall(function() error('x', 0) end, function(e) return e .. 'y' end))",
            "xy",
        ),
        ("type(select(2, pcall(require, 'nothing')))", "string"),
        (
            "type(select(2, xpcall(require, function(e) return e end, 'nothing')))",
            "string",
        ),
        ("tostring(1e15)", "1000000000000000"),
        ("10 / 3 > 3.33 and 2^53 == 2^53 + 1", "true"),
    ] {
        assert_eq!(eval(Kind::Filter, expression), text, "{expression}");
    }
}

#[test]
fn coroutines_may_be_required_where_there_are_any() {
    let required = "require 'coroutine' == coroutine";
    assert_eq!(eval(Kind::Output, required), "true");
    let said = eval(Kind::Filter, required);
    assert!(said.contains("module 'coroutine' not found"), "{said}");
}

#[test]
fn random_numbers_differ_between_sandboxes() {
    let number = || eval(Kind::Filter, "(require 'math').random()");
    let first = number();
    assert!((0..5).any(|_| number() != first));
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }
    folder
}

fn with_modules(folders: &[&Path], source: &str) -> Result<Sandbox, Terminated> {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.module_directories = folders.iter().map(|folder| (*folder).to_owned()).collect();
    start(settings, source)
}

#[test]
fn modules_are_found_in_their_folders_in_order() {
    let first = folder(&[
        ("a.lua", "local name = ... return {name = name, from = 1}"),
        ("deep/b.lua", "return 7"),
    ]);
    let second = folder(&[
        ("a.lua", "return {from = 2}"),
        ("c.lua", "module(..., nil)\nfunction f() return _NAME end"),
        (
            "old.lua",
            "local M = {} local read_message = read_message setfenv(1, M) function g() return read_message('Type') end return M",
        ),
        ("nothing.lua", "x = 1"),
    ]);
    let mut one = with_modules(
        &[first.path(), second.path()],
        "local a = require 'a' local b = require 'deep.b' require 'nothing' local old = require 'old' \
         function process_message() return 0, a.from .. a.name .. b .. tostring(require 'a' == a) .. tostring(require 'nothing') .. x .. old.g() end",
    )
    .expect("loads");
    assert_eq!(
        process(&mut one, &mut Keeper::default()),
        Ok((0, "1a7truetrue1TEST".into()))
    );
    let mut two = with_modules(
        &[second.path()],
        "require 'old' pcall(require, 'c') function process_message() return 0, type(c) end",
    )
    .expect("loads");
    assert_eq!(
        process(&mut two, &mut Keeper::default()),
        Ok((0, "table".into()))
    );
}

#[test]
fn modules_of_lua_5_1_have_an_environment_of_their_own() {
    let folder = folder(&[(
        "m.lua",
        "local type = type\nmodule(...)\nfunction f() return _NAME .. type(_M) .. (_PACKAGE or '') end\nlocal_to_m = 1",
    )]);
    let mut one = with_modules(
        &[folder.path()],
        "local m = require 'm' function process_message() return 0, m.f() .. tostring(local_to_m) .. tostring(m == _G.m) end",
    )
    .expect("loads");
    assert_eq!(
        process(&mut one, &mut Keeper::default()),
        Ok((0, "mtableniltrue".into()))
    );
}

#[test]
fn modules_that_need_each_other_are_told() {
    let folder = folder(&[("a.lua", "require 'b'"), ("b.lua", "require 'a'")]);
    let ended = with_modules(&[folder.path()], "require 'a'").expect_err("a circle");
    assert!(
        ended
            .text
            .ends_with("b.lua:1: loop or previous error loading module 'a'"),
        "{ended}"
    );
    // A failure is not remembered.
    let again = "local fine, said = pcall(require, 'b') assert(said:find('loop')) fine, said = pcall(require, 'b') assert(said:find('loop'))";
    with_modules(&[folder.path()], again).expect("loads");
}

#[test]
fn a_missing_module_tells_the_places() {
    let folder = folder(&[("bad.lua", "local = 1"), ("fails.lua", "error('no')")]);
    let path = folder.path().display();
    for (name, text) in [
        (
            "none",
            format!("test.lua:1: module 'none' not found:\n\tno file '{path}/none.lua'"),
        ),
        (
            "a.b",
            format!("test.lua:1: module 'a.b' not found:\n\tno file '{path}/a/b.lua'"),
        ),
        (
            "bad",
            format!(
                "test.lua:1: error loading module 'bad' from file '{path}/bad.lua':\n\t{path}/bad.lua:1: "
            ),
        ),
        ("fails", format!("{path}/fails.lua:1: no")),
    ] {
        let ended = with_modules(&[folder.path()], &format!("require '{name}'")).expect_err(name);
        let cut = &text[..text.len().min(sandbox::ERROR_BYTES_MAX)];
        assert!(ended.text.starts_with(cut), "{ended:?}\n{text}");
    }
}

#[test]
fn dates_and_times_are_utc() {
    for (expression, text) in [
        ("os.time()", "1500000000"),
        ("os.date()", "Fri Jul 14 02:40:00 2017"),
        ("os.date('%Y-%m-%d %H:%M:%S', 0)", "1970-01-01 00:00:00"),
        ("os.date('!%c', 86400 * 59)", "Sun Mar  1 00:00:00 1970"),
        ("os.date('*t', 951782400).yday", "60"),
        ("os.date('!*t', 951782400).wday", "3"),
        ("os.date('*t').isdst", "false"),
        ("os.time({year = 2000, month = 2, day = 29})", "951825600"),
        (
            "os.time({year = 2000, month = 14, day = -1, hour = 0})",
            "980812800",
        ),
        (
            "os.time({year = '2000', month = 1, day = 1, hour = 25, min = 61, sec = -1})",
            "946778459",
        ),
        ("os.time(os.date('*t', 1234567890))", "1234567890"),
        ("os.difftime(5, 2)", "3"),
        ("os.date('%Y', 1e300)", "nil"),
        ("type(os.clock())", "number"),
    ] {
        let expression = format!("(function() require 'os' return {expression} end)()");
        assert_eq!(eval(Kind::Filter, &expression), text, "{expression}");
    }
    let missing = eval(
        Kind::Filter,
        "(require 'os').time({year = 2000, month = 1})",
    );
    assert!(
        missing.ends_with("field 'day' missing in date table"),
        "{missing}"
    );
}

/// What an output's script gives for a body, in which `p` is a folder; `PATH` in an answer stands for it.
fn answers(cases: &[(&str, &str)]) {
    let folder = folder(&[("in.txt", "one\ntwo\n 12.5 0x10 rest\nlast")]);
    let path = folder.path().display();
    for (body, text) in cases {
        let source = format!(
            "require 'io' require 'os' require 'string' local p = '{path}' local function f() {body} end \
             function process_message() return 0, tostring(f()) end"
        );
        let mut one = sandbox(Kind::Output, &source);
        let answer = process(&mut one, &mut Keeper::default()).map(|(_, text)| text);
        assert_eq!(
            answer,
            Ok(text.replace("PATH", &path.to_string())),
            "{body}"
        );
    }
}

#[test]
fn files_are_read_and_written() {
    answers(&[
        (
            "local f = io.open(p .. '/in.txt') local a = f:read() local b = f:read('*l') local c, d = f:read('*n', '*n') local e = f:read('*a') f:close() \
          return a .. b .. c .. d .. e",
            "onetwo12.516 rest\nlast",
        ),
        (
            "local n = 0 for l in io.lines(p .. '/in.txt') do n = n + #l end return n",
            "25",
        ),
        (
            "local f = io.open(p .. '/in.txt') local n = 0 for l in f:lines() do n = n + 1 end return n .. tostring(f:read()) .. tostring(f:read('*a'))",
            "4nil",
        ),
        (
            "local f = io.open(p .. '/in.txt') local a = f:read(2, 0) .. f:seek() f:seek('set', 4) return a .. f:read(3) .. f:seek('end')",
            "on2two28",
        ),
        (
            "return select(2, io.open(p .. '/none'))",
            "PATH/none: No such file or directory",
        ),
        ("return select(3, io.open(p .. '/none'))", "2"),
        (
            "local f = io.open(p .. '/out.txt', 'w') f:write('a', 1, 2.5) f:close() return io.open(p .. '/out.txt'):read('*a')",
            "a12.5",
        ),
        (
            "local f = io.open(p .. '/out.txt', 'a+') f:write('b') f:seek('set') local a = f:read('*a') f:close() return a",
            "a12.5b",
        ),
        (
            "local f = io.open(p .. '/out.txt', 'r+') local a = f:read(1) f:seek('cur', 0) f:write('X') f:seek('set') return a .. f:read('*a')",
            "aaX2.5b",
        ),
    ]);
}

#[test]
fn commands_and_default_files() {
    answers(&[
        (
            "local f = io.popen('printf \"a\\\\nb\"') local a = f:read('*a') return a .. tostring(f:close())",
            "a\nbtrue",
        ),
        (
            "local f = io.popen('cat > ' .. p .. '/piped', 'w') f:write('through') f:close() return io.open(p .. '/piped'):read('*a')",
            "through",
        ),
        (
            "local f = io.tmpfile() f:write('t') f:seek('set') return f:read('*a')",
            "t",
        ),
        (
            "local f = io.open(p .. '/in.txt') f:close() return io.type(f) .. tostring(f) .. tostring(io.type(1)) .. io.type(io.stdout)",
            "closed filefile (closed)nilfile",
        ),
        (
            "io.output(p .. '/default') io.write('d') io.flush() io.close() io.input(p .. '/default') return io.read()",
            "d",
        ),
        (
            "local f = io.open(p .. '/in.txt') f:close() return select(2, pcall(f.read, f))",
            "attempt to use a closed file",
        ),
        (
            "return select(2, io.stdout:close())",
            "cannot close standard file",
        ),
        (
            "return tostring(select(2, pcall(io.read, '*x'))):match('invalid format')",
            "invalid format",
        ),
        (
            "local f = io.open(p .. '/in.txt') return tostring(select(2, f:write('x'))):match('Bad file') ~= nil or f:close()",
            "true",
        ),
    ]);
}

#[test]
fn outputs_reach_the_system() {
    answers(&[
        (
            "os.rename(p .. '/in.txt', p .. '/moved') local a = io.open(p .. '/moved') ~= nil return tostring(a) .. tostring(os.remove(p .. '/moved')) .. select(2, os.remove(p .. '/moved'))",
            "truetruePATH/moved: No such file or directory",
        ),
        ("return os.execute() .. os.execute('exit 3')", "1768"),
        (
            "local n = os.tmpname() local a = io.open(n) ~= nil os.remove(n) return tostring(a)",
            "true",
        ),
        (
            "return os.getenv('PATH') ~= nil and os.getenv('NO_SUCH_NAME')",
            "nil",
        ),
        (
            "return type(collectgarbage('count')) .. collectgarbage() .. type(newproxy())",
            "number0userdata",
        ),
        (
            "return coroutine.wrap(function() coroutine.yield(7) end)()",
            "7",
        ),
        ("return type(os.exit) .. type(os.setlocale)", "nilnil"),
    ]);
}

#[test]
fn reading_takes_no_more_than_the_scripts_memory() {
    for body in [
        "io.open('/dev/zero'):read('*a')",
        "io.open('/dev/zero'):read()",
        "io.open('/dev/zero'):read(1e12)",
        "for l in io.lines('/dev/zero') do end",
    ] {
        let source = format!("require 'io' function process_message() {body} end");
        let mut one = sandbox(Kind::Output, &source);
        let ended = process(&mut one, &mut Keeper::default()).expect_err(body);
        assert!(ended.text.ends_with("not enough memory"), "{ended}");
    }
}
