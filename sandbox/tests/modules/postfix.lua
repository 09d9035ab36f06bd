-- Module postfix: a line or more of each program.

local checks = require "checks"
local postfix = require "postfix"
local equal = checks.equal

local function v4(text)
    return {value = text, representation = "ipv4"}
end

local function v6(text)
    return {value = text, representation = "ipv6"}
end

local function name(text)
    return {value = text, representation = "hostname"}
end

local function int(number)
    return {value = number, value_type = 2}
end

-- Adds the prefix of all names.
local function prefixed(values)
    local result = {}
    for key, value in pairs(values) do
        result["postfix_" .. key] = value
    end
    return result
end

local CASES = {
    {"anvil", "statistics: max connection rate 3/60s for (smtp:192.0.2.1) at Nov  2 10:11:12", {
        anvil_conn_rate = int(3), anvil_conn_period = "60s", service = "smtp", client_ip = v4"192.0.2.1", anvil_timestamp = "Nov  2 10:11:12",
    }},
    {"anvil", "statistics: max connection count 2 for (127.0.0.1:2525:2001:db8::1) at Nov  2 10:11:12", {
        anvil_conn_count = int(2), service = "127.0.0.1:2525", client_ip = v6"2001:db8::1", anvil_timestamp = "Nov  2 10:11:12",
    }},
    {"anvil", "statistics: max cache size 4 at Nov  2 10:11:12", {anvil_cache_size = int(4), anvil_timestamp = "Nov  2 10:11:12"}},
    {"bounce", "0F5383D1A2: sender delivery status notification: ADD2F8052A", {queueid = "0F5383D1A2", bounce_queueid = "ADD2F8052A"}},
    {"cleanup", "4104E3D: message-id=<a.b@example.com>", {queueid = "4104E3D", keyvalue_data = "message-id=<a.b@example.com>"}},
    {"cleanup", "3mXpDz5tPCz1Q2: message-id=<>", {queueid = "3mXpDz5tPCz1Q2", keyvalue_data = "message-id=<>"}},
    {"cleanup", "4104E3D: milter-reject: END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 spam; from=<a@b> to=<c@d> proto=ESMTP helo=<e>: note", {
        queueid = "4104E3D", milter_result = "reject", milter_message = "END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 spam",
        keyvalue_data = "from=<a@b> to=<c@d> proto=ESMTP helo=<e>", milter_data = "note",
    }},
    {"discard", "25F2E5E061: to=<a@b>, relay=none, delay=0.05, delays=0.05/0/0/0, dsn=2.0.0, status=sent (b)", {
        queueid = "25F2E5E061", keyvalue_data = "to=<a@b>, relay=none, delay=0.05, delays=0.05/0/0/0, dsn=2.0.0,", status = "sent",
    }},
    {"dnsblog", "addr 192.0.2.1 listed by domain zen.example.org as 127.0.0.4", {
        client_ip = v4"192.0.2.1", dnsbl_domain = name"zen.example.org", dnsbl_result = v4"127.0.0.4",
    }},
    {"local", "2A22C263F6: to=a@b, status=sent (to command: x)", {queueid = "2A22C263F6", keyvalue_data = "to=a@b, status=sent (to command: x)"}},
    {"master", "daemon started -- version 3.1.0, configuration /etc/postfix", {version = "3.1.0", config_path = "/etc/postfix"}},
    {"master", "terminating on signal 15", {termination_signal = int(15)}},
    {"pickup", "D2FAE20586: uid=1000 from=<root>", {queueid = "D2FAE20586", uid = int(1000), from = "root"}},
    {"pickup", "D2FAE20586: uid=0 from=<root> orig_id=ABCDEF12", {queueid = "D2FAE20586", uid = int(0), from = "root", orig_id = "ABCDEF12"}},
    {"pipe", "0F5383D: to=<a@b>, relay=dovecot, status=sent (delivered via dovecot service)", {
        queueid = "0F5383D", keyvalue_data = "to=<a@b>, relay=dovecot, status=sent", pipe_service = "dovecot",
    }},
    {"pipe", "0F5383D: to=<a@b>, status=bounced (mail forwarding loop for a@b)", {
        queueid = "0F5383D", keyvalue_data = "to=<a@b>, status=bounced", to = "a@b",
    }},
    {"postscreen", "CONNECT from [192.0.2.1]:53024 to [192.0.2.2]:25", {
        client_ip = v4"192.0.2.1", client_port = int(53024), server_ip = v4"192.0.2.2", server_port = int(25),
    }},
    {"postscreen", "WHITELIST VETO [2001:db8::1]:9", {client_ip = v6"2001:db8::1", client_port = int(9), postscreen_access = "WHITELIST VETO"}},
    {"postscreen", "PREGREET 11 after 0.2 from [192.0.2.1]:5: EHLO x", {
        postscreen_violation = "PREGREET", postscreen_violation_time = 0.2, client_ip = v4"192.0.2.1", client_port = int(5),
    }},
    {"postscreen", "DNSBL rank 3 for [192.0.2.1]:5", {
        postscreen_violation = "DNSBL", postscreen_dnsbl_rank = int(3), client_ip = v4"192.0.2.1", client_port = int(5),
    }},
    {"postscreen", "COMMAND PIPELINING from [192.0.2.1]:5 after DATA: x", {
        postscreen_violation = "COMMAND PIPELINING", client_ip = v4"192.0.2.1", client_port = int(5), smtp_stage = "DATA",
    }},
    {"postscreen", "cache btree:/x full cleanup: retained=2 dropped=1 entries", {postscreen_cache_retained = int(2), postscreen_cache_dropped = int(1)}},
    {"postscreen", "NOQUEUE: reject: CONNECT from [192.0.2.1]:5: too many connections", {
        client_ip = v4"192.0.2.1", client_port = int(5), postscreen_toobusy_data = "too many connections",
    }},
    {"postscreen", "NOQUEUE: reject: RCPT from [192.0.2.1]:5: 550 5.7.1 Service unavailable; client [192.0.2.1] blocked using z.org; from=<a@b>, to=<c@d>", {
        action = "reject", smtp_stage = "RCPT", client_ip = v4"192.0.2.1", client_port = int(5), status_code = int(550), status_code_enhanced = "5.7.1",
        status_data = "192.0.2.1", status_message = "blocked using z.org", keyvalue_data = "from=<a@b>, to=<c@d>",
    }},
    {"qmgr", "0F5383D: removed", {queueid = "0F5383D"}},
    {"qmgr", "0F5383D: from=<a@b>, size=5360, nrcpt=1 (queue active)", {queueid = "0F5383D", keyvalue_data = "from=<a@b>, size=5360, nrcpt=1"}},
    {"scache", "statistics: domain lookup hits=1 miss=2 success=33%", {scache_hits = 1, scache_miss = 2, scache_success = 33}},
    {"scache", "statistics: max simultaneous domains=1 addresses=2 connection=3", {scache_domains = 1, scache_addresses = 2, scache_connection = 3}},
    {"scache", "statistics: start interval Nov  2 10:11:12", {scache_timestamp = "Nov  2 10:11:12"}},
    {"sendmail", "fatal: root(0): file too big", {warning = "root(0): file too big"}},
    {"smtp", "7EE668039: to=<a@b>, relay=m.b[192.0.2.9]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok (queued))", {
        queueid = "7EE668039", keyvalue_data = "to=<a@b>, relay=m.b[192.0.2.9]:25, dsn=2.0.0,", status = "sent", smtp_response = "250 2.0.0 Ok (queued)",
    }},
    {"lmtp", "connect to m.b[private/lmtp]: Connection refused", {relay_hostname = name"m.b", relay_service = "private/lmtp"}},
    {"smtp", "B99FE3D: lost connection with m.b[192.0.2.9] while sending", {queueid = "B99FE3D", relay_hostname = name"m.b", relay_ip = v4"192.0.2.9"}},
    {"smtp", "Trusted TLS connection established to m.b[192.0.2.9]:25: TLSv1.2 with cipher AES (256/256 bits)", {
        relay_hostname = name"m.b", relay_ip = v4"192.0.2.9", relay_port = int(25), tls_version = "TLSv1.2", tls_cipher = "AES", tls_cipher_size = "256/256",
    }},
    {"smtpd", "connect from 10.0.0.1.example.com[192.0.2.1]", {client_hostname = name"10.0.0.1.example.com", client_ip = v4"192.0.2.1"}},
    {"smtpd", "disconnect from unknown[unknown]", {client_hostname = name"unknown"}},
    {"smtpd", "lost connection after DATA (77 bytes) from unknown[192.0.2.1]", {
        smtpd_lostconn_data = "lost connection", smtp_stage = "DATA", client_hostname = name"unknown", client_ip = v4"192.0.2.1",
    }},
    {"smtpd", "SSL_accept error from unknown[192.0.2.1]: lost connection", {
        action = "SSL_accept error", client_hostname = name"unknown", client_ip = v4"192.0.2.1", smtpd_lostconn_data = "lost connection",
    }},
    {"smtpd", "NOQUEUE: reject: RCPT from h[2001:db8::1]: 550 5.1.1 <c@d>: User unknown; from=<a@b> to=<c@d> proto=ESMTP helo=<e>", {
        action = "reject", smtp_stage = "RCPT", client_hostname = name"h", client_ip = v6"2001:db8::1", status_code = int(550), status_code_enhanced = "5.1.1",
        status_data = "c@d", status_message = "User unknown", keyvalue_data = "from=<a@b> to=<c@d> proto=ESMTP helo=<e>",
    }},
    {"smtpd", "improper command pipelining after EHLO from h[192.0.2.1]: MAIL", {smtp_stage = "EHLO", client_hostname = name"h", client_ip = v4"192.0.2.1"}},
    {"smtpd", "warning: no name for 192.0.2.1", {warning = "no name for 192.0.2.1"}},
    {"smtpd", "proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject; from=<> to=<a@b>", {
        proxy_result = "reject", proxy_smtp_stage = "END-OF-MESSAGE", proxy_status_code = 554, proxy_status_code_enhanced = "5.7.0",
        keyvalue_data = "from=<> to=<a@b>",
    }},
    {"smtpd", "4104E3D: client=h[192.0.2.1]", {queueid = "4104E3D", keyvalue_data = "client=h[192.0.2.1]"}},
    {"tlsproxy", "CONNECT from [192.0.2.1]:5", {client_ip = v4"192.0.2.1", client_port = int(5)}},
    {"trivial-rewrite", "warning: lookup failure", {warning = "lookup failure"}},
}

local function extracted()
    local found = postfix.postfix_match("postfix/smtp",
        "7EE668039: to=<a@b>, orig_to=<x>, relay=m.b[192.0.2.9]:25, delay=3.6, delays=0.2/0.02/0.04/3.3, dsn=2.0.0, status=sent (250 Ok)", true)
    equal(found, prefixed{
        queueid = "7EE668039", to = "a@b", orig_to = "x", relay_hostname = name"m.b", relay_ip = v4"192.0.2.9", relay_port = int(25), delay = 3.6,
        delay_before_qmgr = 0.2, delay_in_qmgr = 0.02, delay_conn_setup = 0.04, delay_transmission = 3.3, dsn = "2.0.0", status = "sent",
        smtp_response = "250 Ok",
    })
    equal(postfix.postfix_match("postfix/smtpd", "4104E3D: client=h[192.0.2.1]", true), prefixed{
        queueid = "4104E3D", client_hostname = name"h", client_ip = v4"192.0.2.1",
    })
    equal(postfix.postfix_match("postfix/qmgr", "0F5383D: from=<a@b>, size=5360, nrcpt=1 (queue active)", true), prefixed{
        queueid = "0F5383D", from = "a@b", size = int(5360), nrcpt = int(1),
    })
    equal(postfix.postfix_match("postfix/cleanup", "4104E3D: message-id=<a@b>", true), prefixed{queueid = "4104E3D", ["message-id"] = "a@b"})
    equal(postfix.postfix_match("postfix/local", "2A22C263F6: to=<a>, status=sent (to command: x y=z)", true), prefixed{
        queueid = "2A22C263F6", to = "a", status = "sent (to command: x y=z)",
    })
    local blanks = postfix.postfix_match("postfix/smtpd", "NOQUEUE: reject: RCPT from h[192.0.2.1]: 550 5.1.1 no; from=<a> to=<b> proto=SMTP helo=<c>", true)
    equal({blanks.postfix_from, blanks.postfix_to, blanks.postfix_proto, blanks.postfix_helo}, {"a", "b", "SMTP", "c"})
end

function process_message()
    for _, case in ipairs(CASES) do
        equal(postfix.postfix_match("postfix/" .. case[1], case[2]), prefixed(case[3]), case[2])
    end
    extracted()
    equal(postfix.postfix_match("postfix-in/smtpd", "warning: x"), {postfix_warning = "x"})
    for _, program in ipairs{"postfix", "postfix/nothing", "sshd", ""} do
        equal(postfix.postfix_match(program, "warning: x"), nil, program)
    end
    equal(postfix.postfix_match("postfix/smtpd", "nothing that is known"), nil)
    return 0
end
