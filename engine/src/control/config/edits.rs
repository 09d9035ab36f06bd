//! A text with replaced pieces, and the way back from its positions to those of the text as written.
//!
//! Owns:    `Edited`, `Editor`.
//! Runs on: build time.            Plane: control.
//! Bounds:  one entry a replacement.
//! Never:   loses a position: inside a replacement every position is the whole of what was replaced.

use std::ops::Range;

/// A text after replacements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edited {
    /// The text after them.
    pub(crate) text: String,
    /// In ascending order: where a replacement stands now, and what it stands for.
    replaced: Vec<(Range<usize>, Range<usize>)>,
}

impl Edited {
    /// The range of the text as written that a range of `self.text` comes from.
    pub(crate) fn written(&self, range: Range<usize>) -> Range<usize> {
        let start = self.position(range.start, true);
        let end = self.position(range.end, false);
        start..end.max(start)
    }

    fn position(&self, at: usize, is_start: bool) -> usize {
        let before = self.replaced.partition_point(|(now, _)| now.start < at);
        let Some((now, was)) = before.checked_sub(1).map(|last| &self.replaced[last]) else {
            return at;
        };
        match (at < now.end, is_start) {
            (true, true) => was.start,
            (true, false) => was.end,
            (false, _) => was.end + (at - now.end),
        }
    }
}

/// Makes an `Edited` from front to back.
#[derive(Debug)]
pub(crate) struct Editor<'a> {
    source: &'a str,
    copied: usize,
    edited: Edited,
}

impl<'a> Editor<'a> {
    /// For this text.
    pub(crate) fn new(source: &'a str) -> Self {
        let text = String::with_capacity(source.len());
        Editor {
            source,
            copied: 0,
            edited: Edited {
                text,
                replaced: Vec::new(),
            },
        }
    }

    /// Replaces a range that lies behind all those before.
    pub(crate) fn replace(&mut self, range: Range<usize>, with: &str) {
        assert!(
            self.copied <= range.start && range.start <= range.end,
            "replacements go from front to back"
        );
        self.edited
            .text
            .push_str(&self.source[self.copied..range.start]);
        let start = self.edited.text.len();
        self.edited.text.push_str(with);
        self.copied = range.end;
        self.edited
            .replaced
            .push((start..self.edited.text.len(), range));
    }

    /// The result.
    pub(crate) fn finish(mut self) -> Edited {
        self.edited.text.push_str(&self.source[self.copied..]);
        self.edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back() {
        //          0123456789
        let mut editor = Editor::new("ab%X%cd%Y%");
        editor.replace(2..5, "12345");
        editor.replace(7..10, "");
        let edited = editor.finish();
        assert_eq!(edited.text, "ab12345cd");
        assert_eq!(edited.written(0..2), 0..2);
        assert_eq!(edited.written(3..5), 2..5, "inside a replacement");
        assert_eq!(edited.written(2..7), 2..5, "all of it");
        assert_eq!(edited.written(1..8), 1..6, "across");
        assert_eq!(edited.written(7..9), 5..7, "behind it");
        assert_eq!(
            edited.written(9..9),
            7..7,
            "an empty one begins where it stood"
        );
    }
}
