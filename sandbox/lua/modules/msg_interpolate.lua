-- Fills a template from the message: every %{name} becomes what the message says.
--
--   interpolate_from_msg(template[, seconds])   the text, and how many %{...} the template has
--
-- A name is looked for in this order: the headers Type, Hostname, Pid, UUID, Logger, EnvVersion, Severity; the first value of a message
-- field; a layout for os.date, of `seconds` since 1970 or of now, in UTC. Where nothing fits, the %{name} stays.
-- Bounds: the last dates are remembered, of at most 32 layouts.

local math = require "math"
local os = require "os"
local string = require "string"

local M = {}

local HEADERS = {
    Type = "Type", Hostname = "Hostname", Pid = "Pid", UUID = "Uuid", Logger = "Logger", EnvVersion = "EnvVersion",
    Severity = "Severity",
}
local LAYOUTS = 32

local dates, layouts = {}, 0

-- The date that a layout shows, or nil where it is none. A table (`*t`) is no text.
local function date(layout, seconds)
    seconds = math.floor(seconds or os.time())
    local last = dates[layout]
    if last and last.seconds == seconds then
        return last.text
    end
    local utc = layout:sub(1, 1) == "!" and layout or "!" .. layout
    local known, text = pcall(os.date, utc, seconds)
    if not known or type(text) ~= "string" or text == layout then
        return nil
    end
    if not last then
        if layouts == LAYOUTS then
            dates, layouts = {}, 0
        end
        last = {}
        dates[layout] = last
        layouts = layouts + 1
    end
    last.seconds, last.text = seconds, text
    return text
end

local function as_text(value)
    if type(value) ~= "number" then
        return tostring(value)
    end
    if value % 1 == 0 and value > -1e15 and value < 1e15 then
        return string.format("%d", value)
    end
    return string.format("%.14g", value)
end

function M.interpolate_from_msg(template, seconds)
    template = tostring(template)
    if not template:find("%{", 1, true) then
        return template, 0
    end
    return template:gsub("%%{(.-)}", function(name)
        local header = HEADERS[name]
        local value
        if header then
            value = read_message(header)
        else
            value = read_message("Fields[" .. name .. "]")
            if value == nil and name:find("%", 1, true) then
                value = date(name, seconds)
            end
        end
        return value ~= nil and as_text(value) or nil
    end)
end

return M
