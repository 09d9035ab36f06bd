-- Module syslog: properties of rsyslog's templates.

local checks = require "checks"
local syslog = require "syslog"
local equal, raises = checks.equal, checks.raises

local function one(template, text)
    return syslog.build_rsyslog_grammar(template):match(text)
end

local function properties()
    local cases = {
        {"%PRI%", "191", {pri = {facility = 23, severity = 7}}}, {"%pri-text%", "local7.debug<191>", {["pri-text"] = 23}},
        {"%pri-text%", "mail.err", {["pri-text"] = 2}}, {"%syslogfacility%", "10", {syslogfacility = 10}},
        {"%syslogfacility-text%", "authpriv", {["syslogfacility-text"] = 10}}, {"%syslogfacility-text%", "AUTH", {["syslogfacility-text"] = 4}},
        {"%syslogseverity% %syslogpriority%", "3 4", {syslogseverity = 3, syslogpriority = 4}},
        {"%syslogseverity-text% %syslogpriority-text%", "warning PANIC", {["syslogseverity-text"] = 4, ["syslogpriority-text"] = 0}},
        {"%timestamp:::date-rfc3339%", "2014-02-10T16:46:41Z", {timestamp = 1392050801e9}}, {"%TIMESTAMP:date-rfc3339%", "2014-02-10T16:46:41Z", {timestamp = 1392050801e9}},
        {"%timereported:::date-mysql%", "20140210164641", {timestamp = 1392050801e9}}, {"%timegenerated:::date-pgsql%", "2014-02-10 16:46:41", {timegenerated = 1392050801e9}},
        {"%timestamp:::date-unixtimestamp%", "1392050801", {timestamp = 1392050801e9}}, {"%timegenerated:::date-subseconds%", "250", {timegenerated = 250}},
        {"%syslogtag%", "a/b[7]:", {syslogtag = {programname = "a/b", pid = 7}}}, {"%syslogtag%", "kernel:", {syslogtag = {programname = "kernel"}}},
        {"%programname%", "sshd", {programname = "sshd"}}, {"%hostname%-%fromhost-ip%", "h-::1", {hostname = "h", ["fromhost-ip"] = "::1"}},
        {"%app-name% %procid% %msgid%", "a - m", {["app-name"] = "a", procid = "-", msgid = "m"}}, {"%iut%%protocol-version%", "1", nil},
        {"%$now% %$year%%$month%%$day%", "2014-02-10 20140210", {["$now"] = "2014-02-10", ["$year"] = "2014", ["$month"] = "02", ["$day"] = "10"}},
        {"%$hour%:%$minute% %$hhour% %$qhour%", "16:46 01 03", {["$hour"] = "16", ["$minute"] = "46", ["$hhour"] = "01", ["$qhour"] = "03"}},
        {"%structured-data%", "-", {["structured-data"] = {}}}, {"%structured-data%", '[a@1 b="c\\"]\\\\" d=""][e]', {["structured-data"] = {id = "a@1", _b = 'c"]\\', _d = ""}}},
        {"%msg%\n", " text\n", {msg = " text"}}, {"%msg%|%hostname%", "a b|h", {msg = "a b", hostname = "h"}}, {'"%msg%"\\n', '"a"\n', {msg = "a"}},
        {"%rawmsg%", "all of it", {rawmsg = "all of it"}}, {"100% \\%%msg%", "100% %x", {msg = "x"}}, {"\\t%msg%\\065", "\tbA", {msg = "b"}},
    }
    for _, case in ipairs(cases) do
        equal(one(case[1], case[2]), case[3], case[1])
    end
    equal(one("%pri%", "x"), nil)
    equal(one("%pri%", ""), nil)
    raises("invalid rsyslog property: 'nonsense'", syslog.build_rsyslog_grammar, "%nonsense%")
    raises("could not parse the rsyslog template", syslog.build_rsyslog_grammar, "")
    raises("could not parse the rsyslog template", syslog.build_rsyslog_grammar, nil)
end

local function severities()
    local numbers = {debug = 7, info = 6, notice = 5, warning = 4, warn = 4, error = 3, err = 3, crit = 2, alert = 1, emerg = 0, panic = 0}
    for name, number in pairs(numbers) do
        equal(syslog.severity:match(name), number, name)
        equal(syslog.severity:match(name:upper()), number, name)
    end
    equal(syslog.severity:match"loud", nil)
end

function process_message()
    properties()
    severities()
    return 0
end
