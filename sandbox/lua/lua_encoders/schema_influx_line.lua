-- Writes a message's fields in the line protocol of InfluxDB 0.9 and later.
--
-- Config: decimal_precision (6), name_prefix (none), name_prefix_delimiter (none), skip_fields (none), source_value_field (none),
--         tag_fields (**all_base**), timestamp_precision (ms), value_field_key (value): see ts_line_protocol.
-- Output: a line for each value; returns -2 for a message without fields to send.
-- Bounds: keeps nothing.

local influx_lines = require "hekad.influx_lines"
local table = require "table"
local ts_line_protocol = require "ts_line_protocol"

local config = influx_lines.configured()

function process_message()
    local lines = ts_line_protocol.influxdb_line_msg(config)
    if not lines[1] then
        return -2
    end
    inject_payload("txt", "influx_line", table.concat(lines, "\n"), "\n")
    return 0
end
