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
//! | `predicate`, `engine`, `literals` | tests in the form in which they run, and what they refer to |
//! | `formula`, `lower`, `samples` | expressions in normal form, and what is found wrong with right ones |
//! | `guard`, `compile` | all expressions of a plan become one tree |
//! | `tree`, `table`, `scanning`, `program` | what the tree consists of |
//! | `search` | one message against the tree |
//! | `looks` | when the answer for the message before is the answer again |
//! | `captures` | what named groups captured, for those who ask |
//! | `explain` | a set for people |
//! | `set` | all of it put together |
//! | `consumer_set` | rows of bits, one bit per consumer |
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ast;
mod captures;
mod compile;
pub mod consumer_set;
mod engine;
pub mod error;
pub mod eval;
mod explain;
mod formula;
mod guard;
mod lexer;
mod literals;
mod looks;
mod lower;
mod parser;
pub mod pattern;
mod predicate;
mod program;
mod re2;
mod samples;
mod scanning;
mod search;
pub mod set;
mod suggest;
mod table;
mod tree;

pub use ast::Expression;
pub use captures::Capturing;
pub use consumer_set::Row;
pub use error::{Error, ErrorKind};
pub use eval::Plain;
pub use explain::{Decided, Why};
pub use looks::Looks;
pub use search::Scratch;
pub use set::{Consumer, Options, Origins, Remark, Set, SignerId};

/// Longest expression, bytes. It bounds memory and time of parsing; depth needs no bound of its own
/// because nothing here recurses into an expression.
pub const EXPRESSION_BYTES_MAX: usize = 1024 * 1024;

/// Longest expressions of a set together, bytes.
pub const SET_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Most consumers in one set.
pub const CONSUMERS_MAX: usize = 1 << 20;
