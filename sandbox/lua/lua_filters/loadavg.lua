-- Draws the load of a host: a graph of 1MinAvg, 5MinAvg, 15MinAvg and NumProcesses.
--
-- Input:  stats.loadavg messages (lua_decoders/linux_loadavg.lua); -1 for a message without one of the four numbers.
-- Config: rows (1440) and sec_per_row (60) of the buffer; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows or sec_per_row.
-- Output: payload of type cbuf, name "LoadAvg Stats", each tick; alerts.
-- Bounds: the buffer.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local cbuf_graph = require "hekad.cbuf_graph"

local title = "LoadAvg Stats"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 1440, 60)

local NAMES = {"1MinAvg", "5MinAvg", "15MinAvg", "NumProcesses"}

cbuf = circular_buffer.new(rows, #NAMES, sec_per_row)
local fields = {}
for column, name in ipairs(NAMES) do
    cbuf:set_header(column, name, "Count", "max")
    fields[column] = "Fields[" .. name .. "]"
end

local values = {}

function process_message()
    if not cbuf_graph.read_numbers(fields, values) then
        return -1
    end
    cbuf_graph.set_row(cbuf, read_message("Timestamp"), values)
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, cbuf, tests, alert.send)
end
