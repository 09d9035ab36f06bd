-- Decoder of Apache's access logs, by the LogFormat directive of the server.
--
-- Config:  log_format (required), type, user_agent_transform, user_agent_keep, user_agent_conditional, payload_keep.
-- Gives:   Timestamp, and a field for each variable of the format; with user_agent_transform user_agent_browser, _version and _os in place of
--          http_user_agent, which stays with user_agent_keep, and with user_agent_conditional where no browser is known.
-- Refuses: a line that does not have the format: -1.

local access_log = require "hekad.access_log"
local clf = require "common_log_format"

process_message = access_log.decoder(clf.build_apache_grammar(read_config("log_format")))
