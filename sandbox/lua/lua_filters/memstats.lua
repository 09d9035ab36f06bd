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
local cbuf_graph = require "hekad.cbuf_graph"

local title = "Memory Stats"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 1440, 60)

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
    if not cbuf_graph.read_numbers(fields, values) then
        return -1
    end
    local swap = read_message("Fields[SwapTotal]")
    if type(swap) ~= "number" then
        return -1
    end
    values[SWAP_USED] = swap - values[SWAP_FREE]
    cbuf_graph.set_row(cbuf, read_message("Timestamp"), values)
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, cbuf, tests, alert.send)
end
