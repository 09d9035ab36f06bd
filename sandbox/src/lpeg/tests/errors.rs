//! What is refused, and in what words.
//!
//! Owns:    scripts.
//! Runs on: tests.            Plane: data.
//! Bounds:  small subjects.
//! Never:   tests what works.

use super::run;

#[test]
fn arguments_that_make_no_pattern() {
    run(r#"
        fails("bad argument #1 to 'P' (value expected)", lpeg.P)
        fails("bad argument #1 to 'P' (lpeg-pattern expected, got nil)", lpeg.P, nil)
        fails("bad argument #1 to 'P' (lpeg-pattern expected, got thread)", lpeg.P, coroutine.create(print))
        fails("bad argument #1 to 'C' (lpeg-pattern expected, got no value)", lpeg.C)
        fails("bad argument #2 to 'match' (string expected, got nil)", lpeg.match, "a", nil)
        fails("bad argument #2 to 'match' (string expected, got no value)", lpeg.match, "a")
        fails("bad argument #3 to 'match' (number expected, got boolean)", lpeg.match, "a", "a", true)
        fails("bad argument #1 to 'S' (string expected, got table)", lpeg.S, {})
        fails("bad argument #2 to 'R' (range must have two characters)", lpeg.R, "az", "abc")
        fails("bad argument #1 to 'V' (non-nil value expected)", lpeg.V, nil)
        fails("bad argument #1 to 'Cb' (value expected)", lpeg.Cb)
        fails("bad argument #2 to 'Cmt' (function expected, got nil)", lpeg.Cmt, 1, nil)
        fails("bad argument #2 to 'Cf' (function expected, got no value)", lpeg.Cf, 1)
        fails("bad argument #1 to 'Carg' (invalid argument index)", lpeg.Carg, 0)
        fails("invalid argument index", lpeg.Carg, -1)
        fails("invalid argument index", lpeg.Carg, 2 ^ 18)
        fails("number expected", lpeg.Carg, "x")
        fails("bad argument #1 to '/' (invalid number)", function() return lpeg.P(1) / -1 end)
        fails("unexpected boolean as 2nd operand to LPeg '/'", function() return lpeg.P(1) / true end)
        fails("empty range", lpeg.utfR, 2, 1)
        fails("bad argument #2 to 'utfR' (invalid code point)", lpeg.utfR, 1, 0x110000)
        fails("invalid code point", lpeg.utfR, -1, 1)
        fails("bad argument #1 to 'setmaxstack' (out of range)", lpeg.setmaxstack, 0)
        fails("out of range", lpeg.setmaxstack, 2 ^ 40)
        fails("bad argument #1 to 'locale' (table expected, got number)", lpeg.locale, 1)
        fails("bad argument #2 to '^' (number expected, got nil)", function() return lpeg.P(1) ^ nil end)
        fails("lpeg-pattern expected", function() return lpeg.P(1) * nil end)
        fails("only implemented in debug mode", lpeg.pcode, lpeg.P(1))
    "#);
}

#[test]
fn patterns_that_cannot_be() {
    run(r#"
        fails("loop body may accept empty string", function() return lpeg.P("") ^ 0 end)
        fails("loop body may accept empty string", function() return (lpeg.P("a") ^ 0) ^ 1 end)
        fails("loop body may accept empty string", function() return (-lpeg.P("a")) ^ 0 end)
        fails("loop body may accept empty string", function() return lpeg.Cmt("", print) ^ 0 end)
        fails("bad argument #1 to 'B' (pattern may not have fixed length)", lpeg.B, lpeg.P("a") ^ 0)
        fails("pattern may not have fixed length", lpeg.B, lpeg.P("a") + "bc")
        fails("pattern may not have fixed length", lpeg.B, lpeg.V("a"))
        fails("pattern may not have fixed length", lpeg.B, -lpeg.V("a"))
        fails("pattern may not have fixed length", lpeg.B, lpeg.utfR(0, 0x800))
        fails("pattern have captures", lpeg.B, lpeg.C("a"))
        fails("pattern too long to look behind", lpeg.B, 256)
        is("300", lpeg.P(299 * lpeg.B(255)):match(("a"):rep(300)))
    "#);
}

#[test]
fn grammars_that_cannot_be() {
    run(r#"
        local V = lpeg.V
        fails("rule '1' may be left recursive", lpeg.P, { V(1) * "a" })
        fails("may be left recursive", lpeg.P, { "A", A = V("B"), B = lpeg.P("x") ^ 0 * V("A") })
        fails("rule 'A' may be left recursive", lpeg.P, { "A", A = -V("A") * "a" })
        fails("rule 'A' may be left recursive", lpeg.P, { "A", A = lpeg.C(lpeg.P("x") + lpeg.Cmt(V("A"), print)) })
        -- What is known of these goes round and must come to rest all the same, in whatever order they are looked at.
        for _, names in ipairs({ "ABC", "ACB", "BAC", "BCA", "CAB", "CBA" }) do
            local a, b, c = names:sub(1, 1), names:sub(2, 2), names:sub(3, 3)
            fails("may be left recursive", lpeg.P, { a, [a] = V(c), [b] = V(a) ^ -2, [c] = V(b) + "" })
        end
        fails("empty loop in rule 'A'", lpeg.P, { "A", A = V("B") ^ 0, B = lpeg.P("x") ^ -1 })
        fails("rule 'B' undefined in given grammar", lpeg.P, { "A", A = V("B") * "x" })
        fails("rule '(a table)' undefined in given grammar", lpeg.P, { "A", A = "x" * V({}) })
        fails("grammar has no initial rule", lpeg.P, {})
        fails("grammar has no initial rule", lpeg.P, { "A" })
        fails("initial rule 'A' is not a pattern", lpeg.P, { "A", A = true })
        fails("initial rule '1' is not a pattern", lpeg.P, { true })
        fails("rule 'B' is not a pattern", lpeg.P, { "A", A = lpeg.P(1), B = "text" })
        fails("rule 'x' used outside a grammar", lpeg.match, V("x") * "a", "a")
        fails("rule '(a function)' used outside a grammar", lpeg.match, V(print), "a")
        local many = { lpeg.P(1) }
        for rule = 2, 1001 do many[rule] = lpeg.P(1) end
        fails("grammar has too many rules", lpeg.P, many)
        many[1001] = nil
        is("2", lpeg.P(many):match("a"))
    "#);
}

#[test]
fn captures_that_have_no_value() {
    run(r#"
        fails("reference to absent extra argument #2", lpeg.match, lpeg.Carg(2), "a", 1, "one")
        fails("no capture '2'", lpeg.match, lpeg.C(1) / 2, "a")
        fails("invalid capture index (1)", lpeg.match, lpeg.P(1) / "%1", "a")
        fails("invalid capture index (9)", lpeg.match, lpeg.C(1) / "%9", "a")
        fails("no values in capture index 1", lpeg.match, (lpeg.P(1) / 0) / "%1", "a")
        fails("invalid capture value (a boolean)", lpeg.match, lpeg.Cc(true) / "%1", "a")
        fails("invalid replacement value (a table)", lpeg.match, lpeg.Cs(lpeg.Ct(1)), "a")
        fails("back reference 'x' not found", lpeg.match, lpeg.Cb("x"), "")
        fails("invalid position returned by match-time capture", lpeg.match, function() return 0 end, "a")
        fails("invalid position returned by match-time capture", lpeg.match, function() return 3 end, "a")
        fails("invalid position", lpeg.match, 1 * lpeg.P(function(_, at) return at - 1 end), "a")
        fails("invalid position", lpeg.match, function() return {} end, "a")
    "#);
}

#[test]
fn errors_say_where_and_are_texts() {
    run(r#"
        local fine, said = pcall(function() return lpeg.P("") ^ 0 end)
        is("false string", fine, type(said))
        assert(said:find("^script:%d+: loop body"), said)
    "#);
}

#[test]
fn length_of_a_pattern_needs_the_rewriting() {
    let lua = super::lua();
    let error = lua
        .load("return #lpeg.P(1)")
        .exec()
        .expect_err("no number")
        .to_string();
    assert!(error.contains("write -(-patt)"), "{error}");
}
