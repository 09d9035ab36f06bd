-- Fills a template from the message: every %{name} becomes what the message says.
--
--   interpolate_from_msg(template[, seconds])   the text, and how many %{...} the template has
--
-- A name is looked for in this order: the headers Type, Hostname, Pid, UUID, Logger, EnvVersion, Severity; the first value of a message
-- field; a layout for os.date, of `seconds` since 1970 or of now, in UTC. Where nothing fits, the %{name} stays.
-- Bounds: the last dates are remembered, of at most 32 layouts, and what stands where in the last 32 templates.

local math = require "math"
local os = require "os"
local plain_text = require "hekad.plain_text"
local string = require "string"
local table = require "table"

local M = {}

local as_text = plain_text.of

local HEADERS = {
    Type = "Type", Hostname = "Hostname", Pid = "Pid", UUID = "Uuid", Logger = "Logger", EnvVersion = "EnvVersion",
    Severity = "Severity",
}
local LAYOUTS, TEMPLATES = 32, 32

local dates, layouts = {}, 0
local known, templates = {}, 0

-- The date that a layout shows, or nil where it is none. A table (`*t`) is no text.
local function date(layout, seconds)
    seconds = math.floor(seconds or os.time())
    local last = dates[layout]
    if last and last.seconds == seconds then
        return last.text
    end
    local utc = layout:sub(1, 1) == "!" and layout or "!" .. layout
    local good, text = pcall(os.date, utc, seconds)
    if not good or type(text) ~= "string" or text == layout then
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

-- What a template consists of: literal texts, and tables that say what to read.
local function parse(template)
    local parts, at, names = {}, 1, 0
    while true do
        local first, last, name = template:find("%%{(.-)}", at)
        if not first then
            break
        end
        if first > at then
            parts[#parts + 1] = template:sub(at, first - 1)
        end
        parts[#parts + 1] = {
            variable = HEADERS[name] or "Fields[" .. name .. "]",
            layout = not HEADERS[name] and name:find("%", 1, true) and name or nil,
            unknown = "%{" .. name .. "}",
        }
        names = names + 1
        at = last + 1
    end
    if at <= #template then
        parts[#parts + 1] = template:sub(at)
    end
    parts.names = names
    return parts
end

local function parts_of(template)
    local parts = known[template]
    if not parts then
        if templates == TEMPLATES then
            known, templates = {}, 0
        end
        parts = parse(template)
        known[template] = parts
        templates = templates + 1
    end
    return parts
end

local function fill(part, seconds)
    local value = read_message(part.variable)
    if value == nil and part.layout then
        value = date(part.layout, seconds)
    end
    if value == nil then
        return part.unknown
    end
    return type(value) == "string" and value or as_text(value)
end

function M.interpolate_from_msg(template, seconds)
    template = tostring(template)
    if not template:find("%{", 1, true) then
        return template, 0
    end
    local parts = parts_of(template)
    local texts = {}
    for i, part in ipairs(parts) do
        texts[i] = type(part) == "string" and part or fill(part, seconds)
    end
    return table.concat(texts), parts.names
end

return M
