//! HTTP, against servers that read a request and answer what the test says.
//!
//! Owns:    the tests of `socket.http`.
//! Runs on: tests.            Plane: data.
//! Bounds:  as many connections as the test says.
//! Never:   knows more of HTTP than it checks.

use std::io::Read;

use super::{Line, Server, run, serve};

/// What a server was asked: its lines up to the empty one, and the body where a length or chunks say that there is one.
fn request(line: &mut Line) -> String {
    let mut all = String::new();
    let mut length = 0;
    let mut chunked = false;
    loop {
        let one = line.read();
        if one.is_empty() {
            break;
        }
        if let Some(value) = one.strip_prefix("Content-Length: ") {
            length = value.parse().expect("a number");
        }
        chunked |= one == "Transfer-Encoding: chunked";
        all.push_str(&one);
        all.push('\n');
    }
    let mut body = vec![0; length];
    line.0.read_exact(&mut body).expect("the body");
    all.push_str(&String::from_utf8_lossy(&body));
    while chunked {
        let size = line.read();
        let text = line.read();
        all.push_str(&format!("[{size} {text}]"));
        chunked = size != "0";
    }
    all
}

/// A server that gives its answers one after the other, each for a connection of its own.
fn answers(answers: Vec<String>) -> Server<String> {
    serve(answers.len(), move |number, mut line: Line| {
        let asked = request(&mut line);
        line.write(&answers[number]);
        asked
    })
}

fn answer(text: &str) -> Server<String> {
    answers(vec![text.to_owned()])
}

const HTTP: &str = r#"
    local http, ltn12 = require "socket.http", require "ltn12"
    local here = "http://127.0.0.1:" .. port
"#;

fn ask(server: &Server<String>, body: &str) -> String {
    run(server.port, &format!("{HTTP}{body}"))
}

#[test]
fn a_page_of_a_known_length_is_fetched() {
    let server = answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Two: a\r\nx-two: b\r\nX-Long: c\r\n d\r\n\r\nhello and more",
    );
    let text = ask(
        &server,
        r#"
        local body, code, headers, status = http.request(here .. "/a/b?c=d#e")
        return list(body, code, headers["x-two"], headers["x-long"], status)
        "#,
    );
    assert_eq!(text, "hello|200|a, b|c d|HTTP/1.1 200 OK");
    let port = server.port;
    let asked = server.end().remove(0);
    assert_eq!(
        asked,
        format!(
            "GET /a/b?c=d HTTP/1.1\nConnection: close, TE\nHost: 127.0.0.1:{port}\nTE: trailers\nUser-Agent: LuaSocket 3.0\n"
        )
    );
}

#[test]
fn a_page_in_chunks_is_fetched_with_what_comes_behind_them() {
    let server = answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7 ;x=y\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n",
    );
    let text = ask(
        &server,
        r#"
        local body, code, headers = http.request(here)
        return list(body, code, headers["x-sum"])
        "#,
    );
    assert_eq!(text, "hello, world|200|12");
}

#[test]
fn a_page_that_ends_with_its_connection_is_fetched() {
    let server = answer("HTTP/1.0 404 Not Found\r\n\r\nno such page");
    let text = ask(
        &server,
        r#"
        local sink, got = ltn12.sink.table()
        return list(list(http.request { url = here .. "/x", sink = sink, headers = { ["X-My-Own"] = 7, ["user-agent"] = "me" } }), table.concat(got))
        "#,
    );
    assert!(text.starts_with("1|404|table"), "{text}");
    assert!(
        text.ends_with("|HTTP/1.0 404 Not Found|no such page"),
        "{text}"
    );
    let asked = server.end().remove(0);
    assert!(asked.contains("\nUser-Agent: me\nX-My-Own: 7\n"), "{asked}");
}

#[test]
fn a_server_of_old_sends_the_page_alone() {
    let server = answer("<html>no header</html>");
    let text = ask(&server, "return list(http.request(here))");
    assert_eq!(text, "<html>no header</html>|200|nil|nil");
}

#[test]
fn bodies_are_posted_whole_or_in_chunks() {
    let server = answers(vec![
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n".to_owned(),
    ]);
    let text = ask(
        &server,
        r#"
        local body, code = http.request(here .. "/form", "a=1&b=2")
        local source = ltn12.source.table { "first", "", "second" }
        local ok, code2 = http.request { url = here, method = "PUT", source = source }
        return list(body, code, ok, code2)
        "#,
    );
    assert_eq!(text, "ok|201|1|204");
    let asked = server.end();
    assert!(
        asked[0].starts_with("POST /form HTTP/1.1\n"),
        "{}",
        asked[0]
    );
    assert!(
        asked[0].contains("Content-Type: application/x-www-form-urlencoded\n"),
        "{}",
        asked[0]
    );
    assert!(asked[0].ends_with("\na=1&b=2"), "{}", asked[0]);
    assert!(asked[1].starts_with("PUT / HTTP/1.1\n"), "{}", asked[1]);
    assert!(
        asked[1].ends_with("[5 first][6 second][0 ]"),
        "{}",
        asked[1]
    );
}

#[test]
fn redirections_are_followed_as_far_as_is_wanted() {
    let moved =
        |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let there = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere".to_owned();
    let server = answers(vec![moved("/b"), moved("c?d"), there]);
    let text = ask(
        &server,
        r#"
        local body, code, headers = http.request(here .. "/a/x")
        return list(body, code, headers.location)
        "#,
    );
    assert_eq!(text, "there|200|c?d");
    let lines: Vec<String> = server
        .end()
        .iter()
        .filter_map(|asked| asked.lines().next().map(str::to_owned))
        .collect();
    assert_eq!(
        lines,
        ["GET /a/x HTTP/1.1", "GET /b HTTP/1.1", "GET /c?d HTTP/1.1"]
    );

    let server = answers(vec![moved("/b"); 6]);
    let text = ask(
        &server,
        "return list(select(2, http.request(here .. '/b')))",
    );
    assert!(text.starts_with("302|"), "{text}");
    assert_eq!(server.end().len(), 6);

    let server = answers(vec![moved("/b"), moved("https://127.0.0.1/"), moved("/b")]);
    let text = ask(
        &server,
        r#"
        local function code(request) return (select(2, http.request(request))) end
        return list(code { url = here, redirect = false }, (select(2, http.request(here, "post"))), code { url = here, maxredirects = 0 })
        "#,
    );
    assert_eq!(text, "302|302|302");
}

#[test]
fn a_head_has_no_body_and_stays_a_head() {
    let server = answers(vec![
        "HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".to_owned(),
    ]);
    let text = ask(
        &server,
        "return list(http.request { url = here, method = 'HEAD' })",
    );
    assert!(text.starts_with("1|200|"), "{text}");
    assert!(server.end()[1].starts_with("HEAD /b HTTP/1.1\n"));
}

#[test]
fn names_and_passwords_go_along_and_proxies_are_asked() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
    let server = answers(vec![ok.clone(), ok]);
    let text = ask(
        &server,
        r#"
        local _, first = http.request("http://user:pass%20word@127.0.0.1:" .. port)
        local _, second = http.request { url = "http://elsewhere.example/x?y", proxy = "http://me:too@127.0.0.1:" .. port }
        return list(first, second)
        "#,
    );
    assert_eq!(text, "200|200");
    let asked = server.end();
    assert!(
        asked[0].contains("\nAuthorization: Basic dXNlcjpwYXNzIHdvcmQ=\n"),
        "{}",
        asked[0]
    );
    assert!(
        asked[1].starts_with("GET http://elsewhere.example:80/x?y HTTP/1.1\n"),
        "{}",
        asked[1]
    );
    assert!(
        asked[1].contains("\nHost: elsewhere.example\nProxy-Authorization: Basic bWU6dG9v\n"),
        "{}",
        asked[1]
    );
}

#[test]
fn failures_are_told() {
    for (said, expected) in [
        ("", "nil|closed"),
        ("HTTP/1.1 what\r\n\r\n", "nil|HTTP/1.1 what"),
        (
            "HTTP/1.1 200 OK\r\nodd\r\n\r\n",
            "nil|malformed response headers",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "nil|closed",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "nil|invalid chunk size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
            "nil|closed",
        ),
    ] {
        let server = answer(said);
        assert_eq!(
            ask(&server, "return list(http.request(here))"),
            expected,
            "{said}"
        );
    }
    let text = run(
        0,
        r#"
        local http = require "socket.http"
        local server = assert(socket.bind("127.0.0.1", 0))
        local _, own = server:getsockname()
        http.TIMEOUT = 0.01
        local late = list(http.request("http://127.0.0.1:" .. own))
        server:close()
        return list(late, list(http.request("http://127.0.0.1:" .. own)), list(http.request("")), list(http.request("/x")),
            list(http.request("gopher://h/")), list(http.request("https://h/")), socket.http == http)
        "#,
    );
    assert_eq!(
        text,
        "nil|timeout|nil|connection refused|nil|invalid url|nil|invalid host 'nil'|nil|unsupported scheme 'gopher'|\
         nil|https needs a function create: there is no TLS|true"
    );
}

#[test]
fn a_script_may_bring_its_own_connection() {
    let server = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let text = ask(
        &server,
        r#"
        local made = 0
        local function create()
            made = made + 1
            return socket.tcp()
        end
        local ok, code = http.request { url = "https://127.0.0.1:" .. port .. "/", create = create }
        return list(ok, code, made)
        "#,
    );
    assert_eq!(text, "1|200|1");
}
