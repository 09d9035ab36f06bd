//! Expressions in normal form: `&&` and `||` over checks, each distinct one once.
//!
//! Owns:    `Formulas`, the arena of a set, its joints and `restrict`.
//! Runs on: build time.            Plane: control.
//! Bounds:  by the length of the expressions; nested joints of one kind become one up to `FLAT_MAX` members. Nothing recurses.
//! Never:   changes what an expression means: joints drop what is constant or stands twice, and sort.

use std::collections::HashMap;

/// Number of a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FormulaId(pub(crate) u32);

/// Never.
pub(crate) const FALSE: FormulaId = FormulaId(0);
/// Always.
pub(crate) const TRUE: FormulaId = FormulaId(1);

/// Members that a nested joint may have to be taken apart: flattening must not make deep expressions quadratic.
const FLAT_MAX: usize = 64;

/// One formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    Constant(bool),
    /// A check, or with `false` its negation.
    Literal(u32, bool),
    /// Joined by `&&`.
    All(Members),
    /// Joined by `||`.
    Any(Members),
}

/// The members of a joint: a range of the arena's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    start: u32,
    len: u32,
}

/// Which joint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Joint {
    All,
    Any,
}

impl Joint {
    /// The member that decides a joint alone.
    pub(crate) fn decisive(self) -> FormulaId {
        match self {
            Joint::All => FALSE,
            Joint::Any => TRUE,
        }
    }

    /// The member that never matters.
    fn neutral(self) -> FormulaId {
        match self {
            Joint::All => TRUE,
            Joint::Any => FALSE,
        }
    }
}

/// All formulas of a set.
#[derive(Debug)]
pub(crate) struct Formulas {
    formulas: Vec<Formula>,
    members: Vec<FormulaId>,
    /// What testing it costs at most, as a rank.
    costs: Vec<u8>,
    literals: HashMap<(u32, bool), FormulaId>,
    joints: HashMap<(Joint, Box<[FormulaId]>), FormulaId>,
}

impl Formulas {
    pub(crate) fn new() -> Formulas {
        Formulas {
            formulas: vec![Formula::Constant(false), Formula::Constant(true)],
            members: Vec::new(),
            costs: vec![0, 0],
            literals: HashMap::new(),
            joints: HashMap::new(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: FormulaId) -> Formula {
        self.formulas[id.0 as usize]
    }

    pub(crate) fn members(&self, members: Members) -> &[FormulaId] {
        &self.members[members.start as usize..][..members.len as usize]
    }

    /// A joint's kind and members.
    pub(crate) fn joint(&self, id: FormulaId) -> Option<(Joint, &[FormulaId])> {
        match self.get(id) {
            Formula::All(members) => Some((Joint::All, self.members(members))),
            Formula::Any(members) => Some((Joint::Any, self.members(members))),
            Formula::Constant(_) | Formula::Literal(..) => None,
        }
    }

    /// A check or its negation; `cost` ranks what testing it takes.
    pub(crate) fn literal(&mut self, check: u32, positive: bool, cost: u8) -> FormulaId {
        if let Some(id) = self.literals.get(&(check, positive)) {
            return *id;
        }
        let id = self.push(Formula::Literal(check, positive), cost);
        self.literals.insert((check, positive), id);
        id
    }

    /// Joins formulas: constants, repetitions and contradictions are resolved, cheap members come first.
    pub(crate) fn join(&mut self, joint: Joint, parts: &[FormulaId]) -> FormulaId {
        let mut list = Vec::with_capacity(parts.len());
        for &part in parts {
            match self.joint(part) {
                Some((kind, members)) if kind == joint && members.len() <= FLAT_MAX => {
                    list.extend_from_slice(members);
                }
                _ if part == joint.decisive() => return part,
                _ if part == joint.neutral() => {}
                _ => list.push(part),
            }
        }
        list.sort_unstable_by_key(|id| (self.costs[id.0 as usize], *id));
        list.dedup();
        if self.has_opposites(&list) {
            return joint.decisive();
        }
        match list.as_slice() {
            [] => joint.neutral(),
            [only] => *only,
            _ => self.intern(joint, list),
        }
    }

    /// Whether a check and its negation stand side by side.
    fn has_opposites(&self, list: &[FormulaId]) -> bool {
        list.iter().any(|id| match self.get(*id) {
            Formula::Literal(check, true) => {
                self.literals.get(&(check, false)).is_some_and(|not| {
                    let key = (self.costs[not.0 as usize], *not);
                    list.binary_search_by_key(&key, |id| (self.costs[id.0 as usize], *id))
                        .is_ok()
                })
            }
            _ => false,
        })
    }

    fn intern(&mut self, joint: Joint, list: Vec<FormulaId>) -> FormulaId {
        let key = (joint, list.into_boxed_slice());
        if let Some(id) = self.joints.get(&key) {
            return *id;
        }
        let members = Members {
            start: self.members.len() as u32,
            len: key.1.len() as u32,
        };
        self.members.extend_from_slice(&key.1);
        let dearest = key.1.iter().map(|id| self.costs[id.0 as usize]).max();
        let cost = dearest.unwrap_or(0).saturating_add(1);
        let formula = match joint {
            Joint::All => Formula::All(members),
            Joint::Any => Formula::Any(members),
        };
        let id = self.push(formula, cost);
        self.joints.insert(key, id);
        id
    }

    fn push(&mut self, formula: Formula, cost: u8) -> FormulaId {
        self.formulas.push(formula);
        self.costs.push(cost);
        FormulaId(self.formulas.len() as u32 - 1)
    }

    /// Frees what only joining needs; from now on formulas are read.
    pub(crate) fn finish(&mut self) {
        self.literals = HashMap::new();
        self.joints = HashMap::new();
    }

    /// All formulas that a formula is made of and itself, members before joints, each once.
    pub(crate) fn parts(&self, root: FormulaId) -> Vec<FormulaId> {
        let mut found = vec![root];
        let mut seen: std::collections::HashSet<FormulaId> = [root].into();
        let mut next = 0;
        while next < found.len() {
            if let Some((_, members)) = self.joint(found[next]) {
                found.extend(
                    members
                        .iter()
                        .copied()
                        .filter(|member| seen.insert(*member)),
                );
            }
            next += 1;
        }
        // A joint is always younger than its members.
        found.sort_unstable();
        found
    }

    /// The formula where the checks are decided for which `known` has an answer. Adds to `work` what it looked at.
    pub(crate) fn restrict(
        &mut self,
        root: FormulaId,
        known: &dyn Fn(u32) -> Option<bool>,
        work: &mut usize,
    ) -> FormulaId {
        if let Some(simple) = self.restrict_flat(root, known, work) {
            return simple;
        }
        let parts = self.parts(root);
        *work += parts.len();
        let mut results: HashMap<FormulaId, FormulaId> = HashMap::with_capacity(parts.len());
        for part in parts {
            let result = match self.joint(part) {
                None => self.restrict_literal(part, known),
                Some((joint, members)) => {
                    let members: Vec<_> = members.iter().map(|member| results[member]).collect();
                    self.join(joint, &members)
                }
            };
            results.insert(part, result);
        }
        results[&root]
    }

    /// `restrict` for what most expressions are: a check, or one joint of checks.
    fn restrict_flat(
        &mut self,
        root: FormulaId,
        known: &dyn Fn(u32) -> Option<bool>,
        work: &mut usize,
    ) -> Option<FormulaId> {
        let Some((joint, members)) = self.joint(root) else {
            *work += 1;
            return Some(self.restrict_literal(root, known));
        };
        let mut left = Vec::with_capacity(members.len());
        for &member in members {
            if self.joint(member).is_some() {
                return None;
            }
            *work += 1;
            let result = self.restrict_literal(member, known);
            if result == joint.decisive() {
                return Some(result);
            }
            left.push(result);
        }
        Some(self.join(joint, &left))
    }

    fn restrict_literal(&self, id: FormulaId, known: &dyn Fn(u32) -> Option<bool>) -> FormulaId {
        match self.get(id) {
            Formula::Literal(check, positive) => match known(check) {
                Some(value) if value == positive => TRUE,
                Some(_) => FALSE,
                None => id,
            },
            _ => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joints_are_normal() {
        let mut formulas = Formulas::new();
        let a = formulas.literal(0, true, 1);
        let not_a = formulas.literal(0, false, 1);
        let b = formulas.literal(1, true, 2);
        let ab = formulas.join(Joint::All, &[b, a, TRUE, a]);
        assert_eq!(ab, formulas.join(Joint::All, &[a, b]));
        assert_eq!(formulas.join(Joint::All, &[a, not_a, b]), FALSE);
        assert_eq!(formulas.join(Joint::Any, &[a, not_a]), TRUE);
        assert_eq!(formulas.join(Joint::Any, &[a, FALSE]), a);
        assert_eq!(formulas.join(Joint::All, &[]), TRUE);
        let c = formulas.literal(2, true, 1);
        let nested = formulas.join(Joint::All, &[ab, c]);
        assert_eq!(nested, formulas.join(Joint::All, &[a, b, c]));
    }

    #[test]
    fn what_is_known_falls_away() {
        let mut formulas = Formulas::new();
        let a = formulas.literal(0, true, 1);
        let b = formulas.literal(1, true, 2);
        let c = formulas.literal(2, true, 3);
        let bc = formulas.join(Joint::Any, &[b, c]);
        let all = formulas.join(Joint::All, &[a, bc]);
        let mut work = 0;
        let a_holds = |check| (check == 0).then_some(true);
        assert_eq!(formulas.restrict(all, &a_holds, &mut work), bc);
        let b_holds = |check| (check == 1).then_some(true);
        assert_eq!(formulas.restrict(all, &b_holds, &mut work), a);
        let a_fails = |check| (check == 0).then_some(false);
        assert_eq!(formulas.restrict(all, &a_fails, &mut work), FALSE);
        assert!(work > 0);
    }
}
