//! Rust text without what is not code, and words in it.
//!
//! Owns:    `mask`, `words_at`, `functions`.
//! Runs on: tests.            Plane: control.
//! Bounds:  one pass over a file.
//! Never:   understands the language beyond comments, strings, characters, brackets and names.

/// The text with comments, strings and characters blanked; line breaks stay where they are.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if !follows_name(bytes, at) => raw_string_end(bytes, at),
            b'\'' => character_end(bytes, at),
            _ => at,
        };
        if end == at {
            out.push(if bytes[at].is_ascii() {
                bytes[at]
            } else {
                b' '
            });
            at += 1;
        }
        while at < end {
            out.push(if bytes[at] == b'\n' { b'\n' } else { b' ' });
            at += 1;
        }
    }
    String::from_utf8(out).expect("only ASCII was written")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..]
        .windows(what.len())
        .position(|window| window == what)
        .map(|at| from + at)
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a raw string that begins here, or `start` if none does.
fn raw_string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    if bytes[at] != b'r' {
        at += 1;
    }
    if bytes.get(at) != Some(&b'r') {
        return start;
    }
    at += 1;
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    at += hashes;
    if bytes.get(at) != Some(&b'"') {
        return start;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    find(bytes, at + 1, &close).map_or(bytes.len(), |end| end + close.len())
}

/// The end of a character that begins here, or `start` if this is a lifetime.
fn character_end(bytes: &[u8], start: usize) -> usize {
    match bytes.get(start + 1) {
        Some(b'\\') => find(bytes, start + 3, b"'").map_or(bytes.len(), |end| end + 1),
        Some(&first) => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            let end = start + 1 + width;
            if bytes.get(end) == Some(&b'\'') {
                end + 1
            } else {
                start
            }
        }
        None => start,
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn follows_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_name(bytes[at - 1])
}

/// Where a word stands in a line, not as a part of a longer name.
pub(crate) fn words_at<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = line.as_bytes();
    line.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let end = at + word.len();
            let begins = !is_name(word.as_bytes()[0]) || !follows_name(bytes, at);
            let last = word.as_bytes()[word.len() - 1];
            let ends = !is_name(last) || bytes.get(end).is_none_or(|&byte| !is_name(byte));
            begins && ends
        })
}

/// The name that a text begins with; empty if it begins with none.
pub(crate) fn name_of(text: &str) -> &str {
    let len = text.bytes().take_while(|&byte| is_name(byte)).count();
    &text[..len]
}

/// A function: its name, its first line, and how many lines it has.
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The functions with a body in masked code.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for start in words_at(code, "fn") {
        let name = name_of(code[start + 2..].trim_start());
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(code.as_bytes(), start) {
            let count = |text: &str| text.bytes().filter(|&byte| byte == b'\n').count();
            found.push(Function {
                name,
                line: count(&code[..start]) + 1,
                lines: count(&code[start..end]) + 1,
            });
        }
    }
    found
}

/// The end of the body of the function that begins here; `None` if it has none.
fn body_end(code: &[u8], start: usize) -> Option<usize> {
    let (mut brackets, mut braces) = (0, 0);
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets -= 1,
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn what_is_not_code_is_blank() {
    let text = "let a = \"unsafe\\\" {\"; // fn x() {\nlet c = '{'; let l: &'a str = r#\"}\"}\"#;\n/* a /* b */ { */ let é = b'\\'';";
    let code = mask(text);
    assert_eq!(code.lines().count(), 3);
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "let a = ; let c = ; let l: &'a str = ; let = b ;"
    );
}

#[test]
fn functions_end_where_their_body_does() {
    let code = mask(
        "trait T { fn a(x: [u8; 2]); }\nfn b()\nwhere\n  X: Y,\n{\n  '}';\n}\nlet f: fn(u8);\nfn c() { fn d() {\n} }",
    );
    let found: Vec<_> = functions(&code)
        .into_iter()
        .map(|function| (function.name, function.line, function.lines))
        .map(|(name, line, lines)| (name.to_owned(), line, lines))
        .collect();
    let expected = [("b", 2, 6), ("c", 9, 2), ("d", 9, 2)]
        .map(|(name, line, lines)| (name.to_owned(), line, lines));
    assert_eq!(found, expected);
}

#[test]
fn words_are_whole() {
    assert_eq!(
        words_at("unsafe_code unsafe", "unsafe").collect::<Vec<_>>(),
        [12]
    );
    assert_eq!(words_at("a::std::fs x", "std::fs").count(), 1);
}
