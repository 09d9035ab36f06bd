//! Formats of access logs, as far as the fast path knows them.
//!
//! Owns:    `Part`, `Format`, and the variables that are known.
//! Runs on: the shard of the plugin, when its sandbox is made.            Plane: control.
//! Bounds:  `FIELDS_MAX` fields.
//! Never:   guesses: a format with anything else in it is the script's.

/// Fields of a format.
pub(super) const FIELDS_MAX: usize = 16;

/// What follows next in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One blank or more.
    Blank,
    /// Exactly this byte.
    Byte(u8),
    /// A time as `10/Oct/2000:13:55:36 -0700`.
    Time,
    /// A value, and the number of its field; `None` where a later one of the same name takes its place.
    Value(What, Option<u8>),
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An address or a name of a host.
    Host,
    /// All up to the next blank.
    Word,
    /// All up to the next quote, but for what a backslash stands before.
    Quoted,
    /// Digits.
    Number,
    /// Three digits.
    Status,
    /// Digits, which count bytes.
    Bytes,
    /// The same, or `-`, which is 0.
    BytesOrNone,
}

/// A format that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) parts: Vec<Part>,
    /// Names of the fields.
    pub(super) names: Vec<String>,
}

/// What a variable of a server's format stands for.
enum Variable {
    Time,
    /// The time in brackets.
    BracketedTime,
    Free(String),
    Known(&'static str, What),
}

/// What a format is made of: text is one byte.
enum Item {
    Blank,
    Byte(u8),
    Variable(Variable),
}

impl Format {
    /// Nginx's `log_format`.
    pub(super) fn nginx(text: &str) -> Option<Format> {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            if let Some(name) = rest.strip_prefix('$') {
                let len = name.bytes().take_while(|&one| is_word(one)).count();
                items.push(Item::Variable(nginx_variable(&name[..len])?));
                rest = &name[len..];
            } else {
                rest = literal(first, rest, &mut items)?;
            }
        }
        Format::of(&items)
    }

    /// Apache's `LogFormat`.
    pub(super) fn apache(text: &str) -> Option<Format> {
        let mut items = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            if let Some(directive) = rest.strip_prefix('%') {
                let (variable, behind) = apache_variable(directive)?;
                items.push(Item::Variable(variable));
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("\\\"") {
                items.push(Item::Byte(b'"'));
                rest = behind;
            } else if first == b'\\' {
                return None;
            } else {
                rest = literal(first, rest, &mut items)?;
            }
        }
        Format::of(&items)
    }

    fn of(items: &[Item]) -> Option<Format> {
        let mut format = Format {
            parts: Vec::new(),
            names: Vec::new(),
        };
        let mut times = 0;
        for (at, item) in items.iter().enumerate() {
            let variable = match item {
                Item::Blank => {
                    format.parts.push(Part::Blank);
                    continue;
                }
                Item::Byte(byte) => {
                    format.parts.push(Part::Byte(*byte));
                    continue;
                }
                Item::Variable(variable) => variable,
            };
            match variable {
                Variable::Time => format.parts.push(Part::Time),
                Variable::BracketedTime => {
                    let parts = [Part::Byte(b'['), Part::Time, Part::Byte(b']')];
                    format.parts.extend(parts);
                }
                Variable::Known(name, what) => format.value(name, *what)?,
                Variable::Free(name) => format.value(name, free(items.get(at + 1))?)?,
            }
            if matches!(variable, Variable::Time | Variable::BracketedTime) {
                times += 1;
            }
        }
        // Without a time it would be that of the call.
        (times == 1).then_some(format)
    }

    fn value(&mut self, name: &str, what: What) -> Option<()> {
        let field = match self.names.iter().position(|known| known == name) {
            Some(field) => {
                for part in &mut self.parts {
                    if let Part::Value(_, before) = part
                        && *before == Some(field as u8)
                    {
                        *before = None;
                    }
                }
                field
            }
            None if self.names.len() == FIELDS_MAX => return None,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        };
        self.parts.push(Part::Value(what, Some(field as u8)));
        Some(())
    }
}

/// How far free text goes, by what follows it.
fn free(next: Option<&Item>) -> Option<What> {
    match next {
        Some(Item::Blank) => Some(What::Word),
        Some(Item::Byte(b'"')) => Some(What::Quoted),
        _ => None,
    }
}

/// Blanks, or a byte of text. Answers what is left.
fn literal<'a>(first: u8, rest: &'a str, items: &mut Vec<Item>) -> Option<&'a str> {
    if is_blank(first) {
        items.push(Item::Blank);
        return Some(rest.trim_start_matches(|one: char| one.is_ascii() && is_blank(one as u8)));
    }
    if !first.is_ascii() {
        return None;
    }
    items.push(Item::Byte(first));
    Some(&rest[1..])
}

fn nginx_variable(name: &str) -> Option<Variable> {
    let known = |name, what| Some(Variable::Known(name, what));
    match name {
        "time_local" => Some(Variable::Time),
        "remote_addr" => known("remote_addr", What::Host),
        "host" => known("host", What::Host),
        "server_name" => known("server_name", What::Host),
        "server_port" => known("server_port", What::Number),
        "status" => known("status", What::Status),
        "body_bytes_sent" => known("body_bytes_sent", What::Bytes),
        "bytes_sent" => known("bytes_sent", What::Bytes),
        "request_length" => known("request_length", What::Bytes),
        "remote_user" | "request" | "request_uri" => Some(Variable::Free(name.to_owned())),
        _ if name.starts_with("http_") => Some(Variable::Free(name.to_owned())),
        _ => None,
    }
}

/// The variable behind `%`, and what follows it.
fn apache_variable(directive: &str) -> Option<(Variable, &str)> {
    if let Some(argument) = directive.strip_prefix('{') {
        let (header, behind) = argument.split_once('}')?;
        let is_name = |one: u8| one.is_ascii_alphanumeric() || one == b'-';
        if header.is_empty() || !header.bytes().all(is_name) {
            return None;
        }
        let name = format!("http_{}", header.to_ascii_lowercase().replace('-', "_"));
        return Some((Variable::Free(name), behind.strip_prefix('i')?));
    }
    let directive = directive.strip_prefix('>').unwrap_or(directive);
    let (name, what) = match directive.bytes().next()? {
        b't' => return Some((Variable::BracketedTime, &directive[1..])),
        b'l' | b'u' => return Some((Variable::Free("remote_user".to_owned()), &directive[1..])),
        b'r' => return Some((Variable::Free("request".to_owned()), &directive[1..])),
        b'a' | b'h' => ("remote_addr", What::Host),
        b'v' | b'V' => ("server_name", What::Host),
        b'p' => ("server_port", What::Number),
        b's' => ("status", What::Status),
        b'b' => ("body_bytes_sent", What::BytesOrNone),
        b'B' => ("body_bytes_sent", What::Bytes),
        b'O' => ("response_length", What::Bytes),
        _ => return None,
    };
    Some((Variable::Known(name, what), &directive[1..]))
}

fn is_word(one: u8) -> bool {
    one.is_ascii_alphanumeric() || one == b'_'
}

/// As `isspace` in C.
pub(super) fn is_blank(one: u8) -> bool {
    matches!(one, b'\t'..=b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_formats_are_known() {
        let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
        let format = Format::nginx(combined).expect("it is known");
        assert_eq!(format.names.len(), 7);
        let main = format!("{combined} \"$http_x_forwarded_for\"");
        assert_eq!(Format::nginx(&main).expect("it is known").names.len(), 8);

        let common = r#"%h %l %u %t \"%r\" %>s %b"#;
        let format = Format::apache(common).expect("it is known");
        let names = [
            "remote_addr",
            "remote_user",
            "request",
            "status",
            "body_bytes_sent",
        ];
        assert_eq!(format.names, names);
        assert!(format.parts.contains(&Part::Value(What::Word, None)));
        let vhost = r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#;
        let format = Format::apache(vhost).expect("it is known");
        assert_eq!(format.names[7..], ["http_referer", "http_user_agent"]);
    }

    #[test]
    fn everything_else_is_the_scripts() {
        for text in [
            "",
            "$remote_addr $status",
            "$remote_addr [$time_local] $msec",
            "[$time_local] [$time_local]",
            "[$time_local] $request",
            "[$time_local] $request|",
            "[$time_local] ${status}",
            "[$time_local] ü",
        ] {
            assert_eq!(Format::nginx(text), None, "{text}");
        }
        for text in [
            "%h",
            "%t %D",
            "%t %{User-Agent}o ",
            "%t %{a b}i ",
            "%t \\n",
            "%t %!200s",
        ] {
            assert_eq!(Format::apache(text), None, "{text}");
        }
    }
}
