-- The line that goes before a document in a request to Elasticsearch's bulk interface.
--
--   bulkapi_index_json(index, type_name, id, ns)   {"index":{"_index":...,"_type":...,"_id":...}}
--
-- The first three are templates (see msg_interpolate) and may be nil, which leaves their key out. Dates in them are of `ns`, or of now.
-- Bounds: remembers one line.

local cjson = require "cjson"
local interpolate = require("msg_interpolate").interpolate_from_msg
local table = require "table"

local M = {}

local line, last_index, last_type, last_id

local function fill(template, seconds)
    if template == nil then
        return nil
    end
    local text = interpolate(template, seconds)
    return text
end

function M.bulkapi_index_json(index, type_name, id, ns)
    local seconds = ns and ns / 1e9
    index, type_name, id = fill(index, seconds), fill(type_name, seconds), fill(id, seconds)
    if line and index == last_index and type_name == last_type and id == last_id then
        return line
    end
    local keys = {}
    if index then
        keys[1] = '"_index":' .. cjson.encode(index)
    end
    if type_name then
        keys[#keys + 1] = '"_type":' .. cjson.encode(type_name)
    end
    if id then
        keys[#keys + 1] = '"_id":' .. cjson.encode(id)
    end
    line = '{"index":{' .. table.concat(keys, ",") .. "}}"
    last_index, last_type, last_id = index, type_name, id
    return line
end

return M
