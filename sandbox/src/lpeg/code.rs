//! Compiled patterns.
//!
//! Owns:    the instructions of the machine, `Code`.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  as large as the compiler made it.
//! Never:   changes, but for the sizes of tables that it remembers.

use std::cell::Cell;
use std::collections::HashMap;

use super::set::Set;
use super::tree::Kind;

/// A set as the machine tests it: a bit of every byte's entry of one of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) table: u16,
    pub(crate) bit: u8,
}

/// An instruction. A target is a place in the code. "Fails" means: goes on where the last entry of the stack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inst {
    /// The match ends here.
    End,
    /// Takes a byte, or fails at the end of the subject.
    Any,
    /// Takes so many.
    AnyOf(u32),
    /// Takes a byte that a test has seen already.
    Skip,
    Byte(u8),
    Class(Class),
    /// One of the texts.
    Text(u32),
    /// Takes bytes as long as they are in the set.
    Span(Class),
    /// Takes bytes up to one of one, two or three.
    Until1(u8),
    Until2([u8; 2]),
    Until3([u8; 3]),
    /// Takes all that is left.
    Rest,
    /// Goes on if there is a byte such as said, and jumps if not; takes none.
    TestAny(u32),
    TestByte(u8, u32),
    TestClass(Class, u32),
    /// Jumps by the next byte, through one of the tables.
    Switch(u32),
    /// Puts a place to go on at after a failure on the stack.
    Choice(u32),
    /// Takes it off, and jumps.
    Commit(u32),
    /// Makes it say what is true now, and jumps.
    PartialCommit(u32),
    /// Takes it off, goes back to where it was put on, and jumps.
    BackCommit(u32),
    Jump(u32),
    /// Jumps, and is a step: what a script may do without end goes through one.
    Repeat(u32),
    Call(u32),
    Return,
    Fail,
    /// Takes the last entry off the stack and fails.
    FailTwice,
    /// Goes back so many bytes, or fails.
    Behind(u32),
    /// Begins a capture.
    Open(Kind, u32),
    Close,
    /// A capture of the last bytes.
    Full(Kind, u8, u32),
    /// Ends the capture of a match-time capture and calls its function.
    CloseRuntime(u32),
}

/// How large the tables were that a table capture made last: entries in a row, and named ones.
pub(crate) type TableSize = Cell<(u8, u8)>;

/// A compiled pattern.
#[derive(Debug, Default)]
pub(crate) struct Code {
    pub(crate) insts: Vec<Inst>,
    /// Eight sets each: a bit for every byte and set.
    pub(crate) tables: Vec<[u8; 256]>,
    pub(crate) texts: Vec<Vec<u8>>,
    /// Targets by byte; the last one is that of the end of the subject.
    pub(crate) switches: Vec<[u32; 257]>,
    pub(crate) table_sizes: Vec<TableSize>,
    /// Where every set is.
    sets: HashMap<Set, u32>,
}

impl Code {
    /// Whether the tables are full.
    pub(crate) fn is_full(&self) -> bool {
        self.tables.len() > usize::from(u16::MAX)
    }

    /// The place of a set in the tables.
    pub(crate) fn class(&mut self, set: &Set) -> Class {
        let next = self.sets.len() as u32;
        let number = *self.sets.entry(*set).or_insert(next) as usize;
        if number / 8 == self.tables.len() {
            self.tables.push([0; 256]);
        }
        let (table, bit) = (number / 8, 1 << (number % 8));
        for byte in set.bytes() {
            self.tables[table][usize::from(byte)] |= bit;
        }
        Class {
            table: table as u16,
            bit,
        }
    }

    /// Bytes that it takes, for the account of the script.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(&self.insts[..])
            + size_of_val(&self.tables[..])
            + self.texts.iter().map(|text| text.len() + 24).sum::<usize>()
            + size_of_val(&self.switches[..])
            + self.sets.len() * 2 * size_of::<(Set, u32)>()
    }
}
