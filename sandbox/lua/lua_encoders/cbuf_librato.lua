-- Sends the rows of circular buffers to Librato, each once.
--
-- Config: message_key (%{Logger}:%{payload_name}): the template that tells buffers apart, see msg_interpolate.
-- Input:  payloads of type cbuf; lines of annotations or options in front of the header are passed over.
-- Output: {"gauges":[{"name":column,"source":Hostname,"value":n,"measure_time":seconds}, ...]} of the rows since the last message of that
--         key. The newest row is still open and waits for the next message. Values that are no number are left out.
-- Returns -1 for what is no circular buffer or does not continue the last one, -2 when there is nothing new.
-- Bounds: one time for each key, as in Heka. The global last_times is preserved.

local cjson = require "cjson"
local string = require "string"
local interpolate = require("msg_interpolate").interpolate_from_msg

local message_key = read_config("message_key") or "%{Logger}:%{payload_name}"
local NO_NUMBER = {nan = true, ["-nan"] = true, inf = true, ["-inf"] = true}

last_times = {}

local function complete(header)
    return type(header.time) == "number" and type(header.rows) == "number" and type(header.columns) == "number"
        and type(header.seconds_per_row) == "number" and header.seconds_per_row > 0 and type(header.column_info) == "table"
        and header.columns == #header.column_info
end

-- The header and the rows' texts, or nil.
local function parse(payload)
    local header
    local rows = {}
    for line in string.gmatch(payload, "[^\n]+") do
        if header then
            rows[#rows + 1] = line
        else
            local known, value = pcall(cjson.decode, line)
            if not known or type(value) ~= "table" then
                return nil
            end
            if not value.annotations and not value.options then
                if not complete(value) then
                    return nil
                end
                header = value
            end
        end
    end
    if not header or #rows < 3 or #rows ~= header.rows then
        return nil
    end
    return header, rows
end

-- The gauges of one row; false when the row does not fit the header.
local function add_row(gauges, row, header, source, time)
    local column = 0
    for text in string.gmatch(row, "[^\t]+") do
        column = column + 1
        local info = header.column_info[column]
        if not info then
            return false
        end
        if not NO_NUMBER[text] then
            local value = tonumber(text)
            if not value then
                return false
            end
            gauges[#gauges + 1] = {name = info.name, source = source, value = value, measure_time = time}
        end
    end
    return column == header.columns
end

function process_message()
    local header, rows = parse(read_message("Payload"))
    if not header then
        return -1, "no circular buffer"
    end
    local key = interpolate(message_key)
    local last = last_times[key]
    local first = 1
    if last then
        if header.time == last then
            return -2
        end
        local elapsed = (header.time - last) / header.seconds_per_row
        if elapsed < 0 or elapsed % 1 ~= 0 then
            return -1, "does not continue the last buffer of " .. key
        end
        if elapsed < header.rows - 1 then
            first = header.rows - elapsed
        end
    end
    local gauges = {}
    local source = read_message("Hostname")
    for row = first, header.rows - 1 do
        if not add_row(gauges, rows[row], header, source, header.time + (row - 1) * header.seconds_per_row) then
            return -1, "row " .. row .. " does not fit the header"
        end
    end
    if #gauges == 0 then
        return -2
    end
    inject_payload("json", "output", cjson.encode({gauges = gauges}))
    last_times[key] = header.time
    return 0
end
