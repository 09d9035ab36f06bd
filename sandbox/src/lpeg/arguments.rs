//! What is said of wrong arguments.
//!
//! Owns:    the texts, and the arguments that are numbers.
//! Runs on: the shard of the plugin.            Plane: control.
//! Bounds:  one argument.
//! Never:   raises: the caller returns the text.

use crate::lua::frame::{Frame, Is};

/// An argument is wrong.
pub(crate) fn wrong(slot: i32, function: &str, said: &str) -> String {
    format!("bad argument #{slot} to '{function}' ({said})")
}

/// An argument has the wrong type.
pub(crate) fn wrong_type(stack: &Frame<'_>, slot: i32, function: &str, expected: &str) -> String {
    let got = match stack.is(slot) {
        Is::None => "no value",
        _ => stack.type_name(slot),
    };
    wrong(slot, function, &format!("{expected} expected, got {got}"))
}

/// An argument that must be a number.
pub(crate) fn number(stack: &Frame<'_>, slot: i32, function: &str) -> Result<f64, String> {
    stack
        .as_number(slot)
        .ok_or_else(|| wrong_type(stack, slot, function, "number"))
}

/// An argument that must be a function.
pub(crate) fn function(stack: &Frame<'_>, slot: i32, function: &str) -> Result<(), String> {
    match stack.is(slot) {
        Is::Function => Ok(()),
        _ => Err(wrong_type(stack, slot, function, "function")),
    }
}
