//! Runs of bytes gathered for one system call.
//!
//! Owns:    `gather`.
//! Runs on: an output's home shard or its thread.            Plane: data.
//! Bounds:  as many parts as the caller has room for.
//! Never:   copies bytes.

use std::io::IoSlice;

/// Fills `parts` with the next runs that are not empty; answers how many.
pub(super) fn gather<'a>(
    parts: &mut [IoSlice<'a>],
    runs: &mut impl Iterator<Item = &'a [u8]>,
) -> usize {
    let mut count = 0;
    for (part, run) in parts.iter_mut().zip(runs.filter(|run| !run.is_empty())) {
        *part = IoSlice::new(run);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_two_calls() {
        let texts = ["a", "", "bc", "d", "", "", "e", ""];
        let mut runs = texts.iter().map(|text| text.as_bytes());
        let mut gathered = Vec::new();
        loop {
            let mut parts = [IoSlice::new(&[]); 2];
            let count = gather(&mut parts, &mut runs);
            if count == 0 {
                break;
            }
            for part in &parts[..count] {
                gathered.extend_from_slice(part);
            }
        }
        assert_eq!(gathered, texts.concat().as_bytes());
    }
}
