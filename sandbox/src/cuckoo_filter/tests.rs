//! Cuckoo filters as scripts see them.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::limits::SandboxLimits;
use crate::scripts::Script;

#[test]
fn the_hashes_are_hekas() {
    // With Heka's own, thirteen of these keys are taken for others.
    let script = Script::limited(SandboxLimits {
        memory_bytes: 0,
        ..SandboxLimits::default()
    });
    script.run(
        "cf = cuckoo_filter.new(1000000)
        for i = 1, 800000 do cf:add(i) end
        assert(cf:count() == 799987, cf:count())
        for i = 1, 800000 do assert(cf:query(i)) end
        local deleted = 0
        for i = 1, 800000 do if cf:delete(i) then deleted = deleted + 1 end end
        assert(deleted == 799987 and cf:count() == 0)",
    );
}

#[test]
fn a_filter_that_is_full_loses_nothing() {
    let script = Script::new();
    script.run(
        "cf = cuckoo_filter.new(64)
        kept = {}
        for i = 1, 1000 do
            if not cf:query(i) and cf:add(i) then kept[#kept + 1] = i end
        end
        assert(#kept > 50 and #kept <= 64 and cf:count() == #kept, #kept)
        for _, i in ipairs(kept) do assert(cf:query(i), i) end",
    );
    let other = script.restored("cf");
    assert_eq!(other.value("cf:count()"), script.value("cf:count()"));
    assert_eq!(other.preserved("cf"), script.preserved("cf"));
    script.run("for _, i in ipairs(kept) do assert(cf:delete(i), i) end assert(cf:count() == 0) cf:clear()");
}

#[test]
fn the_smallest_filter_works() {
    let script = Script::new();
    script.run(
        "cf = cuckoo_filter.new(4)
        assert(cf:add('a') and not cf:add('a') and cf:query('a') and not cf:query('b'))
        assert(cf:delete('a') and not cf:delete('a') and cf:count() == 0)",
    );
}

#[test]
fn mistakes_are_told() {
    let script = Script::new();
    script.run("cf = cuckoo_filter.new(20)");
    for (call, said) in [
        (
            "cuckoo_filter.new(2, 99)",
            "bad argument #0 to 'new' (incorrect number of arguments)",
        ),
        (
            "cuckoo_filter.new(nil)",
            "bad argument #1 to 'new' (number expected, got nil)",
        ),
        (
            "cuckoo_filter.new(2)",
            "bad argument #1 to 'new' (items must be > 3)",
        ),
        (
            "cuckoo_filter.new(2^31)",
            "cuckoo_filter: one object cannot be larger than 1073741824 bytes",
        ),
        (
            "cf:add()",
            "bad argument #0 to 'add' (incorrect number of arguments)",
        ),
        (
            "cf:add({})",
            "bad argument #1 to 'add' (must be a string or number)",
        ),
        (
            "cf:query({})",
            "bad argument #1 to 'query' (must be a string or number)",
        ),
        (
            "cf:fromstring('    ')",
            "bad argument #0 to 'fromstring' (incorrect number of arguments)",
        ),
        (
            "cf:fromstring(1, '    ')",
            "fromstring() bytes found: 4, expected 64",
        ),
    ] {
        assert_eq!(script.error(call), said, "{call}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_are_restored_or_refused(bytes in prop::collection::vec(any::<u8>(), 60..70), count: f64) {
        let script = Script::new();
        script.run("cf = cuckoo_filter.new(32)");
        let restore: mlua::Function = script.0.load("local n, text = ... return pcall(cf.fromstring, cf, n, text)").into_function().expect("a function");
        let text = script.0.create_string(&bytes).expect("memory");
        restore.call::<mlua::MultiValue>((count, text)).expect("no failure of the host");
        script.run("for i = 1, 50 do cf:query(i) cf:add(i) cf:delete(i - 1) end");
        script.restored("cf");
    }
}
