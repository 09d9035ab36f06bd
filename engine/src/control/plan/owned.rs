//! Inputs that would write the same file.
//!
//! Owns:    that check.
//! Runs on: build time.            Plane: control.
//! Bounds:  one look at each section.
//! Never:   looks at more of the disk than where symbolic links lead; makes or changes anything.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

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
            let place = real(&path);
            if let Some(other) = owners.get(&place) {
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
                owners.insert(place, name);
            }
        }
    }
}

/// Where a path leads: links are followed as far as there is something, and what is not there yet is taken as it is written.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path
        .ancestors()
        .find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    let Some((ancestor, mut real)) = found else {
        return path;
    };
    let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
    for part in rest.components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            part => real.push(part),
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_far_as_there_is_something() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("it is there");
        std::fs::create_dir(base.join("there")).expect("room");
        symlink(base.join("there"), base.join("link")).expect("room");
        symlink("link", base.join("again")).expect("room");
        let direct = real(&base.join("there/logstreamer/all"));
        assert_eq!(direct, base.join("there/logstreamer/all"));
        for other in [
            "link/logstreamer/all",
            "again/logstreamer/all",
            "there/./logstreamer/all",
            "there/none/../logstreamer/all",
        ] {
            assert_eq!(real(&base.join(other)), direct, "{other}");
        }
        assert_ne!(real(&base.join("elsewhere/logstreamer/all")), direct);
    }
}
