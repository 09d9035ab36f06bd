-- Decoder of /proc/loadavg.
--
-- Config:  payload_keep.
-- Gives:   Type stats.loadavg, fields 1MinAvg, 5MinAvg, 15MinAvg, NumProcesses; FilePath of the message is carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
l.locale(l)

local payload_keep = read_config("payload_keep")
local average = l.digit^1 * "." * l.digit^1 / tonumber
local grammar = l.Ct(l.Cg(average, "1MinAvg") * l.space * l.Cg(average, "5MinAvg") * l.space * l.Cg(average, "15MinAvg") * l.space
    * l.Cg(l.digit^1 / tonumber, "NumProcesses") * "/" * l.digit^1 * l.space * l.digit^1)

local msg = {Type = "stats.loadavg"}

function process_message()
    local text = read_message("Payload")
    local fields = grammar:match(text)
    if not fields then
        return -1
    end
    fields.FilePath = read_message("Fields[FilePath]")
    if payload_keep then
        msg.Payload = text
    end
    msg.Fields = fields
    inject_message(msg)
    return 0
end
