-- What the filters that merge circular buffer deltas share.
--
--   merge(buffer, kind, ns, column, value)   adds a delta up, or keeps the extreme; other kinds and what is no number are left alone
--   names(graphs)                            the names of graphs in alphabetical order
--
-- Bounds: keeps nothing.

local table = require "table"

local M = {}

function M.merge(buffer, kind, ns, column, value)
    if value ~= value then
        return
    end
    if kind == "sum" then
        buffer:add(ns, column, value)
    elseif kind == "min" or kind == "max" then
        buffer:set(ns, column, value)
    end
end

function M.names(graphs)
    local names = {}
    for name in pairs(graphs) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

return M
