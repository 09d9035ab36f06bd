-- Draws slow queries of MySQL: a graph of the mean Query Time, Lock Time, Rows Examined and Rows Sent, and of the count.
--
-- Input:  messages of lua_decoders/mysql_slow_query.lua and mariadb_slow_query.lua: fields Query_time, Lock_time, Rows_examined, Rows_sent;
--         -1 for a message without one of the numbers. Messages older than the buffer are passed over.
-- Config: rows (1440) and sec_per_row (60) of the buffer; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows or sec_per_row.
-- Output: payload of type cbuf, name "Statistics", each tick; alerts.
-- Bounds: two buffers.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local cbuf_graph = require "hekad.cbuf_graph"
local math = require "math"

local title = "Statistics"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 1440, 60)

data = circular_buffer.new(rows, 5, sec_per_row)
sums = circular_buffer.new(rows, 4, sec_per_row)

-- Rows are shown as whole ones.
local COLUMNS = {
    {title = "Query Time", unit = "s"},
    {title = "Lock Time", unit = "s"},
    {title = "Rows Examined", unit = "count", whole = true},
    {title = "Rows Sent", unit = "count", whole = true},
}
local FIELDS = {"Fields[Query_time]", "Fields[Lock_time]", "Fields[Rows_examined]", "Fields[Rows_sent]"}
local COUNT = data:set_header(5, "Count")
for column, info in ipairs(COLUMNS) do
    data:set_header(column, info.title, info.unit, "none")
end

local values = {}

function process_message()
    if not cbuf_graph.read_numbers(FIELDS, values) then
        return -1
    end
    local ns = read_message("Timestamp")
    local count = data:add(ns, COUNT, 1)
    if not count then
        return 0
    end
    for column, value in ipairs(values) do
        local mean = sums:add(ns, column, value) / count
        data:set(ns, column, COLUMNS[column].whole and math.floor(mean) or mean)
    end
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, data, tests, alert.send)
end
