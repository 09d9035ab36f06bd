-- Modules bind, cbufd, mysql, sfl4j.

local checks = require "checks"
local l = require "lpeg"
local bind = require "bind"
local cbufd = require "cbufd"
local mysql = require "mysql"
local sfl4j = require "sfl4j"
local equal = checks.equal

local function bind_parts()
    for _, name in ipairs{"A", "AAAA", "AXFR", "MX", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "SOA", "PTR", "TXT", "TYPE65", "HTTPS", "DLV", "*"} do
        equal(l.Ct(bind.dns_record_type * -1):match(name), {RecordType = name}, name)
    end
    equal(l.Ct(bind.dns_record_type):match"XX", nil)
    equal(l.Ct(bind.dns_record_class):match"HS", {RecordClass = "HS"})
    equal(l.Ct(bind.query_flags):match"+SETDC", {
        QueryFlags = {"recursion requested", "query signed", "EDNS used", "TCP used", "DNSSEC data wanted", "no DNSSEC validation check"},
    })
end

local function buffers()
    local header = '{"time":1379574900,"rows":1440,"columns":2,"seconds_per_row":60}'
    equal(cbufd.grammar:match(header .. "\n1379660520\t12075\t-1.5\n1379660280\tnan\t154880\n"), {
        header = header,
        {time = 1379660520e9, 12075, -1.5},
        {time = 1379660280e9, 0 / 0, 154880},
    })
    equal(cbufd.grammar:match(header .. "\n"), nil, "no rows")
    equal(cbufd.grammar:match(header .. "\n1379660520\t1\nrest"), nil, "something behind")
end

local function queries()
    local query = "# Query_time: 2.5  Lock_time: 0.5 Rows_sent: 1  Rows_examined: 2\nSET timestamp=1399500744;\nSELECT 1;\n"
    local fields = {
        Query_time = {value = 2.5, representation = "s"}, Lock_time = {value = 0.5, representation = "s"}, Rows_sent = 1, Rows_examined = 2,
    }
    equal(mysql.short_slow_query_grammar:match(query), {Timestamp = "1399500744000000000", Payload = "SELECT 1;\n", Fields = fields})
    equal(mysql.slow_query_grammar:match(query), nil)
    local user = "# User@Host: a_1[a_1] @ db.example.com [10.0.0.1]\n"
    equal(mysql.slow_query_grammar:match(user .. query).Hostname, "10.0.0.1")
    local thread = "# Thread_id: 9  Schema: s  QC_hit: Yes\n"
    fields.Thread_id, fields.Schema, fields.QC_hit = 9, "s", "Yes"
    equal(mysql.mariadb_short_slow_query_grammar:match(thread .. query).Fields, fields)
    equal(mysql.mariadb_slow_query_grammar:match(user .. thread .. query).Fields, fields)
end

local function java()
    local line = "ERROR [2014-02-10 16:46:41,501] com.domain.Queue: it failed\n"
    local event = {severity = 3, timestamp = 1392050801501000000, class = "com.domain.Queue", message = "it failed", stacktrace = ""}
    equal(sfl4j.logevent_grammar:match(line), event)
    event.stacktrace = "! at a.b(c)\n! at d\n"
    equal(sfl4j.logevent_grammar:match(line .. event.stacktrace), event)
    for name, severity in pairs{TRACE = 7, debug = 7, INFO = 6, warn = 4, FATAL = 0} do
        equal(sfl4j.logevent_grammar:match(name .. " [2014-02-10 16:46:41,501] a: b\n").severity, severity, name)
    end
    equal(sfl4j.logevent_grammar:match"LOUD [2014-02-10 16:46:41,501] a: b\n", nil)
end

function process_message()
    bind_parts()
    buffers()
    queries()
    java()
    return 0
end
