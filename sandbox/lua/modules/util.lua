-- Helpers for tables.
--
-- Owns:    the module `util`: `table_to_fields`, `behead_array`.
-- Bounds:  the depth of a table is the caller's affair; `max_depth` ends it with JSON.

local string = require "string"
local cjson = require "cjson"

local M = {}

local function flatten(t, fields, prefix, separator, depth, max_depth)
    for key, value in pairs(t) do
        local name = prefix and prefix .. key or key
        local kind = type(value)
        if kind == "table" then
            if depth >= max_depth then
                fields[name] = cjson.encode(value)
            else
                flatten(value, fields, name .. separator, separator, depth + 1, max_depth)
            end
        elseif kind ~= "userdata" then
            fields[name] = value
        end
    end
end

-- How often `separator` occurs in `text`.
local function occurrences(text, separator)
    local count, at = 0, 1
    while separator ~= "" do
        local _, last = string.find(text, separator, at, true)
        if not last then
            break
        end
        count, at = count + 1, last + 1
    end
    return count
end

-- Adds the values of `t` to `fields`, under the names of their keys joined by `separator`, "." if it is no string. A table at
-- level `max_depth` is written as JSON; the levels of `parent` count.
function M.table_to_fields(t, fields, parent, separator, max_depth)
    if type(separator) ~= "string" then
        separator = "."
    end
    if type(max_depth) ~= "number" then
        max_depth = 1 / 0
    end
    if parent then
        flatten(t, fields, parent .. separator, separator, occurrences(parent, separator) + 2, max_depth)
    else
        flatten(t, fields, nil, separator, 1, max_depth)
    end
end

-- Drops the values before `index`, so that the value there becomes the first.
function M.behead_array(index, array)
    local count = #array
    local dropped = index - 1
    if dropped <= 0 then
        return
    end
    for i = 1, count do
        array[i] = array[i + dropped]
    end
end

return M
