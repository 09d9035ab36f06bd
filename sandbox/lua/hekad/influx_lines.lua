-- What the plugins that write InfluxDB's line protocol share.
--
--   configured()   their options, as module ts_line_protocol wants them
--
-- Bounds: keeps nothing.

local ts_line_protocol = require "ts_line_protocol"

local M = {}

function M.configured()
    return ts_line_protocol.set_config({
        decimal_precision = read_config("decimal_precision"),
        fields_unread = true,
        name_prefix = read_config("name_prefix"),
        name_prefix_delimiter = read_config("name_prefix_delimiter"),
        skip_fields_str = read_config("skip_fields"),
        source_value_field = read_config("source_value_field"),
        tag_fields_str = read_config("tag_fields") or "**all_base**",
        timestamp_precision = read_config("timestamp_precision"),
        value_field_key = read_config("value_field_key"),
    })
end

return M
