//! LPeg within the limits of a sandbox.
//!
//! Owns:    scripts that use lpeg well and badly.
//! Runs on: tests.            Plane: data.
//! Bounds:  each test makes its own sandbox.
//! Never:   depends on how long something takes.

use sandbox::Kind;

use crate::{Keeper, process, sandbox, start};

const HEAD: &str = "require 'string' local l = require 'lpeg' l.locale(l) local re = require 're' ";

#[test]
fn scripts_use_lpeg_and_re() {
    let mut script = sandbox(
        Kind::Filter,
        &format!(
            "{HEAD} local p = #l.P'a' * l.C(l.P'a'^1) local long = #'abc'
             function process_message()
                 return 0, p:match('aab') .. long .. re.match('xy', '. {{.}}') .. lpeg.match(1, 'a') .. tostring(re == _G.re)
             end
             function timer_event() end"
        ),
    );
    let answer = process(&mut script, &mut Keeper::default());
    assert_eq!(answer.map(|(_, text)| text), Ok("aa3y2true".to_owned()));
}

#[test]
fn bombs_end_the_sandbox_alone() {
    for (bomb, wanted) in [
        (
            "l.setmaxstack(2000) return l.P({ 'a' * l.V(1) * 'b' + 'a' * l.V(1) * 'c' + 'd' }):match(('a'):rep(300)) or 0",
            "instruction",
        ),
        (
            "while true do pcall(l.match, (l.P(1) - (l.P(1) ^ 0 * 'x')) ^ 0, ('a'):rep(1000000)) end",
            "instruction",
        ),
        (
            "local t = {} for n = 1, 1e9 do t[n] = l.P(('x'):rep(1000)) end",
            "memory",
        ),
        (
            "l.setmaxstack(20000000) l.P({ '(' * l.V(1) * ')' + 1 }):match(('('):rep(2000000))",
            "memory",
        ),
    ] {
        let source =
            format!("{HEAD} function process_message() {bomb} end function timer_event() end");
        let mut settings = sandbox::Settings::new(Kind::Filter, "bomb");
        settings.limits.instructions = 100_000;
        settings.limits.counts_instructions = true;
        let mut script = start(settings, &source).expect("it loads");
        let ended = process(&mut script, &mut Keeper::default()).expect_err("it is stopped");
        assert!(ended.text.contains(wanted), "{bomb}: {}", ended.text);
    }
    scripts_use_lpeg_and_re();
}
