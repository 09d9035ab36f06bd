//! Windows and words as scripts see them.
//!
//! Owns:    nothing.
//! Runs on: tests.            Plane: data.
//! Bounds:  none.
//! Never:   is part of the daemon.

use proptest::prelude::*;

use crate::scripts::Script;

#[test]
fn series_become_words() {
    let script = Script::new();
    script.run("inf, nan = 1/0, 0/0");
    for (values, letters, cardinality, word) in [
        ("10.3, 7, 1, -5, -5, 7.2", 2, 8, "FC"),
        ("16, 18, 12, 24, 11, 15, 16, 12, 17", 3, 5, "CDC"),
        ("1, 2, 3, 10.1", 2, 4, "AD"),
        (
            "inf, inf, inf, inf, inf, inf, -inf, -inf, -inf",
            3,
            5,
            "EEA",
        ),
        ("inf, inf, 5, 0, 0, 0, -inf, -inf, -5", 3, 5, "ECA"),
        ("nan, 5, 5, 0, 0, 0, nan, -5, -5", 3, 5, "ECA"),
        ("inf, inf, 5, nan, nan, nan, -inf, -inf, -5", 3, 5, "E#A"),
        ("nan, nan, nan, nan, nan, nan, nan, nan, nan", 3, 5, "###"),
        ("nan, inf, nan", 3, 5, "#E#"),
        (
            "nan, nan, inf, -inf, inf, 1, -inf, -1, nan, -5, 5, nan",
            6,
            8,
            "##HAAH",
        ),
        ("7, 7, 7, 7", 2, 4, "CC"),
    ] {
        let source = format!("sax.word.new({{{values}}}, {letters}, {cardinality})");
        assert_eq!(script.value(&source), word, "{values}");
        assert_eq!(
            script.value(&format!(
                "{source} == sax.word.new('{word}', {cardinality})"
            )),
            "true"
        );
    }
}

#[test]
fn windows_move() {
    let script = Script::new();
    script.run(
        "win = sax.window.new(4, 2, 4)
        assert(tostring(win) == '##')
        win:add({}) win:add(23)
        assert(tostring(win) == '#C', tostring(win))
        for _, v in ipairs({ 1, 2, 3, 10.1 }) do win:add(v) end
        word = sax.word.new({ 1, 2, 3, 10.1 }, 2, 4)
        assert(tostring(win) == 'AD' and win == word and word == win and win:get_word() == word)
        win:add({ -10, 1, 2, 3, 10.1 })
        assert(win == word)
        assert(win ~= sax.word.new('AC', 4) and win ~= sax.word.new('AD', 5))
        mm = sax.window.new(100, 5, 8)
        for i = 1, 100000 do mm:add(i - 1) end
        assert(tostring(mm) == 'ABEGH', tostring(mm))",
    );
    for (global, printed) in [("win", "AD"), ("word", "AD"), ("mm", "ABEGH")] {
        assert_eq!(script.printed_text(global), printed);
        let other = script.restored(global);
        assert_eq!(other.printed_text(global), printed);
        assert_eq!(other.preserved(global), script.preserved(global));
    }
    script.run("win:clear() assert(win == sax.word.new('##', 4))");
    assert_eq!(script.restored("win").printed_text("win"), "##");
}

#[test]
fn distances_have_two_directions() {
    let script = Script::new();
    script.run(
        "function near(a, b) return math.abs(a - b) < 1e-5 end
        a, b = sax.word.new({ 10.3, 7, 1, -5, -5, 7.2 }, 2, 8), sax.window.new(6, 2, 8)
        b:add({ -9, -8, -7, -5, -5, 7.2 })
        assert(near(sax.mindist(a, b), 1.560325))
        local d, above, below = sax.mindist(sax.word.new('ABDD', 4), sax.word.new('DBAA', 4))
        assert(near(d, 2.336536) and near(above, 1.907774) and near(below, 1.349))
        abcd, none = sax.word.new('ABCD', 4), sax.word.new('####', 4)
        local expected = sax.mindist(abcd, sax.word.new('DDAA', 4))
        assert(sax.mindist(abcd, none) == expected and sax.mindist(none, abcd) == expected)
        assert(sax.mindist(none, sax.word.new('####', '4')) == 0)
        expected = sax.mindist(sax.word.new('CCCCC', 5), sax.word.new('AAAAA', 5))
        d, above, below = sax.mindist(sax.word.new('CCCCC', 5), sax.word.new('#####', 5))
        assert(d == expected and above == expected and below == 0)
        assert(sax.mindist(abcd, sax.word.new('ABCD', 5)) == nil)
        assert(sax.mindist(abcd, sax.word.new('ABC', 4)) == nil)
        assert(sax.version() == '0.4.0')",
    );
}

/// Mistakes, and what is said of them.
const MISTAKES: &[(&str, &str)] = &[
    (
        "sax.window.new()",
        "bad argument #0 to 'new' (incorrect number of args)",
    ),
    (
        "sax.window.new(nil, 2, 2)",
        "bad argument #1 to 'new' (number expected, got nil)",
    ),
    (
        "sax.window.new(1, 3, 3)",
        "bad argument #1 to 'new' (n is out of range)",
    ),
    (
        "sax.window.new(5000, 5, 5)",
        "bad argument #1 to 'new' (n is out of range)",
    ),
    (
        "sax.window.new(9, 1, 3)",
        "bad argument #1 to 'new' (w is out of range)",
    ),
    (
        "sax.window.new(9, 3, 17)",
        "bad argument #1 to 'new' (cardinality is out of range)",
    ),
    (
        "sax.window.new(10, 3, 3)",
        "bad argument #1 to 'new' (n must be evenly divisible by w)",
    ),
    (
        "sax.word.new()",
        "bad argument #0 to 'new' (incorrect number of arguments)",
    ),
    (
        "sax.word.new('', 5)",
        "bad argument #1 to 'new' (length of SAX string should be > 1)",
    ),
    (
        "sax.word.new('AAABF', 5)",
        "bad argument #1 to 'new' (illegal symbols for given cardinality or bad cardinality itself)",
    ),
    (
        "sax.word.new('AB', 17)",
        "bad argument #1 to 'new' (illegal symbols for given cardinality or bad cardinality itself)",
    ),
    (
        "sax.word.new(1, 2, 5)",
        "bad argument #1 to 'new' (array-like table expected)",
    ),
    (
        "sax.word.new({}, 2, 5)",
        "bad argument #2 to 'new' (n is out of range)",
    ),
    (
        "sax.mindist(1, 1)",
        "bad argument #1 to 'mindist' (sax.window or sax.word expected, got number)",
    ),
    (
        "win:add()",
        "bad argument #0 to 'add' (incorrect number of args)",
    ),
    (
        "win:add('a')",
        "bad argument #1 to 'add' (number or array-like table expected)",
    ),
    (
        "win.add(word, 1)",
        "calling 'add' on bad self (sax.window expected, got sax.word)",
    ),
    (
        "word:clear()",
        "calling 'clear' on bad self (sax.window expected, got sax.word)",
    ),
];

#[test]
fn mistakes_are_told() {
    let script = Script::new();
    script.run("win, word = sax.window.new(9, 3, 5), sax.word.new('AB', 4)");
    for &(call, said) in MISTAKES {
        assert_eq!(script.error(call), said, "{call}");
    }
    assert!(
        script
            .error("win:add({ 1, 'a' })")
            .ends_with("(expected array of numbers as input)")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_window_is_the_word_of_its_values(values in prop::collection::vec(-100_i32..100, 12..40), letters in prop::sample::select(vec![2, 3, 4, 6]), cardinality in 2..=16) {
        let script = Script::new();
        script.run(&format!("win = sax.window.new(12, {letters}, {cardinality})"));
        for value in &values {
            script.run(&format!("win:add({value})"));
        }
        let last: Vec<String> = values[values.len() - 12..].iter().map(i32::to_string).collect();
        script.run(&format!("word = sax.word.new({{{}}}, {letters}, {cardinality})", last.join(",")));
        // Sums in another order may put a value that is on a border to its other side.
        script.run("local d = sax.mindist(win, word) assert(d == 0, d)");
    }

    #[test]
    fn any_text_is_a_word_or_refused(text in "[A-Q#a ]{0,12}", cardinality in -1_i32..300) {
        let script = Script::new();
        let made = script.value(&format!("pcall(sax.word.new, '{text}', {cardinality})"));
        if made.starts_with("true") {
            prop_assert_eq!(made, format!("true\t{text}"));
        }
    }
}
