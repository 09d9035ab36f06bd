//! `hekad explain`: how a configuration routes messages, and why a message goes where it goes.
//!
//! Owns:    what is printed of the tree of all matchers and of one message's way through it.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one configuration, one message.
//! Never:   starts anything; the plan is the daemon's own (`run`).

mod message;

use std::fmt::Write;
use std::process::ExitCode;

use codecs::message::MessageRef;
use engine::control::plan::{ConsumerPlan, Plan, Role};
use matcher::{Capturing, SignerId};

use crate::cli::ExplainArgs;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::generate::print;
use crate::run::{load, show};

/// Prints the tree, or what becomes of a message.
pub(crate) fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let plan = match load(&args.config) {
        Ok(plan) => plan,
        Err(problems) => {
            show(&problems);
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let text = match &args.message {
        Some(path) => {
            let table = message::read(path)?;
            let signer = args.signer.as_deref();
            decisions(&plan, table.get(0), signer)?
        }
        None if args.dot => {
            return print(
                plan.matchers
                    .tree_dot(&|consumer| name(&plan, consumer))
                    .as_bytes(),
            );
        }
        None => tree(&plan),
    };
    show(&plan.warnings);
    print(text.as_bytes())
}

fn name(plan: &Plan, consumer: usize) -> String {
    plan.consumers[consumer].name.clone()
}

fn kind(consumer: &ConsumerPlan) -> &'static str {
    match consumer.role {
        Role::Filter { .. } => "filter",
        Role::Output { .. } => "output",
    }
}

fn tree(plan: &Plan) -> String {
    let mut text = String::from("Matchers in normal form:\n");
    for (number, consumer) in plan.consumers.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {} ({}): {}",
            consumer.name,
            kind(consumer),
            plan.matchers.normal_form(number)
        );
    }
    let _ = writeln!(
        text,
        "\nHow a message finds its consumers ({} of them; the tree takes {} bytes):",
        plan.matchers.consumers(),
        plan.matchers.memory()
    );
    let tree = plan.matchers.tree_text(&|consumer| name(plan, consumer));
    for line in tree.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn decisions(
    plan: &Plan,
    message: MessageRef<'_>,
    signer: Option<&str>,
) -> Result<String, Failure> {
    let set = &plan.matchers;
    let signer: Option<SignerId> = signer.and_then(|name| set.signer_id(name));
    let (mut scratch, mut row) = (set.scratch(), set.row());
    set.search(&mut scratch, message, signer, &mut row);
    let mut capturing = Capturing::default();
    let mut text = String::new();
    for (number, consumer) in plan.consumers.iter().enumerate() {
        let why = set.why(&mut scratch, message, signer, number);
        if why.accepts != row.contains(number) {
            // The tree and the formulas are two readings of one expression.
            let name = &consumer.name;
            return Err(Failure::new(
                1,
                format!(
                    "the tree and the matcher of {name} disagree: please report it with the configuration and the message"
                ),
            ));
        }
        let verb = if why.accepts {
            "gets it"
        } else {
            "does not get it"
        };
        let _ = writeln!(text, "{} ({}) {verb}", consumer.name, kind(consumer));
        for one in &why.decided {
            let answer = if one.holds { "yes" } else { "no " };
            let found = match &one.found {
                Some(found) => format!("it is {found}"),
                None => "the message has no such field".to_owned(),
            };
            let _ = writeln!(text, "  {answer} {}   ({found})", one.test);
        }
        if why.decided.is_empty() {
            let _ = writeln!(text, "  its matcher is {}", set.normal_form(number));
        }
        if why.accepts {
            set.captures(&mut capturing, number, message, &mut |name, value| {
                let value = String::from_utf8_lossy(value);
                let _ = writeln!(text, "  captured {name} = {value:?}");
            });
        }
    }
    if plan.consumers.is_empty() {
        text.push_str("the configuration has no filter and no output\n");
    }
    Ok(text)
}
