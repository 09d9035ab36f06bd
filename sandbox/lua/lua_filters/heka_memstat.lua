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
local annotation = require "annotation"
local anomaly = require "anomaly"

local title = "Stats"
local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
annotation.set_prune(title, rows * sec_per_row * 1e9)

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

-- Alerts of what is unusual in the graph, and notes on it.
local function detect(ns)
    if alert.throttled(ns) then
        return
    end
    local text, notes = anomaly.detect(ns, title, stats, anomaly_config)
    if text then
        annotation.concat(title, notes)
        alert.send(ns, text)
    end
end

function timer_event(ns)
    if anomaly_config then
        detect(ns)
        inject_payload("cbuf", title, annotation.prune(title, ns), stats)
    else
        inject_payload("cbuf", title, stats)
    end
end
