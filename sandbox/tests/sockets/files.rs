//! FTP, against servers that follow a script.
//!
//! Owns:    the tests of `socket.ftp`.
//! Runs on: tests.            Plane: data.
//! Bounds:  one control connection for each server, and one for data.
//! Never:   touches a file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{Line, Server, run, serve};

/// Where the data of a transfer goes through.
enum Data {
    None,
    /// The client comes to us.
    Ours(TcpListener),
    /// We go to the client.
    Theirs(u16),
}

impl Data {
    fn open(self) -> TcpStream {
        match self {
            Data::Ours(listener) => listener.accept().expect("a client").0,
            Data::Theirs(port) => TcpStream::connect(("127.0.0.1", port)).expect("a client"),
            Data::None => panic!("no data connection was asked for"),
        }
    }
}

/// A server with one file; it answers what it was told, and the last file that it was given.
fn server(refuses: &'static str) -> Server<(Vec<String>, String)> {
    serve(1, move |_, mut line: Line| {
        let (mut heard, mut stored) = (Vec::new(), String::new());
        let mut data = Data::None;
        line.write("220 ready\r\n");
        loop {
            let command = line.read();
            heard.push(command.clone());
            let (word, argument) = command.split_once(' ').unwrap_or((&command, ""));
            if word == refuses {
                line.write("530 no\r\n");
                continue;
            }
            match word {
                "" => return (heard, stored),
                "USER" => line.write("331 password\r\n"),
                "PASS" => line.write("230-welcome\r\n230 user\r\n"),
                "TYPE" => line.write("200 fine\r\n"),
                "PASV" | "EPSV" => {
                    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                    let port = listener.local_addr().expect("bound").port();
                    data = Data::Ours(listener);
                    match word {
                        "PASV" => line.write(&format!(
                            "227 Entering Passive Mode (127,0,0,1,{},{})\r\n",
                            port >> 8,
                            port & 255
                        )),
                        _ => line.write(&format!("229 Extended (|||{port}|)\r\n")),
                    }
                }
                "PORT" => {
                    let parts: Vec<u16> = argument
                        .split(',')
                        .map(|part| part.parse().expect("a number"))
                        .collect();
                    data = Data::Theirs(parts[4] << 8 | parts[5]);
                    line.write("200 fine\r\n");
                }
                "RETR" => {
                    line.write("150 here it comes\r\n");
                    let mut stream = std::mem::replace(&mut data, Data::None).open();
                    let content = "the file\n".repeat(1000);
                    stream.write_all(content.as_bytes()).expect("a client");
                    drop(stream);
                    line.write("226 done\r\n");
                }
                "STOR" => {
                    line.write("150 go on\r\n");
                    let mut stream = std::mem::replace(&mut data, Data::None).open();
                    stream.read_to_string(&mut stored).expect("a file");
                    line.write("226 done\r\n");
                }
                "STAT" => line.write("213 nothing to transfer\r\n"),
                "QUIT" => line.write("221 bye\r\n"),
                _ => line.write("250 fine\r\n"),
            }
        }
    })
}

#[test]
fn a_file_is_fetched() {
    let server = server("NONE");
    let text = run(
        server.port,
        r#"
        local ftp = require "socket.ftp"
        local got, why = ftp.get("ftp://me:secret@127.0.0.1:" .. port .. "/a%20folder/file;type=i")
        return list(why, #got, string.sub(got, 1, 9))
        "#,
    );
    assert_eq!(text, "nil|9000|the file\n");
    let (heard, _) = server.end().remove(0);
    assert_eq!(
        heard,
        [
            "USER me",
            "PASS secret",
            "TYPE i",
            "PASV",
            "RETR a folder/file",
            "QUIT",
            ""
        ]
    );
}

#[test]
fn a_file_is_stored() {
    let server = server("NONE");
    let text = run(
        server.port,
        r#"
        local ftp = require "socket.ftp"
        return list(ftp.put("ftp://127.0.0.1:" .. port .. "/file", "content"))
        "#,
    );
    assert_eq!(text, "7");
    let (heard, stored) = server.end().remove(0);
    assert_eq!(stored, "content");
    assert_eq!(
        heard[..4],
        [
            "USER ftp",
            "PASS anonymous@anonymous.org",
            "PASV",
            "STOR file"
        ]
    );
}

#[test]
fn transfers_can_be_put_together_step_by_step() {
    let server = server("NONE");
    let text = run(
        server.port,
        r#"
        local ftp, ltn12 = require "socket.ftp", require "ltn12"
        local f = ftp.open("127.0.0.1", port)
        f:greet()
        f:login("me", "secret")
        f:cwd("folder")
        f:port()
        local sink, got = ltn12.sink.table()
        f:receive { path = "x", sink = sink }
        f:epsv()
        local sent = f:send { argument = "y", source = ltn12.source.string("12345"), command = "stor" }
        f:pasv()
        local said = {}
        f:receive { command = "stat", sink = function(chunk) said[1] = chunk return 1 end }
        f:quit()
        return list(#table.concat(got), sent, said[1], f:close())
        "#,
    );
    assert_eq!(text, "9000|5|213 nothing to transfer|1");
    let (heard, stored) = server.end().remove(0);
    assert_eq!(stored, "12345");
    assert!(heard[3].starts_with("PORT 127,0,0,1,"), "{heard:?}");
    assert_eq!(
        heard[4..],
        ["RETR x", "EPSV", "STOR y", "PASV", "STAT", "QUIT", ""]
    );
}

#[test]
fn commands_are_sent_and_refusals_told() {
    let text = run(
        server("NONE").port,
        r#"
        local ftp = require "socket.ftp"
        return list(ftp.command { host = "127.0.0.1", port = port, command = { "cwd", "dele" }, argument = { "a", "b" }, check = { "250", "250" } })
        "#,
    );
    assert_eq!(text, "1");
    let get = r#"
        local ftp = require "socket.ftp"
        return list(ftp.get("ftp://127.0.0.1:" .. port .. "/x"))
    "#;
    assert_eq!(run(server("PASS").port, get), "nil|530 no");
    assert_eq!(run(server("RETR").port, get), "nil|530 no");
    let text = run(
        0,
        r#"
        local ftp = require "socket.ftp"
        return list(list(ftp.get("http://h/x")), list(ftp.get("ftp:///x")), list(ftp.get("ftp://h/x;type=q")), list(ftp.put { url = "ftp:x" }),
            list(ftp.command { host = "h" }), socket.ftp == ftp)
        "#,
    );
    assert_eq!(
        text,
        "nil|wrong scheme 'http'|nil|missing hostname|nil|invalid type 'q'|nil|missing hostname|nil|missing command|true"
    );
}
