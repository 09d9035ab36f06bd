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
        assert!(content.was_empty() && !content.differs(0));
        file.write_all(&first).unwrap();
        assert!(content.differs(first.len() as u64));
        assert_eq!(read(&mut content, 3), b"one\n", "{name}");
        assert!(!content.differs(first.len() as u64));
        file.write_all(&second).unwrap();
        assert_eq!(read(&mut content, 3), b"two\n", "{name}");
        assert_eq!((content.seek(), content.is_cut()), (8, false));
        assert_eq!(
            content.before(8, Patience::Wait).unwrap().unwrap(),
            b"one\ntwo\n"
        );
        assert_eq!(
            content.before(5, Patience::Wait).unwrap().unwrap(),
            b"one\nt"
        );
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
        assert!(!content.differs(cut as u64), "nothing to be busy with");
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
    assert!(!content.differs(1_000_000) && !content.differs(1));
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
    content.put_ahead(b"0123456789".to_vec());
    assert_eq!(read(&mut content, 3), b"0123456789");
    assert!(content.skip_to(4).unwrap());
    assert_eq!(content.fetch_at(), 0);
    content.put_ahead(b"012345".to_vec());
    assert_eq!(read(&mut content, 100), b"456789");
    content.put_ahead(b"0123456789".to_vec());
    assert_eq!(read(&mut content, 100), b"", "nothing was added");
    assert!(!content.skip_to(11).unwrap());
    content.skip_to(4).unwrap();
    content.put_ahead(b"other".to_vec());
    assert_eq!(
        content.read(&mut [0; 9], Patience::Wait).unwrap(),
        Got::Replaced
    );
}

#[test]
fn a_file_that_was_replaced_where_it_stood_is_found_out_by_the_next_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let replaced = |text: &[u8], read_before: usize| {
        fs::write(&path, b"0123456789").unwrap();
        let mut content = Content::open(&path).unwrap();
        let mut buffer = vec![0; read_before];
        content.read(&mut buffer, Patience::Wait).unwrap();
        fs::write(&path, text).unwrap();
        let got = content.read(&mut [0; 100], Patience::Wait).unwrap();
        let seek = content.seek();
        assert_eq!(
            seek,
            if let Got::Bytes(count) = got {
                (read_before + count) as u64
            } else {
                read_before as u64
            }
        );
        got == Got::Replaced && content.read(&mut [0; 9], Patience::Wait).unwrap() == got
    };
    for read_before in [1, 5, 10] {
        assert!(replaced(b"", read_before), "shorter");
        assert!(replaced(b"x", read_before));
        assert!(
            replaced(b"x1234567890123456789", read_before),
            "as long and longer"
        );
        assert!(!replaced(b"0123456789", read_before));
        assert!(!replaced(b"0123456789 and more", read_before));
    }
    // Nothing was read yet, but it was known what there was.
    assert!(replaced(b"012345678", 0) && replaced(b"01234567890".map(|_| b'x').as_slice(), 0));
    assert!(!replaced(b"0123456789 and more", 0));
}

#[test]
fn a_position_in_a_replaced_file_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, b"0123456789").unwrap();
    let mut content = Content::open(&path).unwrap();
    read(&mut content, 100);
    fs::write(&path, b"01234xxxxxxxxxxxxx").unwrap();
    let before = |seek| content.before(seek, Patience::Wait).unwrap();
    assert_eq!(before(10).unwrap(), b"0123456789", "as it was read");
    assert_eq!(before(5), None, "as it is, but in another file");
    let wanted = content.wanted().unwrap();
    assert_eq!(wanted.mark, Mark::Bytes(b"0123456789".to_vec()));
    let unread = Content::open(&path).unwrap().wanted().unwrap();
    assert!(unread.from_the_beginning && unread.seek == 18);
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
                prop_assert_eq!(content.before(at as u64, Patience::Wait).unwrap().unwrap(), expected);
                prop_assert_eq!(read(&mut content, 999), &text[at..]);
                // As a reader does that keeps an unfinished record.
                let from = text.len() - kept.min(text.len() - at);
                content.forget_before(from as u64);
                let expected = &text[from.saturating_sub(WINDOW)..from];
                prop_assert_eq!(content.before(from as u64, Patience::Wait).unwrap().unwrap(), expected);
            }
        }
    }
}
