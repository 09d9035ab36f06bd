//! strftime formats, compiled to a list of pieces.
//!
//! Owns:    the conversions, their flags and widths, and the errors of a format.
//! Runs on: build time.            Plane: control.
//! Bounds:  `FORMAT_BYTES_MAX`, `WIDTH_MAX`.
//! Never:   lets an unknown conversion through: Heka printed it as it stood, so that a slip of the finger became
//!          part of a file's name.

use std::fmt;

use crate::digits::Pad;

/// Longest format, bytes: as long as a path may be.
pub const FORMAT_BYTES_MAX: usize = 4096;

/// Largest width of a conversion.
const WIDTH_MAX: u8 = 64;

/// One piece of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes of `Pieces::text`.
    Literal {
        /// First byte.
        start: u16,
        /// One past the last.
        end: u16,
    },
    /// A number, filled up to a width.
    Number(Number, u8, Pad),
    /// A name, its case, and a width to fill up to from the left.
    Name(Name, Case, u8),
    /// So many digits (1 to 9) of the fraction of the second.
    Fraction(u8),
    /// Offset from UTC, with so many colons (0 to 3).
    Offset(u8),
}

/// What a number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// `%Y`
    Year,
    /// `%C`
    Century,
    /// `%y`
    YearOfCentury,
    /// `%m`
    Month,
    /// `%d`, `%e`
    Day,
    /// `%j`
    DayOfYear,
    /// `%H`, `%k`
    Hour,
    /// `%I`, `%l`
    Hour12,
    /// `%M`
    Minute,
    /// `%S`
    Second,
    /// `%s`
    EpochSeconds,
    /// `%u`: 1 is Monday.
    WeekdayFromMonday,
    /// `%w`: 0 is Sunday.
    WeekdayFromSunday,
    /// `%U`: weeks begin on Sunday.
    WeekFromSunday,
    /// `%W`: weeks begin on Monday.
    WeekFromMonday,
    /// `%V`
    IsoWeek,
    /// `%G`
    IsoYear,
    /// `%g`
    IsoYearOfCentury,
}

/// What a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `%A`
    Weekday,
    /// `%a`
    WeekdayShort,
    /// `%B`
    Month,
    /// `%b`, `%h`
    MonthShort,
    /// `%p`
    Half,
    /// `%P`
    LowerHalf,
    /// `%Z`
    Zone,
}

/// Case of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// As it is.
    Own,
    /// Flag `^`.
    Upper,
    /// Flag `#`.
    Lower,
}

/// A compiled format.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) text: Vec<u8>,
}

/// What is wrong with a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatFault {
    /// No conversion has this letter.
    Unknown(char),
    /// The format ends after `%`, its flags or its width.
    Unfinished,
    /// The conversion with this letter does not take the flag, width or modifier that it was given.
    Option(char),
    /// A width above 64, or above 9 for digits of a second.
    Width,
    /// A format of more than `FORMAT_BYTES_MAX` bytes.
    TooLong,
}

/// A format that cannot be used: what is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// What is wrong.
    pub fault: FormatFault,
    /// Offset in bytes of the `%` that begins the conversion.
    pub at: usize,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.fault {
            FormatFault::Unknown(letter) => write!(
                f,
                "unknown conversion `%{letter}` at byte {at} of the format; for a percent sign write `%%`"
            ),
            FormatFault::Unfinished => write!(
                f,
                "the conversion at byte {at} of the format has no end; for a percent sign write `%%`"
            ),
            FormatFault::Option(letter) => write!(
                f,
                "the conversion `%{letter}` at byte {at} of the format does not take this flag, width or modifier"
            ),
            FormatFault::Width => write!(
                f,
                "the width at byte {at} of the format is too large: at most {WIDTH_MAX}, and 9 for a fraction"
            ),
            FormatFault::TooLong => {
                write!(f, "the format has more than {FORMAT_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for FormatError {}

/// Flags, width and modifier of a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    /// `-`, `_` or `0`.
    pad: Option<u8>,
    /// `^` or `#`.
    case: Option<u8>,
    colons: u8,
    width: Option<u8>,
    /// `E` or `O`, which mean nothing where names are English.
    modifier: Option<u8>,
}

impl Pieces {
    /// Compiles a format.
    pub(crate) fn compile(format: &str) -> Result<Pieces, FormatError> {
        if format.len() > FORMAT_BYTES_MAX {
            return Err(FormatError {
                fault: FormatFault::TooLong,
                at: 0,
            });
        }
        let mut pieces = Pieces::default();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            pieces.literal(&rest.as_bytes()[..at]);
            let position = format.len() - rest.len() + at;
            let error = |fault| FormatError {
                fault,
                at: position,
            };
            let (options, letter, after) = conversion(&rest[at + 1..]).map_err(error)?;
            pieces.conversion(options, letter).map_err(error)?;
            rest = after;
        }
        pieces.literal(rest.as_bytes());
        Ok(pieces)
    }

    fn literal(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len() as u16;
        self.text.extend_from_slice(text);
        let now = self.text.len() as u16;
        match self.pieces.last_mut() {
            Some(Piece::Literal { end, .. }) => *end = now,
            _ => self.pieces.push(Piece::Literal { start, end: now }),
        }
    }

    /// Adds what a conversion stands for.
    fn conversion(&mut self, options: Options, letter: char) -> Result<(), FormatFault> {
        let refused = Err(FormatFault::Option(letter));
        if let Some(text) = literal_of(letter) {
            if options != Options::default() {
                return refused;
            }
            self.literal(text);
        } else if let Some(parts) = composite_of(letter) {
            if options != modified(options.modifier) || !modifier_fits(options, letter) {
                return refused;
            }
            for (before, part) in parts {
                self.literal(before.as_bytes());
                self.conversion(Options::default(), *part)?;
            }
        } else if !modifier_fits(options, letter) {
            return refused;
        } else {
            let piece = number_piece(options, letter)
                .or_else(|| name_piece(options, letter))
                .or_else(|| offset_or_fraction(options, letter))
                .unwrap_or(Err(FormatFault::Unknown(letter)))?;
            self.pieces.push(piece);
        }
        Ok(())
    }
}

fn modified(modifier: Option<u8>) -> Options {
    Options {
        modifier,
        ..Options::default()
    }
}

/// Which conversions POSIX lets `E` and `O` stand before.
fn modifier_fits(options: Options, letter: char) -> bool {
    match options.modifier {
        Some(b'E') => "cCxXyY".contains(letter),
        Some(_) => "deHImMSuUVwWy".contains(letter),
        None => true,
    }
}

/// Reads flags, width, modifier and letter: what stands between `%` and the rest, which is returned too.
fn conversion(format: &str) -> Result<(Options, char, &str), FormatFault> {
    let mut options = Options::default();
    let mut rest = format;
    loop {
        let letter = rest.chars().next().ok_or(FormatFault::Unfinished)?;
        let after = &rest[letter.len_utf8()..];
        match letter {
            '-' | '_' | '0' if options.width.is_none() => options.pad = Some(letter as u8),
            '^' | '#' => options.case = Some(letter as u8),
            ':' if options.colons < 3 => options.colons += 1,
            '0'..='9' => {
                let width =
                    u32::from(options.width.unwrap_or(0)) * 10 + (letter as u32 - '0' as u32);
                if width > u32::from(WIDTH_MAX) {
                    return Err(FormatFault::Width);
                }
                options.width = Some(width as u8);
            }
            'E' | 'O' if options.modifier.is_none() => options.modifier = Some(letter as u8),
            _ => return Ok((options, letter, after)),
        }
        rest = after;
    }
}

/// Conversions that are plain text.
fn literal_of(letter: char) -> Option<&'static [u8]> {
    match letter {
        '%' => Some(b"%"),
        'n' => Some(b"\n"),
        't' => Some(b"\t"),
        _ => None,
    }
}

/// Conversions that are made of others: each with the text before it.
fn composite_of(letter: char) -> Option<&'static [(&'static str, char)]> {
    Some(match letter {
        'c' => &[("", 'a'), (" ", 'b'), (" ", 'e'), (" ", 'T'), (" ", 'Y')],
        'D' | 'x' => &[("", 'm'), ("/", 'd'), ("/", 'y')],
        'F' => &[("", 'Y'), ("-", 'm'), ("-", 'd')],
        'R' => &[("", 'H'), (":", 'M')],
        'r' => &[("", 'I'), (":", 'M'), (":", 'S'), (" ", 'p')],
        'T' | 'X' => &[("", 'H'), (":", 'M'), (":", 'S')],
        'v' => &[("", 'e'), ("-", 'b'), ("-", 'Y')],
        _ => return None,
    })
}

type MaybePiece = Option<Result<Piece, FormatFault>>;

fn number_piece(options: Options, letter: char) -> MaybePiece {
    let (number, width, pad) = match letter {
        'C' => (Number::Century, 2, Pad::Zero),
        'd' => (Number::Day, 2, Pad::Zero),
        'e' => (Number::Day, 2, Pad::Space),
        'G' => (Number::IsoYear, 4, Pad::Zero),
        'g' => (Number::IsoYearOfCentury, 2, Pad::Zero),
        'H' => (Number::Hour, 2, Pad::Zero),
        'I' => (Number::Hour12, 2, Pad::Zero),
        'j' => (Number::DayOfYear, 3, Pad::Zero),
        'k' => (Number::Hour, 2, Pad::Space),
        'l' => (Number::Hour12, 2, Pad::Space),
        'M' => (Number::Minute, 2, Pad::Zero),
        'm' => (Number::Month, 2, Pad::Zero),
        'S' => (Number::Second, 2, Pad::Zero),
        's' => (Number::EpochSeconds, 1, Pad::Zero),
        'U' => (Number::WeekFromSunday, 2, Pad::Zero),
        'u' => (Number::WeekdayFromMonday, 1, Pad::Zero),
        'V' => (Number::IsoWeek, 2, Pad::Zero),
        'W' => (Number::WeekFromMonday, 2, Pad::Zero),
        'w' => (Number::WeekdayFromSunday, 1, Pad::Zero),
        'Y' => (Number::Year, 4, Pad::Zero),
        'y' => (Number::YearOfCentury, 2, Pad::Zero),
        _ => return None,
    };
    if options.case.is_some() || options.colons > 0 {
        return Some(Err(FormatFault::Option(letter)));
    }
    let width = options.width.unwrap_or(width);
    let (width, pad) = match options.pad {
        Some(b'-') => (0, pad),
        Some(b'_') => (width, Pad::Space),
        Some(_) => (width, Pad::Zero),
        None => (width, pad),
    };
    Some(Ok(Piece::Number(number, width, pad)))
}

fn name_piece(options: Options, letter: char) -> MaybePiece {
    // What `#` does to a name that is not all capitals is to make it so; capitals become small.
    let (name, other_case) = match letter {
        'A' => (Name::Weekday, Case::Upper),
        'a' => (Name::WeekdayShort, Case::Upper),
        'B' => (Name::Month, Case::Upper),
        'b' | 'h' => (Name::MonthShort, Case::Upper),
        'P' => (Name::LowerHalf, Case::Upper),
        'p' => (Name::Half, Case::Lower),
        'Z' => (Name::Zone, Case::Lower),
        _ => return None,
    };
    if options.pad.is_some() || options.colons > 0 {
        return Some(Err(FormatFault::Option(letter)));
    }
    let case = match options.case {
        Some(b'^') => Case::Upper,
        Some(_) => other_case,
        None => Case::Own,
    };
    Some(Ok(Piece::Name(name, case, options.width.unwrap_or(0))))
}

fn offset_or_fraction(options: Options, letter: char) -> MaybePiece {
    let digits = match letter {
        'z' => 0,
        'L' => 3,
        'f' => 6,
        'N' => 9,
        // Colons belong to an offset only.
        _ => return None,
    };
    let bare = options.pad.is_none() && options.case.is_none();
    Some(match (digits, options.width) {
        (0, None) if bare => Ok(Piece::Offset(options.colons)),
        (0, _) => Err(FormatFault::Option(letter)),
        _ if !bare || options.colons > 0 => Err(FormatFault::Option(letter)),
        (_, Some(width)) if width == 0 || width > 9 => Err(FormatFault::Width),
        (_, width) => Ok(Piece::Fraction(width.unwrap_or(digits))),
    })
}
