-- Draws the daemon's own memory: a graph of HeapSys, HeapAlloc, HeapIdle, HeapInuse, HeapReleased and HeapObjects.
--
-- Input:  heka.memstat messages; a field that is missing leaves a gap.
-- Config: rows (1440) and sec_per_row (60) of the buffer; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows or sec_per_row.
-- Output: payload of type cbuf, name "Stats", each tick; alerts.
-- Bounds: the buffer.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local cbuf_graph = require "hekad.cbuf_graph"

local title = "Stats"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 1440, 60)

local NAMES = {"HeapSys", "HeapAlloc", "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects"}

stats = circular_buffer.new(rows, #NAMES, sec_per_row)
local fields = {}
for column, name in ipairs(NAMES) do
    stats:set_header(column, name, name == "HeapObjects" and "count" or "B", "max")
    fields[column] = "Fields[" .. name .. "]"
end

function process_message()
    local ns = read_message("Timestamp")
    for column, field in ipairs(fields) do
        local value = read_message(field)
        if type(value) == "number" then
            stats:set(ns, column, value)
        end
    end
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, stats, tests, alert.send)
end
