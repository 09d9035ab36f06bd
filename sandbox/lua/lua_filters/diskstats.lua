-- Draws the work of a disk: a graph of what was written and read since the last message, and one of the time that it took.
--
-- Input:  stats.diskstats messages (lua_decoders/linux_diskstats.lua); -1 for a message without one of the numbers. The field
--         TickerInterval is the seconds of a row; when it changes, both graphs start again. The first message only gives something to
--         compare with, as does one whose totals are lower than before (the host was started again).
-- Config: rows (1440) of the buffers; anomaly_config (none), see module anomaly.
-- Output: payloads of type cbuf, names "Disk Stats" and "Time doing IO", each tick; alerts.
-- Bounds: two buffers.

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local cbuf_graph = require "hekad.cbuf_graph"

local rows = read_config("rows") or 1440
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

local GRAPHS = {
    {
        key = "disk_stats", title = "Disk Stats", aggregation = "none",
        names = {"WritesCompleted", "ReadsCompleted", "SectorsWritten", "SectorsRead", "WritesMerged", "ReadsMerged"},
    },
    {
        key = "time_stats", title = "Time doing IO", aggregation = "max", unit = "ms",
        names = {"TimeWriting", "TimeReading", "TimeDoingIO", "WeightedTimeDoingIO"},
    },
}

for _, graph in ipairs(GRAPHS) do
    graph.fields = {}
    for column, name in ipairs(graph.names) do
        graph.fields[column] = "Fields[" .. name .. "]"
    end
end

last_run = {}
stats = {disk_stats = {fields = {}}, time_stats = {fields = {}}}

-- Makes a graph's buffer where there is none of this size.
local function prepare(graph, seconds)
    local state = stats[graph.key]
    if state.cbuf and last_run.rows == rows and last_run.sec_per_row == seconds then
        return
    end
    state.cbuf = circular_buffer.new(rows, #graph.names, seconds)
    for column, name in ipairs(graph.names) do
        state.cbuf:set_header(column, name, graph.unit or "per_" .. seconds .. "_s", graph.aggregation)
    end
    annotation.set_prune(graph.title, rows * seconds * 1e9)
end

local function read_values(graph)
    local values = {}
    return cbuf_graph.read_numbers(graph.fields, values) and values
end

-- Remembers the totals; what was added to each, or nil where that cannot be told.
local function differences(fields, totals)
    local list, known = {}, true
    for column, total in ipairs(totals) do
        local field = fields[column] or {}
        fields[column] = field
        known = known and field.last_value ~= nil and total >= field.last_value
        list[column] = known and total - field.last_value
        field.last_value = total
    end
    return known and list or nil
end

function process_message()
    local seconds = read_message("Fields[TickerInterval]")
    if type(seconds) ~= "number" or seconds < 1 then
        return -1, "no TickerInterval"
    end
    local totals, times = read_values(GRAPHS[1]), read_values(GRAPHS[2])
    if not totals or not times then
        return -1
    end
    for _, graph in ipairs(GRAPHS) do
        prepare(graph, seconds)
    end
    last_run.rows, last_run.sec_per_row = rows, seconds
    local ns = read_message("Timestamp")
    cbuf_graph.set_row(stats.time_stats.cbuf, ns, times)
    local added = differences(stats.disk_stats.fields, totals)
    if added then
        cbuf_graph.set_row(stats.disk_stats.cbuf, ns, added)
    end
    return 0
end

function timer_event(ns)
    for _, graph in ipairs(GRAPHS) do
        local buffer = stats[graph.key].cbuf
        if buffer then
            cbuf_graph.draw(ns, graph.title, buffer, anomaly_config, alert.queue)
        end
    end
    alert.send_queue(ns)
end
