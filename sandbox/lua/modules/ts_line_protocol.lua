-- Lines for InfluxDB (line protocol) and Carbon from the fields of a message.
--
--   set_config(options)         prepares options; what it returns goes to the other two
--   influxdb_line_msg(config)   a list of lines `name,tag=text value=1.000000 time`
--   carbon_line_msg(config)     a list of lines `name value time`, of numbers only
--
-- Options, all optional:
--   carbon_format           whether lines are for Carbon: no tags, names of letters, digits and _
--   decimal_precision       decimals of numbers, "6"
--   name_prefix             template (see msg_interpolate) before each name; name_prefix_delimiter goes between them
--   skip_fields_str         fields to leave out, with blanks between them
--   source_value_field      the only field to send, under the name of the prefix
--   tag_fields_str          what is written as tags: names with blanks between them, **all_base** (unless set), **all**
--   timestamp_precision     ms (unless set), s, m or h
--   value_field_key         the key of the value, "value"
--   fields_unread           our own: the caller does not use read_next_field(), which is the faster way to the fields
--
-- Every value is a line, in the message's order: the second field of a name is name_fidx_1, the second value of a field name_vidx_1.
-- Tags are the headers Hostname, Logger, Severity and Type, then fields. What the protocol cannot express is left out: empty tags, numbers
-- that are infinite or none. No fields, no lines.
-- Bounds: remembers the written form of at most 256 names and tags each, of less than 64 bytes.

local field_util = require "field_util"
local interpolate = require("msg_interpolate").interpolate_from_msg
local math = require "math"
local plain_text = require "hekad.plain_text"
local string = require "string"
local table = require "table"

local M = {}

local as_text = plain_text.of

local TAG_HEADERS = {"Hostname", "Logger", "Severity", "Type"}
local UNITS = {ms = true, s = true, m = true, h = true}
local DEFAULTS = {
    carbon_format = false,
    decimal_precision = "6",
    name_prefix = false,
    name_prefix_delimiter = false,
    skip_fields_str = false,
    source_value_field = false,
    tag_fields_str = "**all_base**",
    timestamp_precision = "ms",
    value_field_key = "value",
    fields_unread = false,
}

local REMEMBERED, REMEMBERED_BYTES = 256, 64

local find, format, gsub = string.find, string.format, string.gsub

-- A function that remembers what it has made of short texts.
local function remembering(make)
    local known, count = {}, 0
    return function(text)
        local made = known[text]
        if not made then
            made = make(text)
            if #text < REMEMBERED_BYTES then
                if count == REMEMBERED then
                    known, count = {}, 0
                end
                known[text] = made
                count = count + 1
            end
        end
        return made
    end
end

local function finite(number)
    return number - number == 0
end

-- A line ends at a newline and a backslash at the end would swallow what follows: neither can be written.
local function without_breaks(text)
    return (gsub(gsub(text, "[\r\n]+", " "), "\\+$", ""))
end

local escape_name = remembering(function(text)
    return (gsub(without_breaks(text), "[, ]", "\\%0"))
end)

local escape_key = remembering(function(text)
    return (gsub(without_breaks(text), "[,= ]", "\\%0"))
end)

local carbon_name = remembering(function(text)
    return (gsub(text, "[^%w]", "_"))
end)

local without_blanks = remembering(function(text)
    return (gsub(text, "%s", "_"))
end)

local variable = remembering(function(name)
    return "Fields[" .. name .. "]"
end)

local function tag(name, value)
    local text = value ~= nil and escape_key(as_text(value)) or ""
    return text ~= "" and escape_key(name) .. "=" .. text or nil
end

-- Calls visit(name, position, value) for each value of each field; the position of a value counts from 0. Empty BYTES are nil.
local function each_decoded(visit)
    local fields = decode_message(read_message("raw")).Fields
    for _, field in ipairs(fields or {}) do
        for i, value in ipairs(field.value) do
            visit(field.name, i - 1, value)
        end
    end
end

local function each_unread(visit)
    local indexes = {}
    local kind, name, value, _, count = read_next_field()
    while kind do
        local index = indexes[name] or 0
        indexes[name] = index + 1
        for i = 0, count - 1 do
            if i > 0 then
                value = read_message(variable(name), index, i)
            end
            visit(name, i, value)
        end
        kind, name, value, _, count = read_next_field()
    end
end

-- The names and values to send, lists of equal length, and the tags.
local function points_and_tags(config)
    local carbon = config.carbon_format
    local prefix = config.name_prefix or ""
    if config.interp_name_prefix then
        prefix = interpolate(prefix)
    end
    local start = prefix ~= "" and prefix .. (config.name_prefix_delimiter or "") or ""
    local tags = {}
    local all_tags, tag_fields = config.tag_fields_all, config.used_tag_fields or {}
    if not carbon then
        for _, header in ipairs(TAG_HEADERS) do
            if all_tags or config.tag_fields_all_base or tag_fields[header] then
                tags[#tags + 1] = tag(header, read_message(header))
            end
        end
    end
    local headers_are_tags = all_tags or config.tag_fields_all_base
    local source, skipped = config.source_value_field, config.skip_fields or {}
    local names, values, seen = {}, {}, {}
    local function visit(field, position, value)
        local name = carbon and carbon_name(field) or field
        local repeated = (seen[name] or -1) + (position == 0 and 1 or 0)
        seen[name] = repeated
        if value == nil then
            return
        end
        local out = name
        if repeated > 0 then
            out = out .. "_fidx_" .. repeated
        end
        if position > 0 then
            out = out .. "_vidx_" .. position
        end
        local is_header = field_util.base_fields_tag_list[field] and (headers_are_tags or tag_fields[field])
        if not carbon and not is_header and (all_tags or tag_fields[field]) then
            tags[#tags + 1] = tag(out, value)
        end
        if source then
            if field == source or name == source then
                names[1], values[1] = prefix ~= "" and prefix or out, value
            end
        elseif not skipped[field] and not skipped[name] then
            names[#names + 1], values[#names + 1] = start .. out, value
        end
    end
    if config.fields_unread then
        each_unread(visit)
    else
        each_decoded(visit)
    end
    return names, values, tags
end

function M.influxdb_line_msg(config)
    local names, values, tags = points_and_tags(config)
    local key = escape_key(config.value_field_key)
    local time = format("%d", field_util.message_timestamp(config.timestamp_precision))
    local tag_text = tags[1] and "," .. table.concat(tags, ",") or ""
    local lines = {}
    for i, name in ipairs(names) do
        local value = values[i]
        local text
        if type(value) == "number" then
            text = finite(value) and format(config.decimal_format, value)
        elseif type(value) == "string" then
            if find(value, '"', 1, true) or find(value, "\\", 1, true) then
                value = gsub(value, '[\\"]', "\\%0")
            end
            text = '"' .. value .. '"'
        else
            text = tostring(value)
        end
        if text then
            lines[#lines + 1] = escape_name(name) .. tag_text .. " " .. key .. "=" .. text .. " " .. time
        end
    end
    return lines
end

function M.carbon_line_msg(config)
    local names, values = points_and_tags(config)
    local time = format("%d", field_util.message_timestamp(config.timestamp_precision))
    local lines = {}
    for i, name in ipairs(names) do
        local value = values[i]
        local text
        if type(value) == "number" then
            text = finite(value) and as_text(value)
        elseif type(value) == "string" then
            text = find(value, "^%-?%d+%.?%d*$") and value
        end
        if text then
            lines[#lines + 1] = without_blanks(name) .. " " .. text .. " " .. time
        end
    end
    return lines
end

function M.set_config(options)
    options = options or {}
    local config = {}
    for option, default in pairs(DEFAULTS) do
        config[option] = options[option] or default
    end
    local decimals = tostring(config.decimal_precision)
    if not find(decimals, "^%d%d?$") then
        error("decimal_precision must be a number of decimals from 0 to 99, not '" .. decimals .. "'", 0)
    end
    config.decimal_format = "%." .. decimals .. "f"
    if not UNITS[config.timestamp_precision] then
        error("timestamp_precision must be ms, s, m or h, not '" .. tostring(config.timestamp_precision) .. "'", 0)
    end
    if config.skip_fields_str and find(config.skip_fields_str, "%S") then
        config.skip_fields, config.skip_fields_all_base = field_util.field_map(config.skip_fields_str)
        config.used_base_fields = field_util.used_base_fields(config.skip_fields)
    end
    config.used_tag_fields, config.tag_fields_all_base, config.tag_fields_all = field_util.field_map(config.tag_fields_str)
    config.interp_name_prefix = config.name_prefix and find(config.name_prefix, "%{", 1, true) ~= nil
    return config
end

return M
