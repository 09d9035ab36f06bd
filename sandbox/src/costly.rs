//! Functions of the base libraries whose cost is a product that a script chooses, and that pass no safepoint meanwhile.
//!
//! Owns:    the checks that stand before `string.match`, `gmatch`, `gsub` and `table.sort`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `CLASS_COST_MAX` and `SORT_COST_MAX`: seconds at worst, where nothing could stop a script for hours.
//! Never:   refuses what is within the memory that Heka gives a script and makes sense.

use std::ffi::CStr;

use crate::call::Call;
use crate::lua::{Arguments, Function, Refused, Returns, Value};
use crate::state::State;

/// Patterns up to here are not looked at.
const PATTERN_SHORT: usize = 64;

/// Bytes of a class in brackets times bytes of the text: Luau goes through the class for each byte.
const CLASS_COST_MAX: u64 = 1 << 30;

/// Bytes of all texts of a table, each compared as often as sorting does: every copy of a text counts.
const SORT_COST_MAX: u64 = 1 << 34;

/// Refuses a pattern with a class that is too long for the text.
pub(crate) fn check_pattern(
    arguments: Arguments<'_>,
    state: &State,
    function: &str,
) -> Result<(), Refused> {
    let (Value::Text(text), Value::Text(pattern)) = (arguments.get(1), arguments.get(2)) else {
        return Ok(());
    };
    if pattern.len() <= PATTERN_SHORT {
        return Ok(());
    }
    match longest_class(pattern) as u64 * text.len() as u64 > CLASS_COST_MAX {
        true => Err(state.refuse_argument(function, 2, "pattern too complex for a text so long")),
        false => Ok(()),
    }
}

/// Bytes of the longest class in brackets.
fn longest_class(pattern: &[u8]) -> usize {
    let (mut longest, mut at) = (0, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'%' => at += 2,
            b'[' => {
                let start = at;
                at += 1 + usize::from(pattern.get(at + 1) == Some(&b'^'));
                // The first one stands for itself, a bracket too.
                at += if pattern.get(at) == Some(&b'%') { 2 } else { 1 };
                while at < pattern.len() && pattern[at] != b']' {
                    at += if pattern[at] == b'%' { 2 } else { 1 };
                }
                longest = longest.max(at - start);
            }
            _ => at += 1,
        }
    }
    longest
}

/// A function with a pattern.
macro_rules! with_pattern {
    ($type:ident, $name:literal, $bytes:literal) => {
        pub(crate) struct $type;

        impl Function for $type {
            const NAME: &'static CStr = $bytes;

            fn call<'s>(
                arguments: Arguments<'s>,
                state: &'s State,
                _call: Option<&'s mut Call<'_, '_>>,
            ) -> Result<Returns<'s>, Refused> {
                check_pattern(arguments, state, $name)?;
                Ok(Returns::Next)
            }
        }
    };
}

with_pattern!(Match, "match", c"match");
with_pattern!(MatchAll, "gmatch", c"gmatch");
with_pattern!(Replace, "gsub", c"gsub");

pub(crate) struct Sort;

impl Function for Sort {
    const NAME: &'static CStr = c"sort";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        _call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        // A function that compares passes safepoints.
        let (Value::Table(table), true) = (arguments.get(1), arguments.get(2).is_nil()) else {
            return Ok(Returns::Next);
        };
        let (mut items, mut bytes) = (0_i32, 0_u64);
        loop {
            let len = arguments.with_item(table, items + 1, |item| match item {
                Value::Text(text) => Some(text.len() as u64),
                Value::Nil | Value::None => None,
                _ => Some(0),
            });
            let Some(len) = len else { break };
            (items, bytes) = (items + 1, bytes + len);
        }
        let rounds = u64::from(items.max(1).ilog2());
        match bytes.saturating_mul(rounds) > SORT_COST_MAX {
            true => {
                Err(state.refuse_argument("sort", 1, "too much text to compare without a function"))
            }
            false => Ok(Returns::Next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_end_where_lua_says() {
        for (pattern, longest) in [
            ("", 0),
            ("abc", 0),
            ("%[abc", 0),
            ("[abc]", 4),
            ("[]abc]d", 5),
            ("[^]abc]d", 6),
            ("[%]abc]d", 6),
            ("[a%]]x[bc]", 4),
            ("[abc", 4),
            ("[%", 3),
            ("[", 2),
        ] {
            assert_eq!(longest_class(pattern.as_bytes()), longest, "{pattern}");
        }
    }
}
