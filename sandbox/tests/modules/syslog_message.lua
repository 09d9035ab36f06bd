-- Module syslog_message: a line or more of each program.

local checks = require "checks"
local messages = require "syslog_message"
local equal = checks.equal

local function v4(text)
    return {value = text, representation = "ipv4"}
end

local CASES = {
    {"CRON", "(root) CMD (test -x /a && echo $(b))", {cron_username = "root", cron_event = "CMD", cron_detail = "test -x /a && echo $(b)"}},
    {"crontab", "(root) LIST (root)", {cron_username = "root", cron_event = "LIST", cron_detail = "root"}},
    {"dhclient", "DHCPDISCOVER on eth0 to 255.255.255.255 port 67 interval 7", {
        dhcp_type = "DHCPDISCOVER", dhcp_client_interface = "eth0", dhcp_server_addr = v4"255.255.255.255", dhcp_server_port = 67, dhcp_client_interval_seconds = 7,
    }},
    {"dhclient", "DHCPREQUEST on eth0 to 192.0.2.1 port 67", {
        dhcp_type = "DHCPREQUEST", dhcp_client_interface = "eth0", dhcp_server_addr = v4"192.0.2.1", dhcp_server_port = 67,
    }},
    {"dhclient", "DHCPACK from 192.0.2.1", {dhcp_type = "DHCPACK", dhcp_server_addr = v4"192.0.2.1"}},
    {"dhclient", "bound to 192.0.2.7 -- renewal in 300 seconds.", {dhcp_client_addr = v4"192.0.2.7", dhcp_client_renewal_seconds = 300}},
    {"dhcpd", "BOOTREQUEST from aa:bb:cc:dd:ee:ff via eth0", {dhcp_type = "BOOTREQUEST", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0"}},
    {"dhcpd", "DHCPDISCOVER from aa:bb:cc:dd:ee:ff (laptop) via eth0: no free leases", {
        dhcp_type = "DHCPDISCOVER", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_client_hostname = "laptop", dhcp_source = "eth0", dhcp_message = "no free leases",
    }},
    {"dhcpd", "DHCPOFFER on 192.0.2.7 to aa:bb:cc:dd:ee:ff (laptop) via eth0", {
        dhcp_type = "DHCPOFFER", dhcp_client_addr = v4"192.0.2.7", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_client_hostname = "laptop", dhcp_source = "eth0",
    }},
    {"dhcpd", "DHCPACK to 192.0.2.7 (aa:bb:cc:dd:ee:ff) via eth0", {
        dhcp_type = "DHCPACK", dhcp_client_addr = v4"192.0.2.7", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0",
    }},
    {"dhcpd", "DHCPNAK on 192.0.2.7 to aa:bb:cc:dd:ee:ff via eth0", {
        dhcp_type = "DHCPNAK", dhcp_client_addr = v4"192.0.2.7", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff", dhcp_source = "eth0",
    }},
    {"dhcpd", "DHCPREQUEST for 192.0.2.7 (192.0.2.1) from aa:bb:cc:dd:ee:ff (laptop) via eth0: wrong network", {
        dhcp_type = "DHCPREQUEST", dhcp_client_addr = v4"192.0.2.7", dhcp_server_addr = "192.0.2.1", dhcp_client_hw_addr = "aa:bb:cc:dd:ee:ff",
        dhcp_client_hostname = "laptop", dhcp_source = "eth0", dhcp_message = "wrong network",
    }},
    {"dhcpd", "DHCPINFORM from 192.0.2.7 via eth0", {dhcp_type = "DHCPINFORM", dhcp_client_addr = v4"192.0.2.7", dhcp_source = "eth0"}},
    {"dhcpd", "balancing pool 7f12 192.0.2.0/24  total 10  free 4  backup 3  lts -1  max-own (+/-)2", {
        dhcp_pool_result = "balancing", dhcp_pool_id = "7f12", dhcp_network = "192.0.2.0/24", dhcp_lease_count = 10, dhcp_free_leases = 4,
        dhcp_backup_leases = 3, dhcp_lts = -1, dhcp_hold = 2,
    }},
    {"dhcpd", "bind update on 192.0.2.7 got ack from peer: xid mismatch.", {
        dhcp_client_addr = v4"192.0.2.7", dhcp_bind_update_status = "got ack", dhcp_failover_peer = "peer", dhcp_message = "xid mismatch.",
    }},
    {"login", "FAILED LOGIN (2) on '/dev/tty1' from 'h' FOR 'root', Authentication failure", {
        failcount = 2, tty = "/dev/tty1", from = "h", user = "root", pam_error = "Authentication failure",
    }},
    {"login", "ROOT LOGIN  on '/dev/tty1'", {tty = "/dev/tty1"}},
    {"groupadd", "new group: name=adm, GID=7", {group_name = "adm", gid = 7}},
    {"groupdel", "group 'adm' removed from /etc/group", {group_name = "adm", group_dbname = "/etc/group"}},
    {"useradd", "new user: name=a, UID=1, GID=2, home=/export/a, shell=/bin/sh", {user_name = "a", uid = 1, gid = 2, user_home = "/export/a", user_shell = "/bin/sh"}},
    {"useradd", "add 'a' to shadow group 'adm'", {user_name = "a", group_name = "adm"}},
    {"named", "lame server resolving 'a.b' (in 'b'?): 192.0.2.1#53", {
        dns_error = "lame server", dns_name = "a.b", dns_domain = "b", dns_addr = v4"192.0.2.1", dns_port = 53,
    }},
    {"named", "error (unexpected RCODE REFUSED) resolving 'a.b/A/IN': 192.0.2.1#53", {
        dns_error = "unexpected RCODE REFUSED", dns_name = "a.b", dns_type = "A", dns_class = "IN", dns_addr = v4"192.0.2.1", dns_port = 53,
    }},
    {"named", "host unreachable resolving 'a.b/AAAA/IN': 2001:db8::1#53", {
        dns_error = "host unreachable", dns_name = "a.b", dns_type = "AAAA", dns_class = "IN",
        dns_addr = {value = "2001:db8::1", representation = "ipv6"}, dns_port = 53,
    }},
    {"named", "DNS format error from 192.0.2.1#53 resolving a.b/A for client 192.0.2.2#9: bad", {
        dns_error = "DNS format error", dns_addr = v4"192.0.2.1", dns_port = 53, dns_name = "a.b", dns_type = "A", dns_client_addr = v4"192.0.2.2",
        dns_client_port = 9, dns_message = "bad",
    }},
    {"named", "skipping nameserver 'n' because it is a CNAME, while resolving 'a.b'", {dns_error = "skipping nameserver", dns_nameserver = "n", dns_name = "a.b"}},
    {"named", "client 192.0.2.2#9/key k (a.b): view v: transfer started", {
        dns_client_addr = v4"192.0.2.2", dns_client_port = 9, dns_client_signer = "k", dns_name = "a.b", dns_view = "v", dns_message = "transfer started",
    }},
    {"named", "success resolving 'a.b/A' (in 'b'?) after disabling EDNS", {dns_name = "a.b", dns_type = "A", dns_domain = "b", dns_message = "disabling EDNS"}},
    {"named", "zone b/IN/v: sending notifies (serial 42)", {
        dns_domain = "b", dns_class = "IN", dns_view = "v", dns_message = "sending notifies", dns_serial = 42,
    }},
    {"named", "clients-per-query decreased to 22", {dns_clients_per_query = 22}},
    {"puppet-agent", "(/Stage[main]/A::B/Exec[x y]/returns) executed successfully", {
        puppet_resource_path = "/Stage[main]/A::B/Exec[x y]", puppet_parameter = "returns", puppet_change = "executed successfully",
    }},
    {"puppet-agent", "(/Stage[main]/Service[s]/ensure) ensure changed 'stopped' to 'running'", {
        puppet_resource_path = "/Stage[main]/Service[s]", puppet_parameter = "ensure", puppet_ensure_parameter = "ensure", puppet_old_value = "stopped",
        puppet_new_value = "running",
    }},
    {"puppet-agent", "(/Stage[main]/File[/x]/owner) current_value root, should be me (noop)", {
        puppet_resource_path = "/Stage[main]/File[/x]", puppet_parameter = "owner", puppet_current_value = "root", puppet_should_value = "me", puppet_noop = true,
    }},
    {"puppet-agent", "(Class[A::B]) Would have triggered 'refresh' from 1 events", {
        puppet_resource_path = "Class[A::B]", puppet_msg = "Would have triggered", puppet_noop = true, puppet_callback = "refresh", puppet_events_count = 1,
    }},
    {"puppet-agent", "(/Stage[main]/File[/x]) Scheduling refresh of Service[s]", {
        puppet_resource_path = "/Stage[main]/File[/x]", puppet_callback = "refresh", puppet_callback_target = "Service[s]",
    }},
    {"puppet-agent", "(/Stage[main]/File[/x]) Filebucketed /x to main with sum 7035", {
        puppet_resource_path = "/Stage[main]/File[/x]", puppet_file_path = "/x", puppet_bucket = "main", puppet_file_sum = "7035",
    }},
    {"puppet-agent", "Finished catalog run in 7.11 seconds", {puppet_msg = "Finished catalog run", puppet_benchmark_seconds = 7.11}},
    {"puppet-agent", "Loading facts", {}},
    {"sshd", "Accepted publickey for a from 192.0.2.1 port 4242 ssh2: RSA SHA256:x", {
        sshd_authmsg = "Accepted", sshd_method = "publickey", remote_user = "a", remote_addr = v4"192.0.2.1", remote_port = 4242, sshd_info = "RSA SHA256:x",
    }},
    {"sshd", "Failed keyboard-interactive/pam for invalid user b from 192.0.2.1 port 4242 ssh2", {
        sshd_authmsg = "Failed", sshd_method = "keyboard-interactive", sshd_submethod = "pam", remote_user = "b", remote_addr = v4"192.0.2.1", remote_port = 4242,
    }},
    {"sshd", "Received disconnect from 192.0.2.1: 11: bye", {remote_addr = v4"192.0.2.1", disconnect_reason = 11, disconnect_msg = "bye"}},
    {"sshd", "Received disconnect from 192.0.2.1 port 5:11: bye", {remote_addr = v4"192.0.2.1", remote_port = 5, disconnect_reason = 11, disconnect_msg = "bye"}},
    {"sshd", "reverse mapping checking getaddrinfo for h [192.0.2.1] failed - POSSIBLE BREAK-IN ATTEMPT!", {remote_host = "h", remote_addr = v4"192.0.2.1"}},
    {"sshd", "subsystem request for sftp by user a", {sshd_subsystem = "sftp", remote_user = "a"}},
    {"sshd", "Connection closed by 192.0.2.1 [preauth]", {remote_addr = v4"192.0.2.1"}},
    {"sshd", "Invalid user a b from 192.0.2.1", {remote_user = "a b", remote_addr = v4"192.0.2.1"}},
    {"sshd", "input_userauth_request: invalid user a [preauth]", {remote_user = "a"}},
    {"sshd", "Received signal 15; terminating.", {signal = "15"}},
    {"sshd", "Server listening on :: port 22.", {listen_address = "::", listen_port = "22"}},
    {"sshd", "Did not receive identification string from 192.0.2.1", {remote_addr = v4"192.0.2.1"}},
    {"sshd", "fatal: no hostkeys", {sshd_errorlevel = "fatal", sshd_error = "no hostkeys"}},
    {"su", "Successful su for root by a", {su_status = "Successful", su_name = "root", su_oldname = "a"}},
    {"su", "pam_authenticate: Authentication failure", {pam_error = "Authentication failure"}},
    {"su", "+ /dev/pts/1 a:root", {}},
    {"sudo", "a : TTY=pts/0 ; PWD=/export/a ; USER=root ; COMMAND=/bin/ls -l", {
        sudo_message = "a", sudo_tty = "pts/0", sudo_pwd = "/export/a", sudo_user = "root", sudo_command = "/bin/ls -l",
    }},
    {"systemd-logind", "New session 42 of user a.", {session_id = 42, user_id = "a", sd_message = "SESSION_START"}},
    {"systemd-logind", "Removed session 42.", {session_id = 42, sd_message = "SESSION_STOP"}},
}

local PAM = {
    {"pam_unix(login:session): session opened for user a by LOGIN(uid=5)", {
        pam_module = "pam_unix", pam_service = "login", pam_type = "session", pam_action = "session opened", user_name = "a", login_name = "LOGIN", uid = 5,
    }},
    {"pam_unix(su:session): session closed for user a", {
        pam_module = "pam_unix", pam_service = "su", pam_type = "session", pam_action = "session closed", user_name = "a",
    }},
    {"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root", {
        pam_module = "pam_unix", pam_service = "sshd", pam_type = "auth", pam_action = "authentication failure", logname = "", uid = 0, euid = 0, tty = "ssh",
        ruser = "", rhost = "192.0.2.1", user = "root",
    }},
    {"pam_unix(sshd:auth): check pass; user unknown", {pam_module = "pam_unix", pam_service = "sshd", pam_type = "auth"}},
}

function process_message()
    for _, case in ipairs(CASES) do
        local grammar = messages.get_prog_grammar(case[1])
        equal(grammar:match(case[2]), case[3], case[2])
        equal(grammar:match"nothing that is known", nil, case[1])
    end
    for _, case in ipairs(PAM) do
        equal(messages.get_wildcard_grammar("PAM"):match(case[1]), case[2], case[1])
    end
    equal(messages.get_prog_grammar("nobody"), nil)
    equal(messages.get_wildcard_grammar("nobody"), nil)
    equal(messages.get_wildcard_grammar().PAM, messages.get_wildcard_grammar("PAM"))
    equal(messages.get_wildcard_grammar{"PAM"}[1], messages.get_wildcard_grammar("PAM"))
    return 0
end
