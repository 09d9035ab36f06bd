-- Writes a message as JSON series of InfluxDB before 0.9.
--
-- Config: series (series): template of the name; %{...} is Type, Payload, Hostname, Pid, Logger, Severity, EnvVersion or a message field,
--         and stays where there is no such field.
--         skip_fields (none): headers and fields to leave out, with blanks between them.
--         multi_series (false): a series for each field, named <series>.<field>, with its first value as the column `value`.
--         exclude_base_fields (false): no headers at all.
-- Output: [{"name":...,"columns":["time",...],"points":[[...]]}], time in milliseconds. A second field of a name gets the column name2;
--         several values are a list. Headers that are not set, BYTES fields and numbers that JSON cannot hold are left out.
--         Returns -2 when nothing but the time is left.
-- Bounds: keeps nothing.

local cjson = require "cjson"
local math = require "math"
local string = require "string"

local HEADERS = {"Type", "Payload", "Hostname", "Pid", "Logger", "Severity", "EnvVersion"}
local BYTES = 1

local series = read_config("series") or "series"
local multi_series = read_config("multi_series")

local is_header, skipped, headers = {}, {}, {}
for name in string.gmatch(read_config("skip_fields") or "", "%S+") do
    skipped[name] = true
end
for _, name in ipairs(HEADERS) do
    is_header[name] = true
    if not skipped[name] and not read_config("exclude_base_fields") then
        headers[#headers + 1] = name
    end
    -- A field that is called like a header is a field.
    skipped[name] = nil
end

local function fill(name)
    local value
    if is_header[name] then
        value = read_message(name)
    else
        value = read_message("Fields[" .. name .. "]")
    end
    return value ~= nil and tostring(value) or nil
end

local function writable(value)
    return value ~= nil and (type(value) ~= "number" or value - value == 0)
end

-- All values of a field that can be written, a single one as itself; nil for none.
local function values_of(name, index, count, first)
    if count == 1 then
        return writable(first) and first or nil
    end
    local list = {}
    for i = 0, count - 1 do
        local value = read_message("Fields[" .. name .. "]", index, i)
        if writable(value) then
            list[#list + 1] = value
        end
    end
    return list[1] ~= nil and list or nil
end

local function one_series(name, columns, values)
    local seen = {}
    local kind, field, value, _, count = read_next_field()
    while kind do
        local nth = (seen[field] or 0) + 1
        seen[field] = nth
        if kind ~= BYTES and field ~= "Timestamp" and not skipped[field] then
            local found = value
            if count ~= 1 or type(value) == "number" then
                found = values_of(field, nth - 1, count, value)
            end
            if found ~= nil then
                columns[#columns + 1] = nth == 1 and field or field .. nth
                values[#values + 1] = found
            end
        end
        kind, field, value, _, count = read_next_field()
    end
    if #columns == 1 then
        return nil
    end
    return {{name = name, columns = columns, points = {values}}}
end

local function with(list, last)
    local copy = {}
    for i = 1, #list do
        copy[i] = list[i]
    end
    copy[#copy + 1] = last
    return copy
end

local function series_by_field(name, columns, values)
    local all = {}
    columns[#columns + 1] = "value"
    local kind, field, value = read_next_field()
    while kind do
        if kind ~= BYTES and not skipped[field] and writable(value) then
            all[#all + 1] = {name = name .. "." .. field, columns = columns, points = {with(values, value)}}
        end
        kind, field, value = read_next_field()
    end
    return all[1] and all
end

function process_message()
    local columns = {"time"}
    local values = {math.floor(read_message("Timestamp") / 1e6)}
    for _, header in ipairs(headers) do
        local value = read_message(header)
        if value ~= nil then
            columns[#columns + 1] = header
            values[#values + 1] = value
        end
    end
    local name = string.gsub(series, "%%{([%w%p]-)}", fill)
    local output = (multi_series and series_by_field or one_series)(name, columns, values)
    if not output then
        return -2
    end
    inject_payload("json", "influx_message", cjson.encode(output))
    return 0
end
