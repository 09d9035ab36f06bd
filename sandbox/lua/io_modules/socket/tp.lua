-- What SMTP and FTP have in common: a line for a command, a code of three digits in front of the reply.
--
--   connect(host, port, timeout, create)    an object with the methods below
--   check(expected)                         reads a reply: its code and text, or nil and the text where the code is another; expected is
--                                           a pattern, a list of them, or a function that is given both
--   command(name, argument)
--   send, receive, sink, source, getpeername, getsockname, getfd, dirty, getcontrol, close

local string = require "string"
local table = require "table"
local socket = require "socket"
local ltn12 = require "ltn12"

local ipairs, setmetatable, tonumber, tostring, type = ipairs, setmetatable, tonumber, tostring, type

local M = {
    TIMEOUT = 60,
}

local Connection = {}
Connection.__index = Connection

function M.connect(host, port, timeout, create)
    local control, failure = (create or socket.tcp)()
    if not control then
        return nil, failure
    end
    control:settimeout(timeout or M.TIMEOUT)
    local ok
    ok, failure = control:connect(host, port)
    if not ok then
        control:close()
        return nil, failure
    end
    return setmetatable({ c = control }, Connection)
end

-- The code of a reply and all its lines.
local function read_reply(control)
    local lines, code = {}, nil
    while true do
        local line, failure = control:receive()
        if not line then
            return nil, failure
        end
        lines[#lines + 1] = line
        local digits, mark = string.match(line, "^(%d%d%d)(.?)")
        if not code then
            if not digits then
                return nil, "invalid server reply"
            end
            code = digits
            if mark ~= "-" then
                break
            end
        elseif digits == code and mark == " " then
            break
        end
    end
    return code, table.concat(lines, "\n")
end

local function fits(code, expected)
    if type(expected) == "table" then
        for _, one in ipairs(expected) do
            if fits(code, one) then
                return true
            end
        end
        return false
    end
    return string.find(code, tostring(expected)) ~= nil
end

function Connection:check(expected)
    local code, reply = read_reply(self.c)
    if not code then
        return nil, reply
    end
    if type(expected) == "function" then
        return expected(tonumber(code), reply)
    end
    if fits(code, expected) then
        return tonumber(code), reply
    end
    return nil, reply
end

function Connection:command(name, argument)
    local line = string.upper(name)
    if argument then
        line = line .. " " .. argument
    end
    return self.c:send(line .. "\r\n")
end

-- One chunk that is received, into a sink.
function Connection:sink(sink, pattern)
    return sink(self.c:receive(pattern))
end

-- All of a source, to the server.
function Connection:source(source, step)
    return ltn12.pump.all(source, socket.sink("keep-open", self.c), step)
end

function Connection:send(data)
    return self.c:send(data)
end

function Connection:receive(pattern)
    return self.c:receive(pattern)
end

function Connection:getpeername()
    return self.c:getpeername()
end

function Connection:getsockname()
    return self.c:getsockname()
end

function Connection:getfd()
    return self.c:getfd()
end

function Connection:dirty()
    return self.c:dirty()
end

function Connection:getcontrol()
    return self.c
end

function Connection:close()
    self.c:close()
    return 1
end

socket.tp = M

return M
