-- What the decoders of the kernel's statistics share.
--
--   decoder(type, grammar, ...)   process_message for texts of which the grammar makes a table of fields; the named fields of the message are
--                                 carried over
--
-- Config, read here: payload_keep.
-- Bounds: keeps one message.

local M = {}

function M.decoder(type, grammar, ...)
    local payload_keep = read_config("payload_keep")
    local msg = {Type = type}
    local carried = {}
    for _, name in ipairs{...} do
        carried[name] = "Fields[" .. name .. "]"
    end

    return function()
        local text = read_message("Payload")
        local fields = grammar:match(text)
        if not fields then
            return -1
        end
        for name, field in pairs(carried) do
            fields[name] = read_message(field)
        end
        if payload_keep then
            msg.Payload = text
        end
        msg.Fields = fields
        inject_message(msg)
        return 0
    end
end

return M
