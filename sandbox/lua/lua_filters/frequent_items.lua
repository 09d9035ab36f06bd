-- Finds the most frequent values of a message variable in bounded memory.
--
-- Config: message_variable (required), such as Fields[remote_addr]; max_items (1000) to follow at once; min_output_weight (100): only
--         items that weigh more are shown; reset_days (1): days (UTC) after which all is forgotten, 0 for never.
-- Input:  -1 where the variable is missing; messages of a day before the last reset are passed over.
-- Output: payload of type tsv, name "Weighting by <message_variable>", each tick: a header, then item and weight, the heaviest first.
-- Bounds: max_items. When all places are taken, an item that has none takes one from every weight, and items of no weight go: what comes
--         more often than once in max_items messages is always there, weighing at most what it came.

local math = require "math"
local string = require "string"
local table = require "table"

local variable = read_config("message_variable") or error("message_variable configuration must be specified")
local max_items = read_config("max_items") or 1000
local min_output_weight = read_config("min_output_weight") or 100
local reset_days = read_config("reset_days") or 1

-- An item weighs items[item] - items_base: what all lose alike is written once.
items = {}
items_base = 0
items_size = 0
last_reset = 0

-- How many items are at each value; made again after these globals were restored or replaced.
local at_value, counted = nil, nil

local function count_values()
    at_value = {}
    for _, value in pairs(items) do
        at_value[value] = (at_value[value] or 0) + 1
    end
    counted = items
end

local function move(from, to)
    local left = at_value[from] - 1
    at_value[from] = left > 0 and left or nil
    at_value[to] = (at_value[to] or 0) + 1
end

-- Takes one from every weight.
local function fade()
    items_base = items_base + 1
    if at_value[items_base] then
        for item, value in pairs(items) do
            if value == items_base then
                items[item] = nil
                items_size = items_size - 1
            end
        end
        at_value[items_base] = nil
    end
end

-- Whether the message is of a day that is over; forgets everything at the beginning of a new period.
local function too_old()
    if reset_days <= 0 then
        return false
    end
    local day = math.floor(read_message("Timestamp") / (24 * 3600 * 1e9))
    if day < last_reset then
        return true
    end
    if day - last_reset >= reset_days then
        last_reset = day
        items, items_base, items_size = {}, 0, 0
    end
    return false
end

function process_message()
    local item = read_message(variable)
    if item == nil then
        return -1
    end
    if too_old() then
        return 0
    end
    if counted ~= items then
        count_values()
    end
    local value = items[item]
    if value then
        items[item] = value + 1
        move(value, value + 1)
    elseif items_size >= max_items then
        fade()
    else
        value = items_base + 1
        items[item] = value
        items_size = items_size + 1
        at_value[value] = (at_value[value] or 0) + 1
    end
    return 0
end

function timer_event()
    local shown = {}
    for item, value in pairs(items) do
        if value - items_base > min_output_weight then
            shown[#shown + 1] = {item = tostring(item), weight = value - items_base}
        end
    end
    table.sort(shown, function(a, b)
        if a.weight ~= b.weight then
            return a.weight > b.weight
        end
        return a.item < b.item
    end)
    add_to_payload(variable, "\tWeight\n")
    for _, entry in ipairs(shown) do
        add_to_payload(string.format("%s\t%d\n", entry.item, entry.weight))
    end
    inject_payload("tsv", "Weighting by " .. variable)
end
