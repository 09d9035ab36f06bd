-- What the filters that draw graphs share.
--
--   configured(title, rows, sec_per_row)   reads the options rows, sec_per_row and anomaly_config; the notes of the graph live as long as its rows
--   read_numbers(fields, values)           reads a number of each field; false when one is none
--   set_row(buffer, ns, values)            sets the columns of a row
--   draw(ns, title, buffer, tests, say)    sends the graph, and through say(ns, text) an alert of what is unusual in it, with notes on the graph
--
-- Bounds: keeps nothing.

local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"

local M = {}

function M.configured(title, rows, sec_per_row)
    rows = read_config("rows") or rows
    sec_per_row = read_config("sec_per_row") or sec_per_row
    annotation.set_prune(title, rows * sec_per_row * 1e9)
    return rows, sec_per_row, anomaly.parse_config(read_config("anomaly_config"))
end

function M.read_numbers(fields, values)
    for column, field in ipairs(fields) do
        local value = read_message(field)
        if type(value) ~= "number" then
            return false
        end
        values[column] = value
    end
    return true
end

function M.set_row(buffer, ns, values)
    for column, value in ipairs(values) do
        buffer:set(ns, column, value)
    end
end

function M.draw(ns, title, buffer, tests, say)
    if not tests then
        inject_payload("cbuf", title, buffer)
        return
    end
    if not alert.throttled(ns) then
        local text, notes = anomaly.detect(ns, title, buffer, tests)
        if text then
            annotation.concat(title, notes)
            say(ns, text)
        end
    end
    inject_payload("cbuf", title, annotation.prune(title, ns), buffer)
end

return M
