//! One options struct with every shape, and every way to get it wrong.
//!
//! Owns:    that struct, and the complaints about it.
//! Runs on: tests.            Plane: control.
//! Bounds:  one section a test.
//! Never:   knows a real plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::config::Surroundings;
use super::*;
use crate::plugin::options::{Buffering, Table};

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
enum Way {
    /// There.
    #[default]
    There,
    /// Back.
    Back,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Key {
    /// Secret
    #[schemars(extend("x-required" = true))]
    hmac_key: String,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    text: String,
    maybe: Option<bool>,
    #[schemars(range(min = 3, max = 9))]
    small: u32,
    signed: i64,
    ratio: f64,
    way: Way,
    list: Vec<String>,
    every: Duration,
    #[schemars(extend("x-also" = ["bufering"]))]
    buffering: Buffering,
    keys: Table<Key>,
    free: Table<Value>,
    #[schemars(extend("x-no-effect" = "there is nothing to do"))]
    idle: bool,
}

const SET: OptionSet = OptionSet::of::<Options>();

fn fit(text: &str) -> (Value, Vec<String>) {
    let surroundings = Surroundings {
        variable: Box::new(|_| None),
        hostname: String::new(),
    };
    let document = Document::parse(
        vec![("x".to_owned(), format!("[s]\n{text}"))],
        &surroundings,
    )
    .expect(text);
    let mut problems = Vec::new();
    let entries = &document.sections[0].entries;
    let mut fit = Fit::new(&document, &mut problems, "S");
    let [value] = fit.section(entries, [&SET], &["type"], UnknownKeys::Refused);
    let lines = problems.iter().map(|problem| {
        let place = problem.place.as_ref().expect("each has a place");
        let at = &document.sources[0].written[place.range.clone()];
        let help = problem
            .help
            .as_ref()
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        format!("{at}: {}{help}", problem.message)
    });
    let lines = lines.collect();
    (value, lines)
}

#[test]
fn what_is_right_is_taken_over_the_defaults() {
    let text = r#"
Type = "S"
TEXT = "t"
maybe = true
small = 3
signed = -1
ratio = 2
way = "Back"
list = ["a", "b"]
every = "1m"
bufering = { full_action = "drop" }
keys = { Z_1 = { hmac_key = "k" }, a_0 = { HMAC_key = "l" } }
free = { b = 1, A = [1.5, { c = true }] }
"#;
    let (value, problems) = fit(text);
    assert_eq!(problems, Vec::<String>::new());
    let options: Options = serde_json::from_value(value).expect("it fits the schema");
    assert_eq!(
        (options.text.as_str(), options.maybe, options.small),
        ("t", Some(true), 3)
    );
    assert_eq!(
        (options.every, options.list.len()),
        (Duration::seconds(60), 2)
    );
    assert_eq!(
        options.buffering.max_file_size,
        Buffering::default().max_file_size
    );
    let keys: Vec<_> = options
        .keys
        .iter()
        .map(|(name, key)| (name, key.hmac_key.as_str()))
        .collect();
    assert_eq!(keys, [("Z_1", "k"), ("a_0", "l")]);
    assert_eq!(
        serde_json::to_value(options.free).ok(),
        Some(json!({ "b": 1, "A": [1.5, { "c": true }] }))
    );
}

#[test]
fn every_mistake_is_said_with_its_place() {
    let text = r#"
text = 5
maybe = "true"
small = 10
signed = 9223372036854775808
ratio = "x"
way = "back"
list = "a"
every = "1d"
buffering = { full_action = 1, max_filesize = 2 }
keys = { a = { }, b = 1 }
free = { a = inf }
idle = true
txt = ""
Text = ""
"#;
    let (value, problems) = fit(text);
    let expected = [
        "5: `text` must be a string, but this is an integer (write it in quotes: \"5\")",
        "\"true\": `maybe` must be true or false, but this is a string (write it without quotes: true)",
        "10: `small` must be at most 9",
        "9223372036854775808: `signed` must be at most 9223372036854775807",
        "\"x\": `ratio` must be a number, but this is a string",
        "\"back\": `way` must be one of \"There\", \"Back\" (did you mean \"Back\"?)",
        "\"a\": `list` must be an array, each of its values a string, but this is a string (put it in brackets: [ ])",
        "\"1d\": `every`: not a duration; write it as \"250ms\", \"30s\" or \"1h30m\"",
        "1: `buffering.full_action` must be one of \"shutdown\", \"drop\", \"block\", but this is an integer",
        "max_filesize: S has no option `buffering.max_filesize` (did you mean `max_file_size`?)",
        "{ }: `keys.a` lacks `hmac_key` (hmac_key: Secret)",
        "1: `keys.b` must be a table, but this is an integer",
        "inf: `free.a` must be a finite number",
        "idle: `idle` has no effect: there is nothing to do",
        "txt: S has no option `txt` (did you mean `text`?)",
        "Text: `Text` is given twice",
    ];
    assert_eq!(problems, expected);
    assert_eq!(
        value["signed"],
        json!(0),
        "what is wrong leaves the default"
    );
    serde_json::from_value::<Options>(value).expect("what is left fits the schema");
}

#[test]
fn words_for_types_are_hekas() {
    let properties = expected::properties(&SET.schema());
    let word = |key: &str| Expected::of(&properties[key]).word();
    let words = [
        "text", "maybe", "small", "signed", "ratio", "way", "list", "every", "keys",
    ]
    .map(word);
    assert_eq!(
        words,
        [
            "string", "bool", "uint", "int", "float", "string", "strings", "duration", "table"
        ]
    );
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|value| value.to_string()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<f64>().prop_map(|value| format!("{value:?}").replace("NaN", "nan")),
            "[a-z0-9]{0,6}".prop_map(|value| format!("'{value}'")),
            Just("1979-05-27".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|values| format!("[{}]", values.join(", "))),
                prop::collection::vec(inner, 0..4).prop_map(|values| {
                    let names = ["full_action", "max_file_size", "a", "hmac_key"];
                    let pairs = values
                        .iter()
                        .zip(names)
                        .map(|(value, name)| format!("{name} = {value}"));
                    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_fits_deserializes(values in prop::collection::vec(value(), 12)) {
            let names = ["text", "maybe", "small", "signed", "ratio", "way", "list", "every", "buffering", "keys", "free", "idle"];
            let lines: Vec<_> = names.iter().zip(&values).map(|(name, value)| format!("{name} = {value}")).collect();
            let (value, _) = fit(&lines.join("\n"));
            prop_assert!(serde_json::from_value::<Options>(value.clone()).is_ok(), "{value}");
        }
    }
}
