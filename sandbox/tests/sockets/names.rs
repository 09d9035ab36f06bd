//! Names of hosts, as far as every host knows them.
//!
//! Owns:    the tests of `socket.dns`.
//! Runs on: tests.            Plane: data.
//! Bounds:  the host's own names: nothing is asked of the network.
//! Never:   expects a name that a host may not have.

use super::{error, run};

#[test]
fn localhost_has_an_address() {
    let text = run(
        0,
        r#"
        local ip, all = socket.dns.toip("localhost")
        local name, known = socket.dns.tohostname("localhost")
        local found = {}
        for _, entry in ipairs(socket.dns.getaddrinfo("127.0.0.1")) do
            found[#found + 1] = entry.family .. " " .. entry.addr
        end
        return list(ip, all.ip[1], type(all.name), type(all.alias), name == known.name, found[1], type(socket.dns.gethostname()))
        "#,
    );
    assert_eq!(
        text,
        "127.0.0.1|127.0.0.1|string|table|true|inet 127.0.0.1|string"
    );
}

#[test]
fn a_service_has_a_name_or_its_number() {
    let text = run(
        0,
        r#"
        local names, service = socket.dns.getnameinfo("127.0.0.1", "65432")
        return list(type(names[1]), service, type(socket.dns.getnameinfo("127.0.0.1")))
        "#,
    );
    assert_eq!(text, "string|65432|table");
}

#[test]
fn what_is_no_name_is_not_found() {
    let text = run(
        0,
        r#"
        return list(list(socket.dns.getaddrinfo("no name at all")), list(socket.dns.toip("no name at all")),
            list(socket.connect("no name at all", 1)), list(socket.connect("127.0.0.1", "no service")))
        "#,
    );
    let parts: Vec<&str> = text.split('|').collect();
    assert_eq!(
        (parts.len(), parts[0], parts[2], parts[4]),
        (8, "nil", "nil", "nil"),
        "{text}"
    );
    // A host without a resolver says that it has none for now.
    let not_known = [
        "host or service not provided, or not known",
        "temporary failure in name resolution",
    ];
    assert!(
        not_known.contains(&parts[1]) && not_known.contains(&parts[5]),
        "{text}"
    );
    assert!(
        ["host not found", "Host name lookup failure"].contains(&parts[3]),
        "{text}"
    );
    assert_eq!(parts[7], "service not supported for socket type", "{text}");
}

#[test]
fn nothing_is_no_question() {
    assert_eq!(
        error("socket.dns.getnameinfo()"),
        "host and serv cannot be both nil"
    );
    assert_eq!(
        error("socket.dns.toip()"),
        "bad argument #1 to 'toip' (string expected, got no value)"
    );
}
