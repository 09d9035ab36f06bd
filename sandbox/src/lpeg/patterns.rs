//! Patterns as Lua sees them: what becomes one, and where their values are.
//!
//! Owns:    the conversion of values to patterns, grammars from tables, the tables of values.
//! Runs on: the shard of the plugin, while its script makes patterns.            Plane: control.
//! Bounds:  those of trees and grammars; patterns and their values are on the script's account.
//! Never:   keeps a Lua value outside of Lua: a pattern's values are in its metatable, so that what refers to itself is collected.

use super::arguments;
use super::grammar::{self, Fault, Names, RULES_MAX, Rule};
use super::tree::{NODES_MAX, Pattern};
use crate::lua::frame::{Frame, Is};

/// Replaces the value in a slot by the pattern that it stands for.
pub(crate) fn to_pattern(stack: &mut Frame<'_>, slot: i32, function: &str) -> Result<(), String> {
    if stack.holds::<Pattern>(slot) {
        return Ok(());
    }
    let pattern = match stack.is(slot) {
        Is::Text => Pattern::text(stack.bytes_at(slot).unwrap_or_default())?,
        Is::Number => of_number(stack.as_number(slot).unwrap_or(0.0))?,
        Is::Boolean => Pattern::constant(stack.truth(slot)),
        Is::Function => {
            stack.push_copy(slot);
            push_holding(stack, Pattern::constant(true).at_match_time(1)?);
            stack.replace(slot);
            return Ok(());
        }
        Is::Table => {
            grammar(stack, slot)?;
            stack.replace(slot);
            return Ok(());
        }
        _ => return Err(arguments::wrong_type(stack, slot, function, "lpeg-pattern")),
    };
    push(stack, pattern);
    stack.replace(slot);
    Ok(())
}

fn of_number(number: f64) -> Result<Pattern, String> {
    let count = number.trunc();
    if count.is_nan() || count.abs() > NODES_MAX as f64 {
        return Err(format!("pattern too large (more than {NODES_MAX} nodes)"));
    }
    let any = Pattern::any(count.abs() as usize)?;
    if count < 0.0 { any.negated() } else { Ok(any) }
}

/// Pushes a pattern without values.
pub(crate) fn push(stack: &mut Frame<'_>, pattern: Pattern) {
    debug_assert_eq!(pattern.values, 0);
    let weight = pattern.weight();
    stack.push_owned(pattern, weight);
}

/// Pushes a pattern whose values are those of the pattern in a slot.
pub(crate) fn push_sharing(stack: &mut Frame<'_>, pattern: Pattern, owner: i32) {
    let (values, weight) = (pattern.values, pattern.weight());
    stack.push_owned(pattern, weight);
    if values > 0 {
        let slot = stack.top();
        stack.push_metatable(owner);
        stack.set_metatable::<Pattern>(slot);
    }
}

/// Replaces the values on top by a pattern that has them.
pub(crate) fn push_holding(stack: &mut Frame<'_>, pattern: Pattern) {
    let (values, weight) = (pattern.values as i32, pattern.weight());
    let first = stack.top() - values + 1;
    stack.push_owned(pattern, weight);
    if values > 0 {
        stack.insert(first);
        stack.push_metatable_copy(first);
        stack.insert(first + 1);
        for index in (1..=values).rev() {
            stack.set_item(first + 1, index);
        }
        stack.set_metatable::<Pattern>(first);
    }
}

/// Pushes a pattern whose values are those of the pattern in a slot and, last, the value in another.
pub(crate) fn push_with_value(stack: &mut Frame<'_>, pattern: Pattern, owner: i32, value: i32) {
    let (values, weight) = (pattern.values as i32, pattern.weight());
    stack.push_owned(pattern, weight);
    let slot = stack.top();
    stack.push_metatable_copy(owner);
    let table = stack.top();
    drop_code(stack, table);
    stack.push_copy(value);
    stack.set_item(table, values);
    stack.set_metatable::<Pattern>(slot);
}

/// A copied table is not that of compiled code.
fn drop_code(stack: &mut Frame<'_>, table: i32) {
    stack.push_nil();
    stack.set_item(table, 0);
}

/// How the values of two patterns become those of one.
#[derive(Clone, Copy)]
pub(crate) struct Joint {
    /// Where those of the second begin.
    pub(crate) shift: u32,
    pub(crate) values: u32,
    /// The slot of the pattern that has them all; otherwise those of the second must be put behind those of the first.
    owner: Option<i32>,
}

/// How the values of the patterns in slots 1 and 2 are joined.
pub(crate) fn joint(stack: &mut Frame<'_>, one: &Pattern, other: &Pattern) -> Joint {
    let (first, second) = (one.values, other.values);
    if second == 0 || first == second && stack.same_metatable(1, 2) {
        return Joint {
            shift: 0,
            values: first,
            owner: Some(1),
        };
    }
    if first == 0 {
        return Joint {
            shift: 0,
            values: second,
            owner: Some(2),
        };
    }
    Joint {
        shift: first,
        values: first + second,
        owner: None,
    }
}

/// Pushes a pattern made of those in slots 1 and 2.
pub(crate) fn push_joined(stack: &mut Frame<'_>, pattern: Pattern, joint: Joint) {
    match joint.owner {
        _ if pattern.values == 0 => push(stack, pattern),
        Some(owner) => push_sharing(stack, pattern, owner),
        None => {
            let weight = pattern.weight();
            stack.push_owned(pattern, weight);
            let slot = stack.top();
            stack.push_metatable_copy(1);
            let table = stack.top();
            drop_code(stack, table);
            append_values(stack, table, joint.shift, 2, joint.values - joint.shift);
            stack.set_metatable::<Pattern>(slot);
        }
    }
}

/// Puts the values of the pattern in a slot into a table, from an index on.
fn append_values(stack: &mut Frame<'_>, table: i32, shift: u32, slot: i32, count: u32) {
    if count == 0 {
        return;
    }
    stack.push_metatable(slot);
    let from = stack.top();
    for index in 1..=count {
        stack.push_item(from, index as i32);
        stack.set_item(table, (shift + index) as i32);
    }
    stack.pop(1);
}

/// How a value is called in an error.
pub(crate) fn name_of_value(stack: &mut Frame<'_>, slot: i32) -> String {
    let type_name = stack.type_name(slot);
    match stack.bytes_at(slot) {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => format!("(a {type_name})"),
    }
}

/// Pushes the pattern of the grammar that is the table in a slot.
fn grammar(stack: &mut Frame<'_>, slot: i32) -> Result<(), String> {
    let before = stack.top();
    let rules = collect(stack, slot)?;
    let pattern = stack.within(|stack| build(stack, before, rules))?;
    // The table of values is on top.
    let weight = pattern.weight();
    stack.push_owned(pattern, weight);
    stack.replace(before + 1);
    stack.set_metatable::<Pattern>(before + 1);
    stack.set_top(before + 1);
    Ok(())
}

/// Pushes a table of the numbers of rules by their names, and then name and pattern of each, the initial one first.
/// Answers how many there are.
fn collect(stack: &mut Frame<'_>, slot: i32) -> Result<i32, String> {
    stack.push_table(0, 0);
    let numbers = stack.top();
    stack.push_item(slot, 1);
    let name = numbers + 1;
    if matches!(stack.is(name), Is::Text | Is::Number) {
        stack.push_copy(name);
        stack.index(slot);
    } else {
        stack.push_number(1.0);
        stack.insert(name);
    }
    if !stack.holds::<Pattern>(name + 1) {
        if stack.is(name + 1) == Is::Nil {
            return Err("grammar has no initial rule".into());
        }
        let name = name_of_value(stack, name);
        return Err(format!("initial rule '{name}' is not a pattern"));
    }
    let mut count = 1;
    number_rule(stack, numbers, name, count);
    stack.push_nil();
    while stack.next(slot) {
        let key = stack.top() - 1;
        let is_first = stack.is(key) == Is::Number && stack.as_number(key) == Some(1.0);
        if is_first || stack.equal(key, name) {
            stack.pop(1);
            continue;
        }
        if !stack.holds::<Pattern>(key + 1) {
            stack.push_copy(key);
            let name = name_of_value(stack, key + 2);
            return Err(format!("rule '{name}' is not a pattern"));
        }
        count += 1;
        if count as usize > RULES_MAX {
            return Err("grammar has too many rules".into());
        }
        number_rule(stack, numbers, key, count);
        stack.reserve(4);
        stack.push_copy(key);
    }
    Ok(count)
}

fn number_rule(stack: &mut Frame<'_>, numbers: i32, name: i32, number: i32) {
    stack.push_copy(name);
    stack.push_number(number.into());
    stack.set(numbers);
}

/// Makes the grammar of what `collect` has pushed, and pushes the table of its values.
fn build(stack: &mut Frame<'_>, before: i32, count: i32) -> Result<Pattern, String> {
    let numbers = before + 1;
    let slot_of = |rule: i32| numbers + 2 + 2 * rule;
    stack.push_metatable_copy(slot_of(0));
    let table = stack.top();
    drop_code(stack, table);
    let (mut rules, mut values) = (Vec::new(), 0);
    for rule in 0..count {
        let slot = slot_of(rule);
        let pattern = stack.owned::<Pattern>(slot).ok_or("a rule was lost")?;
        let name = values + pattern.values + 1;
        append_values(stack, table, values, slot, pattern.values);
        stack.push_copy(slot - 1);
        stack.set_item(table, name as i32);
        rules.push(Rule {
            pattern,
            shift: values,
            name,
        });
        values = name;
    }
    let built = grammar::build(
        &rules,
        values,
        &mut InTables {
            stack,
            table,
            numbers,
        },
    );
    built.map_err(|fault| {
        let mut name = |key: u32| {
            stack.push_item(table, key as i32);
            name_of_value(stack, table + 1)
        };
        match fault {
            Fault::Undefined(key) => format!("rule '{}' undefined in given grammar", name(key)),
            Fault::LeftRecursive(key) => format!("rule '{}' may be left recursive", name(key)),
            Fault::EmptyLoop(key) => format!("empty loop in rule '{}'", name(key)),
            Fault::TooManyRules => "grammar has too many rules".into(),
            Fault::Tree(said) => said,
        }
    })
}

/// Names are values of the grammar, in one table; the rules' numbers are in another.
struct InTables<'a, 's> {
    stack: &'a mut Frame<'s>,
    table: i32,
    numbers: i32,
}

impl Names for InTables<'_, '_> {
    fn rule(&mut self, name: u32) -> Option<usize> {
        self.stack.push_item(self.table, name as i32);
        self.stack.raw_index(self.numbers);
        let number = self.stack.as_number(self.table + 1);
        self.stack.pop(1);
        number.map(|number| number as usize - 1)
    }

    fn pause(&mut self) {
        self.stack.safepoint();
    }
}
