-- Draws each column of a filter's circular buffer deltas as a graph of its own, with a column for each host.
--
-- Input:  payloads of type cbufd; -1 for others. The host is the message's Hostname. Columns with the aggregation sum are added up, min
--         and max keep the extreme, others are left alone.
-- Config: max_hosts (required): columns of the graphs; rows (required) of the graphs; host_expiration (120): seconds of silence after
--         which a new host takes the column of an old one, with what is in it;
--         preservation_version (0): a new one discards preserved state, as is needed after a change of max_hosts or rows.
-- Output: payloads of type cbuf, named "<payload name> (<column>)", each tick, with options for a stacked graph in front.
-- Bounds: a buffer for each column of each payload name that was ever seen, as in Heka; more than max_timer_inject graphs end the filter,
--         as do more hosts than max_hosts.

_PRESERVATION_VERSION = read_config("preservation_version") or 0

require "circular_buffer"
local cbufd = require "cbufd"
local cbufd_graphs = require "hekad.cbufd_graphs"
local cjson = require "cjson"
local string = require "string"

local OPTIONS = '{"options":{"stackedGraph":true,"fillGraph":true}}\n'

local rows = read_config("rows") or error("rows configuration must be specified")
local max_hosts = read_config("max_hosts") or error("max_hosts configuration must be specified")
local expiration = (read_config("host_expiration") or 120) * 1e9

hosts = {}
hosts_size = 0
payloads = {}

local function name_column(payload, index, hostname)
    for i, buffer in ipairs(payload.cbufs) do
        local info = payload.header.column_info[i]
        buffer:set_header(index, hostname, info.unit, info.aggregation)
    end
end

-- Gives a new host a column: a free one, or that of the host which has been silent longest.
local function add_host(hostname, ns)
    local host
    if hosts_size < max_hosts then
        hosts_size = hosts_size + 1
        host = {index = hosts_size}
    else
        local oldest
        for name, other in pairs(hosts) do
            if ns - other.last_update >= expiration and (not oldest or other.last_update < hosts[oldest].last_update) then
                oldest = name
            end
        end
        if not oldest then
            error("The number of hosts exceeds the 'max_hosts' configuration")
        end
        host = hosts[oldest]
        hosts[oldest] = nil
    end
    host.last_update = ns
    hosts[hostname] = host
    for _, payload in pairs(payloads) do
        name_column(payload, host.index, hostname)
    end
    return host
end

-- The buffers that a header asks for; an error where it is none.
local function new_payload(header_text)
    local header = cjson.decode(header_text)
    local payload = {header = header, cbufs = {}}
    for i, info in ipairs(header.column_info) do
        if type(info.name) ~= "string" then
            error("a column without a name")
        end
        payload.cbufs[i] = circular_buffer.new(rows, max_hosts, header.seconds_per_row)
    end
    for hostname, host in pairs(hosts) do
        name_column(payload, host.index, hostname)
    end
    return payload
end

function process_message()
    local data = cbufd.grammar:match(read_message("Payload"))
    if not data then
        return -1
    end
    local name = read_message("Fields[payload_name]") or ""
    local payload = payloads[name]
    if not payload then
        local known, made = pcall(new_payload, data.header)
        if not known then
            return -1, "no circular buffer header"
        end
        payload = made
        payloads[name] = payload
    end
    local ns = read_message("Timestamp")
    local hostname = read_message("Hostname")
    local host = hosts[hostname] or add_host(hostname, ns)
    if ns > host.last_update then
        host.last_update = ns
    end
    for _, row in ipairs(data) do
        if #row > #payload.cbufs then
            return -1, "more columns than the first delta of " .. name
        end
        for column, value in ipairs(row) do
            local kind = payload.header.column_info[column].aggregation
            cbufd_graphs.merge(payload.cbufs[column], kind, row.time, host.index, value)
        end
    end
    return 0
end

function timer_event()
    for _, name in ipairs(cbufd_graphs.names(payloads)) do
        local payload = payloads[name]
        for i, buffer in ipairs(payload.cbufs) do
            inject_payload("cbuf", string.format("%s (%s)", name, payload.header.column_info[i].name), OPTIONS, buffer)
        end
    end
end
