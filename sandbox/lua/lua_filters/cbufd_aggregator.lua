-- Merges the circular buffer deltas of one filter on many hosts into one graph.
--
-- Input:  payloads of type cbufd, such as of a SandboxFilter with a buffer that has deltas; -1 for others. The name of the payload is
--         that of the graph; its first header makes the buffer. Columns with the aggregation sum are added up, min and max keep the
--         extreme, others are left alone.
-- Config: enable_delta (false): also send deltas on; anomaly_config (none), see module anomaly;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of enable_delta.
-- Output: payloads of type cbuf (and cbufd) for each graph, each tick, by name; one alert for all.
-- Bounds: a buffer for each name that was ever seen, as in Heka; more than max_timer_inject graphs end the filter.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local alert = require "alert"
local annotation = require "annotation"
local anomaly = require "anomaly"
local cbuf_graph = require "hekad.cbuf_graph"
local cbufd = require "cbufd"
local cbufd_graphs = require "hekad.cbufd_graphs"
local cjson = require "cjson"

local enable_delta = read_config("enable_delta") or false
local anomaly_config = anomaly.parse_config(read_config("anomaly_config"))

cbufs = {}

-- A buffer as a header describes it; an error where it describes none.
local function new_buffer(header_text)
    local header = cjson.decode(header_text)
    local buffer = circular_buffer.new(header.rows, header.columns, header.seconds_per_row, enable_delta)
    for column, info in ipairs(header.column_info) do
        buffer:set_header(column, info.name, info.unit, info.aggregation)
    end
    return buffer, header.rows * header.seconds_per_row * 1e9
end

local function aggregations(buffer)
    local list = {}
    local _, columns = buffer:get_configuration()
    for column = 1, columns do
        local _, _, aggregation = buffer:get_header(column)
        list[column] = aggregation
    end
    return list
end

function process_message()
    local data = cbufd.grammar:match(read_message("Payload"))
    if not data then
        return -1
    end
    local name = read_message("Fields[payload_name]") or ""
    local buffer = cbufs[name]
    if not buffer then
        local known, made, duration = pcall(new_buffer, data.header)
        if not known then
            return -1, "no circular buffer header"
        end
        buffer = made
        cbufs[name] = buffer
        annotation.set_prune(name, duration)
    end
    local kinds = aggregations(buffer)
    for _, row in ipairs(data) do
        if #row > #kinds then
            return -1, "more columns than the first delta of " .. name
        end
        for column, value in ipairs(row) do
            cbufd_graphs.merge(buffer, kinds[column], row.time, column, value)
        end
    end
    return 0
end

local function send(ns, name, buffer)
    cbuf_graph.draw(ns, name, buffer:format("cbuf"), anomaly_config, alert.queue)
    if enable_delta then
        inject_payload("cbufd", name, buffer:format("cbufd"))
    end
end

function timer_event(ns)
    for _, name in ipairs(cbufd_graphs.names(cbufs)) do
        send(ns, name, cbufs[name])
    end
    alert.send_queue(ns)
end
