//! English names of months and days.
//!
//! Owns:    the two tables.
//! Runs on: every shard.            Plane: data.
//! Bounds:  a look-up compares at most twelve names.
//! Never:   depends on the host's locale: a log format must not change with it.

/// Months from January.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Days from Sunday.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Length of a short name.
pub(crate) const SHORT: usize = 3;

/// Which of `names` the text begins with, whatever its case: index from 0, and the length of the name.
#[inline]
pub(crate) fn starts_with(names: &[&str], text: &[u8], short: bool) -> Option<(u8, usize)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name[..SHORT] } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name.as_bytes())
            .then_some((index as u8, name.len()))
    })
}
