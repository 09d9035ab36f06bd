//! Heka stream framing: 0x1E, header length, header protobuf, 0x1F, message protobuf.
//!
//! Owns:    parsing and writing of frame headers.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a header has at most 255 bytes, a message the caller's limit.
//! Never:   looks for frames in a stream (the splitter does), or copies a message that is received.

use std::fmt;

use crate::error::Damage;
use crate::limits::FRAME_HEADER_BYTES_MAX;
use crate::message::MessageRef;
use crate::protobuf;
use crate::signing::{HashFunction, Signer};
use crate::wire::{Reader, WireType, delimited_len, varint_len, write_delimited, write_varint};

/// First byte of a frame.
pub const RECORD_SEPARATOR: u8 = 0x1e;

/// Byte between header and message.
pub const UNIT_SEPARATOR: u8 = 0x1f;

const KEY_MESSAGE_LENGTH: u8 = 0x08;
const KEY_HASH_FUNCTION: u8 = 0x18;
const KEY_SIGNER: u8 = 0x22;
const KEY_KEY_VERSION: u8 = 0x28;
const KEY_HMAC: u8 = 0x32;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader<'a> {
    /// Bytes of the message that follows.
    pub message_len: u32,
    /// The signature; `None` on an unsigned frame.
    pub signature: Option<Signature<'a>>,
}

/// Signature in a frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Hash function; `None` for a number that stands for none.
    pub hash: Option<HashFunction>,
    /// Name of the signer, bytes as received.
    pub signer: &'a [u8],
    /// Version of the signer's key.
    pub key_version: u32,
    /// The digest.
    pub digest: &'a [u8],
}

impl<'a> FrameHeader<'a> {
    /// Reads a header protobuf (without the bytes around it).
    ///
    /// Missing message length, wrong wire types and cut off values are damage; unknown fields are passed over.
    pub fn parse(header: &'a [u8]) -> Result<FrameHeader<'a>, Damage> {
        use WireType::{Delimited, Varint};
        let mut reader = Reader::new(header, 0);
        let (mut message_len, mut digest) = (None, None);
        let (mut hash, mut signer, mut key_version) = (0, &[][..], 0);
        while !reader.is_done() {
            match reader.key()? {
                (1, Varint) => message_len = Some(reader.varint()? as u32),
                (3, Varint) => hash = reader.varint()? as i32,
                (4, Delimited) => signer = reader.text()?,
                (5, Varint) => key_version = reader.varint()? as u32,
                (6, Delimited) => digest = Some(reader.text()?),
                (1 | 3..=6, _) => return Err(Damage::WireType),
                (_, wire_type) => reader.skip(wire_type)?,
            }
        }
        let signature = digest.map(|digest| Signature {
            hash: HashFunction::from_wire(hash),
            signer,
            key_version,
            digest,
        });
        let message_len = message_len.ok_or(Damage::MissingRequired)?;
        Ok(FrameHeader {
            message_len,
            signature,
        })
    }
}

/// What stands at the start of bytes that begin with 0x1E.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameStart<'a> {
    /// A header; the message begins at `message_start` and ends `header.message_len` bytes later.
    Header {
        message_start: usize,
        header: FrameHeader<'a>,
    },
    /// Too few bytes to say; `needed` bytes from the 0x1E on will do.
    Partial { needed: usize },
    /// No frame.
    Invalid,
}

/// Looks at the start of `bytes`, whose first byte is 0x1E.
#[inline(always)]
pub(crate) fn frame_start(bytes: &[u8]) -> FrameStart<'_> {
    // The header of an unsigned frame is the message length alone: one, two or three bytes.
    let plain = |message_start, message_len| FrameStart::Header {
        message_start,
        header: FrameHeader {
            message_len,
            signature: None,
        },
    };
    match *bytes {
        [_, 3, KEY_MESSAGE_LENGTH, a, b, UNIT_SEPARATOR, ..] if a >= 0x80 && b < 0x80 => {
            plain(6, u32::from(a & 0x7f) | u32::from(b) << 7)
        }
        [_, 2, KEY_MESSAGE_LENGTH, a, UNIT_SEPARATOR, ..] if a < 0x80 => plain(5, u32::from(a)),
        _ => any_frame_start(bytes),
    }
}

/// Looks at the start of a frame with any header.
#[inline(never)]
fn any_frame_start(bytes: &[u8]) -> FrameStart<'_> {
    let Some(&len) = bytes.get(1) else {
        return FrameStart::Partial { needed: 2 };
    };
    let header_end = 2 + usize::from(len);
    let Some(&separator) = bytes.get(header_end) else {
        return FrameStart::Partial {
            needed: header_end + 1,
        };
    };
    if separator != UNIT_SEPARATOR {
        return FrameStart::Invalid;
    }
    match FrameHeader::parse(&bytes[2..header_end]) {
        Ok(header) => FrameStart::Header {
            message_start: header_end + 1,
            header,
        },
        Err(_) => FrameStart::Invalid,
    }
}

/// Why a message cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message is longer than the limit.
    MessageTooBig {
        /// Its bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The header is longer than its length byte can say: the signer's name is too long.
    HeaderTooBig {
        /// Its bytes.
        len: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::MessageTooBig { len, max } => {
                write!(
                    f,
                    "Message too big, requires {len} (MAX_MESSAGE_SIZE = {max})"
                )
            }
            FrameError::HeaderTooBig { len } => {
                write!(
                    f,
                    "Message header too big, requires {len} (MAX_HEADER_SIZE = {FRAME_HEADER_BYTES_MAX})"
                )
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Appends everything of a frame that stands before its message, signed if there is a signer.
///
/// `message_bytes_max` is the limit of the receiver. On `Err` nothing was appended.
pub fn write_frame_header(
    message: &[u8],
    signer: Option<&Signer>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let digest_at = write_header(message.len(), signer, message_bytes_max, out)?;
    if let Some(signer) = signer {
        signer.sign(message, &mut out[digest_at..][..signer.hash().digest_len()]);
    }
    Ok(())
}

/// Appends a whole frame of bytes that already are an encoded message.
///
/// On `Err` nothing was appended.
pub fn write_frame(
    message: &[u8],
    signer: Option<&Signer>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    write_frame_header(message, signer, message_bytes_max, out)?;
    out.extend_from_slice(message);
    Ok(())
}

/// Encodes a message and appends it as a frame. On `Err` nothing was appended.
pub fn encode_frame(
    message: MessageRef<'_>,
    signer: Option<&Signer>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let digest_at = write_header(
        protobuf::encoded_len(message),
        signer,
        message_bytes_max,
        out,
    )?;
    let message_start = out.len();
    protobuf::encode(message, out);
    if let Some(signer) = signer {
        let (header, message) = out.split_at_mut(message_start);
        signer.sign(
            message,
            &mut header[digest_at..][..signer.hash().digest_len()],
        );
    }
    Ok(())
}

/// Appends a frame's header with room for the digest; gives the digest's place.
fn write_header(
    message_len: usize,
    signer: Option<&Signer>,
    message_bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<usize, FrameError> {
    if message_len > message_bytes_max {
        return Err(FrameError::MessageTooBig {
            len: message_len,
            max: message_bytes_max,
        });
    }
    let mut header_len = 1 + varint_len(message_len as u64);
    if let Some(signer) = signer {
        let hash_len = if signer.hash() == HashFunction::Md5 {
            0
        } else {
            2
        };
        let version_len = 1 + varint_len(signer.version().into());
        header_len += hash_len
            + delimited_len(signer.name().len())
            + version_len
            + delimited_len(signer.hash().digest_len());
    }
    if header_len > FRAME_HEADER_BYTES_MAX {
        return Err(FrameError::HeaderTooBig { len: header_len });
    }
    out.extend_from_slice(&[RECORD_SEPARATOR, header_len as u8, KEY_MESSAGE_LENGTH]);
    write_varint(message_len as u64, out);
    let mut digest_at = out.len();
    if let Some(signer) = signer {
        if signer.hash() != HashFunction::Md5 {
            out.extend_from_slice(&[KEY_HASH_FUNCTION, signer.hash() as u8]);
        }
        write_delimited(KEY_SIGNER, signer.name().as_bytes(), out);
        out.push(KEY_KEY_VERSION);
        write_varint(signer.version().into(), out);
        let digest_len = signer.hash().digest_len();
        out.extend_from_slice(&[KEY_HMAC, digest_len as u8]);
        digest_at = out.len();
        out.resize(digest_at + digest_len, 0);
    }
    out.push(UNIT_SEPARATOR);
    Ok(digest_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type TEST, timestamp 1416840893000000000, no uuid: the worked bytes of docs/parity/wire.md.
    const MESSAGE: [u8; 16] = [
        0x10, 0x80, 0xc4, 0x8c, 0x94, 0x91, 0xa9, 0xe8, 0xd4, 0x13, 0x1a, 0x04, 0x54, 0x45, 0x53,
        0x54,
    ];
    const MAX: usize = crate::limits::MESSAGE_BYTES_DEFAULT;

    #[test]
    fn an_unsigned_frame_is_written_as_heka_writes_it() {
        let mut out = Vec::new();
        write_frame(&MESSAGE, None, MAX, &mut out).unwrap();
        assert_eq!(
            out,
            [&[0x1e, 0x02, 0x08, 0x10, 0x1f], &MESSAGE[..]].concat()
        );
    }

    #[test]
    fn a_signed_frame_is_written_as_heka_writes_it() {
        let mut out = Vec::new();
        let signer = Signer::new("test", 0, HashFunction::Md5, b"");
        write_frame(&MESSAGE, Some(&signer), MAX, &mut out).unwrap();
        let header = [
            0x1e, 0x1c, 0x08, 0x10, 0x22, 0x04, 0x74, 0x65, 0x73, 0x74, 0x28, 0x00, 0x32, 0x10,
            0x78, 0x35, 0x7e, 0x36, 0x35, 0x38, 0x3f, 0x9f, 0xbc, 0x75, 0x98, 0x46, 0x1b, 0x05,
            0xef, 0x2d, 0x1f,
        ];
        assert_eq!(out, [&header[..], &MESSAGE].concat());
    }

    #[test]
    fn headers_of_every_length_come_back() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, 65_536] {
            for signer in [
                None,
                Some(Signer::new("s", 300, HashFunction::Sha256, b"key")),
            ] {
                let message = vec![0; len];
                let mut out = Vec::new();
                write_frame(&message, signer.as_ref(), MAX, &mut out).unwrap();
                let FrameStart::Header {
                    message_start,
                    header,
                } = frame_start(&out)
                else {
                    panic!("no header");
                };
                assert_eq!(&out[message_start..], message);
                assert_eq!(header.message_len as usize, len);
                assert_eq!(header.signature.is_some(), signer.is_some());
                for cut in 1..message_start {
                    let FrameStart::Partial { needed } = frame_start(&out[..cut]) else {
                        panic!("{cut} bytes are enough");
                    };
                    assert!(needed > cut && needed <= message_start);
                }
                assert_eq!(FrameHeader::parse(&out[2..message_start - 1]), Ok(header));
            }
        }
    }

    #[test]
    fn sizes_over_the_limits_are_refused_in_hekas_words() {
        let mut out = Vec::new();
        let error = write_frame(&[0; 11], None, 10, &mut out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Message too big, requires 11 (MAX_MESSAGE_SIZE = 10)"
        );
        let signer = Signer::new(&"n".repeat(250), 0, HashFunction::Md5, b"");
        let error = write_frame(&MESSAGE, Some(&signer), MAX, &mut out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Message header too big, requires 275 (MAX_HEADER_SIZE = 255)"
        );
        assert_eq!(out, []);
    }

    #[test]
    fn damaged_headers_are_refused() {
        assert_eq!(FrameHeader::parse(&[]), Err(Damage::MissingRequired));
        assert_eq!(FrameHeader::parse(&[0x0a, 0]), Err(Damage::WireType));
        assert_eq!(FrameHeader::parse(&[0x08]), Err(Damage::Varint));
        assert_eq!(
            FrameHeader::parse(&[0x08, 1, 0x32, 9]),
            Err(Damage::Truncated)
        );
        assert_eq!(frame_start(&[0x1e, 2, 8, 1, 0x20]), FrameStart::Invalid);
        assert_eq!(frame_start(&[0x1e, 0, 0x1f]), FrameStart::Invalid);
    }
}
