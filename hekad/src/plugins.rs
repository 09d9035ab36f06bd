//! `hekad plugins` and `hekad schema`: what a configuration can say.
//!
//! Owns:    which rendering of the table is printed, and where pages are written.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  the table's length.
//! Never:   holds text about a plugin; the table is the only source.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use ::plugins::ALL;
use engine::control::reference;
use serde_json::Value;

use crate::cli::PluginsArgs;
use crate::failure::Failure;
use crate::generate::print;

/// The section that is no plugin.
const HEKAD: &str = "hekad";

/// Lists the plugins, or shows one, or writes all reference pages.
pub(crate) fn plugins(args: &PluginsArgs) -> Result<ExitCode, Failure> {
    if let Some(folder) = &args.markdown {
        return write_pages(folder);
    }
    match &args.name {
        None if args.json => print_json(&ALL.iter().map(reference::json).collect()),
        None => print(reference::list(ALL).as_bytes()),
        Some(name) if name == HEKAD && args.json => print_json(&reference::hekad_json()),
        Some(name) if name == HEKAD => print(reference::hekad_text().as_bytes()),
        Some(name) => {
            let spec = ALL
                .iter()
                .find(|spec| spec.name.eq_ignore_ascii_case(name))
                .ok_or_else(|| {
                    let help =
                        reference::closest(name, ALL).map(|near| format!("; did you mean {near}?"));
                    let help = help.unwrap_or_else(|| "; `hekad plugins` lists them".to_owned());
                    Failure::usage(format!("there is no plugin {name}{help}"))
                })?;
            if args.json {
                print_json(&reference::json(spec))
            } else {
                print(reference::text(spec).as_bytes())
            }
        }
    }
}

/// Prints JSON Schema of a whole configuration.
pub(crate) fn schema() -> Result<ExitCode, Failure> {
    print_json(&reference::schema(ALL))
}

fn print_json(value: &Value) -> Result<ExitCode, Failure> {
    print(format!("{value:#}\n").as_bytes())
}

/// Writes every page, and removes those of plugins that are gone.
fn write_pages(folder: &Path) -> Result<ExitCode, Failure> {
    let pages = ::plugins::pages();
    let write = || -> io::Result<()> {
        for kind in engine::plugin::Kind::ALL {
            let of_kind = folder.join(kind.name());
            fs::create_dir_all(&of_kind)?;
            for entry in fs::read_dir(&of_kind)? {
                let path = entry?.path();
                if !pages.iter().any(|(page, _)| folder.join(page) == path) {
                    fs::remove_file(path)?;
                }
            }
        }
        pages
            .iter()
            .try_for_each(|(path, page)| fs::write(folder.join(path), page))
    };
    write().map_err(|error| {
        Failure::new(
            1,
            format!("cannot write pages to {}: {error}", folder.display()),
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
