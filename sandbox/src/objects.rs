//! Objects that modules make for scripts: how they are printed, preserved and restored.
//!
//! Owns:    `Object`, and the table of its kinds.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  what an object writes goes to the caller's buffer, which the caller limits.
//! Never:   holds an object.

use std::cell::Cell;

use mlua::AnyUserData;

use crate::lua::userdata::{Handle, Kind, lend};

/// A userdata that the host knows more about than Lua does.
pub(crate) trait Object {
    /// Appends what `add_to_payload` and a field of a message show of it; `false` where the kind has no such form.
    fn print(&self, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Appends Lua statements that make the object again and assign it to the expression `name`; `false` where the kind is not preserved.
    fn preserve(&self, _name: &str, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// Tells whether an object is of one kind, and lends it if so.
type Lend = fn(&AnyUserData, &mut dyn FnMut(&dyn Object)) -> bool;

/// Every kind of object; a module adds its own.
const KINDS: &[Lend] = &[
    of::<crate::circular_buffer::CircularBuffer>,
    of::<crate::bloom_filter::BloomFilter>,
    of::<crate::cuckoo_filter::CuckooFilter>,
    of::<crate::hyperloglog::HyperLogLog>,
    of::<crate::sax::Sax>,
];

/// Lends what the host knows of an object; `None` where its kind is foreign or it is in use.
pub(crate) fn with<R>(object: &AnyUserData, mut see: impl FnMut(&dyn Object) -> R) -> Option<R> {
    let mut seen = None;
    KINDS
        .iter()
        .any(|lend| lend(object, &mut |known| seen = Some(see(known))));
    seen
}

/// Lends an object whose memory is Lua's.
fn of<K: Kind>(object: &AnyUserData, see: &mut dyn FnMut(&dyn Object)) -> bool
where
    for<'s> Handle<'s, K>: Object,
{
    lend::<K>(object, &mut |object| see(&object))
}

/// Appends `if NAME == nil then NAME = `, with which every preserved object begins; the caller goes on with how it is made.
pub(crate) fn preserve_if_missing(name: &str, out: &mut Vec<u8>) {
    for part in ["if ", name, " == nil then ", name, " = "] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends bytes between quotation marks, as Lua reads them back.
pub(crate) fn preserve_bytes(bytes: impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut last = 1;
    for byte in bytes {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0 => out.extend_from_slice(b"\\0"),
            // A digit behind an escaped zero would belong to it.
            b'0'..=b'9' if last == 0 => {
                out.extend_from_slice(b"00");
                out.push(byte);
            }
            _ => out.push(byte),
        }
        last = byte;
    }
    out.push(b'"');
}

/// Takes over what was preserved: as many bytes as there must be, `N` for each cell.
pub(crate) fn restore_cells<T, const N: usize>(
    cells: &[Cell<T>],
    bytes: &[u8],
    read: fn([u8; N]) -> T,
) -> Result<(), String> {
    let (found, expected) = (bytes.len(), cells.len() * N);
    if found != expected {
        return Err(format!(
            "fromstring() bytes found: {found}, expected {expected}"
        ));
    }
    for (cell, bytes) in cells.iter().zip(bytes.as_chunks().0) {
        cell.set(read(*bytes));
    }
    Ok(())
}

/// A count that was preserved: whole, and not below nothing.
pub(crate) fn restored_count(count: f64) -> f64 {
    match count >= 0.0 {
        true => count.trunc(),
        false => 0.0,
    }
}
