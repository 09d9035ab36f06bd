//! Disk queues that would share a folder.
//!
//! Owns:    that check.
//! Runs on: build time.            Plane: control.
//! Bounds:  one look at each section.
//! Never:   looks at the disk.

use std::collections::HashMap;

use serde_json::Value;

use super::super::problem::Problem;
use super::sections::Made;
use crate::queue::folder_name;

/// Notes consumers with disk queues whose names become the same folder.
pub(super) fn check(sections: &[Made<'_>], problems: &mut Vec<Problem>) {
    let mut folders: HashMap<String, &str> = HashMap::new();
    for made in sections {
        if made.common.get("use_buffering") != Some(&Value::Bool(true)) {
            continue;
        }
        let name = &made.section.name;
        let folder = folder_name(name);
        if let Some(other) = folders.get(&folder) {
            let message = format!(
                "the disk queues of `{name}` and `{other}` would both be in the folder `{folder}`"
            );
            let problem = Problem::error(message).at(made.section.place.clone());
            problems.push(
                problem.help("rename one: only ASCII letters, digits and `_` of a name count"),
            );
        } else {
            folders.insert(folder, name);
        }
    }
}
