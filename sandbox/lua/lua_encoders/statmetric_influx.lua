-- Writes the statistics of a heka.statmetric message as JSON series of InfluxDB before 0.9.
--
-- Input:  StatAccumInput's messages with `emit_in_fields`; the field timestamp holds seconds. Returns -1 without it.
-- Output: a series for each other field, named as the field, with the columns time (milliseconds) and value. BYTES fields and numbers that
--         JSON cannot hold are left out; returns -2 when nothing is left.
-- Bounds: keeps nothing.

local cjson = require "cjson"

local BYTES = 1

function process_message()
    local seconds = tonumber(read_message("Fields[timestamp]"))
    if not seconds then
        return -1, "no field timestamp"
    end
    local time = seconds * 1000
    local all = {}
    local kind, name, value = read_next_field()
    while kind do
        local writable = value ~= nil and (type(value) ~= "number" or value - value == 0)
        if writable and kind ~= BYTES and name ~= "timestamp" then
            all[#all + 1] = {name = name, columns = {"time", "value"}, points = {{time, value}}}
        end
        kind, name, value = read_next_field()
    end
    if not all[1] then
        return -2
    end
    inject_payload("json", "influx_stats", cjson.encode(all))
    return 0
end
