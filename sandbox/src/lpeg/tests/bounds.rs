//! Bombs: deep, long and endless things end, and harm nobody else.
//!
//! Owns:    scripts.
//! Runs on: tests.            Plane: data.
//! Bounds:  a few megabytes.
//! Never:   depends on how long something takes.

use std::cell::Cell;

use mlua::VmState;

use super::{lua, run, run_in};

#[test]
fn the_stack_of_ways_back_is_limited() {
    run(r#"
        local nested = lpeg.P({ "(" * lpeg.V(1) ^ -1 * ")" })
        is("nil", nested:match("("))
        fails("backtrack stack overflow (current limit is 400)", lpeg.match, nested, ("("):rep(1000))
        lpeg.setmaxstack(10000)
        is("2001", nested:match(("("):rep(1000) .. (")"):rep(1000)))
        lpeg.setmaxstack(50)
        fails("backtrack stack overflow (current limit is 50)", lpeg.match, nested, ("("):rep(1000))
    "#);
}

#[test]
fn captures_inside_each_other_are_limited() {
    run(r#"
        lpeg.setmaxstack(100000)
        local nested = lpeg.P({ lpeg.Ct("(" * lpeg.V(1) ^ -1 * ")") })
        local function of(depth) return ("("):rep(depth) .. (")"):rep(depth) end
        is("table", type(nested:match(of(400))))
        fails("subcapture nesting too deep", lpeg.match, nested, of(1000))
        fails("subcapture nesting too deep", lpeg.match, lpeg.P({ lpeg.Cs("(" * lpeg.V(1) ^ -1 * ")") }), of(1000))
        fails("subcapture nesting too deep", lpeg.match, lpeg.P({ (lpeg.C("(") * lpeg.V(1) ^ -1 * ")") / "%1%2" }), of(1000))
        -- Over all matches inside each other.
        local depth = 0
        local again
        again = lpeg.Ct(lpeg.Ct(lpeg.Ct(lpeg.Ct(lpeg.C(1) / function(c)
            depth = depth + 1
            return again:match(c)
        end))))
        is("false", (pcall(lpeg.match, again, "a")))
        assert(depth > 10)
        is("table", type(nested:match(of(400))))
    "#);
}

#[test]
fn what_a_pattern_holds_is_out_of_reach() {
    run(r#"
        local patt = lpeg.C(1) / "x"
        is("x", patt:match("a"))
        local shown = getmetatable(patt)
        assert(shown.__index == lpeg and type(shown.__mul) == "function" and #shown == 0 and shown[0] == nil)
        for key, value in pairs({ [0] = 5, [1] = 5, __index = {}, __metatable = 1 }) do
            fails("readonly", function() shown[key] = value end)
            fails("readonly", rawset, shown, key, value)
        end
        fails("table expected", setmetatable, patt, {})
        is("x", patt:match("a"))
        is("x", (patt + lpeg.Cc("y")):match("a"))
    "#);
}

#[test]
fn a_position_that_is_no_number_is_none() {
    run(r#"
        for _, at in ipairs({ 0 / 0, -1 / 0, 1 / 0, -1, 0, 4, 8 }) do
            local odd = lpeg.C(lpeg.P(1) * lpeg.Cmt(lpeg.P(1), function() return at end))
            fails("invalid position", lpeg.match, odd, "abcdef", 3)
        end
    "#);
}

#[test]
fn patterns_have_a_size_and_a_depth() {
    run(r##"
        local deep = lpeg.P("a")
        fails("pattern nested too deep", function()
            for _ = 1, 100000 do deep = -deep * "a" end
        end)
        assert(pcall(lpeg.match, deep, "a"))
        for _, deeper in ipairs({
            function(p) return (p + "b") * "c" end,
            function(p) return (p * "x") ^ -1 end,
            function(p) return lpeg.C(p) end,
            function(p) return ("a" * p) ^ 1 end,
            function(p) return lpeg.P({ "a" * p + lpeg.V(1) * "x" + "y" * lpeg.V(1) - "z" }) end,
            function(p) return lpeg.Cmt(p, print) end,
        }) do
            local p = lpeg.P("a")
            pcall(function() for _ = 1, 1000 do p = deeper(p) end end)
            pcall(lpeg.match, p, "aaaa")
        end
        local double = lpeg.P("ab")
        fails("pattern too large", function()
            for _ = 1, 64 do double = double * double end
        end)
        fails("pattern too large", lpeg.P, 2 ^ 30)
        fails("pattern too large", lpeg.P, -(2 ^ 30))
        fails("pattern too large", function() return lpeg.P("ab") ^ 2 ^ 40 end)
        fails("pattern code too large", lpeg.match, ((lpeg.P("ab") ^ -1000) ^ -1000) ^ -1000, "ab")
        local wide = lpeg.P(false)
        for word = 1, 3000 do wide = wide + ("w" .. word .. ";") end
        is("7", wide:match("w2999;"))
        local long = lpeg.P(true)
        for word = 1, 3000 do long = long * lpeg.C(1) end
        is("3000", select("#", long:match(("a"):rep(3000))))
    "##);
}

#[test]
fn many_values_and_long_subjects() {
    run(r##"
        local subject = ("ab"):rep(500000)
        is("1000001", (lpeg.P("a") + "b") ^ 0 * -1 and ((lpeg.P("a") + "b") ^ 0):match(subject))
        is("500000", #lpeg.Ct((lpeg.C("a") * 1) ^ 0):match(subject))
        fails("", lpeg.match, lpeg.C(1) ^ 0, ("x"):rep(2000000))
        is("1000001", (lpeg.Cg(1, "n") ^ 0):match(subject))
        fails("too many results in match-time capture", lpeg.match, function(_, at)
            return at, table.unpack({}, 1, 40000)
        end, "")
        is("20000", select("#", lpeg.match(function(_, at) return at, table.unpack({}, 1, 20000) end, "")))
        is("1000001", ((1 - lpeg.P("needle")) ^ 0):match(subject))
    "##);
}

#[test]
fn a_bomb_is_stopped_by_the_interrupt() {
    let lua = lua();
    let calls = std::rc::Rc::new(Cell::new(0_u64));
    let counter = calls.clone();
    lua.set_interrupt(move |_| {
        counter.set(counter.get() + 1);
        match counter.get() {
            // A yield is not possible in a match, and does nothing.
            200..210 => Ok(VmState::Yield),
            300 => Err(mlua::Error::runtime("out of time")),
            _ => Ok(VmState::Continue),
        }
    });
    for bomb in BOMBS {
        calls.set(0);
        let script = format!("fails('out of time', function() {bomb} end)");
        run_in(&lua, &script);
    }
    lua.remove_interrupt();
    run_in(&lua, "is('2', lpeg.match(1, 'a'))");
}

/// Each would run for longer than anybody waits.
const BOMBS: &[&str] = &[
    // Every way to cut a string into pieces.
    "lpeg.setmaxstack(1000) local a = lpeg.P('a'); return lpeg.P({ 'a' * lpeg.V(1) * 'b' + 'a' * lpeg.V(1) * 'c' + 'd' }):match(('a'):rep(300))",
    // Looking ahead to the end at every byte.
    "return ((-(lpeg.P(1) ^ 0 * 'x') * 1) ^ 0):match(('a'):rep(1000000))",
    // The same in one instruction.
    "return (((-(-(lpeg.C(lpeg.S('ab') ^ 0)))) * 1) ^ 0):match(('a'):rep(1000000))",
    // Values that are made again and again.
    "local p = lpeg.Cg('', 'n') for _ = 1, 60 do p = p * lpeg.Cg(lpeg.Cb('n') * lpeg.Cb('n') / 1, 'n') end return (p * lpeg.Cb('n') / 1):match('')",
    "local p = lpeg.P('') / '' for _ = 1, 60 do p = p / '%1%1' end return p:match('')",
    // A function that decides, for ever.
    "local p = lpeg.P({ lpeg.Cmt('', function() return true end) * 'a' * lpeg.V(1) * 'x' + 'a' * lpeg.V(1) * 'y' + 'z' }) lpeg.setmaxstack(2000) return p:match(('a'):rep(300))",
];

#[test]
fn memory_is_the_scripts() {
    for bomb in [
        // Patterns.
        "local t = {} for n = 1, 1e9 do t[n] = lpeg.P(('a'):rep(1000)) end",
        "local t = {} for n = 1, 1e9 do t[n] = lpeg.C(lpeg.P(n)) / print end",
        // Code.
        "local t = {} for n = 1, 1e9 do t[n] = lpeg.P('ab') ^ -5000; t[n]:match('') end",
        // The stack of ways back, and captures.
        "lpeg.setmaxstack(20000000) return lpeg.P({ '(' * lpeg.V(1) * ')' + 1 }):match(('('):rep(2000000))",
        "return (lpeg.Cg(1, 'n') ^ 0):match(('a'):rep(3000000))",
        // Text.
        "local p = lpeg.P(1) / '%0' for _ = 1, 40 do p = p / '%1%1' end return p:match('a')",
        "local p = lpeg.C(1) for _ = 1, 30 do p = lpeg.Cs(p / '%1%1') end return p:match('a')",
    ] {
        let lua = lua();
        lua.set_memory_limit(16 << 20).expect("a limit");
        let script = format!(
            "local fine, said = pcall(function() {bomb} end) assert(not fine) assert(tostring(said):find('memory'), said)"
        );
        let done = lua.load(&script).exec();
        if let Err(error) = done {
            assert!(error.to_string().contains("memory"), "{bomb}: {error}");
        }
        lua.set_memory_limit(0).expect("no limit");
        run_in(&lua, "is('2', lpeg.match(1, 'a'))");
    }
}

/// What takes long before anything matches: what is made first, and the call.
const HEAVY: &[(&str, &str)] = &[
    // What comes first is asked for on every level.
    (
        "p = lpeg.P(false) for n = 1, 2000 do p = p + ('x' .. n) end for _ = 1, 140 do p = (p * 'y') ^ -1 end",
        "p:match('')",
    ),
    // What is known of a rule comes from the one before.
    (
        "p = { lpeg.V(400) } for n = 2, 400 do p[n] = lpeg.P(700) * lpeg.V(n - 1) ^ -1 end",
        "lpeg.P(p)",
    ),
];

#[test]
fn patterns_can_be_stopped_before_they_match() {
    for (made, call) in HEAVY {
        let lua = lua();
        run_in(&lua, made);
        let asked = Cell::new(0);
        lua.set_interrupt(move |_| {
            asked.set(asked.get() + 1);
            match asked.get() == 10 {
                true => Err(mlua::Error::runtime("out of time")),
                false => Ok(VmState::Continue),
            }
        });
        let stopped = format!("fails('out of time', function() return {call} end)");
        let done = lua.load(&stopped).exec();
        lua.remove_interrupt();
        assert!(done.is_ok(), "{call}: {done:?}");
        run_in(&lua, "is('2', lpeg.match(1, 'a'))");
    }
}

#[test]
fn rules_inside_rules_need_little_of_the_stack() {
    // As much as a thread has that nobody has given more.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        run(r#"
            local g = { lpeg.V(2) + lpeg.P("b") * "c" + lpeg.P("d") }
            for n = 2, 60 do
                local p = lpeg.V(n + 1)
                for _ = 1, 148 do p = lpeg.P("x") ^ -1 * lpeg.Cg(p) end
                g[n] = p
            end
            g[61] = lpeg.P("a")
            local deep = lpeg.P(g)
            lpeg.setmaxstack(100000)
            is("nil", deep:match("e"))
        "#);
    });
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn what_refers_to_itself_is_collected() {
    let lua = lua();
    let used = |lua: &mlua::Lua| {
        for _ in 0..4 {
            lua.gc_collect().expect("collected");
        }
        lua.used_memory()
    };
    let script = r#"
        for _ = 1, 2000 do
            local pattern
            pattern = lpeg.P({ lpeg.C(1) / function() return pattern end + lpeg.Cmt("", function() return pattern end) * "x" })
            pattern:match("a")
        end
    "#;
    run_in(&lua, script);
    let before = used(&lua);
    run_in(&lua, script);
    run_in(&lua, script);
    let after = used(&lua);
    assert!(after < before + (64 << 10), "{before} then {after}");
}
