//! What a script complains about, told once in a while.
//!
//! Owns:    `Last`: the last complaint, and how often there was one.
//! Runs on: where the script runs.            Plane: data.
//! Bounds:  `TEXT_BYTES` of text; its memory is used again.
//! Never:   allocates for each message, or tells of each.

use engine::limits::REMARKS_INTERVAL;

/// Longest text that is kept, bytes.
const TEXT_BYTES: usize = 500;

/// The last complaint of a script.
#[derive(Debug, Default)]
pub(crate) struct Last {
    text: String,
    /// Complaints since that was told last.
    count: u64,
    /// When it may be told again.
    due: i64,
}

impl Last {
    /// Notes a complaint that is made of parts.
    pub(crate) fn note(&mut self, parts: &[&[u8]]) {
        self.count += 1;
        self.set(parts);
    }

    /// Notes that the last complaint holds once more.
    pub(crate) fn count(&mut self) {
        self.count += 1;
    }

    /// Sets the text without counting.
    pub(crate) fn set(&mut self, parts: &[&[u8]]) {
        self.text.clear();
        for part in parts {
            let room = TEXT_BYTES - self.text.len().min(TEXT_BYTES);
            for chunk in part[..part.len().min(room)].utf8_chunks() {
                self.text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        self.text
            .truncate(self.text.floor_char_boundary(TEXT_BYTES));
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The complaints since the last call, if there were any and it is time: the text of the last one, and how many.
    pub(crate) fn take(&mut self, now: i64) -> Option<(&str, u64)> {
        if self.count == 0 || now < self.due {
            return None;
        }
        self.due = now + REMARKS_INTERVAL;
        self.take_now()
    }

    /// As `take`, whatever the time.
    pub(crate) fn take_now(&mut self) -> Option<(&str, u64)> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then_some((self.text.as_str(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_gathered_and_told_once_in_a_while() {
        let mut last = Last::default();
        assert_eq!(last.take(5), None);
        last.note(&[b"a"]);
        assert_eq!(last.take(5), Some(("a", 1)));
        last.note(&[b"b"]);
        last.note(&[b"c", b"\xffd"]);
        assert_eq!(last.take(6), None);
        assert_eq!(last.take(5 + REMARKS_INTERVAL), Some(("c\u{fffd}d", 2)));
        assert_eq!(last.take_now(), None);
    }

    #[test]
    fn texts_are_cut_where_a_character_ends() {
        let mut last = Last::default();
        last.note(&[b"x", "\u{e4}".repeat(TEXT_BYTES).as_bytes()]);
        assert!(last.text().len() <= TEXT_BYTES);
        assert!(last.text().starts_with("x\u{e4}"));
        last.note(&[&[0xff; 4 * TEXT_BYTES]]);
        assert!(last.text().len() <= TEXT_BYTES);
    }
}
