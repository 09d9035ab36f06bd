//! The manual's constructions, one by one.
//!
//! Owns:    scripts.
//! Runs on: tests.            Plane: data.
//! Bounds:  small subjects.
//! Never:   tests captures, which are in `captures`.

use super::run;

#[test]
fn matching_is_anchored_and_answers_a_position() {
    run(r#"
        local word = lpeg.R("az") ^ 1
        is("6", word:match("hello world"))
        is("6", lpeg.match(word, "hello world"))
        is("nil", word:match("1 hello"))
        is("8", word:match("1 hello", 3))
        is("8", word:match("1 hello", -5))
        is("1", lpeg.P(true):match("", 10))
        is("4", lpeg.P(true):match("abc", 10))
        is("1", lpeg.P(true):match("abc", -10))
        is("4", lpeg.match("abc", "abcd"))
        is("3", lpeg.match(2, "abcd"))
        is("1", lpeg.match(true, ""))
        is("nil", lpeg.match(false, ""))
        is("nil", lpeg.match(12, 123456789012, 2))
        is("13", lpeg.match(12, 123456789012))
        is("pattern", lpeg.type(word))
        is("nil nil nil", lpeg.type("x"), (lpeg.type({})), (lpeg.type(nil)))
        is("string", type(lpeg.version))
        is("userdata", type(word))
    "#);
}

#[test]
fn values_become_patterns() {
    run(r#"
        is("4", lpeg.P("abc"):match("abc"))
        is("1", lpeg.P(""):match("abc"))
        is("3", lpeg.P(2):match("abc"))
        is("1", lpeg.P(0):match(""))
        is("nil", lpeg.P(-2):match("ab"))
        is("1", lpeg.P(-2):match("a"))
        is("1", lpeg.P(-1):match(""))
        is("1", lpeg.P(true):match("a"))
        is("nil", lpeg.P(false):match("a"))
        is("3", lpeg.P({ "ab" * lpeg.P(true) }):match("ab"))
        is("3", lpeg.P(function(subject, at) return at + 2 end):match("abc"))
        local same = lpeg.P("x")
        assert(rawequal(same, lpeg.P(same)))
        is("2", lpeg.P("\0"):match("\0"))
    "#);
}

#[test]
fn sets_and_ranges() {
    run(r#"
        local function members(set)
            local all = {}
            for byte = 0, 255 do
                if set:match(string.char(byte)) then table.insert(all, byte) end
            end
            return table.concat(all, ",")
        end
        is("42,43,45,47", members(lpeg.S("+-*/")))
        is("48,49,50,97,98", members(lpeg.R("02", "ab")))
        is("", members(lpeg.R()))
        is("", members(lpeg.S("")))
        is("", members(lpeg.R("ba")))
        is("120", members(lpeg.R("xx")))
        is("97,98,99", members(lpeg.S("ab") + "c"))
        is("97", members(lpeg.R("ac") - lpeg.S("bc")))
        is("256", (#members(1 - lpeg.P("a")) > 0) and 256)
        is("98", members(lpeg.P("b") - "a"))
    "#);
}

#[test]
fn code_points_are_whole_and_shortest() {
    run(r#"
        local function sequence(code)
            if code < 0x80 then return string.char(code) end
            if code < 0x800 then return string.char(0xC0 + code // 64, 0x80 + code % 64) end
            if code < 0x10000 then
                return string.char(0xE0 + code // 4096, 0x80 + code // 64 % 64, 0x80 + code % 64)
            end
            return string.char(0xF0 + code // 262144, 0x80 + code // 4096 % 64, 0x80 + code // 64 % 64, 0x80 + code % 64)
        end
        local edges = { 0, 1, 0x41, 0x7F, 0x80, 0xFF, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF,
            0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF }
        for _, first in ipairs(edges) do
            for _, last in ipairs(edges) do
                if first <= last then
                    local range = lpeg.utfR(first, last) * -1
                    for _, code in ipairs(edges) do
                        for near = math.max(code - 1, 0), math.min(code + 1, 0x10FFFF) do
                            local found = range:match(sequence(near)) ~= nil
                            if found ~= (near >= first and near <= last) then
                                error(("%x in %x..%x: %s"):format(near, first, last, tostring(found)))
                            end
                        end
                    end
                end
            end
        end
        local any = lpeg.utfR(0, 0x10FFFF)
        for _, wrong in ipairs({ "\xC0\x80", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xE4\xB8", "\x80", "\xFF" }) do
            is("nil", any:match(wrong))
        end
        is("nil", (lpeg.B(lpeg.utfR(0x80, 0x7FF))):match("\xC3\xA4", 2))
        is("3", (lpeg.B(lpeg.utfR(0x80, 0x7FF))):match("\xC3\xA4", 3))
    "#);
}

#[test]
fn predicates_take_nothing() {
    run(r#"
        is("1", (#lpeg.P("a")):match("ab"))
        is("nil", (#lpeg.P("a")):match("b"))
        is("2", (#lpeg.P("ab") * 1):match("ab"))
        is("1", (-lpeg.P("a")):match("b"))
        is("1", (-lpeg.P("a")):match(""))
        is("nil", (-lpeg.P("a")):match("a"))
        is("1", (-(-lpeg.P("a"))):match("a"))
        is("1", (#lpeg.C("a")):match("a"))
        is("1", (-lpeg.C("a")):match("b"))
        is("3", (#(lpeg.P("a") ^ 1 * "b") * 2):match("ab"))
        is("nil", (#(lpeg.P("a") ^ 1 * "b") * 2):match("aa"))
        is("2", (lpeg.B("a") * "b" + 1):match("b"))
        is("3", (1 * lpeg.B("a") * "b"):match("ab"))
        is("nil", (1 * lpeg.B("a") * "b"):match("bb"))
        is("1", lpeg.B(""):match(""))
        is("1", (-lpeg.B(1)):match("x"))
        is("4", (3 * lpeg.B(lpeg.S("ab") * lpeg.R("az"))):match("xay"))
        is("5", lpeg.match("a" * #lpeg.P("b") * "bc" * -#lpeg.P(1) * lpeg.P(true) + 4, "abcd"))
        is("3 2", #"abc", #{ 1, 2 })
    "#);
}

#[test]
fn choices_are_ordered_and_final() {
    run(r#"
        is("2", (lpeg.P("a") + "ab"):match("ab"))
        is("nil", ((lpeg.P("a") + "ab") * -1):match("ab"))
        is("3", (lpeg.P("ab") + "a"):match("ab"))
        is("nil", (("aa" * lpeg.P("bc") ^ -1 + "aab") * "e"):match("aabe"))
        is("3", (lpeg.P(false) + "ab"):match("ab"))
        is("3", ("ab" + lpeg.P(false)):match("ab"))
        is("3", (lpeg.P("x") + "y" + "ab" + "c"):match("ab"))
        is("2", (lpeg.P("ab") + "cd" + ""):match("c") and 2)
        is("2", (1 - lpeg.P("ab")):match("ac"))
        is("nil", (1 - lpeg.P("ab")):match("ab"))
        is("3", (lpeg.P("ab") - "ac"):match("ab"))
        -- What follows does not reach into a choice that was made.
        is("nil", ((-(-lpeg.P("a")) + "a") * "b"):match("ab"))
    "#);
}

#[test]
fn repetitions_are_greedy_and_keep_what_they_took() {
    run(r#"
        is("4", (lpeg.P("a") ^ 0):match("aaa"))
        is("1", (lpeg.P("a") ^ 0):match("b"))
        is("nil", (lpeg.P("a") ^ 1):match("b"))
        is("nil", (lpeg.P("a") ^ 0 * "a"):match("aaa"))
        is("4", (lpeg.P("a") ^ 3):match("aaa"))
        is("nil", (lpeg.P("a") ^ 4):match("aaa"))
        is("3", (lpeg.P("a") ^ -2):match("aaa"))
        is("1", (lpeg.P("a") ^ -2):match("b"))
        is("5", (lpeg.P("ab") ^ -3):match("abab"))
        is("5", (lpeg.P("ab") ^ -2 * ""):match("ababab"))
        is("7", ((lpeg.P("ab") + "ac") ^ 2):match("abacab"))
        is("5", ((1 - lpeg.P("--")) ^ 0):match("a-b--c") + 1)
        is("7", ((1 - lpeg.S('"\\') + "\\" * lpeg.P(1)) ^ 0):match([[ab\"cd"]]))
        is("4", (lpeg.P("") ^ -3 * "abc"):match("abc"))
        is("3", ((lpeg.P("a") ^ -1) ^ -2):match("aaa"))
    "#);
}

#[test]
fn grammars_recurse() {
    run(r#"
        local equal = lpeg.P({
            "S",
            S = "a" * lpeg.V("B") + "b" * lpeg.V("A") + "",
            A = "a" * lpeg.V("S") + "b" * lpeg.V("A") * lpeg.V("A"),
            B = "b" * lpeg.V("S") + "a" * lpeg.V("B") * lpeg.V("B"),
        }) * -1
        is("7", equal:match("abbaab"))
        is("nil", equal:match("abbaa"))
        local balanced = lpeg.P({ "(" * ((1 - lpeg.S("()")) + lpeg.V(1)) ^ 0 * ")" })
        is("14", balanced:match("(a(b)((c))d)") + 1)
        is("nil", balanced:match("(a(b)"))
        -- Rules with other names, a grammar in a grammar, a rule that only calls.
        local key = {}
        local nested = lpeg.P({ lpeg.V(key), [key] = "x" * lpeg.P({ "y" * lpeg.V(1) + "z" }) * lpeg.V(true), [true] = lpeg.P("!") })
        is("6", nested:match("xyyz!"))
        is("3", lpeg.P({ lpeg.V("a"), a = lpeg.V("b"), b = "xy" * lpeg.V("c") ^ 0, c = lpeg.P("w") }):match("xy"))
        -- Far strings without a stack: the last call of a rule is a jump.
        is("100001", lpeg.P({ "a" * lpeg.V(1) + -1 }):match(("a"):rep(100000)))
        -- A grammar is a pattern where one is wanted.
        is("3", (lpeg.P("a") * { "b" * lpeg.P(true) }):match("ab"))
    "#);
}

#[test]
fn classes_of_the_locale() {
    run(r#"
        local classes = lpeg.locale()
        local names = {}
        for name, class in pairs(classes) do
            assert(lpeg.type(class) == "pattern")
            table.insert(names, name)
        end
        table.sort(names)
        is("alnum alpha cntrl digit graph lower print punct space upper xdigit", table.concat(names, " "))
        local of = { alnum = "%w", alpha = "%a", cntrl = "%c", digit = "%d", lower = "%l", punct = "%p", space = "%s",
            upper = "%u", xdigit = "%x", graph = "%g" }
        for name, class in pairs(of) do
            for byte = 0, 127 do
                local character = string.char(byte)
                local found, wanted = classes[name]:match(character) ~= nil, character:find(class) ~= nil
                if found ~= wanted then error(name .. " " .. byte) end
            end
            is("nil", classes[name]:match("\xE4"))
        end
        is("2 nil nil", classes.print:match(" "), classes.print:match("\n"), (classes.print:match("\x7F")))
        local into = { kept = 1 }
        assert(lpeg.locale(into) == into and into.kept == 1 and into.digit)
        lpeg.locale(lpeg)
        is("3", (lpeg.digit ^ 1):match("12"))
    "#);
}

#[test]
fn metamethods_take_what_a_pattern_is_made_of() {
    run(r#"
        local a = lpeg.P("a")
        is("3", ("a" * a):match("aa"))
        is("3", (a * "a"):match("aa"))
        is("3", (a * 1):match("ab"))
        is("2", (1 * lpeg.P(true)):match("ab"))
        is("2", ("b" + a):match("a"))
        is("2", (a + "b"):match("b"))
        is("2", (1 - a):match("b"))
        is("3", ("ab" - lpeg.P("ac")):match("ab"))
        is("3", (a * function(subject, at) return at + 1 end):match("ab"))
        is("2", (a * true):match("ab"))
        is("nil", (a * false):match("ab"))
        is("2", (a + { "b" * lpeg.P("") }):match("b"))
        is("1", (-a):match("b"))
        is("2", (#a * 1):match("a"))
        is("3", (a ^ "1"):match("aa"))
    "#);
}
