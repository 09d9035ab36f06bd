//! JSON as scripts see it, and against another reader.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::limits::SandboxLimits;
use crate::scripts::Script;

#[test]
fn values_become_json() {
    let script = Script::new();
    for (value, json) in [
        ("nil", "null"),
        ("true", "true"),
        ("false", "false"),
        ("cjson.null", "null"),
        ("12", "12"),
        ("-0.5", "-0.5"),
        ("1/3", "0.33333333333333"),
        ("1e15", "1e+15"),
        ("2^53", "9.007199254741e+15"),
        (
            "'a\"b\\\\c/d\\n\\t\\1\\127é'",
            "\"a\\\"b\\\\c\\/d\\n\\t\\u0001\\u007fé\"",
        ),
        ("'\\0'", "\"\\u0000\""),
        ("{}", "{}"),
        ("{ {} }", "[{}]"),
        (
            "{ 1, 'b', { 3 }, { x = { 4 } } }",
            "[1,\"b\",[3],{\"x\":[4]}]",
        ),
        ("{ a = { b = { c = {} } } }", "{\"a\":{\"b\":{\"c\":{}}}}"),
        ("{ [1] = 1, [3] = 3 }", "[1,null,3]"),
        ("{ [2] = 2 }", "[null,2]"),
        ("{ [0] = 1 }", "{\"0\":1}"),
        ("{ [1.5] = 1 }", "{\"1.5\":1}"),
        ("{ [-1] = { 1 } }", "{\"-1\":[1]}"),
        ("{ { 1, x = 2 } }", "[{\"1\":1,\"x\":2}]"),
        ("{ { { 1, 2 }, x = 2 } }", "[{\"1\":[1,2],\"x\":2}]"),
        ("{ { {}, x = {} } }", "[{\"1\":{},\"x\":{}}]"),
    ] {
        assert_eq!(
            script.value(&format!("cjson.encode({value})")),
            json,
            "{value}"
        );
    }
}

#[test]
fn json_becomes_values() {
    let script = Script::new();
    script.run("function d(text) return cjson.decode(text) end");
    for (expression, value) in [
        ("d'[ true, { \"foo\": \"bar\" } ]'[2].foo", "bar"),
        ("d'{\"test\":1,\"null\":null}'.null", "nil"),
        ("d'[1,null,3]'[3]", "3"),
        ("d'{\"a\":1,\"a\":2}'.a", "2"),
        ("d'{\"a\":1,\"a\":null}'.a", "nil"),
        ("d' \\t\\r\\n1 '", "1"),
        ("d'\"\"'", ""),
        ("d'-1.5e3', d'0', d'-0.25', d'1e+2'", "-1500\t0\t-0.25\t100"),
        (
            "d'0x10', d'+5', d'007', d'Infinity', d'-inf', d'nan'",
            "16\t5\t7\tinf\t-inf\tnan",
        ),
        (
            r#"d'"\\u00e9\\ud83d\\ude00\\n\\/\\"\\\\\\b\\f\\r\\t"' == 'é😀\n/"\\\b\f\r\t'"#,
            "true",
        ),
        (r#"#d'"\\u0000a"'"#, "2"),
        ("d'[[[[]]]]'[1][1][1][1]", "nil"),
        ("next(d'{}')", "nil"),
        ("d'[1]\\0garbage'[1]", "1"),
        ("d'true', d'false', d'null'", "true\tfalse\tnil"),
    ] {
        assert_eq!(script.value(expression), value, "{expression}");
    }
    script.run("cjson.decode_null(true) assert(type(d'[null]'[1]) == 'userdata' and d'null' == cjson.null)");
}

/// Mistakes, and what is said of them.
const MISTAKES: &[(&str, &str)] = &[
    ("", "Expected value but found T_END at character 1"),
    ("[1,]", "Expected value but found T_ARR_END at character 4"),
    (
        "[1 2]",
        "Expected comma or array end but found T_NUMBER at character 4",
    ),
    (
        "{1:2}",
        "Expected object key string but found T_NUMBER at character 2",
    ),
    (
        "{\"a\" 1}",
        "Expected colon but found T_NUMBER at character 6",
    ),
    (
        "{\"a\":1 \"b\"}",
        "Expected comma or object end but found T_STRING at character 8",
    ),
    (
        "{\"a\":1,}",
        "Expected object key string but found T_OBJ_END at character 8",
    ),
    (
        "[1]]",
        "Expected the end but found T_ARR_END at character 4",
    ),
    (
        "\"abc",
        "Expected value but found unexpected end of string at character 5",
    ),
    (
        "\"a\\\\qc\"",
        "Expected value but found invalid escape code at character 3",
    ),
    (
        "\"\\\\u12g4\"",
        "Expected value but found invalid unicode escape code at character 2",
    ),
    (
        "\"\\\\udc00\"",
        "Expected value but found invalid unicode escape code at character 2",
    ),
    (
        "\"\\\\ud800x\"",
        "Expected value but found invalid unicode escape code at character 2",
    ),
    (
        "nope",
        "Expected value but found invalid token at character 1",
    ),
    (
        "tru",
        "Expected value but found invalid token at character 1",
    ),
    (
        "-",
        "Expected value but found invalid number at character 1",
    ),
    (
        "[1,@]",
        "Expected value but found invalid token at character 4",
    ),
    (":", "Expected value but found T_COLON at character 1"),
    ("[", "Expected value but found T_END at character 2"),
    ("a\\0", "JSON parser does not support UTF-16 or UTF-32"),
];

#[test]
fn mistakes_in_json_are_told_as_the_library_tells_them() {
    let script = Script::new();
    for &(json, said) in MISTAKES {
        assert_eq!(
            script.error(&format!("cjson.decode('{json}')")),
            said,
            "{json}"
        );
    }
    assert_eq!(
        script.error("cjson.decode(('['):rep(1001))"),
        "Found too many nested data structures (1001) at character 1001"
    );
    script.run("cjson.decode(('['):rep(1000) .. (']'):rep(1000)) cjson.decode_max_depth(2)");
    assert_eq!(
        script.error("cjson.decode('[[[')"),
        "Found too many nested data structures (3) at character 3"
    );
    script.run("cjson.decode_invalid_numbers(false)");
    for json in ["0x1", "007", "-inf", "+1", "nan"] {
        let said = script.error(&format!("cjson.decode('{json}')"));
        assert!(
            said.starts_with("Expected value but found invalid "),
            "{json} {said}"
        );
    }
    script.run("cjson.decode('-0.5e1')");
}

/// Calls that are refused, and what is said.
const REFUSED: &[(&str, &str)] = &[
    (
        "encode()",
        "bad argument #1 to 'encode' (expected 1 argument)",
    ),
    (
        "encode(1, 2)",
        "bad argument #1 to 'encode' (expected 1 argument)",
    ),
    (
        "decode()",
        "bad argument #1 to 'decode' (expected 1 argument)",
    ),
    (
        "decode({})",
        "bad argument #1 to 'decode' (string expected, got table)",
    ),
    (
        "encode(print)",
        "Cannot serialise function: type not supported",
    ),
    (
        "encode(hyperloglog.new())",
        "Cannot serialise userdata: type not supported",
    ),
    (
        "encode({ [true] = 1 })",
        "Cannot serialise boolean: table key must be a number or string",
    ),
    (
        "encode(0/0)",
        "Cannot serialise number: must not be NaN or Infinity",
    ),
    (
        "encode({ 1/0 })",
        "Cannot serialise number: must not be NaN or Infinity",
    ),
    (
        "encode({ [100] = 1 })",
        "Cannot serialise table: excessively sparse array",
    ),
    (
        "encode({ [1e300] = 1 })",
        "Cannot serialise table: excessively sparse array",
    ),
    ("encode(deep)", "Cannot serialise, excessive nesting (1001)"),
    ("encode(loop)", "Cannot serialise, excessive nesting (1001)"),
    (
        "encode_max_depth(0)",
        "bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)",
    ),
    (
        "encode_number_precision(18)",
        "bad argument #1 to 'encode_number_precision' (expected integer between 1 and 17)",
    ),
    (
        "encode_number_precision(1, 2)",
        "bad argument #2 to 'encode_number_precision' (found too many arguments)",
    ),
    (
        "encode_invalid_numbers('maybe')",
        "bad argument #1 to 'encode_invalid_numbers' (invalid option 'maybe')",
    ),
];

#[test]
fn what_is_no_json_is_refused() {
    let script = Script::new();
    script.run("deep = {} for i = 1, 1000 do deep = { deep } end loop = {} loop.loop = loop");
    for &(call, said) in REFUSED {
        assert_eq!(script.error(&format!("cjson.{call}")), said, "{call}");
    }
    assert_eq!(
        script.value("cjson.new, cjson.encode_keep_buffer"),
        "nil\tnil"
    );
}

#[test]
fn switches_tell_and_change() {
    let script = Script::new();
    for (expression, value) in [
        ("cjson.encode_sparse_array()", "false\t2\t10"),
        ("cjson.encode_sparse_array(true, 3, 4)", "true\t3\t4"),
        ("cjson.encode({ [100] = 1 })", "{\"100\":1}"),
        ("cjson.encode_sparse_array(nil, 0)", "true\t0\t4"),
        ("cjson.encode({ [5] = 1 })", "[null,null,null,null,1]"),
        (
            "cjson.encode_max_depth(), cjson.decode_max_depth()",
            "1000\t1000",
        ),
        ("cjson.encode_number_precision()", "14"),
        (
            "cjson.encode_number_precision(3), cjson.encode(1234.5)",
            "3\t1.23e+03",
        ),
        (
            "cjson.encode_number_precision(17), cjson.encode(0.1)",
            "17\t0.10000000000000001",
        ),
        ("cjson.encode_invalid_numbers()", "false"),
        (
            "cjson.encode_invalid_numbers('null'), cjson.encode(0/0)",
            "null\tnull",
        ),
        (
            "cjson.encode_invalid_numbers(true), cjson.encode({ 0/0, 1/0, -1/0 })",
            "true\t[NaN,Infinity,-Infinity]",
        ),
        ("cjson.decode_invalid_numbers()", "true"),
        ("cjson.decode_invalid_numbers('off')", "false"),
        ("cjson.decode_null()", "false"),
        ("cjson.decode_null(true)", "true"),
    ] {
        assert_eq!(script.value(expression), value, "{expression}");
    }
}

#[test]
fn output_is_limited() {
    let script = Script::limited(SandboxLimits {
        output_bytes: 64,
        ..SandboxLimits::default()
    });
    let said = "strbuf output_limit exceeded";
    script.run("t = {} for i = 1, 5 do t[i] = 'this is a test' end");
    assert_eq!(script.error("cjson.encode(t)"), said);
    assert_eq!(script.error("cjson.encode(('x'):rep(63))"), said);
    assert_eq!(script.error("cjson.encode(('\\n'):rep(62))"), said);
    assert_eq!(script.value("#cjson.encode(('x'):rep(62))"), "64");
    script.run("t = {} for i = 1, 40 do t = { t, t } end");
    assert_eq!(script.error("cjson.encode(t)"), said);
    assert_eq!(script.value("cjson.encode({ 1 })"), "[1]");

    let script = Script::limited(SandboxLimits {
        output_bytes: 0,
        ..SandboxLimits::default()
    });
    script.run("t = {} for i = 1, 1000 do t[i] = ('0123456789'):rep(10) end assert(#cjson.encode(t) == 103001)");
    script.run("t = {} for i = 1, 100 do t[i] = ('0123456789'):rep(20000) end");
    assert_eq!(
        script.error("cjson.encode(t)"),
        "strbuf_resize out of memory"
    );
}

#[test]
fn tables_in_other_order_than_their_keys_stay_cheap() {
    // An array that turns out to be an object behind its first item must not be written twice at every depth.
    let script = Script::new();
    script.run(
        "cjson.encode_max_depth(300)
        t = { 1, x = 1 }
        for i = 1, 250 do t = { t, x = 1 } end
        assert(#cjson.encode(t) > 1000)
        t = {}
        for i = 1, 250 do t = { t, [3] = 1 } end
        assert(#cjson.encode(t) > 1000)",
    );
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(|number| Value::from((number * 8.0).round() / 8.0)),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..8).prop_map(Value::from),
            prop::collection::hash_map("[a-z\\n\"/]{1,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn is_deep_equal(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        (Number(one), Number(other)) => one.as_f64() == other.as_f64(),
        (Array(one), Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_deep_equal(one, other))
        }
        (Object(one), Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| {
                    other
                        .get(key)
                        .is_some_and(|other| is_deep_equal(one, other))
                })
        }
        _ => one == other,
    }
}

proptest! {
    #[test]
    fn json_comes_back_as_it_was(value in json(), pretty: bool) {
        let script = Script::limited(SandboxLimits { output_bytes: 0, ..SandboxLimits::default() });
        let text = match pretty {
            true => serde_json::to_string_pretty(&value),
            false => serde_json::to_string(&value),
        };
        let through: mlua::Function = script.0.load("local text = ... return cjson.encode(cjson.decode(text))").into_function().expect("a function");
        // The second time, tables are made as large as they were the first.
        for _ in 0..2 {
            let back: mlua::LuaString = through.call(text.as_ref().expect("json").as_str()).expect("json");
            let back: serde_json::Value = serde_json::from_slice(&back.as_bytes()).expect("json");
            prop_assert!(is_deep_equal(&back, &value), "{} {}", back, value);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[]\\[{}:,\"\\\\u0-9a-fntr.eE+\\- ]{0,40}", bytes: Vec<u8>, null: bool, invalid: bool) {
        let script = Script::new();
        script.run(&format!("cjson.decode_null({null}) cjson.decode_invalid_numbers({invalid}) cjson.encode_invalid_numbers(true)"));
        let through: mlua::Function = script.0.load(
            "local text = ...
            local ok, value = pcall(cjson.decode, text)
            if ok then pcall(cjson.encode, value) else assert(type(value) == 'string') end
            return ok",
        ).into_function().expect("a function");
        let accepted = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let read: bool = through.call(text.as_str()).expect("no failure of the host");
        prop_assert!(read || !accepted, "{}", text);
        through.call::<bool>(script.0.create_string(&bytes).expect("memory")).expect("no failure of the host");
    }
}
