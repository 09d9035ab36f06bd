//! LPeg: typical grammars on lines that they are for, called from Lua.
//!
//! Owns:    the grammars and the lines.
//! Runs on: the calling thread.            Plane: data.
//! Bounds:  a few kilobytes of lines.
//! Never:   counts the call of the script apart: a match is always made by a script.

use sandbox::trial::Trial;

use crate::measure::{Digest, Pass, Size};

const ACCESS: &str = r#"
local l = require("lpeg") l.locale(l)
local function field(name, value) return l.Cg(value, name) end
local function upto(stop) return l.C((1 - l.P(stop)) ^ 1) end
local number = l.C(l.digit ^ 1) / tonumber
local quoted = '"' * l.C((1 - l.P('"')) ^ 0) * '"'
local line = l.Ct(field("remote_addr", l.C(l.digit ^ 1 * ("." * l.digit ^ 1) ^ -3)) * " - " * field("remote_user", upto(" "))
    * " [" * field("time", upto("]")) * '] "' * field("method", l.C(l.upper ^ 1)) * " " * field("uri", upto(" ")) * " "
    * field("protocol", upto('"')) * '" ' * field("status", number) * " " * field("bytes", number) * " "
    * field("referer", quoted) * " " * field("agent", quoted)) * -1
return function(text)
    local t = line:match(text)
    return t.status + t.bytes + #t.uri + #t.agent + #t.remote_addr
end
"#;

const RFC3339: &str = r#"
local l = require("lpeg") l.locale(l)
local two = l.digit * l.digit
local function field(name, value) return l.Cg(value / tonumber, name) end
local time = l.Ct(field("year", two * two) * "-" * field("month", two) * "-" * field("day", two) * l.S("Tt ")
    * field("hour", two) * ":" * field("min", two) * ":" * field("sec", two) * field("fraction", "." * l.digit ^ 1) ^ -1
    * (l.S("Zz") + l.Cg(l.C(l.S("+-")), "sign") * field("offset_hour", two) * ":" * field("offset_min", two)))
return function(text)
    local t = time:match(text)
    return t.year + t.month + t.day + t.hour + t.min + t.sec + t.fraction
end
"#;

const JSON: &str = r#"
local l = require("lpeg") l.locale(l)
local V, space = l.V, l.S(" \t\r\n") ^ 0
local escape = "\\" * (l.S('"\\/bfnrt') + "u" * l.xdigit * l.xdigit * l.xdigit * l.xdigit)
local text = '"' * l.C((1 - l.S('"\\') + escape) ^ 0) * '"' * space
local digits = l.digit ^ 1
local number = l.C(l.P("-") ^ -1 * digits * ("." * digits) ^ -1 * (l.S("eE") * l.S("+-") ^ -1 * digits) ^ -1) / tonumber * space
local function list(item) return (item * ("," * space * item) ^ 0) ^ -1 end
local json = l.P({
    "document",
    document = space * V("value") * -1,
    value = V("object") + V("array") + text + number
        + ("true" * l.Cc(true) + "false" * l.Cc(false) + "null" * l.Cc(false)) * space,
    object = "{" * space * l.Cf(l.Ct("") * list(l.Cg(text * ":" * space * V("value"))), rawset) * "}" * space,
    array = "[" * space * l.Ct(list(V("value"))) * "]" * space,
})
return function(text)
    local t = json:match(text)
    return #t.name + t.sizes[2] + #t.inner.list + t.inner.list[2].k
end
"#;

const SYSLOG: &str = r#"
local l = require("lpeg") l.locale(l)
local function field(name, value) return l.Cg(value, name) end
local number = l.C(l.digit ^ 1) / tonumber
local month = l.P("Jan") + "Feb" + "Mar" + "Apr" + "May" + "Jun" + "Jul" + "Aug" + "Sep" + "Oct" + "Nov" + "Dec"
local two = l.digit * l.digit
local time = month * l.P(" ") ^ 1 * l.digit ^ 1 * " " * two * ":" * two * ":" * two
local line = l.Ct("<" * field("pri", number) * ">" * field("time", l.C(time)) * " " * field("host", l.C((1 - l.P(" ")) ^ 1)) * " "
    * field("program", l.C((1 - l.S("[: ")) ^ 1)) * ("[" * field("pid", number) * "]") ^ -1 * ": " * field("text", l.C(l.P(1) ^ 0)))
return function(text)
    local t = line:match(text)
    return t.pri + t.pid + #t.host + #t.program + #t.text
end
"#;

const SEARCH: &str = r##"
local l = require("lpeg")
local line = l.P({ l.Cp() * "request_id=" * l.C(l.R("09") ^ 1) + 1 * l.V(1) })
return function(text)
    local at, id = line:match(text)
    return at + tonumber(id)
end
"##;

const ESCAPE: &str = r#"
local l = require("lpeg")
local html = l.Cs((l.P("&") / "&amp;" + l.P("<") / "&lt;" + l.P(">") / "&gt;" + 1) ^ 0)
return function(text) return #html:match(text) end
"#;

pub(crate) fn access(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, ACCESS, |n| {
        format!(
            "192.168.{}.{} - frank [10/Oct/2000:13:55:{:02} -0700] \"GET /apache_pb.gif?x={n}&y=22 HTTP/1.0\" 200 {} \
             \"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I ;Nav)\"",
            n % 256,
            n / 256 % 256,
            n % 60,
            n * 7
        )
    })
}

pub(crate) fn rfc3339(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, RFC3339, |n| {
        format!(
            "2014-02-11T17:{:02}:{:02}.{n:06}-08:00",
            n / 60 % 60,
            n % 60
        )
    })
}

pub(crate) fn json(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, JSON, |n| {
        format!(
            "{{\"name\": \"hekad\", \"sizes\": [0, {n}, 2], \"tags\": [\"a\", \"bb\", \"ccc\\\\n\"], \"inner\": {{\"x\": -1.5e3, \
             \"y\": true, \"z\": null, \"list\": [{{\"k\": 1}}, {{\"k\": {n}}}]}}, \"text\": \"the quick brown fox jumps\"}}"
        )
    })
}

pub(crate) fn syslog(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, SYSLOG, |n| {
        format!(
            "<{}>Oct 11 22:14:{:02} machine{n}.example.com sshd[{}]: Failed password for invalid user admin from 10.0.0.1 port 4242",
            n % 192,
            n % 60,
            n + 100
        )
    })
}

pub(crate) fn search(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, SEARCH, |n| {
        let before = "GET /index.html took 15 ms, returned 200 to a client; ".repeat(20);
        format!("{before}request_id={n} and more")
    })
}

pub(crate) fn escape(size: Size) -> Box<dyn FnMut() -> Pass> {
    pass(size, ESCAPE, |n| {
        format!(
            "if a < {n} && c > d then <b>bold</b> & so on, with a longer piece of text at the end of it all"
        )
    })
}

fn pass(size: Size, script: &str, line: fn(usize) -> String) -> Box<dyn FnMut() -> Pass> {
    let trial = Trial::new(script).expect("a right script");
    let lines: Vec<String> = (0..size.items()).map(line).collect();
    Box::new(move || {
        let mut digest = Digest::default();
        for line in &lines {
            let answer = trial.call(line.as_bytes()).expect("a line that matches");
            digest.add(answer.to_bits());
        }
        Pass {
            items: lines.len() as u64,
            bytes: lines.iter().map(|line| line.len() as u64).sum(),
            digest: digest.value(),
        }
    })
}
