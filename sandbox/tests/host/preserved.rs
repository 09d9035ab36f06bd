//! Globals that outlive their sandbox.
//!
//! Owns:    the tests of preservation.
//! Runs on: tests.            Plane: data.
//! Bounds:  a folder of its own for each test.
//! Never:   looks inside.

use std::fs;
use std::path::{Path, PathBuf};

use sandbox::{Cause, Kind, Sandbox, Settings, Terminated};

use crate::{Keeper, process, start};

fn with(path: &Path, source: &str) -> Result<Sandbox, Terminated> {
    let mut settings = Settings::new(Kind::Filter, "x");
    settings.preserve = Some(path.to_owned());
    start(settings, source)
}

fn answer(sandbox: &mut Sandbox) -> String {
    process(sandbox, &mut Keeper::default()).expect("runs").1
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.data");
    fs::write(&path, text).expect("writable");
    (folder, path)
}

#[test]
fn globals_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sandbox_preservation/x.data");
    let source = "require 'string' require 'math' \
        count = count or 0 \
        function process_message() count = count + 1 \
          shared = shared or {n = 1, nested = {true, [1.5] = 'x\\n\\0\"\\\\', [false] = -1/0}} again = again or shared shared.cycle = shared \
          hidden = setmetatable({}, {}) inf = 1/0 \
          return 0, count .. tostring(shared.nested[1.5] == 'x\\n\\0\"\\\\') .. tostring(again == shared) .. tostring(shared.cycle == shared) .. \
            tostring(shared.nested[false] == -1/0) .. math.floor(2.5) end";
    let mut one = with(&path, source).expect("loads");
    assert_eq!(answer(&mut one), "1truetruetruetrue2");
    assert_eq!(one.preserve(), Ok(true));
    let mut two = with(&path, source).expect("restores");
    assert_eq!(answer(&mut two), "2truetruetruetrue2");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(path.parent().expect("a folder"))
            .expect("there")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn hekas_own_files_are_read() {
    let (_folder, path) = file(
        "if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 0 then return end\n\
         _G[\"count\"] = 7\n_G[\"ninf\"] = -1/0\n_G[\"kvp\"] = {}\n_G[\"kvp\"][\"a\"] = \"fo\\\no\"\n_G[\"kvp\"][\"r\"] = {}\n\
         _G[\"kvp\"][\"r\"][1] = 99.1\n_G[\"rates\"] = _G[\"kvp\"][\"r\"]\n_G[\"cyclea\"] = {}\n_G[\"cyclea\"][\"b\"] = _G[\"cyclea\"]\n\
         _G[\"_VERSION\"] = \"Lua 5.1\"\n",
    );
    let mut one = with(
        &path,
        "count = 1 function process_message() return 0, count .. kvp.a .. tostring(rates == kvp.r) .. rates[1] .. tostring(cyclea.b == cyclea) end",
    )
    .expect("restores");
    assert_eq!(answer(&mut one), "7fo\notrue99.1true");
}

#[test]
fn another_version_starts_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.data");
    let source = |version: &str| {
        format!(
            "{version} count = 0 function process_message() count = count + 1 return 0, tostring(count) end"
        )
    };
    let mut one = with(&path, &source("_PRESERVATION_VERSION = 1")).expect("loads");
    answer(&mut one);
    assert_eq!(one.preserve(), Ok(true));
    let mut same = with(&path, &source("_PRESERVATION_VERSION = 1")).expect("restores");
    assert_eq!(answer(&mut same), "2");
    let mut other = with(&path, &source("_PRESERVATION_VERSION = 2")).expect("starts");
    assert_eq!(answer(&mut other), "1");
    let mut unset = with(&path, &source("")).expect("restores");
    assert_eq!(
        answer(&mut unset),
        "2",
        "without a version there is no check"
    );
}

#[test]
fn what_cannot_be_preserved_leaves_no_file() {
    let (_folder, path) = file("_G[\"a\"] = 1\n");
    let mut one = with(
        &path,
        "t = {[function() end] = 1} function process_message() return 0 end",
    )
    .expect("loads");
    let error = one.preserve().expect_err("a function as key");
    assert_eq!(
        error.message,
        "serialize_data cannot preserve type 'function'"
    );
    assert!(error.to_string().contains("x.data"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_failing_file_ends_the_sandbox() {
    for (text, why) in [
        (
            "_G[\"a\"] = 1\n_G[\"b\"][\"c\"] = 1\n",
            "x.data:2: attempt to index nil",
        ),
        ("_G[\"a\"] = \n", "x.data:"),
        (
            "-- state of a hekad sandbox, format 1\n_G[\"a\"] = 1\n",
            "damaged",
        ),
    ] {
        let (_folder, path) = file(text);
        let ended = with(&path, "").expect_err(text);
        assert_eq!(ended.cause, Cause::Preservation);
        assert!(
            ended.text.starts_with("lsb_restore_global_data "),
            "{ended}"
        );
        assert!(ended.text.contains(why), "{ended}");
    }
}

#[test]
fn a_file_has_the_scripts_memory_and_little_of_the_stack() {
    let deep = "{".repeat(100_000);
    for (text, why) in [
        ("_G[\"a\"] = (\"x\"):rep(1e9)\n", "not enough memory"),
        (
            "local t = {} for i = 1, 1e9 do t[i] = {} end\n",
            "not enough memory",
        ),
        (
            "for i = 1, 1e9 do _G[i] = bloom_filter.new(1000000, 0.01) end\n",
            "not enough memory",
        ),
        (&format!("_G[\"a\"] = {deep}\n"), "recursion"),
        (
            "local function f() return 1 + f() end f()\n",
            "stack overflow",
        ),
    ] {
        let (_folder, path) = file(text);
        let ended = with(&path, "require 'string' require 'bloom_filter'").expect_err(text);
        assert_eq!(ended.cause, Cause::Preservation);
        assert!(ended.text.contains(why), "{ended}");
    }
}

#[test]
fn a_file_reaches_nothing_but_its_own_values() {
    for text in [
        "_G.require('os')",
        "require('os')",
        "pcall(error)",
        "_G.process_message()",
        "_G._G.x = 1",
    ] {
        let (_folder, path) = file(text);
        let ended = with(&path, "function process_message() return 0 end").expect_err(text);
        assert_eq!(ended.cause, Cause::Preservation, "{text}: {ended}");
    }
    let (_folder, path) = file("_G[\"seen\"] = tostring == nil and _G.tostring == nil\n");
    let mut one = with(
        &path,
        "function process_message() return 0, tostring(seen) end",
    );
    assert_eq!(answer(one.as_mut().expect("restores")), "true");
}

#[test]
fn a_sandbox_that_was_ended_by_an_error_is_not_preserved() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.data");
    let mut one = with(&path, "a = 1 function process_message() error('x') end").expect("loads");
    process(&mut one, &mut Keeper::default()).expect_err("an error");
    assert_eq!(one.preserve(), Ok(false));
    assert!(!path.exists());
}

#[test]
fn large_and_deep_states_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.data");
    let source = "function process_message() \
          if not list then flat = {} for i = 1, 50000 do flat[i] = i end \
            list = {} local t = list for i = 1, 20000 do t.next = {i} t = t.next end return 0, 'made' end \
          local n, t = 0, list while t do n = n + 1 t = t.next end return 0, n .. ' ' .. #flat end";
    let mut one = with(&path, source).expect("loads");
    assert_eq!(answer(&mut one), "made");
    assert_eq!(one.preserve(), Ok(true));
    let mut two = with(&path, source).expect("restores");
    assert_eq!(answer(&mut two), "20001 50000");
}

#[test]
fn objects_come_back_and_stay_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.data");
    let source = "require 'circular_buffer' require 'bloom_filter' require 'hyperloglog' \
        data = circular_buffer.new(3, 1, 60) data:set_header(1, 'Hits', 'count', 'sum') seen = bloom_filter.new(100, 0.01) \
        function process_message() \
          if not made then made = true data:add(60e9, 1, 7) seen:add('a') deep = {cb = circular_buffer.new(2, 1, 1), same = data} \
            deep.cb:set(1e9, 1, 5) deep.hll = hyperloglog.new() deep.hll:add('x') end \
          return 0, data:get(60e9, 1) .. tostring(seen:query('a')) .. tostring(seen:query('b')) .. deep.cb:get(1e9, 1) .. deep.hll:count() .. tostring(deep.same == data) end";
    let mut one = with(&path, source).expect("loads");
    let expected = "7truefalse51true";
    assert_eq!(answer(&mut one), expected);
    assert_eq!(one.preserve(), Ok(true));
    let mut two = with(&path, source).expect("restores");
    assert_eq!(answer(&mut two), expected);
    assert_eq!(two.preserve(), Ok(true));
    let mut three = with(&path, source).expect("restores");
    assert_eq!(answer(&mut three), expected);
}

#[test]
fn objects_of_hekas_own_files_are_read() {
    let (_folder, path) = file(
        "if _PRESERVATION_VERSION and _PRESERVATION_VERSION ~= 0 then return end\n\
         if _G[\"dataRef\"] == nil then _G[\"dataRef\"] = circular_buffer.new(3, 3, 1) end\n\
         _G[\"dataRef\"]:set_header(1, \"Column_1\", \"count\", \"sum\")\n\
         _G[\"dataRef\"]:fromstring(\"2 2 nan nan nan nan 7 nan nan nan nan\")\n_G[\"data\"] = _G[\"dataRef\"]\n",
    );
    let mut one = with(
        &path,
        "require 'circular_buffer' function process_message() return 0, tostring(data == dataRef) .. tostring(data:get(1e9, 2)) end",
    )
    .expect("restores");
    assert_eq!(answer(&mut one), "true7");
}
