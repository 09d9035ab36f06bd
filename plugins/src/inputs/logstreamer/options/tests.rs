//! Options that work, and mistakes with their places.
//!
//! Owns:    nothing; sections go through the real plan.
//! Runs on: tests.            Plane: control.
//! Bounds:  one section a case.
//! Never:   looks at a file.

use crate::configured::{mistakes, plan};

fn section(options: &str) -> String {
    format!("[logs]\ntype = 'LogstreamerInput'\n{options}\n")
}

const PATTERN: &str = r"file_match = '(?P<Site>[^/]+)/access\.log\.?(?P<Seq>\d*)'";

#[test]
fn what_hekas_documentation_shows_is_understood() {
    for options in [
        r"file_match = 'system\.log'".to_owned(),
        format!("{PATTERN}\npriority = ['^Seq']\ndifferentiator = ['nginx-', 'Site', '-access']"),
        format!(
            "{PATTERN}\npriority = ['Site', '^Seq']\n\
             [logs.translation.Seq]\nmissing = 9999\n[logs.translation.Site]\nhadukannas = 1\nturmar = 2"
        ),
        "file_match = '/system.log$'\noldest_duration = '0s'\nrescan_interval = '0s'".to_owned(),
    ] {
        let output = "[LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'";
        let plan = plan(&format!("{}{output}", section(&options))).unwrap();
        assert!(plan.warnings.is_empty(), "{}", plan.warnings.render(false));
    }
}

#[test]
fn two_inputs_with_one_journal_are_a_mistake() {
    let output = "[LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'";
    let both = |one: &str, other: &str| {
        let other = section(&format!("file_match = 'b'\n{other}")).replace("[logs]", "[others]");
        format!(
            "{}{other}{output}",
            section(&format!("file_match = 'a'\n{one}"))
        )
    };
    let same = "differentiator = ['nginx', '-access']";
    let found = mistakes(&both(same, "differentiator = ['nginx-access']"));
    for words in [
        "`others` and `logs`",
        "logstreamer/nginx-access",
        "[others]",
    ] {
        assert!(found.contains(words), "{found}");
    }
    for (one, other) in [
        ("", ""),
        (same, "differentiator = ['nginx']"),
        (
            same,
            "differentiator = ['nginx-access']\njournal_directory = 'elsewhere'",
        ),
    ] {
        assert!(plan(&both(one, other)).is_ok(), "{one} {other}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (options, expected) in [
        ("", "file_match"),
        ("file_match = '(?P<Site>[^/+)/log'", "no closing ]"),
        ("file_match = 'a)(b'", "file_match"),
        (
            "file_match = 'log'\npriority = ['^Seq']",
            "no capture named `Seq`",
        ),
        (
            "file_match = '(?P<Sequence>x)'\npriority = ['Seq']",
            "it has Sequence",
        ),
        ("file_match = 'log'\npriority = ['']", "no capture named ``"),
        ("file_match = 'log'\ndifferentiator = ['']", "no name"),
        (
            "file_match = 'log'\ncheck_data_interval = '0s'",
            "more than zero",
        ),
        (
            "file_match = 'log'\nlog_directory = ''",
            "must name a folder",
        ),
        (
            "file_match = 'log'\noldest_duration = '3 days'",
            "not a duration",
        ),
        (
            "file_match = '(?P<A>x)'\npriority = ['A']\n[logs.translation.A]\nx = 1",
            "must have it for `missing`",
        ),
        (
            "file_match = '(?P<A>x)'\npriority = ['A']\n[logs.translation.A]\nx = 'one'",
            "translation",
        ),
    ] {
        let found = mistakes(&section(options));
        assert!(found.contains(expected), "{options}: {found}");
    }
}

#[test]
fn what_has_no_effect_is_warned_about() {
    for (options, expected) in [
        (
            "file_match = '(?P<MonthName>x)'\npriority = ['MonthName']\n[logs.translation.MonthName]\nmissing = 1",
            "translated by itself",
        ),
        (
            "file_match = '(?P<Year>x)'\npriority = ['Year']\n[logs.translation.year]\nmissing = 1",
            "`priority` does not name",
        ),
        (
            "file_match = '(?P<Site>x)'\ndifferentiator = ['site']",
            "the capture is named `Site`",
        ),
    ] {
        let plan = plan(&section(options)).unwrap();
        let warnings = plan.warnings.render(false);
        assert!(warnings.contains(expected), "{options}: {warnings}");
    }
}
