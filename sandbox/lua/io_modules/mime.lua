-- MIME: the coders of mime.core as LTN12 filters.
--
--   encode(name, mode)   "base64"; "quoted-printable", in mode "binary" with line breaks coded too
--   decode(name)         "base64", "quoted-printable"
--   wrap(name, length)   "text" (the default) and "base64" in lines of 76 bytes or so many; "quoted-printable" with soft breaks
--   normalize(marker)    all line breaks become CRLF, or the marker
--   stuff()              a dot that begins a line is doubled, for SMTP

local ltn12 = require "ltn12"
local M = require "mime.core"

local error, type = error, type
local cycle = ltn12.filter.cycle

local LINE = 76

M.encodet = {
    base64 = function()
        return cycle(M.b64, "")
    end,
    ["quoted-printable"] = function(mode)
        return cycle(M.qp, "", mode == "binary" and "=0D=0A" or "\r\n")
    end,
}

M.decodet = {
    base64 = function()
        return cycle(M.unb64, "")
    end,
    ["quoted-printable"] = function()
        return cycle(M.unqp, "")
    end,
}

local function wrap_text(length)
    length = length or LINE
    return cycle(M.wrp, length, length)
end

M.wrapt = {
    default = wrap_text,
    text = wrap_text,
    base64 = wrap_text,
    ["quoted-printable"] = function()
        return cycle(M.qpwrp, LINE, LINE)
    end,
}

-- A function that makes the filter of a name.
local function by_name(filters)
    return function(name, ...)
        if type(name) == "string" then
            local make = filters[name]
            if not make then
                error("unknown key (" .. name .. ")", 3)
            end
            return make(...)
        end
        if not filters.default then
            error("unknown key (default)", 3)
        end
        return filters.default(name, ...)
    end
end

M.encode = by_name(M.encodet)
M.decode = by_name(M.decodet)
M.wrap = by_name(M.wrapt)

function M.normalize(marker)
    return cycle(M.eol, 0, marker)
end

function M.stuff()
    return cycle(M.dot, 2)
end

-- Scripts written for older versions find it as a global.
mime = M

return M
