//! Sets with some of what makes them fast left out.
//!
//! Owns:    the list of them.
//! Runs on: tests.            Plane: control.
//! Bounds:  each part left out alone, and all at once.
//! Never:   differ in their answers: that is what the tests are for.

use matcher::Options;

/// All that makes a set fast, each part of it left out, and nothing of it.
pub fn variants() -> [Options; 6] {
    let all = Options::default();
    [
        all,
        Options {
            simplify: false,
            ..all
        },
        Options { tree: false, ..all },
        Options {
            literal_scan: false,
            ..all
        },
        Options {
            bundles: false,
            ..all
        },
        Options {
            simplify: false,
            tree: false,
            literal_scan: false,
            bundles: false,
        },
    ]
}
