-- Draws the status codes of a web server: a graph of how many were 1xx, 2xx, 3xx, 4xx, 5xx and anything else.
--
-- Input:  messages of an access log; -1 where the status is no number.
-- Config: rows (1440) and sec_per_row (60) of the buffer; status_field (status): the field to read; anomaly_config (none), see module
--         anomaly; alert_throttle (3600): seconds between alerts;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows or sec_per_row.
-- Output: payload of type cbuf, name "HTTP Status", each tick; alerts.
-- Bounds: the buffer.

-- One more than configured, as in Heka, whose first buffers had other columns.
_PRESERVATION_VERSION = (read_config("preservation_version") or 0) + 1

require "circular_buffer"
local alert = require "alert"
local cbuf_graph = require "hekad.cbuf_graph"
local math = require "math"

local title = "HTTP Status"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 1440, 60)
alert.set_throttle((read_config("alert_throttle") or 3600) * 1e9)

local status_field = "Fields[" .. (read_config("status_field") or "status") .. "]"
local UNKNOWN = 6

status = circular_buffer.new(rows, UNKNOWN, sec_per_row)
for class = 1, 5 do
    status:set_header(class, "HTTP_" .. class .. "00")
end
status:set_header(UNKNOWN, "HTTP_UNKNOWN")

function process_message()
    local code = read_message(status_field)
    if type(code) ~= "number" then
        return -1
    end
    local class = math.floor(code / 100)
    if not (class >= 1 and class <= 5) then
        class = UNKNOWN
    end
    status:add(read_message("Timestamp"), class, 1)
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, status, tests, alert.send)
end
