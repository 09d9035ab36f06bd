//! Packing and unpacking as scripts see it.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::scripts::Script;

/// What an expression makes, as hexadecimal digits.
fn packed(script: &Script, arguments: &str) -> String {
    script
        .value(&format!(
            "(struct.pack({arguments}):gsub('.', function(c) return ('%02x'):format(c:byte()) end))"
        ))
        .split('\t')
        .next()
        .expect("a value")
        .to_owned()
}

#[test]
fn values_become_bytes() {
    let script = Script::new();
    for (arguments, bytes) in [
        ("'<i4', 7", "07000000"),
        ("'>i4', 7", "00000007"),
        ("'<h', -2", "feff"),
        ("'>I3', 0x010203", "010203"),
        ("'bB', -1, 255", "ffff"),
        ("'<L', 2^53", "0000000000002000"),
        ("'>i9', -1", "00ffffffffffffffff"),
        ("'>d', 1.5", "3ff8000000000000"),
        ("'<f', 1.5", "0000c03f"),
        ("'s', 'ab'", "616200"),
        ("'c0', 'abc'", "616263"),
        ("'c2', 'abc'", "6162"),
        ("'c', 'abc'", "61"),
        ("'x>hx', 1", "00000100"),
        ("'<!4bi4', 1, 2", "0100000002000000"),
        ("'<!bd', 1, 0", "01000000000000000000000000000000"),
        ("'b <h >h', 1, 2, 2", "0102000002"),
        ("'<!4bc2h', 1, 'ab', 2", "016162000200"),
        ("'b\\0zz', 1", "01"),
        ("'i0', 5", ""),
        ("'<i', '12'", "0c000000"),
    ] {
        assert_eq!(packed(&script, arguments), bytes, "{arguments}");
    }
}

#[test]
fn bytes_become_values() {
    let script = Script::new();
    for (arguments, values) in [
        ("'<i4', '\\7\\0\\0\\0'", "7\t5"),
        ("'<hH', '\\255\\255\\255\\255'", "-1\t65535\t5"),
        ("'>bs', '\\3ab\\0c'", "3\tab\t5"),
        ("'>hc0', '\\0\\2abc'", "ab\t5"),
        ("'c3', 'abcdef', 2", "bcd\t5"),
        ("'', 'abc'", "1"),
        ("'', 'abc', 4", "4"),
        (
            "'>i9', '\\0\\255\\255\\255\\255\\255\\255\\255\\254'",
            "-2\t10",
        ),
        ("'>i3', '\\255\\255\\254'", "-2\t4"),
        ("'xxb', 'abc'", "99\t4"),
        ("'<!4bi4', '\\1\\0\\0\\0\\2\\0\\0\\0'", "1\t2\t9"),
        ("'s', '\\0'", "\t2"),
    ] {
        assert_eq!(
            script.value(&format!("struct.unpack({arguments})")),
            values,
            "{arguments}"
        );
    }
    assert_eq!(
        script.value("struct.size('<!4bi4d'), struct.size('c10'), struct.size('')"),
        "16\t10\t0"
    );
}

/// Mistakes, and what is said of them.
const MISTAKES: &[(&str, &str)] = &[
    (
        "pack('i33', 1)",
        "integral size 33 is larger than limit of 32",
    ),
    (
        "pack('i99999999999', 1)",
        "integral size 2147483647 is larger than limit of 32",
    ),
    ("pack('!3')", "alignment 3 is not a power of 2"),
    ("pack('!0')", "alignment 0 is not a power of 2"),
    (
        "pack('z')",
        "bad argument #1 to 'pack' (invalid format option 'z')",
    ),
    (
        "pack('i')",
        "bad argument #2 to 'pack' (number expected, got no value)",
    ),
    (
        "pack('i', {})",
        "bad argument #2 to 'pack' (number expected, got table)",
    ),
    (
        "pack('bs', 1)",
        "bad argument #3 to 'pack' (string expected, got no value)",
    ),
    (
        "pack('c4', 'abc')",
        "bad argument #2 to 'pack' (string too short)",
    ),
    (
        "pack({})",
        "bad argument #1 to 'pack' (string expected, got table)",
    ),
    (
        "unpack('i', 'abc')",
        "bad argument #2 to 'unpack' (data string too short)",
    ),
    (
        "unpack('b', 'a', 2)",
        "bad argument #2 to 'unpack' (data string too short)",
    ),
    (
        "unpack('b', 'a', 0)",
        "bad argument #3 to 'unpack' (offset must be 1 or greater)",
    ),
    (
        "unpack('b', 'a', 1e300)",
        "bad argument #2 to 'unpack' (data string too short)",
    ),
    ("unpack('s', 'abc')", "unfinished string in data"),
    ("unpack('c0', 'abc')", "format 'c0' needs a previous size"),
    (
        "unpack('sc0', 'a\\0bc')",
        "format 'c0' needs a previous size",
    ),
    (
        "unpack('bc0', '\\255abc')",
        "bad argument #2 to 'unpack' (data string too short)",
    ),
    (
        "unpack('Bc0', '\\255abc')",
        "bad argument #2 to 'unpack' (data string too short)",
    ),
    (
        "size('s')",
        "bad argument #1 to 'size' (option 's' has no fixed size)",
    ),
    (
        "size('c0')",
        "bad argument #1 to 'size' (option 'c0' has no fixed size)",
    ),
];

#[test]
fn mistakes_are_told_as_the_library_tells_them() {
    let script = Script::new();
    for &(call, said) in MISTAKES {
        assert_eq!(script.error(&format!("struct.{call}")), said, "{call}");
    }
}

#[test]
fn many_results_have_room() {
    let script = Script::new();
    script.run(
        "local n = 3000
        local all = { struct.unpack(('b'):rep(n), ('a'):rep(n)) }
        assert(#all == n + 1 and all[n] == 97 and all[n + 1] == n + 1)
        local ok, said = pcall(struct.unpack, ('b'):rep(1100000), ('a'):rep(1100000))
        assert(not ok and said:find('stack overflow'), said)",
    );
}

proptest! {
    #[test]
    fn any_format_and_any_bytes_are_read_or_refused(format in "[-bBhHlLTiIfdscx!<> 0-9z]{0,12}", bytes: Vec<u8>, at in -3_i32..40) {
        thread_local!(static SCRIPT: Script = Script::new());
        SCRIPT.with(|script| {
            let unpack: mlua::Function = script.0.load("local f, b, a = ... return pcall(struct.unpack, f, b, a)").into_function().expect("a function");
            let text = script.0.create_string(&bytes).expect("memory");
            unpack.call::<mlua::MultiValue>((format, text, at)).expect("no failure of the host");
        });
    }

    #[test]
    fn what_is_packed_comes_back(integers in prop::collection::vec((1_usize..=8, any::<bool>(), any::<bool>(), any::<i64>()), 1..8)) {
        let script = Script::new();
        for (bytes, signed, big, value) in integers {
            // What a double has exactly, within the size.
            let value = value >> 11 >> (64 - bytes * 8).saturating_sub(11);
            let value = if signed { value } else { value.unsigned_abs() as i64 };
            let format = format!("{}{}{bytes}", if big { '>' } else { '<' }, if signed { 'i' } else { 'I' });
            let back = script.value(&format!("struct.unpack('{format}', struct.pack('{format}', {value})) == {value}"));
            prop_assert_eq!(back, "true", "{} {}", format, value);
        }
    }
}
