-- Decoder of /sys/block/DISK/stat.
--
-- Config:  payload_keep.
-- Gives:   Type stats.diskstats, a field for each column; FilePath and TickerInterval of the message are carried over.
-- Refuses: any other text: -1.

local l = require "lpeg"
l.locale(l)

local payload_keep = read_config("payload_keep")
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

local msg = {Type = "stats.diskstats"}

function process_message()
    local text = read_message("Payload")
    local fields = grammar:match(text)
    if not fields then
        return -1
    end
    fields.FilePath = read_message("Fields[FilePath]")
    fields.TickerInterval = read_message("Fields[TickerInterval]")
    if payload_keep then
        msg.Payload = text
    end
    msg.Fields = fields
    inject_message(msg)
    return 0
end
