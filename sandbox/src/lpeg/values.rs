//! From captures to Lua values.
//!
//! Owns:    `Values`: what every kind of capture produces.
//! Runs on: the shard of the plugin, after a match and for match-time captures.            Plane: data.
//! Bounds:  `DEEP_MAX` captures inside each other, over all matches that run; text is on the script's account; steps are counted
//!          as the machine's.
//! Never:   looks at the pattern again.

use super::Library;
use super::code::Code;
use super::machine::{Capture, OPEN, TICKS};
use super::tree::Kind;
use crate::lua::frame::{Frame, Is};

/// Captures inside each other.
const DEEP_MAX: u32 = 500;

/// Text of a substitution that is not put on the account.
const TEXT_FREE: usize = 64 * 1024;

/// Captures that a string capture can refer to.
const REFERENCES: usize = 10;

/// What a match knows of the frame it runs in.
#[derive(Clone, Copy)]
pub(crate) struct Place<'s> {
    pub(crate) library: &'s Library,
    pub(crate) subject: &'s [u8],
    /// The slot of the table of values.
    pub(crate) values: i32,
    /// The slot of what Rust holds for the script.
    pub(crate) ballast: i32,
    /// Extra arguments of `match`, and the slot before them.
    pub(crate) arguments: i32,
    pub(crate) before_arguments: i32,
}

/// Produces values on top of the stack.
pub(crate) struct Values<'a, 's> {
    pub(crate) stack: &'a mut Frame<'s>,
    pub(crate) frame: Place<'s>,
    pub(crate) code: &'a Code,
    pub(crate) captures: &'a [Capture],
    /// The next capture.
    pub(crate) next: usize,
    pub(crate) ticks: u32,
    /// Bytes on the account.
    pub(crate) charged: usize,
}

/// What `%1` to `%9` of a string capture stand for.
#[derive(Clone, Copy)]
enum Reference {
    Text { at: u32, len: u32 },
    Capture(usize),
}

/// One level deeper, until it is dropped, by an error of Lua's too.
struct Deeper<'s>(&'s Library);

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.0.deep.set(self.0.deep.get() - 1);
    }
}

impl<'s> Values<'_, 's> {
    /// Pushes the values of all captures; answers how many.
    pub(crate) fn push_all(&mut self) -> Result<i32, String> {
        let (base, mut count) = (self.stack.top(), 0);
        while self.next < self.captures.len() {
            count += self.push_one(base)?;
        }
        Ok(count)
    }

    /// Pushes the values of the group that is next.
    pub(crate) fn push_group(&mut self) -> Result<i32, String> {
        self.push_inside(false)
    }

    fn tick(&mut self, steps: usize) -> Result<(), String> {
        let steps = steps.min(TICKS as usize) as u32;
        if self.ticks <= steps {
            self.ticks = TICKS;
            self.stack.safepoint();
        } else {
            self.ticks -= steps;
        }
        Ok(())
    }

    fn deeper(&self) -> Result<Deeper<'s>, String> {
        let deep = &self.frame.library.deep;
        if deep.get() >= DEEP_MAX {
            return Err("subcapture nesting too deep".into());
        }
        deep.set(deep.get() + 1);
        Ok(Deeper(self.frame.library))
    }

    fn push_value(&mut self, key: u32) {
        self.stack.push_item(self.frame.values, key as i32);
    }

    fn push_text(&mut self, at: u32, len: u32) {
        let subject = self.frame.subject;
        self.stack
            .push_text(&subject[at as usize..at as usize + len as usize]);
    }

    /// Pushes the values of the next capture; answers how many. Values above `base` belong with them.
    fn push_one(&mut self, base: i32) -> Result<i32, String> {
        let capture = self.captures[self.next];
        self.tick(1)?;
        match capture.kind {
            Kind::Position => self.stack.push_number(f64::from(capture.at) + 1.0),
            Kind::Constant => self.push_value(capture.key),
            Kind::Argument => self.push_argument(capture.key)?,
            Kind::Value => self.stack.push_copy(capture.key as i32),
            Kind::Simple => return self.push_inside(true),
            Kind::Table => return self.table(),
            Kind::Function => return self.function(),
            Kind::Accumulator => return self.accumulate(base),
            Kind::Query => return self.query(),
            Kind::Number => return self.number(),
            Kind::Fold => return self.fold(),
            Kind::Back => return self.back(),
            Kind::Text | Kind::Substitution => return self.push_built(),
            Kind::Group if capture.key == 0 => return self.push_inside(false),
            // A named group has values for tables and back references alone.
            Kind::Group | Kind::Close => {
                self.skip()?;
                return Ok(0);
            }
        }
        self.next += 1;
        // An empty capture that holds a value may have an entry of its own for its end.
        debug_assert!(capture.len != OPEN);
        Ok(1)
    }

    fn push_argument(&mut self, number: u32) -> Result<(), String> {
        let number = number as i32;
        if number > self.frame.arguments {
            return Err(format!("reference to absent extra argument #{number}"));
        }
        self.stack.push_copy(self.frame.before_arguments + number);
        Ok(())
    }

    /// Pushes the values of what is inside the next capture; the whole match first if asked for, or if there are none.
    fn push_inside(&mut self, whole: bool) -> Result<i32, String> {
        let head = self.captures[self.next];
        self.next += 1;
        if head.len != OPEN {
            self.push_text(head.at, head.len);
            return Ok(1);
        }
        let _deeper = self.deeper()?;
        let (base, mut count) = (self.stack.top(), 0);
        while self.captures[self.next].kind != Kind::Close {
            count += self.push_one(base)?;
        }
        if whole || count == 0 {
            self.push_text(head.at, self.captures[self.next].at - head.at);
            if count > 0 {
                self.stack.insert(base + 1);
            }
            count += 1;
        }
        self.next += 1;
        Ok(count)
    }

    /// Pushes the first value of what is inside the next capture.
    fn push_first_inside(&mut self) -> Result<(), String> {
        let count = self.push_inside(false)?;
        if count > 1 {
            self.stack.pop(count - 1);
        }
        Ok(())
    }

    /// Goes behind the next capture.
    fn skip(&mut self) -> Result<(), String> {
        let start = self.next;
        if self.captures[start].len == OPEN {
            let mut open = 0;
            loop {
                let capture = self.captures[self.next];
                if capture.kind == Kind::Close {
                    open -= 1;
                } else if capture.len == OPEN {
                    open += 1;
                }
                if open == 0 {
                    break;
                }
                self.next += 1;
            }
        }
        self.next += 1;
        self.tick((self.next - start) / 16)
    }

    fn table(&mut self) -> Result<i32, String> {
        let head = self.captures[self.next];
        self.next += 1;
        let code = self.code;
        let size = &code.table_sizes[head.key as usize];
        let (row, named) = size.get();
        self.stack.push_table(row.into(), named.into());
        if head.len != OPEN {
            return Ok(1);
        }
        let _deeper = self.deeper()?;
        let (table, mut in_row, mut with_name) = (self.stack.top(), 0, 0_u32);
        loop {
            let capture = self.captures[self.next];
            match capture.kind {
                Kind::Close => break,
                Kind::Group if capture.key != 0 => {
                    self.tick(1)?;
                    self.push_value(capture.key);
                    self.push_first_inside()?;
                    self.stack.set(table);
                    with_name += 1;
                }
                Kind::Accumulator if in_row > 0 => {
                    self.stack.push_item(table, in_row);
                    self.accumulate(table)?;
                    self.stack.set_item(table, in_row);
                }
                _ => {
                    let count = self.push_one(table)?;
                    for entry in (1..=count).rev() {
                        self.stack.set_item(table, in_row + entry);
                    }
                    in_row += count;
                }
            }
        }
        self.next += 1;
        size.set((in_row.min(32) as u8, with_name.min(32) as u8));
        Ok(1)
    }

    fn function(&mut self) -> Result<i32, String> {
        let before = self.stack.top();
        self.push_value(self.captures[self.next].key);
        let count = self.push_inside(false)?;
        self.stack.call(count, None);
        Ok(self.stack.top() - before)
    }

    /// Replaces the value on top by what the function makes of it and of what is inside the next capture.
    fn accumulate(&mut self, base: i32) -> Result<i32, String> {
        let previous = self.stack.top();
        if previous <= base {
            return Err("no previous value for accumulator capture".into());
        }
        self.push_value(self.captures[self.next].key);
        self.stack.insert(previous);
        let count = self.push_inside(false)?;
        self.stack.call(count + 1, Some(1));
        Ok(0)
    }

    fn query(&mut self) -> Result<i32, String> {
        self.push_value(self.captures[self.next].key);
        let table = self.stack.top();
        self.push_first_inside()?;
        self.stack.index(table);
        if self.stack.is(table + 1) == Is::Nil {
            self.stack.pop(2);
            return Ok(0);
        }
        self.stack.remove(table);
        Ok(1)
    }

    fn number(&mut self) -> Result<i32, String> {
        let wanted = self.captures[self.next].key as i32;
        if wanted == 0 {
            self.skip()?;
            return Ok(0);
        }
        let base = self.stack.top();
        if self.push_inside(false)? < wanted {
            return Err(format!("no capture '{wanted}'"));
        }
        self.stack.push_copy(base + wanted);
        self.stack.replace(base + 1);
        self.stack.set_top(base + 1);
        Ok(1)
    }

    fn fold(&mut self) -> Result<i32, String> {
        const NONE: &str = "no initial value for fold capture";
        let head = self.captures[self.next];
        self.next += 1;
        if head.len != OPEN || self.captures[self.next].kind == Kind::Close {
            return Err(NONE.into());
        }
        let _deeper = self.deeper()?;
        let base = self.stack.top();
        match self.push_one(base)? {
            0 => return Err(NONE.into()),
            count => self.stack.pop(count - 1),
        }
        while self.captures[self.next].kind != Kind::Close {
            self.push_value(head.key);
            self.stack.insert(base + 1);
            let count = self.push_one(base + 1)?;
            self.stack.call(count + 1, Some(1));
        }
        self.next += 1;
        Ok(1)
    }

    fn back(&mut self) -> Result<i32, String> {
        let reference = self.next;
        self.next = self.find_group(reference)?;
        let count = self.push_inside(false)?;
        self.next = reference + 1;
        Ok(count)
    }

    /// The last complete outermost group before a back reference that has its name.
    fn find_group(&mut self, reference: usize) -> Result<usize, String> {
        let name = self.captures[reference].key;
        self.push_value(name);
        let slot = self.stack.top();
        let mut place = reference;
        while place > 0 {
            place -= 1;
            let closed = self.captures[place].kind == Kind::Close;
            if closed {
                let end = place;
                place = open_of(self.captures, end);
                self.tick((end - place) / 16)?;
            }
            self.tick(1)?;
            let capture = self.captures[place];
            // One whose end was not met is around the reference.
            if capture.kind != Kind::Group || capture.key == 0 || capture.len == OPEN && !closed {
                continue;
            }
            let found = capture.key == name || {
                self.push_value(capture.key);
                let equal = self.stack.equal(slot, slot + 1);
                self.stack.pop(1);
                equal
            };
            if found {
                self.stack.pop(1);
                return Ok(place);
            }
        }
        let name = self.stack.bytes_at(slot).unwrap_or(b"(null)");
        let name = String::from_utf8_lossy(name);
        Err(format!("back reference '{name}' not found"))
    }

    /// Pushes the text that a string or substitution capture makes.
    fn push_built(&mut self) -> Result<i32, String> {
        // Whoever makes text meanwhile begins with nothing.
        let mut text = self.frame.library.text.take();
        text.clear();
        self.append_next(&mut text, "capture")?;
        self.stack.push_text(&text);
        if text.capacity() <= TEXT_FREE {
            self.frame.library.text.set(text);
        }
        Ok(1)
    }

    fn append(&mut self, text: &mut Vec<u8>, bytes: &[u8]) {
        self.charge_for(text, bytes.len());
        text.extend_from_slice(bytes);
    }

    fn append_subject(&mut self, text: &mut Vec<u8>, from: u32, to: u32) {
        let subject = self.frame.subject;
        self.append(
            text,
            &subject[from as usize..(to as usize).max(from as usize)],
        );
    }

    /// Appends the first value of the next capture; `false` where it has none.
    fn append_next(&mut self, text: &mut Vec<u8>, what: &str) -> Result<bool, String> {
        match self.captures[self.next].kind {
            Kind::Text => {
                let _deeper = self.deeper()?;
                self.tick(1)?;
                self.append_string(text)?;
                Ok(true)
            }
            Kind::Substitution => {
                let _deeper = self.deeper()?;
                self.tick(1)?;
                self.append_substitution(text)?;
                Ok(true)
            }
            Kind::Accumulator => Err("invalid context for an accumulator capture".into()),
            _ => {
                let base = self.stack.top();
                let count = self.push_one(base)?;
                if count > 0 {
                    let type_name = self.stack.type_name(base + 1);
                    let Some(value) = self.stack.bytes_at(base + 1) else {
                        return Err(format!("invalid {what} value (a {type_name})"));
                    };
                    let len = value.len();
                    self.charge_for(text, len);
                    if let Some(value) = self.stack.bytes_at(base + 1) {
                        text.extend_from_slice(value);
                    }
                    self.stack.set_top(base);
                }
                Ok(count > 0)
            }
        }
    }

    fn append_substitution(&mut self, text: &mut Vec<u8>) -> Result<(), String> {
        let head = self.captures[self.next];
        self.next += 1;
        if head.len != OPEN {
            self.append_subject(text, head.at, head.at + head.len);
            return Ok(());
        }
        let mut done = head.at;
        while self.captures[self.next].kind != Kind::Close {
            let inside = self.captures[self.next];
            self.append_subject(text, done, inside.at);
            done = inside.at;
            if self.append_next(text, "replacement")? {
                let last = self.captures[self.next - 1];
                done = match inside.len {
                    OPEN => last.at,
                    len => inside.at + len,
                };
            }
        }
        self.append_subject(text, done, self.captures[self.next].at);
        self.next += 1;
        Ok(())
    }

    fn append_string(&mut self, text: &mut Vec<u8>) -> Result<(), String> {
        self.push_value(self.captures[self.next].key);
        let format = self.stack.top();
        let mut references = [Reference::Text { at: 0, len: 0 }; REFERENCES];
        let count = self.references(&mut references, 0)?;
        let behind = self.next;
        let mut done = 0;
        loop {
            let escape = self.append_literal(text, format, &mut done);
            let Some(escape) = escape else { break };
            if !escape.is_ascii_digit() {
                self.append(text, &[escape]);
                continue;
            }
            let number = usize::from(escape - b'0');
            if number >= count {
                return Err(format!("invalid capture index ({number})"));
            }
            match references[number] {
                Reference::Text { at, len } => self.append_subject(text, at, at + len),
                Reference::Capture(place) => {
                    self.next = place;
                    if !self.append_next(text, "capture")? {
                        return Err(format!("no values in capture index {number}"));
                    }
                }
            }
        }
        self.next = behind;
        self.stack.pop(1);
        Ok(())
    }

    /// Appends what stands before the next `%`, and answers what stands behind it.
    fn append_literal(&mut self, text: &mut Vec<u8>, format: i32, done: &mut usize) -> Option<u8> {
        let len = self.stack.bytes_at(format)?.len() - *done;
        self.charge_for(text, len);
        let rest = self.stack.bytes_at(format)?.get(*done..)?;
        let literal = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        text.extend_from_slice(&rest[..literal]);
        *done += literal + 2;
        // A `%` at the end stands for nothing.
        rest.get(literal + 1).copied()
    }

    /// Puts text that will have so many bytes more on the account.
    fn charge_for(&mut self, text: &Vec<u8>, more: usize) {
        let len = text.len() + more;
        if len > text.capacity() && len > TEXT_FREE {
            self.charged += 2 * len;
            self.stack.push_ballast(self.charged);
            self.stack.replace(self.frame.ballast);
        }
    }

    /// Fills in what a string capture can refer to, from `%0`, and goes behind the capture. Simple captures inside simple
    /// ones count too. Answers how many there are.
    fn references(
        &mut self,
        references: &mut [Reference; REFERENCES],
        number: usize,
    ) -> Result<usize, String> {
        let head = self.captures[self.next];
        self.next += 1;
        let (mut next, mut len) = (number + 1, head.len);
        if head.len == OPEN {
            let _deeper = self.deeper()?;
            while self.captures[self.next].kind != Kind::Close {
                if next >= REFERENCES {
                    self.skip()?;
                } else if self.captures[self.next].kind == Kind::Simple {
                    next = self.references(references, next)?;
                } else {
                    references[next] = Reference::Capture(self.next);
                    next += 1;
                    self.skip()?;
                }
            }
            len = self.captures[self.next].at - head.at;
            self.next += 1;
        }
        references[number] = Reference::Text { at: head.at, len };
        Ok(next)
    }
}

/// The beginning of the capture that ends at `end`.
pub(crate) fn open_of(captures: &[Capture], end: usize) -> usize {
    let (mut place, mut open) = (end, 0);
    loop {
        if captures[place].kind == Kind::Close {
            open += 1;
        } else if captures[place].len == OPEN {
            open -= 1;
        }
        if open == 0 || place == 0 {
            return place;
        }
        place -= 1;
    }
}
