-- Gathers messages as lines of InfluxDB's line protocol and sends many of them at once.
--
-- Config: flush_count (0): messages that make a batch before the next tick, 0 for any number;
--         decimal_precision (6), name_prefix (none), name_prefix_delimiter (none), skip_fields (none), source_value_field (none),
--         tag_fields (**all_base**), timestamp_precision (ms), value_field_key (value): see ts_line_protocol.
-- Output: payload of type txt, name influx_line, each tick and each full batch.
-- Bounds: 60,000 bytes, which the default output limit holds: a batch that would grow beyond is sent before. What is gathered when the
--         daemon stops is sent with timer_event_on_shutdown.

local influx_lines = require "hekad.influx_lines"
local table = require "table"
local ts_line_protocol = require "ts_line_protocol"

local BATCH_BYTES = 60000

local flush_count = tonumber(read_config("flush_count")) or 0
local config = influx_lines.configured()

local batch, batch_bytes, messages = {}, 0, 0

local function flush()
    if batch[1] then
        local text = table.concat(batch, "\n")
        batch, batch_bytes, messages = {}, 0, 0
        inject_payload("txt", "influx_line", text, "\n")
    end
end

function process_message()
    local lines = ts_line_protocol.influxdb_line_msg(config)
    if not lines[1] then
        return 0
    end
    local text = table.concat(lines, "\n")
    local full = batch_bytes + #text + 1 > BATCH_BYTES
    if full then
        flush()
    end
    batch[#batch + 1] = text
    batch_bytes = batch_bytes + #text + 1
    messages = messages + 1
    -- A message may be injected once for each that comes in.
    if not full and flush_count > 0 and messages >= flush_count then
        flush()
    end
    return 0
end

function timer_event()
    flush()
end
