//! A file's content, plain or compressed, as it is read and as it grows.
//!
//! Owns:    the files of each test.
//! Runs on: tests.            Plane: data.
//! Bounds:  some hundred kilobytes.
//! Never:   depends on what is in memory.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn member(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn read(content: &mut Content, room: usize) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
    while let Got::Bytes(count) = content.read(&mut buffer, Patience::Wait).unwrap() {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

#[test]
fn a_file_that_grows_is_read_on_whatever_it_becomes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, first, second) in [
        ("plain", b"one\n".to_vec(), b"two\n".to_vec()),
        ("gzip", member(b"one\n"), member(b"two\n")),
    ] {
        let path = folder.path().join(name);
        let mut file = fs::File::create(&path).unwrap();
        let mut content = Content::open(&path).unwrap();
        assert_eq!(read(&mut content, 100), b"");
        assert!(!content.has_more(0));
        file.write_all(&first).unwrap();
        assert!(content.has_more(first.len() as u64));
        assert_eq!(read(&mut content, 3), b"one\n", "{name}");
        assert!(!content.has_more(first.len() as u64));
        file.write_all(&second).unwrap();
        assert_eq!(read(&mut content, 3), b"two\n", "{name}");
        assert_eq!((content.seek(), content.is_cut()), (8, false));
        assert_eq!(content.is_compressed(), name == "gzip");
        assert_eq!(content.before(8).unwrap().unwrap(), b"one\ntwo\n");
        assert_eq!(content.before(5).unwrap().unwrap(), b"one\nt");
    }
}

#[test]
fn the_first_bytes_decide_and_one_or_two_of_gzip_s_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let whole = member(b"text\n");
    for cut in 1..3 {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut content = Content::open(&path).unwrap();
        assert_eq!(read(&mut content, 10), b"");
        assert!(!content.has_more(cut as u64), "nothing to be busy with");
        fs::write(&path, &whole).unwrap();
        assert_eq!(read(&mut content, 10), b"text\n");
    }
    fs::write(&path, b"\x1f\x8bno gzip\n").unwrap();
    let mut content = Content::open(&path).unwrap();
    assert_eq!(read(&mut content, 10), b"\x1f\x8bno gzip\n");
}

#[test]
fn damage_is_an_end_and_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.gz");
    let mut bytes = member(b"right\n");
    bytes.extend(b"garbage");
    fs::write(&path, &bytes).unwrap();
    let mut content = Content::open(&path).unwrap();
    assert_eq!(read(&mut content, 100), b"right\n");
    assert!(content.damage().is_some() && !content.is_cut());
    assert!(!content.has_more(1_000_000));
    assert_eq!(read(&mut content, 100), b"");
    assert_eq!(
        Content::open(&path).unwrap().skip_to(7).unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    fs::write(&path, &bytes[..10]).unwrap();
    let mut content = Content::open(&path).unwrap();
    assert_eq!(read(&mut content, 100), b"");
    assert!(content.is_cut() && content.damage().is_none());
}

#[test]
fn what_was_fetched_is_read_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, b"0123456789").unwrap();
    let mut content = Content::open(&path).unwrap();
    content.put_ahead(b"01234".to_vec());
    assert_eq!(read(&mut content, 3), b"0123456789");
    assert_eq!(content.raw_at(), 10);
    assert!(content.skip_to(4).unwrap());
    assert_eq!(read(&mut content, 100), b"456789");
    assert!(!content.skip_to(11).unwrap());
}

#[test]
fn a_file_that_shrank_does_not_have_what_stood_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, b"0123456789").unwrap();
    let mut content = Content::open(&path).unwrap();
    read(&mut content, 100);
    fs::write(&path, b"01").unwrap();
    assert_eq!(content.before(10).unwrap(), None);
    assert_eq!(content.before(2).unwrap().unwrap(), b"01");
}

proptest! {
    #[test]
    fn positions_of_compressed_and_plain_files_are_the_same(
        text in proptest::collection::vec(any::<u8>(), 0..5000),
        at in 0usize..5000,
        kept in 0usize..2000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (plain, gzip) = (folder.path().join("a"), folder.path().join("b"));
        // Not the magic itself.
        let text = [b"x".as_slice(), &text].concat();
        fs::write(&plain, &text).unwrap();
        fs::write(&gzip, member(&text)).unwrap();
        for path in [plain, gzip] {
            let mut content = Content::open(&path).unwrap();
            let within = at <= text.len();
            prop_assert_eq!(content.skip_to(at as u64).unwrap(), within);
            if within {
                let expected = &text[at.saturating_sub(WINDOW)..at];
                prop_assert_eq!(content.before(at as u64).unwrap().unwrap(), expected);
                prop_assert_eq!(read(&mut content, 999), &text[at..]);
                // As a reader does that keeps an unfinished record.
                let from = text.len() - kept.min(text.len() - at);
                content.forget_before(from as u64);
                let expected = &text[from.saturating_sub(WINDOW)..from];
                prop_assert_eq!(content.before(from as u64).unwrap().unwrap(), expected);
            }
        }
    }
}
