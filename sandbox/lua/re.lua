-- re: patterns written as text, on top of lpeg.
--
-- The syntax is that of LPeg's `re` module. A pattern is parsed by an lpeg grammar whose captures are the patterns that its
-- parts stand for, so nothing is kept of the text. What a text may name, it finds in the table `defs` that the caller gives.

local lpeg = ...

local P, S, R, V = lpeg.P, lpeg.S, lpeg.R, lpeg.V
local C, Cc, Cg, Cb, Cp, Cs, Ct = lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Cb, lpeg.Cp, lpeg.Cs, lpeg.Ct
local Cf, Cmt, Carg = lpeg.Cf, lpeg.Cmt, lpeg.Carg
local error, setmetatable, tonumber, type = error, setmetatable, tonumber, type

local any = P(1)

-- Letters of classes, and the fields of lpeg.locale that they stand for; a capital letter stands for all others.
local CLASSES = {
    a = "alpha", c = "cntrl", d = "digit", g = "graph", l = "lower",
    p = "punct", s = "space", u = "upper", w = "alnum", x = "xdigit",
}

local predefined

-- Compiled patterns by their texts, for each way to use them.
local matchers, finders, replacers

local function updatelocale()
    local locale = lpeg.locale()
    predefined = { nl = P("\n") }
    for letter, class in pairs(CLASSES) do
        predefined[letter] = locale[class]
        predefined[letter:upper()] = any - locale[class]
    end
    local weak = { __mode = "v" }
    matchers = setmetatable({}, weak)
    finders = setmetatable({}, weak)
    replacers = setmetatable({}, weak)
end

updatelocale()

-- What captures make of parts ---------------------------------------------------------------------------------------------

local function syntax_error(text, at)
    local near = text:sub(at, at + 20)
    if #text >= at + 20 then
        near = near .. "..."
    end
    error(("pattern error near '%s'"):format(near), 2)
end

-- A value that the caller must have given.
local function defined(name, defs)
    local value = defs and defs[name]
    if value == nil then
        error("undefined name: " .. name)
    end
    return value
end

-- %name
local function named_pattern(name, defs)
    local pattern = defs and defs[name] or predefined[name]
    if not pattern then
        error("name '" .. name .. "' undefined")
    end
    return P(pattern)
end

local function non_terminal(name, inside)
    if not inside then
        error("rule '" .. name .. "' used outside a grammar")
    end
    return V(name)
end

local function grammar_of(definitions)
    local rules = { definitions[1][1] }
    for _, definition in ipairs(definitions) do
        local name, pattern = definition[1], definition[2]
        if rules[name] then
            error("'" .. name .. "' already defined as a rule")
        end
        rules[name] = pattern
    end
    return P(rules)
end

-- What a group matched before, again.
local function same_again(subject, at, text)
    if type(text) ~= "string" then
        return nil
    end
    local behind = at + #text
    return subject:sub(at, behind - 1) == text and behind
end

local function exactly(pattern, count)
    local whole = P(true)
    for _ = 1, count do
        whole = whole * pattern
    end
    return whole
end

local function both(one, other) return one * other end
local function either(one, other) return one + other end
local function repeated(pattern, least) return pattern ^ least end
local function produces(pattern, value) return pattern / value end
local function no_more_than(pattern, most) return pattern ^ -most end
local function accumulates(pattern, value) return pattern % value end

-- The grammar -------------------------------------------------------------------------------------------------------------

local space = V("space")
local name = C(R("AZ", "az", "__") * R("AZ", "az", "__", "09") ^ 0)
local arrow = space * "<-"
local number = C(R("09") ^ 1) / tonumber
local text = "'" * C((any - "'") ^ 0) * "'" + '"' * C((any - '"') ^ 0) * '"'
local definition_of = name * Carg(1) / defined
local failure = P(syntax_error)

-- Where a sequence may end.
local ends = P("/") + ")" + "}" + ":}" + "~}" + "|}" + name * arrow + -1

local item = "%" * name * Carg(1) / named_pattern
    + C(any * "-" * (any - "]")) / function(range) return R(range:sub(1, 1) .. range:sub(3)) end
    + C(any) / P

local class = "[" * (P("^") * Cc(true) + Cc(false))
    * Cg(item * ((item - P("]")) % either) ^ 0) * "]"
    / function(complement, set) return complement and any - set or set end

local function between(opening, closing, make)
    return opening * V("expression") * closing / make
end

local primary = between("(", ")", P)
    + text / P
    + class
    + "%" * name * Carg(1) / named_pattern
    + "{:" * (name * ":" + Cc(nil)) * V("expression") * ":}" / function(key, pattern) return Cg(pattern, key) end
    + "=" * name / function(key) return Cmt(Cb(key), same_again) end
    + P("{}") / Cp
    + between("{~", "~}", Cs)
    + between("{|", "|}", Ct)
    + between("{", "}", C)
    + P(".") * Cc(any)
    + (name * -arrow + "<" * name * ">") * Cb("inside") / non_terminal

local suffix = P("+") * Cc(1) % repeated
    + P("*") * Cc(0) % repeated
    + P("?") * Cc(-1) % repeated
    + "^" * (number % exactly + "+" * number % repeated + "-" * number % no_more_than)
    + "->" * space * ((text + number) % produces + P("{}") * Cc(Ct) % function(pattern, make) return make(pattern) end
        + definition_of % produces)
    + "=>" * space * definition_of % Cmt
    + "~>" * space * definition_of % Cf
    + ">>" * space * definition_of % accumulates

local parser = P({
    "pattern",
    pattern = Cg(Cc(false), "inside") * V("expression") / P * (-any + failure),
    expression = space * (V("grammar") + V("alternatives")),
    alternatives = Cg(V("sequence") * ("/" * space * V("sequence") % either) ^ 0),
    sequence = Cg(Cc(P(true)) * (V("prefix") % both) ^ 0) * (-(-ends) + failure),
    prefix = "&" * space * V("prefix") / function(pattern) return -(-pattern) end
        + "!" * space * V("prefix") / function(pattern) return -pattern end
        + V("suffix"),
    suffix = Cg(primary * space * (suffix * space) ^ 0),
    grammar = Cg(Cc(true), "inside") * Ct(V("definition") ^ 1) / grammar_of,
    definition = Ct(name * arrow * V("expression")),
    space = (predefined.s + "--" * (any - predefined.nl) ^ 0) ^ 0,
})

-- The module --------------------------------------------------------------------------------------------------------------

local re = { updatelocale = updatelocale }

function re.compile(pattern, defs)
    if lpeg.type(pattern) == "pattern" then
        return pattern
    end
    local compiled = parser:match(pattern, 1, defs)
    if not compiled then
        error("incorrect pattern", 3)
    end
    return compiled
end

function re.match(subject, pattern, init)
    local compiled = matchers[pattern]
    if not compiled then
        compiled = re.compile(pattern)
        matchers[pattern] = compiled
    end
    return compiled:match(subject, init or 1)
end

function re.find(subject, pattern, init)
    local compiled = finders[pattern]
    if not compiled then
        compiled = P({ Cp() * (re.compile(pattern) / 0) * Cp() + 1 * V(1) })
        finders[pattern] = compiled
    end
    local first, behind = compiled:match(subject, init or 1)
    if first then
        return first, behind - 1
    end
    return nil
end

function re.gsub(subject, pattern, replacement)
    local by_replacement = replacers[pattern]
    if not by_replacement then
        by_replacement = {}
        replacers[pattern] = by_replacement
    end
    local compiled = by_replacement[replacement]
    if not compiled then
        compiled = Cs((re.compile(pattern) / replacement + 1) ^ 0)
        by_replacement[replacement] = compiled
    end
    return compiled:match(subject)
end

return re
