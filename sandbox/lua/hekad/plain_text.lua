-- Values of messages as texts that people and other programs read.
--
--   of(value)   a whole number without a point, any other with 14 digits, anything else as tostring has it
--
-- Bounds: keeps nothing.

local string = require "string"

local M = {}

local format = string.format

function M.of(value)
    if type(value) ~= "number" then
        return tostring(value)
    end
    if value % 1 == 0 and value > -1e15 and value < 1e15 then
        return format("%d", value)
    end
    return format("%.14g", value)
end

return M
