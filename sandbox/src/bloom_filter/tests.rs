//! Bloom filters as scripts see them.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::scripts::Script;

#[test]
fn the_hashes_are_hekas() {
    // With Heka's own none of these keys collides with those before it.
    let script = Script::new();
    script.run(
        "bf = bloom_filter.new(1000, 0.01)
        for _, key in ipairs({ function(i) return i end, tostring }) do
            assert(bf:count() == 0 and not bf:query(key(1)))
            for i = 1, 950 do assert(bf:add(key(i)), i) end
            for i = 1, 950 do assert(bf:query(key(i)) and not bf:add(key(i))) end
            assert(bf:count() == 950)
            bf:clear()
        end",
    );
}

#[test]
fn a_filter_is_preserved() {
    let script = Script::new();
    script.run("bf = bloom_filter.new(2000, 0.0123456789) for i = 1, 1000 do bf:add(i) bf:add('x' .. i) end");
    let other = script.restored("bf");
    assert_eq!(other.value("bf:count()"), script.value("bf:count()"));
    other.run("for i = 1, 1000 do assert(bf:query(i) and bf:query('x' .. i)) end");
    assert_eq!(other.preserved("bf"), script.preserved("bf"));
    assert_eq!(script.printed("bf"), None);
}

#[test]
fn both_forms_of_preserved_filters_are_read() {
    let script = Script::new();
    script.run("bf = bloom_filter.new(20, 0.01) bf:add('a')");
    assert_eq!(
        script.value("#(function() local t = {} for i = 1, 24 do t[i] = 0 end return t end)()"),
        "24"
    );
    script.run("bf:fromstring(('\\255'):rep(24)) assert(bf:query('anything') and bf:count() == 1)");
    script.run(
        "bf:fromstring(3, ('\\0'):rep(24)) assert(not bf:query('anything') and bf:count() == 3)",
    );
}

#[test]
fn mistakes_are_told() {
    let script = Script::new();
    script.run("bf = bloom_filter.new(20, 0.01)");
    for (call, said) in [
        (
            "bloom_filter.new(2)",
            "bad argument #0 to 'new' (incorrect number of arguments)",
        ),
        (
            "bloom_filter.new(nil, 0.01)",
            "bad argument #1 to 'new' (number expected, got nil)",
        ),
        (
            "bloom_filter.new(0, 0.01)",
            "bad argument #1 to 'new' (items must be > 1)",
        ),
        (
            "bloom_filter.new(2, 0)",
            "bad argument #2 to 'new' (probability must be between 0 and 1)",
        ),
        (
            "bloom_filter.new(2, 1)",
            "bad argument #2 to 'new' (probability must be between 0 and 1)",
        ),
        (
            "bloom_filter.new(2, 0/0)",
            "bad argument #2 to 'new' (probability must be between 0 and 1)",
        ),
        (
            "bloom_filter.new(2^31, 1e-300)",
            "bloom_filter: one object cannot be larger than 1073741824 bytes",
        ),
        ("bloom_filter.new(1e8, 0.01)", "not enough memory"),
        (
            "bf:add()",
            "bad argument #0 to 'add' (incorrect number of arguments)",
        ),
        (
            "bf:add({})",
            "bad argument #1 to 'add' (must be a string or number)",
        ),
        (
            "bf:query({})",
            "bad argument #1 to 'query' (must be a string or number)",
        ),
        (
            "bf:clear(1)",
            "bad argument #0 to 'clear' (incorrect number of arguments)",
        ),
        (
            "bf:fromstring('abc')",
            "fromstring() bytes found: 3, expected 24",
        ),
        (
            "bf:fromstring(1, {})",
            "bad argument #2 to 'fromstring' (string expected, got table)",
        ),
    ] {
        assert_eq!(script.error(call), said, "{call}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_added_is_found(items in 2_i32..50, probability in 1e-12_f64..0.99, keys in prop::collection::vec("[a-z]{0,20}", 0..60)) {
        let script = Script::new();
        script.run(&format!("bf = bloom_filter.new({items}, {probability})"));
        for key in &keys {
            script.run(&format!("local new = not bf:query('{key}') assert(bf:add('{key}') == new)"));
        }
        let script = script.restored("bf");
        for key in &keys {
            script.run(&format!("assert(bf:query('{key}'))"));
        }
    }

    #[test]
    fn any_bytes_are_restored_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..30), count: f64) {
        let script = Script::new();
        script.run("bf = bloom_filter.new(20, 0.01)");
        let restore: mlua::Function = script.0.load("local n, text = ... return pcall(bf.fromstring, bf, n, text)").into_function().expect("a function");
        let text = script.0.create_string(&bytes).expect("memory");
        restore.call::<mlua::MultiValue>((count, text)).expect("no failure of the host");
        script.run("bf:query(1) bf:add(2)");
        script.restored("bf");
    }
}
