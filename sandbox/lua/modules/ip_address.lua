-- Grammars of IP addresses in text; they capture nothing.
--
-- Owns:    the module `ip_address`: `v4` (dotted decimal) and `v6` (all forms of RFC 4291, with or without an IPv4 tail).
-- Bounds:  a text that cannot be an IPv6 address is refused after five characters.

local l = require "lpeg"
l.locale(l)

local M = {}

local octet = "25" * l.R"05" + "2" * l.R"04" * l.digit + "1" * l.digit * l.digit + l.R"19" * l.digit + l.digit
M.v4 = octet * "." * octet * "." * octet * "." * octet

-- Rules, for they stand in many places and a pattern is copied into each.
local group, v4 = l.V"group", l.V"v4"
local next_group = ":" * group

-- Exactly `n` groups with colons between.
local function groups(n)
    local pattern = group
    for _ = 2, n do
        pattern = pattern * next_group
    end
    return n == 0 and l.P(true) or pattern
end

-- What may follow "::" where at most `room` groups are left; an IPv4 tail takes the place of two.
local function after_gap(room)
    local tail = room > 0 and group * next_group^-(room - 1) + true or l.P(true)
    if room >= 2 then
        tail = (group * ":")^-(room - 2) * v4 + tail
    end
    return tail
end

local forms = groups(6) * ":" * v4 + groups(8)
for before = 0, 7 do
    forms = forms + groups(before) * "::" * after_gap(7 - before)
end

-- Every form has a colon within its first five characters.
M.v6 = -(-(l.xdigit^-4 * ":")) * l.P{forms, group = l.xdigit * l.xdigit^-3, v4 = M.v4}

return M
