//! `string.find` without patterns, in time that grows with the text alone.
//!
//! Owns:    the search for a plain text in a long one.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  one pass over the text.
//! Never:   answers otherwise than Lua's own.
//!
//! Luau compares a plain text at every place where its first byte stands, and passes no safepoint meanwhile: a megabyte searched for half
//! a megabyte of the same letter would keep a core busy for minutes, and nothing could stop it.

use std::ffi::CStr;

use crate::call::Call;
use crate::costly::check_pattern;
use crate::lua::{Arguments, Function, Push, Refused, Returns, Value};
use crate::state::State;

/// Texts up to here are left to Luau: the product of both lengths is what it may cost.
const SHORT_BYTES: usize = 1024;

pub(crate) struct Find;

impl Function for Find {
    const NAME: &'static CStr = c"find";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        _call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        let (Value::Text(text), Value::Text(wanted)) = (arguments.get(1), arguments.get(2)) else {
            return Ok(Returns::Next);
        };
        if text.len() <= SHORT_BYTES || wanted.len() <= 1 {
            return Ok(Returns::Next);
        }
        let plain = !matches!(
            arguments.get(4),
            Value::None | Value::Nil | Value::Boolean(false)
        );
        if !plain && wanted.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
            check_pattern(arguments, state, "find")?;
            return Ok(Returns::Next);
        }
        let start = match arguments.get(3) {
            Value::None | Value::Nil => 1.0,
            Value::Number(number) => number.trunc(),
            Value::Text(text) => match crate::number::parse(text) {
                Some(number) => number.trunc(),
                None => return Ok(Returns::Next),
            },
            _ => return Ok(Returns::Next),
        };
        let start = match start {
            start if start < 0.0 => (text.len() as f64 + start).max(0.0),
            start => (start - 1.0).max(0.0),
        };
        if start > text.len() as f64 {
            return Ok(Returns::Next);
        }
        let start = start as usize;
        Ok(match memchr::memmem::find(&text[start..], wanted) {
            Some(at) => Returns::Two([
                Push::Number((start + at + 1) as f64),
                Push::Number((start + at + wanted.len()) as f64),
            ]),
            None => Returns::One(Push::Nil),
        })
    }
}
