-- What tests of modules assert with.

local string = require "string"
local table = require "table"

local M = {}

local function show(value)
    if type(value) ~= "table" then
        return type(value) == "string" and string.format("%q", value) or tostring(value)
    end
    local parts = {}
    for key, part in pairs(value) do
        parts[#parts + 1] = tostring(key) .. " = " .. show(part)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(one, other)
    if type(one) ~= "table" or type(other) ~= "table" then
        return one == other or one ~= one and other ~= other
    end
    for key, value in pairs(one) do
        if not same(value, other[key]) then
            return false
        end
    end
    for key in pairs(other) do
        if one[key] == nil then
            return false
        end
    end
    return true
end

-- Equal in all parts; nan is equal to nan.
function M.equal(found, wanted, about)
    if not same(found, wanted) then
        error(string.format("%s: wanted %s, found %s", tostring(about or "value"), show(wanted), show(found)), 2)
    end
end

-- The function raises an error with the text in it.
function M.raises(text, f, ...)
    local ok, why = pcall(f, ...)
    if ok then
        error("no error: " .. text, 2)
    elseif not string.find(tostring(why), text, 1, true) then
        error(string.format("wanted the error %s, found %s", text, tostring(why)), 2)
    end
end

return M
