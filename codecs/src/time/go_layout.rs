//! Go's time layouts, compiled to a list of steps.
//!
//! Owns:    `GoLayout` and which text in a layout stands for what.
//! Runs on: build time.            Plane: control.
//! Bounds:  a layout has at most as many steps as bytes.
//! Never:   fails: text that is no element of the reference time stands for itself, as in Go.
//!
//! A layout shows how the moment `Mon Jan 2 15:04:05 MST 2006` (whose zone is seven hours west) would be written.

/// One thing to expect in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes of the layout.
    Literal {
        /// First byte.
        start: u16,
        /// One past the last.
        end: u16,
    },
    /// This byte: a literal of one byte, by far the commonest.
    Byte(u8),
    /// One blank or more; or the end of the text.
    Blanks,
    /// `2006`: four digits.
    Year,
    /// `06`: two digits; 69 to 99 are of the twentieth century.
    YearOfCentury,
    /// `January`.
    MonthName,
    /// `Jan`.
    MonthShortName,
    /// `01` or `1`.
    Month(Width),
    /// `Monday`: checked to be a day's name and ignored.
    WeekdayName,
    /// `Mon`: likewise.
    WeekdayShortName,
    /// `02` or `2`.
    Day(Width),
    /// `_2`: a blank may take the place of the first digit.
    BlankDay,
    /// `002`: three digits.
    DayOfYear,
    /// `__2`: blanks may take the place of the first two digits.
    BlankDayOfYear,
    /// `15`.
    Hour,
    /// `03` or `3`.
    Hour12(Width),
    /// `04` or `4`.
    Minute(Width),
    /// `05` or `5`. A fraction may follow in the text, unless the layout's next element takes it.
    Second(Width, ImplicitFraction),
    /// `PM`.
    UpperHalf,
    /// `pm`.
    LowerHalf,
    /// `.000`: a separator and exactly so many digits.
    Fraction(u16),
    /// `.999`: a separator and any number of digits, or nothing.
    OptionalFraction,
    /// `MST`.
    ZoneName,
    /// `-0700` and its relatives.
    Offset(OffsetForm),
    /// `Z0700` and its relatives: `Z` or an offset.
    OffsetOrZ(OffsetForm),
}

/// Digits of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One or two.
    Any,
    /// Two.
    Two,
}

/// Whether a fraction that the layout does not show may follow the seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImplicitFraction {
    /// It may.
    Taken,
    /// The layout's next element is the fraction.
    Left,
}

/// How an offset is written, after its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetForm {
    /// `hh`
    Hours,
    /// `hhmm`
    Minutes,
    /// `hh:mm`
    ColonMinutes,
    /// `hhmmss`
    Seconds,
    /// `hh:mm:ss`
    ColonSeconds,
}

/// Elements of the reference time. Of two that begin alike the longer stands first.
const ELEMENTS: &[(&str, Step)] = &[
    ("January", Step::MonthName),
    ("Jan", Step::MonthShortName),
    ("Monday", Step::WeekdayName),
    ("Mon", Step::WeekdayShortName),
    ("MST", Step::ZoneName),
    ("2006", Step::Year),
    ("06", Step::YearOfCentury),
    ("01", Step::Month(Width::Two)),
    ("002", Step::DayOfYear),
    ("02", Step::Day(Width::Two)),
    ("03", Step::Hour12(Width::Two)),
    ("04", Step::Minute(Width::Two)),
    ("05", Step::Second(Width::Two, ImplicitFraction::Taken)),
    ("15", Step::Hour),
    ("1", Step::Month(Width::Any)),
    ("2", Step::Day(Width::Any)),
    ("_2", Step::BlankDay),
    ("__2", Step::BlankDayOfYear),
    ("3", Step::Hour12(Width::Any)),
    ("4", Step::Minute(Width::Any)),
    ("5", Step::Second(Width::Any, ImplicitFraction::Taken)),
    ("PM", Step::UpperHalf),
    ("pm", Step::LowerHalf),
    ("-07:00:00", Step::Offset(OffsetForm::ColonSeconds)),
    ("-070000", Step::Offset(OffsetForm::Seconds)),
    ("-07:00", Step::Offset(OffsetForm::ColonMinutes)),
    ("-0700", Step::Offset(OffsetForm::Minutes)),
    ("-07", Step::Offset(OffsetForm::Hours)),
    ("Z07:00:00", Step::OffsetOrZ(OffsetForm::ColonSeconds)),
    ("Z070000", Step::OffsetOrZ(OffsetForm::Seconds)),
    ("Z07:00", Step::OffsetOrZ(OffsetForm::ColonMinutes)),
    ("Z0700", Step::OffsetOrZ(OffsetForm::Minutes)),
    ("Z07", Step::OffsetOrZ(OffsetForm::Hours)),
];

/// A compiled layout.
#[derive(Clone, Debug)]
pub(crate) struct GoLayout {
    pub(crate) steps: Box<[Step]>,
    pub(crate) text: Box<[u8]>,
}

impl GoLayout {
    /// Compiles a layout of less than 64 KiB.
    pub(crate) fn new(layout: &str) -> GoLayout {
        let text = layout.as_bytes();
        let mut steps: Vec<Step> = Vec::new();
        let mut at = 0;
        let mut seconds: Option<usize> = None;
        while at < text.len() {
            let Some((step, len)) = element(&text[at..]) else {
                literal(&mut steps, text[at], at);
                at += 1;
                continue;
            };
            if let Some(position) = seconds.take()
                && matches!(step, Step::Fraction(_) | Step::OptionalFraction)
                && let Step::Second(_, implicit) = &mut steps[position]
            {
                *implicit = ImplicitFraction::Left;
            }
            if matches!(step, Step::Second(..)) {
                seconds = Some(steps.len());
            }
            steps.push(step);
            at += len;
        }
        for step in &mut steps {
            if let Step::Literal { start, end } = *step
                && end - start == 1
            {
                *step = Step::Byte(text[usize::from(start)]);
            }
        }
        GoLayout {
            steps: steps.into(),
            text: text.into(),
        }
    }
}

/// Adds one byte that stands for itself.
fn literal(steps: &mut Vec<Step>, byte: u8, at: usize) {
    let at = at as u16;
    match (byte, steps.last_mut()) {
        (b' ', Some(Step::Blanks)) => {}
        (b' ', _) => steps.push(Step::Blanks),
        (_, Some(Step::Literal { end, .. })) if *end == at => *end = at + 1,
        _ => steps.push(Step::Literal {
            start: at,
            end: at + 1,
        }),
    }
}

/// The element that the layout begins with, and its length.
fn element(layout: &[u8]) -> Option<(Step, usize)> {
    if matches!(layout[0], b'.' | b',') {
        return fraction(layout);
    }
    // `_2006` is an underscore and a year, not a day and `006`.
    if layout.starts_with(b"_2006") {
        return None;
    }
    let (name, step) = ELEMENTS
        .iter()
        .find(|(name, _)| layout.starts_with(name.as_bytes()))?;
    // `Jan` and `Mon` also begin words such as `Janitor` and `Month`.
    let word = matches!(step, Step::MonthShortName | Step::WeekdayShortName);
    if word && layout.get(name.len()).is_some_and(u8::is_ascii_lowercase) {
        return None;
    }
    Some((*step, name.len()))
}

/// A separator and a run of zeros or of nines that no other digit follows.
fn fraction(layout: &[u8]) -> Option<(Step, usize)> {
    let digit = *layout.get(1)?;
    let digits = layout[1..].iter().take_while(|b| **b == digit).count();
    let after = layout.get(1 + digits);
    if after.is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match digit {
        b'0' => Some((Step::Fraction(digits as u16), 1 + digits)),
        b'9' => Some((Step::OptionalFraction, 1 + digits)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(layout: &str) -> Vec<Step> {
        GoLayout::new(layout).steps.into_vec()
    }

    #[test]
    fn every_element_stands_for_itself_alone() {
        for (name, step) in ELEMENTS {
            assert_eq!(steps(name), [*step], "{name}");
        }
    }

    #[test]
    fn the_longest_element_is_meant() {
        for (name, step) in ELEMENTS {
            let shadowed = ELEMENTS
                .iter()
                .take_while(|(other, _)| other != name)
                .any(|(other, _)| name.starts_with(other));
            assert!(!shadowed, "{name} {step:?}");
        }
    }

    #[test]
    fn literals_and_blanks() {
        let lit = |start, end| Step::Literal { start, end };
        assert_eq!(steps("[ab] c"), [lit(0, 4), Step::Blanks, Step::Byte(b'c')]);
        assert_eq!(steps("   "), [Step::Blanks]);
        assert_eq!(
            steps("Month Janitor"),
            [lit(0, 5), Step::Blanks, lit(6, 13)]
        );
        assert_eq!(steps("_2006"), [Step::Byte(b'_'), Step::Year]);
        assert_eq!(steps("ANSIC"), [lit(0, 5)]);
        assert_eq!(steps(""), []);
        assert_eq!(steps("a\u{e9}b"), [lit(0, 4)]);
    }

    #[test]
    fn fractions_and_the_seconds_before_them() {
        let taken = Step::Second(Width::Two, ImplicitFraction::Taken);
        let left = Step::Second(Width::Two, ImplicitFraction::Left);
        assert_eq!(steps("05.000"), [left, Step::Fraction(3)]);
        assert_eq!(steps("05,99"), [left, Step::OptionalFraction]);
        // The fraction is the next element though it does not follow at once.
        let x = Step::Byte(b'x');
        assert_eq!(steps("05x.0"), [left, x, Step::Fraction(1)]);
        assert_eq!(steps("05"), [taken]);
        assert_eq!(steps("05Z07")[0], taken);
        // A run that another digit follows is no fraction.
        let dot = Step::Literal { start: 0, end: 2 };
        assert_eq!(steps(".002")[0], Step::Byte(b'.'));
        assert_eq!(steps(".98"), [Step::Literal { start: 0, end: 3 }]);
        assert_eq!(steps(".7"), [dot]);
    }
}
