-- What the module msg_interpolate does, on the message of this folder's tests.
local interpolate = require("msg_interpolate").interpolate_from_msg

local function is(template, expected, count, seconds)
    local text, found = interpolate(template, seconds)
    assert(text == expected, text)
    assert(found == count, found)
end

function process_message()
    is("plain %text {}", "plain %text {}", 0)
    is("%{Type}|%{Hostname}|%{Pid}|%{Logger}|%{EnvVersion}|%{Severity}", "TEST|host name|1234|GoSpec|0.8|6", 6)
    is("%{UUID}", "8e414f01-9d7f-4a48-a5e1-ae92e5954df5", 1)
    is("%{foo}-%{int}-%{double}-%{bool}-%{false}", "bar-999-99.9-true-false", 5)
    -- The first value of a list; a whole number is written as one, however large.
    is("%{list}-%{large}", "1-1434932023123", 2)
    -- Payload, Timestamp and Uuid are no headers here.
    is("%{Payload}%{Timestamp}%{Uuid}%{missing}%{}", "%{Payload}%{Timestamp}%{Uuid}%{missing}%{}", 5)
    is("%{%Y.%m.%d}", "1986.03.27", 1, 512345678.9)
    is("%{%Y.%m.%d}", "1986.03.27", 1, 512345678.2)
    is("%{%Y.%m.%d}", "1986.03.28", 1, 512345678.9 + 86400)
    is("%{date:%Y}-%{!%H}", "date:1986-22", 2, 512345678)
    -- What os.date makes a table of, or refuses, stays.
    is("%{*t}%{!*t}", "%{*t}%{!*t}", 2, 512345678)
    is("%{100%}", "%{100%}", 1, 512345678)
    for i = 1, 100 do
        is("%{" .. i .. ":%Y}", i .. ":1970", 1, i)
    end
    -- Without a time it is the host's, who says here that it is 2017-07-14.
    is("%{%Y-%m-%d}", "2017-07-14", 1)
    return 0
end
