-- Grammars of the query log of BIND, the DNS server, with print-time, print-severity and print-category.
--
-- Owns:    the module `bind`: `query_log_grammar`, `dns_record_type`, `dns_record_class`, `query_flags`.
-- Captures: Timestamp (ns, whole seconds), ClientIP, ClientEphemeralPort, FullQuery, QueryName, QueryDomain, RecordClass, RecordType, QueryFlags (list),
--           ServerRespondingIP; to be collected by a table capture. Addresses are {value, representation}.

local l = require "lpeg"
l.locale(l)
local table = require "table"
local dt = require "date_time"
local ip = require "ip_address"

local M = {}

local RECORD_TYPES = {
    "A", "AAAA", "AFSDB", "ANY", "APL", "AXFR", "CAA", "CDNSKEY", "CDS", "CERT", "CNAME", "CSYNC", "DHCID", "DLV", "DNAME", "DNSKEY", "DS", "HINFO", "HIP",
    "HTTPS", "IPSECKEY", "IXFR", "KEY", "KX", "LOC", "MX", "NAPTR", "NS", "NSEC", "NSEC3", "NSEC3PARAM", "OPENPGPKEY", "OPT", "PTR", "RP", "RRSIG", "SIG",
    "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TA", "TKEY", "TLSA", "TSIG", "TXT", "URI", "*",
}
-- The longest first, so that none is taken for its beginning.
table.sort(RECORD_TYPES, function(a, b)
    return #a > #b
end)
local record_type = "TYPE" * l.digit^1
for _, name in ipairs(RECORD_TYPES) do
    record_type = record_type + name
end
M.dns_record_type = l.Cg(record_type, "RecordType")
M.dns_record_class = l.Cg(l.P"IN" + "CH" + "HS", "RecordClass")

local FLAGS = {
    ["+"] = "recursion requested",
    ["-"] = "recursion not requested",
    C = "no DNSSEC validation check",
    D = "DNSSEC data wanted",
    E = "EDNS used",
    K = "cookie sent",
    S = "query signed",
    T = "TCP used",
    V = "cookie valid",
}
-- Newer servers write the version of EDNS in parentheses.
M.query_flags = l.Cg(l.Ct((l.S"+-CDEKSTV" / FLAGS * ("(" * l.digit^1 * ")")^-1)^1), "QueryFlags")

local function address(name)
    local v4 = l.Ct(l.Cg(ip.v4, "value") * l.Cg(l.Cc"ipv4", "representation"))
    local v6 = l.Ct(l.Cg(ip.v6, "value") * l.Cg(l.Cc"ipv6", "representation"))
    return l.Cg(v4 + v6, name)
end

-- 27-May-2015 21:06:49.246
local time = l.Cg(dt.build_strftime_grammar("%d-%b-%Y %H:%M:%S") / dt.time_to_ns, "Timestamp") * "." * l.P(3)
local label = (l.alnum + l.S"-_")^1
local full_name = label * ("." * label)^0
local client = "client" * l.space * ("@0x" * l.xdigit^1 * l.space)^-1
    * address("ClientIP") * "#" * l.Cg(l.digit^-5, "ClientEphemeralPort")
local view = "view " * (1 - l.P":")^1 * ":" * l.space
local root = l.P"."
local name = l.Cg(label, "QueryName") * ("." * l.Cg(full_name, "QueryDomain"))^-1 + l.Cg(root, "QueryName")

-- ... queries: info: client 10.0.1.70#41242 (www.company.com): query: www.company.com IN A +E (10.0.1.71)
M.query_log_grammar = time * l.space * "queries:" * l.space * "info:" * l.space * client * l.space
    * "(" * l.Cg(full_name + root, "FullQuery") * "):" * l.space * view^-1 * "query:" * l.space * name * l.space
    * M.dns_record_class * l.space * M.dns_record_type * l.space * M.query_flags * l.space
    * "(" * address("ServerRespondingIP") * ")"

return M
