//! The renderings of a small table.
//!
//! Owns:    the expected pages, listing and schema.
//! Runs on: tests.            Plane: control.
//! Bounds:  a table of a few plugins.
//! Never:   looks at the real table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::plugin::options::{Buffering, CodecOptions, Table};
use crate::plugin::{EncoderFactory, EncoderPlugin, Section};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Key {
    /// Secret
    hmac_key: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Ends a line
    delimiter: String,
    /// Where | what
    #[schemars(extend("x-required" = true, "x-also" = ["pth"]))]
    path: String,
    /// Queue
    buffering: Buffering,
    /// Keys
    signer: Table<Key>,
}

impl Default for Options {
    fn default() -> Self {
        let (buffering, signer) = (Buffering::default(), Table::default());
        Options {
            delimiter: "\n".to_owned(),
            path: String::new(),
            buffering,
            signer,
        }
    }
}

impl EncoderPlugin for Options {
    fn build(self, _: &mut Section<'_, CodecOptions>) -> Option<Box<dyn EncoderFactory>> {
        None
    }
}

const ALL: &[PluginSpec] = &[PluginSpec::encoder::<Options>("TestEncoder", "Tests")
    .auto()
    .notes(&["A note."])];

#[test]
fn rows_have_everything_and_subsections_follow() {
    let rows = rows(&ALL[0].own);
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let expected = [
        "delimiter",
        "path",
        "buffering",
        "buffering.max_file_size",
        "buffering.max_buffer_size",
        "buffering.full_action",
        "buffering.cursor_update_count",
        "buffering.fsync_interval",
        "buffering.fsync_bytes",
        "buffering.memory_first",
        "signer",
        "signer.<name>.hmac_key",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        (rows[0].default.as_str(), rows[3].default.as_str()),
        ("\n", "536870912")
    );
    assert!(rows[1].required && rows[1].also == ["pth"]);
    assert_eq!(
        (rows[5].default.as_str(), rows[5].values.len()),
        ("shutdown", 3)
    );
}

#[test]
fn text_and_pages_show_them() {
    let text = text(&ALL[0]);
    assert!(
        text.contains("A note.")
            && text.contains("Ends a line (default \\n)")
            && text.contains("(required)"),
        "{text}"
    );
    let page = page(&ALL[0]);
    assert!(
        page.contains("| `delimiter` | string | `\\n` | Ends a line |"),
        "{page}"
    );
    assert!(
        page.contains("| `path` | string | required | Where \\| what; also spelled `pth` |"),
        "{page}"
    );
    let paths: Vec<_> = pages(ALL).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["README.md", "hekad.md", "Encoder/TestEncoder.md"]);
    assert_eq!(list(ALL), "Encoders\n  TestEncoder  Tests\n");
}

#[test]
fn the_schema_names_types_and_what_is_required() {
    let schema = schema(ALL);
    let named = &schema["properties"]["TestEncoder"];
    assert_eq!(named["required"], json!(["path"]));
    assert_eq!(named["properties"]["delimiter"]["default"], json!("\n"));
    assert_eq!(
        schema["additionalProperties"]["oneOf"][0]["required"],
        json!(["type", "path"])
    );
    assert_eq!(
        schema["properties"]["hekad"]["additionalProperties"],
        json!(false)
    );
}
