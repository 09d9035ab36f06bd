-- What Lua 5.1 has and Luau has not, where Lua itself says it best. Its argument is what the host lends.
local host = ...
local string, table, math, os = host.string, host.table, host.math, host.os
local select, type, error, pairs, ipairs, rawget = select, type, error, pairs, ipairs, rawget
local setfenv, rawset, setmetatable, next = setfenv, rawset, setmetatable, next
local plain_pcall, plain_xpcall, describe = pcall, xpcall, host.describe
local loaded, globals = host.loaded, host.globals

-- Errors of functions in Rust are objects; scripts expect texts.
local function told(ok, ...)
    if not ok and type((...)) == "userdata" then
        return false, describe((...))
    end
    return ok, ...
end

function globals.pcall(...)
    return told(plain_pcall(...))
end

function globals.xpcall(f, handler, ...)
    if type(handler) ~= "function" then
        return plain_xpcall(f, handler, ...)
    end
    return plain_xpcall(f, function(e)
        if type(e) == "userdata" then
            e = describe(e)
        end
        return handler(e)
    end, ...)
end

local function index(v)
    if type(v) ~= "table" then
        error("bad argument #1 to 'foreach' (table expected, got " .. type(v) .. ")", 3)
    end
    return v
end

-- With a safepoint in every round, which a loop in C has not.
function table.foreach(t, f)
    for k, v in next, index(t) do
        local r = f(k, v)
        if r ~= nil then
            return r
        end
    end
end

function table.foreachi(t, f)
    for i = 1, #index(t) do
        local r = f(i, t[i])
        if r ~= nil then
            return r
        end
    end
end

function table.getn(t)
    return #index(t)
end

function table.setn()
    error("'setn' is obsolete", 2)
end

string.gfind = string.gmatch
math.mod = math.fmod

function string.dump()
    error("unable to dump given function", 2)
end

local now, date, time = os.now, os.date, os.time

function os.date(format, at)
    return date(format or "%c", at or now())
end

function os.time(parts)
    if parts == nil then
        return now()
    end
    return time(parts)
end

function globals.module(name, ...)
    if type(name) ~= "string" then
        error("bad argument #1 to 'module' (string expected, got " .. type(name) .. ")", 2)
    end
    local m = loaded[name]
    if type(m) ~= "table" then
        m = globals
        for part in string.gmatch(name, "[^.]+") do
            local inner = rawget(m, part)
            if inner == nil then
                inner = {}
                rawset(m, part, inner)
            elseif type(inner) ~= "table" then
                error("name conflict for module '" .. name .. "'", 2)
            end
            m = inner
        end
        loaded[name] = m
    end
    if rawget(m, "_NAME") == nil then
        m._M = m
        m._NAME = name
        m._PACKAGE = string.match(name, "^(.*%.)[^.]*$") or ""
    end
    setfenv(2, m)
    for i = 1, select("#", ...) do
        select(i, ...)(m)
    end
end
