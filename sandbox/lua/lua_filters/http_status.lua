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
local annotation = require "annotation"
local anomaly = require "anomaly"
local math = require "math"

local title = "HTTP Status"
local rows = read_config("rows") or 1440
local sec_per_row = read_config("sec_per_row") or 60
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))
annotation.set_prune(title, rows * sec_per_row * 1e9)
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

-- Alerts of what is unusual in the graph, and notes on it.
local function detect(ns)
    if alert.throttled(ns) then
        return
    end
    local text, notes = anomaly.detect(ns, title, status, anomaly_config)
    if text then
        annotation.concat(title, notes)
        alert.send(ns, text)
    end
end

function timer_event(ns)
    if anomaly_config then
        detect(ns)
        inject_payload("cbuf", title, annotation.prune(title, ns), status)
    else
        inject_payload("cbuf", title, status)
    end
end
