-- Decoder of /proc/meminfo.
--
-- Config:  payload_keep.
-- Gives:   Type stats.memstats, a field for each line, with the representation kB where the line has that unit; FilePath of the message is carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
l.locale(l)

local payload_keep = read_config("payload_keep")
local number = l.digit^1 / tonumber
local kilobytes = l.Ct(l.Cg(number, "value") * l.space * l.Cg("kB", "representation")) * "\n"
local name = l.C((1 - l.S":\n")^1)
local line = l.Cg(name * ":" * l.space^1 * (kilobytes + number * "\n"))
local grammar = l.Cf(l.Ct(true) * line^1, rawset)

local msg = {Type = "stats.memstats"}

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
