-- Decoder of Nginx's error log.
--
-- Config:  type ("nginx.error"), payload_keep; tz is applied by the host, for the log has local time.
-- Gives:   Timestamp, Severity, Pid, fields tid and connection; Payload is the text behind them, or the whole line with payload_keep.
-- Refuses: a line that does not begin so: -1.

local clf = require "common_log_format"

local msg_type = read_config("type") or "nginx.error"
local payload_keep = read_config("payload_keep")

function process_message()
    local line = read_message("Payload")
    local msg = clf.nginx_error_grammar:match(line)
    if not msg then
        return -1
    end
    msg.Type = msg_type
    if payload_keep then
        msg.Payload = line
    end
    inject_message(msg)
    return 0
end
