-- What the decoders of slow query logs share.
--
--   decoder(type, grammar)   process_message for entries of which the grammar makes a message
--
-- Config, read here: truncate_sql.
-- Bounds: keeps nothing.

local string = require "string"

local M = {}

function M.decoder(type, grammar)
    local truncate_sql = read_config("truncate_sql")

    return function()
        local msg = grammar:match(read_message("Payload"))
        if not msg then
            return -1
        end
        msg.Type = type
        if truncate_sql and #msg.Payload > truncate_sql then
            msg.Payload = string.sub(msg.Payload, 1, truncate_sql) .. "..."
        end
        inject_message(msg)
        return 0
    end
end

return M
