//! All consumers of a plan, searched at once.
//!
//! Owns:    `Set` (immutable, shared), `Scratch` (one per shard), the interned signer names.
//! Runs on: build time (`build`) and every shard (`search`).            Plane: data.
//! Bounds:  `CONSUMERS_MAX`; a search visits each test of a consumer at most once.
//! Never:   changes after `build`; says what a consumer is.

use std::sync::Arc;

use codecs::message::MessageRef;

use crate::CONSUMERS_MAX;
use crate::ast::Expression;
use crate::consumer_set;
use crate::error::{Error, ErrorKind};
use crate::program::{ACCEPT, Builder, Caches, Program, REJECT};

/// What one consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer<'a> {
    /// Its `message_matcher`.
    pub expression: &'a str,
    /// Its `message_signer`: only messages authenticated by that signer. `None` or empty asks for none.
    pub signer: Option<&'a str>,
}

/// Number of a signer name within one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignerId(u32);

/// All consumers of a plan, compiled together.
#[derive(Debug)]
pub struct Set {
    program: Program,
    /// Consumers that need a run, with their first step.
    live: Vec<Live>,
    /// The row with those consumers that accept every message.
    always: Vec<u64>,
    signers: Vec<String>,
    consumers: usize,
    /// Held by every scratch made here, to tell a foreign one.
    identity: Arc<()>,
}

#[derive(Clone, Copy, Debug)]
struct Live {
    entry: u32,
    consumer: u32,
}

/// What a shard needs to search a set: state of regular expressions. It belongs to the set that made it.
#[derive(Debug)]
pub struct Scratch {
    caches: Caches,
    identity: Arc<()>,
}

impl Set {
    /// Compiles all consumers; consumer `i` of the slice is bit `i` of every answer.
    ///
    /// Errors: every expression that is wrong, with the number of its consumer; each with its first error.
    pub fn build(consumers: &[Consumer<'_>]) -> Result<Set, Vec<(usize, Error)>> {
        if consumers.len() > CONSUMERS_MAX {
            let text = consumers[CONSUMERS_MAX].expression;
            let message = format!("{} consumers, limit {CONSUMERS_MAX}", consumers.len());
            return Err(vec![(
                CONSUMERS_MAX,
                Error::new(ErrorKind::Consumers, text, 0..0, message),
            )]);
        }
        let mut builder = Builder::default();
        let mut signers: Vec<String> = Vec::new();
        let mut live = Vec::new();
        let mut always = vec![0; consumer_set::words(consumers.len())];
        let mut errors = Vec::new();
        for (number, consumer) in consumers.iter().enumerate() {
            let signer = consumer
                .signer
                .filter(|name| !name.is_empty())
                .map(|name| intern(&mut signers, name));
            match add(&mut builder, consumer.expression, signer) {
                Ok(ACCEPT) => consumer_set::insert(&mut always, number),
                Ok(REJECT) => {}
                Ok(entry) => live.push(Live {
                    entry,
                    consumer: number as u32,
                }),
                Err(error) => errors.push((number, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Set {
            program: builder.finish(),
            live,
            always,
            signers,
            consumers: consumers.len(),
            identity: Arc::new(()),
        })
    }

    /// Number of consumers.
    pub fn consumers(&self) -> usize {
        self.consumers
    }

    /// Words of an answer row.
    pub fn words(&self) -> usize {
        self.always.len()
    }

    /// The number under which `search` knows a signer; `None` for a name that no consumer asks for.
    pub fn signer_id(&self, name: &str) -> Option<SignerId> {
        self.signers
            .iter()
            .position(|known| known == name)
            .map(|at| SignerId(at as u32))
    }

    /// State for searching on one shard.
    pub fn scratch(&self) -> Scratch {
        Scratch {
            caches: self.program.caches(),
            identity: Arc::clone(&self.identity),
        }
    }

    /// Sets `accepted` to the consumers that accept the message.
    ///
    /// `signer` is the signer that the message was authenticated by; `None` for none, or for one that no consumer asks for.
    /// The row is overwritten. Nothing is allocated, but for the state of a regular expression, which grows up to its bound
    /// during its first uses on a shard.
    ///
    /// Panics if the row has not `words()` words, or if the scratch is another set's: errors of the caller.
    #[inline]
    pub fn search(
        &self,
        scratch: &mut Scratch,
        message: MessageRef<'_>,
        signer: Option<SignerId>,
        accepted: &mut [u64],
    ) {
        assert!(
            Arc::ptr_eq(&self.identity, &scratch.identity),
            "the scratch belongs to another set"
        );
        accepted.copy_from_slice(&self.always);
        let signer = signer.map(|signer| signer.0);
        for live in &self.live {
            if self
                .program
                .run(live.entry, &mut scratch.caches, message, signer)
            {
                consumer_set::insert(accepted, live.consumer as usize);
            }
        }
    }
}

fn intern(signers: &mut Vec<String>, name: &str) -> u32 {
    let at = signers
        .iter()
        .position(|known| known == name)
        .unwrap_or_else(|| {
            signers.push(name.to_owned());
            signers.len() - 1
        });
    at as u32
}

fn add(builder: &mut Builder, text: &str, signer: Option<u32>) -> Result<u32, Error> {
    let expression = Expression::parse(text)?;
    builder.add(&expression, signer).map_err(|(test, error)| {
        let help = "use smaller counts in {n,m}, or split the expression into two tests";
        Error::new(
            ErrorKind::RegexSize,
            text,
            expression.span(test),
            error.message(),
        )
        .help(help)
    })
}
