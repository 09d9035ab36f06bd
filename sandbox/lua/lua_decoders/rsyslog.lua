-- Decoder of lines that rsyslog wrote, by its template.
--
-- Config:  template (required), type, hostname_keep; tz is applied by the host to times without a zone.
-- Gives:   Timestamp, Severity, Hostname, Pid, Payload from the properties that stand for them, a field for each other one; pri gives the field
--          syslogfacility, syslogtag programname, structured data its id and a field _NAME for each parameter.
-- Refuses: a line that the template could not have made: -1.

local syslog = require "syslog"

local hostname_keep = read_config("hostname_keep")
local grammar = syslog.build_rsyslog_grammar(read_config("template"))
local SEVERITIES = {"syslogseverity", "syslogseverity-text", "syslogpriority", "syslogpriority-text"}

local msg = {Type = read_config("type")}

local function take(fields, name)
    local value = fields[name]
    fields[name] = nil
    return value
end

local function severity(fields)
    local pri = take(fields, "pri")
    if pri then
        fields.syslogfacility = pri.facility
        return pri.severity
    end
    local first
    for _, name in ipairs(SEVERITIES) do
        local value = take(fields, name)
        first = first or value
    end
    return first
end

local function flatten_structured_data(fields)
    local data = take(fields, "structured-data")
    if data then
        for name, value in pairs(data) do
            fields[name == "id" and "structured-data" or name] = value
        end
    end
end

function process_message()
    local fields = grammar:match(read_message("Payload"))
    if not fields then
        return -1
    end
    msg.Timestamp = take(fields, "timestamp")
    msg.Severity = severity(fields)
    local tag = take(fields, "syslogtag")
    if tag then
        fields.programname = tag.programname
    end
    msg.Pid = tag and tag.pid
    if not hostname_keep then
        local hostname, source = take(fields, "hostname"), take(fields, "source")
        msg.Hostname = hostname or source
    end
    msg.Payload = take(fields, "msg")
    flatten_structured_data(fields)
    msg.Fields = fields
    if not pcall(inject_message, msg) then
        return -1
    end
    return 0
end
