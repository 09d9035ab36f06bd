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
            // A key that is not given has been complained about.
            let Some(key) = &signer.hmac_key else {
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

#[cfg(test)]
mod tests {
    use codecs::framing::encode_frame;
    use codecs::message::{Header, MessageTable, TableLimits};
    use codecs::signing::{HashFunction, Signer};
    use codecs::splitter::{SkipCause, Split};

    use super::*;
    use crate::configured::{mistakes, splitter};

    fn section(options: &str) -> String {
        format!("[splitter]\ntype = 'HekaFramingSplitter'\n{options}")
    }

    const SIGNERS: &str = r#"
        [splitter.signer.ops_0]
        hmac_key = "old"
        [splitter.signer.ops_1]
        hmac_key = "new"
        [splitter.signer.a_b_7]
        hmac_key = ""
    "#;

    fn frame(signer: Option<&Signer>) -> Vec<u8> {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 0,
            arena_bytes: 64,
            messages: 1,
            fields: 0,
        });
        let mut draft = table.begin().unwrap();
        draft.set(Header::Uuid, &[7; 16][..]).unwrap();
        let mut frame = Vec::new();
        encode_frame(table.get(0), signer, 1000, &mut frame).unwrap();
        frame
    }

    /// Signer's name, or why the frame is skipped.
    fn read(factory: &dyn SplitterFactory, frame: &[u8]) -> Result<String, SkipCause> {
        match factory.make().split(frame, true) {
            Split::Record(record) => Ok(match record.signer {
                0 => String::new(),
                number => factory.signers()[usize::from(number) - 1].clone(),
            }),
            Split::Skip { cause, .. } => Err(cause),
            Split::More => panic!("the frame is whole"),
        }
    }

    #[test]
    fn signers_are_known_by_name_and_version() {
        let factory = splitter(&section(SIGNERS));
        assert!(factory.use_message_bytes());
        assert_eq!(factory.signers(), ["ops", "a_b"]);
        let signed = |name, version, key: &str| {
            let signer = Signer::new(name, version, HashFunction::Sha1, key.as_bytes());
            read(&*factory, &frame(Some(&signer)))
        };
        assert_eq!(signed("ops", 0, "old"), Ok("ops".to_owned()));
        assert_eq!(signed("ops", 1, "new"), Ok("ops".to_owned()));
        assert_eq!(signed("a_b", 7, ""), Ok("a_b".to_owned()));
        assert_eq!(signed("ops", 1, "old"), Err(SkipCause::WrongSignature));
        assert_eq!(signed("ops", 2, "new"), Err(SkipCause::UnknownSigner));
        assert_eq!(read(&*factory, &frame(None)), Ok(String::new()));
    }

    #[test]
    fn authentication_can_be_skipped() {
        let factory = splitter(&section(&format!("skip_authentication = true\n{SIGNERS}")));
        let stranger = Signer::new("stranger", 0, HashFunction::Md5, b"x");
        assert_eq!(read(&*factory, &frame(Some(&stranger))), Ok(String::new()));
    }

    #[test]
    fn signers_that_cannot_be_are_mistakes_and_keys_stay_secret() {
        let found = mistakes(&section("[splitter.signer.ops]\nhmac_key = 'hush'"));
        assert!(found.contains("`ops_0`"), "{found}");
        assert!(!found.contains("hush"), "{found}");
        let found = mistakes(&section("[splitter.signer.x_1]"));
        assert!(found.contains("hmac_key"), "{found}");
        let options = Options {
            signer: Table(vec![(
                "ops_0".to_owned(),
                SignerKey {
                    hmac_key: Some("hush".to_owned()),
                },
            )]),
            skip_authentication: false,
        };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
