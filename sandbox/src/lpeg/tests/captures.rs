//! What captures produce.
//!
//! Owns:    scripts.
//! Runs on: tests.            Plane: data.
//! Bounds:  small subjects.
//! Never:   tests what matches, which is in `manual`.

use super::run;

#[test]
fn simple_position_constant_and_argument_captures() {
    run(r#"
        is("abc", lpeg.C(3):match("abc"))
        is("", lpeg.C(lpeg.P("x") ^ -1):match("abc"))
        is("4", (lpeg.C("x") ^ -1 * 3):match("abc"))
        is("abc a c", (lpeg.C(lpeg.C(1) * 1 * lpeg.C(1))):match("abc"))
        is("1 2 4", (lpeg.Cp() * 1 * lpeg.Cp() * 2 * lpeg.Cp()):match("abc"))
        is("1 nil x true", lpeg.Cc(1, nil, "x", true):match(""))
        is("1", lpeg.Cc():match("a"))
        is("nil", lpeg.Cc(nil):match("a"))
        is("one two", (lpeg.Carg(1) * lpeg.Carg(2)):match("", 1, "one", "two"))
        is("nil", lpeg.Carg(1):match("", 1, nil))
        is("a b", (lpeg.C("a") ^ -1 * lpeg.C("b")):match("ab"))
        is("b", ((lpeg.C("a") * "x" + "a") * lpeg.C("b")):match("ab"))
    "#);
}

#[test]
fn table_and_group_captures() {
    run(r#"
        is("{}", lpeg.Ct(""):match(""))
        is("{a,b}", lpeg.Ct(lpeg.C(1) ^ 0):match("ab"))
        is("{a,n=b}", lpeg.Ct(lpeg.C(1) * lpeg.Cg(lpeg.C(1), "n")):match("ab"))
        is("{n=ab}", lpeg.Ct(lpeg.Cg(2, "n")):match("ab"))
        is("{1,n=1}", lpeg.Ct(lpeg.Cg(lpeg.Cc(1, 2, 3), "n") * lpeg.Cc(1)):match(""))
        is("{{a},{b}}", lpeg.Ct(lpeg.Ct(lpeg.C(1)) ^ 0):match("ab"))
        is("{a,b,ab}", lpeg.Ct(lpeg.Cg(lpeg.C(1) * lpeg.C(1)) * lpeg.Cc("ab")):match("ab"))
        is("3", lpeg.Cg(lpeg.C(2), "unused"):match("ab"))
        is("ab", lpeg.Cg(2):match("ab"))
        is("a b", lpeg.Cg(lpeg.C(1) * lpeg.C(1)):match("ab"))
        is("{nil,2}", (function(t) return { tostring(t[1]), t[2] } end)(lpeg.Ct(lpeg.Cc(nil, 2)):match("")))
        is("x", lpeg.Ct(lpeg.Cg(lpeg.Cc("x"), 2.5)):match("")[2.5])
        local long = lpeg.Ct((lpeg.C(1) * lpeg.Cg(lpeg.Cc(1), "n")) ^ 0):match(("a"):rep(5000))
        is("5000 1", #long, long.n)
    "#);
}

#[test]
fn back_captures_see_the_last_outermost_group() {
    run(r#"
        is("a", (lpeg.Cg(1, "n") * lpeg.Cb("n")):match("a"))
        is("a a", (lpeg.Cg(1, "n") * lpeg.Cb("n") * lpeg.Cb("n")):match("a"))
        is("b", (lpeg.Cg(1, "n") * lpeg.Cg(1, "n") * lpeg.Cb("n")):match("ab"))
        is("a", (lpeg.Cg(lpeg.Cc("a"), "n") * lpeg.Cg(lpeg.Cc("b"), "m") * lpeg.Cb("n")):match(""))
        is("{a} a", (lpeg.Cg(lpeg.C("a"), "n") * lpeg.Ct(lpeg.Cb("n")) * lpeg.Cb("n")):match("a"))
        -- Inside a complete capture a group is not seen from outside.
        fails("back reference 'n' not found", lpeg.match, lpeg.Ct(lpeg.Cg(1, "n")) * lpeg.Cb("n"), "a")
        fails("back reference 'n' not found", lpeg.match, lpeg.Cg(lpeg.Cb("n"), "n") / 0 * lpeg.Cb("n"), "a")
        is("x", lpeg.Cg(lpeg.Cg("x", "n") * lpeg.Cb("n")):match("x"))
        is("7", (lpeg.Cg(lpeg.Cc(7), 1.5) * lpeg.Cb(1.5)):match(""))
        is("7 nil", (lpeg.Cg(lpeg.Cc(7, nil), true) * lpeg.Cb(true)):match(""))
        -- Long strings of Lua: what closes is as long as what opened.
        local open = "[" * lpeg.Cg(lpeg.P("=") ^ 0, "init") * "["
        local close = "]" * lpeg.C(lpeg.P("=") ^ 0) * "]"
        local same = lpeg.Cmt(close * lpeg.Cb("init"), function(_, _, a, b) return a == b end)
        local long = open * lpeg.C((lpeg.P(1) - same) ^ 0) * close / 1
        is(" ]]]=]]", long:match("[==[ ]]]=]]]==]") )
    "#);
}

#[test]
fn division_makes_values() {
    run(r#"
        is("3", (lpeg.C(1) * lpeg.C(1) / function(a, b) return a + b end):match("12"))
        is("ab", (lpeg.P(2) / function(all) return all end):match("ab"))
        is("1 nil 3", (lpeg.P(1) / function() return 1, nil, 3 end):match("a"))
        is("2", (lpeg.P(1) / function() end):match("a"))
        is("b", (lpeg.C(1) * lpeg.C(1) / 2):match("ab"))
        is("3", (lpeg.C(1) * lpeg.C(1) / 0):match("ab"))
        is("ab", (lpeg.P(2) / 1):match("ab"))
        is("yes", (lpeg.C(1) / { a = "yes" }):match("a"))
        is("yes", (lpeg.P(1) / { a = "yes" }):match("a"))
        is("2", (lpeg.P(1) / { b = "yes" }):match("a"))
        is("false", (lpeg.P(1) / { a = false }):match("a"))
        is("got a", (lpeg.P(1) / setmetatable({}, { __index = function(_, key) return "got " .. key end })):match("a"))
        is("<a-b-ab>%", (lpeg.C(1) * lpeg.C(1) / "<%1-%2-%0>%%"):match("ab"))
        is("a:ab", (lpeg.C(lpeg.C(1) * 1) / "%2:%1"):match("ab"))
        is("1x", (lpeg.Cc(1) * lpeg.Cc("x") / "%1%2"):match(""))
        is("", (lpeg.P(1) / ""):match("a"))
        is("[(a)]", ((lpeg.C(1) / "(%1)") / "[%1]"):match("a"))
        is("%q", (lpeg.P(1) / "%%%q"):match("a"))
        is("9", (lpeg.C(1) ^ 9 / "%9"):match("123456789"))
    "#);
}

#[test]
fn substitutions_replace_what_was_captured() {
    run(r#"
        is("a.c", lpeg.Cs((lpeg.P("b") / "." + 1) ^ 0):match("abc"))
        is("<a><b>", lpeg.Cs((lpeg.C(1) / "<%1>") ^ 0):match("ab"))
        is("abc", lpeg.Cs(3):match("abc"))
        is("", lpeg.Cs(""):match("abc"))
        is("1a2b", lpeg.Cs((lpeg.Cp() * 1) ^ 0):match("ab"))
        is("x", lpeg.Cs(lpeg.P(3) / "x"):match("abc"))
        is("ab", lpeg.Cs((lpeg.P(1) / {}) ^ 0):match("ab"))
        is("(a)b", lpeg.Cs(lpeg.Cg(lpeg.P(1) / "(%0)") * 1):match("ab"))
        is("ab", lpeg.Cs(lpeg.Cg(lpeg.C(1) / "(%0)", "n") * 1):match("ab"))
        is("[x]", lpeg.Cs("[" * lpeg.Cs((1 - lpeg.P("]")) / "x") * "]"):match("[a]"))
        is("A", lpeg.Cs(lpeg.P(1) / string.upper):match("a"))
        is("first", lpeg.Cs(lpeg.P(1) / function() return "first", "second" end):match("a"))
        local long = ("ab"):rep(50000)
        is(tostring(150000), #lpeg.Cs((lpeg.P("a") / "xx" + 1) ^ 0):match(long))
    "#);
}

#[test]
fn folds_and_accumulators() {
    run(r#"
        local number = lpeg.R("09") ^ 1 / tonumber
        local function add(a, b) return a + b end
        is("83", lpeg.Cf(number * ("," * number) ^ 0, add):match("10,30,43"))
        is("10", lpeg.Cf(number * ("," * number) ^ 0, add):match("10"))
        is("83", (number * ("," * number % add) ^ 0):match("10,30,43"))
        is("count", (lpeg.C(lpeg.R("az") ^ 1) * (lpeg.P("^") % string.upper) ^ -1):match("count"))
        is("COUNT", (lpeg.C(lpeg.R("az") ^ 1) * (lpeg.P("^") % string.upper) ^ -1):match("count^"))
        local name = lpeg.C(lpeg.R("az") ^ 1) * lpeg.P(" ") ^ 0
        local pair = name * "=" * lpeg.P(" ") ^ 0 * name * lpeg.S(",;") ^ -1 * lpeg.P(" ") ^ 0
        is("{a=b,c=hi,next=pi}", (lpeg.Ct("") * (pair % rawset) ^ 0):match("a=b, c = hi; next = pi"))
        is("{a=b}", lpeg.Cf(lpeg.Ct("") * lpeg.Cg(pair) ^ 0, rawset):match("a=b"))
        -- In a table the last value of the row is the previous one.
        is("{x,3}", lpeg.Ct(lpeg.C("x") * number * ("," * number % add) ^ 0):match("x1,2"))
        is("{3}", lpeg.Ct(lpeg.Cg(number * ("," * number % add) ^ 0)):match("1,2"))
        is("7 3", (lpeg.Cc(7) * number * ("," * number % add) ^ 0):match("1,2"))
        is("(1+2)", lpeg.Cs(lpeg.Cg(number * ("," * number % function(a, b) return "(" .. a .. "+" .. b .. ")" end))):match("1,2"))
        fails("no previous value for accumulator capture", lpeg.match, lpeg.C(1) % add, "a")
        fails("no previous value", lpeg.match, lpeg.Ct(lpeg.C(1) % add), "a")
        fails("invalid context for an accumulator capture", lpeg.match, lpeg.Cs(lpeg.C(1) % add), "a")
        fails("no initial value for fold capture", lpeg.match, lpeg.Cf(lpeg.P(1), add), "a")
        fails("no initial value for fold capture", lpeg.match, lpeg.Cf(lpeg.P(1) / 0 * lpeg.C(1), add), "ab")
    "#);
}

#[test]
fn match_time_captures_decide() {
    run(r#"
        local seen
        local function at_place(...) seen = all(...) return true end
        is("2", lpeg.Cmt(1, at_place):match("ab"))
        is("ab 2 a", seen)
        is("3", lpeg.Cmt(lpeg.C(1) * lpeg.Cc(7) * 1, at_place):match("ab"))
        is("ab 3 a 7", seen)
        is("nil", lpeg.Cmt(1, function() return false end):match("a"))
        is("nil", lpeg.Cmt(1, function() return nil end):match("a"))
        is("nil", lpeg.Cmt(1, function() end):match("a"))
        is("4", lpeg.Cmt(1, function(s, at) return at + 2 end):match("abc"))
        is("x y", lpeg.Cmt(1, function(s, at) return at, "x", "y" end):match("a"))
        is("nil", lpeg.Cmt(1, function(s, at) return true, nil end):match("a"))
        is("b", (lpeg.Cmt(lpeg.C(1), function(_, _, c) return c == "x", c end) + 1 * lpeg.C(1)):match("ab"))
        -- Values of failed branches are dropped.
        local value = function(_, at, c) return at, c:upper() end
        local item = lpeg.Cmt(lpeg.C(1), value)
        is("A C", ((item * item * "x" + item * 1) * item):match("abc"))
        is("{A,B,{C}}", lpeg.Ct(item * item * lpeg.Ct(item)):match("abc"))
        is("ABC", lpeg.Cs(item ^ 0):match("abc"))
        -- Inside another one they are arguments.
        is("AB A B", lpeg.Cmt(item * item, function(_, at, a, b) return at, a .. b, a, b end):match("ab"))
        is("4", (#item * -(item * "x") * 3):match("abc"))
        is("A", (lpeg.Cg(item, "n") * lpeg.Cb("n")):match("a"))
        -- A keyword list by function.
        local keywords = { ["if"] = true, ["then"] = true }
        local keyword = lpeg.Cmt(lpeg.R("az") ^ 1, function(_, _, word) return keywords[word] end)
        is("3 nil", keyword:match("if"), (keyword:match("iffy")))
    "#);
}

#[test]
fn functions_may_match_themselves() {
    run(r#"
        local inner = lpeg.C(1) * lpeg.Cp()
        local outer = lpeg.Ct((lpeg.C(1) / function(c) return (inner:match(c .. "z")) end) ^ 0)
        is("{a,b,c}", outer:match("abc"))
        local depth = 0
        local self
        self = lpeg.Cmt("a", function(s, at)
            depth = depth + 1
            return self:match(s, at) or at
        end)
        is("6 5", self:match("aaaaa"), depth)
        -- An error passes, and the next match is as if nothing had been.
        local breaks = lpeg.C(1) * lpeg.P(1) / function() error({ code = 5 }) end
        local fine, said = pcall(breaks.match, breaks, "ab")
        is("false 5", fine, said.code)
        is("{a,b,c}", outer:match("abc"))
        local co = coroutine.wrap(function() return outer:match("xy") end)
        is("{x,y}", co())
        local yields = lpeg.P(1) / function() coroutine.yield(1) end
        is("false", (pcall(coroutine.wrap(function() return yields:match("a") end))))
        is("{a,b,c}", outer:match("abc"))
    "#);
}
