//! `lpeg.match`.
//!
//! Owns:    the call from Lua, the first compilation of a pattern, match-time captures.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  machines are used again, as many as matches run inside each other, at most `MACHINES_KEPT` of them afterwards.
//! Never:   keeps what a match captured.

use super::code::{Code, Inst};
use super::compile::{self, Fault};
use super::machine::{Capture, Host, Machine, OPEN, SUBJECT_MAX, TICKS};
use super::patterns::{name_of_value, to_pattern};
use super::tree::{Kind, Pattern};
use super::values::{Place, Values, open_of};
use super::{Library, arguments};
use crate::lua::frame::{Answer, Frame, Is};

/// Machines kept for later matches.
const MACHINES_KEPT: usize = 4;

/// Bytes of a machine that is kept.
const MACHINE_KEPT: usize = 64 * 1024;

/// Results of a match-time capture.
const RESULTS_MAX: i32 = i16::MAX as i32;

/// A machine on loan; an error of Lua's returns it too.
struct Lease<'s> {
    library: &'s Library,
    machine: Option<Box<Machine>>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let (Some(machine), Ok(mut kept)) =
            (self.machine.take(), self.library.machines.try_borrow_mut())
            && kept.len() < MACHINES_KEPT
            && machine.weight() <= MACHINE_KEPT
        {
            kept.push(machine);
        }
    }
}

/// `lpeg.match(pattern, subject [, init, ...])`
pub(crate) fn run(stack: &mut Frame<'_>) -> Answer {
    to_pattern(stack, 1, "match")?;
    let init = match stack.is(3) {
        Is::None | Is::Nil => 1.0,
        _ => arguments::number(stack, 3, "match")?,
    };
    stack.within(|stack| matched(stack, init))
}

fn matched<'s>(stack: &mut Frame<'s>, init: f64) -> Answer {
    let before = stack.top();
    let pattern = stack.owned::<Pattern>(1).ok_or("a pattern was lost")?;
    let Some(subject) = stack.as_text(2) else {
        return Err(arguments::wrong_type(stack, 2, "match", "string"));
    };
    if subject.len() > SUBJECT_MAX {
        return Err(arguments::wrong(2, "match", "subject too long"));
    }
    let code = match pattern.code.get() {
        Some(code) => &**code,
        None => prepare(stack, pattern)?,
    };
    let library = stack.shared::<Library>();
    push_code_values(stack, pattern);
    stack.push_nil();
    let frame = Place {
        library,
        subject,
        values: before + 1,
        ballast: before + 2,
        arguments: before - 3,
        before_arguments: 3,
    };
    let kept = library.machines.borrow_mut().pop();
    let mut lease = Lease {
        library,
        machine: Some(kept.unwrap_or_default()),
    };
    let machine = lease.machine.as_mut().ok_or("a machine was lost")?;
    let mut matcher = Matcher {
        stack,
        frame,
        code,
        dynamic: 0,
        charged: 0,
    };
    let start = start_of(init, subject.len());
    let end = machine.run(code, subject, start, library.stack_max.get(), &mut matcher)?;
    let charged = matcher.charged;
    let Some(end) = end else {
        stack.push_nil();
        return Ok(1);
    };
    let mut values = Values {
        stack,
        frame,
        code,
        captures: &machine.captures,
        next: 0,
        ticks: TICKS,
        charged,
    };
    match values.push_all()? {
        0 => {
            stack.push_number(end as f64 + 1.0);
            Ok(1)
        }
        count => Ok(count),
    }
}

/// Pushes the row of the values of the compiled pattern in slot 1; something else where it has none.
fn push_code_values(stack: &mut Frame<'_>, pattern: &Pattern) {
    stack.push_metatable(1);
    if pattern.values > 0 {
        let table = stack.top();
        stack.push_item(table, 0);
        stack.remove(table);
    }
}

/// Where a match starts: `init` counts from 1, or back from the end.
fn start_of(init: f64, len: usize) -> usize {
    let init = init.trunc();
    if init > 0.0 {
        (init as usize - 1).min(len)
    } else {
        len.saturating_sub((-init) as usize) * usize::from(init < 0.0)
    }
}

/// Compiles the pattern in slot 1, on the script's account.
#[cold]
fn prepare<'s>(stack: &mut Frame<'s>, pattern: &'s Pattern) -> Result<&'s Code, String> {
    let before = stack.top();
    // What the compiler needs while it runs, at least.
    let needs = compile::size(pattern).saturating_mul(2 * size_of::<Inst>());
    stack.push_ballast(needs.min(1 << 30));
    let code = match compile::compile(pattern, &mut || stack.safepoint()) {
        Ok(code) => code,
        Err(Fault::TooLarge) => return Err("pattern code too large".into()),
        Err(Fault::Open(key)) => {
            stack.push_metatable(1);
            let table = stack.top();
            stack.push_item(table, key as i32);
            let name = name_of_value(stack, table + 1);
            return Err(format!("rule '{name}' used outside a grammar"));
        }
    };
    stack.push_metatable_copy(1);
    let table = stack.top();
    // A row of its own is looked into faster than one beside names. Behind it is what the code takes.
    let values = pattern.values as i32;
    stack.push_row(values + 1);
    for index in 1..=values {
        stack.push_item(table, index);
        stack.set_item(table + 1, index);
    }
    stack.push_ballast(code.weight());
    stack.set_item(table + 1, values + 1);
    stack.set_item(table, 0);
    stack.set_metatable::<Pattern>(1);
    stack.set_top(before);
    Ok(pattern.code.get_or_init(|| Box::new(code)))
}

/// What a running match may do in Lua.
struct Matcher<'a, 's> {
    stack: &'a mut Frame<'s>,
    frame: Place<'s>,
    code: &'a Code,
    /// Values on the stack that match-time captures made.
    dynamic: i32,
    /// Bytes on the account.
    charged: usize,
}

impl Host for Matcher<'_, '_> {
    fn safepoint(&mut self) -> Result<(), String> {
        self.stack.safepoint();
        Ok(())
    }

    fn grown(&mut self, bytes: usize) -> Result<(), String> {
        self.charged = self.charged.max(bytes);
        if self.charged > MACHINE_KEPT {
            self.stack.push_ballast(self.charged);
            self.stack.replace(self.frame.ballast);
        }
        Ok(())
    }

    fn at_match_time(
        &mut self,
        function: u32,
        captures: &mut Vec<Capture>,
        at: usize,
    ) -> Result<Option<usize>, String> {
        let close = Capture {
            at: at as u32,
            len: 0,
            key: 0,
            kind: Kind::Close,
        };
        captures.push(close);
        let open = open_of(captures, captures.len() - 1);
        let top = self.stack.top();
        self.call(function, captures, open, at)?;
        let first = top - self.forget(&captures[open..], top) + 1;
        let results = self.stack.top();
        let Some(end) = self.end_of(first, at)? else {
            self.stack.set_top(first - 1);
            captures.truncate(open);
            return Ok(None);
        };
        let count = results - first;
        if count >= RESULTS_MAX {
            return Err("too many results in match-time capture".into());
        }
        captures.truncate(open + usize::from(count > 0));
        if count > 0 {
            self.stack.remove(first);
            captures[open].key = 0;
            captures.extend((first..first + count).map(|slot| Capture {
                at: at as u32,
                len: 0,
                key: slot as u32,
                kind: Kind::Value,
            }));
            captures.push(Capture {
                at: end as u32,
                ..close
            });
            self.dynamic += count;
        } else {
            self.stack.set_top(first - 1);
        }
        Ok(Some(end))
    }

    #[inline]
    fn given_up(&mut self, captures: &[Capture]) {
        if self.dynamic > 0 {
            let values = values_in(captures);
            self.dynamic -= values;
            self.stack.pop(values);
        }
    }
}

fn values_in(captures: &[Capture]) -> i32 {
    let is_value = |capture: &&Capture| capture.kind == Kind::Value;
    captures.iter().filter(is_value).count() as i32
}

impl Matcher<'_, '_> {
    /// Calls the function of a match-time capture with the subject, the position and what was captured inside.
    fn call(
        &mut self,
        function: u32,
        captures: &[Capture],
        open: usize,
        at: usize,
    ) -> Result<(), String> {
        debug_assert!(captures[open].kind == Kind::Group && captures[open].len == OPEN);
        self.stack.reserve(4);
        self.stack.push_item(self.frame.values, function as i32);
        self.stack.push_copy(2);
        self.stack.push_number(at as f64 + 1.0);
        let mut values = Values {
            stack: self.stack,
            frame: self.frame,
            code: self.code,
            captures,
            next: open,
            ticks: TICKS,
            charged: self.charged,
        };
        let count = values.push_group()?;
        self.charged = values.charged;
        self.stack.call(count + 2, None);
        Ok(())
    }

    /// Takes the values of captures off the stack that have become arguments; `top` is where the stack was before the call.
    /// Answers how many.
    fn forget(&mut self, captures: &[Capture], top: i32) -> i32 {
        let values = values_in(captures);
        for _ in 0..values {
            self.stack.remove(top - values + 1);
        }
        self.dynamic -= values;
        values
    }

    /// Where the match goes on by the first result of a function; `None` where it fails.
    fn end_of(&mut self, first: i32, at: usize) -> Result<Option<usize>, String> {
        match self.stack.is(first) {
            Is::None | Is::Nil => return Ok(None),
            Is::Boolean => return Ok(self.stack.truth(first).then_some(at)),
            _ => {}
        }
        let end = self.stack.as_number(first).unwrap_or(0.0).trunc() - 1.0;
        // What is no number is in no range.
        if !(at as f64..=self.frame.subject.len() as f64).contains(&end) {
            return Err("invalid position returned by match-time capture".into());
        }
        Ok(Some(end as usize))
    }
}
