-- Errors as LuaSocket passes them on: what `try` raises, `protect` makes results of. Its argument is the module socket.core.
local core = ...
local pcall, error, select, type = pcall, error, select, type
local setmetatable, getmetatable = setmetatable, getmetatable

-- Tells what `try` raised from all other errors.
local Raised = {}

function core.skip(count, ...)
    if type(count) ~= "number" then
        error("bad argument #1 to 'skip' (number expected, got " .. type(count) .. ")", 2)
    end
    if count >= select("#", ...) then
        return
    end
    return select(count + 1, ...)
end

function core.newtry(finalizer)
    return function(...)
        if not ... then
            if finalizer then
                pcall(finalizer)
            end
            error(setmetatable({ (select(2, ...)) }, Raised), 0)
        end
        return ...
    end
end

local function results(ok, ...)
    if ok then
        return ...
    end
    local raised = ...
    if type(raised) == "table" and getmetatable(raised) == Raised then
        return nil, raised[1]
    end
    error(raised, 0)
end

function core.protect(f)
    return function(...)
        return results(pcall(f, ...))
    end
end
