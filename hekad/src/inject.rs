//! `hekad inject`: sends one message.
//!
//! Owns:    making the message from the flags, and sending it over TCP.
//! Runs on: the main thread.            Plane: control.
//! Bounds:  one message of at most the default size; waits are bounded.
//! Never:   reports success before the receiver's kernel has taken every byte.

use std::fs;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codecs::error::Full;
use codecs::framing;
use codecs::limits;
use codecs::message::{Draft, Header, MessageTable, NewValue, TableLimits};

use plugins::net::tls::Client;

use crate::cli::InjectArgs;
use crate::encryption;
use crate::failure::Failure;
use crate::receiver;
use crate::signer::{self, SignerSection};

/// Longest wait for the connection, and for each write.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Room for headers and fields, bytes: more is over the limit of a message anyway.
const ARENA_BYTES: usize = 2 * limits::MESSAGE_BYTES_DEFAULT;

/// Most fields that the flags may ask for.
const FIELDS_MAX: usize = 1024;

/// Runs the command.
pub(crate) fn inject(args: &InjectArgs) -> Result<ExitCode, Failure> {
    receiver::check_address("--heka", &args.heka)?;
    let frame = encode(args)?;
    let client = encryption::client(&args.tls, None, &args.heka)?;
    send(&args.heka, client.as_ref(), &frame).map_err(|error| {
        let why = encryption::in_flags(&receiver::explained(&error));
        Failure::new(1, format!("cannot send to {}: {why}", args.heka))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Sends a frame over a connection of its own.
pub(crate) fn send(address: &str, client: Option<&Client>, frame: &[u8]) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, WAIT_MAX) {
            Ok(mut stream) => {
                if let Some(client) = client {
                    let mut stream = client.connect_blocking(stream)?;
                    stream.socket().set_write_timeout(Some(WAIT_MAX))?;
                    stream.write_all(frame)?;
                    return stream.finish();
                }
                stream.set_write_timeout(Some(WAIT_MAX))?;
                stream.write_all(frame)?;
                return stream.shutdown(Shutdown::Write);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn encode(args: &InjectArgs) -> Result<Vec<u8>, Failure> {
    let fields = parse_fields(args)?;
    let signer = signer::merge(&args.signer, SignerSection::default())?;
    let mut table = MessageTable::new(TableLimits {
        received_bytes: 0,
        arena_bytes: ARENA_BYTES,
        messages: 1,
        fields: FIELDS_MAX,
    });
    let full = |Full| Failure::usage("too many fields, or too long ones");
    let mut draft = table.begin().map_err(full)?;
    set_headers(&mut draft, args).map_err(full)?;
    for (name, value) in fields {
        draft.add_field(name, value, None).map_err(full)?;
    }
    let mut frame = Vec::new();
    framing::encode_frame(
        table.get(0),
        signer.as_ref(),
        limits::MESSAGE_BYTES_DEFAULT,
        &mut frame,
    )
    .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(frame)
}

/// What every message has that is sent from here: uuid, time and host.
pub(crate) fn envelope(draft: &mut Draft<'_>) -> Result<(), Full> {
    let mut uuid = fastrand::u128(..).to_le_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    draft.set(Header::Uuid, &uuid[..])?;
    draft.set_timestamp(i64::try_from(now).unwrap_or(i64::MAX));
    draft.set(Header::Hostname, own_hostname().as_str())
}

fn set_headers(draft: &mut Draft<'_>, args: &InjectArgs) -> Result<(), Full> {
    envelope(draft)?;
    draft.set(Header::Type, args.message_type.as_str())?;
    draft.set(Header::Logger, args.logger.as_str())?;
    draft.set_severity(args.severity);
    draft.set(Header::Payload, args.payload.as_str())?;
    draft.set_pid(match args.pid {
        0 => i32::try_from(std::process::id()).unwrap_or(0),
        pid => pid,
    });
    match args.hostname.as_str() {
        "" => Ok(()),
        hostname => draft.set(Header::Hostname, hostname),
    }
}

/// The kernel's name for this host; empty where it cannot be read.
fn own_hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The fields of all four flags, text first.
fn parse_fields(args: &InjectArgs) -> Result<Vec<(&str, NewValue<'_>)>, Failure> {
    let mut fields = Vec::new();
    for text in &args.field {
        let (name, value) = split(text)?;
        fields.push((name, NewValue::String(value.into())));
    }
    for text in &args.field_integer {
        let (name, value) = split(text)?;
        fields.push((name, NewValue::Integer(parse(text, value, "an integer")?)));
    }
    for text in &args.field_double {
        let (name, value) = split(text)?;
        fields.push((name, NewValue::Double(parse(text, value, "a number")?)));
    }
    for text in &args.field_bool {
        let (name, value) = split(text)?;
        fields.push((name, NewValue::Bool(parse(text, value, "true or false")?)));
    }
    Ok(fields)
}

fn split(text: &str) -> Result<(&str, &str), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => Err(Failure::usage(format!(
            "field \"{text}\": write NAME=VALUE"
        ))),
    }
}

fn parse<T: std::str::FromStr>(text: &str, value: &str, what: &str) -> Result<T, Failure> {
    value
        .parse()
        .map_err(|_| Failure::usage(format!("field \"{text}\": {value:?} is not {what}")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use codecs::field::{Span, Value};

    use super::*;
    use crate::cli::{Cli, Command};

    fn args(extra: &[&str]) -> InjectArgs {
        let Command::Inject(args) =
            Cli::parse_from(["hekad", "inject"].iter().chain(extra)).chosen()
        else {
            panic!("not inject");
        };
        args
    }

    #[test]
    fn a_message_says_what_the_flags_say() {
        let args = args(&[
            "--type=alert",
            "--severity=3",
            "--payload=-x",
            "--hostname=h",
            "--pid=5",
            "--field=a=b=c",
            "--field-integer=n=-7",
            "--field-double=d=1.5",
            "--field-bool=t=true",
        ]);
        let frame = encode(&args).unwrap();
        assert_eq!(frame[0], framing::RECORD_SEPARATOR);
        let message = &frame[usize::from(frame[1]) + 3..];
        let mut table = MessageTable::new(TableLimits {
            received_bytes: message.len(),
            arena_bytes: 0,
            messages: 1,
            fields: 8,
        });
        table.received_mut().copy_from_slice(message);
        table
            .begin()
            .unwrap()
            .index_protobuf(Span::new(0, message.len()))
            .unwrap();
        let message = table.get(0);
        assert_eq!(message.header(Header::Type), b"alert");
        assert_eq!(message.header(Header::Logger), b"Inject Client");
        assert_eq!(message.header(Header::Hostname), b"h");
        assert_eq!(message.payload(), b"-x");
        assert_eq!((message.severity(), message.pid()), (3, 5));
        let value = |name: &[u8]| message.field(name, 0).and_then(|field| field.first());
        assert_eq!(value(b"a"), Some(Value::String(b"b=c")));
        assert_eq!(value(b"n"), Some(Value::Integer(-7)));
        assert_eq!(value(b"d"), Some(Value::Double(1.5)));
        assert_eq!(value(b"t"), Some(Value::Bool(true)));
    }

    #[test]
    fn wrong_fields_are_named() {
        for wrong in [
            "--field=x",
            "--field==x",
            "--field-integer=a=1.5",
            "--field-bool=a=yes",
        ] {
            assert!(encode(&args(&[wrong])).is_err(), "{wrong}");
        }
        let large = format!("--payload={}", "x".repeat(70_000));
        assert!(
            encode(&args(&[&large]))
                .unwrap_err()
                .to_string()
                .contains("too big")
        );
    }
}
