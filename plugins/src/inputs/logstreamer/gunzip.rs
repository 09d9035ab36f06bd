//! Compressed files, uncompressed piece by piece.
//!
//! Owns:    `Gunzip`: members of a gzip file one behind the other, fed as bytes come.
//! Runs on: the shard of the stream, and the input's file thread while a position is searched for.            Plane: data.
//! Bounds:  `INPUT_BYTES` of compressed bytes and one window of the algorithm (32 KiB); a call makes at most as much as the caller has room for.
//! Never:   reads by itself, or takes the end of what it was given for the end of the file.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// What a compressed file begins with: two bytes of magic, and the only method there is.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Compressed bytes that are read at a time.
const INPUT_BYTES: usize = 32 * 1024;

/// Compressed bytes that wait to be used.
#[derive(Debug)]
struct Fed {
    bytes: Box<[u8]>,
    at: usize,
    end: usize,
}

impl BufRead for Fed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.bytes[self.at..self.end])
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Where it stands.
#[derive(Debug)]
enum Stage {
    /// Between members.
    Between(Fed),
    /// Within one.
    Within(Box<GzDecoder<Fed>>),
}

/// What a call made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes.
    Bytes(usize),
    /// Nothing, for want of compressed bytes: `feed` and repeat.
    Hungry,
}

/// A gzip file on its way.
#[derive(Debug)]
pub(super) struct Gunzip {
    /// `None` only within a call.
    stage: Option<Stage>,
    /// Members that have been uncompressed to their end.
    members: u64,
}

impl Gunzip {
    /// At the beginning of a file.
    pub(super) fn new() -> Gunzip {
        Gunzip {
            stage: Some(Stage::Between(Fed {
                bytes: vec![0; INPUT_BYTES].into(),
                at: 0,
                end: 0,
            })),
            members: 0,
        }
    }

    /// Uncompresses into `out`, which has room. An error says that the file is damaged here; nothing behind it can be read.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<Piece> {
        loop {
            match self.stage.take().expect("put back by each call") {
                Stage::Between(mut fed) => {
                    // Tapes and some programs fill up with zeros.
                    while self.members > 0 && fed.at < fed.end && fed.bytes[fed.at] == 0 {
                        fed.at += 1;
                    }
                    if fed.at == fed.end {
                        self.stage = Some(Stage::Between(fed));
                        return Ok(Piece::Hungry);
                    }
                    if fed.bytes[fed.at] != MAGIC[0] {
                        self.stage = Some(Stage::Between(fed));
                        let what = "bytes that are not compressed stand behind those that are";
                        return Err(io::Error::new(ErrorKind::InvalidData, what));
                    }
                    self.stage = Some(Stage::Within(Box::new(GzDecoder::new(fed))));
                }
                Stage::Within(mut decoder) => match decoder.read(out) {
                    Ok(0) => {
                        self.members += 1;
                        self.stage = Some(Stage::Between(decoder.into_inner()));
                    }
                    result => {
                        self.stage = Some(Stage::Within(decoder));
                        return match result {
                            Ok(bytes) => Ok(Piece::Bytes(bytes)),
                            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                                Ok(Piece::Hungry)
                            }
                            Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
                        };
                    }
                },
            }
        }
    }

    /// Has `read` put compressed bytes where they are used next; call it when `read` was hungry. Answers how many came.
    pub(super) fn feed(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let fed = match self.stage.as_mut().expect("put back by each call") {
            Stage::Between(fed) => fed,
            Stage::Within(decoder) => decoder.get_mut(),
        };
        let count = read(&mut fed.bytes)?;
        (fed.at, fed.end) = (0, count);
        Ok(count)
    }

    /// Whether it stands between members: a file that ends here is whole.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.stage, Some(Stage::Between(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All that comes of a file that is given in pieces of these sizes, in turn, and how it ended.
    fn all(file: &[u8], pieces: &[usize], room: usize) -> (Vec<u8>, io::Result<bool>) {
        let mut gunzip = Gunzip::new();
        let (mut out, mut at, mut turn) = (Vec::new(), 0, 0);
        let mut buffer = vec![0; room];
        loop {
            match gunzip.read(&mut buffer) {
                Ok(Piece::Bytes(count)) => out.extend_from_slice(&buffer[..count]),
                Ok(Piece::Hungry) => {
                    let piece = pieces[turn % pieces.len()].min(file.len() - at);
                    turn += 1;
                    if piece == 0 {
                        return (out, Ok(gunzip.is_between()));
                    }
                    let from = &file[at..at + piece];
                    let fed = gunzip.feed(|to| {
                        to[..piece].copy_from_slice(from);
                        Ok(piece)
                    });
                    at += fed.unwrap();
                }
                Err(error) => return (out, Err(error)),
            }
        }
    }

    #[test]
    fn members_and_zeros_behind_each_other_are_one_text() {
        let mut file = member(b"one\n");
        file.extend(member(b""));
        file.extend([0; 7]);
        file.extend(member(b"two\n"));
        file.extend([0; 512]);
        let (text, end) = all(&file, &[1], 3);
        assert_eq!(text, b"one\ntwo\n");
        assert!(end.unwrap());
    }

    #[test]
    fn a_file_that_is_cut_gives_what_it_has_and_waits() {
        let text: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let file = member(&text);
        let (out, end) = all(&file[..file.len() / 2], &[4096], 1000);
        assert!(!end.unwrap());
        assert!(out.len() > 1000 && text.starts_with(&out));
    }

    #[test]
    fn damage_is_an_error_behind_what_was_right() {
        let mut file = member(b"right\n");
        file.extend(b"plain text");
        let (text, end) = all(&file, &[100], 100);
        assert_eq!(text, b"right\n");
        assert_eq!(end.unwrap_err().kind(), ErrorKind::InvalidData);
        let mut file = member(b"checked\n");
        let last = file.len() - 5;
        file[last] ^= 1;
        assert!(all(&file, &[100], 100).1.is_err(), "the checksum differs");
    }

    proptest! {
        #[test]
        fn how_it_is_fed_does_not_matter(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 1..4),
            pieces in proptest::collection::vec(1usize..500, 1..5),
            room in 1usize..3000,
        ) {
            let file: Vec<u8> = texts.iter().flat_map(|text| member(text)).collect();
            let (out, end) = all(&file, &pieces, room);
            prop_assert_eq!(out, texts.concat());
            prop_assert!(end.unwrap());
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = MAGIC.to_vec();
            file.extend(bytes);
            let _ = all(&file, &[7], 64);
        }
    }
}
