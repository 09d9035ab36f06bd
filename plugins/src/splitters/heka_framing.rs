//! HekaFramingSplitter: framed records, with signatures checked.
//!
//! Owns:    the keys of the signers whose records are accepted.
//! Runs on: the factory at build time; one splitter a stream.            Plane: data.
//! Bounds:  as the codec's splitter; at most 255 signer names.
//! Never:   prints a key.

use std::fmt;
use std::sync::Arc;

use codecs::signing::{KeyError, Keys, SignerNames};
use codecs::splitter::Splitter;
use codecs::splitters::HekaFramingSplitter;
use engine::plugin::options::{SplitterOptions, Table};
use engine::plugin::{PluginSpec, Section, SplitterFactory, SplitterPlugin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `HekaFramingSplitter`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Keys of the signers whose records are accepted, one subtable per signer and key version, named `<signer name>_<key version>`
    pub signer: Table<SignerKey>,
    /// Do not check signatures; records then have no signer
    pub skip_authentication: bool,
}

/// A signer's key.
#[derive(Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignerKey {
    /// Secret key of that signer and version
    #[schemars(extend("x-required" = true))]
    pub hmac_key: Option<String>,
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerKey").finish_non_exhaustive()
    }
}

/// The table's line.
pub const SPEC: PluginSpec = PluginSpec::splitter::<Options>(
    "HekaFramingSplitter",
    "Splits and authenticates framed protobuf records",
)
.auto()
.notes(&[
    "Unsigned records are accepted. A record with a wrong signature, or of a signer and version without a key here, is dropped and counted \
     as `wrong_signature` or `unknown_signer`.",
    "Bytes between frames are passed over and counted as garbage. Where a frame's length is damaged, whole frames inside of \
     what it claims are found and delivered.",
    "`message_signer` of filters and outputs asks for a signer by its name, without the version.",
]);

impl SplitterPlugin for Options {
    fn common() -> SplitterOptions {
        SplitterOptions {
            use_message_bytes: true,
            ..SplitterOptions::default()
        }
    }

    fn build(self, section: &mut Section<'_, SplitterOptions>) -> Option<Box<dyn SplitterFactory>> {
        let cut = super::cut(section);
        let (mut keys, mut names) = (Keys::new(), SignerNames::new());
        for (name, signer) in self.signer.iter() {
            let Some(key) = &signer.hmac_key else {
                section
                    .problem(&["signer", name], "`hmac_key` is missing")
                    .help("add `hmac_key = \"...\"`, the key that the sender signs with");
                continue;
            };
            if let Err(error) = keys.insert(name, key.as_bytes(), &mut names) {
                let complaint = section.problem(&["signer", name], error.to_string());
                if matches!(error, KeyError::Name(_)) {
                    complaint.help(format!("if the version is 0, call it `{name}_0`"));
                }
            }
        }
        let signers = (0..=u8::MAX)
            .map_while(|number| names.name(number))
            .map(str::to_owned)
            .collect();
        Some(Box::new(Factory {
            splitter: HekaFramingSplitter::new(cut, Arc::new(keys), self.skip_authentication),
            use_message_bytes: section.common().use_message_bytes,
            signers,
        }))
    }
}

struct Factory {
    splitter: HekaFramingSplitter,
    use_message_bytes: bool,
    signers: Vec<String>,
}

impl SplitterFactory for Factory {
    fn make(&self) -> Box<dyn Splitter> {
        Box::new(self.splitter.clone())
    }

    fn use_message_bytes(&self) -> bool {
        self.use_message_bytes
    }

    fn signers(&self) -> &[String] {
        &self.signers
    }
}
