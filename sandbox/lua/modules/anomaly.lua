-- Finds what is unusual in a column of a circular buffer.
--
--   parse_config(text)                  reads a specification; nil for nil or a blank text, an error when it is wrong
--   detect(ns, name, buffer, config)    runs the tests of the graph `name`: a text and a list of annotations, or nil
--
-- A specification is any number of these calls, by the name of the graph (a double quote in it is written twice) and the column:
--   roc("name", col, win, hwin, sd, loss_of_data, start_of_data)
--       the mean of the last `win` rows differs from that of the `win` rows before by more than `sd` standard deviations of the `hwin`
--       rows before those (0: of all there are); with `loss_of_data` and `start_of_data` also when data stops or starts
--   mww("name", col, win, nwin, pvalue, decreasing|increasing|any)
--       the last `win` rows against older windows of that size, out of `nwin`, by the rank test of Mann, Whitney and Wilcoxon: more than
--       a quarter of `nwin` are less likely than `pvalue`
--   mww_nonparametric("name", col, win, nwin, pstat)
--       the mean share of pairs in which the newer value is the greater one, above or below `pstat` (0.5: no trend)
--
-- The newest row of the buffer is still open and is never looked at. A graph is tested at most once a row.
-- Bounds: no state but the time of the last test, a graph.

local annotation = require "annotation"
local math = require "math"
local string = require "string"
local table = require "table"

local M = {}

local NAN = 0 / 0

local function whole(text)
    return text:find("^%d+$") and tonumber(text)
end

local function positive(text)
    local number = whole(text)
    return number and number > 0 and number
end

local function decimal(text)
    return (text:find("^%d+$") or text:find("^%d+%.%d+$")) and tonumber(text)
end

local function fraction(text)
    local number = decimal(text)
    return number and number <= 1 and number
end

local BOOLEANS = {["true"] = true, ["false"] = false}
local TRENDS = {decreasing = "decreasing", increasing = "increasing", any = "any"}

local function boolean(text)
    return BOOLEANS[text]
end

local function trend(text)
    return TRENDS[text]
end

-- What each test takes after the graph's name, in order, and what a person calls that.
local ARGUMENTS = {
    roc = {
        {"col", positive, "a column"}, {"win", positive, "a number of rows"}, {"hwin", whole, "a number of rows or 0"},
        {"sd", decimal, "a number"}, {"loss_of_data", boolean, "true or false"}, {"start_of_data", boolean, "true or false"},
    },
    mww = {
        {"col", positive, "a column"}, {"win", positive, "a number of rows"}, {"nwin", positive, "a number of windows"},
        {"pvalue", decimal, "a number"}, {"trend", trend, "decreasing, increasing or any"},
    },
    mww_nonparametric = {
        {"col", positive, "a column"}, {"win", positive, "a number of rows"}, {"nwin", positive, "a number of windows"},
        {"pstat", fraction, "a number from 0 to 1"},
    },
}

local function wrong(at, expected)
    error(string.format("could not parse the anomaly_config: %s expected at character %d", expected, at), 0)
end

-- Reads a quoted name that starts behind its first quote; the name, and where the text goes on.
local function quoted(text, at)
    local start = at
    while true do
        local quote = text:find('"', at, true)
        if not quote then
            wrong(#text + 1, "a closing quote")
        end
        if text:sub(quote + 1, quote + 1) ~= '"' then
            if quote == start then
                wrong(start, "the name of a graph")
            end
            return (text:sub(start, quote - 1):gsub('""', '"')), quote + 1
        end
        at = quote + 2
    end
end

function M.parse_config(text)
    if not text or not text:find("%S") then
        return nil
    end
    local config = {}
    local at = text:find("%S")
    while at do
        local _, last, algorithm = text:find("^([%a_]+)%s*%(%s*", at)
        local arguments = ARGUMENTS[algorithm]
        if not arguments then
            wrong(at, "roc(, mww( or mww_nonparametric(")
        end
        at = last + 1
        if text:sub(at, at) ~= '"' then
            wrong(at, "the name of a graph in double quotes")
        end
        local name
        name, at = quoted(text, at + 1)
        local test = {algorithm = algorithm}
        for _, argument in ipairs(arguments) do
            local _, comma, word = text:find("^%s*,%s*([%w.]*)", at)
            local value = word and argument[2](word)
            if value == nil or (value == false and word ~= "false") then
                wrong(comma and comma - #word + 1 or at, string.format("%s (%s)", argument[3], argument[1]))
            end
            test[argument[1]] = value
            at = comma + 1
        end
        _, last = text:find("^%s*%)%s*", at)
        if not last then
            wrong(at, "a closing parenthesis")
        end
        config[name] = config[name] or {}
        table.insert(config[name], test)
        at = last < #text and last + 1 or nil
    end
    return config
end

-- Calls visit(first, last, s, e) for each older window from s to e, the newest first; the current one is from first to last. These are
-- nwin - 1 windows: at a present time a double has no room for the one nanosecond, which leaves out the oldest for times near 1970.
local function windows(name, buffer, test, rows, row, visit)
    if test.win * test.nwin >= rows then
        error(string.format("%s - algorithm: %s col: %d msg: arguments out of range", name, test.algorithm, test.col), 0)
    end
    local now = buffer:current_time()
    local size = test.win * row
    for s = now - 2 * size, now - size * test.nwin + 1, -size do
        visit(now - size, now - row, s, s + size - row)
    end
end

local function mww(name, buffer, test, rows, row)
    local unlikely = 0
    windows(name, buffer, test, rows, row, function(first, last, s, e)
        if test.trend ~= "any" then
            local change = (buffer:compute("avg", test.col, first, last) or NAN) - (buffer:compute("avg", test.col, s, e) or NAN)
            if test.trend == "decreasing" then
                change = -change
            end
            if not (change > 0) then
                return
            end
        end
        local _, p = buffer:mannwhitneyu(test.col, first, last, s, e)
        if p and p < test.pvalue then
            unlikely = unlikely + 1
        end
    end)
    if unlikely > test.nwin / 4 then
        return test.trend == "any" and "detected anomaly" or string.format("detected anomaly, %s values", test.trend)
    end
end

local function mww_nonparametric(name, buffer, test, rows, row)
    local sum = 0
    windows(name, buffer, test, rows, row, function(first, last, s, e)
        local u = buffer:mannwhitneyu(test.col, first, last, s, e)
        if u then
            sum = sum + u / (test.win * test.win) - 0.5
        end
    end)
    local share = sum / (test.nwin - 1) + 0.5
    if test.pstat < 0.5 and share < test.pstat or test.pstat > 0.5 and share > test.pstat then
        return string.format("detected anomaly, pstat: %G", share)
    end
end

local function roc(name, buffer, test, rows, row)
    if 3 * test.win >= rows or (test.hwin > 0 and test.hwin < test.win) then
        error(string.format("%s - algorithm: roc col: %d msg: win=%d hwin=%d arguments out of range (rows=%d)", name, test.col,
                            test.win, test.hwin, rows), 0)
    end
    local now = buffer:current_time()
    local current, previous = now - test.win * row, now - 2 * test.win * row
    local history = previous - test.hwin * row
    if test.hwin == 0 or history < now - (rows - 1) * row then
        history = nil
    end
    local deviation = buffer:compute("sd", test.col, history, previous - row) or NAN
    local before, before_rows = buffer:compute("avg", test.col, previous, current - row)
    local after, after_rows = buffer:compute("avg", test.col, current, now - row)
    if test.loss_of_data and before_rows > 0 and after_rows == 0 then
        return "no new data"
    end
    if test.start_of_data and before_rows == 0 and after_rows > 0 then
        return "unexpected data"
    end
    -- A window without data is nil or not a number, of which neither exceeds anything.
    if math.abs((after or NAN) - (before or NAN)) > deviation * test.sd then
        return string.format("detected anomaly, standard deviation exceeds %G", test.sd)
    end
end

local TESTS = {roc = roc, mww = mww, mww_nonparametric = mww_nonparametric}

function M.detect(ns, name, buffer, config)
    -- The graph moves on when no data comes.
    if not buffer:get(ns, 1) then
        buffer:add(ns, 1, NAN)
    end
    local tests = config[name]
    if not tests then
        return nil
    end
    local rows, _, seconds = buffer:get_configuration()
    local row = seconds * 1e9
    local last = tests.last_run
    -- A clock that was set back must not stop the tests.
    if last and ns >= last and ns - last < row then
        return nil
    end
    tests.last_run = ns
    local texts, annotations = {}, {}
    for _, test in ipairs(tests) do
        local found = TESTS[test.algorithm](name, buffer, test, rows, row)
        if found then
            texts[#texts + 1] = string.format("%s - algorithm: %s col: %d msg: %s", name, test.algorithm, test.col, found)
            annotations[#annotations + 1] = annotation.create(buffer:current_time(), test.col, "A", found)
        end
    end
    if texts[1] then
        return table.concat(texts, "\n"), annotations
    end
    return nil
end

return M
