//! Counts in sentences for people.
//!
//! Owns:    the forms that go with one and with many.
//! Runs on: whoever writes the sentence.            Plane: control.
//! Bounds:  one short text a call.
//! Never:   called for each message.

/// A count with what is counted: `1 message`, `2 messages`.
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// The form of a word that goes with a count.
pub fn agrees<'a>(count: impl TryInto<u64>, one: &'a str, many: &'a str) -> &'a str {
    match count.try_into() {
        Ok(1) => one,
        _ => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(0, "message"), "0 messages");
        assert_eq!(counted(1u64, "message"), "1 message");
        assert_eq!(counted(2usize, "message"), "2 messages");
        assert_eq!(agrees(1, "is", "are"), "is");
        assert_eq!(agrees(0, "is", "are"), "are");
    }
}
