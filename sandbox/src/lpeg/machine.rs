//! The machine that matches.
//!
//! Owns:    `Machine`: the stack of ways to go back and the list of captures; `run`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the stack by the limit given, captures by `CAPTURES_MAX`; every `TICKS` steps the host is asked whether to go on.
//! Never:   recurses, allocates for a match once its lists have grown, or looks into a Lua value.

use super::code::{Class, Code, Inst};
use super::tree::Kind;

/// Steps between two questions to the host; a step is a call, a repetition, a failure or 16 bytes of a span.
pub(crate) const TICKS: u32 = 20_000;

/// Captures of a match.
const CAPTURES_MAX: usize = 1 << 27;

/// Position of an entry of the stack that is a return, not a way to go back.
const RETURN: u32 = u32::MAX;

/// Length of a capture whose end is an entry of its own.
pub(crate) const OPEN: u32 = u32::MAX;

/// The longest subject.
pub(crate) const SUBJECT_MAX: usize = u32::MAX as usize - 1;

/// What was captured: where, how much, and what is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) at: u32,
    /// `OPEN`, or its length: there is nothing inside then.
    pub(crate) len: u32,
    pub(crate) key: u32,
    pub(crate) kind: Kind,
}

/// Where to go on after a failure or a return.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: u32,
    at: u32,
    captures: u32,
}

/// What the machine asks of whoever runs it.
pub(crate) trait Host {
    /// Whether to go on: an error ends the match.
    fn safepoint(&mut self) -> Result<(), String>;

    /// Lists have grown to so many bytes.
    fn grown(&mut self, bytes: usize) -> Result<(), String>;

    /// Calls the function of the match-time capture that ends at `at`, and puts what it produced in the place of what was
    /// captured inside. Answers where the match goes on, if it does.
    fn at_match_time(
        &mut self,
        function: u32,
        captures: &mut Vec<Capture>,
        at: usize,
    ) -> Result<Option<usize>, String>;

    /// Captures from here on are given up, with the values that functions made for them.
    fn given_up(&mut self, captures: &[Capture]);
}

/// Memory of matches, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    stack: Vec<Entry>,
    pub(crate) captures: Vec<Capture>,
}

/// One run: what does not change much.
struct Run<'a, H> {
    code: &'a Code,
    subject: &'a [u8],
    stack: &'a mut Vec<Entry>,
    captures: &'a mut Vec<Capture>,
    stack_max: usize,
    ticks: u32,
    host: &'a mut H,
}

impl Machine {
    /// Bytes that the lists take.
    pub(crate) fn weight(&self) -> usize {
        weight(&self.stack, &self.captures)
    }

    /// Matches `code` with the subject from `at` on; answers where the match ends. What was captured is in `captures`.
    pub(crate) fn run<H: Host>(
        &mut self,
        code: &Code,
        subject: &[u8],
        at: usize,
        stack_max: usize,
        host: &mut H,
    ) -> Result<Option<usize>, String> {
        debug_assert!(at <= subject.len() && subject.len() <= SUBJECT_MAX);
        self.stack.clear();
        self.captures.clear();
        let mut run = Run {
            code,
            subject,
            stack: &mut self.stack,
            captures: &mut self.captures,
            stack_max,
            ticks: TICKS,
            host,
        };
        run.run(at)
    }
}

fn weight(stack: &Vec<Entry>, captures: &Vec<Capture>) -> usize {
    stack.capacity() * size_of::<Entry>() + captures.capacity() * size_of::<Capture>()
}

impl<H: Host> Run<'_, H> {
    fn run(&mut self, at: usize) -> Result<Option<usize>, String> {
        let (mut at, mut place) = (at, 0);
        let (code, subject) = (self.code, self.subject);
        loop {
            let inst = code.insts[place];
            place += 1;
            // Whether it succeeded; where to, is in `place`.
            let went_on = match inst {
                Inst::End => return Ok(Some(at)),
                Inst::Any => take(at < subject.len(), 1, &mut at),
                Inst::AnyOf(count) => take(subject.len() - at >= count as usize, count, &mut at),
                Inst::Skip => take(true, 1, &mut at),
                Inst::Byte(byte) => take(subject.get(at) == Some(&byte), 1, &mut at),
                Inst::Class(class) => take(self.is_in(class, at), 1, &mut at),
                Inst::Text(text) => {
                    let text = &code.texts[text as usize][..];
                    take(subject[at..].starts_with(text), text.len() as u32, &mut at)
                }
                Inst::Span(class) => {
                    let table = &code.tables[usize::from(class.table)];
                    let is_out = |byte: &u8| table[usize::from(*byte)] & class.bit == 0;
                    let end = subject[at..].iter().position(is_out);
                    self.span(end, &mut at)?
                }
                Inst::Until1(a) => self.span(memchr::memchr(a, &subject[at..]), &mut at)?,
                Inst::Until2([a, b]) => {
                    self.span(memchr::memchr2(a, b, &subject[at..]), &mut at)?
                }
                Inst::Until3([a, b, c]) => {
                    self.span(memchr::memchr3(a, b, c, &subject[at..]), &mut at)?
                }
                Inst::Rest => self.span(None, &mut at)?,
                Inst::TestAny(target) => branch(&mut place, at < subject.len(), target),
                Inst::TestByte(byte, target) => {
                    branch(&mut place, subject.get(at) == Some(&byte), target)
                }
                Inst::TestClass(class, target) => branch(&mut place, self.is_in(class, at), target),
                Inst::Switch(table) => self.switch(table, at, &mut place),
                Inst::Choice(target) => self.push(target, at as u32)?,
                Inst::Commit(target) => {
                    self.stack.pop();
                    branch(&mut place, false, target)
                }
                Inst::PartialCommit(target) => self.partial_commit(at, &mut place, target)?,
                Inst::BackCommit(target) => self.back_commit(&mut at, &mut place, target)?,
                Inst::Jump(target) => branch(&mut place, false, target),
                Inst::Repeat(target) => {
                    self.tick(1)?;
                    branch(&mut place, false, target)
                }
                Inst::Call(target) => self.call(&mut place, target)?,
                Inst::Return => self.go_back(&mut place),
                Inst::Fail => false,
                Inst::FailTwice => self.stack.pop().is_none(),
                Inst::Behind(count) => behind(&mut at, count),
                Inst::Open(kind, key) => self.capture(kind, key, at as u32, OPEN)?,
                Inst::Close => self.close(at as u32)?,
                Inst::Full(kind, width, key) => {
                    self.capture(kind, key, at as u32 - u32::from(width), width.into())?
                }
                Inst::CloseRuntime(function) => self.close_runtime(function, &mut at)?,
            };
            if !went_on && !self.fail(&mut at, &mut place)? {
                return Ok(None);
            }
        }
    }

    #[inline(always)]
    fn is_in(&self, class: Class, at: usize) -> bool {
        match self.subject.get(at) {
            Some(&byte) => {
                self.code.tables[usize::from(class.table)][usize::from(byte)] & class.bit != 0
            }
            None => false,
        }
    }

    /// Goes to the end of a span, which is that of the subject where there is none.
    #[inline(always)]
    fn span(&mut self, end: Option<usize>, at: &mut usize) -> Result<bool, String> {
        let taken = end.unwrap_or(self.subject.len() - *at);
        *at += taken;
        if taken >= 64 {
            self.tick((taken >> 4).min(TICKS as usize) as u32)?;
        }
        Ok(true)
    }

    #[inline(always)]
    fn switch(&self, table: u32, at: usize, place: &mut usize) -> bool {
        let byte = self.subject.get(at).map_or(256, |&byte| usize::from(byte));
        *place = self.code.switches[table as usize][byte] as usize;
        true
    }

    #[inline(always)]
    fn tick(&mut self, steps: u32) -> Result<(), String> {
        if self.ticks <= steps {
            self.ticks = TICKS;
            return self.host.safepoint();
        }
        self.ticks -= steps;
        Ok(())
    }

    #[inline(always)]
    fn push(&mut self, place: u32, at: u32) -> Result<bool, String> {
        if self.stack.len() == self.stack.capacity() || self.stack.len() >= self.stack_max {
            self.grow_stack()?;
        }
        self.stack.push(Entry {
            place,
            at,
            captures: self.captures.len() as u32,
        });
        Ok(true)
    }

    #[cold]
    fn grow_stack(&mut self) -> Result<(), String> {
        if self.stack.len() >= self.stack_max {
            return Err(format!(
                "backtrack stack overflow (current limit is {})",
                self.stack_max
            ));
        }
        // The account first: the host may refuse.
        let more = self.stack.capacity().max(64);
        let bytes = weight(self.stack, self.captures) + more * size_of::<Entry>();
        self.host.grown(bytes)?;
        self.stack.reserve_exact(more);
        Ok(())
    }

    #[inline(always)]
    fn call(&mut self, place: &mut usize, target: u32) -> Result<bool, String> {
        self.push(*place as u32, RETURN)?;
        self.tick(1)?;
        *place = target as usize;
        Ok(true)
    }

    #[inline(always)]
    fn go_back(&mut self, place: &mut usize) -> bool {
        match self.stack.pop() {
            Some(entry) => {
                *place = entry.place as usize;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn partial_commit(
        &mut self,
        at: usize,
        place: &mut usize,
        target: u32,
    ) -> Result<bool, String> {
        if let Some(entry) = self.stack.last_mut() {
            entry.at = at as u32;
            entry.captures = self.captures.len() as u32;
        }
        self.tick(1)?;
        *place = target as usize;
        Ok(true)
    }

    fn back_commit(
        &mut self,
        at: &mut usize,
        place: &mut usize,
        target: u32,
    ) -> Result<bool, String> {
        if let Some(entry) = self.stack.pop() {
            *at = entry.at as usize;
            self.give_up(entry.captures as usize);
        }
        self.tick(1)?;
        *place = target as usize;
        Ok(true)
    }

    #[inline(always)]
    fn give_up(&mut self, from: usize) {
        if self.captures.len() > from {
            self.host.given_up(&self.captures[from..]);
            self.captures.truncate(from);
        }
    }

    /// Goes on at the last way back; `false` where there is none.
    #[inline(always)]
    fn fail(&mut self, at: &mut usize, place: &mut usize) -> Result<bool, String> {
        self.tick(1)?;
        while let Some(entry) = self.stack.pop() {
            if entry.at != RETURN {
                *at = entry.at as usize;
                *place = entry.place as usize;
                self.give_up(entry.captures as usize);
                return Ok(true);
            }
        }
        self.give_up(0);
        Ok(false)
    }

    #[inline(always)]
    fn capture(&mut self, kind: Kind, key: u32, at: u32, len: u32) -> Result<bool, String> {
        if self.captures.len() == self.captures.capacity() {
            self.grow_captures()?;
        }
        self.captures.push(Capture { at, len, key, kind });
        Ok(true)
    }

    #[cold]
    fn grow_captures(&mut self) -> Result<(), String> {
        let more = self.captures.capacity().max(64);
        if self.captures.len() + more > CAPTURES_MAX {
            return Err("too many captures".into());
        }
        let bytes = weight(self.stack, self.captures) + more * size_of::<Capture>();
        self.host.grown(bytes)?;
        self.captures.reserve_exact(more);
        Ok(())
    }

    /// Ends a capture: in its own entry, if nothing was captured inside.
    #[inline(always)]
    fn close(&mut self, at: u32) -> Result<bool, String> {
        match self.captures.last_mut() {
            Some(last) if last.len == OPEN && last.kind != Kind::Close => {
                last.len = at - last.at;
                Ok(true)
            }
            _ => self.capture(Kind::Close, 0, at, 0),
        }
    }

    #[inline(never)]
    fn close_runtime(&mut self, function: u32, at: &mut usize) -> Result<bool, String> {
        self.tick(1)?;
        match self.host.at_match_time(function, self.captures, *at)? {
            Some(end) => {
                *at = end;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

#[inline(always)]
fn take(is_there: bool, count: u32, at: &mut usize) -> bool {
    if is_there {
        *at += count as usize;
    }
    is_there
}

/// Jumps where the test did not hold.
#[inline(always)]
fn branch(place: &mut usize, holds: bool, target: u32) -> bool {
    if !holds {
        *place = target as usize;
    }
    true
}

#[inline(always)]
fn behind(at: &mut usize, count: u32) -> bool {
    let goes = *at >= count as usize;
    if goes {
        *at -= count as usize;
    }
    goes
}
