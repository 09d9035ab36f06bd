//! Ranges of code points as patterns of bytes.
//!
//! Owns:    `range`.
//! Runs on: the shard of the plugin, while its script makes patterns.            Plane: control.
//! Bounds:  a few dozen nodes.
//! Never:   lets an encoding through that is longer than it must be.

use super::set::Set;
use super::tree::Pattern;

/// The last code point.
pub(crate) const LAST: u32 = 0x10_ffff;

/// The last code point of one, two, three and four bytes.
const LAST_OF: [u32; 4] = [0x7f, 0x7ff, 0xffff, LAST];

/// A pattern that matches one encoded code point from `first` to `last`. Surrogates are code points like others.
pub(crate) fn range(first: u32, last: u32) -> Result<Pattern, String> {
    let mut all = Pattern::constant(false);
    let mut from = 0;
    for (length, &to) in (1..).zip(&LAST_OF) {
        let (low, high) = (first.max(from), last.min(to));
        if low <= high {
            all = all.or(&same_length(low, high, length)?, 0, 0)?;
        }
        from = to + 1;
    }
    Ok(all)
}

/// Code points whose encodings have the same length. Where they share the first byte, what is behind it is a range of its
/// own; otherwise the first and the last first byte may be so, and all between stand before any bytes.
fn same_length(low: u32, high: u32, length: u32) -> Result<Pattern, String> {
    let bits = 6 * (length - 1);
    let lead: u32 = match length {
        1 => 0,
        2 => 0xc0,
        3 => 0xe0,
        _ => 0xf0,
    };
    tails(low, high, bits, lead)
}

fn tails(low: u32, high: u32, bits: u32, lead: u32) -> Result<Pattern, String> {
    let mask = (1_u32 << bits) - 1;
    let head =
        |from: u32, to: u32| Pattern::set(Set::range((lead | from) as u8, (lead | to) as u8));
    let (mut first, mut last) = (low >> bits, high >> bits);
    if bits == 0 {
        return Ok(head(first, last));
    }
    // What follows a first byte, six bits a byte.
    let below = |from: u32, to: u32| tails(from, to, bits - 6, 0x80);
    if first == last {
        return head(first, first).then(&below(low & mask, high & mask)?, 0, 0);
    }
    let mut all = Pattern::constant(false);
    if low & mask != 0 {
        let part = head(first, first).then(&below(low & mask, mask)?, 0, 0)?;
        all = all.or(&part, 0, 0)?;
        first += 1;
    }
    let mut end = None;
    if high & mask != mask {
        end = Some(head(last, last).then(&below(0, high & mask)?, 0, 0)?);
        last -= 1;
    }
    if first <= last {
        let part = head(first, last).then(&below(0, mask)?, 0, 0)?;
        all = all.or(&part, 0, 0)?;
    }
    match end {
        Some(end) => all.or(&end, 0, 0),
        None => Ok(all),
    }
}
