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
local annotation = require "annotation"
local anomaly = require "anomaly"
local math = require "math"

local title = "Statistics"
local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
annotation.set_prune(title, rows * sec_per_row * 1e9)

data = circular_buffer.new(rows, 5, sec_per_row)
sums = circular_buffer.new(rows, 4, sec_per_row)

-- Rows are shown as whole ones.
local COLUMNS = {
    {title = "Query Time", unit = "s", field = "Fields[Query_time]"},
    {title = "Lock Time", unit = "s", field = "Fields[Lock_time]"},
    {title = "Rows Examined", unit = "count", field = "Fields[Rows_examined]", whole = true},
    {title = "Rows Sent", unit = "count", field = "Fields[Rows_sent]", whole = true},
}
local COUNT = data:set_header(5, "Count")
for column, info in ipairs(COLUMNS) do
    data:set_header(column, info.title, info.unit, "none")
end

local values = {}

function process_message()
    for column, info in ipairs(COLUMNS) do
        local value = read_message(info.field)
        if type(value) ~= "number" then
            return -1
        end
        values[column] = value
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

-- Alerts of what is unusual in the graph, and notes on it.
local function detect(ns)
    if alert.throttled(ns) then
        return
    end
    local text, notes = anomaly.detect(ns, title, data, anomaly_config)
    if text then
        annotation.concat(title, notes)
        alert.send(ns, text)
    end
end

function timer_event(ns)
    if anomaly_config then
        detect(ns)
        inject_payload("cbuf", title, annotation.prune(title, ns), data)
    else
        inject_payload("cbuf", title, data)
    end
end
