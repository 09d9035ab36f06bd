-- FTP: fetches and stores files, by data connections that the server is asked for (PASV; EPSV over IPv6).
--
--   get(url), get(table)              the file; with a table 1, and the file goes to its sink
--   put(url, content), put(table)     the number of bytes that were stored
--   command(table)                    { host =, command = text or list, argument =, check = }: 1
--   open(server, port, create)        a connection, for those who go step by step; its methods raise
--
-- A table has url, or host, port, user, password, path; type "a" or "i"; command and argument; sink or source; step; create.
-- Failures are nil and a text. TIMEOUT, USER and PASSWORD are for all connections.

local string = require "string"
local table = require "table"
local socket = require "socket"
local url = require "socket.url"
local tp = require "socket.tp"
local ltn12 = require "ltn12"

local ipairs, pairs, setmetatable, tonumber, type = ipairs, pairs, setmetatable, tonumber, type

local M = {
    TIMEOUT = 60,
    PORT = 21,
    USER = "ftp",
    PASSWORD = "anonymous@anonymous.org",
}

local Connection = {}
Connection.__index = Connection

function M.open(server, port, create)
    local control = socket.try(tp.connect(server, port or M.PORT, M.TIMEOUT, create))
    local self = setmetatable({ tp = control }, Connection)
    self.try = socket.newtry(function()
        self:close()
    end)
    return self
end

-- A command and its reply: code and text.
local function ask(self, expected, name, argument)
    self.try(self.tp:command(name, argument))
    return self.try(self.tp:check(expected))
end

function Connection:greet()
    local code = self.try(self.tp:check { "1..", "2.." })
    if code < 200 then
        self.try(self.tp:check("2.."))
    end
    return 1
end

function Connection:login(user, password)
    local code = ask(self, { "2..", "331" }, "USER", user or M.USER)
    if code == 331 then
        ask(self, "2..", "PASS", password or M.PASSWORD)
    end
    return 1
end

local function close_server(self)
    if self.server then
        self.server:close()
        self.server = nil
    end
end

function Connection:pasv()
    local _, reply = ask(self, "2..", "PASV")
    local a, b, c, d, high, low = string.match(reply, "(%d+)%D(%d+)%D(%d+)%D(%d+)%D(%d+)%D(%d+)")
    self.try(low, reply)
    self.pasvt = {
        address = table.concat({ a, b, c, d }, "."),
        port = high * 256 + low,
    }
    close_server(self)
    return self.pasvt.address, self.pasvt.port
end

function Connection:epsv()
    local _, reply = ask(self, "229", "EPSV")
    local _, port = string.match(reply, "%((.)%1%1(%d+)%1%)")
    self.pasvt = {
        address = self.try(self.tp:getpeername()),
        port = self.try(tonumber(port), "invalid epsv response"),
    }
    close_server(self)
    return self.pasvt.address, self.pasvt.port
end

-- Waits for the server here, at an address of our own unless it is given.
local function listen(self, address, port)
    self.pasvt = nil
    if address then
        return address, port
    end
    close_server(self)
    self.server = self.try(socket.bind(self.try(self.tp:getsockname()), 0))
    self.try(self.server:settimeout(M.TIMEOUT))
    return self.try(self.server:getsockname())
end

function Connection:port(address, port)
    address, port = listen(self, address, port)
    local low = port % 256
    local parts = string.gsub(address, "%.", ",")
    ask(self, "2..", "PORT", string.format("%s,%d,%d", parts, (port - low) / 256, low))
    return 1
end

function Connection:eprt(family, address, port)
    address, port = listen(self, address, port)
    ask(self, "2..", "EPRT", string.format("|%s|%s|%d|", family, address, port))
    return 1
end

-- Asks for a data connection in the way that the control connection allows.
local function passive(self)
    local _, _, family = self.try(self.tp:getpeername())
    if family == "inet6" then
        return self:epsv()
    end
    return self:pasv()
end

local function connect_data(self)
    self.data = self.try(socket.tcp())
    self.try(self.data:settimeout(M.TIMEOUT))
    self.try(self.data:connect(self.pasvt.address, self.pasvt.port))
end

local function accept_data(self)
    self.try(self.server:settimeout(M.TIMEOUT))
    self.data = self.try(self.server:accept())
    self.try(self.data:settimeout(M.TIMEOUT))
end

-- Begins a transfer: code and text of the first reply. A reply that is the last one needs no data connection.
local function begin(self, transfer, command)
    self.try(self.pasvt or self.server, "need port or pasv first")
    if self.pasvt then
        connect_data(self)
    end
    local argument = transfer.argument
    if not argument then
        argument = url.unescape((string.gsub(transfer.path or "", "^[/\\]", "")))
    end
    if argument == "" then
        argument = nil
    end
    return ask(self, { "1..", "2.." }, transfer.command or command, argument)
end

local function finish(self, code)
    if code < 200 then
        self.try(self.tp:check("2.."))
    end
end

function Connection:send(transfer)
    local code = begin(self, transfer, "STOR")
    if not self.pasvt then
        accept_data(self)
    end
    local sink = socket.sink("close-when-done", self.data)
    self.try(ltn12.pump.all(transfer.source, sink, transfer.step))
    local _, sent = self.data:getstats()
    self.data:close()
    self.data = nil
    finish(self, code)
    return sent
end

function Connection:receive(transfer)
    local code, reply = begin(self, transfer, "RETR")
    if code >= 200 then
        self.try(transfer.sink(reply))
        return 1
    end
    if not self.pasvt then
        accept_data(self)
    end
    local source = socket.source("until-closed", self.data)
    self.try(ltn12.pump.all(source, transfer.sink, transfer.step))
    self.data:close()
    self.data = nil
    finish(self, code)
    return 1
end

function Connection:cwd(folder)
    ask(self, "250", "CWD", folder)
    return 1
end

function Connection:type(kind)
    ask(self, "200", "TYPE", kind)
    return 1
end

function Connection:quit()
    ask(self, "2..", "QUIT")
    return 1
end

function Connection:close()
    if self.data then
        self.data:close()
    end
    close_server(self)
    return self.tp:close()
end

-- A table of a request with what its URL says.
local function with_url(request)
    if not request.url then
        return request
    end
    local parts = socket.try(url.parse(request.url))
    for name, value in pairs(request) do
        parts[name] = value
    end
    return parts
end

-- A connection, greeted and logged in.
local function enter(request)
    socket.try(request.host, "missing hostname")
    local connection = M.open(request.host, request.port, request.create)
    connection:greet()
    connection:login(request.user, request.password)
    return connection
end

local function transfer_connection(request)
    local connection = enter(request)
    if request.type then
        connection:type(request.type)
    end
    passive(connection)
    return connection
end

-- The table that stands for a URL.
function M.genericform(address)
    local request = socket.try(url.parse(address, { path = "/", scheme = "ftp" }))
    socket.try(request.scheme == "ftp", "wrong scheme '" .. request.scheme .. "'")
    socket.try(request.host, "missing hostname")
    if request.params then
        local kind = string.match(request.params, "^type=(.)$")
        socket.try(kind == "a" or kind == "i", "invalid type '" .. (kind or request.params) .. "'")
        request.type = kind
    end
    return request
end

local function put(request)
    request = with_url(request)
    local connection = transfer_connection(request)
    local sent = connection:send(request)
    connection:quit()
    connection:close()
    return sent
end

local function get(request)
    request = with_url(request)
    local connection = transfer_connection(request)
    connection:receive(request)
    connection:quit()
    return connection:close()
end

M.put = socket.protect(function(request, content)
    if type(request) == "string" then
        request = M.genericform(request)
        request.source = ltn12.source.string(content)
    end
    return put(request)
end)

M.get = socket.protect(function(request)
    if type(request) ~= "string" then
        return get(request)
    end
    local chunks = {}
    request = M.genericform(request)
    request.sink = ltn12.sink.table(chunks)
    get(request)
    return table.concat(chunks)
end)

M.command = socket.protect(function(request)
    request = with_url(request)
    local single = type(request.command) ~= "table"
    local commands = single and { request.command } or request.command
    socket.try(commands[1], "missing command")
    local function at(values, index)
        if single then
            return values
        end
        return values and values[index]
    end
    local connection = enter(request)
    for index, command in ipairs(commands) do
        connection.try(connection.tp:command(command, at(request.argument, index)))
        local expected = at(request.check, index)
        if expected then
            connection.try(connection.tp:check(expected))
        end
    end
    connection:quit()
    return connection:close()
end)

socket.ftp = M

return M
