-- Draws how many different values a message variable has in a day, as estimated by HyperLogLog.
--
-- Config: message_variable (required), such as Fields[uid]; title (Estimated Unique Daily <message_variable>); rows (365) and
--         seconds_per_row (86400) of the buffer; enable_delta (false): also payloads of type cbufd;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows, seconds_per_row or
--         enable_delta.
-- Input:  -1 where the variable is neither text nor a number; messages of a period that is over are passed over.
-- Output: payload of type cbuf, name as the title, each tick.
-- Bounds: the buffer and one estimator.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
require "hyperloglog"
local math = require "math"
local string = require "string"

local variable = read_config("message_variable") or error("message_variable configuration must be specified")
local title = read_config("title") or "Estimated Unique Daily " .. variable
local rows = read_config("rows") or 365
local seconds_per_row = read_config("seconds_per_row") or 24 * 3600
local enable_delta = read_config("enable_delta") or false
local ITEMS = 1

active_period = 0
hll = hyperloglog.new()
active = circular_buffer.new(rows, 1, seconds_per_row, enable_delta)
active:set_header(ITEMS, string.match(variable, "^Fields%[([^%]]+)%]") or variable)

function process_message()
    local item = read_message(variable)
    if type(item) ~= "string" and type(item) ~= "number" then
        return -1
    end
    local ns = read_message("Timestamp")
    local period = math.floor(ns / (seconds_per_row * 1e9))
    if period < active_period then
        return 0
    end
    if period > active_period then
        active_period = period
        hll:clear()
    end
    if hll:add(item) then
        active:set(ns, ITEMS, hll:count())
    end
    return 0
end

function timer_event()
    inject_payload("cbuf", title, active:format("cbuf"))
    if enable_delta then
        inject_payload("cbufd", title, active:format("cbufd"))
    end
end
