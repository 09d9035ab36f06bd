-- Module common_log_format: variables of Nginx, directives of Apache, errors of formats, user agents.

local checks = require "checks"
local clf = require "common_log_format"
local equal, raises = checks.equal, checks.raises

local function nginx()
    local cases = {
        {"$binary_remote_addr", "abcd", {binary_remote_addr = "abcd"}}, {"$body_bytes_sent", "23", {body_bytes_sent = {value = 23, representation = "B"}}},
        {"$bytes_sent", "24", {bytes_sent = {value = 24, representation = "B"}}}, {"$connection", "3", {connection = 3}},
        {"$connection_requests", "0", {connection_requests = 0}}, {"$content_length", "7", {content_length = {value = 7, representation = "B"}}},
        {"$content_length", "-", {content_length = {value = 0, representation = "B"}}}, {"$host", "a.b", {host = {value = "a.b", representation = "hostname"}}},
        {"$hostname", "::1", {hostname = {value = "::1", representation = "ipv6"}}}, {"$https", "on", {https = "on"}}, {"$https", "", {https = ""}},
        {"$is_args", "?", {is_args = "?"}}, {"$msec", "1391794831.755", {time = 1391794831755000000}}, {"$nginx_version", "1.1.1", {nginx_version = "1.1.1"}},
        {"$pid", "99", {pid = 99}}, {"$pipe", "p", {pipe = "p"}}, {"$pipe", ".", {pipe = "."}},
        {"$proxy_protocol_addr", "10.0.0.1", {proxy_protocol_addr = {value = "10.0.0.1", representation = "ipv4"}}},
        {"$remote_addr", "10.0.0.1", {remote_addr = {value = "10.0.0.1", representation = "ipv4"}}}, {"$remote_port", "5435", {remote_port = 5435}},
        {"$request_completion", "OK", {request_completion = "OK"}}, {"$request_length", "9", {request_length = {value = 9, representation = "B"}}},
        {"$request_method", "PATCH", {request_method = "PATCH"}}, {"$request_time", "1.123", {request_time = {value = 1.123, representation = "s"}}},
        {"$scheme", "https", {scheme = "https"}}, {"$server_addr", "::", {server_addr = {value = "::", representation = "ipv6"}}},
        {"$server_name", "_", {server_name = {value = "_", representation = "hostname"}}}, {"$server_port", "80", {server_port = 80}},
        {"$server_protocol", "HTTP/2.0", {server_protocol = "HTTP/2.0"}}, {"$status", "200", {status = 200}},
        {"$tcpinfo_rtt $tcpinfo_rttvar $tcpinfo_snd_cwnd $tcpinfo_rcv_space", "1 2 3 4",
            {tcpinfo_rtt = 1, tcpinfo_rttvar = 2, tcpinfo_snd_cwnd = 3, tcpinfo_rcv_space = 4}},
        {"$time_iso8601", "2014-02-10T08:46:41-08:00", {time = 1392050801e9}}, {"$time_local", "10/Feb/2014:08:46:41 -0800", {time = 1392050801e9}},
        {"$upstream_cache_last_modified", "Mon, 10 Feb 2014 16:46:41 GMT", {upstream_cache_last_modified = 1392050801e9}},
        {"$upstream_cache_last_modified", "-", {upstream_cache_last_modified = "-"}}, {'"$arg_x"', '"a \\"b\\" c"', {arg_x = 'a \\"b\\" c'}},
        {'"$arg_x" "$arg_y"', '"a\\\\" "b"', {arg_x = "a\\\\", arg_y = "b"}}, {"<$a>[$b]{$c}", "<1 2>[3]{4}", {a = "1 2", b = "3", c = "4"}},
        {"$a  $b", "x y", {a = "x", b = "y"}}, {"$a, $b", "x,\ty", {a = "x", b = "y"}}, {"${a}b", "1b", {a = "1"}}, {"$", "$", {}},
    }
    for _, case in ipairs(cases) do
        equal(clf.build_nginx_grammar(case[1]):match(case[2]), case[3], case[1])
    end
    for format, text in pairs{["$status"] = "20", ["$pid"] = "x", ["$time_local"] = "10/Feb/2014:08:46:41", ["[$status]"] = "200"} do
        equal(clf.build_nginx_grammar(format):match(text), nil, format)
    end
    raises("could not parse the log_format configuration", clf.build_nginx_grammar, "")
    raises("could not parse the log_format configuration", clf.build_nginx_grammar, nil)
end

local function apache()
    local cases = {
        {"%b", "-", {body_bytes_sent = {value = 0, representation = "B"}}}, {"%D", "12", {request_time = {value = 12, representation = "us"}}},
        {"%T", "1", {request_time = {value = 1, representation = "s"}}}, {"%{us}T", "1", {request_time = {value = 1, representation = "us"}}},
        {"%>s %<s", "200 201", {status = 201}}, {"%t", "[10/Feb/2014:08:46:41 -0800]", {time = 1392050801e9}}, {"%X", "+", {connection_status = "+"}},
        {"%L %R", "id handler", {request_log_id = "id", request_handler = "handler"}}, {"%{c}a", "::1", {remote_addr = {value = "::1", representation = "ipv6"}}},
        {"%{A-b}C %{A-b}e %{A-b}i %{A-b}n %{A-b}o", "1 2 3 4 5",
            {["cookie_A-b"] = "1", ["env_A-b"] = "2", http_a_b = "3", ["module_A-b"] = "4", sent_http_a_b = "5"}},
        {"%{canonical}p %{local}p %{remote}p", "1 2 3", {server_port = 2, remote_port = 3}}, {"%{pid}P %{tid}P", "1 2", {pid = 1, tid = 2}},
        {"%{hextid}P", "fF", {tid = 255}}, {"%{sec}t", "1392050801", {time = 1392050801e9}}, {"%{end:msec}t", "1392050801250", {time = 1392050801250e6}},
        {"%{begin:usec}t", "1392050801250000", {time = 1392050801250e6}}, {"%{usec_frac}t", "250000", {sec_frac = 0.25}},
        {"%{%d/%b/%Y %T}t", "10/Feb/2014 16:46:41", {time = 1392050801e9}}, {'\\"%U\\"\\t%%\\\\', '"/a"\t%\\', {uri = "/a"}}, {"\\065%f", "Aname", {request_filename = "name"}},
        {'"%200,304{User-Agent}i"', '"a b"', {http_user_agent = "a b"}}, {'"%!200{User-Agent}i"', '"-"', {http_user_agent = "-"}},
    }
    for _, case in ipairs(cases) do
        equal(clf.build_apache_grammar(case[1]):match(case[2]), case[3], case[1])
    end
    raises("unknown variable: Z", clf.build_apache_grammar, "%Z")
    raises("unknown variable: h", clf.build_apache_grammar, "%{x}h")
    raises("unknown port format: far", clf.build_apache_grammar, "%{far}p")
    raises("unknown pid format: x", clf.build_apache_grammar, "%{x}P")
    raises("unknown strftime specifier: E", clf.build_apache_grammar, "%{%E}t")
    raises("could not parse the log_format configuration", clf.build_apache_grammar, "")
end

local function nginx_errors()
    for number, name in ipairs{"alert", "crit", "error", "warn", "notice", "info", "debug"} do
        local found = clf.nginx_error_grammar:match("2014/02/10 16:46:41 [" .. name .. "] 5#6: *7 text")
        equal(found, {Timestamp = 1392050801e9, Severity = number, Pid = 5, Fields = {tid = 6, connection = 7}, Payload = "text"}, name)
    end
    equal(clf.nginx_error_grammar:match"2014/02/10 16:46:41 [error] 5: text", nil)
end

local function agents()
    local cases = {
        {"Mozilla/5.0 (iPod; U) Version/3.0 Mobile/7A341 Safari/528.16", "Safari", 528, "iPod"},
        {"Mozilla/5.0 (iPhone; U) AppleWebKit/532 Version/4.0 Safari/", "Safari", nil, "iPhone"},
        {"Mozilla/5.0 (Linux; Android 4.4) Chrome/30.0.0.0 Mobile Safari/537.36", "Chrome", 30, "Android"},
        {"BlackBerry9700/5.0", nil, nil, "BlackBerry"}, {"Opera/9.80 (X11; Linux x86_64) Presto/2.12 Version/12.14", "Opera", 12, "Linux"},
        {"Opera/9.80 (Android; Opera Mini/7.5.33361/31.1448; U; en) Presto/2.8.119 Version/11.10", "Opera Mini", 11, "Android"},
        {"Opera/12.02 (Opera Mobi/ADR; U) Version/12.02", "Opera Mobi", 12, nil}, {"Mozilla/5.0 (Macintosh) Firefox/29.0", "Firefox", 29, "Macintosh"},
        {"Mozilla/5.0 (Mobile; rv:29.0) Gecko/29.0 Firefox/29.0", "Firefox", 29, "FirefoxOS"}, {"MSIE 10.0; Windows NT 6.1", "MSIE", 10, "Windows 7"},
        {"Windows NT 10.0", nil, nil, "Windows 10"}, {"Windows NT 6.3", nil, nil, "Windows 8.1"}, {"Windows NT 6.2", nil, nil, "Windows 8"},
        {"Windows NT 6.0", nil, nil, "Windows Vista"}, {"Windows NT 5.1", nil, nil, "Windows XP"}, {"Windows NT 5.0", nil, nil, "Windows 2000"},
        {"curl/7.29.0"}, {""}, {"-"},
    }
    -- Twice, for what is remembered; and with more agents than are.
    for _ = 1, 2 do
        for _, case in ipairs(cases) do
            local browser, version, system = clf.normalize_user_agent(case[1])
            equal({browser, version, system}, {case[2], case[3], case[4]}, case[1])
        end
        for i = 1, 300 do
            clf.normalize_user_agent("agent " .. i)
        end
    end
    equal(clf.normalize_user_agent(nil), nil)
end

function process_message()
    nginx()
    apache()
    nginx_errors()
    agents()
    return 0
end
