-- Counts messages. Every tick with news tells how many there are and how many come a second; after ten such ticks there is a summary.

local string = require "string"
local SUMMARY = 10

count, told, told_at = 0, 0, nil
rates = {}

function process_message()
    count = count + 1
    return 0
end

local function summary()
    local least, most, sum = rates[1], rates[1], 0
    for _, rate in ipairs(rates) do
        if rate < least then least = rate end
        if rate > most then most = rate end
        sum = sum + rate
    end
    local text = "AGG Sum. Min: %0.2f Max: %0.2f Mean: %0.2f"
    inject_payload("txt", "summary", string.format(text, least, most, sum / #rates))
    rates = {}
end

function timer_event(ns)
    local new, since = count - told, ns - (told_at or ns - 1e9)
    if new == 0 or since <= 0 then return end
    told, told_at = count, ns
    rates[#rates + 1] = new / (since / 1e9)
    inject_payload("txt", "rate", string.format("Got %d messages. %0.2f msg/sec", count, rates[#rates]))
    if #rates == SUMMARY then summary() end
end
