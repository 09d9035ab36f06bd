-- Draws chosen statistics of heka.statmetric messages.
--
-- Input:  StatAccumInput's messages with `emit_in_fields`: the field timestamp holds seconds; -1 without it. Other statistics are passed
--         over.
-- Config: stats, stat_labels (both required): names and their labels, with blanks between them;
--         stat_aggregation (sum), stat_unit (count): one for all, or one each;
--         title (Stats); rows (300) and sec_per_row (1) of the buffer; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of rows, sec_per_row or stats.
-- Output: payload of type cbuf, name as the title, each tick; alerts.
-- Bounds: the buffer.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local cbuf_graph = require "hekad.cbuf_graph"
local string = require "string"

local title = read_config("title") or "Stats"
local rows, sec_per_row, tests = cbuf_graph.configured(title, 300, 1)

local function words(text)
    local list = {}
    for word in string.gmatch(text, "%S+") do
        list[#list + 1] = word
    end
    return list
end

local names = words(read_config("stats") or error("stats configuration must be specified"))
local labels = words(read_config("stat_labels") or error("stat_labels configuration must be specified"))
if #names ~= #labels then
    error("stats and stat_labels configuration must have the same number of items")
end

-- An option that is given once for all or once for each.
local function each(option, default)
    local list = words(read_config(option) or default)
    if #list == 1 then
        for i = 2, #names do
            list[i] = list[1]
        end
    elseif #list ~= #names then
        error(option .. " configuration must have one item or as many as stats")
    end
    return list
end

local aggregations, units = each("stat_aggregation", "sum"), each("stat_unit", "count")

cbuf = circular_buffer.new(rows, #names, sec_per_row)
local fields = {}
for column, name in ipairs(names) do
    cbuf:set_header(column, labels[column], units[column], aggregations[column])
    fields[column] = "Fields[" .. name .. "]"
end

function process_message()
    local seconds = read_message("Fields[timestamp]")
    if type(seconds) ~= "number" then
        return -1
    end
    local ns = seconds * 1e9
    for column, field in ipairs(fields) do
        local value = read_message(field)
        if type(value) == "number" then
            cbuf:add(ns, column, value)
        end
    end
    return 0
end

function timer_event(ns)
    cbuf_graph.draw(ns, title, cbuf, tests, alert.send)
end
