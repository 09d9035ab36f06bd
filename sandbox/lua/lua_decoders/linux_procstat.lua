-- Decoder of /proc/stat.
--
-- Config:  payload_keep.
-- Gives:   Type stats.procstat, a field for each line with all its numbers.
-- Refuses: any other text: -1.

local l = require "lpeg"
l.locale(l)

local payload_keep = read_config("payload_keep")
local blank = l.P" "
local name = l.C((l.alnum + "_")^1)
local numbers = l.Ct((blank^1 * (l.digit^1 / tonumber))^1)
local line = l.Cg(name * numbers) * blank^0 * l.P"\n"^0
local grammar = l.Cf(l.Ct(true) * line^1, rawset)

local msg = {Type = "stats.procstat"}

function process_message()
    local text = read_message("Payload")
    msg.Fields = grammar:match(text)
    if not msg.Fields then
        return -1
    end
    if payload_keep then
        msg.Payload = text
    end
    inject_message(msg)
    return 0
end
