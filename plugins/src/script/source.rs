//! Where scripts come from: files, and those that come with the daemon.
//!
//! Owns:    the search for a script by its `filename`.
//! Runs on: build time; the only files that a plan reads beyond the configuration itself.            Plane: control.
//! Bounds:  `SOURCE_BYTES_MAX` of a file.
//! Never:   runs a script.

use std::io::ErrorKind;
use std::path::Path;

use engine::plugin::Section;
use sandbox::{Program, library};

use super::Chosen;

/// The checked script of a section; complaints where there is none.
pub(super) fn program<C>(chosen: &Chosen<'_>, section: &mut Section<'_, C>) -> Option<Program> {
    const KEY: &[&str] = &["filename"];
    if chosen.filename.is_empty() {
        let message = format!("`{}` lacks `filename`, the script", section.name());
        section.problem(KEY, message);
        return None;
    }
    let path = section.hekad().below_share_dir(chosen.filename);
    let (name, source) = match Program::read(&path) {
        Ok(source) => (path.display().to_string(), source),
        Err(error) if error.kind() == ErrorKind::NotFound => match library::script(chosen.filename)
        {
            Some(shipped) => (chosen.filename.to_owned(), shipped.source.to_vec()),
            None => {
                let message = format!("there is no script {}", path.display());
                let help = match Path::new(chosen.filename).is_absolute() {
                    true => "name a file that is there".to_owned(),
                    false => format!(
                        "`filename` is relative to `share_dir`; \"{}\" is none of the scripts that come with hekad either{}",
                        chosen.filename,
                        beside(chosen.filename)
                    ),
                };
                section.problem(KEY, message).help(help);
                return None;
            }
        },
        Err(error) => {
            let message = format!("the script {} cannot be read: {error}", path.display());
            section.problem(KEY, message);
            return None;
        }
    };
    match Program::compile(&name, &source) {
        Ok(program) => Some(program),
        Err(error) => {
            section.problem(KEY, error.to_string());
            None
        }
    }
}

/// The scripts that come with hekad in the folder of a name that is none of them.
fn beside(filename: &str) -> String {
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_beside = |name: &&str| folder(name) == folder(filename);
    let names: Vec<&str> = library::scripts().filter(is_beside).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(": {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_shown_its_neighbours() {
        let names = beside("lua_encoders/alerts.lua");
        assert!(names.starts_with(": lua_encoders/alert.lua, "), "{names}");
        assert!(!names.contains("lua_decoders"), "{names}");
        assert_eq!(beside("mine/alert.lua") + &beside("alert.lua"), "");
    }
}
