//! What has no socket: LTN12, MIME and URLs.
//!
//! Owns:    their cases, each an expression and what it gives.
//! Runs on: tests.            Plane: data.
//! Bounds:  one sandbox for each table of cases.
//! Never:   talks to anybody.

use super::{error, run};

/// Compares expressions with what they give.
fn check(head: &str, cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        let body = format!("{head}\nreturn list({expression})");
        assert_eq!(run(0, &body), *expected, "{expression}");
    }
}

#[test]
fn base64_goes_both_ways_in_pieces() {
    check(
        "local mime = require 'mime'",
        &[
            ("mime.b64('')", "nil|nil"),
            ("mime.b64('f')", "Zg==|nil"),
            ("mime.b64('fo')", "Zm8=|nil"),
            ("mime.b64('foo')", "Zm9v|nil"),
            ("mime.b64('foobar')", "Zm9vYmFy|nil"),
            ("mime.b64(nil)", "nil|nil"),
            ("mime.b64('fo', 'ob')", "Zm9v|b"),
            ("mime.b64('', 'a')", "|a"),
            ("mime.b64('\\0\\255\\128')", "AP+A|nil"),
            ("mime.unb64('Zg==')", "f|nil"),
            ("mime.unb64('Zm8=')", "fo|nil"),
            ("mime.unb64('Zm9v\\r\\nYmFy')", "foobar|nil"),
            ("mime.unb64('Zm', '9vYm')", "foo|Ym"),
            ("mime.unb64('Z', '-m')", "|Zm"),
            ("mime.unb64('', '')", "|"),
            ("mime.unb64('Zm')", "nil|nil"),
            ("mime.unb64(nil)", "nil|nil"),
        ],
    );
}

#[test]
fn quoted_printable_goes_both_ways_in_pieces() {
    check(
        "local mime = require 'mime'",
        &[
            ("mime.qp('abc')", "abc|nil"),
            ("mime.qp('')", "nil|nil"),
            ("mime.qp('a=b')", "a=3Db|nil"),
            ("mime.qp('', 'caf\\195\\169\\r\\n')", "caf=C3=A9\r\n|"),
            ("mime.qp('', 'a\\r\\n', '=0D=0A')", "a=0D=0A|"),
            ("mime.qp('', 'a \\r\\nb')", "a=20\r\nb|"),
            ("mime.qp('', 'a b')", "a| b"),
            ("mime.qp('', 'a b c')", "a b| c"),
            ("mime.qp('', 'a\\r')", "a|\r"),
            ("mime.qp('\\r', '\\nb')", "\r\nb|"),
            ("mime.qp('\\rx')", "=0Dx|nil"),
            ("mime.qp('a ')", "a=20=\r\n|nil"),
            ("mime.unqp('caf=C3=a9')", "café|nil"),
            ("mime.unqp('', 'soft=\\r\\nbreak')", "softbreak|"),
            ("mime.unqp('', 'a=')", "a|="),
            ("mime.unqp('=4', '1b')", "Ab|"),
            ("mime.unqp('', 'a=zzb')", "a=zzb|"),
            ("mime.unqp('', 'a\\r\\nb\\r')", "a\r\nb|\r"),
            ("mime.unqp('', 'a\\1\\tb')", "a\tb|"),
            ("mime.unqp('')", "nil|nil"),
        ],
    );
}

#[test]
fn lines_are_wrapped_and_normalized() {
    check(
        "local mime = require 'mime'",
        &[
            ("mime.wrp(4, 'abcdefghij', 4)", "abcd\r\nefgh\r\nij|2"),
            ("mime.wrp(2, 'abc', 4)", "ab\r\nc|3"),
            ("mime.wrp(4, 'a\\r\\nb\\n', 4)", "a\r\nb\r\n|4"),
            ("mime.wrp(2, nil, 4)", "\r\n|4"),
            ("mime.wrp(4, nil, 4)", "nil|4"),
            ("mime.wrp(76)", "nil|76"),
            ("mime.qpwrp(6, 'abcdefgh', 6)", "abcde=\r\nfgh|3"),
            ("mime.qpwrp(6, 'abc=3Dx', 6)", "abc=\r\n=3Dx|2"),
            ("mime.qpwrp(3, nil, 6)", "=\r\n|6"),
            (
                "mime.eol(0, 'a\\nb\\r\\nc\\rd\\n\\re')",
                "a\r\nb\r\nc\r\nd\r\ne|0",
            ),
            ("mime.eol(0, 'a\\n\\nb', '|')", "a||b|0"),
            ("mime.eol(0, 'a\\r')", "a\r\n|13"),
            ("mime.eol(13, '\\nb')", "b|0"),
            ("mime.eol(13, nil)", "nil|0"),
            ("mime.dot(2, '.a\\r\\n.b\\r\\n..')", "..a\r\n..b\r\n...|0"),
            ("mime.dot(0, '.\\r')", ".\r|1"),
            ("mime.dot(1, '\\n.')", "\n..|0"),
            ("mime.dot(0, nil)", "nil|2"),
        ],
    );
    assert_eq!(
        error("require('mime').wrp('x', 'a')"),
        "bad argument #1 to 'wrp' (number expected, got string)"
    );
    assert_eq!(
        error("require('mime').b64({})"),
        "bad argument #1 to 'b64' (string expected, got table)"
    );
}

#[test]
fn filters_code_what_comes_in_pieces_of_any_size() {
    let text = run(
        0,
        r#"
        local ltn12, mime = require "ltn12", require "mime"
        local all = {}
        for i = 0, 255 do all[#all + 1] = string.char(i) end
        local original = string.rep(table.concat(all) .. " line \r\n.dot\t\r\n", 9)
        for size = 1, 70, 3 do
            local chunks = {}
            for at = 1, #original, size do chunks[#chunks + 1] = string.sub(original, at, at + size - 1) end
            for _, way in ipairs { "base64", "quoted-printable" } do
                local there = ltn12.filter.chain(mime.encode(way, "binary"), mime.wrap(way))
                local back = mime.decode(way)
                local sink, got = ltn12.sink.table()
                local lines = {}
                local look = function(chunk) lines[#lines + 1] = chunk return chunk end
                assert(ltn12.pump.all(ltn12.source.chain(ltn12.source.table(chunks), there, look), ltn12.sink.chain(back, sink)))
                assert(table.concat(got) == original, way .. " in pieces of " .. size)
                for line in string.gmatch(table.concat(lines), "[^\r\n]+") do assert(#line <= 76, line) end
            end
        end
        return "all"
        "#,
    );
    assert_eq!(text, "all");
}

/// What the cases of LTN12 are made with.
const LTN12: &str = r#"
        local ltn12 = require "ltn12"
        local function drain(source)
            local sink, chunks = ltn12.sink.table()
            local ok, why = ltn12.pump.all(source, sink)
            return table.concat(chunks, ","), ok, why
        end
        local function upper(chunk) return chunk and string.upper(chunk) end
        local function twice(chunk) return chunk and chunk .. chunk end
        local function hold()
            local held = ""
            return function(chunk)
                if chunk then
                    held = held .. chunk
                    return ""
                end
                local all = held
                held = nil
                return all
            end
        end
    "#;

#[test]
fn sources_do_what_ltn12_says() {
    check(
        LTN12,
        &[
            ("drain(ltn12.source.empty())", "|1|nil"),
            ("drain(ltn12.source.error('odd'))", "|nil|odd"),
            ("drain(ltn12.source.string('abc'))", "abc|1|nil"),
            ("drain(ltn12.source.string(nil))", "|1|nil"),
            ("#drain(ltn12.source.string(string.rep('x', 5000)))", "5002"),
            ("drain(ltn12.source.table { 'a', 'b' })", "a,b|1|nil"),
            (
                "drain(ltn12.source.cat(ltn12.source.string('a'), ltn12.source.empty(), ltn12.source.string('b')))",
                "a,b|1|nil",
            ),
            (
                "drain(ltn12.source.cat(ltn12.source.string('a'), ltn12.source.error('odd'), ltn12.source.string('b')))",
                "a|nil|odd",
            ),
            (
                "(function() local s = ltn12.source.rewind(ltn12.source.string('c')) s('b') s('a') return drain(s) end)()",
                "a,b,c|1|nil",
            ),
        ],
    );
}

#[test]
fn filters_and_sinks_do_what_ltn12_says() {
    check(
        LTN12,
        &[
            (
                "drain(ltn12.source.simplify(function() return 'a', ltn12.source.string('b') end))",
                "a,b|1|nil",
            ),
            (
                "drain(ltn12.source.chain(ltn12.source.string('ab'), upper, twice))",
                "ABAB|1|nil",
            ),
            (
                "drain(ltn12.source.chain(ltn12.source.table { 'a', 'b' }, hold(), twice, hold()))",
                "abab|1|nil",
            ),
            (
                "drain(ltn12.source.chain(ltn12.source.error('odd'), upper))",
                "|nil|odd",
            ),
            (
                "(function() local sink, got = ltn12.sink.table() local ok = ltn12.pump.all(ltn12.source.table { 'a', 'b' }, ltn12.sink.chain(upper, hold(), twice, sink)) return ok, table.concat(got) end)()",
                "1|ABAB",
            ),
            (
                "ltn12.pump.all(ltn12.source.string('a'), ltn12.sink.error('full'))",
                "nil|full",
            ),
            (
                "ltn12.pump.all(ltn12.source.string('a'), ltn12.sink.null())",
                "1",
            ),
            (
                "ltn12.pump.step(ltn12.source.empty(), ltn12.sink.null())",
                "nil|nil",
            ),
            (
                "(function() local got = {} local last = ltn12.sink.table(got) local ok = ltn12.pump.all(ltn12.source.table { 'a', 'b' }, ltn12.sink.simplify(function() return 1, last end)) return ok, got[1] end)()",
                "1|b",
            ),
            ("ltn12.source.file(nil, 'no file')()", "nil|no file"),
            ("ltn12.sink.file(nil)('x')", "nil|unable to open file"),
            ("_G.ltn12 == ltn12, ltn12.BLOCKSIZE", "true|2048"),
        ],
    );
}

#[test]
fn a_filter_is_asked_for_more_only_where_it_gave_something() {
    let body = format!(
        r#"{LTN12}
        local function strict(filter)
            local gave = false
            return function(chunk)
                assert(chunk ~= "" or gave, "asked for nothing")
                local made = filter(chunk)
                gave = made ~= ""
                return made
            end
        end
        local function filters() return strict(upper), strict(hold()), strict(twice), strict(hold()) end
        local sink, got = ltn12.sink.table()
        local source = ltn12.source.table {{ "a", "b", "c" }}
        local there = assert(ltn12.pump.all(source, ltn12.sink.chain(ltn12.filter.chain(filters()), sink)))
        source = ltn12.source.table {{ "a", "b", "c" }}
        local here = drain(ltn12.source.chain(source, filters()))
        return list(there, table.concat(got), here)
        "#
    );
    assert_eq!(run(0, &body), "1|ABCABC|ABCABC");
}

#[test]
fn files_are_sources_and_sinks() {
    let text = run(
        0,
        r#"
        local ltn12 = require "ltn12"
        local name = os.tmpname()
        local out = assert(io.open(name, "w"))
        assert(ltn12.pump.all(ltn12.source.string(string.rep("y", 3000)), ltn12.sink.file(out)))
        local sink, got = ltn12.sink.table()
        assert(ltn12.pump.all(ltn12.source.file(io.open(name)), sink))
        os.remove(name)
        return list(#got, #table.concat(got), io.type(out), _G.ltn12 == ltn12)
        "#,
    );
    assert_eq!(text, "2|3000|closed file|true");
}

#[test]
fn misuse_of_ltn12_is_told() {
    for (body, said) in [
        (
            "require('ltn12').source.table(1)",
            "source.table needs a table",
        ),
        (
            "require('ltn12').pump.all()",
            "pump.all needs a source and a sink",
        ),
        ("require('mime').encode('odd')", "unknown key (odd)"),
        ("require('mime').decode()", "unknown key (default)"),
        (
            "local l = require 'ltn12' local s = l.source.chain(l.source.empty(), function(c) return c end) s() s()",
            "source is empty!",
        ),
        (
            "local l = require 'ltn12' l.source.chain(l.source.string('a'), function() end)()",
            "filter returned inappropriate nil",
        ),
    ] {
        let heard = error(body);
        assert!(heard.ends_with(said), "{body}: {heard}");
    }
}

#[test]
fn urls_are_taken_apart() {
    let head = r#"
        local url = require "socket.url"
        local function parts(...)
            local found, why = url.parse(...)
            if not found then return why end
            local all = {}
            for _, name in ipairs { "scheme", "authority", "userinfo", "user", "password", "host", "port", "path", "params", "query", "fragment" } do
                if found[name] then all[#all + 1] = name .. "=" .. found[name] end
            end
            return table.concat(all, " ")
        end
    "#;
    check(
        head,
        &[
            (
                "parts('http://user:secret@host.example:8080/a/b;type=a?x=1#top')",
                "scheme=http authority=user:secret@host.example:8080 userinfo=user:secret user=user password=secret host=host.example port=8080 path=/a/b params=type=a query=x=1 fragment=top",
            ),
            (
                "parts('http://host')",
                "scheme=http authority=host host=host",
            ),
            ("parts('//host/p')", "authority=host host=host path=/p"),
            ("parts('a/b?c?d')", "path=a/b query=c?d"),
            ("parts('?')", "query="),
            (
                "parts('http://[::1]:99/')",
                "scheme=http authority=[::1]:99 host=::1 port=99 path=/",
            ),
            ("parts('mailto:a@b')", "scheme=mailto path=a@b"),
            (
                "parts('host', { scheme = 'ftp', path = '/' })",
                "scheme=ftp path=host",
            ),
            (
                "parts('http://h', { path = '/' })",
                "scheme=http authority=h host=h path=/",
            ),
            ("parts('')", "invalid url"),
            ("parts(nil)", "invalid url"),
            (
                "url.build(url.parse('http://u:p@h:1/a;b?c#d')), url.build { scheme = 's', host = '::1', port = 2 }",
                "http://u:p@h:1/a;b?c#d|s://[::1]:2",
            ),
            ("url.escape('a b/\\195')", "a%20b%2f%c3"),
            ("url.unescape('a%20b%2F%zz')", "a b/%zz"),
            (
                "(function() local p = url.parse_path('/a%20b/c/') return #p, p[1], p.is_absolute, p.is_directory, url.build_path(p), url.build_path(p, true) end)()",
                "2|a b|1|1|/a%20b/c/|/a b/c/",
            ),
            (
                "url.build_path { 'a/b', \"it's\" }, url.build_path {}",
                "a%2Fb/it's|",
            ),
            ("socket.url == url", "true"),
        ],
    );
}

#[test]
fn relative_urls_mean_what_the_standard_says() {
    // The examples of RFC 3986, section 5.4.
    for (relative, expected) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("x:y", "x:y"),
        ("http://other/../z", "http://other/z"),
    ] {
        let body =
            format!("return require('socket.url').absolute('http://a/b/c/d;p?q', '{relative}')");
        assert_eq!(run(0, &body), expected, "{relative}");
    }
    let text = run(
        0,
        r#"
        local absolute = require("socket.url").absolute
        return list(absolute("http://a", "g"), absolute("a/b", "../c"), absolute("a/b", "../../c"), absolute({ scheme = "s", host = "h" }, "/x"),
            absolute("http://u:p@h:8/x", "y"), absolute("http://a//b//c", "../d"))
        "#,
    );
    assert_eq!(
        text,
        "http://a/g|c|../c|s://h/x|http://u:p@h:8/y|http://a//b/d"
    );
}

#[test]
fn header_fields_are_written_as_usual() {
    check(
        "local canonic = require('socket.headers').canonic",
        &[(
            "canonic['content-type'], canonic['te'], canonic['mime-version'], canonic['x-my-own'], canonic['www-authenticate']",
            "Content-Type|TE|MIME-Version|X-My-Own|WWW-Authenticate",
        )],
    );
}
