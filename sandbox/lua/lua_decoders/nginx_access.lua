-- Decoder of Nginx's access logs, by the log_format directive of the server.
--
-- Config:  log_format (required), type, user_agent_transform, user_agent_keep, user_agent_conditional, payload_keep.
-- Gives:   Timestamp, and a field for each variable of the format; with user_agent_transform user_agent_browser, _version and _os in place of
--          http_user_agent, which stays with user_agent_keep, and with user_agent_conditional where no browser is known.
-- Refuses: a line that does not have the format: -1.

local clf = require "common_log_format"

local transform = read_config("user_agent_transform")
local keep = read_config("user_agent_keep")
local conditional = read_config("user_agent_conditional")
local payload_keep = read_config("payload_keep")
local grammar = clf.build_nginx_grammar(read_config("log_format"))
local normalize = clf.normalize_user_agent

local msg = {Type = read_config("type")}

function process_message()
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
