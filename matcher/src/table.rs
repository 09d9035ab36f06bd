//! Lookup of a text among many: one hash, one place in memory where the text is short.
//!
//! Owns:    `TextTable`.
//! Runs on: build time (making) and every shard (lookups).            Plane: data.
//! Bounds:  at most half full; what is looked up cannot make it grow or degrade, its texts are fixed.
//! Never:   hashes a text where its length, modulo 64, is that of no text of the table.

use crate::predicate::Text;

/// Longest text that stands in its slot.
const INLINE_BYTES: usize = 16;

/// Length that marks a free slot.
const FREE: u32 = u32::MAX;

/// A slot: a text and what it stands for.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The text, or its hash and where it stands in the pool.
    words: [u64; 2],
    len: u32,
    target: u32,
}

/// Texts and what they stand for.
#[derive(Debug)]
pub(crate) struct TextTable {
    slots: Vec<Slot>,
    /// One bit for each length, modulo 64, that a text has.
    lengths: u64,
    /// The same for people.
    entries: Box<[(Text, u32)]>,
}

impl TextTable {
    /// A table of these texts of the pool, each one once.
    pub(crate) fn new(pool: &[u8], entries: &[(Text, u32)]) -> TextTable {
        let free = Slot {
            words: [0; 2],
            len: FREE,
            target: 0,
        };
        let mut table = TextTable {
            slots: vec![free; (entries.len() * 2).next_power_of_two()],
            lengths: 0,
            entries: entries.into(),
        };
        for &(text, target) in entries {
            let bytes = &pool[text.start as usize..][..text.len as usize];
            table.lengths |= 1 << (text.len & 63);
            let (words, hash) = words_of(bytes);
            let words = if bytes.len() > INLINE_BYTES {
                [hash, u64::from(text.start)]
            } else {
                words
            };
            let mut at = table.first_slot(hash);
            while table.slots[at].len != FREE {
                at = (at + 1) & (table.slots.len() - 1);
            }
            table.slots[at] = Slot {
                words,
                len: text.len,
                target,
            };
        }
        table
    }

    #[inline]
    fn first_slot(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.slots.len() - 1)
    }

    /// What a text stands for.
    #[inline]
    pub(crate) fn get(&self, pool: &[u8], text: &[u8]) -> Option<u32> {
        if self.lengths >> (text.len() & 63) & 1 == 0 {
            return None;
        }
        let (words, hash) = words_of(text);
        let mut at = self.first_slot(hash);
        loop {
            let slot = &self.slots[at];
            if slot.len == FREE {
                return None;
            }
            let same = if text.len() > INLINE_BYTES {
                slot.words[0] == hash
                    && slot.len as usize == text.len()
                    && &pool[slot.words[1] as usize..][..text.len()] == text
            } else {
                slot.words == words && slot.len as usize == text.len()
            };
            if same {
                return Some(slot.target);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// All texts and what they stand for.
    pub(crate) fn entries(&self) -> &[(Text, u32)] {
        &self.entries
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + size_of_val(&*self.entries)
    }
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    u64::from(word)
}

/// Mixes two words into one by a multiplication whose halves are folded together.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
    product as u64 ^ (product >> 64) as u64
}

/// Two words that tell texts of one length up to 16 bytes apart, and a hash of the whole text.
#[inline]
fn words_of(text: &[u8]) -> ([u64; 2], u64) {
    let len = text.len();
    let words = match len {
        0 => [0, 0],
        1..=3 => {
            let (first, middle, last) = (text[0], text[len / 2], text[len - 1]);
            [
                u64::from(first) << 16 | u64::from(middle) << 8 | u64::from(last),
                0,
            ]
        }
        4..=7 => [u32_at(text, 0), u32_at(text, len - 4)],
        _ => [u64_at(text, 0), u64_at(text, len - 8)],
    };
    let mut hash = mix(words[0], words[1] ^ (len as u64) << 56);
    if len > INLINE_BYTES {
        for chunk in text[8..len - 8].chunks(8) {
            let word = if chunk.len() == 8 {
                u64_at(chunk, 0)
            } else {
                chunk
                    .iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte))
            };
            hash = mix(hash, word);
        }
    }
    (words, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_found_and_no_other() {
        let mut pool = Vec::new();
        let mut entries = Vec::new();
        let long = "x".repeat(70);
        let mut texts: Vec<String> = (0..500).map(|number| format!("t{number}")).collect();
        texts.extend(
            (0..80).map(|len| long[..len.min(70)].to_owned() + if len > 70 { "y" } else { "" }),
        );
        texts
            .extend((0..40).map(|number| format!("a rather long text with number {number} in it")));
        texts.sort_unstable();
        texts.dedup();
        for (number, text) in texts.iter().enumerate() {
            let start = pool.len() as u32;
            pool.extend_from_slice(text.as_bytes());
            let text = Text {
                start,
                len: text.len() as u32,
            };
            entries.push((text, number as u32));
        }
        let table = TextTable::new(&pool, &entries);
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(
                table.get(&pool, text.as_bytes()),
                Some(number as u32),
                "{text}"
            );
            let other = format!("{text}!");
            assert_eq!(table.get(&pool, other.as_bytes()), None, "{other}");
        }
        assert_eq!(TextTable::new(&[], &[]).get(&[], b""), None);
    }
}
