-- How names of header fields are written: words in capitals, but for those that are not words.
--
--   canonic[name]    the written form of a name in small letters

local string = require "string"
local socket = require "socket"

local setmetatable = setmetatable

local M = {}

-- What the rule does not give.
M.canonic = {
    ["content-id"] = "Content-ID",
    ["content-md5"] = "Content-MD5",
    ["dkim-signature"] = "DKIM-Signature",
    ["dnt"] = "DNT",
    ["etag"] = "ETag",
    ["message-id"] = "Message-ID",
    ["mime-version"] = "MIME-Version",
    ["resent-message-id"] = "Resent-Message-ID",
    ["te"] = "TE",
    ["www-authenticate"] = "WWW-Authenticate",
    ["x-xss-protection"] = "X-XSS-Protection",
}

setmetatable(M.canonic, {
    __index = function(_, name)
        return (string.gsub(name, "%f[%w]%l", string.upper))
    end,
})

socket.headers = M

return M
