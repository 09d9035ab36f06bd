-- Makes a message's payload, which is a JSON document, an entry of a request to Elasticsearch's bulk interface.
--
-- Config: index (heka-%{%Y.%m.%d}), type_name (message), id (none): templates, see msg_interpolate.
--         es_index_from_timestamp (false): dates in them are the message's, not now.
-- Output: the index line and the payload, each with a newline. An empty payload would spoil the whole request: it is an error.
-- Bounds: keeps nothing.

local elasticsearch = require "elasticsearch"
local string = require "string"

local index = read_config("index") or "heka-%{%Y.%m.%d}"
local type_name = read_config("type_name") or "message"
local id = read_config("id")
local message_time = read_config("es_index_from_timestamp")

function process_message()
    local payload = read_message("Payload")
    if not payload or payload == "" then
        return -1, "empty payload"
    end
    local line = elasticsearch.bulkapi_index_json(index, type_name, id, message_time and read_message("Timestamp") or nil)
    add_to_payload(line, "\n", payload)
    if string.sub(payload, -1) ~= "\n" then
        add_to_payload("\n")
    end
    inject_payload()
    return 0
end
