//! A plugin as an author writes it, through the table and back.
//!
//! Owns:    one plugin of each kind, made for the test.
//! Runs on: tests.            Plane: both.
//! Bounds:  one section a test.
//! Never:   starts a shard.

use codecs::splitter::{Split, Splitter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Records of this many bytes
    #[schemars(range(min = 1))]
    size: u16,
}

struct Factory {
    name: String,
    message_bytes: bool,
}

impl SplitterFactory for Factory {
    fn make(&self) -> Box<dyn Splitter> {
        struct Never;
        impl Splitter for Never {
            fn split(&mut self, _: &[u8], _: bool) -> Split {
                Split::More
            }
            fn reset(&mut self) {}
        }
        Box::new(Never)
    }

    fn use_message_bytes(&self) -> bool {
        self.message_bytes
    }

    fn signers(&self) -> &[String] {
        std::slice::from_ref(&self.name)
    }
}

impl SplitterPlugin for Options {
    fn common() -> SplitterOptions {
        SplitterOptions {
            use_message_bytes: true,
            ..SplitterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        if self.size == 13 {
            section.problem(&["size"], "13 is bad luck").help("take 12");
        }
        let message_bytes = section.common().use_message_bytes;
        Some(Box::new(Factory {
            name: section.name().to_owned(),
            message_bytes,
        }))
    }
}

const ALL: &[PluginSpec] =
    &[PluginSpec::splitter::<Options>("SizeSplitter", "Splits by size.").auto()];

fn build(own: Value, report: &mut Report) -> Built<dyn SplitterFactory, SplitterOptions> {
    let common = Value::Object(ALL[0].common.defaults());
    let hekad = HekadOptions::default();
    let Build::Splitter(build) = ALL[0].build else {
        panic!("the table says it is a splitter");
    };
    build(Checked {
        name: "mine",
        own,
        common,
        hekad: &hekad,
        report,
    })
}

#[test]
fn a_line_of_the_table_makes_a_factory_with_the_types_own_defaults() {
    let mut report = Report::default();
    let (factory, common) = build(json!({ "size": 3 }), &mut report).expect("size 3 is fine");
    assert!(factory.use_message_bytes() && common.use_message_bytes);
    assert_eq!(factory.signers(), ["mine"]);
    assert!(report.into_complaints().is_empty());
}

#[test]
fn a_complaint_stops_the_build() {
    let mut report = Report::default();
    assert!(build(json!({ "size": 13 }), &mut report).is_none());
    let complaints = report.into_complaints();
    assert_eq!(complaints.len(), 1);
    assert_eq!(complaints[0].path, ["size"]);
    assert_eq!(complaints[0].help.as_deref(), Some("take 12"));
}

#[test]
fn the_schema_has_no_references_and_the_marks_of_fields() {
    let schema = ALL[0].own.schema();
    assert_eq!(schema["properties"]["size"]["minimum"], json!(1));
    let common = OptionSet::of::<OutputOptions>().schema();
    assert!(!common.to_string().contains("$ref"));
    assert_eq!(
        common["properties"]["message_matcher"]["x-required"],
        json!(true)
    );
    assert!(common["properties"]["retries"]["properties"]["delay"].is_object());
}

#[test]
fn kinds_are_the_ends_of_type_names() {
    assert_eq!(Kind::of_type("SandboxFilter"), Some(Kind::Filter));
    assert_eq!(Kind::of_type("Filtered"), None);
}
