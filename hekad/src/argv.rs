//! Argument lists as Heka's users type them, rewritten to the form that the parser knows.
//!
//! Owns:    single-dash long flags (`-config x`), and Heka's program names (`heka-flood` as a link to this program).
//! Runs on: the main thread, before parsing.            Plane: control.
//! Bounds:  looks at each argument once, none behind `--`.
//! Never:   changes an argument that is not exactly a known long flag.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;

/// Names under which Heka installed its tools, and the subcommands that took their place.
const PROGRAMS: [(&str, &str); 5] = [
    ("heka-flood", "flood"),
    ("heka-cat", "cat"),
    ("heka-inject", "inject"),
    ("heka-sbmgr", "sbmgr"),
    ("heka-sbmgrload", "sbmgrload"),
];

/// The arguments with `-name` made `--name` where `name` is a long flag, and the subcommand put in where the
/// program was called by the name of one of Heka's tools.
pub(crate) fn normalised(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut command = Cli::command();
    command.build();
    let mut longs = Vec::new();
    collect_longs(&command, &mut longs);

    let mut args = args.into_iter();
    let mut out = Vec::new();
    if let Some(program) = args.next() {
        let subcommand = Path::new(&program)
            .file_name()
            .and_then(OsStr::to_str)
            .and_then(subcommand_of);
        out.push(program);
        out.extend(subcommand.map(OsString::from));
    }
    let mut verbatim = false;
    for arg in args {
        verbatim |= arg == "--";
        let known = !verbatim
            && arg
                .to_str()
                .is_some_and(|text| is_single_dash_long(text, &longs));
        if known {
            let mut long = OsString::from("-");
            long.push(arg);
            out.push(long);
        } else {
            out.push(arg);
        }
    }
    out
}

fn subcommand_of(program: &str) -> Option<&'static str> {
    PROGRAMS
        .iter()
        .find(|(name, _)| *name == program)
        .map(|(_, subcommand)| *subcommand)
}

fn collect_longs(command: &clap::Command, longs: &mut Vec<String>) {
    for arg in command.get_arguments() {
        longs.extend(arg.get_long().map(str::to_owned));
        longs.extend(
            arg.get_all_aliases()
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned),
        );
    }
    for subcommand in command.get_subcommands() {
        collect_longs(subcommand, longs);
    }
}

fn is_single_dash_long(arg: &str, longs: &[String]) -> bool {
    let Some(rest) = arg.strip_prefix('-') else {
        return false;
    };
    let name = rest.split_once('=').map_or(rest, |(name, _)| name);
    name.len() > 1 && longs.iter().any(|long| long == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Vec<String> {
        normalised(args.iter().map(OsString::from))
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect()
    }

    #[test]
    fn single_dash_long_flags_get_their_second_dash() {
        assert_eq!(
            of(&["hekad", "-config", "x.toml"]),
            ["hekad", "--config", "x.toml"]
        );
        assert_eq!(
            of(&["hekad", "-config=x.toml"]),
            ["hekad", "--config=x.toml"]
        );
        assert_eq!(
            of(&["hekad", "flood", "-test", "a"]),
            ["hekad", "flood", "--test", "a"]
        );
        assert_eq!(
            of(&["hekad", "inject", "-heka", "h:1"]),
            ["hekad", "inject", "--heka", "h:1"]
        );
    }

    #[test]
    fn everything_else_stays() {
        for args in [
            &["hekad", "--config", "x"][..],
            &["hekad", "-V"],
            &["hekad", "-h"],
            &["hekad", "cat", "-"],
            &["hekad", "cat", "-nosuch"],
            &["hekad", "cat", "--", "-match"],
            &["hekad", "inject", "--payload", "-1"],
        ] {
            assert_eq!(of(args), args);
        }
    }

    #[test]
    fn a_link_named_like_a_heka_tool_is_its_subcommand() {
        assert_eq!(
            of(&["/usr/bin/heka-inject", "-type", "a"]),
            ["/usr/bin/heka-inject", "inject", "--type", "a"]
        );
        assert_eq!(of(&["/usr/bin/hekad"]), ["/usr/bin/hekad"]);
    }
}
