-- Decoder of the query log of BIND, with print-time, print-severity and print-category.
--
-- Config:  type.
-- Gives:   Timestamp, the line as Payload, and the captures of module `bind` as fields, the time among them. Severity stays the message's.
-- Refuses: any other line: -1 with the reason.

local l = require "lpeg"
local bind = require "bind"

local grammar = l.Ct(bind.query_log_grammar)

local msg = {Type = read_config("type")}

function process_message()
    local line = read_message("Payload")
    local fields = grammar:match(line)
    if not fields then
        return -1, "Failed to parse the BIND query log line."
    end
    msg.Timestamp = fields.Timestamp
    msg.Payload = line
    msg.Fields = fields
    inject_message(msg)
    return 0
end
