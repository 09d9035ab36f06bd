//! SMTP, against servers that follow a script.
//!
//! Owns:    the tests of `socket.smtp`, and of what it shares with FTP.
//! Runs on: tests.            Plane: data.
//! Bounds:  one connection for each server.
//! Never:   delivers mail.

use super::{Line, Server, run, serve};

/// A server that greets and answers commands by their first word; it answers what it was sent.
fn server(extensions: &'static str, refuses: &'static str) -> Server<Vec<String>> {
    serve(1, move |_, mut line: Line| {
        let mut heard = Vec::new();
        line.write("220-here\r\n220 ready\r\n");
        loop {
            let command = line.read();
            let word = command.split(' ').next().unwrap_or_default().to_owned();
            heard.push(command);
            if word == refuses {
                line.write("550 no\r\n");
                continue;
            }
            match word.as_str() {
                "" => return heard,
                "EHLO" => line.write(extensions),
                "DATA" => {
                    line.write("354 go on\r\n");
                    loop {
                        let text = line.read();
                        heard.push(text.clone());
                        if text == "." {
                            break;
                        }
                    }
                    line.write("250 taken\r\n");
                }
                "AUTH" if heard.last().is_some_and(|said| said == "AUTH LOGIN") => {
                    for prompt in ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"] {
                        line.write(prompt);
                        heard.push(line.read());
                    }
                    line.write("235 welcome\r\n");
                }
                "AUTH" => line.write("235 welcome\r\n"),
                "QUIT" => line.write("221 bye\r\n"),
                _ => line.write("250 fine\r\n"),
            }
        }
    })
}

#[test]
fn mail_is_sent() {
    let server = server("250-here\r\n250 8BITMIME\r\n", "NONE");
    let text = run(
        server.port,
        r#"
        local smtp = require "socket.smtp"
        local message = smtp.message {
            headers = { To = "you", Subject = "dots", date = "today" },
            body = "first\r\n.second\r\n..third\r\n",
        }
        return list(smtp.send { from = "<me@here>", rcpt = { "<you@there>", "<me@there>" }, source = message, server = "127.0.0.1", port = port })
        "#,
    );
    assert_eq!(text, "1");
    let heard = server.end().remove(0);
    assert_eq!(
        heard,
        [
            "EHLO localhost",
            "MAIL FROM:<me@here>",
            "RCPT TO:<you@there>",
            "RCPT TO:<me@there>",
            "DATA",
            "Content-Type: text/plain; charset=\"iso-8859-1\"",
            "Date: today",
            "MIME-Version: 1.0",
            "Subject: dots",
            "To: you",
            "X-Mailer: LuaSocket 3.0",
            "",
            "first",
            "..second",
            "...third",
            "",
            ".",
            "QUIT",
            ""
        ]
    );
}

#[test]
fn users_show_who_they_are_in_the_way_that_the_server_takes() {
    for (extensions, said) in [
        (
            "250-here\r\n250 AUTH CRAM-MD5 LOGIN\r\n",
            &["AUTH LOGIN", "bWU=", "c2VjcmV0"][..],
        ),
        (
            "250-here\r\n250 AUTH PLAIN\r\n",
            &["AUTH PLAIN AG1lAHNlY3JldA=="][..],
        ),
    ] {
        let server = server(extensions, "NONE");
        let text = run(
            server.port,
            r#"
            local smtp, ltn12 = require "socket.smtp", require "ltn12"
            return list(smtp.send { from = "<a>", rcpt = "<b>", source = ltn12.source.string("x"), server = "127.0.0.1", port = port,
                domain = "me.example", user = "me", password = "secret" })
            "#,
        );
        assert_eq!(text, "1");
        let heard = server.end().remove(0);
        assert_eq!(heard[0], "EHLO me.example");
        assert_eq!(heard[1..=said.len()], *said);
    }
}

#[test]
fn refusals_are_told() {
    let send = r#"
        local smtp, ltn12 = require "socket.smtp", require "ltn12"
        return list(smtp.send { from = "<a>", rcpt = "<b>", source = ltn12.source.string("x"), server = "127.0.0.1", port = port,
            user = read_config "user", password = "secret" })
    "#;
    let refusing = server("250 here\r\n", "RCPT");
    assert_eq!(run(refusing.port, send), "nil|550 no");
    let odd = serve(1, |_, mut line: Line| line.write("hello\r\n"));
    assert_eq!(run(odd.port, send), "nil|invalid server reply");
    let gone = serve(1, |_, mut line: Line| line.write("220-half\r\n"));
    assert_eq!(run(gone.port, send), "nil|closed");
    let without = server("250 here\r\n", "NONE");
    let with_user = send.replace("read_config \"user\"", "\"me\"");
    assert_eq!(
        run(without.port, &with_user),
        "nil|authentication not supported"
    );
}

#[test]
fn messages_have_parts() {
    let text = run(
        0,
        r#"
        local smtp, ltn12, mime = require "socket.smtp", require "ltn12", require "mime"
        local body = ltn12.source.chain(ltn12.source.string("bytes"), mime.encode("base64"))
        local sink, got = ltn12.sink.table()
        assert(ltn12.pump.all(smtp.message {
            headers = { subject = "parts" },
            body = {
                preamble = "before",
                { body = "a text" },
                { headers = { ["content-type"] = "image/png", ["content-transfer-encoding"] = "base64" }, body = body },
                epilogue = "behind",
            },
        }, sink))
        local all = table.concat(got)
        local boundary = string.match(all, 'boundary="(.-)"')
        all = string.gsub(all, string.gsub(boundary, "%p", "%%%0"), "BOUNDARY")
        local date = string.match(all, "Date: (.-)\r\n")
        assert(string.match(date, "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d %-0000$"), date)
        return (string.gsub(string.gsub(all, "Date: .-\r\n", ""), "\r", ""))
        "#,
    );
    assert_eq!(
        text,
        "Content-Type: multipart/mixed; boundary=\"BOUNDARY\"\nMIME-Version: 1.0\nSubject: parts\nX-Mailer: LuaSocket 3.0\n\nbefore\n\n\
         --BOUNDARY\nContent-Type: text/plain; charset=\"iso-8859-1\"\n\na text\n\
         --BOUNDARY\nContent-Transfer-Encoding: base64\nContent-Type: image/png\n\nYnl0ZXM=\n--BOUNDARY--\n\nbehind\n"
    );
    let text = run(
        0,
        r#"
        local smtp = require "socket.smtp"
        local message = smtp.message { body = function() return nil, "odd" end }
        message()
        return list(message())
        "#,
    );
    assert_eq!(text, "nil|odd");
}

#[test]
fn a_reply_is_checked_by_patterns_lists_and_functions() {
    let server = serve(1, |_, mut line: Line| {
        line.write("211-one\r\n212 not yet\r\n211 end\r\n331 name\r\n450 no\r\n200 ok\r\n");
        [line.read(), line.read()]
    });
    let text = run(
        server.port,
        r#"
        local tp = require "socket.tp"
        local c = assert(tp.connect("127.0.0.1", port))
        local all = list(list(c:check("2..")), list(c:check { "2..", 331 }), list(c:check { "1..", 200 }),
            list(c:check(function(code, reply) return code + 1, reply end)))
        c:command("user", "me")
        c:command("quit")
        local readable = socket.select({ c }, nil, 60)
        return list(all, readable[1] == c, c:getpeername(), c:getcontrol().class, c:close())
        "#,
    );
    assert_eq!(
        text,
        "211|211-one\n212 not yet\n211 end|331|331 name|nil|450 no|201|200 ok|true|127.0.0.1|tcp{client}|1"
    );
    assert_eq!(server.end(), [["USER me".to_owned(), "QUIT".to_owned()]]);
}
