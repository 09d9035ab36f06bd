-- Decoder of /proc/net/netstat and /proc/net/snmp.
--
-- Config:  payload_keep.
-- Gives:   Type stats.netstat, an INTEGER field PROTOCOL_NAME for each column; FilePath of the message is carried over.
-- Refuses: any other text: -1 with the reason.

local l = require "lpeg"
l.locale(l)

local INTEGER = 2
local payload_keep = read_config("payload_keep")
local word = l.C(l.alnum^1)
local number = l.P"-"^-1 * l.digit^1 / tonumber

-- A protocol has a line of names and a line of values.
local names = l.Ct(word * ":" * (" " * word)^1) * "\n"
local values = l.Ct(word * ":" * (" " * number)^1) * "\n"
local grammar = l.Ct((names * values)^1)

local msg = {Type = "stats.netstat"}

function process_message()
    local text = read_message("Payload")
    local lines = grammar:match(text)
    if not lines then
        return -1, "Failed to match grammar"
    end
    local fields = {FilePath = read_message("Fields[FilePath]")}
    for i = 1, #lines, 2 do
        local columns, row = lines[i], lines[i + 1]
        for column = 2, #columns do
            if row[column] then
                fields[columns[1] .. "_" .. columns[column]] = {value = row[column], value_type = INTEGER}
            end
        end
    end
    if payload_keep then
        msg.Payload = text
    end
    msg.Fields = fields
    inject_message(msg)
    return 0
end
