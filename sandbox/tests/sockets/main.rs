//! LuaSocket as scripts of inputs and outputs use it, over sockets of this host.
//!
//! Owns:    what runs scripts, and the servers that they talk to.
//! Runs on: tests.            Plane: data.
//! Bounds:  each test has its own ports; whoever waits for a socket here gives up after `PATIENCE`.
//! Never:   depends on how long something takes.

mod connections;
mod datagrams;
mod files;
mod limits;
mod mail;
mod names;
mod pieces;
mod web;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sandbox::{ConfigValue, Kind, NoHost, Program, Sandbox, Settings, Subject, Terminated};

/// The longest that a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What every script has: the libraries, and `list`, which writes values as one text, `dial`, which connects with a server.
const HEAD: &str = r#"
local string, table, os, io = require "string", require "table", require "os", require "io"
local socket = require "socket"
local port = read_config "port"
local function list(...)
    local texts = {}
    for i = 1, select('#', ...) do
        texts[i] = tostring((select(i, ...)))
    end
    return table.concat(texts, "|")
end
local function dial(server)
    local ip, own = server:getsockname()
    return socket.connect(ip, own)
end
"#;

/// Settings of an input that talks to a port.
pub(crate) fn settings(port: u16) -> Settings {
    let mut settings = Settings::new(Kind::Input, "sockets");
    settings.config = vec![("port".to_owned(), ConfigValue::Number(f64::from(port)))];
    settings
}

/// A sandbox whose `process_message` answers what the body returns.
pub(crate) fn sandbox(settings: Settings, body: &str) -> Sandbox {
    let source = format!(
        "{HEAD}\nlocal function run()\n{body}\nend\nfunction process_message() return 0, run() end"
    );
    let program = Program::compile("test.lua", source.as_bytes()).expect("the script is Lua");
    Sandbox::new(&Arc::new(program), settings).expect("the script loads")
}

/// What the body of a script returns.
pub(crate) fn try_run(settings: Settings, body: &str) -> Result<String, Terminated> {
    let mut sandbox = sandbox(settings, body);
    let returned = sandbox.process_message(Subject::Nothing, &mut NoHost)?;
    let text = returned.text.unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// The same of a script that must not fail.
pub(crate) fn run(port: u16, body: &str) -> String {
    match try_run(settings(port), body) {
        Ok(text) => text,
        Err(ended) => panic!("{}\n{}\n{body}", ended.text, ended.trace),
    }
}

/// The text with which a body fails, without the place.
pub(crate) fn error(body: &str) -> String {
    let body = format!(
        "local ok, said = pcall(function()\n{body}\nend) return tostring(ok) .. ' ' .. said"
    );
    let said = run(0, &body);
    let said = said
        .strip_prefix("false ")
        .unwrap_or_else(|| panic!("{said}"));
    match said.strip_prefix("test.lua:") {
        Some(said) => said
            .split_once(": ")
            .map_or(said, |(_, said)| said)
            .to_owned(),
        None => said.to_owned(),
    }
}

/// A server for so many connections, which it serves one after the other.
pub(crate) struct Server<R> {
    pub(crate) port: u16,
    serving: JoinHandle<Vec<R>>,
}

impl<R> Server<R> {
    /// What serving has given.
    pub(crate) fn end(self) -> Vec<R> {
        self.serving.join().expect("the server does not fail")
    }
}

/// Starts one. `serve` is told the number of the connection.
pub(crate) fn serve<R: Send + 'static>(
    connections: usize,
    serve: impl Fn(usize, Line) -> R + Send + 'static,
) -> Server<R> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let serving = thread::spawn(move || {
        (0..connections)
            .map(|number| {
                let (stream, _) = listener.accept().expect("a client");
                serve(number, Line::new(stream))
            })
            .collect()
    });
    Server { port, serving }
}

/// One side of a connection, line by line.
pub(crate) struct Line(pub(crate) BufReader<TcpStream>);

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Line {
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Line(BufReader::new(stream))
    }

    /// The next line, without what ends it; empty at the end.
    pub(crate) fn read(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    pub(crate) fn write(&mut self, text: &str) {
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes()).expect("a peer");
    }
}
