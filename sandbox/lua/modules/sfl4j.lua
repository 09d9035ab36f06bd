-- A grammar of log events of Java's SLF4J, with the stack trace that may follow.
--
-- Owns:    the module `sfl4j` (Heka spells it so): `logevent_grammar`, which captures severity (syslog's), timestamp (ns), class, message, stacktrace.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local dt = require "date_time"

local M = {}

local severity = l.P(false)
for name, number in pairs{TRACE = 7, DEBUG = 7, INFO = 6, WARN = 4, ERROR = 3, FATAL = 0} do
    severity = severity + (l.P(name) + string.lower(name)) * l.Cc(number)
end

local function fraction(digits)
    return tonumber("0." .. digits)
end

-- 2014-11-21 16:35:59,501
local time = l.Ct(dt.rfc3339_full_date * l.space^1 * dt.time_hour * ":" * dt.time_minute * ":" * dt.time_second
    * "," * l.Cg(l.digit^3 / fraction, "sec_frac")^-1) / dt.time_to_ns

local newline = l.P"\n"
local text = (1 - newline)^0

-- ERROR [2014-11-21 16:35:59,501] com.domain.Class: text
M.logevent_grammar = l.Ct(l.Cg(severity, "severity") * l.space^1 * "[" * l.Cg(time, "timestamp") * "]" * l.space^1
    * l.Cg((1 - l.P":")^1, "class") * ":" * l.space^1
    * l.Cg(text, "message") * newline * l.Cg((text * newline)^0, "stacktrace"))

return M
