-- Watches that every host that has sent something goes on sending.
--
-- Config: heartbeat_timeout (30): seconds of silence after which a host counts as lost; alert_throttle (300): seconds between two alerts of
--         one host.
-- Input:  any message; its Hostname and Timestamp count.
-- Output: payload of type json, name heartbeat, each tick: host to last_heartbeat, last_alert (both milliseconds) and status (up, down);
--         one alert for all hosts that were lost.
-- Bounds: an entry for each host that was ever seen, as in Heka; more than the output limit holds (some 700) end the filter.

local alert = require "alert"
local cjson = require "cjson"
local math = require "math"
local table = require "table"

-- Each host has its own throttle.
alert.set_throttle(0)

local timeout = (read_config("heartbeat_timeout") or 30) * 1000
local throttle = (read_config("alert_throttle") or 300) * 1000

hosts = {}

function process_message()
    local now = math.floor(read_message("Timestamp") / 1e6)
    local name = read_message("Hostname")
    local host = hosts[name]
    if host then
        host.last_heartbeat = now
    else
        hosts[name] = {last_heartbeat = now, last_alert = 0, status = "up"}
    end
    return 0
end

function timer_event(ns)
    local now = math.floor(ns / 1e6)
    local lost = {}
    for name, host in pairs(hosts) do
        if now - host.last_heartbeat > timeout then
            host.status = "down"
            if now - host.last_alert > throttle then
                lost[#lost + 1] = name
            end
        else
            host.status = "up"
        end
    end
    table.sort(lost)
    for _, name in ipairs(lost) do
        if alert.queue(ns, "Missing Heartbeat - " .. name .. "\n") then
            hosts[name].last_alert = now
        end
    end
    alert.send_queue(ns)
    inject_payload("json", "heartbeat", cjson.encode(hosts))
end
