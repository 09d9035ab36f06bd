//! Which of many literals stand in a text: one test of a bit for each byte of it.
//!
//! Owns:    `Windows`, a filter over a few bytes of each literal, and the check of what passes it; an automaton where literals are too alike.
//! Runs on: build time (making) and every shard (searching).            Plane: data.
//! Bounds:  `BITS_MAX` bits; what passes the filter by chance is compared and dropped.
//! Never:   misses a literal, in whichever case it is written.
//!
//! Of each literal the rarest `WINDOW` bytes are taken, those that no other literal has if possible. Their hash sets a bit. A
//! search hashes the bytes at each place of the text; there is no chain from one place to the next as in an automaton, so the processor
//! works on several places at once. The idea is that of Rabin and Karp (1987), with a bit set in place of rolling sums.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

/// Bytes of a literal that are hashed; none is shorter.
const WINDOW: usize = 3;

/// Bits for each literal: few places of a text pass by chance.
const BITS_PER_LITERAL: usize = 256;

const BITS_MIN: usize = 1 << 13;
const BITS_MAX: usize = 1 << 21;

/// Literals with one hash beyond which an automaton takes over: it does not mind how alike they are.
const ALIKE_MAX: usize = 12;

/// Finds literals in the way that suits them.
#[derive(Debug)]
pub(crate) enum Literals {
    Windows(Windows),
    Automaton(AhoCorasick),
}

impl Literals {
    /// Finds these literals, lower case, none shorter than `WINDOW`.
    pub(crate) fn new(texts: &[&Vec<u8>]) -> Literals {
        let windows = Windows::new(texts.iter().copied());
        if windows.most_alike() <= ALIKE_MAX {
            return Literals::Windows(windows);
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(texts);
        automaton.map_or(Literals::Windows(windows), Literals::Automaton)
    }

    /// Calls `found` with the number of each literal that stands in the text, in whichever case, possibly more than once.
    #[inline]
    pub(crate) fn search(&self, text: &[u8], mut found: impl FnMut(u32)) {
        match self {
            Literals::Windows(windows) => windows.search(text, found),
            Literals::Automaton(automaton) => {
                for place in automaton.find_overlapping_iter(text) {
                    found(place.pattern().as_u32());
                }
            }
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Literals::Windows(windows) => windows.bytes(),
            Literals::Automaton(automaton) => automaton.memory_usage(),
        }
    }
}

/// A literal, and where in it its window stands.
#[derive(Debug)]
struct Literal {
    text: Box<[u8]>,
    at: usize,
}

/// The literals of a scan.
#[derive(Debug)]
pub(crate) struct Windows {
    bits: Vec<u64>,
    shift: u32,
    literals: Vec<Literal>,
    /// Literals by the hash of their window: where those of each hash begin in `numbers`, as a table by the hash's upper bits.
    starts: Vec<u32>,
    numbers: Vec<u32>,
    table_shift: u32,
}

/// Lower case for letters; other bytes may become the same as others, here as in the text.
const FOLD: u32 = 0x0020_2020;

#[inline]
fn hash(window: u32) -> u32 {
    (window | FOLD).wrapping_mul(0x9e37_79b1)
}

#[inline]
fn window_at(text: &[u8], at: usize) -> u32 {
    u32::from(text[at]) | u32::from(text[at + 1]) << 8 | u32::from(text[at + 2]) << 16
}

/// How common a byte is in logs, roughly.
fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b' ' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 8,
        b'l' | b'd' | b'c' | b'u' | b'm' | b'p' | b'0' | b'1' | b'/' | b'.' | b'=' => 5,
        b'a'..=b'z' | b'2'..=b'9' | b':' | b'-' | b'"' => 3,
        _ => 1,
    }
}

impl Windows {
    /// A filter for these literals, lower case, none shorter than `WINDOW`.
    fn new<'a>(texts: impl Iterator<Item = &'a Vec<u8>> + Clone) -> Windows {
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for text in texts.clone() {
            for at in 0..=text.len() - WINDOW {
                *shared.entry(hash(window_at(text, at))).or_insert(0) += 1;
            }
        }
        let literals: Vec<Literal> = texts
            .map(|text| {
                let rarity = |at: &usize| {
                    let bytes = &text[*at..at + WINDOW];
                    let common: u32 = bytes.iter().map(|byte| commonness(*byte)).sum();
                    (shared[&hash(window_at(text, *at))], common)
                };
                Literal {
                    at: (0..=text.len() - WINDOW).min_by_key(rarity).unwrap_or(0),
                    text: text.as_slice().into(),
                }
            })
            .collect();
        let bits = (literals.len() * BITS_PER_LITERAL)
            .next_power_of_two()
            .clamp(BITS_MIN, BITS_MAX);
        let slots = literals.len().next_power_of_two().max(2);
        let mut windows = Windows {
            bits: vec![0; bits / 64],
            shift: 32 - bits.ilog2(),
            literals,
            starts: Vec::new(),
            numbers: Vec::new(),
            table_shift: 32 - slots.ilog2(),
        };
        windows.fill(slots);
        windows
    }

    fn fill(&mut self, slots: usize) {
        let mut by_slot: Vec<Vec<u32>> = vec![Vec::new(); slots];
        for (number, literal) in self.literals.iter().enumerate() {
            let hash = hash(window_at(&literal.text, literal.at));
            let bit = hash >> self.shift;
            self.bits[bit as usize / 64] |= 1 << (bit % 64);
            by_slot[(hash >> self.table_shift) as usize].push(number as u32);
        }
        self.starts.push(0);
        for numbers in by_slot {
            self.numbers.extend(numbers);
            self.starts.push(self.numbers.len() as u32);
        }
    }

    /// Most literals that are compared where one hash is found.
    fn most_alike(&self) -> usize {
        let lists = self
            .starts
            .windows(2)
            .map(|ends| (ends[1] - ends[0]) as usize);
        lists.max().unwrap_or(0)
    }

    #[inline]
    fn search(&self, text: &[u8], mut found: impl FnMut(u32)) {
        // One load of four bytes, the last of them not looked at, is cheaper than three.
        for (at, four) in text.windows(WINDOW + 1).enumerate() {
            let four: [u8; WINDOW + 1] = four.try_into().unwrap_or_default();
            let hash = hash(u32::from_le_bytes(four) & 0x00ff_ffff);
            if self.may_be(hash) {
                self.check(text, at, hash, &mut found);
            }
        }
        if let Some(at) = text.len().checked_sub(WINDOW) {
            let hash = hash(window_at(text, at));
            if self.may_be(hash) {
                self.check(text, at, hash, &mut found);
            }
        }
    }

    #[inline]
    fn may_be(&self, hash: u32) -> bool {
        let bit = hash >> self.shift;
        self.bits[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// Compares the literals whose window has this hash.
    #[inline(never)]
    fn check(&self, text: &[u8], at: usize, hash: u32, found: &mut impl FnMut(u32)) {
        let slot = (hash >> self.table_shift) as usize;
        for &number in &self.numbers[self.starts[slot] as usize..self.starts[slot + 1] as usize] {
            let literal = &self.literals[number as usize];
            let stands = at
                .checked_sub(literal.at)
                .and_then(|start| text.get(start..start + literal.text.len()))
                .is_some_and(|place| place.eq_ignore_ascii_case(&literal.text));
            if stands {
                found(number);
            }
        }
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.literals.iter().map(|literal| literal.text.len()).sum();
        self.bits.len() * 8
            + (self.starts.len() + self.numbers.len()) * 4
            + self.literals.len() * size_of::<Literal>()
            + texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_stands_there_and_nothing_else() {
        let mut texts: Vec<Vec<u8>> = (0..300)
            .map(|number| format!("user u{number} ").into_bytes())
            .collect();
        texts.extend([
            b"abc".to_vec(),
            b"error".to_vec(),
            "f\u{e9}e".as_bytes().to_vec(),
        ]);
        let windows = Windows::new(texts.iter());
        let mut random = 7u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        for _ in 0..500 {
            let mut text = Vec::new();
            while text.len() < 60 {
                match next(4) {
                    0 => text.extend_from_slice(&texts[next(303) as usize]),
                    1 => text.extend(texts[next(303) as usize].to_ascii_uppercase()),
                    _ => text.push(next(256) as u8),
                }
            }
            let mut found = Vec::new();
            windows.search(&text, |number| found.push(number));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<u32> = (0..texts.len() as u32)
                .filter(|&number| {
                    let literal = &texts[number as usize];
                    text.windows(literal.len())
                        .any(|place| place.eq_ignore_ascii_case(literal))
                })
                .collect();
            assert_eq!(found, expected, "{}", text.escape_ascii());
        }
        windows.search(b"ab", |_| panic!("shorter than any literal"));
    }

    #[test]
    fn literals_that_are_alike_are_found_by_an_automaton() {
        let texts: Vec<Vec<u8>> = (0..256u32)
            .map(|number| format!("{number:08b}").into_bytes())
            .collect();
        let literals = Literals::new(&texts.iter().collect::<Vec<_>>());
        assert!(matches!(literals, Literals::Automaton(_)));
        let mut found = Vec::new();
        literals.search(b"xx0001000111", |number| found.push(number));
        assert_eq!(found, [0b0001_0001, 0b0010_0011, 0b0100_0111]);
    }
}
