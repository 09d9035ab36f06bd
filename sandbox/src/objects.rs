//! Objects that modules make for scripts: how they are printed and how they are preserved.
//!
//! Owns:    `Object`, and the table of its kinds.
//! Runs on: the shard of the plugin.            Plane: data.
//! Bounds:  what an object writes goes to the caller's buffer, which the caller limits.
//! Never:   holds an object.

use mlua::AnyUserData;

/// A userdata that the host knows more about than Lua does.
pub(crate) trait Object: 'static {
    /// Appends what `add_to_payload` and a field of a message show of it; `false` where the kind has no such form.
    fn print(&self, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Appends Lua statements that make the object again and assign it to the expression `name`; `false` where the kind is not preserved.
    fn preserve(&self, _name: &str, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// Tells whether an object is of one kind, and lends it if so.
type Lend = fn(&AnyUserData, &mut dyn FnMut(&dyn Object)) -> bool;

/// Every kind of object; a module adds its own.
const KINDS: &[Lend] = &[];

/// Lends what the host knows of an object; `None` where its kind is foreign or it is in use.
pub(crate) fn with<R>(object: &AnyUserData, mut see: impl FnMut(&dyn Object) -> R) -> Option<R> {
    let mut seen = None;
    KINDS
        .iter()
        .any(|lend| lend(object, &mut |known| seen = Some(see(known))));
    seen
}

/// Lends an object of kind `T`.
fn lend<T: Object>(object: &AnyUserData, see: &mut dyn FnMut(&dyn Object)) -> bool {
    match object.borrow::<T>() {
        Ok(known) => {
            see(&*known);
            true
        }
        Err(_) => false,
    }
}
