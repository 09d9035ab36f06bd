-- Computes from the running totals of /proc/stat how busy the processors were since the last message.
--
-- Input:  stats.procstat messages (lua_decoders/linux_procstat.lua). The first one only gives something to compare with.
-- Config: whitelist (all): Lua pattern of the keys to use; percent_integer (true): whole percentages, else shares from 0 to 1;
--         extras (false): also
--           cpu*_delta_<what>, cpu*_delta_ticks and cpu*_percent_user, _nice, _system, _idle, _iowait,
--           softirq_delta_<n> and <key>_delta of keys with one value.
-- Output: a message of Type procstat with the payload of the original and cpu*_percent, the time that was not idle.
-- Bounds: the values of one message.

local math = require "math"
local string = require "string"

local TICKS = {"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guestnice"}
local SHARES = {"user", "nice", "system", "idle", "iowait"}
local IDLE = 4

local whitelist = read_config("whitelist")
if whitelist == "" then
    whitelist = nil
end
local extras = read_config("extras") or false
local whole = read_config("percent_integer") ~= false

local previous

local function wanted(name, count)
    if whitelist and not string.find(name, whitelist) then
        return false
    end
    return string.find(name, "^cpu") or extras and (count == 1 or name == "softirq")
end

-- The numbers of the fields that are of use, each a list.
local function read_totals()
    local totals, order = {}, {}
    local kind, name, value, _, count = read_next_field()
    while kind do
        if type(value) == "number" and not totals[name] and wanted(name, count) then
            local list = {value}
            for i = 1, count - 1 do
                list[i + 1] = read_message("Fields[" .. name .. "]", 0, i)
            end
            totals[name] = list
            order[#order + 1] = name
        end
        kind, name, value, _, count = read_next_field()
    end
    return totals, order
end

-- What was added to each number; nil where there are more or fewer numbers than before.
local function differences(now, before)
    if not before or #now ~= #before then
        return nil
    end
    local list = {}
    for i = 1, #now do
        list[i] = now[i] - before[i]
    end
    return list
end

local function as_percentage(value)
    -- Adding zero makes a zero of the negative zero.
    return whole and math.ceil(value * 100 - 0.5) + 0 or value
end

local function add_cpu(fields, name, deltas)
    local function add(what, value)
        fields[#fields + 1] = {name = name .. what, value = value}
    end
    local ticks = 0
    for i, delta in ipairs(deltas) do
        ticks = ticks + delta
        if extras then
            add("_delta_" .. (TICKS[i] or i), delta)
        end
    end
    if extras then
        add("_delta_ticks", ticks)
    end
    if ticks <= 0 or not deltas[IDLE] then
        return
    end
    if extras then
        for i, what in ipairs(SHARES) do
            if deltas[i] then
                add("_percent_" .. what, as_percentage(deltas[i] / ticks))
            end
        end
    end
    add("_percent", as_percentage(1 - deltas[IDLE] / ticks))
end

function process_message()
    local totals, order = read_totals()
    local before = previous
    previous = totals
    if not before then
        return 0
    end
    local fields = {}
    for _, name in ipairs(order) do
        local deltas = differences(totals[name], before[name])
        if deltas and string.find(name, "^cpu") then
            add_cpu(fields, name, deltas)
        elseif deltas and name == "softirq" then
            for i, delta in ipairs(deltas) do
                fields[#fields + 1] = {name = "softirq_delta_" .. i, value = delta}
            end
        elseif deltas then
            fields[#fields + 1] = {name = name .. "_delta", value = deltas[1]}
        end
    end
    inject_message({Type = "procstat", Payload = read_message("Payload"), Fields = fields})
    return 0
end
