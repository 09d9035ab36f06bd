-- LuaSocket: what it has in Lua, around the module socket.core.
--
--   bind(host, port, backlog)     a server for the first address of the host that can be had
--   connect4, connect6            connect, with addresses of one family
--   try                           newtry() without a finalizer
--   choose(table)                 a function that picks another from the table by name, "default" unless given
--   sink(mode, socket)            an LTN12 sink: "keep-open" (the default), "close-when-done"
--   source(mode, socket, length)  an LTN12 source: "until-closed" (the default), "by-length"
--
-- Sinks and sources can be given to select: they know the descriptor of their socket.

local string = require "string"
local math = require "math"
local M = require "socket.core"

local ipairs, type, error, tostring, setmetatable = ipairs, type, error, tostring, setmetatable

M.BLOCKSIZE = 2048
M.try = M.newtry()
M.sinkt, M.sourcet = {}, {}

function M.connect4(host, port, own_host, own_port)
    return M.connect(host, port, own_host, own_port, "inet")
end

function M.connect6(host, port, own_host, own_port)
    return M.connect(host, port, own_host, own_port, "inet6")
end

-- One attempt of bind.
local function serve(family, address, port, backlog)
    local create = family == "inet" and M.tcp4 or M.tcp6
    local server, failure = create()
    if not server then
        return nil, failure
    end
    server:setoption("reuseaddr", true)
    local ok
    ok, failure = server:bind(address, port)
    if ok then
        ok, failure = server:listen(backlog)
    end
    if ok then
        return server
    end
    server:close()
    return nil, failure
end

function M.bind(host, port, backlog)
    local addresses, failure = M.dns.getaddrinfo(host == "*" and "0.0.0.0" or host)
    if not addresses then
        return nil, failure
    end
    failure = "no info on address"
    for _, found in ipairs(addresses) do
        local server
        server, failure = serve(found.family, found.addr, port, backlog)
        if server then
            return server
        end
    end
    return nil, failure
end

function M.choose(choices)
    return function(name, ...)
        if type(name) == "string" then
            local chosen = choices[name]
            if not chosen then
                error("unknown key (" .. name .. ")", 3)
            end
            return chosen(...)
        end
        local default = choices.default
        if not default then
            error("unknown key (default)", 3)
        end
        return default(name, ...)
    end
end

-- A function that select takes for its socket.
local function callable(socket, call)
    local object = {}
    function object.getfd()
        return socket:getfd()
    end
    function object.dirty()
        return socket:dirty()
    end
    return setmetatable(object, {
        __call = function(_, ...)
            return call(...)
        end,
    })
end

M.callable = callable

M.sinkt["keep-open"] = function(socket)
    return callable(socket, function(chunk)
        if chunk then
            return socket:send(chunk)
        end
        return 1
    end)
end

M.sinkt["close-when-done"] = function(socket)
    return callable(socket, function(chunk)
        if chunk then
            return socket:send(chunk)
        end
        socket:close()
        return 1
    end)
end

M.sourcet["by-length"] = function(socket, length)
    local left = length
    return callable(socket, function()
        if left <= 0 then
            return nil
        end
        local chunk, failure = socket:receive(math.min(M.BLOCKSIZE, left))
        if not chunk then
            return nil, failure
        end
        left = left - string.len(chunk)
        return chunk
    end)
end

M.sourcet["until-closed"] = function(socket)
    local ended = false
    return callable(socket, function()
        if ended then
            return nil
        end
        local chunk, failure, rest = socket:receive(M.BLOCKSIZE)
        if chunk then
            return chunk
        end
        if failure ~= "closed" then
            return nil, failure
        end
        ended = true
        socket:close()
        return rest
    end)
end

M.sinkt.default = M.sinkt["keep-open"]
M.sourcet.default = M.sourcet["until-closed"]
M.sink = M.choose(M.sinkt)
M.source = M.choose(M.sourcet)

-- Scripts written for older versions find it as a global.
socket = M

return M
