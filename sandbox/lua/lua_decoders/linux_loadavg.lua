-- Decoder of /proc/loadavg.
--
-- Config:  payload_keep.
-- Gives:   Type stats.loadavg, fields 1MinAvg, 5MinAvg, 15MinAvg, NumProcesses; FilePath of the message is carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
local stats_text = require "hekad.stats_text"
l.locale(l)

local average = l.digit^1 * "." * l.digit^1 / tonumber
local grammar = l.Ct(l.Cg(average, "1MinAvg") * l.space * l.Cg(average, "5MinAvg") * l.space * l.Cg(average, "15MinAvg") * l.space
    * l.Cg(l.digit^1 / tonumber, "NumProcesses") * "/" * l.digit^1 * l.space * l.digit^1)

process_message = stats_text.decoder("stats.loadavg", grammar, "FilePath")
