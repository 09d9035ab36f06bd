-- Which headers and fields of a message a script uses.
--
--   field_map(names)            names with blanks between them, as a set; whether **all_base** is among them, whether **all** is. With
--                               either, and for no names at all (which counts as **all_base**), the headers are in the set too
--   used_base_fields(skipped)   the headers that are not in a set
--   message_timestamp(unit)     the message's time in ms, s, m or h, rounded down; in ms for any other unit
--   base_fields_list            the headers that can be chosen; base_fields_tag_list: those that serve as tags

local math = require "math"
local string = require "string"

local M = {}

M.base_fields_list = {
    EnvVersion = true, Hostname = true, Logger = true, Payload = true, Pid = true, Severity = true, Type = true,
}
M.base_fields_tag_list = {Hostname = true, Logger = true, Severity = true, Type = true}

local UNITS = {ms = 1e6, s = 1e9, m = 60 * 1e9, h = 3600 * 1e9}

function M.field_map(names)
    local set, listed = {}, false
    for name in string.gmatch(names or "", "%S+") do
        set[name] = true
        listed = true
    end
    local all_base = set["**all_base**"] or not listed
    local all = set["**all**"] or false
    if all_base or all then
        for header in pairs(M.base_fields_list) do
            set[header] = true
        end
    end
    return set, all_base, all
end

function M.used_base_fields(skipped)
    local used = {}
    for header in pairs(M.base_fields_list) do
        if not skipped or not skipped[header] then
            used[header] = true
        end
    end
    return used
end

function M.message_timestamp(unit)
    return math.floor(read_message("Timestamp") / (UNITS[unit] or UNITS.ms))
end

return M
