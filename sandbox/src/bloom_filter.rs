//! The module `bloom_filter`: which keys were added, with false positives.
//!
//! Owns:    `BloomFilter`, the functions of the module.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  the bits that items and probability ask for, within the script's memory and `OBJECT_BYTES_MAX`.
//! Never:   answers that a key is missing which was added.

use std::cell::Cell;
use std::f64::consts::LN_2;
use std::io::Write;

use mlua::{Lua, Value};
use xxhash_rust::xxh32::xxh32;

use crate::hashed_key::HashedKey;
use crate::lua::frame::{Answer, Frame};
use crate::lua::userdata::{Entry, Handle, Kind, function, method, register, register_kind};
use crate::objects::{Object, preserve_bytes, preserve_if_missing, restore_cells, restored_count};

/// Bytes of a key from which on the host is asked before each of its hashes, of which there may be a thousand.
const LONG_KEY: usize = 64 * 1024;

/// What a filter is; behind it stand its bits.
pub(crate) struct BloomFilter {
    items: u32,
    probability: f64,
    bits: u64,
    hashes: u32,
    count: Cell<f64>,
}

impl Kind for BloomFilter {
    const TAG: i32 = 112;
    const NAME: &'static str = "bloom_filter";
    type Item = u8;
}

impl Object for Handle<'_, BloomFilter> {
    fn preserve(&self, name: &str, out: &mut Vec<u8>) -> bool {
        preserve_if_missing(name, out);
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "bloom_filter.new({}, {}) end\n{name}:fromstring({}, ",
            self.items,
            self.probability,
            self.count.get()
        );
        preserve_bytes(self.cells().iter().map(Cell::get), out);
        out.extend_from_slice(b")\n");
        true
    }
}

const FUNCTIONS: &[Entry] = &[function(c"new", new)];

const METHODS: &[Entry] = &[
    method(c"add", add),
    method(c"query", query),
    method(c"count", count),
    method(c"clear", clear),
    method(c"fromstring", fromstring),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register_kind::<BloomFilter>(lua, METHODS)?;
    register(lua, FUNCTIONS).map(Value::Table)
}

fn new(frame: &mut Frame<'_>) -> Answer {
    frame.counts(2..=2)?;
    let items = frame.integer(1)?;
    if items <= 1 {
        return Err(frame.refuse(1, "items must be > 1"));
    }
    let probability = frame.number(2)?;
    if !(probability > 0.0 && probability < 1.0) {
        return Err(frame.refuse(2, "probability must be between 0 and 1"));
    }
    // The sizes for which a filter that holds so many items errs so often: Heka's formula, operation by operation.
    let bits = (f64::from(items) * probability.ln() / (1.0 / 2_f64.powf(2_f64.ln())).ln()).ceil();
    let bits = (bits as u64).max(1);
    let hashes = (LN_2 * bits as f64 / f64::from(items)).round() as u32;
    let filter = BloomFilter {
        items: items as u32,
        probability,
        bits,
        hashes,
        count: Cell::new(0.0),
    };
    frame.push_object(filter, bits.div_ceil(8) as usize, 0)?;
    Ok(1)
}

/// Bytes and masks of a key's bits.
fn places<'s>(
    filter: Handle<'s, BloomFilter>,
    key: &HashedKey<'_>,
) -> impl Iterator<Item = (&'s Cell<u8>, u8)> {
    (0..filter.hashes).map(move |seed| {
        let bit = u64::from(xxh32(key.bytes(), seed)) % filter.bits;
        (&filter.cells()[(bit / 8) as usize], 1 << (bit % 8))
    })
}

fn pause(frame: &mut Frame<'_>, key: &HashedKey<'_>) {
    if key.bytes().len() >= LONG_KEY {
        frame.safepoint();
    }
}

fn add(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<BloomFilter>(2..=2)?;
    let key = HashedKey::of(frame, 2)?;
    let mut added = false;
    for (byte, mask) in places(filter, &key) {
        pause(frame, &key);
        added |= byte.get() & mask == 0;
        byte.set(byte.get() | mask);
    }
    if added {
        filter.count.set(filter.count.get() + 1.0);
    }
    frame.push_boolean(added);
    Ok(1)
}

fn query(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<BloomFilter>(2..=2)?;
    let key = HashedKey::of(frame, 2)?;
    let found = places(filter, &key).all(|(byte, mask)| {
        pause(frame, &key);
        byte.get() & mask != 0
    });
    frame.push_boolean(found);
    Ok(1)
}

fn count(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<BloomFilter>(1..=1)?;
    frame.push_number(filter.count.get());
    Ok(1)
}

fn clear(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<BloomFilter>(1..=1)?;
    filter.cells().iter().for_each(|byte| byte.set(0));
    filter.count.set(0.0);
    Ok(0)
}

/// The form of 2015 and later has the count in front, the one before only the bits.
fn fromstring(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<BloomFilter>(2..=3)?;
    let count = match frame.len() {
        2 => None,
        _ => Some(frame.number(2)?),
    };
    let bytes = frame.text(frame.len())?;
    restore_cells(filter.cells(), bytes, u8::from_le_bytes)?;
    if let Some(count) = count {
        filter.count.set(restored_count(count));
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
