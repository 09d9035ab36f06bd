//! What the tests of modules run scripts with.
//!
//! Owns:    `Script`.
//! Runs on: tests.            Plane: data.
//! Bounds:  the memory that the test says.
//! Never:   is part of the daemon.

use mlua::{Lua, Value};

use crate::limits::SandboxLimits;
use crate::objects;
use crate::trial;

/// A machine with all modules.
pub(crate) struct Script(pub(crate) Lua);

impl Script {
    pub(crate) fn new() -> Script {
        Script::limited(SandboxLimits::default())
    }

    pub(crate) fn limited(limits: SandboxLimits) -> Script {
        let lua = Lua::new();
        lua.set_app_data(limits);
        trial::open(&lua).expect("every module opens");
        if limits.memory_bytes > 0 {
            lua.set_memory_limit(limits.memory_bytes as usize)
                .expect("a limit");
        }
        Script(lua)
    }

    /// Runs a script that must not fail.
    pub(crate) fn run(&self, source: &str) {
        if let Err(error) = self.0.load(source).set_name("=test").exec() {
            panic!("{error}\n{source}");
        }
    }

    /// The value of an expression as Lua prints it; several with tabs between.
    pub(crate) fn value(&self, expression: &str) -> String {
        let source = format!(
            "local function list(...) local t = {{}} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end return table.concat(t, '\\t') end return list({expression})"
        );
        self.0
            .load(source)
            .set_name("=test")
            .eval()
            .unwrap_or_else(|error| panic!("{error}\n{expression}"))
    }

    /// The text of the error that an expression raises, which a script gets as text.
    pub(crate) fn error(&self, expression: &str) -> String {
        let source = format!(
            "local ok, said = pcall(function() return {expression} end)\nreturn tostring(ok) .. ' ' .. type(said) .. ' ' .. said"
        );
        let said: mlua::LuaString = self
            .0
            .load(source)
            .set_name("=test")
            .eval()
            .unwrap_or_else(|error| panic!("{error}\n{expression}"));
        let said = said.to_string_lossy();
        match said.strip_prefix("false string ") {
            Some(said) => said.trim_start_matches("test:1: ").to_owned(),
            None => panic!("no error text: {said}\n{expression}"),
        }
    }

    fn object<R>(&self, global: &str, see: impl FnMut(&dyn objects::Object) -> R) -> R {
        let value: Value = self.0.globals().get(global).expect("a global");
        let Value::UserData(object) = value else {
            panic!("{global} is no object");
        };
        objects::with(&object, see).expect("a known kind")
    }

    /// What `add_to_payload` shows of a global.
    pub(crate) fn printed(&self, global: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.object(global, |object| object.print(&mut out))
            .then_some(out)
    }

    /// The same as text.
    pub(crate) fn printed_text(&self, global: &str) -> String {
        let printed = self.printed(global).expect("a printable object");
        String::from_utf8(printed).expect("text")
    }

    /// What a file of preserved globals has of a global.
    pub(crate) fn preserved(&self, global: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let place = format!("_G[\"{global}\"]");
        let kept = self.object(global, |object| object.preserve(&place, &mut out));
        assert!(kept, "{global} is preserved");
        out
    }

    /// Makes a global again in another machine from what was preserved.
    pub(crate) fn restored(&self, global: &str) -> Script {
        let script = Script::new();
        script
            .0
            .load(self.preserved(global))
            .set_name("=preserved")
            .exec()
            .unwrap_or_else(|error| panic!("{error}"));
        script
    }
}
