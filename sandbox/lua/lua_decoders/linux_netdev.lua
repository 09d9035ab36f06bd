-- Decoder of /proc/net/dev.
--
-- Config:  payload_keep.
-- Gives:   for each network device a message of Type stats.netdev: an INTEGER field receive_NAME or transmit_NAME for each column, netdevice, and FilePath of
--          the message.
-- Refuses: any other text: -1 with the reason.

local l = require "lpeg"
l.locale(l)

local INTEGER = 2
local payload_keep = read_config("payload_keep")
local blank = l.P" "^0
local line_end = blank * "\n"

local function prefixed(prefix)
    return blank * ((l.alnum + "_")^1 / function(name)
        return prefix .. name
    end)
end

local head = "Inter-|" * blank * "Receive" * blank * "|" * blank * "Transmit" * line_end
local names = l.Ct(blank * "face" * blank * "|" * prefixed("receive_")^1 * blank * "|" * prefixed("transmit_")^1) * line_end
local device = l.Ct(blank * l.C((1 - l.S": \n")^1) * ":" * (blank * (l.digit^1 / tonumber))^1) * line_end
local grammar = l.Ct(head * names * device^1)

local msg = {Type = "stats.netdev"}

function process_message()
    local text = read_message("Payload")
    local rows = grammar:match(text)
    if not rows then
        return -1, "Failed to match grammar"
    end
    if payload_keep then
        msg.Payload = text
    end
    local columns, path = rows[1], read_message("Fields[FilePath]")
    for i = 2, #rows do
        local row = rows[i]
        local fields = {netdevice = row[1], FilePath = path}
        for column, name in ipairs(columns) do
            local value = row[column + 1]
            if value then
                fields[name] = {value = value, value_type = INTEGER}
            end
        end
        msg.Fields = fields
        inject_message(msg)
    end
    return 0
end
