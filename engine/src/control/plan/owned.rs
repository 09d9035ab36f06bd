//! Inputs that would write the same file.
//!
//! Owns:    that check.
//! Runs on: build time.            Plane: control.
//! Bounds:  one look at each section.
//! Never:   looks at the disk.

use std::collections::HashMap;
use std::path::PathBuf;

use super::super::problem::Problem;
use super::sections::{Factory, Made};

/// Notes inputs that would write what another one writes, as far as their sections say.
pub(super) fn check(sections: &[Made<'_>], problems: &mut Vec<Problem>) {
    let mut owners: HashMap<PathBuf, &str> = HashMap::new();
    for made in sections {
        let Some(Factory::Input(factory, _)) = &made.factory else {
            continue;
        };
        let name = &made.section.name;
        for path in factory.writes() {
            if let Some(other) = owners.get(&path) {
                let shown = path.display();
                let message =
                    format!("`{name}` and `{other}` would both keep their position in {shown}");
                let problem = Problem::error(message).at(made.section.place.clone());
                problems.push(
                    problem.help(
                        "give one of them another folder for that, or its streams another name",
                    ),
                );
            } else {
                owners.insert(path, name);
            }
        }
    }
}
