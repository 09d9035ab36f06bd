-- Lines for Graphite from counts and times that a script has gathered.
--
--   count_rate(bucket, count, interval, now)                         lines of one counter
--   multi_counts_rates(counts, interval, now)                        of many, {bucket = count}
--   timeseries_metrics(bucket, times, interval, percent, now)        lines of one timer
--   multi_timeseries_metrics(timers, interval, percent, now)         of many, {bucket = {time, ...}}
--   ns_to_sec(ns)                                                    whole seconds
--
-- `interval` and `now` are seconds, `percent` is the share of the shortest times that mean_N and upper_N look at.
-- Buckets come in alphabetical order; the caller's lists stay as they are.

local math = require "math"
local string = require "string"
local table = require "table"

local M = {}

local function sorted_keys(map)
    local keys = {}
    for key in pairs(map) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    return keys
end

local function per_second(count, interval)
    return interval > 0 and count / interval or 0
end

function M.ns_to_sec(ns)
    return math.floor(ns / 1e9)
end

function M.count_rate(bucket, count, interval, now)
    return string.format("stats.counters.%s.count %d %d\nstats.counters.%s.rate %f %d\n", bucket, count, now, bucket,
                         per_second(count, interval), now)
end

function M.multi_counts_rates(counts, interval, now)
    local lines = {}
    for i, bucket in ipairs(sorted_keys(counts)) do
        lines[i] = M.count_rate(bucket, counts[bucket], interval, now)
    end
    return table.concat(lines)
end

-- Sum of the first `n` values.
local function sum_of(values, n)
    local sum = 0
    for i = 1, n do
        sum = sum + values[i]
    end
    return sum
end

function M.timeseries_metrics(bucket, times, interval, percent, now)
    local ordered = {}
    for i, time in ipairs(times) do
        ordered[i] = time
    end
    table.sort(ordered)
    local count = #ordered
    local least, most = ordered[1] or 0, ordered[count] or 0
    local sum = sum_of(ordered, count)
    local mean = count > 0 and sum / count or 0
    -- Of a single time all are that time.
    local share_mean, share_upper = mean, most
    if count > 1 then
        local share = count - math.floor((100 - percent) / 100 * count + 0.5)
        if share > 0 then
            share_mean, share_upper = sum_of(ordered, share) / share, ordered[share]
        else
            share_mean = least
        end
    end
    local suffix = string.gsub(string.format("%.14g", percent), "%.", "_")
    local lines = {}
    local function line(metric, layout, value)
        lines[#lines + 1] = string.format("stats.timers.%s.%s " .. layout .. " %d\n", bucket, metric, value, now)
    end
    line("count", "%d", count)
    line("count_ps", "%f", per_second(count, interval))
    line("lower", "%f", least)
    line("upper", "%f", most)
    line("sum", "%f", sum)
    line("mean", "%f", mean)
    line("mean_" .. suffix, "%f", share_mean)
    line("upper_" .. suffix, "%f", share_upper)
    return table.concat(lines)
end

function M.multi_timeseries_metrics(timers, interval, percent, now)
    local lines = {}
    for i, bucket in ipairs(sorted_keys(timers)) do
        lines[i] = M.timeseries_metrics(bucket, timers[bucket], interval, percent, now)
    end
    return table.concat(lines)
end

return M
