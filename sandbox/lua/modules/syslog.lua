-- Grammars of what rsyslog writes by a template.
--
-- Owns:    the module `syslog`: `build_rsyslog_grammar`, `severity`.
-- Captures: a table of the template's properties by their names in lower case; times in nanoseconds, `timereported` as `timestamp`; `pri` as {facility,
--           severity}; `syslogtag` as {programname, pid}; `structured-data` as {id, _NAME = value}.
-- Bounds:  a grammar is built once; the last time is remembered.

local l = require "lpeg"
l.locale(l)
local math = require "math"
local string = require "string"
local dt = require "date_time"
local log_grammar = require "hekad.log_grammar"
local ip = require "ip_address"

local M = {}
local digit = l.digit
local printable = l.R"!~"

-- A choice of names, in lower or in upper case, the longest first, that gives their numbers.
local function numbered(names)
    local choice = l.P(false)
    for _, entry in ipairs(names) do
        choice = choice + (l.P(entry[1]) + string.upper(entry[1])) * l.Cc(entry[2])
    end
    return choice
end

M.severity = numbered{
    {"debug", 7}, {"info", 6}, {"notice", 5}, {"warning", 4}, {"warn", 4}, {"error", 3}, {"err", 3}, {"crit", 2}, {"alert", 1}, {"emerg", 0}, {"panic", 0},
}
local FACILITIES = {
    {"kern", 0}, {"user", 1}, {"mail", 2}, {"daemon", 3}, {"authpriv", 10}, {"auth", 4}, {"security", 4}, {"syslog", 5}, {"lpr", 6}, {"news", 7},
    {"uucp", 8}, {"cron", 9}, {"ftp", 11}, {"ntp", 12}, {"audit", 13}, {"alert", 14}, {"clock", 15}, {"local0", 16}, {"local1", 17}, {"local2", 18},
    {"local3", 19}, {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23},
}

local function facility()
    return numbered(FACILITIES)
end

local function parts_of_priority(text)
    local number = tonumber(text)
    return {facility = math.floor(number / 8), severity = number % 8}
end
local priority = digit * digit^-2 / parts_of_priority

-- Nanoseconds of a time that `grammar` captures.
local function remembered_time(grammar)
    return log_grammar.remembered_time(grammar, dt.time_to_ns)
end

-- Formats of times, and the grammars of module `date_time` for them.
local TIMES = {
    ["date-rfc3164"] = "rfc3164_timestamp",
    ["date-rfc3164-buggyday"] = "rfc3164_timestamp",
    ["date-mysql"] = "mysql_timestamp",
    ["date-pgsql"] = "pgsql_timestamp",
    ["date-rfc3339"] = "rfc3339",
}

local function time(options)
    if options["date-unixtimestamp"] then
        return digit^1 / dt.seconds_to_ns
    elseif options["date-subseconds"] then
        return digit^1 / tonumber
    end
    local grammar = "rfc3164_timestamp"
    for option in pairs(options) do
        grammar = TIMES[option] or grammar
    end
    return remembered_time(dt[grammar])
end

-- RFC 5424: [id name="value" name="value"][id ...]
local function unescape(text)
    return (string.gsub(text, '\\([]"\\])', "%1"))
end

local function private_name(name)
    return "_" .. name
end

local function keep_first(t, name, value)
    if t[name] == nil then
        t[name] = value
    end
    return t
end

local function structured_data()
    local name = (printable - l.S'=]"')^-32
    local value = ((1 - l.S'"\\') + "\\" * l.P(1))^0 / unescape
    local parameter = l.Cg(name / private_name * '="' * value * '"')
    local element = "[" * l.Cg(l.Cc"id" * l.C(name)) * (" " * parameter)^0 * "]"
    return l.Ct(true) * "-" + l.Cf(l.Ct(true) * element^1, keep_first)
end

-- Text that ends before what the template has next.
local function word(most)
    return function(_, stop)
        return (printable - stop)^-most
    end
end

local function program_name(_, stop)
    return (printable - l.S":[" - stop)^0
end

local function message(_, stop)
    return (1 - stop)^0
end

local function syslog_tag(options, stop)
    return l.Ct(l.Cg(program_name(options, stop), "programname") * ("[" * l.Cg(digit^1 / tonumber, "pid") * "]")^-1 * l.P":"^-1)
end

local function part_of_time(name)
    return function()
        return dt[name]
    end
end

-- A property is a pattern, or makes one from its options and what stops it.
local PROPERTIES = {
    msg = message,
    rawmsg = message,
    hostname = word(255),
    source = word(255),
    fromhost = word(255),
    ["fromhost-ip"] = function()
        return ip.v4 + ip.v6
    end,
    syslogtag = syslog_tag,
    programname = program_name,
    pri = priority,
    -- The number of the facility, as Heka.
    ["pri-text"] = function()
        return facility() * "." * (M.severity / 0) * ("<" * digit^1 * ">")^-1
    end,
    iut = digit^1,
    syslogfacility = digit * digit^-2 / tonumber,
    ["syslogfacility-text"] = facility,
    syslogseverity = digit / tonumber,
    ["syslogseverity-text"] = M.severity,
    syslogpriority = digit / tonumber,
    ["syslogpriority-text"] = M.severity,
    timegenerated = time,
    timereported = time,
    timestamp = time,
    ["protocol-version"] = digit^1,
    ["structured-data"] = structured_data,
    ["app-name"] = word(48),
    procid = word(128),
    msgid = word(32),
    inputname = word(255),
    ["$bom"] = l.P"\239\187\191",
    ["$now"] = part_of_time"rfc3339_full_date",
    ["$year"] = part_of_time"date_fullyear",
    ["$month"] = part_of_time"date_month",
    ["$day"] = part_of_time"date_mday",
    ["$hour"] = part_of_time"time_hour",
    ["$hhour"] = "0" * l.S"01",
    ["$qhour"] = "0" * l.R"03",
    ["$minute"] = part_of_time"time_minute",
}
local NAMES = {timereported = "timestamp"}

local ESCAPES = {a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v", ["\\"] = "\\", ["%"] = "%", ['"'] = '"', ["'"] = "'"}

-- Reads one character or escape of literal text; returns it and the place behind it.
local function literal(template, at)
    local letter = string.match(template, "^\\(.)", at)
    if letter and ESCAPES[letter] then
        return ESCAPES[letter], at + 2
    end
    local code = string.match(template, "^\\(%d%d?%d?)", at)
    if code and tonumber(code) < 256 then
        return string.char(tonumber(code)), at + 1 + #code
    end
    return string.sub(template, at, at), at + 1
end

local function options_of(text)
    local options = {}
    for option in string.gmatch(string.lower(text), "[^,%s]+") do
        options[option] = true
    end
    return options
end

-- %name:from:to:options%; what `from` and `to` cut off is gone, and is not looked for.
local function property(template, at)
    local name, replacer, behind = string.match(template, "^%%([%w%-$]+)([^%%]*)%%()", at)
    if not name or not string.find(replacer, "^:") and replacer ~= "" then
        return nil
    end
    local options = options_of(string.match(replacer, "^:[^:]*:[^:]*:(.*)$") or string.match(replacer, "^:([^:]*)$") or "")
    if options["sp-if-no-1st-sp"] then
        return {pattern = l.P" "^1}, behind
    end
    name = string.lower(name)
    local pattern = PROPERTIES[name]
    if not pattern then
        error(string.format("invalid rsyslog property: '%s'", name), 0)
    end
    return {name = NAMES[name] or name, pattern = pattern, options = options}, behind
end

local function read_template(template)
    local items, at = {}, 1
    template = type(template) == "string" and template or ""
    while at <= #template do
        local item, behind = property(template, at)
        if not item then
            local text
            text, behind = literal(template, at)
            -- A blank of the template stands for any one blank, but only itself stops what is before it.
            item = {pattern = string.find(text, "^%s$") and l.space or l.P(text), stop = l.P(text)}
        end
        items[#items + 1], at = item, behind
    end
    return items
end

-- What follows an item up to the next property; the end of the line where nothing does.
local function what_stops(items, i)
    local stop
    for following = i + 1, #items do
        local item = items[following]
        if item.name then
            break
        end
        local next_stop = item.stop or item.pattern
        stop = stop and stop * next_stop or next_stop
    end
    return stop or l.P"\n"
end

-- A grammar of rsyslog's template.
function M.build_rsyslog_grammar(template)
    local items = read_template(template)
    if #items == 0 then
        error("could not parse the rsyslog template", 2)
    end
    local grammar = l.P(true)
    for i, item in ipairs(items) do
        local pattern = item.pattern
        if type(pattern) == "function" then
            pattern = pattern(item.options, what_stops(items, i))
        end
        grammar = grammar * (item.name and l.Cg(pattern, item.name) or pattern)
    end
    return l.Ct(grammar)
end

return M
