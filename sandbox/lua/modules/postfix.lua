-- What the programs of Postfix log.
--
-- Owns:    the module `postfix`: `postfix_match(programname, message, extract)`.
-- Gives:   a table postfix_NAME = value; counts and ports as {value, value_type = 2}, addresses as {value, representation}. With `extract` the pairs of
--          postfix_keyvalue_data, the client, the relay and the delays among them, in place of that text.
-- Bounds:  the grammar of a program is made once, when it is first asked for.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local ip = require "ip_address"
local one_of = require "hekad.log_grammar".one_of

local M = {}

local INTEGER = 2
local blank = l.P" "

local function named(name, pattern)
    return l.Cg(pattern, "postfix_" .. name)
end

-- Text up to `stop`, which is left.
local function upto(name, stop)
    return named(name, (1 - l.P(stop))^1)
end

-- All that is left.
local function rest(name)
    return named(name, l.P(1)^1)
end

local function represented(pattern, representation)
    return l.Ct(l.Cg(pattern, "value") * l.Cg(l.Cc(representation), "representation"))
end

local integer = l.digit^1 / tonumber
local number = l.digit^1 * ("." * l.digit^1)^-1 / tonumber
local address = represented(ip.v4, "ipv4") + represented(ip.v6, "ipv6")
local host = address * -(l.alnum + l.S".-") + represented((1 - l.S"[] ")^1, "hostname")

local short_id = l.xdigit^6 * -l.alnum
local queue_id = short_id + l.alnum^12 + "NOQUEUE"
local queue = named("queueid", queue_id) * ": "

-- name[address]:port; a peer whose address could not be had is [unknown].
local function peer(kind, within)
    return named(kind .. "_hostname", host)^-1 * "[" * (named(kind .. "_ip", address) + within) * "]" * (":" * named(kind .. "_port", integer))^-1
end

local function client()
    return peer("client", l.P"unknown")
end

local function relay()
    return peer("relay", upto("relay_service", "]"))
end

local stage = one_of("CONNECT", "HELO", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "UNKNOWN", "END-OF-MESSAGE", "VRFY", ".")
local action = one_of("reject", "defer", "accept", "header-redirect")
local code = l.digit * l.digit * l.digit / tonumber
local enhanced_code = l.digit * "." * l.digit^1 * "." * l.digit^1
local lost = one_of("lost connection", "timeout", "Connection timed out")

local key_values = rest"keyvalue_data"
local key_value_follows = "; " * l.alpha^1 * "="
local queued_key_values = queue * key_values
local warning = (l.P"warning" + "fatal") * ": " * rest"warning"

local word = 1 - l.space

local function tls()
    return one_of("Anonymous", "Trusted", "Untrusted", "Verified") * " TLS connection established "
        * ("to " * relay() + "from " * client()) * ": " * named("tls_version", word^0) * " with cipher " * named("tls_cipher", word^0)
        * " (" * named("tls_cipher_size", word^0) * " bits)"
end

-- NOQUEUE: reject: RCPT from name[address]: 550 5.1.1 <data>: text; from=<...> to=<...>
local function noqueue()
    local blocked = "Service unavailable; " * (1 - l.P"[")^0 * "[" * named("status_data", (1 - l.P"]")^0) * "] "
        * upto("status_message", key_value_follows)
    local refused = named("status_message", (1 - l.P";")^0)
    return "NOQUEUE: " * named("action", action) * ": " * named("smtp_stage", stage) * " from " * client() * ": "
        * named("status_code", code) * " " * named("status_code_enhanced", enhanced_code)
        * (" <" * upto("status_data", ">") * ">:")^-1 * " " * (blocked + refused) * "; " * key_values
end

local delivery = queue * upto("keyvalue_data", " status=") * " status=" * named("status", l.alpha^1)
local function delays()
    return named("delay_before_qmgr", number) * "/" * named("delay_in_qmgr", number) * "/" * named("delay_conn_setup", number)
        * "/" * named("delay_transmission", number)
end

-- What each program logs, as functions that give the forms in the order in which they are tried.
local FORMS = {}

function FORMS.smtpd()
    local proxy_codes = (named("proxy_status_code", code) * " ")^-1 * (named("proxy_status_code_enhanced", enhanced_code) * " ")^-1
    return {
        "connect from " * client(),
        "disconnect from " * client(),
        named("smtpd_lostconn_data", lost) * " after " * named("smtp_stage", stage) * (" (" * l.digit^1 * " bytes)")^-1 * " from " * client(),
        upto("action", " from ") * " from " * client() * ": " * named("smtpd_lostconn_data", lost),
        noqueue(),
        "improper command pipelining after " * named("smtp_stage", stage) * " from " * client() * ":",
        tls(),
        warning,
        "proxy-" * named("proxy_result", action) * ": " * named("proxy_smtp_stage", stage) * ": "
            * proxy_codes * (1 - l.P";")^0 * "; " * key_values,
        queued_key_values,
    }
end

function FORMS.postscreen()
    local violation = named("postscreen_violation", one_of("BARE NEWLINE", "COMMAND TIME LIMIT", "COMMAND COUNT LIMIT", "COMMAND LENGTH LIMIT",
        "COMMAND PIPELINING", "DNSBL", "HANGUP", "NON-SMTP COMMAND", "PREGREET"))
    local access = one_of("DISCONNECT", "BLACKLISTED", "WHITELISTED", "WHITELIST VETO", "DENYLISTED", "ALLOWLISTED", "ALLOWLIST VETO", "PASS NEW",
        "PASS OLD")
    return {
        "CONNECT from " * client() * " to [" * named("server_ip", address) * "]:" * named("server_port", integer),
        named("postscreen_access", access) * " " * client(),
        noqueue(),
        "NOQUEUE: reject: CONNECT from " * client() * ": " * rest"postscreen_toobusy_data",
        "cache " * (1 - blank)^1 * " full cleanup: retained=" * named("postscreen_cache_retained", integer)
            * " dropped=" * named("postscreen_cache_dropped", integer) * " entries",
        violation * " rank " * named("postscreen_dnsbl_rank", integer) * " for " * client(),
        violation * (" " * l.digit^1)^-1 * (" after " * named("postscreen_violation_time", number))^-1
            * " from " * client() * (" after " * named("smtp_stage", stage))^-1,
        warning,
    }
end

function FORMS.anvil()
    -- service:address, where the service may itself be address:port or name:port.
    local function service_of(pattern)
        return named("service", pattern) * ":" * named("client_ip", address) * ")"
    end
    local service = service_of(ip.v4 * ":" * l.digit^1) + service_of((1 - l.P":")^1) + service_of((1 - l.P":")^1 * ":" * l.digit^1)
    local at = " at " * rest"anvil_timestamp"
    return {
        "statistics: max connection rate " * named("anvil_conn_rate", integer) * "/" * named("anvil_conn_period", l.digit^1 * l.S"smhd")
            * " for (" * service * at,
        "statistics: max cache size " * named("anvil_cache_size", integer) * at,
        "statistics: max connection count " * named("anvil_conn_count", integer) * " for (" * service * at,
    }
end

function FORMS.smtp()
    local response = " (" * upto("smtp_response", ")" * l.P(-1)) * ")"
    return {
        delivery * response^-1,
        "connect to " * relay() * ": " * one_of("Connection timed out", "No route to host", "Connection refused", "Network is unreachable"),
        queue * lost * " with " * relay(),
        tls(),
        warning,
    }
end
FORMS.lmtp = FORMS.smtp

function FORMS.scache()
    return {
        "statistics: " * (l.P"address" + "domain") * " lookup hits=" * named("scache_hits", integer) * " miss=" * named("scache_miss", integer)
            * " success=" * named("scache_success", integer),
        "statistics: max simultaneous domains=" * named("scache_domains", integer) * " addresses=" * named("scache_addresses", integer)
            * " connection=" * named("scache_connection", integer),
        "statistics: start interval " * rest"scache_timestamp",
    }
end

function FORMS.bounce()
    return {queue * "sender " * one_of("non-delivery", "delivery status", "delay") * " notification: " * named("bounce_queueid", queue_id)}
end

function FORMS.cleanup()
    return {
        queue * "milter-" * named("milter_result", action) * ": " * upto("milter_message", ";") * "; " * upto("keyvalue_data", ":")
            * (": " * rest"milter_data")^-1,
        warning,
        queued_key_values,
    }
end

function FORMS.discard()
    return {delivery}
end

function FORMS.dnsblog()
    return {"addr " * named("client_ip", address) * " listed by domain " * named("dnsbl_domain", host) * " as " * named("dnsbl_result", address)}
end

FORMS["local"] = function()
    return {queued_key_values}
end

function FORMS.master()
    return {
        (l.P"daemon started" + "reload") * " -- version " * upto("version", ",") * ", configuration " * rest"config_path",
        "terminating on signal " * named("termination_signal", integer),
    }
end

function FORMS.pickup()
    return {queue * "uid=" * named("uid", integer) * " from=<" * named("from", (1 - l.P">")^0) * ">" * (" orig_id=" * rest"orig_id")^-1}
end

function FORMS.pipe()
    return {
        queue * upto("keyvalue_data", " (") * " (delivered via " * named("pipe_service", l.alnum^1),
        queue * upto("keyvalue_data", " (") * " (mail forwarding loop for " * upto("to", ")"),
    }
end

function FORMS.qmgr()
    return {queue * "removed", queue * upto("keyvalue_data", " (") * " (queue active)", warning}
end

function FORMS.tlsproxy()
    return {(l.P"DISCONNECT" + "CONNECT") * l.P" from"^-1 * " " * client()}
end

function FORMS.relay_info()
    return {relay()}
end

function FORMS.delays()
    return {delays()}
end

for _, program in ipairs{"postdrop", "sendmail", "tlsmgr", "trivial-rewrite", "trivial_rewrite"} do
    FORMS[program] = function()
        return {warning}
    end
end

local grammars = {}

-- The grammar of a program, made when it is first asked for; nil for one that is not known.
local function grammar_of(program)
    if not grammars[program] and FORMS[program] then
        local choice = l.P(false)
        for _, form in ipairs(FORMS[program]()) do
            choice = choice + form
        end
        grammars[program] = l.Ct(choice)
    end
    return grammars[program]
end

-- key=value, key=<value>, with a comma or a blank between pairs.
local key = (l.alpha + l.S"-_")^1
local pair_end = l.P","^-1 * (blank^1 * key * "=" + -1)
local bracketed = "<" * l.C((1 - ">" * pair_end)^0) * ">"
local bare = l.C((1 - l.S", ")^1) * -(-pair_end)
local text = l.C((1 - (", " * key * "=" + l.P","^-1 * -1))^0)
local pair = l.Cg(l.C(key) * "=" * (bracketed + bare + text)) * l.S", "^0
local pairs_grammar = l.Cf(l.Ct(true) * pair^0, rawset)
grammars.keyvalue_data = pairs_grammar

-- Values of pairs that have parts of their own.
local PARTS = {postfix_client = l.Ct(client()), postfix_relay = l.Ct(relay()), postfix_delays = l.Ct(delays())}

local INTEGERS = {
    "anvil_cache_size", "anvil_conn_count", "anvil_conn_rate", "client_port", "nrcpt", "postscreen_cache_dropped", "postscreen_cache_retained",
    "postscreen_dnsbl_rank", "relay_port", "server_port", "size", "status_code", "termination_signal", "uid",
}

local function extract_pairs(found)
    local values = pairs_grammar:match(found.postfix_keyvalue_data)
    if not next(values) then
        return
    end
    found.postfix_keyvalue_data = nil
    for name, value in pairs(values) do
        found["postfix_" .. name] = value
    end
    for name, grammar in pairs(PARTS) do
        local parts = found[name] and grammar:match(found[name])
        if parts then
            found[name] = nil
            for part, value in pairs(parts) do
                found[part] = value
            end
        end
    end
end

-- What a message of a program says; `programname` is as in postfix/smtpd. nil where it is of no known form.
function M.postfix_match(programname, message, extract)
    local program = string.match(programname, "^[^/]+/(.+)$")
    local grammar = program and grammar_of(program)
    local found = grammar and grammar:match(message)
    if not found then
        return nil
    end
    if extract and found.postfix_keyvalue_data then
        extract_pairs(found)
    end
    for _, name in ipairs(INTEGERS) do
        local value = found["postfix_" .. name]
        if value then
            found["postfix_" .. name] = {value = tonumber(value), value_type = INTEGER}
        end
    end
    if found.postfix_delay then
        found.postfix_delay = tonumber(found.postfix_delay)
    end
    return found
end

return M
