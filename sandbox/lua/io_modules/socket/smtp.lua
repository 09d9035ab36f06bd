-- SMTP: sends mail.
--
--   send(table)       { from =, rcpt = text or list, source =, server =, port =, domain =, user =, password =, step =, create = }: 1, or nil and a text
--   message(table)    { headers =, body = text, source, or list of such tables with preamble and epilogue }: an LTN12 source of the mail
--   open(server, port, create)    a connection, for those who go step by step; its methods raise
--
-- SERVER, PORT, DOMAIN, TIMEOUT and ZONE are for all mail.

local string = require "string"
local table = require "table"
local math = require "math"
local os = require "os"
local socket = require "socket"
local tp = require "socket.tp"
local ltn12 = require "ltn12"
local mime = require "mime"
local canonic = require("socket.headers").canonic

local coroutine = coroutine
local ipairs, pairs, setmetatable, type = ipairs, pairs, setmetatable, type

local M = {
    TIMEOUT = 60,
    SERVER = "localhost",
    PORT = 25,
    DOMAIN = os.getenv("SERVER_NAME") or "localhost",
    ZONE = "-0000",
}

local Connection = {}
Connection.__index = Connection

function M.open(server, port, create)
    local control = socket.try(tp.connect(server or M.SERVER, port or M.PORT, M.TIMEOUT, create))
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

-- A line that is no command, and its reply.
local function say(self, expected, line)
    self.try(self.tp:send(line .. "\r\n"))
    return self.try(self.tp:check(expected))
end

-- Answers what the server can do.
function Connection:greet(domain)
    self.try(self.tp:check("2.."))
    local _, extensions = ask(self, "2..", "EHLO", domain or M.DOMAIN)
    return extensions
end

function Connection:mail(from)
    return ask(self, "2..", "MAIL", "FROM:" .. from)
end

function Connection:rcpt(to)
    return ask(self, "2..", "RCPT", "TO:" .. to)
end

function Connection:data(source, step)
    ask(self, "3..", "DATA")
    self.try(self.tp:source(source, step))
    return say(self, "2..", "\r\n.")
end

function Connection:quit()
    return ask(self, "2..", "QUIT")
end

function Connection:close()
    return self.tp:close()
end

function Connection:login(user, password)
    ask(self, "3..", "AUTH", "LOGIN")
    say(self, "3..", mime.b64(user) or "")
    return say(self, "2..", mime.b64(password) or "")
end

function Connection:plain(user, password)
    return ask(self, "2..", "AUTH", "PLAIN " .. mime.b64("\0" .. user .. "\0" .. password))
end

function Connection:auth(user, password, extensions)
    if not user or not password then
        return 1
    end
    if string.find(extensions, "AUTH[^\n]+LOGIN") then
        return self:login(user, password)
    end
    if string.find(extensions, "AUTH[^\n]+PLAIN") then
        return self:plain(user, password)
    end
    self.try(nil, "authentication not supported")
end

function Connection:send(mail)
    self:mail(mail.from)
    local receivers = type(mail.rcpt) == "table" and mail.rcpt or { mail.rcpt }
    for _, receiver in ipairs(receivers) do
        self:rcpt(receiver)
    end
    self:data(ltn12.source.chain(mail.source, mime.stuff()), mail.step)
end

local give = coroutine.yield

local function in_small_letters(headers)
    local small = {}
    for name, value in pairs(headers or {}) do
        small[string.lower(name)] = value
    end
    return small
end

local function give_headers(headers)
    local lines = {}
    for name, value in pairs(headers) do
        lines[#lines + 1] = canonic[name] .. ": " .. value .. "\r\n"
    end
    table.sort(lines)
    give(table.concat(lines) .. "\r\n")
end

local boundaries = 0

-- What stands between the parts of a message, and hopefully in none of them.
local function new_boundary()
    boundaries = boundaries + 1
    local time = os.date("!%Y%m%d%H%M%S")
    return string.format("%s%05d==%05d", time, math.random(0, 99999), boundaries)
end

local give_message

local function give_parts(message)
    local boundary = new_boundary()
    local headers = in_small_letters(message.headers)
    local kind = headers["content-type"] or "multipart/mixed"
    headers["content-type"] = kind .. '; boundary="' .. boundary .. '"'
    give_headers(headers)
    local body = message.body
    if body.preamble then
        give(body.preamble)
        give("\r\n")
    end
    for _, part in ipairs(body) do
        give("\r\n--" .. boundary .. "\r\n")
        give_message(part)
    end
    give("\r\n--" .. boundary .. "--\r\n\r\n")
    if body.epilogue then
        give(body.epilogue)
        give("\r\n")
    end
end

local function give_body(message)
    local headers = in_small_letters(message.headers)
    headers["content-type"] = headers["content-type"] or 'text/plain; charset="iso-8859-1"'
    give_headers(headers)
    if type(message.body) ~= "function" then
        give(message.body)
        return
    end
    while true do
        local chunk, failure = message.body()
        if failure then
            give(nil, failure)
        elseif chunk then
            give(chunk)
        else
            return
        end
    end
end

function give_message(message)
    if type(message.body) == "table" then
        give_parts(message)
    else
        give_body(message)
    end
end

function M.message(message)
    local headers = in_small_letters(message.headers)
    headers["date"] = headers["date"] or os.date("!%a, %d %b %Y %H:%M:%S ") .. (message.zone or M.ZONE)
    headers["x-mailer"] = headers["x-mailer"] or socket._VERSION
    headers["mime-version"] = "1.0"
    message.headers = headers
    local giving = coroutine.create(give_message)
    return function()
        if coroutine.status(giving) == "dead" then
            return nil
        end
        local ok, chunk, failure = coroutine.resume(giving, message)
        if ok then
            return chunk, failure
        end
        return nil, chunk
    end
end

M.send = socket.protect(function(mail)
    local connection = M.open(mail.server, mail.port, mail.create)
    local extensions = connection:greet(mail.domain)
    connection:auth(mail.user, mail.password, extensions)
    connection:send(mail)
    connection:quit()
    return connection:close()
end)

socket.smtp = M

return M
