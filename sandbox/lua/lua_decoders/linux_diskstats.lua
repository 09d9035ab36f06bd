-- Decoder of /sys/block/DISK/stat.
--
-- Config:  payload_keep.
-- Gives:   Type stats.diskstats, a field for each column; FilePath and TickerInterval of the message are carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
local stats_text = require "hekad.stats_text"
l.locale(l)

local COLUMNS = {
    "ReadsCompleted", "ReadsMerged", "SectorsRead", "TimeReading", "WritesCompleted", "WritesMerged", "SectorsWritten", "TimeWriting", "NumIOInProgress",
    "TimeDoingIO", "WeightedTimeDoingIO",
}
-- Columns that newer kernels have as well.
local NEWER_COLUMNS = {"DiscardsCompleted", "DiscardsMerged", "SectorsDiscarded", "TimeDiscarding", "FlushesCompleted", "TimeFlushing"}

local blank = l.space - "\n"

local function column(name)
    return blank^0 * l.Cg(l.digit^1 / tonumber, name)
end

local row = l.P(true)
for _, name in ipairs(COLUMNS) do
    row = row * column(name)
end
for _, name in ipairs(NEWER_COLUMNS) do
    row = row * column(name)^-1
end
local grammar = l.Ct(row * blank^0 * "\n")

process_message = stats_text.decoder("stats.diskstats", grammar, "FilePath", "TickerInterval")
