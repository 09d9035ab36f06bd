-- A grammar of what a circular buffer prints as its changes (`cbufd`).
--
-- Owns:    the module `cbufd`: `grammar`, which captures {header = text, {time = ns, value, ...}, ...}.
-- Bounds:  the whole text has to match.

local l = require "lpeg"
l.locale(l)

local M = {}

local function not_a_number()
    return 0 / 0
end

local newline = l.P"\n"
local number = l.P"-"^-1 * l.digit^1 * ("." * l.digit^1)^-1 / tonumber + l.P"nan" / not_a_number
local nanoseconds = l.digit^1 / "%0000000000" / tonumber
local row = l.Ct(l.Cg(nanoseconds, "time") * ("\t" * number)^1 * newline)

M.grammar = l.Ct(l.Cg((1 - newline)^1, "header") * newline * row^1) * -1

return M
