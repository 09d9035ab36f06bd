//! Estimators as scripts see them.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::scripts::Script;

#[test]
fn estimates_are_hekas() {
    let script = Script::new();
    script.run(
        "hll = hyperloglog.new()
        assert(hll:count() == 0)
        for i = 0, 99999 do hll:add(i) end
        assert(hll:count() == 100070 and hll:count() == 100070, hll:count())
        for i = 0, 99999 do assert(not hll:add(i)) end
        assert(hll:count() == 100070)
        hll:clear()
        assert(hll:count() == 0)
        base, one, two = hyperloglog.new(), hyperloglog.new(), hyperloglog.new()
        for i = 1, 110000 do base:add(string.format('%08d', i)) end
        assert(base:count() == 110505, base:count())
        for i = 1, 50000 do one:add(string.format('%08d', i)) end
        assert(one:count() == 49932, one:count())
        for i = 50001, 100000 do two:add(string.format('%08d', i)) end
        assert(two:count() == 50151, two:count())
        assert(hll:merge(one) == hll and hll:count() == 49932)
        for i = 100001, 110000 do hll:add(string.format('%08d', i)) end
        hll:merge(two)
        assert(hll:merge(hll):count() == hll:count())",
    );
    assert_eq!(
        script.value("hll:merge(one):count() == base:count(), base:count()"),
        "true\t110505"
    );
}

#[test]
fn an_estimator_is_preserved_and_printed() {
    let script = Script::new();
    script.run("hll = hyperloglog.new() for i = 1, 5000 do hll:add(i) end hll:count()");
    let other = script.restored("hll");
    assert_eq!(other.value("hll:count()"), script.value("hll:count()"));
    assert_eq!(other.preserved("hll"), script.preserved("hll"));
    let printed = script.printed("hll").expect("it is printable");
    assert_eq!(printed.len(), 12304);
    assert!(printed.starts_with(b"HYLL\0"));
    assert_eq!(script.value("#tostring(hll)"), "12304");
    script.run("other = hyperloglog.new() other:fromstring(tostring(hll)) assert(other:count() == hll:count())");
}

#[test]
fn mistakes_are_told() {
    let script = Script::new();
    script.run("hll = hyperloglog.new()");
    for (call, said) in [
        (
            "hyperloglog.new(2)",
            "bad argument #1 to 'new' (incorrect number of arguments)",
        ),
        (
            "hll:add({})",
            "bad argument #1 to 'add' (must be a string or number)",
        ),
        (
            "hll:fromstring({})",
            "bad argument #1 to 'fromstring' (string expected, got table)",
        ),
        (
            "hll:fromstring('      ')",
            "fromstring() bytes found: 6, expected 12304",
        ),
        (
            "hll:fromstring(('x'):rep(12304))",
            "fromstring() HYLL header not found",
        ),
        (
            "hll:fromstring('HYLL' .. ('x'):rep(12300))",
            "fromstring() invalid encoding",
        ),
        (
            "hll:merge({})",
            "bad argument #1 to 'merge' (hyperloglog expected, got table)",
        ),
        (
            "hll.count(1)",
            "calling 'count' on bad self (hyperloglog expected, got number)",
        ),
    ] {
        assert_eq!(script.error(call), said, "{call}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_bytes_are_restored_or_refused(seed: u64) {
        let mut bytes = b"HYLL\0".to_vec();
        let mut next = seed;
        bytes.extend((0..12299).map(|_| {
            next = next.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (next >> 56) as u8
        }));
        let script = Script::new();
        script.run("hll = hyperloglog.new()");
        let restore: mlua::Function = script.0.load("local text = ... hll:fromstring(text)").into_function().expect("a function");
        restore.call::<()>(script.0.create_string(&bytes).expect("memory")).expect("as many bytes as there must be");
        script.run("hll:count() hll:add(1) hll:count() hll:merge(hyperloglog.new())");
        let other = script.restored("hll");
        prop_assert_eq!(other.preserved("hll"), script.preserved("hll"));
    }
}
