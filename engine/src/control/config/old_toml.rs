//! What Heka's TOML reader took and TOML 1 refuses: bare names such as `[tcp:5565]` and `Url|uri =`, and `\/` in strings.
//!
//! Owns:    the rewriting of them before the text is parsed.
//! Runs on: build time.            Plane: control.
//! Bounds:  one pass, no recursion.
//! Never:   changes a text that TOML 1 takes, or one that neither takes.

use super::edits::{Edited, Editor};

/// Quotes old bare names, and turns `\/` within basic strings into `/`.
pub(crate) fn modernise(source: &str) -> Edited {
    let mut scan = Scan {
        source,
        at: 0,
        editor: Editor::new(source),
    };
    while scan.at < source.len() {
        scan.line();
    }
    scan.editor.finish()
}

/// Whether a name needs quotes in TOML 1, and is one once it has them.
fn is_odd(name: &str) -> bool {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let hopeless = |byte: u8| b"\"'\\#[]{},".contains(&byte) || byte < b' ';
    name.bytes().any(|byte| !bare(byte)) && !name.bytes().any(hopeless)
}

struct Scan<'a> {
    source: &'a str,
    at: usize,
    editor: Editor<'a>,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// One line with everything that its value spans.
    fn line(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
        match self.peek() {
            None => {}
            Some(b'#') => self.skip_line(),
            Some(b'[') => {
                self.header();
                self.skip_line();
            }
            Some(b'"' | b'\'') => self.value(),
            Some(_) => {
                self.key();
                self.value();
            }
        }
    }

    /// The names of a section's header, which dots separate.
    fn header(&mut self) {
        let line = &self.rest()[..self.rest().find('\n').unwrap_or(self.rest().len())];
        let Some(end) = line.find(']') else {
            return;
        };
        let mut at = self.at + 1;
        let names = line[1..end].to_owned();
        for part in names.split('.') {
            let name = part.trim();
            if is_odd(name) {
                let start = at + (part.len() - part.trim_start().len());
                self.editor
                    .replace(start..start + name.len(), &format!("\"{name}\""));
            }
            at += part.len() + 1;
        }
    }

    fn key(&mut self) {
        let line = &self.rest()[..self.rest().find('\n').unwrap_or(self.rest().len())];
        let Some(length) = line.find('=') else {
            return;
        };
        let key = line[..length].trim_end();
        if is_odd(key) && !key.contains([' ', '\t']) {
            let quoted = format!("\"{key}\"");
            self.editor.replace(self.at..self.at + key.len(), &quoted);
        }
        self.at += length;
    }

    /// The rest of the line, and further ones while a bracket or a long string is open.
    fn value(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if depth == 0 => return,
                b'#' => {
                    self.skip_line();
                    continue;
                }
                b'"' | b'\'' => {
                    self.string(byte);
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn string(&mut self, quote: u8) {
        let long = self.source.as_bytes()[self.at..].starts_with(&[quote; 3]);
        self.at += if long { 3 } else { 1 };
        while let Some(byte) = self.peek() {
            if byte == b'\\' && quote == b'"' {
                if self.rest().as_bytes().get(1) == Some(&b'/') {
                    self.editor.replace(self.at..self.at + 2, "/");
                }
                self.at += 2;
            } else if byte == quote && !long {
                self.at += 1;
                return;
            } else if byte == quote && self.rest().as_bytes().starts_with(&[quote; 3]) {
                self.at += 3;
                return;
            } else if byte == b'\n' && !long {
                return;
            } else {
                self.at += 1;
            }
        }
        self.at = self.at.min(self.source.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_are_quoted() {
        let old = "[x.message_fields]\nUrl|uri = \"%Url%\"\n  RequestSize|B= 'a=b|c' # d|e = 1\nplain = 1\n\"q|r\" = 2\n";
        let new = "[x.message_fields]\n\"Url|uri\" = \"%Url%\"\n  \"RequestSize|B\"= 'a=b|c' # d|e = 1\nplain = 1\n\"q|r\" = 2\n";
        assert_eq!(modernise(old).text, new);
    }

    #[test]
    fn old_headers_are_quoted() {
        for (old, new) in [
            ("[tcp:5565]\n", "[\"tcp:5565\"]\n"),
            (
                "[ tcp:5565 . signer.a_0] # [x:y]\n",
                "[ \"tcp:5565\" . signer.a_0] # [x:y]\n",
            ),
            ("[my plugin]", "[\"my plugin\"]"),
            ("[\"a:b\".c]", "[\"a:b\".c]"),
            ("[[a:b]]", "[[a:b]]"),
            ("[a:b", "[a:b"),
        ] {
            assert_eq!(modernise(old).text, new);
        }
    }

    #[test]
    fn slashes_need_no_escape() {
        let old = r#"m = "Type =~ /a\/b\\/" + '\/'"#;
        assert_eq!(modernise(old).text, r#"m = "Type =~ /a/b\\/" + '\/'"#);
    }

    #[test]
    fn what_spans_lines_is_left_alone() {
        for text in [
            "a = '''\nb|c = 1\n'''\n",
            "a = \"\"\"\nb|c = \\\"\"\"\"\n",
            "a = [\n 'x|y = 1', # ]\n b|c = 2,\n]\n",
            "a b|c = 1\n",
            "no equals sign | here\nx = \"unterminated\ny = 1",
        ] {
            assert_eq!(modernise(text).text, text);
        }
    }
}
