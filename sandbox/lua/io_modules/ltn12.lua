-- LTN12: sources, sinks, and filters between them, which pumps move chunks through.
--
-- A source is called for the next chunk: nil at the end, nil and a text after a failure.
-- A sink is called with a chunk, with nil at the end, with nil and a text after a failure; it answers 1, or nil and a text.
-- A filter is called with a chunk and answers what becomes of it, "" for nothing yet; with nil it gives the rest, and then nil.
--
--   filter.chain, filter.cycle
--   pump.all, pump.step
--   sink.chain, sink.error, sink.file, sink.null, sink.simplify, sink.table
--   source.cat, source.chain, source.empty, source.error, source.file, source.rewind, source.simplify, source.string, source.table

local string = require "string"
local table = require "table"

local assert, error, select, type = assert, error, select, type

local M = {
    BLOCKSIZE = 2048,
    _VERSION = "LTN12 1.0.3",
    filter = {},
    pump = {},
    sink = {},
    source = {},
}

-- A filter made of a function that takes and gives back its state.
function M.filter.cycle(low, state, extra)
    assert(low, "filter.cycle needs a function")
    return function(chunk)
        local made
        made, state = low(state, chunk, extra)
        return made
    end
end

-- Two filters as one. Each piece of the first goes through the second. Who has given something is asked for more with "", who has not is not.
local function join(first, second)
    -- What the second has still to be asked for; whether the first was told of the end, and has said that it is there.
    local pending, told, ended = false, false, false
    return function(chunk)
        if chunk == nil then
            told = true
        end
        local fresh = chunk
        while true do
            if ended then
                return second(nil)
            end
            if pending then
                local made = second("")
                if made == nil then
                    error("filter returned inappropriate nil")
                end
                if made ~= "" then
                    return made
                end
                pending = false
            end
            local piece
            if told then
                piece = first(nil)
                if piece == nil then
                    ended = true
                end
            else
                piece = first(fresh)
                fresh = ""
                if piece == nil then
                    error("filter returned inappropriate nil")
                end
                if piece == "" then
                    return ""
                end
            end
            if piece ~= nil and piece ~= "" then
                local made = second(piece)
                if made == nil then
                    error("filter returned inappropriate nil")
                end
                if made ~= "" then
                    pending = true
                    return made
                end
            end
        end
    end
end

function M.filter.chain(...)
    local chained = (...)
    for i = 2, select("#", ...) do
        chained = join(chained, (select(i, ...)))
    end
    return chained
end

local function nothing()
    return nil
end

function M.source.empty()
    return nothing
end

function M.source.error(text)
    return function()
        return nil, text
    end
end

function M.source.file(handle, failure)
    if not handle then
        return M.source.error(failure or "unable to open file")
    end
    return function()
        local chunk = handle:read(M.BLOCKSIZE)
        if not chunk then
            handle:close()
        end
        return chunk
    end
end

-- A source that may put another in its place becomes one that does not.
function M.source.simplify(source)
    assert(source, "source.simplify needs a source")
    return function()
        local chunk, other = source()
        if not chunk then
            return nil, other
        end
        source = other or source
        return chunk
    end
end

function M.source.string(text)
    if not text then
        return M.source.empty()
    end
    local at = 1
    return function()
        local chunk = string.sub(text, at, at + M.BLOCKSIZE - 1)
        at = at + M.BLOCKSIZE
        if chunk ~= "" then
            return chunk
        end
    end
end

function M.source.table(chunks)
    assert(type(chunks) == "table", "source.table needs a table")
    local at = 0
    return function()
        at = at + 1
        return chunks[at]
    end
end

-- A source that takes chunks back: called with one, it gives it again next time.
function M.source.rewind(source)
    assert(source, "source.rewind needs a source")
    local back = {}
    return function(chunk)
        if chunk then
            back[#back + 1] = chunk
            return nil
        end
        if #back > 0 then
            return table.remove(back)
        end
        return source()
    end
end

function M.source.chain(source, filter, ...)
    assert(source and filter, "source.chain needs a source and a filter")
    if select("#", ...) > 0 then
        filter = M.filter.chain(filter, ...)
    end
    -- Whether the filter may have more of the last chunk, and whether that was the last of all.
    local pending, ended, done = false, false, false
    return function()
        if done then
            error("source is empty!", 2)
        end
        while true do
            if not pending then
                local chunk, failure = source()
                if failure then
                    return nil, failure
                end
                ended = chunk == nil
                local made = filter(chunk)
                if made == nil and not ended then
                    error("filter returned inappropriate nil")
                end
                if made ~= "" then
                    pending, done = made ~= nil, made == nil
                    return made
                end
                -- At the end the filter is asked until it says so.
                pending = ended
            else
                local made
                if ended then
                    made = filter(nil)
                else
                    made = filter("")
                    if made == nil then
                        error("filter returned inappropriate nil")
                    end
                end
                if made == nil then
                    done = true
                    return nil
                end
                if made ~= "" then
                    return made
                end
                if ended then
                    error('filter returned ""')
                end
                pending = false
            end
        end
    end
end

-- Sources one after the other.
function M.source.cat(...)
    local sources, at = { ... }, 1
    return function()
        while sources[at] do
            local chunk, failure = sources[at]()
            if chunk then
                return chunk
            end
            if failure then
                return nil, failure
            end
            at = at + 1
        end
        return nil
    end
end

local function take()
    return 1
end

function M.sink.null()
    return take
end

function M.sink.error(text)
    return function()
        return nil, text
    end
end

-- The sink, and the table that it fills.
function M.sink.table(chunks)
    chunks = chunks or {}
    local function sink(chunk)
        if chunk then
            chunks[#chunks + 1] = chunk
        end
        return 1
    end
    return sink, chunks
end

function M.sink.file(handle, failure)
    if not handle then
        return M.sink.error(failure or "unable to open file")
    end
    return function(chunk)
        if chunk then
            return handle:write(chunk)
        end
        handle:close()
        return 1
    end
end

-- A sink that may put another in its place becomes one that does not.
function M.sink.simplify(sink)
    assert(sink, "sink.simplify needs a sink")
    return function(chunk, failure)
        local ok, other = sink(chunk, failure)
        if not ok then
            return nil, other
        end
        sink = other or sink
        return 1
    end
end

-- Any number of filters, and behind them the sink.
function M.sink.chain(...)
    local count = select("#", ...)
    assert(count >= 2, "sink.chain needs a filter and a sink")
    local parts = { ... }
    local sink = table.remove(parts, count)
    local filter = M.filter.chain(unpack(parts))
    assert(filter and sink, "sink.chain needs a filter and a sink")
    return function(chunk, failure)
        if chunk == "" then
            return 1
        end
        -- With what the filter is asked for more, and says that there is none.
        local more = chunk and ""
        local made = filter(chunk)
        while true do
            local ok, why = sink(made, failure)
            if not ok then
                return nil, why
            end
            if made == more then
                return 1
            end
            made = filter(more)
        end
    end
end

-- One chunk from a source to a sink.
function M.pump.step(source, sink)
    local chunk, source_failure = source()
    local ok, sink_failure = sink(chunk, source_failure)
    if chunk and ok then
        return 1
    end
    return nil, source_failure or sink_failure
end

function M.pump.all(source, sink, step)
    assert(source and sink, "pump.all needs a source and a sink")
    step = step or M.pump.step
    local ok, failure
    repeat
        ok, failure = step(source, sink)
    until not ok
    if failure then
        return nil, failure
    end
    return 1
end

-- Scripts written for older versions find it as a global.
ltn12 = M

return M
