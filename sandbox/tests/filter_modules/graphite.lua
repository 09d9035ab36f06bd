-- What the module graphite does; the numbers of the timers are worked out by hand.
local graphite = require "graphite"
local table = require "table"

local function is(found, expected)
    assert(found == expected, found)
end

-- Lines of a timer with the values of its eight metrics.
local function timer(bucket, share, values)
    local metrics = {"count", "count_ps", "lower", "upper", "sum", "mean", "mean_" .. share, "upper_" .. share}
    local lines = {}
    for i, metric in ipairs(metrics) do
        lines[i] = "stats.timers." .. bucket .. "." .. metric .. " " .. values[i] .. " 5\n"
    end
    return table.concat(lines)
end

function process_message()
    assert(graphite.ns_to_sec(5999999999) == 5)
    is(graphite.count_rate("a.b", 4, 10, 5), "stats.counters.a.b.count 4 5\nstats.counters.a.b.rate 0.400000 5\n")
    is(graphite.count_rate("a", 4, 0, 5), "stats.counters.a.count 4 5\nstats.counters.a.rate 0.000000 5\n")
    is(graphite.multi_counts_rates({}, 10, 5), "")
    is(graphite.multi_counts_rates({b = 1, a = 4}, 10, 5),
       graphite.count_rate("a", 4, 10, 5) .. graphite.count_rate("b", 1, 10, 5))

    -- No time, one time.
    is(graphite.timeseries_metrics("t", {}, 10, 90, 5), timer("t", "90", {"0", "0.000000", "0.000000", "0.000000", "0.000000",
                                                                          "0.000000", "0.000000", "0.000000"}))
    is(graphite.timeseries_metrics("t", {7}, 10, 90, 5), timer("t", "90", {"1", "0.100000", "7.000000", "7.000000", "7.000000",
                                                                           "7.000000", "7.000000", "7.000000"}))
    -- 90 per cent of four are all four; 75 per cent are three: (0 + 15 + 30) / 3.
    local times = {45, 0, 30, 15}
    is(graphite.timeseries_metrics("t", times, 10, 90, 5), timer("t", "90", {"4", "0.400000", "0.000000", "45.000000", "90.000000",
                                                                             "22.500000", "22.500000", "45.000000"}))
    is(graphite.timeseries_metrics("t", times, 10, 75, 5), timer("t", "75", {"4", "0.400000", "0.000000", "45.000000", "90.000000",
                                                                             "22.500000", "15.000000", "30.000000"}))
    assert(times[1] == 45 and times[4] == 15)
    -- A share of none: the least is its mean, the most its bound. A dot in a name would make a level.
    is(graphite.timeseries_metrics("t", {1, 3}, 2, 0.5, 5), timer("t", "0_5", {"2", "1.000000", "1.000000", "3.000000", "4.000000",
                                                                               "2.000000", "1.000000", "3.000000"}))
    is(graphite.multi_timeseries_metrics({y = {7}, x = {}}, 10, 90, 5),
       graphite.timeseries_metrics("x", {}, 10, 90, 5) .. graphite.timeseries_metrics("y", {7}, 10, 90, 5))
    is(graphite.multi_timeseries_metrics({}, 10, 90, 5), "")
    return 0
end
