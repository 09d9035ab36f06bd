-- What common programs write to syslog.
--
-- Owns:    the module `syslog_message`: `get_prog_grammar(program)`, `get_wildcard_grammar(name)`.
-- Captures: a table of fields; addresses as {value, representation}, numbers as such.
-- Bounds:  the grammar of a program is made once, when it is first asked for.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local ip = require "ip_address"

local M = {}

local whole = l.P"-"^-1 * l.digit^1 / tonumber
local decimal = l.P"-"^-1 * l.digit^1 * "." * l.digit^1 / tonumber

local function represented(pattern, representation)
    return l.Ct(l.Cg(pattern, "value") * l.Cg(l.Cc(representation), "representation"))
end
local ipv4 = represented(ip.v4, "ipv4")
local ipv46 = ipv4 + represented(ip.v6, "ipv6")

local function address(name)
    return l.Cg(ipv46, name)
end

local function address4(name)
    return l.Cg(ipv4, name)
end

local function number(name)
    return l.Cg(whole, name)
end

-- Text up to `stop`, and that.
local function before(name, stop)
    return l.Cg((1 - l.P(stop))^0, name) * stop
end

-- One or more characters that are not in `set`.
local function without(name, set)
    return l.Cg((1 - l.S(set))^1, name)
end

local function rest(name)
    return l.Cg(l.P(1)^1, name)
end

local function any_of(name, ...)
    local choice = l.P(false)
    for _, text in ipairs{...} do
        choice = choice + text
    end
    return l.Cg(choice, name)
end

local function constant(name, value)
    return l.Cg(l.Cc(value), name)
end

local function forms(list)
    local choice = l.P(false)
    for _, form in ipairs(list) do
        choice = choice + form
    end
    return l.Ct(choice)
end

-- Grammars by program, as functions that make them.
local make_program, make_wildcard = {}, {}

-- (root) CMD (command)
function make_program.CRON()
    return forms{"(" * before("cron_username", ") ") * before("cron_event", " (") * before("cron_detail", ")" * l.P(-1))}
end

make_program.crontab = make_program.CRON

function make_program.dhclient()
    local to_server = " on " * before("dhcp_client_interface", " to ") * address4"dhcp_server_addr" * " port " * number"dhcp_server_port"
    return forms{
        any_of("dhcp_type", "DHCPDISCOVER") * to_server * " interval " * number"dhcp_client_interval_seconds" * -1,
        any_of("dhcp_type", "DHCPREQUEST", "DHCPDECLINE", "DHCPRELEASE") * to_server * -1,
        any_of("dhcp_type", "DHCPACK") * " from " * address4"dhcp_server_addr" * -1,
        "bound to " * address4"dhcp_client_addr" * " -- renewal in " * number"dhcp_client_renewal_seconds" * " seconds." * -1,
    }
end

function make_program.dhcpd()
    local hardware = l.xdigit * l.xdigit * (":" * l.xdigit * l.xdigit)^0
    local from_hardware = " from " * l.Cg(hardware + "<no identifier>", "dhcp_client_hw_addr") * " "
    local client_name = ("(" * without("dhcp_client_hostname", ")") * ") ")^-1
    local via = "via " * without("dhcp_source", ":")
    local remark = (": " * rest"dhcp_message")^-1 * -1
    local lease = (" [" * number"dhcp_lease_time" * "]")^-1
    local leases = "  total " * number"dhcp_lease_count" * "  free " * number"dhcp_free_leases" * "  backup " * number"dhcp_backup_leases"
        * "  lts " * number"dhcp_lts"
    return forms{
        any_of("dhcp_type", "BOOTREQUEST") * " from " * l.Cg(hardware, "dhcp_client_hw_addr") * " " * via * -1,
        any_of("dhcp_type", "BOOTREPLY") * " for " * address4"dhcp_client_addr" * " to " * before("dhcp_client_hostname", " (")
            * l.Cg(hardware, "dhcp_client_hw_addr") * ") " * via * -1,
        any_of("dhcp_type", "DHCPDISCOVER") * from_hardware * client_name * via * remark,
        any_of("dhcp_type", "DHCPOFFER", "DHCPACK", "BOOTREPLY") * " on " * address4"dhcp_client_addr" * " to " * without("dhcp_client_hw_addr", " ")
            * " " * client_name * "via " * without("dhcp_source", " :") * lease * remark,
        any_of("dhcp_type", "DHCPACK") * " to " * address4"dhcp_client_addr" * " (" * without("dhcp_client_hw_addr", ")") * ") "
            * "via " * without("dhcp_source", " :") * (": " * before("dhcp_message", " [" + l.P(-1)) * (number"dhcp_lease_time" * "]")^-1 + lease) * -1,
        any_of("dhcp_type", "DHCPNAK") * " on " * address4"dhcp_client_addr" * " to " * without("dhcp_client_hw_addr", " ") * " " * via * -1,
        any_of("dhcp_type", "DHCPREQUEST") * " for " * address4"dhcp_client_addr" * (" (" * without("dhcp_server_addr", ")") * ")")^-1
            * from_hardware * client_name * via * remark,
        any_of("dhcp_type", "DHCPINFORM") * " from " * address4"dhcp_client_addr" * " " * via * remark,
        any_of("dhcp_pool_result", "balancing") * " pool" * l.P" "^-1 * before("dhcp_pool_id", " ") * before("dhcp_network", -(-l.P"  total ")) * leases
            * "  max-own (+/-)" * number"dhcp_hold" * l.P"  (requesting peer rebalance!)"^-1 * -1,
        any_of("dhcp_pool_result", "balanced", "IMBALANCED") * " pool" * l.P" "^-1 * before("dhcp_pool_id", " ") * before("dhcp_network", -(-l.P"  total "))
            * leases * "  max-misbal " * number"dhcp_thresh" * -1,
        "bind update on " * address4"dhcp_client_addr" * " from " * before("dhcp_failover_peer", " ") * any_of("dhcp_bind_update_status", "rejected")
            * ": " * rest"dhcp_message",
        "bind update on " * address4"dhcp_client_addr" * " " * any_of("dhcp_bind_update_status", "got ack") * " from "
            * before("dhcp_failover_peer", ": ") * rest"dhcp_message",
    }
end

function make_program.login()
    local terminal = l.P" "^0 * "on '" * before("tty", "'") * (" from '" * before("from", "'"))^-1
    return forms{
        "FAILED LOGIN (" * number"failcount" * ")" * terminal * " FOR '" * before("user", "', ") * rest"pam_error",
        "ROOT LOGIN " * terminal * -1,
    }
end

function make_program.groupadd()
    return forms{"new group: name=" * before("group_name", ", GID=") * number"gid" * -1}
end

function make_program.groupdel()
    return forms{"group '" * before("group_name", "' removed") * (" from " * rest"group_dbname")^-1}
end

function make_program.useradd()
    return forms{
        "new user: name=" * before("user_name", ", UID=") * number"uid" * ", GID=" * number"gid" * ", home=" * before("user_home", ", shell=")
            * rest"user_shell",
        "add '" * before("user_name", l.P"' to group '" + "' to shadow group '") * before("group_name", "'") * -1,
    }
end

function make_program.named()
    local function socket(prefix)
        return address(prefix .. "_addr") * "#" * number(prefix .. "_port")
    end
    local resolving = before("dns_name", "/") * before("dns_type", "/") * before("dns_class", "': ") * socket"dns" * -1
    return forms{
        any_of("dns_error", "lame server") * " resolving '" * before("dns_name", "' (in '") * before("dns_domain", "'?): ") * socket"dns" * -1,
        "error (" * before("dns_error", ") resolving '") * resolving,
        before("dns_error", " resolving '") * resolving,
        any_of("dns_error", "DNS format error") * " from " * socket"dns" * " resolving " * before("dns_name", "/")
            * l.Cg((1 - (l.P" for client " + ":"))^0, "dns_type") * (" for client " * address"dns_client_addr" * "#" * number"dns_client_port")^-1
            * ": " * rest"dns_message",
        any_of("dns_error", "skipping nameserver") * " '" * before("dns_nameserver", "' because it is a CNAME, while resolving '")
            * before("dns_name", "'") * -1,
        "client " * ("@0x" * l.xdigit^1 * " ")^-1 * address"dns_client_addr" * "#" * number"dns_client_port"
            * ("/key " * without("dns_client_signer", " :"))^-1 * (" (" * without("dns_name", ")") * ")")^-1
            * (": view " * without("dns_view", ":"))^-1 * ": " * rest"dns_message",
        "success resolving '" * before("dns_name", "/") * before("dns_type", "' (in '") * before("dns_domain", "'?) after ") * rest"dns_message",
        "zone " * before("dns_domain", "/") * before("dns_class", "/") * before("dns_view", ": ") * any_of("dns_message", "sending notifies")
            * " (serial " * number"dns_serial" * ")" * -1,
        "clients-per-query decreased to " * number"dns_clients_per_query" * -1,
    }
end

make_program["puppet-agent"] = function()
    local puppet_segment = l.upper * (l.lower + l.digit + "_")^0
    local puppet_type = puppet_segment * ("::" * puppet_segment)^0
    local puppet_resource = puppet_type * "[" * (1 - l.P"]")^1 * "]"
    local puppet_path = ("/" * (puppet_resource + puppet_type))^1
    local puppet_parameter = (l.lower + l.digit + "_")^1
    local puppet_change = "current_value " * before("puppet_current_value", ", should be ") * before("puppet_should_value", " (noop)")
            * (" (previously recorded value was " * rest"puppet_historical_value")^-1 * constant("puppet_noop", true) * -1
        + l.Cg(puppet_parameter, "puppet_ensure_parameter") * " changed '" * before("puppet_old_value", "' to '")
            * before("puppet_new_value", "'" * l.P(-1))
        + any_of("puppet_change", "executed successfully") * -1
    local puppet_action = (any_of("puppet_msg", "Would have triggered") * constant("puppet_noop", true) + any_of("puppet_msg", "Triggered"))
            * " '" * before("puppet_callback", "' from ") * number"puppet_events_count" * " events" * -1
        + "Scheduling " * before("puppet_callback", " of ") * l.Cg(puppet_resource, "puppet_callback_target") * -1
        + "Unscheduling " * before("puppet_callback", " on ") * l.Cg(puppet_resource, "puppet_callback_target") * -1
        + "Filebucketed " * before("puppet_file_path", " to ") * before("puppet_bucket", " with sum ") * before("puppet_file_sum", l.P(-1))
    return forms{
        "(" * l.Cg(puppet_path, "puppet_resource_path") * "/" * l.Cg(puppet_parameter, "puppet_parameter") * ")"
            * (" " * puppet_change + l.P(1)^0),
        "(" * before("puppet_resource_path", ") ") * puppet_action,
        any_of("puppet_msg", "Finished catalog run") * " in " * l.Cg(decimal, "puppet_benchmark_seconds") * " seconds" * -1,
        -- Known, without anything to capture.
        (l.P"Retrieving pluginfacts" + "Retrieving plugin" + "Loading facts") * -1,
        l.P"Caching catalog for " + "Applying configuration version '" + "Computing checksum on file "
            + "Run of Puppet configuration client already in progress; skipping (",
    }
end

function make_program.sshd()
    local at_port = (" port " * number"remote_port")^-1
    return forms{
        any_of("sshd_authmsg", "Accepted", "Failed", "Partial", "Postponed") * " " * without("sshd_method", "/ ") * ("/" * without("sshd_submethod", "/ "))^-1
            * " for " * l.P"invalid user "^-1 * before("remote_user", " from ") * address"remote_addr" * " port " * number"remote_port"
            * " " * (l.P"ssh2" + "ssh1") * (": " * rest"sshd_info")^-1,
        "Received disconnect from " * address"remote_addr" * at_port * ":" * l.P" "^-1 * (number"disconnect_reason" * ": ")^-1 * rest"disconnect_msg",
        "reverse mapping checking getaddrinfo for " * before("remote_host", l.P" "^-1 * "[") * address"remote_addr"
            * "] failed - POSSIBLE BREAK-IN ATTEMPT!" * -1,
        "subsystem request for " * before("sshd_subsystem", " by user " + l.P(-1)) * l.Cg((1 - l.P" ")^0, "remote_user") * -1,
        "Connection closed by " * address"remote_addr" * at_port * " [preauth]" * -1,
        "Invalid user " * before("remote_user", " from ") * address"remote_addr" * at_port * -1,
        "input_userauth_request: invalid user " * before("remote_user", " [preauth]") * -1,
        "Exiting on signal " * l.Cg(l.digit^1, "signal") * -1,
        "Received signal " * l.Cg(l.digit^1, "signal") * "; terminating." * -1,
        "Server listening on " * without("listen_address", " ") * " port " * l.Cg(l.digit^1, "listen_port") * "." * -1,
        "Did not receive identification string from " * address"remote_addr" * at_port * -1,
        any_of("sshd_errorlevel", "error", "fatal") * ": " * rest"sshd_error",
    }
end

function make_program.su()
    return forms{
        any_of("su_status", "Successful", "FAILED") * " su for " * before("su_name", " by ") * rest"su_oldname",
        "pam_authenticate: " * rest"pam_error",
        l.S"+-" * " ",
    }
end

-- root : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/true
function make_program.sudo()
    local sudo = before("sudo_message", " : ")
    for _, name in ipairs{"TTY", "PWD", "USER", "GROUP", "TSID", "ENV"} do
        sudo = sudo * ((name .. "=") * before("sudo_" .. string.lower(name), " ; "))^-1
    end
    return forms{sudo * "COMMAND=" * rest"sudo_command"}
end

make_program["systemd-logind"] = function()
    return forms{
        "New session " * number"session_id" * " of user " * before("user_id", "." * l.P(-1)) * constant("sd_message", "SESSION_START"),
        "Removed session " * number"session_id" * "." * constant("sd_message", "SESSION_STOP") * -1,
    }
end

-- pam_unix(login:session): ...
function make_wildcard.PAM()
    local pam = before("pam_module", "(") * before("pam_service", ":") * before("pam_type", "): ")
    return forms{
        pam * any_of("pam_action", "session opened") * " for user " * before("user_name", " by ") * before("login_name", "(uid=") * number"uid" * ")",
        pam * any_of("pam_action", "session closed") * " for user " * rest"user_name",
        pam * any_of("pam_action", "authentication failure") * "; logname=" * before("logname", " uid=") * number"uid" * " euid=" * number"euid"
            * " tty=" * before("tty", " ruser=") * before("ruser", " rhost=") * l.Cg((1 - (l.P" "^1 * ("user=" + l.P(-1))))^0, "rhost")
            * l.P" "^0 * ("user=" * rest"user")^-1,
        pam * "check pass; user " * ("(" * before("user_name", ") "))^-1 * "unknown",
    }
end

-- A table whose grammars are made when they are first asked for.
local function made_when_needed(makers)
    return setmetatable({}, {
        __index = function(made, name)
            local grammar = makers[name] and makers[name]()
            made[name] = grammar
            return grammar
        end,
    })
end
local programs, wildcards = made_when_needed(make_program), made_when_needed(make_wildcard)

-- The grammar of a program's messages, nil where there is none.
function M.get_prog_grammar(program)
    return programs[program]
end

-- The grammar of messages of any program by its name; for a list of names a list of grammars; without one the table of all.
function M.get_wildcard_grammar(name)
    if name == nil then
        for known in pairs(make_wildcard) do
            wildcards[known] = wildcards[known]
        end
        return wildcards
    elseif type(name) ~= "table" then
        return wildcards[name]
    end
    local list = {}
    for i, one in ipairs(name) do
        list[i] = wildcards[one]
    end
    return list
end

return M
