//! The module `re`.
//!
//! Owns:    scripts.
//! Runs on: tests.            Plane: data.
//! Bounds:  small subjects.
//! Never:   tests lpeg itself.

use super::run;

#[test]
fn functions_of_the_module() {
    run(r#"
        is("12 14", re.find("the number 423 is odd", "[0-9]+"))
        is("nil", re.find("no number", "[0-9]+"))
        is("4 4", re.find("a1b2", "[0-9]", 3))
        is("4 4", re.find("a1b2", "[0-9]", -1))
        is("the number 423 is odd", re.match("the number 423 is odd", "({%a+} / %s / {%d+})*"))
        is("423", re.match("the number 423 is odd", "s <- {%d+} / . s"))
        is("h.ll. W.rld", (re.gsub("hello World", "[aeiou]", ".")))
        is("HELLO", (re.gsub("hello", "[a-z]", string.upper)))
        is("a b", re.gsub("aXb", "'X'", " "))
        local compiled = re.compile("'a'")
        assert(rawequal(compiled, re.compile(compiled)))
        is("2", re.match("ab", compiled))
        is("3", re.match("ab", "'b'", 2))
        re.updatelocale()
        is("3", re.match("ab", "%a+"))
    "#);
}

#[test]
fn every_construction() {
    run(r#"
        local m = re.match
        is("3", m("ab", "('a' 'b')"))
        is("1 nil", m("ab", "&'a'"), (m("ab", "!'a'")))
        is("2", m("ab", "'x' / 'a'"))
        is("1 1 4", m("b", "'a'?"), m("b", "'a'*"), m("aaab", "'a'+"))
        is("3 nil", m("aab", "'a'^2"), (m("ab", "'a'^2")))
        is("4 nil", m("aaab", "'a'^+2"), (m("ab", "'a'^+2")))
        is("3 1", m("aaab", "'a'^-2"), m("b", "'a'^-2"))
        is("1", m("b", "'a'^0"))
        is("4", m("abc", [["abc"]]))
        is("2 2 nil", m("]", "[]]"), m("-", "[a-]"), (m("b", "[^a-z]")))
        is("2 2", m("^", "[a^]"), m("\n", "[%nl]"))
        is("2 2 2", m("5", "[%a%d]"), m("_", "[_%w]"), m("%", "[%]"))
        is("2", m("x", "."))
        is("4", m("12a", "%d+ %a"))
        is("nil 2", (m("1", "%D")), m("a", "%D"))
        is("1 3", m("ab", "{} .. {}"))
        is("ab a", m("ab", "{ {.} . }"))
        is("a b", m("ab", "{: {.} {.} :}"))
        is("{n=a}", m("a", "{| {:n: . :} |}"))
        is("{a,b}", m("ab", "{| {.}* |}"))
        is("x-y", m("xay", "{~ ('a' -> '-' / .)* ~}"))
        is("4", m("aXa", "{:c: . :} 'X' =c"))
        is("nil", (m("aXb", "{:c: . :} 'X' =c")))
        is("b", m("ab", "({.} {.}) -> 2"))
        is("3", m("ab", "({.} {.}) -> 0"))
        is("[b a]", m("ab", "({.} {.}) -> '[%2 %1]'"))
        is("{a,b}", m("ab", "({.} {.}) -> {}"))
        is("5", m("(())", "b <- '(' b* ')'"))
        is("5", m("(())", "b <- '(' <b>* ')'"))
        is("2", m("a", [[ -- a comment
            s <- 'a'   -- another
            ]]))
        is("3", m("ab", "a <- 'a' b  b <- 'b'"))
        is("1", m("", ""))
        is("4", m("a%b", "'a%b'"))
    "#);
}

#[test]
fn definitions_of_the_caller() {
    run(r#"
        local defs = {
            word = lpeg.R("az") ^ 1, upper = string.upper, map = { a = "is a" }, text = "<%0>",
            add = function(a, b) return a + b end, num = tonumber, even = function(_, _, n) return n % 2 == 0, n end,
            any = "plain text",
        }
        local function m(subject, pattern) return re.compile(pattern, defs):match(subject) end
        is("4", m("abc1", "%word"))
        is("4", m("abc", "[%word]+ "))
        is("ABC", m("abc", "%word -> upper"))
        is("is a", m("a", "{.} -> map"))
        is("<a>", m("a", ". -> text"))
        is("6", m("1,2,3", "(({%d} -> num) (',' ({%d} -> num))*) ~> add"))
        is("6", m("1,2,3", "({%d} -> num) (',' ({%d} -> num) >> add)*"))
        is("4 nil", m("4", "({%d} -> num) => even"), (m("3", "({%d} -> num) => even")))
        is("11", m("plain text", "%any"))
    "#);
}

#[test]
fn longer_grammars() {
    run(r#"
        local csv = re.compile([[
            record <- {| field (',' field)* |} (%nl / !.)
            field <- escaped / nonescaped
            nonescaped <- { [^,"%nl]* }
            escaped <- '"' {~ ([^"] / '""' -> '"')* ~} '"'
        ]])
        is('{a,,say "hi",d}', csv:match('a,,"say ""hi""",d'))
        local reverse = re.compile("R <- (!.) -> '' / ({.} R) -> '%2%1'")
        is("9876543210", reverse:match("0123456789"))
        local long = re.compile([[
            longstring <- ('[' {:eq: '='* :} '[' close)
            close <- ']' =eq ']' / . close
        ]])
        is("17", long:match("[==[]]===]]]]==]===[]"))
        local blocks = re.compile([[
            block <- {| {:ident:' '*:} line ((=ident !' ' line) / &(=ident ' ') block)* |}
            line <- {[^%nl]*} %nl
        ]])
        is("{first,{one,{two,ident=    },ident=  },last,ident=}", blocks:match("first\n  one\n    two\nlast\n"))
        local macros = re.compile([[
            text <- {~ item* ~}
            item <- macro / [^()] / '(' item* ')'
            arg <- ' '* {~ (!',' item)* ~}
            args <- '(' arg (',' arg)* ')'
            macro <- ('apply' args) -> '%1(%2)' / ('add' args) -> '%1 + %2' / ('mul' args) -> '%1 * %2'
        ]])
        is("a * b + f(x)", macros:match("add(mul(a,b), apply(f,x))"))
    "#);
}

#[test]
fn errors_of_the_syntax() {
    run(r#"
        local function refuses(pattern, wanted) fails(wanted, re.compile, pattern) end
        refuses("aaaa", "rule 'aaaa' used outside a grammar")
        refuses("b <- a", "rule 'a' undefined in given grammar")
        refuses("x <- 'a'  x <- 'b'", "'x' already defined as a rule")
        refuses("'a' -", "pattern error near '-'")
        refuses("('a'", "pattern error near '('a''")
        refuses("'a' ]" .. ("x"):rep(40), "pattern error near ']" .. ("x"):rep(20) .. "...'")
        refuses("%nothing", "name 'nothing' undefined")
        refuses("'a' -> nothing", "undefined name: nothing")
        refuses("a <- a 'x'", "rule 'a' may be left recursive")
        refuses("''*", "loop body may accept empty string")
    "#);
}
