-- Draws the memory of a host: a graph of MemFree, Cached, Active, Inactive, VmallocUsed, Shmem, SwapCached, SwapFree and the used swap.
--
-- Input:  stats.memstats messages (lua_decoders/linux_memstats.lua), which also have SwapTotal; -1 for a message without one of the
--         numbers.
-- Config: rows (1440) and sec_per_row (60) of the buffer; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows or sec_per_row.
-- Output: payload of type cbuf, name "Memory Stats", each tick; alerts.
-- Bounds: the buffer.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local title = "Memory Stats"
local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
annotation.set_prune(title, rows * sec_per_row * 1e9)

local NAMES = {"MemFree", "Cached", "Active", "Inactive", "VmallocUsed", "Shmem", "SwapCached", "SwapFree"}
local SWAP_FREE, SWAP_USED = #NAMES, #NAMES + 1

cbuf = circular_buffer.new(rows, SWAP_USED, sec_per_row)
local fields = {}
for column, name in ipairs(NAMES) do
    cbuf:set_header(column, name, "Count", "max")
    fields[column] = "Fields[" .. name .. "]"
end
cbuf:set_header(SWAP_USED, "SwapUsed", "Count", "max")

local values = {}

function process_message()
    for column, field in ipairs(fields) do
        local value = read_message(field)
        if type(value) ~= "number" then
            return -1
        end
        values[column] = value
    end
    local swap = read_message("Fields[SwapTotal]")
    if type(swap) ~= "number" then
        return -1
    end
    values[SWAP_USED] = swap - values[SWAP_FREE]
    local ns = read_message("Timestamp")
    for column, value in ipairs(values) do
        cbuf:set(ns, column, value)
    end
    return 0
end

-- Alerts of what is unusual in the graph, and notes on it.
local function detect(ns)
    if alert.throttled(ns) then
        return
    end
    local text, notes = anomaly.detect(ns, title, cbuf, anomaly_config)
    if text then
        annotation.concat(title, notes)
        alert.send(ns, text)
    end
end

function timer_event(ns)
    if anomaly_config then
        detect(ns)
        inject_payload("cbuf", title, annotation.prune(title, ns), cbuf)
    else
        inject_payload("cbuf", title, cbuf)
    end
end
