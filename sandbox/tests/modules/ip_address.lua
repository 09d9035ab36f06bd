-- Module ip_address: what is an address, and how much of a text is one.

local checks = require "checks"
local ip = require "ip_address"
local equal = checks.equal

function process_message()
    for _, text in ipairs{"0.0.0.0", "127.0.0.1", "255.255.255.255", "249.199.99.9"} do
        equal(ip.v4:match(text), #text + 1, text)
    end
    for _, text in ipairs{"", "1.2.3", "256.1.1.1", "1.2.3.", "a.b.c.d", ".1.2.3.4", "01.2.3.4"} do
        equal(ip.v4:match(text), nil, text)
    end
    equal(ip.v4:match"1.2.3.256", 9, "a prefix")

    local good = {
        "::", "::1", "1::", "fe80::1", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2::7:8", "1:2:3:4::5:6:7", "2001:db8::ff00:42:8329",
        "ABCD:ef01:2345:6789:abcd:EF01:2345:6789", "::1.2.3.4", "::ffff:192.0.2.128", "64:ff9b::192.0.2.33", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5::1.2.3.4",
        "1::5:6:1.2.3.4",
    }
    for _, text in ipairs(good) do
        equal(ip.v6:match(text), #text + 1, text)
    end
    for _, text in ipairs{"", ":", "1", "1:", "example.com", "12345::", "1:2:3:4:5:6:7", "g::1", "1:2:3", "dead:beef"} do
        equal(ip.v6:match(text), nil, text)
    end
    -- What follows does not belong to it.
    equal(ip.v6:match"1:2:3:4:5:6:7:8:9", 16)
    equal(ip.v6:match"::1]:80", 4)
    return 0
end
