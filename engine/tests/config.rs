//! Golden configurations: what a person is told about each.
//!
//! Owns:    the walk over `config/<case>/`, and the properties that hold for every configuration.
//! Runs on: tests.            Plane: control.
//! Bounds:  the cases in the folder; none is listed, so none can be forgotten.
//! Never:   depends on the machine: texts are parsed under their file names, variables are the ones below.
//!
//! A case is `hekad.toml` (or several `*.toml`) with `expected.txt`: the plan in a few lines, or the problems as they are printed.
//! `UPDATE_EXPECTED=1 cargo test -p engine --test config` writes what it gets; read the difference before it is committed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use engine::control::config::{Document, Surroundings};
use engine::control::plan::{DecoderPlan, Plan, Role};
use proptest::prelude::*;

#[path = "config/table.rs"]
mod table;

fn surroundings() -> Surroundings {
    let variable = |name: &str| match name {
        "PORT" => Some("5565".to_owned()),
        "SECRET" => Some("from the environment".to_owned()),
        "SHORT" => Some("pw".to_owned()),
        "MATCHER" => Some("Type == 'a' && Severty < 4".to_owned()),
        "ESCAPED" => Some("tab\\tand".to_owned()),
        "BROKEN" => Some("a\"b\nc".to_owned()),
        _ => None,
    };
    Surroundings {
        variable: Box::new(variable),
        hostname: "here".to_owned(),
    }
}

fn outcome(texts: Vec<(String, String)>) -> String {
    let plan = Document::parse(texts, &surroundings())
        .and_then(|document| Plan::build(&document, table::ALL));
    match plan {
        Err(problems) => problems.render(false),
        Ok(plan) => describe(&plan) + &plan.warnings.render(false),
    }
}

fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    let hekad = &plan.hekad;
    let _ = writeln!(
        text,
        "hekad: shards {}, message {}, hostname {}",
        hekad.shards,
        hekad.message_bytes_max(),
        hekad.hostname
    );
    for input in &plan.inputs {
        let decoder = input
            .decoder
            .as_deref()
            .map_or_else(|| "none".to_owned(), tree);
        let splitter = &input.common.splitter;
        let buffer = input.splitter_options.min_buffer_size;
        let _ = writeln!(
            text,
            "input {} ({}): splitter {splitter} ({buffer}), decoder {decoder}",
            input.name, input.type_name
        );
        if let Some(decoder) = &input.decoder {
            decoder.instantiate();
        }
    }
    for (number, consumer) in plan.consumers.iter().enumerate() {
        let role = match &consumer.role {
            Role::Filter { .. } => "filter".to_owned(),
            Role::Output {
                encoder, framing, ..
            } => format!("output, encoder {}, framing {framing}", encoder.is_some()),
        };
        let _ = writeln!(
            text,
            "consumer {number} {} ({}): {role}, {}",
            consumer.name,
            consumer.type_name,
            consumer.matcher()
        );
    }
    assert_eq!(plan.matchers.consumers(), plan.consumers.len());
    text
}

fn tree(decoder: &DecoderPlan) -> String {
    let subs: Vec<_> = decoder.subs.iter().map(|sub| tree(sub)).collect();
    if subs.is_empty() {
        decoder.name.clone()
    } else {
        format!("{}({})", decoder.name, subs.join(" "))
    }
}

fn texts(case: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(case)
        .expect("a case is a folder")
        .map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    let name = |file: &Path| {
        file.file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned()
    };
    files
        .iter()
        .map(|file| (name(file), fs::read_to_string(file).expect("UTF-8")))
        .collect()
}

#[test]
fn each_case_says_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let entries = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("a readable folder").path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() > 5, "the cases are there");
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for case in cases {
        let texts = texts(&case);
        assert!(
            !texts.is_empty(),
            "{} holds no configuration",
            case.display()
        );
        let got = outcome(texts);
        let expected = case.join("expected.txt");
        if update {
            fs::write(&expected, &got).expect("a writable folder");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if got != wanted {
            wrong.push(format!(
                "{}\n--- expected\n{wanted}\n--- got\n{got}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn plans_go_to_any_thread() {
    fn goes<T: Send + Sync>() {}
    goes::<Plan>();
}

fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "type",
        "address",
        "idle_timeout",
        "use_tls",
        "tls",
        "tls.cert_file",
        "delimiter",
        "count",
        "signer",
        "subs",
        "decoder",
        "splitter",
        "encoder",
        "message_matcher",
        "message_signer",
        "ticker_interval",
        "buffering",
        "headers",
        "retries",
        "use_framing",
        "min_buffer_size",
        "max_message_size",
        "Address",
        "odd|key",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "''",
            "'a:1'",
            "1",
            "-1",
            "1.5",
            "true",
            "[]",
            "['a', 'b']",
            "{}",
            "{ a = 1 }",
            "'TRUE'",
            "'Type =='",
            "'5s'",
            "'PlainDecoder'",
            "'ChainDecoder'",
            "'SinkOutput'",
            "'x'",
            "'y'",
            "['x']",
            "['y', 'x']",
            "1979-05-27",
            "\"a\\u00e9\\\"b\"",
            "'%ENV[PORT]'",
            "9223372036854775807",
            "{ x_1 = { hmac_key = '' } }",
        ])
        .prop_map(str::to_owned),
        "'[^'\n]{0,8}'",
    ];
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => prop::sample::select(vec!["[x]", "[y]", "[hekad]", "[SocketInput]", "[NullSplitter]", "[x.tls]", "[SinkOutput]"])
            .prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

proptest! {
    #[test]
    fn no_configuration_panics(lines in prop::collection::vec(line(), 0..12)) {
        let text = format!("[x]\ntype = 'ChainDecoder'\n{}\n", lines.join("\n"));
        outcome(vec![("a.toml".to_owned(), text), ("b.toml".to_owned(), lines.concat())]);
    }

    #[test]
    fn one_section_with_any_keys_never_panics(
        name in prop::sample::select(table::ALL).prop_map(|spec| spec.name),
        lines in prop::collection::vec(line(), 0..8),
    ) {
        let text = format!("[s]\ntype = '{name}'\n{}\n", lines.join("\n"));
        outcome(vec![("a.toml".to_owned(), text)]);
    }
}
