//! The library's functions and operators.
//!
//! Owns:    `FUNCTIONS` and `OPERATORS`: every way to make a pattern.
//! Runs on: the shard of the plugin, while its script makes patterns.            Plane: control.
//! Bounds:  those of trees.
//! Never:   matches.

use super::Library;
use super::arguments::{self, wrong, wrong_type};
use super::patterns::{
    joint, push, push_holding, push_joined, push_sharing, push_with_value, to_pattern,
};
use super::set::Set;
use super::tree::{Kind, NODES_MAX, Pattern};
use super::{matching, utf8};
use crate::lua::frame::{Answer, Frame, Is};
use crate::lua::userdata::{Entry, changing};

/// Numbers in captures.
const NUMBER_MAX: f64 = i16::MAX as f64;

/// The highest limit of the stack.
const STACK_MAX: f64 = (i32::MAX / 100) as f64;

/// What the library's table holds, its version apart.
pub(super) const FUNCTIONS: &[Entry] = &[
    changing(c"match", matching::run),
    changing(c"P", pattern),
    changing(c"S", set),
    changing(c"R", ranges),
    changing(c"V", non_terminal),
    changing(c"B", behind),
    changing(c"utfR", code_points),
    changing(c"C", simple),
    changing(c"Ct", table),
    changing(c"Cs", substitution),
    changing(c"Cg", group),
    changing(c"Cf", fold),
    changing(c"Cmt", match_time),
    changing(c"Cc", constants),
    changing(c"Cb", back),
    changing(c"Carg", argument),
    changing(c"Cp", position),
    changing(c"type", type_of),
    changing(c"locale", locale),
    changing(c"setmaxstack", set_stack_max),
    changing(c"pcode", nothing),
];

/// What operators on patterns do.
pub(super) const OPERATORS: &[Entry] = &[
    changing(c"__mul", then),
    changing(c"__add", or),
    changing(c"__sub", minus),
    changing(c"__div", produce),
    changing(c"__mod", accumulate),
    changing(c"__pow", repeat),
    changing(c"__unm", not),
    changing(c"__len", no_length),
];

/// What `#` is written as, see `lengths`.
pub(super) const LENGTH: &[Entry] = &[changing(c"__pow", length)];

fn nothing(_: &mut Frame<'_>) -> Answer {
    Err("function only implemented in debug mode".into())
}

fn pattern(stack: &mut Frame<'_>) -> Answer {
    if stack.is(1) == Is::None {
        return Err(wrong(1, "P", "value expected"));
    }
    to_pattern(stack, 1, "P")?;
    stack.set_top(1);
    Ok(1)
}

fn set(stack: &mut Frame<'_>) -> Answer {
    let Some(text) = stack.bytes_at(1) else {
        return Err(wrong_type(stack, 1, "S", "string"));
    };
    let mut set = Set::EMPTY;
    text.iter().for_each(|&byte| set.add(byte));
    push(stack, Pattern::set(set));
    Ok(1)
}

fn ranges(stack: &mut Frame<'_>) -> Answer {
    let mut set = Set::EMPTY;
    for slot in 1..=stack.top() {
        match stack.bytes_at(slot) {
            Some(&[first, last]) => set = set.or(&Set::range(first, last)),
            Some(_) => return Err(wrong(slot, "R", "range must have two characters")),
            None => return Err(wrong_type(stack, slot, "R", "string")),
        }
    }
    push(stack, Pattern::set(set));
    Ok(1)
}

fn non_terminal(stack: &mut Frame<'_>) -> Answer {
    if matches!(stack.is(1), Is::None | Is::Nil) {
        return Err(wrong(1, "V", "non-nil value expected"));
    }
    stack.set_top(1);
    push_holding(stack, Pattern::open());
    Ok(1)
}

fn behind(stack: &mut Frame<'_>) -> Answer {
    wrapped(stack, "B", |pattern| {
        pattern.behind().map_err(|said| wrong(1, "B", &said))
    })
}

fn not(stack: &mut Frame<'_>) -> Answer {
    wrapped(stack, "-", Pattern::negated)
}

/// `lpeg.length ^ value`: what `#value` is in scripts (`lengths`).
fn length(stack: &mut Frame<'_>) -> Answer {
    stack.set_top(2);
    if stack.holds::<Pattern>(2) {
        stack.push_copy(2);
        stack.replace(1);
        return wrapped(stack, "#", Pattern::ahead);
    }
    if !stack.push_length(2) {
        let name = stack.type_name(2);
        return Err(format!("attempt to get length of a {name} value"));
    }
    Ok(1)
}

/// `__len`, which Luau would not take a pattern from.
fn no_length(_: &mut Frame<'_>) -> Answer {
    Err("'#' of a pattern is not available here; write -(-patt), which matches alike".into())
}

/// A pattern made of the one in slot 1, with its values.
fn wrapped(
    stack: &mut Frame<'_>,
    function: &str,
    make: impl FnOnce(&Pattern) -> Result<Pattern, String>,
) -> Answer {
    to_pattern(stack, 1, function)?;
    stack.within(|stack| {
        let body = stack.owned::<Pattern>(1).ok_or("a pattern was lost")?;
        push_sharing(stack, make(body)?, 1);
        Ok(1)
    })
}

fn code_points(stack: &mut Frame<'_>) -> Answer {
    let mut bounds = [0; 2];
    for (slot, bound) in (1..).zip(&mut bounds) {
        let number = arguments::number(stack, slot, "utfR")?;
        if !(0.0..=f64::from(utf8::LAST)).contains(&number) {
            return Err(wrong(slot, "utfR", "invalid code point"));
        }
        *bound = number as u32;
    }
    if bounds[0] > bounds[1] {
        return Err(wrong(2, "utfR", "empty range"));
    }
    push(stack, utf8::range(bounds[0], bounds[1])?);
    Ok(1)
}

/// A capture of the pattern in slot 1, whose key, where it is a value, is in slot 2.
fn captured(stack: &mut Frame<'_>, function: &str, kind: Kind, with_value: bool) -> Answer {
    to_pattern(stack, 1, function)?;
    stack.within(|stack| {
        let body = stack.owned::<Pattern>(1).ok_or("a pattern was lost")?;
        if with_value {
            let values = body.values + 1;
            let made = body.captured(kind, values, values)?;
            push_with_value(stack, made, 1, 2);
        } else {
            push_sharing(stack, body.captured(kind, 0, body.values)?, 1);
        }
        Ok(1)
    })
}

fn simple(stack: &mut Frame<'_>) -> Answer {
    captured(stack, "C", Kind::Simple, false)
}

fn table(stack: &mut Frame<'_>) -> Answer {
    captured(stack, "Ct", Kind::Table, false)
}

fn substitution(stack: &mut Frame<'_>) -> Answer {
    captured(stack, "Cs", Kind::Substitution, false)
}

fn group(stack: &mut Frame<'_>) -> Answer {
    let named = !matches!(stack.is(2), Is::None | Is::Nil);
    captured(stack, "Cg", Kind::Group, named)
}

fn fold(stack: &mut Frame<'_>) -> Answer {
    arguments::function(stack, 2, "Cf")?;
    captured(stack, "Cf", Kind::Fold, true)
}

fn accumulate(stack: &mut Frame<'_>) -> Answer {
    captured(stack, "%", Kind::Accumulator, true)
}

/// `patt / value`
fn produce(stack: &mut Frame<'_>) -> Answer {
    let kind = match stack.is(2) {
        Is::Function => Kind::Function,
        Is::Table => Kind::Query,
        Is::Text => Kind::Text,
        Is::Number => return numbered(stack),
        _ => {
            let name = stack.type_name(2);
            return Err(format!("unexpected {name} as 2nd operand to LPeg '/'"));
        }
    };
    captured(stack, "/", kind, true)
}

fn numbered(stack: &mut Frame<'_>) -> Answer {
    let number = arguments::number(stack, 2, "/")?.trunc();
    if !(0.0..=NUMBER_MAX).contains(&number) {
        return Err(wrong(1, "/", "invalid number"));
    }
    wrapped(stack, "/", |body| {
        body.captured(Kind::Number, number as u32, body.values)
    })
}

fn match_time(stack: &mut Frame<'_>) -> Answer {
    arguments::function(stack, 2, "Cmt")?;
    to_pattern(stack, 1, "Cmt")?;
    stack.within(|stack| {
        let body = stack.owned::<Pattern>(1).ok_or("a pattern was lost")?;
        let made = body.at_match_time(body.values + 1)?;
        push_with_value(stack, made, 1, 2);
        Ok(1)
    })
}

/// A capture that takes nothing.
fn empty(kind: Kind, key: u32, values: u32) -> Result<Pattern, String> {
    Pattern::constant(true).captured(kind, key, values)
}

fn constants(stack: &mut Frame<'_>) -> Answer {
    let made = match stack.top() {
        0 => Pattern::constant(true),
        1 => empty(Kind::Constant, 1, 1)?,
        count => Pattern::constants(count as u32)?,
    };
    push_holding(stack, made);
    Ok(1)
}

fn back(stack: &mut Frame<'_>) -> Answer {
    if stack.is(1) == Is::None {
        return Err(wrong(1, "Cb", "value expected"));
    }
    stack.set_top(1);
    push_holding(stack, empty(Kind::Back, 1, 1)?);
    Ok(1)
}

fn argument(stack: &mut Frame<'_>) -> Answer {
    let number = arguments::number(stack, 1, "Carg")?.trunc();
    if !(1.0..=NUMBER_MAX).contains(&number) {
        return Err(wrong(1, "Carg", "invalid argument index"));
    }
    push(stack, empty(Kind::Argument, number as u32, 0)?);
    Ok(1)
}

fn position(stack: &mut Frame<'_>) -> Answer {
    push(stack, empty(Kind::Position, 0, 0)?);
    Ok(1)
}

/// A pattern made of those in slots 1 and 2.
fn joined(
    stack: &mut Frame<'_>,
    operator: &str,
    make: fn(&Pattern, &Pattern, u32, u32) -> Result<Pattern, String>,
) -> Answer {
    to_pattern(stack, 1, operator)?;
    to_pattern(stack, 2, operator)?;
    stack.within(|stack| {
        let one = stack.owned::<Pattern>(1).ok_or("a pattern was lost")?;
        let other = stack.owned::<Pattern>(2).ok_or("a pattern was lost")?;
        let joint = joint(stack, one, other);
        let made = make(one, other, joint.shift, joint.values)?;
        push_joined(stack, made, joint);
        Ok(1)
    })
}

fn then(stack: &mut Frame<'_>) -> Answer {
    joined(stack, "*", Pattern::then)
}

fn or(stack: &mut Frame<'_>) -> Answer {
    joined(stack, "+", Pattern::or)
}

fn minus(stack: &mut Frame<'_>) -> Answer {
    joined(stack, "-", Pattern::minus)
}

/// `patt ^ n`
fn repeat(stack: &mut Frame<'_>) -> Answer {
    let times = arguments::number(stack, 2, "^")?.trunc();
    if times.is_nan() || times.abs() > NODES_MAX as f64 {
        return Err(format!("pattern too large (more than {NODES_MAX} nodes)"));
    }
    wrapped(stack, "^", |body| {
        if times >= 0.0 {
            body.at_least(times as usize)
        } else {
            body.at_most(-times as u32)
        }
    })
}

fn type_of(stack: &mut Frame<'_>) -> Answer {
    if stack.is(1) == Is::None {
        return Err(wrong(1, "type", "value expected"));
    }
    if stack.holds::<Pattern>(1) {
        stack.push_text(b"pattern");
    } else {
        stack.push_nil();
    }
    Ok(1)
}

fn set_stack_max(stack: &mut Frame<'_>) -> Answer {
    let limit = arguments::number(stack, 1, "setmaxstack")?.trunc();
    if !(1.0..=STACK_MAX).contains(&limit) {
        return Err(wrong(1, "setmaxstack", "out of range"));
    }
    stack.shared::<Library>().stack_max.set(limit as usize);
    Ok(0)
}

/// Whether a byte is in a class.
type IsIn = fn(&u8) -> bool;

/// Classes of bytes, as in the C locale.
const CLASSES: &[(&str, IsIn)] = &[
    ("alnum", u8::is_ascii_alphanumeric),
    ("alpha", u8::is_ascii_alphabetic),
    ("cntrl", u8::is_ascii_control),
    ("digit", u8::is_ascii_digit),
    ("graph", u8::is_ascii_graphic),
    ("lower", u8::is_ascii_lowercase),
    ("print", |byte| matches!(byte, b' '..=b'~')),
    ("punct", u8::is_ascii_punctuation),
    ("space", |byte| matches!(byte, b' ' | b'\t'..=b'\r')),
    ("upper", u8::is_ascii_uppercase),
    ("xdigit", u8::is_ascii_hexdigit),
];

fn locale(stack: &mut Frame<'_>) -> Answer {
    match stack.is(1) {
        Is::None | Is::Nil => {
            stack.set_top(0);
            stack.push_table(0, CLASSES.len() as u16);
        }
        Is::Table => stack.set_top(1),
        _ => return Err(wrong_type(stack, 1, "locale", "table")),
    }
    for (name, is_in) in CLASSES {
        let mut set = Set::EMPTY;
        (0..=u8::MAX).filter(is_in).for_each(|byte| set.add(byte));
        stack.push_text(name.as_bytes());
        push(stack, Pattern::set(set));
        stack.set(1);
    }
    Ok(1)
}
