//! Buffers as scripts see them, and against a plain model.
//!
//! Owns:    the model.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::scripts::Script;

const HEADER_OF_THREE: &str = "\"rows\":3,\"columns\":3,\"seconds_per_row\":1,\"column_info\":[{\"name\":\"Add_column\",\"unit\":\"count\",\"aggregation\":\"sum\"},{\"name\":\"Set_column\",\"unit\":\"count\",\"aggregation\":\"sum\"},{\"name\":\"Get_column\",\"unit\":\"count\",\"aggregation\":\"sum\"}]}\n";

fn three_columns(deltas: bool) -> Script {
    let script = Script::new();
    script.run(&format!(
        "data = circular_buffer.new(3, 3, 1, {deltas})
        assert(data:set_header(1, 'Add column') == 1)
        assert(data:set_header(2, 'Set column', 'count') == 2)
        assert(data:set_header(3, 'Get column', 'count', 'sum') == 3)
        function process(ts)
            if data:add(ts, 1, 1) then data:set(ts, 3, data:get(ts, 1)) end
            data:set(ts, 2, 1)
        end
        function form(name) assert(data:format(name) == data) end"
    ));
    script
}

#[test]
fn rows_are_printed_as_time_goes_on() {
    let script = three_columns(false);
    let printed = || script.printed_text("data");
    assert_eq!(
        printed(),
        format!("{{\"time\":0,{HEADER_OF_THREE}nan\tnan\tnan\nnan\tnan\tnan\nnan\tnan\tnan\n")
    );
    script.run("for _, ts in ipairs({ 0, 1e9, 1e9, 2e9, 2e9, 2e9 }) do process(ts) end");
    assert_eq!(
        printed(),
        format!("{{\"time\":0,{HEADER_OF_THREE}1\t1\t1\n2\t1\t2\n3\t1\t3\n")
    );
    script.run("process(4e9)");
    assert_eq!(
        printed(),
        format!("{{\"time\":2,{HEADER_OF_THREE}3\t1\t3\nnan\tnan\tnan\n1\t1\t1\n")
    );
    script.run("process(10e9)");
    assert_eq!(
        printed(),
        format!("{{\"time\":8,{HEADER_OF_THREE}nan\tnan\tnan\nnan\tnan\tnan\n1\t1\t1\n")
    );
}

#[test]
fn deltas_are_what_has_changed_since_they_were_printed() {
    let script = three_columns(true);
    script.run("for _, ts in ipairs({ 0, 1e9, 1e9, 2e9, 2e9, 2e9 }) do process(ts) end");
    let after = |change: &str| {
        script.run(change);
        script.run("form('cbufd')");
        script.printed_text("data")
    };
    let header = format!("{{\"time\":0,{HEADER_OF_THREE}");
    assert_eq!(
        after(""),
        format!("{header}0\t1\t1\t1\n1\t2\t1\t2\n2\t3\t1\t3\n")
    );
    assert_eq!(after(""), "");
    // No number is a change, too.
    assert_eq!(
        after("if data:add(2e9, 1, 0/0) then data:set(2e9, 3, data:get(2e9, 1)) end"),
        format!("{header}2\tnan\tnan\tnan\n")
    );
    assert_eq!(
        after(
            "data:set(0, 1, 1/0) data:set(0, 1, 1/0) data:set(0, 2, -1/0) data:add(0, 2, 1) data:set(0, 3, data:get(0, 1))"
        ),
        format!("{header}0\tinf\t-inf\tinf\n")
    );
    script.run("form('cbuf')");
    assert!(script.printed_text("data").contains("\ninf\t-inf\tinf\n"));
}

#[test]
fn deltas_of_minima_are_the_value_itself() {
    let script = Script::new();
    script.run(
        "cb = circular_buffer.new(2, 2, 1, true)
        cb:set_header(1, 'Sum column')
        cb:set_header(2, 'Min', 'count', 'min')
        cb:format('cbufd')",
    );
    for (change, delta) in [
        ("cb:set(0, 1, 3) cb:set(0, 2, 6)", "0\t3\t6\n"),
        ("cb:set(0, 1, 5) cb:set(0, 2, 5)", "0\t2\t5\n"),
        ("cb:add(0, 1, 3) cb:add(0, 2, 3)", "0\t3\t8\n"),
        (
            "cb:add(0, 1, 1) cb:set(0, 1, 0/0) cb:add(0, 2, 1)",
            "0\tnan\t9\n",
        ),
        (
            "cb:add(0, 1, 1) cb:add(0, 1, 0/0) cb:add(0, 2, 1)",
            "0\tnan\t10\n",
        ),
        ("cb:add(0, 1, 1) cb:set(0, 2, 0/0)", "0\t1\tnan\n"),
        (
            "cb:add(0, 1, 1) cb:set(0, 2, 9) cb:add(0, 2, 0/0)",
            "0\t1\tnan\n",
        ),
        ("cb:set(0, 1, 0) cb:set(0, 2, 0)", "0\t-2\t0\n"),
        ("cb:add(0, 1, 0) cb:add(0, 2, 0)", ""),
        ("cb:fromstring('1 1 1 2 3 4 0 3 4')", "0\t3\t4\n"),
        (
            "cb:fromstring('1 1 9 9 9 9') cb:set(0, 2, 8) cb:set(0, 2, 7)",
            "0\tnan\t7\n",
        ),
    ] {
        script.run(change);
        let printed = script.printed_text("cb");
        let rows = printed.split_once("]}\n").map_or("", |(_, rows)| rows);
        assert_eq!(rows, delta, "{change}");
    }
}

#[test]
fn statistics_leave_out_rows_without_a_number() {
    let script = Script::new();
    script.run(
        "cb = circular_buffer.new(5, 1, 1)
        for i = 1, 4 do cb:set(i * 1e9, 1, i) end
        empty = circular_buffer.new(4, 1, 1)
        low = circular_buffer.new(2, 1, 1)
        low:set(0, 1, -3) low:set(1e9, 1, -1)",
    );
    for (expression, value) in [
        ("cb:compute('sum', 1)", "10\t4"),
        ("cb:compute('avg', 1)", "2.5\t4"),
        ("cb:compute('variance', 1)", "1.25\t4"),
        ("cb:compute('min', 1)", "1\t4"),
        ("cb:compute('max', 1)", "4\t4"),
        ("cb:compute('sd', 1) == math.sqrt(1.25)", "true"),
        ("cb:compute('sum', 1, 3e9, 4e9)", "7\t2"),
        ("cb:compute('avg', 1, 3e9, 4e9)", "3.5\t2"),
        ("cb:compute('sum', 1, 3e9)", "7\t2"),
        ("cb:compute('sum', 1, nil, 2e9)", "3\t2"),
        ("cb:compute('sum', 1, 11e9, 14e9)", "nil\t0"),
        ("cb:compute('sum', 1, 2.5e9, 2.5e9)", "2\t1"),
        ("empty:compute('sum', 1)", "0\t0"),
        ("empty:compute('avg', 1)", "nan\t0"),
        ("empty:compute('min', 1)", "nan\t0"),
        ("low:compute('max', 1)", "-1\t2"),
        ("cb:get_configuration()", "5\t1\t1"),
        ("cb:current_time()", "4000000000"),
        ("cb:get_header(1)", "Column_1\tcount\tsum"),
        ("cb:get(5e9, 1)", "nil"),
        ("cb:get(-1e9, 1)", "nil"),
        (
            "cb:get(0/0, 1), cb:set(1/0, 1, 1), cb:add(-1/0, 1, 1)",
            "nil\tnil\tnil",
        ),
        (
            "cb:add(0, 1, 1), cb:add(5e9, 1, 1), cb:add(0, 1, 1)",
            "1\t1\tnil",
        ),
    ] {
        assert_eq!(
            script.value(expression).replace("-nan", "nan"),
            value,
            "{expression}"
        );
    }
}

#[test]
fn ranks_are_those_of_mann_whitney() {
    let script = Script::new();
    script.run(
        "data = {15309,14092,13661,13412,14205,15042,14142,13820,14917,13953,14320,14472,15133,13790,14539,14129,14363,14202,13841,13610,13759,14428,14851,13838,13819,14468,14989,15557,14380,13500,14818,14632,13631,14663,14532,14188,14537,14109,13925,15022}
        cb = circular_buffer.new(40, 1, 1)
        for i, v in ipairs(data) do cb:set(i * 1e9, 1, v) end
        tied = circular_buffer.new(40, 1, 1)
        data[40] = data[1]
        for i, v in ipairs(data) do tied:set(i * 1e9, 1, v) end
        function short(u, p) return u, p and math.floor(p * 100000) end
        empty = circular_buffer.new(20, 1, 1)",
    );
    for (expression, value) in [
        (
            "short(cb:mannwhitneyu(1, 1e9, 20e9, 21e9, 40e9))",
            "171\t22037",
        ),
        (
            "short(cb:mannwhitneyu(1, 1e9, 20e9, 21e9, 40e9, false))",
            "171\t21638",
        ),
        (
            "short(tied:mannwhitneyu(1, 1e9, 20e9, 21e9, 40e9))",
            "168.5\t20084",
        ),
        ("(cb:mannwhitneyu(1, 21e9, 40e9, 1e9, 20e9))", "229"),
        ("cb:mannwhitneyu(1, 41e9, 60e9, 61e9, 80e9)", ""),
        ("empty:mannwhitneyu(1, 0, 9e9, 10e9, 19e9)", ""),
    ] {
        assert_eq!(script.value(expression), value, "{expression}");
    }
}

/// Mistakes, and what is said of them.
const MISTAKES: &[(&str, &str)] = &[
    (
        "circular_buffer.new(2)",
        "bad argument #0 to 'new' (incorrect number of arguments)",
    ),
    (
        "circular_buffer.new(nil, 1, 1)",
        "bad argument #1 to 'new' (number expected, got nil)",
    ),
    (
        "circular_buffer.new(1, 1, 1)",
        "bad argument #1 to 'new' (rows must be > 1)",
    ),
    (
        "circular_buffer.new(2, 0, 1)",
        "bad argument #2 to 'new' (columns must be > 0)",
    ),
    (
        "circular_buffer.new(2, 1, 0)",
        "bad argument #3 to 'new' (seconds_per_row is out of range)",
    ),
    (
        "circular_buffer.new(2^31, 2^31, 1)",
        "circular_buffer: one object cannot be larger than 1073741824 bytes",
    ),
    ("circular_buffer.new(3000, 1000, 1)", "not enough memory"),
    (
        "cb:set(0, 2, 1)",
        "bad argument #2 to 'set' (column out of range)",
    ),
    (
        "cb:set(0, 0, 1)",
        "bad argument #2 to 'set' (column out of range)",
    ),
    (
        "cb:set(0, -1, 1)",
        "bad argument #2 to 'set' (column out of range)",
    ),
    (
        "cb:set(0, nil, 1)",
        "bad argument #2 to 'set' (number expected, got nil)",
    ),
    (
        "cb:set(nil, 1, 1)",
        "bad argument #1 to 'set' (number expected, got nil)",
    ),
    (
        "cb:set(0)",
        "bad argument #0 to 'set' (incorrect number of arguments)",
    ),
    (
        "cb.get(1, 1, 1)",
        "calling 'get' on bad self (circular_buffer expected, got number)",
    ),
    (
        "cb:compute('func', 1)",
        "bad argument #1 to 'compute' (invalid option 'func')",
    ),
    (
        "cb:compute('sum', 1, 2e9, 1e9)",
        "bad argument #4 to 'compute' (end must be >= start)",
    ),
    (
        "cb:format('invalid')",
        "bad argument #1 to 'format' (invalid option 'invalid')",
    ),
    (
        "cb:format('cbuf', true)",
        "bad argument #0 to 'format' (incorrect number of arguments)",
    ),
    (
        "cb:format()",
        "bad argument #0 to 'format' (incorrect number of arguments)",
    ),
    (
        "cb:set_header(1, 'a', 'b', 'avg')",
        "bad argument #4 to 'set_header' (invalid option 'avg')",
    ),
    (
        "cb:get_header(99)",
        "bad argument #1 to 'get_header' (column out of range)",
    ),
    (
        "cb:fromstring('')",
        "fromstring() too few values: 0, expected 2",
    ),
    (
        "cb:fromstring('0 0 na 1')",
        "fromstring() too few values: 0, expected 2",
    ),
    (
        "cb:fromstring('0 0 1 2 3')",
        "fromstring() too many values, more than: 2",
    ),
    ("cb:fromstring('0 2 1 2')", "fromstring() invalid row: 2"),
    (
        "deltas:fromstring('0 0 1 2 3')",
        "fromstring() invalid delta",
    ),
    (
        "cb:mannwhitneyu(1, 0, 5, 2, 7)",
        "bad argument #3 to 'mannwhitneyu' (ranges must not overlap)",
    ),
    (
        "cb:mannwhitneyu(1, 5, 0, 2, 7)",
        "bad argument #3 to 'mannwhitneyu' (end_1 must be >= start_1)",
    ),
    (
        "cb:mannwhitneyu(1, 0, 5, 10, 6)",
        "bad argument #5 to 'mannwhitneyu' (end_2 must be >= start_2)",
    ),
    (
        "cb:mannwhitneyu(1, 0, 1, 2, 3, true, 5)",
        "bad argument #0 to 'mannwhitneyu' (too many arguments)",
    ),
    (
        "cb:mannwhitneyu(1, 0, 1, 2, 3, 'a')",
        "bad argument #6 to 'mannwhitneyu' (use_continuity must be a boolean)",
    ),
];

#[test]
fn mistakes_are_told() {
    let script = Script::new();
    script.run("cb = circular_buffer.new(2, 1, 1) deltas = circular_buffer.new(2, 1, 1, true)");
    for &(call, said) in MISTAKES {
        assert_eq!(script.error(call), said, "{call}");
    }
    // A refused text changes nothing.
    assert_eq!(
        script.value("cb:current_time(), cb:get(0, 1)"),
        "1000000000\tnan"
    );
}

#[test]
fn hekas_preserved_buffers_are_read() {
    let script = Script::new();
    script.run(
        r#"if _G["delta"] == nil then _G["delta"] = circular_buffer.new(2, 1, 1, true) end
        _G["delta"]:set_header(1, "Column_1", "count", "sum")
        _G["delta"]:fromstring("1 1 2 nan 0 2")
        if _G["data"] == nil then _G["data"] = circular_buffer.new(3, 3, 1) end
        _G["data"]:set_header(1, "Column_1", "count", "sum")
        _G["data"]:fromstring("2 2 nan nan nan nan nan nan nan nan nan")"#,
    );
    assert_eq!(
        script.value("delta:get(0, 1), delta:current_time()"),
        "2\t1000000000"
    );
    let preserved = script.preserved("delta");
    assert_eq!(
        String::from_utf8(preserved).expect("text"),
        "if _G[\"delta\"] == nil then _G[\"delta\"] = circular_buffer.new(2, 1, 1, true) end\n\
         _G[\"delta\"]:set_header(1, \"Column_1\", \"count\", \"sum\")\n\
         _G[\"delta\"]:fromstring(\"1 1 2 nan 0 2\")\n"
    );
}

/// What a buffer is supposed to do, without a ring: values by row number.
#[derive(Default)]
struct Model {
    newest: i64,
    values: BTreeMap<(i64, usize), f64>,
    deltas: BTreeMap<(i64, usize), f64>,
}

#[derive(Clone, Debug)]
enum Step {
    Add(i64, usize, f64),
    Set(i64, usize, f64),
    Print,
    Restart,
}

const ROWS: i64 = 4;
const COLUMNS: usize = 2;
const SECONDS: i64 = 3;

impl Model {
    fn has(&self, row: i64) -> bool {
        row <= self.newest && row > self.newest - ROWS
    }

    fn change(
        &mut self,
        time: i64,
        column: usize,
        change: impl Fn(f64) -> (f64, Option<f64>),
    ) -> Option<f64> {
        let row = time / SECONDS;
        if row > self.newest {
            self.newest = row;
            let oldest = self.newest - ROWS;
            self.values.retain(|key, _| key.0 > oldest);
            self.deltas.retain(|key, _| key.0 > oldest);
        }
        if !self.has(row) {
            return None;
        }
        let value = self.values.entry((row, column)).or_insert(f64::NAN);
        let (new, delta) = change(*value);
        *value = new;
        if let Some(delta) = delta {
            *self.deltas.entry((row, column)).or_insert(0.0) += delta;
        }
        Some(new)
    }

    fn printed(&mut self) -> (String, String) {
        let mut all = String::new();
        let mut changed = String::new();
        let deltas = std::mem::take(&mut self.deltas);
        let text = |value: Option<&f64>| {
            value
                .copied()
                .unwrap_or(f64::NAN)
                .to_string()
                .to_lowercase()
        };
        for row in self.newest - ROWS + 1..=self.newest {
            let cells = |map: &BTreeMap<(i64, usize), f64>| -> Vec<String> {
                (0..COLUMNS)
                    .map(|column| text(map.get(&(row, column))))
                    .collect()
            };
            all += &format!("{}\n", cells(&self.values).join("\t"));
            if (0..COLUMNS).any(|column| deltas.contains_key(&(row, column))) {
                changed += &format!("{}\t{}\n", row * SECONDS, cells(&deltas).join("\t"));
            }
        }
        (all, changed)
    }
}

fn step() -> impl Strategy<Value = Step> {
    let number = (-8_i32..8).prop_map(|eighths| f64::from(eighths) / 4.0);
    let place = (0_i64..60, 0..COLUMNS, number);
    prop_oneof![
        4 => place.clone().prop_map(|(time, column, number)| Step::Add(time, column, number)),
        3 => place.prop_map(|(time, column, number)| Step::Set(time, column, number)),
        1 => Just(Step::Print),
        1 => Just(Step::Restart),
    ]
}

fn rows(printed: &str) -> String {
    printed
        .split_once("]}\n")
        .map_or("", |(_, rows)| rows)
        .to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_buffer_does_what_the_model_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut script = Script::new();
        script.run(&format!("cb = circular_buffer.new({ROWS}, {COLUMNS}, {SECONDS}, true)"));
        let mut model = Model { newest: ROWS - 1, ..Model::default() };
        for step in steps {
            match step {
                Step::Add(time, column, number) => {
                    let now = model.change(time, column, |old| {
                        let new = if old.is_nan() { number } else { old + number };
                        (new, (number != 0.0).then_some(number))
                    });
                    let value = script.value(&format!("cb:add({time}e9, {}, {number})", column + 1));
                    prop_assert_eq!(value.parse().ok(), now);
                }
                Step::Set(time, column, number) => {
                    let now = model.change(time, column, |old| {
                        (number, Some(if old.is_nan() { number } else { number - old }))
                    });
                    let value = script.value(&format!("cb:set({time}e9, {}, {number})", column + 1));
                    prop_assert_eq!(value.parse().ok(), now);
                }
                Step::Print => {
                    let (all, changed) = model.printed();
                    script.run("cb:format('cbuf')");
                    prop_assert_eq!(rows(&script.printed_text("cb")), all);
                    script.run("cb:format('cbufd')");
                    prop_assert_eq!(rows(&script.printed_text("cb")), changed);
                }
                Step::Restart => {
                    script = script.restored("cb");
                    // What Heka writes for a column without a change, in a row with one, is a change by nothing.
                    let rows: Vec<i64> = model.deltas.keys().map(|key| key.0).collect();
                    for row in rows {
                        for column in 0..COLUMNS {
                            model.deltas.entry((row, column)).or_insert(0.0);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_restored_or_refused(text in "[-0-9naif.ex \n]{0,60}", bytes: Vec<u8>, deltas: bool) {
        let script = Script::new();
        script.run(&format!("cb = circular_buffer.new(2, 2, 5, {deltas})"));
        let restore: mlua::Function = script.0.load("local text = ... return pcall(cb.fromstring, cb, text)").into_function().expect("a function");
        for text in [text.as_bytes(), &bytes] {
            let text = script.0.create_string(text).expect("memory");
            restore.call::<mlua::MultiValue>(text).expect("no failure of the host");
            script.printed_text("cb");
            script.run("cb:format('cbufd')");
            script.preserved("cb");
            script.printed_text("cb");
            script.run("cb:compute('sd', 1) cb:add(cb:current_time(), 1, 1) cb:add(1e18, 1, 1)");
        }
    }
}
