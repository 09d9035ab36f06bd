//! Which consumers accept a message: matcher expressions from text to answer rows.
//!
//! Owns:    the grammar, its errors, the plain evaluator and the compiled set of all consumers of a plan.
//! Runs on: build time (parsing, compiling) and every shard (searching).            Plane: data.
//! Bounds:  `EXPRESSION_BYTES_MAX` per expression, `CONSUMERS_MAX` per set, `pattern::NFA_BYTES_MAX` per regular expression.
//! Never:   knows plugins, shards or batches; does I/O; uses unsafe code; allocates per message.
//!
//! | module | what |
//! | --- | --- |
//! | `lexer`, `parser` | text to `ast::Expression`, or an `Error` with a caret |
//! | `ast` | what was written; prints itself back |
//! | `re2`, `pattern` | regular expressions in Go's syntax, checked and compiled |
//! | `eval` | the plain evaluator: slow, clear, the oracle of the rest |
//! | `program`, `set` | all expressions of a plan in flat form, searched at once |
//! | `consumer_set` | rows of bits, one bit per consumer |
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ast;
pub mod consumer_set;
pub mod error;
pub mod eval;
mod lexer;
mod parser;
pub mod pattern;
mod program;
mod re2;
pub mod set;
mod suggest;

pub use ast::Expression;
pub use error::{Error, ErrorKind};
pub use eval::Plain;
pub use set::{Consumer, Scratch, Set, SignerId};

/// Longest expression, bytes. It bounds memory and time of parsing; depth needs no bound of its own
/// because nothing here recurses into an expression.
pub const EXPRESSION_BYTES_MAX: usize = 1024 * 1024;

/// Most consumers in one set.
pub const CONSUMERS_MAX: usize = 1 << 20;
