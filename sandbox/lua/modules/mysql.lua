-- Grammars of the slow query logs of MySQL and MariaDB.
--
-- Owns:    the module `mysql`: `slow_query_grammar`, `mariadb_slow_query_grammar`, and `short_` forms of entries without the line of user and host.
-- Captures: a message: Hostname, Timestamp (ns, as text), Payload (the statement), Fields (times as {value, representation = "s"}, counts as numbers).

local l = require "lpeg"
l.locale(l)

local M = {}

local newline = l.P"\n"
local rest = (1 - newline)^0 * newline
local gap = (l.space - newline)^1
local integer = l.digit^1 / tonumber
local seconds = l.Ct(l.Cg(l.digit^1 * "." * l.digit^1 / tonumber, "value") * l.Cg(l.Cc"s", "representation"))

local function entry(name, value)
    return (name .. ": ") * l.Cg(value, name)
end

-- # User@Host: name[name] @ host [address], where a connection over a local socket has no address.
local bracketed = "[" * (1 - l.S"[]\n")^0 * "]"
local account = (1 - l.S"[\n")^0 * bracketed
local address = l.Cg((1 - l.S"[]\n")^1, "Hostname")
local host_name = (1 - l.S"[]" - l.space)
local client = host_name^0 * gap^-1 * "[" * address * "]" + l.Cg(host_name^1, "Hostname")^-1 * gap^-1 * "[]"
local user = "# User@Host: " * account * gap * "@" * gap * client * rest

local query = "# " * entry("Query_time", seconds) * gap * entry("Lock_time", seconds) * gap
    * entry("Rows_sent", integer) * gap * entry("Rows_examined", integer) * rest

local yes_or_no = l.C(l.P"Yes" + "No")
local thread = "# " * entry("Thread_id", integer) * gap * entry("Schema", (1 - l.space)^0) * gap * entry("QC_hit", yes_or_no) * rest
local plan = "# " * entry("Full_scan", yes_or_no) * gap * entry("Full_join", yes_or_no) * gap
    * entry("Tmp_table", yes_or_no) * gap * entry("Tmp_table_on_disk", yes_or_no) * rest
    * "# " * entry("Filesort", yes_or_no) * gap * entry("Filesort_on_disk", yes_or_no) * gap
    * entry("Merge_passes", integer) * rest

-- What newer servers add in lines of their own is passed over.
local other = l.P"#" * rest

local time = "# Time: " * rest
local use = "use " * rest
local set = "SET " * ("last_insert_id=" * l.digit^1 * ",")^0 * ("insert_id=" * l.digit^1 * ",")^0
    * "timestamp=" * l.Cg(l.digit^1 / "%0000000000", "Timestamp") * ";" * newline
local administrator = "# administrator command: " * rest
local statement_end = ";" * (newline + -1)
local statement = l.Cg((1 - statement_end)^0 * statement_end, "Payload")

local function grammar(first, fields)
    return l.Ct(first * l.Cg(l.Ct(fields), "Fields") * other^0 * use^0 * set * administrator^0 * statement)
end

local mariadb = thread * query * plan^-1
M.slow_query_grammar = grammar(time^0 * user, query)
M.mariadb_slow_query_grammar = grammar(time^0 * user, mariadb)
M.short_slow_query_grammar = grammar(l.P(true), query)
M.mariadb_short_slow_query_grammar = grammar(l.P(true), mariadb)

return M
