//! Names of Heka's plugins that the table does not hold: they deserve a better answer than "unknown".
//!
//! Owns:    the list, read from the parity table.
//! Runs on: build time, and only when a type is unknown.            Plane: control.
//! Bounds:  the parity table's length.
//! Never:   names a plugin in code.

const PARITY: &str = include_str!("../../../../docs/parity/plugins.toml");

/// Whether Heka had a plugin of this name.
pub(super) fn is_hekas(type_name: &str) -> bool {
    names().any(|name| name == type_name)
}

/// All names of Heka's plugins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let plugins = PARITY.split("[[plugin]]").skip(1);
    plugins.filter_map(|plugin| {
        plugin
            .trim_start()
            .strip_prefix("name = \"")?
            .split('"')
            .next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parity_table_is_read() {
        assert_eq!(names().count(), PARITY.matches("\n[[plugin]]\n").count());
        assert!(names().all(|name| !name.is_empty()));
        assert!(names().next().is_some_and(is_hekas) && !is_hekas("option"));
    }
}
