//! Disk queues, and dead letters, that would share a folder.
//!
//! Owns:    that check.
//! Runs on: build time.            Plane: control.
//! Bounds:  one look at each section.
//! Never:   looks at the disk.

use std::collections::HashMap;

use serde_json::Value;

use super::super::problem::Problem;
use super::sections::Made;
use crate::plugin::Kind;
use crate::queue::folder_name;

/// Notes consumers whose names become the same folder, if they keep something there.
pub(super) fn check(sections: &[Made<'_>], problems: &mut Vec<Problem>) {
    let (mut queues, mut letters) = (HashMap::new(), HashMap::new());
    for made in sections {
        let is_on = |key: &str| made.common.get(key).and_then(Value::as_bool);
        let is_queued = is_on("use_buffering") == Some(true);
        let has_letters =
            made.kind == Some(Kind::Output) && is_on("dead_letters").unwrap_or(is_queued);
        let name = made.section.name.as_str();
        let folder = folder_name(name);
        let taken = |folders: &mut HashMap<String, String>| {
            let known = folders.get(&folder).cloned();
            if known.is_none() {
                folders.insert(folder.clone(), name.to_owned());
            }
            known
        };
        let queue = is_queued.then(|| taken(&mut queues)).flatten();
        let letter = has_letters.then(|| taken(&mut letters)).flatten();
        let (what, other) = match (queue, letter) {
            (Some(other), _) => ("disk queues", other),
            (None, Some(other)) => ("dead letters", other),
            (None, None) => continue,
        };
        let message =
            format!("the {what} of `{name}` and `{other}` would both be in the folder `{folder}`");
        let problem = Problem::error(message).at(made.section.place.clone());
        problems
            .push(problem.help("rename one: only ASCII letters, digits and `_` of a name count"));
    }
}
