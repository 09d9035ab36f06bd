//! What a script finds in its globals: Lua 5.1 as Heka leaves it, by kind of plugin.
//!
//! Owns:    the lists of parity's sections `environment` and the libraries that `require` brings.
//! Runs on: the shard of the plugin, when a sandbox is made.            Plane: data.
//! Bounds:  done once a sandbox.
//! Never:   leaves anything of Luau's own that Lua 5.1 does not have.

use std::sync::LazyLock;

use mlua::{Function, Lua, Table, Value};

use crate::config::Kind;
use crate::costly::{Match, MatchAll, Replace, Sort};
use crate::error::ProgramError;
use crate::find::Find;
use crate::lua::Machine;
use crate::program::Program;
use crate::{failure, operating_system};

/// Name of the part that is written in Lua, in places of errors.
pub(crate) const PRELUDE: &str = "[base]";

/// Globals of every kind, besides the functions of the host.
const GLOBALS: &[&str] = &[
    "_G",
    "_VERSION",
    "assert",
    "error",
    "gcinfo",
    "getfenv",
    "getmetatable",
    "ipairs",
    "module",
    "next",
    "package",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "require",
    "select",
    "setfenv",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
];

/// Globals that inputs and outputs have too.
const TRUSTED_GLOBALS: &[&str] = &["collectgarbage", "coroutine", "newproxy"];

const STRING: &[&str] = &[
    "byte", "char", "dump", "find", "format", "gfind", "gmatch", "gsub", "len", "lower", "match",
    "rep", "reverse", "sub", "upper",
];

const TABLE: &[&str] = &[
    "concat", "foreach", "foreachi", "getn", "insert", "maxn", "remove", "setn", "sort",
];

const MATH: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "ceil",
    "cos",
    "cosh",
    "deg",
    "exp",
    "floor",
    "fmod",
    "frexp",
    "huge",
    "ldexp",
    "log",
    "log10",
    "max",
    "min",
    "mod",
    "modf",
    "pi",
    "pow",
    "rad",
    "random",
    "randomseed",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
];

const OS: &[&str] = &[
    "clock", "date", "difftime", "execute", "getenv", "remove", "rename", "time", "tmpname",
];

const COROUTINE: &[&str] = &["create", "resume", "running", "status", "wrap", "yield"];

/// What `require` works with.
pub(crate) struct Libraries {
    /// Hidden until required.
    pub(crate) hidden: Table,
    /// Modules that were required, by name.
    pub(crate) loaded: Table,
}

/// Makes the globals of a machine what the kind may have, but for `require` and the functions of the host.
pub(crate) fn install(machine: &Machine, kind: Kind) -> mlua::Result<Libraries> {
    let lua = machine.lua();
    let globals = lua.globals();
    let hidden = lua.create_table()?;
    for name in ["string", "table", "math"] {
        hidden.raw_set(name, globals.raw_get::<Table>(name)?)?;
    }
    let string: Table = hidden.raw_get("string")?;
    string.raw_set("find", machine.before::<Find>(string.raw_get("find")?)?)?;
    string.raw_set("match", machine.before::<Match>(string.raw_get("match")?)?)?;
    let all = machine.before::<MatchAll>(string.raw_get("gmatch")?)?;
    string.raw_set("gmatch", all)?;
    string.raw_set("gsub", machine.before::<Replace>(string.raw_get("gsub")?)?)?;
    let table: Table = hidden.raw_get("table")?;
    table.raw_set("sort", machine.before::<Sort>(table.raw_get("sort")?)?)?;
    hidden.raw_set("os", operating_system::open(machine, kind.is_trusted())?)?;
    if kind.is_trusted() {
        hidden.raw_set("io", crate::files::open(lua)?)?;
    }
    let loaded = lua.create_table()?;
    prelude(lua, &hidden, &loaded)?;
    for (name, left) in [
        ("string", STRING),
        ("table", TABLE),
        ("math", MATH),
        ("os", OS),
    ] {
        keep(&hidden.raw_get(name)?, left)?;
    }
    let mut left = GLOBALS.to_vec();
    if kind.is_trusted() {
        left.extend_from_slice(TRUSTED_GLOBALS);
        let coroutine: Table = globals.raw_get("coroutine")?;
        keep(&coroutine, COROUTINE)?;
        // It is there already, as in Lua 5.1, and may be required all the same.
        loaded.raw_set("coroutine", coroutine)?;
        globals.raw_set("collectgarbage", collect_garbage(lua)?)?;
    }
    globals.raw_set("package", lua.create_table()?)?;
    globals.raw_set("_VERSION", "Lua 5.1")?;
    keep(&globals, &left)?;
    loaded.raw_set("_G", globals)?;
    Ok(Libraries { hidden, loaded })
}

/// Removes all but some keys of a table.
fn keep(table: &Table, left: &[&str]) -> mlua::Result<()> {
    let keys: Vec<Value> = table
        .pairs::<Value, Value>()
        .map(|pair| pair.map(|(key, _)| key))
        .collect::<mlua::Result<_>>()?;
    for key in keys {
        let stays = match &key {
            Value::String(name) => left.iter().any(|one| name.as_bytes() == one.as_bytes()),
            _ => false,
        };
        if !stays {
            table.raw_set(key, Value::Nil)?;
        }
    }
    Ok(())
}

/// Runs the part that is written in Lua.
fn prelude(lua: &Lua, hidden: &Table, loaded: &Table) -> mlua::Result<()> {
    let lent = lua.create_table()?;
    for name in ["string", "table", "math", "os"] {
        lent.raw_set(name, hidden.raw_get::<Table>(name)?)?;
    }
    lent.raw_set("loaded", loaded)?;
    lent.raw_set("globals", lua.globals())?;
    let describe = lua.create_function(|lua, error: Value| match failure::describe(&error) {
        Some(text) => Ok(Value::String(lua.create_string(text)?)),
        None => Ok(error),
    })?;
    lent.raw_set("describe", describe)?;
    static PROGRAM: LazyLock<Result<Program, ProgramError>> =
        LazyLock::new(|| Program::compile(PRELUDE, include_bytes!("../lua/prelude.lua")));
    match &*PROGRAM {
        Ok(program) => program.load(lua)?.call(lent),
        Err(error) => Err(mlua::Error::external(error.clone())),
    }
}

/// Lua 5.1's `collectgarbage`.
fn collect_garbage(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|lua, (option, _argument): (Option<String>, Option<f64>)| {
        let answer = match option.as_deref().unwrap_or("collect") {
            "collect" => {
                lua.gc_collect()?;
                Value::Integer(0)
            }
            "stop" => {
                lua.gc_stop();
                Value::Integer(0)
            }
            "restart" => {
                lua.gc_restart();
                Value::Integer(0)
            }
            "count" => Value::Number(lua.used_memory() as f64 / 1024.0),
            "step" => Value::Boolean(lua.gc_step()?),
            // The collector of Luau paces itself; Lua 5.1's defaults are what it answers.
            "setpause" | "setstepmul" => Value::Integer(200),
            other => {
                return Err(mlua::Error::runtime(format!(
                    "bad argument #1 to 'collectgarbage' (invalid option '{other}')"
                )));
            }
        };
        Ok(answer)
    })
}
