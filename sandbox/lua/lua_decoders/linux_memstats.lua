-- Decoder of /proc/meminfo.
--
-- Config:  payload_keep.
-- Gives:   Type stats.memstats, a field for each line, with the representation kB where the line has that unit; FilePath of the message is carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
local stats_text = require "hekad.stats_text"
l.locale(l)

local number = l.digit^1 / tonumber
local kilobytes = l.Ct(l.Cg(number, "value") * l.space * l.Cg("kB", "representation")) * "\n"
local name = l.C((1 - l.S":\n")^1)
local line = l.Cg(name * ":" * l.space^1 * (kilobytes + number * "\n"))
local grammar = l.Cf(l.Ct(true) * line^1, rawset)

process_message = stats_text.decoder("stats.memstats", grammar, "FilePath")
