-- Notes on graphs: kept by the name of the graph, written in front of a circular buffer's output.
--
--   create(ns, column, short, text)      makes one, without keeping it
--   add(name, ns, column, short, text)   makes one and keeps it
--   concat(name, list)                   keeps several
--   prune(name, ns)                      forgets the old ones; the others as a line of JSON
--   remove(name)                         forgets a graph
--   set_prune(name, ns)                  how long the notes of a graph are kept, a day unless set
--
-- All of them are in the global _ANNOTATIONS, so that they are preserved.
-- Bounds: what is added between two calls of prune() plus what is younger than its time, as in Heka.

_ANNOTATIONS = _ANNOTATIONS or {}

local math = require "math"
local cjson = require "cjson"

local M = {}

local DAY = 24 * 3600 * 1e9

local function graph(name)
    local found = _ANNOTATIONS[name]
    if not found then
        found = {annotations = {}, prune_duration = DAY}
        _ANNOTATIONS[name] = found
    end
    return found
end

function M.create(ns, column, short, text)
    return {x = math.floor(ns / 1e6), col = column, shortText = short, text = text}
end

function M.add(name, ns, column, short, text)
    local list = graph(name).annotations
    list[#list + 1] = M.create(ns, column, short, text)
end

function M.concat(name, notes)
    local list = graph(name).annotations
    for _, note in ipairs(notes) do
        list[#list + 1] = note
    end
end

function M.prune(name, ns)
    local found = _ANNOTATIONS[name]
    if not found then
        return '{"annotations":{}}\n'
    end
    local list, kept = found.annotations, 0
    for i = 1, #list do
        local note = list[i]
        list[i] = nil
        if note.x * 1e6 + found.prune_duration > ns then
            kept = kept + 1
            list[kept] = note
        end
    end
    return cjson.encode({annotations = list}) .. "\n"
end

function M.remove(name)
    _ANNOTATIONS[name] = nil
end

function M.set_prune(name, ns)
    graph(name).prune_duration = ns
end

return M
