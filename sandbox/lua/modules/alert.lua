-- Alerts for people: payloads of type alert, at most one in a while.
--
--   queue(ns, text)    keeps a text for send_queue(); false when there is none or now is too early
--   send(ns, text)     sends at once; false when there is nothing to send or now is too early
--   send_queue(ns)     sends what is queued, a line each, and forgets it; false when nothing went out
--   set_throttle(ns)   least time between two alerts, an hour unless set
--   throttled(ns)      whether an alert would come too early
--
-- Time 0 is never too early. The time of the last alert is the global _LAST_ALERT, so that it is preserved.
-- Bounds: 32 KiB of queued texts; what does not fit is counted, and the alert says how many are missing.

_LAST_ALERT = _LAST_ALERT or 0

local table = require "table"

local QUEUE_BYTES = 32 * 1024

local M = {}

local throttle = 3600 * 1e9
local queued, queued_bytes, left_out = {}, 0, 0

function M.set_throttle(ns)
    throttle = ns
end

function M.throttled(ns)
    return ns ~= 0 and ns - _LAST_ALERT <= throttle
end

function M.send(ns, text)
    if not text or text == "" or M.throttled(ns) then
        return false
    end
    inject_payload("alert", "", text)
    if ns > _LAST_ALERT then
        _LAST_ALERT = ns
    end
    return true
end

function M.queue(ns, text)
    if not text or text == "" or M.throttled(ns) then
        return false
    end
    local bytes = queued_bytes + #text + 1
    if bytes > QUEUE_BYTES and queued[1] then
        left_out = left_out + 1
    else
        queued[#queued + 1] = text
        queued_bytes = bytes
    end
    return true
end

function M.send_queue(ns)
    if not queued[1] then
        return false
    end
    if left_out > 0 then
        queued[#queued + 1] = left_out .. " more not shown"
    end
    local text = table.concat(queued, "\n")
    queued, queued_bytes, left_out = {}, 0, 0
    return M.send(ns, text)
end

return M
