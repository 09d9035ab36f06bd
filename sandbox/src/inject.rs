//! What scripts send: messages, payloads, and the buffer that payloads are gathered in.
//!
//! Owns:    `inject_message`, `inject_payload`, `add_to_payload`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  `output_limit` for the buffer and for a message made of a table.
//! Never:   decides what becomes of what is injected: the host does.

use std::borrow::Cow;
use std::ffi::CStr;

use crate::call::{Call, InjectError, Injected};
use crate::encode::{self, Fault};
use crate::lua::{Arguments, Function, Refused, Returns, Value};
use crate::number::print_number;
use crate::objects;
use crate::read::text_argument;
use crate::state::State;

pub(crate) struct InjectMessage;

impl Function for InjectMessage {
    const NAME: &'static CStr = c"inject_message";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        const FUNCTION: &str = "inject_message()";
        let argument = match (arguments.len(), arguments.get(1)) {
            (1, Value::Text(text)) => Ok(text),
            (1, Value::Table(table)) => Err(table),
            _ => {
                return Err(state.refuse(format_args!(
                    "{FUNCTION} takes a single string or table argument"
                )));
            }
        };
        let mut buffer = state.encoded.borrow_mut();
        let bytes = match argument {
            Ok(text) => text,
            Err(table) => {
                let now = call.as_ref().map_or(0, |call| call.host.now());
                let encoded = encode::encode(arguments, state, table, now, &mut buffer);
                state.note_output(buffer.len());
                match encoded {
                    Ok(()) => &buffer[..],
                    Err(Fault::Said) => return Err(Refused),
                    Err(Fault::Limit) => {
                        return Err(state.refuse(format_args!("{FUNCTION} output_limit exceeded")));
                    }
                }
            }
        };
        if bytes.is_empty() {
            return Ok(Returns::Nothing);
        }
        inject(FUNCTION, Injected::Message(bytes), state, call)?;
        Ok(Returns::Nothing)
    }
}

/// Hands something to the host.
fn inject(
    function: &str,
    injected: Injected<'_>,
    state: &State,
    call: Option<&mut Call<'_, '_>>,
) -> Result<(), Refused> {
    let taken = match call {
        Some(call) => call.host.inject(injected, &mut call.subject),
        None => Err(InjectError::Count),
    };
    match taken {
        Ok(()) => {
            state.injections.set(state.injections.get() + 1);
            Ok(())
        }
        Err(error) => {
            match error {
                InjectError::Aborted => state.aborted.set(true),
                InjectError::Full => state.full.set(true),
                _ => {}
            }
            Err(state.refuse(format_args!("{function} {}", error.text())))
        }
    }
}

pub(crate) struct InjectPayload;

impl Function for InjectPayload {
    const NAME: &'static CStr = c"inject_payload";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        const FUNCTION: &str = "inject_payload";
        let count = arguments.len();
        let mut payload_type: Cow<'_, [u8]> = b"txt".into();
        let mut name: Cow<'_, [u8]> = b"".into();
        if count > 0 {
            let given = text_argument(arguments, state, FUNCTION, 1)?;
            if !given.is_empty() {
                payload_type = given;
            }
        }
        if count > 1 {
            name = text_argument(arguments, state, FUNCTION, 2)?;
        }
        let mut output = state.output.borrow_mut();
        if count > 2 {
            add(arguments, state, FUNCTION, 3, &mut output)?;
        }
        if output.is_empty() {
            return Ok(Returns::Nothing);
        }
        let injected = Injected::Payload {
            text: &output,
            payload_type: &payload_type,
            name: &name,
        };
        let taken = inject("inject_payload()", injected, state, call);
        output.clear();
        taken?;
        Ok(Returns::Nothing)
    }
}

pub(crate) struct AddToPayload;

impl Function for AddToPayload {
    const NAME: &'static CStr = c"add_to_payload";

    fn call<'s>(
        arguments: Arguments<'s>,
        state: &'s State,
        _call: Option<&'s mut Call<'_, '_>>,
    ) -> Result<Returns<'s>, Refused> {
        const FUNCTION: &str = "add_to_payload";
        if arguments.len() == 0 {
            return Err(state.refuse_argument(FUNCTION, 0, "must have at least one argument"));
        }
        add(
            arguments,
            state,
            FUNCTION,
            1,
            &mut state.output.borrow_mut(),
        )?;
        Ok(Returns::Nothing)
    }
}

/// Appends the arguments from `first` on to the buffer.
fn add(
    arguments: Arguments<'_>,
    state: &State,
    function: &str,
    first: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refused> {
    let limit = state.limits.output_bytes as usize;
    for at in first..=arguments.len() {
        let before = out.len();
        match arguments.get(at) {
            Value::Number(number) => print_number(number, out),
            // A text is compared with the limit before it is copied.
            Value::Text(text) if limit == 0 || before + text.len() <= limit => {
                out.extend_from_slice(text);
            }
            Value::Text(_) => return Err(over(state)),
            Value::Nil => out.extend_from_slice(b"nil"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::Object(object) => {
                let shown = arguments.with_object(object, |object| match object {
                    mlua::Value::UserData(object) => {
                        objects::with(object, |known| known.print(out)).unwrap_or(false)
                    }
                    _ => false,
                });
                if shown != Some(true) {
                    out.truncate(before);
                    return Err(state.refuse_argument(function, at, "unknown userdata type"));
                }
            }
            _ => return Err(state.refuse_argument(function, at, "unsupported type")),
        }
        state.note_output(out.len());
        if limit != 0 && out.len() > limit {
            // An object may have printed far more than is ever kept.
            out.truncate(before);
            out.shrink_to(limit);
            return Err(over(state));
        }
    }
    Ok(())
}

fn over(state: &State) -> Refused {
    state.refuse(format_args!("output_limit exceeded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_payloads_print_as_hekas() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.12345678, "0.12345678"),
            (0.123456789, "0.12345679"),
            (99.999_999_999, "100"),
            (1e-9, "0"),
            (1.05, "1.05"),
            (2_147_483_647.0, "2147483647"),
            (2_147_483_648.0, "2147483648"),
            (1.4e18, "1.4e+18"),
            (-3e9, "-3000000000"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut out = Vec::new();
            print_number(number, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
