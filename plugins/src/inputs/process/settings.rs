//! Commands as they are written, and as they are started.
//!
//! Owns:    the checks of the `command` table that need nothing but its text.
//! Runs on: build time.            Plane: control.
//! Bounds:  `CHAIN_LINKS_MAX` commands.
//! Never:   looks whether a program exists: it may not yet.

use engine::io::{CHAIN_LINKS_MAX, Command};
use engine::plugin::Section;
use engine::plugin::options::{InputOptions, Table};

use super::CommandOptions;

/// The commands in their order; `None` after a complaint.
pub(super) fn commands(
    written: &Table<CommandOptions>,
    section: &mut Section<'_, InputOptions>,
) -> Option<Vec<Command>> {
    let numbering = "commands are numbered 0, 1, 2 ... in the order in which they are connected";
    // That was complained about already.
    if written.is_empty() {
        return None;
    }
    let numbers: Vec<String> = (0..written.iter().len())
        .map(|number| number.to_string())
        .collect();
    for (key, _) in written
        .iter()
        .filter(|(key, _)| !numbers.iter().any(|number| number == key))
    {
        if key
            .parse::<u32>()
            .is_ok_and(|number| number.to_string() == key)
        {
            continue;
        }
        section
            .problem(&["command", key], format!("`{key}` is no number"))
            .help(numbering);
        return None;
    }
    if let Some(missing) = numbers.iter().find(|number| written.get(number).is_none()) {
        section
            .problem(
                &["command"],
                format!("there is no command {missing}, but one after it"),
            )
            .help(numbering);
        return None;
    }
    if numbers.len() > CHAIN_LINKS_MAX {
        section.problem(
            &["command"],
            format!(
                "{} commands: at most {CHAIN_LINKS_MAX} are possible",
                numbers.len()
            ),
        );
        return None;
    }
    let commands = numbers
        .iter()
        .filter_map(|number| Some((number, written.get(number)?)))
        .map(|(number, options)| command(number, options, section));
    // All complaints at once.
    let commands: Vec<_> = commands.collect();
    commands.into_iter().collect()
}

fn command(
    number: &str,
    options: &CommandOptions,
    section: &mut Section<'_, InputOptions>,
) -> Option<Command> {
    let has_zero = |text: &String| text.contains('\0');
    let mut texts = [("bin", &options.bin), ("directory", &options.directory)]
        .into_iter()
        .chain(options.args.iter().map(|text| ("args", text)))
        .chain(options.env.iter().map(|text| ("env", text)));
    if let Some((key, _)) = texts.find(|(_, text)| has_zero(text)) {
        section.problem(
            &["command", number, key],
            "no program can be given a zero byte",
        );
        return None;
    }
    let mut environment = Vec::with_capacity(options.env.len());
    for (position, pair) in options.env.iter().enumerate() {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                environment.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                let position = position.to_string();
                section
                    .problem(
                        &["command", number, "env", &position],
                        "a variable of the environment is written `NAME=value`",
                    )
                    .help("to hand on one of the daemon's, write `NAME=%ENV[NAME]`");
                return None;
            }
        }
    }
    Some(Command {
        program: options.bin.clone(),
        arguments: options.args.clone(),
        environment,
        directory: (!options.directory.is_empty()).then(|| options.directory.clone().into()),
    })
}
