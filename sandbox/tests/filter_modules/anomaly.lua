-- What the module anomaly does: its specifications, and each test on data of which one can tell by hand what it must find.
require "circular_buffer"
require "string"
local anomaly = require "anomaly"

local S = 1e9

local function parses(text)
    local good, result = pcall(anomaly.parse_config, text)
    assert(good, result)
    return result
end

local function refused(text, expected)
    local good, problem = pcall(anomaly.parse_config, text)
    assert(not good, text)
    assert(problem:find("could not parse the anomaly_config", 1, true), problem)
    assert(problem:find(expected, 1, true), problem)
end

local function specifications()
    assert(anomaly.parse_config(nil) == nil)
    assert(anomaly.parse_config("  ") == nil)
    local config = parses('roc("a ""b""",2,15,0,1.5,true,false)mww("x", 1, 60, 10, 0.0001, any) mww_nonparametric("x", 3, 15, 10, 0.55) ')
    local roc = config['a "b"'][1]
    assert(roc.algorithm == "roc" and roc.col == 2 and roc.win == 15 and roc.hwin == 0 and roc.sd == 1.5)
    assert(roc.loss_of_data == true and roc.start_of_data == false)
    local mww, nonparametric = config.x[1], config.x[2]
    assert(mww.algorithm == "mww" and mww.nwin == 10 and mww.pvalue == 0.0001 and mww.trend == "any")
    assert(nonparametric.algorithm == "mww_nonparametric" and nonparametric.col == 3 and nonparametric.pstat == 0.55)
    parses("\n  roc ( \"a\"\n, 1 , 15 , 0 , 2 , false , true )\n")

    refused("bogus", "roc(, mww( or mww_nonparametric( expected at character 1")
    refused('roc("a", 1, 15, 0, 1.5, true, false) x', "expected at character 38")
    refused("roc(a, 1)", "in double quotes expected at character 5")
    refused('roc("", 1, 15, 0, 1.5, true, false)', "the name of a graph expected")
    refused('roc("a, 1, 15, 0, 1.5, true, false)', "a closing quote expected")
    refused('roc("a", 0, 15, 0, 1.5, true, false)', "a column (col) expected at character 10")
    refused('roc("a", 1, 0, 0, 1.5, true, false)', "(win)")
    refused('roc("a", 1, 15, -1, 1.5, true, false)', "(hwin)")
    refused('roc("a", 1, 15, 0, .5, true, false)', "(sd)")
    refused('roc("a", 1, 15, 0, 1.5, yes, false)', "(loss_of_data)")
    refused('roc("a", 1, 15, 0, 1.5, true)', "(start_of_data)")
    refused('roc("a", 1, 15, 0, 1.5, true, false', "a closing parenthesis")
    refused('mww("a", 1, 15, 10, 0.1, sideways)', "decreasing, increasing or any (trend)")
    refused('mww_nonparametric("a", 1, 15, 10, 1.5)', "a number from 0 to 1 (pstat)")
end

-- A buffer of one column with value(t) for each second from first to last.
local function filled(rows, first, last, value)
    local buffer = circular_buffer.new(rows, 1, 1)
    for t = first, last do
        buffer:set(t * S, 1, value(t))
    end
    return buffer
end

local function one()
    return 1
end

local function finds(ns, buffer, specification, expected)
    local text, notes = anomaly.detect(ns, "g", buffer, parses(specification))
    if not expected then
        assert(text == nil and notes == nil, text)
        return
    end
    assert(text == expected, text)
    assert(#notes == 1)
    assert(notes[1].x == buffer:current_time() / 1e6 and notes[1].col == 1 and notes[1].shortText == "A")
    assert(text:sub(-#notes[1].text) == notes[1].text)
end

local function rates_of_change()
    local loss = 'roc("g", 1, 15, 0, 1.5, true, false)'
    -- Data until 150; at 171 the windows are 141 to 155 and 156 to 170.
    finds(171 * S, filled(100, 100, 150, one), loss, "g - algorithm: roc col: 1 msg: no new data")
    finds(171 * S, filled(100, 100, 150, one), 'roc("g", 1, 15, 0, 1.5, false, false)', nil)
    -- Data from 170 on only.
    local start = 'roc("g", 1, 15, 0, 1.5, false, true)'
    finds(171 * S, filled(100, 170, 170, one), start, "g - algorithm: roc col: 1 msg: unexpected data")
    finds(171 * S, filled(100, 170, 170, one), loss, nil)
    -- 9, 10, 11, 12 over and over, then 23: the deviation is about 1.1, unless the wide range before 151 counts as well.
    local function spike(t)
        if t <= 150 then
            return t - 99
        end
        return t < 185 and t % 4 + 9 or 23
    end
    finds(200 * S, filled(100, 100, 199, spike), loss, nil)
    finds(200 * S, filled(100, 100, 199, spike), 'roc("g", 1, 15, 15, 1.5, true, false)',
          "g - algorithm: roc col: 1 msg: detected anomaly, standard deviation exceeds 1.5")
    -- A history that is longer than the buffer is what there is.
    finds(200 * S, filled(100, 100, 199, spike), 'roc("g", 1, 15, 1000, 1.5, true, false)', nil)
    finds(200 * S, circular_buffer.new(100, 1, 1), loss, nil)
end

local function trends()
    local function up(t)
        return t
    end
    local function down(t)
        return -t
    end
    local spec = 'mww("g", 1, 20, 10, 0.0001, %s)'
    local increasing, decreasing = spec:format("increasing"), spec:format("decreasing")
    finds(521 * S, filled(220, 300, 520, up), increasing, "g - algorithm: mww col: 1 msg: detected anomaly, increasing values")
    finds(521 * S, filled(220, 300, 520, down), decreasing, "g - algorithm: mww col: 1 msg: detected anomaly, decreasing values")
    finds(521 * S, filled(220, 300, 520, up), decreasing, nil)
    finds(521 * S, filled(220, 300, 520, down), increasing, nil)
    finds(521 * S, filled(220, 300, 520, down), spec:format("any"), "g - algorithm: mww col: 1 msg: detected anomaly")
    finds(521 * S, filled(220, 300, 520, one), spec:format("any"), nil)
    finds(521 * S, circular_buffer.new(220, 1, 1), increasing, nil)

    -- Near 1970 eight windows are compared and nine expected: 8 * 0.5 / 9 + 0.5. In our time it is nine of nine.
    local above = 'mww_nonparametric("g", 1, 20, 10, 0.6)'
    local below = 'mww_nonparametric("g", 1, 20, 10, 0.4)'
    local text = "g - algorithm: mww_nonparametric col: 1 msg: detected anomaly, pstat: "
    finds(521 * S, filled(220, 300, 520, up), above, text .. "0.944444")
    finds(521 * S, filled(220, 300, 520, down), below, text .. "0.0555556")
    finds(521 * S, filled(220, 300, 520, up), below, nil)
    finds(1400000300 * S, filled(220, 1400000000, 1400000299, up), above, text .. "1")
    finds(1400000300 * S, filled(220, 1400000000, 1400000299, down), below, text .. "0")
    finds(521 * S, filled(220, 300, 520, one), above, nil)
end

local function ranges()
    local function refuses(rows, specification, expected)
        local good, problem = pcall(anomaly.detect, 300 * S, "g", circular_buffer.new(rows, 1, 1), parses(specification))
        assert(not good and problem:find(expected, 1, true), problem)
    end
    refuses(45, 'roc("g", 1, 15, 0, 1.5, true, false)', "g - algorithm: roc col: 1 msg: win=15 hwin=0 arguments out of range (rows=45)")
    refuses(46, 'roc("g", 1, 15, 14, 1.5, true, false)', "arguments out of range")
    refuses(200, 'mww("g", 1, 20, 10, 0.1, any)', "g - algorithm: mww col: 1 msg: arguments out of range")
    refuses(200, 'mww_nonparametric("g", 1, 20, 10, 0.6)', "arguments out of range")
end

-- A graph is tested once a row and moves on without data.
local function once_a_row()
    local config = parses('roc("g", 1, 2, 0, 1, true, false)')
    local buffer = circular_buffer.new(10, 1, 10)
    buffer:set(1000 * S, 1, 5)
    assert(not anomaly.detect(1010 * S, "other", buffer, config))
    assert(buffer:current_time() == 1010 * S)
    assert(anomaly.detect(1030 * S, "g", buffer, config))
    assert(not anomaly.detect(1039 * S, "g", buffer, config))
    assert(not anomaly.detect(1039.9 * S, "g", buffer, config))
    assert(anomaly.detect(1040 * S, "g", buffer, config))
    assert(buffer:current_time() == 1040 * S)
    -- A clock that is set back does not stop the tests.
    assert(anomaly.detect(1035 * S, "g", buffer, config))
    assert(not anomaly.detect(1044 * S, "g", buffer, config))
    assert(not anomaly.detect(1050 * S, "g", buffer, config))
    assert(buffer:current_time() == 1050 * S)
end

function process_message()
    specifications()
    rates_of_change()
    trends()
    ranges()
    once_a_row()
    return 0
end
