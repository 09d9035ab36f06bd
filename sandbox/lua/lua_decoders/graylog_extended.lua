-- Decoder of Graylog's extended log format (GELF), version 1 in JSON.
--
-- Config:  type, payload_keep.
-- Gives:   Timestamp, EnvVersion, Severity, Hostname from timestamp, version, level, host; a field for every other key.
-- Refuses: what is no JSON object, has no number for a timestamp, or cannot be a message: -1.

local cjson = require "cjson"

local payload_keep = read_config("payload_keep")

local msg = {Type = read_config("type")}

local function take(json, key)
    local value = json[key]
    json[key] = nil
    return value
end

function process_message()
    local text = read_message("Payload")
    local ok, json = pcall(cjson.decode, text)
    if not ok or type(json) ~= "table" or type(json.timestamp) ~= "number" then
        return -1
    end
    msg.Timestamp = take(json, "timestamp") * 1e9
    msg.EnvVersion = take(json, "version")
    msg.Severity = take(json, "level")
    msg.Hostname = take(json, "host")
    if payload_keep then
        msg.Payload = text
    end
    msg.Fields = json
    if not pcall(inject_message, msg) then
        return -1
    end
    return 0
end
