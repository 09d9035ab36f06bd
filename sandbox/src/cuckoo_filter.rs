//! The module `cuckoo_filter`: which keys were added, with false positives; keys can be taken out again.
//!
//! Owns:    `CuckooFilter`, the functions of the module.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  eight bytes for four items, within the script's memory and `OBJECT_BYTES_MAX`; `MOVES_MAX` entries move for one key.
//! Never:   loses a key because another does not fit.

use std::cell::Cell;
use std::io::Write;

use mlua::{Lua, Value};
use xxhash_rust::xxh32::xxh32;

use crate::hashed_key::HashedKey;
use crate::lua::frame::{Answer, Frame};
use crate::lua::userdata::{Entry, Handle, Kind, function, method, register, register_kind};
use crate::objects::{Object, preserve_bytes, preserve_if_missing, restore_cells, restored_count};

/// Entries of a bucket.
const BUCKET: usize = 4;

/// Entries that make room for one key.
const MOVES_MAX: usize = 512;

/// What all hashes begin with.
const SEED: u32 = 1;

/// What a filter is; behind it stand its entries, bucket by bucket: fingerprints, or 0.
pub(crate) struct CuckooFilter {
    /// A power of two.
    buckets: u32,
    count: Cell<f64>,
    /// Chooses which entry moves.
    random: Cell<u32>,
}

impl Kind for CuckooFilter {
    const TAG: i32 = 113;
    const NAME: &'static str = "cuckoo_filter";
    type Item = u16;
}

impl Object for Handle<'_, CuckooFilter> {
    fn preserve(&self, name: &str, out: &mut Vec<u8>) -> bool {
        preserve_if_missing(name, out);
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "cuckoo_filter.new({}) end\n{name}:fromstring({}, ",
            self.cells().len(),
            self.count.get()
        );
        let bytes = self
            .cells()
            .iter()
            .flat_map(|entry| entry.get().to_le_bytes());
        preserve_bytes(bytes, out);
        out.extend_from_slice(b")\n");
        true
    }
}

const FUNCTIONS: &[Entry] = &[function(c"new", new)];

const METHODS: &[Entry] = &[
    method(c"add", add),
    method(c"query", query),
    method(c"delete", delete),
    method(c"count", count),
    method(c"clear", clear),
    method(c"fromstring", fromstring),
];

/// The module.
pub(crate) fn open(lua: &Lua) -> mlua::Result<Value> {
    register_kind::<CuckooFilter>(lua, METHODS)?;
    register(lua, FUNCTIONS).map(Value::Table)
}

fn new(frame: &mut Frame<'_>) -> Answer {
    frame.counts(1..=1)?;
    let items = frame.integer(1)?;
    if items < BUCKET as i32 {
        return Err(frame.refuse(1, "items must be > 3"));
    }
    let buckets = (items as u32 / BUCKET as u32).next_power_of_two();
    let filter = CuckooFilter {
        buckets,
        count: Cell::new(0.0),
        random: Cell::new(0x9e37_79b9),
    };
    frame.push_object(filter, buckets as usize * BUCKET, 0)?;
    Ok(1)
}

/// Where a key can be, and what stands for it there.
#[derive(Clone, Copy)]
struct Places {
    fingerprint: u16,
    first: u32,
    second: u32,
}

impl CuckooFilter {
    fn places(&self, key: &HashedKey<'_>) -> Places {
        let hash = xxh32(key.bytes(), SEED);
        let fingerprint = ((hash >> 16) as u16).max(1);
        let first = hash % self.buckets;
        Places {
            fingerprint,
            first,
            second: self.other(first, fingerprint),
        }
    }

    /// The other bucket of an entry.
    fn other(&self, bucket: u32, fingerprint: u16) -> u32 {
        let hash = xxh32(&u32::from(fingerprint).to_le_bytes(), SEED);
        // As many of the highest bits as a bucket's number has.
        bucket
            ^ hash
                .checked_shr(32 - self.buckets.trailing_zeros())
                .unwrap_or(0)
    }

    fn random(&self) -> u32 {
        // Marsaglia's xorshift; a filter behaves the same every time.
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random
    }
}

impl<'s> Handle<'s, CuckooFilter> {
    fn bucket(&self, index: u32) -> &'s [Cell<u16>] {
        &self.cells()[index as usize * BUCKET..][..BUCKET]
    }

    /// The entry of a bucket with that content.
    fn entry(&self, bucket: u32, content: u16) -> Option<&'s Cell<u16>> {
        self.bucket(bucket)
            .iter()
            .find(|entry| entry.get() == content)
    }

    fn find(&self, places: Places) -> Option<&'s Cell<u16>> {
        self.entry(places.first, places.fingerprint)
            .or_else(|| self.entry(places.second, places.fingerprint))
    }

    /// Puts an entry into a bucket that has room.
    fn put(&self, bucket: u32, fingerprint: u16) -> bool {
        self.entry(bucket, 0)
            .map(|entry| entry.set(fingerprint))
            .is_some()
    }

    fn insert(&self, places: Places) -> bool {
        if self.find(places).is_some() {
            return false;
        }
        self.put(places.first, places.fingerprint)
            || self.put(places.second, places.fingerprint)
            || self.make_room(places)
    }

    /// Moves entries to their other buckets until one is free. Where none becomes free, everything is as it was.
    fn make_room(&self, places: Places) -> bool {
        let mut fingerprint = places.fingerprint;
        let mut bucket = match self.random() & 1 {
            0 => places.second,
            _ => places.first,
        };
        let mut moved = [(0_u32, 0_u8); MOVES_MAX];
        for step in &mut moved {
            let entry = (self.random() >> 8) as usize % BUCKET;
            *step = (bucket, entry as u8);
            fingerprint = self.bucket(bucket)[entry].replace(fingerprint);
            bucket = self.other(bucket, fingerprint);
            // Where one like it is there already, the two become one: an entry more, and one less.
            if self.entry(bucket, fingerprint).is_some() {
                return false;
            }
            if self.put(bucket, fingerprint) {
                return true;
            }
        }
        for &(bucket, entry) in moved.iter().rev() {
            fingerprint = self.bucket(bucket)[entry as usize].replace(fingerprint);
        }
        false
    }
}

fn add(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(2..=2)?;
    let key = HashedKey::of(frame, 2)?;
    let added = filter.insert(filter.places(&key));
    if added {
        filter.count.set(filter.count.get() + 1.0);
    }
    frame.push_boolean(added);
    Ok(1)
}

fn query(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(2..=2)?;
    let key = HashedKey::of(frame, 2)?;
    frame.push_boolean(filter.find(filter.places(&key)).is_some());
    Ok(1)
}

fn delete(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(2..=2)?;
    let key = HashedKey::of(frame, 2)?;
    let found = filter.find(filter.places(&key));
    if let Some(entry) = found {
        entry.set(0);
        filter.count.set((filter.count.get() - 1.0).max(0.0));
    }
    frame.push_boolean(found.is_some());
    Ok(1)
}

fn count(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(1..=1)?;
    frame.push_number(filter.count.get());
    Ok(1)
}

fn clear(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(1..=1)?;
    filter.cells().iter().for_each(|entry| entry.set(0));
    filter.count.set(0.0);
    Ok(0)
}

fn fromstring(frame: &mut Frame<'_>) -> Answer {
    let filter = frame.receiver::<CuckooFilter>(3..=3)?;
    let count = frame.number(2)?;
    let bytes = frame.text(3)?;
    restore_cells(filter.cells(), bytes, u16::from_le_bytes)?;
    filter.count.set(restored_count(count));
    Ok(0)
}

#[cfg(test)]
mod tests;
