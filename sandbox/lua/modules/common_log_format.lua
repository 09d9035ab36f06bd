-- Grammars of web server logs, made from the server's own format string, and the parts of a user agent.
--
-- Owns:    the module `common_log_format`: `build_nginx_grammar`, `build_apache_grammar`, `nginx_error_grammar`, `normalize_user_agent`.
-- Captures: a table of fields by Nginx's names of variables; the time as `time` in nanoseconds; quantities as {value, representation}.
-- Bounds:  a grammar is built once, of what its format needs; the last time and the last user agents are remembered, 256 of at most 512 bytes.

local l = require "lpeg"
l.locale(l)
local string = require "string"
local dt = require "date_time"
local log_grammar = require "hekad.log_grammar"
local ip = require "ip_address"

local digit, xdigit = l.digit, l.xdigit

local function zero()
    return 0
end

local function quantity(number, unit)
    return l.Ct(l.Cg(number, "value") * l.Cg(l.Cc(unit), "representation"))
end

-- Nanoseconds of a time that `grammar` captures.
local function remembered_time(grammar)
    return log_grammar.remembered_time(grammar, dt.time_to_ns)
end

-- A table whose values are made by functions of the same names when they are first asked for: a format needs few of them.
local function made_when_needed(makers)
    return setmetatable({}, {
        __index = function(made, name)
            local value = makers[name] and makers[name]()
            made[name] = value
            return value
        end,
    })
end

local makers = {}
local M = made_when_needed(makers)

local integer = digit^1 / tonumber
local decimal = digit^1 * "." * digit^1 / tonumber
local status = digit * digit * digit / tonumber

local PARTS = made_when_needed{
    bytes = function()
        return quantity(integer, "B")
    end,
    bytes_or_none = function()
        return quantity(integer + l.P"-" / zero, "B")
    end,
    clf_time = function()
        return remembered_time(dt.clf_timestamp)
    end,
    -- An address is taken for one only where no name goes on behind it.
    host = function()
        local name = (l.alnum + l.S"-._~!$&'()*+,;=" + "%" * xdigit * xdigit)^1
        local name_goes_on = l.P"."^-1 * l.alnum
        return quantity(l.C(ip.v4) * -name_goes_on, "ipv4") + quantity(l.C(ip.v6), "ipv6") + quantity(l.C(name), "hostname")
    end,
    method = function()
        return l.upper * (l.upper + l.S"-_")^0
    end,
    protocol = function()
        return "HTTP/" * digit^1 * "." * digit^1
    end,
}

-- Makers of a part, and of other patterns.
local function part(name)
    return function()
        return PARTS[name]
    end
end

local function always(pattern)
    return function()
        return pattern
    end
end
local number, bytes, host = always(integer), part"bytes", part"host"

-- Values of all servers that were asked: a comma between servers, a colon between groups after a redirect.
local next_server = l.P", " + " : "
local function upstream(value)
    return l.Ct(value * (next_server * value)^0)
end

local function number_or_none(pattern)
    return pattern + l.P"-" / zero
end

-- Nginx's variables that are more than free text.
local NGINX = made_when_needed{
    binary_remote_addr = always(l.P(4)),
    body_bytes_sent = bytes,
    bytes_sent = bytes,
    connection = number,
    connection_requests = number,
    content_length = part"bytes_or_none",
    host = host,
    hostname = host,
    https = always(l.P"on"^-1),
    is_args = always(l.P"?"^-1),
    msec = always(decimal / dt.seconds_to_ns),
    nginx_version = function()
        return digit^1 * "." * digit^1 * "." * digit^1
    end,
    pid = number,
    pipe = always(l.S"p."),
    proxy_protocol_addr = host,
    remote_addr = host,
    remote_port = number,
    request_completion = always(l.P"OK"^-1),
    request_length = bytes,
    request_method = part"method",
    request_time = function()
        return quantity(decimal, "s")
    end,
    scheme = always(l.P"https" + "http"),
    server_addr = host,
    server_name = host,
    server_port = number,
    server_protocol = part"protocol",
    status = always(status),
    tcpinfo_rtt = number,
    tcpinfo_rttvar = number,
    tcpinfo_snd_cwnd = number,
    tcpinfo_rcv_space = number,
    time_iso8601 = function()
        return remembered_time(dt.rfc3339)
    end,
    time_local = part"clf_time",
    upstream_addr = function()
        return upstream(l.C((1 - l.S',"' - l.space)^1))
    end,
    upstream_cache_status = function()
        return log_grammar.one_of("HIT", "MISS", "EXPIRED", "BYPASS", "STALE", "UPDATING", "REVALIDATED", "SCARCE", "-")
    end,
    upstream_cache_last_modified = function()
        return remembered_time(dt.build_strftime_grammar("%a, %d %b %Y %T GMT")) + "-"
    end,
    upstream_response_length = function()
        return "-" * -next_server + quantity(upstream(number_or_none(integer)), "B")
    end,
    upstream_response_time = function()
        return quantity(upstream(number_or_none(decimal)), "s")
    end,
    upstream_status = function()
        return upstream(number_or_none(status))
    end,
}
local TIMES = {msec = true, time_iso8601 = true, time_local = true}

-- A format is read as a list of items: {blank = true}, {text = literal} or {name = field, value = pattern}. A value without a pattern is free text.

-- Text in quotes, where a backslash takes the meaning from what follows it.
local plain = (1 - l.S'"\\')^0
local quoted_text = plain * ("\\" * l.P(1) * plain)^0

-- How far free text goes: to the literal behind it, else to a blank, else to what opened it.
local function free_text(following, opened_by)
    local stop
    if following and following.text then
        stop = following.text
    elseif following and following.blank or opened_by ~= '"' then
        return (1 - l.space)^0
    else
        stop = opened_by
    end
    if string.sub(stop, 1, 1) == '"' then
        return quoted_text
    end
    return (1 - l.P(stop))^0
end

local function grammar_of(items)
    if #items == 0 then
        error("could not parse the log_format configuration", 3)
    end
    local grammar, opened_by = l.P(true), " "
    for i, item in ipairs(items) do
        if item.blank then
            grammar, opened_by = grammar * l.space^1, " "
        elseif item.text then
            grammar, opened_by = grammar * item.text, string.sub(item.text, -1)
        elseif item.name then
            grammar = grammar * l.Cg(item.value or free_text(items[i + 1], opened_by), item.name)
        else
            grammar = grammar * item.value
        end
    end
    return l.Ct(grammar)
end

-- Adds literal text, to the literal before it if there is one.
local function add_text(items, text)
    local last = items[#items]
    if last and last.text then
        last.text = last.text .. text
    elseif text ~= "" then
        items[#items + 1] = {text = text}
    end
end

-- Reads a format; `variable(format, at)` returns an item and the place behind it, or nil where none begins, `literal(format, at)` text and place.
local function read_format(format, variable, literal)
    local items, at = {}, 1
    format = type(format) == "string" and format or ""
    while at <= #format do
        local _, blanks = string.find(format, "^%s+", at)
        local item, behind = variable(format, at)
        if blanks then
            items[#items + 1], at = {blank = true}, blanks + 1
        elseif item then
            items[#items + 1], at = item, behind
        else
            local text
            text, at = literal(format, at)
            add_text(items, text)
        end
    end
    return items
end

local function nginx_variable(format, at)
    local name, behind = string.match(format, "^%$([%w_]+)()", at)
    if not name then
        name, behind = string.match(format, "^%${([%w_]+)}()", at)
    end
    if name then
        return {name = TIMES[name] and "time" or name, value = NGINX[name]}, behind
    end
end

local function one_character(format, at)
    return string.sub(format, at, at), at + 1
end

-- A grammar of Nginx's log_format.
function M.build_nginx_grammar(log_format)
    return grammar_of(read_format(log_format, nginx_variable, one_character))
end

local function field(name, maker)
    return function()
        return {name = name, value = maker and maker()}
    end
end

local function measured(unit)
    return function()
        return quantity(integer, unit)
    end
end

-- Apache's directives by their letter, under Nginx's names of variables.
local APACHE = made_when_needed{
    ["%"] = function()
        return {value = l.P"%"}
    end,
    a = field("remote_addr", host),
    A = field("server_addr", host),
    b = field("body_bytes_sent", part"bytes_or_none"),
    B = field("body_bytes_sent", bytes),
    D = field("request_time", measured"us"),
    f = field"request_filename",
    h = field("remote_addr", host),
    H = field("server_protocol", part"protocol"),
    I = field("request_length", bytes),
    k = field("connection_requests", number),
    l = field"remote_user",
    L = field"request_log_id",
    m = field("request_method", part"method"),
    O = field("response_length", bytes),
    p = field("server_port", number),
    P = field("pid", number),
    q = field"query_string",
    r = field"request",
    R = field"request_handler",
    s = field("status", always(status)),
    S = field("total_length", bytes),
    t = function()
        return {value = "[" * l.Cg(PARTS.clf_time, "time") * "]"}
    end,
    T = field("request_time", measured"s"),
    u = field"remote_user",
    U = field"uri",
    v = field("server_name", host),
    V = field("server_name", host),
    X = field("connection_status", always(l.S"X+-")),
}

local function header_name(prefix)
    return function(argument)
        return {name = prefix .. string.gsub(string.lower(argument), "-", "_")}
    end
end

local function prefixed(prefix)
    return function(argument)
        return {name = prefix .. argument}
    end
end

local PORTS = {canonical = "server_port", ["local"] = "server_port", remote = "remote_port"}

local function port(argument)
    if not PORTS[argument] then
        error("unknown port format: " .. argument, 0)
    end
    return {name = PORTS[argument], value = integer}
end

local function from_hex(text)
    return tonumber(text, 16)
end

local PIDS = {
    pid = {name = "pid", value = integer},
    tid = {name = "tid", value = integer},
    hextid = {name = "tid", value = xdigit^1 / from_hex},
}

local function pid(argument)
    if not PIDS[argument] then
        error("unknown pid format: " .. argument, 0)
    end
    return PIDS[argument]
end

local function fraction(text)
    return tonumber("." .. text)
end

local function scaled(factor)
    return digit^1 / function(text)
        return tonumber(text) * factor
    end
end

local TIME_PARTS = {
    sec = {name = "time", value = scaled(1e9)},
    msec = {name = "time", value = scaled(1e6)},
    usec = {name = "time", value = scaled(1e3)},
    msec_frac = {name = "sec_frac", value = digit^1 / fraction},
    usec_frac = {name = "sec_frac", value = digit^1 / fraction},
}

local function time(argument)
    local format = string.match(argument, "^begin:(.*)") or string.match(argument, "^end:(.*)") or argument
    return TIME_PARTS[format] or {name = "time", value = remembered_time(dt.build_strftime_grammar(format))}
end

local function duration(argument)
    if argument ~= "s" and argument ~= "ms" and argument ~= "us" then
        error("unknown time unit: " .. argument, 0)
    end
    return {name = "request_time", value = quantity(integer, argument)}
end

local APACHE_WITH_ARGUMENT = {
    a = function()
        return APACHE.a
    end,
    C = prefixed("cookie_"),
    e = prefixed("env_"),
    i = header_name("http_"),
    n = prefixed("module_"),
    o = header_name("sent_http_"),
    p = port,
    P = pid,
    t = time,
    T = duration,
}

-- %[!]200,304<>{argument}x: the list of statuses and the choice of the request say when and what is logged, not how.
local function apache_directive(format, at)
    local argument, letter, behind = string.match(format, "^%%[!<>%d,]*{([^}]+)}[<>]?(%a)()", at)
    local item
    if argument then
        item = APACHE_WITH_ARGUMENT[letter] and APACHE_WITH_ARGUMENT[letter](argument)
    else
        letter, behind = string.match(format, "^%%[!<>%d,]*([%a%%])()", at)
        if not letter then
            return nil
        end
        item = APACHE[letter]
    end
    if not item then
        error("unknown variable: " .. letter, 0)
    end
    return item, behind
end

local ESCAPES = {t = "\t", n = "\n", ['"'] = '"', ["\\"] = "\\"}

local function apache_literal(format, at)
    local letter = string.match(format, '^\\([tn"\\])', at)
    if letter then
        return ESCAPES[letter], at + 2
    end
    local code = string.match(format, "^\\(%d%d?%d?)", at)
    if code and tonumber(code) < 256 then
        return string.char(tonumber(code)), at + 1 + #code
    end
    return one_character(format, at)
end

-- A grammar of Apache's LogFormat.
function M.build_apache_grammar(log_format)
    return grammar_of(read_format(log_format, apache_directive, apache_literal))
end

local LEVELS = {"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"}

-- 2014/03/01 11:29:39 [notice] 16842#0: *8878 text
function makers.nginx_error_grammar()
    local level = l.P(false)
    for i, name in ipairs(LEVELS) do
        level = level + name * l.Cc(i - 1)
    end
    return l.Ct(l.Cg(remembered_time(dt.build_strftime_grammar("%Y/%m/%d %T")), "Timestamp")
        * l.space * "[" * l.Cg(level, "Severity") * "]" * l.space * l.Cg(integer, "Pid") * "#"
        * l.Cg(l.Ct(l.Cg(integer, "tid") * ": " * ("*" * l.Cg(integer, "connection") * " ")^-1), "Fields")
        * l.Cg(l.P(1)^0, "Payload"))
end

-- The first that occurs in the text of an agent names its system.
local SYSTEMS = {
    {"iPod", "iPod"},
    {"iPad", "iPad"},
    {"iPhone", "iPhone"},
    {"Android", "Android"},
    {"BlackBerry", "BlackBerry"},
    {"Linux", "Linux"},
    {"Macintosh", "Macintosh"},
    {"Mozilla/5.0 (Mobile;", "FirefoxOS"},
    {"Windows NT 10.0", "Windows 10"},
    {"Windows NT 6.3", "Windows 8.1"},
    {"Windows NT 6.2", "Windows 8"},
    {"Windows NT 6.1", "Windows 7"},
    {"Windows NT 6.0", "Windows Vista"},
    {"Windows NT 5.1", "Windows XP"},
    {"Windows NT 5.0", "Windows 2000"},
}

-- The first that occurs names the browser; its version is the number behind a word, or behind the last slash of all.
local BROWSERS = {
    {"Chrome", "^.-Chrome/(%d+)"},
    {"Opera Mini", "^.*/(%d+)[^/]*$"},
    {"Opera Mobi", "^.*/(%d+)[^/]*$"},
    {"Opera", "^.*/(%d+)[^/]*$"},
    {"MSIE", "^.-MSIE (%d+)"},
    {"Safari", "^.*/(%d+)[^/]*$"},
    {"Firefox", "^.-Firefox/(%d+)"},
}

local function first_in(text, list)
    for _, entry in ipairs(list) do
        if string.find(text, entry[1], 1, true) then
            return entry
        end
    end
end

local REMEMBERED_AGENTS, REMEMBERED_BYTES = 256, 512
local agents, agent_count = {}, 0

local function parts_of_agent(text)
    local browser, system = first_in(text, BROWSERS), first_in(text, SYSTEMS)
    local parts = {}
    if browser then
        parts.browser, parts.version = browser[1], tonumber((string.match(text, browser[2])))
    end
    if system then
        parts.system = system[2]
    end
    return parts
end

-- Browser, version and system of a user agent; nil for what is not known.
function M.normalize_user_agent(text)
    if not text then
        return nil
    end
    local parts = agents[text]
    if not parts then
        parts = parts_of_agent(text)
        if #text <= REMEMBERED_BYTES then
            if agent_count == REMEMBERED_AGENTS then
                agents, agent_count = {}, 0
            end
            agents[text], agent_count = parts, agent_count + 1
        end
    end
    return parts.browser, parts.version, parts.system
end

return M
