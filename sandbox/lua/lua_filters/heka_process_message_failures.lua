-- Alerts when a plugin of the daemon fails on more and more messages.
--
-- Input:  heka.all-report messages; -1 for one that cannot be read.
-- Config: anomaly_config (mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)), see module anomaly: the names of graphs are those of plugins, and
--         DEFAULT stands for every plugin that is not named.
-- Output: alerts, at most one an hour for each plugin.
-- Bounds: a buffer of an hour for each plugin of the last report. Nothing is preserved: the counts start again with the daemon.

require "circular_buffer"
local alert = require "alert"
local anomaly = require "anomaly"
local cjson = require "cjson"
local table = require "table"

local SECTIONS = {"inputs", "decoders", "filters", "encoders", "outputs"}
local HOUR = 3600 * 1e9

local config = anomaly.parse_config(read_config("anomaly_config") or 'mww_nonparametric("DEFAULT", 1, 5, 10, 0.7)') or {}
local plugins = {}
local last_report = 0

-- Each plugin has tests of its own: they remember when they last ran.
local function tests_of(name)
    local tests = {}
    for i, test in ipairs(config[name] or config.DEFAULT or {}) do
        tests[i] = test
    end
    return {[name] = tests}
end

local function plugin(name)
    local found = plugins[name]
    if not found then
        found = {buffer = circular_buffer.new(60, 1, 60), tests = tests_of(name), last_alert = 0}
        found.buffer:set_header(1, "Failures", "count", "max")
        plugins[name] = found
    end
    return found
end

function process_message()
    local known, report = pcall(cjson.decode, read_message("Payload"))
    if not known or type(report) ~= "table" then
        return -1, "no report"
    end
    last_report = read_message("Timestamp")
    for _, section in ipairs(SECTIONS) do
        local entries = report[section]
        for _, entry in ipairs(type(entries) == "table" and entries or {}) do
            if type(entry) ~= "table" then
                return -1, "invalid entry in section " .. section
            end
            if type(entry.ProcessMessageFailures) == "table" then
                if type(entry.Name) ~= "string" then
                    return -1, "missing plugin Name"
                end
                local found = plugin(entry.Name)
                found.last_report = last_report
                -- No failures are a gap: a first failure is not yet unusual.
                local failures = entry.ProcessMessageFailures.value
                if type(failures) == "number" and failures > 0 then
                    found.buffer:set(last_report, 1, failures)
                end
            end
        end
    end
    return 0
end

function timer_event(ns)
    local names = {}
    for name, found in pairs(plugins) do
        if found.last_report ~= last_report then
            plugins[name] = nil
        elseif ns - found.last_alert > HOUR then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local found = plugins[name]
        local text = anomaly.detect(ns, name, found.buffer, found.tests)
        if text then
            alert.queue(0, text)
            found.last_alert = ns
        end
    end
    alert.send_queue(0)
end
