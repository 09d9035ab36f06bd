-- URLs: their parts, and what a relative one means.
--
--   parse(url, defaults)        a table of scheme, authority, userinfo, user, password, host, port, path, params, query, fragment
--   build(parts)                the reverse
--   absolute(base, relative)    what a relative URL means beside another; base may be a table of parts
--   escape(text), unescape(text)
--   parse_path(path)            a list of segments, with is_absolute and is_directory
--   build_path(list, unsafe)    the reverse; with unsafe nothing is escaped

local string = require "string"
local table = require "table"
local socket = require "socket"

local ipairs, pairs, tonumber, tostring, type = ipairs, pairs, tonumber, tostring, type

local M = {
    _VERSION = "URL 1.0.3",
}

function M.escape(text)
    return (string.gsub(text, "[^%w_]", function(one)
        return string.format("%%%02x", string.byte(one))
    end))
end

function M.unescape(text)
    return (string.gsub(text, "%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- What a pattern with two captures finds: a part, and what is left; nil and all of it where it finds nothing.
local function split(text, pattern)
    local part, rest = string.match(text, pattern)
    if part then
        return part, rest
    end
    return nil, text
end

-- The same at the end of the text.
local function split_end(text, pattern)
    local rest, part = string.match(text, pattern)
    if part then
        return part, rest
    end
    return nil, text
end

local function parse_authority(parts, authority)
    local userinfo, port
    userinfo, authority = split(authority, "^([^@]*)@(.*)$")
    port, authority = split_end(authority, "^(.*):([^:%]]*)$")
    parts.userinfo = userinfo or parts.userinfo
    parts.port = port or parts.port
    if authority ~= "" then
        parts.host = string.match(authority, "^%[(.+)%]$") or authority
    end
    if parts.userinfo then
        local password
        password, parts.user = split_end(parts.userinfo, "^(.*):([^:]*)$")
        parts.password = password or parts.password
    end
end

function M.parse(url, defaults)
    if not url or url == "" then
        return nil, "invalid url"
    end
    local parts = {}
    for name, value in pairs(defaults or {}) do
        parts[name] = value
    end
    local scheme, authority, fragment, query, params
    scheme, url = split(url, "^(%w[%w+.-]*):(.*)$")
    authority, url = split(url, "^//([^/?#]*)(.*)$")
    fragment, url = split_end(url, "^([^#]*)#(.*)$")
    query, url = split_end(url, "^([^?]*)%?(.*)$")
    params, url = split_end(url, "^([^;]*);(.*)$")
    parts.scheme = scheme or parts.scheme
    parts.authority = authority or parts.authority
    parts.fragment = fragment or parts.fragment
    parts.query = query or parts.query
    parts.params = params or parts.params
    if url ~= "" then
        parts.path = url
    end
    if parts.authority then
        parse_authority(parts, parts.authority)
    end
    return parts
end

local function build_authority(parts)
    if not parts.host then
        return parts.authority
    end
    local authority = parts.host
    if string.find(authority, ":", 1, true) then
        authority = "[" .. authority .. "]"
    end
    if parts.port then
        authority = authority .. ":" .. tostring(parts.port)
    end
    local userinfo = parts.userinfo
    if parts.user then
        userinfo = parts.user
        if parts.password then
            userinfo = userinfo .. ":" .. parts.password
        end
    end
    if userinfo then
        authority = userinfo .. "@" .. authority
    end
    return authority
end

function M.build(parts)
    local list = {}
    local function add(before, part, after)
        if part then
            list[#list + 1] = before .. part .. after
        end
    end
    add("", parts.scheme, ":")
    add("//", build_authority(parts), "")
    add("", parts.path, "")
    add(";", parts.params, "")
    add("?", parts.query, "")
    add("#", parts.fragment, "")
    return table.concat(list)
end

-- A path without segments that say "here" and "one up".
local function without_dots(path)
    if not string.find(path, ".", 1, true) then
        return path
    end
    local absolute = string.sub(path, 1, 1) == "/"
    local left, last = {}, ""
    for segment in string.gmatch(absolute and path or "/" .. path, "/([^/]*)") do
        last = segment
        if segment == ".." then
            if #left > 0 and left[#left] ~= ".." then
                table.remove(left)
            elseif not absolute then
                left[#left + 1] = segment
            end
        elseif segment ~= "." then
            left[#left + 1] = segment
        end
    end
    if (last == "." or last == "..") and left[#left] ~= ".." then
        left[#left + 1] = ""
    end
    path = table.concat(left, "/")
    return absolute and "/" .. path or path
end

-- A path beside another one.
local function beside(base, path)
    if string.sub(path, 1, 1) == "/" then
        return path
    end
    local folder = string.match(base, "^(.*/)[^/]*$") or "/"
    return folder .. path
end

function M.absolute(base, relative)
    local from = base
    if type(base) ~= "table" then
        from = M.parse(base)
    end
    local parts = M.parse(relative)
    if not parts then
        return from and M.build(from) or base
    end
    if from and not parts.scheme then
        parts.scheme = from.scheme
        if not parts.authority then
            for _, name in ipairs { "authority", "userinfo", "user", "password", "host", "port" } do
                parts[name] = from[name]
            end
            if parts.path then
                parts.path = beside(from.path or "", parts.path)
            else
                parts.path = from.path
                if not parts.params then
                    parts.params = from.params
                    parts.query = parts.query or from.query
                end
            end
        end
    end
    if parts.path then
        parts.path = without_dots(parts.path)
    end
    return M.build(parts)
end

function M.parse_path(path)
    path = path or ""
    local list = {}
    for segment in string.gmatch(path, "[^/]+") do
        list[#list + 1] = M.unescape(segment)
    end
    if string.sub(path, 1, 1) == "/" then
        list.is_absolute = 1
    end
    if string.sub(path, -1) == "/" then
        list.is_directory = 1
    end
    return list
end

-- Escapes what would be read as something else in a segment.
local function protect(segment)
    return (string.gsub(segment, "[^%w_%-.!~*'():@&=+$,]", function(one)
        return string.format("%%%02X", string.byte(one))
    end))
end

function M.build_path(list, unsafe)
    local segments = {}
    for at, segment in ipairs(list) do
        segments[at] = unsafe and segment or protect(segment)
    end
    local path = table.concat(segments, "/")
    if list.is_directory and #segments > 0 then
        path = path .. "/"
    end
    return list.is_absolute and "/" .. path or path
end

socket.url = M

return M
