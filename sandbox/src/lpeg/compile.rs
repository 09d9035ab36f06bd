//! From a tree to code.
//!
//! Owns:    `compile`: how every kind of node becomes instructions.
//! Runs on: the shard of the plugin, when a pattern is first matched.            Plane: control.
//! Bounds:  `CODE_MAX` instructions; recursion as deep as a pattern may be.
//! Never:   changes what a pattern matches or captures.
//!
//! What makes code fast: a test of the next byte before a choice often makes the choice needless, because the pattern
//! can only fail at its first byte, or because what comes instead begins otherwise; a byte that was tested is not tested
//! again; repetitions of sets are one instruction; the last call of a rule is a jump.

use super::code::{Code, Inst};
use super::facts::{self, Fact};
use super::first::{Empty, First, Firsts};
use super::loops;
use super::pace::Pace;
use super::set::Set;
use super::tree::{Kind, Node, Pattern, children, set_of};

/// Instructions of a pattern.
pub(crate) const CODE_MAX: usize = 1 << 22;

/// Alternatives from which on they are chosen among by a table.
const SWITCH_FROM: usize = 3;

/// Such tables of a pattern: a kilobyte each.
const SWITCHES_MAX: usize = 64;

/// A target that is not known yet.
const PENDING: u32 = u32::MAX;

/// Why there is no code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A non-terminal outside of a grammar: the number of its name.
    Open(u32),
    TooLarge,
}

/// Nodes that are compiled, those of a repetition as often as it repeats them: what the code will be about as large as.
pub(crate) fn size(pattern: &Pattern) -> usize {
    let nodes = &pattern.nodes;
    let mut sizes = vec![1_usize; nodes.len()];
    for at in (0..nodes.len()).rev() {
        let times = match nodes[at] {
            Node::AtMost { times, .. } => times as usize,
            _ => 1,
        };
        let inside =
            children(nodes, at).fold(0, |sum: usize, child| sum.saturating_add(sizes[child]));
        sizes[at] = inside.saturating_mul(times).saturating_add(1);
    }
    sizes[0]
}

/// Compiles a pattern. `ask` is called now and then, and does not come back where the script is to be stopped.
pub(crate) fn compile(pattern: &Pattern, ask: &mut dyn FnMut()) -> Result<Code, Fault> {
    if let Some(key) = pattern.nodes.iter().find_map(|node| match node {
        Node::Open { key } => Some(*key),
        _ => None,
    }) {
        return Err(Fault::Open(key));
    }
    if size(pattern) > CODE_MAX / 4 {
        return Err(Fault::TooLarge);
    }
    let mut pace = Pace::new(ask);
    let facts = facts::of_nodes(&pattern.nodes, &mut pace);
    let mut compiler = Compiler {
        pattern,
        facts: &facts,
        firsts: Firsts::new(&pattern.nodes, &pattern.sets, &facts, pace),
        code: Code::default(),
        rules: Default::default(),
        calls: Vec::new(),
    };
    compiler.node(0, &Set::FULL, None)?;
    compiler.put(Inst::End)?;
    compiler.tie_calls();
    let mut code = compiler.code;
    thread_jumps(&mut code.insts);
    Ok(code)
}

pub(super) struct Compiler<'a> {
    pub(super) pattern: &'a Pattern,
    pub(super) facts: &'a [Fact],
    pub(super) firsts: Firsts<'a>,
    pub(super) code: Code,
    /// Where the code of a rule is, by its place.
    rules: std::collections::HashMap<usize, u32>,
    /// Calls and the places of the rules that they call.
    calls: Vec<(usize, usize)>,
}

impl Compiler<'_> {
    pub(super) fn put(&mut self, inst: Inst) -> Result<usize, Fault> {
        if self.code.insts.len() >= CODE_MAX || self.code.is_full() {
            return Err(Fault::TooLarge);
        }
        self.code.insts.push(inst);
        Ok(self.code.insts.len() - 1)
    }

    pub(super) fn here(&self) -> u32 {
        self.code.insts.len() as u32
    }

    /// Lets an instruction jump to here.
    pub(super) fn land(&mut self, at: usize) {
        let here = self.here();
        retarget(&mut self.code.insts[at], here);
    }

    pub(super) fn land_all(&mut self, all: &[usize]) {
        all.iter().for_each(|&at| self.land(at));
    }

    fn set_at(&self, at: usize) -> Option<Set> {
        set_of(self.pattern.nodes[at], &self.pattern.sets)
    }

    /// A test of the next byte, to be landed where it jumps if it does not hold.
    pub(super) fn test(&mut self, set: &Set) -> Result<usize, Fault> {
        let inst = match (set.len(), set.bytes().next()) {
            (1, Some(byte)) => Inst::TestByte(byte, PENDING),
            (256, _) => Inst::TestAny(PENDING),
            _ => Inst::TestClass(self.code.class(set), PENDING),
        };
        self.put(inst)
    }

    /// Takes one byte of a set. `known`: what the next byte is known to be one of.
    pub(super) fn take(&mut self, set: &Set, known: Option<&Set>) -> Result<(), Fault> {
        let inst = match (set.len(), set.bytes().next()) {
            _ if known.is_some_and(|known| known.within(set)) => Inst::Skip,
            (0, _) | (_, None) => Inst::Fail,
            (1, Some(byte)) => Inst::Byte(byte),
            (256, _) => Inst::Any,
            _ => Inst::Class(self.code.class(set)),
        };
        self.put(inst).map(drop)
    }

    /// Code of the pattern at `at`, behind which one of `follow` comes, or else nothing that can be done makes up for it: it may fail
    /// where it is known that what follows fails. With a way back of its own around it, that is any byte.
    pub(super) fn node(
        &mut self,
        at: usize,
        follow: &Set,
        known: Option<&Set>,
    ) -> Result<(), Fault> {
        self.firsts.pace.pass(1);
        if let Some(set) = self.set_at(at) {
            return self.take(&set, known);
        }
        match self.pattern.nodes[at] {
            Node::Seq { .. } => {
                let parts: Vec<usize> = children(&self.pattern.nodes, at).collect();
                self.seq(&parts, follow, known)
            }
            Node::Choice { .. } => {
                let parts: Vec<usize> = children(&self.pattern.nodes, at).collect();
                self.choice(&parts, follow, known)
            }
            Node::Star { .. } => loops::star(self, at + 1, follow),
            Node::AtMost { times, .. } => loops::at_most(self, at + 1, times, follow),
            Node::And { .. } => self.and(at + 1),
            Node::Not { .. } => self.not(at + 1, known),
            Node::Behind { width, .. } => {
                if width > 0 {
                    self.put(Inst::Behind(width.into()))?;
                }
                self.node(at + 1, &Set::FULL, None)
            }
            Node::Call { away } => {
                let call = self.put(Inst::Call(PENDING))?;
                self.calls
                    .push((call, at.wrapping_add_signed(away as isize)));
                Ok(())
            }
            Node::Grammar { .. } => self.grammar(at),
            Node::Rule { .. } => self.node(at + 1, follow, known),
            Node::Capture { kind, key, .. } => self.capture(at, kind, key, follow, known),
            Node::Runtime { key, .. } => {
                self.put(Inst::Open(Kind::Group, key))?;
                self.node(at + 1, &Set::FULL, known)?;
                self.put(Inst::CloseRuntime(key)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Parts one behind the other.
    fn seq(&mut self, parts: &[usize], follow: &Set, known: Option<&Set>) -> Result<(), Fault> {
        let (mut done, mut known) = (0, known);
        while done < parts.len() {
            let run = self.run_of_bytes(&parts[done..]);
            if run > 1 {
                self.bytes(&parts[done..done + run])?;
                (done, known) = (done + run, None);
                continue;
            }
            let part = parts[done];
            done += 1;
            let behind = self.follow_of(&parts[done..], follow, part);
            self.node(part, &behind, known)?;
            if self.facts[part].width() != Some(0) {
                known = None;
            }
        }
        Ok(())
    }

    /// What may follow a part of which it matters.
    fn follow_of(&mut self, rest: &[usize], follow: &Set, part: usize) -> Set {
        let never_asks = matches!(
            self.pattern.nodes[part],
            Node::True
                | Node::Byte(_)
                | Node::Set(_)
                | Node::Any
                | Node::Not { .. }
                | Node::And { .. }
                | Node::Behind { .. }
                | Node::Runtime { .. }
        );
        if never_asks {
            return Set::FULL;
        }
        // Far parts hardly ever matter, and looking at all of them for each would take long.
        let near = &rest[..rest.len().min(16)];
        let far = if near.len() < rest.len() {
            &Set::FULL
        } else {
            follow
        };
        let first = self.firsts.of_parts(near, far);
        match first.empty {
            Empty::Decides => Set::FULL,
            _ => first.set,
        }
    }

    /// How many of the first parts are bytes, or any bytes, alike.
    fn run_of_bytes(&self, parts: &[usize]) -> usize {
        let nodes = &self.pattern.nodes;
        let is_alike = |part: &usize| {
            matches!(
                (nodes[parts[0]], nodes[*part]),
                (Node::Byte(_), Node::Byte(_)) | (Node::Any, Node::Any)
            )
        };
        parts.iter().take_while(|part| is_alike(part)).count()
    }

    fn bytes(&mut self, parts: &[usize]) -> Result<(), Fault> {
        let text: Vec<u8> = parts
            .iter()
            .filter_map(|&part| match self.pattern.nodes[part] {
                Node::Byte(byte) => Some(byte),
                _ => None,
            })
            .collect();
        if text.is_empty() {
            return self.put(Inst::AnyOf(parts.len() as u32)).map(drop);
        }
        self.code.texts.push(text);
        let number = self.code.texts.len() as u32 - 1;
        self.put(Inst::Text(number)).map(drop)
    }

    /// Alternatives, the first of which that matches is taken.
    pub(super) fn choice(
        &mut self,
        parts: &[usize],
        follow: &Set,
        known: Option<&Set>,
    ) -> Result<(), Fault> {
        let may_switch = parts.len() >= SWITCH_FROM && self.code.switches.len() < SWITCHES_MAX;
        if may_switch && self.switch(parts, follow)? {
            return Ok(());
        }
        let behind = self.behind(parts, follow);
        let mut ends = Vec::new();
        let mut known = known.copied();
        for (number, &part) in parts.iter().enumerate() {
            if number + 1 == parts.len() {
                self.node(part, follow, known.as_ref())?;
                break;
            }
            // What may follow has no say here: a part that matched is not given up for what follows it.
            let first = self.firsts.of(part, &Set::FULL);
            let tested = first.empty == Empty::Fails;
            let others = behind[number + 1];
            let begin_otherwise = others.empty != Empty::Decides && others.set.disjoint(&first.set);
            let alone = tested && (self.facts[part].head_fail() || begin_otherwise);
            let seen = known.map_or(first.set, |known| known.and(&first.set));
            let mut misses = Vec::new();
            if tested {
                // What is known already to be one of the set needs no test.
                if known.is_none_or(|known| !known.within(&first.set)) {
                    misses.push(self.test(&first.set)?);
                }
                known = known.map(|known| known.minus(&first.set));
            }
            let part_known = if tested { Some(&seen) } else { None };
            if alone {
                self.node(part, follow, part_known)?;
                ends.push(self.put(Inst::Jump(PENDING))?);
            } else {
                misses.push(self.put(Inst::Choice(PENDING))?);
                // Failing for what follows would be taken for failing itself.
                self.node(part, &Set::FULL, part_known)?;
                ends.push(self.put(Inst::Commit(PENDING))?);
                // It may also have failed behind its first byte.
                known = None;
            }
            self.land_all(&misses);
        }
        self.land_all(&ends);
        Ok(())
    }

    /// What each alternative, or one of those behind it, begins with.
    fn behind(&mut self, parts: &[usize], follow: &Set) -> Vec<First> {
        let mut all: Vec<First> = parts
            .iter()
            .map(|&part| self.firsts.of(part, follow))
            .collect();
        for number in (1..all.len()).rev() {
            all[number - 1] = all[number - 1].or(&all[number]);
        }
        all
    }

    /// Alternatives that begin with different bytes: a table says which one it can be. Answers whether they are such.
    fn switch(&mut self, parts: &[usize], follow: &Set) -> Result<bool, Fault> {
        let (mut firsts, mut taken) = (Vec::new(), Set::EMPTY);
        for (number, &part) in parts.iter().enumerate() {
            let is_last = number + 1 == parts.len();
            let behind = if is_last { follow } else { &Set::FULL };
            let first = self.firsts.of(part, behind);
            let stands = first.empty == Empty::Fails || is_last && first.empty == Empty::Succeeds;
            if !stands || !first.set.disjoint(&taken) {
                return Ok(false);
            }
            taken = taken.or(&first.set);
            firsts.push(first);
        }
        // Sets alone are one test each, and a table is a kilobyte.
        if parts.iter().all(|&part| self.set_at(part).is_some()) {
            return Ok(false);
        }
        let table = self.code.switches.len();
        self.code.switches.push([PENDING; 257]);
        self.put(Inst::Switch(table as u32))?;
        let mut ends = Vec::new();
        let mut otherwise = PENDING;
        for (&part, first) in parts.iter().zip(&firsts) {
            let here = self.here();
            for byte in first.set.bytes() {
                self.code.switches[table][usize::from(byte)] = here;
            }
            let needs_byte = first.empty == Empty::Fails;
            if !needs_byte {
                otherwise = here;
            }
            self.node(part, follow, needs_byte.then_some(&first.set))?;
            ends.push(self.put(Inst::Jump(PENDING))?);
        }
        if otherwise == PENDING {
            otherwise = self.here();
            self.put(Inst::Fail)?;
        }
        for target in &mut self.code.switches[table] {
            if *target == PENDING {
                *target = otherwise;
            }
        }
        self.land_all(&ends);
        Ok(true)
    }

    fn and(&mut self, body: usize) -> Result<(), Fault> {
        let fact = self.facts[body];
        if let Some(width) = fact.width()
            && !fact.captures()
        {
            self.node(body, &Set::FULL, None)?;
            if width > 0 {
                self.put(Inst::Behind(width))?;
            }
            return Ok(());
        }
        let choice = self.put(Inst::Choice(PENDING))?;
        self.node(body, &Set::FULL, None)?;
        let back = self.put(Inst::BackCommit(PENDING))?;
        self.land(choice);
        self.put(Inst::Fail)?;
        self.land(back);
        Ok(())
    }

    fn not(&mut self, body: usize, known: Option<&Set>) -> Result<(), Fault> {
        let first = self.firsts.of(body, &Set::FULL);
        let mut misses = Vec::new();
        if first.empty == Empty::Fails {
            if known.is_some_and(|known| known.disjoint(&first.set)) {
                return Ok(());
            }
            misses.push(self.test(&first.set)?);
            if self.facts[body].head_fail() {
                self.put(Inst::Fail)?;
                self.land_all(&misses);
                return Ok(());
            }
        }
        let seen = (first.empty == Empty::Fails).then_some(&first.set);
        misses.push(self.put(Inst::Choice(PENDING))?);
        self.node(body, &Set::FULL, seen)?;
        self.put(Inst::FailTwice)?;
        self.land_all(&misses);
        Ok(())
    }

    fn capture(
        &mut self,
        at: usize,
        kind: Kind,
        key: u32,
        follow: &Set,
        known: Option<&Set>,
    ) -> Result<(), Fault> {
        let key = match kind {
            Kind::Table => {
                self.code.table_sizes.push(Default::default());
                self.code.table_sizes.len() as u32 - 1
            }
            _ => key,
        };
        let body = self.facts[at + 1];
        if let Some(width) = body.width().and_then(|width| u8::try_from(width).ok())
            && !body.captures()
        {
            self.node(at + 1, follow, known)?;
            return self.put(Inst::Full(kind, width, key)).map(drop);
        }
        self.put(Inst::Open(kind, key))?;
        self.node(at + 1, follow, known)?;
        self.put(Inst::Close).map(drop)
    }

    /// The initial rule is called, and all rules stand behind the jump that follows the call.
    fn grammar(&mut self, at: usize) -> Result<(), Fault> {
        let rules: Vec<usize> = children(&self.pattern.nodes, at).collect();
        let call = self.put(Inst::Call(PENDING))?;
        let jump = self.put(Inst::Jump(PENDING))?;
        self.calls.push((call, rules[0]));
        for rule in rules {
            self.rules.insert(rule, self.here());
            if let Some(span) = loops::span_of_rule(self, rule).filter(|span| !span.is_empty()) {
                loops::take_all(self, &span)?;
            }
            self.node(rule, &Set::FULL, None)?;
            self.put(Inst::Return)?;
        }
        self.land(jump);
        Ok(())
    }

    /// Gives calls their targets. A call before a return is a jump.
    fn tie_calls(&mut self) {
        for (call, rule) in std::mem::take(&mut self.calls) {
            let target = self.rules.get(&rule).copied().unwrap_or(0);
            let next = self.code.insts.get(call + 1).copied();
            self.code.insts[call] = match next.map(|next| landing(&self.code.insts, next)) {
                Some(Inst::Return) => Inst::Repeat(target),
                _ => Inst::Call(target),
            };
        }
    }
}

/// What is run in the end where an instruction is a jump.
fn landing(insts: &[Inst], mut inst: Inst) -> Inst {
    // A pattern that only calls itself was refused; the bound is against a circle of jumps all the same.
    for _ in 0..64 {
        match inst {
            Inst::Jump(target) if target != PENDING => inst = insts[target as usize],
            _ => break,
        }
    }
    inst
}

/// Where an instruction jumps to.
fn target_of(inst: &mut Inst) -> Option<&mut u32> {
    match inst {
        Inst::TestAny(target)
        | Inst::TestByte(_, target)
        | Inst::TestClass(_, target)
        | Inst::Choice(target)
        | Inst::Commit(target)
        | Inst::PartialCommit(target)
        | Inst::BackCommit(target)
        | Inst::Jump(target)
        | Inst::Repeat(target)
        | Inst::Call(target) => Some(target),
        _ => None,
    }
}

fn retarget(inst: &mut Inst, to: u32) {
    if let Some(target) = target_of(inst) {
        *target = to;
    }
}

/// Jumps to jumps go where those go; a jump to an instruction without a target is that instruction.
fn thread_jumps(insts: &mut [Inst]) {
    for at in 0..insts.len() {
        let mut inst = insts[at];
        if let Some(target) = target_of(&mut inst) {
            for _ in 0..64 {
                match insts[*target as usize] {
                    Inst::Jump(next) if next != *target => *target = next,
                    _ => break,
                }
            }
        }
        if let Inst::Jump(target) = inst {
            let end = insts[target as usize];
            if matches!(end, Inst::Return | Inst::Fail | Inst::End | Inst::FailTwice) {
                inst = end;
            }
        }
        insts[at] = inst;
    }
}
