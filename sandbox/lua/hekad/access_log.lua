-- What the decoders of access logs share.
--
--   decoder(grammar)   process_message for lines that the grammar reads
--
-- Config, read here: type, user_agent_transform, user_agent_keep, user_agent_conditional, payload_keep.
-- Bounds: keeps one message.

local clf = require "common_log_format"

local M = {}

function M.decoder(grammar)
    local transform = read_config("user_agent_transform")
    local keep = read_config("user_agent_keep")
    local conditional = read_config("user_agent_conditional")
    local payload_keep = read_config("payload_keep")
    local normalize = clf.normalize_user_agent
    local msg = {Type = read_config("type")}

    return function()
        local line = read_message("Payload")
        local fields = grammar:match(line)
        if not fields then
            return -1
        end
        msg.Timestamp = fields.time
        fields.time = nil

        local agent = transform and fields.http_user_agent
        if agent then
            local browser, version, system = normalize(agent)
            fields.user_agent_browser, fields.user_agent_version, fields.user_agent_os = browser, version, system
            if not keep and (browser or not conditional) then
                fields.http_user_agent = nil
            end
        end

        if payload_keep then
            msg.Payload = line
        end
        msg.Fields = fields
        inject_message(msg)
        return 0
    end
end

return M
