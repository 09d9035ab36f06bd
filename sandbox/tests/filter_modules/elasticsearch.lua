-- What the module elasticsearch does, on the message of this folder's tests.
local elasticsearch = require "elasticsearch"

local line = elasticsearch.bulkapi_index_json

local function is(found, expected)
    assert(found == expected, found)
end

function process_message()
    is(line("index", "type_name", "id"), '{"index":{"_index":"index","_type":"type_name","_id":"id"}}')
    is(line("index", "type_name", "id"), '{"index":{"_index":"index","_type":"type_name","_id":"id"}}')
    is(line("index"), '{"index":{"_index":"index"}}')
    is(line(nil, nil, "7"), '{"index":{"_id":"7"}}')
    is(line(), '{"index":{}}')
    is(line("index-%{Logger}", "%{Type}"), '{"index":{"_index":"index-GoSpec","_type":"TEST"}}')
    is(line("%{Logger}-%{Type}-%{Severity}"), '{"index":{"_index":"GoSpec-TEST-6"}}')
    is(line('%{foo}-"%{int}"'), '{"index":{"_index":"bar-\\"999\\""}}')
    is(line("%{%b %d, %Y}", nil, nil, 512345678900000000), '{"index":{"_index":"Mar 27, 1986"}}')
    is(line("%{%b %d, %Y}", nil, nil, 0), '{"index":{"_index":"Jan 01, 1970"}}')
    return 0
end
