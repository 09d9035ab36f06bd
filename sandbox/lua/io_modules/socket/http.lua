-- HTTP/1.1, the client's side.
--
--   request(url, body)    body, status, headers and status line of the answer; with a body it is a POST
--   request(table)        the same for { url =, method =, headers =, source =, sink =, step =, proxy =, redirect =, maxredirects =, create = };
--                         1 in place of the body, which goes to the sink
--   open(host, port, create)    a connection, for those who put a request together themselves; its methods raise
--
-- Failures are nil and a text. TIMEOUT, PROXY and USERAGENT are for all requests. There is no TLS.

local string = require "string"
local table = require "table"
local socket = require "socket"
local url = require "socket.url"
local ltn12 = require "ltn12"
local mime = require "mime"
local canonic = require("socket.headers").canonic

local pairs, setmetatable, tonumber, tostring, type = pairs, setmetatable, tonumber, tostring, type

local M = {
    TIMEOUT = 60,
    USERAGENT = socket._VERSION,
}

local function plain()
    return socket.tcp
end

local function no_tls()
    socket.try(nil, "https needs a function create: there is no TLS")
end

M.schemes = {
    http = { port = 80, create = plain },
    https = { port = 443, create = no_tls },
}

-- Redirections that are followed unless the request says otherwise.
local REDIRECTS = 5

local REDIRECTING = { [301] = true, [302] = true, [303] = true, [307] = true }

-- Reads header fields up to the empty line. Fields of one name become one.
local function read_headers(connection, headers)
    headers = headers or {}
    local last
    while true do
        local line, failure = connection:receive()
        if not line then
            return nil, failure
        end
        if line == "" then
            return headers
        end
        if last and string.find(line, "^%s") then
            headers[last] = headers[last] .. line
        else
            local name, value = string.match(line, "^(.-):%s*(.*)")
            if not name then
                return nil, "malformed response headers"
            end
            last = string.lower(name)
            local before = headers[last]
            headers[last] = before and before .. ", " .. value or value
        end
    end
end

-- Chunks as the server cuts them, those that are long in pieces. What comes behind the last of them goes to the headers.
socket.sourcet["http-chunked"] = function(connection, headers)
    local left = 0
    return socket.callable(connection, function()
        if left == 0 then
            local line, failure = connection:receive()
            if not line then
                return nil, failure
            end
            left = tonumber((string.gsub(line, "%s*;.*", "")), 16)
            if not left then
                left = 0
                return nil, "invalid chunk size"
            end
            if left == 0 then
                local _, why = read_headers(connection, headers)
                return nil, why
            end
        end
        local size = left < socket.BLOCKSIZE and left or socket.BLOCKSIZE
        local piece, failure = connection:receive(size)
        if not piece then
            return nil, failure
        end
        left = left - size
        if left == 0 then
            connection:receive()
        end
        return piece
    end)
end

socket.sinkt["http-chunked"] = function(connection)
    return socket.callable(connection, function(chunk)
        if not chunk then
            return connection:send("0\r\n\r\n")
        end
        -- An empty chunk would be the last.
        if chunk == "" then
            return 1
        end
        return connection:send(string.format("%X\r\n", string.len(chunk)) .. chunk .. "\r\n")
    end)
end

local Connection = {}
Connection.__index = Connection

function M.open(host, port, create)
    local self = setmetatable({ c = socket.try(create()) }, Connection)
    self.try = socket.newtry(function()
        self:close()
    end)
    self.try(self.c:settimeout(M.TIMEOUT))
    self.try(self.c:connect(host, port))
    return self
end

function Connection:sendrequestline(method, uri)
    return self.try(self.c:send((method or "GET") .. " " .. uri .. " HTTP/1.1\r\n"))
end

function Connection:sendheaders(headers)
    local lines = {}
    for name, value in pairs(headers) do
        lines[#lines + 1] = canonic[name] .. ": " .. value .. "\r\n"
    end
    table.sort(lines)
    self.try(self.c:send(table.concat(lines) .. "\r\n"))
    return 1
end

function Connection:sendbody(headers, source, step)
    local mode = headers["content-length"] and "keep-open" or "http-chunked"
    local sink = socket.sink(mode, self.c)
    return self.try(ltn12.pump.all(source or ltn12.source.empty(), sink, step))
end

-- Status and status line. A server of HTTP/0.9 has none: nil, and what was read of the body.
function Connection:receivestatusline()
    local first = self.try(self.c:receive(5))
    if first ~= "HTTP/" then
        return nil, first
    end
    local line = self.try(self.c:receive("*l", first))
    local code = string.match(line, "^HTTP/%d*%.%d* (%d%d%d)")
    return self.try(tonumber(code), line), line
end

function Connection:receiveheaders()
    return self.try(read_headers(self.c))
end

function Connection:receivebody(headers, sink, step)
    local length = tonumber(headers["content-length"])
    local coding = headers["transfer-encoding"]
    local source
    if coding and coding ~= "identity" then
        source = socket.source("http-chunked", self.c, headers)
    elseif length then
        source = socket.source("by-length", self.c, length)
    else
        source = socket.source("until-closed", self.c)
    end
    return self.try(ltn12.pump.all(source, sink or ltn12.sink.null(), step))
end

function Connection:receive09body(first, sink, step)
    local source = ltn12.source.rewind(socket.source("until-closed", self.c))
    source(first)
    return self.try(ltn12.pump.all(source, sink or ltn12.sink.null(), step))
end

function Connection:close()
    return self.c:close()
end

local function basic(user, password)
    return "Basic " .. mime.b64(url.unescape(user) .. ":" .. url.unescape(password))
end

local function headers_of(request, proxy)
    local host = request.host
    if string.find(host, ":", 1, true) then
        host = "[" .. host .. "]"
    end
    local scheme = M.schemes[request.scheme]
    if not scheme or tostring(request.port) ~= tostring(scheme.port) then
        host = host .. ":" .. tostring(request.port)
    end
    local headers = {
        ["user-agent"] = M.USERAGENT,
        ["host"] = host,
        ["connection"] = "close, TE",
        ["te"] = "trailers",
    }
    if request.user and request.password then
        headers["authorization"] = basic(request.user, request.password)
    end
    if proxy and proxy.user and proxy.password then
        headers["proxy-authorization"] = basic(proxy.user, proxy.password)
    end
    for name, value in pairs(request.headers or {}) do
        headers[string.lower(name)] = value
    end
    if request.source and not headers["content-length"] and not headers["transfer-encoding"] then
        headers["transfer-encoding"] = "chunked"
    end
    return headers
end

-- What the first line of a request names.
local function uri_of(request, proxy)
    return url.build {
        scheme = proxy and request.scheme,
        host = proxy and request.host,
        port = proxy and request.port,
        path = socket.try(request.path, "invalid path 'nil'"),
        params = request.params,
        query = request.query,
    }
end

-- A request with everything that it leaves to the URL or to custom.
local function complete(given)
    local request = given.url and socket.try(url.parse(given.url, { path = "/", scheme = "http" })) or {}
    for name, value in pairs(given) do
        request[name] = value
    end
    if not request.host or request.host == "" then
        socket.try(nil, "invalid host '" .. tostring(request.host) .. "'")
    end
    local scheme = M.schemes[request.scheme or "http"]
    if not scheme and not request.create then
        socket.try(nil, "unsupported scheme '" .. tostring(request.scheme) .. "'")
    end
    if not request.port or request.port == "" then
        request.port = scheme and scheme.port or M.schemes.http.port
    end
    if not request.method or request.method == "" then
        request.method = "GET"
    end
    local proxy = request.proxy or M.PROXY
    proxy = proxy and socket.try(url.parse(proxy))
    request.uri = given.uri or uri_of(request, proxy)
    request.headers = headers_of(request, proxy)
    request.peer, request.peer_port = request.host, request.port
    if proxy then
        request.peer, request.peer_port = proxy.host, proxy.port or 3128
    end
    if not request.create then
        request.create = (proxy and M.schemes.http or scheme).create(request)
    end
    return request
end

-- The address that an answer sends on to, its scheme, and how it was written, if it is to be followed.
local function onwards(request, code, headers)
    local location = string.gsub(headers.location or "", "%s", "")
    if location == "" or request.redirect == false or not REDIRECTING[code] then
        return nil
    end
    -- A source is used up, and other methods are not to be repeated unasked.
    if request.source or request.method ~= "GET" and request.method ~= "HEAD" then
        return nil
    end
    local most = request.maxredirects
    if most ~= false and (request.nredirects or 0) >= (most or REDIRECTS) then
        return nil
    end
    local target = url.absolute(request.url or url.build(request), location)
    local scheme = url.parse(target).scheme
    if scheme and not M.schemes[scheme] then
        return nil
    end
    -- What was asked for under cover is not fetched in the open.
    if request.scheme == "https" and scheme ~= "https" then
        return nil
    end
    return target, scheme, location
end

local function has_body(method, code)
    return method ~= "HEAD" and code ~= 204 and code ~= 304 and (code < 100 or code >= 200)
end

local perform

local function follow(given, moved, target, location)
    local ok, code, headers, status = perform {
        url = target,
        method = given.method,
        sink = given.sink,
        step = given.step,
        headers = given.headers,
        proxy = given.proxy,
        maxredirects = given.maxredirects,
        nredirects = (given.nredirects or 0) + 1,
        create = not moved and given.create or nil,
    }
    headers = headers or {}
    -- So that it is seen that the answer comes from elsewhere.
    headers.location = headers.location or location
    return ok, code, headers, status
end

function perform(given)
    local request = complete(given)
    local connection = M.open(request.peer, request.peer_port, request.create)
    connection:sendrequestline(request.method, request.uri)
    connection:sendheaders(request.headers)
    if request.source then
        connection:sendbody(request.headers, request.source, request.step)
    end
    local code, status = connection:receivestatusline()
    if not code then
        connection:receive09body(status, request.sink, request.step)
        connection:close()
        return 1, 200
    end
    while code == 100 do
        connection:receiveheaders()
        code, status = connection:receivestatusline()
    end
    local headers = connection:receiveheaders()
    local target, scheme, location = onwards(request, code, headers)
    if target then
        connection:close()
        return follow(given, scheme ~= request.scheme, target, location)
    end
    if has_body(request.method, code) then
        connection:receivebody(headers, request.sink, request.step)
    end
    connection:close()
    return 1, code, headers, status
end

-- The table that stands for a URL and a body.
function M.genericform(address, body)
    local chunks = {}
    local request = { url = address, sink = ltn12.sink.table(chunks), target = chunks }
    if body then
        request.method = "POST"
        request.source = ltn12.source.string(body)
        request.headers = {
            ["content-length"] = string.len(body),
            ["content-type"] = "application/x-www-form-urlencoded",
        }
    end
    return request
end

M.request = socket.protect(function(request, body)
    if type(request) ~= "string" then
        return perform(request)
    end
    local form = M.genericform(request, body)
    local _, code, headers, status = perform(form)
    return table.concat(form.target), code, headers, status
end)

socket.http = M

return M
