-- Decoder of JSON objects.
--
-- Config:  type ("json"), payload_keep, map_fields; Payload, Uuid, Type, Logger, Hostname, Severity, EnvVersion, Pid, Timestamp: the keys that give these
--          headers; timestamp_format (strftime; nanoseconds without it); maximum_depth, separator (".").
-- Gives:   the mapped headers, and a field for every other key; nested ones flattened, below maximum_depth as JSON.
-- Refuses: what is no JSON object or array, a time that does not have the format, what cannot be a message: -1 with the reason.

local cjson = require "cjson"
local util = require "util"
local dt = require "date_time"

local payload_keep = read_config("payload_keep")
local maximum_depth = read_config("maximum_depth")
local separator = read_config("separator")
local time_key = read_config("Timestamp")
local time_format = read_config("timestamp_format")
local time_grammar = time_format and dt.build_strftime_grammar(time_format)

local KINDS = {
    Payload = "string", Uuid = "string", Type = "string", Logger = "string", Hostname = "string",
    Severity = "number", EnvVersion = "number", Pid = "number",
}
-- Headers, the keys that give them, and the types that these must have.
local mapped = {}
if read_config("map_fields") then
    for header, kind in pairs(KINDS) do
        local key = read_config(header)
        if key then
            mapped[#mapped + 1] = {header = header, key = key, kind = kind}
        end
    end
end

local msg = {Type = read_config("type") or "json"}

local function map_headers(json)
    for _, entry in ipairs(mapped) do
        local value = json[entry.key]
        if type(value) == entry.kind then
            msg[entry.header] = value
            json[entry.key] = nil
        else
            msg[entry.header] = nil
        end
    end
end

-- Takes the time; false where it does not have the format.
local function map_time(json)
    local value = json[time_key]
    json[time_key] = nil
    if value and time_grammar then
        local kind = type(value)
        local time = (kind == "string" or kind == "number") and time_grammar:match(value)
        if not time then
            return false
        end
        value = dt.time_to_ns(time)
    end
    msg.Timestamp = value
    return true
end

function process_message()
    local text = read_message("Payload")
    local ok, json = pcall(cjson.decode, text)
    if not ok then
        return -1, "Failed to decode JSON."
    elseif type(json) ~= "table" then
        return -1, "Failed to flatten message."
    end
    if payload_keep then
        msg.Payload = text
    end
    map_headers(json)
    if time_key and not map_time(json) then
        return -1, "Failed to decode timestamp."
    end

    local fields = {}
    if not pcall(util.table_to_fields, json, fields, nil, separator, maximum_depth) then
        return -1, "Failed to flatten message."
    end
    msg.Fields = fields
    if not pcall(inject_message, msg) then
        return -1, "Failed to inject message."
    end
    return 0
end
