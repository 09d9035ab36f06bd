//! Connections: what is sent and received, what waits and for how long.
//!
//! Owns:    the tests of the objects of TCP, and of select.
//! Runs on: tests.            Plane: data.
//! Bounds:  a server of its own for each test.
//! Never:   takes a time-out for a measure of time.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Line, error, run, serve};

/// A server that sends a text and ends.
fn says(text: &'static str) -> u16 {
    serve(1, move |_, mut line: Line| line.write(text)).port
}

/// A server that sends back what it gets.
fn echo() -> u16 {
    let server = serve(1, |_, line: Line| {
        let mut stream = line.0.into_inner();
        let mut bytes = [0; 1024];
        while let Ok(got @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..got]).expect("a peer");
        }
    });
    server.port
}

#[test]
fn lines_numbers_and_all_are_received() {
    let port = says("one\r\ntwo\nthree\rx\nabcdefg\n\nthe rest\r\nof it");
    let text = run(
        port,
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        return list(c:receive(), c:receive("*l"), c:receive("*line"), c:receive(3), c:receive(0), c:receive(5), c:receive("*l", "pre"),
            c:receive("*a"), c:receive("*a"))
        "#,
    );
    assert_eq!(
        text,
        "one|two|threex|abc||defg\n|pre|the rest\r\nof it|nil|closed|"
    );
}

#[test]
fn success_has_three_results_too() {
    let text = run(
        says("one\n"),
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        return list(select('#', c:receive()), list(c:receive()))
        "#,
    );
    assert_eq!(text, "3|nil|closed|");
}

#[test]
fn what_came_before_a_failure_is_the_third_result() {
    let text = run(
        says("half"),
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        return list(c:receive("*l", "first "))
        "#,
    );
    assert_eq!(text, "nil|closed|first half");
    let text = run(
        says("half"),
        "return list(assert(socket.connect('127.0.0.1', port)):receive(10))",
    );
    assert_eq!(text, "nil|closed|half");
}

#[test]
fn a_prefix_counts_towards_a_number_of_bytes() {
    let text = run(
        says("cdefgh"),
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        return list(c:receive(4, "ab"), c:receive(2, "long enough"), c:receive(2))
        "#,
    );
    assert_eq!(text, "abcd|long enough|ef|nil|nil");
}

#[test]
fn an_echo_comes_back_and_is_counted() {
    let text = run(
        echo(),
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        c:settimeout(60)
        local sent = list(c:send("hello\n"))
        local part = list(c:send("xxworld\nyy", 3, -3))
        local got = list(c:receive(), (c:receive()))
        local received, gone, age = c:getstats()
        assert(age >= 0)
        assert(c:setstats(1, 2, 100) == 1)
        local r, s, a = c:getstats()
        return list(sent, part, got, received, gone, r, s, a >= 100, c:send("", 1, -1), c:shutdown("send"), c:receive())
        "#,
    );
    assert_eq!(
        text,
        "6|nil|nil|8|nil|nil|hello|world|12|12|1|2|true|0|1|nil|closed|"
    );
}

#[test]
fn a_large_text_goes_in_pieces_and_comes_back_whole() {
    let server = serve(1, |_, mut line: Line| {
        let mut all = Vec::new();
        line.0.read_to_end(&mut all).expect("all of it");
        all.len()
    });
    let text = run(
        server.port,
        r#"
        local c = assert(socket.connect("127.0.0.1", port))
        local n = c:send(string.rep("0123456789", 100000))
        c:close()
        return tostring(n)
        "#,
    );
    assert_eq!(text, "1000000");
    assert_eq!(server.end(), [1_000_000]);
}

#[test]
fn a_script_serves_itself() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        server:settimeout(60)
        local ip, own, family = server:getsockname()
        local c = socket.tcp()
        local kinds = list(server.class, c.class, (string.gsub(tostring(c), "0x%x+", "")))
        c:settimeout(60)
        assert(c:connect(ip, own) == 1)
        local s = assert(server:accept())
        local peer, peer_port = c:getpeername()
        local from, from_port = s:getpeername()
        local _, mine = c:getsockname()
        assert(peer_port == own and from_port == mine)
        assert(s:send("ping\n") == 5 and c:receive() == "ping")
        return list(kinds, c.class, s.class, ip, family, peer, from, s:getfamily(), server:close(), s:close(), c:receive("*a"))
        "#,
    );
    assert_eq!(
        text,
        "tcp{server}|tcp{master}|tcp{master}: |tcp{client}|tcp{client}|127.0.0.1|inet|127.0.0.1|127.0.0.1|inet4|1|1|nil|closed|"
    );
}

#[test]
fn time_outs_are_told_with_what_was_received() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        local s = assert(server:accept())
        assert(s:send("half") == 4)
        socket.select({ c })
        c:settimeout(0)
        local none = list(c:receive(9))
        c:settimeout(0.01)
        local block = list(c:receive(1))
        c:settimeout(nil)
        c:settimeout(0.01, "t")
        local total = list(c:receive())
        c:settimeout(5)
        local both = list(c:gettimeout())
        local least = list(c:receive())
        server:settimeout(0)
        return list(none, block, total, both, least, server:accept())
        "#,
    );
    assert_eq!(
        text,
        "nil|timeout|half|nil|timeout||nil|timeout||5|0.01|nil|timeout||nil|timeout"
    );
}

#[test]
fn a_text_that_nobody_takes_is_sent_in_part() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        local s = assert(server:accept())
        c:settimeout(0)
        local text = string.rep("x", 1000)
        local sent, ok, why, last = 0
        repeat
            ok, why, last = c:send(text)
            sent = sent + (ok or last)
        until not ok
        s:settimeout(60)
        c:close()
        return list(why, #s:receive("*a") == sent)
        "#,
    );
    assert_eq!(text, "timeout|true");
}

#[test]
fn a_connection_is_made_without_waiting() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local ip, own = server:getsockname()
        local c = socket.tcp()
        c:settimeout(0)
        local ok, why = c:connect(ip, own)
        assert(ok == 1 or why == "timeout", why)
        local _, writable = socket.select(nil, { c }, 60)
        return list(writable[1] == c, writable[c], c:getoption("error"), c:connect(ip, own))
        "#,
    );
    // What is connected already may be told so, or that it is.
    assert!(
        text == "true|1|nil|nil|already connected" || text == "true|1|nil|1",
        "{text}"
    );
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local ip, own = server:getsockname()
        local second = list(socket.bind(ip, own))
        server:close()
        return list(second, socket.connect(ip, own))
        "#,
    );
    assert_eq!(text, "nil|address already in use|nil|connection refused");
}

#[test]
fn select_finds_who_is_ready() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local a = assert(dial(server))
        local r = socket.select({ server }, nil, 60)
        assert(r[server] == 1 and #r == 1)
        local b = assert(server:accept())
        local r0, w0, why = socket.select({ a, b }, nil, 0)
        local idle = list(#r0, #w0, why)
        b:send("one\ntwo\n")
        local r1, w1, why1 = socket.select({ a, b }, { a, b }, 60)
        local ready = list(#r1, r1[1] == a, r1[a], #w1, why1)
        a:receive()
        -- What was read already does not wait for the socket.
        local r2 = socket.select({ b, a }, nil)
        local dirty = list(a:dirty(), b:dirty(), #r2, r2[1] == a)
        local sink = socket.sink("keep-open", a)
        local _, w3 = socket.select({}, { sink, { }, "x" }, 60)
        return list(idle, ready, dirty, w3[1] == sink, #w3, (select(3, socket.select(nil, nil, 0))))
        "#,
    );
    assert_eq!(
        text,
        "0|0|timeout|1|true|1|2|nil|true|false|1|true|true|1|timeout"
    );
}

#[test]
fn sinks_and_sources_move_what_they_should() {
    let text = run(
        0,
        r#"
        local ltn12 = require "ltn12"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        local s = assert(server:accept())
        assert(ltn12.pump.all(ltn12.source.string("0123456789"), socket.sink("keep-open", c)))
        assert(ltn12.pump.all(ltn12.source.string("abc"), socket.sink("close-when-done", c)))
        local first, t1 = ltn12.sink.table()
        assert(ltn12.pump.all(socket.source("by-length", s, 4), first))
        local second, t2 = ltn12.sink.table()
        assert(ltn12.pump.all(socket.source(s), second))
        return list(table.concat(t1), table.concat(t2), s:getfd(), c:getfd(), pcall(socket.sink, "odd", c))
        "#,
    );
    let (text, said) = text.split_once("|false|").expect("an error");
    assert_eq!(text, "0123|456789abc|-1|-1");
    assert!(said.contains("unknown key (odd)"), "{said}");
}

#[test]
fn options_are_set_and_read() {
    let text = run(
        0,
        r#"
        local c = socket.tcp()
        local set = list(c:setoption("reuseaddr", true), c:setoption("keepalive", true), c:setoption("tcp-nodelay", true),
            c:setoption("linger", { on = true, timeout = 3 }), c:setoption("tcp-keepidle", 50))
        local linger = c:getoption("linger")
        return list(set, c:getoption("reuseaddr"), c:getoption("keepalive"), c:getoption("tcp-nodelay"), linger.on, linger.timeout,
            c:getoption("tcp-keepidle"), c:getoption("error"), c:getoption("recv-buffer-size") > 0)
        "#,
    );
    assert_eq!(text, "1|1|1|1|1|true|true|true|true|3|50|nil|true");
    for (body, said) in [
        (
            "socket.tcp():setoption('odd', 1)",
            "bad argument #1 to 'setoption' (unsupported option `odd')",
        ),
        (
            "socket.tcp():getoption('broadcast')",
            "bad argument #1 to 'getoption' (unsupported option `broadcast')",
        ),
        (
            "socket.tcp():setoption('keepalive', 1)",
            "bad argument #2 to 'setoption' (boolean expected, got number)",
        ),
        (
            "socket.tcp():setoption('linger', {})",
            "bad argument #2 to 'setoption' (boolean 'on' field expected)",
        ),
    ] {
        assert_eq!(error(body), said, "{body}");
    }
}

#[test]
fn closed_sockets_say_so() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        c:close()
        server:close()
        return list(c:close(), c:getfd(), list(c:send("x")), list(c:receive()), list(c:getpeername()), list(server:accept()),
            list(c:getoption("keepalive")), list(socket.tcp():listen()), c:shutdown(), c:dirty())
        "#,
    );
    assert_eq!(
        text,
        "1|-1|nil|closed|0|nil|closed||nil|Bad file descriptor|nil|closed|nil|getsockopt failed|nil|Bad file descriptor|1|false"
    );
}

#[test]
fn misuse_is_told() {
    for (body, said) in [
        (
            "socket.tcp():receive()",
            "calling 'receive' on bad self (tcp{client} expected)",
        ),
        (
            "socket.tcp():accept()",
            "calling 'accept' on bad self (tcp{server} expected)",
        ),
        (
            "socket.tcp().settimeout(1, 2)",
            "calling 'settimeout' on bad self (tcp{any} expected)",
        ),
        (
            "socket.tcp().close(socket.udp())",
            "calling 'close' on bad self (tcp{any} expected)",
        ),
        (
            "socket.connect('127.0.0.1')",
            "bad argument #2 to 'connect' (string expected, got no value)",
        ),
        (
            "socket.connect({}, 1)",
            "bad argument #1 to 'connect' (string expected, got table)",
        ),
        (
            "socket.connect('127.0.0.1', 1, nil, nil, 'ipx')",
            "bad argument #5 to 'connect' (invalid option 'ipx')",
        ),
        (
            "socket.tcp():settimeout('x')",
            "bad argument #1 to 'settimeout' (number expected, got string)",
        ),
        (
            "socket.tcp():settimeout(1, 'x')",
            "bad argument #2 to 'settimeout' (invalid timeout mode)",
        ),
        (
            "socket.select(1)",
            "bad argument #1 to 'select' (table expected, got number)",
        ),
        (
            "socket.sleep()",
            "bad argument #1 to 'sleep' (number expected, got no value)",
        ),
        (
            "socket.tcp():setfd(12345)",
            "bad argument #1 to 'setfd' (no socket of this script)",
        ),
        (
            "socket.skip('x')",
            "bad argument #1 to 'skip' (number expected, got string)",
        ),
    ] {
        assert_eq!(error(body), said, "{body}");
    }
}

#[test]
fn misuse_of_a_connection_is_told() {
    let patterns = r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        local all = {}
        for _, pattern in ipairs { "*x", -1, "line" } do
            all[#all + 1] = (string.gsub((select(2, pcall(c.receive, c, pattern))), "^.-bad", "bad"))
        end
        all[#all + 1] = (string.gsub((select(2, pcall(c.shutdown, c, "half"))), "^.-bad", "bad"))
        all[#all + 1] = (string.gsub((select(2, pcall(c.send, c))), "^.-bad", "bad"))
        return table.concat(all, "\n")
    "#;
    let bad = "bad argument #1 to 'receive' (invalid receive pattern)\n".repeat(3);
    assert_eq!(
        run(0, patterns),
        format!(
            "{bad}bad argument #1 to 'shutdown' (invalid option 'half')\nbad argument #1 to 'send' (string expected, got no value)"
        )
    );
}

#[test]
fn a_socket_can_change_its_object() {
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("127.0.0.1", 0))
        local c = assert(dial(server))
        local s = assert(server:accept())
        local other = assert(dial(server))
        local fd = c:getfd()
        c:setfd(-1)
        collectgarbage()
        other:close()
        other:setfd(fd)
        s:send("here\n")
        return list(c:getfd(), other:getfd() == fd, other:receive())
        "#,
    );
    assert_eq!(text, "-1|true|here|nil|nil");
}

#[test]
fn a_socket_that_is_dropped_is_closed() {
    let server = serve(1, |_, mut line: Line| line.read());
    let text = run(
        server.port,
        r#"
        do
            local c = assert(socket.connect("127.0.0.1", port))
            c = nil
        end
        collectgarbage()
        collectgarbage()
        return "done"
        "#,
    );
    assert_eq!(text, "done");
    assert_eq!(server.end(), [""]);
}

#[test]
fn exceptions_become_results() {
    let text = run(
        0,
        r#"
        local finished = 0
        local try = socket.newtry(function() finished = finished + 1 error("not told") end)
        local work = socket.protect(function(fails, ...)
            try(not fails, "it fails")
            return ...
        end)
        local odd = socket.protect(function() error("plain", 0) end)
        local other = socket.protect(function() error({ 7 }) end)
        local ok, object = pcall(other)
        local inner = socket.protect(function() return work(true) end)
        return list(list(work(false, 1, nil, 3)), list(work(true)), finished, list(pcall(odd)), object[1], list(inner()),
            list(socket.try(1, 2, 3)), list(socket.skip(2, 1, 2, 3, nil)), select('#', socket.skip(3, 1)))
        "#,
    );
    assert_eq!(
        text,
        "1|nil|3|nil|it fails|1|false|plain|7|nil|it fails|1|2|3|3|nil|0"
    );
}

#[test]
fn sockets_of_ipv6_where_there_are_any() {
    if TcpStream::connect("[::1]:1")
        .is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused)
    {
        return;
    }
    let text = run(
        0,
        r#"
        local server = assert(socket.bind("::1", 0))
        local ip, own, family = server:getsockname()
        local c = assert(socket.connect6("::1", own))
        local six = socket.tcp6()
        return list(ip, family, c:getfamily(), six:getfd() >= 0, socket.connect4("::1", own))
        "#,
    );
    let text = text
        .strip_prefix("::1|inet6|inet6|true|nil|")
        .unwrap_or_else(|| panic!("{text}"));
    assert!(!text.is_empty());
}

#[test]
fn constants_and_time_are_there() {
    let text = run(
        0,
        r#"
        local before = socket.gettime()
        socket.sleep(0.001)
        socket.sleep(-1)
        return list(string.match(socket._VERSION, "^LuaSocket %d"), socket._SETSIZE, socket._DATAGRAMSIZE, socket._SOCKETINVALID,
            socket.BLOCKSIZE, socket.gettime() >= before, before > 1.5e9, _G.socket == socket)
        "#,
    );
    assert_eq!(text, "LuaSocket 3|1024|8192|-1|2048|true|true|true");
}
