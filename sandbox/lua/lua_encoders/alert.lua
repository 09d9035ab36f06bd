-- Shows an alert as four lines: its time (UTC), the host and the plugin that it comes from, and what it says.
--
-- Input:  any message; meant for `Fields[payload_type] == 'alert'` and heka.sandbox-terminated.
-- Bounds: keeps nothing.

local math = require "math"
local os = require "os"
local string = require "string"

function process_message()
    local seconds = math.floor((read_message("Timestamp") or 0) / 1e9)
    inject_payload("txt", "", string.format("Timestamp: %s\nHostname: %s\nPlugin: %s\nAlert: %s\n",
                                            os.date("!%Y-%m-%dT%H:%M:%SZ", seconds), read_message("Hostname"),
                                            read_message("Logger"), read_message("Payload")))
    return 0
end
