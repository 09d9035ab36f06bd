//! Journals: how far a stream was read, kept in Heka's form.
//!
//! Owns:    `Journal`, its reading, its text, and the names of its files.
//! Runs on: the input's journal thread.            Plane: data.
//! Bounds:  `JOURNAL_BYTES_MAX` a journal, `NAME_BYTES_MAX` a name.
//! Never:   leaves half a journal behind.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use engine::io::Identity;
use serde::{Deserialize, Serialize};

use super::position::hex_digest;

/// Longest journal that is read.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024;

/// Longest name of a journal; file systems take 255 bytes, and the unfinished one has five more.
const NAME_BYTES_MAX: usize = 240;

/// Journals' mode, as Heka's.
pub(super) const JOURNAL_MODE: u32 = 0o660;

/// A position in a stream: behind byte `seek` of a file, and what it is found again by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Journal {
    /// Bytes of the file that are dealt with; of a compressed file, uncompressed ones.
    pub(super) seek: u64,
    /// The file's path.
    pub(super) file_name: String,
    /// Hash of what stands before.
    pub(super) last_hash: String,
    /// The file's file system and number. Heka has neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inode: Option<u64>,
}

/// What a journal's file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing: no file, or an empty one.
    Nothing,
    /// A position.
    Position(Journal),
    /// What is no journal, and why.
    Damaged(String),
}

impl Journal {
    /// Which file it was, if it says.
    pub(super) fn identity(&self) -> Option<Identity> {
        Some(Identity {
            device: self.device?,
            inode: self.inode?,
        })
    }

    /// Reads a journal's text.
    pub(super) fn parse(text: &[u8]) -> Kept {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Kept::Nothing;
        }
        match serde_json::from_slice::<Journal>(text) {
            Ok(journal) if journal == Journal::default() => Kept::Nothing,
            Ok(journal) => Kept::Position(journal),
            Err(error) => Kept::Damaged(error.to_string()),
        }
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts")
    }

    /// Reads a journal; an error if it cannot be known what it says.
    pub(super) fn read(path: &Path) -> io::Result<Kept> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Kept::Nothing),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(JOURNAL_BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > JOURNAL_BYTES_MAX {
            let why = format!("it has more than {JOURNAL_BYTES_MAX} bytes");
            return Ok(Kept::Damaged(why));
        }
        Ok(Journal::parse(&text))
    }
}

/// The name of a stream's journal: the stream's own, as Heka's, unless that cannot be a file's name.
pub(super) fn file_name(stream: &str) -> String {
    let mut name = String::with_capacity(stream.len());
    for (at, character) in stream.char_indices() {
        // A dot in front would hide it, or make it the folder itself.
        let escaped = matches!(character, '/' | '%')
            || character.is_control()
            || (at == 0 && character == '.');
        if escaped {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a String does not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(character);
        }
    }
    if name.len() > NAME_BYTES_MAX {
        let digest = hex_digest(stream.as_bytes());
        let mut end = NAME_BYTES_MAX - digest.len() - 1;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name.push('%');
        name.push_str(&digest);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hekas_journals_are_read_and_ours_have_its_form() {
        let hekas = br#"{"seek":1234,"file_name":"/var/log/nginx/access.log","last_hash":"f0b60af7f2cb35c3724151422e2f999af6e21fc0"}
"#;
        let Kept::Position(journal) = Journal::parse(hekas) else {
            panic!("a journal of Heka's");
        };
        assert_eq!(journal.seek, 1234);
        assert_eq!(journal.file_name, "/var/log/nginx/access.log");
        assert_eq!(journal.identity(), None);
        let ours = Journal {
            device: Some(1),
            inode: Some(2),
            ..journal.clone()
        };
        let expected = concat!(
            r#"{"seek":1234,"file_name":"/var/log/nginx/access.log","#,
            r#""last_hash":"f0b60af7f2cb35c3724151422e2f999af6e21fc0","device":1,"inode":2}"#
        );
        assert_eq!(ours.text(), expected);
        assert_eq!(Journal::parse(expected.as_bytes()), Kept::Position(ours));
        assert_eq!(journal.text().len() + 1, hekas.len());
    }

    #[test]
    fn nothing_and_damage_are_told_apart() {
        for nothing in [
            &b""[..],
            b" \n",
            br#"{"seek":0,"file_name":"","last_hash":""}"#,
        ] {
            assert_eq!(Journal::parse(nothing), Kept::Nothing);
        }
        for damaged in [&b"{\"seek\":12"[..], b"{\"seek\":-1}", b"\0\0\0", b"7"] {
            assert!(matches!(Journal::parse(damaged), Kept::Damaged(_)));
        }
    }

    #[test]
    fn a_journal_is_written_whole_and_a_large_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream");
        assert_eq!(Journal::read(&path).unwrap(), Kept::Nothing);
        let journal = Journal {
            seek: 5,
            file_name: "/a \"log\"".to_owned(),
            last_hash: "x".to_owned(),
            ..Journal::default()
        };
        engine::io::replace(&path, journal.text().as_bytes(), JOURNAL_MODE).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), Kept::Position(journal));
        std::fs::write(&path, vec![b' '; JOURNAL_BYTES_MAX as usize + 1]).unwrap();
        assert!(matches!(Journal::read(&path).unwrap(), Kept::Damaged(_)));
        assert!(Journal::read(folder.path()).is_err());
    }

    #[test]
    fn names_that_cannot_be_files_are_escaped() {
        assert_eq!(
            file_name("nginx.example.com.access"),
            "nginx.example.com.access"
        );
        assert_eq!(file_name("a/b"), "a%2Fb");
        assert_eq!(file_name("a%2Fb"), "a%252Fb");
        assert_eq!(file_name(".."), "%2E.");
        assert_eq!(file_name("../../etc/x"), "%2E.%2F..%2Fetc%2Fx");
    }

    proptest! {
        #[test]
        fn names_are_one_part_of_a_path_and_their_own(one in "\\PC{0,300}", other in "[./%a\\n]{0,300}") {
            for stream in [&one, &other] {
                let name = file_name(stream);
                prop_assert!(name.len() <= NAME_BYTES_MAX);
                prop_assert!(!name.contains(['/', '\0']) && !name.starts_with('.'));
            }
            prop_assert_eq!(one == other, file_name(&one) == file_name(&other));
        }

        #[test]
        fn any_bytes_are_read_as_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Journal::parse(&bytes);
        }
    }
}
