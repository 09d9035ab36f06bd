//! Datagrams: what is sent, who sent it, who is asked.
//!
//! Owns:    the tests of the objects of UDP.
//! Runs on: tests.            Plane: data.
//! Bounds:  datagrams on the loopback, which loses none that has room.
//! Never:   sends to another host.

use super::{error, run};

#[test]
fn datagrams_go_both_ways() {
    let text = run(
        0,
        r#"
        local a, b = socket.udp(), socket.udp()
        assert(a:setsockname("127.0.0.1", 0) == 1)
        local ip, own, family = a:getsockname()
        a:settimeout(60)
        b:settimeout(60)
        local kinds = list(a.class, b.class, (string.gsub(tostring(a), "0x%x+", "")), ip, family, a:getfamily())
        local sent = list(b:sendto("first", ip, own))
        local got, from, from_port = a:receivefrom()
        a:sendto("answer", from, from_port)
        local back = b:receive()
        assert(b:setpeername(ip, own) == 1)
        local connected = list(b.class, b:getpeername() == ip, b:send("second"), a:receive(3))
        assert(b:send("") == 0)
        local empty = a:receivefrom()
        assert(b:setpeername("*") == 1)
        return list(kinds, sent, got, from, back, connected, empty == "", b.class, b:dirty(), (a:close()))
        "#,
    );
    assert_eq!(
        text,
        "udp{unconnected}|udp{unconnected}|udp{unconnected}: |127.0.0.1|inet|inet4|5|first|127.0.0.1|answer|\
         udp{connected}|true|6|sec|true|udp{unconnected}|false|1"
    );
}

#[test]
fn a_datagram_is_waited_for_as_long_as_was_said() {
    let text = run(
        0,
        r#"
        local u = socket.udp4()
        u:setsockname("127.0.0.1", 0)
        u:settimeout(0.01)
        local r = socket.select({ u }, nil, 0)
        return list(list(u:receive()), list(u:receivefrom()), #r)
        "#,
    );
    assert_eq!(text, "nil|timeout|nil|timeout|0");
}

#[test]
fn who_is_not_there_refuses() {
    let text = run(
        0,
        r#"
        local gone = socket.udp()
        gone:setsockname("127.0.0.1", 0)
        local ip, own = gone:getsockname()
        gone:close()
        local u = socket.udp()
        u:setpeername(ip, own)
        u:settimeout(60)
        u:send("x")
        return list(u:receive())
        "#,
    );
    assert_eq!(text, "nil|connection refused");
}

#[test]
fn options_of_datagrams_are_set_and_read() {
    let text = run(
        0,
        r#"
        local u = socket.udp()
        local set = list(u:setoption("broadcast", true), u:setoption("ip-multicast-ttl", 3), u:setoption("ip-multicast-loop", false),
            u:setoption("dontroute", true), u:setoption("ip-multicast-if", "127.0.0.1"), u:setoption("reuseport", true))
        return list(set, u:getoption("broadcast"), u:getoption("ip-multicast-loop"), u:getoption("dontroute"),
            u:getoption("ip-multicast-if"), u:getoption("reuseport"))
        "#,
    );
    assert_eq!(text, "1|1|1|1|1|1|true|false|true|127.0.0.1|true");
    assert_eq!(
        error("socket.udp():setoption('ip-add-membership', { multiaddr = 'x', interface = '*' })"),
        "bad argument #2 to 'setoption' (invalid 'multiaddr' ip address)"
    );
    assert_eq!(
        error("socket.udp():setoption('ip-add-membership', {})"),
        "bad argument #2 to 'setoption' (string 'multiaddr' field expected)"
    );
}

#[test]
fn a_host_of_both_families_is_asked_by_ipv4() {
    let text = run(
        0,
        r#"
        local u = socket.udp()
        u:setpeername("localhost", 8125)
        return list(u:getpeername())
        "#,
    );
    assert_eq!(text, "127.0.0.1|8125|inet");
}

#[test]
fn misuse_of_datagrams_is_told() {
    for (body, said) in [
        (
            "socket.udp():send('x')",
            "calling 'send' on bad self (udp{connected} expected)",
        ),
        (
            "socket.udp().receive(socket.tcp())",
            "calling 'receive' on bad self (udp{any} expected)",
        ),
        (
            "socket.udp():sendto('x')",
            "bad argument #2 to 'sendto' (string expected, got no value)",
        ),
    ] {
        assert_eq!(error(body), said, "{body}");
    }
    let text = run(
        0,
        r#"
        local u = socket.udp()
        u:sendto("x", "127.0.0.1", 9)
        local names = list(list(u:sendto("x", "localhost", 9)), list(u:sendto("x", "::1", 9)))
        u:close()
        local closed = list(u:sendto("x", "127.0.0.1", 9))
        return list(names, closed, list(u:receive()), list(u:receivefrom()), u:getfd())
        "#,
    );
    assert_eq!(
        text,
        "nil|Name or service not known|nil|Address family for hostname not supported|nil|refused|nil|closed|nil|closed|-1"
    );
}
