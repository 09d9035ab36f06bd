//! The module `hyperloglog`: how many different keys were added, roughly, in twelve kilobytes.
//!
//! Owns:    `HyperLogLog`, in the dense form of Redis; the functions of the module.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  16,384 registers of six bits.
//! Never:   counts down.

use std::cell::Cell;

use mlua::{Lua, Value};

use crate::hashed_key::HashedKey;
use crate::lua::frame::{Answer, Frame};
use crate::lua::userdata::{Entry, Handle, Kind, function, method, register, register_kind};
use crate::objects::{Object, preserve_bytes, preserve_if_missing, restore_cells};

/// Bits of a hash that choose a register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u16 = (1 << REGISTER_BITS) - 1;

/// What a preserved estimator begins with.
const MAGIC: &[u8; 4] = b"HYLL";
/// Where the encoding is, and what it is.
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
/// Where the estimate is kept, eight bytes with the lowest first; the highest bit says that it is out of date.
const ESTIMATE_AT: usize = 8;
const OUTDATED: u64 = 1 << 63;
const REGISTERS_AT: usize = 16;

/// Bytes of the whole.
const BYTES: usize = REGISTERS_AT + REGISTERS * REGISTER_BITS / 8;

/// Seed of the hash.
const SEED: u64 = 0xadc8_3b19;

/// What an estimator is; behind it stand the bytes as they are preserved.
pub(crate) struct HyperLogLog;

impl Kind for HyperLogLog {
    const TAG: i32 = 114;
    const NAME: &'static str = "hyperloglog";
    type Item = u8;
}

impl Object for Handle<'_, HyperLogLog> {
    fn print(&self, out: &mut Vec<u8>) -> bool {
        out.extend(self.cells().iter().map(Cell::get));
        true
    }

    fn preserve(&self, name: &str, out: &mut Vec<u8>) -> bool {
        preserve_if_missing(name, out);
        out.extend_from_slice(b"hyperloglog.new() end\n");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b":fromstring(");
        preserve_bytes(self.cells().iter().map(Cell::get), out);
        out.extend_from_slice(b")\n");
        true
    }
}

const FUNCTIONS: &[Entry] = &[function(c"new", new)];

const METHODS: &[Entry] = &[
    method(c"add", add),
    method(c"count", count),
    method(c"merge", merge),
    method(c"clear", clear),
    method(c"fromstring", fromstring),
    method(c"__tostring", tostring),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register_kind::<HyperLogLog>(lua, METHODS)?;
    register(lua, FUNCTIONS).map(Value::Table)
}

/// Refuses another number of arguments, as this library does: at the last of them.
fn counts(frame: &Frame<'_>, arguments: i32) -> Result<(), String> {
    match frame.len() == arguments {
        true => Ok(()),
        false => Err(frame.refuse(frame.len(), "incorrect number of arguments")),
    }
}

/// The estimator that a method was called on with so many arguments, itself among them.
fn this<'s>(frame: &Frame<'s>, arguments: i32) -> Result<Handle<'s, HyperLogLog>, String> {
    counts(frame, arguments)?;
    frame.object(1)
}

fn new(frame: &mut Frame<'_>) -> Answer {
    counts(frame, 0)?;
    let estimator = frame.push_object(HyperLogLog, BYTES, 0)?;
    for (cell, &byte) in estimator.cells().iter().zip(MAGIC) {
        cell.set(byte);
    }
    estimator.cells()[ENCODING_AT].set(DENSE);
    estimator.set_estimate(OUTDATED);
    Ok(1)
}

impl Handle<'_, HyperLogLog> {
    fn estimate(&self) -> u64 {
        let bytes = &self.cells()[ESTIMATE_AT..REGISTERS_AT];
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(byte.get()))
    }

    fn set_estimate(&self, estimate: u64) {
        let bytes = &self.cells()[ESTIMATE_AT..REGISTERS_AT];
        for (cell, byte) in bytes.iter().zip(estimate.to_le_bytes()) {
            cell.set(byte);
        }
    }

    /// The two bytes that a register is in, and how far up it is in them.
    fn around(&self, index: usize) -> (u16, usize, u32) {
        let bit = index * REGISTER_BITS;
        let at = REGISTERS_AT + bit / 8;
        let low = self.cells()[at].get();
        // The last register ends with the last byte.
        let high = self.cells().get(at + 1).map_or(0, Cell::get);
        (u16::from_le_bytes([low, high]), at, (bit % 8) as u32)
    }

    fn register(&self, index: usize) -> u8 {
        let (bytes, _, shift) = self.around(index);
        (bytes >> shift & REGISTER_MAX) as u8
    }

    /// Raises a register; answers whether it was lower.
    fn raise(&self, index: usize, to: u8) -> bool {
        let (bytes, at, shift) = self.around(index);
        if (bytes >> shift & REGISTER_MAX) as u8 >= to {
            return false;
        }
        let bytes = bytes & !(REGISTER_MAX << shift) | u16::from(to) << shift;
        let [low, high] = bytes.to_le_bytes();
        self.cells()[at].set(low);
        if let Some(cell) = self.cells().get(at + 1) {
            cell.set(high);
        }
        true
    }

    fn add(&self, key: &[u8]) -> bool {
        let hash = murmur(key, SEED);
        let index = hash as usize & (REGISTERS - 1);
        // The highest bit ends what is counted.
        let zeros = ((hash | 1 << 63) >> INDEX_BITS).trailing_zeros();
        let altered = self.raise(index, zeros as u8 + 1);
        if altered {
            self.set_estimate(self.estimate() | OUTDATED);
        }
        altered
    }

    fn compute(&self) -> u64 {
        let mut zeros = 0;
        let mut sum = 0.0;
        for index in 0..REGISTERS {
            let register = self.register(index);
            zeros += u32::from(register == 0);
            sum += 1.0 / (1_u64 << register) as f64;
        }
        let m = REGISTERS as f64;
        let alpha = 0.7213 / (1.0 + 1.079 / m);
        let estimate = 1.0 / sum * alpha * m * m;
        let estimate = if estimate < m * 2.5 && zeros != 0 {
            // Counting empty registers is more exact while there are many.
            m * (m / f64::from(zeros)).ln()
        } else if estimate < 72_000.0 {
            // Redis has measured how far off the estimate is in this range.
            let bias = 5.9119e-18 * estimate.powi(4) - 1.4253e-12 * estimate.powi(3)
                + 1.2940e-7 * estimate.powi(2)
                - 5.2921e-3 * estimate
                + 83.3216;
            estimate - estimate * (bias / 100.0)
        } else {
            estimate
        };
        estimate as u64
    }
}

/// Austin Appleby's MurmurHash2 in its 64 bit form A, which Redis uses.
fn murmur(key: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (key.len() as u64).wrapping_mul(M);
    let mut eights = key.chunks_exact(8);
    for eight in &mut eights {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(eight);
        let mut part = u64::from_le_bytes(bytes).wrapping_mul(M);
        part ^= part >> R;
        hash = (hash ^ part.wrapping_mul(M)).wrapping_mul(M);
    }
    let rest = eights.remainder();
    if !rest.is_empty() {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}

fn add(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 2)?;
    let key = HashedKey::of(frame, 2)?;
    frame.push_boolean(estimator.add(key.bytes()));
    Ok(1)
}

fn count(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 1)?;
    let mut estimate = estimator.estimate();
    if estimate & OUTDATED != 0 {
        estimate = estimator.compute();
        estimator.set_estimate(estimate);
    }
    frame.push_number(estimate as f64);
    Ok(1)
}

fn merge(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 2)?;
    let other = frame.object::<HyperLogLog>(2)?;
    if !estimator.is(other) {
        for index in 0..REGISTERS {
            estimator.raise(index, other.register(index));
        }
        estimator.set_estimate(OUTDATED);
    }
    frame.push_copy(1);
    Ok(1)
}

fn clear(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 1)?;
    for cell in &estimator.cells()[REGISTERS_AT..] {
        cell.set(0);
    }
    estimator.set_estimate(OUTDATED);
    Ok(0)
}

fn fromstring(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 2)?;
    let bytes = frame.text(2)?;
    if bytes.len() == BYTES {
        if !bytes.starts_with(MAGIC) {
            return Err("fromstring() HYLL header not found".into());
        }
        if bytes[ENCODING_AT] != DENSE {
            return Err("fromstring() invalid encoding".into());
        }
    }
    restore_cells(estimator.cells(), bytes, u8::from_le_bytes)?;
    Ok(0)
}

fn tostring(frame: &mut Frame<'_>) -> Answer {
    let estimator = this(frame, 1)?;
    let bytes: Vec<u8> = estimator.cells().iter().map(Cell::get).collect();
    frame.push_text(&bytes);
    Ok(1)
}

#[cfg(test)]
mod tests;
