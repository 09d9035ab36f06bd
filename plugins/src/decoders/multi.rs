//! MultiDecoder: tries several decoders, or has each work on what the one before has made.
//!
//! Owns:    instances of its sub-decoders, and counts of what they refused.
//! Runs on: every shard, one instance a stream.            Plane: data.
//! Bounds:  each sub-decoder sees each message once.
//! Never:   lets a decoder that refuses a record leave a trace of itself.

use codecs::message::{Draft, Header};
use engine::plugin::options::CodecOptions;
use engine::plugin::{
    CodecEnd, DecodeError, DecodeInput, Decoded, Decoder, DecoderFactory, DecoderPlugin,
    PluginSpec, Remark, Section,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `MultiDecoder`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Sections of the decoders, in order
    #[schemars(extend("x-required" = true))]
    pub subs: Vec<String>,
    /// Log what each sub-decoder refuses
    pub log_sub_errors: bool,
    /// Stop at the first decoder that succeeds (first-wins), or run all of them (all)
    pub cascade_strategy: CascadeStrategy,
}

/// What follows from a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CascadeStrategy {
    /// No other decoder is tried.
    #[default]
    FirstWins,
    /// The next decoder works on what this one has made.
    All,
}

/// The table's line.
pub const SPEC: PluginSpec =
    PluginSpec::decoder::<Options>("MultiDecoder", "Tries or chains several decoders").notes(&[
        "A record that every decoder refuses is refused. With `all`, the success of any one counts; every message that a \
         decoder made goes on to the next, and one that a decoder refuses goes on as it was.",
        "With `log_sub_errors` the log says at most once a second and stream how many records each decoder has refused, and why the last one.",
    ]);

const ALL_FAILED: DecodeError = DecodeError::failed("all subdecoders failed");

impl DecoderPlugin for Options {
    fn build(self, _section: &mut Section<'_, CodecOptions>) -> Option<Box<dyn DecoderFactory>> {
        Some(Box::new(Factory { options: self }))
    }
}

struct Factory {
    options: Options,
}

impl DecoderFactory for Factory {
    fn subs(&self) -> &[String] {
        &self.options.subs
    }

    fn make(&self, subs: Vec<Box<dyn Decoder>>) -> Box<dyn Decoder> {
        let subs = self.options.subs.iter().zip(subs);
        Box::new(Multi {
            subs: subs
                .map(|(name, decoder)| Sub {
                    name: name.as_str().into(),
                    decoder,
                    refused: 0,
                    refused_now: 0,
                    reason: String::new(),
                })
                .collect(),
            strategy: self.options.cascade_strategy,
            log_sub_errors: self.options.log_sub_errors,
        })
    }
}

struct Sub {
    name: Box<str>,
    decoder: Box<dyn Decoder>,
    /// Messages refused since that was last told, and why the last one.
    refused: u64,
    /// Messages refused in this call, which does not count if the table is full.
    refused_now: u64,
    reason: String,
}

impl Sub {
    /// Lets it work on a message. A refusal leaves the message as it was. Answers whether it succeeded.
    #[inline]
    fn decode(&mut self, draft: &mut Draft<'_>, input: DecodeInput) -> Result<bool, DecodeError> {
        let saved = draft.save();
        match self.decoder.decode(draft, input) {
            Ok(Decoded::Message) => return Ok(true),
            Ok(Decoded::Nothing) => {}
            Err(DecodeError::Full) => return Err(DecodeError::Full),
            Err(DecodeError::Failed(failure)) => {
                self.refused_now += 1;
                self.reason.clear();
                let said = self.decoder.failure();
                self.reason.push_str(said.unwrap_or(failure.reason));
            }
        }
        draft.restore(&saved);
        Ok(false)
    }
}

struct Multi {
    subs: Box<[Sub]>,
    strategy: CascadeStrategy,
    log_sub_errors: bool,
}

impl Multi {
    fn first_wins(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<bool, DecodeError> {
        for sub in &mut self.subs {
            if sub.decode(draft, input)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Messages that a decoder adds stand at the end of the table; the next one gets those as well.
    fn all(&mut self, draft: &mut Draft<'_>, input: DecodeInput) -> Result<bool, DecodeError> {
        let mut any = false;
        let added = draft.table().len();
        for sub in &mut self.subs {
            let end = draft.table().len();
            any |= sub.decode(draft, input)?;
            for index in added..end {
                let mut draft = draft.table().draft(index);
                let content = draft
                    .view()
                    .head()
                    .text(Header::Payload)
                    .unwrap_or_default();
                any |= sub.decode(&mut draft, DecodeInput { content, ..input })?;
            }
        }
        Ok(any)
    }
}

impl Decoder for Multi {
    fn decode(
        &mut self,
        draft: &mut Draft<'_>,
        input: DecodeInput,
    ) -> Result<Decoded, DecodeError> {
        let result = match self.strategy {
            CascadeStrategy::FirstWins => self.first_wins(draft, input),
            CascadeStrategy::All => self.all(draft, input),
        };
        for sub in &mut self.subs {
            let refused = std::mem::take(&mut sub.refused_now);
            if self.log_sub_errors && result.is_ok() {
                sub.refused += refused;
            }
        }
        match result? {
            true => Ok(Decoded::Message),
            false => Err(ALL_FAILED),
        }
    }

    fn take_end(&mut self, tell: &mut dyn FnMut(CodecEnd<'_>)) {
        for sub in &mut self.subs {
            sub.decoder.take_end(tell);
        }
    }

    fn take_remarks(&mut self, tell: &mut dyn FnMut(Remark<'_>)) {
        for sub in &mut self.subs {
            let count = std::mem::take(&mut sub.refused);
            if count > 0 {
                tell(Remark {
                    decoder: &sub.name,
                    reason: &sub.reason,
                    count,
                });
            }
            let name = &*sub.name;
            sub.decoder.take_remarks(&mut |remark| {
                let decoder = if remark.decoder.is_empty() {
                    name
                } else {
                    remark.decoder
                };
                tell(Remark { decoder, ..remark });
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::field::{Span, Value};
    use codecs::message::{MessageTable, NewValue, TableLimits};

    use super::*;
    use crate::configured::{Decoding, mistakes};

    /// What a test decoder does with a message.
    #[derive(Clone, Copy)]
    enum Act {
        /// Adds a field of that name.
        Add(&'static str),
        /// Adds a field and a message whose payload is the name, then refuses.
        Spoil(&'static str),
        /// Adds a field, then says that there is nothing.
        Nothing(&'static str),
        /// Appends a message with that payload.
        Split(&'static str),
        /// Finds the table full.
        Full,
    }

    impl Decoder for Act {
        fn decode(
            &mut self,
            draft: &mut Draft<'_>,
            _input: DecodeInput,
        ) -> Result<Decoded, DecodeError> {
            if let Act::Add(name) | Act::Spoil(name) | Act::Nothing(name) = self {
                draft.set(Header::Type, *name)?;
                draft.add_field(*name, NewValue::Bool(true), None)?;
            }
            if let Act::Split(payload) | Act::Spoil(payload) = self {
                let mut next = draft.table().begin()?;
                next.set(Header::Payload, *payload)?;
            }
            match self {
                Act::Add(_) | Act::Split(_) => Ok(Decoded::Message),
                Act::Spoil(name) => Err(DecodeError::failed(name)),
                Act::Nothing(_) => Ok(Decoded::Nothing),
                Act::Full => Err(DecodeError::Full),
            }
        }
    }

    fn multi(strategy: CascadeStrategy, acts: &[Act]) -> Box<dyn Decoder> {
        let names = (0..acts.len()).map(|number| format!("sub{number}"));
        let options = Options {
            subs: names.collect(),
            log_sub_errors: true,
            cascade_strategy: strategy,
        };
        let subs = acts.iter().map(|act| Box::new(*act) as Box<dyn Decoder>);
        Factory { options }.make(subs.collect())
    }

    /// Messages as type, payload and names of fields; and what the decoder answered.
    fn run(decoder: &mut dyn Decoder) -> (Vec<String>, Result<Decoded, DecodeError>) {
        let mut table = MessageTable::new(TableLimits {
            received_bytes: 1,
            arena_bytes: 1024,
            messages: 16,
            fields: 16,
        });
        let mut draft = table.begin().unwrap();
        draft.set(Header::Type, "old").unwrap();
        draft.set(Header::Payload, "first").unwrap();
        let content = Span::new(0, 1);
        let decoded = decoder.decode(&mut draft, DecodeInput { content, now: 1 });
        let shown = |at: usize| {
            let message = table.get(at);
            let mut parts = vec![message.header(Header::Type), message.payload()];
            parts.extend(message.fields().map(|field| field.name()));
            String::from_utf8(parts.join(&b' ')).unwrap()
        };
        ((0..table.len()).map(shown).collect(), decoded)
    }

    fn remarks(decoder: &mut dyn Decoder) -> Vec<(String, String, u64)> {
        let mut remarks = Vec::new();
        decoder.take_remarks(&mut |remark| {
            let reason = remark.reason.to_owned();
            remarks.push((remark.decoder.to_owned(), reason, remark.count));
        });
        remarks
    }

    #[test]
    fn the_first_success_wins_and_failures_leave_no_trace() {
        let acts = [
            Act::Spoil("a"),
            Act::Nothing("b"),
            Act::Add("c"),
            Act::Add("d"),
        ];
        let mut decoder = multi(CascadeStrategy::FirstWins, &acts);
        for _ in 0..3 {
            let (messages, decoded) = run(&mut *decoder);
            assert_eq!(messages, ["c first c"]);
            assert_eq!(decoded, Ok(Decoded::Message));
        }
        assert_eq!(
            remarks(&mut *decoder),
            [("sub0".to_owned(), "a".to_owned(), 3)]
        );
        assert_eq!(remarks(&mut *decoder), []);
    }

    #[test]
    fn when_all_fail_the_record_is_refused() {
        for strategy in [CascadeStrategy::FirstWins, CascadeStrategy::All] {
            let mut decoder = multi(strategy, &[Act::Spoil("a"), Act::Nothing("b")]);
            let (messages, decoded) = run(&mut *decoder);
            assert_eq!(messages, ["old first"]);
            assert_eq!(decoded, Err(ALL_FAILED));
        }
    }

    #[test]
    fn all_feeds_every_message_to_the_next() {
        let acts = [
            Act::Add("a"),
            Act::Split("second"),
            Act::Spoil("b"),
            Act::Add("c"),
            Act::Split("third"),
        ];
        let mut decoder = multi(CascadeStrategy::All, &acts);
        let (messages, decoded) = run(&mut *decoder);
        assert_eq!(messages, ["c first a c", "c second c", " third", " third"]);
        assert_eq!(decoded, Ok(Decoded::Message));
        assert_eq!(
            remarks(&mut *decoder),
            [("sub2".to_owned(), "b".to_owned(), 2)]
        );
    }

    #[test]
    fn a_full_table_is_the_engines_concern() {
        for strategy in [CascadeStrategy::FirstWins, CascadeStrategy::All] {
            let mut decoder = multi(strategy, &[Act::Spoil("a"), Act::Full]);
            assert_eq!(run(&mut *decoder).1, Err(DecodeError::Full));
            assert_eq!(remarks(&mut *decoder), [], "the record will come again");
        }
    }

    const NESTED: &str = r#"
        [decoder]
        type = "MultiDecoder"
        subs = ["inner", "mark"]
        cascade_strategy = "all"
        log_sub_errors = true

        [inner]
        type = "MultiDecoder"
        subs = ["numbers", "words"]
        log_sub_errors = true

        [numbers]
        type = "PayloadRegexDecoder"
        match_regex = '^(\d+)$'
        [numbers.message_fields]
        Type = "number"

        [words]
        type = "PayloadRegexDecoder"
        match_regex = '^([a-z]+)$'
        [words.message_fields]
        Type = "word"

        [mark]
        type = "ScribbleDecoder"
        [mark.message_fields]
        marked = "yes"
    "#;

    #[test]
    fn multi_decoders_nest() {
        let mut decoding = Decoding::new(NESTED);
        for (line, expected) in [("17", "number"), ("seventeen", "word"), ("?", "")] {
            assert_eq!(decoding.decode(line), Ok(Decoded::Message));
            let message = decoding.message(0);
            assert_eq!(message.header(Header::Type), expected.as_bytes());
            let marked = message.field(b"marked", 0).and_then(|field| field.first());
            assert_eq!(marked, Some(Value::String(b"yes")));
        }
        let mut told = remarks(decoding.decoder());
        told.sort();
        let names: Vec<_> = told
            .iter()
            .map(|(name, _, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(names, [("inner", 1), ("numbers", 2), ("words", 1)]);
    }

    #[test]
    fn unknown_subs_and_strategies_are_mistakes() {
        let section =
            |options: &str| mistakes(&format!("[decoder]\ntype = 'MultiDecoder'\n{options}"));
        let found = section("subs = ['nobody']");
        assert!(found.contains("nobody"), "{found}");
        let found = section("subs = ['ProtobufDecoder']\ncascade_strategy = 'most'");
        assert!(found.contains("first-wins"), "{found}");
        let found = section("");
        assert!(found.contains("subs"), "{found}");
    }
}
